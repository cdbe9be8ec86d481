"""Products with chosen columns of a dense matrix, read where they lie, and copies of them for BLAS.

Each loop has a NumPy twin of one line, for little data.
"""

import numpy as np

from skreg.kernels._specialize import is_little, specialize


def columns_dot(rows, columns, r, start, stop, out):
    """out[k] = rows[columns[k]] . r for k in [start, stop), where `rows` is the transposed (C-contiguous) matrix."""
    for k in range(start, stop):
        x = rows[columns[k]]
        total = 0.0
        for i in range(x.shape[0]):
            total += x[i] * r[i]
        out[k] = total


def columns_sum(rows, columns, w, start, stop, out):
    """Set out to the sum over k of w[k] * rows[columns[k]] on samples [start, stop), four columns a pass over `out`."""
    m = columns.shape[0]
    whole = m - m % 4
    for i in range(start, stop):
        out[i] = 0.0
    for k in range(0, whole, 4):
        a, b, c, d = rows[columns[k]], rows[columns[k + 1]], rows[columns[k + 2]], rows[columns[k + 3]]
        for i in range(start, stop):
            out[i] += w[k] * a[i] + w[k + 1] * b[i] + w[k + 2] * c[i] + w[k + 3] * d[i]
    for k in range(whole, m):
        a = rows[columns[k]]
        for i in range(start, stop):
            out[i] += w[k] * a[i]


def gather_columns(rows, columns, means, root, start, stop, out):
    """out[k, i] = (rows[columns[k], i] - means[k]) * root[i] for samples i in [start, stop)."""
    for k in range(columns.shape[0]):
        x = rows[columns[k]]
        y = out[k]
        for i in range(start, stop):
            y[i - start] = (x[i] - means[k]) * root[i]


def gather_rows(X, columns, means, root, start, stop, out):
    """out[i, k] = (X[i, columns[k]] - means[k]) * root[i] for samples i in [start, stop), X in C order."""
    for i in range(start, stop):
        x = X[i]
        y = out[i - start]
        for k in range(columns.shape[0]):
            y[k] = (x[columns[k]] - means[k]) * root[i]


def cross_dots(rows, columns, others, start, stop, out):
    """out[k, l] = rows[columns[k]] . others[l] for k in [start, stop): few enough `others` to stay in cache.

    Two rows by four others at a time; at the edges the last ones are counted again.
    """
    last = others.shape[0] - 1
    for k in range(start, stop, 2):
        k2 = min(k + 1, stop - 1)
        x, z = rows[columns[k]], rows[columns[k2]]
        for l in range(0, last + 1, 4):
            l2, l3, l4 = min(l + 1, last), min(l + 2, last), min(l + 3, last)
            a, b, c, d = others[l], others[l2], others[l3], others[l4]
            xa = xb = xc = xd = za = zb = zc = zd = 0.0
            for i in range(x.shape[0]):
                xa += x[i] * a[i]
                xb += x[i] * b[i]
                xc += x[i] * c[i]
                xd += x[i] * d[i]
                za += z[i] * a[i]
                zb += z[i] * b[i]
                zc += z[i] * c[i]
                zd += z[i] * d[i]
            out[k, l], out[k, l2], out[k, l3], out[k, l4] = xa, xb, xc, xd
            out[k2, l], out[k2, l2], out[k2, l3], out[k2, l4] = za, zb, zc, zd


def principal_block(H, support, out):
    """Lower triangle of H[support][:, support]."""
    for i in range(support.shape[0]):
        row = H[support[i]]
        for j in range(i + 1):
            out[i, j] = row[support[j]]


def _columns_dot(rows, columns, r, start, stop, out):
    out[start:stop] = rows[columns[start:stop]] @ r


def _columns_sum(rows, columns, w, start, stop, out):
    out[start:stop] = w @ rows[columns, start:stop]


def _gather_columns(rows, columns, means, root, start, stop, out):
    out[...] = (rows[columns, start:stop] - means[:, None]) * root[start:stop]


def _gather_rows(X, columns, means, root, start, stop, out):
    out[...] = (X[start:stop, columns] - means) * root[start:stop, None]


def _cross_dots(rows, columns, others, start, stop, out):
    out[start:stop] = rows[columns[start:stop]] @ others.T


def _principal_block(H, support, out):
    np.take(H[support], support, axis=1, out=out)


_TWINS = {
    columns_dot: _columns_dot,
    columns_sum: _columns_sum,
    gather_columns: _gather_columns,
    gather_rows: _gather_rows,
    cross_dots: _cross_dots,
    principal_block: _principal_block,
}


def dense_kernel(template, cells=np.inf):
    """One of the loops above for a matrix of so many numbers: compiled, with sums reordered, or its NumPy twin."""
    if is_little(cells):
        return _TWINS[template]
    return specialize(template, fastmath=("reassoc", "contract"))
