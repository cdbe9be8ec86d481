"""Quantile forecasts of several models, aggregated by weights fitted to their out-of-fold forecasts."""

from contextlib import suppress
from functools import partial
from numbers import Integral, Real

import numpy as np
import scipy.sparse as sp
from sklearn import get_config
from sklearn.base import BaseEstimator, MetaEstimatorMixin, RegressorMixin, _fit_context
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import BayesianRidge
from sklearn.model_selection import check_cv
from sklearn.utils import Bunch, check_array, get_tags
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d, validate_data

from skreg._backend import Interval, Options, StrOptions
from skreg._base import check_sample_weight, fitted_attributes, unchanged_on_error
from skreg._quantiles import at_levels, central_level, check_levels
from skreg.quantile._adapter import way_of
from skreg.quantile._base_models import BaseModels
from skreg.quantile._conformal_aggregation import calibrate_by_folds, calibrate_by_split
from skreg.quantile._local_weights import fit_global
from skreg.quantile._localities import LOCALITIES, check_locality, local_fit
from skreg.quantile._quantile_regressor import QuantileRegressor
from skreg.quantile._weights import CONSTRAINTS, RESOLUTIONS
from skreg.quantile._weights_cv import Forecasts, cross_validated_losses, ordered, within_one_standard_error

_SHRINKAGES = (np.inf, 0.3, 0.1, 0.03, 0.01, 0.003, 0.0)  # what "cv" chooses from


class QuantileAggregator(MetaEstimatorMixin, RegressorMixin, BaseEstimator):
    r"""Aggregation of quantile models, of whatever kinds, by weights that minimise the weighted interval score.

    With forecasts :math:`\hat g_j(x; \tau_l)` of the base models, level :math:`\tau_k` is predicted by

    .. math::
        \hat g(x; \tau_k) = \sum_{j,l} w_{kjl} \, \hat g_j(x; \tau_l),

    then the levels are put into order. Fine weights are all :math:`w_{kjl}`, so that every level is informed by all
    levels of all models; medium ones have :math:`w_{kjl} = 0` for :math:`l \ne k`; coarse ones are, in addition, the
    same at every level. The weights are exact solutions of `fit_weights`, a linear program, on out-of-fold forecasts:
    each model is trained once without each fold of the data. Base models are then trained on all data.

    Parameters
    ----------
    estimators : list of (str, estimator), default=None
        Names and base models: whatever predicts quantiles, several levels at once (`predict_quantiles`), one level for
        each clone (`quantile`, or `alpha` beside ``loss="quantile"``), at levels given when predicting (quantile
        forests), or a Normal distribution (``predict(X, return_std=True)``). None stands for linear quantile
        regression, Bayesian ridge regression and histogram gradient boosting.
    quantiles : array-like of shape (n_quantiles,), default=(0.05, 0.25, 0.5, 0.75, 0.95)
        Increasing levels, strictly between 0 and 1.
    resolution : {"coarse", "medium", "fine", "auto"}, default="fine"
        One weight a model; one a model and level; one a model, level and level that informs it; or which of these has
        the best cross-validated score.
    locality : {"global", "features", "partition", "softmax", "mlp"}, default="global"
        Whether weights are the same everywhere or depend on x, which must then be numbers:

        - "features": to the global weights come deviations, one a model and level (coarse: one a model), that are
          linear in the standardised features, held within their range in the training data. Convex combinations are
          kept convex by holding each prediction within the range of those that it combines.
        - "partition": a tree with up to 8 leaves splits the space of the features where the models' losses differ most;
          each leaf has its own weights.
        - "softmax": convex weights, the softmax of linear functions of the standardised features;
        - "mlp": deep quantile aggregation [1]_, the softmax of the output of a neural network.

        All are shrunk to the global weights by an L1 penalty of its own strength: the `shrinkage` given, or of those
        that "cv" tries the largest whose score is within one standard error of the best. The last two begin at the
        global weights; on held-out rows they choose the number of steps of stochastic gradients, and the share of the
        way from the global weights that the penalty allows. They have no `intercept`, `tau_groups` or caps.
    constraint : {"convex", "positive", "affine", "none"}, default="convex"
        Non-negative weights that sum to one; non-negative ones; ones that sum to one; any.
    intercept : bool, default=False
        Whether to add a constant to each level (coarse: one to all levels).
    tau_groups : array-like of shape (n_quantiles,), default=None
        Labels of the levels; levels with one label share their weights. For "medium" alone.
    max_weight : float, default=None
        Largest value of a weight, at least 1 over the number of models.
    max_nonzero : int, default=None
        Largest number of models in use.
    shrinkage : "cv" or float, default="cv"
        Strength of the L1 penalty that draws the weights to those of `shrink_to`, in units of the loss of these;
        ``inf`` gives these themselves. "cv" chooses one of inf, 0.3, 0.1, 0.03, 0.01, 0.003 and 0 by its score on rows
        of the out-of-fold forecasts that the weights were not fitted on.
    shrink_to : {"uniform", "coarse"}, default="uniform"
        Equal weights of all models at the level itself, or the coarse weights.
    isotonize : {"sort", "pava", "minmax"} or None, default="sort"
        How predictions are put into order (see `skreg.isotonize`); None leaves them as they are. "sort" and "pava"
        never raise the score; "minmax" never narrows a central interval.
    cv : int, splitter, iterable of splits or "prefit", default=5
        Folds of the out-of-fold forecasts, which must hold out each row once. "prefit" takes base models as they were
        fitted: X and y should be data that they have not seen.
    conformal : {"split", "cv+"} or None, default=None
        Whether to calibrate the levels, as `ConformalQuantileRegressor` does with ``per_level=True``: for rows like
        those given to `fit`, y is at most the prediction with probability :math:`\tau` or more above the median, and at
        least the prediction with probability :math:`1 - \tau` or more below it. The level 0.5 stays; predictions are
        infinite where the rows are too few for a promise.

        - "split": models and weights are fitted to a part of the rows, and the others calibrate.
        - "cv+": all rows calibrate, each a model and weights fitted without its fold of `cv`, of which there must be
          three or more. The promise is weaker, misses may be twice as many, but in practice coverage is as nominal. It
          takes K (K + 1) / 2 fits of each base model with K folds.
    calibration_size : float or int, default=0.25
        Rows that calibrate by "split", as a share or a number. They are drawn at random.
    n_jobs : int, default=None
        Number of fits at a time, by joblib.
    network_params : dict, default=None
        How "softmax" and "mlp" are trained, where not by the default: "hidden_layer_sizes", (64,), of "mlp" alone;
        "dropout", 0.0, of entries between hidden layers; "learning_rate", 0.005 (softmax: 0.02), of Adam;
        "weight_decay", 1e-7; "crossing_penalty", 1.0, of quantiles that are not in order by their "margin", 0.01 times
        the distance of the quantiles of the residuals of the models' median; "max_steps", 2000.
    random_state : int, RandomState instance or None, default=None
        Draws the rows that calibrate by "split", and of "softmax" and "mlp" the rows held out, the first hidden layers
        and the mini-batches.

    Attributes
    ----------
    weights_ : ndarray of shape (n_models,), (n_models, n_quantiles) or (n_quantiles, n_models, n_quantiles)
        Coarse, medium or fine weights. The first axis of fine ones is the level that is predicted, the last one the
        level that informs it.
    intercepts_ : ndarray of shape (n_quantiles,)
        What is added at each level.
    resolution_ : str
        Resolution of the weights.
    shrinkage_ : float
        Strength of the shrinkage.
    cv_results_ : dict of ndarrays
        "resolution", "shrinkage" and "score" (weighted interval score on held-out rows, NaN where there was nothing to
        choose) of all candidates for the global weights.
    local_shrinkage_, local_cv_results_ : float, dict of ndarrays
        The same for the local weights' distance from the global ones. Not there with ``locality="global"``.
    oof_predictions_ : ndarray of shape (n_samples, n_models, n_quantiles)
        Out-of-fold forecasts of the base models, to which the weights were fitted. By ``conformal="split"`` those of
        the rows that do not calibrate.
    base_wis_ : ndarray of shape (n_models,)
        Weighted interval score of each model's out-of-fold forecasts: twice the pinball loss, averaged over samples and
        levels. They are in no order but the model's own.
    wis_oof_ : float
        That of the aggregated forecasts, with weights that were fitted to the same rows.
    dual_gap_ : float
        Duality gap of the weights over the objective of equal weights, the largest over the levels: an upper bound of
        what other weights could gain.
    estimators_ : list
        Base models trained on all data, by ``conformal="split"`` on the rows that do not calibrate; each has
        `predict_quantiles`. Not there with ``conformal="cv+"``.
    named_estimators_ : Bunch
        The same by name.
    conformal_ : ConformalQuantileRegressor
        What calibrates, with its `ranks_`, `conformity_scores_`, `calibration_indices_`, `corrections_` ("split") and
        `predict_interval`. Its `estimators_` are the aggregators that it calibrates; by "cv+" one a fold, with
        weights of its own. Not there without `conformal`.
    quantiles_ : ndarray of shape (n_quantiles,)
        The levels.
    n_features_in_ : int
        Number of features seen in `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X has string column names.

    See Also
    --------
    fit_weights : The weights alone, for forecasts at hand.
    ConformalQuantileRegressor : Calibrates any model's quantiles, also interval by interval.

    Notes
    -----
    What is chosen by cross-validation is scored on forecasts of models that were trained without the rows in question,
    and by weights fitted without these rows. In-sample, that is on `oof_predictions_`, fine weights are at least as
    good as medium ones, these as coarse ones, and these as the best base model and the average (without shrinkage).

    References
    ----------
    .. [1] R. Fakoor, T. Kim, J. Mueller, A. Smola, R. Tibshirani (2023). Flexible model aggregation for quantile
       regression. JMLR 24(162).

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.linear_model import BayesianRidge
    >>> from skreg import QuantileAggregator, QuantileRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> models = [("linear", QuantileRegressor(penalty=None)), ("normal", BayesianRidge())]
    >>> aggregator = QuantileAggregator(models, [0.1, 0.5, 0.9], shrinkage=0.0).fit(X, y)
    >>> bool(aggregator.wis_oof_ <= aggregator.base_wis_.min())
    True
    >>> aggregator.predict_quantiles(X[:2]).shape
    (2, 3)
    """

    _parameter_constraints = dict(
        estimators=[list, tuple, None],
        quantiles=["array-like"],
        resolution=[StrOptions({*RESOLUTIONS, "auto"})],
        locality=[StrOptions({"global", *LOCALITIES})],
        constraint=[StrOptions({*CONSTRAINTS})],
        intercept=["boolean"],
        tau_groups=["array-like", None],
        max_weight=[Interval(Real, 0, None, closed="neither"), None],
        max_nonzero=[Interval(Integral, 1, None, closed="left"), None],
        shrinkage=[StrOptions({"cv"}), Interval(Real, 0, None, closed="left"), Options(Real, {np.inf})],
        shrink_to=[StrOptions({"uniform", "coarse"})],
        isotonize=[StrOptions({"sort", "pava", "minmax"}), None],
        cv=["cv_object", StrOptions({"prefit"})],
        conformal=[StrOptions({"split", "cv+"}), None],
        calibration_size=[Interval(Real, 0, 1, closed="neither"), Interval(Integral, 1, None, closed="left")],
        n_jobs=[Integral, None],
        network_params=[dict, None],
        random_state=["random_state"],
    )

    def __init__(
        self,
        estimators=None,
        quantiles=(0.05, 0.25, 0.5, 0.75, 0.95),
        *,
        resolution="fine",
        locality="global",
        constraint="convex",
        intercept=False,
        tau_groups=None,
        max_weight=None,
        max_nonzero=None,
        shrinkage="cv",
        shrink_to="uniform",
        isotonize="sort",
        cv=5,
        conformal=None,
        calibration_size=0.25,
        n_jobs=None,
        network_params=None,
        random_state=None,
    ):
        self.estimators = estimators
        self.quantiles = quantiles
        self.resolution = resolution
        self.locality = locality
        self.constraint = constraint
        self.intercept = intercept
        self.tau_groups = tau_groups
        self.max_weight = max_weight
        self.max_nonzero = max_nonzero
        self.shrinkage = shrinkage
        self.shrink_to = shrink_to
        self.isotonize = isotonize
        self.cv = cv
        self.conformal = conformal
        self.calibration_size = calibration_size
        self.n_jobs = n_jobs
        self.network_params = network_params
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, **fit_params):
        """Fit base models and weights.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Training data, handed on to the base models as it is.
        y : array-like of shape (n_samples,)
            Target.
        **fit_params : dict
            Handed on to the `fit` of each base model; arrays with an entry a sample are split into folds as X is. A
            `sample_weight` among them weights the samples in the fit of the weights, too.

        Returns
        -------
        self : QuantileAggregator
            The fitted model.

        Raises
        ------
        ValueError
            If an argument has a wrong shape or value; the message names it.
        """
        with unchanged_on_error(self):
            for name in fitted_attributes(self):
                delattr(self, name)
            self._fit(X, y, fit_params)
        return self

    def _fit(self, X, y, fit_params):
        check_locality(self)
        levels = check_levels(self.quantiles, "quantiles")
        X = self._as_table(X)
        validate_data(self, X, skip_check_array=True)
        check_consistent_length(X, y)
        y = check_array(column_or_1d(y, warn=True), dtype=np.float64, ensure_2d=False, input_name="y")
        names, models = zip(*self._named_models())
        if self.conformal == "split":
            calibrate_by_split(self, levels, X, y, fit_params)
            return
        given = [fit_params] * len(names)
        if get_config()["enable_metadata_routing"]:
            routed = process_routing(self, "fit", **fit_params)
            given = [routed[name].fit for name in names]
        weight = fit_params.get("sample_weight")
        weight = None if weight is None else check_sample_weight(weight, y)
        base = BaseModels(models, levels, X, y, given, self._folds(X, y), self.n_jobs)
        if self.conformal == "cv+":
            calibrate_by_folds(self, base, weight, self._features(X))
            return
        models, Z = base.out_of_fold()
        self._set_models(models)
        self._fit_weights(Forecasts(Z, y, levels, weight, self._features(X)), base.folds)

    def _named_models(self):
        """Names and models, valid."""
        given = self.estimators
        if given is None:
            return [
                ("linear", QuantileRegressor(penalty=None)),
                ("normal", BayesianRidge()),
                ("boosting", HistGradientBoostingRegressor(loss="quantile", quantile=0.5, max_iter=50, random_state=0)),
            ]
        if len(self._pairs()) == 0:
            raise ValueError("estimators must be a non-empty list of pairs (name, estimator).")
        names = [name for name, _ in given]
        if not all(isinstance(name, str) and name and "__" not in name for name in names):
            raise ValueError(f"estimators must have non-empty strings without '__' as names; got {names}.")
        if len(set(names)) < len(names) or set(names) & set(self._get_param_names()):
            raise ValueError(
                f"estimators must have names that differ from each other and from parameters; got {names}."
            )
        for _, model in given:
            way_of(model)
        return given

    def _folds(self, X, y):
        """Rows held out in turn; each row once."""
        if isinstance(self.cv, str):
            return None
        folds = [test for _, test in check_cv(self.cv, y).split(X, y)]
        if not np.array_equal(np.sort(np.concatenate(folds)), np.arange(len(y))):
            raise ValueError("cv must hold out each sample exactly once.")
        return folds

    def _set_models(self, models):
        self.estimators_ = models
        self.named_estimators_ = Bunch(**{name: model for (name, _), model in zip(self._named_models(), models)})

    def _fit_weights(self, forecasts, folds):
        """Choose resolution and shrinkage by the folds, and fit the weights with these."""
        self.quantiles_, self.oof_predictions_ = forecasts.levels, forecasts.Z
        strengths = _SHRINKAGES if self.shrinkage == "cv" else [self.shrinkage]
        resolutions = RESOLUTIONS if self.resolution == "auto" else [self.resolution]
        fits = [partial(fit_global, settings=self._settings(resolution)) for resolution in resolutions]
        losses = self._held_out_losses(fits, forecasts, strengths, folds)
        scores = np.average(losses, axis=2, weights=forecasts.weight)
        i, j = np.unravel_index(np.argmin(scores), scores.shape)
        self.resolution_, self.shrinkage_ = resolutions[i], strengths[j]
        self.cv_results_ = dict(
            resolution=np.repeat(resolutions, len(strengths)),
            shrinkage=np.tile(strengths, len(resolutions)),
            score=scores.ravel(),
        )
        fit = fits[i]
        if self.locality != "global":
            fit = local_fit(self, {**self._settings(self.resolution_), "shrinkage": self.shrinkage_})
            (losses,) = self._held_out_losses([fit], forecasts, strengths, folds)
            scores = np.average(losses, axis=1, weights=forecasts.weight)
            j = within_one_standard_error(losses, forecasts.weight)
            self.local_shrinkage_ = strengths[j]
            self.local_cv_results_ = dict(shrinkage=np.array(strengths), score=scores)
        (self._combination,) = fit(forecasts, [strengths[j]])
        result = self._combination.result
        self.weights_, self.intercepts_, self.dual_gap_ = result.weights, result.intercepts, result.dual_gap
        self.wis_oof_ = forecasts.score(self._combination.combine(forecasts.Z, forecasts.features), self.isotonize)
        self.base_wis_ = np.array([forecasts.score(forecasts.Z[:, j], None) for j in range(forecasts.Z.shape[1])])

    def _held_out_losses(self, fits, forecasts, strengths, folds):
        """Losses of all fits at all strengths on held-out rows; NaN where there is nothing to choose."""
        if len(fits) * len(strengths) == 1:
            return np.full((1, 1, len(forecasts.y)), np.nan)
        return cross_validated_losses(fits, forecasts, strengths, folds, self.isotonize, self.n_jobs)

    def _settings(self, resolution):
        """Arguments of `fit_weights` but for its shrinkage."""
        return dict(
            resolution=resolution,
            constraint=self.constraint,
            intercept=self.intercept,
            tau_groups=self.tau_groups if resolution == "medium" or self.resolution != "auto" else None,
            max_weight=self.max_weight,
            max_nonzero=self.max_nonzero,
            shrink_to=self.shrink_to,
        )

    def _as_table(self, X):
        """X as base models can take it: frames, sparse matrices and arrays as they are, but numbers as numbers."""
        if sp.issparse(X) and not get_tags(self).input_tags.sparse:
            raise ValueError("X must be dense: sparse data is not supported by all estimators.")
        if not hasattr(X, "__getitem__"):
            X = np.asarray(X)
        if getattr(X, "ndim", 2) == 1:
            raise ValueError("Expected 2D array, got 1D array instead. Reshape your data, or hand on a data frame.")
        if isinstance(X, np.ndarray) and X.dtype == object:
            with suppress(TypeError, ValueError):  # what are no numbers, base models may encode
                return X.astype(np.float64)
        return X

    def _features(self, X):
        """The features that local weights depend on."""
        return None if self.locality == "global" else check_array(X, dtype=np.float64, input_name="X")

    def predict(self, X):
        """Predict the central level: the one nearest to 0.5, the lower one of two.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        y_pred : ndarray of shape (n_samples,)
            Predictions in the units of y.
        """
        bands = self.predict_quantiles(X)
        return bands[:, central_level(self.quantiles_)]

    def predict_quantiles(self, X, *, quantiles=None):
        """Predict the target at every level.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Samples.
        quantiles : float or array-like, default=None
            Increasing levels to predict, linearly interpolated between those of the fit, and not beyond them; with
            `conformal`, some of those of the fit. None means `quantiles_`.

        Returns
        -------
        bands : ndarray of shape (n_samples, n_quantiles)
            Predictions in the order of the levels.

        Raises
        ------
        ValueError
            If a level of `quantiles` is outside the range of `quantiles_` or, with `conformal`, not one of them.
        """
        check_is_fitted(self)
        X = self._as_table(X)
        validate_data(self, X, reset=False, skip_check_array=True)
        if hasattr(self, "conformal_"):
            return self.conformal_.predict_quantiles(X, quantiles=quantiles)
        Z = np.stack([model.predict_quantiles(X) for model in self.estimators_], axis=1)
        bands = ordered(self._combination.combine(Z, self._features(X)), self.quantiles_, self.isotonize)
        return at_levels(bands, self.quantiles_, quantiles)

    def get_params(self, deep=True):
        """Parameters of the aggregator and, if `deep`, of its base models by ``name__parameter``."""
        params = super().get_params(deep=deep)
        for name, model in self._pairs() if deep else []:
            params[name] = model
            params |= {f"{name}__{key}": value for key, value in model.get_params(deep=True).items()}
        return params

    def set_params(self, **params):
        """Set parameters; a base model's name replaces that model."""
        if "estimators" in params:
            self.estimators = params.pop("estimators")
        names = [name for name, _ in self._pairs()]
        for name in [name for name in params if name in names]:
            model = params.pop(name)
            self.estimators = [(n, model if n == name else m) for n, m in self.estimators]
        return super().set_params(**params)

    def _pairs(self):
        """Names and models as they were given, or nothing where these are no pairs."""
        given = self.estimators if isinstance(self.estimators, list | tuple) else []
        return given if all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in given) else []

    def get_metadata_routing(self):
        """Where metadata goes: all to the base models' `fit`."""
        router = MetadataRouter(owner=self)
        for name, model in self._named_models():
            router.add(**{name: model}, method_mapping=MethodMapping().add(caller="fit", callee="fit"))
        return router

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        try:
            models = [get_tags(model) for _, model in self._named_models()]
        except (ValueError, TypeError, AttributeError):  # `fit` says what is wrong
            return tags
        tags.input_tags.allow_nan = all(tag.input_tags.allow_nan for tag in models)
        tags.input_tags.sparse = all(tag.input_tags.sparse for tag in models)
        return tags
