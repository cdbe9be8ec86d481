"""Every penalty in its settings, and an oracle.

The oracle is `TEXTBOOK`: each penalty as an integral of its slope or as a plain formula, in extended precision, and a
search over all x for the prox. Nothing here uses the closed forms under test.
"""

import numpy as np
import pytest

from skreg.penalties import CEL0, L0, L1, MCP, SCAD, ElasticNet, LogSum, Lq

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


def sample(penalty, seed=2, size=400, xp=np):
    rng = np.random.default_rng(seed)
    weights = np.where(rng.random(size) < 0.1, 0.0, rng.uniform(0.1, 3, size))
    lower = np.where(rng.random(size) < 0.5, -np.inf, -rng.exponential(2, size))
    upper = np.where(rng.random(size) < 0.5, np.inf, rng.exponential(2, size))
    z, step = rng.standard_normal(size) * 4, np.exp(rng.uniform(-3, 3, size))
    z[:3] = 0.0
    pen = bind(penalty, 0.8, weights, lower, upper, rng.uniform(0.05, 2, size), xp=xp)
    return xp.asarray(z), xp.asarray(step), pen
