"""AdaptiveLasso: where its weights come from."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import make_regression
from sklearn.linear_model import LassoLarsIC, LinearRegression, Ridge

import skreg


@pytest.fixture
def data():
    X, y, truth = make_regression(200, 15, n_informative=4, noise=20.0, coef=True, random_state=0)
    return X, y, truth


def test_weights_are_those_of_the_formula(data):
    X, y, _ = data
    pilot = LinearRegression().fit(X, y).coef_
    share = np.maximum(np.abs(pilot) / np.abs(pilot).max(), 1e-3)
    for gamma in (0.5, 1.0, 2.0):
        model = skreg.AdaptiveLasso(alpha=0.5, gamma=gamma, pilot=LinearRegression(), tol=1e-12).fit(X, y)
        lasso = skreg.Lasso(alpha=0.5, penalty_weights=share**-gamma, tol=1e-12).fit(X, y)
        np.testing.assert_allclose(model.coef_, lasso.coef_, rtol=1e-8, atol=1e-8)
        np.testing.assert_array_equal(model.pilot_coef_, pilot)


def test_gamma_zero_is_the_lasso(data):
    X, y, _ = data
    adaptive = skreg.AdaptiveLasso(alpha=3.0, gamma=0.0, tol=1e-12).fit(X, y)
    np.testing.assert_allclose(adaptive.coef_, skreg.Lasso(alpha=3.0, tol=1e-12).fit(X, y).coef_, atol=1e-8)


def test_pilot_is_about_the_lasso_that_bic_chooses(data):
    """LassoLarsIC looks at the kinks of the path and at another noise estimate; the support must be the same."""
    X, y, _ = data
    lars = LassoLarsIC(criterion="bic").fit(X, y)
    pilot = skreg.AdaptiveLasso(alpha=1.0).fit(X, y).pilot_coef_
    np.testing.assert_array_equal(pilot != 0, lars.coef_ != 0)
    np.testing.assert_allclose(pilot, lars.coef_, rtol=0.1, atol=2.0)


def test_less_biased_than_the_lasso_on_the_same_support(data):
    X, y, truth = data
    lasso = skreg.Lasso(alpha=6.0).fit(X, y)
    adaptive = skreg.AdaptiveLasso(alpha=1.0).fit(X, y)
    np.testing.assert_array_equal(adaptive.coef_ != 0, truth != 0)
    assert np.abs(adaptive.coef_ - truth).sum() < 0.5 * np.abs(lasso.coef_ - truth).sum()


def test_unpenalised_features_stay_so_and_do_not_set_the_scale(data):
    X, y, _ = data
    y = y + 1e5 * X[:, 0]  # its pilot coefficient would make all others look negligible
    weights = np.ones(X.shape[1])
    weights[0] = 0.0
    model = skreg.AdaptiveLasso(alpha=2.0, penalty_weights=weights, tol=1e-12).fit(X, y)
    others = np.abs(model.pilot_coef_[1:])
    share = np.r_[1.0, np.maximum(others / others.max(), 1e-3)]
    lasso = skreg.Lasso(alpha=2.0, penalty_weights=weights / share, tol=1e-12).fit(X, y)
    np.testing.assert_allclose(model.coef_, lasso.coef_, rtol=1e-7, atol=1e-6)
    residual = y - model.predict(X)
    assert abs(X[:, 0] @ residual) / len(y) < 1e-5  # no penalty: its gradient vanishes


def test_penalty_weights_count_once(data):
    """The pilot takes all penalised features alike; the weights come in with the model."""
    X, y, _ = data
    weights = np.linspace(0.5, 3.0, X.shape[1])
    plain = skreg.AdaptiveLasso(alpha=2.0, tol=1e-12).fit(X, y)
    model = skreg.AdaptiveLasso(alpha=2.0, penalty_weights=weights, tol=1e-12).fit(X, y)
    np.testing.assert_array_equal(model.pilot_coef_, plain.pilot_coef_)
    share = np.maximum(np.abs(plain.pilot_coef_) / np.abs(plain.pilot_coef_).max(), 1e-3)
    lasso = skreg.Lasso(alpha=2.0, penalty_weights=weights / share, tol=1e-12).fit(X, y)
    np.testing.assert_allclose(model.coef_, lasso.coef_, rtol=1e-8, atol=1e-8)


def test_standardized_pilot_counts_on_the_standardized_scale(data):
    X, y, _ = data
    scales = np.logspace(-1, 1, X.shape[1])
    model = skreg.AdaptiveLasso(alpha=2.0, standardize=True, pilot=LinearRegression(), tol=1e-12).fit(X, y)
    other = skreg.AdaptiveLasso(alpha=2.0, standardize=True, pilot=LinearRegression(), tol=1e-12).fit(X * scales, y)
    np.testing.assert_allclose(other.coef_ * scales, model.coef_, rtol=1e-7, atol=1e-7)


def test_user_pilot_sees_weights_and_the_target_less_the_offset(data):
    X, y, _ = data
    weight, offset = np.linspace(0.1, 2.0, len(y)), np.linspace(-50.0, 50.0, len(y))
    pilot = Ridge(alpha=3.0)
    model = skreg.AdaptiveLasso(alpha=1.0, pilot=pilot).fit(X, y, weight, offset)
    expected = clone(pilot).fit(X, y - offset, weight).coef_
    np.testing.assert_allclose(model.pilot_coef_, expected, rtol=1e-12)
    assert not hasattr(pilot, "coef_")


def test_empty_pilot_gives_equal_weights():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((100, 5)), rng.standard_normal(100)
    model = skreg.AdaptiveLasso(alpha=0.01, tol=1e-12).fit(X, y)
    np.testing.assert_array_equal(model.pilot_coef_, 0.0)
    np.testing.assert_allclose(model.coef_, skreg.Lasso(alpha=0.01, tol=1e-12).fit(X, y).coef_, atol=1e-9)
