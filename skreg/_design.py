"""DesignMatrix: what solvers may ask of X, whatever holds it.

A design is X with its columns divided by `scale` (standardising without touching the data). Centring is implicit too:
`gram` subtracts the weighted column means as it goes, and a gradient that sums to zero needs no centring. Nothing here
densifies a sparse X (little ones apart) or copies a dense one beyond the columns asked for.
"""

from functools import cached_property

import numpy as np
import scipy.sparse as sp

from skreg._threads import in_parallel, n_threads
from skreg.kernels._csc import compressed, cross_products, csc_dot, csc_dots, csc_square, csc_sum, csc_sums
from skreg.kernels._dense import columns_dot, columns_sum, cross_dots, dense_kernel, gather_columns, gather_rows
from skreg.kernels._specialize import as_kernel_array, is_little, specialize

_BLOCK = 2**19  # numbers in a block of rows: 4 MiB, small enough to stay in cache between gather and product
_WORK = 2**20  # numbers to read from which another thread pays
_LITTLE = 2**13  # numbers in the slim factor of a product that stay in the fastest cache
_SLIM = 32  # columns of a cross product up to which the other factor is not gathered


def as_design(X, scale=None):
    """Wrap a dense array or a scipy sparse matrix or array, converted to CSC where it is not, or to dense if little."""
    if sp.issparse(X):
        if is_little(X.shape[0] * X.shape[1]):
            return DenseDesign(X.toarray(order="F"), scale)
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

    @property
    def cells(self):
        """Numbers in X, zeros of a sparse X included."""
        return self.n_samples * self.n_features

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

    def collect(self, coef):
        """Coefficients of the columns of X from those of the design's columns, features on the last axis."""
        return coef

    def place(self, columns):
        """Where in X these columns are."""
        return columns

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
        if columns is not None and (w.ndim == 2 or not self.X.flags.f_contiguous):
            if 4 * len(columns) <= self.n_features:
                return self._matvec_blocks(w, columns)
            full = np.zeros((self.n_features, *w.shape[1:]))
            full[columns] = w
            w, columns = full, None
        if w.ndim == 2 or not (self.X.flags.f_contiguous or self.X.flags.c_contiguous):
            return np.concatenate(in_parallel(lambda part: self.X[part] @ w, _shares(self.n_samples, self.X.size)))
        if self.X.flags.f_contiguous:
            return _sum_of_rows(self.X.T, columns, w)
        return _dots_with_rows(self.X, None, w)

    def _matvec_blocks(self, w, columns):
        result = np.zeros((self.n_samples, *w.shape[1:]))
        for part in _parts(len(columns), _BLOCK // self.n_samples):
            result += self.X[:, columns[part]] @ w[part]
        return result

    def _rmatvec(self, r, columns):
        if columns is not None and (r.ndim == 2 or not self.X.flags.f_contiguous):
            if 4 * len(columns) <= self.n_features:
                return self._rmatvec_blocks(r, columns)
            return self._rmatvec(r, None)[columns]
        if r.ndim == 2 and self.X.flags.f_contiguous and r.size <= _LITTLE:
            return _cross_dots(self.X.T, None, r.T)
        if r.ndim == 2 or not (self.X.flags.f_contiguous or self.X.flags.c_contiguous):
            return np.concatenate(in_parallel(lambda part: self.X.T[part] @ r, _shares(self.n_features, self.X.size)))
        if self.X.flags.f_contiguous:
            return _dots_with_rows(self.X.T, columns, r)
        return _sum_of_rows(self.X, None, r)

    def _rmatvec_blocks(self, r, columns):
        result = np.empty((len(columns), *r.shape[1:]))
        for part in _parts(len(columns), _BLOCK // self.n_samples):
            result[part] = self.X[:, columns[part]].T @ r
        return result

    def rows(self, samples, columns):
        """The chosen rows of the chosen columns, over `scale`: a fresh array."""
        block = self.X[np.ix_(samples, columns)]
        return block if self.scale is None else block / self.scale[columns]

    def row_blocks(self, starts, size):
        """The design of `size` rows from each of the `starts` on."""
        blocks = [self.X[start : start + size] for start in starts]
        X = np.empty((sum(map(len, blocks)), self.n_features), order="F" if self.X.flags.f_contiguous else "C")
        first = 0
        for block in blocks:
            X[first : first + len(block)] = block
            first += len(block)
        return type(self)(X, self.scale)

    def _gram(self, rows, columns, weight, means):
        root = np.sqrt(weight)
        if columns is not None and self._is_slim(columns):
            return self._slim_gram(rows, columns, weight, root, means)
        width = len(rows) + (0 if columns is None else len(columns))
        shape = (len(rows), len(rows) if columns is None else len(columns))

        def product(share):
            result = np.zeros(shape)
            for part in _parts(share.stop, _BLOCK // max(width, 1), share.start):
                left = self._gather(part, rows, root, means)
                right = left if columns is None else self._gather(part, columns, root, means)
                result += left.T @ right  # with left twice, BLAS does half the work
            return result

        results = in_parallel(product, _shares(self.n_samples, self.n_samples * shape[0] * shape[1] // 16))
        for other in results[1:]:
            results[0] += other
        return results[0]

    def _is_slim(self, columns):
        cells = self.n_samples * len(columns)
        return len(columns) <= _SLIM and cells <= 2 * _BLOCK and self.X.flags.f_contiguous

    def _slim_gram(self, rows, columns, weight, root, means):
        """A cross product with few columns, without copies of the others."""
        slim = self._gather(slice(0, self.n_samples), columns, root, means).T
        slim *= root
        result = _cross_dots(self.X.T, rows, slim)
        return result if means is None else result - np.outer(means[rows], slim.sum(axis=1))

    def _gather(self, part, columns, root, means):
        """Rows `part` of the columns, centred and weighted: a fresh array in the memory order of X."""
        means = np.zeros(len(columns)) if means is None else means[columns]
        size = part.stop - part.start, len(columns)
        if self.X.flags.f_contiguous:
            block, kernel, source = np.empty(size[::-1]), dense_kernel(gather_columns, self.cells), self.X.T
        else:
            block, kernel, source = np.empty(size), dense_kernel(gather_rows, self.cells), self.X
        if not source.flags.c_contiguous:
            source, columns = source[:, columns], np.arange(len(columns))
        kernel(*(as_kernel_array(a) for a in (source, columns, means, root)), part.start, part.stop, block)
        return block.T if self.X.flags.f_contiguous else block

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
        if not X.has_canonical_format:
            X = X.copy()
            X.sum_duplicates()
        super().__init__(X, scale)
        self._compressed = compressed(X)

    def kernel_columns(self, columns):
        chosen = self.X[:, columns]
        if self.scale is not None:
            chosen.data /= np.repeat(self.scale[columns], np.diff(chosen.indptr))
        return chosen.indptr, chosen.indices, chosen.data

    def rows(self, samples, columns):
        """As `DenseDesign.rows`: a dense array of these rows and columns."""
        block = self.X[:, columns].tocsr()[samples].toarray()
        return block if self.scale is None else block / self.scale[columns]

    def row_blocks(self, starts, size):
        """As `DenseDesign.row_blocks`."""
        rows = (starts[:, None] + np.arange(size)).ravel()
        return type(self)(self.X[rows[rows < self.n_samples]], self.scale)

    def _matvec(self, w, columns):
        result = np.zeros((self.n_samples, *w.shape[1:]))
        kernel = specialize(csc_sum if w.ndim == 1 else csc_sums)
        kernel(self._compressed, as_kernel_array(self._chosen(columns)), as_kernel_array(w), result)
        return result

    def _rmatvec(self, r, columns):
        chosen = as_kernel_array(self._chosen(columns))
        result = np.empty((len(chosen), *r.shape[1:]))
        kernel, r = specialize(csc_dot if r.ndim == 1 else csc_dots), as_kernel_array(r)
        in_parallel(
            lambda part: kernel(self._compressed, chosen, r, part.start, part.stop, result), self._even(columns)
        )
        return result

    def _gram(self, rows, columns, weight, means):
        result = cross_products(self._compressed, rows, columns, weight)
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
        chosen = as_kernel_array(self._chosen(columns))
        result = np.empty(len(chosen))
        kernel, arrays = specialize(csc_square), (self._compressed, chosen, as_kernel_array(weight), weight.sum())
        in_parallel(lambda part: kernel(*arrays, centred, part.start, part.stop, result), self._even(columns))
        return result if self.scale is None else result / self.scale[chosen] ** 2

    @cached_property
    def _all(self):
        return np.arange(self.n_features)

    def _chosen(self, columns):
        return self._all if columns is None else columns

    def _even(self, columns):
        """Slices of `columns`, one for each thread where the work is worth it, of about as many numbers each."""
        if self.X.nnz < _WORK or n_threads() == 1:
            return [slice(0, self.n_features if columns is None else len(columns))]
        indptr = self.X.indptr
        ends = indptr[1:] if columns is None else np.cumsum(indptr[columns + 1] - indptr[columns], dtype=np.int64)
        work = int(ends[-1]) if len(ends) else 0
        bounds = [0, *np.searchsorted(ends, [part.stop for part in _shares(work, work)[:-1]]), len(ends)]
        return [slice(int(a), int(b)) for a, b in zip(bounds[:-1], bounds[1:])]


def _parts(stop, block, start=0):
    """Slices of about `block` that cover range(start, stop)."""
    block = max(int(block), 16)
    return [slice(first, min(first + block, stop)) for first in range(start, stop, block)]


def _shares(size, work):
    """Slices that cover range(size), one for each thread where the work is worth it."""
    count = n_threads() if work >= _WORK and size >= n_threads() else 1
    bounds = [size * k // count for k in range(count + 1)]
    return [slice(a, b) for a, b in zip(bounds[:-1], bounds[1:])]


def _dots_with_rows(rows, chosen, vector):
    """Product of each chosen row (None: all) of a C-contiguous matrix with a vector."""
    chosen = np.arange(len(rows)) if chosen is None else chosen
    result = np.empty(len(chosen))
    kernel, arrays = dense_kernel(columns_dot, rows.size), [as_kernel_array(a) for a in (rows, chosen, vector)]
    shares = _shares(len(chosen), len(chosen) * len(vector))
    in_parallel(lambda part: kernel(*arrays, part.start, part.stop, result), shares)
    return result


def _sum_of_rows(rows, chosen, vector):
    """Sum of the chosen rows (None: all) of a C-contiguous matrix, each times its entry of a vector."""
    chosen = np.arange(len(rows)) if chosen is None else chosen
    result = np.empty(rows.shape[1])
    kernel, arrays = dense_kernel(columns_sum, rows.size), [as_kernel_array(a) for a in (rows, chosen, vector)]
    shares = _shares(len(result), len(chosen) * len(result))
    in_parallel(lambda part: kernel(*arrays, part.start, part.stop, result), shares)
    return result


def _cross_dots(rows, chosen, others):
    """Products of the chosen rows (None: all) of a C-contiguous matrix with a few others, likewise rows."""
    chosen = np.arange(len(rows)) if chosen is None else chosen
    result = np.empty((len(chosen), len(others)))
    kernel, arrays = dense_kernel(cross_dots, rows.size), [as_kernel_array(a) for a in (rows, chosen, others)]
    shares = _shares(len(chosen), len(chosen) * others.size // 4)
    in_parallel(lambda part: kernel(*arrays, part.start, part.stop, result), shares)
    return result


def _is_range(columns):
    """Whether `columns` are 0, 1, ..., so that slices of X do in place of copies."""
    return np.array_equal(columns, np.arange(len(columns)))
