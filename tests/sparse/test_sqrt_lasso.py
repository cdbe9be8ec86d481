"""SqrtLasso: an independent solver's optimum, the pivotal strength, data without noise, certificates, other data."""

import cvxpy as cp
import numpy as np
import pytest
import scipy.sparse as sp
from scipy.stats import norm
from sklearn.exceptions import ConvergenceWarning

import skreg
from skreg.model_selection import alpha_grid, regularization_path


def data(n=60, p=20, noise=0.5, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) * np.linspace(0.5, 2.0, p)
    w = np.zeros(p)
    w[:4] = [3.0, -2.0, 1.0, 0.5]
    return X, X @ w + 3.0 + noise * rng.standard_normal(n), w


def objective(model, X, y, weight=None, penalty_weights=1.0):
    r = y - X @ model.coef_ - model.intercept_
    return np.sqrt(np.average(r**2, weights=weight)) + model.alpha_ * np.sum(penalty_weights * np.abs(model.coef_))


def optimum(X, y, alpha, weight=None, penalty_weights=None, lower=-np.inf, fit_intercept=True):
    """The least objective, by a second-order cone program."""
    n, p = X.shape
    weight = np.ones(n) if weight is None else weight
    v = np.ones(p) if penalty_weights is None else penalty_weights
    w, b = cp.Variable(p), cp.Variable()
    r = cp.multiply(np.sqrt(weight / weight.sum()), y - X @ w - (b if fit_intercept else 0.0))
    bounds = [w >= lower] if np.isfinite(lower) else []
    problem = cp.Problem(cp.Minimize(cp.norm(r) + alpha * cp.norm1(cp.multiply(v, w))), bounds)
    return problem.solve(solver="CLARABEL", tol_gap_abs=1e-10, tol_gap_rel=1e-10, tol_feas=1e-10)


WEIGHT = np.random.default_rng(1).integers(0, 3, 60).astype(float)
V = np.where(np.arange(20) < 2, 0.0, np.linspace(0.5, 1.5, 20))  # two features are not penalised


@pytest.mark.parametrize(
    ("alpha", "weight", "settings"),
    [
        (0.3, None, {}),
        (0.05, WEIGHT, {}),
        (0.2, WEIGHT, dict(penalty_weights=V)),
        (0.2, None, dict(positive=True)),
        (0.2, None, dict(fit_intercept=False)),
        (0.0, None, {}),
    ],
    ids=str,
)
def test_the_optimum_is_that_of_a_cone_solver(alpha, weight, settings):
    X, y, _ = data()
    model = skreg.SqrtLasso(alpha, standardize=False, tol=1e-10, **settings).fit(X, y, weight)
    bounds = dict(lower=0.0) if settings.pop("positive", False) else {}
    best = optimum(X, y, alpha, weight, **settings, **bounds)
    assert objective(model, X, y, weight, settings.get("penalty_weights", 1.0)) == pytest.approx(best, abs=1e-8)
    assert model.dual_gap_ <= 1e-10 and model.converged_
    r = y - model.predict(X)
    assert model.scale_ == pytest.approx(np.sqrt(np.average(r**2, weights=weight)), rel=1e-12)


def test_more_features_than_samples():
    X, y, _ = data(40, 100)
    for alpha in (0.3, 0.1):  # at the second, as many features as samples less one fit y without error
        model = skreg.SqrtLasso(alpha, standardize=False, tol=1e-10).fit(X, y)
        assert objective(model, X, y) == pytest.approx(optimum(X, y, alpha), abs=1e-8)
        assert model.converged_
    assert model.scale_ < 1e-12 and 0 < np.count_nonzero(model.coef_) < 40


def test_it_is_the_lasso_at_alpha_times_scale():
    X, y, _ = data()
    model = skreg.SqrtLasso(0.2, tol=1e-12).fit(X, y)
    lasso = skreg.Lasso(model.alpha_ * model.scale_, standardize=True, tol=1e-12).fit(X, y)
    np.testing.assert_allclose(model.coef_, lasso.coef_, atol=1e-9)
    assert 0 < np.count_nonzero(model.coef_) < 20


@pytest.mark.parametrize("shape", [(60, 20), (50, 200)], ids=str)
@pytest.mark.parametrize("alpha", [0.2, 1e-3])
def test_data_without_noise_are_recovered(shape, alpha):
    X, y, w = data(*shape, noise=0.0)
    for scale in (1.0, 1e-6, 1e6):
        model = skreg.SqrtLasso(alpha).fit(X, scale * y)
        np.testing.assert_allclose(model.coef_ / scale, w, atol=1e-12)
        assert model.intercept_ == pytest.approx(3.0 * scale, rel=1e-12)
        assert model.scale_ <= 1e-12 * scale and model.dual_gap_ <= 1e-12 and model.converged_


def test_a_warm_start_from_a_fit_without_error():
    X, y, _ = data(50, 200, noise=0.0)
    model = skreg.SqrtLasso(1e-3, warm_start=True, tol=1e-10).fit(X, y)
    assert model.scale_ < 1e-12
    model.set_params(alpha=0.8).fit(X, y)
    assert model.converged_ and model.scale_ > 0.1
    np.testing.assert_allclose(model.coef_, skreg.SqrtLasso(0.8, tol=1e-10).fit(X, y).coef_, atol=1e-8)


def test_a_constant_target():
    X, y, _ = data()
    model = skreg.SqrtLasso().fit(X, np.full(60, 7.0))
    assert not model.coef_.any() and model.intercept_ == 7.0 and model.scale_ == 0.0 and model.converged_


def test_a_model_of_doubled_columns_is_certified():
    X, y, _ = data()
    model = skreg.SqrtLasso(0.1, tol=1e-10).fit(np.hstack([X, X, np.ones((60, 1))]), y)
    single = skreg.SqrtLasso(0.1, tol=1e-10).fit(X, y)
    assert model.converged_
    np.testing.assert_allclose(model.predict(np.hstack([X, X, np.ones((60, 1))])), single.predict(X), atol=1e-6)


def test_the_pivotal_strength():
    X, y, _ = data()
    model = skreg.SqrtLasso().fit(X, y)
    assert model.alpha_ == pytest.approx(1.1 * norm.ppf(1 - 0.05 / 40) / np.sqrt(60), rel=1e-12)
    forced = skreg.SqrtLasso(penalty_weights=np.r_[0.0, np.ones(19)]).fit(X, y)
    assert forced.alpha_ == pytest.approx(1.1 * norm.ppf(1 - 0.05 / 38) / np.sqrt(60), rel=1e-12)
    repeated = skreg.SqrtLasso().fit(X, y, np.full(60, 2.0))
    assert repeated.alpha_ == pytest.approx(model.alpha_ / np.sqrt(2), rel=1e-12)
    units = skreg.SqrtLasso(tol=1e-12).fit(X * np.linspace(1.0, 100.0, 20), y)
    np.testing.assert_allclose(units.coef_ * np.linspace(1.0, 100.0, 20), model.coef_, atol=1e-8)


@pytest.mark.slow
def test_the_pivotal_strength_keeps_noise_out():
    """With probability 95 % no feature enters where y is noise, whatever its variance."""
    rng = np.random.default_rng(0)
    empty = [
        not skreg.SqrtLasso().fit(rng.standard_normal((100, 50)), scale * rng.standard_normal(100)).coef_.any()
        for scale in np.geomspace(1e-3, 1e3, 400)
    ]
    assert np.mean(empty) >= 0.95


def test_sparse_and_weighted_data():
    X, y, _ = data()
    X[np.abs(X) < 0.6] = 0.0
    dense = skreg.SqrtLasso(0.1, tol=1e-12).fit(X, y, WEIGHT)
    csc = skreg.SqrtLasso(0.1, tol=1e-12).fit(sp.csc_array(X), y, WEIGHT)
    repeated = skreg.SqrtLasso(0.1, tol=1e-12).fit(
        np.repeat(X, WEIGHT.astype(int), 0), np.repeat(y, WEIGHT.astype(int))
    )
    np.testing.assert_allclose(csc.coef_, dense.coef_, atol=1e-9)
    np.testing.assert_allclose(repeated.coef_, dense.coef_, atol=1e-9)


@pytest.mark.parametrize("free", [0, 2])
def test_the_grid_begins_where_the_model_empties(free):
    X, y, _ = data()
    model = skreg.SqrtLasso(penalty_weights=np.where(np.arange(20) < free, 0.0, 1.0), tol=1e-12)
    grid = alpha_grid(model, X, y, n_alphas=12)
    path = regularization_path(model, X, y, alphas=grid)
    assert path.df[0] == free and (path.dual_gaps <= 1e-12).all()
    assert np.count_nonzero(model.set_params(alpha=0.999 * grid[0]).fit(X, y).coef_) == free + 1
    for k in (4, 11):
        np.testing.assert_allclose(path.coefs[k], model.set_params(alpha=grid[k]).fit(X, y).coef_, atol=1e-8)


def test_a_search_scores_its_own_paths():
    """Not those of the Lasso, which folds of the squared loss are solved as from moments."""
    X, y, _ = data(200, 20)
    search = skreg.PathCV(skreg.SqrtLasso(tol=1e-12), alphas=[0.3, 0.1], cv=3).fit(X, y)
    folds = [(np.delete(np.arange(200), test), test) for test in np.split(np.arange(200), [67, 134])]
    for k, alpha in enumerate([0.3, 0.1]):
        errors = [
            np.mean((skreg.SqrtLasso(alpha, tol=1e-12).fit(X[a], y[a]).predict(X[b]) - y[b]) ** 2) for a, b in folds
        ]
        assert -search.mean_score_[k] == pytest.approx(np.mean(errors), rel=1e-8)


def test_too_few_passes_warn_and_the_gap_reported_bounds_the_excess():
    X, y, _ = data(40, 100)
    best, null = optimum(X, y, 0.1), np.std(y)
    with pytest.warns(ConvergenceWarning, match="SqrtLasso stopped after"):
        rough = [skreg.SqrtLasso(0.1, standardize=False, max_iter=k, tol=1e-14).fit(X, y) for k in (1, 2, 4, 6)]
    for model in rough:
        assert (objective(model, X, y) - best) / null <= model.dual_gap_ + 1e-9
    assert not rough[0].converged_ and rough[0].dual_gap_ > 1e-3


@pytest.mark.parametrize("alpha", ["auto", -1.0, None])
def test_alpha_is_checked(alpha):
    X, y, _ = data()
    with pytest.raises(ValueError, match="alpha"):
        skreg.SqrtLasso(alpha).fit(X, y)
