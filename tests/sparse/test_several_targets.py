"""Lasso and ElasticNet with a 2-D y."""

import array_api_strict
import numpy as np
import pytest
import scipy.sparse as sp
from sklearn import config_context
from sklearn.base import clone

import skreg
from tests._instances import make_data

both = pytest.mark.parametrize(
    "estimator", [skreg.Lasso(0.05, tol=1e-12, standardize=True), skreg.ElasticNet(0.05, tol=1e-12)], ids=["l1", "enet"]
)


def targets(n_targets=3):
    X, y = make_data(skreg.Lasso())
    rng = np.random.default_rng(0)
    return X, np.c_[y, y + rng.standard_normal(len(y)), 5.0 * rng.standard_normal((len(y), n_targets - 2))]


@both
@pytest.mark.parametrize("container", [np.asarray, sp.csc_array], ids=["dense", "sparse"])
def test_targets_are_fitted_one_by_one(estimator, container):
    X, Y = targets()
    weight = np.random.default_rng(1).uniform(0.1, 2.0, len(Y))
    joint = clone(estimator).fit(container(X), Y, weight)
    assert joint.coef_.shape == (3, X.shape[1]) and joint.intercept_.shape == (3,)
    assert joint.predict(X).shape == Y.shape
    assert len(joint.n_iter_) == len(joint.dual_gap_) == 3 and joint.converged_ is True
    for k in range(3):
        single = clone(estimator).fit(container(X), Y[:, k], weight)
        np.testing.assert_allclose(joint.coef_[k], single.coef_, rtol=0, atol=1e-8)
        np.testing.assert_allclose(joint.intercept_[k], single.intercept_, rtol=0, atol=1e-8)


@both
def test_one_column(estimator):
    X, Y = targets()
    column, flat = clone(estimator).fit(X, Y[:, :1]), clone(estimator).fit(X, Y[:, 0])
    np.testing.assert_allclose(column.coef_, flat.coef_, rtol=0, atol=1e-12)
    assert column.coef_.shape == flat.coef_.shape
    np.testing.assert_allclose(column.intercept_, [flat.intercept_], rtol=1e-12)


@both
def test_warm_start(estimator):
    X, Y = targets()
    model = clone(estimator).set_params(warm_start=True).fit(X, Y)
    first, coef = sum(model.n_iter_), model.coef_.copy()
    model.fit(X, Y)
    assert sum(model.n_iter_) < first
    np.testing.assert_allclose(model.coef_, coef, rtol=0, atol=1e-8)
    model.fit(X, Y[:, 0])  # another shape: a cold start
    np.testing.assert_allclose(model.coef_, coef[0], rtol=0, atol=1e-8)


@both
def test_offset_is_the_same_for_all_targets(estimator):
    X, Y = targets()
    offset = np.random.default_rng(1).standard_normal(len(Y))
    model = clone(estimator).fit(X, Y, offset=offset)
    shifted = clone(estimator).fit(X, Y - offset[:, None])
    np.testing.assert_allclose(model.coef_, shifted.coef_, rtol=0, atol=1e-8)
    np.testing.assert_allclose(model.predict(X, offset), shifted.predict(X) + offset[:, None], rtol=1e-7, atol=1e-7)


@both
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_array_api_input(estimator, fit_intercept):
    X, Y = targets()
    estimator = clone(estimator).set_params(fit_intercept=fit_intercept)
    expected = clone(estimator).fit(X, Y)
    with config_context(array_api_dispatch=True):
        model = clone(estimator).fit(array_api_strict.asarray(X), array_api_strict.asarray(Y))
    assert model.coef_.__array_namespace__() is array_api_strict and model.converged_ is True
    np.testing.assert_allclose(np.asarray(model.coef_), expected.coef_, rtol=0, atol=1e-5)
    np.testing.assert_allclose(np.asarray(model.intercept_), expected.intercept_, rtol=0, atol=1e-5)
