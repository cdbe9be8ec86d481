r"""Linear quantile models with norms of groups of coefficients, at several levels, from data in its own units.

    minimise over w, b:   sum_i s_i psi_tau(y_i - x_i . w - b) + sum_j l1_j |w_j| + sum_g joint_g ||w_g||

with weights s_i that sum to one and psi_tau(r) = max(tau r, (tau - 1) r): the group Lasso, and the sparse-group Lasso.
An interior point on second-order cones comes near the optimum and tells which groups and residuals are zero there;
Newton steps on what remains end at the optimum (`_quantile_group_finish`). With many groups, those that stay at zero
are left out and checked at the end; with many rows, those whose residuals' signs are certain enter as two sums.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from skreg.solvers._interior_point_cones import cone_interior_point
from skreg.solvers._interior_point_fit import fit_quantiles, pose, solve_problem
from skreg.solvers._interior_point_problem import augmented
from skreg.solvers._interior_point_subset import globs, is_tall, pilot_size
from skreg.solvers._quantile_group_finish import finish
from skreg.solvers._quantile_group_problem import GroupProblem, certified

_GAPS = (1e-8, 1e-10, 1e-13)  # at which an exact solution is tried
_EXACT = 1e-11  # gap that rounding leaves: where many rows pass through the plane, more than at a vertex
_ROUGH = 1e-3  # tolerance from which on no exact solution is asked for
_OPTIMAL = 1e-13  # violation, over the loss's slope, that rounding may leave at the null model
_WIDE = 80  # coefficients from which a working set pays
_FIRST = 40  # coefficients in the first one, at least
_MOST = 0.7  # share of the coefficients from which all may as well take part
_ROUGH_PRICE = 1.1  # of what holds a group at zero, from which it joins while solutions are rough
_FEW_MORE = 0.05  # of the working set: fewer that join end the rough rounds
_NEAR = 0.95  # of what holds a group at zero: a price as near keeps it in the working set
_MAX_ROUNDS = 100
_PILOT_TOL = 3e-3
_TRIALS = 4
_REVISIONS = 5
_MORE = 2.0  # rows kept in one trial over those in the one before
_TOO_WRONG = 0.1  # wrong signs, over the rows kept, from which more rows are kept


def fit_quantile_groups(
    X, y, levels, weight=None, *, labels, joint, l1=0.0, fit_intercept=True, tol=1e-6, max_iter=200
):
    """Solve the problem above at each of the levels.

    Parameters
    ----------
    X : array, or sparse matrix or array, of shape (n_samples, n_features)
        Data in float64, on the host.
    y : ndarray of shape (n_samples,)
        Target.
    levels : array-like of shape (n_levels,)
        Levels between 0 and 1, increasing.
    weight : ndarray of shape (n_samples,), default=None
        Non-negative weights; only their ratios count. Rows of weight 0 are left out.
    labels : ndarray of int of shape (n_features,)
        Number of each column's group.
    joint : ndarray of shape (n_groups,)
        Weights of the norms; 0 for none.
    l1 : float or ndarray of shape (n_features,), default=0.0
        Weights of the absolute values.
    fit_intercept : bool, default=True
        Whether there is an intercept, which nothing penalises.
    tol : float, default=1e-6
        Duality gap to reach, over the null model's objective; exact solutions, where they are found, have none.
    max_iter : int, default=200
        Largest number of interior-point steps of one solve.

    Returns
    -------
    fit : QuantileFit
        Solutions on the host; `exact` where the gap is but rounding.
    """
    levels = np.atleast_1d(np.asarray(levels, dtype=np.float64))
    l1, joint = without_singletons(np.broadcast_to(np.asarray(l1, dtype=np.float64), X.shape[1]), labels, joint)
    if not joint.any():  # a linear program
        return fit_quantiles(X, y, levels, weight, fit_intercept=fit_intercept, l1=l1, tol=tol, max_iter=max_iter)
    model = GroupModel(X, y, weight, fit_intercept, l1, labels, joint)
    if model.size == 0.0:
        return model.perfect(levels)
    first = int(np.argmin(np.abs(levels - 0.5)))
    solutions: list = [None] * len(levels)
    for k in [*range(first, len(levels)), *range(first - 1, -1, -1)]:
        neighbour = solutions[k - 1] if k > first else solutions[k + 1] if k < first else None
        start = None if neighbour is None else neighbour.coef
        solutions[k] = model.solve(levels[k], start, tol, max_iter)
    return model.report(solutions, levels)


def without_singletons(l1, labels, joint):
    """The weights with those of groups of one coefficient, whose norm is its absolute value, among the `l1`."""
    single = (np.bincount(labels, minlength=len(joint)) == 1) & (joint > 0)
    return l1 + np.where(single, joint, 0.0)[labels], np.where(single, 0.0, joint)


class GroupModel:
    """Data in units of size about one, as `QuantileModel`, but that the columns of a group share one unit."""

    def __init__(self, X, y, weight, fit_intercept, l1, labels, joint):
        n_features = X.shape[1]
        zero, free = np.zeros(n_features), np.full(n_features, np.inf)
        terms = dict(l1=l1, ridge=zero, centre=zero, lower=-free, upper=free)
        tied = np.where(joint[labels] > 0, labels, len(joint) + np.arange(n_features))
        self.base = pose(X, y, weight, fit_intercept, False, tied=tied, **terms)
        self.labels, self.joint = labels, joint
        self.report, self.perfect, self.size = self.base.report, self.base.perfect, self.base.size

    def problem(self, level, l1=None, joint=None):
        """The problem at one level, at other weights of the penalty where these are given."""
        base = self.base if l1 is None else replace(self.base, terms=dict(self.base.terms, l1=l1))
        joint = self.joint if joint is None else joint
        kept, label = np.unique(self.labels[base.moving], return_inverse=True)
        unit = np.ones(len(kept))
        unit[label] = base.scale[base.moving]  # where there is a norm, all columns of a group have the same
        label = np.concatenate([[-1], label]) if base.fit_intercept else label
        return GroupProblem.of(base.problem(level), label, joint[kept] / unit)

    def null_solution(self, problem, level):
        """The null model's solution where that is optimal, else None."""
        null = self.base.null_at(float(level))
        b = np.zeros(problem.n_coef)
        b[: int(self.base.fit_intercept)] = null.intercept
        solution = certified(problem, b, null.dual, 0)
        return solution if np.max(solution.violations, initial=0.0) <= _OPTIMAL else None

    def solve(self, level, start, tol, max_iter, problem=None):
        """The solution at one level (of `problem` there), from rough coefficients where there are any."""
        problem = self.problem(level) if problem is None else problem
        null = self.null_solution(problem, level)
        if null is not None:
            return null
        if not problem.joint.any():  # a linear program
            return solve_problem(problem, start, tol, max_iter)
        return solve_groups(problem, start, tol, max_iter)


def solve_groups(problem, b=None, tol=1e-6, max_iter=200):
    """Solve one problem by the method that suits its shape, from a rough solution `b` where there is one."""
    if problem.n_coef > _WIDE and np.sum(~problem.free) > problem.n_coef // 2:
        return _solve_wide(problem, b, tol, max_iter)
    return _solve_narrow(problem, tol, max_iter)


def _solve_narrow(problem, tol, max_iter):
    if is_tall(problem) and tol < _ROUGH:
        return _solve_tall(problem, tol, max_iter)
    return solve_cones(problem, tol, max_iter)


# ------------------------------------------------------------ all rows, all coefficients
def solve_cones(problem, tol=1e-6, max_iter=200):
    """Solve with all rows and coefficients: interior point, then the exact finish."""
    problem = replace(problem, rows=problem.rows.dense())
    rows, *arrays = augmented(problem)
    y, high, low = (a[0] for a in arrays)
    cones = problem.cones
    point: Any = None
    best: Any = None
    for gap in [tol] if tol >= _ROUGH else [min(tol, gap) for gap in _GAPS]:
        left = max_iter - (0 if point is None else point.n_iter)
        point = cone_interior_point(rows, y, high, low, cones, scale=problem.scale, tol=gap, max_iter=left, point=point)
        moving, close = read(problem, point, cones, high, low)
        b, d = np.where(moving, point.b, 0.0), point.d[: problem.n_rows]
        found = finished(problem, b, d, moving, close) if gap < _ROUGH else None
        if found is None or not found.exact:
            inside = certified(problem, b, d, 0)
            found = inside if found is None or inside.gap < found.gap else found
        best = found if best is None or found.gap < best.gap else best
        if best.exact:
            break
    return best._replace(n_iter=point.n_iter)


def finished(problem, b, d, moving, close):
    """The exact solution that a nearly optimal one leads to, certified; or None."""

    def certify(b, d, r):
        result = certified(problem, b, d, 0, r)
        return result._replace(exact=result.gap <= _EXACT)

    return finish(problem, b, d, moving, close, certify, lambda found: found.exact)


def read(problem, point, cones, high, low):
    """Which coefficients are not zero, and how close to zero residuals are; above 1 they are.

    Of two complements the one that is further from its end is the positive one.
    """
    slack = np.minimum(point.zu, point.zv) / (high + low)
    close = slack / (np.maximum(point.u, point.v) + 1e-300)
    n = problem.n_rows
    moving = np.ones(problem.n_coef, dtype=bool)
    moving[np.flatnonzero(problem.l1 > 0)[close[n:] > 1.0]] = False
    tail = point.b[cones.members]
    norms, ends = np.sqrt(cones.dot(tail, tail)), np.sqrt(cones.dot(point.s, point.s))
    moving[cones.members] &= (norms > 1.0 - ends / cones.radius)[cones.group]
    return moving, close[:n]


# ------------------------------------------------------------ few groups of many
def _solve_wide(problem, b, tol, max_iter):
    """Solve with a working set of groups: its dual point prices the others, and the worst priced join."""
    whole = problem.of_group(np.arange(len(problem.joint)), -1).astype(int)
    free = problem.free | (problem.label < 0)
    working = free.copy()
    if b is not None:
        working |= _complete(whole, b != 0)
    price, room = _null_prices(problem), max(_FIRST, problem.n_rows // 2)
    worst = np.where(price > 1.0, price, 0.0)
    working |= _complete(whole, _highest(problem, worst if worst.any() else price, room))
    if working.sum() > _MOST * problem.n_coef or not working.any():
        return _solve_narrow(problem, tol, max_iter)
    n_iter, rough = 0, tol < _ROUGH
    for _ in range(_MAX_ROUNDS):
        chosen = np.flatnonzero(working)
        solution = _solve_narrow(problem.columns(chosen), _ROUGH if rough else tol, max_iter)
        n_iter += solution.n_iter
        b = np.zeros(problem.n_coef)
        b[chosen] = solution.coef
        z = problem.adjoint(solution.dual)
        price = np.where(working, 0.0, _prices(problem, z))
        if rough:
            worst = price > _ROUGH_PRICE
            if worst.sum() >= _FEW_MORE * len(chosen):
                room = max(_FIRST, int(np.sum(b != 0)))
                working |= _complete(whole, _highest(problem, np.where(worst, price, 0.0), room))
                continue
            kept = free | _complete(whole, (b != 0) | (_prices(problem, z) > _NEAR))
            working = kept if kept.any() else working
            rough = False
            continue
        worst = price > 1.0 + 1e-11
        if not worst.any():
            break
        working |= _complete(whole, price > _NEAR)
    result = certified(problem, b, solution.dual, n_iter, solution.residuals)
    return result._replace(exact=result.gap <= _EXACT)


def _complete(whole, chosen):
    """The coefficients whose groups have a chosen one."""
    groups = np.zeros(whole.max() + 2, dtype=bool)
    groups[whole[chosen]] = True
    groups[-1] = False
    return groups[whole]


def _highest(problem, price, room):
    """The coefficients of highest price, about `room` of them."""
    priced = np.flatnonzero(price > 0)
    if len(priced) > room:
        priced = priced[np.argpartition(price[priced], -room)[-room:]]
    chosen = np.zeros(problem.n_coef, dtype=bool)
    chosen[priced] = True
    return chosen


def _prices(problem, z):
    """For each coefficient how near its group is to moving: from 1 on it does."""
    _, soft = problem.excess(z)
    joint, soft = problem.of_group(problem.joint), problem.of_group(problem.norms_of(soft))
    alone = np.divide(np.abs(z), problem.l1, out=np.zeros_like(z), where=problem.l1 > 0)
    return np.where(joint > 0, np.divide(soft, joint, out=np.zeros_like(soft), where=joint > 0), alone)


def _null_prices(problem):
    """Prices beside the null model: its residuals' signs, and where there is an intercept those about the quantile."""
    y, (high, low) = problem.y, problem.host
    middle = 0.0
    if (problem.label < 0).any():
        order = np.argsort(y, kind="stable")
        below = np.cumsum((high + low)[order])
        middle = y[order[min(int(np.searchsorted(below, high.sum())), len(y) - 1)]]
    d = np.where(y > middle, high, np.where(y < middle, -low, 0.0))
    return _prices(problem, problem.adjoint(d))


# ------------------------------------------------------------ few rows of many
def _solve_tall(problem, tol, max_iter):
    """Solve with those rows alone whose signs are open; the others enter as two sums (Portnoy and Koenker, 1997)."""
    size = pilot_size(*problem.rows.shape)
    sample = np.unique(np.random.default_rng(0).integers(0, problem.n_rows, size))
    pilot = solve_cones(_on_rows(problem, sample), _PILOT_TOL, max_iter)
    b, n_iter, n_kept = pilot.coef, pilot.n_iter, size
    norms = problem.norms
    for _ in range(_TRIALS):
        if 2 * n_kept > problem.n_rows:
            break
        solution, b, n_more = _by_few(problem, b, n_kept, norms, tol, max_iter)
        n_iter += n_more
        if solution is not None:
            return solution._replace(n_iter=n_iter)
        n_kept = int(_MORE * n_kept)
    solution = solve_cones(problem, tol, max_iter)
    return solution._replace(n_iter=n_iter + solution.n_iter)


def _on_rows(problem, index, extra=None):
    """The problem on these rows, with weights that keep their sum, or with `extra` rows: (Z, y, high, low)."""
    y, high, low = (a[index] for a in (problem.y, problem.high, problem.low))
    if extra is None:
        share = (problem.high.sum() + problem.low.sum()) / (high.sum() + low.sum())
        high, low = high * share, low * share
    else:
        y, high, low = (np.concatenate([a, e]) for a, e in zip((y, high, low), extra[1:]))
    return replace(
        problem, rows=problem.rows.subset(index, None if extra is None else extra[0]), y=y, high=high, low=low
    )


def _by_few(problem, b, n_kept, norms, tol, max_iter):
    """The solution from about `n_kept` rows around the fit `b`, or None where too many signs were wrong.

    Returns also the coefficients reached, a better fit than `b`, and the number of iterations.
    """
    near = np.abs(problem.residuals(b)) / norms
    r = problem.residuals(b)
    open_ = near <= np.partition(near, n_kept)[n_kept]
    below, above = (r < 0) & ~open_, (r > 0) & ~open_
    n_iter = 0
    for _ in range(_REVISIONS):
        kept = np.flatnonzero(~(below | above))
        solution = solve_cones(_on_rows(problem, kept, globs(problem, below, above)), tol, max_iter)
        n_iter += solution.n_iter
        r = problem.residuals(solution.coef)
        wrong = (below & (r > 0)) | (above & (r < 0))
        if not wrong.any():
            high, low = problem.host
            d = np.where(below, -low, high)
            d[kept] = solution.dual[: len(kept)]
            r[kept] = solution.residuals[: len(kept)]
            result = certified(problem, solution.coef, d, n_iter, r)
            return result._replace(exact=result.gap <= _EXACT), solution.coef, n_iter
        if wrong.sum() > _TOO_WRONG * n_kept:
            break
        below, above = below & ~wrong, above & ~wrong
    return None, solution.coef, n_iter
