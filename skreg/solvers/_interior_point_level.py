"""One quantile problem from its data to its certified solution: interior point, then the vertex."""

from dataclasses import replace
from typing import Any

import numpy as np

from skreg._backend import to_numpy
from skreg.solvers._interior_point import Point, interior_point
from skreg.solvers._interior_point_face import refine
from skreg.solvers._interior_point_problem import augmented, certified
from skreg.solvers._interior_point_vertex import closeness, vertex

_GAPS = (1e-8, 1e-10, 1e-13)  # at which an exact solution is tried: mostly the first tells it
EXACT = 1e-13  # gap that rounding leaves
ROUGH = 1e-3  # tolerance from which on no vertex is asked for
_ROUNDS = 100  # pivots for every try, at least


def solve_level(problem, tol=1e-6, max_iter=100):
    """Solve with all rows and coefficients.

    Parameters
    ----------
    problem : QuantileProblem
        The problem.
    tol : float, default=1e-6
        Relative duality gap to reach; a vertex has none.
    max_iter : int, default=100
        Largest number of interior-point steps.

    Returns
    -------
    solution : QuantileSolution
        Certified solution.
    """
    problem = replace(problem, rows=problem.rows.dense())
    rows, y, high, low = augmented(problem)
    finish = _on_face if np.any(problem.ridge) else _at_vertex
    point = None
    for gap in [tol] if tol >= ROUGH else [min(tol, gap) for gap in _GAPS]:
        left = max_iter - (0 if point is None else point.n_iter)
        point = interior_point(
            rows, y, high, low, problem.smooth, scale=problem.scale, tol=gap, max_iter=left, point=point, xp=problem.xp
        )
        solution = finish(problem, point, high, low) if gap < ROUGH else None
        if solution is not None and solution.exact:
            return solution
    inside = _inside(problem, point, high, low)
    solution = _on_face(problem, point, high, low) if tol < ROUGH else None
    return inside if solution is None or inside.gap < solution.gap else solution


def solve_levels(problems, tol=1e-6, max_iter=100):
    """Solve problems that differ in nothing but their levels, all at once.

    Parameters
    ----------
    problems : list of QuantileProblem
        One a level.
    tol, max_iter : as in `solve_level`

    Returns
    -------
    solutions : list
        Exact solutions, of which the first has the iterations of all; None where one was not found in this way.
    """
    first, xp = problems[0], problems[0].xp
    few = replace(first, rows=first.rows.dense())
    parts = [augmented(few, y=p.y, high=p.high, low=p.low) for p in problems]
    y, high, low = (xp.concat([part[i] for part in parts]) for i in (1, 2, 3))
    scale = first.on_device(np.array([[p.scale] for p in problems]))
    point = interior_point(
        parts[0][0], y, high, low, few.smooth, scale=scale, tol=min(tol, _GAPS[0]), max_iter=max_iter, xp=xp
    )
    finish = _on_face if np.any(first.ridge) else _at_vertex
    arrays = [(k, getattr(point, k)) for k in ("b", "u", "v", "d", "zu", "zv", "nu")]
    solutions: list[Any] = []
    for k, problem in enumerate(problems):
        n_iter = 0 if k else point.n_iter
        own = Point(**{name: array[k : k + 1, ...] for name, array in arrays}, n_iter=n_iter)
        problem = replace(problem, rows=few.rows)
        solution = finish(problem, own, high[k : k + 1, ...], low[k : k + 1, ...])
        solutions.append(solution if solution is not None and solution.exact else None)
    return solutions


def _at_vertex(problem, point, high, low):
    """The vertex next to an interior point, or None."""
    b, close, at_kink = read(problem, point, high, low)
    d = to_numpy(point.d)[0, : problem.n_rows]
    return vertex(problem, b, d, close, at_kink, _ROUNDS + len(b), point.n_iter)


def read(problem, point, high, low):
    """Coefficients with kinks exact, closeness of the rows to zero residuals, and which coefficients are at kinks."""
    close = closeness(point, high, low)[0]
    b, at_kink = at_kinks(problem, to_numpy(point.b)[0], close[problem.n_rows :])
    return b, close[: problem.n_rows], at_kink


def at_kinks(problem, b, close):
    """Coefficients with those at kinks moved there, and which these are, by the closeness of the kinks' rows."""
    b = b.copy()
    j, place, _, _ = problem.kinks
    resting = close > 1.0
    b[j[resting]] = place[resting]
    at_kink = np.zeros(problem.n_coef, dtype=bool)
    at_kink[j[resting]] = True
    return b, at_kink


def _inside(problem, point, high, low):
    """The interior point as a solution."""
    b, _, _ = read(problem, point, high, low)
    d, nu = to_numpy(point.d)[0, : problem.n_rows], float(point.nu[0, 0])
    return certified(problem, np.clip(b, problem.lower, problem.upper), d, nu, point.n_iter, False)


def _on_face(problem, point, high, low):
    """The optimum on the face of an interior point, or None where it leaves the bounds."""
    b, close, at_kink = read(problem, point, high, low)
    d = to_numpy(point.d)[0, : problem.n_rows]
    refined = refine([problem], b[None, :], d[None, :], (close > 1.0)[None, :], at_kink[None, :])
    if refined is None:
        return None
    (b,), (d,), _, nu = refined
    if not np.all((b >= problem.lower) & (b <= problem.upper)):
        return None
    solution = certified(problem, b, d, nu, point.n_iter, False)
    return solution._replace(exact=solution.gap <= EXACT)
