"""Block coordinate descent against other solvers, and its rules against brute force over all blocks."""

import functools
import itertools

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from skreg._design import as_design
from skreg._problem import Data, Problem
from skreg.losses import Logistic, Multinomial, Poisson, Squared, Tweedie
from skreg.penalties import L1, MCP, ElasticNet
from skreg.solvers import BlockCoordinateDescent, ProxNewton, State
from skreg.solvers._block_coordinate_descent import Run
from skreg.solvers._block_rules import GREEDY, RULES, Chooser, PenaltyTerms, make_partition
from skreg.solvers._profiled_loss import GramLoss, ResidualLoss

LOSSES = {"squared": Squared(), "logistic": Logistic(), "multinomial": Multinomial()}
PENALTIES = {"none": (L1(), 0.0), "l1": (L1(), 0.1), "ridge": (ElasticNet(0.0), 1e-3), "net": (ElasticNet(0.5), 0.1)}

pytestmark = pytest.mark.filterwarnings("error")


def draw_problem(loss, penalty, strength, n=60, p=9, seed=0, kind="plain", hold=lambda X: X):
    rng = np.random.default_rng(seed)
    X = (rng.standard_normal((n, p)) + 0.5 * rng.standard_normal((n, 1))) * rng.uniform(0.5, 2.0, p) + 0.3
    eta = X[:, :3] @ np.array([0.5, -0.4, 0.3])
    if loss.multi_output:
        classes = np.argmax(np.stack([eta, -eta, 0 * eta], axis=1) + rng.gumbel(size=(n, 3)), axis=1)
        classes[:3] = [0, 1, 2]
        y = np.eye(3)[classes]
    elif loss.classifier:
        y = (eta + rng.logistic(size=n) > 0).astype(float)
        y[:2] = [0, 1]
    else:
        y = 2.0 + eta + rng.standard_normal(n)
    weight, offset, scale = np.ones(n), None, None
    v, lower, upper = np.ones(p), np.full(p, -np.inf), np.full(p, np.inf)
    if kind == "full":
        weight = rng.integers(0, 4, size=n).astype(float)
        weight[:3] = 1
        offset, scale = 0.3 * rng.standard_normal(y.shape), rng.uniform(0.5, 3.0, p)
        v = rng.uniform(0.5, 2.0, p)
        v[4], lower[1], upper[0], lower[5] = 0.0, -0.1, 0.2, 0.0
    data = Data(as_design(hold(X), scale), y, weight / weight.sum(), loss, kind != "origin", offset)
    v, lower, upper = (np.tile(a, data.n_outputs) for a in (v, lower, upper))
    alpha = strength and strength * penalty.alpha_max(data.null.gradient, data.curvature, v, lower, upper)
    return Problem(data, penalty, penalty.bind(alpha, v, lower, upper, data.curvature))


@functools.cache
def reference(loss, penalty, kind):
    problem = draw_problem(LOSSES[loss], *PENALTIES[penalty], kind=kind)
    solution = ProxNewton(tol=1e-13).solve(problem)
    assert solution.converged
    return problem, solution


def begin(problem, rule, blocks, update="newton", size=3, partition="order"):
    """A run at its start and its chooser of blocks."""
    solver = BlockCoordinateDescent(rule, blocks, update, block_size=size, partition=partition)
    run = Run(solver, problem, State(problem.data))
    active = np.arange(problem.data.n_coordinates)
    parts = make_partition(partition, run.loss.lipschitz, size, active) if blocks == "fixed" else None
    chooser = Chooser(rule, parts, size, active, run.loss, run.terms, np.random.default_rng(0))
    return run, chooser


# the optimum


@pytest.mark.parametrize("update", ["gradient", "newton"])
@pytest.mark.parametrize("blocks", ["fixed", "variable"])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    "loss, penalty",
    [*((loss, "l1") for loss in LOSSES), ("squared", "none"), ("logistic", "ridge"), ("multinomial", "none")],
)
def test_every_variant_reaches_the_optimum(loss, penalty, rule, blocks, update):
    problem, best = reference(loss, penalty, "plain")
    tol = 1e-6 if (loss, penalty) == ("multinomial", "none") else 1e-9  # of the violation, which enters squared
    solver = BlockCoordinateDescent(rule, blocks, update, block_size=3, finish=None, tol=tol, random_state=0)
    solution = solver.solve(problem)
    assert solution.converged
    assert abs(solution.objective - best.objective) <= 1e-8 * problem.data.null.gap


@pytest.mark.parametrize("kind", ["origin", "full"])
@pytest.mark.parametrize("penalty", ["l1", "net"])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("rule", ["cyclic", "gsl", "gsq"])
def test_weights_bounds_offsets_and_free_features(loss, penalty, kind, rule):
    problem, best = reference(loss, penalty, kind)
    for update, finish in itertools.product(["gradient", "newton"], ["newton", None]):
        solution = BlockCoordinateDescent(rule, "fixed", update, block_size=4, finish=finish, tol=1e-9).solve(problem)
        assert solution.converged
        assert abs(solution.objective - best.objective) <= 1e-8 * problem.data.null.gap


@pytest.mark.parametrize("loss", LOSSES)
def test_the_optimum_is_that_of_scipy(loss):
    problem = draw_problem(LOSSES[loss], ElasticNet(0.0), 1e-2)
    data, pen = problem.data, problem.pen
    K, p = data.n_outputs, data.design.n_features

    def objective(x):
        w, b = x[: K * p], x[K * p :]
        eta = data.design.X @ w.reshape(K, p).T + b
        eta = eta if data.loss.multi_output else eta[:, 0]
        return data.weight @ data.loss.value(data.y, eta) + 0.5 * pen.alpha * (w @ w)

    found = scipy.optimize.minimize(objective, np.zeros(K * (p + 1)), method="BFGS", options={"gtol": 1e-8})
    solution = BlockCoordinateDescent("gsd", block_size=3, tol=1e-10).solve(problem)
    assert abs(solution.objective - found.fun) <= 1e-8


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("rule", GREEDY)
def test_sparse_data_give_the_same(loss, rule):
    dense, sparse = (draw_problem(LOSSES[loss], L1(), 0.1, hold=hold) for hold in (np.asarray, sp.csc_array))
    solver = BlockCoordinateDescent(rule, block_size=3, tol=1e-11)
    assert_allclose(solver.solve(sparse).coef, solver.solve(dense).coef, atol=1e-8)


@pytest.mark.parametrize("update", ["gradient", "newton"])
@pytest.mark.parametrize("rule", RULES)
def test_both_forms_of_the_squared_loss_go_the_same_way(monkeypatch, rule, update):
    problem = draw_problem(Squared(), L1(), 0.05)
    ways = {}
    for cls in (GramLoss, ResidualLoss):
        monkeypatch.setattr("skreg.solvers._block_coordinate_descent.profiled_loss", cls)
        ways[cls] = []
        BlockCoordinateDescent(
            rule, "variable", update, block_size=3, max_iter=8, random_state=1, callback=ways[cls].append
        ).solve(problem)
    one, other = ([step.objective for step in way] for way in ways.values())
    assert_allclose(one, other, rtol=1e-12)


def test_constant_and_doubled_columns():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((30, 8))
    X[:, 3], X[:, 5] = 0.1, X[:, 4]
    data = Data(as_design(X), X @ np.arange(8.0), np.full(30, 1 / 30), Squared())
    free = np.full(8, np.inf)
    for penalty, alpha in ((L1(), 0.3), (L1(), 0.0)):
        problem = Problem(data, penalty, penalty.bind(alpha, np.ones(8), -free, free, data.curvature))
        for rule, blocks in itertools.product(RULES, ["fixed", "variable"]):
            solution = BlockCoordinateDescent(rule, blocks, block_size=3, tol=1e-9, random_state=0).solve(problem)
            assert solution.converged
            assert solution.coef[3] == 0


def test_a_state_is_taken_up_and_left_at_the_solution():
    problem, _ = reference("logistic", "l1", "plain")
    state = State(problem.data)
    first = BlockCoordinateDescent(block_size=3, tol=1e-9).solve(problem, state)
    again = BlockCoordinateDescent(block_size=3, tol=1e-9).solve(problem, state)
    assert first.n_iter > 0
    assert again.n_iter == 0
    assert_allclose(again.coef, first.coef)
    assert ProxNewton(tol=1e-9).solve(problem, state).n_iter == 1


def test_the_null_model_needs_no_iteration():
    problem = draw_problem(Squared(), L1(), 1.0)
    assert BlockCoordinateDescent().solve(problem).n_iter == 0


# the rules


def all_blocks(chooser, blocks, size):
    if blocks == "fixed":
        return chooser.blocks
    return [np.array(block) for block in itertools.combinations(chooser.active, size)]


def bound_of_hessian(problem):
    """The bound from its definition."""
    data, K = problem.data, problem.data.n_outputs
    X = data.design.X - (data.weight @ data.design.X if data.fit_intercept else 0.0)
    return data.loss.curvature_bound * np.kron(np.eye(K), X.T @ (data.weight[:, None] * X))


def least_model_value(H, g, w, alpha):
    """Minimum over d of g'd + d'Hd/2 + alpha (|w + d|_1 - |w|_1), by the 3^n patterns of signs."""
    best = 0.0
    for signs in itertools.product([-1, 0, 1], repeat=len(w)):
        signs = np.array(signs)
        on = signs != 0
        d = -w.copy()
        d[on] = np.linalg.solve(H[np.ix_(on, on)], -(g + alpha * signs + H[:, ~on] @ d[~on])[on])
        best = min(best, g @ d + 0.5 * d @ H @ d + alpha * (np.abs(w + d).sum() - np.abs(w).sum()))
    return best


def own_guarantee(rule, problem, w, g, block):
    """What a rule compares blocks by, from its definition."""
    H, alpha = bound_of_hessian(problem), problem.pen.alpha
    inner = H[np.ix_(block, block)]
    if rule == "gsq":
        return -least_model_value(inner, g[block], w[block], alpha)
    if rule == "gsd":
        diagonal = len(block) * inner.diagonal()
        return -sum(least_model_value(np.array([[D]]), g[[j]], w[[j]], alpha) for D, j in zip(diagonal, block))
    distances = [g[j] + alpha * np.sign(w[j]) if w[j] else max(abs(g[j]) - alpha, 0.0) for j in block]
    square = np.sum(np.square(distances))
    return square if rule == "gs" else square / np.linalg.eigvalsh(inner)[-1]


@pytest.mark.parametrize("update", ["gradient", "newton"])
@pytest.mark.parametrize("strength", [0.0, 0.1])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(
    ("rule", "blocks"),
    [("gs", "fixed"), ("gsl", "fixed"), ("gsd", "fixed"), ("gsq", "fixed"), ("gs", "variable"), ("gsd", "variable")],
)
def test_the_rule_takes_the_block_of_brute_force(rule, blocks, loss, strength, update):
    problem = draw_problem(LOSSES[loss], L1(), strength, n=40, p=6)
    run, chooser = begin(problem, rule, blocks, update)
    for _ in range(4):
        chosen, number = chooser.choose()
        w, g = run.loss.w.copy(), run.loss.gradient().copy()
        scores = [own_guarantee(rule, problem, w, g, block) for block in all_blocks(chooser, blocks, 3)]
        assert_allclose(own_guarantee(rule, problem, w, g, chosen), max(scores), rtol=1e-9, atol=1e-16)
        (run._gradient_step if update == "gradient" else run._newton_step)(chooser, chosen, number)


def test_variable_gsl_takes_the_best_ratio_of_sums():
    problem = draw_problem(Squared(), L1(), 0.05, p=8)
    run, chooser = begin(problem, "gsl", "variable")
    L = bound_of_hessian(problem).diagonal()
    for _ in range(5):
        chosen, number = chooser.choose()
        squares = run.terms.least_subgradient(run.loss.w, run.loss.gradient()) ** 2
        ratios = [squares[block].sum() / L[block].sum() for block in all_blocks(chooser, "variable", 3)]
        assert_allclose(squares[chosen].sum() / L[chosen].sum(), max(ratios), rtol=1e-9)
        run._newton_step(chooser, chosen, number)


@pytest.mark.parametrize("strength", [0.0, 0.05])
def test_variable_gsq_is_no_worse_than_gsd_and_near_the_best(strength):
    shares = []
    for seed in range(8):
        problem = draw_problem(Squared(), L1(), strength, p=8, seed=seed)
        run, chooser = begin(problem, "gsq", "variable")
        w, g = run.loss.w, run.loss.gradient()
        gain = functools.partial(own_guarantee, "gsq", problem, w, g)
        chosen, diagonal = gain(chooser.choose()[0]), gain(begin(problem, "gsd", "variable")[1].choose()[0])
        assert chosen >= diagonal * (1 - 1e-9)
        shares.append(chosen / max(gain(block) for block in all_blocks(chooser, "variable", 3)))
    assert np.mean(shares) > 0.9


shapes = dict(seed=st.integers(0, 10**6), p=st.integers(3, 12), size=st.integers(1, 5))


@settings(max_examples=30, deadline=None)
@given(loss=st.sampled_from(["squared", "logistic"]), blocks=st.sampled_from(["fixed", "variable"]), **shapes)
def test_gauss_southwell_makes_the_progress_it_guarantees(loss, blocks, seed, p, size):
    """f falls by max_B |g_B|^2 / (2 L) for "gs", and by max_B |g_B|^2 / (2 L_B) for "gsl"."""
    problem = draw_problem(LOSSES[loss], L1(), 0.0, n=40, p=p, seed=seed)
    H = bound_of_hessian(problem)
    for rule in ("gs", "gsl"):
        run, chooser = begin(problem, rule, blocks, "gradient", min(size, p))
        for _ in range(6):
            before, g = run.loss.value(), run.loss.gradient().copy()
            guarantees = []
            for block in all_blocks(chooser, blocks, min(size, p)):
                inner = H[np.ix_(block, block)]
                L = np.linalg.eigvalsh(H)[-1] if rule == "gs" else np.linalg.eigvalsh(inner)[-1]
                if rule == "gsl" and blocks == "variable":
                    L = inner.trace()
                guarantees.append(g[block] @ g[block] / (2 * L))
            run._gradient_step(chooser, *chooser.choose())
            assert before - run.loss.value() >= max(guarantees) * (1 - 1e-9) - 1e-14


@settings(max_examples=30, deadline=None)
@given(strength=st.sampled_from([0.0, 0.02, 0.3]), blocks=st.sampled_from(["fixed", "variable"]), **shapes)
def test_model_rules_make_the_progress_they_guarantee(strength, blocks, seed, p, size):
    """With exact updates of a quadratic, F falls by what "gsd" and "gsq" compare blocks by."""
    size = min(size, p, 3)
    problem = draw_problem(Squared(), L1(), strength, n=40, p=p, seed=seed)
    for rule in ("gsd", "gsq"):
        run, chooser = begin(problem, rule, blocks, "newton", size)
        for _ in range(4):
            w, g = run.loss.w.copy(), run.loss.gradient().copy()
            block, number = chooser.choose()
            candidates = all_blocks(chooser, blocks, size) if (rule, blocks) != ("gsq", "variable") else [block]
            guarantee = max(own_guarantee(rule, problem, w, g, candidate) for candidate in candidates)
            before = run.loss.value() + problem.pen.alpha * np.abs(w).sum()
            run._newton_step(chooser, block, number)
            after = run.loss.value() + problem.pen.alpha * np.abs(run.loss.w).sum()
            assert before - after >= guarantee * (1 - 1e-9) - 1e-13


@settings(max_examples=40, deadline=None)
@given(
    rule=st.sampled_from(RULES),
    blocks=st.sampled_from(["fixed", "variable"]),
    update=st.sampled_from(["gradient", "newton"]),
    loss=st.sampled_from(list(LOSSES)),
    penalty=st.sampled_from(list(PENALTIES)),
    **shapes,
)
def test_the_objective_never_rises(rule, blocks, update, loss, penalty, seed, p, size):
    problem = draw_problem(LOSSES[loss], *PENALTIES[penalty], n=40, p=p, seed=seed)
    history = []
    BlockCoordinateDescent(
        rule, blocks, update, block_size=size, max_iter=15, random_state=seed, callback=history.append
    ).solve(problem)
    assert np.diff([step.objective for step in history]).max(initial=0.0) <= 1e-14


def test_least_subgradient_is_the_limit_of_the_prox_residual():
    problem = draw_problem(Squared(), ElasticNet(0.7), 0.1, kind="full")
    terms, pen = PenaltyTerms(problem), problem.pen
    rng = np.random.default_rng(0)
    w = np.clip(rng.integers(-1, 2, size=9) * 0.3, pen.lower, pen.upper)
    g = 0.3 * rng.standard_normal(9)
    found = terms.least_subgradient(w, g)
    assert_allclose(np.abs(found), problem.penalty.violation(w, g, np.full(9, 1e8), pen), atol=1e-6)


# partitions


def test_partitions():
    L = np.array([3.0, 1.0, 6.0, 2.0, 5.0, 4.0])
    active = np.arange(6)
    parts = {
        name: [L[b].tolist() for b in make_partition(name, L, 2, active)] for name in ("order", "sorted", "average")
    }
    assert parts["order"] == [[3, 1], [6, 2], [5, 4]]
    assert parts["sorted"] == [[6, 5], [4, 3], [2, 1]]
    assert parts["average"] == [[6, 1], [5, 2], [4, 3]]
    assert [b.tolist() for b in make_partition([[5, 0], [1, 2, 3, 4]], L, 2, active)] == [[5, 0], [1, 2, 3, 4]]


@pytest.mark.parametrize("partition", ["average", "sorted", [[8, 0], [1], [2, 3, 4, 5, 6, 7]]])
@pytest.mark.parametrize("rule", RULES)
def test_any_partition_leads_to_the_optimum(rule, partition):
    problem, best = reference("squared", "net", "plain")
    solver = BlockCoordinateDescent(
        rule, "fixed", block_size=4, partition=partition, finish=None, tol=1e-10, random_state=0
    )
    assert_allclose(solver.solve(problem).objective, best.objective, rtol=1e-9)


# finite termination


@pytest.mark.parametrize("update", ["gradient", "newton"])
@pytest.mark.parametrize("rule", RULES)
def test_one_newton_step_on_the_support_ends_least_squares(rule, update):
    problem = draw_problem(Squared(), L1(), 0.1, n=60, p=100)
    histories = {}
    for finish in ("newton", None):
        histories[finish] = []
        report = histories[finish].append
        solver = BlockCoordinateDescent(
            rule, "variable", update, finish=finish, tol=1e-13, max_iter=1000, random_state=0, callback=report
        )
        solution = solver.solve(problem)
        if finish:
            assert solution.converged
            assert solution.dual_gap <= 1e-14
    last = histories["newton"][-1]
    steps = [step for step in histories["newton"] if step.kind == "finish"]
    assert last.kind == "finish"
    assert len(steps) <= 12
    assert len(last.block) == last.n_nonzero  # a full step: no sign changed
    assert len(histories["newton"]) < len(histories[None])


def test_newton_steps_on_the_support_converge_quadratically():
    problem = draw_problem(Logistic(), L1(), 0.1, n=100, p=60)
    history = []
    solution = BlockCoordinateDescent("gsl", tol=1e-14, callback=history.append).solve(problem)
    assert solution.converged
    last = [step.objective for step in history if step.kind == "finish"]
    assert 2 <= len(last) <= 10


# the report, and errors


def test_the_callback_is_told_every_iteration():
    problem, _ = reference("logistic", "l1", "plain")
    history = []
    solution = BlockCoordinateDescent("gs", block_size=2, callback=history.append).solve(problem)
    assert [step.n_iter for step in history] == list(range(solution.n_iter + 1))
    assert history[0].kind == "start"
    assert np.diff([step.seconds for step in history]).min() >= 0
    assert_allclose(history[-1].objective, solution.objective, rtol=1e-12)
    assert history[-1].n_nonzero == np.count_nonzero(solution.coef)


def test_max_iter_is_kept_and_reported():
    problem, _ = reference("squared", "l1", "plain")
    solution = BlockCoordinateDescent("cyclic", "fixed", "gradient", block_size=1, max_iter=3, tol=1e-12).solve(problem)
    assert solution.n_iter == 3
    assert not solution.converged


def test_random_blocks_follow_the_seed():
    problem, _ = reference("squared", "l1", "plain")
    first, same, other = (
        BlockCoordinateDescent("random", max_iter=5, block_size=2, tol=0.0, random_state=seed).solve(problem).objective
        for seed in (0, 0, 1)
    )
    assert first == same != other


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (dict(rule="greedy"), "rule must be one of 'cyclic'.*got 'greedy'"),
        (dict(blocks="any"), "blocks must be one of 'fixed', 'variable'; got 'any'"),
        (dict(update="exact"), "update must be one of 'gradient', 'newton'; got 'exact'"),
        (dict(finish=True), "finish must be one of 'newton', None; got True"),
        (dict(partition="random"), "partition must be one of 'order'.*or a list of blocks; got 'random'"),
        (dict(blocks="fixed", partition=[[0, 1], [1, 2]]), "partition must hold each of the 9 coordinates once"),
        (dict(block_size=0), "block_size must be a positive integer; got 0"),
        (dict(block_size=2.5), "block_size must be a positive integer; got 2.5"),
    ],
)
def test_bad_arguments(parameters, message):
    problem, _ = reference("squared", "l1", "plain")
    with pytest.raises(ValueError, match=message):
        BlockCoordinateDescent(**parameters).solve(problem)


@pytest.mark.parametrize("loss", [Poisson(), Tweedie(1.5)])
def test_losses_without_a_bound_are_refused(loss):
    rng = np.random.default_rng(0)
    data = Data(as_design(rng.standard_normal((9, 3))), np.ones(9), np.full(9, 1 / 9), loss)
    problem = Problem(data, L1(), L1().bind(0.1, np.ones(3), np.full(3, -np.inf), np.full(3, np.inf), data.curvature))
    with pytest.raises(ValueError, match="loss must be convex with bounded curvature"):
        BlockCoordinateDescent().solve(problem)


def test_penalties_that_are_not_convex_are_refused():
    with pytest.raises(ValueError, match="penalty must be L1 or the elastic net"):
        BlockCoordinateDescent().solve(draw_problem(Squared(), MCP(), 0.1))
