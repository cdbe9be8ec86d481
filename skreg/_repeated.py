"""A design that shows columns of another several times, without copies: what overlapping groups are made of."""

import numpy as np

from skreg._design import DesignMatrix


class RepeatedDesign(DesignMatrix):
    """Columns ``indices`` of another design, in that order; a column may appear in several places.

    Parameters
    ----------
    design : DesignMatrix
        The design that holds the columns.
    indices : ndarray of int
        Its columns, one a column of this design.
    """

    def __init__(self, design, indices):
        super().__init__(design.X, None if design.scale is None else design.scale[indices])
        self.design, self.indices = design, indices
        self.n_features = len(indices)
        self.is_sparse = design.is_sparse

    def _own(self, columns):
        return self.indices if columns is None else self.indices[columns]

    def matvec(self, w, columns=None):
        total = np.zeros((self.design.n_features, *w.shape[1:]))
        np.add.at(total, self._own(columns), w)
        used = np.flatnonzero(total.reshape(len(total), -1).any(axis=1))
        return self.design.matvec(total[used], used)

    def rmatvec(self, r, columns=None):
        used, place = np.unique(self._own(columns), return_inverse=True)
        everything = len(used) == self.design.n_features
        return self.design.rmatvec(r, None if everything else used)[place]

    def gram(self, rows, columns, weight, means=None):
        own = None
        if means is not None:
            own = np.zeros(self.design.n_features)
            own[self.indices] = means
        used_rows, row_place = np.unique(self._own(rows), return_inverse=True)
        if columns is None:
            return self.design.gram(used_rows, None, weight, own)[np.ix_(row_place, row_place)]
        used, place = np.unique(self._own(columns), return_inverse=True)
        return self.design.gram(used_rows, used, weight, own)[np.ix_(row_place, place)]

    def rows(self, samples, columns):
        return self.design.rows(samples, self._own(columns))

    def row_blocks(self, starts, size):
        return RepeatedDesign(self.design.row_blocks(starts, size), self.indices)

    def means(self, weight):
        return self.design.means(weight)[self.indices]

    def curvature(self, weight, centred, columns=None):
        used, place = np.unique(self._own(columns), return_inverse=True)
        return self.design.curvature(weight, centred, used)[place]

    def place(self, columns):
        return self._own(columns)

    def kernel_columns(self, columns):
        return self.design.kernel_columns(self._own(columns))

    def collect(self, coef):
        total = np.zeros((*coef.shape[:-1], self.design.n_features))
        np.add.at(total, (..., self.indices), coef)
        return total
