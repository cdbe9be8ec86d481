"""Exact Newton steps on the support of a quadratic subproblem: what makes gaps of 1e-13 cheap."""

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from skreg.penalties import restrict

_PIVOTS = 20  # most rounds of block pivoting
_ROUNDING = 1e-13  # residual over right-hand side from which a solution is refined, ...
_ACCEPTABLE = 1e-9  # ... and up to which the best that can be had is taken
_REFINEMENTS = 4  # ... at most so many times
_NEARLY_SINGULAR = 1e-11  # pivots below this share of the largest make long steps suspect, ...
_SINGULAR = 1e-15  # ... and below this one count as zero


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
    step, regular = _solve(system, slope)
    if step is None:
        return False
    value = penalty.value(old, local)
    for length in (*((1.0, 0.5, 0.25) if regular else ()), first_crossing(old, step)):
        new = stay_inside(old, old + length * step, local)
        move = new - old
        change = move @ rows
        gain = move @ (gradient[support] + 0.5 * change[support]) + penalty.value(new, local) - value
        if gain <= 0:
            w[support] = new
            gradient += change[:m]
            return length == 1.0
    return False


def _solve(system, slope):
    """-inverse(system) @ slope, and whether the system was regular.

    A singular system (doubled columns, the shift of all classes) is lifted a little: along its null space the
    subproblem is linear, and the long step found there is only good up to the first sign change. An indefinite system
    gives None.
    """
    top = np.abs(system.diagonal()).max()
    for shift in (0.0, _NEARLY_SINGULAR * top):
        system.flat[:: len(system) + 1] += shift
        try:
            factor = cho_factor(system, check_finite=False)
        except LinAlgError:
            continue
        pivots = factor[0].diagonal() ** 2
        if shift or pivots.min() > _SINGULAR * pivots.max():
            regular = not shift and pivots.min() > _NEARLY_SINGULAR * pivots.max()
            return -cho_solve(factor, slope, check_finite=False), regular
    return None, False


def first_crossing(old, step):
    """Length at which the first coordinate reaches zero, a hair over so that it stops there, and at most 1."""
    away = old * step < 0
    return min(1.0, (1 + 1e-12) * np.min(-old[away] / step[away])) if away.any() else 1.0


def stay_inside(old, new, pen):
    """`new` with sign changes of penalised coordinates stopped at zero, and within the bounds."""
    new = np.where((np.sign(new) != np.sign(old)) & (pen.weights > 0), 0.0, new)
    return np.minimum(np.maximum(new, pen.lower), pen.upper)


def pivot(H, w, gradient, penalty, pen, tol, aim, rank, factor):
    """As `pivot_from`, from the signs of `w` and in place; True where it got there, else nothing changes."""
    m = len(w)
    start = np.flatnonzero(w)
    target = product(H[:m, :m], start, w[start]) - gradient
    found = pivot_from(H, target, np.sign(w), penalty, pen, tol, aim, rank, factor)
    if found is None:
        return False
    w[:], gradient[:] = found
    return True


def pivot_from(H, target, sign, penalty, pen, tol, aim, rank, factor):
    """Minimum of 1/2 w'Hw - target'w + penalty(w) by block principal pivoting from the signs in `sign`, or None.

    For penalties that are quadratic off zero, the minimum is one linear system once support and signs are known. Each
    round solves it for the present guess, drops the coordinates that changed sign, lets those in that violate their
    optimality conditions by more than `aim`, and repeats while that leads on; the last point with violations of at most
    `tol` is kept. From a warm start this takes a handful of solves where coordinate descent takes hundreds of sweeps;
    from a bad one it gives up. `factor` is the `SupportFactor` of `H`. Returns `w` and the gradient Hw - target; `sign`
    changes in place.

    References
    ----------
    L. F. Portugal, J. J. Judice, L. N. Vicente (1994). A comparison of block pivoting and interior-point algorithms
    for linear least squares problems with nonnegative variables. Mathematics of Computation 63(208).
    """
    m = len(target)
    up, down = pen.upper > 0, pen.lower < 0
    ones = np.ones(m)
    bend = penalty.second_derivative(ones, pen)
    kink = penalty.derivative(ones, pen) - bend
    free = (kink == 0) & up & down
    sign[free] = 1.0
    best, failures, found = m + 1, 0, None
    aim = max(aim, _ROUNDING * np.abs(target).max())
    tol = max(tol, aim)
    for _ in range(_PIVOTS):
        support = np.flatnonzero(sign)
        solved = _solve_on(H, bend, kink * sign, support, target, factor) if len(support) <= rank else None
        if solved is None:
            break
        new, slope = solved
        flipped = (new * sign[support] < 0) & ~free[support]
        excess = np.abs(slope) - kink
        excess[support] = 0.0
        excess[~np.where(slope < 0, up, down)] = 0.0
        enter = np.flatnonzero(excess > aim)
        wrong = int(np.count_nonzero(flipped)) + len(enter)
        if not flipped.any() and excess.max() <= tol:
            found = support, new, slope  # good enough; the next rounds are for the last digits
            if wrong == 0:
                break
        room = max(10, (rank - len(support)) // 2)
        if len(enter) > room:
            enter = enter[np.argpartition(excess[enter], -room)[-room:]]
            wrong = best - 1
        failures = 0 if wrong < best else failures + 1
        if failures > 2:
            break
        best = wrong if wrong < best else best
        sign[support[flipped]] = 0.0
        sign[enter] = -np.sign(slope[enter])
    if found is None:
        return None
    w = np.zeros(m)
    w[found[0]] = found[1]
    return w, found[2]


def _solve_on(H, bend, signed_kink, support, target, factor):
    """Minimum on a support with given signs, and Hw - target there; None where it is not unique.

    What the factor of another support gives is refined, and computed from a factor of its own where that does not help.
    """
    inner = H[: len(target), : len(target)]
    size = np.abs(target).max()
    for fresh in (False, True):
        if fresh:
            factor.clear()
        new, residual = np.zeros(len(support)), signed_kink[support] - target[support]
        for _ in range(_REFINEMENTS):
            step = factor.solve(H, bend, support, residual)
            if step is None:
                return None
            new = new - step
            slope = product(inner, support, new) - target
            last, residual = residual, slope[support] + signed_kink[support] + bend[support] * new
            worst = np.abs(residual).max(initial=0.0)
            if worst <= _ROUNDING * size:
                return new, slope
            if not worst < 0.1 * np.abs(last).max():
                break
        if worst <= (_ACCEPTABLE if fresh else _ROUNDING) * size:
            return new, slope
    return None


def product(H, support, values):
    """H w for `w` with these values on the support."""
    if 2 * len(support) < len(H):
        return values @ H[support]
    w = np.zeros(len(H))
    w[support] = values
    return H @ w
