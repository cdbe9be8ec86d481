"""Tall problems whose second derivatives are first estimated on some of the rows."""

import numpy as np
import pytest
from sklearn.linear_model import Lasso as SklearnLasso

from skreg import ElasticNet, Lasso, SparseClassifier, SparseRegressor

N, P = 12_800, 200  # the least size at which the squared loss begins with an estimate


def draw(kind, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((N, P)) * rng.uniform(0.1, 10.0, P) + rng.uniform(-5.0, 5.0, P)
    if kind == "rare":  # columns that most eighths of the rows know nothing of
        X[:, :40] = 0.0
        X[rng.integers(0, N, 40), np.arange(40)] = 30.0
    if kind == "sorted":
        X = X[np.argsort(X[:, 0])]
    if kind == "repeated":
        X[:, 1::2] = X[:, ::2]
    y = X @ np.where(rng.random(P) < 0.3, 1.0 / X.std(axis=0), 0.0) + rng.standard_normal(N)
    return np.asfortranarray(X), y


@pytest.fixture
def built(monkeypatch):
    """Number of rows that each Gram matrix is made of, in order."""
    from skreg.solvers import _models

    rows = []
    make = _models.GramModel.__init__

    def spy(self, data, curvature):
        rows.append(len(data.y))
        make(self, data, curvature)

    monkeypatch.setattr(_models.GramModel, "__init__", spy)
    return rows


@pytest.mark.parametrize("kind", ["plain", "rare", "sorted", "repeated"])
def test_same_model_as_scikit_learn(kind, built):
    X, y = draw(kind)
    ours = Lasso(alpha=0.05, tol=1e-8).fit(X, y)
    assert built[0] < N  # an estimate came first
    theirs = SklearnLasso(alpha=0.05, tol=1e-12, max_iter=10_000).fit(X, y)
    assert ours.converged_ and ours.dual_gap_ <= 1e-8
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), atol=1e-3 * y.std())
    assert objective(ours, X, y) <= objective(theirs, X, y) * (1 + 1e-8)


def objective(model, X, y):
    return 0.5 * np.mean((y - model.predict(X)) ** 2) + model.alpha * np.abs(model.coef_).sum()


def test_a_good_estimate_is_never_replaced(built):
    Lasso(alpha=0.3).fit(*draw("plain"))
    assert built == [N // 8]


def test_a_tight_tolerance_takes_the_exact_matrix(built):
    model = Lasso(alpha=0.05, tol=1e-12).fit(*draw("plain"))
    assert built[0] == N and model.dual_gap_ <= 1e-12


@pytest.mark.parametrize("loss", ["huber", "poisson", "gamma", "logistic", "squared_hinge"])
@pytest.mark.parametrize("kind", ["plain", "rare"])
def test_losses_reach_a_tight_tolerance(loss, kind):
    X, y = draw(kind, seed=1)
    X, y = np.asfortranarray(X[:, :60]), y / y.std()
    weight = np.random.default_rng(2).integers(0, 3, N).astype(float)
    if loss in ("logistic", "squared_hinge"):
        model, y = SparseClassifier(loss=loss, alpha=1e-3, tol=1e-10), y > 0
    else:
        y = y if loss == "huber" else np.exp(0.3 * y)
        model = SparseRegressor(loss=loss, alpha=1e-2, tol=1e-10)
    model.fit(X, y, sample_weight=weight)
    assert model.converged_ and model.dual_gap_ <= 1e-10
    assert 0 < np.count_nonzero(model.coef_)


def test_bounds_and_free_features():
    X, y = draw("plain", seed=3)
    weights = np.ones(P)
    weights[:3] = 0.0
    options = dict(alpha=0.05, l1_ratio=0.7, penalty_weights=weights, lower=-0.1, upper=np.full(P, 0.2))
    loose, tight = ElasticNet(**options).fit(X, y), ElasticNet(**options, tol=1e-12).fit(X, y)
    assert loose.dual_gap_ <= 1e-6 and tight.dual_gap_ <= 1e-12
    np.testing.assert_allclose(loose.coef_, tight.coef_, atol=1e-2)
    np.testing.assert_allclose(loose.predict(X), tight.predict(X), atol=1e-2 * y.std())


def test_a_class_that_the_estimating_rows_do_not_have():
    X, _ = draw("plain", seed=4)
    X = np.asfortranarray(X[:, :60])
    y = (np.arange(N) % 512 >= 64) & (X[:, 0] > X[:, 0].mean())  # the estimate is made of the first 64 of each 512
    model = SparseClassifier(alpha=1e-2, tol=1e-8).fit(X, y)
    assert model.converged_ and model.dual_gap_ <= 1e-8
    assert model.coef_[0, 0] > 0
