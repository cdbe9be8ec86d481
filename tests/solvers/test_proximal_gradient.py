"""Accelerated proximal gradient: the same text on NumPy and array_api_strict, and outside references."""

import array_api_strict
import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.datasets import make_classification
from sklearn.linear_model import ElasticNet as SklearnElasticNet
from sklearn.linear_model import Lasso, LogisticRegression, PoissonRegressor

from skreg._design import DenseDesign, as_design
from skreg._problem import Data, Problem
from skreg.losses import LOSSES, Huber, Logistic, Multinomial, Poisson, Squared, Tweedie
from skreg.penalties import L0, L1, MCP, PENALTIES, SCAD, ElasticNet
from skreg.solvers._proximal_gradient import ProximalGradient

pytestmark = pytest.mark.filterwarnings("error")

N, P = 50, 12


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def draw(loss, rng, n=N, p=P):
    X = rng.standard_normal((n, p)) + 0.5
    eta = X[:, 0] - 0.5 * X[:, 1]
    if loss.multi_output:
        y = np.eye(3)[np.arange(n) % 3]
    elif loss.classifier:
        y = (eta + rng.logistic(size=n) > 0).astype(float)
    elif loss.name in ("squared", "huber"):
        y = 3.0 + eta + rng.standard_normal(n)
    elif loss.name == "gamma" or getattr(loss, "power", 0) >= 2:
        y = np.exp(0.5 * eta) * rng.gamma(2.0, 0.5, size=n) + 1e-2
    else:
        y = rng.poisson(np.exp(0.5 * eta)).astype(float)
    return X, y


def bind(X, y, loss, penalty, alpha, xp=np, weight=None, fit_intercept=True, offset=None, scale=None, **bounds):
    n, p = X.shape
    size = p * (y.shape[1] if loss.multi_output else 1)
    weight = np.full(n, 1.0) if weight is None else weight
    arrays = {"weights": np.ones(size), "lower": np.full(size, -np.inf), "upper": np.full(size, np.inf)} | bounds
    put = lambda a: None if a is None else xp.asarray(a)
    arrays = {name: put(a) for name, a in arrays.items()}
    design = as_design(X, scale) if xp is np else DenseDesign(xp.asarray(X), put(scale))
    data = Data(design, put(y), put(weight / weight.sum()), loss, fit_intercept, put(offset))
    return Problem(data, penalty, penalty.bind(alpha, **arrays, curvature=xp.asarray(np.ones(size))))


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("penalty", [cls() for cls in PENALTIES.values()], ids=repr)
@pytest.mark.parametrize("loss", [cls() for cls in LOSSES.values()] + [Tweedie(2.5)], ids=repr)
def test_every_namespace_gives_the_same(loss, penalty, fit_intercept, rng):
    X, y = draw(loss, rng)
    size = P * (3 if loss.multi_output else 1)
    options = {
        "weight": rng.integers(0, 3, size=N).astype(float) + (np.arange(N) < 4),
        "offset": 0.1 * rng.standard_normal(y.shape),
        "scale": rng.uniform(0.5, 2.0, size=P),
        "upper": np.where(np.arange(size) == 0, 0.1, np.inf),
        "weights": rng.uniform(0.5, 2.0, size=size),
        "fit_intercept": fit_intercept,
    }
    solver = ProximalGradient(tol=1e-5, max_iter=200)
    expected = solver.solve(bind(X, y, loss, penalty, 0.05, **options))
    solution = solver.solve(bind(X, y, loss, penalty, 0.05, array_api_strict, **options))
    assert solution.n_iter == expected.n_iter and solution.converged == expected.converged
    assert solution.coef.__array_namespace__() is array_api_strict
    np.testing.assert_allclose(np.asarray(solution.coef), expected.coef, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(np.asarray(solution.intercept), expected.intercept, rtol=1e-7, atol=1e-9)
    assert solution.objective == pytest.approx(expected.objective, rel=1e-10)


def test_an_unpenalised_feature_in_a_strict_namespace(rng):
    X, y = draw(Squared(), rng)
    v = np.where(np.arange(P) == 3, 0.0, 1.0)
    for xp in (np, array_api_strict):
        solution = ProximalGradient(tol=1e-10).solve(bind(X, y, Squared(), L1(), 0.1, xp, weights=v))
        assert solution.converged and solution.kkt_violation <= 1e-10
        assert float(solution.coef[3]) != 0


@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_squared_loss_is_scikit_learns_lasso_and_elastic_net(l1_ratio, fit_intercept, rng):
    X, y = draw(Squared(), rng)
    weight = rng.uniform(0.1, 2.0, size=N)
    kind = Lasso if l1_ratio == 1 else SklearnElasticNet
    shape = {} if l1_ratio == 1 else {"l1_ratio": l1_ratio}
    reference = kind(alpha=0.1, fit_intercept=fit_intercept, tol=1e-14, max_iter=100_000, **shape).fit(X, y, weight)
    problem = bind(X, y, Squared(), ElasticNet(l1_ratio), 0.1, weight=weight, fit_intercept=fit_intercept)
    solution = ProximalGradient(tol=1e-12).solve(problem)
    assert solution.converged
    np.testing.assert_allclose(solution.coef, reference.coef_, atol=1e-6)
    assert solution.intercept == pytest.approx(reference.intercept_, abs=1e-6)
    assert solution.objective == pytest.approx(objective_at(problem, reference.coef_, reference.intercept_), rel=1e-8)


def objective_at(problem, w, b):
    return problem.objective(w, problem.data.design.X @ w + b)


def test_logistic_loss_is_scikit_learns(rng):
    X, y = draw(Logistic(), rng)
    reference = LogisticRegression(l1_ratio=1, solver="saga", C=1 / (N * 0.02), tol=1e-10, max_iter=100_000).fit(X, y)
    problem = bind(X, y, Logistic(), L1(), 0.02)
    solution = ProximalGradient(tol=1e-12).solve(problem)
    assert solution.converged
    expected = objective_at(problem, reference.coef_[0], reference.intercept_[0])
    assert solution.objective == pytest.approx(expected, rel=1e-8)


def test_multinomial_loss_is_scikit_learns(rng):
    X, y = draw(Multinomial(), rng)
    classes = y.argmax(axis=1)
    reference = LogisticRegression(l1_ratio=1, solver="saga", C=1 / (N * 0.02), tol=1e-10, max_iter=100_000)
    reference.fit(X, classes)
    problem = bind(X, y, Multinomial(), L1(), 0.02)
    solution = ProximalGradient(tol=1e-12).solve(problem)
    assert solution.converged
    expected = problem.objective(reference.coef_.ravel(), X @ reference.coef_.T + reference.intercept_)
    assert solution.objective == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("alpha", [0.0, 0.1])
def test_poisson_loss_is_scikit_learns(alpha, rng):
    X, y = draw(Poisson(), rng)
    reference = PoissonRegressor(alpha=alpha, solver="newton-cholesky", tol=1e-12, max_iter=1000).fit(X, y)
    problem = bind(X, y, Poisson(), ElasticNet(0.0), alpha)
    solution = ProximalGradient(tol=1e-11).solve(problem)
    assert solution.converged
    np.testing.assert_allclose(solution.coef, reference.coef_, atol=1e-6)
    assert solution.objective == pytest.approx(objective_at(problem, reference.coef_, reference.intercept_), rel=1e-8)


def test_large_counts_need_backtracking(rng):
    X, y = draw(Poisson(), rng)
    reference = PoissonRegressor(alpha=0.0, solver="newton-cholesky", tol=1e-12, max_iter=1000).fit(X, y)
    y = 1e4 * y  # moves the intercept alone
    for state in (None, State(np.full(P, 3.0), -2.0)):
        solution = ProximalGradient(tol=1e-10).solve(bind(X, y, Poisson(), L1(), 0.0), state)
        assert solution.converged
        np.testing.assert_allclose(solution.coef, reference.coef_, atol=1e-6)


class State:
    def __init__(self, w, b):
        self.w, self.b = w, b


@pytest.mark.parametrize("loss", [Squared(), Logistic(), Multinomial()], ids=repr)
def test_the_state_is_where_it_starts_and_where_it_ends(loss, rng):
    X, y = draw(loss, rng)
    problem = bind(X, y, loss, L1(), 0.02)
    size = problem.data.n_coordinates
    state = State(rng.standard_normal(size), rng.standard_normal(3) if loss.multi_output else 1.0)
    first = ProximalGradient(tol=1e-10).solve(problem, state)
    assert first.converged and first.n_iter > 10
    np.testing.assert_array_equal(state.w, first.coef)
    again = ProximalGradient(tol=1e-9).solve(problem, state)
    assert again.converged and again.n_iter == 1
    cold = ProximalGradient(tol=1e-10).solve(problem)
    assert first.objective == pytest.approx(cold.objective, rel=1e-9)


@pytest.mark.parametrize("make", [sp.csr_array, sp.csc_matrix, np.asfortranarray])
def test_the_container_of_x_does_not_matter(make, rng):
    X, y = draw(Squared(), rng)
    X[rng.random(X.shape) < 0.5] = 0
    solver = ProximalGradient(tol=1e-12)
    scale = rng.uniform(0.5, 2.0, size=P)
    expected = solver.solve(bind(X, y, Squared(), L1(), 0.1, scale=scale))
    np.testing.assert_allclose(
        solver.solve(bind(make(X), y, Squared(), L1(), 0.1, scale=scale)).coef, expected.coef, atol=1e-6
    )


@pytest.mark.parametrize("xp", [np, array_api_strict])
@pytest.mark.parametrize("loss", [Squared(), Huber()], ids=repr)
def test_a_constant_target_gives_the_null_model(loss, xp, rng):
    X, _ = draw(loss, rng)
    for constant in (0.1, 1e9):
        solution = ProximalGradient().solve(bind(X, np.full(N, constant), loss, L1(), 0.0 * constant + 1e-3, xp))
        assert solution.converged and solution.dual_gap == 0
        assert not np.any(np.asarray(solution.coef))
        assert solution.intercept == pytest.approx(constant, rel=1e-14)


@pytest.mark.parametrize("penalty", [L1(), MCP(), SCAD(), L0()], ids=repr)
@pytest.mark.parametrize("loss", [Squared(), Poisson()], ids=repr)
def test_what_rounding_forbids_is_not_claimed(loss, penalty, rng):
    X, y = draw(loss, rng)
    solution = ProximalGradient(tol=1e-30, max_iter=1_000_000).solve(bind(X, y, loss, penalty, 0.1))
    reached = solution.dual_gap if penalty.convex else solution.kkt_violation
    assert solution.n_iter < 20_000
    assert solution.converged == (reached <= 1e-30)
    assert reached <= 1e-12


def test_columns_that_single_precision_keeps_barely_apart_converge():
    """Coefficients of 1e5 cancel in the fit, so the objective rounds far more coarsely than its own size says."""
    X, y = make_classification(n_samples=30, n_features=10, random_state=42)
    for seed in range(50):
        bits = np.random.default_rng(seed).integers(-1, 2, X.shape)
        rounded = (X.astype(np.float32) * (1 + 6e-8 * bits)).astype(np.float32).astype(float)
        assert ProximalGradient(tol=1e-8).solve(bind(rounded, y.astype(float), Squared(), SCAD(), 0.001)).converged


@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_units_of_target_and_columns_do_not_matter(unit, rng):
    X, y = draw(Squared(), rng)
    plain = ProximalGradient(tol=1e-8).solve(bind(X, y, Squared(), L1(), 0.1))
    scaled = ProximalGradient(tol=1e-8).solve(bind(X, unit * y, Squared(), L1(), unit * 0.1))
    assert scaled.n_iter == pytest.approx(plain.n_iter, abs=10)
    np.testing.assert_allclose(scaled.coef / unit, plain.coef, atol=1e-5)
    columns = unit ** np.linspace(0, 1, P)
    stretched = ProximalGradient(tol=1e-8).solve(bind(X * columns, y, Squared(), L1(), 0.1, weights=columns))
    np.testing.assert_allclose(stretched.coef * columns, plain.coef, atol=1e-5)


def test_too_few_steps_are_reported(rng):
    X, y = draw(Squared(), rng)
    solution = ProximalGradient(tol=1e-14, max_iter=10).solve(bind(X, y, Squared(), L1(), 0.001))
    assert not solution.converged and solution.n_iter == 10 and solution.dual_gap > 1e-14


def test_repr_and_equality():
    assert repr(ProximalGradient(tol=1e-3)) == "ProximalGradient(tol=0.001, max_iter=10000)"
    assert ProximalGradient() == ProximalGradient()
