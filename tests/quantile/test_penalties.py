"""Penalties of groups and concave ones: against cvxpy, against the L1 solver, and against their conditions."""

import functools
import warnings

import cvxpy as cp
import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning

from skreg import GroupLasso, QuantileRegressor, SparseRegressor
from skreg.solvers._interior_point_cones import Cones, cone_interior_point
from skreg.solvers._interior_point_rows import DenseRows, Rows
from skreg.solvers._quantile_groups import fit_quantile_groups
from tests import test_contracts_data as data
from tests import test_contracts_sklearn as life

LABELS = np.array([0, 0, 0, 1, 1, 2, 2, 2, 2, 3, 4, 4])
CONVEX, CONCAVE = ["group_lasso", "sparse_group_lasso"], ["mcp", "scad", "group_mcp", "group_scad"]


def simulated(n=150, p=12, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) * np.linspace(0.5, 2.0, p)
    return X, X[:, 0] - 0.5 * X[:, 4] + 0.7 * X[:, 9 % p] + (1.0 + 0.3 * np.abs(X[:, 2])) * rng.standard_t(2, n)


def pinball(r, level, weight=None):
    return np.average(np.maximum(level * r, (level - 1.0) * r), weights=weight)


def norms(w, labels=LABELS):
    return np.sqrt(np.bincount(labels, weights=w * w))


def loss_of(model, X, y, weight=None):
    return pinball(y - model.predict(X), model.quantile, weight)


def objective(model, X, y, labels, group_weights, ratio, weight=None):
    w = model.coef_
    penalised = (np.asarray(group_weights) > 0)[labels]
    value = (1.0 - ratio) * np.dot(group_weights, norms(w, labels)) + ratio * np.abs(w[penalised]).sum()
    return loss_of(model, X, y, weight) + model.alpha * value


def optimum(X, y, level, alpha, labels, group_weights, ratio, weight, fit_intercept):
    """The smallest objective by cvxpy."""
    w, b = cp.Variable(X.shape[1]), cp.Variable() if fit_intercept else 0.0
    r = y - X @ w - b
    weight = np.ones(len(y)) if weight is None else weight
    loss = (weight / weight.sum()) @ cp.maximum(level * r, (level - 1.0) * r)
    terms = [
        v * (1.0 - ratio) * cp.norm2(w[labels == g]) + (ratio * cp.norm1(w[labels == g]) if v > 0 else 0.0)
        for g, v in enumerate(group_weights)
    ]
    problem = cp.Problem(cp.Minimize(loss + alpha * sum(terms)))
    tight = {f"tol_{name}": 1e-9 for name in ("gap_abs", "gap_rel", "feas")}
    return problem.solve(solver="CLARABEL", **tight)


@pytest.mark.parametrize("level", [0.001, 0.2, 0.5, 0.9])
@pytest.mark.parametrize("alpha", [0.01, 0.1])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("penalty", CONVEX)
def test_reaches_the_optimum_of_cvxpy(penalty, weighted, alpha, level):
    X, y = simulated()
    weight = np.random.default_rng(1).integers(0, 3, len(y)).astype(float) if weighted else None
    group_weights = [1.5, 0.0, 1.0, 0.7, 2.0]
    ratio = 0.3 if penalty == "sparse_group_lasso" else 0.0
    settings = dict(groups=LABELS, group_weights=group_weights, fit_intercept=not weighted)
    model = QuantileRegressor(level, penalty, alpha, l1_ratio=0.3, **settings).fit(X, y, weight)
    best = optimum(X, y, level, alpha, LABELS, group_weights, ratio, weight, not weighted)
    assert abs(objective(model, X, y, LABELS, group_weights, ratio, weight) - best) <= 1e-7 * best
    assert model.dual_gap_ <= 1e-11 and model.kkt_violation_ <= 1e-10 and model.converged_
    assert np.all(model.coef_[LABELS == 1] != 0)  # not penalised


@pytest.mark.parametrize(
    ("n", "p", "width", "level", "alpha"),
    [(60, 200, 4, 0.5, 0.1), (60, 200, 4, 0.1, 0.02), (20_000, 12, 3, 0.3, 0.05), (300, 120, 12, 0.8, 0.03)],
)
@pytest.mark.parametrize("penalty", CONVEX)
def test_wide_and_tall_problems_are_solved_exactly(penalty, n, p, width, level, alpha):
    """The duality gap anew, from residuals: what the rows with a zero residual must supply is a linear system."""
    X, y = simulated(n, p)
    labels = np.repeat(np.arange(p // width), width)
    model = QuantileRegressor(level, penalty, alpha, groups=width, l1_ratio=0.4).fit(X, y)
    w, r = model.coef_, y - model.predict(X)
    ratio = 0.4 if penalty == "sparse_group_lasso" else 0.0
    v = (1.0 - ratio) * alpha * np.sqrt(width)
    zero, moving = np.abs(r) < 1e-9, w != 0
    d = np.where(zero, 0.0, np.where(r > 0, level, level - 1.0)) / n
    size = norms(w, labels)[labels]
    slopes = v * np.divide(w, size, out=np.zeros(p), where=size > 0) + ratio * alpha * np.sign(w)
    Z = np.c_[np.ones(n), X[:, moving]]
    d[zero] = np.linalg.lstsq(Z[zero].T, np.append(0.0, slopes[moving]) - Z.T @ d, rcond=None)[0]
    np.testing.assert_allclose(Z.T @ d, np.append(0.0, slopes[moving]), rtol=0, atol=1e-10)
    assert np.all((d * n <= level + 1e-7) & (d * n >= level - 1.0 - 1e-7))
    z = X.T @ d
    soft = norms(z - np.clip(z, -ratio * alpha, ratio * alpha), labels)
    assert np.all(soft <= v + 1e-10)
    value = pinball(r, level) + v * norms(w, labels).sum() + ratio * alpha * np.abs(w).sum()
    assert abs(value - y @ d) <= 1e-9 * value
    assert model.dual_gap_ <= 1e-10
    assert 0 < len(model.selected_groups_) <= p // width


@pytest.mark.parametrize("level", [0.1, 0.5])
def test_groups_of_one_feature_are_the_lasso(level):
    X, y = simulated()
    weights = np.linspace(0.0, 2.0, 12)
    lasso = QuantileRegressor(level, alpha=0.05, penalty_weights=weights).fit(X, y)
    for penalty in CONVEX:
        model = QuantileRegressor(level, penalty, 0.05, group_weights=weights, l1_ratio=0.0).fit(X, y)
        np.testing.assert_allclose(model.coef_, lasso.coef_, rtol=0, atol=1e-12)
    # and so does the interior point on cones of one coefficient each, which estimators do not use
    Z, weight = np.c_[np.ones(len(y)), X], np.full(len(y), 1.0 / len(y))
    cones = Cones(np.arange(2, 13), np.arange(11), 0.05 * weights[1:])
    point = cone_interior_point(
        Rows(DenseRows(Z), np.zeros((0, 13))), y, level * weight, (1.0 - level) * weight, cones, tol=1e-9
    )
    np.testing.assert_allclose(point.b[1:], lasso.coef_, rtol=0, atol=1e-5)


def test_an_l1_ratio_of_one_is_the_lasso_and_of_zero_the_group_lasso():
    X, y = simulated()
    settings = dict(quantile=0.3, alpha=0.05)
    sparse_group = [
        QuantileRegressor(penalty="sparse_group_lasso", groups=LABELS, l1_ratio=ratio, **settings).fit(X, y).coef_
        for ratio in (1.0, 0.0)
    ]
    lasso = QuantileRegressor(**settings).fit(X, y)
    group = QuantileRegressor(penalty="group_lasso", groups=LABELS, **settings).fit(X, y)
    np.testing.assert_allclose(sparse_group, [lasso.coef_, group.coef_], rtol=0, atol=1e-10)


def test_one_group_of_all_features_shrinks_them_towards_zero_together():
    X, y = simulated()
    free = QuantileRegressor(0.4, alpha=0.0).fit(X, y)
    sizes = []
    for alpha in (1e-7, 0.01, 0.1, 0.3):
        model = QuantileRegressor(0.4, "group_lasso", alpha, groups=12).fit(X, y)
        best = optimum(X, y, 0.4, alpha, np.zeros(12, dtype=int), [np.sqrt(12)], 0.0, None, True)
        assert abs(loss_of(model, X, y) + alpha * np.sqrt(12) * norms(model.coef_, np.zeros(12, int))[0] - best) <= (
            1e-7 * best
        )
        sizes.append(model.group_norms_[0])
    assert sizes[0] == pytest.approx(np.linalg.norm(free.coef_), rel=1e-3)
    assert np.all(np.diff(sizes) < 0)


def emptying(X, y, level, penalty, weight=None):
    """Smallest alpha without coefficients, where the quantile of y is unique: X'd for the only dual point."""
    weight = np.ones(len(y)) if weight is None else weight
    order = np.argsort(y)
    q = y[order][np.searchsorted(np.cumsum(weight[order]), level * weight.sum())]
    d = weight * np.where(y > q, level, level - 1.0)
    d[y == q] = -d[y != q].sum()
    z = np.abs(X.T @ d) / weight.sum()
    if penalty in ("mcp", "scad"):
        return z.max()
    if penalty != "sparse_group_lasso":
        return np.max(norms(z) / np.sqrt(np.bincount(LABELS)))

    def inside(alpha):
        return np.all(norms(np.maximum(z - 0.5 * alpha, 0.0)) <= 0.5 * alpha * np.sqrt(np.bincount(LABELS)))

    low, high = 0.0, 2.0 * z.max()
    for _ in range(100):
        low, high = (low, 0.5 * (low + high)) if inside(0.5 * (low + high)) else (0.5 * (low + high), high)
    return high


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("penalty", CONVEX + CONCAVE)
def test_alpha_max_empties_the_model_and_a_little_less_does_not(penalty, weighted):
    X, y = simulated(151)
    weight = np.random.default_rng(0).uniform(0.1, 2.0, len(y)) if weighted else None
    top = emptying(X, y, 0.3, penalty, weight)
    groups = None if penalty in ("mcp", "scad") else LABELS
    model = QuantileRegressor(0.3, penalty, top * (1 + 1e-12), groups=groups).fit(X, y, weight)
    np.testing.assert_array_equal(model.coef_, 0.0)
    assert model.converged_
    assert np.any(model.set_params(alpha=0.999 * top).fit(X, y, weight).coef_ != 0)


def concave_terms(model, labels):
    """Sizes, values and slopes of the penalty, written down anew."""
    size = norms(model.coef_, labels)
    a = model.alpha * np.sqrt(np.bincount(labels))
    if model.penalty.endswith("mcp"):
        gamma = 3.0 if model.gamma is None else model.gamma
        m = np.minimum(size, gamma * a)
        return size, a * m - m**2 / (2 * gamma), np.maximum(a - size / gamma, 0.0)
    gamma = 3.7 if model.gamma is None else model.gamma
    m = np.minimum(size, gamma * a)
    value = a * m - np.maximum(m - a, 0.0) ** 2 / (2 * (gamma - 1))
    return size, value, np.where(size <= a, a, np.maximum(gamma * a - size, 0.0) / (gamma - 1))


@pytest.mark.parametrize(
    ("n", "p", "level", "alpha"),
    [(150, 12, 0.5, 0.08), (150, 12, 0.1, 0.04), (60, 120, 0.5, 0.08), (8_000, 12, 0.7, 0.08)],
)
@pytest.mark.parametrize("gamma", [None, 30.0])
@pytest.mark.parametrize("penalty", CONCAVE)
def test_concave_penalties_meet_their_conditions(penalty, gamma, n, p, level, alpha):
    X, y = simulated(n, p)
    grouped = penalty.startswith("group")
    labels = np.arange(p) // 3 if grouped else np.arange(p)
    settings = dict(quantile=level, alpha=alpha)
    model = QuantileRegressor(penalty=penalty, gamma=gamma, groups=labels if grouped else None, **settings).fit(X, y)
    size, value, slope = concave_terms(model, labels)
    w, r = model.coef_, y - model.predict(X)
    zero, moving = np.abs(r) < 1e-9, w != 0
    assert 0 < moving.sum() < p
    d = np.where(zero, 0.0, np.where(r > 0, level, level - 1.0)) / n
    target = np.divide(slope, size, out=np.zeros_like(size), where=size > 0)[labels] * w
    Z = np.c_[np.ones(n), X[:, moving]]
    d[zero] = np.linalg.lstsq(Z[zero].T, np.append(0.0, target[moving]) - Z.T @ d, rcond=None)[0]
    np.testing.assert_allclose(Z.T @ d, np.append(0.0, target[moving]), rtol=0, atol=1e-10)
    assert np.all((d * n <= level + 1e-7) & (d * n >= level - 1.0 - 1e-7))
    resting = size == 0
    assert np.all(norms(X.T @ d, labels)[resting] <= slope[resting] + 1e-10)
    assert model.kkt_violation_ <= 1e-10 and model.converged_ and np.isinf(model.dual_gap_)


@pytest.mark.parametrize("level", [0.2, 0.5])
@pytest.mark.parametrize("penalty", CONCAVE)
def test_concave_penalties_are_better_off_than_at_the_lasso_solution(penalty, level):
    X, y = simulated()
    groups = np.arange(12) // 3 if penalty.startswith("group") else None
    labels = np.arange(12) if groups is None else groups

    def value(model):
        model.set_params(penalty=penalty)
        return loss_of(model, X, y) + concave_terms(model, labels)[1].sum()

    model = QuantileRegressor(level, penalty, 0.05, groups=groups).fit(X, y)
    start = QuantileRegressor(level, "group_lasso", 0.05, groups=groups).fit(X, y)
    assert value(model) < value(start) - 1e-3


@pytest.mark.parametrize("penalty", CONCAVE)
def test_concave_penalties_tend_to_the_lasso_as_gamma_grows(penalty):
    X, y = simulated()
    groups = LABELS if penalty.startswith("group") else None
    convex = QuantileRegressor(0.4, "group_lasso", 0.05, groups=groups).fit(X, y)
    model = QuantileRegressor(0.4, penalty, 0.05, groups=groups, gamma=1e9).fit(X, y)
    np.testing.assert_allclose(model.coef_, convex.coef_, rtol=0, atol=1e-6)


@pytest.mark.parametrize("penalty", ["mcp", "scad"])
def test_the_concave_functions_are_those_of_sparse_regressor(penalty):
    """Beyond gamma times alpha nothing is shrunken: both models are free of bias where all coefficients are large."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 3))
    y = X @ np.array([50.0, -40.0, 30.0]) + rng.standard_normal(200)
    model = QuantileRegressor(0.5, penalty, 0.1).fit(X, y)
    np.testing.assert_allclose(model.coef_, QuantileRegressor(0.5, alpha=0.0).fit(X, y).coef_, rtol=0, atol=1e-10)
    mean = SparseRegressor(penalty=penalty, alpha=0.1, tol=1e-10).fit(X, y)
    np.testing.assert_allclose(mean.coef_, SparseRegressor(alpha=0.0, tol=1e-10).fit(X, y).coef_, rtol=0, atol=1e-6)


@pytest.mark.parametrize("penalty", CONVEX + CONCAVE)
def test_equivariance(penalty):
    """Of convex penalties alpha is in the units of X alone; MCP and SCAD ask for those of y too."""
    X, y = simulated()
    groups = None if penalty in ("mcp", "scad") else LABELS

    def fitted(level, X, y, alpha=0.05):
        return QuantileRegressor(level, penalty, alpha, groups=groups).fit(X, y)

    model = fitted(0.2, X, y)
    assert np.any(model.coef_ != 0)
    for c in (1e-3, 1e3):
        if penalty in CONVEX:
            scaled, size = fitted(0.2, X, c * c * y - 3.0 * c * c), c * c
        else:
            scaled, size = fitted(0.2, c * X, c * c * y - 3.0 * c * c, 0.05 * c), c
        np.testing.assert_allclose(scaled.coef_, size * model.coef_, rtol=1e-7, atol=1e-9 * size)
        assert scaled.intercept_ == pytest.approx(c * c * (model.intercept_ - 3.0), rel=1e-7)
    mirrored = fitted(0.8, X, -y)
    np.testing.assert_allclose(mirrored.coef_, -model.coef_, rtol=1e-7, atol=1e-9)


def test_gamma_of_mcp_is_in_the_units_of_y():
    X, y = simulated()
    model = QuantileRegressor(0.3, "mcp", 0.05, gamma=2.0).fit(X, y)
    scaled = QuantileRegressor(0.3, "mcp", 0.05, gamma=2e6).fit(X, 1e6 * y)
    np.testing.assert_allclose(scaled.coef_, 1e6 * model.coef_, rtol=1e-9, atol=1e-3)


@pytest.mark.parametrize("penalty", CONVEX + CONCAVE)
def test_weights_sparse_data_and_standardising(penalty):
    X, y = simulated(300)
    X[np.abs(X) < 0.5] = 0.0
    weight = np.random.default_rng(3).integers(0, 4, len(y))
    settings = dict(quantile=[0.3, 0.7], penalty=penalty, alpha=0.05, standardize=True)
    if penalty not in ("mcp", "scad"):
        settings["groups"] = LABELS
    model = QuantileRegressor(**settings).fit(X, y, weight)
    copied = QuantileRegressor(**settings).fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
    np.testing.assert_allclose(copied.coef_, model.coef_, rtol=0, atol=1e-8)
    for container in (sp.csr_array, sp.csc_matrix):
        other = QuantileRegressor(**settings).fit(container(X), y, weight)
        np.testing.assert_allclose(other.coef_, model.coef_, rtol=0, atol=1e-8)
    scale = np.sqrt(np.average((X - np.average(X, axis=0, weights=weight)) ** 2, axis=0, weights=weight))
    by_hand = QuantileRegressor(**{**settings, "standardize": False}).fit(X / scale, y, weight)
    np.testing.assert_allclose(by_hand.coef_ / scale, model.coef_, rtol=0, atol=1e-8)


def test_bounds_of_concave_penalties():
    X, y = simulated()
    for penalty in ("mcp", "scad"):
        free = QuantileRegressor(0.5, penalty, 0.05).fit(X, y)
        assert free.coef_.min() < 0 and free.coef_.max() > 0.5
        model = QuantileRegressor(0.5, penalty, 0.05, positive=True, upper=0.5).fit(X, y)
        assert model.coef_.min() == 0.0 and model.coef_.max() == 0.5 and model.converged_


X0, y0 = simulated(200, 6)
RNG = np.random.default_rng(0)
DEGENERATE = {
    "doubled columns": (np.c_[X0, X0], y0),
    "nearly doubled columns": (np.c_[X0, X0 + 1e-9 * X0[:, ::-1]], y0),
    "constant columns": (np.c_[X0, np.ones((200, 3)), np.zeros((200, 3))], y0),
    "tripled rows": (np.r_[X0, X0, X0], np.r_[y0, y0, y0]),
    "fewer rows than columns": (RNG.standard_normal((20, 60)), y0[:20]),
    "one row": (X0[:1], y0[:1]),
    "two rows": (X0[:2], y0[:2]),
    "constant y": (X0, np.full(200, 3.0)),
    "y of two values": (X0, (y0 > 0).astype(float)),
    "integers": (np.round(X0), np.round(y0)),
    "no noise": (X0, X0 @ np.arange(6.0) + 2.0),
    "outlier in y": (X0, np.r_[1e9, y0[1:]]),
    "outlier in X": (np.r_[1e6 * X0[:1], X0[1:]], y0),
    "scales": (X0 * 10.0 ** np.array([-6, -3, 0, 2, 4, 6]), y0),
    "indicators": ((RNG.random((400, 9)) < 0.2).astype(float), np.round(RNG.standard_normal(400), 1)),
}


@pytest.mark.parametrize("level", [0.001, 0.25, 0.5])
@pytest.mark.parametrize("name", DEGENERATE)
@pytest.mark.parametrize("penalty", [*CONVEX, "group_mcp", "mcp"])
def test_degenerate_data(penalty, name, level):
    X, y = DEGENERATE[name]
    groups = None if penalty == "mcp" else 3
    model = QuantileRegressor(level, penalty, 0.02, groups=groups).fit(X, y)
    assert np.isfinite(model.coef_).all() and model.converged_
    measure = model.dual_gap_ if penalty in CONVEX else model.kkt_violation_
    assert measure <= 1e-8


def test_groups_are_reported():
    X, y = simulated()
    names = {"a": [0, 1, 2], "b": [3, 4], "noise": [5, 6, 7, 8, 10, 11]}
    model = QuantileRegressor([0.3, 0.5], "group_lasso", 0.1, groups=names).fit(X, y)
    assert model.groups_.tolist() == ["a", "b", "noise", "x9"]
    assert model.group_norms_.shape == (2, 4)
    np.testing.assert_allclose(model.group_norms_[:, 0], np.linalg.norm(model.coef_[:, :3], axis=1))
    assert "x9" in model.selected_groups_
    assert not hasattr(model.set_params(penalty="l1", groups=None).fit(X, y), "groups_")


def test_overlapping_groups_are_latent_copies():
    X, y = simulated()
    lists = [[0, 1, 2, 3], [3, 4, 5], [5, 6, 7, 8, 9, 10, 11]]
    columns, labels = np.concatenate(lists), np.repeat([0, 1, 2], [4, 3, 7])
    model = QuantileRegressor(0.4, "group_lasso", 0.05, groups=lists).fit(X, y)
    copies = QuantileRegressor(0.4, "group_lasso", 0.05, groups=labels).fit(X[:, columns], y)
    np.testing.assert_allclose(model.predict(X), copies.predict(X[:, columns]), rtol=0, atol=1e-8)
    np.testing.assert_allclose(model.group_norms_, copies.group_norms_, rtol=0, atol=1e-8)
    same = GroupLasso(lists, alpha=0.05).fit(X, y)
    assert [c.tolist() for c in model.group_columns_] == [c.tolist() for c in same.group_columns_]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(groups=3), "groups=3 is not used by penalty='l1'"),
        (dict(penalty="mcp", group_weights=1.0), "group_weights=1.0 is not used by penalty='mcp'"),
        (dict(penalty="group_lasso", groups=3, gamma=3.0), "gamma=3.0 is not used by penalty='group_lasso'"),
        (dict(penalty="group_lasso", positive=True), "positive=True is not used by penalty='group_lasso'"),
        (dict(penalty="group_mcp", lower=-1.0), "lower=-1.0 is not used by penalty='group_mcp'"),
        (dict(penalty="group_lasso", penalty_weights=np.ones(12)), "penalty_weights"),
        (dict(penalty="scad", gamma=1.5), "gamma must be a finite number above 2"),
        (dict(penalty="group_lasso", groups=5), "groups=5"),
        (dict(penalty="group_lasso", groups="auto"), "column"),
        (dict(penalty="group_lasso", groups=3, group_weights=[1.0, -1.0, 1.0, 1.0]), "group_weights must be finite"),
        (dict(penalty="group_lasso", groups=3, group_weights=[1.0]), "group_weights must have one entry a group"),
        (dict(penalty="scad", quantile=[0.2, 0.8], non_crossing="rows"), "non_crossing='rows' is for penalty='l1'"),
        (dict(penalty="lasso"), "penalty"),
    ],
)
def test_bad_settings_are_told(settings, message):
    X, y = simulated()
    with pytest.raises(ValueError, match=message):
        QuantileRegressor(**settings).fit(X, y)


@pytest.mark.parametrize("penalty", CONVEX)
def test_too_few_iterations_are_told(penalty):
    X, y = simulated()
    with pytest.warns(ConvergenceWarning, match="max_iter=2"):
        model = QuantileRegressor(0.3, penalty, 0.01, groups=3, max_iter=2, tol=1e-12).fit(X, y)
    assert not model.converged_


def test_reported_gap_bounds_the_excess():
    X, y = simulated()
    settings = dict(quantile=0.3, penalty="group_lasso", alpha=0.05, groups=LABELS)
    roots = np.sqrt(np.bincount(LABELS))
    best = objective(QuantileRegressor(**settings).fit(X, y), X, y, LABELS, roots, 0.0)
    null = pinball(y - np.sort(y)[44], 0.3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        rough = [QuantileRegressor(**settings, tol=tol).fit(X, y) for tol in (1.0, 0.3, 0.1, 1e-2)]
    for model in rough:
        excess = (objective(model, X, y, LABELS, roots, 0.0) - best) / null
        assert -1e-12 <= excess <= model.dual_gap_ + 1e-13
    assert max(model.dual_gap_ for model in rough) > 1e-3


def test_standard_errors_are_not_those_of_penalised_models():
    X, y = simulated()
    model = QuantileRegressor(0.5, "group_lasso", 0.05, groups=3).fit(X, y)
    with pytest.raises(ValueError, match="without penalty"):
        model.standard_errors(X, y)


def test_no_group_with_a_norm_is_a_linear_program():
    X, y = simulated()
    fit = fit_quantile_groups(X, y, [0.4], labels=LABELS, joint=np.zeros(5), l1=0.05)
    np.testing.assert_allclose(fit.coefs[0], QuantileRegressor(0.4, alpha=0.05).fit(X, y).coef_, rtol=0, atol=1e-12)


LAWS = [
    *(functools.partial(data.test_container_of_X_does_not_matter, container=c) for c in data.CONTAINERS.values()),
    *(functools.partial(data.test_int64_indices, kind=kind) for kind in (sp.csr_array, sp.csc_array)),
    *(functools.partial(data.test_float32, container=c) for c in (np.asarray, sp.csr_array)),
    data.test_rows_of_weight_zero_may_hold_any_target,
    data.test_scale_of_the_weights_does_not_matter,
    data.test_data_are_not_modified,
    life.test_pickle_keeps_the_predictions_and_holds_no_engine,
    life.test_clone_and_repr_give_the_parameters_back,
    life.test_pipeline_with_a_scaler_equals_standardize,
    life.test_metadata_routing_takes_weights_to_the_fit,
    life.test_html_repr_and_kind,
]


@pytest.mark.parametrize("penalty", CONVEX + CONCAVE)
@pytest.mark.parametrize("law", LAWS, ids=lambda law: getattr(law, "func", law).__name__)
def test_contract(law, penalty):
    groups = None if penalty in ("mcp", "scad") else 2
    law(QuantileRegressor(0.4, penalty, 0.02, groups=groups, tol=1e-12))


@pytest.mark.parametrize("penalty", CONVEX + CONCAVE)
def test_alpha_zero_is_no_penalty(penalty):
    X, y = simulated()
    groups = None if penalty in ("mcp", "scad") else 3
    model = QuantileRegressor(0.3, penalty, 0.0, groups=groups).fit(X, y)
    free = QuantileRegressor(0.3, penalty=None).fit(X, y)
    np.testing.assert_allclose(model.coef_, free.coef_, rtol=0, atol=1e-10)


def test_features_of_infinite_weight_are_left_out_and_of_weight_zero_unpenalised():
    X, y = simulated()
    weights = np.ones(12)
    weights[[0, 3]] = np.inf, 0.0
    model = QuantileRegressor(0.5, "mcp", 0.1, penalty_weights=weights).fit(X, y)
    assert model.coef_[0] == 0.0 and model.coef_[3] != 0.0 and model.converged_


@pytest.mark.parametrize("penalty", CONVEX)
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_few_rows_of_many_groups(penalty, fit_intercept):
    rng = np.random.default_rng(0)
    for n in (1, 2, 5):
        X, y = rng.standard_normal((n, 120)), rng.standard_normal(n)
        model = QuantileRegressor(0.3, penalty, 0.01, groups=3, fit_intercept=fit_intercept).fit(X, y)
        assert model.dual_gap_ <= 1e-10


def test_a_model_that_ends_empty_without_an_intercept():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((200, 120)), np.abs(rng.standard_normal(200))
    top = np.max(norms(X.T @ np.full(200, 0.3 / 200), np.arange(120) // 3)) / np.sqrt(3)
    for factor in (1.001, 0.999):
        model = QuantileRegressor(0.3, "group_lasso", factor * top, groups=3, fit_intercept=False).fit(X, y)
        assert np.any(model.coef_ != 0) == (factor < 1) and model.dual_gap_ <= 1e-12
