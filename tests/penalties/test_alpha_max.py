"""The contract of every penalty: the strength that empties the model."""

import numpy as np
import pytest

from skreg.penalties import CEL0, L0, L1, MCP, ElasticNet, Lq
from tests.penalties._textbook import SETTINGS


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
