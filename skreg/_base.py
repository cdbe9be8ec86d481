"""The one template behind all linear estimators: validate, pose the problem, solve it, report it."""

import warnings
from dataclasses import dataclass, replace
from numbers import Integral, Real

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from skreg._backend import Interval, check_same_namespace, get_namespace, get_namespace_and_device, is_numpy, move_to
from skreg._design import DesignMatrix, as_design
from skreg._problem import Data, Problem
from skreg.losses import get_loss
from skreg.penalties import get_penalty
from skreg.solvers import ProximalGradient, ProxNewton, State, path_starts, solve, solve_best, zero_point


@dataclass
class Prepared:
    """An estimator's problem for every alpha: validated data, and the penalty's weights and bounds per coordinate."""

    data: Data
    penalty: object
    weights: object
    lower: object
    upper: object
    n_outputs: int
    dtype: object
    xp: object = np
    device: object = None

    def problem(self, alpha):
        """The problem at one strength of the penalty."""
        curvature = self.data.penalty_curvature if is_numpy(self.xp) and not self.penalty.convex else None
        pen = self.penalty.bind(alpha, self.weights, self.lower, self.upper, curvature)
        return Problem(self.data, self.penalty, pen)

    def coefficients(self, w, b):
        """coef_ and intercept_ in the units of X, in its dtype."""
        xp = self.xp
        coef = w if self.n_outputs == 1 else xp.reshape(w, (self.n_outputs, -1))
        if self.data.design.scale is not None:
            coef = coef / self.data.design.scale
        return xp.astype(coef, self.dtype), b if isinstance(b, float) else xp.astype(b, self.dtype)

    def state(self, coef=None, intercept=None):
        """Where a solver starts: the null model, or the given coefficients in the units of X."""
        if coef is None:
            return State(self.data) if is_numpy(self.xp) else zero_point(self.data, self.xp)
        xp = self.xp
        w = xp.astype(xp.reshape(xp.asarray(coef), (-1,)), xp.float64)
        if self.data.design.scale is not None:
            w = xp.reshape(xp.reshape(w, (self.n_outputs, -1)) * self.data.design.scale, (-1,))
        w = xp.minimum(xp.maximum(w, self.lower), self.upper)
        b = xp.astype(xp.asarray(intercept), xp.float64) if self.n_outputs > 1 else float(np.ravel(intercept)[0])
        return State(self.data, w, b) if is_numpy(xp) else zero_point(self.data, xp, w, b)

    def with_target(self, y):
        """The same problem for another target, on the same design."""
        xp = self.xp
        y = xp.astype(move_to(y, xp=xp, device=self.device), xp.float64)
        return replace(self, data=replace(self.data, y=y))

    def solver(self, tol, max_iter):
        """Proximal Newton on NumPy and scipy data; accelerated proximal gradient in any other namespace."""
        if is_numpy(self.xp):
            return ProxNewton(tol=tol, max_iter=max_iter)
        return ProximalGradient(tol=tol, max_iter=100 * max_iter)


class SparseLinearModel(BaseEstimator):
    """Base of the estimators: a loss, a penalty and data make a problem; this class gives it scikit-learn's face.

    Subclasses give `_loss()` and `_penalty()`, and have the parameters alpha, fit_intercept, standardize, positive,
    penalty_weights, lower, upper, tol, max_iter and warm_start.
    """

    _doc_link_module = "skreg"

    def _loss(self):
        return get_loss(self.loss)

    def _penalty(self):
        shape = {name: getattr(self, name, None) for name in ("l1_ratio", "gamma", "q", "eps")}
        return get_penalty(self.penalty, **shape)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.array_api_support = True
        return tags

    # ------------------------------------------------------------ validation
    def _validate(self, X, y, **check):
        xp, _, _ = get_namespace_and_device(X)
        return validate_data(
            self, X, y, accept_sparse=["csc", "csr"], dtype=[xp.float64, xp.float32], accept_large_sparse=True, **check
        )

    def _prepare(self, X, y, sample_weight=None, offset=None, n_outputs=1):
        """Pose the problem for validated X and a target in the loss's own encoding."""
        loss, penalty = self._loss_for(n_outputs), self._penalty()
        xp, _, device = get_namespace_and_device(X)
        n_samples, n_features = X.shape
        dtype = X.dtype
        y = xp.astype(move_to(y, xp=xp, device=device), xp.float64)
        weight = _check_sample_weight(sample_weight, n_samples, X)
        offset = _check_offset(offset, n_samples, X, n_outputs)
        loss.check_target(y[weight > 0] if is_numpy(xp) else y)
        if not sp.issparse(X) and X.dtype != xp.float64:
            X = xp.astype(X, xp.float64)
        if is_numpy(xp):
            design = as_design(X)
            design = design.standardized(weight) if self.standardize else design
        else:
            scale = None
            if self.standardize:
                scale = xp.sqrt(xp.sum(weight[:, None] * (X - weight @ X) ** 2, axis=0))
                scale = xp.where(scale > 0, scale, xp.ones_like(scale))
            design = DesignMatrix(X, scale)
        weights, lower, upper = self._weights_and_bounds(n_features)
        if design.scale is not None:
            scale = np.asarray(design.scale) if is_numpy(xp) else _to_numpy(design.scale)
            lower, upper = lower * scale, upper * scale
        arrays = [xp.asarray(np.tile(a, n_outputs), device=device) for a in (weights, lower, upper)]
        data = Data(design, y, weight, loss, bool(self.fit_intercept), offset)
        return Prepared(data, penalty, *arrays, n_outputs, dtype, xp, device)

    def _loss_for(self, n_outputs):
        return self._loss()

    def _weights_and_bounds(self, n_features):
        names = getattr(self, "feature_names_in_", None)
        weights = per_feature(self.penalty_weights, "penalty_weights", 1.0, n_features, names)
        lower = per_feature(self.lower, "lower", -np.inf, n_features, names)
        upper = per_feature(self.upper, "upper", np.inf, n_features, names)
        if np.isnan(weights).any() or (weights < 0).any():
            raise ValueError("penalty_weights must be non-negative; 0 leaves a feature unpenalised, inf leaves it out.")
        if not ((lower <= 0).all() and (upper >= 0).all()):
            raise ValueError("lower must be <= 0 and upper >= 0 for every feature: 0 has to be allowed.")
        if self.positive:
            lower = np.zeros(n_features)
        out = np.isinf(weights)
        return np.where(out, 1.0, weights), np.where(out, 0.0, lower), np.where(out, 0.0, upper)

    # ------------------------------------------------------------ solving
    def _solve(self, prepared, start=None):
        """Solve at `alpha`, warn where the certificate was not reached, and return the solution."""
        solution = solve(prepared.problem(self.alpha), prepared.solver(self.tol, self.max_iter), start)
        self._warn(solution)
        return solution

    def _warn(self, solution):
        if not solution.converged:
            convex = np.isfinite(solution.dual_gap)
            what, value = ("duality gap", solution.dual_gap) if convex else ("KKT violation", solution.kkt_violation)
            warnings.warn(
                f"{type(self).__name__} stopped after {solution.n_iter} iterations at a relative {what} of {value:.1e}, "
                f"above tol={self.tol:.1e}. Increase max_iter or tol, scale the features (standardize=True), or "
                "increase alpha.",
                ConvergenceWarning,
                stacklevel=3,
            )

    def _set_fitted(self, prepared, solution):
        self.coef_, self.intercept_ = prepared.coefficients(solution.coef, solution.intercept)
        self.n_iter_ = solution.n_iter
        self.dual_gap_ = solution.dual_gap
        self.kkt_violation_ = solution.kkt_violation
        self.converged_ = solution.converged

    def _warm(self, prepared):
        """The previous fit as a start, where warm_start asks for it and the shapes allow it."""
        if not (self.warm_start and hasattr(self, "coef_")):
            return None
        if int(np.prod(self.coef_.shape)) != prepared.weights.shape[0]:
            return None
        return prepared.state(self.coef_, self.intercept_)

    def _at(self, path, k):
        """This estimator, fitted at entry `k` of a path."""
        from sklearn.base import clone

        model = clone(self).set_params(alpha=path.alphas[k])
        vars(model).update({name: value for name, value in vars(self).items() if name.endswith("_")})
        model.coef_, model.intercept_ = path.coefs[k], path.intercepts[k]
        model.n_iter_, model.dual_gap_ = path.n_iters[k], path.dual_gaps[k]
        model.kkt_violation_ = path.kkt_violations[k]
        return model

    # ------------------------------------------------------------ prediction
    def _linear_predictor(self, X, offset=None):
        check_is_fitted(self)
        check_same_namespace(X, self, attribute="coef_", method="predict")
        xp, _ = get_namespace(X)
        X = validate_data(self, X, accept_sparse=["csc", "csr"], dtype=[xp.float64, xp.float32], reset=False)
        eta = X @ self.coef_.T + self.intercept_
        if offset is not None:
            n_outputs = self.coef_.shape[0] if self.coef_.ndim == 2 else 1
            eta = eta + _check_offset(offset, X.shape[0], X, n_outputs)
        return eta


def follow_path(estimator, prepared, alphas):
    """Solutions for decreasing `alphas`, each from the one before; non-convex ones from the Lasso's too."""
    solver = prepared.solver(estimator.tol, estimator.max_iter)
    state = prepared.state()
    solutions = []
    for alpha in alphas:
        problem = prepared.problem(alpha)
        if problem.penalty.convex:
            solution = solver.solve(problem, state)
        else:
            solution, state = solve_best(problem, solver, path_starts(problem, solver, state))
        estimator._warn(solution)
        solutions.append(solution)
    return solutions


def per_feature(value, name, default, n_features, feature_names):
    """One number a feature from None, a number, an array, or a dict of column names."""
    if value is None:
        return np.full(n_features, default)
    if isinstance(value, dict):
        if feature_names is None:
            raise ValueError(f"{name} is a dict of column names, but X has no column names; pass a data frame.")
        result = np.full(n_features, default)
        place = {feature: j for j, feature in enumerate(feature_names)}
        for feature, number in value.items():
            if feature not in place:
                raise ValueError(f"{name} names the column {feature!r}, which X does not have.")
            result[place[feature]] = number
        return result
    try:
        result = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be a number, an array of numbers or a dict of column names; got {value!r}.") from None
    if result.ndim == 0:
        result = np.full(n_features, float(result))
    if result.shape != (n_features,):
        raise ValueError(f"{name} must have one entry a feature, shape ({n_features},); got shape {result.shape}.")
    if np.isnan(result).any():
        raise ValueError(f"{name} contains NaN.")
    return result


def _check_sample_weight(sample_weight, n_samples, X):
    """Weights that sum to one, in the namespace of X."""
    xp, _, device = get_namespace_and_device(X)
    if sample_weight is None:
        return xp.full((n_samples,), 1.0 / n_samples, dtype=xp.float64, device=device)
    if np.isscalar(sample_weight):
        sample_weight = xp.full((n_samples,), float(sample_weight), dtype=xp.float64, device=device)
    sample_weight = move_to(sample_weight, xp=xp, device=device)
    weight = check_array(
        sample_weight, dtype=xp.float64, ensure_2d=False, input_name="sample_weight", ensure_min_samples=0
    )
    if weight.ndim != 1:
        raise ValueError("Sample weights must be 1D array or scalar")
    if weight.shape[0] != n_samples:
        raise ValueError(f"sample_weight.shape == {weight.shape}, expected {(n_samples,)}!")
    if bool(xp.any(weight < 0)):
        raise ValueError("Negative values in data passed to `sample_weight`.")
    total = xp.sum(weight / xp.max(weight)) if bool(xp.any(weight > 0)) else 0.0
    if not total > 0:
        raise ValueError("Sample weights must contain at least one non-zero number: sample_weight is all zero.")
    return weight / xp.max(weight) / total


def _check_offset(offset, n_samples, X, n_outputs):
    if offset is None:
        return None
    xp, _, device = get_namespace_and_device(X)
    offset = move_to(offset, xp=xp, device=device)
    offset = check_array(offset, dtype=xp.float64, ensure_2d=False, input_name="offset", ensure_min_samples=0)
    shape = (n_samples,) if n_outputs == 1 else (n_samples, n_outputs)
    if tuple(offset.shape) != shape:
        raise ValueError(f"offset must have shape {shape}; got {tuple(offset.shape)}.")
    return offset


def _to_numpy(x):
    return np.from_dlpack(x) if not hasattr(x, "get") else x.get()


def constraints(**special):
    """Parameter constraints that all the estimators share, with an estimator's own."""
    return {
        "alpha": [Interval(Real, 0, None, closed="left")],
        "fit_intercept": ["boolean"],
        "standardize": ["boolean"],
        "positive": ["boolean"],
        "penalty_weights": ["array-like", dict, None],
        "lower": ["array-like", dict, Real, None],
        "upper": ["array-like", dict, Real, None],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "warm_start": ["boolean"],
        **special,
    }
