"""Quantile regression: exact linear models at one level or several."""

from skreg.quantile._quantile_regressor import QuantileRegressor
from skreg.quantile._weights import fit_weights

__all__ = ["QuantileRegressor", "fit_weights"]
