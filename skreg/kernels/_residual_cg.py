"""Conjugate gradients on the support of a subproblem in residual form, whose matrix is never made."""

import numpy as np

from skreg.kernels._residual_cd import column_leaves
from skreg.kernels._specialize import specialize


def residual_cg(block, support, diagonal, bend, moment, d, slope, max_iter, enough, flat, step):
    """Conjugate gradients for (X_c' D X_c + diag(bend)) step = -slope, over the centred columns in `support`.

    `diagonal` preconditions, `moment` holds the d-weighted means of the columns. Iterations end when the residual is at
    most `enough` times the first, or an iteration's gain `flat` times the best. A direction along which the matrix is
    not positive ends them too, and is the step if it is the first. Returns their number.

    References
    ----------
    J. J. More and G. Toraldo (1991). On the solution of large quadratic programming problems with bound constraints.
    SIAM Journal on Optimization 1(1).
    """
    size = support.shape[0]
    total = d.sum()
    image = np.empty(d.shape[0])
    residual, product, direction = -slope, np.empty(size), -slope / diagonal
    norm = 0.0
    for k in range(size):
        norm += residual[k] * direction[k]
        step[k] = 0.0
    small, best = enough * enough * norm, 0.0
    for iteration in range(1, max_iter + 1):
        image[:] = 0.0
        lift = 0.0
        for k in range(size):
            add(block, support[k], direction[k], d, image)  # noqa: F821 - bound by specialize
            lift += moment[k] * direction[k]
        bending = 0.0
        for k in range(size):
            product[k] = dot(block, support[k], image) - moment[k] * lift * total + bend[k] * direction[k]  # noqa: F821
            bending += direction[k] * product[k]
        if not bending > 0.0:
            if iteration == 1:
                step[:] = direction
            return iteration
        length, last, norm = norm / bending, norm, 0.0
        for k in range(size):
            step[k] += length * direction[k]
            residual[k] -= length * product[k]
            norm += residual[k] * residual[k] / diagonal[k]
        gain = length * last
        best = max(best, gain)
        if norm <= small or gain <= flat * best:
            return iteration
        for k in range(size):
            direction[k] = residual[k] / diagonal[k] + norm / last * direction[k]
    return max_iter


def support_kernel(sparse):
    """`residual_cg` compiled for a kind of columns."""
    return specialize(residual_cg, fastmath=("reassoc", "contract"), **column_leaves(sparse))
