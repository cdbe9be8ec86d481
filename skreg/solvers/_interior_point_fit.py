r"""Linear quantile models at several levels, from data in its own units: what the estimators call.

    minimise over w, b:   sum_i s_i psi_{tau_i}(y_i - x_i . w - b) + sum_j l1_j |w_j - centre_j|
                          + 1/2 sum_j ridge_j (w_j - centre_j)^2,     lower <= w <= upper,  (sum_j w_j = 1)

with weights s_i that sum to one and psi_tau(r) = max(tau r, (tau - 1) r), for each level by itself, or for all together
under the condition that they do not cross (`_interior_point_joint`). `fit_quantiles` scales the problem, chooses the
method (few rows of tall problems, few coefficients of wide ones), and takes the solution back.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from skreg._backend import get_namespace_and_device, is_numpy, move_to, to_numpy
from skreg._design import as_design
from skreg.solvers._interior_point_level import ROUGH, solve_level, solve_levels
from skreg.solvers._interior_point_problem import QuantileProblem, certified
from skreg.solvers._interior_point_rows import DenseRows, DesignRows
from skreg.solvers._interior_point_subset import is_tall, solve_tall
from skreg.solvers._interior_point_wide import is_wide, solve_wide

_OPTIMAL = 1e-13  # violation, over the loss's slope, that rounding may leave at the null model
_SEVERAL = 3  # levels from which small problems are solved together
_SMALL = 2**15  # numbers in the rows of a small problem
_CONSTANT = 1e-28  # variance over mean square below which a column is constant but for rounding


class QuantileFit(NamedTuple):
    """Solutions at all levels, with their certificates."""

    coefs: np.ndarray  # (n_levels, n_features)
    intercepts: np.ndarray  # (n_levels,)
    n_iters: np.ndarray  # (n_levels,) interior-point steps
    gaps: np.ndarray  # (n_levels,) duality gap over the null model's objective
    violations: np.ndarray  # (n_levels,) largest KKT violation over the null model's largest gradient entry
    exact: np.ndarray  # (n_levels,) whether the solution is a vertex
    duals: np.ndarray  # (n_levels, n_samples) subgradients of the weighted loss, s_i tau - s_i to s_i tau


def fit_quantiles(
    X,
    y,
    levels,
    weight=None,
    *,
    fit_intercept=True,
    l1=0.0,
    ridge=0.0,
    centre=0.0,
    lower=-np.inf,
    upper=np.inf,
    simplex=False,
    non_crossing=False,
    tol=1e-6,
    max_iter=200,
):
    """Solve the problem above at each of the levels.

    Parameters
    ----------
    X : array, or sparse matrix or array, of shape (n_samples, n_features)
        Data in float64, of any array namespace.
    y : array of shape (n_samples,)
        Target, of the same namespace.
    levels : array-like of shape (n_levels,) or (n_levels, n_samples)
        Levels between 0 and 1, increasing; in two dimensions the samples have levels of their own.
    weight : array of shape (n_samples,), default=None
        Non-negative weights; only their ratios count. Rows of weight 0 are left out.
    fit_intercept : bool, default=True
        Whether there is an intercept, which nothing penalises.
    l1, ridge, centre, lower, upper : float or array of shape (n_features,)
        The separable terms. Bounds may hold a coefficient at one value.
    simplex : bool, default=False
        Whether the coefficients sum to one; with ``lower=0.0`` they are a mixture's weights.
    non_crossing : {False, "rows", "box"}, default=False
        Whether predictions must increase with the level, on the rows of X or in the box that they span.
    tol : float, default=1e-6
        Duality gap to reach, over the null model's objective. What has no ridge ends at a vertex, which has none.
    max_iter : int, default=200
        Largest number of interior-point steps of one solve.

    Returns
    -------
    fit : QuantileFit
        Solutions on the host.
    """
    levels = np.atleast_1d(np.asarray(levels, dtype=np.float64))
    terms = dict(l1=l1, ridge=ridge, centre=centre, lower=lower, upper=upper)
    terms = {name: np.broadcast_to(np.asarray(a, dtype=np.float64), X.shape[1]) for name, a in terms.items()}
    model = pose(X, y, weight, fit_intercept, simplex, **terms)
    if model.size == 0.0:
        return model.perfect(levels)
    solutions = solve_apart(model, levels, tol, max_iter)
    if non_crossing and len(levels) > 1:
        from skreg.solvers._interior_point_joint import solve_joint

        problems = [model.problem(level) for level in levels]
        solutions = solve_joint(problems, solutions, non_crossing == "box", tol, max_iter)
    return model.report(solutions, levels)


def solve_apart(model, levels, tol, max_iter):
    """Solutions at each level, each a start for its neighbours, from the most central level outwards."""
    mean_levels = levels if levels.ndim == 1 else levels.mean(axis=1)
    first = int(np.argmin(np.abs(mean_levels - 0.5)))
    solutions: list[Any] = [None] * len(levels)
    if _at_once(model, levels, tol):
        problems = [model.problem(level) for level in levels]
        solutions = [model.null_solution(*pair) for pair in zip(problems, levels)]
        left = [k for k, solution in enumerate(solutions) if solution is None]
        for k, solution in zip(left, solve_levels([problems[k] for k in left], tol, max_iter) if left else []):
            solutions[k] = solution
    for k in [*range(first, len(levels)), *range(first - 1, -1, -1)]:
        if solutions[k] is not None:
            continue
        neighbour = solutions[k - 1] if k > first else solutions[k + 1] if k < first else None
        start = None if neighbour is None else neighbour.coef
        problem = model.problem(levels[k])
        solutions[k] = model.null_solution(problem, levels[k]) or solve_problem(problem, start, tol, max_iter)
    return solutions


def _at_once(model, levels, tol):
    """Whether to solve all levels in one go: where calls of functions would cost more than the work."""
    problem = model.problem(levels[0])
    if len(levels) < _SEVERAL or is_wide(problem) or tol >= ROUGH or problem.rows.is_sparse:
        return False
    return problem.n_rows * problem.n_coef <= _SMALL


def solve_problem(problem, b=None, tol=1e-6, max_iter=200):
    """Solve one problem by the method that suits its shape, from a rough solution `b` where there is one."""
    if is_wide(problem):
        return solve_wide(problem, _solve_narrow, b, tol, max_iter)
    return _solve_narrow(problem, b, tol, max_iter)


def _solve_narrow(problem, b, tol, max_iter):
    if is_tall(problem) and tol < ROUGH:
        return solve_tall(problem, b, tol, max_iter)
    return solve_level(problem, tol, max_iter)


class Null(NamedTuple):
    """The model whose coefficients are at their centres, at one level."""

    intercept: float
    objective: float
    dual: np.ndarray
    slope: float  # largest gradient entry, in units of X


@dataclass
class QuantileModel:
    """Data in units in which columns, targets and coefficients are of size about one.

    Solved for is the change from the null model, whose coefficients are at their centres (all equal on the simplex).
    """

    rows: Any  # of the columns that vary and may move
    y: Any  # what the null model leaves, over `size`
    weight: Any
    size: float
    shift: float
    moving: np.ndarray  # columns of X that `rows` has
    scale: np.ndarray  # (n_features,)
    means: np.ndarray  # (n_features,)
    null: np.ndarray  # (n_features,)
    terms: dict
    fit_intercept: bool
    simplex: bool
    kept: np.ndarray  # (n_samples,) whether a sample has weight
    xp: Any
    _nulls: dict = field(default_factory=dict)

    def problem(self, level):
        """The problem at one level, or at one level a sample."""
        xp, j = self.xp, self.moving
        level = self._of_kept(level)
        unit = self.scale[j] / self.size
        away = {name: (self.terms[name][j] - self.null[j]) * unit for name in ("centre", "lower", "upper")}
        terms = dict(
            away, l1=self.terms["l1"][j] / self.scale[j], ridge=self.terms["ridge"][j] / (unit * self.scale[j])
        )
        if self.fit_intercept:
            free = dict(centre=0.0, lower=-np.inf, upper=np.inf, l1=0.0, ridge=0.0)
            terms = {name: np.concatenate([[free[name]], a]) for name, a in terms.items()}
        scale = self.null_at(level).objective
        if np.ndim(level):
            level = xp.asarray(level, device=self.y.device)
        equality = 1.0 / self.scale[j] / np.max(1.0 / self.scale[j]) if self.simplex else None
        if self.simplex and self.fit_intercept:
            equality = np.concatenate([[0.0], equality])
        high, low = self.weight * level, self.weight * (1.0 - level)
        return QuantileProblem(
            self.rows, self.y, high, low, **terms, equality=equality, scale=max(scale, 1e-300), xp=self.xp
        )

    @cached_property
    def _host(self):
        return to_numpy(self.y), to_numpy(self.weight)

    def null_at(self, level):
        """The null model at one level: intercept (in `size`), objective, dual point and largest gradient entry."""
        key = float(level) if np.ndim(level) == 0 else level.tobytes()
        if key not in self._nulls:
            y, weight = self._host
            q = weighted_quantile(y, weight, level) if self.fit_intercept else 0.0
            r = y - q
            d = weight * np.where(r > 0, level, np.where(r < 0, level - 1.0, 0.0))
            at = r == 0
            if self.fit_intercept:  # what makes the sum zero is in the box, as q is a quantile
                d[at] = -d.sum() * (weight[at] / weight[at].sum())
            z = to_numpy(self.rows.adjoint(self.xp.asarray(d, device=self.y.device)[None, :])[0, :])
            slope = np.max(np.abs(z[int(self.fit_intercept) :]) * self.scale[self.moving], initial=0.0)
            self._nulls[key] = Null(q, float(weight @ np.maximum(level * r, (level - 1.0) * r)), d, float(slope))
        return self._nulls[key]

    def null_solution(self, problem, level):
        """The null model's solution where that is optimal, else None.

        Where all quantiles between two entries of y are optimal, it is the lower of the two whatever the rows' order.
        """
        if self.simplex:
            return None
        null = self.null_at(self._of_kept(level))
        b = np.zeros(problem.n_coef)
        b[: int(self.fit_intercept)] = null.intercept
        solution = certified(problem, b, null.dual, 0.0, 0, True, self._host[0] - null.intercept)
        return solution if np.max(solution.violations, initial=0.0) <= _OPTIMAL else None

    def _of_kept(self, level):
        return level[self.kept] if np.ndim(level) else float(level)

    def coefficients(self, b):
        """Coefficients and intercept in the units of X and y; kinks are exact."""
        first = int(self.fit_intercept)
        w, j = self.null.copy(), self.moving
        unit = self.scale[j] / self.size
        w[j] = w[j] + b[first:] / unit
        for name in ("centre", "lower", "upper"):
            kink = self.terms[name][j]
            resting = b[first:] == (kink - self.null[j]) * unit
            w[j[resting]] = kink[resting]
        if not self.fit_intercept:
            return w, 0.0
        return w, float(self.shift + self.size * b[0] - self.means @ (w - self.null))

    def report(self, solutions, levels):
        """The solutions in the units of X and y."""
        found = [self.coefficients(s.coef) for s in solutions]
        duals = np.zeros((len(solutions), len(self.kept)))
        first = int(self.fit_intercept)
        violations = []
        for k, s in enumerate(solutions):
            duals[k, self.kept] = s.dual
            worst = float(np.max(s.violations[first:] * self.scale[self.moving], initial=0.0))
            violations.append(worst / max(self.null_at(self._of_kept(levels[k])).slope, 1e-300) if worst else 0.0)
        return QuantileFit(
            np.array([w for w, _ in found]).reshape(len(found), -1),
            np.array([b for _, b in found]),
            np.array([s.n_iter for s in solutions]),
            np.array([s.gap for s in solutions]),
            np.array(violations),
            np.array([s.exact for s in solutions]),
            duals,
        )

    def perfect(self, levels):
        """The fit where the null model leaves nothing."""
        m = len(levels)
        zero, duals = np.zeros(m), np.zeros((m, len(self.kept)))
        intercepts = np.full(m, self.shift if self.fit_intercept else 0.0)
        return QuantileFit(np.tile(self.null, (m, 1)), intercepts, zero.astype(int), zero, zero, zero == 0, duals)


def pose(X, y, weight, fit_intercept, simplex, tied=None, **terms):
    """The data as a `QuantileModel`; columns of equal label in `tied` share one unit, the largest of theirs."""
    xp, _, device = get_namespace_and_device(X)
    xp = np if is_numpy(xp) else xp
    n_samples, n_features = X.shape
    weight = xp.ones((n_samples,), dtype=xp.float64, device=device) if weight is None else weight
    kept = to_numpy(weight) > 0
    if not kept.all():
        rows = xp.asarray(np.flatnonzero(kept), device=device)
        X = X[np.flatnonzero(kept)] if is_numpy(xp) else xp.take(X, rows, axis=0)
        y, weight = xp.take(y, rows), xp.take(weight, rows)
    weight = weight / xp.max(weight)
    weight = weight / xp.sum(weight)
    means, scale = _moments(X, weight, fit_intercept, xp)
    null = (
        np.full(n_features, 1.0 / n_features) if simplex else np.clip(terms["centre"], terms["lower"], terms["upper"])
    )
    rest = y - _product(X, null, xp) if np.any(null) else y
    host, host_weight = to_numpy(rest), to_numpy(weight)
    shift = weighted_quantile(host, host_weight, 0.5) if fit_intercept else 0.0
    size = float(host_weight @ np.abs(host - shift))
    if size <= 1e-15 * float(host_weight @ np.abs(to_numpy(y))):
        size = 0.0
    moving = np.flatnonzero((scale > 0) & (terms["lower"] < terms["upper"]))
    if simplex:
        moving = np.flatnonzero(terms["lower"] < terms["upper"])
    if tied is not None:
        shared = np.zeros(tied.max() + 1)
        np.maximum.at(shared, tied, scale)
        scale = shared[tied]
    scale = np.where(scale > 0, scale, 1.0)
    rows = _rows(X, means, scale, moving, fit_intercept, xp)
    rest = (rest - shift) / (size or 1.0)
    return QuantileModel(
        rows, rest, weight, size, shift, moving, scale, means, null, terms, fit_intercept, simplex, kept, xp
    )


def _moments(X, weight, fit_intercept, xp):
    """Means (0 without an intercept) and root mean squares about them (0 where constant), on the host."""
    if is_numpy(xp):
        design = as_design(X)
        means = design.means(weight) if fit_intercept else np.zeros(X.shape[1])
        variance = design.curvature(weight, fit_intercept)
    else:
        means = weight @ X if fit_intercept else xp.zeros_like(X[0, ...])
        variance = to_numpy(weight @ (X - means) ** 2)
        means = to_numpy(means)
    return means, np.sqrt(np.where(variance > _CONSTANT * (variance + means**2), variance, 0.0))


def _rows(X, means, scale, moving, fit_intercept, xp):
    if is_numpy(xp):
        return DesignRows(as_design(X, scale), means, fit_intercept, moving)
    device = X.device
    Z = (X - xp.asarray(means, device=device)) / xp.asarray(scale, device=device)
    Z = xp.take(Z, xp.asarray(moving, device=device), axis=1)
    if fit_intercept:
        Z = xp.concat([xp.ones((X.shape[0], 1), dtype=Z.dtype, device=device), Z], axis=1)
    return DenseRows(Z, xp, fit_intercept)


def _product(X, w, xp):
    return np.asarray(X @ w).ravel() if sp.issparse(X) else X @ move_to(w, xp=xp, device=X.device)


def weighted_quantile(y, weight, level):
    """A minimiser of the weighted pinball loss among constants, which is an entry of y.

    For levels that differ from sample to sample it is the point where the loss's slope changes sign.
    """
    if np.ndim(level) == 0 and weight.min() == weight.max():
        place = int(np.ceil(len(y) * level * (1.0 - 1e-14))) - 1
        return float(np.partition(y, place)[place])
    order = np.argsort(y, kind="stable")
    below = np.cumsum(weight[order])
    target = np.sum(weight * level)
    place = int(np.searchsorted(below, target * (1.0 - 1e-14)))
    return float(y[order[min(place, len(y) - 1)]])
