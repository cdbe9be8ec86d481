"""Systems on the support of a quadratic model, solved one after another while the support changes a little."""

from typing import Any

import numpy as np
from scipy.linalg import lapack

from skreg.kernels._dense import dense_kernel, principal_block
from skreg.kernels._specialize import as_kernel_array

_CHANGED = 0.25  # share of the factored coordinates that may change before the factor is made anew
_SINGULAR = 1e-13  # ratio of the smallest to the largest pivot below which a matrix counts as singular
_FEW = 16  # coordinates that may always change


class SupportFactor:
    """Solutions of K[S, S] x = rhs for many supports S of one matrix K = H + diag(bend).

    The Cholesky factor of one support B serves others: with A the coordinates that joined since and D those that left,
    x solves the bordered system

        [ K_BB  K_BA  E_D ] [x_B]   [rhs_B]
        [ K_AB  K_AA   0  ] [x_A] = [rhs_A],
        [ E_D'   0     0  ] [ . ]   [  0  ]

    by its Schur complement, of the size of A and D together. What a border contributes is kept until the next
    factorisation, so that a round of pivoting costs a few triangular solves.
    """

    def __init__(self):
        self.clear()

    def clear(self):
        """Forget the factor: the matrix has changed."""
        self.base: Any = None

    def solve(self, H, bend, support, rhs):
        """The solution in the order of `support` (sorted), or None where the matrix is not positive definite."""
        if self.base is not None and not np.array_equal(bend[self.base], self.bend):
            self.base = None
        if self.base is not None:
            joined, left = self._changes(support, len(H))
            if len(joined) + len(left) <= max(_FEW, int(_CHANGED * len(self.base))):
                x = self._bordered(H, bend, support, joined, left, rhs)
                if x is not None:
                    return x
        if not self._factor(H, bend, support):
            return None
        return self._backward(self._forward(rhs))

    def _factor(self, H, bend, support):
        block = np.zeros((len(support), len(support)))
        dense_kernel(principal_block, H.size)(*map(as_kernel_array, (H, support)), block)
        block.flat[:: len(support) + 1] += bend[support]
        self.upper, info = lapack.dpotrf(block.T, lower=0, clean=0, overwrite_a=1)
        pivots = self.upper.diagonal() ** 2
        regular = info == 0 and pivots.min(initial=np.inf) > _SINGULAR * pivots.max(initial=0.0)
        self.base = support if regular else None
        self.bend = bend[support]
        self.keys = np.empty(0, dtype=np.int64)  # borders at hand: j for one that joined, ~j for one that left
        self.borders = np.empty((len(support), 0), order="F")
        return regular

    def _forward(self, rhs):
        return lapack.dtrtrs(self.upper, rhs, lower=0, trans=1)[0]

    def _backward(self, y):
        return lapack.dtrtrs(self.upper, y, lower=0, trans=0, overwrite_b=1)[0]

    def _changes(self, support, size):
        mark = np.zeros(size, dtype=np.int8)
        mark[support] = 1
        mark[self.base] -= 2
        return np.flatnonzero(mark == 1), np.flatnonzero(mark == -2)

    def _bordered(self, H, bend, support, joined, left, rhs):
        full = np.zeros(len(H))
        full[support] = rhs
        if not len(joined) and not len(left):
            return self._backward(self._forward(rhs))
        V = self._border(H, joined, left)
        a = len(joined)
        complement = -(V.T @ V)
        complement[:a, :a] += H[np.ix_(joined, joined)]
        complement[:a, :a].flat[:: a + 1] += bend[joined]
        y = self._forward(full[self.base])
        corner = -(V.T @ y)
        corner[:a] += full[joined]
        try:
            z = np.linalg.solve(complement, corner)
        except np.linalg.LinAlgError:
            return None
        full[self.base] = self._backward(y - V @ z)
        full[joined] = z[:a]
        x = full[support]
        return x if np.isfinite(x).all() else None

    def _border(self, H, joined, left):
        keys = np.concatenate([joined, ~left])
        new = keys[~np.isin(keys, self.keys)]
        if len(new):
            block = np.zeros((len(self.base), len(new)), order="F")
            a = int(np.count_nonzero(new >= 0))  # those that joined come first
            block[:, :a] = H[np.ix_(new[:a], self.base)].T
            block[np.searchsorted(self.base, ~new[a:]), np.arange(a, len(new))] = 1.0
            self.keys = np.concatenate([self.keys, new])
            self.borders = np.asfortranarray(np.hstack([self.borders, self._forward(block)]))
        order = np.argsort(self.keys)
        return self.borders[:, order[np.searchsorted(self.keys, keys, sorter=order)]]
