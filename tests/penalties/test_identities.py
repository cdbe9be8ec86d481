"""Identities between penalties, and their limits."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from skreg.penalties import CEL0, L0, L1, MCP, SCAD, ElasticNet, Lq
from skreg.penalties._base import SeparablePenalty
from tests.penalties._textbook import bind, sample


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


@pytest.mark.parametrize("curvature", [np.ones(1), np.linspace(0.1, 3.0, 200)], ids=["one", "each"])
def test_violation_of_the_l1_norm_looks_at_every_coordinate_that_may_move(curvature):
    rng = np.random.default_rng(0)
    w, grad = np.where(rng.random(200) < 0.2, rng.standard_normal(200), 0.0), rng.standard_normal(200)
    lower, upper = np.where(np.arange(200) % 3, -np.inf, 0.0), np.where(np.arange(200) % 4, np.inf, 5.0)
    pen = L1().bind(0.8, rng.random(200), lower, upper, None)
    everywhere = SeparablePenalty.violation(L1(), w, grad, curvature, pen)
    np.testing.assert_allclose(L1().violation(w, grad, curvature, pen), everywhere, atol=1e-15)
    grad[5] = np.nan
    assert np.isnan(L1().violation(w, grad, curvature, pen)[5])
    assert np.isnan(L1().dual_scale(-grad, w, pen))
