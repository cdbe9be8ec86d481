"""The contract of penalties of groups: values, proximal operators, conjugates, derivatives, both faces."""

import functools

import numpy as np
import pytest
import scipy.optimize

from skreg.kernels._specialize import specialize
from skreg.penalties import L1, MCP, SCAD, ElasticNet, GroupPenalty, RadialPenalty, SparseGroup, restrict
from tests.penalties._textbook import TEXTBOOK, bind, search

LABELS = np.array([0, 1, 1, 2, 3, 1, 3, 4, 2, 3, 4, 3])  # groups of 1, 3, 2, 4, 2 that do not lie together
N_GROUPS, P = 5, len(LABELS)
SETTINGS = [
    RadialPenalty(L1(), LABELS),
    RadialPenalty(ElasticNet(), LABELS),
    RadialPenalty(ElasticNet(l1_ratio=0.1), LABELS),
    RadialPenalty(MCP(), LABELS),
    RadialPenalty(MCP(gamma=1.3), LABELS),
    RadialPenalty(SCAD(), LABELS),
    RadialPenalty(SCAD(gamma=2.1), LABELS),
    SparseGroup(LABELS),
    SparseGroup(LABELS, l1_ratio=0.9),
    SparseGroup(LABELS, l1_ratio=0.0),
    SparseGroup(LABELS, l1_ratio=1.0),
]


def name(penalty):
    shape = getattr(penalty, "base", penalty).get_params()
    return f"{penalty.name}-{'-'.join(str(v) for k, v in shape.items() if k != 'labels')}"


every_penalty = pytest.mark.parametrize("penalty", SETTINGS, ids=name)
every_convex = pytest.mark.parametrize("penalty", [p for p in SETTINGS if p.convex], ids=name)


def sample(penalty, seed=0, free=True, alpha=0.8):
    """z, one step a group, and the penalty bound to weights of which one may be 0."""
    rng = np.random.default_rng(seed)
    v = rng.uniform(0.3, 2.0, N_GROUPS)
    if free:
        v[seed % N_GROUPS] = 0.0
    return 3 * rng.standard_normal(P), np.exp(rng.uniform(-2, 2, N_GROUPS))[LABELS], bind(penalty, alpha, v[LABELS])


def textbook(penalty, x, alpha, v):
    """Penalty of one group of weight v, from the scalar formulas in extended precision."""
    x = np.asarray(x, dtype=np.longdouble)
    norm = np.sqrt(np.sum(x * x, axis=-1))
    if isinstance(penalty, SparseGroup):
        return alpha * (v > 0) * (penalty.l1_ratio * np.abs(x).sum(-1) + (1 - penalty.l1_ratio) * v * norm)
    return TEXTBOOK[penalty.base.name](penalty.base, norm, np.longdouble(alpha * v), 1.0)


@every_penalty
def test_values_against_textbook(penalty):
    for seed in range(6):
        w, _, pen = sample(penalty, seed)
        w[LABELS == 3] = 0.0
        values = penalty.values(w, pen)
        each = [textbook(penalty, w[LABELS == g], pen.alpha, pen.weights[LABELS == g][0]) for g in range(N_GROUPS)]
        np.testing.assert_allclose(np.bincount(LABELS, weights=values), np.array(each, dtype=float), rtol=1e-13)
        assert penalty.value(w, pen) == pytest.approx(float(sum(each)), rel=1e-13)


@every_penalty
def test_prox_against_search_along_its_ray(penalty):
    """A penalty of the norm alone, or of it and the L1 norm: the prox shrinks z, or its soft threshold, towards 0."""
    for seed in range(3):
        z, step, pen = sample(penalty, seed)
        x = penalty.prox(z, step, pen)
        for g in range(N_GROUPS):
            own = LABELS == g
            v, t = pen.weights[own][0], step[own][0]
            ray = z[own].copy()
            if isinstance(penalty, SparseGroup):
                ray = np.sign(ray) * np.maximum(np.abs(ray) - t * pen.alpha * penalty.l1_ratio * (v > 0), 0.0)

            def excess(c, own=own, v=v, t=t, ray=ray, z=z, pen=pen):
                points = np.asarray(c, dtype=np.longdouble)[..., None] * ray
                return np.sum((points - z[own]) ** 2, -1) / (2 * t) + textbook(penalty, points, pen.alpha, v)

            found = np.sum((x[own] - z[own]) ** 2) / (2 * t) + textbook(penalty, x[own], pen.alpha, v)
            assert float(found - search(excess, 0.0, 1.0)[0][0]) <= 1e-10 * (1 + np.sum(z[own] ** 2) / t)


@every_penalty
def test_no_point_is_better_than_the_prox(penalty):
    """Random directions and a general-purpose descent from the prox and from elsewhere, without the ray's knowledge."""
    rng = np.random.default_rng(1)
    for seed in range(2):
        z, step, pen = sample(penalty, seed)
        x = penalty.prox(z, step, pen)
        for g in range(N_GROUPS):
            own = np.flatnonzero(LABELS == g)
            v, t = pen.weights[own[0]], step[own[0]]

            def total(point, own=own, v=v, t=t, z=z, pen=pen):
                return np.sum((point - z[own]) ** 2, -1) / (2 * t) + textbook(penalty, point, pen.alpha, v)

            best = float(total(x[own]))
            spread = np.concatenate([10.0 ** rng.uniform(-9, 1, (500, 1)) for _ in range(2)])
            near = x[own] + spread * rng.standard_normal((1000, len(own)))
            far = scipy.optimize.minimize(lambda q: float(total(q)), 0.5 * z[own], method="Nelder-Mead").x
            assert best <= float(total(np.vstack([near, far])).min()) + 1e-10 * (1 + best)


@every_penalty
def test_block_face_equals_vector_face(penalty):
    compiled = specialize(drive, **penalty.leaves)
    bound = {"prox": penalty.leaves["prox"]} if "prox" in penalty.leaves else {}
    block = specialize_in_python(penalty.leaves["block_prox"], bound)
    for seed in range(10):
        z, step, pen = sample(penalty, seed)
        expected = penalty.prox(z, step, pen)
        for g in range(N_GROUPS):
            own = np.flatnonzero(LABELS == g)
            out, own_step = np.empty(len(own)), float(step[own[0]])
            for face in (block, compiled):
                face(z[own], own_step, int(own[0]), pen, out)
                np.testing.assert_allclose(out, expected[own], rtol=1e-13, atol=1e-15)


def drive(z, step, k, pen, out):
    block_prox(z, step, k, pen, out)  # noqa: F821 - bound by specialize


def specialize_in_python(face, names):
    """The face with its free names bound, not compiled."""
    bound = type(face)(face.__code__, {**face.__globals__, **names}, face.__name__)
    return functools.wraps(face)(bound)


@every_penalty
def test_prox_of_zero_and_of_free_groups(penalty):
    z, step, pen = sample(penalty, 2)
    np.testing.assert_array_equal(penalty.prox(np.zeros(P), step, pen), 0.0)
    free = pen.weights == 0
    np.testing.assert_allclose(penalty.prox(z, step, pen)[free], z[free], rtol=1e-15)
    np.testing.assert_array_equal(penalty.values(z, pen)[free], 0.0)
    np.testing.assert_allclose(penalty.prox(z, 0.7, pen), penalty.prox(z, np.full(P, 0.7), pen), rtol=1e-15)


@every_penalty
def test_violation_is_zero_at_a_fixed_point_and_only_there(penalty):
    z, step, pen = sample(penalty, 3)
    w = penalty.prox(z, step, pen)
    size = np.bincount(LABELS, weights=np.ones(P))[LABELS]
    gradient = (w - z) / step
    curvature = 1 / (step * size)  # whose sum over a group is one over its step
    np.testing.assert_allclose(penalty.violation(w, gradient, curvature, pen), 0.0, atol=1e-12)
    away = penalty.violation(w + 0.1, gradient + 0.1 / step, curvature, pen)
    assert (away > 1e-3).all()
    for g in range(N_GROUPS):
        assert len(set(away[LABELS == g])) == 1


@every_penalty
def test_restriction_to_groups_commutes(penalty):
    z, step, pen = sample(penalty, 4)
    index = np.concatenate([np.flatnonzero(LABELS == g) for g in (3, 0, 2)])
    part = restrict(pen, index)
    assert type(part) is type(pen)
    for method, arguments in (("prox", (z, step)), ("values", (z,))):
        whole = getattr(penalty, method)(*arguments, pen)[index]
        np.testing.assert_allclose(getattr(penalty, method)(*(a[index] for a in arguments), part), whole, rtol=1e-14)
    np.testing.assert_array_equal(np.sort(penalty.complete(np.array([3, 4]))), np.flatnonzero(np.isin(LABELS, [2, 3])))
    assert penalty.complete(np.array([4, 3])).tolist()[:2] == [4, 3]
    assert len(penalty.complete(np.array([], dtype=int))) == 0


@every_penalty
def test_smooth_part_against_differences(penalty):
    rng = np.random.default_rng(5)
    w = rng.uniform(0.2, 2.0, P) * rng.choice([-1, 1], P)
    _, _, pen = sample(penalty, 6)
    slope, c, k, u = penalty.smooth(w, pen)

    def total(x):
        return sum(textbook(penalty, x[LABELS == g], pen.alpha, pen.weights[LABELS == g][0]) for g in range(N_GROUPS))

    eye, h = np.eye(P), np.longdouble(1e-5)
    numeric = [float((total(w + h * e) - total(w - h * e)) / (2 * h)) for e in eye]
    np.testing.assert_allclose(slope, numeric, atol=1e-8)
    matrix = np.diag(c) + (LABELS[:, None] == LABELS) * (k * u)[:, None] * u
    for e in eye:
        ahead, behind = penalty.smooth(w + 1e-6 * e, pen)[0], penalty.smooth(w - 1e-6 * e, pen)[0]
        np.testing.assert_allclose(matrix @ e, (ahead - behind) / 2e-6, atol=1e-7)


@every_convex
def test_fenchel_young(penalty):
    """The conjugate bounds z'w - penalty for every w, and touches it where z is a subgradient."""
    rng = np.random.default_rng(7)
    for seed in range(10):
        z, step, pen = sample(penalty, seed, free=False)
        w = penalty.prox(z, step, pen)
        dual = (z - w) / step * (1 - 1e-13)  # a rounding inside
        conjugate = penalty.conjugate(dual, pen)
        assert np.isfinite(conjugate).all()
        gap = penalty.value(w, pen) + conjugate.sum() - dual @ w
        assert abs(gap) <= 1e-12 * (1 + abs(dual @ w))
        for _ in range(50):
            other = rng.standard_normal(P) * 10.0 ** rng.uniform(-3, 2)
            each = penalty.values(other, pen) + conjugate - dual * other
            assert np.bincount(LABELS, weights=each).min() >= -1e-12 * (1 + np.abs(dual * other).max())
        outside = penalty.conjugate(3.0 * dual + 10.0 * np.sign(dual), pen)
        assert np.isinf(outside).all() or penalty.finite_conjugate


@every_convex
def test_dual_scale_is_feasible_and_the_largest(penalty):
    for seed in range(10):
        z, _, pen = sample(penalty, seed)
        w = np.zeros(P)
        z = 3 * z
        scale = penalty.dual_scale(z, w, pen)
        assert isinstance(scale, float) and 0 < scale < 1
        assert np.isfinite(penalty.conjugate(scale * z, pen)).all()
        if not penalty.finite_conjugate:
            assert np.isinf(penalty.conjugate((1 + 1e-9) * scale * z, pen)).any()
        assert penalty.dual_scale(1e-3 * z, w, pen) == 1.0
        small = penalty.prox(z, 1.0, pen)  # z - small is a subgradient there
        assert penalty.dual_scale((z - small) * (1 - 1e-14), small, pen) > 1 - 1e-10


@every_penalty
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_alpha_max_empties_and_less_does_not(penalty, scale):
    free = np.full(P, np.inf)
    for seed in range(10):
        rng = np.random.default_rng(seed)
        grad, v = scale * rng.standard_normal(P), rng.uniform(0.2, 2.0, N_GROUPS)
        v[0] = 0.0
        grad[LABELS == 4] = 0.0
        v, curvature = v[LABELS], np.exp(rng.uniform(-1, 1, P))
        alpha = penalty.alpha_max(grad, curvature, v, -free, free)
        L = 1.0 if penalty.convex else np.bincount(LABELS, weights=curvature)[LABELS]

        def step_from_zero(alpha, grad=grad, v=v, curvature=curvature, L=L):
            pen = penalty.bind(alpha, v, -free, free, curvature)
            return penalty.prox(-grad / L, 1.0 / L, pen)[v > 0]

        assert isinstance(alpha, float)
        assert not step_from_zero(alpha).any()
        assert step_from_zero(0.999 * alpha).any()
    assert penalty.alpha_max(np.zeros(P), np.ones(P), v, -free, free) == 0.0


def test_alpha_max_by_hand():
    labels, free = np.array([0, 0, 1]), np.full(3, np.inf)
    grad, v = np.array([3.0, -4.0, 2.0]), np.array([2.0, 2.0, 1.0])
    assert RadialPenalty(L1(), labels).alpha_max(grad, np.ones(3), v, -free, free) == pytest.approx(2.5, rel=1e-12)
    sparse = SparseGroup(labels, 1.0).alpha_max(grad, np.ones(3), v, -free, free)
    assert sparse == pytest.approx(4.0, rel=1e-12)
    half = SparseGroup(labels, 0.5).alpha_max(grad, np.ones(3), v, -free, free)
    soft = np.maximum(np.abs(grad[:2]) - half / 2, 0)
    assert half == pytest.approx(2.0, rel=1e-12) or np.linalg.norm(soft) == pytest.approx(half, rel=1e-10)


@pytest.mark.parametrize("base", [L1(), ElasticNet(), MCP(), SCAD()], ids=repr)
def test_singletons_are_the_scalar_penalty(base):
    single = RadialPenalty(base, np.arange(P))
    rng = np.random.default_rng(8)
    z, step, v = 3 * rng.standard_normal(P), np.exp(rng.uniform(-1, 1, P)), rng.uniform(0.1, 2, P)
    ours, theirs = bind(single, 0.7, v), bind(base, 0.7, v)
    np.testing.assert_allclose(single.prox(z, step, ours), base.prox(z, step, theirs), rtol=1e-14)
    np.testing.assert_allclose(single.values(z, ours), base.values(z, theirs), rtol=1e-14)
    if base.convex:
        np.testing.assert_allclose(single.conjugate(0.01 * z, ours), base.conjugate(0.01 * z, theirs), rtol=1e-13)


def test_limits_of_the_sparse_group_lasso():
    z, step, pen = sample(SparseGroup(LABELS, 0.0), 3, free=False)
    group, lasso = RadialPenalty(L1(), LABELS), L1()
    expected = group.prox(z, step, bind(group, pen.alpha, pen.weights))
    np.testing.assert_allclose(SparseGroup(LABELS, 0.0).prox(z, step, pen), expected, rtol=1e-14)
    one, ones = SparseGroup(LABELS, 1.0), np.ones(P)
    expected = lasso.prox(z, step, bind(lasso, 0.8, ones))
    np.testing.assert_allclose(one.prox(z, step, bind(one, 0.8, ones)), expected, rtol=1e-14)


def test_shape_is_checked_when_bound():
    for ratio in (-0.1, 1.1, np.nan):
        with pytest.raises(ValueError, match=r"^l1_ratio must be between 0 and 1 inclusive; got "):
            bind(SparseGroup(LABELS, ratio), 1.0, np.ones(P))
    with pytest.raises(ValueError, match=r"^gamma must be .*; got 1.0"):
        bind(RadialPenalty(MCP(gamma=1.0), LABELS), 1.0, np.ones(P))
    assert issubclass(RadialPenalty, GroupPenalty) and issubclass(SparseGroup, GroupPenalty)
