"""What the package promises end to end: exactness, memory, recovery, the softmax."""

import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.datasets import load_digits

import skreg
from skreg.model_selection import alpha_grid, regularization_path


def correlated(n, p, k, rho=0.5, noise=0.7, seed=0):
    """Autoregressive columns, k coefficients of size 0.5 to 2."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p))
    for j in range(1, p):
        X[:, j] = rho * X[:, j - 1] + np.sqrt(1 - rho**2) * X[:, j]
    w = np.zeros(p)
    w[rng.choice(p, k, replace=False)] = rng.choice([-1, 1], k) * rng.uniform(0.5, 2, k)
    return np.asfortranarray(X), X @ w + noise * rng.standard_normal(n), w


@pytest.mark.parametrize("shape", [(4000, 100), (200, 4000)], ids=["tall", "wide"])
@pytest.mark.parametrize("share", [0.2, 0.02])
def test_a_relative_gap_of_1e_12(shape, share):
    X, y, _ = correlated(*shape, 20)
    top = alpha_grid(skreg.Lasso(), X, y, 2)[0]
    model = skreg.Lasso(alpha=share * top, tol=1e-12).fit(X, y)
    assert model.dual_gap_ <= 1e-12 and model.converged_
    residual = y - model.predict(X)
    correlation = X.T @ residual / len(y)
    active = model.coef_ != 0
    np.testing.assert_allclose(correlation[active], model.alpha * np.sign(model.coef_[active]), atol=1e-10 * top)
    assert np.abs(correlation).max() <= model.alpha * (1 + 1e-9)


@pytest.mark.slow
@pytest.mark.parametrize(("shape", "divide"), [((50_000, 500), 100), ((1000, 20_000), 20)], ids=["tall", "wide"])
def test_a_relative_gap_of_1e_12_at_full_size(shape, divide):
    X, y, _ = correlated(*shape, 50)
    model = skreg.Lasso(alpha=alpha_grid(skreg.Lasso(), X, y, 2)[0] / divide, tol=1e-12).fit(X, y)
    assert model.dual_gap_ <= 1e-12


def peak(model, X, y):
    """Bytes that a second fit needs beside X."""
    model.fit(X, y)
    tracemalloc.start()
    model.fit(X, y)
    size = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return size


def test_sparse_data_is_not_densified():
    rng = np.random.default_rng(0)
    X = sp.random(3000, 5000, density=2e-3, format="csc", random_state=rng)
    y = np.asarray(X[:, :10].sum(axis=1)).ravel() + 0.1 * rng.standard_normal(3000)
    dense = 8 * 3000 * 5000
    for model in (skreg.Lasso(alpha=1e-4), skreg.SparseRegressor("huber", alpha=1e-4, standardize=True)):
        assert peak(model, X, y) < dense / 20


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", [(300, 8000), (20_000, 100)], ids=["wide", "tall"])
def test_dense_data_is_not_copied(order, shape):
    X, y, _ = correlated(*shape, 10)
    X = np.array(X, order=order)
    top = alpha_grid(skreg.Lasso(), X, y, 2)[0]
    assert peak(skreg.Lasso(alpha=0.1 * top), X, y) < 0.6 * X.nbytes


def test_non_convex_penalties_recover_what_the_lasso_shrinks():
    """Squared estimation error at the best alpha of a path, over that of the Lasso, on five data sets."""
    penalties = {"l1": 1e-3, "mcp": 1e-3, "l0": 1e-5, "cel0": 1e-5}  # l0 and cel0 count squares: their alphas too
    errors = {name: [] for name in penalties}
    for seed in range(5):
        X, y, w = correlated(120, 300, 10, seed=seed)
        for name, eps in penalties.items():
            path = regularization_path(skreg.SparseRegressor(penalty=name), X, y, alphas=40, eps=eps)
            errors[name].append(((path.coefs - w) ** 2).sum(axis=1).min())
    for name in ("mcp", "l0", "cel0"):
        assert np.mean(errors[name]) <= 0.25 * np.mean(errors["l1"])


def test_the_softmax_converges_on_digits():
    X, y = load_digits(return_X_y=True)
    alpha = alpha_grid(skreg.SparseClassifier(), X, y, 2)[0] / 50
    model = skreg.SparseClassifier(alpha=alpha, tol=1e-12).fit(X, y)
    assert model.coef_.shape == (10, 64)
    residual = model.predict_proba(X) - np.eye(10)[y]
    gradient = residual.T @ X / len(y)
    assert np.abs(residual.mean(axis=0)).max() <= 1e-8
    active = model.coef_ != 0
    scale = np.abs((np.full((len(y), 10), 0.1) - np.eye(10)[y]).T @ X / len(y)).max()
    assert np.abs(gradient + alpha * np.sign(model.coef_))[active].max() <= 1e-8 * scale
    assert np.abs(gradient).max() <= alpha + 1e-8 * scale
