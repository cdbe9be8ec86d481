"""Systems on the support of a quadratic model, solved one after another while the support changes a little."""

from typing import Any

import numpy as np
from scipy.linalg import blas, lapack

from skreg.kernels._dense import dense_kernel, principal_block
from skreg.kernels._specialize import as_kernel_array

_CHANGED = 0.25  # share of the factored coordinates that may join, and likewise leave, before a factor is made anew
_SINGULAR = 1e-13  # ratio of the smallest to the largest pivot below which a matrix counts as singular
_FEW = 16  # coordinates that may always join or leave


class SupportFactor:
    """Solutions of K[S, S] x = rhs for many supports S of one matrix K = H + diag(bend).

    One Cholesky factor, K_BB = U'U, serves supports that differ a little. Coordinates that join are appended to it, in
    packed storage. Those that have left, D, stay in it, and are held at zero:

        [ K_BB  E_D ] [x_B]   [rhs_B]
        [ E_D'   0  ] [ . ] = [  0  ],

    which takes the part along V = U^-T E_D out of U^-T rhs_B. A round of pivoting thus costs a few triangular solves.

    Attributes
    ----------
    size : int
        Coordinates in the factor; 0 where there is none.
    base : ndarray of shape (capacity,)
        These coordinates in the order of the factor.
    place : ndarray of shape (len(H),)
        Where each coordinate stands in `base`, or -1.
    packed : ndarray
        U, column by column.
    upper : ndarray
        Its first rows and columns, as factored at once: for many right-hand sides.
    borders : ndarray of shape (capacity, room)
        Columns of V, for the coordinates that left at some time.
    border : ndarray of shape (capacity,)
        For each place in `base`, its column in `borders`, or -1.
    """

    base: Any
    place: Any
    packed: Any
    upper: Any
    borders: Any
    border: Any

    def __init__(self):
        self.clear()

    def clear(self):
        """Forget the factor: the matrix has changed."""
        self.size = 0

    def solve(self, H, bend, support, rhs):
        """The solution in the order of `support` (sorted), or None where the matrix is not positive definite."""
        if not len(support):
            return np.empty(0)
        if self.size and self._follow(H, bend, support):
            x = self._solve(support, rhs)
            if x is not None:
                return x
        return self._solve(support, rhs) if self._factor(H, bend, support) else None

    def _factor(self, H, bend, support):
        size, room = len(support), max(_FEW, int(_CHANGED * len(support)))
        capacity = size + room
        block = np.empty((size, size))  # of which the upper half is not read
        dense_kernel(principal_block, H.size)(*map(as_kernel_array, (H, support)), block)
        block.flat[:: size + 1] += bend[support]
        self.upper, info = lapack.dpotrf(block.T, lower=0, clean=0, overwrite_a=1)
        pivots = self.upper.diagonal() ** 2
        self.largest = pivots.max(initial=0.0)
        if info != 0 or not pivots.min(initial=np.inf) > _SINGULAR * self.largest:
            self.size = 0
            return False
        self.size, self.n_borders = size, 0
        self.packed = np.empty(capacity * (capacity + 1) // 2)
        self.packed[: size * (size + 1) // 2] = lapack.dtrttp(self.upper, uplo="U")[0]
        self.base, self.bend = np.empty(capacity, dtype=np.int64), np.empty(capacity)
        self.base[:size], self.bend[:size] = support, bend[support]
        self.place = np.full(len(H), -1)
        self.place[support] = np.arange(size)
        self.borders, self.border = np.empty((capacity, room), order="F"), np.full(capacity, -1)
        return True

    def _follow(self, H, bend, support):
        """Append what joined; False where the factor cannot serve this support."""
        if not np.array_equal(bend[self.base[: self.size]], self.bend[: self.size]):
            return False
        if len(self.place) < len(H):
            self.place = np.concatenate([self.place, np.full(len(H) - len(self.place), -1)])
        joined = support[self.place[support] < 0]
        room = self.borders.shape[1]
        if self.size + len(joined) > len(self.base) or self.size + len(joined) - len(support) > room:
            return False
        return not len(joined) or self._append(H, bend[joined], joined)

    def _append(self, H, bend, joined):
        size, k = self.size, len(joined)
        V = self._forward(H[np.ix_(joined, self.base[:size])].T)
        corner = H[np.ix_(joined, joined)] - V.T @ V
        corner.flat[:: k + 1] += bend
        upper, info = lapack.dpotrf(corner, lower=0)
        pivots = upper.diagonal() ** 2
        largest = max(self.largest, pivots.max())
        if info != 0 or not pivots.min() > _SINGULAR * largest:
            return False
        for i in range(k):
            start = (size + i) * (size + i + 1) // 2
            self.packed[start : start + size] = V[:, i]
            self.packed[start + size : start + size + i + 1] = upper[: i + 1, i]
        if self.n_borders:
            below = V.T @ self.borders[:size, : self.n_borders]
            self.borders[size : size + k, : self.n_borders] = -lapack.dtrtrs(upper, below, lower=0, trans=1)[0]
        self.base[size : size + k], self.bend[size : size + k] = joined, bend
        self.place[joined] = np.arange(size, size + k)
        self.size, self.largest = size + k, largest
        return True

    def _solve(self, support, rhs):
        """As `solve`, on a factor that holds the support; None where rounding is in the way."""
        here = self.place[support]
        y, left = np.zeros(self.size), np.ones(self.size, dtype=bool)
        y[here] = rhs
        y = self._forward(y)
        if len(here) < self.size:
            left[here] = False
            V = self._columns(np.flatnonzero(left))
            if V is None:
                return None
            _, z, info = lapack.dposv(V.T @ V, V.T @ y)
            if info != 0:
                return None
            y -= V @ z
        x = blas.dtpsv(self.size, self.packed, y, lower=0, trans=0)[here]
        return x if np.isfinite(x).all() else None

    def _columns(self, places):
        """Columns of V for these places of `base`; None where there is no room for more."""
        new = places[self.border[places] < 0]
        if self.n_borders + len(new) > self.borders.shape[1]:
            return None
        if len(new):
            units = np.zeros((self.size, len(new)), order="F")
            units[new, np.arange(len(new))] = 1.0
            self.border[new] = np.arange(self.n_borders, self.n_borders + len(new))
            self.borders[: self.size, self.border[new]] = self._forward(units)
            self.n_borders += len(new)
        return self.borders[: self.size, self.border[places]]

    def _forward(self, columns):
        """U^-T times the columns (overwritten, where they are many)."""
        if columns.ndim == 1:
            return blas.dtpsv(self.size, self.packed, columns, lower=0, trans=1)
        if columns.shape[1] <= _FEW:
            return np.stack([self._forward(column) for column in columns.T]).T
        first = len(self.upper)
        columns[:first] = lapack.dtrtrs(self.upper, columns[:first], lower=0, trans=1)[0]
        for i in range(first, self.size):
            start = i * (i + 1) // 2
            columns[i] -= self.packed[start : start + i] @ columns[:i]
            columns[i] /= self.packed[start + i]
        return columns
