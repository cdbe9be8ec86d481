"""The minimax concave penalty."""

import math
from typing import NamedTuple

import numpy as np

from skreg.penalties._base import SeparablePenalty


class MCPParams(NamedTuple):
    """An MCP bound to a problem."""

    alpha: float
    weights: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    gamma: float


def mcp_prox(z, step, j, pen):
    """Firm threshold for step < gamma, hard threshold beyond."""
    strength = pen.alpha * pen.weights[j]
    size = abs(z)
    shrink = 1.0 - step / pen.gamma
    if shrink > 0:
        excess = size - step * strength
        if excess <= 0:
            return 0.0
        return math.copysign(min(size, excess / shrink), z)
    return z if size > strength * math.sqrt(step * pen.gamma) else 0.0


def mcp_value(x, j, pen):
    """Integral of (alpha_j - t / gamma)_+ from 0 to abs(x)."""
    strength = pen.alpha * pen.weights[j]
    m = min(abs(x), pen.gamma * strength)
    return m * (strength - m / (2.0 * pen.gamma))


class MCP(SeparablePenalty):
    r"""The minimax concave penalty.

    .. math:: \phi_j(w) = \int_0^{|w|} (\alpha_j - t / \gamma)_+ \, dt
              = \begin{cases} \alpha_j |w| - w^2 / (2 \gamma) & |w| \le \gamma \alpha_j \\
                              \gamma \alpha_j^2 / 2 & \text{otherwise} \end{cases},
              \qquad \alpha_j = \alpha v_j

    Parameters
    ----------
    gamma : float, default=3.0
        Where the penalty levels off, in units of alpha; above 1. Towards infinity it becomes the L1 norm.

    Notes
    -----
    The prox at step :math:`s < \gamma` is the firm threshold,
    :math:`\mathrm{sign}(z) \min(|z|, (|z| - s \alpha_j)_+ / (1 - s / \gamma))`. At longer steps the objective is
    concave up to :math:`\gamma \alpha_j`, and z competes with 0: it wins if :math:`|z| > \alpha_j \sqrt{s \gamma}`.

    References
    ----------
    .. [1] C.-H. Zhang (2010), Nearly unbiased variable selection under minimax concave penalty. Annals of Statistics
       38(2), 894-942.

    Examples
    --------
    >>> import numpy as np
    >>> from skreg.penalties import MCP
    >>> free = np.full(3, np.inf)
    >>> penalty = MCP(gamma=2.0)
    >>> pen = penalty.bind(alpha=1.0, weights=np.ones(3), lower=-free, upper=free, curvature=np.ones(3))
    >>> penalty.prox(np.array([-3.0, 0.5, 1.5]), 1.0, pen)
    array([-3.,  0.,  1.])
    """

    name = "mcp"
    leaves = {"prox": mcp_prox, "value": mcp_value}

    def __init__(self, gamma=3.0):
        self.gamma = gamma

    def bind(self, alpha, weights, lower, upper, curvature):
        """Join shape, strength, weights and bounds; ValueError unless gamma > 1."""
        if not 1 < self.gamma < math.inf:
            raise ValueError(f"gamma must be a finite number above 1 for MCP; got {self.gamma!r}.")
        return MCPParams(float(alpha), weights, lower, upper, float(self.gamma))

    def values(self, w, pen, xp=np):
        strength = pen.alpha * pen.weights
        m = xp.minimum(xp.abs(w), pen.gamma * strength)
        return m * (strength - m / (2.0 * pen.gamma))

    def free_prox(self, z, step, pen, xp=np):
        strength = pen.alpha * pen.weights
        zero, one = xp.zeros_like(z), xp.ones_like(z)
        size = xp.abs(z)
        shrink = 1.0 - (step * one) / pen.gamma
        excess = xp.maximum(size - step * strength, zero)
        firm = xp.minimum(size, excess / xp.where(shrink > 0, shrink, one))
        hard = xp.where(size > strength * xp.sqrt(step * one * pen.gamma), size, zero)
        return xp.sign(z) * xp.where(shrink > 0, firm, hard)

    def derivative(self, w, pen, xp=np):
        return xp.sign(w) * xp.maximum(pen.alpha * pen.weights - xp.abs(w) / pen.gamma, 0.0)

    def second_derivative(self, w, pen, xp=np):
        curved = (w != 0) & (xp.abs(w) < pen.gamma * pen.alpha * pen.weights)
        zero = xp.zeros_like(w)
        return xp.where(curved, zero + (-1.0 / pen.gamma), zero)

    def _emptying_strength(self, slope, L):
        return slope / np.minimum(1.0, np.sqrt(self.gamma * L))
