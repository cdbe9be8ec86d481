"""Standard errors of linear quantiles: known densities, statsmodels, and the laws of data; test_engel.py has R's."""

import array_api_strict
import numpy as np
import pytest
import scipy.sparse as sp
from scipy.stats import norm
from sklearn import config_context
from statsmodels.datasets import engel
from statsmodels.regression.quantile_regression import QuantReg

from skreg import QuantileRegressor

METHODS = ["kernel", "nid", "iid"]


def simulated(n=120, p=3, seed=0, slope=0.5):
    """Noise whose standard deviation is 1 + slope * x_0."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(0.0, 2.0, (n, p))
    deviation = 1.0 + slope * X[:, 0]
    return X, X.sum(axis=1) + deviation * rng.standard_normal(n), deviation


def errors_of(X, y, method, weight=None, level=0.3, **settings):
    model = QuantileRegressor(level, penalty=None, **settings).fit(X, y, weight)
    return model.standard_errors(X, y, weight, method=method)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("level", [0.1, 0.5, 0.75])
@pytest.mark.parametrize("method", METHODS)
def test_errors_are_near_those_of_the_known_density(method, level, fit_intercept):
    X, y, deviation = simulated(20_000, slope=0.0 if method == "iid" else 0.5)
    if not fit_intercept:
        X = np.column_stack([X, np.ones(len(y))])
    Z = np.column_stack([X, np.ones(len(y))]) if fit_intercept else X
    density = norm.pdf(norm.ppf(level)) / deviation
    bread = np.linalg.inv(Z.T @ (Z * density[:, None]))
    expected = np.sqrt(level * (1.0 - level) * np.diag(bread @ Z.T @ Z @ bread))
    errors = errors_of(X, y, method, level=level, fit_intercept=fit_intercept)
    ours = np.append(errors.coef, errors.intercept) if fit_intercept else errors.coef
    np.testing.assert_allclose(ours, expected, rtol=0.06)
    np.testing.assert_allclose(np.sqrt(np.diag(errors.covariance)), ours, rtol=1e-14)
    assert fit_intercept or errors.intercept == 0.0


@pytest.mark.parametrize("level", [0.25, 0.5, 0.75])
def test_iid_is_that_of_statsmodels(level):
    data = engel.load_pandas().data
    X, y = data[["income"]].to_numpy(), data["foodexp"].to_numpy()
    Z = np.column_stack([np.ones(len(y)), X])
    settings = dict(q=level, vcov="iid", kernel="gau", bandwidth="hsheather", p_tol=1e-10, max_iter=10_000)
    reference = QuantReg(y, Z).fit(**settings)
    errors = errors_of(X, y, "iid", level=level)
    np.testing.assert_allclose([errors.intercept, *errors.coef], reference.bse, rtol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_integer_weights_are_copies(method):
    X, y, _ = simulated()
    weight = np.random.default_rng(1).integers(0, 4, len(y))
    copies = np.repeat(np.arange(len(y)), weight)
    weighted, copied = errors_of(X, y, method, weight), errors_of(X[copies], y[copies], method)
    np.testing.assert_allclose(weighted.covariance, copied.covariance, rtol=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_units_of_data(method):
    X, y, _ = simulated()
    errors, scale = errors_of(X, y, method), np.array([1e-5, 1.0, 1e6])
    scaled = errors_of(X * scale + 1e3 * scale, 1e-6 * y, method)
    np.testing.assert_allclose(scaled.coef, 1e-6 * errors.coef / scale, rtol=1e-6)
    assert errors_of(X, 1e6 * y, method).intercept == pytest.approx(1e6 * errors.intercept)


@pytest.mark.parametrize("method", METHODS)
def test_levels_each_have_their_own(method):
    X, y, _ = simulated()
    levels = [0.2, 0.5, 0.7]
    together = errors_of(X, y, method, level=levels)
    assert together.coef.shape == (3, 3) and together.intercept.shape == (3,) and together.covariance.shape == (3, 4, 4)
    for k, level in enumerate(levels):
        alone = errors_of(X, y, method, level=level)
        np.testing.assert_allclose(together.coef[k], alone.coef, rtol=1e-8)
        assert together.intercept[k] == pytest.approx(alone.intercept, rel=1e-8)


@pytest.mark.parametrize("method", METHODS)
def test_kinds_of_data(method):
    X, y, _ = simulated()
    X[X < 0.7] = 0.0
    dense, sparse = errors_of(X, y, method), errors_of(sp.csr_array(X), y, method)
    np.testing.assert_allclose(sparse.covariance, dense.covariance, rtol=1e-9)
    single = errors_of(X.astype(np.float32), y, method)
    assert single.coef.dtype == np.float32
    np.testing.assert_allclose(single.coef, dense.coef, rtol=2e-2)
    with config_context(array_api_dispatch=True):
        elsewhere = errors_of(array_api_strict.asarray(X), array_api_strict.asarray(y), method)
    np.testing.assert_allclose(np.asarray(elsewhere.coef), dense.coef, rtol=1e-9)


def test_an_offset_is_taken_off_the_target():
    X, y, _ = simulated()
    offset = np.linspace(-3.0, 3.0, len(y)) ** 3
    model = QuantileRegressor(0.4, penalty=None).fit(X, y + offset, offset=offset)
    errors = model.standard_errors(X, y + offset, offset=offset)
    np.testing.assert_allclose(errors.covariance, errors_of(X, y, "kernel", level=0.4).covariance, rtol=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_a_perfect_fit_has_no_error(method):
    X, _, _ = simulated()
    assert not errors_of(X, np.full(len(X), 2.0), method).covariance.any()


def test_levels_stay_in_double_precision():
    X, y, _ = simulated()
    model = QuantileRegressor([0.1, 0.9], penalty=None).fit(X.astype(np.float32), y)
    assert model.quantiles_.dtype == np.float64 and model.quantiles_.tolist() == [0.1, 0.9]


@pytest.mark.parametrize("settings", [dict(alpha=0.1), dict(alpha=0.0, positive=True), dict(alpha=0.0, upper=5.0)])
def test_penalties_and_bounds_are_refused(settings):
    X, y, _ = simulated()
    with pytest.raises(ValueError, match="without penalty"):
        QuantileRegressor(**settings).fit(X, y).standard_errors(X, y)


def test_bad_input_is_named():
    X, y, _ = simulated()
    model = QuantileRegressor(penalty=None).fit(X, y)
    with pytest.raises(ValueError, match="method must be one of"):
        model.standard_errors(X, y, method="boot")
    with pytest.raises(ValueError, match="sum of sample_weight"):
        model.standard_errors(X, y, np.full(len(y), 1.0 / len(y)))
    with pytest.raises(ValueError, match="features"):
        model.standard_errors(X[:, :2], y)
    with pytest.raises(ValueError, match="linearly independent"):
        errors_of(np.column_stack([X, X[:, 0] - X[:, 1]]), y, "kernel")
