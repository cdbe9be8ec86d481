"""DesignMatrix: what solvers may ask of X, whatever holds it.

A design is X with its columns divided by `scale` (standardising without touching the data). Centring is implicit too:
`gram` subtracts the weighted column means as it goes, and a gradient that sums to zero needs no centring. Nothing here
densifies a sparse X or copies a dense one beyond the columns asked for.
"""

import numpy as np
import scipy.sparse as sp

from skreg.kernels._csc import cross_products
from skreg.kernels._dense import dense_kernels
from skreg.kernels._specialize import as_kernel_array

_BLOCK = 2**19  # numbers in a block of rows: 4 MiB, small enough to stay in cache between gather and product
_SLIM = 16  # columns of a cross product up to which the other factor is not gathered


def as_design(X, scale=None):
    """Wrap a dense array or a scipy sparse matrix or array; CSR and others are converted to CSC."""
    if sp.issparse(X):
        return SparseDesign(X.tocsc(), scale)
    return DenseDesign(X, scale)


class DesignMatrix:
    """Columns of X over `scale`, as a linear map.

    Parameters
    ----------
    X : array or sparse matrix of shape (n_samples, n_features)
        The data; never modified.
    scale : ndarray of shape (n_features,) or None
        Divisors of the columns; None means 1.
    """

    is_sparse = False

    def __init__(self, X, scale=None):
        self.X = X
        self.scale = scale
        self.n_samples, self.n_features = X.shape

    def matvec(self, w, columns=None):
        """X[:, columns] @ w for `w` of shape (n_columns,) or (n_columns, n_outputs)."""
        if self.scale is not None:
            scale = self.scale if columns is None else self.scale[columns]
            w = (w.T / scale).T
        return self._matvec(w, columns)

    def rmatvec(self, r, columns=None):
        """X[:, columns].T @ r for `r` of shape (n_samples,) or (n_samples, n_outputs)."""
        result = self._rmatvec(r, columns)
        if self.scale is not None:
            scale = self.scale if columns is None else self.scale[columns]
            result = (result.T / scale).T
        return result

    def gram(self, rows, columns, weight, means=None):
        """Weighted cross products (X[:, rows] - means).T @ diag(weight) @ (X[:, columns] - means).

        `rows` and `columns` are arrays of feature indices, `columns=None` stands for `rows` (and halves the work);
        `means` has one entry a feature of X or is None, for no centring.
        """
        result = self._gram(rows, columns, weight, means)
        if self.scale is not None:
            result /= self.scale[rows][:, None]
            result /= self.scale[rows if columns is None else columns]
        return result

    def kernel_columns(self, columns):
        """The chosen columns over `scale`, as the arrays that residual kernels take."""
        raise NotImplementedError

    def _matvec(self, w, columns):
        raise NotImplementedError

    def _rmatvec(self, r, columns):
        raise NotImplementedError

    def _gram(self, rows, columns, weight, means):
        raise NotImplementedError

    def means(self, weight):
        """Weighted column means of X itself (not divided by `scale`)."""
        return self._rmatvec(weight / weight.sum(), None)

    def curvature(self, weight, centred, columns=None):
        """Weighted mean square of each column, about its weighted mean when `centred`."""
        raise NotImplementedError

    def standardized(self, weight):
        """The same data with `scale` set to the weighted standard deviations (1 for constant columns)."""
        plain = type(self)(self.X)
        variance, weight = plain.curvature(weight / weight.sum(), True), weight / weight.sum()
        constant = variance <= 1e-28 * (variance + plain.means(weight) ** 2)
        scale = np.where(constant, 1.0, np.sqrt(variance))
        return type(self)(self.X, scale)


class DenseDesign(DesignMatrix):
    """Dense X in C or F order (or any strides)."""

    def kernel_columns(self, columns):
        block = self.X.T[columns]
        if self.scale is not None:
            block /= self.scale[columns][:, None]
        return (block,)

    def _matvec(self, w, columns):
        if columns is None:
            return self.X @ w
        if 4 * len(columns) > self.n_features:
            full = np.zeros((self.n_features, *w.shape[1:]))
            full[columns] = w
            return self.X @ full
        result = np.zeros((self.n_samples, *w.shape[1:]))
        if self._in_place(w, columns):
            dense_kernels()[1](*map(as_kernel_array, (self.X.T, columns, w)), result)
            return result
        for part in _parts(len(columns), _BLOCK // self.n_samples):
            result += self.X[:, columns[part]] @ w[part]
        return result

    def _rmatvec(self, r, columns):
        if columns is None or 4 * len(columns) > self.n_features:
            result = self.X.T @ r
            return result if columns is None else result[columns]
        result = np.empty((len(columns), *r.shape[1:]))
        if self._in_place(r, columns):
            dense_kernels()[0](*map(as_kernel_array, (self.X.T, columns, r)), result)
            return result
        for part in _parts(len(columns), _BLOCK // self.n_samples):
            result[part] = self.X[:, columns[part]].T @ r
        return result

    def _in_place(self, vector, columns):
        """Whether compiled loops may read the columns where they lie."""
        return self.X.flags.f_contiguous and vector.ndim == 1 and len(columns) >= 16

    def rows(self, samples, columns):
        """The chosen rows of the chosen columns, over `scale`: a fresh array."""
        block = self.X[np.ix_(samples, columns)]
        return block if self.scale is None else block / self.scale[columns]

    def _gram(self, rows, columns, weight, means):
        root = np.sqrt(weight)
        if columns is not None and len(columns) <= _SLIM and 4 * len(rows) > self.n_features:
            slim = self._block(slice(None), columns, root, means) * root[:, None]
            result = (self.X.T @ slim)[rows]  # X as it lies, rather than a copy of almost all of it
            return result if means is None else result - np.outer(means[rows], slim.sum(axis=0))
        width = len(rows) + (0 if columns is None else len(columns))
        result = np.zeros((len(rows), len(rows) if columns is None else len(columns)))
        for part in _parts(self.n_samples, _BLOCK // max(width, 1)):
            left = self._block(part, rows, root, means)
            right = left if columns is None else self._block(part, columns, root, means)
            result += left.T @ right  # with left twice, BLAS does half the work
        return result

    def _block(self, part, columns, root, means):
        """Rows `part` of the columns, centred and weighted: a fresh array in the memory order of X."""
        if self.X.flags.f_contiguous:
            block = self.X.T[columns, part].T
        else:
            block = self.X[part].take(columns, axis=1)
        if means is not None:
            block -= means[columns]
        block *= root[part, None]
        return block

    def curvature(self, weight, centred, columns=None):
        columns = np.arange(self.n_features) if columns is None else columns
        result = np.empty(len(columns))
        parts = _parts(len(columns), _BLOCK // self.n_samples)
        buffer = np.empty((self.n_samples, max((part.stop - part.start for part in parts), default=0)), order="F")
        total = weight.sum()
        for part in parts:
            block = buffer[:, : part.stop - part.start]
            block[...] = self.X[:, columns[part]] if not _is_range(columns) else self.X[:, part]
            if centred:
                block -= (weight @ block) / total
            np.multiply(block, block, out=block)
            result[part] = weight @ block
        return result if self.scale is None else result / self.scale[columns] ** 2


class SparseDesign(DesignMatrix):
    """X in compressed sparse columns, with indices of 32 or 64 bits."""

    is_sparse = True

    def __init__(self, X, scale=None):
        super().__init__(X, scale)
        if not X.has_sorted_indices:
            self.X = X.sorted_indices()

    def _columns(self, columns):
        chosen = self.X[:, columns]
        return chosen.indptr, chosen.indices, chosen.data

    def kernel_columns(self, columns):
        indptr, indices, data = self._columns(columns)
        if self.scale is not None:
            data = data / np.repeat(self.scale[columns], np.diff(indptr))
        return indptr, indices, data

    def rows(self, samples, columns):
        """As `DenseDesign.rows`: a dense array of these rows and columns."""
        block = self.X[:, columns].tocsr()[samples].toarray()
        return block if self.scale is None else block / self.scale[columns]

    def _matvec(self, w, columns):
        if columns is None:
            return self.X @ w
        full = np.zeros((self.n_features, *w.shape[1:]))
        full[columns] = w
        return self.X @ full if 4 * len(columns) > self.n_features else self.X[:, columns] @ w

    def _rmatvec(self, r, columns):
        return (self.X if columns is None else self.X[:, columns]).T @ r

    def _gram(self, rows, columns, weight, means):
        result = cross_products(self._columns(rows), None if columns is None else self._columns(columns), weight)
        if means is None:
            return result
        columns = rows if columns is None else columns
        moment_rows = self._rmatvec(weight, rows)
        moment_columns = self._rmatvec(weight, columns)
        total = weight.sum()
        result -= np.outer(moment_rows, means[columns]) + np.outer(means[rows], moment_columns)
        result += total * np.outer(means[rows], means[columns])
        return result

    def curvature(self, weight, centred, columns=None):
        X = self.X if columns is None else self.X[:, columns]
        squares = X.copy()
        squares.data = X.data * X.data
        result = squares.T @ weight
        if centred:
            means = (X.T @ weight) / weight.sum()
            result = np.maximum(result - weight.sum() * means**2, 0.0)
            result[result <= 1e-15 * weight.sum() * means**2] = 0.0
        return result if self.scale is None else result / self.scale[slice(None) if columns is None else columns] ** 2


def _parts(size, block):
    """Slices of about `block` that cover range(size)."""
    block = max(int(block), 16)
    return [slice(start, min(start + block, size)) for start in range(0, size, block)]


def _is_range(columns):
    """Whether `columns` are 0, 1, ..., so that slices of X do in place of copies."""
    return np.array_equal(columns, np.arange(len(columns)))
