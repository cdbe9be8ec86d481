"""Subproblems in residual form: sweeps over sparse columns with Newton steps on the support."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.linear_model import ElasticNet as ReferenceElasticNet

import skreg.solvers._models as models
from skreg._design import as_design
from skreg._problem import Data, Problem
from skreg.losses import Huber, Logistic, Poisson, Squared
from skreg.penalties import L1, MCP, SCAD, ElasticNet
from skreg.solvers._prox_newton import ProxNewton
from skreg.solvers._residual_model import ResidualModel

N_SAMPLES, N_FEATURES, TWINS = 300, 600, 6


@pytest.fixture(scope="module")
def X():
    """Sparse columns in groups of six that share rows and, nearly, values: sweeps alone take thousands of rounds."""
    rng = np.random.default_rng(0)
    base = rng.random((N_SAMPLES, N_FEATURES // TWINS)) * (rng.random((N_SAMPLES, N_FEATURES // TWINS)) < 0.05)
    X = np.repeat(base, TWINS, axis=1)
    X *= 1 + 0.1 * rng.standard_normal(X.shape)
    X[rng.random(X.shape) < 0.05] = 0
    return sp.csc_array(X)


def draw(X, loss, penalty, fraction, variant="plain"):
    rng = np.random.default_rng(1)
    n, p = X.shape
    eta = X[:, ::30] @ rng.standard_normal(len(range(0, p, 30)))
    mean = np.exp(np.clip(eta, -3, 3))
    targets = {"poisson": lambda: rng.poisson(mean), "logistic": lambda: rng.random(n) < mean / (1 + mean)}
    y = np.asarray(targets.get(loss.name, lambda: eta + rng.standard_normal(n))(), dtype=float)
    weight, v, lower, upper = np.ones(n), np.ones(p), np.full(p, -np.inf), np.full(p, np.inf)
    if variant == "full":
        weight, v = rng.integers(0, 3, n).astype(float), rng.uniform(0.5, 2, p)
        v[3], lower[10:200], upper[100:300] = 0, -0.1, 0.1
    if variant == "bounds":
        lower[:], upper[:] = -0.5, 0.5
    data = Data(as_design(X), y, weight / weight.sum(), loss)
    alpha = fraction * penalty.alpha_max(data.null.gradient, data.curvature, v, lower, upper)
    return Problem(data, penalty, penalty.bind(alpha, v, lower, upper, data.curvature))


@pytest.mark.parametrize("penalty, l1_ratio", [(L1(), 1.0), (ElasticNet(0.9), 0.9)], ids=repr)
def test_scikit_learn_finds_the_same_minimum(X, penalty, l1_ratio):
    problem = draw(X, Squared(), penalty, 1e-2)
    solution = ProxNewton(tol=1e-12).solve(problem)
    reference = ReferenceElasticNet(alpha=problem.pen.alpha, l1_ratio=l1_ratio, tol=1e-12, max_iter=10**6)
    reference.fit(X, problem.data.y)
    assert solution.converged
    predictor = X @ reference.coef_ + reference.intercept_
    assert solution.objective == pytest.approx(problem.objective(reference.coef_, predictor), rel=1e-10)
    np.testing.assert_allclose(X @ solution.coef + solution.intercept, predictor, atol=1e-5)


@pytest.mark.parametrize("loss", [Squared(), Logistic(), Poisson(), Huber(0.5)], ids=repr)
def test_the_gram_form_finds_the_same_minimum(X, loss, monkeypatch):
    problem = draw(X, loss, L1(), 1e-2, "full")
    solution = ProxNewton(tol=1e-10).solve(problem)
    monkeypatch.setattr(models, "_SPARSE_GRAM", N_FEATURES)
    monkeypatch.setattr(models, "_SPARSE_NEWTON", N_FEATURES)
    expected = ProxNewton(tol=1e-10).solve(problem)
    assert solution.converged and expected.converged
    assert abs(solution.objective - expected.objective) <= 2e-10 * problem.data.null.gap
    assert (solution.coef >= problem.pen.lower).all() and (solution.coef <= problem.pen.upper).all()


def model_at(problem, w):
    """The model of all coordinates, with the gradients at `w` and the intercept 0."""
    data = problem.data
    eta = data.design.matvec(w)
    slope = data.loss.gradient(data.y, eta)
    model = ResidualModel(data, data.loss.curvature(data.y, eta))
    model.extend(np.arange(N_FEATURES))
    return model, data.gradient(slope), slope


def test_the_support_is_solved_in_a_quarter_of_the_sweeps(X):
    problem = draw(X, Squared(), L1(), 1e-2)
    w = np.zeros(N_FEATURES)
    model, gradient, slope = model_at(problem, w)
    tol = 1e-10 * np.abs(gradient).max()
    new, shift, n_epochs = model.minimise(w, gradient, slope, L1(), problem.pen, tol, max_epochs=8_000)
    assert n_epochs <= 6_000  # 26,800 by sweeps alone
    residual = problem.data.y - X @ new - shift
    correlation = X.T @ residual / N_SAMPLES
    active = new != 0
    assert abs(residual.mean()) <= 1e-12
    np.testing.assert_allclose(correlation[active], problem.pen.alpha * np.sign(new[active]), atol=10 * tol)
    assert np.abs(correlation[~active]).max() <= problem.pen.alpha + 10 * tol


@pytest.mark.parametrize("variant", ["plain", "bounds"])
@pytest.mark.parametrize("penalty", [MCP(1.5), SCAD(2.5)], ids=repr)
def test_concave_penalties_never_lead_uphill(X, penalty, variant):
    problem = draw(X, Squared(), penalty, 0.05, variant)
    w, last = np.zeros(N_FEATURES), np.inf
    for _ in range(8):
        model, gradient, slope = model_at(problem, w)
        w, shift, _ = model.minimise(w, gradient, slope, penalty, problem.pen, 1e-12, max_epochs=40)
        objective = problem.objective(w, X @ w + shift)
        assert objective <= last + 1e-14 * abs(last)
        assert (w >= problem.pen.lower).all() and (w <= problem.pen.upper).all()
        last = objective
