"""Exact Newton steps on the support of a quadratic subproblem: what makes gaps of 1e-13 cheap."""

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from skreg.penalties import restrict


def newton_step(H, w, gradient, penalty, pen):
    """Step on the support to the minimum that its signs allow; True when it was taken in full.

    On the support the penalty is smooth, so the subproblem 1/2 d'Hd + gradient'd + penalty(w + d) is one symmetric
    system. Coordinates that the full step would carry through zero, or over a bound, stop there; the step is halved
    until the objective falls. Where the reduced second derivative is not positive definite nothing is done. `w` and
    `gradient` change in place; `H` may be larger than `w`.
    """
    m = len(w)
    support = np.flatnonzero((w != 0) & (w > pen.lower) & (w < pen.upper))
    if not len(support):
        return False
    local = restrict(pen, support)
    old = w[support]
    slope = gradient[support] + penalty.derivative(old, local)
    rows = H[support]
    system = rows[:, support]
    system.flat[:: len(support) + 1] += penalty.second_derivative(old, local)
    try:
        step = -cho_solve(cho_factor(system, overwrite_a=True, check_finite=False), slope, check_finite=False)
    except LinAlgError:
        return False
    value = penalty.value(old, local)
    for length in (1.0, 0.5, 0.25, 0.125):
        new = stay_inside(old, old + length * step, local)
        move = new - old
        change = move @ rows
        gain = move @ (gradient[support] + 0.5 * change[support]) + penalty.value(new, local) - value
        if gain <= 0:
            w[support] = new
            gradient += change[:m]
            return length == 1.0
    return False


def stay_inside(old, new, pen):
    """`new` with sign changes of penalised coordinates stopped at zero, and within the bounds."""
    new = np.where((np.sign(new) != np.sign(old)) & (pen.weights > 0), 0.0, new)
    return np.minimum(np.maximum(new, pen.lower), pen.upper)
