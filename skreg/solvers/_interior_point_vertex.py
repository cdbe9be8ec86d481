"""From an interior point to a vertex: the exact solution, as simplex pivots know it.

At a vertex as many residuals are zero as coefficients are off their kinks. An interior point near the optimum tells
which; b follows from these rows, and d from the other residuals' signs. Where d is in its box and Z'd between the
slopes of the penalty, the vertex is optimal; else the row or coordinate that is furthest off leaves, another takes its
place at the minimum of the objective along the edge, and so on (Barrodale and Roberts, 1973, SIAM J. Numer. Anal. 10).
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import qr

from skreg._backend import to_numpy
from skreg.solvers._interior_point import HUGE
from skreg.solvers._interior_point_problem import certified

_DUAL_TOL = 1e-11  # of a row's weight, by which its dual variable may be out of its box
_RANK = 1e-10
_ALIKE = 1e-13  # share of its entries below which what the equality leaves of a block is rounding
_OUTSIDE = 1e-9  # by which rounding may carry a coefficient past its bound
_ZERO = 1e-12  # residuals below this share of the numbers they are the difference of are zero


@dataclass
class Basis:
    """Which rows have residual zero and which coefficients are off their kinks; as many of the one as of the other."""

    rows: np.ndarray
    free: np.ndarray
    b: np.ndarray  # (n_coef,), kinks exact off `free`
    d: np.ndarray  # (n_rows,), what is known of the dual point: used where a residual off the basis is zero


def closeness(point, high, low):
    """How close each row's residual is to zero: above 1 where its dual is further from its ends than u, v from 0."""
    u, v, zu, zv, weight = (to_numpy(a) for a in (point.u, point.v, point.zu, point.zv, high + low))
    slack = np.minimum(zu, zv) / np.where(weight < HUGE, weight, 1.0)
    return slack / (np.maximum(u, v) + 1e-300)


def vertex(problem, b, d, close, at_kink, max_pivots=60, n_iter=0):
    """Exact solution near `b`, or None.

    Parameters
    ----------
    problem : QuantileProblem
        Without ridge.
    b : ndarray of shape (n_coef,)
        Nearly optimal coefficients, kinks exact where `at_kink`.
    d : ndarray of shape (n_rows,)
        Nearly optimal dual point.
    close : ndarray of shape (n_rows,)
        `closeness` of each row.
    at_kink : ndarray of bool of shape (n_coef,)
        Coefficients that rest at a kink.
    max_pivots : int, default=60
        Pivots after which to give up.
    n_iter : int, default=0
        Iterations made so far, for the record.

    Returns
    -------
    solution : QuantileSolution or None
        The vertex, certified; None where no optimal vertex was found.
    """
    basis = _first_basis(problem, b, d, close, np.flatnonzero(~at_kink))
    if basis is None:
        return None
    for _ in range(max_pivots + 1):
        try:
            system = _System(problem, basis)
        except np.linalg.LinAlgError:
            return None
        leaving = system.worst()
        if leaving is None and not _within_bounds(problem, basis.b):
            return None
        if leaving is None:
            return certified(problem, basis.b, system.d, system.nu, n_iter, True, system.r)
        if not system.pivot(*leaving):
            return None
    return None


def _first_basis(problem, b, d, close, free):
    """Rows that are independent in the free coefficients, the closest first; fewer coefficients where rows depend."""
    if problem.equality is not None and not np.any(problem.equality[free]):
        return None
    n_needed = len(free) - (problem.equality is not None)
    if n_needed < 0 or (n_needed == 0 and problem.equality is None):
        return Basis(np.empty(0, dtype=int), free, b.copy(), d) if n_needed == 0 else None
    n_rows = len(close)
    for n_candidates in (min(n_rows, 3 * n_needed + 20), n_rows):
        candidates = np.argpartition(-close, n_candidates - 1)[:n_candidates]
        block = _take(problem, candidates)[:, free]
        size = np.abs(block).max()
        if problem.equality is not None:
            block = _off_equality(block, problem.equality[free])
        weight = np.minimum(1.0, np.sqrt(close[candidates]) + 1e-5)
        _, R, order = qr((block * weight[:, None]).T, mode="economic", pivoting=True)
        diagonal = np.abs(np.diag(R))
        least = max(_RANK * diagonal[0], _ALIKE * size, 1e-300)
        rank = int(np.sum(diagonal > least * weight[order[: len(diagonal)]]))
        if rank >= n_needed:
            return Basis(candidates[order[:n_needed]], free, b.copy(), d)
    return _deficient(problem, b, d, candidates[order[:rank]], free)


def _deficient(problem, b, d, rows, free):
    """A basis for columns that depend on each other: those left over rest at their centres."""
    if problem.equality is not None or len(rows) == 0:
        return None
    _, _, order = qr(_take(problem, rows)[:, free], mode="economic", pivoting=True)
    kept = np.sort(free[order[: len(rows)]])
    b = b.copy()
    left_over = np.setdiff1d(free, kept)
    b[left_over] = np.clip(problem.centre[left_over], problem.lower[left_over], problem.upper[left_over])
    return Basis(rows, kept, b, d)


def _within_bounds(problem, b):
    return bool(np.all((b >= problem.lower - _OUTSIDE) & (b <= problem.upper + _OUTSIDE)))


def _off_equality(block, a):
    """Rows made orthogonal to the equality's, which is always in the basis."""
    return block - np.outer(block @ a, a) / (a @ a)


def _take(problem, index):
    return to_numpy(problem.rows.take(problem.on_device(index)))


class _System:
    """The vertex of a basis: its coefficients, residuals and dual point."""

    def __init__(self, problem, basis):
        self.problem, self.basis = problem, basis
        self.Z = _take(problem, basis.rows)
        self.y = _host(problem, problem.y, basis.rows)
        self.bordered = self.Z[:, basis.free]
        if problem.equality is not None:
            self.bordered = np.concatenate([self.bordered, problem.equality[None, basis.free]])
        self._set_coefficients()
        self._set_dual()

    def _set_coefficients(self):
        problem, basis = self.problem, self.basis
        b = basis.b
        b[basis.free] = 0.0
        rhs = self.y - self.Z @ b
        if problem.equality is not None:
            rhs = np.append(rhs, problem.total - problem.equality @ b)
        b[basis.free] = solution = np.linalg.solve(self.bordered, rhs)
        b[basis.free] += np.linalg.solve(self.bordered, rhs - self.bordered @ solution)
        r = problem.residuals(b)
        size = np.abs(b).sum() + 1.0
        r[np.abs(r) <= _ZERO * (size + np.abs(_host(problem, problem.y)))] = 0.0
        r[basis.rows] = 0.0
        self.r = r

    def _set_dual(self):
        problem, basis, r = self.problem, self.basis, self.r
        high, low = problem.host
        d = np.where(r > 0, high, np.where(r < 0, -low, np.clip(basis.d, -low, high)))
        left, right = problem.slopes(basis.b)
        slope = np.where(np.isfinite(left), left, right)[basis.free]
        missing = slope - problem.adjoint(d)[basis.free]
        correction = np.linalg.solve(self.bordered.T, missing)
        d[basis.rows] += correction[: len(basis.rows)]
        self.nu = -float(correction[-1]) if problem.equality is not None else 0.0
        self.d = d
        self.left, self.right = left, right

    def worst(self):
        """What violates optimality most: (is a coordinate, its place, sign of its move), or None at the optimum."""
        problem, basis = self.problem, self.basis
        high, low = problem.host
        rows = basis.rows
        weight = high[rows] + low[rows]
        out = np.maximum(self.d[rows] - high[rows], -low[rows] - self.d[rows])
        row_best = _first_max(out - _DUAL_TOL * weight)
        z = problem.pull(basis.b, np.clip(self.d, -low, high) if row_best is None else self.d, self.nu)
        above = np.maximum(self.left - z, z - self.right)
        above[basis.free] = 0.0
        self.z = z
        coordinate_best = _first_max(above - problem.slope_tol)
        if row_best is None and coordinate_best is None:
            return None
        if coordinate_best is None or (row_best is not None and out[row_best] >= above[coordinate_best]):
            return False, row_best, 1.0 if self.d[rows[row_best]] > 0 else -1.0
        return True, coordinate_best, 1.0 if z[coordinate_best] > self.right[coordinate_best] else -1.0

    def pivot(self, is_coordinate, place, sign):
        """Move along the edge on which this row (its residual) or coordinate moves by `sign`; False if unbounded."""
        problem, basis = self.problem, self.basis
        high, low = problem.host
        move = np.zeros(problem.n_coef)
        if is_coordinate:
            move[place] = sign
            rhs = -sign * self.Z[:, place]
            if problem.equality is not None:
                rhs = np.append(rhs, -sign * problem.equality[place])
            slope = (self.right[place] - self.z[place]) if sign > 0 else (self.z[place] - self.left[place])
        else:
            rhs = np.zeros(len(self.bordered))
            rhs[place] = -sign
            row = basis.rows[place]
            slope = high[row] - self.d[row] if sign > 0 else low[row] + self.d[row]
        move[basis.free] = np.linalg.solve(self.bordered, rhs)
        rate = _host(problem, problem.rows.apply(problem.on_device(move)[None, :])[0, :])
        rate[basis.rows] = 0.0
        times, gains, who = self._breakpoints(rate, move, np.append(basis.free, place) if is_coordinate else basis.free)
        order = _until_paid(times, gains, -slope)
        if order is None:
            return False
        stop = len(order) - 1
        self._cross(who[order[:stop]], times[order[:stop]], rate)
        self._exchange(is_coordinate, place, int(who[order[stop]]), sign, move, times[order[stop]])
        return True

    def _breakpoints(self, rate, move, moving):
        """Step lengths at which something turns, the slope gained there, and what turns (rows, then coordinates)."""
        problem, r = self.problem, self.r
        high, low = problem.host
        rows = np.flatnonzero((rate * r > 0) | ((r == 0) & (np.abs(rate) > 1e-11)))
        zero = r[rows] == 0
        full = high[rows] + low[rows]
        part = np.where(rate[rows] < 0, high[rows] - self.d[rows], self.d[rows] + low[rows])
        times, gains, who = [np.where(zero, 0.0, r[rows] / rate[rows])], [], [rows]
        gains.append(np.abs(rate[rows]) * np.where(zero, np.maximum(part, 0.0), full))
        moving = moving[np.abs(move[moving]) > 1e-13]
        for place, gain in ((problem.centre, 2.0 * problem.l1), (problem.lower, np.inf), (problem.upper, np.inf)):
            gain = np.zeros(problem.n_coef) + gain
            distance = place[moving] - self.basis.b[moving]
            ahead = np.isfinite(place[moving]) & (gain[moving] > 0) & (distance * move[moving] > 0)
            j = moving[ahead]
            times.append(distance[ahead] / move[j])
            gains.append(gain[j] * np.abs(move[j]))
            who.append(problem.n_rows + j)
        return np.concatenate(times), np.concatenate(gains), np.concatenate(who)

    def _cross(self, who, times, rate):
        """Rows with residual zero that were passed take the dual value of their new sign."""
        high, low = self.problem.host
        rows = who[(times == 0) & (who < self.problem.n_rows)]
        self.basis.d = self.d
        self.basis.d[rows] = np.where(rate[rows] < 0, high[rows], -low[rows])

    def _exchange(self, is_coordinate, place, entering, sign, move, time):
        problem, basis = self.problem, self.basis
        high, low = problem.host
        b = basis.b + time * move
        if not is_coordinate:
            row = basis.rows[place]
            basis.d[row] = high[row] if sign > 0 else -low[row]
        if entering < problem.n_rows:
            if is_coordinate:
                basis.rows, basis.free = np.append(basis.rows, entering), np.append(basis.free, place)
            else:
                basis.rows = np.where(np.arange(len(basis.rows)) == place, entering, basis.rows)
        else:
            j = entering - problem.n_rows
            kinks = np.array([problem.centre[j], problem.lower[j], problem.upper[j]])
            b[j] = kinks[np.argmin(np.abs(kinks - b[j]))]
            basis.free = basis.free[basis.free != j]
            if not is_coordinate:
                basis.rows = np.delete(basis.rows, place)
            elif j != place:
                basis.free = np.append(basis.free, place)
        basis.b = b


def _until_paid(times, gains, debt):
    """The first entries in the order of `times` whose gains make up for `debt`; None where all do not."""
    count = 64
    while True:
        count = min(count, len(times))
        first = np.argpartition(times, count - 1)[:count] if 0 < count < len(times) else np.arange(len(times))
        order = first[np.argsort(times[first], kind="stable")]
        paid = np.cumsum(gains[order]) >= debt - 1e-15
        if paid.any():
            return order[: int(np.argmax(paid)) + 1]
        if count == len(times):
            return None
        count *= 8


def _first_max(values):
    """Place of the largest value, or None where none is positive."""
    if len(values) == 0:
        return None
    best = int(np.argmax(values))
    return best if values[best] > 0 else None


def _host(problem, array, index=None):
    return to_numpy(array) if index is None else to_numpy(problem.xp.take(array, problem.on_device(index), axis=0))
