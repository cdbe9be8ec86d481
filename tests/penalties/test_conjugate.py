"""The contract of every convex penalty: conjugate and dual scaling."""

import numpy as np
import pytest

from skreg.penalties import L1, ElasticNet
from tests.penalties._textbook import bind, every_convex, phi, sample, search


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
