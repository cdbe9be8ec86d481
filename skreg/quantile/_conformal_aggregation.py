"""Aggregated quantiles, calibrated by rows that neither base models nor weights have seen."""

import numpy as np

from skreg._base import fitted_attributes
from skreg.quantile._base_models import frozen
from skreg.quantile._conformal import ConformalQuantileRegressor, calibrated_without_folds
from skreg.quantile._weights_cv import Forecasts


def calibrate_by_split(aggregator, levels, X, y, fit_params):
    """Fit the aggregator to a part of the rows, and calibrate it by the others."""
    plain = uncalibrated(aggregator)
    if aggregator.cv == "prefit":
        plain.estimators = [(name, frozen(model)) for name, model in plain._named_models()]
    aggregator.conformal_ = ConformalQuantileRegressor(
        plain,
        quantiles=levels,
        per_level=True,
        calibration_size=aggregator.calibration_size,
        random_state=aggregator.random_state,
    ).fit(X, y, **fit_params)
    (fitted,) = aggregator.conformal_.estimators_[0].estimators_
    vars(aggregator).update(fitted_attributes(fitted))


def calibrate_by_folds(aggregator, base, weight, features):
    """CV+: for each fold, base models and weights fitted without it, calibrated by it.

    The aggregator's own weights are those of all rows' out-of-fold forecasts.

    Parameters
    ----------
    aggregator : QuantileAggregator
        Becomes calibrated.
    base : BaseModels
        The base models and the folds.
    weight, features : ndarray or None
        Of all rows, what the weights are fitted with.
    """
    folds, every = base.folds, np.arange(len(base.y))
    if len(folds) < 3:
        raise ValueError(f"cv must have at least 3 folds with conformal='cv+'; got {len(folds)}.")
    parts = base.out_of_two_folds()
    whole = np.empty_like(parts[0][1])
    without = []
    for k, (models, Z) in enumerate(parts):
        whole[folds[k]] = Z[folds[k]]
        rest = np.setdiff1d(every, folds[k])
        others = [np.searchsorted(rest, fold) for l, fold in enumerate(folds) if l != k]
        part = uncalibrated(aggregator)
        vars(part).update(fitted_attributes(aggregator))  # what is known of the features
        part._set_models(models)
        part._fit_weights(Forecasts(Z, base.y, base.levels, weight, features).rows(rest), others)
        without.append(part)
    aggregator._fit_weights(Forecasts(whole, base.y, base.levels, weight, features), folds)
    aggregator.conformal_ = calibrated_without_folds(
        ConformalQuantileRegressor(uncalibrated(aggregator), quantiles=base.levels, method="cv+", per_level=True),
        without,
        folds,
        base.X,
        base.y,
    )


def uncalibrated(aggregator):
    """The aggregator, not fitted, without calibration; its base models are the same objects."""
    return type(aggregator)(**{**aggregator.get_params(deep=False), "conformal": None})
