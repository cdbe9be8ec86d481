"""Every loss in its settings, and data for it."""

import numpy as np
import pytest

from skreg.losses import LOSSES, Gamma, Huber, Multinomial, Poisson, SquaredHinge, Tweedie

SETTINGS = {
    "huber": [{}, {"delta": 0.1}, {"delta": 20.0}],
    "tweedie": [{"power": p} for p in (0, 1, 1.01, 1.5, 1.9, 2, 2.5, 3)],
}
ALL = [cls(**kwargs) for name, cls in LOSSES.items() for kwargs in SETTINGS.get(name, [{}])]
SCALAR = [loss for loss in ALL if not loss.multi_output]
CONVEX = [loss for loss in ALL if loss.convex]
CONVEX_SCALAR = [loss for loss in SCALAR if loss.convex]
METHODS = ("value", "gradient", "curvature")


def ids(loss):
    return repr(loss)


def over(losses):
    return pytest.mark.parametrize("loss", losses, ids=ids)


def has_zeros(loss):
    """Whether the target is non-negative with zeros allowed."""
    return isinstance(loss, Poisson) or (isinstance(loss, Tweedie) and 1 <= loss.power < 2)


def draw_target(loss, rng, n=60):
    if isinstance(loss, Multinomial):
        return np.eye(3)[np.r_[0, 1, 2, rng.integers(3, size=n - 3)]]
    if loss.classifier:
        return np.r_[0.0, 1.0, rng.integers(2, size=n - 2)]
    if has_zeros(loss):
        return np.r_[0.0, rng.gamma(1.0, 2.0, n - 1)]
    if isinstance(loss, Gamma | Tweedie) and not loss.quadratic:
        return rng.gamma(2.0, 1.0, n) + 1e-3
    return 3 * rng.standard_normal(n)


def draw(loss, seed=0, n=60):
    """Target, linear predictor, weights (one is zero) and offset."""
    rng = np.random.default_rng(seed)
    y = draw_target(loss, rng, n)
    eta = 2 * rng.standard_normal(y.shape)
    weight = rng.uniform(0.5, 2.0, n)
    weight[n // 2] = 0.0
    return y, eta, weight, rng.standard_normal(y.shape)


def away_from_kinks(loss, y, eta):
    if isinstance(loss, Huber):
        return np.abs(np.abs(y - eta) - loss.delta) > 1e-3
    if isinstance(loss, SquaredHinge):
        return np.abs(1 - (2 * y - 1) * eta) > 1e-3
    return np.ones(y.shape, dtype=bool)
