"""Coordinate descent in residual form: weighted least squares on a block of columns, dense or compressed sparse.

    min over w, b:   1/2 sum_i d_i (delta_eta_i)^2 + g' delta_eta + penalty(w),     delta_eta = X (w - w_0) + (b - b_0)

The kernel keeps u, the gradient of the smooth part with respect to the predictor. The intercept is profiled out: the
true gradient is ``u - shift * d`` with a scalar `shift` that follows each update, so that an update costs one column.
"""

from typing import NamedTuple

import numpy as np

from skreg.kernels._gram_cd import bounded_prox
from skreg.kernels._specialize import specialize


class DenseColumns(NamedTuple):
    """Columns as the rows of a C-contiguous array."""

    rows: np.ndarray


class SparseColumns(NamedTuple):
    """Columns in compressed sparse form."""

    indptr: np.ndarray
    indices: np.ndarray
    data: np.ndarray


class WeightedColumns(NamedTuple):
    """Columns in compressed sparse form, with and without the weights of their samples; indices are unsigned."""

    indptr: np.ndarray
    indices: np.ndarray
    data: np.ndarray
    weighted: np.ndarray


def dense_dot(block, j, u):
    """Product of column j with u."""
    x = block.rows[j]
    total = 0.0
    for i in range(x.shape[0]):
        total += x[i] * u[i]
    return total


def dense_add(block, j, delta, d, u):
    """Add delta * d * (column j) to u."""
    x = block.rows[j]
    for i in range(x.shape[0]):
        u[i] += delta * x[i] * d[i]


def sparse_dot(block, j, u):
    """Product of column j with u."""
    total = 0.0
    for k in range(block.indptr[j], block.indptr[j + 1]):
        total += block.data[k] * u[block.indices[k]]
    return total


def sparse_add(block, j, delta, d, u):
    """Add delta * d * (column j) to u."""
    for k in range(block.indptr[j], block.indptr[j + 1]):
        i = block.indices[k]
        u[i] += delta * block.data[k] * d[i]


def weighted_add(block, j, delta, d, u):
    """Add delta * d * (column j) to u, d being the weights that `block` was made with."""
    for k in range(block.indptr[j], block.indptr[j + 1]):
        u[block.indices[k]] += delta * block.weighted[k]


def residual_cd(block, curvature, moment, d, w, u, shift, pen, max_epochs, tol):
    """Cyclic coordinate descent, sweeping over the support between full sweeps; updates `w` and `u` in place.

    `curvature` is sum(d * x_j**2) about the d-weighted mean where there is an intercept, `moment` the d-weighted mean
    of each column (zeros without an intercept). Returns the number of sweeps, the largest step times curvature of the
    last full sweep, and the new `shift`, which is in units of d's sum.
    """
    m = w.shape[0]
    total = d.sum()
    support = np.empty(m, dtype=np.int64)
    size = 0
    epoch = 0
    full = True
    worst = np.inf
    target = tol
    while epoch < max_epochs:
        epoch += 1
        moved = 0.0
        kept = 0
        for k in range(m if full else size):
            j = k if full else support[k]
            h = curvature[j]
            old = w[j]
            new = 0.0
            if h > 0.0:
                grad = dot(block, j, u) - shift * moment[j] * total  # noqa: F821 - bound by specialize
                new = bounded_prox(old - grad / h, 1.0 / h, j, pen)
            if new != old:
                delta = new - old
                add(block, j, delta, d, u)  # noqa: F821
                shift += delta * moment[j]
                w[j] = new
                moved = max(moved, abs(delta) * h)
            if full and new != 0.0:
                support[kept] = j
                kept += 1
        if full:
            worst = moved
            if worst <= tol:
                break
            size = kept
            target = max(0.1 * worst, tol)
            full = False
        elif moved <= target:
            full = True
    return epoch, worst, shift


def residual_kernel(penalty, sparse):
    """`residual_cd` compiled for a penalty and a kind of columns, `WeightedColumns` where they are sparse."""
    leaves = dict(bounded_prox=bounded_prox, **column_leaves(sparse), **penalty.leaves)
    return specialize(residual_cd, fastmath=("reassoc", "contract"), **leaves)


def column_leaves(sparse):
    """The functions by which kernels read columns."""
    return dict(dot=sparse_dot, add=weighted_add) if sparse else dict(dot=dense_dot, add=dense_add)
