"""One quantile problem from its data to its certified solution: interior point, then the vertex."""

from dataclasses import replace

import numpy as np

from skreg._backend import to_numpy
from skreg.solvers._interior_point import interior_point
from skreg.solvers._interior_point_face import refine
from skreg.solvers._interior_point_problem import augmented, certified
from skreg.solvers._interior_point_vertex import closeness, vertex

_GAPS = (1e-8, 1e-10, 1e-13)  # at which the vertex is tried: mostly the first tells it
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
    point, best = None, None
    for gap in _stops(problem, tol):
        left = max_iter - (0 if point is None else point.n_iter)
        point = interior_point(
            rows, y, high, low, problem.smooth, scale=problem.scale, tol=gap, max_iter=left, point=point, xp=problem.xp
        )
        if not np.any(problem.ridge) and gap < ROUGH:
            solution = _finish(problem, point, high, low)
            if solution is not None:
                return solution
        best = _interior(problem, point, high, low)
    return best


def _stops(problem, tol):
    """Gaps at which to stop the interior point: where only a vertex is exact, before all others."""
    if tol >= ROUGH:
        return [tol]
    gaps = [min(tol, gap) for gap in _GAPS]
    return gaps[1:] if np.any(problem.ridge) else gaps


def _finish(problem, point, high, low):
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


def _interior(problem, point, high, low):
    """The interior point as it is, or, where that is better, the optimum on its face."""
    b, close, at_kink = read(problem, point, high, low)
    b = np.clip(b, problem.lower, problem.upper)
    d = to_numpy(point.d)[0, : problem.n_rows]
    rough = certified(problem, b, d, float(point.nu[0, 0]), point.n_iter, False)
    if not point.gap < ROUGH:
        return rough
    refined = refine([problem], b[None, :], d[None, :], (close > 1.0)[None, :], at_kink[None, :])
    if refined is None:
        return rough
    (b,), (d,), _, nu = refined
    if not np.all((b >= problem.lower) & (b <= problem.upper)):
        return rough
    fine = certified(problem, b, d, nu, point.n_iter, False)
    return fine._replace(exact=fine.gap <= EXACT) if fine.gap <= max(rough.gap, EXACT) else rough
