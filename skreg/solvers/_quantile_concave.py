r"""Linear quantile models under penalties that are concave in the size of a coefficient, or in the norm of a group.

    minimise over w, b:   sum_i s_i psi_tau(y_i - x_i . w - b) + sum_k phi_k(size_k(w))

where size_k is abs(w_k), or the norm of a group. A concave phi_k lies below its tangent: the problem with tangents in
place of the phi_k, a weighted (group) Lasso, has a solution that is no worse for phi (local linear approximation), and
so on from the tangents there. The first tangents are those at zero.

With absolute values each solution is a vertex, of which there are finitely many, and no objective comes back: after a
few steps the tangents stay as they are, and the optimality conditions of the concave problem hold to rounding. With
norms the steps converge; Newton steps on the concave problem itself, from the groups and the zero residuals that a step
ends with, bring that to its end.

References
----------
H. Zou, R. Li (2008). One-step sparse estimates in nonconcave penalized likelihood models. Annals of Statistics 36(4).
L. Wang, Y. Wu, R. Li (2012). Quantile regression for analyzing heterogeneity in ultra-high dimension. JASA 107(497).
"""

from dataclasses import replace

import numpy as np

from skreg.solvers._interior_point_fit import pose, solve_problem
from skreg.solvers._interior_point_problem import certified
from skreg.solvers._quantile_group_finish import finish
from skreg.solvers._quantile_group_problem import certified as certified_groups
from skreg.solvers._quantile_groups import GroupModel, without_singletons

_STEPS = 100
_SETTLED = 1e-13  # change of the tangents, over the steepest, that rounding leaves
_NO_GAIN = 1e-14  # of the objective, relative, that is none
_EXACT = 1e-13  # violation, over the loss's slope, that rounding leaves
_NEAR = 1e-5  # violation, over the loss's slope, from which the finish is tried after each step
_ROUNDS = 3  # guesses of one finish: tangents tell more than a wrong guess
_TINY = 1e-300  # a size at which the slope is that at zero


class Concave:
    """Concave functions phi_k of sizes, by a penalty of scalars.

    Parameters
    ----------
    penalty : SeparablePenalty
        MCP, SCAD, or another with `derivative` and `second_derivative`.
    alpha : float
        Strength.
    weights : ndarray of shape (n_sizes,)
        Multiplies `alpha`; 0 for none.
    scale : float or ndarray of shape (n_sizes,), default=1.0
        The penalty is that of `scale` times the size.
    """

    def __init__(self, penalty, alpha, weights, scale=1.0):
        bound = np.full(len(weights), np.inf)
        self.penalty, self.scale = penalty, scale
        self.pen = penalty.bind(alpha, weights, -bound, bound, None)

    def value(self, size):
        """Sum of the phi_k."""
        return float(np.sum(self.penalty.values(self.scale * size, self.pen)))

    def slopes(self, size):
        """Derivatives of the phi_k, at zero those from above."""
        return self.scale * self.penalty.derivative(np.maximum(self.scale * size, _TINY), self.pen)

    def bends(self, size):
        """Second derivatives of the phi_k."""
        return self.scale**2 * self.penalty.second_derivative(self.scale * size, self.pen)


def fit_quantiles_concave(
    X, y, levels, weight, concave, *, fit_intercept=True, lower=-np.inf, upper=np.inf, tol=1e-6, max_iter=200
):
    """Solve the problem with absolute values at each of the levels, by itself.

    Parameters
    ----------
    X, y, levels, weight, fit_intercept, lower, upper, tol, max_iter : as in `fit_quantiles`
    concave : Concave
        The penalty, one function a feature.

    Returns
    -------
    fit : QuantileFit
        Its gaps are infinite: the problem is not convex.
    """
    terms = dict(l1=concave.slopes(np.zeros(X.shape[1])), ridge=0.0, centre=0.0, lower=lower, upper=upper)
    terms = {name: np.broadcast_to(np.asarray(a, dtype=np.float64), X.shape[1]) for name, a in terms.items()}
    model = pose(X, y, weight, fit_intercept, False, **terms)
    return _fit(_Separable(model, concave), levels, tol, max_iter)


def fit_quantile_groups_concave(X, y, levels, weight, concave, labels, *, fit_intercept=True, tol=1e-6, max_iter=200):
    """Solve the problem with norms of groups at each of the levels, by itself.

    Parameters
    ----------
    X, y, levels, weight, labels, fit_intercept, tol, max_iter : as in `fit_quantile_groups`
    concave : Concave
        The penalty, one function a group.

    Returns
    -------
    fit : QuantileFit
        Its gaps are infinite: the problem is not convex.
    """
    l1, joint = without_singletons(np.zeros(X.shape[1]), labels, concave.slopes(np.zeros(labels.max() + 1)))
    model = GroupModel(X, y, weight, fit_intercept, l1, labels, joint)
    return _fit(_Grouped(model, concave, labels), levels, tol, max_iter)


def _fit(form, levels, tol, max_iter):
    levels = np.atleast_1d(np.asarray(levels, dtype=np.float64))
    base = form.base
    if base.size == 0.0:
        return base.perfect(levels)
    fit = base.report([_descend(form, level, tol, max_iter) for level in levels], levels)
    return fit._replace(gaps=np.full(len(levels), np.inf))


def _descend(form, level, tol, max_iter):
    """Tangents, and the solution of their problem, in turns."""
    tangents = form.tangents(np.zeros(form.n_features))
    steepest = max(float(a.max(initial=0.0)) for a in tangents)
    near = _NEAR * max(form.base.null_at(float(level)).slope, 1e-300)
    b, best, n_iter = None, np.inf, 0
    for k in range(_STEPS):
        problem = form.problem(level, tangents)
        found = form.solve(problem, level, tangents, b, tol, max_iter)
        n_iter += found.n_iter
        b = found.coef
        last, tangents = tangents, form.tangents(form.coefficients(b))
        change = max(float(np.abs(new - old).max(initial=0.0)) for new, old in zip(tangents, last))
        solution = form.certify(level, tangents, b, found.dual, found.residuals)
        value = form.objective(solution, level)
        settled = change <= _SETTLED * steepest or value >= best - _NO_GAIN * abs(best)
        best = min(best, value)
        worth = k and not k & (k - 1) or solution.violations.max(initial=0.0) <= near  # after 1, 2, 4, 8, ... steps
        finished = form.finished(level, solution) if worth and change > _SETTLED * steepest else None
        if finished is not None and form.objective(finished, level) <= best + _NO_GAIN * abs(best):
            solution = finished
            break
        if settled:
            break
    return solution._replace(n_iter=n_iter)


class _Separable:
    """Absolute values: weights of the L1 norm are the tangents."""

    def __init__(self, model, concave):
        self.base, self.concave, self.n_features = model, concave, len(model.null)

    def coefficients(self, b):
        return self.base.coefficients(b)[0]

    def tangents(self, w):
        return (self.concave.slopes(np.abs(w)),)

    def problem(self, level, tangents):
        return replace(self.base, terms=dict(self.base.terms, l1=tangents[0])).problem(level)

    def solve(self, problem, level, tangents, b, tol, max_iter):
        null = replace(self.base, terms=dict(self.base.terms, l1=tangents[0])).null_solution(problem, float(level))
        return solve_problem(problem, b, tol, max_iter) if null is None else null

    def certify(self, level, tangents, b, d, r):
        return certified(self.problem(level, tangents), b, d, 0.0, 0, True, r)

    def objective(self, solution, level):
        loss = _loss(self.base, solution, level)
        return loss + self.concave.value(np.abs(self.coefficients(solution.coef))) / self.base.size

    def finished(self, level, solution):
        return None  # vertices are exact


class _Grouped:
    """Norms of groups: their weights are the tangents, for groups of one coefficient those of its absolute value."""

    def __init__(self, model, concave, labels):
        self.model, self.base, self.concave, self.labels = model, model.base, concave, labels
        self.n_features = len(labels)

    def coefficients(self, b):
        return self.base.coefficients(b)[0]

    def norms(self, w):
        return np.sqrt(np.bincount(self.labels, weights=w * w, minlength=len(self.model.joint)))

    def tangents(self, w):
        return without_singletons(np.zeros(len(w)), self.labels, self.concave.slopes(self.norms(w)))

    def problem(self, level, tangents):
        return self.model.problem(level, *tangents)

    def solve(self, problem, level, tangents, b, tol, max_iter):
        return self.model.solve(level, b, tol, max_iter, problem)

    def certify(self, level, tangents, b, d, r):
        return certified_groups(self.problem(level, tangents), b, d, 0, r)

    def objective(self, solution, level):
        loss = _loss(self.base, solution, level)
        return loss + self.concave.value(self.norms(self.coefficients(solution.coef))) / self.base.size

    def finished(self, level, solution):
        """The local minimum of the concave problem that Newton's steps lead to, or None."""
        base, first = self.base, int(self.base.fit_intercept)
        unit = base.scale[base.moving] / base.size
        label = self.labels[base.moving]
        start = self.problem(level, self.tangents(self.coefficients(solution.coef)))

        def certify(b, d, r):
            tangents = self.tangents(self.coefficients(b))
            return certified_groups(self.problem(level, tangents), b, d, 0, r)._replace(gap=np.inf)

        def derivatives(b):
            norms = self.norms(self.coefficients(b))
            slope, bend = self.concave.slopes(norms)[label], self.concave.bends(norms)[label]
            size = norms[label]
            across = np.divide(slope, size, out=np.zeros_like(size), where=size > 0)
            gradient = np.zeros(len(b))
            gradient[first:] = across * (b[first:] / unit) / (unit * base.size)
            kinds = start.label[first:]
            both = np.zeros((2, len(start.joint)))
            both[:, kinds] = np.stack([across, bend]) / (unit**2 * base.size)
            return gradient, both[0], both[1]

        close = np.where(solution.residuals == 0.0, 2.0, 1e-3)
        slope = max(base.null_at(float(level)).slope, 1e-300)
        found = finish(
            start, solution.coef, solution.dual, solution.coef != 0, close, certify,
            lambda s: s.violations.max(initial=0.0) <= _EXACT * slope, derivatives, _ROUNDS,
        )  # fmt: skip
        small = found is not None and found.violations.max(initial=0.0) <= 10.0 * _EXACT * slope
        return found if small else None


def _loss(base, solution, level):
    """The loss in the units of the scaled problem."""
    weight, r = base._host[1], solution.residuals
    return float(weight @ np.maximum(level * r, (level - 1.0) * r))
