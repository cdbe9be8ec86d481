"""Linear quantile models at one level for decreasing strengths of their penalty.

With an L1 penalty the solution moves from vertex to vertex as the strength falls, by pivots (`_quantile_pivots`); what
pivots do not reach, and any other penalty, is solved by `solve_problem`, from the solution before.
"""

from dataclasses import dataclass, replace

import numpy as np

from skreg._backend import to_numpy
from skreg.solvers._interior_point_fit import solve_problem
from skreg.solvers._interior_point_problem import certified
from skreg.solvers._quantile_pivots import Pivots, is_served

_EMPTY = 1e-13  # share of alpha_max by which rounding may leave an alpha below it
_CLOSE = 1e-12  # gap of a vertex, beyond which its problem is solved anew
_FIRST = 50  # columns that the linear program of alpha_max begins with
_VIOLATED = 1e-10  # of a slope's bound, beyond which a column joins that program
_ROUNDS = 100


@dataclass
class Origin:
    """The model without the penalised coefficients, with the dual point that keeps it optimal the longest."""

    b: np.ndarray
    r: np.ndarray
    d: np.ndarray
    z: np.ndarray
    alpha_max: float
    is_vertex: bool  # as many zero residuals as coefficients, so that pivots can start there

    @classmethod
    def of(cls, problem, null):
        """That of a problem of strength one, whose null model is known."""
        free = unpenalised(problem)
        b = np.zeros(problem.n_coef)
        if len(free) == int(problem.rows.intercept):
            b[free], d = null.intercept, null.dual
            r = to_numpy(problem.y) - null.intercept
        else:
            few = solve_problem(problem.columns(problem.on_device(free)))
            b[free], r, d = few.coef, few.residuals, few.dual
        ties = np.flatnonzero(r == 0)
        if len(ties) > len(free):
            d = _lasting(problem, d, ties, free)
        z = problem.adjoint(d)
        alpha_max = float(_ratios(problem, z).max(initial=0.0))
        if np.any((problem.l1 == 0) & (problem.ridge > 0)):  # a ridge alone makes no coefficient zero
            alpha_max = np.inf
        return cls(b, r, d, z, alpha_max, len(ties) == len(free))

    def empties(self, alpha):
        """Whether the strength `alpha` is at least `alpha_max`, but for rounding."""
        return alpha >= self.alpha_max * (1.0 - _EMPTY)

    def solution(self, problem):
        """The solution of a problem whose strength is at least `alpha_max`."""
        return certified(problem, self.b, self.d, 0.0, 0, True, self.r)


def unpenalised(problem):
    """The columns that no strength keeps at zero, the intercept's among them."""
    return np.flatnonzero((problem.l1 == 0) & (problem.ridge == 0))


def at_strength(problem, alpha):
    """A problem of strength one at another."""
    return replace(problem, l1=alpha * problem.l1, ridge=alpha * problem.ridge)


def _ratios(problem, z):
    """The strength from which each slope is within its bounds."""
    pull = np.maximum(np.where(problem.upper > 0, z, 0.0), np.where(problem.lower < 0, -z, 0.0))
    penalised = problem.l1 > 0
    return np.divide(pull, problem.l1, out=np.zeros_like(z), where=penalised)


def _lasting(problem, d, ties, free):
    """The dual point for which the smallest strength suffices, among those that differ on `ties`: a linear program.

    Few columns bind; the others are left out until they are violated.
    """
    from scipy.optimize import linprog  # not above: few need it

    high, low = problem.host
    d = d.copy()
    Z = to_numpy(problem.rows.take(problem.on_device(ties)))
    rest = d.copy()
    rest[ties] = 0.0
    c, u = problem.adjoint(rest), problem.l1
    strengths = _ratios(problem, problem.adjoint(d))
    chosen = strengths >= np.sort(strengths)[-min(_FIRST, len(strengths))]
    box = [*zip(-low[ties], high[ties]), (0.0, None)]
    for _ in range(_ROUNDS):
        rows, ends = [], []
        for sign, may in ((1.0, problem.upper > 0), (-1.0, problem.lower < 0)):
            j = np.flatnonzero(chosen & may & (u > 0))
            rows.append(np.column_stack([sign * Z[:, j].T, -u[j]]))
            ends.append(-sign * c[j])
        equal = np.column_stack([Z[:, free].T, np.zeros(len(free))]) if len(free) else None
        cost = np.append(np.zeros(len(ties)), 1.0)
        scale = 1.0 / np.max(high + low)  # so that the program's tolerances are small beside its numbers
        found = linprog(
            cost,
            np.concatenate(rows),
            scale * np.concatenate(ends),
            equal,
            None if equal is None else -scale * c[free],
            bounds=[(scale * a, None if e is None else scale * e) for a, e in box],
            method="highs-ds",
            options=dict(primal_feasibility_tolerance=1e-10, dual_feasibility_tolerance=1e-10),
        )
        if found.status != 0:
            return d
        d[ties] = np.clip(found.x[:-1] / scale, -low[ties], high[ties])
        strengths = _ratios(problem, problem.adjoint(d))
        new = (strengths > (found.x[-1] / scale) * (1.0 + _VIOLATED) + 1e-300) & ~chosen
        if not new.any():
            return d
        chosen |= new
    return d


def quantile_path(problem, origin, alphas, tol=1e-6, max_iter=200):
    """Yield the solutions for decreasing `alphas`, each from the one before.

    Parameters
    ----------
    problem : QuantileProblem
        The problem of strength one.
    origin : Origin
        Where its path begins.
    alphas : sequence of float
        Strengths, decreasing.
    tol, max_iter : as in `fit_quantiles`

    Yields
    ------
    solution : QuantileSolution
        The solution at one strength; `n_iter` counts pivots, too.
    """
    served = is_served(problem, len(alphas))
    pivots = solution = None
    if served and origin.is_vertex:
        rows, columns = np.flatnonzero(origin.r == 0), np.flatnonzero(problem.l1 == 0)
        pivots = Pivots(problem, rows, columns, origin.alpha_max, origin.b, origin.r, origin.d, origin.z)
    for alpha in alphas:
        posed = at_strength(problem, alpha)
        if origin.empties(alpha):
            solution = origin.solution(posed)
            yield solution
            continue
        found = None
        if pivots is not None:
            before = pivots.n_pivots
            found = pivots.follow(alpha)
            if found is not None:
                found = found._replace(n_iter=pivots.n_pivots - before)
        if found is None or found.gap > _CLOSE:
            found = solve_problem(posed, None if solution is None else solution.coef, tol, max_iter)
            pivots = Pivots.at(problem, alpha, found) if served and found.exact else None
        solution = found
        yield solution
