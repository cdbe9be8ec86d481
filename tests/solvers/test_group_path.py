"""Paths of the group Lasso in one compiled call: each point against a certificate made of X and y alone."""

import numpy as np
import pytest
from scipy.optimize import minimize

from skreg import GroupLasso
from skreg.kernels._group_path import sweep
from skreg.model_selection import regularization_path
from skreg.solvers import _group_path as group_path

TOL = 1e-7


@pytest.fixture
def served(monkeypatch):
    """How many solutions came out of the compiled path."""
    count, solve = [], group_path.solve_path

    def counting(*args):
        solutions = solve(*args)
        count.append(len(solutions))
        return solutions

    monkeypatch.setattr(group_path, "solve_path", counting)
    return count


def problem(rng, n=70, p=1000):
    """Correlated columns in uneven groups whose members lie apart; a constant and a doubled column."""
    X = np.asfortranarray(rng.standard_normal((n, p)) + rng.standard_normal((n, 1)) + 3.0)
    X[:, 7], X[:, 8] = 2.0, X[:, 9]
    groups = np.unique(rng.integers(0, 200, p), return_inverse=True)[1]
    y = X[:, groups == 3].sum(axis=1) + X[:, groups == 11].sum(axis=1) + rng.standard_normal(n)
    weight = rng.integers(0, 4, n).astype(float)
    return X, y, groups, weight


def gap_and_null(X, y, weight, groups, alpha, w, b, centred):
    """Duality gap of a point, and that of the null model."""
    s = weight / weight.sum()
    r = y - X @ w - b
    assert not centred or abs(s @ r) < 1e-12 * np.abs(y).max()
    correlation = X.T @ (s * r)
    sizes = np.bincount(groups)
    norms = np.sqrt(np.bincount(groups, correlation**2)) / (alpha * np.sqrt(sizes))
    c = 1.0 / max(1.0, norms.max())
    value = alpha * np.sqrt(sizes) @ np.sqrt(np.bincount(groups, w * w))
    null = 0.5 * s @ (y - s @ y * centred) ** 2
    return 0.5 * (1.0 - c) ** 2 * (s @ r**2) + value - c * (correlation @ w), null


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_path_is_certified(served, fit_intercept):
    X, y, groups, weight = problem(np.random.default_rng(0))
    model = GroupLasso(groups=groups, tol=TOL, fit_intercept=fit_intercept)
    path = regularization_path(model, X, y, alphas=40, eps=0.05, sample_weight=weight)
    assert served[0] >= 20  # without an intercept the columns are nearly parallel, and the general solver takes over
    assert path.df[0] == 0 < path.df[-1]
    for w, b, alpha, told in zip(path.coefs, path.intercepts, path.alphas, path.dual_gaps):
        gap, null = gap_and_null(X, y, weight, groups, alpha, w, b, fit_intercept)
        np.testing.assert_allclose(gap / null, told, rtol=1e-3, atol=1e-12)
        assert told <= TOL


def test_single_fit_and_other_solver_agree(served, monkeypatch):
    X, y, groups, weight = problem(np.random.default_rng(1))
    ours = GroupLasso(groups=groups, alpha=0.3, tol=1e-9).fit(X, y, weight)
    assert served and served[0] > 1
    monkeypatch.setattr(group_path, "is_served", lambda *args: False)
    other = GroupLasso(groups=groups, alpha=0.3, tol=1e-12).fit(X, y, weight)
    np.testing.assert_allclose(X @ ours.coef_ + ours.intercept_, X @ other.coef_ + other.intercept_, atol=2e-3)
    assert set(np.unique(groups[ours.coef_ != 0])) == set(np.unique(groups[other.coef_ != 0]))


def test_what_sweeps_do_not_reach_is_left_to_the_general_solver(served, monkeypatch):
    X, y, groups, weight = problem(np.random.default_rng(2))
    monkeypatch.setattr(group_path, "_SWEEPS", 3)
    model = GroupLasso(groups=groups, tol=1e-9)
    path = regularization_path(model, X, y, alphas=15, eps=0.05, sample_weight=weight)
    assert served[0] < 15 == len(path.alphas)
    for w, b, alpha in zip(path.coefs, path.intercepts, path.alphas):
        gap, null = gap_and_null(X, y, weight, groups, alpha, w, b, True)
        assert gap <= 1.001e-9 * null


@pytest.mark.parametrize("width", [1, 2, 7])
@pytest.mark.parametrize("start", [0.0, 1e-6, 30.0])
@pytest.mark.parametrize("strength", [1e-3, 1.0, 1e3])
def test_a_step_minimises_over_its_group(width, start, strength):
    rng = np.random.default_rng(0)
    X = np.linalg.qr(rng.standard_normal((9, width)))[0] * np.logspace(0, -3, width)
    X[:, 1:2] = 0.0
    s, v, D = 5.0 * rng.standard_normal(9), start * rng.standard_normal(width), (X**2).sum(axis=0)
    rest, new, u = s - X @ v, v.copy(), s.copy()
    step = sweep(X.T.copy(), D, np.array([0, width]), np.array([0]), np.array([strength]), new, np.empty(width), u)
    np.testing.assert_allclose(u, rest + X @ new, atol=1e-12)
    np.testing.assert_allclose(step, D.max() * np.linalg.norm(new - v), rtol=1e-12)
    gradient, norm = X.T @ u, np.linalg.norm(new)
    if norm == 0.0:
        assert np.linalg.norm(gradient) <= strength
    else:
        np.testing.assert_allclose(gradient, -strength * new / norm, atol=1e-9 * strength)

    def objective(x):
        return 0.5 * np.sum((rest + X @ x) ** 2) + strength * np.linalg.norm(x)

    found = minimize(objective, rng.standard_normal(width), method="Nelder-Mead", options=dict(maxiter=2000))
    assert objective(new) <= found.fun + 1e-12
