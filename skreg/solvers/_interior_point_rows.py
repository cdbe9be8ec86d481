"""Rows of the interior-point problem as linear maps: those of the data, of single coordinates, between levels.

Each map takes coefficients (n_levels, n_coef) to rows (n_levels, n_rows): `apply`; back by its transpose: `adjoint`;
and gives the blocks of its weighted cross products, one a level, and one for each two neighbours (or None): `gram`.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp


class DenseRows:
    """Rows of one matrix Z of shape (n_rows, n_coef), the same at every level; the first column may be ones."""

    coupled = False
    is_sparse = False

    def __init__(self, Z, xp=np, intercept=False):
        self.Z, self.xp, self.intercept = Z, xp, intercept
        self.shape = Z.shape

    def apply(self, B):
        return B @ self.Z.T

    def adjoint(self, D):
        return D @ self.Z

    def gram(self, Q):
        root = self.xp.sqrt(Q)
        blocks = []
        for k in range(Q.shape[0]):
            weighted = self.Z * root[k, :][:, None]
            blocks.append(weighted.T @ weighted)  # BLAS does half the work: both factors are one
        return self.xp.stack(blocks), None

    def norms(self):
        """Lengths of the rows."""
        return self.xp.sqrt(self.xp.sum(self.Z * self.Z, axis=1))

    def box(self):
        """Smallest and largest entry of each column."""
        return self.xp.min(self.Z, axis=0), self.xp.max(self.Z, axis=0)

    def take(self, index):
        """These rows, as a dense matrix."""
        return self.xp.take(self.Z, index, axis=0)

    def subset(self, index, extra=None):
        """These rows, and `extra` ones."""
        Z = self.take(self.xp.asarray(index, device=self.Z.device))
        if extra is not None:
            Z = self.xp.concat([Z, self.xp.asarray(extra, device=Z.device)])
        return DenseRows(Z, self.xp)

    def dense(self):
        """The rows as they are multiplied fastest."""
        return self

    def columns(self, index):
        """The same rows, of these columns alone."""
        return DenseRows(self.xp.take(self.Z, index, axis=1), self.xp)


class StackedRows:
    """Rows of a matrix for each level: Z of shape (n_levels, n_rows, n_coef)."""

    coupled = False

    def __init__(self, Z, xp=np):
        self.Z, self.xp = Z, xp

    def apply(self, B):
        return (self.Z @ B[:, :, None])[:, :, 0]

    def adjoint(self, D):
        return (D[:, None, :] @ self.Z)[:, 0, :]

    def gram(self, Q):
        root = self.xp.sqrt(Q)
        blocks = []
        for k in range(Q.shape[0]):
            weighted = self.Z[k, ...] * root[k, :][:, None]
            blocks.append(weighted.T @ weighted)
        return self.xp.stack(blocks), None


class DesignRows:
    """Rows of a `DesignMatrix`, centred and scaled as it goes, with a column of ones before them where asked for.

    What is read of a sparse X is its non-zero entries; `take` alone makes a dense copy, of the chosen rows.
    """

    coupled = False

    def __init__(self, design, means, intercept, columns=None):
        self.design, self.means, self.intercept, self.is_sparse = design, means, intercept, design.is_sparse
        whole = columns is None or len(columns) == design.n_features
        self._columns = np.arange(design.n_features) if whole else columns
        self._read = None if whole else columns
        self._means = means if design.scale is None else means / design.scale
        self.shape = design.n_samples, len(self._columns) + intercept

    def apply(self, B):
        return np.stack([self._apply(b) for b in B])

    def _apply(self, b):
        slopes = b[int(self.intercept) :]
        constant = -(self._means[self._columns] @ slopes)
        return self.design.matvec(slopes, self._read) + (constant + b[0] if self.intercept else constant)

    def adjoint(self, D):
        return np.stack([self._adjoint(d) for d in D])

    def _adjoint(self, d):
        total = d.sum()
        slopes = self.design.rmatvec(d, self._read) - self._means[self._columns] * total
        return np.concatenate([[total], slopes]) if self.intercept else slopes

    def gram(self, Q):
        return np.stack([self._gram(q) for q in Q]), None

    def _gram(self, q):
        slopes = self.design.gram(self._columns, None, q, self.means)
        if not self.intercept:
            return slopes
        total = q.sum()
        cross = self.design.rmatvec(q, self._read) - self._means[self._columns] * total
        return np.block([[np.array([[total]]), cross[None, :]], [cross[:, None], slopes]])

    def norms(self):
        """Lengths of the rows."""
        return self._norms

    @cached_property
    def _norms(self):
        X = self.design.X
        scale = np.ones(self.design.n_features) if self.design.scale is None else self.design.scale
        weight, means = np.zeros(self.design.n_features), self.means
        weight[self._columns] = 1.0 / scale[self._columns] ** 2
        if self.design.is_sparse:
            squares = X.power(2) @ weight
        else:
            squares = np.einsum("ij,ij,j->i", X, X, weight)
        squares = squares - 2.0 * (X @ (weight * means)) + means**2 @ weight + self.intercept
        return np.sqrt(np.maximum(squares, 0.0))

    def box(self):
        """Smallest and largest entry of each column."""
        X, scale = self.design.X, self.design.scale
        ends: Any = (X.min(axis=0), X.max(axis=0))
        ends = [np.asarray(e.toarray() if sp.issparse(e) else e, dtype=np.float64).ravel() for e in ends]
        ends = [((e - self.means) / (1.0 if scale is None else scale))[self._columns] for e in ends]
        return tuple(np.concatenate([[1.0], e]) if self.intercept else e for e in ends)

    def take(self, index):
        """These rows, as a dense matrix."""
        block = self.design.rows(index, self._columns) - self._means[self._columns]
        return np.concatenate([np.ones((len(index), 1)), block], axis=1) if self.intercept else block

    def subset(self, index, extra=None):
        """These rows, and `extra` ones (whose first number is 1 where there is an intercept): as sparse as X is."""
        if not self.design.is_sparse:
            Z = self.take(index)
            return DenseRows(Z if extra is None else np.concatenate([Z, extra]))
        X = self.design.X.tocsr()[index]
        if extra is not None:
            raw = np.zeros((len(extra), self.design.n_features))
            raw[:, self._columns] = extra[:, int(self.intercept) :] + self._means[self._columns]
            X = sp.vstack([X, raw if self.design.scale is None else raw * self.design.scale])
        design = type(self.design)(sp.csc_array(X), self.design.scale)
        return DesignRows(design, self.means, self.intercept, self._read)

    def dense(self):
        """The rows as they are multiplied fastest: a matrix, unless X is sparse."""
        if self.design.is_sparse:
            return self
        Z = np.empty(self.shape)
        Z[:, : int(self.intercept)] = 1.0
        block = Z[:, int(self.intercept) :]
        block[...] = self.design.X if self._read is None else self.design.X[:, self._read]
        if self.design.scale is not None:
            block /= self.design.scale[self._columns]
        block -= self._means[self._columns]
        return DenseRows(Z, intercept=self.intercept)

    def columns(self, index):
        """The same rows, of these columns alone; the first is the intercept's, where there is one."""
        chosen = self._columns[index[1:] - 1] if self.intercept else self._columns[index]
        return DesignRows(self.design, self.means, self.intercept, chosen)


class Widened:
    """Rows of the data for coefficients with `extra` ones behind them that the rows know nothing of."""

    coupled = False

    def __init__(self, data, n_coef, extra, xp=np):
        self.data, self.n_coef, self.extra, self.xp = data, n_coef, extra, xp

    def apply(self, B):
        return self.data.apply(B[:, : self.n_coef])

    def adjoint(self, D):
        pull = self.data.adjoint(D)
        return self.xp.concat([pull, self._zeros(pull, self.extra)], axis=1)

    def gram(self, Q):
        blocks, links = self.data.gram(Q)
        blocks = self.xp.concat([blocks, self._zeros(blocks, self.n_coef, self.extra)], axis=2)
        return self.xp.concat([blocks, self._zeros(blocks, self.extra, self.n_coef + self.extra)], axis=1), links

    def _zeros(self, like, *shape):
        return self.xp.zeros((like.shape[0], *shape), dtype=like.dtype, device=like.device)


@dataclass
class Rows:
    """Rows of the data, then single coordinates, then rows that take two neighbouring levels.

    Attributes
    ----------
    data : DenseRows, StackedRows, DesignRows or Widened
        Rows of the data.
    units : array of shape (n_units, n_coef)
        Rows of the identity: coordinates with an absolute value or a bound.
    behind, ahead : arrays of shape (n_levels, n_pairs, n_coef) or None
        Rows behind[k] . b[k] + ahead[k] . b[k + 1], at level k; those of the last level are zero.
    xp : module
        Array namespace.
    """

    data: Any
    units: Any
    behind: Any = None
    ahead: Any = None
    xp: Any = np

    @property
    def coupled(self):
        """Whether the levels are one problem."""
        return self.ahead is not None

    def apply(self, B):
        parts = [self.data.apply(B)]
        if self.units.shape[0]:
            parts.append(B @ self.units.T)
        if self.ahead is not None:
            following = self.xp.concat([B[1:, :], self.xp.zeros_like(B[:1, :])])
            both = self.behind @ B[:, :, None] + self.ahead @ following[:, :, None]
            parts.append(both[:, :, 0])
        return parts[0] if len(parts) == 1 else self.xp.concat(parts, axis=1)

    def adjoint(self, D):
        of_data, of_units, of_pairs = self._split(D)
        total = self.data.adjoint(of_data)
        if self.units.shape[0]:
            total = total + of_units @ self.units
        if self.ahead is not None:
            here = (of_pairs[:, None, :] @ self.behind)[:, 0, :]
            there = (of_pairs[:, None, :] @ self.ahead)[:-1, 0, :]
            total = total + here + self.xp.concat([self.xp.zeros_like(total[:1, :]), there])
        return total

    def gram(self, Q):
        of_data, of_units, of_pairs = self._split(Q)
        blocks, links = self.data.gram(of_data)
        xp = self.xp
        if self.units.shape[0]:
            eye = xp.eye(blocks.shape[1], dtype=blocks.dtype, device=Q.device)
            blocks = blocks + (of_units @ self.units)[:, :, None] * eye
        if self.ahead is not None:
            here = xp.matrix_transpose(self.behind * of_pairs[:, :, None])
            there = xp.matrix_transpose(self.ahead * of_pairs[:, :, None])[:-1, ...] @ self.ahead[:-1, ...]
            blocks = blocks + here @ self.behind + xp.concat([xp.zeros_like(blocks[:1, ...]), there])
            links = here[:-1, ...] @ self.ahead[:-1, ...]
        return blocks, links

    def _split(self, D):
        n_pairs = 0 if self.ahead is None else self.ahead.shape[1]
        first = D.shape[1] - n_pairs - self.units.shape[0]
        return D[:, :first], D[:, first : D.shape[1] - n_pairs], D[:, D.shape[1] - n_pairs :]
