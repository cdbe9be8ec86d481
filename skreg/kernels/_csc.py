"""Cross products of compressed sparse columns."""

import numpy as np

from skreg.kernels._specialize import as_kernel_array, specialize


def csc_cross(indptr_a, indices_a, data_a, indptr_b, indices_b, data_b, weight, symmetric, out):
    """out[i, j] = sum over samples of weight * a_i * b_j; with `symmetric` (a is b) half of it is mirrored."""
    dense = np.zeros(weight.shape[0])
    for i in range(indptr_a.shape[0] - 1):
        for k in range(indptr_a[i], indptr_a[i + 1]):
            dense[indices_a[k]] = data_a[k] * weight[indices_a[k]]
        start = i if symmetric else 0
        for j in range(start, indptr_b.shape[0] - 1):
            total = 0.0
            for k in range(indptr_b[j], indptr_b[j + 1]):
                total += dense[indices_b[k]] * data_b[k]
            out[i, j] = total
            if symmetric:
                out[j, i] = total
        for k in range(indptr_a[i], indptr_a[i + 1]):
            dense[indices_a[k]] = 0.0


def cross_products(a, b, weight):
    """a.T @ diag(weight) @ b for two (indptr, indices, data) triples; b=None stands for a."""
    kernel = specialize(csc_cross)
    other = a if b is None else b
    out = np.empty((len(a[0]) - 1, len(other[0]) - 1))
    arrays = [as_kernel_array(x) for x in (*a, *other, weight)]
    kernel(*arrays, b is None, out)
    return out
