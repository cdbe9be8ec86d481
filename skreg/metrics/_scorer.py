"""Scorers of models that predict quantiles, for `scoring=` of searches and cross-validation."""

from functools import partial

import numpy as np
from sklearn.utils.metadata_routing import MetadataRequest

from skreg._quantiles import are_symmetric, columns_of, model_levels, predict_quantiles, same_level
from skreg.metrics._interval import coverage, interval_score, interval_width
from skreg.metrics._quantile import crossing_rate, crps, mean_pinball_loss, weighted_interval_score


def make_quantile_scorer(metric="mean_pinball_loss", *, quantiles=None, greater_is_better=False):
    r"""Make a scorer of predicted quantiles, for `GridSearchCV`, `PathCV`, `cross_val_score` and their kin.

    The scorer predicts with `predict_quantiles`, or with `predict` where a model has one level and no such method, at
    the levels in the model's `quantiles_` (or its parameter `quantiles` or `quantile`). It looks into pipelines, which
    do not hand `predict_quantiles` on.

    Parameters
    ----------
    metric : str or callable, default="mean_pinball_loss"
        What to score by, as a loss whose sign is turned unless said otherwise:

        - "mean_pinball_loss", "weighted_interval_score", "crps", "crossing_rate": the functions of these names;
        - "interval_score", "interval_width": of the outermost two levels, which must be symmetric;
        - "miscoverage": the absolute difference between their coverage and the nominal one;
        - a callable ``metric(y_true, y_quantiles, quantiles, sample_weight=None)``.
    quantiles : float or array-like of shape (n_quantiles,), default=None
        The levels to score, among those that the model predicts. None takes all. To compare models by their levels,
        give them.
    greater_is_better : bool, default=False
        Whether the metric is a gain, and keeps its sign.

    Returns
    -------
    scorer : callable
        ``scorer(estimator, X, y, sample_weight=None)``; larger is better.

    Raises
    ------
    ValueError
        If `metric` is not a callable and has an unknown name.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.model_selection import GridSearchCV
    >>> from skreg import QuantileRegressor
    >>> from skreg.metrics import make_quantile_scorer
    >>> X, y = load_diabetes(return_X_y=True)
    >>> scorer = make_quantile_scorer("weighted_interval_score")
    >>> model = QuantileRegressor(quantile=[0.1, 0.5, 0.9])
    >>> search = GridSearchCV(model, {"alpha": [0.01, 10.0]}, scoring=scorer, cv=3).fit(X, y)
    >>> search.best_params_
    {'alpha': 0.01}
    """
    if not callable(metric) and metric not in _LOSSES:
        raise ValueError(f"metric must be a callable or one of {sorted(_LOSSES)}; got {metric!r}.")
    return _QuantileScorer(metric, quantiles, 1 if greater_is_better else -1)


class _QuantileScorer:
    """Callable with scikit-learn's signature of scorers; takes part in metadata routing."""

    def __init__(self, metric, quantiles, sign):
        self.metric, self.quantiles, self.sign = metric, quantiles, sign
        self._requests = {}

    def __call__(self, estimator, X, y_true, sample_weight=None):
        levels, predictions = model_levels(estimator), predict_quantiles(estimator, X)
        if self.quantiles is not None:
            wanted = np.atleast_1d(self.quantiles)
            columns = columns_of(wanted, levels, type(estimator).__name__)
            levels, predictions = levels[columns], predictions[:, columns]
        metric = self.metric if callable(self.metric) else _LOSSES[self.metric]
        weight = {} if sample_weight is None else dict(sample_weight=sample_weight)
        return self.sign * metric(y_true, predictions, levels, **weight)

    def set_score_request(self, *, sample_weight=None):
        """Ask metadata routing for the weights: True, False, None, or the name they go by. Returns the scorer."""
        self._requests["sample_weight"] = sample_weight
        return self

    def get_metadata_routing(self):
        """The request, as metadata routing asks for it."""
        request = MetadataRequest(owner=self)
        request.score.add_request(param="sample_weight", alias=self._requests.get("sample_weight"))
        return request

    def __repr__(self):
        name = self.metric if isinstance(self.metric, str) else getattr(self.metric, "__name__", repr(self.metric))
        parts = [repr(name), *([] if self.quantiles is None else [f"quantiles={self.quantiles!r}"])]
        if self.sign > 0:
            parts.append("greater_is_better=True")
        return f"make_quantile_scorer({', '.join(parts)})"


def _outermost(score, y_true, y_quantiles, quantiles, sample_weight=None):
    """A score of the interval between the first and the last level; `score` takes their alpha besides."""
    ends = quantiles[[0, -1]]
    if not are_symmetric(ends) or same_level(*ends):
        raise ValueError(f"Intervals need outermost levels that are symmetric, as 0.1 and 0.9; got {ends.tolist()}.")
    alpha = 1.0 - (ends[1] - ends[0])
    return score(y_true, y_quantiles[:, 0], y_quantiles[:, -1], alpha, sample_weight=sample_weight)


def _crossing(y_true, y_quantiles, quantiles, sample_weight=None):
    return crossing_rate(y_quantiles, sample_weight=sample_weight)


def _miscoverage(y_true, y_lower, y_upper, alpha, sample_weight=None):
    return abs(coverage(y_true, y_lower, y_upper, sample_weight=sample_weight) - (1.0 - alpha))


def _mean_width(y_true, y_lower, y_upper, alpha, sample_weight=None):
    return interval_width(y_lower, y_upper, sample_weight=sample_weight)


_LOSSES = {
    "crossing_rate": _crossing,
    "crps": crps,
    "interval_score": partial(_outermost, interval_score),
    "interval_width": partial(_outermost, _mean_width),
    "mean_pinball_loss": mean_pinball_loss,
    "miscoverage": partial(_outermost, _miscoverage),
    "weighted_interval_score": weighted_interval_score,
}
