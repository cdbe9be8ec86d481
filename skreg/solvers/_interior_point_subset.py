"""Tall problems by few of their rows: most residuals have signs that can be foretold (Portnoy and Koenker, 1997).

A rough solution from a sample of the rows foretells them. Rows far below the fit, and rows far above it, enter as one
row each, their weighted sum; only those near the fit are kept. The vertex of the small problem, with the foretold signs
as dual variables, is then checked against all rows; those of wrong sign join the kept ones, and pivots mend the vertex.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from skreg._backend import to_numpy
from skreg.solvers._interior_point import interior_point
from skreg.solvers._interior_point_level import solve_level
from skreg.solvers._interior_point_problem import augmented
from skreg.solvers._interior_point_vertex import vertex

_PILOT_GAP = 3e-3
_TALL = 2  # rows over those of the pilot from which few rows pay
_KEPT = 1.0  # rows kept over those of the pilot
_MENDED = 0.4  # wrong signs, over the coefficients, that pivots mend sooner than another solve
_PIVOTS = 8  # over wrong signs, after which to give up
_TOO_WRONG = 0.1  # wrong signs, over the rows kept, from which more rows are kept
_REVISIONS = 5
_TRIALS = 6
_MORE = 1.5  # rows kept in one trial over those in the one before


def pilot_size(n_rows, n_coef):
    """Rows of the sample: as many as leave about as many signs open."""
    return int(np.sqrt(n_coef) * n_rows ** (2 / 3)) + 2 * n_coef


def is_tall(problem):
    """Whether few rows pay."""
    return not np.any(problem.ridge) and problem.n_rows >= _TALL * pilot_size(*problem.rows.shape)


def solve_tall(problem, b=None, tol=1e-6, max_iter=100):
    """Solve a problem for which `is_tall` holds.

    Parameters
    ----------
    problem : QuantileProblem
        Without ridge.
    b : ndarray of shape (n_coef,), default=None
        A rough solution, such as that of a neighbouring level; None asks for a pilot.
    tol, max_iter : as in `solve_level`

    Returns
    -------
    solution : QuantileSolution
        Certified on all rows.
    """
    size = pilot_size(*problem.rows.shape)
    n_iter = 0
    if b is None:
        b, n_iter = _pilot(problem, size, max_iter)
    n_kept = int(_KEPT * size)
    norms = problem.norms
    for _ in range(_TRIALS):
        if 2 * n_kept > problem.n_rows:
            break
        solution, b, n_more = _by_few(problem, b, n_kept, norms, tol, max_iter)
        n_iter += n_more
        if solution is not None:
            return solution._replace(n_iter=n_iter)
        n_kept = int(_MORE * n_kept)
    solution = solve_level(problem, tol, max_iter)
    return solution._replace(n_iter=n_iter + solution.n_iter)


def _pilot(problem, size, max_iter):
    """A rough solution from rows drawn at random, and its number of iterations."""
    sample = np.unique(np.random.default_rng(0).integers(0, problem.n_rows, size))
    few = _restricted(problem, sample)
    rows, y, high, low = augmented(few)
    point = interior_point(rows, y, high, low, few.smooth, tol=_PILOT_GAP, max_iter=max_iter, xp=problem.xp)
    return to_numpy(point.b)[0], point.n_iter


def _restricted(problem, index, extra=None):
    """The problem on these rows, with weights that keep their sum, or with `extra` rows: (Z, y, high, low)."""
    xp = problem.xp
    where = problem.on_device(index)
    y, high, low = (xp.take(a, where, axis=0) for a in (problem.y, problem.high, problem.low))
    if extra is None:
        share = (xp.sum(problem.high) + xp.sum(problem.low)) / (xp.sum(high) + xp.sum(low))
        high, low = high * share, low * share
    else:
        y, high, low = (xp.concat([a, problem.on_device(e)]) for a, e in zip((y, high, low), extra[1:]))
    rows = problem.rows.subset(index, None if extra is None else extra[0])
    return replace(problem, rows=rows, y=y, high=high, low=low)


def _by_few(problem, b, n_kept, norms, tol, max_iter):
    """The solution from about `n_kept` rows around the fit `b`, or None where too many signs were wrong.

    Returns also the coefficients reached, a better fit than `b`, and the number of iterations.
    """
    r = problem.residuals(b) / norms
    low_end, high_end = _band(problem, r, n_kept)
    below, above = r < low_end, r > high_end
    solution: Any = None
    d = close = np.zeros(0)
    n_wrong = n_iter = 0
    for _ in range(_REVISIONS):
        kept = np.flatnonzero(~(below | above))
        few = _restricted(problem, kept, globs(problem, below, above))
        mended = None
        if 0 < n_wrong <= _MENDED * problem.n_coef:
            mended = _from_vertex(few, solution, d[kept], close[kept], _PIVOTS * n_wrong)
        solution = mended or solve_level(few, tol, max_iter)
        n_iter += 0 if mended else solution.n_iter
        if not solution.exact:
            break
        high, low = problem.host
        d, close = np.where(below, -low, high), np.where(below | above, 0.0, 1e-3)
        d[kept] = solution.dual[: len(kept)]
        close[kept[solution.residuals[: len(kept)] == 0.0]] = 2.0
        r = problem.residuals(solution.coef)
        wrong = (below & (r > 0)) | (above & (r < 0))
        n_wrong = int(wrong.sum())
        if n_wrong == 0:
            return _from_vertex(problem, solution, d, close, 0), solution.coef, n_iter
        if n_wrong > _TOO_WRONG * n_kept:
            break
        below, above = below & ~wrong, above & ~wrong
    return None, solution.coef, n_iter


def _from_vertex(problem, solution, d, close, max_pivots):
    """The vertex of a problem from that of another on some of its rows: by pivots, or None."""
    b = solution.coef
    n_globs = problem.n_rows - len(d)
    if n_globs:
        ends = np.where(problem.residuals(b)[-n_globs:] > 0, problem.host[0][-n_globs:], -problem.host[1][-n_globs:])
        d, close = np.append(d, ends), np.append(close, np.zeros(n_globs))
    at_kink = ((problem.l1 > 0) & (b == problem.centre)) | (b == problem.lower) | (b == problem.upper)
    return vertex(problem, b, d, close, at_kink, max_pivots)


def _band(problem, r, n_kept):
    """Ends of the band in which to keep rows: about as many on either side of the level's quantile of r."""
    high, low = problem.host
    n_rows = len(r)
    level = high.sum() / (high.sum() + low.sum())
    ends = np.clip([level - 0.5 * n_kept / n_rows, level + 0.5 * n_kept / n_rows], 0.0, 1.0)
    if ends[0] == 0.0:
        ends[1] = n_kept / n_rows
    if ends[1] == 1.0:
        ends[0] = 1.0 - n_kept / n_rows
    places = np.minimum((ends * n_rows).astype(int), n_rows - 1)
    ordered = np.partition(r, places)
    return ordered[places]


def globs(problem, below, above, always=False):
    """The rows that stand for those below and those above: Z, y, high, low; `always` two, where one is empty zero."""
    high, low = problem.host
    y = to_numpy(problem.y)
    Z, targets, weights = [], [], []
    for side, weight in ((below, low), (above, high)):
        if side.any():
            share = np.where(side, weight, 0.0)
            total = share.sum()
            Z.append(problem.adjoint(share) / total)
            targets.append(share @ y / total)
            weights.append(total)
        elif always:
            Z.append(np.zeros(problem.n_coef))
            targets.append(0.0)
            weights.append(1.0)
    totals = np.array(weights)
    return np.reshape(Z, (-1, problem.n_coef)), np.array(targets), totals, totals
