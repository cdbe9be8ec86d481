"""The one template behind all linear estimators: validate, pose the problem, solve it, report it."""

import warnings
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field, replace
from numbers import Integral, Real

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import assert_all_finite, check_array, check_is_fitted, validate_data

from skreg._backend import (
    CallbackSupport,
    Interval,
    check_same_namespace,
    get_namespace,
    get_namespace_and_device,
    is_array,
    is_numpy,
    move_to,
    refuse_device_sparse,
    to_numpy,
)
from skreg._design import DesignMatrix, as_design
from skreg._problem import Data, Problem
from skreg._threads import one_blas_thread
from skreg.losses import get_loss
from skreg.penalties import get_penalty
from skreg.solvers import (
    ProximalGradient,
    ProxNewton,
    State,
    begin_path,
    finish,
    path_starts,
    solve,
    solve_best,
    solve_path,
    strengths,
    zero_point,
)

_LARGE = 2**22  # numbers in X from which a pass over them is worth saving


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
    n_samples: float = 1.0  # as information criteria count them: see `effective_samples`
    xp: object = np
    device: object = None
    structure: object = None  # what the penalty knows of the columns
    fitted: dict = field(default_factory=dict)  # attributes of the fitted model that are known before it is solved

    def problem(self, alpha):
        """The problem at one strength of the penalty."""
        curvature = None if self.penalty.convex else self._penalty_curvature()
        pen = self.penalty.bind(alpha, self.weights, self.lower, self.upper, curvature)
        return Problem(self.data, self.penalty, pen)

    def _penalty_curvature(self):
        data, xp = self.data, self.xp
        if is_numpy(xp):
            return data.penalty_curvature
        curvature = mean_squares(data.design.X, data.weight, data.fit_intercept, xp)
        if data.design.scale is not None:
            curvature = curvature / data.design.scale**2
        return xp.tile(curvature, (self.n_outputs,)) * (data.loss.curvature_bound or 1.0)

    def coefficients(self, w, b):
        """coef_ and intercept_ in the units of X, in its dtype."""
        xp = self.xp
        coef = w if self.n_outputs == 1 else xp.reshape(w, (self.n_outputs, -1))
        if self.data.design.scale is not None:
            coef = coef / self.data.design.scale
        coef = self.data.design.collect(coef)
        return xp.astype(coef, self.dtype), float(b) if self.n_outputs == 1 else xp.astype(b, self.dtype)

    def state(self, coef=None, intercept=None):
        """Where a solver starts: the null model, or the given coefficients in the units of X."""
        if coef is None:
            return State(self.data) if is_numpy(self.xp) else zero_point(self.data, self.xp)
        xp = self.xp
        w = xp.astype(xp.reshape(xp.asarray(coef), (-1,)), xp.float64)
        if self.data.design.scale is not None:
            w = xp.reshape(xp.reshape(w, (self.n_outputs, -1)) * self.data.design.scale, (-1,))
        w = xp.minimum(xp.maximum(w, self.lower), self.upper)
        if intercept is None:
            b = None
        elif self.n_outputs > 1:
            b = xp.astype(xp.asarray(intercept), xp.float64)
        else:
            b = intercept if isinstance(intercept, float) else float(xp.reshape(xp.asarray(intercept), (-1,))[0])
        return State(self.data, w, b) if is_numpy(xp) else zero_point(self.data, xp, w, b)

    def with_target(self, y):
        """The same problem for another target, on the same design."""
        xp = self.xp
        y = xp.astype(move_to(y, xp=xp, device=self.device), xp.float64)
        return replace(self, data=replace(self.data, y=without_ignored(y, self.data.weight, xp)))

    def strengths(self, n_alphas, eps):
        """Decreasing grid of alphas from the one that empties the model down to `eps` times it."""
        return strengths(self.problem(1.0), n_alphas, eps)

    def follow(self, alphas, tol, max_iter, state=None):
        """Yield the solutions for decreasing `alphas`, each from the one before, the first from `state`.

        On NumPy data non-convex problems are solved from the Lasso's solution too.
        """
        solver = self.solver(tol, max_iter)
        state = self.state() if state is None else state
        begin_path(self.data, state, len(alphas))
        if self.penalty.convex and isinstance(state, State):
            yield from solve_path([self.problem(alpha) for alpha in alphas], solver, state)
            return
        for alpha in alphas:
            problem = self.problem(alpha)
            if problem.penalty.convex or not is_numpy(self.xp):
                solution = solver.solve(problem, state)
            else:
                solution, state = solve_best(problem, solver, path_starts(problem, solver, state))
            yield solution

    def finish(self, alpha, tol, max_iter, state, solution):
        """A path's solution, solved on from itself where an exact step is nearly free."""
        return finish(self.problem(alpha), self.solver(tol, max_iter), state, solution)

    def solver(self, tol, max_iter):
        """Proximal Newton on NumPy and scipy data; accelerated proximal gradient in any other namespace."""
        if is_numpy(self.xp):
            return ProxNewton(tol=tol, max_iter=max_iter)
        return ProximalGradient(tol=tol, max_iter=100 * max_iter)


class SparseLinearModel(CallbackSupport, BaseEstimator):
    """Base of the estimators: a loss, a penalty and data make a problem; this class gives it scikit-learn's face.

    Subclasses give `_loss()` and `_penalty()`, and have the parameters alpha, fit_intercept, standardize, positive,
    penalty_weights, lower, upper, tol, max_iter and warm_start.
    """

    _doc_link_module = "skreg"
    _pose_depends_on_rows = False  # whether the penalty is made from the rows, by a pilot fit or the like
    _prepared = Prepared

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
        refuse_device_sparse(X)
        xp, _, _ = get_namespace_and_device(X)
        if not is_numpy(xp) and not self.__sklearn_tags__().array_api_support:
            raise TypeError(f"{type(self).__name__} takes NumPy and SciPy data; got X of {xp.__name__}.")
        check |= dict(accept_sparse=["csc", "csr"], accept_large_sparse=True, dtype=[xp.float64, xp.float32])
        return validate_data(self, X, y, ensure_all_finite=not self._gradient_tells(X), **check)

    def _gradient_tells(self, X):
        """Whether the null model's gradient is left to find out if X is finite: it reads all of X anyway."""
        return type(X) is np.ndarray and X.dtype == np.float64 and X.size >= _LARGE and not self.standardize

    def _pose(self, X, y, sample_weight=None, offset=None):
        """The problem that `fit` solves; leaves no attribute but those of `validate_data`."""
        X, y = self._validate(X, y, y_numeric=True)
        return self._prepare(X, y, sample_weight, offset)

    def _prepare(self, X, y, sample_weight=None, offset=None, n_outputs=1):
        """Pose the problem for validated X and a target in the loss's own encoding."""
        loss = self._loss_for(n_outputs)
        xp, _, device = get_namespace_and_device(X)
        dtype = X.dtype
        raw_weight = check_sample_weight(sample_weight, X)
        weight = _normalized(raw_weight, xp)
        offset = check_offset(offset, X, n_outputs)
        y = without_ignored(xp.astype(move_to(y, xp=xp, device=device), xp.float64), weight, xp)
        loss.check_target(y)
        if X.dtype != xp.float64:
            X = X.astype(np.float64) if sp.issparse(X) else xp.astype(X, xp.float64)
        structure = self._structure(X, weight)
        penalty = self._penalty_for(structure, n_outputs)
        design = self._design_for(structure, self._design(X, weight, xp))
        weights, lower, upper = self._weights_and_bounds(X.shape[1], structure)
        if design.scale is not None:
            scale = to_numpy(design.scale)
            lower, upper = lower * scale, upper * scale
        arrays = [xp.asarray(np.tile(a, n_outputs), device=device) for a in (weights, lower, upper)]
        data = self._data(design, y, weight, loss, offset)
        if self._gradient_tells(X) and not np.isfinite(data.null.gradient).all():
            assert_all_finite(X, estimator_name=type(self).__name__, input_name="X")
        n_samples = effective_samples(raw_weight, xp)
        return self._prepared(data, penalty, *arrays, n_outputs, dtype, n_samples, xp, device, structure=structure)

    def _data(self, design, y, weight, loss, offset):
        return Data(design, y, weight, loss, bool(self.fit_intercept), offset)

    def _design(self, X, weight, xp):
        if is_numpy(xp):
            design = as_design(X)
            return design.standardized(weight) if self.standardize else design
        if not self.standardize:
            return DesignMatrix(X, None)
        variance, size = mean_squares(X, weight, True, xp), mean_squares(X, weight, False, xp)
        varies = variance > 1e-28 * size  # else the column is constant but for rounding
        return DesignMatrix(X, xp.sqrt(xp.where(varies, variance, xp.ones_like(variance))))

    def _loss_for(self, n_outputs):
        return self._loss()

    def _structure(self, X, weight):
        """What the penalty must know of the columns, such as their groups; None where it knows each by itself."""
        return None

    def _penalty_for(self, structure, n_outputs):
        return self._penalty()

    def _design_for(self, structure, design):
        return design

    def _weights_and_bounds(self, n_features, structure):
        names = getattr(self, "feature_names_in_", None)
        weights = per_feature(self.penalty_weights, "penalty_weights", 1.0, n_features, names)
        lower = per_feature(self.lower, "lower", -np.inf, n_features, names)
        upper = per_feature(self.upper, "upper", np.inf, n_features, names)
        if (weights < 0).any():
            raise ValueError(
                f"penalty_weights must be non-negative; got {weights.min()}. "
                "0 leaves a feature unpenalised, inf leaves it out."
            )
        if (lower > 0).any():
            raise ValueError(f"lower must be <= 0 for every feature, so that 0 is allowed; got {lower.max()}.")
        if (upper < 0).any():
            raise ValueError(f"upper must be >= 0 for every feature, so that 0 is allowed; got {upper.min()}.")
        if self.positive:
            lower = np.zeros(n_features)
        out = np.isinf(weights)
        return np.where(out, 1.0, weights), np.where(out, 0.0, lower), np.where(out, 0.0, upper)

    # ------------------------------------------------------------ solving
    def _fit(self, X, y, sample_weight, offset, max_subtasks=0):
        """Pose and solve; the body of every `fit` with one target."""
        with self._fit_task(X, y, sample_weight, offset, max_subtasks):
            prepared = self._pose(X, y, sample_weight, offset)
            self._set_fitted(prepared, self._solve(prepared, self._warm(prepared)))
        return self

    @contextmanager
    def _fit_task(self, X, y, sample_weight, offset, max_subtasks=0):
        """Call the callbacks before and after a fit; where it fails, leave the estimator as it was."""
        told = self._told(X, y, sample_weight, offset)
        task = self._init_callback_context(max_subtasks=max_subtasks)
        with unchanged_on_error(self):
            task.call_on_fit_task_begin(**told)
            with one_blas_thread():
                yield
            task.call_on_fit_task_end(**told, reconstruction_attributes={})

    def _told(self, X, y, sample_weight, offset):
        """What callbacks are told about every task: this estimator and its training data as the user gave them."""
        metadata = dict(sample_weight=sample_weight, offset=offset)
        given = {name: value for name, value in metadata.items() if value is not None}
        return dict(estimator=self, X=X, y=y, metadata=given)

    def _solve(self, prepared, start=None):
        """Solve at `alpha`, warn where the certificate was not reached, and return the solution."""
        solution = solve(prepared.problem(self.alpha), prepared.solver(self.tol, self.max_iter), start)
        self._warn(solution, stacklevel=6)  # user, wrapper of fit, fit, _fit, here, _warn
        return solution

    def _warn(self, solution, stacklevel):
        if not solution.converged:
            convex = np.isfinite(solution.dual_gap)
            what, value = ("duality gap", solution.dual_gap) if convex else ("KKT violation", solution.kkt_violation)
            warnings.warn(
                "Objective did not converge. You might want to increase the number of iterations "
                f"(max_iter={self.max_iter}) or tol: {type(self).__name__} stopped after "
                f"{solution.n_iter} iterations at a relative {what} of {value:.1e}, above "
                f"tol={self.tol:.1e}. To scale the features (standardize=True) or a larger alpha also helps.",
                ConvergenceWarning,
                stacklevel=stacklevel,
            )

    def _set_fitted(self, prepared, solution):
        vars(self).update(prepared.fitted)
        self._set_coefficients(*prepared.coefficients(solution.coef, solution.intercept))
        vars(self).update(self._hidden(prepared, solution))
        self.n_iter_ = int(solution.n_iter)
        self.dual_gap_ = float(solution.dual_gap)
        self.kkt_violation_ = float(solution.kkt_violation)
        self.converged_ = bool(solution.converged)

    def _set_coefficients(self, coef, intercept):
        self.coef_, self.intercept_ = coef, intercept

    def _hidden(self, prepared, solution):
        """Fitted attributes that the coefficients in the units of X do not tell."""
        return {}

    def _warm(self, prepared):
        """The previous fit as a start, where warm_start asks for it and the shapes allow it."""
        if not (self.warm_start and hasattr(self, "coef_")):
            return None
        if int(np.prod(self.coef_.shape)) != prepared.weights.shape[0]:
            return None
        return prepared.state(self.coef_, getattr(self, "intercept_", None))

    def _at(self, path, k):
        """A copy of this estimator, fitted at entry `k` of a path."""
        model = clone(self).set_params(alpha=float(path.alphas[k]))
        vars(model).update(fitted_attributes(self))
        intercept = path.intercepts[k, ...]
        model._set_coefficients(path.coefs[k, ...], float(intercept) if intercept.ndim == 0 else intercept)
        vars(model).update(path.hidden[k] if path.hidden else {})
        model.n_iter_, model.dual_gap_ = int(path.n_iters[k]), float(path.dual_gaps[k])
        model.kkt_violation_, model.converged_ = float(path.kkt_violations[k]), bool(path.converged[k])
        return model

    def _attributes_at(self, alpha, prepared, solution):
        """`alpha` and the attributes that a fit there sets, from its solution."""
        model = copy(self)
        model._set_fitted(prepared, solution)
        return {"alpha": float(alpha), **fitted_attributes(model)}

    # ------------------------------------------------------------ prediction
    def _linear_predictor(self, X, offset=None, method="predict"):
        check_is_fitted(self)
        refuse_device_sparse(X)
        check_same_namespace(X, self, attribute="coef_", method=method)
        xp, _ = get_namespace(X)
        X = validate_data(self, X, accept_sparse=["csc", "csr"], dtype=[xp.float64, xp.float32], reset=False)
        eta = X @ (self.coef_.T if self.coef_.ndim == 2 else self.coef_) + self.intercept_
        return eta if offset is None else eta + self._known_part(offset, X)

    def _known_part(self, offset, X):
        """A valid `offset`, in a shape that adds to the linear predictor of X."""
        n_outputs = self.coef_.shape[0] if self.coef_.ndim == 2 else 1
        offset = check_offset(offset, X, n_outputs)
        return offset[:, None] if n_outputs == 1 and self.coef_.ndim == 2 else offset


def fitted_attributes(estimator):
    """The attributes of an estimator whose names end in an underscore."""
    return {name: value for name, value in vars(estimator).items() if name.endswith("_")}


@contextmanager
def unchanged_on_error(estimator):
    """Leave the estimator as it was where a fit fails: the previous fit whole, or nothing half-fitted."""
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


def per_feature(value, name, default, n_features, feature_names):
    """One number a feature from None, a number, an array, or a dict of column names."""
    if value is None:
        return np.full(n_features, default)
    if isinstance(value, dict):
        return _per_named_feature(value, name, default, n_features, feature_names)
    try:
        result = np.asarray(to_numpy(value) if is_array(value) else value, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(
            f"{name} must be a number, an array of numbers or a dict of column names; got {value!r}."
        ) from None
    if result.ndim == 0:
        result = np.full(n_features, float(result))
    if result.shape != (n_features,):
        raise ValueError(f"{name} must have one entry a feature, shape ({n_features},); got shape {result.shape}.")
    if np.isnan(result).any():
        raise ValueError(f"{name} contains NaN.")
    return result


def _per_named_feature(value, name, default, n_features, feature_names):
    if feature_names is None:
        raise ValueError(f"{name} is a dict of column names, but X has no column names; pass a data frame.")
    result = np.full(n_features, default)
    place = {feature: j for j, feature in enumerate(feature_names)}
    for feature, number in value.items():
        if feature not in place:
            raise ValueError(f"{name} names the column {feature!r}, which X does not have.")
        if not isinstance(number, Real) or np.isnan(number):
            raise ValueError(f"{name} must give a number for each column; got {number!r} for {feature!r}.")
        result[place[feature]] = number
    return result


def mean_squares(X, weight, centred, xp):
    """Weighted mean square of each column of an array-API X, about its mean when `centred`."""
    return xp.sum(weight[:, None] * (X - weight @ X if centred else X) ** 2, axis=0)


def check_sample_weight(sample_weight, X):
    """Valid weights, one a row of X, in float64 and in its namespace; ones where there are none."""
    xp, _, device = get_namespace_and_device(X)
    n_samples = X.shape[0]
    if sample_weight is None:
        return xp.ones((n_samples,), dtype=xp.float64, device=device)
    if np.isscalar(sample_weight):
        sample_weight = xp.full((n_samples,), float(sample_weight), dtype=xp.float64, device=device)
    sample_weight = move_to(sample_weight, xp=xp, device=device)
    weight = check_array(
        sample_weight, dtype=xp.float64, ensure_2d=False, input_name="sample_weight", ensure_min_samples=0
    )
    if weight.ndim != 1:
        raise ValueError(f"Sample weights must be 1D array or scalar; sample_weight has {weight.ndim} dimensions.")
    if weight.shape[0] != n_samples:
        raise ValueError(f"sample_weight.shape == {tuple(weight.shape)}, expected {(n_samples,)}!")
    if bool(xp.any(weight < 0)):
        raise ValueError(f"sample_weight must be non-negative; the smallest value is {float(xp.min(weight))}.")
    if not bool(xp.any(weight > 0)):
        raise ValueError("Sample weights must contain at least one non-zero number: sample_weight is all zero.")
    return weight


def _normalized(weight, xp):
    """The weights over their sum, in an order of divisions that neither overflows nor underflows."""
    weight = weight / xp.max(weight)
    return weight / xp.sum(weight)


def effective_samples(weight, xp):
    """Number of samples as information criteria count them: the larger of the weights' sum and Kish's size.

    It is the sum for integer weights, which count copies of rows, and does not change for weights scaled to sum to 1.
    """
    total = float(xp.sum(weight))
    return max(total, float(1.0 / xp.sum(_normalized(weight, xp) ** 2)))


def without_ignored(y, weight, xp):
    """`y` with the entries of weight 0 set to that of largest weight: they count for nothing, so may not hurt."""
    ignored = weight == 0
    if not bool(xp.any(ignored)):
        return y
    kept = y[int(xp.argmax(weight)), ...]
    return xp.where(ignored if y.ndim == 1 else ignored[:, None], kept, y)


def check_offset(offset, X, n_outputs):
    """A valid offset in float64 and in the namespace of X, or None."""
    if offset is None:
        return None
    xp, _, device = get_namespace_and_device(X)
    offset = move_to(offset, xp=xp, device=device)
    offset = check_array(
        offset, dtype=xp.float64, ensure_2d=False, input_name="offset", ensure_min_samples=0, ensure_min_features=0
    )
    shape = (X.shape[0],) if n_outputs == 1 else (X.shape[0], n_outputs)
    if tuple(offset.shape) != shape:
        raise ValueError(f"offset must have shape {shape}; got {tuple(offset.shape)}.")
    return offset


def constraints(**special):
    """Parameter constraints that all the estimators share, with an estimator's own."""
    return {
        "alpha": [Interval(Real, 0, np.inf, closed="left")],
        "fit_intercept": ["boolean"],
        "standardize": ["boolean"],
        "positive": ["boolean"],
        "penalty_weights": ["array-like", dict, None],
        "lower": ["array-like", dict, Real, None],
        "upper": ["array-like", dict, Real, None],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, np.inf, closed="left")],
        "warm_start": ["boolean"],
        **special,
    }
