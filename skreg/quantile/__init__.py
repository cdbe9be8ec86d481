"""Quantile regression: exact linear models at one level or several."""

from skreg.quantile._quantile_regressor import QuantileRegressor

__all__ = ["QuantileRegressor"]
