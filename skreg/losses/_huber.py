"""Huber's loss."""

from numbers import Real

import numpy as np

from skreg.losses._base import Loss
from skreg.losses._numerics import require_finite, unless
from skreg.losses._piecewise import piecewise_linear_zero


class Huber(Loss):
    r"""Huber's loss, for a real target with outliers.

    .. math::
        \ell(y, \eta) = \begin{cases} r^2 / 2 & |r| \le \delta \\
        \delta |r| - \delta^2 / 2 & \text{otherwise} \end{cases}, \qquad r = y - \eta

    Parameters
    ----------
    delta : float, default=1.35
        Residual at which the loss turns from square to linear, in the units of y; positive. At 1.35 standard
        deviations of Gaussian noise the estimate is 95 % efficient.

    Notes
    -----
    With :math:`c = \min(\max(r, -\delta), \delta)` the loss is :math:`c (r - c / 2)` and its gradient :math:`-c`. The
    curvature is 1 where :math:`|r| \le \delta` and 0 elsewhere. The conjugate is :math:`u^2 / 2 + u y` on
    :math:`|u| \le \delta`. The null intercept is exact; where a whole interval is optimal it is the interval's middle.

    References
    ----------
    Huber, "Robust Estimation of a Location Parameter", Ann. Math. Statist. 35 (1964), section 4.

    Examples
    --------
    >>> import numpy as np
    >>> from skreg.losses import Huber
    >>> Huber(delta=1.0).value(np.array([0.0, 0.0]), np.array([1.0, 10.0]))
    array([0.5, 9.5])
    """

    name = "huber"
    curvature_bound = 1.0
    piecewise = True

    def __init__(self, delta=1.35):
        self.delta = delta

    def _clipped_residual(self, r, xp):
        delta = float(self.delta)
        return xp.clip(r, -delta, delta)

    def value(self, y, eta, xp=np):
        """Loss of each sample, shape (n_samples,)."""
        r = y - eta
        c = self._clipped_residual(r, xp)
        return c * (r - 0.5 * c)

    def gradient(self, y, eta, xp=np):
        """The residual ``eta - y``, clipped at ``-delta`` and ``delta``."""
        return self._clipped_residual(eta - y, xp)

    def curvature(self, y, eta, xp=np):
        """1 where ``|y - eta| <= delta``, else 0."""
        return xp.astype(xp.abs(y - eta) <= float(self.delta), eta.dtype)

    def conjugate(self, y, u, xp=np):
        """``u**2 / 2 + u * y``, inf where ``|u| > delta``."""
        return unless(xp.abs(u) > float(self.delta), u * (0.5 * u + y), xp)

    def infimum(self, y, xp=np):
        """Zeros."""
        return xp.zeros_like(y)

    def check_target(self, y):
        """Raise ValueError where `y` is not finite, or `delta` not positive."""
        if not (isinstance(self.delta, Real) and 0 < self.delta < np.inf):
            raise ValueError(f"delta of the Huber loss must be positive and finite; got {self.delta!r}.")
        require_finite(y, "Huber")

    def null_intercept(self, y, weight, offset=None, xp=np):
        """Weighted M-estimate of location of ``y - offset``."""
        z = y if offset is None else y - offset

        def slope(b):
            return float(xp.sum(weight * self._clipped_residual(b - z, xp)))

        def curvature(b):
            return float(xp.sum(xp.where(xp.abs(z - b) <= float(self.delta), weight, xp.zeros_like(weight))))

        return piecewise_linear_zero(slope, curvature, xp.concat([z - float(self.delta), z + float(self.delta)]), xp)
