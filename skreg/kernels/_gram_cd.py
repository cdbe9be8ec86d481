"""Coordinate descent in Gram form: min over w of 1/2 w'Hw - q'w + penalty(w), with the gradient Hw - q kept at hand."""

import numpy as np

from skreg.kernels._specialize import interpret, is_soon_done, specialize


def bounded_prox(z, step, j, pen):
    """Proximal step of coordinate j within its bounds; 0 where the clipped point is no better than 0."""
    x = prox(z, step, j, pen)  # noqa: F821 - bound by specialize
    y = min(max(x, pen.lower[j]), pen.upper[j])
    if y != x and value(y, j, pen) >= y * (z - 0.5 * y) / step:  # noqa: F821
        y = 0.0
    return y


def add_row(total, delta, H, j):
    """Add delta * (row j of H) to total, which may be shorter."""
    total += delta * H[j, : total.shape[0]]


def add_row_loop(total, delta, H, j):
    """`add_row` without a temporary array, for the compiler."""
    row = H[j]
    for i in range(total.shape[0]):
        total[i] += delta * row[i]


def gram_cd(H, w, grad, pen, max_epochs, tol):
    """Cyclic coordinate descent, sweeping over the support between full sweeps; updates `w` and `grad` in place.

    Returns the number of sweeps and the largest step times curvature of the last full sweep, which is <= `tol` when
    the loop converged.
    """
    m = w.shape[0]
    support = np.empty(m, dtype=np.int64)
    epoch = 0
    worst = np.inf
    while epoch < max_epochs:
        epoch += 1
        worst = 0.0
        size = 0
        for j in range(m):
            h = H[j, j]
            old = w[j]
            if h <= 0.0:
                new = 0.0
            else:
                new = bounded_prox(old - grad[j] / h, 1.0 / h, j, pen)
            if new != old:
                delta = new - old
                add_row(grad, delta, H, j)
                w[j] = new
                worst = max(worst, abs(delta) * h)
            if new != 0.0:
                support[size] = j
                size += 1
        if worst <= tol:
            break
        target = 0.1 * worst
        while epoch < max_epochs:
            epoch += 1
            moved = 0.0
            for k in range(size):
                j = support[k]
                h = H[j, j]
                old = w[j]
                new = bounded_prox(old - grad[j] / h, 1.0 / h, j, pen)
                if new != old:
                    delta = new - old
                    add_row(grad, delta, H, j)
                    w[j] = new
                    moved = max(moved, abs(delta) * h)
            if moved <= max(target, tol):
                break
    return epoch, worst


def gram_kernel(penalty, cells=np.inf, steps=0):
    """`gram_cd` for a penalty: compiled, or interpreted where the next `steps` on little data do not repay loading."""
    leaves = dict(bounded_prox=bounded_prox, **penalty.leaves)
    if is_soon_done(cells, steps):
        return interpret(gram_cd, **leaves)
    return specialize(gram_cd, add_row=add_row_loop, **leaves)
