"""The smoothly clipped absolute deviation."""

import math
from typing import NamedTuple

import numpy as np

from skreg.penalties._base import SeparablePenalty


class SCADParams(NamedTuple):
    """A SCAD penalty bound to a problem."""

    alpha: float
    weights: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    gamma: float


def scad_prox(z, step, j, pen):
    """Soft threshold, blend, identity for step < gamma - 1; beyond, the better of soft threshold and identity."""
    gamma = pen.gamma
    a = pen.alpha * pen.weights[j]
    size = abs(z)
    near = max(size - step * a, 0.0)
    room = gamma - 1.0 - step
    if size > gamma * a:
        x = size
        if room <= 0:
            bound = pen.upper[j] if z > 0 else -pen.lower[j]
            near = min(min(near, a), bound)
            far = min(size, bound)
            m = min(far, gamma * a)
            rise = a * (m - near)
            if m > a:
                rise -= (m - a) * (m - a) / (2.0 * (gamma - 1.0))
            x = far if rise < (far - near) * (size - 0.5 * (far + near)) / step else near
    elif room > 0 and size > a * (1.0 + step):
        x = min(size, a + (size - a * (1.0 + step)) * (gamma - 1.0) / room)
    else:
        x = near
    return math.copysign(x, z)


def scad_value(x, j, pen):
    """Slope alpha_j up to alpha_j, then falling to 0 at gamma * alpha_j."""
    a = pen.alpha * pen.weights[j]
    m = min(abs(x), pen.gamma * a)
    beyond = max(m - a, 0.0)
    return a * m - beyond * beyond / (2.0 * (pen.gamma - 1.0))


class SCAD(SeparablePenalty):
    r"""The smoothly clipped absolute deviation.

    .. math:: \phi_j(w) = \int_0^{|w|} \min\left(\alpha_j, \frac{(\gamma \alpha_j - t)_+}{\gamma - 1}\right) dt
              = \alpha_j m - \frac{(m - \alpha_j)_+^2}{2 (\gamma - 1)},
              \qquad m = \min(|w|, \gamma \alpha_j),\ \alpha_j = \alpha v_j

    Parameters
    ----------
    gamma : float, default=3.7
        Where the penalty levels off, in units of alpha; above 2. Towards infinity it becomes the L1 norm.

    Notes
    -----
    The prox at step :math:`s < \gamma - 1`, for :math:`z \ge 0`, is :math:`(z - s \alpha_j)_+` up to
    :math:`z = (1 + s) \alpha_j`, z itself from :math:`\gamma \alpha_j`, and linear between.

    At longer steps the objective is concave on :math:`[\alpha_j, \gamma \alpha_j]` and may have two minima, the
    soft threshold cut at :math:`\alpha_j` and z itself, which are compared. Both may be positive, so the choice
    depends on the bounds; for this penalty the scalar face and `free_prox` compare the two after clipping.

    References
    ----------
    .. [1] J. Fan and R. Li (2001), Variable selection via nonconcave penalized likelihood and its oracle properties.
       JASA 96(456), 1348-1360.

    Examples
    --------
    >>> import numpy as np
    >>> from skreg.penalties import SCAD
    >>> free = np.full(4, np.inf)
    >>> penalty = SCAD(gamma=3.0)
    >>> pen = penalty.bind(alpha=1.0, weights=np.ones(4), lower=-free, upper=free, curvature=np.ones(4))
    >>> penalty.prox(np.array([-4.0, 0.5, 1.5, 2.5]), 1.0, pen)
    array([-4. ,  0. ,  0.5,  2. ])
    """

    name = "scad"
    leaves = {"prox": scad_prox, "value": scad_value}

    def __init__(self, gamma=3.7):
        self.gamma = gamma

    def bind(self, alpha, weights, lower, upper, curvature):
        """Join shape, strength, weights and bounds; ValueError unless gamma > 2."""
        if not 2 < self.gamma < math.inf:
            raise ValueError(f"gamma must be a finite number above 2 for SCAD; got {self.gamma!r}.")
        return SCADParams(float(alpha), weights, lower, upper, float(self.gamma))

    def values(self, w, pen, xp=np):
        a = pen.alpha * pen.weights
        m = xp.minimum(xp.abs(w), pen.gamma * a)
        beyond = xp.maximum(m - a, xp.zeros_like(w))
        return a * m - beyond * beyond / (2.0 * (pen.gamma - 1.0))

    def free_prox(self, z, step, pen, xp=np):
        gamma = pen.gamma
        a = pen.alpha * pen.weights
        zero, one = xp.zeros_like(z), xp.ones_like(z)
        size = xp.abs(z)
        near = xp.maximum(size - step * a, zero)
        room = gamma - 1.0 - step * one
        blend = a + (size - a * (1.0 + step)) * (gamma - 1.0) / xp.where(room > 0, room, one)
        blend = xp.where(size > a * (1.0 + step), xp.minimum(size, blend), near)
        short_step = xp.where(size > gamma * a, size, blend)

        bound = xp.where(z > 0, pen.upper, -pen.lower)
        near_cut = xp.minimum(xp.minimum(near, a), bound)
        far = xp.minimum(size, bound)
        m = xp.minimum(far, gamma * a)
        beyond = xp.maximum(m - a, zero)
        rise = a * (m - near_cut) - beyond * beyond / (2.0 * (gamma - 1.0))
        far_wins = rise < (far - near_cut) * (size - 0.5 * (far + near_cut)) / step
        long_step = xp.where(size > gamma * a, xp.where(far_wins, far, near_cut), near)
        return xp.sign(z) * xp.where(room > 0, short_step, long_step)

    def derivative(self, w, pen, xp=np):
        a = pen.alpha * pen.weights
        return xp.sign(w) * xp.minimum(a, xp.maximum(pen.gamma * a - xp.abs(w), 0.0) / (pen.gamma - 1.0))

    def second_derivative(self, w, pen, xp=np):
        a = pen.alpha * pen.weights
        curved = (xp.abs(w) > a) & (xp.abs(w) < pen.gamma * a)
        zero = xp.zeros_like(w)
        return xp.where(curved, zero + (-1.0 / (pen.gamma - 1.0)), zero)

    def _emptying_strength(self, slope, L):
        return slope / np.minimum(1.0, np.sqrt((self.gamma + 1.0) * L))
