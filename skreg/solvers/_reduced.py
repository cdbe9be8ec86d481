"""Second derivatives H = X' diag(s loss'') X of a loss, as a whole and on the subspace of a `Structure`.

Columns are centred where there is an intercept. A vector x of coefficients enters as its *image*, an array that adds
and scales as x does and holds what products with H are made of: X x in residual form, x and H x in Gram form.
"""

from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.linalg import lapack

_WIDE = 1.0  # ratio of blocks to samples beyond which systems are solved in the space of samples


class ResidualForm:
    """H by way of X; `weight` holds s loss''."""

    def __init__(self, data, weight):
        self.data, self.weight = data, weight
        self.total = float(weight.sum())
        self.means: Any = np.zeros(data.design.n_features)
        if data.fit_intercept and self.total > 0:
            self.means = data.design.rmatvec(weight) / self.total
        self._last: Any = None

    def zero(self):
        """Image of 0."""
        return np.zeros(self.data.design.n_samples)

    def image(self, x):
        """Image of the coefficients `x`."""
        support = np.flatnonzero(x)
        return self.data.design.matvec(x[support], support) - float(self.means @ x)

    def product(self, a, b):
        """X'Hy of two images."""
        return float((self.weight * a) @ b)

    def times(self, a):
        """Hx for the image of x."""
        weighted = self.weight * a
        return self.data.design.rmatvec(weighted) - self.means * weighted.sum()

    def _on(self, structure):
        return ReducedColumns(self, structure)

    def reduced(self, structure):
        """H on a subspace; that of the last one is kept."""
        if self._last is None or not structure.same_subspace(self._last[0]):
            self._last = structure, self._on(structure)
        return self._last[1]


class GramForm:
    """H itself, for the squared loss."""

    def __init__(self, model):
        m = len(model.columns)
        self.H, self.total = model.H[:m, :m], model.total
        self.means = np.zeros(m) if model.moments is None else model.moments
        self._last: Any = None

    def zero(self):
        """As `ResidualForm.zero`."""
        return np.zeros((2, len(self.H)))

    def image(self, x):
        """As `ResidualForm.image`."""
        support = np.flatnonzero(x)
        return np.stack([x, x[support] @ self.H[support]])

    def product(self, a, b):
        """As `ResidualForm.product`."""
        return float(a[0] @ b[1])

    def times(self, a):
        """As `ResidualForm.times`."""
        return a[1]

    reduced = ResidualForm.reduced

    def _on(self, structure):
        return ReducedGram(self, structure)


class Reduced:
    """H on the subspace of a structure: A'HA for w = A u."""

    size: np.ndarray  # coordinates of each block
    _gram: Any = None

    @property
    def gram(self):
        """A'HA."""
        return self._gram

    def solve(self, rhs, structure, sigma):
        """Solution t of (A'HA + A'A / sigma + bend) t = rhs; None where the matrix is not positive definite."""
        K = self.gram + 0.0
        if structure.bend:
            K += structure.bend * (structure.label[:, None] == structure.label)
        K.flat[:: len(K) + 1] += self.size / sigma
        factor, info = lapack.dpotrf(K, lower=1, clean=0)
        pivots = np.diagonal(factor) ** 2
        if info != 0 or not pivots.min(initial=np.inf) > 1e-14 * pivots.max(initial=0.0):
            return None
        return lapack.dpotrs(factor, rhs, lower=1)[0]


class ReducedColumns(Reduced):
    """Sums of columns over the blocks, in residual form."""

    def __init__(self, form, structure):
        self.form = form
        index, block, sign = structure.index, structure.block, structure.sign
        self.size = np.bincount(block).astype(float)
        columns = form.data.design.kernel_columns(index)
        starts = np.flatnonzero(np.diff(block, prepend=-1))
        if form.data.design.is_sparse:
            indptr, indices, data = columns
            X = sp.csc_array((data, indices, indptr), shape=(form.data.design.n_samples, len(index)))
            sums = sp.csr_array((sign, (np.arange(len(index)), block)), shape=(len(index), len(self.size)))
            self.rows = (X @ sums).T.tocsr()
        else:
            rows = columns[0]
            if (sign < 0).any():
                rows = rows * sign[:, None]
            self.rows = rows if len(starts) == len(index) else np.add.reduceat(rows, starts, axis=0)
        self.means = np.bincount(block, sign * form.means[index])
        if not form.data.design.is_sparse and self.means.any():
            self.rows = self.rows - self.means[:, None]

    @property
    def _drift(self):
        """Means of the rows as they are stored."""
        return self.means if sp.issparse(self.rows) else np.zeros_like(self.means)

    @property
    def gram(self):
        """A'HA."""
        if self._gram is None:
            weight, drift = self.form.weight, self._drift
            if sp.issparse(self.rows):
                self._gram = (self.rows.multiply(weight[None, :]).tocsr() @ self.rows.T).toarray()
                self._gram -= self.form.total * np.outer(drift, drift)
            else:
                root = self.rows * np.sqrt(weight)
                self._gram = root @ root.T
        return self._gram

    def sums(self, v):
        """A'X'v, columns centred."""
        return self.rows @ v - self._drift * v.sum()

    def against(self, a):
        """A'Hx for the image of x."""
        return self.sums(self.form.weight * a)

    def image(self, t):
        """Image of A t."""
        return self.rows.T @ t - float(self._drift @ t)

    def newton(self, a, structure, sigma):
        """Image of A t, where t solves the Newton system for the right-hand side of an image."""
        if len(self.size) <= _WIDE * len(a) or sp.issparse(self.rows):
            t = self.solve(self.against(a), structure, sigma)
            return None if t is None else self.image(t)
        root = np.sqrt(self.form.weight)
        Z = self.rows * root
        GZ = Z * (sigma / self.size)[:, None]
        if structure.bend:  # inverse of I / sigma + bend on each group
            group = structure.label
            each = np.zeros((group.max() + 1, Z.shape[1]))
            np.add.at(each, group, GZ)
            share = structure.bend * sigma / (1.0 + structure.bend * sigma * np.bincount(group))
            GZ -= (share[:, None] * each)[group]
        K = Z.T @ GZ
        K.flat[:: len(K) + 1] += 1.0
        factor, info = lapack.dpotrf(K, lower=1, clean=0)
        if info != 0:
            return None
        return self.rows.T @ (GZ @ lapack.dpotrs(factor, root * a, lower=1)[0])


class ReducedGram(Reduced):
    """Sums of rows and columns of H over the blocks."""

    def __init__(self, form, structure):
        index, block, sign = structure.index, structure.block, structure.sign
        self.form = form
        self.size = np.bincount(block).astype(float)
        self.A = sp.csr_array((sign, (index, block)), shape=(len(form.H), len(self.size)))
        self.rows = self.A.T @ form.H
        self._gram = self.rows @ self.A

    def against(self, a):
        """As `ReducedColumns.against`."""
        return self.A.T @ a[1]

    def newton(self, a, structure, sigma):
        """As `ReducedColumns.newton`."""
        t = self.solve(self.against(a), structure, sigma)
        return None if t is None else self.image(t)

    def image(self, t):
        """As `ReducedColumns.image`."""
        return np.stack([self.A @ t, t @ self.rows])
