"""A vertex that pivots along the path of an L1-penalised quantile regression, and the columns that it knows of.

The compiled loop (`kernels._quantile_pivots`) sees the columns whose slopes are near their bounds; all columns are
checked wherever a solution is asked for. Where others turn out to be missing, the pivots since the last solution are
made again with these.
"""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import qr

from skreg.kernels._quantile_pivots import DONE, GROW, REFACTOR, Vertex, pivots
from skreg.solvers._interior_point_problem import certified

_SMALL = 200_000  # numbers in the data up to which all columns are in sight
_NEAR = 0.85  # share of the slope that a column must have to be out of sight, by the strong rule, to come into sight
_WIDER = 0.6  # the same, for the columns that then come along
_MOST = 10  # pivots for each row, in one interval, after which to give up
_ROOM = 64
_INSIDE = 1e-9  # of a row's weight: how far the dual point of a vertex may be out of its box
_TRIES = 10  # how often columns may come to be missing in one interval
_RANK = 1e-9
_ROWS = 100  # rows for each strength up to which pivots pay
_TALL = 2  # rows for each column, up to which they pay as well


def is_served(problem, n_alphas):
    """Whether the path of a problem can be followed by pivots, and that pays.

    The penalty must be L1 about zero, the bounds at zero or none, the data on the host. The number of pivots grows with
    that of the rows, whatever the number of strengths: on tall data a fit for each is faster.
    """
    bounds = np.concatenate([problem.lower, problem.upper])
    return (
        problem.n_rows <= max(_ROWS * n_alphas, _TALL * problem.n_coef)
        and problem.xp is np
        and problem.equality is None
        and not problem.ridge.any()
        and not problem.centre.any()
        and bool(np.all(np.isinf(bounds) | (bounds == 0.0)))
        and not np.any((problem.l1 == 0.0) & ((problem.lower == 0.0) | (problem.upper == 0.0)))
    )


class Basis(NamedTuple):
    """A vertex in numbers of rows and columns of the problem."""

    rows: np.ndarray  # with residual zero
    columns: np.ndarray  # in the model
    side: np.ndarray  # (n_rows,) signs of the other residuals
    sign: np.ndarray  # (n_coef,) signs of the penalised coefficients
    inverse: np.ndarray | None  # of these rows' part of these columns, where it is known


class Pivots:
    """The vertex at one strength, which moves to smaller ones; `problem` is that of strength one."""

    def __init__(self, problem, rows, columns, alpha, b, r, d, z):
        self.problem, self.alpha, self.n_pivots = problem, alpha, 0
        self.slopes = z
        side = np.where(r != 0, np.sign(r), np.where(d > 0.5 * (problem.host[0] - problem.host[1]), 1.0, -1.0))
        side[rows] = 0.0
        self._basis = Basis(rows, columns, side, np.where(problem.l1 > 0, np.sign(b), 0.0), None)
        self._vertex: Any = None
        self.sight = columns

    @classmethod
    def at(cls, problem, alpha, solution):
        """From an exact solution at a strength; None where it is not the one vertex of its kind."""
        b, r, d = solution.coef, solution.residuals, solution.dual
        columns = np.flatnonzero((b != 0) | (problem.l1 == 0))
        rows = np.flatnonzero(r == 0)
        if len(rows) < len(columns):
            return None
        high, low = problem.host
        Z = problem.rows.take(rows)[:, columns]
        if len(rows) > len(columns):
            inner = np.minimum(high[rows] - d[rows], d[rows] + low[rows]) / (high[rows] + low[rows])
            weight = np.where(inner > _INSIDE, 1.0, 1e-4)
            _, R, order = qr((Z * weight[:, None]).T, mode="economic", pivoting=True)
            chosen = np.sort(order[: len(columns)])
            rows, Z = rows[chosen], Z[chosen]
        if len(rows) and np.linalg.cond(Z, 1) > 1.0 / _RANK:
            return None
        return cls(problem, rows, columns, alpha, b, r, d, problem.adjoint(d))

    def follow(self, alpha):
        """The solution at a smaller strength, or None where the pivots do not lead there."""
        self._look(alpha)
        for _ in range(_TRIES):
            kept = self._read()
            if not self._run(alpha):
                return None
            solution = self._solution(alpha)
            missing = solution.violations > self._at(alpha).slope_tol
            missing[self.sight] = False
            if not missing.any():
                self.alpha = alpha
                return solution
            self._basis, self._vertex = kept, None
            ratio = np.abs(self.slopes) / np.maximum(self.problem.l1, 1e-300)
            missing |= ratio >= np.quantile(ratio[missing], 0.25)
            missing[self.sight] = True
            self._show(missing)
        return None

    def _at(self, alpha):
        return replace(self.problem, l1=alpha * self.problem.l1)

    # ------------------------------------------------------------ columns in sight
    def _look(self, alpha):
        """Bring into sight the columns that may enter on the way to `alpha`."""
        problem = self.problem
        if problem.n_rows * problem.n_coef <= _SMALL:
            near = wider = np.ones(problem.n_coef, dtype=bool)
        else:
            least = max(2.0 * alpha - self.alpha, 0.0) * problem.l1
            near, wider = (np.abs(self.slopes) >= share * least for share in (_NEAR, _WIDER))
        out = np.ones(problem.n_coef, dtype=bool)
        out[self.sight] = False
        if np.any(near & out) or self._vertex is None:
            self._show(wider)

    def _show(self, columns):
        """Have these columns in sight, and those of the basis."""
        self._basis, self._vertex = self._read(), None
        seen = columns.copy()
        seen[self._basis.columns] = True
        self.sight = np.flatnonzero(seen)
        self._build()

    def _read(self):
        """The basis that the pivots have come to."""
        v = self._vertex
        if v is None:
            return self._basis
        k = v.counts[1]
        sign = np.zeros(self.problem.n_coef)
        sign[self.sight] = v.sign
        return Basis(v.E[:k].copy(), self.sight[v.A[:k]], v.side.copy(), sign, v.M[:k, :k].copy())

    def _build(self, room=0):
        """The state of the loop from the basis, with place for `room` basic rows at least."""
        problem, sight = self.problem, self.sight
        old = self._vertex
        rows, columns, side, sign, M = self._read()
        n, w, k = problem.n_rows, len(sight), len(rows)
        most = min(max(room, k + _ROOM), n)
        if old is not None:  # with the same columns in sight
            Z, ZT = old.Z, old.ZT
        else:
            Z = np.ascontiguousarray(_block(problem, sight))
            ZT = np.ascontiguousarray(Z.T)
        high, low = problem.host
        inverse = np.zeros((most, most))
        if M is not None:
            inverse[:k, :k] = M
        place = np.zeros(problem.n_coef, dtype=np.int64)
        place[sight] = np.arange(w)
        E, A = np.zeros(most, dtype=np.int64), np.zeros(most, dtype=np.int64)
        E[:k], A[:k] = rows, place[columns]
        inside = np.zeros(w, dtype=np.int8)
        inside[A[:k]] = 1
        ends = np.stack([problem.lower[sight] < 0, problem.upper[sight] > 0]).astype(np.float64)
        shifts = np.random.default_rng(0).random(n + w)
        self._vertex = Vertex(
            Z,
            ZT,
            problem.l1[sight],
            ends,
            np.ascontiguousarray(high),
            np.ascontiguousarray(low),
            inverse,
            E,
            A,
            np.zeros(most),
            side.copy(),
            sign[sight],
            inside,
            np.zeros(w),
            np.zeros(n),
            np.zeros(n),
            np.zeros(w),
            shifts,
            np.zeros(w),
            np.zeros(most),
            np.zeros(most),
            np.zeros(most),
            np.zeros(n),
            np.arange(most),
            np.array([w, k, 0, 0]),
            np.array([self.alpha]),
        )
        self._settle(M is None)

    # ------------------------------------------------------------ pivots
    def _run(self, alpha):
        """Pivots until the strength is `alpha`; whether they lead there."""
        v, loop, renewed = self._vertex, pivots(), -1
        v.alpha[0] = self.alpha
        most = _MOST * (len(v.r) + _ROOM)
        while True:
            before = v.counts[2]
            state = loop(v, alpha, most)
            done = int(v.counts[2] - before)
            most -= done
            self.n_pivots += done
            if state == DONE:
                return True
            if state == GROW:
                here, self.alpha = self.alpha, v.alpha[0]
                self._build(2 * v.counts[1])
                v, self.alpha = self._vertex, here
            elif state != REFACTOR or (done == 0 and renewed == self.n_pivots) or not self._settle(True):
                return False
            else:
                renewed = self.n_pivots

    def _settle(self, renew):
        """Coefficients, residuals and dual point of the basis afresh; whether the basis could be inverted."""
        v = self._vertex
        k, alpha = v.counts[1], v.alpha[0]
        E, A = v.E[:k], v.A[:k]
        columns = v.ZT[A]
        B = np.ascontiguousarray(columns[:, E].T)
        if renew:
            try:
                v.M[:k, :k] = np.linalg.inv(B)
            except np.linalg.LinAlgError:
                return False
        M = v.M[:k, :k]

        def refined(inverse, matrix, rhs):
            x = inverse @ rhs
            for _ in range(2):
                x += inverse @ (rhs - matrix @ x)
            return x

        y = self.problem.y
        v.b[:] = 0.0
        v.b[A] = refined(M, B, y[E])
        v.r[:] = y - v.b[A] @ columns
        v.r[E] = 0.0
        v.d[:] = np.where(v.side > 0, v.high, -v.low)
        v.d[E] = 0.0
        s = v.sign[A] * v.u[A]
        v.d[E] = refined(M.T, B.T, alpha * s - columns @ v.d)
        v.q[:k] = refined(M.T, B.T, s)
        v.z[:] = v.d @ v.Z
        return True

    def _solution(self, alpha):
        v, problem = self._vertex, self._at(alpha)
        self._settle(False)
        b = np.zeros(problem.n_coef)
        b[self.sight] = v.b
        solution = certified(problem, b, v.d, 0.0, 0, True, v.r.copy())
        self.slopes = problem.adjoint(solution.dual)
        return solution


def _block(problem, columns):
    """Columns of the problem's rows as a dense matrix."""
    rows = problem.rows
    first = int(rows.intercept and columns[0] != 0)  # `columns` of rows with an intercept begin with it
    chosen = np.concatenate([np.zeros(first, dtype=int), columns])
    return rows.columns(chosen).take(np.arange(problem.n_rows))[:, first:]
