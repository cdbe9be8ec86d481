"""The log-sum penalty."""

import math
from typing import NamedTuple

import numpy as np

from skreg.penalties._base import SeparablePenalty


class LogSumParams(NamedTuple):
    """A log-sum penalty bound to a problem."""

    alpha: float
    weights: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    eps: float


def log_sum_prox(z, step, j, pen):
    """Larger root of (m - x) * (x + eps) = step * alpha_j, m = abs(z), where it beats 0."""
    eps = pen.eps
    s = step * (pen.alpha * pen.weights[j])
    if s == 0:
        return z
    m = abs(z)
    downhill = m * eps - s  # > 0: the objective falls as x leaves 0, so 0 is no minimum
    square = (m - eps) * (m - eps) + 4.0 * downhill
    if downhill <= 0 and (m <= eps or square < 0):
        return 0.0
    root = math.sqrt(max(square, 0.0))
    x = 0.5 * (m - eps + root) if m > eps else 2.0 * downhill / (eps - m + root)
    if downhill <= 0 and s * math.log1p(x / eps) >= x * (m - 0.5 * x):
        return 0.0
    return math.copysign(x, z)


def log_sum_value(x, j, pen):
    """alpha_j * log(1 + abs(x) / eps)."""
    return pen.alpha * pen.weights[j] * math.log1p(abs(x) / pen.eps)


class LogSum(SeparablePenalty):
    r"""The log-sum penalty, whose majorisation is the reweighted L1 norm.

    .. math:: \phi_j(w) = \alpha_j \log(1 + |w| / \epsilon), \qquad \alpha_j = \alpha v_j

    Parameters
    ----------
    eps : float, default=0.1
        Size at which a coefficient begins to count as large; above 0, in the units of the coefficients. Its slope at
        0 is alpha / eps, so alpha is not on the scale of the Lasso's.

    Notes
    -----
    For :math:`z > 0` and step s, stationary points solve :math:`(z - x)(x + \epsilon) = s \alpha_j`; the larger root
    :math:`x = \tfrac12 (z - \epsilon + \sqrt{(z + \epsilon)^2 - 4 s \alpha_j})` is the only possible minimum beyond
    0 and is compared with 0. For :math:`z < \epsilon` it is computed in a form that does not cancel.

    References
    ----------
    .. [1] E. J. Candes, M. B. Wakin and S. P. Boyd (2008), Enhancing sparsity by reweighted l1 minimization. Journal
       of Fourier Analysis and Applications 14, 877-905.

    Examples
    --------
    >>> import numpy as np
    >>> from skreg.penalties import LogSum
    >>> free = np.full(3, np.inf)
    >>> penalty = LogSum(eps=1.0)
    >>> pen = penalty.bind(alpha=2.0, weights=np.ones(3), lower=-free, upper=free, curvature=np.ones(3))
    >>> penalty.prox(np.array([-3.0, 1.5, 2.0]), 0.5, pen).round(3)
    array([-2.732,  1.   ,  1.618])
    """

    name = "log_sum"
    leaves = {"prox": log_sum_prox, "value": log_sum_value}

    def __init__(self, eps=0.1):
        self.eps = eps

    def bind(self, alpha, weights, lower, upper, curvature):
        """Join shape, strength, weights and bounds; ValueError unless eps > 0."""
        if not 0 < self.eps < math.inf:
            raise ValueError(f"eps must be a finite number above 0 for the log-sum penalty; got {self.eps!r}.")
        return LogSumParams(float(alpha), weights, lower, upper, float(self.eps))

    def values(self, w, pen, xp=np):
        return pen.alpha * pen.weights * xp.log1p(xp.abs(w) / pen.eps)

    def free_prox(self, z, step, pen, xp=np):
        eps = pen.eps
        s = step * (pen.alpha * pen.weights)
        zero, one = xp.zeros_like(z), xp.ones_like(z)
        m = xp.abs(z)
        downhill = m * eps - s
        square = (m - eps) * (m - eps) + 4.0 * downhill
        root = xp.sqrt(xp.maximum(square, zero))
        stationary = (downhill > 0) | ((m > eps) & (square >= 0))
        small = 2.0 * downhill / xp.where((downhill > 0) & (m <= eps), eps - m + root, one)
        x = xp.where(stationary, xp.where(m > eps, 0.5 * (m - eps + root), small), zero)
        better_than_zero = (downhill > 0) | (s * xp.log1p(x / eps) < x * (m - 0.5 * x))
        return xp.where(s == 0, z, xp.sign(z) * xp.where(better_than_zero, x, zero))

    def derivative(self, w, pen, xp=np):
        return pen.alpha * pen.weights * xp.sign(w) / (xp.abs(w) + pen.eps)

    def second_derivative(self, w, pen, xp=np):
        return xp.where(w != 0, -pen.alpha * pen.weights / (xp.abs(w) + pen.eps) ** 2, xp.zeros_like(w))

    def _emptying_strength(self, slope, L):
        # known where the objective is convex at the threshold; a transcendental equation elsewhere
        return np.where(slope <= self.eps * L, slope * self.eps, np.nan)
