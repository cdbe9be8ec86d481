"""The contract of every penalty: values, proximal operators, violations and derivatives."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skreg.penalties import L1, SCAD
from tests.penalties._textbook import bind, every_penalty, phi, sample, search


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
