"""Paths of quantile regression against scikit-learn's linear programs, and against fits at single alphas."""

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.optimize import linprog
from sklearn.linear_model import QuantileRegressor as Reference
from sklearn.model_selection import GridSearchCV

from skreg import PathCV, PathIC, QuantileRegressor, StabilitySelection
from skreg.model_selection import alpha_grid, regularization_path
from skreg.solvers import _quantile_path

SHAPES = [(120, 10), (60, 150)]
KINDS = ["plain", "integer", "duplicated", "binary"]


def simulated(n, p, kind="plain", seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p))
    y = X[:, 0] - X[:, 1] + rng.standard_t(2, n)
    if kind == "duplicated":
        X[:, p // 2 :] = X[:, : p // 2]
    if kind == "binary":
        X, y = (X > 0).astype(float), 2.0 * y
    return X, np.round(y) if kind in {"integer", "binary"} else y


def weights(kind, n):
    rng = np.random.default_rng(1)
    return {"none": None, "real": rng.uniform(0.1, 2.0, n), "counts": rng.integers(0, 3, n).astype(float)}[kind]


def objective(X, y, coef, intercept, level, alpha, weight=None, penalty_weights=1.0):
    r = y - X @ coef - intercept
    loss = np.average(np.maximum(level * r, (level - 1.0) * r), weights=weight)
    return loss + alpha * np.sum(penalty_weights * np.abs(coef))


@pytest.fixture
def solves(monkeypatch):
    """The number of alphas that were not solved by pivots."""
    calls, solve = [], _quantile_path.solve_problem
    monkeypatch.setattr(_quantile_path, "solve_problem", lambda *args: calls.append(1) or solve(*args))
    return calls


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("weighted", ["none", "real", "counts"])
@pytest.mark.parametrize("level", [0.05, 0.5, 0.9])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_reaches_the_optimum_of_highs(shape, kind, level, weighted, fit_intercept):
    X, y = simulated(*shape, kind)
    weight = weights(weighted, len(y))
    settings = dict(quantile=level, fit_intercept=fit_intercept)
    path = regularization_path(QuantileRegressor(**settings), X, y, alphas=20, eps=1e-2, sample_weight=weight)
    assert path.converged.all() and path.dual_gaps.max() <= 1e-12
    for k in (4, 19):
        alpha = path.alphas[k]
        reference = Reference(alpha=alpha, **settings).fit(X, y, weight)
        theirs = objective(X, y, reference.coef_, reference.intercept_, level, alpha, weight)
        ours = objective(X, y, path.coefs[k], path.intercepts[k], level, alpha, weight)
        assert (1 - 1e-7) * theirs <= ours <= (1 + 1e-9) * theirs  # HiGHS has tolerances of its own


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("level", [0.05, 0.5, 0.9])
@pytest.mark.parametrize("kind", KINDS)
def test_alpha_max_empties_the_model_and_no_smaller_alpha_does(kind, level, fit_intercept):
    X, y = simulated(60, 30, kind)
    if not fit_intercept:
        y = np.where(np.abs(y) < 1.0, 0.0, y)  # ties at the null model
    model = QuantileRegressor(level, fit_intercept=fit_intercept)
    (top,) = alpha_grid(model, X, y, 1)
    path = regularization_path(model, X, y, alphas=[top, 0.999 * top])
    assert path.df[0] == 0 and path.df[1] > 0 and path.converged.all()
    null = objective(X, y, 0.0 * X[0], path.intercepts[0], level, top)
    below = objective(X, y, path.coefs[1], path.intercepts[1], level, 0.999 * top)
    assert below < null
    assert not np.any(QuantileRegressor(level, alpha=1.001 * top, fit_intercept=fit_intercept).fit(X, y).coef_)


def test_alpha_max_is_that_of_the_whole_linear_program():
    X, y = simulated(200, 120, "integer")
    n, level = len(y), 0.3
    r = y - np.quantile(y, level, method="inverted_cdf")
    assert np.sum(r == 0) > 20
    low = np.where(r > 0, level, level - 1.0) / n
    high = np.where(r < 0, level - 1.0, level) / n
    rows = np.concatenate([X.T, -X.T])
    least = linprog(
        np.append(np.zeros(n), 1.0),
        np.column_stack([rows, -np.ones(len(rows))]),
        np.zeros(len(rows)),
        np.append(np.ones(n), 0.0)[None, :],
        [0.0],
        bounds=[*zip(low, high), (0.0, None)],
    )
    np.testing.assert_allclose(alpha_grid(QuantileRegressor(level), X, y, 1)[0], least.fun, rtol=1e-9)


@pytest.mark.parametrize(
    "settings",
    [
        dict(positive=True),
        dict(standardize=True),
        dict(penalty_weights=np.r_[0.0, 0.0, np.linspace(0.5, 2.0, 37), np.inf]),
        dict(lower=-0.1, upper=0.2),
        dict(penalty="elastic_net", l1_ratio=0.5),
        dict(quantile=[0.2, 0.5, 0.9]),
        dict(quantile=[0.2, 0.5, 0.9], non_crossing="rows"),
    ],
)
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_every_point_is_a_fit(settings, container):
    X, y = simulated(80, 40)
    X[np.abs(X) < 0.5] = 0.0
    weight, offset = weights("real", 80), np.linspace(-1.0, 1.0, 80)
    model = QuantileRegressor(**{"quantile": 0.4, "tol": 1e-10, **settings})
    path = regularization_path(model, container(X), y, alphas=6, eps=0.02, sample_weight=weight, offset=offset)
    free = settings.get("penalty_weights", np.ones(40)) == 0
    assert path.df[0] == free.sum() and path.df[1] > path.df[0]
    for fitted in list(path.models())[1:]:  # at the first alpha one coefficient may be anything from zero on
        alone = QuantileRegressor(**fitted.get_params()).fit(container(X), y, weight, offset)
        assert fitted.converged_ and alone.converged_
        np.testing.assert_allclose(fitted.coef_, alone.coef_, rtol=0, atol=1e-6)
        np.testing.assert_allclose(fitted.intercept_, alone.intercept_, rtol=0, atol=1e-6)
        assert vars(fitted).keys() == vars(alone).keys()


@pytest.mark.parametrize("penalty", ["mcp", "group_lasso", "group_scad"])
def test_other_penalties_take_given_alphas(penalty):
    X, y = simulated(100, 12)
    model = QuantileRegressor(0.4, penalty=penalty, groups=None if penalty == "mcp" else 3)
    path = regularization_path(model, X, y, alphas=[0.3, 0.1, 0.03])
    for fitted in path.models():
        alone = QuantileRegressor(**fitted.get_params()).fit(X, y)
        np.testing.assert_allclose(fitted.coef_, alone.coef_, rtol=0, atol=1e-12)
        for name in ("group_norms_", "selected_groups_") if penalty != "mcp" else ():
            np.testing.assert_array_equal(getattr(fitted, name), getattr(alone, name))
    with pytest.raises(ValueError, match="give the alphas themselves"):
        regularization_path(model, X, y)


@pytest.mark.parametrize("shape", SHAPES)
def test_pivots_lead_all_the_way(shape, solves):
    X, y = simulated(*shape)
    path = regularization_path(QuantileRegressor(0.3), X, y, alphas=30)
    assert not solves and path.n_iters.sum() > 60
    assert np.all(np.diff(np.abs(path.coefs).sum(axis=1)) >= -1e-12)


def test_columns_out_of_sight_are_brought_in(monkeypatch, solves):
    from skreg.solvers import _quantile_pivots

    X, y = simulated(60, 400, seed=3)
    whole = regularization_path(QuantileRegressor(0.3), X, y, alphas=12, eps=0.05)
    monkeypatch.setattr(_quantile_pivots, "_SMALL", 0)
    path = regularization_path(QuantileRegressor(0.3), X, y, alphas=12, eps=0.05)
    assert not solves
    np.testing.assert_allclose(path.coefs, whole.coefs, rtol=0, atol=1e-9)


def test_where_pivots_fail_the_interior_point_goes_on(monkeypatch):
    X, y = simulated(60, 100)
    whole = regularization_path(QuantileRegressor(0.3), X, y, alphas=8, eps=0.05)
    monkeypatch.setattr(_quantile_path.Pivots, "follow", lambda self, alpha: None)
    path = regularization_path(QuantileRegressor(0.3), X, y, alphas=8, eps=0.05)
    np.testing.assert_allclose(path.coefs, whole.coefs, rtol=0, atol=1e-9)


def test_a_target_without_residuals_and_a_single_row():
    X = np.arange(6.0).reshape(3, 2)
    for rows in (slice(None), slice(1)):
        path = regularization_path(QuantileRegressor(0.3), X[rows], np.full(3, 2.0)[rows], alphas=4)
        assert path.converged.all() and not path.coefs.any() and np.all(path.intercepts == 2.0)


def test_a_path_may_end_without_penalty():
    X, y = simulated(30, 80)
    path = regularization_path(QuantileRegressor(0.3), X, y, alphas=[0.1, 0.01, 0.0])
    assert path.converged.all()
    np.testing.assert_allclose(path.coefs[-1] @ X.T + path.intercepts[-1], y, rtol=0, atol=1e-9)


@pytest.mark.parametrize("quantile", [0.7, [0.3, 0.7]])
def test_a_search_chooses_as_grid_search_does(quantile):
    X, y = simulated(90, 12)
    alphas = np.geomspace(0.3, 0.01, 5)
    search = PathCV(QuantileRegressor(quantile), alphas=alphas, cv=3).fit(X, y)

    def score(model, X, y):
        r, levels = y[:, None] - model.predict_quantiles(X), model.quantiles_
        return -np.maximum(levels * r, (levels - 1.0) * r).mean()

    grid = GridSearchCV(QuantileRegressor(quantile), {"alpha": alphas}, cv=3, scoring=score).fit(X, y)
    np.testing.assert_allclose(
        search.cv_results_["mean_test_score"], grid.cv_results_["mean_test_score"], rtol=0, atol=1e-9
    )
    assert search.best_params_ == grid.best_params_
    np.testing.assert_allclose(search.coef_, grid.best_estimator_.coef_, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(search.predict(X), search.best_estimator_.predict(X))


def test_a_search_over_several_parameters():
    X, y = simulated(90, 12)
    grid = {"penalty": ["l1", "elastic_net"], "tol": [1e-6]}
    search = PathCV(QuantileRegressor(0.7), alphas=5, param_grid=grid, cv=3).fit(X, y, sample_weight=np.ones(90))
    assert search.best_params_["penalty"] in {"l1", "elastic_net"} and search.best_estimator_.converged_


def test_searches_that_need_another_loss_say_so():
    X, y = simulated(60, 5)
    for search in (PathIC(QuantileRegressor()), StabilitySelection(QuantileRegressor())):
        with pytest.raises(TypeError, match="does not take QuantileRegressor"):
            search.fit(X, y)
    with pytest.raises(TypeError, match=r"does not take QuantileRegressor; .* PathCV\(refit=True\)"):
        PathCV(QuantileRegressor(), refit="relaxed").fit(X, y)


@pytest.mark.parametrize("alphas", [[0.1, 0.02], [1e3, 10.0]])
def test_a_ridge_alone_empties_no_model(alphas):
    X, y = simulated(60, 8)
    model = QuantileRegressor(penalty="elastic_net", l1_ratio=0.0)
    path = regularization_path(model, X, y, alphas=alphas)
    assert path.converged.all() and (path.df == 8).all()
    for alpha, coef in zip(path.alphas, path.coefs):
        alone = QuantileRegressor(penalty="elastic_net", l1_ratio=0.0, alpha=alpha).fit(X, y)
        np.testing.assert_allclose(coef, alone.coef_, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("rule", ["rows", "box"])
@pytest.mark.parametrize("seed", [0, 2, 4])
def test_alpha_max_empties_levels_that_must_not_cross_at_ties(rule, seed):
    rng = np.random.default_rng(seed)
    X, y = rng.standard_normal((60, 8)), rng.integers(0, 4, 60).astype(float)
    model = QuantileRegressor([0.3, 0.5, 0.7], non_crossing=rule)
    path = regularization_path(model, X, y, alphas=3)
    assert path.df[0] == 0 and path.df[-1] > 0 and path.converged.all()
    assert np.all(np.diff(path.intercepts[0]) >= 0)
    alone = QuantileRegressor([0.3, 0.5, 0.7], non_crossing=rule, alpha=path.alphas[0]).fit(X, y)
    own, fitted = (
        sum(objective(X, y, w, b, level, path.alphas[0]) for level, w, b in zip((0.3, 0.5, 0.7), coefs, intercepts))
        for coefs, intercepts in ((path.coefs[0], path.intercepts[0]), (alone.coef_, alone.intercept_))
    )
    np.testing.assert_allclose(own, fitted, rtol=1e-9)


@pytest.mark.slow
def test_a4_a_hundred_alphas_are_exact(solves):
    """A4, at half its size in either direction."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((500, 2500))
    y = X[:, :20] @ rng.standard_normal(20) + rng.standard_t(3, 500)
    path = regularization_path(QuantileRegressor(), X, y, alphas=100, eps=1e-2)
    assert not solves
    assert path.dual_gaps.max() <= 1e-12 and path.converged.all() and path.df[-1] == 499
