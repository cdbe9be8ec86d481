"""The contract of the engine: every loss with every penalty, two solvers that share no code, and outside references.

ProxNewton works on quadratic models with coordinate descent, ProximalGradient on gradients alone; where they agree to
1e-8 and one certifies the other, a common mistake is unlikely. `cvxpy` and the gap at loose tolerances do the rest.
"""

import functools
import zlib

import cvxpy as cp
import numpy as np
import pytest
import scipy.sparse as sp

import skreg.solvers._models as models
from skreg._design import as_design
from skreg._problem import Data, Problem
from skreg.losses import LOSSES, Gamma, Huber, Logistic, Multinomial, Poisson, Squared, SquaredHinge, Tweedie
from skreg.penalties import L1, MCP, PENALTIES, SCAD, ElasticNet
from skreg.solvers._prox_newton import ProxNewton
from skreg.solvers._proximal_gradient import CentredModel, ProximalGradient

LOSS_SETTINGS = {"huber": [Huber(), Huber(0.3)], "tweedie": [Tweedie(p) for p in (0, 1.5, 1.9, 2.5)]}
PENALTY_SETTINGS = {
    "elastic_net": [ElasticNet(), ElasticNet(0.0)],
    "mcp": [MCP(), MCP(1.2)],
    "scad": [SCAD(), SCAD(2.1)],
}
ALL_LOSSES = [loss for name, cls in LOSSES.items() for loss in LOSS_SETTINGS.get(name, [cls()])]
ALL_PENALTIES = [penalty for name, cls in PENALTIES.items() for penalty in PENALTY_SETTINGS.get(name, [cls()])]
CONVEX_LOSSES = [loss for loss in ALL_LOSSES if loss.convex]
CONVEX_PENALTIES = [penalty for penalty in ALL_PENALTIES if penalty.convex]
KINDS = ["plain", "full", "free", "wide"]

every_loss = pytest.mark.parametrize("loss", ALL_LOSSES, ids=repr)
every_convex_loss = pytest.mark.parametrize("loss", CONVEX_LOSSES, ids=repr)
every_kind = pytest.mark.parametrize("kind", KINDS)
with_and_without_intercept = pytest.mark.parametrize("fit_intercept", [True, False], ids=["intercept", "origin"])

pytestmark = pytest.mark.filterwarnings("error")


def draw_target(loss, eta, rng):
    n = len(eta)
    if loss.multi_output:
        classes = np.argmax(np.stack([eta, -eta, 0 * eta], axis=1) + rng.gumbel(size=(n, 3)), axis=1)
        classes[:3] = [0, 1, 2]
        return np.eye(3)[classes]
    if loss.classifier:
        y = (eta + rng.logistic(size=n) > 0).astype(float)
        y[:2] = [0, 1]
        return y
    power = {"poisson": 1, "gamma": 2}.get(loss.name, getattr(loss, "power", 0))
    if power == 0:
        return 2.0 + eta + rng.standard_t(2, size=n)
    mean = np.exp(np.clip(0.5 * eta, -3, 3))
    if power < 2:
        y = rng.poisson(mean) * (1.0 if power == 1 else rng.gamma(2.0, 0.5, size=n))
        y[0] = 1.0
        return y
    return mean * rng.gamma(2.0, 0.5, size=n) + 1e-3


def draw_problem(loss, penalty, kind, fit_intercept, hold=lambda X: X):
    """Problem of a kind: "plain"; "full", with weights (one of them 0), offset, scale, bounds and penalty weights;
    "free", the same with an unpenalised feature; "wide", with more features than samples. `hold` turns X into the
    container to test.
    """
    rng = np.random.default_rng(zlib.crc32(f"{loss!r} {kind}".encode()))
    n, p = (40, 150) if kind == "wide" else (60, 15)
    X = rng.standard_normal((n, p)) + 0.5 * rng.standard_normal((n, 1)) + 0.3
    X[rng.random((n, p)) < 0.3] = 0
    y = draw_target(loss, X[:, :5] @ np.array([1.5, -1.0, 0.7, 0.5, -0.4]), rng)
    weight, offset, scale = np.ones(n), None, None
    v, lower, upper = np.ones(p), np.full(p, -np.inf), np.full(p, np.inf)
    if kind in ("full", "free"):
        weight = rng.integers(1, 4, size=n).astype(float)
        weight[7] = 0
        offset, scale = 0.3 * rng.standard_normal(y.shape), rng.uniform(0.5, 3, size=p)
        v = rng.uniform(0.5, 2, size=p)
        lower[[1, 5, 9]], upper[[1, 2, 9]] = [-0.2, 0, -0.01], [0, 0.1, 0.02]
    if kind == "free":
        v[4] = 0
    if kind == "wide" and not penalty.convex:
        lower[:], upper[:] = -1, 1  # separable classes would send coefficients that cost no more to infinity
    data = Data(as_design(hold(X), scale), y, weight / weight.sum(), loss, fit_intercept, offset)
    v, lower, upper = (np.tile(a, data.n_outputs) for a in (v, lower, upper))
    fraction = 1e-4 if getattr(penalty, "l1_ratio", 1) == 0 else 0.1 if penalty.convex else 0.3
    alpha = fraction * penalty.alpha_max(data.null.gradient, data.curvature, v, lower, upper)
    return Problem(data, penalty, penalty.bind(alpha, v, lower, upper, data.curvature))


@functools.cache
def solutions(loss, penalty, kind, fit_intercept):
    problem = draw_problem(loss, penalty, kind, fit_intercept)
    tol = 1e-9 if loss.convex and penalty.convex else 1e-8
    newton = ProxNewton(tol=tol, max_iter=100).solve(problem)
    return problem, newton, ProximalGradient(tol=tol, max_iter=20_000).solve(problem)


def objective(problem, solution):
    """Objective from scratch: dense arithmetic on the data as they are."""
    data = problem.data
    X = data.design.X.toarray() if data.design.is_sparse else data.design.X
    X = X if data.design.scale is None else X / data.design.scale
    W = solution.coef.reshape(data.n_outputs, -1)
    eta = X @ W.T + solution.intercept
    eta = eta if data.loss.multi_output else eta[:, 0]
    eta = eta if data.offset is None else eta + data.offset
    return np.sum(data.weight * data.loss.value(data.y, eta)) + np.sum(problem.penalty.values(W.ravel(), problem.pen))


def violation(problem, solution):
    """KKT violation relative to the null model, by the other solver's yardstick and arithmetic."""
    model = CentredModel(problem)
    return (
        model.certificate(model.start(State(solution.coef, solution.intercept))).violation / problem.data.null.violation
    )


class State:
    def __init__(self, w, b):
        self.w, self.b = w, b


def within_bounds(problem, solution):
    return np.all(solution.coef >= problem.pen.lower) and np.all(solution.coef <= problem.pen.upper)


@with_and_without_intercept
@every_kind
@every_convex_loss
@pytest.mark.parametrize("penalty", CONVEX_PENALTIES, ids=repr)
def test_convex_problems_have_one_optimum(loss, penalty, kind, fit_intercept):
    problem, newton, gradient = solutions(loss, penalty, kind, fit_intercept)
    assert newton.converged and gradient.converged
    for solution in (newton, gradient):
        assert solution.objective == pytest.approx(objective(problem, solution), rel=1e-12)
        assert within_bounds(problem, solution)
    assert abs(newton.objective - gradient.objective) <= 1e-8 * problem.data.null.gap


@with_and_without_intercept
@every_kind
@every_convex_loss
@pytest.mark.parametrize("penalty", CONVEX_PENALTIES, ids=repr)
def test_the_gap_bounds_the_distance_to_the_optimum(loss, penalty, kind, fit_intercept):
    problem, *reference = solutions(loss, penalty, kind, fit_intercept)
    best = min(solution.objective for solution in reference)
    null = problem.data.null.gap
    for tol in (1e-1, 1e-3):
        for solver in (ProxNewton(tol=tol), ProximalGradient(tol=tol)):
            solution = solver.solve(problem)
            assert solution.converged
            assert solution.objective - best <= solution.dual_gap * null + 1e-13 * abs(best)


INTERCEPT = {"plain": False, "full": True, "free": False, "wide": True}  # half of the cases, for time


@every_kind
@pytest.mark.parametrize(
    "loss, penalty",
    [(loss, penalty) for loss in ALL_LOSSES for penalty in ALL_PENALTIES if not (loss.convex and penalty.convex)],
    ids=repr,
)
def test_non_convex_problems_end_at_stationary_points(loss, penalty, kind):
    problem, newton, gradient = solutions(loss, penalty, kind, INTERCEPT[kind])
    assert newton.converged or cannot_be_certified(problem, newton)
    # gradient steps may rest short of a certificate where the loss has no curvature bound; they must say so
    assert gradient.converged or loss.curvature_bound is None
    zero = 0 * newton.coef
    start = problem.objective(zero, problem.data.predictor(zero, problem.data.null.intercept))
    for solution in (newton, gradient):
        assert within_bounds(problem, solution)
        assert solution.objective == pytest.approx(objective(problem, solution), rel=1e-12)
        assert solution.objective <= start + 1e-12 * abs(start)
        assert not solution.converged or violation(problem, solution) <= 2e-8


def cannot_be_certified(problem, solution):
    """Whether no coordinate has a better value, in spite of a violation.

    The KKT violation takes the curvature of the loss for constant. Where it has no bound, a penalty with an infinite or
    steep slope at 0 can hold minima that a step of one over the local curvature would leave, uphill.
    """
    data = problem.data
    if data.loss.curvature_bound is not None:
        return False
    grid = np.concatenate([-np.logspace(-6, 1, 200), [0.0], np.logspace(-6, 1, 200)])
    eta = data.predictor(solution.coef, solution.intercept)
    for j, old in enumerate(solution.coef):
        column = data.apply(np.eye(1, data.n_coordinates, j)[0], np.array([j]))
        for new in np.clip(np.concatenate([grid, old + grid]), problem.pen.lower[j], problem.pen.upper[j]):
            w = solution.coef.copy()
            w[j] = new
            if problem.objective(w, eta + (new - old) * column) < solution.objective - 1e-9 * data.null.gap:
                return False
    return True


@pytest.mark.parametrize("penalty", [p for p in ALL_PENALTIES if not p.convex], ids=repr)
def test_newton_finds_good_local_minima(penalty):
    """On the whole no worse than full-gradient steps: excess over the better of the two, as a share of the null gap."""
    excess = []
    for loss in ALL_LOSSES:
        for kind in KINDS:
            problem, newton, gradient = solutions(loss, penalty, kind, INTERCEPT[kind])
            excess.append((newton.objective - min(newton.objective, gradient.objective)) / problem.data.null.gap)
    assert np.median(excess) <= 1e-3
    assert np.mean(excess) <= 0.03


CONTAINERS = {
    "F": np.asfortranarray,
    "strided": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
    "csr": sp.csr_array,
    "csc": sp.csc_matrix,
    "coo": sp.coo_array,
    "int64": lambda X: int64_indices(sp.csc_array(X)),
}


def int64_indices(X):
    X.indices, X.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    return X


@pytest.mark.parametrize("hold", CONTAINERS.values(), ids=CONTAINERS.keys())
@with_and_without_intercept
@pytest.mark.parametrize("kind", ["full", "free", "wide"])
@pytest.mark.parametrize("loss", [Squared(), Huber(), Logistic(), Multinomial(), Poisson()], ids=repr)
def test_the_container_of_x_does_not_matter(loss, kind, fit_intercept, hold):
    for solver in (ProxNewton(tol=1e-13), ProximalGradient(tol=1e-13)):
        expected = solver.solve(draw_problem(loss, ElasticNet(), kind, fit_intercept))
        solution = solver.solve(draw_problem(loss, ElasticNet(), kind, fit_intercept, hold))
        np.testing.assert_allclose(solution.coef, expected.coef, atol=1e-6)
        # Shifting all classes alike changes nothing; ProxNewton keeps the null model's.
        np.testing.assert_allclose(solution.intercept, expected.intercept, atol=1e-6)
        assert solution.objective == pytest.approx(expected.objective, rel=1e-11)


@with_and_without_intercept
@every_kind
@pytest.mark.parametrize("hold", [np.asarray, sp.csc_array], ids=["dense", "sparse"])
@every_convex_loss
def test_sweeping_columns_gives_what_the_gram_matrix_gives(loss, hold, kind, fit_intercept, monkeypatch):
    problem, expected, _ = solutions(loss, L1(), kind, fit_intercept)
    monkeypatch.setattr(models, "_DENSE_GRAM", 0)
    monkeypatch.setattr(models, "_SPARSE_GRAM", 0)
    monkeypatch.setattr(models, "_SPARSE_NEWTON", 0)
    solution = ProxNewton(tol=1e-10).solve(draw_problem(loss, L1(), kind, fit_intercept, hold))
    assert solution.converged
    assert abs(solution.objective - expected.objective) <= 1e-9 * problem.data.null.gap


@with_and_without_intercept
@every_kind
@every_convex_loss
def test_a_gap_of_1e_12_is_reached(loss, kind, fit_intercept):
    problem = draw_problem(loss, L1(), kind, fit_intercept)
    solution = ProxNewton(tol=1e-12).solve(problem)
    assert solution.converged
    assert solution.dual_gap <= 1e-12 or not problem.convex


@pytest.mark.parametrize("solver", [ProxNewton(tol=1e-10), ProximalGradient(tol=1e-10)], ids=repr)
@pytest.mark.parametrize("loss", [Squared(), Poisson(), Gamma(), Logistic()], ids=repr)
def test_weights_repeat_and_remove_rows(loss, solver):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((50, 10))
    y = draw_target(loss, X[:, 0], rng)
    y[:2] = [0, 1] if loss.classifier else y[:2]
    count = rng.integers(0, 4, size=50)
    count[:2] = 1

    def solve(X, y, weight):
        data = Data(as_design(X), y, weight / weight.sum(), loss)
        v = np.ones(10)
        return solver.solve(Problem(data, L1(), L1().bind(0.05, v, -np.inf * v, np.inf * v, v)))

    weighted = solve(X, y, count.astype(float))
    repeated = solve(np.repeat(X, count, axis=0), np.repeat(y, count), np.ones(count.sum()))
    assert weighted.objective == pytest.approx(repeated.objective, rel=1e-9)
    np.testing.assert_allclose(weighted.coef, repeated.coef, atol=1e-5)


@pytest.mark.parametrize("solver", [ProxNewton(tol=1e-8), ProximalGradient(tol=1e-8)], ids=repr)
@pytest.mark.parametrize("penalty", ALL_PENALTIES, ids=repr)
@pytest.mark.parametrize("unit", [1e-6, 1e3])
def test_large_and_small_counts_converge(unit, penalty, solver):
    """Losses whose curvature has no bound and follows the unit of y."""
    problem = draw_problem(Poisson(), penalty, "plain", True)
    data = problem.data
    scaled = Data(data.design, unit * data.y, data.weight, data.loss)
    alpha = 0.3 * penalty.alpha_max(scaled.null.gradient, data.curvature, *problem.pen[1:4])
    alpha *= 1e-3 if getattr(penalty, "l1_ratio", 1) == 0 else 1
    solution = solver.solve(Problem(scaled, penalty, penalty.bind(alpha, *problem.pen[1:4], data.curvature)))
    assert solution.converged


# outside references


def cvxpy_loss(loss, y, eta, weight):
    if isinstance(loss, Squared):
        return 0.5 * weight @ cp.square(y - eta)
    if isinstance(loss, Huber):
        return 0.5 * weight @ cp.huber(y - eta, loss.delta)
    if isinstance(loss, Logistic):
        return weight @ (cp.logistic(eta) - cp.multiply(y, eta))
    if isinstance(loss, Poisson):
        return weight @ (cp.exp(eta) - cp.multiply(y, eta))
    if isinstance(loss, Gamma):
        return weight @ (cp.multiply(y, cp.exp(-eta)) + eta)
    if isinstance(loss, SquaredHinge):
        return weight @ cp.square(cp.pos(1 - cp.multiply(2 * y - 1, eta)))
    assert isinstance(loss, Multinomial)
    return weight @ (cp.log_sum_exp(eta, axis=1) - cp.sum(cp.multiply(y, eta), axis=1))


REFERENCED = [Squared(), Huber(), Huber(0.3), Logistic(), Poisson(), Gamma(), SquaredHinge(), Multinomial()]


@with_and_without_intercept
@pytest.mark.parametrize("kind", ["plain", "full", "free"])
@pytest.mark.parametrize("loss", REFERENCED, ids=repr)
def test_cvxpy_finds_nothing_better(loss, kind, fit_intercept):
    problem, newton, gradient = solutions(loss, L1(), kind, fit_intercept)
    data, pen = problem.data, problem.pen
    X = data.design.X if data.design.scale is None else data.design.X / data.design.scale
    K, p = data.n_outputs, X.shape[1]
    W, b = cp.Variable((p, K)), cp.Variable((1, K))
    eta = X @ W + np.ones((len(X), 1)) @ b + (0 if data.offset is None else data.offset.reshape(-1, K))
    eta = eta if loss.multi_output else eta[:, 0]
    strength = (pen.alpha * pen.weights).reshape(K, p).T
    lower, upper = pen.lower.reshape(K, p).T, pen.upper.reshape(K, p).T
    constraints = [W[i] >= lower[i] for i in range(p) if np.isfinite(lower[i, 0])]
    constraints += [W[i] <= upper[i] for i in range(p) if np.isfinite(upper[i, 0])]
    constraints += [] if fit_intercept else [b == 0]
    total = cvxpy_loss(loss, data.y, eta, data.weight) + cp.sum(cp.multiply(strength, cp.abs(W)))
    reference = cp.Problem(cp.Minimize(total), constraints)
    reference.solve(solver=cp.CLARABEL, tol_gap_abs=1e-11, tol_gap_rel=1e-11, tol_feas=1e-11)
    scale = max(abs(reference.value), data.null.gap)
    for solution in (newton, gradient):
        assert solution.objective == pytest.approx(reference.value, abs=1e-7 * scale)
