"""Contracts that every penalty in the registry keeps.

The oracle is `TEXTBOOK`: each penalty as an integral of its slope or as a plain formula, in extended precision, and a
search over all x for the prox. Nothing here uses the closed forms under test.
"""

import inspect
import math
import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from skreg.penalties import (
    CEL0,
    L0,
    L1,
    MCP,
    PENALTIES,
    SCAD,
    ElasticNet,
    LogSum,
    Lq,
    SeparablePenalty,
    get_penalty,
    restrict,
)

SETTINGS = [
    L1(),
    ElasticNet(),
    ElasticNet(l1_ratio=0.0),
    ElasticNet(l1_ratio=0.05),
    ElasticNet(l1_ratio=1.0),
    MCP(),
    MCP(gamma=1.2),
    SCAD(),
    SCAD(gamma=2.1),
    L0(),
    CEL0(),
    LogSum(),
    LogSum(eps=1.5),
    Lq(),
    Lq(q=0.1),
    Lq(q=2 / 3),
    Lq(q=0.97),
]
CONVEX = [penalty for penalty in SETTINGS if penalty.convex]
every_penalty = pytest.mark.parametrize("penalty", SETTINGS, ids=repr)
every_convex = pytest.mark.parametrize("penalty", CONVEX, ids=repr)


@pytest.fixture(autouse=True)
def warnings_are_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def ramp(x, high, width):
    """Integral from 0 to x >= 0 of a slope that falls linearly from `high` to 0 over `width`."""
    t = np.minimum(x, width)
    return high * t - high * t * t / (2 * width) if width > 0 else 0 * x


TEXTBOOK = {
    "l1": lambda p, x, a, c: a * x,
    "elastic_net": lambda p, x, a, c: a * (p.l1_ratio * x + (1 - p.l1_ratio) * x**2 / 2),
    "mcp": lambda p, x, a, c: ramp(x, a, p.gamma * a),
    "scad": lambda p, x, a, c: a * np.minimum(x, a) + ramp(np.maximum(x - a, 0), a, (p.gamma - 1) * a),
    "l0": lambda p, x, a, c: np.where(x > 0, a, 0 * x),
    "cel0": lambda p, x, a, c: ramp(x, np.sqrt(2 * a * c), np.sqrt(2 * a / c)),
    "log_sum": lambda p, x, a, c: 2 * a * np.arctanh(x / (x + 2 * p.eps)),
    "lq": lambda p, x, a, c: a * x**p.q,
}


def phi(penalty, x, strength, curvature):
    wide = np.longdouble
    return TEXTBOOK[penalty.name](penalty, np.abs(np.asarray(x, dtype=wide)), wide(strength), wide(curvature))


def bind(penalty, alpha, weights, lower=None, upper=None, curvature=None, xp=np):
    weights = np.asarray(weights, dtype=float)
    free = np.full(weights.shape, np.inf)
    arrays = [
        weights,
        -free if lower is None else lower,
        free if upper is None else upper,
        np.ones(weights.shape) if curvature is None else curvature,
    ]
    weights, lower, upper, curvature = (xp.asarray(np.broadcast_to(a, weights.shape).astype(float)) for a in arrays)
    return penalty.bind(alpha, weights, lower, upper, curvature)


def search(objective, low, high):
    """Local minima of a function on [low, high]: a grid, then ever finer grids about each of its minima."""
    grid = np.unique(np.concatenate([np.linspace(low, high, 4001, dtype=np.longdouble), [np.longdouble(0)]]))
    grid = grid[(grid >= low) & (grid <= high)]
    height = objective(grid)
    left = np.concatenate([[np.inf], height[:-1]])
    right = np.concatenate([height[1:], [np.inf]])
    found = []
    for i in np.flatnonzero((height <= left) & (height <= right)):
        a, b = grid[max(i - 1, 0)], grid[min(i + 1, len(grid) - 1)]
        best = (height[i], grid[i])
        for _ in range(9):
            fine = np.linspace(a, b, 41, dtype=np.longdouble)
            k = int(np.argmin(objective(fine)))
            best = min(best, (objective(fine)[k], fine[k]))
            a, b = fine[max(k - 1, 0)], fine[min(k + 1, 40)]
        found.append(best)
    return sorted(found)


def check_against_search(penalty, z, step, strength, lower, upper, curvature):
    wide = np.longdouble

    def objective(x):
        return (x - wide(z)) ** 2 / (2 * wide(step)) + phi(penalty, x, strength, curvature)

    pen = bind(penalty, 1.0, [strength], lower, upper, curvature)
    x = float(penalty.prox(np.array([z]), step, pen)[0])
    assert lower <= x <= upper
    minima = search(objective, max(min(z, 0.0), lower), min(max(z, 0.0), upper))
    best, argbest = minima[0]
    scale = 1.0 + z * z / (2 * step)
    assert objective(wide(x)) - best <= 1e-12 * scale

    rivals = [height for height, at in minima[1:] if abs(at - argbest) > 1e-5]
    tied = bool(rivals) and rivals[0] - best < 1e-9
    inside = argbest + np.array([-1e-4, 1e-4])
    inside = inside[(inside >= lower) & (inside <= upper)]
    flat = bool(np.any(objective(inside) - best < 1e-11 * scale))
    if not tied and not flat:
        assert abs(x - argbest) <= 1e-6
        return True
    return False


@every_penalty
@pytest.mark.parametrize("bounded", [False, True])
def test_prox_against_search(penalty, bounded):
    rng = np.random.default_rng(0)
    located = 0
    for i in range(40):
        step = float(np.exp(rng.uniform(np.log(0.05), np.log(20))))
        strength = 0.0 if i % 10 == 0 else float(rng.uniform(0.1, 2.0))
        z = float(rng.uniform(-3.5, 3.5) * max(1.0, np.sqrt(step) * strength))
        lower, upper = (-float(rng.exponential(1.5)), float(rng.exponential(1.5))) if bounded else (-np.inf, np.inf)
        if bounded and i % 3 == 0:
            lower, upper = (0.0, np.inf) if i % 2 else (-np.inf, upper)
        located += check_against_search(penalty, z, step, strength, lower, upper, float(rng.uniform(0.05, 2.0)))
    assert located >= 25  # the position was checked too, in most cases


@every_penalty
@given(
    z=st.floats(-20, 20),
    step=st.floats(0.05, 20),
    strength=st.floats(1e-3, 5),
    curvature=st.floats(0.05, 3),
    room=st.one_of(st.just(np.inf), st.floats(0, 10)),
)
def test_no_point_is_better_than_the_prox(penalty, z, step, strength, curvature, room):
    pen = bind(penalty, 1.0, [strength], -room, room, curvature)
    x = penalty.prox(np.array([z]), step, pen)
    low, high = max(-room, min(z, 0.0)), min(room, max(z, 0.0))
    others = np.concatenate([np.linspace(low, high, 1001), [0.0]])

    def objective(x):
        return (x - z) ** 2 / (2 * step) + phi(penalty, x, strength, curvature)

    excess = objective(x.astype(np.longdouble)) - objective(others.astype(np.longdouble)).min()
    assert excess <= 1e-12 * (1 + z * z / step + strength)


def test_scad_between_two_positive_minima_heeds_the_bound():
    """gamma = 3, strength 1, step 2.5, z = 3.3: the soft threshold 0.8 beats 0, and loses to z if z is allowed."""
    for upper in (0.3, 0.8, 1.5, 2.9, 9.0):
        check_against_search(SCAD(gamma=3.0), 3.3, 2.5, 1.0, -np.inf, upper, 1.0)
    pen = bind(SCAD(gamma=3.0), 1.0, [1.0, 1.0], upper=np.array([1.5, np.inf]))
    np.testing.assert_allclose(SCAD(gamma=3.0).prox(np.full(2, 3.3), 2.5, pen), [0.8, 3.3], atol=1e-12)


@every_penalty
def test_unpenalised_features_pass_through(penalty):
    z = np.array([-3.3, -1e-9, 0.0, 0.1, 7.7])
    for step in (0.05, 1.0, 20.0):
        np.testing.assert_array_equal(penalty.prox(z, step, bind(penalty, 2.0, np.zeros(5))), z)
    np.testing.assert_array_equal(penalty.values(z, bind(penalty, 2.0, np.zeros(5))), np.zeros(5))


@every_penalty
def test_values_against_textbook(penalty):
    rng = np.random.default_rng(1)
    w = np.concatenate([[0.0, 1e-12], 4 * rng.standard_normal(60)])
    weights, curvature = rng.uniform(0.1, 2, w.size), rng.uniform(0.1, 2, w.size)
    pen = bind(penalty, 0.7, weights, curvature=curvature)
    expected = [phi(penalty, *args) for args in zip(w, 0.7 * weights, curvature, strict=True)]
    np.testing.assert_allclose(penalty.values(w, pen), np.array(expected, dtype=float), rtol=1e-13)
    assert penalty.value(w, pen) == pytest.approx(float(sum(expected)), rel=1e-13)


def sample(penalty, seed=2, size=400, xp=np):
    rng = np.random.default_rng(seed)
    weights = np.where(rng.random(size) < 0.1, 0.0, rng.uniform(0.1, 3, size))
    lower = np.where(rng.random(size) < 0.5, -np.inf, -rng.exponential(2, size))
    upper = np.where(rng.random(size) < 0.5, np.inf, rng.exponential(2, size))
    z, step = rng.standard_normal(size) * 4, np.exp(rng.uniform(-3, 3, size))
    z[:3] = 0.0
    pen = bind(penalty, 0.8, weights, lower, upper, rng.uniform(0.05, 2, size), xp=xp)
    return xp.asarray(z), xp.asarray(step), pen


@every_penalty
def test_scalar_face_equals_array_face(penalty):
    z, step, pen = sample(penalty)
    prox, value = penalty.leaves["prox"], penalty.leaves["value"]
    scalar = np.array([prox(float(z[j]), float(step[j]), j, pen) for j in range(z.size)])
    np.testing.assert_allclose(scalar, penalty.free_prox(z, step, pen), rtol=1e-14, atol=1e-15)
    scalar = np.array([value(float(z[j]), j, pen) for j in range(z.size)])
    np.testing.assert_allclose(scalar, penalty.values(z, pen), rtol=1e-14, atol=1e-15)
    for length in (0.3, 5.0):  # a number for the step does as an array of it
        np.testing.assert_array_equal(penalty.prox(z, length, pen), penalty.prox(z, np.full(z.size, length), pen))


@every_penalty
def test_compiled_face_equals_python_face(penalty):
    numba = pytest.importorskip("numba")
    z, step, pen = sample(penalty, seed=3, size=100)
    for face in penalty.leaves.values():
        compiled = numba.njit(face)
        for j in range(z.size):
            arguments = (z[j], step[j], j, pen) if face is penalty.leaves["prox"] else (z[j], j, pen)
            assert compiled(*arguments) == pytest.approx(face(*arguments), rel=1e-14, abs=1e-15)


@every_penalty
def test_leaves_are_self_contained(penalty):
    """Only leaves are compiled and cached by their source, so they may lean on nothing but `math` and numpy."""
    fields = set(bind(penalty, 1.0, np.ones(1))._fields)
    for face in penalty.leaves.values():
        used = inspect.getclosurevars(face)
        assert set(used.globals) <= {"math", "np"}
        assert not used.nonlocals
        assert {name for name in used.unbound if not hasattr(math, name)} <= fields


@every_penalty
def test_array_api_strict_equals_numpy(penalty):
    strict = pytest.importorskip("array_api_strict")
    z, step, pen = sample(penalty)
    z_strict, step_strict, pen_strict = sample(penalty, xp=strict)

    def same(name, *arguments, strict_arguments):
        ours = getattr(penalty, name)(*arguments)
        theirs = np.asarray(getattr(penalty, name)(*strict_arguments, xp=strict))
        np.testing.assert_allclose(theirs, ours, rtol=1e-14, atol=1e-15)

    same("values", z, pen, strict_arguments=(z_strict, pen_strict))
    for s, s_strict in ((step, step_strict), (0.3, 0.3), (7.0, 7.0)):
        same("free_prox", z, s, pen, strict_arguments=(z_strict, s_strict, pen_strict))
        same("prox", z, s, pen, strict_arguments=(z_strict, s_strict, pen_strict))
    w = penalty.prox(z, step, pen)
    w_strict = strict.asarray(w)
    same("violation", w, z, step, pen, strict_arguments=(w_strict, z_strict, step_strict, pen_strict))
    if penalty.convex:
        same("conjugate", z, pen, strict_arguments=(z_strict, pen_strict))
        same("dual_scale", z, w, pen, strict_arguments=(z_strict, w_strict, pen_strict))


@every_penalty
def test_float32_stays_float32(penalty):
    strict = pytest.importorskip("array_api_strict")
    arrays = [
        strict.asarray(a, dtype=strict.float32) for a in ([1.0, 0.5], [-math.inf, 0.0], [math.inf, 1.0], [1.0, 2.0])
    ]
    pen = penalty.bind(0.5, *arrays)
    z = strict.asarray([2.0, -0.7], dtype=strict.float32)
    for result in (
        penalty.prox(z, 0.5, pen, strict),
        penalty.prox(z, 30.0, pen, strict),
        penalty.values(z, pen, strict),
    ):
        assert result.dtype == strict.float32


@every_penalty
def test_violation_is_zero_at_a_fixed_point_and_only_there(penalty):
    _, L, pen = sample(penalty, seed=5)
    b = np.random.default_rng(6).standard_normal(L.size) * 3
    w = penalty.prox(b / L, 1 / L, pen)  # minimises L/2 w^2 - b w + phi
    np.testing.assert_allclose(penalty.violation(w, L * w - b, L, pen), 0, atol=1e-12)
    away = np.clip(w + 0.1, pen.lower, pen.upper)
    moved = away != w
    assert np.all(penalty.violation(away, L * away - b, L, pen)[moved] > 0)


def test_violation_of_l1_is_the_distance_from_the_subdifferential():
    pen = bind(L1(), 1.0, np.ones(5), upper=np.array([np.inf, np.inf, np.inf, 2.0, 2.0]))
    w, grad = np.array([0.0, 0.0, 3.0, 2.0, 2.0]), np.array([0.4, -1.5, 0.25, -9.0, 0.5])
    np.testing.assert_allclose(L1().violation(w, grad, np.full(5, 4.0), pen), [0, 0.5, 1.25, 0, 1.5])


@every_penalty
def test_derivatives_against_differences(penalty):
    rng = np.random.default_rng(7)
    w = rng.uniform(0.05, 6, 300) * rng.choice([-1, 1], 300)
    strength, curvature = rng.uniform(0.2, 1.5, 300), rng.uniform(0.1, 2, 300)
    kinks = {
        "mcp": lambda p: [p.gamma * strength],
        "scad": lambda p: [strength, p.gamma * strength],
        "cel0": lambda p: [np.sqrt(2 * strength / curvature)],
    }.get(penalty.name, lambda p: [])(penalty)
    smooth = np.all([np.abs(np.abs(w) - kink) > 0.01 for kink in kinks] or [np.full(300, True)], axis=0)
    assert smooth.sum() > 200
    w, strength, curvature = w[smooth], strength[smooth], curvature[smooth]
    pen = bind(penalty, 1.0, strength, curvature=curvature)
    at = [np.array([phi(penalty, x + h, s, c) for x, s, c in zip(w, strength, curvature, strict=True)]) for h in
          (np.longdouble(-1e-5), np.longdouble(0), np.longdouble(1e-5))]  # fmt: skip
    first, second = (at[2] - at[0]) / 2e-5, (at[2] - 2 * at[1] + at[0]) / 1e-10
    scale = 1 + np.abs(second)
    np.testing.assert_allclose(penalty.derivative(w, pen) / scale, (first / scale).astype(float), atol=1e-6)
    np.testing.assert_allclose(penalty.second_derivative(w, pen) / scale, (second / scale).astype(float), atol=1e-5)
    at_zero = bind(penalty, 1.0, np.ones(2))
    np.testing.assert_array_equal(penalty.derivative(np.zeros(2), at_zero), 0)
    np.testing.assert_array_equal(penalty.second_derivative(np.zeros(2), at_zero), 0)


# ---------------------------------------------------------------------------------------------- convex penalties


@every_convex
def test_conjugate_against_search(penalty):
    rng = np.random.default_rng(8)
    for _ in range(60):
        strength, z = rng.choice([0.0, 0.5, 1.3]), rng.standard_normal() * 2
        lower, upper = rng.choice([-np.inf, -2.0, -0.4, 0.0]), rng.choice([0.0, 0.7, 3.0, np.inf])
        pen = bind(penalty, 1.0, [strength], lower, upper)
        found = penalty.conjugate(np.array([z]), pen)[0]
        if strength == 0 and np.isinf(lower) and np.isinf(upper):
            assert found == 0
            continue
        reach = np.array([1e3, 1e6])  # the supremum over ever wider ranges either settles or grows without end
        ranges = [np.concatenate([np.linspace(max(lower, -r), min(upper, r), 4001), [0]]) for r in (1e1, *reach)]
        tops = [float(np.max(z * x - phi(penalty, x, strength, 1.0))) for x in ranges]
        if np.isinf(found):
            assert found > 0 and tops[2] > 100 * tops[1] > 0
        elif strength * (1 - getattr(penalty, "l1_ratio", 1)) > 0:
            minima = search(
                lambda w, a=strength, z=z: phi(penalty, w, a, 1.0) - z * w, max(lower, -100), min(upper, 100)
            )
            assert found == pytest.approx(-float(minima[0][0]), rel=1e-12, abs=1e-12)
        else:
            assert found == pytest.approx(tops[2], abs=1e-12)


@every_convex
def test_moreau(penalty):
    """z = prox_phi(z) + prox of the conjugate: the remainder u maximises the conjugate's own prox problem."""
    z, _, pen = sample(penalty, seed=9)
    x = penalty.prox(z, 1.0, pen)
    u = z - x
    held = ~((pen.weights == 0) & np.isinf(pen.lower) & np.isinf(pen.upper))  # there the conjugate is not evaluated
    envelopes = (
        0.5 * (x - z) ** 2 + penalty.values(x, pen) + 0.5 * (u - z) ** 2 + penalty.conjugate(u * (1 - 1e-15), pen)
    )
    np.testing.assert_allclose(envelopes[held], 0.5 * z[held] ** 2, rtol=1e-12, atol=1e-12)
    for shift in (-0.3, -1e-3, 1e-3, 0.3):  # no other point does better for the conjugate
        other = u + shift
        rival = 0.5 * (other - z) ** 2 + penalty.conjugate(other, pen)
        own = 0.5 * (u - z) ** 2 + penalty.conjugate(u * (1 - 1e-15), pen)
        assert np.all(rival[held] >= own[held] - 1e-12)


@every_convex
def test_fenchel_young_at_the_scaled_dual_point(penalty):
    rng = np.random.default_rng(10)
    for seed in range(20):
        z, _, pen = sample(penalty, seed=seed, size=30)
        one_sided = seed % 2
        pen = pen._replace(
            weights=pen.weights + 0.1,
            lower=np.zeros(30) if one_sided else pen.lower,
            upper=np.full(30, np.inf) if one_sided else pen.upper,
        )
        w = np.clip(rng.standard_normal(30) * (rng.random(30) < 0.5), pen.lower, pen.upper)
        scale = penalty.dual_scale(z, w, pen)
        assert isinstance(scale, float) and 0 <= scale <= 1
        conjugate = penalty.conjugate(scale * z, pen)
        assert np.all(np.isfinite(conjugate))
        gap = penalty.values(w, pen) + conjugate - scale * z * w
        assert np.all(gap >= -1e-12)


@pytest.mark.parametrize("penalty", [L1(), ElasticNet(l1_ratio=1.0)], ids=repr)
def test_dual_scale_is_the_largest(penalty):
    free = bind(penalty, 2.0, np.array([1.0, 0.5, 0.0]))
    z = np.array([1.0, -4.0, 9.0])
    assert penalty.dual_scale(z, np.zeros(3), free) == pytest.approx(0.25, rel=1e-14)  # weight 0 does not count
    assert penalty.dual_scale(0.25 * z, np.zeros(3), free) == 1.0
    positive = bind(penalty, 2.0, np.array([1.0, 0.5, 0.0]), lower=0.0)
    assert penalty.dual_scale(z, np.zeros(3), positive) == 1.0  # the negative side is no constraint
    assert penalty.dual_scale(-z, np.zeros(3), positive) == pytest.approx(0.25, rel=1e-14)
    box = bind(penalty, 2.0, np.array([1.0, 0.5, 0.0]), lower=-1.0)
    assert penalty.dual_scale(z, np.zeros(3), box) == 1.0


def test_dual_scale_of_the_elastic_net_by_hand():
    penalty = ElasticNet(l1_ratio=0.5)  # l1 = l2 = 1
    z, w = np.array([-1.0, 3.0]), np.array([-3.0, 1.0])  # z - l2 w = 2, 2
    assert penalty.dual_scale(z, w, bind(penalty, 2.0, np.ones(2))) == pytest.approx(0.5, rel=1e-14)
    capped = bind(penalty, 2.0, np.ones(2), upper=np.array([0.0, 9.0]))
    assert penalty.dual_scale(z, w, capped) == 1.0


@every_convex
def test_dual_scale_is_one_at_an_optimum(penalty):
    """Where z is a subgradient of the penalty at w, the dual point needs no scaling (but for rounding)."""
    z, step, pen = sample(penalty, seed=11)
    w = penalty.prox(z, step, pen)
    assert penalty.dual_scale((z - w) / step * (1 - 1e-15), w, pen) > 1 - 1e-10


# ------------------------------------------------------------------------------------------------------ alpha_max


@pytest.mark.parametrize("penalty", [p for p in SETTINGS if p != ElasticNet(l1_ratio=0.0)], ids=repr)
@pytest.mark.parametrize("bounds", ["free", "positive", "box"])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_alpha_max_empties_and_less_does_not(penalty, bounds, scale):
    for seed in range(15):
        rng = np.random.default_rng(seed)
        grad = rng.standard_normal(20) * scale
        curvature, weights = np.exp(rng.uniform(-3, 3, 20)), rng.uniform(0.2, 3, 20)
        weights[0], curvature[1], grad[1] = 0.0, 0.0, 0.0
        lower, upper = np.full(20, -np.inf), np.full(20, np.inf)
        if bounds == "positive":
            lower = np.zeros(20)
        elif bounds == "box":
            lower, upper = -rng.exponential(scale, 20), rng.exponential(scale, 20)
            lower[2] = upper[2] = 0.0
            grad[2] = 1e3 * scale
        alpha = penalty.alpha_max(grad, curvature, weights, lower, upper)
        assert isinstance(alpha, float)
        counted = weights > 0
        L = np.where(curvature > 0, curvature, 1.0)

        def step_from_zero(alpha, grad=grad, L=L, weights=weights, lower=lower, upper=upper, curvature=curvature):
            pen = penalty.bind(alpha, weights, lower, upper, np.where(curvature > 0, curvature, 1.0))
            faces = np.array([penalty.leaves["prox"](-grad[j] / L[j], 1 / L[j], j, pen) for j in range(20)])
            return penalty.prox(-grad / L, 1.0 / L, pen), np.clip(faces, lower, upper)

        emptied, scalar = step_from_zero(alpha)
        assert not emptied[counted].any()
        if penalty.convex or bounds != "box":  # scalar code compares a clipped point with 0 itself
            assert not scalar[counted].any()
        assert step_from_zero(0.999 * alpha)[0][counted].any()


def test_alpha_max_by_hand():
    grad, curvature, weights = np.array([-2.0, 1.0, 50.0]), np.array([4.0, 1.0, 1.0]), np.array([1.0, 0.25, 0.0])
    free = np.full(3, np.inf)

    def of(penalty, grad=grad, lower=-free, upper=free):
        return penalty.alpha_max(grad, curvature, weights, lower, upper)

    assert of(L1()) == pytest.approx(4.0, rel=1e-14)
    assert of(L1(), lower=np.zeros(3)) == pytest.approx(2.0, rel=1e-14)
    assert of(L1(), upper=np.zeros(3)) == pytest.approx(4.0, rel=1e-14)
    assert of(ElasticNet(l1_ratio=0.5)) == pytest.approx(8.0, rel=1e-14)
    assert of(ElasticNet(l1_ratio=0.0)) == pytest.approx(4000.0, rel=1e-12)  # glmnet's convention
    assert of(L0()) == pytest.approx(2.0, rel=1e-14)
    assert of(CEL0()) == pytest.approx(2.0, rel=1e-14)
    assert of(Lq(q=0.5), grad=np.array([0, 1.5, 0])) == pytest.approx(4.0, rel=1e-14)  # |z| = 1.5 (s alpha)^(2/3)
    assert of(L1(), grad=np.zeros(3)) == 0.0
    assert of(MCP(), lower=np.zeros(3), upper=np.zeros(3)) == 0.0


# ---------------------------------------------------------------------------------------- identities and limits


def test_cel0_is_mcp():
    rng = np.random.default_rng(12)
    z, w, lam = rng.standard_normal(500) * 3, rng.standard_normal(500) * 3, 0.6
    for a in (0.3, 0.7, 0.95):  # gamma = 1 / a^2 > 1
        mcp, cel0 = MCP(gamma=1 / a**2), CEL0()
        as_mcp = bind(mcp, a * np.sqrt(2 * lam), np.ones(500))
        as_cel0 = bind(cel0, lam, np.ones(500), curvature=a**2)
        np.testing.assert_allclose(cel0.values(w, as_cel0), mcp.values(w, as_mcp), rtol=1e-13, atol=1e-14)
        np.testing.assert_allclose(cel0.derivative(w, as_cel0), mcp.derivative(w, as_mcp), rtol=1e-12, atol=1e-14)
        for step in (0.1, 0.9, 30.0):
            np.testing.assert_allclose(cel0.prox(z, step, as_cel0), mcp.prox(z, step, as_mcp), rtol=1e-12)


def test_cel0_under_coordinate_descent_is_l0():
    rng = np.random.default_rng(13)
    z, curvature, weights = rng.standard_normal(1000) * 2, rng.uniform(0.05, 9, 1000), rng.uniform(0.1, 2, 1000)
    cel0 = CEL0().prox(z, 1 / curvature, bind(CEL0(), 0.5, weights, curvature=curvature))
    l0 = L0().prox(z, 1 / curvature, bind(L0(), 0.5, weights))
    np.testing.assert_array_equal(cel0 == 0, np.abs(z) <= np.sqrt(weights / curvature))
    np.testing.assert_allclose(cel0, l0, rtol=1e-15)


def test_cel0_leaves_an_empty_column_alone():
    pen = bind(CEL0(), 1.0, np.ones(2), curvature=0.0)
    np.testing.assert_array_equal(CEL0().prox(np.array([-2.0, 0.3]), 1.0, pen), [-2.0, 0.3])
    np.testing.assert_array_equal(CEL0().values(np.array([-2.0, 0.3]), pen), 0)


@pytest.mark.parametrize(
    "penalty, limit, rtol",
    [
        (ElasticNet(l1_ratio=1.0), L1(), 0),
        (MCP(gamma=1e10), L1(), 1e-8),
        (SCAD(gamma=1e10), L1(), 1e-8),
        (Lq(q=1 - 1e-9), L1(), 1e-6),
        (Lq(q=1e-9), L0(), 1e-6),
    ],
    ids=repr,
)
def test_limits(penalty, limit, rtol):
    z, step, _ = sample(penalty)
    z = z[np.abs(z) > 0]
    step = step[: z.size]
    weights = np.full(z.size, 0.9)
    ours = penalty.prox(z, step, bind(penalty, 1.0, weights))
    theirs = limit.prox(z, step, bind(limit, 1.0, weights))
    np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=10 * rtol)
    np.testing.assert_allclose(
        penalty.values(z, bind(penalty, 1.0, weights)), limit.values(z, bind(limit, 1.0, weights)), rtol=10 * rtol
    )


def test_ridge_end_of_the_elastic_net():
    pen = bind(ElasticNet(l1_ratio=0.0), 2.0, np.ones(3))
    np.testing.assert_allclose(ElasticNet(l1_ratio=0.0).prox(np.array([-3.0, 0.1, 6.0]), 1.0, pen), [-1, 0.1 / 3, 2])


@pytest.mark.parametrize("penalty, z", [(L0(), 2.0), (CEL0(), 2.0), (L1(), 1.0), (Lq(), 1.5)], ids=repr)
def test_ties_go_to_zero(penalty, z):
    strength = 2.0 if penalty.name in ("l0", "cel0") else 1.0
    pen = bind(penalty, strength, np.ones(2))
    np.testing.assert_array_equal(penalty.prox(np.array([z, -z]), 1.0, pen), 0)
    assert penalty.leaves["prox"](z, 1.0, 0, pen) == penalty.leaves["prox"](-z, 1.0, 0, pen) == 0
    assert np.all(penalty.prox(np.array([1.001 * z, -1.001 * z]), 1.0, pen) != 0)


@given(power=st.integers(-6, 6), z=st.floats(-10, 10), strength=st.floats(0.01, 3), step=st.floats(0.05, 20))
def test_prox_scales_with_its_units(power, z, strength, step):
    """y * c rescales coefficients by c: phi scales as its formula says, so the prox scales exactly."""
    c = 2.0 ** (4 * power)
    for penalty, factor in ((L1(), c), (MCP(), c), (SCAD(), c), (L0(), c * c), (CEL0(), c * c)):
        one = penalty.prox(np.array([z]), step, bind(penalty, strength, [1.0], curvature=0.4))
        scaled = penalty.prox(np.array([c * z]), step, bind(penalty, strength * factor, [1.0], curvature=0.4))
        assume(abs(z) == 0 or abs(z) > 1e-100)
        np.testing.assert_allclose(scaled, c * one, rtol=1e-14)


# ------------------------------------------------------------------------------------------------ objects and names


@pytest.mark.parametrize(
    "penalty, parameter",
    [
        (ElasticNet(l1_ratio=-0.1), "l1_ratio"),
        (ElasticNet(l1_ratio=1.1), "l1_ratio"),
        (MCP(gamma=1.0), "gamma"),
        (MCP(gamma=np.inf), "gamma"),
        (SCAD(gamma=2.0), "gamma"),
        (SCAD(gamma=np.nan), "gamma"),
        (LogSum(eps=0.0), "eps"),
        (Lq(q=0.0), "q"),
        (Lq(q=1.0), "q"),
    ],
    ids=repr,
)
def test_shape_parameters_are_checked_when_bound(penalty, parameter):
    with pytest.raises(ValueError, match=rf"^{parameter} must be .*; got "):
        bind(penalty, 1.0, np.ones(1))


@every_penalty
def test_objects_are_values(penalty):
    from sklearn.base import clone

    for copy in (clone(penalty), eval(repr(penalty)), pickle.loads(pickle.dumps(penalty))):
        assert copy == penalty and copy.get_params() == penalty.get_params() and copy is not penalty


@every_penalty
def test_restrict_commutes_with_the_penalty(penalty):
    z, step, pen = sample(penalty)
    index = np.array([5, 17, 2])
    part = restrict(pen, index)
    assert type(part) is type(pen)
    np.testing.assert_array_equal(penalty.prox(z[index], step[index], part), penalty.prox(z, step, pen)[index])
    np.testing.assert_array_equal(penalty.values(z[index], restrict(pen, index)), penalty.values(z, pen)[index])


def test_every_registered_penalty_is_under_contract():
    assert {penalty.name for penalty in SETTINGS} == set(PENALTIES)
    for name, penalty in PENALTIES.items():
        assert issubclass(penalty, SeparablePenalty) and penalty.name == name and get_penalty(name) == penalty()


def test_get_penalty():
    assert get_penalty("scad", gamma=2.5, q=0.3, eps=None, l1_ratio=None) == SCAD(gamma=2.5)
    assert get_penalty("lq", gamma=None, q=0.3) == Lq(q=0.3)
    assert get_penalty("elastic_net", l1_ratio=0.0) == ElasticNet(l1_ratio=0.0)
    assert get_penalty("mcp", gamma=None) == MCP()
    own = MCP(gamma=9.0)
    assert get_penalty(own, gamma=2.0) is own
    for unknown in ("lasso", None, MCP, ["l1"]):
        with pytest.raises(ValueError, match=r"penalty must be .*'l1', 'elastic_net', 'mcp'"):
            get_penalty(unknown)


def test_import_is_light():
    code = "import sys, skreg.penalties; print([m for m in ('numba', 'scipy', 'sklearn') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
