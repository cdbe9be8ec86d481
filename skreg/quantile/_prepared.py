"""The problem of a `QuantileRegressor`: at one strength of its penalty for `fit`, at many for paths."""

from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np

from skreg._problem import Solution
from skreg.losses import Loss
from skreg.solvers._interior_point_fit import fit_quantiles, pose
from skreg.solvers._quantile_path import Origin, at_strength, quantile_path, unpenalised

_ROUNDING = 1e-12  # relative gap that rounding alone may leave


class Pinball(Loss):
    """The pinball loss, by which searches score: of several levels, the mean."""

    name = "pinball"

    def __init__(self, levels):
        self.levels = levels

    def value(self, y, eta, xp=np):
        """Loss of each sample; `eta` has one column a level, or is the only level's."""
        r = xp.reshape(y, (-1, 1)) - xp.reshape(eta, (y.shape[0], -1))
        return xp.mean(xp.maximum(self.levels * r, (self.levels - 1.0) * r), axis=1)

    def infimum(self, y, xp=np):
        """Zero for each sample."""
        return xp.zeros_like(y)


@dataclass
class PreparedQuantiles:
    """Validated data and the penalty per coefficient, and where the results belong."""

    X: object
    y: object
    weight: object
    levels: np.ndarray
    single: bool  # whether `quantile` is a number
    terms: dict  # at alpha=1
    penalty: object  # what solves a penalty that is more than terms, or None
    fit_intercept: bool
    non_crossing: object
    xp: object
    device: object
    dtype: object
    fitted: dict = field(default_factory=dict)

    @property
    def n_outputs(self):
        """Linear predictors a sample."""
        return len(self.levels)

    @property
    def data(self):
        """What searches ask of data: by which loss to score."""
        return SimpleNamespace(loss=Pinball(self.levels), y=self.y)

    def on_device(self, array):
        """A result in the namespace, on the device and in the dtype of X."""
        return self.xp.astype(self.xp.asarray(array, device=self.device), self.dtype)

    def coefficients(self, coef, intercept):
        """coef_ and intercept_, in the dtype of X."""
        return self.on_device(coef), intercept if self.single else self.on_device(intercept)

    def terms_at(self, alpha):
        """L1, ridge and bounds, or weights and bounds, of each coefficient at one strength."""
        return {name: alpha * term if name in ("l1", "ridge") else term for name, term in self.terms.items()}

    def solve(self, alpha, tol, max_iter):
        """The solution at one strength."""
        data = self.X, self.y, self.levels, self.weight
        settings = dict(fit_intercept=self.fit_intercept, tol=tol, max_iter=max_iter, **self.terms_at(alpha))
        if self.penalty is None:
            return self._solution(fit_quantiles(*data, non_crossing=self.non_crossing, **settings), tol)
        fit, fitted = self.penalty.fit(*data, alpha=alpha, **settings)
        return self._solution(fit, tol, fitted)

    def _solution(self, fit, tol, fitted=None):
        """The solution at all levels, with the worst of their certificates."""
        gap, violation = float(np.max(fit.gaps)), float(np.max(fit.violations))
        measure = gap if np.isfinite(gap) else violation
        coef, intercept = (fit.coefs[0], float(fit.intercepts[0])) if self.single else (fit.coefs, fit.intercepts)
        n_iter, converged = max(1, int(np.sum(fit.n_iters))), measure <= max(tol, _ROUNDING)
        return Solution(coef, intercept, n_iter, gap, violation, converged, np.nan, fitted)

    # ------------------------------------------------------------ paths
    def state(self):
        """Where a path starts: there is but one place."""
        return None

    def finish(self, alpha, tol, max_iter, state, solution):
        """A path's solution as it is: no further step is to be had."""
        return solution

    def follow(self, alphas, tol, max_iter, state=None):
        """Yield the solutions for decreasing `alphas`."""
        model = self._posed() if self.penalty is None else None
        if model is None or model.size == 0.0:
            for alpha in alphas:
                yield self.solve(alpha, tol, max_iter)
            return
        problems = [model.problem(level) for level in self.levels]
        joint = self.non_crossing and len(self.levels) > 1
        if joint and len(unpenalised(problems[0])) > int(self.fit_intercept):
            for alpha in alphas:
                yield self.solve(alpha, tol, max_iter)
            return
        origins = [Origin.of(*pair) for pair in zip(problems, map(model.null_at, self.levels))]
        if joint:
            yield from self._follow_joint(model, problems, origins, alphas, tol, max_iter)
            return
        paths = [quantile_path(*pair, alphas, tol, max_iter) for pair in zip(problems, origins)]
        for solutions in zip(*paths):
            yield self._solution(model.report(solutions, self.levels), tol)

    def _follow_joint(self, model, problems, origins, alphas, tol, max_iter):
        """`follow` of levels that must not cross. Constants do not: empty at each level is empty jointly.

        At ties the optimum at the first alpha is not unique, and a fit may find another.
        """
        for alpha in alphas:
            if all(origin.empties(alpha) for origin in origins):
                pairs = zip(origins, problems)
                solutions = [origin.solution(at_strength(problem, alpha)) for origin, problem in pairs]
                yield self._solution(model.report(solutions, self.levels), tol)
            else:
                yield self.solve(alpha, tol, max_iter)

    def strengths(self, n_alphas, eps):
        """Decreasing grid of alphas from the smallest that empties the model, at all levels, down to `eps` times it."""
        if self.penalty is not None or (np.any(self.terms["ridge"]) and not np.any(self.terms["l1"])):
            raise ValueError(
                "There is no grid of alphas for this penalty of QuantileRegressor: give the alphas themselves. "
                "Grids are made for penalty='l1', and for 'elastic_net' with l1_ratio > 0."
            )
        model = self._posed()
        top = 0.0
        if model.size > 0.0:
            top = max(Origin.of(model.problem(level), model.null_at(level)).alpha_max for level in self.levels)
        if top <= np.finfo(float).tiny:
            return np.full(n_alphas, np.finfo(float).tiny)
        return np.geomspace(top, eps * top, n_alphas)

    def _posed(self):
        terms = {name: np.broadcast_to(term, self.X.shape[1]) for name, term in self.terms.items()}
        centre = np.zeros(self.X.shape[1])
        return pose(self.X, self.y, self.weight, self.fit_intercept, False, centre=centre, **terms)
