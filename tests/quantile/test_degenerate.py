"""A9: data that break naive interior points leave no NaN, neither in weights nor in aggregated or calibrated levels."""

import numpy as np
import pytest

from skreg import ConformalQuantileRegressor, QuantileAggregator, QuantileRegressor
from skreg.quantile import fit_weights

LEVELS = [0.001, 0.25, 0.5, 0.75, 0.999]
MODELS = [("linear", QuantileRegressor(alpha=0.01)), ("few", QuantileRegressor(alpha=0.3))]
RNG = np.random.default_rng(0)
X = RNG.standard_normal((48, 3))
y = X[:, 0] + RNG.standard_normal(48)
DATA = {
    "float32": (X.astype(np.float32), y.astype(np.float32)),
    "constant y": (X, np.full(48, 3.0)),
    "zero y": (X, np.zeros(48)),
    "doubled columns": (np.c_[X, X], y),
    "tripled rows": (np.repeat(X[:16], 3, axis=0), np.repeat(y[:16], 3)),
    "fewer rows than columns": (RNG.standard_normal((24, 60)), y[:24]),
    "tiny y": (X, 1e-12 * y),
    "huge y": (X, 1e12 * y),
    "huge X": (1e9 * X, y),
    "outlier": (X, np.r_[1e9, y[1:]]),
}


@pytest.mark.parametrize("resolution", ["coarse", "medium", "fine"])
@pytest.mark.parametrize("name", DATA)
def test_aggregation(name, resolution):
    X, y = DATA[name]
    weight = np.arange(len(y)) % 3.0  # zeros, too
    model = QuantileAggregator(MODELS, LEVELS, resolution=resolution, shrinkage=0.0, cv=3)
    bands = model.fit(X, y, sample_weight=weight).predict_quantiles(X)
    assert bands.dtype == np.float64 and np.isfinite(bands).all()
    assert np.isfinite(model.weights_).all() and model.dual_gap_ <= 1e-9
    total = model.weights_.sum(axis={1: None, 2: 0, 3: (1, 2)}[model.weights_.ndim])
    np.testing.assert_allclose(total, 1.0, rtol=1e-9)
    if name == "constant y":
        np.testing.assert_allclose(bands, 3.0, rtol=1e-6)


@pytest.mark.filterwarnings("ignore:Quantiles of the levels:UserWarning")
@pytest.mark.parametrize("method", ["split", "cv+"])
@pytest.mark.parametrize("name", DATA)
def test_calibration(name, method):
    X, y = DATA[name]
    for model in (
        ConformalQuantileRegressor(
            QuantileRegressor(alpha=0.01), quantiles=LEVELS, method=method, cv=3, random_state=0
        ),
        QuantileAggregator(MODELS, LEVELS, conformal=method, shrinkage=0.1, cv=3, random_state=0),
    ):
        bands = model.fit(X, y).predict_quantiles(X)
        assert not np.isnan(bands).any() and np.isfinite(bands[:, 2]).all()
        assert np.all(bands[:, 0] == -np.inf) and np.all(bands[:, 4] == np.inf)  # 999 rows would do


@pytest.mark.parametrize("level", [0.001, 0.25, 0.5])
def test_float32_and_weights_of_zero(level):
    weight = np.arange(48) % 3.0
    model = QuantileRegressor(level, alpha=0.01).fit(X, y, weight)
    single = QuantileRegressor(level, alpha=0.01).fit(X.astype(np.float32), y.astype(np.float32), weight)
    assert single.coef_.dtype == np.float32 and single.predict(X.astype(np.float32)).dtype == np.float32
    np.testing.assert_allclose(single.predict(X.astype(np.float32)), model.predict(X), atol=1e-4)
    few = weight.copy()
    few[5:] = 0.0  # weight is left on three rows, fewer than columns and intercept
    assert np.isfinite(QuantileRegressor(level, alpha=0.0).fit(X, y, few).coef_).all()


def test_models_that_are_alike_but_for_rounding():
    """What tells them apart is noise of 1e-16: no vertex may be built on it."""
    one = y[:, None] + RNG.standard_normal((48, 5))
    Z = np.stack([one, one + 4e-16 * RNG.standard_normal((48, 5))], axis=1)
    for resolution in ("coarse", "medium", "fine"):
        result = fit_weights(Z, y, LEVELS, resolution=resolution)
        assert result.weights.min() >= 0.0 and result.weights.max() <= 1.0 + 1e-9
        best = fit_weights(one[:, None], y, LEVELS, resolution=resolution).objective
        assert result.objective == pytest.approx(best, rel=1e-7)


@pytest.mark.parametrize("target", [0.0, 3.0])
def test_a_constant_that_one_model_knows(target):
    """The other one errs: all slacks of the solution are zero."""
    Z = np.stack([np.full((48, 5), target), target + 1e-3 * np.tile([-4.0, -1.0, 0.0, 1.0, 4.0], (48, 1))], axis=1)
    for resolution in ("coarse", "medium", "fine"):
        result = fit_weights(Z, np.full(48, target), LEVELS, resolution=resolution)
        np.testing.assert_allclose(result.combine(Z), target, atol=1e-12)
        assert abs(result.objective) <= 1e-12


@pytest.mark.parametrize("scale", [1e-150, 1.0, 1e150])
def test_weights_of_copies_and_of_one_row(scale):
    Z = scale * (y[:, None, None] + RNG.standard_normal((48, 2, 5)))
    copies = np.concatenate([Z, Z, Z[:, :1]], axis=1)
    for forecasts, target in ((copies, scale * y), (copies[:1], scale * y[:1])):
        result = fit_weights(forecasts, target, LEVELS, resolution="fine")
        assert np.isfinite(result.weights).all() and np.isfinite(result.objective) and result.dual_gap <= 1e-9
