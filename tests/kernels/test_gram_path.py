"""A whole path in one call: the exact solutions, gaps that are true, and what happens where sweeps run out."""

import numpy as np
import pytest

from skreg import ElasticNet, Lasso
from skreg._problem import certify
from skreg.kernels import _gram_path
from skreg.kernels._gram_cd import add_row_loop, bounded_prox, gram_cd
from skreg.kernels._specialize import LITTLE, bind
from skreg.model_selection import _path
from skreg.penalties import restrict
from skreg.solvers import ProxNewton, State
from skreg.solvers import _covariance as covariance

N_SAMPLES, N_FEATURES = 1500, 60
assert N_SAMPLES * N_FEATURES > LITTLE  # less is left to the interpreter


def draw(correlation=0.5, seed=0):
    rng = np.random.default_rng(seed)
    common = rng.standard_normal((N_SAMPLES, 1))
    X = np.sqrt(1 - correlation) * rng.standard_normal((N_SAMPLES, N_FEATURES)) + np.sqrt(correlation) * common + 1.0
    return X, X[:, :10] @ np.linspace(-2, 2, 10) + rng.standard_normal(N_SAMPLES)


def pose(model, X, y, n_alphas=25, eps=1e-3):
    weight = np.random.default_rng(1).integers(0, 3, len(y))
    _, prepared = _path._pose(model, X, y, weight, None)
    alphas = prepared.strengths(n_alphas, eps)
    state = State(prepared.data)
    covariance.complete_model(prepared.data, state)
    return prepared, alphas, state


MODELS = [
    Lasso(),
    Lasso(fit_intercept=False),
    Lasso(standardize=True),
    Lasso(penalty_weights=np.linspace(0.2, 2.0, N_FEATURES)),
    ElasticNet(l1_ratio=0.7),
    ElasticNet(l1_ratio=0.05, fit_intercept=False),
]
every_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: repr(model)[:50])


@every_model
def test_solutions_are_those_of_pivoting(model):
    prepared, alphas, state = pose(model, *draw())
    problems = [prepared.problem(alpha) for alpha in alphas]
    solutions = covariance.solve_path(problems, state, 1e-14, max_sweeps=100_000)
    assert len(solutions) == len(alphas)
    for problem, solution in zip(problems, solutions):
        exact = ProxNewton(tol=1e-14, max_iter=200).solve(problem)
        np.testing.assert_allclose(solution.coef, exact.coef, rtol=0, atol=1e-9 * max(1.0, np.abs(exact.coef).max()))
        assert np.isclose(solution.intercept, exact.intercept, rtol=1e-9, atol=1e-9)
        assert np.isclose(solution.objective, exact.objective, rtol=1e-12)
        assert solution.converged
    np.testing.assert_array_equal(state.w, solutions[-1].coef)
    assert state.b == solutions[-1].intercept


@every_model
@pytest.mark.parametrize("tol", [1e-3, 1e-6, 1e-9])
def test_gaps_are_those_of_a_certificate_from_the_rows(model, tol):
    prepared, alphas, state = pose(model, *draw())
    data = prepared.data
    problems = [prepared.problem(alpha) for alpha in alphas]
    solutions = covariance.solve_path(problems, state, tol, max_sweeps=100_000)
    assert len(solutions) == len(alphas)
    for problem, solution in zip(problems, solutions):
        eta = data.predictor(solution.coef, solution.intercept)
        slope = data.loss.gradient(data.y, eta)
        certificate = certify(problem, solution.coef, eta, slope, data.gradient(slope), np.ones(N_FEATURES))
        gap, violation = certificate.gap / data.null.gap, certificate.violation / data.null.violation
        assert gap <= tol * (1 + 1e-6) + 1e-13
        assert np.isclose(solution.dual_gap, gap, rtol=1e-6, atol=1e-13)
        assert np.isclose(solution.kkt_violation, violation, rtol=1e-6, atol=1e-12)
        assert np.isclose(solution.objective, problem.objective(solution.coef, eta), rtol=1e-10)


def test_the_gap_is_that_of_a_primal_and_a_dual_point():
    """Against the textbook: P(w) - D(c (y - Xw)), in which D is written out."""
    X, y = draw()
    X, y = X - X.mean(axis=0), y - y.mean()
    w = np.where(np.arange(N_FEATURES) < 12, 0.3, 0.0)
    H, q, null_gap = X.T @ X / N_SAMPLES, X.T @ y / N_SAMPLES, 0.5 * y @ y / N_SAMPLES
    residual, strength = y - X @ w, np.linspace(0.1, 0.3, N_FEATURES)
    found = _gram_path.relative_gap(w, H @ w - q, q, null_gap, strength, 1.0)
    c = min(1.0, (strength / np.abs(X.T @ residual / N_SAMPLES)).min())
    primal = 0.5 * residual @ residual / N_SAMPLES + strength @ np.abs(w)
    dual = (c * residual @ y - 0.5 * c * c * residual @ residual) / N_SAMPLES
    assert np.isclose(found, (primal - dual) / null_gap, rtol=1e-10)


def test_sweeps_that_run_out_hand_over_and_the_path_is_certified(monkeypatch):
    X, y = draw(correlation=0.9999)
    prepared, alphas, state = pose(Lasso(), X, y, eps=1e-6)
    problems = [prepared.problem(alpha) for alpha in alphas]
    some = covariance.solve_path(problems, state, 1e-10, max_sweeps=20)
    assert 0 < len(some) < len(alphas)
    assert all(solution.dual_gap <= 1e-10 and solution.n_iter <= 20 for solution in some)
    np.testing.assert_array_equal(state.w, some[-1].coef)

    calls = []
    solve_path = covariance.solve_path

    def short(problems, state, tol):
        calls.append(len(solve_path(problems, state, tol, max_sweeps=20)))
        return solve_path(problems, State(problems[0].data), tol, max_sweeps=0) if not calls[-1] else some

    prepared, alphas, state = pose(Lasso(), X, y, eps=1e-6)
    monkeypatch.setattr(covariance, "solve_path", short)
    solutions = list(prepared.follow(alphas, 1e-10, 200, state))
    assert calls == [len(some)]
    assert len(solutions) == len(alphas) and all(s.converged and s.dual_gap <= 1e-10 for s in solutions)
    for problem, solution in zip(problems[::6], solutions[::6]):
        exact = ProxNewton(tol=1e-12, max_iter=500).solve(problem)
        assert np.isclose(solution.objective, exact.objective, rtol=0, atol=2e-10 * prepared.data.null.gap)


def test_no_sweeps_solve_nothing_and_leave_the_state():
    prepared, alphas, state = pose(Lasso(), *draw())
    problems = [prepared.problem(0.5 * alpha) for alpha in alphas]
    assert covariance.solve_path(problems, state, 1e-10, max_sweeps=0) == []
    assert not state.w.any()


@pytest.mark.parametrize(
    "model",
    [
        Lasso(positive=True),
        Lasso(upper=0.1),
        Lasso(penalty_weights=[0.0, *[1.0] * (N_FEATURES - 1)]),
        Lasso(penalty_weights=[np.inf, *[1.0] * (N_FEATURES - 1)]),
    ],
    ids=lambda model: repr(model)[:40],
)
def test_bounds_and_free_features_are_left_to_pivoting(model):
    prepared, alphas, state = pose(model, *draw())
    assert covariance.solve_path([prepared.problem(alpha) for alpha in alphas], state, 1e-10) == []


def test_alpha_zero_constant_target_and_a_start_are_left_to_pivoting():
    X, y = draw()
    prepared, alphas, state = pose(Lasso(), X, y)
    assert covariance.solve_path([prepared.problem(a) for a in (alphas[3], 0.0)], state, 1e-10) == []
    state.w[0] = 1.0
    assert covariance.solve_path([prepared.problem(alphas[3])], state, 1e-10) == []
    _, constant = _path._pose(Lasso(), X, np.ones(N_SAMPLES), None, None)
    state = State(constant.data)
    covariance.complete_model(constant.data, state)
    assert covariance.solve_path([constant.problem(1.0)], state, 1e-10) == []


def test_the_template_is_plain_python_too():
    """It is how kernels are debugged: same numbers from the interpreter."""
    prepared, alphas, state = pose(Lasso(), *draw(), n_alphas=5, eps=0.1)
    model, penalty = state.model, prepared.penalty
    columns = model.columns
    pen = prepared.problem(1.0).pen
    own = dict(relative_gap=_gram_path.relative_gap, scaled_gap=_gram_path.scaled_gap)
    own |= dict(gram_cd=gram_cd, add_row=add_row_loop, bounded_prox=bounded_prox)
    results = []
    for kernel in (_gram_path.gram_path_kernel(penalty), bind(_gram_path.gram_path, **own, **penalty.leaves)):
        local = restrict(pen, columns)._replace(alpha=1.0, weights=np.empty(N_FEATURES))
        W, G, gaps, epochs = np.zeros((5, 60)), np.zeros((5, 60)), np.zeros(5), np.zeros(5, dtype=np.int64)
        q, weights = -prepared.data.null.gradient[columns], np.ones(N_FEATURES)
        done = kernel(model.H, q, prepared.data.null.gap, alphas, weights, 1.0, local, 1e-8, 500, W, G, gaps, epochs)
        results.append((done, W, G, gaps, epochs))
    assert results[0][0] == 5
    for compiled, plain in zip(*results):
        np.testing.assert_allclose(compiled, plain, rtol=1e-9, atol=1e-12)
