"""Penalties that tie coordinates together, against a general-purpose optimiser and against laws."""

import cvxpy as cp
import numpy as np
import pytest

from skreg.penalties import L1, Exclusive, Fused, Slope
from tests.penalties._textbook import bind

P = 12
RNG = np.random.default_rng(0)
GRAPH = RNG.integers(0, P, (25, 2))
GRAPH = GRAPH[GRAPH[:, 0] != GRAPH[:, 1]]
LABELS = np.array([0, 1, 2, 1, 0, 2, 2, 2, 3, 1, 0, 0])
SETTINGS = [
    Slope(),
    Slope(q=0.9),
    Slope("oscar", q=0.3),
    Slope(np.r_[3.0, 3.0, 1.0, np.zeros(9)]),
    Fused(),
    Fused(l1_ratio=0.3),
    Fused(GRAPH),
    Fused(GRAPH, l1_ratio=0.6),
    Fused([[0, 1], [1, 2], [5, 9]], l1_ratio=0.0),
    Fused(l1_ratio=1.0),
    Exclusive(LABELS),
    Exclusive(np.zeros(P, dtype=int)),
]
every_penalty = pytest.mark.parametrize("penalty", SETTINGS, ids=lambda penalty: penalty.name)


def expression(penalty, x, alpha):
    """The penalty in cvxpy's words."""
    if isinstance(penalty, Slope):
        lambdas = penalty.bind(1.0, np.ones(P), None, None, None).lambdas
        drops = lambdas - np.append(lambdas[1:], 0.0)
        return alpha * sum(drops[k] * cp.sum_largest(cp.abs(x), k + 1) for k in range(P) if drops[k] > 0)
    if isinstance(penalty, Fused):
        pairs = np.c_[: P - 1, 1:P] if isinstance(penalty.edges, str) else np.asarray(penalty.edges)
        variation = cp.norm1(x[pairs[:, 0]] - x[pairs[:, 1]])
        return alpha * ((1 - penalty.l1_ratio) * variation + penalty.l1_ratio * cp.norm1(x))
    labels = np.asarray(penalty.labels)
    return alpha / 2 * sum(cp.square(cp.norm1(x[np.flatnonzero(labels == g)])) for g in set(labels.tolist()))


def solve(problem):
    problem.solve(solver="CLARABEL", tol_gap_abs=1e-13, tol_gap_rel=1e-13, tol_feas=1e-13)
    return problem.value


@every_penalty
def test_prox_and_value_against_a_general_optimiser(penalty):
    rng = np.random.default_rng(1)
    for step, alpha in ((0.7, 0.3), (2.0, 1.0), (0.1, 5.0)):
        z, pen = 3 * rng.standard_normal(P), bind(penalty, alpha, np.ones(P))
        x = cp.Variable(P)
        least = solve(cp.Problem(cp.Minimize(cp.sum_squares(x - z) / (2 * step) + expression(penalty, x, alpha))))
        found = penalty.prox(z, step, pen)
        own = np.sum((found - z) ** 2) / (2 * step) + penalty.value(found, pen)
        assert own <= least + 1e-9 * abs(least)
        np.testing.assert_allclose(found, x.value, atol=1e-5)
        given = cp.Constant(found)
        assert penalty.value(found, pen) == pytest.approx(float(expression(penalty, given, alpha).value), rel=1e-12)


@every_penalty
def test_prox_is_exact(penalty):
    """(z - prox) / step is a subgradient: Fenchel's equality holds to rounding."""
    rng = np.random.default_rng(2)
    for scale in (1e-6, 1.0, 1e6):
        alpha = 0.4 if penalty.finite_conjugate else 0.4 * scale
        z, pen = scale * rng.standard_normal(P), bind(penalty, alpha, np.ones(P))
        x = penalty.prox(z, 1.0, pen)
        u = z - x
        size = penalty.value(x, pen) + np.abs(u) @ np.abs(x)
        gap = penalty.value(x, pen) + np.sum(penalty.conjugate(u, pen)) - u @ x
        assert abs(gap) <= 1e-14 * size
        if not penalty.finite_conjugate:
            centred = penalty._without_free(u, pen)
            assert penalty.dual_norm(centred, pen) <= pen.alpha * (1 + 1e-13)


@every_penalty
def test_nearest_points_stay_in_order(penalty):
    """Proximal operators are firmly non-expansive."""
    rng = np.random.default_rng(3)
    pen = bind(penalty, 0.5, np.ones(P))
    for _ in range(30):
        a, b = rng.standard_normal((2, P))
        d = penalty.prox(a, 0.8, pen) - penalty.prox(b, 0.8, pen)
        assert d @ d <= d @ (a - b) + 1e-12


@pytest.mark.parametrize("penalty", [p for p in SETTINGS if not p.finite_conjugate], ids=lambda p: p.name)
def test_dual_norm_against_a_general_optimiser(penalty):
    rng = np.random.default_rng(4)
    pen = bind(penalty, 1.0, np.ones(P))
    for _ in range(3):
        z = penalty._without_free(rng.standard_normal(P), pen)
        x = cp.Variable(P)
        best = solve(cp.Problem(cp.Maximize(z @ x), [expression(penalty, x, 1.0) <= 1]))
        assert penalty.dual_norm(z, pen) == pytest.approx(best, rel=1e-7)
        scale = penalty.dual_scale(z, None, pen)
        assert scale == pytest.approx(min(1.0, 1 / best), rel=1e-7)


@pytest.mark.parametrize("penalty", [p for p in SETTINGS if not p.finite_conjugate], ids=lambda penalty: penalty.name)
def test_alpha_max_is_sharp(penalty):
    """Penalties with a finite conjugate (squares of norms) have no alpha that empties the model."""
    rng = np.random.default_rng(5)
    for scale in (1e-6, 1.0, 1e6):
        one = bind(penalty, 1.0, np.ones(P))
        grad, free = penalty._without_free(scale * rng.standard_normal(P), one), penalty.free(one)
        alpha = penalty.alpha_max(grad, np.ones(P), np.ones(P), None, None)
        least = 0 if free is None else len(np.unique(free))

        def blocks(alpha, grad=grad):
            pen = bind(penalty, alpha, np.ones(P))
            return len(penalty.structure(penalty.prox(-grad, 1.0, pen), pen).slope)

        assert blocks(alpha) == least < blocks(0.999 * alpha)


@every_penalty
def test_structure_describes_the_point_and_the_slope(penalty):
    rng = np.random.default_rng(6)
    pen = bind(penalty, 0.5, np.ones(P))
    w = penalty.prox(2 * rng.standard_normal(P), 1.0, pen)
    s = penalty.structure(w, pen)
    u = s.along(w) / np.bincount(s.block)
    again = s.moved(np.zeros(P), u)
    np.testing.assert_allclose(again, w, atol=1e-14)
    step = 1e-6 * rng.standard_normal(len(u))
    up, down = (penalty.value(s.moved(w, sign * step), pen) for sign in (1, -1))
    assert (up - down) / 2 == pytest.approx(s.slope @ step, rel=1e-6, abs=1e-15)
    if s.bend:
        bend = s.bend * (s.label[:, None] == s.label)
        assert up + down - 2 * penalty.value(w, pen) == pytest.approx(step @ bend @ step, rel=1e-2)


def test_special_cases_are_the_l1_norm():
    z = np.random.default_rng(7).standard_normal(P)
    lasso = L1().prox(z, 0.5, bind(L1(), 0.8, np.ones(P)))
    for penalty in (Slope(np.ones(P)), Fused(l1_ratio=1.0), Fused(np.empty((0, 2), dtype=int), l1_ratio=1.0)):
        np.testing.assert_allclose(penalty.prox(z, 0.5, bind(penalty, 0.8, np.ones(P))), lasso, atol=1e-15)


def test_a_chain_given_as_edges_is_a_chain():
    z = np.random.default_rng(8).standard_normal(200)
    edges = np.c_[np.arange(199), np.arange(1, 200)]
    shuffled = edges[np.random.default_rng(9).permutation(199)][:, ::-1]
    twice = np.repeat(edges, 2, axis=0)
    chain = Fused().prox(z, 1.0, bind(Fused(), 0.6, np.ones(200)))
    assert bind(Fused(shuffled), 0.6, np.ones(200)).chain
    again = Fused(shuffled).prox(z, 1.0, bind(Fused(shuffled), 0.6, np.ones(200)))
    np.testing.assert_allclose(again, chain, atol=1e-15)
    assert not bind(Fused(twice), 0.3, np.ones(200)).chain  # by minimum cuts
    np.testing.assert_allclose(Fused(twice).prox(z, 1.0, bind(Fused(twice), 0.3, np.ones(200))), chain, atol=1e-13)


def test_compiled_and_interpreted_loops_agree(monkeypatch):
    from skreg.kernels import _specialize

    grid = np.arange(100).reshape(10, 10)
    edges = np.r_[np.c_[grid[:, :-1].ravel(), grid[:, 1:].ravel()], np.c_[grid[:-1].ravel(), grid[1:].ravel()]]
    z = np.random.default_rng(10).standard_normal(100)
    for penalty in (Fused(), Fused(edges)):
        results = []
        for soon in (True, False):
            monkeypatch.setattr("skreg.kernels._total_variation.is_soon_done", lambda cells, steps, soon=soon: soon)
            results.append(penalty.prox(z, 1.0, bind(penalty, 0.4, np.ones(100))))
        np.testing.assert_allclose(*results, atol=1e-14)
    assert _specialize.LITTLE


@every_penalty
def test_array_api_strict_equals_numpy(penalty):
    import array_api_strict as strict

    rng = np.random.default_rng(11)
    z, w = rng.standard_normal((2, P))
    pen, pen_strict = bind(penalty, 0.5, np.ones(P)), bind(penalty, 0.5, np.ones(P), xp=strict)
    for name, arguments in (("values", (z,)), ("prox", (z, 0.7)), ("conjugate", (z,)), ("dual_scale", (z, w))):
        ours = getattr(penalty, name)(*arguments, pen)
        strictly = (strict.asarray(a) if isinstance(a, np.ndarray) else a for a in arguments)
        theirs = getattr(penalty, name)(*strictly, pen_strict, xp=strict)
        np.testing.assert_allclose(np.asarray(theirs), ours, rtol=1e-14, atol=1e-15)


def test_sequences():
    lambdas = bind(Slope(q=0.2), 1.0, np.ones(4)).lambdas
    assert lambdas == pytest.approx([1.959964, 1.644854, 1.439531, 1.281552], abs=1e-6)  # quantiles of .975, .95, ...
    assert bind(Slope("oscar", q=0.5), 1.0, np.ones(3)).lambdas.tolist() == [2.0, 1.5, 1.0]
    assert bind(Slope(q=1.0), 1.0, np.ones(3)).lambdas[-1] == 0.0


WRONG = [
    (Slope("holm"), "lambdas must be 'bh', 'oscar' or an array of numbers; got 'holm'"),
    (Slope(q=0.0), r"q must be in \(0, 1\] for lambdas='bh'; got 0.0"),
    (Slope(q=1.5), r"q must be in \(0, 1\] for lambdas='bh'; got 1.5"),
    (Slope("oscar", q=-1.0), "q must be non-negative and finite for lambdas='oscar'; got -1.0"),
    (Slope([1.0, 0.5]), r"lambdas must have one entry a feature, shape \(12,\); got shape \(2,\)"),
    (Slope(np.arange(12.0)), "lambdas must be finite, non-negative and not increasing"),
    (Slope(-np.arange(12.0)), "lambdas must be finite, non-negative and not increasing"),
    (Fused("ring"), "edges must be 'chain' or an array of pairs of columns; got 'ring'"),
    (Fused([[0, 1, 2]]), r"edges must be .* shape \(n_edges, 2\).* got shape \(1, 3\)"),
    (Fused([[0.5, 1.0]]), "edges must be .* dtype float64"),
    (Fused([[0], [1, 2]]), "edges must be .* an irregular list"),
    (Fused([[0, 1], [3, 12]]), "edges names the column 12 in row 1, but X has 12 columns, 0 to 11"),
    (Fused([[0, 1], [3, 3]]), "edges must join different columns; row 1 joins 3 to itself"),
    (Fused(l1_ratio=1.5), "l1_ratio must be between 0 and 1 inclusive; got 1.5"),
    (Exclusive([0, 1]), r"labels must have one entry a feature, shape \(12,\); got shape \(2,\)"),
]


@pytest.mark.parametrize(("penalty", "text"), WRONG, ids=lambda v: "" if isinstance(v, str) else v.name)
def test_wrong_parameters(penalty, text):
    with pytest.raises(ValueError, match=text):
        bind(penalty, 1.0, np.ones(P))
