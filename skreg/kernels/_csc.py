"""Products with chosen columns of a compressed sparse matrix, read where they lie.

Indices reach the loops as unsigned numbers: a signed one might be negative, and looking costs a third of the time.
"""

from typing import NamedTuple

import numpy as np

from skreg.kernels._specialize import as_kernel_array, specialize


class Compressed(NamedTuple):
    """A matrix in compressed sparse columns without duplicates."""

    indptr: np.ndarray
    indices: np.ndarray
    data: np.ndarray


def compressed(X):
    """A scipy CSC matrix as the loops take it: read-only views, with indices of 32 or 64 bits as they are."""
    indptr, indices = (as_kernel_array(a, a.dtype).view(f"u{a.dtype.itemsize}") for a in (X.indptr, X.indices))
    return Compressed(indptr, indices, as_kernel_array(X.data))


def csc_dot(X, columns, r, start, stop, out):
    """out[k] = X[:, columns[k]] . r for k in [start, stop)."""
    for k in range(start, stop):
        j = columns[k]
        total = 0.0
        for q in range(X.indptr[j], X.indptr[j + 1]):
            total += X.data[q] * r[X.indices[q]]
        out[k] = total


def csc_dots(X, columns, r, start, stop, out):
    """out[k] = X[:, columns[k]] . r for k in [start, stop), where `r` and `out` have a column for each output."""
    for k in range(start, stop):
        j = columns[k]
        out[k] = 0.0
        for q in range(X.indptr[j], X.indptr[j + 1]):
            x, source = X.data[q], r[X.indices[q]]
            for l in range(source.shape[0]):
                out[k, l] += x * source[l]


def csc_sum(X, columns, w, out):
    """Add the sum over k of w[k] * X[:, columns[k]] to out."""
    for k in range(columns.shape[0]):
        j = columns[k]
        for q in range(X.indptr[j], X.indptr[j + 1]):
            out[X.indices[q]] += w[k] * X.data[q]


def csc_sums(X, columns, w, out):
    """Add the sum over k of X[:, columns[k]] * w[k] to out, where `w` and `out` have a column for each output."""
    for k in range(columns.shape[0]):
        j = columns[k]
        for q in range(X.indptr[j], X.indptr[j + 1]):
            x, target = X.data[q], out[X.indices[q]]
            for l in range(target.shape[0]):
                target[l] += x * w[k, l]


def csc_square(X, columns, weight, total, centred, start, stop, out):
    """out[k] = weighted sum of squares of X[:, columns[k]], about its weighted mean if `centred`, for k in the range.

    `total` is the sum of the weights. What is left of a constant column, but for rounding, is zero.
    """
    for k in range(start, stop):
        first, last = X.indptr[columns[k]], X.indptr[columns[k] + 1]
        mean = square = 0.0
        if centred and total > 0:
            inside = 0.0
            for q in range(first, last):
                inside += weight[X.indices[q]]
                mean += weight[X.indices[q]] * X.data[q]
            mean /= total
            if last - first < weight.shape[0]:
                square = max(total - inside, 0.0) * mean * mean
        for q in range(first, last):
            away = X.data[q] - mean
            square += weight[X.indices[q]] * away * away
        out[k] = square if square > 1e-15 * total * mean * mean else 0.0


def csc_cross(X, rows, columns, weight, symmetric, out):
    """out[k, l] = weighted product of X[:, rows[k]] and X[:, columns[l]]; `symmetric` says that the two are the same.

    The chosen columns are first sorted by sample: a sample then costs the product of its numbers of non-zeros.
    """
    end = np.zeros(weight.shape[0], dtype=np.int64)
    for j in columns:
        for q in range(X.indptr[j], X.indptr[j + 1]):
            end[X.indices[q]] += 1
    size = 0
    for i in range(end.shape[0]):
        size += end[i]
        end[i] = size - end[i]
    begin = end.copy()
    place, value = np.empty(size, dtype=np.uint32), np.empty(size)
    for l in range(columns.shape[0]):
        j = columns[l]
        for q in range(X.indptr[j], X.indptr[j + 1]):
            i = X.indices[q]
            place[end[i]] = l
            value[end[i]] = X.data[q] * weight[i]
            end[i] += 1
    for k in range(rows.shape[0]):
        j = rows[k]
        target = out[k]
        target[:] = 0.0
        for q in range(X.indptr[j], X.indptr[j + 1]):
            i, x = X.indices[q], X.data[q]
            for s in range(begin[i], end[i]):
                target[place[s]] += x * value[s]
            if symmetric:
                begin[i] += 1
    if symmetric:
        for k in range(rows.shape[0]):
            for l in range(k):
                out[k, l] = out[l, k]


def cross_products(X, rows, columns, weight):
    """X[:, rows].T @ diag(weight) @ X[:, columns] for a `Compressed` X; columns=None stands for `rows`."""
    others = rows if columns is None else columns
    out = np.empty((len(rows), len(others)))
    chosen, others, weight = (as_kernel_array(a) for a in (rows, others, weight))
    specialize(csc_cross)(X, chosen, others, weight, columns is None, out)
    return out
