"""Paths: every estimator, certified at each alpha, and the same models as separate fits."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression, enet_path, lasso_path

import skreg
from skreg.model_selection import Path, alpha_grid, regularization_path
from tests._instances import CONTRACTED, label, make_data

every_estimator = pytest.mark.parametrize("estimator", CONTRACTED, ids=label)


@every_estimator
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array], ids=["dense", "sparse"])
def test_a_path_is_the_fits_of_its_alphas(estimator, container):
    X, y = make_data(estimator)
    weight = np.random.default_rng(0).uniform(0.5, 2.0, len(y))
    estimator = clone(estimator).set_params(tol=1e-10)
    path = regularization_path(estimator, container(X), y, alphas=8, eps=0.05, sample_weight=weight)
    assert isinstance(path, Path)
    assert (np.diff(path.alphas) < 0).all() and np.isclose(path.alphas[-1], 0.05 * path.alphas[0])
    assert path.converged.all()
    assert path.df[0] == 0 and path.df[-1] > 0
    convex = getattr(estimator, "penalty", "l1") != "mcp"
    measure = path.dual_gaps if convex else path.kkt_violations
    assert (measure <= estimator.tol).all()
    predictions = path.predict(X)
    assert predictions.shape == (8, len(y))
    for k, on_path in enumerate(path.models()):
        alone = clone(estimator).set_params(alpha=path.alphas[k]).fit(container(X), y, sample_weight=weight)
        assert on_path.alpha == path.alphas[k]
        assert on_path.coef_.shape == alone.coef_.shape
        assert np.shape(on_path.intercept_) == np.shape(alone.intercept_)
        np.testing.assert_array_equal(predictions[k], on_path.predict(X))
        assert on_path.n_iter_ == path.n_iters[k] and on_path.converged_ is True
        if convex:
            np.testing.assert_allclose(on_path.coef_, alone.coef_, rtol=0, atol=1e-6)
        assert path.df[k] == np.count_nonzero(on_path.coef_)
    assert not hasattr(estimator, "coef_")


def test_path_agrees_with_scikit_learn():
    X, y = load_diabetes(return_X_y=True)
    X, y = X - X.mean(axis=0), y - y.mean()
    alphas, coefs, _ = lasso_path(X, y, alphas=30, tol=1e-12, max_iter=100_000)
    path = regularization_path(skreg.Lasso(tol=1e-12), X, y, alphas=alphas)
    np.testing.assert_allclose(path.coefs.T, coefs, rtol=0, atol=1e-3)
    np.testing.assert_allclose(alpha_grid(skreg.Lasso(), X, y, n_alphas=30), alphas, rtol=1e-10)
    alphas, coefs, _ = enet_path(X, y, l1_ratio=0.5, alphas=10, tol=1e-12, max_iter=100_000)
    path = regularization_path(skreg.ElasticNet(l1_ratio=0.5, tol=1e-12), X, y, alphas=10)
    np.testing.assert_allclose(path.alphas, alphas, rtol=1e-10)
    np.testing.assert_allclose(path.coefs.T, coefs, rtol=0, atol=1e-3)


def test_given_alphas_are_sorted_and_may_end_at_zero():
    X, y = make_data(skreg.Lasso())
    path = regularization_path(skreg.Lasso(tol=1e-10), X, y, alphas=[0.01, 0.0, 1.0])
    np.testing.assert_array_equal(path.alphas, [1.0, 0.01, 0.0])
    np.testing.assert_allclose(path.coefs[-1], LinearRegression().fit(X, y).coef_, atol=1e-5)


def test_offset_goes_into_the_predictions():
    model = skreg.SparseRegressor(loss="poisson", tol=1e-9)
    X, y = make_data(model)
    offset = np.random.default_rng(0).standard_normal(len(y))
    path = regularization_path(model, X, y, alphas=4, offset=offset)
    np.testing.assert_allclose(path.predict(X, offset), path.predict(X) * np.exp(offset), rtol=1e-10)


def test_warnings_count_the_alphas_and_point_to_the_caller():
    X, y = make_data(skreg.Lasso())
    with pytest.warns(ConvergenceWarning, match="Lasso stopped after 1 ") as record:
        path = regularization_path(skreg.Lasso(max_iter=1, tol=1e-12), X, y, alphas=[0.1, 0.01])
    assert len(record) == (~path.converged).sum() == 2
    assert {w.filename for w in record} == {__file__}


def test_verbose_prints_a_line_an_alpha(capsys):
    X, y = make_data(skreg.Lasso())
    regularization_path(skreg.Lasso(), X, y, alphas=5)
    assert capsys.readouterr().out == ""
    path = regularization_path(skreg.Lasso(), X, y, alphas=5, verbose=True)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    assert all(f"alpha {alpha:.3e}" in line for alpha, line in zip(path.alphas, lines))


BAD = [
    (dict(alphas=0), "alphas must be a number of alphas"),
    (dict(alphas=2.5), "alphas must be a number of alphas"),
    (dict(alphas=[]), "alphas must be"),
    (dict(alphas=[1.0, -1.0]), "alphas must be"),
    (dict(alphas=[1.0, np.nan]), "alphas must be"),
    (dict(eps=0.0), "eps must be a number between 0 and 1; got 0.0"),
    (dict(eps=1.5), "eps must be"),
    (dict(y=np.ones((40, 2))), "y should be a 1d array"),
    (dict(estimator=skreg.Lasso(tol=-1.0)), "'tol' parameter"),
    (dict(sample_weight=np.zeros(40)), "sample_weight is all zero"),
]


@pytest.mark.parametrize(("change", "text"), BAD, ids=str)
def test_bad_input(change, text):
    X, y = make_data(skreg.Lasso())
    with pytest.raises(ValueError, match=text):
        regularization_path(**{**dict(estimator=skreg.Lasso(), X=X, y=y), **change})


@pytest.mark.parametrize("function", [regularization_path, alpha_grid])
def test_estimators_of_others(function):
    X, y = make_data(skreg.Lasso())
    with pytest.raises(TypeError, match="estimator must be a skreg estimator with an alpha; got LinearRegression"):
        function(LinearRegression(), X, y)


def test_constant_target():
    X, _ = make_data(skreg.Lasso())
    path = regularization_path(skreg.Lasso(), X, np.ones(len(X)), alphas=3)
    np.testing.assert_array_equal(path.coefs, 0.0)
    assert np.isfinite(path.alphas).all()
