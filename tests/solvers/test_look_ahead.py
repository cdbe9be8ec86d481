import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose

from skreg import ElasticNet, Lasso
from skreg.model_selection import regularization_path
from skreg.solvers import _look_ahead


def wide(seed=0, n=60, p=300):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) + 0.5 * rng.standard_normal((n, 1))
    return X, X[:, :8] @ rng.standard_normal(8) + 0.3 * rng.standard_normal(n) + 2.0


@pytest.fixture
def taken(monkeypatch):
    """How many points each look ahead gave."""
    counts, look_ahead = [], _look_ahead._look_ahead

    def counting(*args):
        points = look_ahead(*args)
        counts.append(len(points))
        return points

    monkeypatch.setattr(_look_ahead, "_look_ahead", counting)
    return counts


MODELS = [
    Lasso(),
    Lasso(fit_intercept=False),
    Lasso(positive=True),
    Lasso(standardize=True),
    Lasso(penalty_weights=np.r_[0.0, 0.5, np.ones(298)]),
    Lasso(penalty_weights=np.r_[0.0, 0.0, np.ones(298)], positive=True),
    Lasso(lower=-0.05),
    ElasticNet(l1_ratio=0.8),
]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("convert", [np.asfortranarray, np.ascontiguousarray, sp.csc_matrix])
def test_a_path_agrees_with_single_fits(model, convert):
    X, y = wide()
    X = convert(X)
    path = regularization_path(model.set_params(tol=1e-10), X, y, alphas=60, eps=0.03)
    assert path.converged.all()
    for k in (0, 5, 23, 40, 59):
        model.set_params(alpha=path.alphas[k]).fit(X, y)
        assert_allclose(path.coefs[k], model.coef_, atol=1e-5)
        assert_allclose(path.intercepts[k], model.intercept_, atol=1e-5)


def test_most_points_come_from_looking_ahead(taken):
    X, y = wide()
    path = regularization_path(Lasso(), X, y, alphas=100, eps=0.01)
    assert path.converged.all()
    assert sum(taken) > 80
    assert np.mean(path.n_iters) < 1.3


def test_a_coarse_path_does_without(taken):
    X, y = wide()
    path = regularization_path(Lasso(), X, y, alphas=np.geomspace(1.0, 0.01, 6))
    assert path.converged.all()
    assert not any(taken)


def test_equal_alphas(taken):
    X, y = wide()
    alphas = np.repeat(np.geomspace(1.0, 0.1, 20), 2)
    path = regularization_path(Lasso(tol=1e-10), X, y, alphas=alphas)
    assert path.converged.all()
    assert_allclose(path.coefs[::2], path.coefs[1::2], atol=1e-7)


def test_wrong_points_are_but_starts(monkeypatch):
    X, y = wide()
    right = regularization_path(Lasso(tol=1e-10), X, y, alphas=40, eps=0.05)
    monkeypatch.setattr(_look_ahead, "_MARGIN", 2.0)  # no feature is admitted
    path = regularization_path(Lasso(tol=1e-10), X, y, alphas=40, eps=0.05)
    assert path.converged.all()
    assert_allclose(path.coefs, right.coefs, atol=1e-5)


def test_doubled_columns():
    X, y = wide()
    path = regularization_path(Lasso(), np.hstack([X, X]), y, alphas=60, eps=0.02)
    once = regularization_path(Lasso(), X, y, alphas=60, eps=0.02)
    assert path.converged.all()
    assert_allclose(path.coefs @ np.hstack([X, X]).T, once.coefs @ X.T, atol=1e-2)
