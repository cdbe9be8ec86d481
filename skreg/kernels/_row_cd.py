"""Row descent in Gram form: min over W of 1/2 <W, HW> - <Q, W> + penalty of the row norms, HW - Q kept at hand.

The second derivative of one row is H_jj times the identity, so that its exact minimum is the proximal operator of the
norm: one scalar step on the norm. Matrices are stored transposed, a task a row, so that an update runs along rows of H.
"""

import math

import numpy as np

from skreg.kernels._specialize import interpret, is_soon_done, specialize


def add_rows(total, delta, H, j):
    """Add the outer product of delta and row j of H to total, which may have fewer columns."""
    total += np.outer(delta, H[j, : total.shape[1]])


def add_rows_loop(total, delta, H, j):
    """`add_rows` without a temporary array, for the compiler."""
    h = H[j]
    for t in range(total.shape[0]):
        row, d = total[t], delta[t]
        for i in range(row.shape[0]):
            row[i] += d * h[i]


def row_step(W, gradient, h, j, pen, delta):
    """Minimise over column j of W, all else fixed: write its change to `delta`; returns its new and moved norms."""
    n_tasks = W.shape[0]
    top = 0.0
    for t in range(n_tasks):
        delta[t] = W[t, j] - gradient[t, j] / h
        top = max(top, abs(delta[t]))
    norm = 0.0
    if top > 0.0:
        for t in range(n_tasks):
            norm += (delta[t] / top) ** 2
        norm = top * math.sqrt(norm)
    new = min(prox(norm, 1.0 / h, j, pen), pen.upper[j])  # noqa: F821 - bound by specialize
    scale = new / norm if norm > 0.0 else 0.0
    moved = 0.0
    for t in range(n_tasks):
        value = scale * delta[t]
        delta[t] = value - W[t, j]
        W[t, j] = value
        moved += delta[t] ** 2
    return new, math.sqrt(moved)


def row_cd(H, W, gradient, pen, max_epochs, tol):
    """Cyclic descent over columns of W, sweeping over the support between full sweeps; all changes are in place.

    Returns the number of sweeps and the largest step times curvature of the last full sweep, which is <= `tol` when
    the loop converged.
    """
    m = W.shape[1]
    support = np.empty(m, dtype=np.int64)
    delta = np.empty(W.shape[0])
    epoch = 0
    worst = np.inf
    while epoch < max_epochs:
        epoch += 1
        worst = 0.0
        size = 0
        for j in range(m):
            h = H[j, j]
            if h <= 0.0:
                W[:, j] = 0.0
                continue
            new, moved = row_step(W, gradient, h, j, pen, delta)
            if moved > 0.0:
                add_rows(gradient, delta, H, j)
                worst = max(worst, moved * h)
            if new > 0.0:
                support[size] = j
                size += 1
        if worst <= tol:
            break
        target = 0.1 * worst
        while epoch < max_epochs:
            epoch += 1
            most = 0.0
            for k in range(size):
                j = support[k]
                _, moved = row_step(W, gradient, H[j, j], j, pen, delta)
                if moved > 0.0:
                    add_rows(gradient, delta, H, j)
                    most = max(most, moved * H[j, j])
            if most <= max(target, tol):
                break
    return epoch, worst


def row_kernel(penalty, cells=np.inf, steps=0):
    """`row_cd` for the scalar penalty of the norms: compiled, or interpreted where `steps` do not repay loading."""
    leaves = dict(row_step=row_step, **penalty.leaves)
    if is_soon_done(cells, steps):
        return interpret(row_cd, add_rows=add_rows, **leaves)
    return specialize(row_cd, add_rows=add_rows_loop, **leaves)
