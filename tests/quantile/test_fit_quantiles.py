"""The function behind the estimators: levels for each row, mixtures, shrinkage, other array namespaces."""

import array_api_strict
import numpy as np
import pytest
from scipy.optimize import linprog
from sklearn import config_context

from skreg.solvers._interior_point_fit import fit_quantiles, weighted_quantile


def forecasts(n=120, p=6, seed=0):
    """A target and p forecasts of it, of different quality."""
    rng = np.random.default_rng(seed)
    y = 50.0 + 10.0 * rng.standard_normal(n)
    return y[:, None] + rng.standard_normal((n, p)) * np.linspace(1.0, 6.0, p) + np.linspace(-1.0, 2.0, p), y


def optimum(Z, y, levels, l1=0.0, centre=0.0, lower=-np.inf, upper=np.inf, simplex=False):
    """Optimum of the linear program in w, the parts of y - Z w and those of w - centre."""
    n, p = Z.shape
    share = np.full(n, 1.0 / n)
    cost = np.concatenate([np.zeros(p), share * levels, share * (1.0 - levels), np.full(2 * p, l1)])
    rows = np.hstack([Z, np.eye(n), -np.eye(n), np.zeros((n, 2 * p))])
    parts = np.hstack([np.eye(p), np.zeros((p, 2 * n)), -np.eye(p), np.eye(p)])
    total = np.concatenate([np.ones(p), np.zeros(2 * n + 2 * p)])[None, :]
    A, b = [rows, parts] + [total] * simplex, [y, np.full(p, centre)] + [[1.0]] * simplex
    limits = [(lower, upper)] * p + [(0, None)] * (2 * n + 2 * p)
    return linprog(cost, A_eq=np.vstack(A), b_eq=np.concatenate(b), bounds=limits).fun


def value(fit, k, Z, y, levels, l1=0.0, centre=0.0):
    r = y - Z @ fit.coefs[k] - fit.intercepts[k]
    return np.maximum(levels * r, (levels - 1.0) * r).mean() + l1 * np.abs(fit.coefs[k] - centre).sum()


@pytest.mark.parametrize(
    "terms",
    [
        dict(lower=0.0, simplex=True),
        dict(lower=0.0, upper=0.4, simplex=True),
        dict(simplex=True),
        dict(lower=0.0),
        dict(lower=0.0, simplex=True, l1=0.05, centre=1 / 6),
        dict(simplex=True, l1=0.02, centre=1 / 6),
        dict(lower=-0.2, upper=0.7, l1=0.01, centre=0.3),
    ],
    ids=str,
)
def test_mixtures_and_bounds(terms):
    Z, y = forecasts()
    levels = [0.1, 0.5, 0.8]
    fit = fit_quantiles(Z, y, levels, fit_intercept=False, **terms)
    penalty = {name: terms[name] for name in ("l1", "centre") if name in terms}
    for k, level in enumerate(levels):
        best = optimum(Z, y, level, **terms)
        assert abs(value(fit, k, Z, y, level, **penalty) - best) <= 1e-8 * best
        assert fit.coefs[k].min() >= terms.get("lower", -np.inf) and fit.coefs[k].max() <= terms.get("upper", np.inf)
        if "simplex" in terms:
            assert abs(fit.coefs[k].sum() - 1.0) <= 1e-12
    assert fit.gaps.max() <= 1e-12 and fit.exact.all()


def test_strong_shrinkage_gives_the_centre_exactly():
    Z, y = forecasts()
    fit = fit_quantiles(Z, y, [0.3], fit_intercept=False, lower=0.0, simplex=True, l1=100.0, centre=1 / 6)
    np.testing.assert_array_equal(fit.coefs, 1 / 6)


def test_many_forecasts_on_the_simplex():
    Z, y = forecasts(200, 150)
    fit = fit_quantiles(Z, y, [0.25, 0.75], fit_intercept=False, lower=0.0, simplex=True)
    for k, level in enumerate([0.25, 0.75]):
        assert abs(value(fit, k, Z, y, level) - optimum(Z, y, level, lower=0.0, simplex=True)) <= 1e-9
    assert fit.exact.all() and (fit.coefs == 0.0).mean() > 0.2


def test_every_row_has_a_level_of_its_own():
    Z, y = forecasts()
    levels = np.random.default_rng(0).uniform(0.05, 0.95, len(y))
    fit = fit_quantiles(Z, y, levels[None, :], fit_intercept=False)
    best = optimum(Z, y, levels)
    assert abs(value(fit, 0, Z, y, levels) - best) <= 1e-9 * best
    joined = np.r_[y, y], np.r_[Z, Z], np.r_[np.full(len(y), 0.2), np.full(len(y), 0.7)]
    stacked = fit_quantiles(joined[1], joined[0], joined[2][None, :], fit_intercept=False, lower=0.0, simplex=True)
    best = optimum(joined[1], joined[0], joined[2], lower=0.0, simplex=True)
    assert abs(value(stacked, 0, joined[1], joined[0], joined[2]) - best) <= 1e-9 * best


def test_dual_points_certify_the_solutions():
    Z, y = forecasts()
    fit = fit_quantiles(Z, y, [0.2, 0.9])
    for k, level in enumerate([0.2, 0.9]):
        d = fit.duals[k]
        assert d.max() <= level / len(y) + 1e-15 and d.min() >= (level - 1.0) / len(y) - 1e-15
        assert abs(d.sum()) <= 1e-13 and np.abs(Z.T @ d).max() <= 1e-11
        assert abs(y @ d - value(fit, k, Z, y, level)) <= 1e-11


@pytest.mark.parametrize(
    "terms",
    [
        dict(),
        dict(l1=0.02),
        dict(l1=0.02, lower=0.0, upper=0.5),
        dict(ridge=0.1),
        dict(non_crossing="rows"),
        dict(fit_intercept=False, lower=0.0, simplex=True),
    ],
    ids=str,
)
def test_another_array_namespace(terms):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 4))
    y = X[:, 0] + (1.0 + 0.8 * np.abs(X[:, 1])) * rng.standard_normal(60)
    levels = [0.1, 0.3, 0.5, 0.7]
    here = fit_quantiles(X, y, levels, np.arange(60.0), **terms)
    X, y, weight = map(array_api_strict.asarray, (X, y, np.arange(60.0)))
    with config_context(array_api_dispatch=True):
        there = fit_quantiles(X, y, levels, weight, **terms)
    np.testing.assert_allclose(there.coefs, here.coefs, rtol=0, atol=1e-9)
    np.testing.assert_allclose(there.intercepts, here.intercepts, rtol=0, atol=1e-9)


def test_weighted_quantile_minimises_the_loss():
    rng = np.random.default_rng(0)
    y, weight = np.round(rng.standard_normal(50), 1), rng.integers(1, 4, 50).astype(float)
    for level in (0.05, 0.3, 0.5, 0.9, rng.uniform(0.1, 0.9, 50)):
        losses = [weight @ np.maximum(level * (y - c), (level - 1.0) * (y - c)) for c in y]
        q = weighted_quantile(y, weight, level)
        assert weight @ np.maximum(level * (y - q), (level - 1.0) * (y - q)) <= min(losses) + 1e-12
    copies = np.repeat(y, weight.astype(int))
    assert weighted_quantile(y, weight, 0.3) == weighted_quantile(copies, np.ones(len(copies)), 0.3)
