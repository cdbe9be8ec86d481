"""A whole path of groups in one call: exact solutions, gaps that are true, and what happens where sweeps run out."""

import numpy as np
import pytest
from scipy.linalg import cholesky, solve

from skreg import GroupLasso, SparseGroupLasso
from skreg._problem import certify
from skreg.kernels import _gram_group_path as kernels
from skreg.kernels._specialize import bind
from skreg.model_selection import _path
from skreg.penalties import ElasticNet, RadialPenalty
from skreg.solvers import ProxNewton, State
from skreg.solvers import _covariance as covariance

N_SAMPLES, N_FEATURES = 400, 40
LABELS = np.random.default_rng(2).permutation(np.repeat(np.arange(12), [1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 6, 4]))
WEIGHTS = np.linspace(0.5, 2.0, 12)


def draw(correlation=0.5, seed=0):
    rng = np.random.default_rng(seed)
    common = rng.standard_normal((N_SAMPLES, 1))
    X = np.sqrt(1 - correlation) * rng.standard_normal((N_SAMPLES, N_FEATURES)) + np.sqrt(correlation) * common + 1.0
    w = np.where(LABELS % 3 == 0, np.linspace(-2, 2, N_FEATURES), 0.0)
    return X, X @ w + rng.standard_normal(N_SAMPLES)


def pose(model, X, y, n_alphas=25, eps=1e-3, l1_ratio=None):
    """A posed path; with `l1_ratio` that of the group elastic net."""
    weight = np.random.default_rng(1).integers(0, 3, len(y))
    _, prepared = _path._pose(model, X, y, weight, None)
    if l1_ratio is not None:
        prepared.penalty = RadialPenalty(ElasticNet(l1_ratio=l1_ratio), prepared.penalty.labels)
    alphas = prepared.strengths(n_alphas, eps)
    state = State(prepared.data)
    covariance.complete_model(prepared.data, state)
    return prepared, alphas, state


CASES = {
    "groups": (GroupLasso(groups=LABELS), None),
    "no intercept": (GroupLasso(groups=LABELS, fit_intercept=False), None),
    "standardized": (GroupLasso(groups=LABELS, standardize=True), None),
    "weights": (GroupLasso(groups=LABELS, group_weights=WEIGHTS), None),
    "single features": (GroupLasso(groups=1), None),
    "elastic net": (GroupLasso(groups=LABELS), 0.7),
    "nearly ridge": (GroupLasso(groups=LABELS, fit_intercept=False), 0.05),
}
every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


@every_case
def test_solutions_are_those_of_single_problems(case):
    prepared, alphas, state = pose(case[0], *draw(), l1_ratio=case[1])
    problems = [prepared.problem(alpha) for alpha in alphas]
    solutions = covariance.solve_path(problems, state, 1e-13)
    assert len(solutions) == len(alphas)
    for problem, solution in zip(problems, solutions):
        exact = ProxNewton(tol=1e-14, max_iter=200).solve(problem)
        np.testing.assert_allclose(solution.coef, exact.coef, rtol=0, atol=2e-6 * max(1.0, np.abs(exact.coef).max()))
        assert np.isclose(solution.objective, exact.objective, rtol=1e-12)
        assert solution.converged
    np.testing.assert_array_equal(state.w, solutions[-1].coef)
    assert state.b == solutions[-1].intercept


@every_case
@pytest.mark.parametrize("tol", [1e-3, 1e-6, 1e-9])
def test_gaps_are_those_of_a_certificate_from_the_rows(case, tol):
    prepared, alphas, state = pose(case[0], *draw(), l1_ratio=case[1])
    data = prepared.data
    problems = [prepared.problem(alpha) for alpha in alphas]
    solutions = covariance.solve_path(problems, state, tol)
    assert len(solutions) == len(alphas)
    for problem, solution in zip(problems, solutions):
        eta = data.predictor(solution.coef, solution.intercept)
        slope = data.loss.gradient(data.y, eta)
        certificate = certify(problem, solution.coef, eta, slope, data.gradient(slope), np.ones(1))
        gap, violation = certificate.gap / data.null.gap, certificate.violation / data.null.violation
        assert gap <= tol * (1 + 1e-6) + 1e-13
        assert np.isclose(solution.dual_gap, gap, rtol=1e-6, atol=1e-13)
        assert np.isclose(solution.kkt_violation, violation, rtol=1e-6, atol=1e-12)
        assert np.isclose(solution.objective, problem.objective(solution.coef, eta), rtol=1e-10)


def test_the_gap_is_that_of_a_primal_and_a_dual_point():
    """Against the textbook: P(w) - D(c (y - Xw)), in which D is written out."""
    X, y = draw()
    X, y = X - X.mean(axis=0), y - y.mean()
    labels, strength = np.repeat(np.arange(8), 5), np.linspace(0.1, 0.3, 8)
    w = np.where(labels < 3, 0.3, 0.0)
    H, q, null_gap = X.T @ X / N_SAMPLES, X.T @ y / N_SAMPLES, 0.5 * y @ y / N_SAMPLES
    residual = y - X @ w
    prepared, _, _ = pose(GroupLasso(groups=5), X, y)
    pen = prepared.problem(1.0).pen._replace(weights=strength[labels])
    layout = np.arange(N_FEATURES), np.arange(0, N_FEATURES + 1, 5)
    found, _, objective = kernels.certify_groups(w, H @ w - q, q, null_gap, 1.0, pen, *layout)

    def norms(x):
        return np.linalg.norm(x.reshape(8, 5), axis=1)

    c = min(1.0, (strength / norms(X.T @ residual / N_SAMPLES)).min())
    primal = 0.5 * residual @ residual / N_SAMPLES + strength @ norms(w)
    dual = (c * residual @ y - 0.5 * c * c * residual @ residual) / N_SAMPLES
    assert c < 1.0
    assert np.isclose(objective, primal, rtol=1e-12)
    assert np.isclose(found, primal - dual, rtol=1e-10)


@pytest.mark.parametrize("correlation", [0.5, 0.999])
def test_repeated_and_constant_columns_are_no_hindrance(correlation):
    X, y = draw(correlation)
    X[:, 20:] = X[:, :20]
    X[:, 3] = 1.0
    prepared, alphas, state = pose(GroupLasso(groups=4), X, y)
    problems = [prepared.problem(alpha) for alpha in alphas]
    solutions = covariance.solve_path(problems, state, 1e-10)
    assert len(solutions) == len(alphas)
    for problem, solution in zip(problems, solutions):
        exact = ProxNewton(tol=1e-12, max_iter=500).solve(problem)
        assert solution.coef[3] == 0.0
        assert np.isclose(solution.objective, exact.objective, rtol=0, atol=2e-10 * prepared.data.null.gap)


def test_sweeps_that_run_out_hand_over_and_the_path_is_certified(monkeypatch):
    prepared, alphas, state = pose(GroupLasso(groups=4), *draw(0.9))
    problems = [prepared.problem(alpha) for alpha in alphas]
    solve_path, counts = covariance.solve_path, []

    def short(problems, state, tol):
        some = solve_path(problems, state, tol, max_sweeps=4)
        counts.append(len(some))
        return some

    monkeypatch.setattr(covariance, "solve_path", short)
    solutions = list(prepared.follow(alphas, 1e-10, 200, state))
    assert len(counts) == 1 and 0 < counts[0] < len(alphas) == len(solutions)
    for problem, solution in zip(problems, solutions):
        exact = ProxNewton(tol=1e-12, max_iter=500).solve(problem)
        assert solution.converged and solution.dual_gap <= 1e-10
        assert np.isclose(solution.objective, exact.objective, rtol=0, atol=2e-10 * prepared.data.null.gap)


def test_other_problems_and_starts_are_left_to_the_solver():
    X, y = draw()
    for model in (GroupLasso(groups=4, group_weights=[0.0, *[1.0] * 9]), SparseGroupLasso(groups=4)):
        prepared, alphas, state = pose(model, X, y)
        assert covariance.solve_path([prepared.problem(alpha) for alpha in alphas], state, 1e-10) == []
    prepared, alphas, state = pose(GroupLasso(groups=4), X, y)
    assert covariance.solve_path([prepared.problem(a) for a in (alphas[3], 0.0)], state, 1e-10) == []
    assert covariance.solve_path([prepared.problem(alphas[3])], state, 1e-10, max_sweeps=0) == []
    assert not state.w.any()
    state.w[0] = 1.0
    assert covariance.solve_path([prepared.problem(alphas[3])], state, 1e-10) == []


@pytest.mark.parametrize("m", [1, 3, 4, 9, 30])
def test_the_factor_is_lapacks(m):
    B = np.random.default_rng(0).standard_normal((m + 5, m))
    A, x = B.T @ B, np.linspace(1, 2, m)
    factor, solution = np.tril(A) + np.triu(np.full((m, m), np.nan), 1), x.copy()
    kernels.factorise(factor, m)
    kernels.substitute(factor, solution)
    np.testing.assert_allclose(np.tril(factor), cholesky(A, lower=True), rtol=0, atol=1e-12 * A.max())
    np.testing.assert_allclose(solution, solve(A, x), rtol=1e-8)


def test_rows_that_depend_on_others_stay_where_they_are():
    B = np.random.default_rng(0).standard_normal((20, 6))
    B[:, 4] = B[:, 0] - 2 * B[:, 2]
    A, x, kept = B.T @ B, np.linspace(1, 2, 6), np.array([0, 1, 2, 3, 5])
    kernels.factorise(A, 6)
    kernels.substitute(A, x)
    assert x[4] == 0.0
    np.testing.assert_allclose(x[kept], solve((B.T @ B)[np.ix_(kept, kept)], np.linspace(1, 2, 6)[kept]), rtol=1e-10)


def test_the_template_is_plain_python_too(monkeypatch):
    """It is how kernels are debugged: same numbers from the interpreter."""
    prepared, alphas, state = pose(GroupLasso(groups=4), *draw(), n_alphas=5, eps=0.1)
    problems = [prepared.problem(alpha) for alpha in alphas]
    compiled = covariance.solve_path(problems, state, 1e-8)

    def plain(template, fastmath, **leaves):
        return bind(template, **leaves)

    monkeypatch.setattr(kernels, "specialize", plain)
    state.w[:] = 0.0
    for ours, theirs in zip(covariance.solve_path(problems, state, 1e-8), compiled, strict=True):
        np.testing.assert_allclose(ours.coef, theirs.coef, rtol=0, atol=1e-12)
        assert np.isclose(ours.dual_gap, theirs.dual_gap, rtol=1e-6, atol=1e-15)
