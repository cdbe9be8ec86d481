"""Powers between the L0 and the L1 penalty."""

import math
from typing import NamedTuple

import numpy as np

from skreg.penalties._base import SeparablePenalty


class LqParams(NamedTuple):
    """An Lq penalty bound to a problem."""

    alpha: float
    weights: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    q: float


def lq_prox(z, step, j, pen):
    """0 up to the threshold, then the larger root of x + s * q * x**(q - 1) = abs(z), s = step * alpha_j."""
    q = pen.q
    s = step * (pen.alpha * pen.weights[j])
    if s == 0:
        return z
    m = abs(z)
    least = (2.0 * s * (1.0 - q)) ** (1.0 / (2.0 - q))
    if m <= least * (2.0 - q) / (2.0 * (1.0 - q)):
        return 0.0
    if q == 0.5:
        angle = math.acos(-1.299038105676658 * s / (m * math.sqrt(m)))  # 3**1.5 / 4
        x = m * (2.0 / 3.0) * (1.0 + math.cos(angle * (2.0 / 3.0)))
        return math.copysign(x, z)
    x = m
    for _ in range(20):
        slope = s * q * x ** (q - 1.0)
        lower = max(x - (x - m + slope) / (1.0 - (1.0 - q) * slope / x), least)
        if lower >= x:
            break
        x = lower
    return math.copysign(x, z)


def lq_value(x, j, pen):
    """alpha_j * abs(x)**q."""
    return pen.alpha * pen.weights[j] * abs(x) ** pen.q


class Lq(SeparablePenalty):
    r"""A power of the absolute value between L0 (q towards 0) and L1 (q towards 1).

    .. math:: \phi_j(w) = \alpha_j |w|^q, \qquad \alpha_j = \alpha v_j

    Parameters
    ----------
    q : float, default=0.5
        The power, above 0 and below 1.

    Notes
    -----
    With :math:`s = \text{step} \cdot \alpha_j` the least non-zero value of the prox is
    :math:`h = (2 s (1 - q))^{1 / (2 - q)}`, taken at the threshold :math:`|z| = h (2 - q) / (2 (1 - q))`, below which
    the prox is 0. Above, it is the larger root of :math:`x + s q x^{q - 1} = |z|`: for q = 1/2 in closed form,

    .. math:: x = \tfrac23 |z| \left(1 + \cos\left(\tfrac23
              \arccos\left(-\tfrac{3^{3/2}}{4} s |z|^{-3/2}\right)\right)\right),

    else by Newton's method from :math:`|z|`, which falls monotonically to the root since the left-hand side is convex
    with slope between 1 - q/2 and 1 on the way.

    References
    ----------
    .. [1] Z. Xu, X. Chang, F. Xu and H. Zhang (2012), L1/2 regularization: a thresholding representation theory and a
       fast solver. IEEE Transactions on Neural Networks and Learning Systems 23(7), 1013-1027.
    .. [2] G. Marjanovic and V. Solo (2012), On lq optimization and matrix completion. IEEE Transactions on Signal
       Processing 60(11), 5714-5724.

    Examples
    --------
    >>> import numpy as np
    >>> from skreg.penalties import Lq
    >>> free = np.full(3, np.inf)
    >>> penalty = Lq(q=0.5)
    >>> pen = penalty.bind(alpha=1.0, weights=np.ones(3), lower=-free, upper=free, curvature=np.ones(3))
    >>> penalty.prox(np.array([-3.0, 1.0, 1.5]), 1.0, pen).round(3)
    array([-2.695,  0.   ,  0.   ])
    """

    name = "lq"
    leaves = {"prox": lq_prox, "value": lq_value}

    def __init__(self, q=0.5):
        self.q = q

    def bind(self, alpha, weights, lower, upper, curvature):
        """Join shape, strength, weights and bounds; ValueError unless 0 < q < 1."""
        if not 0 < self.q < 1:
            raise ValueError(f"q must be above 0 and below 1 for the Lq penalty; got {self.q!r}.")
        return LqParams(float(alpha), weights, lower, upper, float(self.q))

    def values(self, w, pen, xp=np):
        return pen.alpha * pen.weights * xp.abs(w) ** pen.q

    def free_prox(self, z, step, pen, xp=np):
        q = pen.q
        zero, one = xp.zeros_like(z), xp.ones_like(z)
        s = step * (pen.alpha * pen.weights)
        least = (2.0 * s * (1.0 - q)) ** (1.0 / (2.0 - q))
        beyond = (xp.abs(z) > least * (2.0 - q) / (2.0 * (1.0 - q))) & (s > 0)
        m, s_beyond = xp.where(beyond, xp.abs(z), one), xp.where(beyond, s, zero)
        if q == 0.5:
            angle = xp.acos(-1.299038105676658 * s_beyond / (m * xp.sqrt(m)))
            x = m * (2.0 / 3.0) * (1.0 + xp.cos(angle * (2.0 / 3.0)))
        else:
            x = m
            for _ in range(10):
                slope = s_beyond * q * x ** (q - 1.0)
                lower = xp.maximum(x - (x - m + slope) / (1.0 - (1.0 - q) * slope / x), least)
                x = xp.minimum(x, lower)
        return xp.where(s == 0, z, xp.sign(z) * xp.where(beyond, x, zero))

    def derivative(self, w, pen, xp=np):
        size = xp.where(w != 0, xp.abs(w), xp.ones_like(w))
        return pen.alpha * pen.weights * pen.q * xp.sign(w) * size ** (pen.q - 1.0)

    def second_derivative(self, w, pen, xp=np):
        size = xp.where(w != 0, xp.abs(w), xp.ones_like(w))
        return xp.where(
            w != 0, pen.alpha * pen.weights * pen.q * (pen.q - 1.0) * size ** (pen.q - 2.0), xp.zeros_like(w)
        )

    def _emptying_strength(self, slope, L):
        least = slope / L * 2.0 * (1.0 - self.q) / (2.0 - self.q)
        return L * least ** (2.0 - self.q) / (2.0 * (1.0 - self.q))
