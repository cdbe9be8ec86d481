"""The continuous exact L0 penalty."""

import math
from typing import NamedTuple

import numpy as np

from skreg.penalties._base import SeparablePenalty


class CEL0Params(NamedTuple):
    """A CEL0 penalty bound to a problem; `curvature` is the mean square of each column."""

    alpha: float
    weights: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    curvature: np.ndarray


def cel0_prox(z, step, j, pen):
    """Firm threshold for a_j**2 * step < 1, hard threshold beyond."""
    strength = pen.alpha * pen.weights[j]
    size = abs(z)
    shrink = 1.0 - pen.curvature[j] * step
    if shrink > 0:
        excess = size - step * math.sqrt(2.0 * strength * pen.curvature[j])
        if excess <= 0:
            return 0.0
        return math.copysign(min(size, excess / shrink), z)
    return z if size > math.sqrt(2.0 * step * strength) else 0.0


def cel0_value(x, j, pen):
    """The L0 penalty's convex envelope beside the squared loss of column j alone."""
    top = math.sqrt(2.0 * (pen.alpha * pen.weights[j]))
    t = min(math.sqrt(pen.curvature[j]) * abs(x), top)
    return t * (top - 0.5 * t)


class CEL0(SeparablePenalty):
    r"""The continuous exact L0 penalty: the L0 penalty with the fewest local minima that squared loss allows.

    .. math:: \phi_j(w) = \lambda - \tfrac12 \left( \sqrt{2 \lambda} - a_j |w| \right)_+^2,
              \qquad \lambda = \alpha v_j,\ a_j^2 = \tfrac1S \sum_i s_i x_{ij}^2

    Notes
    -----
    The prox at step s is the firm threshold
    :math:`\mathrm{sign}(z) \min(|z|, (|z| - s a_j \sqrt{2 \lambda})_+ / (1 - a_j^2 s))` for :math:`a_j^2 s < 1`, and
    the hard threshold of the L0 penalty, at :math:`\sqrt{2 s \lambda}`, beyond.

    It is MCP with :math:`\alpha_j = a_j \sqrt{2 \lambda}` and :math:`\gamma = 1 / a_j^2`. Coordinate descent on
    squared loss has :math:`s = 1 / a_j^2`, so there it coincides with L0; full-gradient methods take shorter steps,
    and there it keeps the global minimisers of L0 and loses some of the local ones. A column of zeros is not
    penalised.

    References
    ----------
    .. [1] E. Soubies, L. Blanc-Feraud and G. Aubert (2015), A continuous exact l0 penalty (CEL0) for least squares
       regularized problem. SIAM Journal on Imaging Sciences 8(3), 1607-1639.

    Examples
    --------
    >>> import numpy as np
    >>> from skreg.penalties import CEL0
    >>> free = np.full(3, np.inf)
    >>> pen = CEL0().bind(alpha=2.0, weights=np.ones(3), lower=-free, upper=free, curvature=np.ones(3))
    >>> CEL0().prox(np.array([-3.0, 0.5, 1.5]), 0.5, pen)
    array([-3.,  0.,  1.])
    """

    name = "cel0"
    leaves = {"prox": cel0_prox, "value": cel0_value}

    def bind(self, alpha, weights, lower, upper, curvature):
        """Join strength, weights, bounds and the columns' mean squares."""
        return CEL0Params(float(alpha), weights, lower, upper, curvature)

    def values(self, w, pen, xp=np):
        top = xp.sqrt(2.0 * (pen.alpha * pen.weights))
        t = xp.minimum(xp.sqrt(pen.curvature) * xp.abs(w), top)
        return t * (top - 0.5 * t)

    def free_prox(self, z, step, pen, xp=np):
        strength = pen.alpha * pen.weights
        zero, one = xp.zeros_like(z), xp.ones_like(z)
        size = xp.abs(z)
        shrink = 1.0 - pen.curvature * step
        excess = xp.maximum(size - step * xp.sqrt(2.0 * strength * pen.curvature), zero)
        firm = xp.minimum(size, excess / xp.where(shrink > 0, shrink, one))
        hard = xp.where(size > xp.sqrt(2.0 * step * strength), size, zero)
        return xp.sign(z) * xp.where(shrink > 0, firm, hard)

    def derivative(self, w, pen, xp=np):
        a = xp.sqrt(pen.curvature)
        return xp.sign(w) * a * xp.maximum(xp.sqrt(2.0 * pen.alpha * pen.weights) - a * xp.abs(w), 0.0)

    def second_derivative(self, w, pen, xp=np):
        curved = (w != 0) & (xp.sqrt(pen.curvature) * xp.abs(w) < xp.sqrt(2.0 * pen.alpha * pen.weights))
        zero = xp.zeros_like(w)
        return xp.where(curved, zero + (-pen.curvature), zero)

    def _emptying_strength(self, slope, L):
        return slope * slope / (2.0 * L)
