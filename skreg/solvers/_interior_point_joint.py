"""Several levels together, under the condition that they do not cross on given points.

    c . (b[k + 1] - b[k]) >= 0     for neighbouring levels and the points c

Points enter when they are violated: the rows of the data where neighbours cross, or, for the box that the data span,
the corners at which neighbours cross the most (Bondell, Reich and Wang, 2010, Biometrika 97(4), write that condition
with the sizes of the coefficients' differences: it is met when the worst corner meets it). Rows far from each level's
own fit enter as sums, as for one tall problem (`_interior_point_subset`).
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from skreg._backend import to_numpy
from skreg.solvers._interior_point import HUGE, interior_point
from skreg.solvers._interior_point_face import refine
from skreg.solvers._interior_point_level import EXACT, at_kinks
from skreg.solvers._interior_point_problem import augmented, certified
from skreg.solvers._interior_point_rows import Rows, StackedRows
from skreg.solvers._interior_point_subset import globs, pilot_size
from skreg.solvers._interior_point_vertex import closeness

_MARGIN = 1e-11  # distance kept between neighbours by intercepts, against rounding in predictions
_CROSSING = 1e-12  # distance below which neighbours with a margin cross
_ROUNDING = 1e-10  # distance below zero at which neighbours without a margin cross
_GAP = 1e-10
_MAX_ROUNDS = 60
_CUTS = 3  # rows that join in one round, over the number of coefficients
_SLACK = 1e-4  # closeness below which a point is dropped: it had no part in the solution
_SPARE = 2  # rows kept for each level, over those of a pilot


@dataclass
class Joint:
    """The problems at each level, the points at which neighbours must not cross, and the rows kept at each level."""

    problems: list
    cuts: list  # (n_cuts, n_coef) for each pair of neighbours
    kept: np.ndarray | None  # (n_levels, n_rows) of bool, or None for all
    signs: np.ndarray | None  # (n_levels, n_rows) of bool: residuals above zero, where not kept

    @property
    def n_coef(self):
        """Coefficients at each level."""
        return self.problems[0].n_coef


def solve_joint(problems, apart, box, tol, max_iter):
    """Solve all levels under the condition that they do not cross.

    Parameters
    ----------
    problems : list of QuantileProblem
        One a level, with the same rows and terms.
    apart : list of QuantileSolution
        Their solutions one by one.
    box : bool
        Whether neighbours must not cross anywhere in the box of the rows; else on the rows.
    tol, max_iter : as in `fit_quantiles`

    Returns
    -------
    solutions : list of QuantileSolution
        Certified together: each has the gap of the sum over the levels.
    """
    find = _box_cuts(problems[0]) if box else _row_cuts(problems[0])
    B = np.stack([s.coef for s in apart])
    new = find(B)
    if not any(len(cuts) for cuts in new):
        return apart
    joint = Joint(problems, [np.zeros((0, B.shape[1]))] * (len(B) - 1), *_bands(problems, apart))
    n_iter = sum(s.n_iter for s in apart)
    solutions = apart
    for _ in range(_MAX_ROUNDS):
        joint.cuts = [np.concatenate([old, more]) for old, more in zip(joint.cuts, new)]
        solutions, n_more = _solve_round(joint, min(tol, _GAP), max_iter, n_iter)
        n_iter += n_more
        B = np.stack([s.coef for s in solutions])
        new = find(B)
        mended = _mend(joint, solutions)
        if not mended and not any(len(cuts) for cuts in new):
            return solutions
    return [s._replace(gap=np.inf) for s in solutions]


def _row_cuts(problem):
    """Finder of rows on which neighbours cross, the worst first."""
    most, least = _CUTS * problem.n_coef, _least(problem)

    def find(B):
        gaps = to_numpy(problem.rows.apply(problem.on_device(np.diff(B, axis=0))))
        found = []
        for gap in gaps:
            rows = np.flatnonzero(gap < least)
            rows = rows[np.argsort(gap[rows])[:most]]
            found.append(to_numpy(problem.rows.take(problem.on_device(rows))))
        return found

    return find


def _margin(problem):
    """Distance to keep between neighbours: without intercepts there may be no room for any."""
    return _MARGIN if problem.rows.intercept else 0.0


def _least(problem):
    """Distance below which neighbours cross."""
    return _CROSSING if _margin(problem) else -_ROUNDING


def _box_cuts(problem):
    """Finder of the corners of the box of the rows at which neighbours cross, with those next to them."""
    low, high = (to_numpy(a) for a in problem.rows.box())
    least = _least(problem)
    middle, half = 0.5 * (low + high), 0.5 * (high - low)

    def find(B):
        found = []
        for move in np.diff(B, axis=0):
            worst = middle - np.sign(move) * half
            if worst @ move >= least:
                found.append(np.zeros((0, len(move))))
                continue
            worst = np.where(move == 0, low, worst)
            near = np.flatnonzero(half > 0)
            corners = np.tile(worst, (len(near) + 1, 1))
            corners[np.arange(len(near)), near] = (low + high - worst)[near]
            found.append(corners)
        return found

    return find


def _bands(problems, apart):
    """Rows to keep at each level, near its own fit, and the signs of the other residuals; None where all are kept."""
    first = problems[0]
    n_kept = _SPARE * pilot_size(*first.rows.shape)
    if 2 * n_kept > first.n_rows or np.any(first.ridge):
        return None, None
    kept = np.zeros((len(apart), first.n_rows), dtype=bool)
    signs = np.zeros_like(kept)
    for k, solution in enumerate(apart):
        away = np.abs(solution.residuals) / first.norms
        kept[k, np.argpartition(away, n_kept)[:n_kept]] = True
        signs[k] = solution.residuals > 0
    return kept, signs


def _mend(joint, solutions):
    """Keep the rows whose foretold signs turned out wrong; returns whether there were any."""
    if joint.kept is None:
        return False
    wrong = np.stack([s.residuals > 0 for s in solutions]) != joint.signs
    wrong &= ~joint.kept & (np.stack([s.residuals for s in solutions]) != 0)
    joint.kept |= wrong
    return bool(wrong.any())


def _solve_round(joint, tol, max_iter, n_iter):
    """Solve with the points and rows at hand; returns the certified solutions and the number of iterations."""
    problems, xp = joint.problems, joint.problems[0].xp
    rows, y, high, low, kept = _stacked(joint)
    first = problems[0]
    scale = sum(p.scale for p in problems) / len(problems)
    point = interior_point(rows, y, high, low, first.smooth, scale=scale, tol=tol, max_iter=max_iter, xp=xp)
    n_units, n_pairs = len(first.kinks[0]), rows.pairs.shape[1]
    n_data = y.shape[1] - n_units - n_pairs
    close = closeness(point, high, low)
    B, at_kink = _read(problems, to_numpy(point.b), close[:, n_data : n_data + n_units])
    found = Found(
        B,
        at_kink,
        np.stack([_dual(joint, p, k, to_numpy(point.d)[k], kept) for k, p in enumerate(problems)]),
        [to_numpy(point.d)[k, n_data + n_units :][: len(cuts)] for k, cuts in enumerate(joint.cuts)],
        np.stack([_dual(joint, p, k, close[k], kept, True) for k, p in enumerate(problems)]) > 1.0,
        [close[k, n_data + n_units :][: len(cuts)] > 1.0 for k, cuts in enumerate(joint.cuts)],
    )
    solutions = _certified(joint, found)
    refined = _refined(joint, found)
    if refined is not None:
        fine = _certified(joint, refined)
        if fine[0].gap <= max(solutions[0].gap, EXACT):
            solutions = [s._replace(exact=s.gap <= EXACT) for s in fine]
    for k, cuts in enumerate(joint.cuts):
        joint.cuts[k] = cuts[close[k, n_data + n_units :][: len(cuts)] > _SLACK]
    n_all = n_iter + point.n_iter
    return [s._replace(n_iter=n_all if k == 0 else 0) for k, s in enumerate(solutions)], point.n_iter


class Found(NamedTuple):
    """A point near the joint optimum, and what seems to bind there."""

    B: np.ndarray  # (n_levels, n_coef)
    at_kink: np.ndarray  # of bool
    D: np.ndarray  # (n_levels, n_rows)
    multipliers: list  # of the conditions of each pair
    zero: np.ndarray  # (n_levels, n_rows) residuals
    binding: list  # conditions of each pair


def _read(problems, B, close):
    read = [at_kinks(problem, b, c) for problem, b, c in zip(problems, B, close)]
    return np.stack([np.clip(b, p.lower, p.upper) for p, (b, _) in zip(problems, read)]), np.stack([k for _, k in read])


def _certified(joint, found):
    """Solutions with the certificate of their sum, at coefficients that meet the conditions."""
    problems = joint.problems
    B = _apart_at_cuts(found.B, joint.cuts, problems[0])
    multipliers = [np.maximum(a, 0.0) for a in found.multipliers]
    slack = sum(
        float(np.maximum(cuts @ (B[k + 1] - B[k]), 0.0) @ a) for k, (cuts, a) in enumerate(zip(joint.cuts, multipliers))
    )
    pulls = _pulls(joint.cuts, multipliers)
    solutions = [certified(p, b, d, 0.0, 0, False, pull=pull) for p, b, d, pull in zip(problems, B, found.D, pulls)]
    gap = (sum(s.gap * p.scale for s, p in zip(solutions, problems)) + slack) / sum(p.scale for p in problems)
    return [s._replace(gap=gap) for s in solutions]


def _refined(joint, found):
    """The optimum on the face of a point near it, or None."""
    level = np.repeat(np.arange(len(joint.cuts)), [int(b.sum()) for b in found.binding])
    points = np.concatenate([cuts[b] for cuts, b in zip(joint.cuts, found.binding)])
    multipliers = np.concatenate([a[b] for a, b in zip(found.multipliers, found.binding)])
    conditions = level, points, np.full(len(level), _margin(joint.problems[0])), multipliers
    refined = refine(joint.problems, found.B, found.D, found.zero, found.at_kink, conditions)
    if refined is None:
        return None
    B, D, multipliers, _ = refined
    spread = [np.zeros(len(b)) for b in found.binding]
    for k, binding in enumerate(found.binding):
        spread[k][binding] = multipliers[level == k]
    return found._replace(B=B, D=D, multipliers=spread)


def _stacked(joint):
    """What the core takes: rows, y, high, low with a first axis of levels, and the places of the rows kept."""
    problems = joint.problems
    first, xp = problems[0], problems[0].xp
    cuts = _padded(joint.cuts, joint.n_coef)
    parts, kept = _parts(joint)
    stacked = [augmented(problem, y=y, high=high, low=low) for problem, (_, y, high, low) in zip(problems, parts)]
    data = parts[0][0] if joint.kept is None else StackedRows(xp.stack([Z for Z, *_ in parts]), xp)
    real = np.arange(cuts.shape[1])[None, :] < np.array([len(c) for c in joint.cuts] + [0])[:, None]
    of_cuts = np.where(real, _margin(first), 0.0), np.where(real, HUGE, 1.0), np.where(real, 0.0, 1.0)
    rows = Rows(data, stacked[0][0].units, first.on_device(cuts), xp)
    arrays = [
        xp.concat([xp.concat([s[1 + i] for s in stacked]), first.on_device(of_cuts[i])], axis=1) for i in range(3)
    ]
    return rows, *arrays, kept


def _parts(joint):
    """Rows, y, high and low of each level, alike in number."""
    problems = joint.problems
    first, xp = problems[0], problems[0].xp
    if joint.kept is None:
        rows = first.rows.dense()
        return [(rows, p.y, p.high, p.low) for p in problems], None
    count = int(joint.kept.sum(axis=1).max())
    parts, places = [], []
    for k, problem in enumerate(problems):
        kept = np.flatnonzero(joint.kept[k])
        below, above = ~joint.kept[k] & ~joint.signs[k], ~joint.kept[k] & joint.signs[k]
        Z, *sums = globs(problem, below, above, always=True)
        empty = count - len(kept)
        extra = [np.concatenate([Z, np.zeros((empty, joint.n_coef))])]
        extra += [np.concatenate([a, np.full(empty, fill)]) for a, fill in zip(sums, (0.0, 1.0, 1.0))]
        where = problem.on_device(kept)
        part = [xp.concat([problem.rows.take(where), problem.on_device(extra[0])])]
        part += [
            xp.concat([xp.take(a, where, axis=0), problem.on_device(e)])
            for a, e in zip((problem.y, problem.high, problem.low), extra[1:])
        ]
        parts.append(part)
        places.append(kept)
    return parts, places


def _padded(cuts, n_coef):
    """The points of all pairs in one array, zero where there are fewer; none for the last level."""
    result = np.zeros((len(cuts) + 1, max(len(c) for c in cuts), n_coef))
    for k, points in enumerate(cuts):
        result[k, : len(points)] = points
    return result


def _pulls(cuts, multipliers):
    """What the conditions add to Z'd at each level."""
    pulls = np.zeros((len(cuts) + 1, cuts[0].shape[1]))
    for k, (points, a) in enumerate(zip(cuts, multipliers)):
        pulls[k + 1] += a @ points
        pulls[k] -= a @ points
    return pulls


def _apart_at_cuts(B, cuts, problem):
    """Coefficients that meet the conditions to the last digit, by moving intercepts, where there is one to move."""
    if not _margin(problem):
        return B
    B = B.copy()
    for k, points in enumerate(cuts):
        if len(points):
            missing = _margin(problem) - float((points @ (B[k + 1] - B[k])).min())
            if missing > 0:
                B[k + 1 :, 0] += missing
    return B


def _dual(joint, problem, k, d, places, closeness_instead=False):
    """The dual point (or the closeness) of all rows of the data at one level."""
    if places is None:
        return d[: problem.n_rows]
    high, low = problem.host
    whole = np.zeros(problem.n_rows) if closeness_instead else np.where(joint.signs[k], high, -low)
    whole[places[k]] = d[: len(places[k])]
    return whole
