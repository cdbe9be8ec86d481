"""Several levels together, under the condition that they do not cross.

Conditions on rows enter when they are violated. Rows far from each level's own fit enter as sums, as for one tall
problem (`_interior_point_subset`).
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from skreg._backend import to_numpy
from skreg.solvers._interior_point import interior_point
from skreg.solvers._interior_point_conditions import InBox, OnRows
from skreg.solvers._interior_point_face import refine
from skreg.solvers._interior_point_level import at_kinks
from skreg.solvers._interior_point_problem import augmented, certified
from skreg.solvers._interior_point_rows import Rows, StackedRows, Widened
from skreg.solvers._interior_point_subset import globs, pilot_size
from skreg.solvers._interior_point_vertex import closeness

_GAPS = 1e-10, 1e-13  # at which the optimum on the face is tried
_ROUGH = 1e-3  # at which it is asked whether conditions are missing
_EXACT = 1e-12  # gap that rounding leaves in a sum over levels
_MAX_ROUNDS = 60
_SPARE = 2  # rows kept for each level, over those of a pilot


@dataclass
class Joint:
    """The problems at each level, the conditions between them, and the rows kept at each level."""

    problems: list
    conditions: Any
    kept: np.ndarray | None  # (n_levels, n_rows) of bool, or None for all
    signs: np.ndarray | None  # (n_levels, n_rows) of bool: residuals above zero, where not kept


class Found(NamedTuple):
    """A point near the joint optimum, and what seems to bind there."""

    B: np.ndarray  # (n_levels, n_coef)
    at_kink: np.ndarray  # of bool
    D: np.ndarray  # (n_levels, n_rows)
    zero: np.ndarray  # (n_levels, n_rows) residuals
    faces: list  # the conditions of each pair


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
    conditions = (InBox if box else OnRows)(problems[0], len(problems))
    if not conditions.grow(np.stack([s.coef for s in apart])):
        return apart
    joint = Joint(problems, conditions, *_bands(problems, apart))
    n_iter = sum(s.n_iter for s in apart)
    solutions = apart
    for _ in range(_MAX_ROUNDS):
        solutions, n_more = _solve_round(joint, tol, max_iter)
        n_iter += n_more
        if solutions is None:
            continue
        solutions = [s._replace(n_iter=n_iter if k == 0 else 0) for k, s in enumerate(solutions)]
        mended = _mend(joint, solutions)
        if not conditions.grow(np.stack([s.coef for s in solutions])) and not mended:
            return solutions
    return [s._replace(gap=np.inf) for s in solutions or apart]


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


def _solve_round(joint, tol, max_iter):
    """Solve with the conditions and rows at hand; returns the certified solutions and the number of iterations.

    None in place of solutions where a rough one breaks conditions that are missing, which are added.
    """
    problems = joint.problems
    first, extra = problems[0], joint.conditions.extra
    rows, y, high, low, places = _stacked(joint)
    scale = sum(p.scale for p in problems) / len(problems)
    smooth = _widened_smooth(first, extra)
    point: Any = None
    best: Any = None
    for gap in (_ROUGH, min(tol, _GAPS[0]), _GAPS[1]):
        left = max_iter - (0 if point is None else point.n_iter)
        point = interior_point(
            rows, y, high, low, smooth, scale=scale, tol=gap, max_iter=left, point=point, xp=first.xp
        )
        inside = to_numpy(point.b)[:, : first.n_coef]
        if gap == _ROUGH:
            if joint.conditions.grow(inside):
                return None, point.n_iter
            continue
        found = _found(joint, point, closeness(point, high, low), rows.ahead.shape[1], places)
        for near in (_refined(joint, found), found, found._replace(B=inside)):
            if near is not None and (best is None or _gap(best) > _EXACT):
                best = min(filter(None, (best, _certified(joint, near))), key=_gap)
        if _gap(best) <= _EXACT:
            break
    return best, point.n_iter


def _gap(solutions):
    """The gap that joint solutions share."""
    return solutions[0].gap


def _found(joint, point, close, n_pairs, places):
    """What the core's solution says of the problem."""
    problems, conditions = joint.problems, joint.conditions
    n_units = len(problems[0].kinks[0])
    n_data = close.shape[1] - n_units - n_pairs
    B, D = to_numpy(point.b)[:, : conditions.n_coef], to_numpy(point.d)
    of_units = close[:, n_data : n_data + n_units]
    read = [at_kinks(problem, b, c) for problem, b, c in zip(problems, B, of_units)]
    B = np.stack([np.clip(b, p.lower, p.upper) for p, (b, _) in zip(problems, read)])
    pairs = zip(np.diff(B, axis=0), close[:, n_data + n_units :], D[:, n_data + n_units :])
    faces = [conditions.face(k, *pair) for k, pair in enumerate(pairs)]
    high, low = (np.stack(a) for a in zip(*(p.host for p in problems)))
    ends = None if places is None else np.where(joint.signs, high, -low)
    zero = _of_all_rows(joint, close, places, np.zeros(high.shape)) > 1.0
    return Found(B, np.stack([k for _, k in read]), _of_all_rows(joint, D, places, ends), zero, faces)


def _of_all_rows(joint, values, places, elsewhere):
    """Values of the rows kept, with those of the others."""
    if places is None:
        return values[:, : joint.problems[0].n_rows]
    whole = elsewhere.copy()
    for k, kept in enumerate(places):
        whole[k, kept] = values[k, : len(kept)]
    return whole


def _certified(joint, found):
    """Solutions with the certificate of their sum, at coefficients that meet the conditions."""
    problems = joint.problems
    B = joint.conditions.apart(found.B)
    pulls, slack = np.zeros_like(B), 0.0
    for k, face in enumerate(found.faces):
        pull = joint.conditions.pull(face)
        pulls[k + 1] += pull
        pulls[k] -= pull
        slack += max(float(pull @ (B[k + 1] - B[k])), 0.0)
    solutions = [certified(p, b, d, 0.0, 0, False, pull=pull) for p, b, d, pull in zip(problems, B, found.D, pulls)]
    gap = (sum(s.gap * p.scale for s, p in zip(solutions, problems)) + slack) / sum(p.scale for p in problems)
    return [s._replace(gap=gap, exact=gap <= _EXACT) for s in solutions]


def _refined(joint, found):
    """The optimum on the face of a point near it, or None."""
    faces = found.faces
    level = np.repeat(np.arange(len(faces)), [int(face.binding.sum()) for face in faces])
    binding = [np.concatenate([part[face.binding] for face, part in zip(faces, parts)]) for parts in zip(*faces)][:3]
    refined = refine(joint.problems, found.B, found.D, found.zero, found.at_kink, (level, *binding))
    if refined is None:
        return None
    B, D, multipliers, _ = refined
    spread = []
    for k, face in enumerate(faces):
        of_face = np.zeros(len(face.binding))
        of_face[face.binding] = multipliers[level == k]
        spread.append(face._replace(multipliers=of_face))
    return found._replace(B=B, D=D, faces=spread)


def _widened_smooth(problem, extra):
    """The smooth part with further coefficients that it knows nothing of."""
    smooth, xp = problem.smooth, problem.xp
    ends = dict(ridge=0.0, centre=0.0, least=-np.inf, most=np.inf)
    more = {name: problem.on_device(np.full(extra, end)) for name, end in ends.items()}
    return smooth._replace(**{name: xp.concat([getattr(smooth, name), a]) for name, a in more.items()})


def _stacked(joint):
    """What the core takes: rows, y, high, low with a first axis of levels; and the places of the rows kept."""
    first, extra = joint.problems[0], joint.conditions.extra
    xp, on = first.xp, first.on_device
    pairs = joint.conditions.pairs()
    parts, places = _parts(joint)
    stacked = [augmented(problem, y=y, high=high, low=low) for problem, (_, y, high, low) in zip(joint.problems, parts)]
    data = parts[0][0] if places is None else StackedRows(xp.stack([Z for Z, *_ in parts]), xp)
    units = stacked[0][0].units
    if extra:
        data = Widened(data, first.n_coef, extra, xp)
        units = xp.concat([units, on(np.zeros((units.shape[0], extra)))], axis=1)
    rows = Rows(data, units, on(pairs.behind), on(pairs.ahead), xp)
    of_levels = [xp.concat([arrays[1 + i] for arrays in stacked]) for i in range(3)]
    of_pairs = [on(a) for a in (pairs.target, pairs.high, pairs.low)]
    return rows, *(xp.concat(both, axis=1) for both in zip(of_levels, of_pairs)), places


def _parts(joint):
    """Rows, y, high and low of each level, alike in number; and the places of the rows kept, None where all are."""
    problems = joint.problems
    first, xp = problems[0], problems[0].xp
    if joint.kept is None:
        rows = first.rows.dense()
        return [(rows, p.y, p.high, p.low) for p in problems], None
    count = int(joint.kept.sum(axis=1).max())
    parts, places = [], []
    for k, problem in enumerate(problems):
        kept = np.flatnonzero(joint.kept[k])
        away = ~joint.kept[k]
        Z, *sums = globs(problem, away & ~joint.signs[k], away & joint.signs[k], always=True)
        empty = count - len(kept)  # rows of zeros make the number of rows the same at every level
        extra = [np.concatenate([Z, np.zeros((empty, problem.n_coef))])]
        extra += [np.concatenate([a, np.full(empty, fill)]) for a, fill in zip(sums, (0.0, 1.0, 1.0))]
        where = problem.on_device(kept)
        own = [problem.rows.take(where), *(xp.take(a, where, axis=0) for a in (problem.y, problem.high, problem.low))]
        parts.append([xp.concat([a, problem.on_device(e)]) for a, e in zip(own, extra)])
        places.append(kept)
    return parts, places
