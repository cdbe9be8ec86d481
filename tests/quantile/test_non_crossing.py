"""Levels fitted together: the optimum of the joint linear program, and no crossing where none is promised."""

from itertools import product

import cvxpy as cp
import numpy as np
import pytest
import scipy.sparse as sp
from scipy.optimize import linprog

from skreg import QuantileRegressor
from skreg.metrics import mean_pinball_loss

LEVELS = np.array([0.1, 0.3, 0.5, 0.7, 0.9])


def crossing_data(n=60, p=3, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p))
    return X, X[:, 0] + (1.0 + 0.8 * np.abs(X[:, 1])) * rng.standard_normal(n)


def pinball(y, bands):
    r = y[:, None] - bands
    return np.maximum(LEVELS * r, (LEVELS - 1.0) * r).mean(axis=0).sum()


def joint_optimum(X, y, points, alpha=0.0, l1_ratio=1.0):
    w, b = cp.Variable((len(LEVELS), X.shape[1])), cp.Variable(len(LEVELS))
    loss = 0
    for k, level in enumerate(LEVELS):
        r = y - X @ w[k] - b[k]
        loss += cp.sum(cp.maximum(level * r, (level - 1.0) * r)) / len(y)
    apart = [points @ (w[k + 1] - w[k]) + b[k + 1] - b[k] >= 0 for k in range(len(LEVELS) - 1)]
    penalty = l1_ratio * cp.sum(cp.abs(w)) + (1 - l1_ratio) / 2 * cp.sum_squares(w)
    problem = cp.Problem(cp.Minimize(loss + alpha * penalty), apart)
    if alpha * (1 - l1_ratio) == 0:
        return problem.solve(solver=cp.HIGHS)
    return problem.solve(solver=cp.CLARABEL, tol_gap_abs=1e-11, tol_gap_rel=1e-11, tol_feas=1e-11)


def corners(X):
    return np.array(list(product(*zip(X.min(axis=0), X.max(axis=0)))))


@pytest.mark.parametrize(("alpha", "l1_ratio"), [(0.0, 1.0), (0.02, 1.0), (0.02, 0.3)])
@pytest.mark.parametrize("where", ["rows", "box"])
def test_reaches_the_joint_optimum(where, alpha, l1_ratio):
    X, y = crossing_data()
    model = QuantileRegressor(LEVELS, "elastic_net", alpha, l1_ratio=l1_ratio, non_crossing=where).fit(X, y)
    apart = QuantileRegressor(LEVELS, "elastic_net", alpha, l1_ratio=l1_ratio).fit(X, y)
    bands = model.predict_quantiles(X)
    penalty = alpha * np.sum(l1_ratio * np.abs(model.coef_) + (1 - l1_ratio) / 2 * model.coef_**2)
    reference = joint_optimum(X, y, X if where == "rows" else corners(X), alpha, l1_ratio)
    assert abs(pinball(y, bands) + penalty - reference) <= 1e-8 * reference
    assert model.dual_gap_ <= 1e-9 and model.converged_
    points = X if where == "rows" else corners(X)
    assert np.diff(apart.predict_quantiles(points), axis=1).min() < -0.01  # the condition has something to do
    assert np.diff(model.predict_quantiles(points), axis=1).min() >= 0.0


def test_levels_that_do_not_cross_are_left_as_they_are():
    X, y = crossing_data(400, 2)
    apart = QuantileRegressor([0.1, 0.5, 0.9], alpha=0.0).fit(X, y)
    assert np.diff(apart.predict_quantiles(X), axis=1).min() > 0
    joint = QuantileRegressor([0.1, 0.5, 0.9], alpha=0.0, non_crossing="rows").fit(X, y)
    np.testing.assert_array_equal(joint.coef_, apart.coef_)


def test_box_guards_every_point_of_the_box():
    X, y = crossing_data(500, 8)
    levels = np.linspace(0.05, 0.95, 13)
    model = QuantileRegressor(levels, alpha=0.0, non_crossing="box").fit(X, y)
    points = np.random.default_rng(1).uniform(X.min(axis=0), X.max(axis=0), (100_000, 8))
    assert np.diff(model.predict_quantiles(points), axis=1).min() >= 0.0
    move = np.diff(model.coef_, axis=0)  # the worst corner, by the sizes of the differences
    middle, half = (X.max(axis=0) + X.min(axis=0)) / 2, np.ptp(X, axis=0) / 2
    assert (np.diff(model.intercept_) + move @ middle - np.abs(move) @ half).min() >= -1e-9


def test_many_rows_enter_as_sums():
    """Levels closer than their errors cross; the solution by few rows is that of all."""
    X, y = crossing_data(6_000, 3)
    levels = [0.49, 0.495, 0.5, 0.505]
    model = QuantileRegressor(levels, alpha=0.0, non_crossing="rows").fit(X, y)
    apart = QuantileRegressor(levels, alpha=0.0).fit(X, y)
    assert np.diff(apart.predict_quantiles(X), axis=1).min() < -1e-3
    assert np.diff(model.predict_quantiles(X), axis=1).min() >= 0.0
    assert model.dual_gap_ <= 1e-9


def joint_program(X, y, levels):
    """Optimum of all levels' mean pinball losses, in order on the rows: a sparse linear program for HiGHS."""
    (n, p), m = X.shape, len(levels)
    Z = sp.csr_array(np.column_stack([X, np.ones(n)]))
    move = sp.eye_array(m - 1, m, k=1) - sp.eye_array(m - 1, m)
    rows = sp.hstack([sp.kron(sp.eye_array(m), Z), sp.eye_array(n * m), -sp.eye_array(n * m)], format="csr")
    order = sp.hstack([-sp.kron(move, Z), sp.csr_array(((m - 1) * n, 2 * n * m))], format="csr")
    cost = np.concatenate([np.zeros(m * (p + 1)), np.repeat(levels, n) / n, np.repeat(1 - np.asarray(levels), n) / n])
    bounds = [(None, None)] * (m * (p + 1)) + [(0, None)] * (2 * n * m)
    tight = dict(primal_feasibility_tolerance=1e-10, dual_feasibility_tolerance=1e-10)
    return linprog(cost, order, np.zeros((m - 1) * n), rows, np.tile(y, m), bounds, method="highs", options=tight).fun


@pytest.mark.parametrize(
    ("n", "p", "m"), [(150, 4, 7), pytest.param(500, 10, 13, marks=pytest.mark.slow)], ids=["small", "full"]
)
def test_reaches_the_joint_optimum_of_highs(n, p, m):
    """A3, at full size: 500 rows, 10 features, 13 levels."""
    X, y = crossing_data(n, p)
    levels = np.linspace(0.05, 0.95, m)
    joint = QuantileRegressor(levels, alpha=0.0, non_crossing="rows").fit(X, y)
    apart = QuantileRegressor(levels, alpha=0.0).fit(X, y)
    loss, least = (m * mean_pinball_loss(y, model.predict_quantiles(X), levels) for model in (joint, apart))
    assert loss == pytest.approx(joint_program(X, y, levels), rel=1e-8)
    assert loss > least
    assert np.diff(apart.predict_quantiles(X), axis=1).min() < -0.01
    assert np.diff(joint.predict_quantiles(X), axis=1).min() >= 0.0


@pytest.mark.slow
@pytest.mark.parametrize("where", ["rows", "box"])
def test_many_rows_and_levels_do_not_cross(where):
    """A3: 20,000 rows, 10 features, 19 levels."""
    X, y = crossing_data(20_000, 10)
    levels = np.arange(1, 20) / 20
    model = QuantileRegressor(levels, alpha=0.0, non_crossing=where).fit(X, y)
    assert np.diff(model.predict_quantiles(X), axis=1).min() >= 0.0 and model.dual_gap_ <= 1e-9
    points = np.random.default_rng(1).uniform(X.min(axis=0), X.max(axis=0), (100_000, 10))
    crossed = np.diff(model.predict_quantiles(points), axis=1).min() < 0
    assert crossed == (where == "rows")  # what holds on the rows need not hold in their box


def test_without_intercept_and_with_weights():
    X, y = crossing_data()
    X = np.abs(X)
    weight = np.random.default_rng(2).integers(0, 3, len(y))
    settings = dict(quantile=LEVELS, alpha=0.01, non_crossing="rows", fit_intercept=False)
    weighted = QuantileRegressor(**settings).fit(X, y, weight)
    copied = QuantileRegressor(**settings).fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
    np.testing.assert_allclose(weighted.coef_, copied.coef_, rtol=0, atol=1e-8)
    assert np.diff(weighted.predict_quantiles(X[weight > 0]), axis=1).min() >= -1e-9
