"""Wide problems by few of their coefficients: those that rest at their kinks have no part in the others' solution.

A working set is solved, roughly at first; its dual point prices the coefficients left out, z_j = Z_j'd against the
slopes of phi_j at the kink; the worst priced join, until none is.
"""

import numpy as np

from skreg.solvers._interior_point_level import ROUGH
from skreg.solvers._interior_point_problem import certified
from skreg.solvers._interior_point_vertex import vertex

_WIDE = 80  # coefficients from which a working set pays
_FIRST = 40
_ROUGH_PRICE = 0.1  # of l1, from which a coefficient joins while solutions are rough
_FEW_MORE = 0.05  # of the working set: fewer that join end the rough rounds
_NEAR = 0.05  # of l1: a price as near to the kink's end keeps a coefficient in the working set
_MENDED = 2  # coefficients left out that pivots bring in sooner than another solve
_PIVOTS = 8
_MAX_ROUNDS = 100


def is_wide(problem):
    """Whether most coefficients may rest at their kinks, and there are many."""
    return problem.n_coef > _WIDE and np.sum(_can_rest(problem)) > problem.n_coef // 2


def solve_wide(problem, solve, b=None, tol=1e-6, max_iter=100):
    """Solve a problem for which `is_wide` holds.

    Parameters
    ----------
    problem : QuantileProblem
        The problem.
    solve : callable
        ``solve(problem, b, tol, max_iter)`` solves one of fewer coefficients.
    b : ndarray of shape (n_coef,), default=None
        A rough solution, whose support is the first working set.
    tol, max_iter : as in `solve_level`

    Returns
    -------
    solution : QuantileSolution
        Certified against all coefficients.
    """
    rests = _can_rest(problem)
    rest = np.clip(problem.centre, problem.lower, problem.upper)
    working = ~rests
    if b is not None:
        working |= b != rest
    if not working.any():
        working[:: max(1, problem.n_coef // _FIRST)] = True
    n_iter = 0
    for _ in range(_MAX_ROUNDS):
        chosen = np.flatnonzero(working)
        solution = solve(problem.columns(chosen), None, ROUGH, max_iter)
        n_iter += solution.n_iter
        b = _placed(rest, chosen, solution.coef)
        price = _prices(problem, b, solution)
        worst = np.flatnonzero((price > _ROUGH_PRICE * problem.l1 + problem.slope_tol) & ~working)
        if len(worst) < _FEW_MORE * len(chosen):
            break
        n_more = max(_FIRST, int(np.sum(b != rest)))
        working[worst[np.argsort(-price[worst])[:n_more]]] = True
    near = _prices(problem, b, solution, _NEAR * problem.l1) > 0
    working = ~rests | (b != rest) | near
    for _ in range(_MAX_ROUNDS):
        chosen = np.flatnonzero(working)
        solution = solve(problem.columns(chosen), None, tol, max_iter)
        n_iter += solution.n_iter
        b = _placed(rest, chosen, solution.coef)
        price = _prices(problem, b, solution)
        worst = (price > problem.slope_tol) & ~working
        if not worst.any():
            break
        pivoted = _pivoted(problem, b, solution) if solution.exact and worst.sum() <= _MENDED else None
        if pivoted is not None:
            return pivoted._replace(n_iter=n_iter)
        working |= worst
    return certified(problem, b, solution.dual, solution.nu, n_iter, solution.exact, solution.residuals)


def _placed(rest, chosen, coef):
    b = rest.copy()
    b[chosen] = coef
    return b


def _pivoted(problem, b, solution):
    """The vertex of all coefficients from that of the working set, where few pivots are missing."""
    close = np.where(solution.residuals == 0.0, 2.0, 1e-3)
    at_kink = (b == problem.centre) & (problem.l1 > 0) | (b == problem.lower) | (b == problem.upper)
    return vertex(problem, b, solution.dual, close, at_kink, _PIVOTS)


def _can_rest(problem):
    """Coefficients with a kink where the others' solution may leave them."""
    kink = (problem.l1 > 0) | (problem.lower == problem.centre) | (problem.upper == problem.centre)
    return kink & (problem.lower <= problem.centre) & (problem.centre <= problem.upper)


def _prices(problem, b, solution, margin=0.0):
    """How far Z'd is from the slopes of the phi_j, drawn in by a margin."""
    left, right = problem.slopes(b)
    z = problem.pull(b, solution.dual, solution.nu)
    return np.maximum(np.maximum(left + margin - z, z - right + margin), 0.0)
