"""What it takes for neighbouring levels not to cross: on rows of the data, or in the box that they span.

Both kinds ask that c . move >= 0 for points c, with move = b[k + 1] - b[k]. On rows the points enter when they are
violated. For the box, whose corners are too many, it is one condition with as many variables as there are features,

    middle . move - sum_j half_j size_j >= 0,     size_j >= |move_j|

(Bondell, Reich and Wang, 2010, Biometrika 97(4)), solved as it stands.
"""

from typing import Any, NamedTuple

import numpy as np

from skreg._backend import to_numpy
from skreg.solvers._interior_point import HUGE

_MARGIN = 1e-11  # distance kept between neighbours by intercepts, against rounding in predictions
_CROSSING = 1e-12  # distance below which neighbours with a margin cross
_ROUNDING = 1e-10  # distance below zero at which neighbours without a margin cross
_CUTS = 3  # rows that join in one round, over the number of coefficients, at most
_NEAR = 1  # rows that join because they may be next, over the number of coefficients


class Pairs(NamedTuple):
    """The conditions as rows of the core: behind[k] . b[k] + ahead[k] . b[k + 1] >= target[k] where `real`."""

    behind: np.ndarray  # (n_levels, n_pairs, n_coef + extra)
    ahead: np.ndarray
    target: np.ndarray  # (n_levels, n_pairs)
    real: np.ndarray

    @property
    def high(self):
        """Weights of residuals that break the conditions."""
        return np.where(self.real, HUGE, 1.0)

    @property
    def low(self):
        """Weights of residuals that keep them."""
        return np.where(self.real, 0.0, 1.0)


class Face(NamedTuple):
    """Conditions point . move >= rhs on one pair of neighbours, as equalities where they bind."""

    points: np.ndarray  # (n, n_coef)
    rhs: np.ndarray
    multipliers: np.ndarray
    binding: np.ndarray  # of bool


class _Conditions:
    """Shared by both kinds."""

    extra = 0  # variables for each level behind its coefficients

    def __init__(self, problem, n_levels):
        self.problem, self.n_levels, self.n_coef = problem, n_levels, problem.n_coef
        intercept = problem.rows.intercept  # without one there may be no room for a margin
        self.margin, self.least = (_MARGIN, _CROSSING) if intercept else (0.0, -_ROUNDING)

    def smallest(self, k, move):
        """Smallest distance between two neighbours, by the difference of their coefficients."""
        raise NotImplementedError

    def apart(self, B):
        """Coefficients that meet the conditions to the last digit, by moving intercepts, where there is one to move."""
        if not self.margin:
            return B
        B = B.copy()
        for k in range(len(B) - 1):
            missing = self.margin - self.smallest(k, B[k + 1] - B[k])
            if missing > 0:
                B[k + 1 :, 0] += missing
        return B


class OnRows(_Conditions):
    """Neighbours must not cross on rows of the data; those on which they did."""

    def __init__(self, problem, n_levels):
        super().__init__(problem, n_levels)
        self.points: list[Any] = [np.zeros((0, self.n_coef))] * (n_levels - 1)
        self.taken: list[Any] = [np.zeros(0, dtype=int)] * (n_levels - 1)

    def grow(self, B):
        """Add the rows on which neighbours cross, the worst first, and those on which they are next to crossing.

        Returns whether there were any of the first kind.
        """
        problem = self.problem
        gaps = to_numpy(problem.rows.apply(problem.on_device(np.diff(B, axis=0))))
        if not np.any(gaps < self.least):
            return False
        any_new = False
        for k, gap in enumerate(gaps):
            gap[self.taken[k]] = np.inf
            n_crossed = int(np.sum(gap < self.least))
            n_more = min(n_crossed + _NEAR * self.n_coef, _CUTS * self.n_coef, len(gap) - len(self.taken[k]))
            if n_more and (n_crossed or not len(self.taken[k])):
                rows = np.argpartition(gap, n_more - 1)[:n_more]
                new = to_numpy(problem.rows.take(problem.on_device(rows)))
                self.points[k] = np.concatenate([self.points[k], new])
                self.taken[k] = np.concatenate([self.taken[k], rows])
            any_new |= n_crossed > 0
        return any_new

    def pairs(self):
        """The conditions as rows of the core."""
        counts = np.array([len(points) for points in self.points] + [0])
        ahead = np.zeros((self.n_levels, counts.max(), self.n_coef))
        for k, points in enumerate(self.points):
            ahead[k, : len(points)] = points
        real = np.arange(counts.max())[None, :] < counts[:, None]
        return Pairs(-ahead, ahead, np.where(real, self.margin, 0.0), real)

    def face(self, k, move, close, multipliers):
        """The conditions of one pair, from the core's multipliers and how close each is to binding."""
        points = self.points[k]
        n = len(points)
        return Face(points, np.full(n, self.margin), multipliers[:n], close[:n] > 1.0)

    def pull(self, face):
        """What the conditions add to Z'd: a sum of points with non-negative weights."""
        return np.maximum(face.multipliers, 0.0) @ face.points

    def smallest(self, k, move):
        """Smallest distance between two neighbours at their points."""
        return float((self.points[k] @ move).min(initial=np.inf))


class InBox(_Conditions):
    """Neighbours must not cross anywhere in the box of the rows."""

    def __init__(self, problem, n_levels):
        super().__init__(problem, n_levels)
        low, high = (to_numpy(end) for end in problem.rows.box())
        self.middle, self.half = 0.5 * (low + high), 0.5 * (high - low)
        self.wide = np.flatnonzero(self.half > 0)
        self.extra = len(self.wide)
        self._asked = False

    def grow(self, B):
        """Ask for the condition where neighbours cross at first; returns whether it is new."""
        new = not self._asked and min(self.smallest(k, move) for k, move in enumerate(np.diff(B, axis=0))) < self.least
        self._asked |= new
        return new

    def pairs(self):
        """The conditions as rows of the core."""
        q, extra = self.n_coef, self.extra
        unit = np.zeros((extra, q))
        unit[np.arange(extra), self.wide] = 1.0
        size = np.eye(extra)
        ahead = np.concatenate([self.middle[None, :], -unit, unit])
        of_size = np.concatenate([-self.half[None, self.wide], size, size])
        behind = np.concatenate([-ahead, of_size], axis=1)
        ahead = np.concatenate([ahead, np.zeros((1 + 2 * extra, extra))], axis=1)
        real = np.zeros((self.n_levels, 1 + 2 * extra), dtype=bool)
        real[:-1] = True
        target = np.zeros(real.shape)
        target[:-1, 0] = self.margin
        behind, ahead = (real[:, :, None] * a[None, :, :] for a in (behind, ahead))
        return Pairs(behind, ahead, target, real)

    def face(self, k, move, close, multipliers):
        """One point of the box, and the coefficients that do not move, along which it is free."""
        extra = self.extra
        below, above = np.split(multipliers[1:], 2)
        still = np.all(np.split(close[1:] > 1.0, 2), axis=0)
        sign = np.where(still, 0.0, np.sign(move[self.wide]))
        point = self.middle.copy()
        point[self.wide] -= sign * self.half[self.wide]
        points = np.zeros((1 + extra, self.n_coef))
        points[0] = point
        points[1 + np.arange(extra), self.wide] = 1.0
        rest = above - below + multipliers[0] * sign * self.half[self.wide]
        binding = close[0] > 1.0
        rhs = np.append(self.margin, np.zeros(extra))
        return Face(points, rhs, np.append(multipliers[0], rest), np.append(binding, still & binding))

    def pull(self, face):
        """What the conditions add to Z'd: a point of the box with a non-negative weight."""
        weight = max(face.multipliers[0], 0.0)
        pull = face.multipliers @ face.points
        reach = weight * self.half
        return np.clip(pull, weight * self.middle - reach, weight * self.middle + reach)

    def smallest(self, k, move):
        """Smallest distance between two neighbours in the box."""
        return float(self.middle @ move - self.half @ np.abs(move))
