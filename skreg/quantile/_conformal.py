"""Conformal calibration of predicted quantiles."""

import warnings
from contextlib import suppress
from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np
from sklearn import get_config
from sklearn.base import BaseEstimator, MetaEstimatorMixin, RegressorMixin, _fit_context
from sklearn.model_selection import KFold, ShuffleSplit, check_cv
from sklearn.utils import get_tags
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import (
    assert_all_finite,
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
    validate_data,
)

from skreg._backend import HasMethods, Interval, StrOptions, safe_indexing
from skreg._base import fitted_attributes, unchanged_on_error
from skreg._quantiles import are_symmetric, central_level, check_levels, columns_of, same_level
from skreg.quantile._adapter import QuantileAdapter, is_frozen
from skreg.quantile._isotonic import isotonize
from skreg.quantile._quantile_regressor import QuantileRegressor

_BLOCK = 2**22  # candidates held at a time while predicting by CV+


class ConformalQuantileRegressor(RegressorMixin, MetaEstimatorMixin, BaseEstimator):
    r"""Quantiles of any model, moved such that intervals have their coverage, whatever the model and the distribution.

    **Split** [1]_: the model :math:`g` is fitted to a part of the rows, and the other n rows calibrate. For the central
    interval from the level :math:`\alpha / 2` to :math:`1 - \alpha / 2` the score of a row is how far y lies outside
    the predicted interval, negative inside:

    .. math::
        r_i = \max(g_l(x_i) - y_i, \; y_i - g_u(x_i)), \qquad
        C(x) = [g_l(x) - \hat r, \; g_u(x) + \hat r],

    with :math:`\hat r` the :math:`\lceil (1 - \alpha)(n + 1) \rceil`-th smallest score, infinite where this rank
    exceeds n. If rows are exchangeable, :math:`P(y \in C(x)) \ge 1 - \alpha`, and at most :math:`1 - \alpha + 1 / (n +
    1)` without ties and before crossings are mended.

    **CV+** [2]_: each row's score comes from the model fitted without its fold, and C(x) reaches from the
    :math:`\lfloor \alpha (n + 1) \rfloor`-th smallest of :math:`g_l^{-k(i)}(x) - r_i` to the
    :math:`\lceil (1 - \alpha)(n + 1) \rceil`-th smallest of :math:`g_u^{-k(i)}(x) + r_i`. Every row serves both ends.
    The guarantee is :math:`1 - 2 \alpha - \sqrt{2 / n}`; in practice coverage is near :math:`1 - \alpha`.

    **Per level** each quantile is calibrated on its own, by the scores :math:`y_i - g_\tau(x_i)` above the median and
    :math:`g_\tau(x_i) - y_i` below, at the ranks :math:`\lceil \tau (n + 1) \rceil` and
    :math:`\lceil (1 - \tau)(n + 1) \rceil`. By split, :math:`P(y \le g_\tau) \ge \tau` above the median and
    :math:`P(y \ge g_\tau) \ge 1 - \tau` below; central intervals are as wide as needed on either side.

    Parameters
    ----------
    estimator : object or sequence of objects, default=None
        What predicts quantiles: a model with `predict_quantiles`; one with a parameter for its level, such as
        scikit-learn's `QuantileRegressor` and ``HistGradientBoostingRegressor(loss="quantile")``, cloned for each
        level; a forest whose `predict` takes `quantiles`; a Gaussian model whose `predict` takes `return_std`; or a
        sequence with an estimator for each level. None means ``QuantileRegressor(alpha=0)``. If it is a
        `FrozenEstimator`, or a sequence of them, it is not fitted, and all rows calibrate; they must not be those that
        it was fitted to.
    quantiles : array-like of shape (n_quantiles,), default=(0.05, 0.5, 0.95)
        Levels, increasing; symmetric unless `per_level`. The level 0.5 is not moved.
    method : {"split", "cv+"}, default="split"
        How rows come to their scores.
    per_level : bool, default=False
        Whether to calibrate each level in place of each central interval.
    calibration_size : float or int, default=0.25
        Rows that calibrate by "split", as a share or a number. They are drawn at random.
    cv : int, cross-validation generator or iterable, default=5
        Folds of "cv+"; a number means folds drawn at random. No row may be in two test sets.
    random_state : int, RandomState instance or None, default=None
        Draws the rows or the folds.
    n_jobs : int, default=None
        Folds ("cv+") or levels ("split") fitted at a time, by joblib.

    Attributes
    ----------
    quantiles_ : ndarray of shape (n_quantiles,)
        The levels.
    estimators_ : list
        The fitted model, or that of each fold; with `predict_quantiles`.
    calibration_indices_ : list of ndarray
        For each of them the rows that calibrated it.
    conformity_scores_ : list of ndarray of shape (n_rows, n_quantiles)
        For each of them the scores of those rows, in the units of y; of the level 0.5 the residual.
    ranks_ : ndarray of shape (n_quantiles,)
        Which smallest score counts for each level; 0 for the level 0.5.
    corrections_ : ndarray of shape (n_quantiles,)
        What is added to the quantiles; by "split".
    n_calibration_ : int
        Number of rows that calibrate.
    n_features_in_ : int
        Number of features seen in `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X has string column names.

    See Also
    --------
    skreg.metrics.coverage : Checks the promise on other data.
    isotonize : The last step.

    Notes
    -----
    Quantiles that cross are sorted before calibration, all levels together: there a further level may change an
    interval. After it they are mended by ``isotonize(method="minmax")``, which only widens central intervals.

    Where the rank exceeds n the interval is infinite, and `fit` warns: no finite one would keep the promise. The
    interval of nominal coverage :math:`1 - \alpha` needs :math:`n \ge 1 / \alpha - 1` rows, per level :math:`n \ge 2 /
    \alpha - 1`.

    The promise holds on average over data sets and rows, not for each x.

    References
    ----------
    .. [1] Y. Romano, E. Patterson, E. Candès (2019). Conformalized quantile regression. Advances in Neural Information
       Processing Systems 32.
    .. [2] R. F. Barber, E. J. Candès, A. Ramdas, R. J. Tibshirani (2021). Predictive inference with the jackknife+.
       Annals of Statistics 49(1).

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skreg import ConformalQuantileRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = ConformalQuantileRegressor(quantiles=[0.05, 0.5, 0.95], random_state=0).fit(X, y)
    >>> model.predict_quantiles(X).shape
    (442, 3)
    >>> model.predict_interval(X, coverage=0.9).shape
    (442, 2)
    """

    _parameter_constraints = {
        "estimator": [HasMethods(["fit"]), list, tuple, None],
        "quantiles": ["array-like", Interval(Real, 0, 1, closed="neither")],
        "method": [StrOptions({"split", "cv+"})],
        "per_level": ["boolean"],
        "calibration_size": [Interval(Real, 0, 1, closed="neither"), Interval(Integral, 1, None, closed="left")],
        "cv": ["cv_object"],
        "random_state": ["random_state"],
        "n_jobs": [Integral, None],
    }
    _doc_link_module = "skreg"

    def __init__(
        self,
        estimator=None,
        *,
        quantiles=(0.05, 0.5, 0.95),
        method="split",
        per_level=False,
        calibration_size=0.25,
        cv=5,
        random_state=None,
        n_jobs=None,
    ):
        self.estimator = estimator
        self.quantiles = quantiles
        self.method = method
        self.per_level = per_level
        self.calibration_size = calibration_size
        self.cv = cv
        self.random_state = random_state
        self.n_jobs = n_jobs

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, **fit_params):
        """Fit the models, and calibrate them.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training data, handed on to `estimator` as it is.
        y : array-like of shape (n_samples,)
            Target.
        **fit_params : dict
            Handed on to the `fit` of `estimator`, those with an entry a sample (`sample_weight`) by the rows. They do
            not enter the calibration: scores are counted, not weighted.

        Returns
        -------
        self : ConformalQuantileRegressor
            The fitted model.

        Raises
        ------
        ValueError
            If an argument has a wrong shape or value; the message names it.
        """
        with unchanged_on_error(self):
            for name in fitted_attributes(self):
                delattr(self, name)
            X, y = self._validated(X, y)
            if get_config()["enable_metadata_routing"]:
                fit_params = process_routing(self, "fit", **fit_params).estimator.fit
            self._calibrate(X, y, fit_params)
        return self

    def _calibrate(self, X, y, fit_params):
        levels = check_levels(self.quantiles, "quantiles")
        sides = _sides(levels, self.per_level)
        folds = self._folds(X, y)
        model = QuantileAdapter(self._base(), levels, n_jobs=self.n_jobs if len(folds) == 1 else None)
        done = Parallel(n_jobs=None if len(folds) == 1 else self.n_jobs)(
            delayed(_fit_fold)(model, sides, X, y, train, test, fit_params) for train, test in folds
        )
        models, scores = zip(*done)
        self._take(models, scores, [test for _, test in folds], levels, sides)

    def _take(self, models, scores, held_out, levels, sides):
        """Calibrate models by the scores of the rows that each was fitted without."""
        self.quantiles_, self._sides = levels, sides
        self.estimators_, self.conformity_scores_, self.calibration_indices_ = list(models), list(scores), held_out
        n = self.n_calibration_ = sum(map(len, held_out))
        self.ranks_ = self._sides.ranks(n)
        self._tails = {k: self._largest(k) for k in np.flatnonzero(self._sides.sign)}
        if self.method == "split":
            self.corrections_ = np.zeros(len(levels))
            for k, tails in self._tails.items():
                self.corrections_[k] = self._sides.sign[k] * (tails[0][-1] if tails else np.inf)
        self._warn_of_infinite()

    def _validated(self, X, *y, **check):
        """Frames stay frames and unknown values unknown, for `estimator` to deal with."""
        if hasattr(X, "columns"):
            X = validate_data(self, X, skip_check_array=True, **check)
        else:
            accepts = ["csr", "csc"] if self.__sklearn_tags__().input_tags.sparse else False
            X = validate_data(self, X, accept_sparse=accepts, dtype=None, ensure_all_finite=False, **check)
            if X.dtype == object:
                with suppress(ValueError):  # words
                    X = X.astype(np.float64)
        if not y:
            return X
        y = np.asarray(column_or_1d(*y, warn=True), dtype=np.float64)
        assert_all_finite(y, input_name="y", estimator_name=type(self).__name__)
        check_consistent_length(X, y)
        return X, y

    def _base(self):
        return QuantileRegressor(alpha=0.0) if self.estimator is None else self.estimator

    def _folds(self, X, y):
        """Pairs of training and calibration rows."""
        rows = np.arange(len(y))
        if is_frozen(self.estimator):
            if self.method == "cv+":
                raise ValueError("method='cv+' fits its models; calibrate a FrozenEstimator by method='split'.")
            return [(rows, rows)]
        if self.method == "split":
            cv = ShuffleSplit(1, test_size=self.calibration_size, random_state=self.random_state)
        elif isinstance(self.cv, Integral):
            cv = KFold(self.cv, shuffle=True, random_state=self.random_state)
        else:
            cv = check_cv(self.cv)
        folds = [tuple(rows[part] for part in fold) for fold in cv.split(X, y)]
        if np.bincount(np.concatenate([test for _, test in folds])).max() > 1:
            raise ValueError("cv must have every row in one test set at most.")
        return folds

    def _largest(self, k):
        """Of each fold the scores that can be the one of the level's rank, decreasing; empty where that is infinite."""
        keep = self.n_calibration_ - self.ranks_[k] + 1
        if keep < 1:
            return []
        return [np.sort(scores[:, k])[::-1][:keep].copy() for scores in self.conformity_scores_]

    def _warn_of_infinite(self):
        infinite = self.ranks_ > self.n_calibration_
        if infinite.any():
            needed = int(np.ceil(1.0 / self._sides.miss[infinite].min() - 1.0 - 1e-9))
            warnings.warn(
                f"Quantiles of the levels {self.quantiles_[infinite].tolist()} are infinite: they need {needed} "
                f"calibration rows; there are {self.n_calibration_}.",
                UserWarning,
                stacklevel=6,
            )

    def predict(self, X):
        """Predict the level nearest to 0.5, the lower one of two.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        y_pred : ndarray of shape (n_samples,)
            Predictions in the units of y.
        """
        return self.predict_quantiles(X)[:, central_level(self.quantiles_)]

    def predict_quantiles(self, X, *, quantiles=None):
        """Predict the calibrated quantiles.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples.
        quantiles : float or array-like, default=None
            Some of the levels of `quantiles_`, increasing; None means all. Between levels nothing is promised, so
            others are not interpolated.

        Returns
        -------
        bands : ndarray of shape (n_samples, n_quantiles)
            Predictions in the order of the levels, increasing. The level 0.5 is the model's, or the mean of the
            folds' models.

        Raises
        ------
        ValueError
            If a level is not one of `quantiles_`.
        """
        check_is_fitted(self)
        columns = _places(quantiles, self)
        X = self._validated(X, reset=False)
        raw = np.stack([_sorted_quantiles(model, X) for model in self.estimators_])
        bands = np.average(raw, axis=0, weights=[len(rows) for rows in self.calibration_indices_])
        for k, tails in self._tails.items():
            sign = self._sides.sign[k]
            bands[:, k] = sign * _order_statistic(sign * raw[:, :, k], tails, self.n_calibration_ - self.ranks_[k] + 1)
        return isotonize(bands, "minmax", quantiles=self.quantiles_)[:, columns]

    def predict_interval(self, X, coverage=None):
        """Predict the ends of a central interval.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples.
        coverage : float, default=None
            Its nominal coverage: the difference of two levels that are symmetric. None means the widest.

        Returns
        -------
        interval : ndarray of shape (n_samples, 2)
            Lower and upper end.

        Raises
        ------
        ValueError
            If no two levels have this coverage.
        """
        check_is_fitted(self)
        levels = self.quantiles_
        places = {
            float(levels[j] - levels[i]): (i, j)
            for i in range(len(levels))
            for j in range(i + 1, len(levels))
            if same_level(levels[i] + levels[j], 1.0)
        }
        wanted = max(places, default=None) if coverage is None else coverage
        for nominal, pair in places.items():
            if same_level(nominal, wanted):
                return self.predict_quantiles(X)[:, pair]
        asked = "a central interval" if coverage is None else f"coverage={coverage!r}"
        raise ValueError(f"quantiles={levels.tolist()} have no two levels for {asked}.")

    def get_metadata_routing(self):
        """Route the metadata of `fit` to the estimator's.

        Returns
        -------
        routing : MetadataRouter
            The routing of this model.
        """
        base = self._base()
        base = base[0] if isinstance(base, list | tuple) else base
        return MetadataRouter(owner=self).add(
            estimator=base, method_mapping=MethodMapping().add(caller="fit", callee="fit")
        )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        base = self._base()
        tags.input_tags = get_tags(base[0] if isinstance(base, list | tuple) else base).input_tags
        return tags


@dataclass
class _Sides:
    """Which way each level is moved, which it is paired with, and how often it may miss."""

    sign: np.ndarray  # -1 below the median, 1 above, 0 for the level 0.5, which stays
    partner: np.ndarray  # the other end of the interval; the level itself where each is on its own
    miss: np.ndarray  # share of rows that may lie outside

    def scores(self, y, q):
        """How far y lies outside: of one end, or of the farther one of two."""
        outside = np.where(self.sign < 0, -1.0, 1.0) * (y[:, None] - q)
        return np.maximum(outside, outside[:, self.partner])

    def ranks(self, n):
        """Ranks of the scores of n rows that the promise needs, ceil((1 - miss)(n + 1)); 0 for the level 0.5."""
        exact = (1.0 - self.miss) * (n + 1)
        whole = np.round(exact)
        rank = np.where(np.abs(exact - whole) <= 1e-9 * (n + 1), whole, np.ceil(exact))  # 19 is not 19.000000000000004
        return np.where(self.sign == 0, 0, rank).astype(np.intp)


def _sides(levels, per_level):
    sign = np.where(same_level(levels, 0.5), 0.0, np.sign(levels - 0.5))
    if not sign.any():
        raise ValueError(f"quantiles must have a level other than 0.5, which is not calibrated; got {levels.tolist()}.")
    tail = np.minimum(levels, 1.0 - levels)
    if per_level:
        return _Sides(sign, np.arange(len(levels)), tail)
    if not are_symmetric(levels):
        raise ValueError(
            f"quantiles must be symmetric, each level with one less it, unless per_level=True; got {levels.tolist()}."
        )
    return _Sides(sign, np.arange(len(levels))[::-1], 2.0 * tail)


def _fit_fold(model, sides, X, y, train, test, fit_params):
    """The model fitted to the training rows, and the scores of the others."""
    params = {name: _rows_of(value, train, len(y)) for name, value in fit_params.items()}
    fitted = QuantileAdapter(model.estimator, model.quantiles, n_jobs=model.n_jobs)
    fitted.fit(safe_indexing(X, train), y[train], **params)
    return fitted, sides.scores(y[test], _sorted_quantiles(fitted, safe_indexing(X, test)))


def _rows_of(value, rows, n_samples):
    """Those rows of a value with an entry a sample; other values as they are."""
    return safe_indexing(value, rows) if np.shape(value)[:1] == (n_samples,) else value


def calibrated_without_folds(conformal, models, held_out, X, y):
    """The unfitted `conformal`, calibrated by models each of which was fitted without some of the rows of X and y."""
    levels = check_levels(conformal.quantiles, "quantiles")
    sides = _sides(levels, conformal.per_level)
    X = conformal._validated(X)
    scores = [
        sides.scores(y[rows], _sorted_quantiles(model, safe_indexing(X, rows))) for model, rows in zip(models, held_out)
    ]
    conformal._take(models, scores, held_out, levels, sides)
    return conformal


def _places(quantiles, model):
    """Columns of the levels asked for."""
    if quantiles is None:
        return slice(None)
    return columns_of(check_levels(quantiles, "quantiles"), model.quantiles_, type(model).__name__)


def _sorted_quantiles(model, X):
    return isotonize(model.predict_quantiles(X), "sort")


def _order_statistic(predictions, tails, keep):
    """The `keep`-th largest of predictions plus scores, for each sample.

    Parameters
    ----------
    predictions : ndarray of shape (n_folds, n_samples)
        The models' predictions.
    tails : list of ndarray
        The largest scores of each fold, decreasing; empty means infinite.
    keep : int
        Which largest.
    """
    n_samples = predictions.shape[1]
    if not tails:
        return np.full(n_samples, np.inf)
    if len(tails) == 1:
        return predictions[0] + tails[0][keep - 1]
    size = sum(map(len, tails))
    result, step = np.empty(n_samples), max(1, _BLOCK // size)
    for begin in range(0, n_samples, step):
        rows = slice(begin, begin + step)
        block = np.hstack([each[rows, None] + tail for each, tail in zip(predictions, tails)])
        result[rows] = np.partition(block, size - keep, axis=1)[:, size - keep]
    return result
