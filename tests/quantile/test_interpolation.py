"""`predict_quantiles` at levels between those of the fit."""

import array_api_strict
import numpy as np
import pytest
from sklearn import config_context
from sklearn.datasets import load_diabetes
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import BayesianRidge

from skreg import ConformalQuantileRegressor, QuantileAggregator, QuantileRegressor

X, y = load_diabetes(return_X_y=True)
X, y = X[:150], y[:150]
LEVELS = np.array([0.1, 0.3, 0.5, 0.9])
MODELS = [
    QuantileRegressor(LEVELS, alpha=0.0),
    QuantileRegressor(LEVELS, alpha=0.0, non_crossing="rows"),
    QuantileAggregator([("linear", QuantileRegressor(alpha=0.0)), ("normal", BayesianRidge())], LEVELS, cv=3),
]


@pytest.mark.parametrize("model", MODELS, ids=lambda m: type(m).__name__)
def test_levels_between_are_on_the_line(model):
    bands = model.fit(X, y).predict_quantiles(X)
    wanted = [0.1, 0.15, 0.4, 0.5, 0.7, 0.9]
    expected = [np.interp(wanted, LEVELS, row) for row in bands]
    np.testing.assert_allclose(model.predict_quantiles(X, quantiles=wanted), expected, rtol=1e-12)
    np.testing.assert_array_equal(model.predict_quantiles(X, quantiles=LEVELS), bands)
    assert model.predict_quantiles(X, quantiles=0.2).shape == (150, 1)
    for outside in (0.05, [0.5, 0.95]):
        with pytest.raises(
            ValueError, match="quantiles must be between the lowest and the highest level .*0.1 and 0.9"
        ):
            model.predict_quantiles(X, quantiles=outside)
    with pytest.raises(ValueError, match="quantiles must have levels that increase"):
        model.predict_quantiles(X, quantiles=[0.5, 0.2])


def test_one_level_has_nothing_between():
    model = QuantileRegressor(0.3, alpha=0.0).fit(X, y)
    np.testing.assert_array_equal(model.predict_quantiles(X, quantiles=0.3)[:, 0], model.predict(X))
    with pytest.raises(ValueError, match="quantiles must be between"):
        model.predict_quantiles(X, quantiles=0.4)


def test_calibrated_levels_are_not_interpolated():
    model = ConformalQuantileRegressor(quantiles=[0.1, 0.5, 0.9], random_state=0).fit(X, y)
    bands = model.predict_quantiles(X)
    np.testing.assert_array_equal(model.predict_quantiles(X, quantiles=[0.5, 0.9]), bands[:, 1:])
    with pytest.raises(ValueError, match=r"predicts the levels \[0.1, 0.5, 0.9\], and not \[0.3\]"):
        model.predict_quantiles(X, quantiles=0.3)


def test_a_fitted_model_is_not_asked_for_levels_it_was_not_fitted_at():
    frozen = FrozenEstimator(QuantileRegressor(LEVELS, alpha=0.0).fit(X, y))
    with pytest.raises(ValueError, match="and not"):
        ConformalQuantileRegressor(frozen, quantiles=[0.2, 0.8], per_level=True).fit(X, y)


def test_another_array_namespace():
    here = QuantileRegressor(LEVELS, alpha=0.0).fit(X, y)
    strict = [array_api_strict.asarray(a) for a in (X, y)]
    with config_context(array_api_dispatch=True):
        there = QuantileRegressor(LEVELS, alpha=0.0).fit(*strict).predict_quantiles(strict[0], quantiles=[0.2, 0.6])
    assert there.__array_namespace__() is array_api_strict
    np.testing.assert_allclose(np.asarray(there), here.predict_quantiles(X, quantiles=[0.2, 0.6]), rtol=1e-9)
