"""Products with chosen columns of a dense F-ordered matrix, read in place."""

from skreg.kernels._specialize import specialize


def columns_dot(rows, columns, r, out):
    """out[k] = rows[columns[k]] . r, where `rows` is the transposed (C-contiguous) matrix."""
    for k in range(columns.shape[0]):
        x = rows[columns[k]]
        total = 0.0
        for i in range(x.shape[0]):
            total += x[i] * r[i]
        out[k] = total


def columns_sum(rows, columns, w, out):
    """Add to out the sum over k of w[k] * rows[columns[k]]."""
    for k in range(columns.shape[0]):
        x = rows[columns[k]]
        for i in range(x.shape[0]):
            out[i] += w[k] * x[i]


def dense_kernels():
    """The two loops, compiled; dot products may be reordered."""
    return specialize(columns_dot, fastmath=("reassoc", "contract")), specialize(columns_sum)
