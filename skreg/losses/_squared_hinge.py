"""The squared hinge loss."""

import numpy as np

from skreg.losses._base import Loss
from skreg.losses._numerics import require_binary, unless
from skreg.losses._piecewise import piecewise_linear_zero


class SquaredHinge(Loss):
    r"""Squared hinge loss, for a class 0 or 1: the linear support vector machine with squared slack.

    .. math:: \ell(y, \eta) = \max(0, 1 - t \eta)^2, \qquad t = 2 y - 1

    Notes
    -----
    There is no half before the square, as in scikit-learn's LinearSVC. The model has no probabilities: `inverse_link`
    returns `eta` itself, whose sign is the class. The conjugate is :math:`t u + u^2 / 4` on :math:`t u \le 0`. The
    null intercept is exact; where a whole interval is optimal it is the interval's middle, or its finite end.

    References
    ----------
    Chang, Hsieh, Lin, "Coordinate Descent Method for Large-scale L2-loss Linear Support Vector Machines",
    JMLR 9 (2008), section 1.

    Examples
    --------
    >>> import numpy as np
    >>> from skreg.losses import SquaredHinge
    >>> SquaredHinge().value(np.array([1.0, 1.0, 0.0]), np.array([2.0, 0.5, 1.0]))
    array([0.  , 0.25, 4.  ])
    """

    name = "squared_hinge"
    classifier = True
    unit_dispersion = True
    curvature_bound = 2.0
    piecewise = True

    def value(self, y, eta, xp=np):
        """Loss of each sample, shape (n_samples,)."""
        return xp.clip(1 - (2 * y - 1) * eta, 0.0, None) ** 2

    def gradient(self, y, eta, xp=np):
        """``-2 * t * max(0, 1 - t * eta)``."""
        t = 2 * y - 1
        return -2 * t * xp.clip(1 - t * eta, 0.0, None)

    def curvature(self, y, eta, xp=np):
        """2 where the margin ``t * eta`` is below 1, else 0."""
        return 2 * xp.astype((2 * y - 1) * eta < 1, eta.dtype)

    def conjugate(self, y, u, xp=np):
        """``t * u + u**2 / 4``, inf where ``t * u > 0``."""
        v = (2 * y - 1) * u
        return unless(v > 0, v * (1 + 0.25 * v), xp)

    def infimum(self, y, xp=np):
        """Zeros."""
        return xp.zeros_like(y)

    def check_target(self, y):
        """Raise ValueError where `y` holds anything but 0 and 1."""
        require_binary(y, "squared hinge")

    def null_intercept(self, y, weight, offset=None, xp=np):
        """Weighted mean of ``t``; where there is an offset, the exact zero of the piecewise linear derivative."""
        if offset is None:
            return float(xp.sum(weight * (2 * y - 1))) / float(xp.sum(weight))
        kept = weight > 0
        y, w, offset = y[kept], weight[kept], offset[kept]

        def slope(b):
            return float(xp.sum(w * self.gradient(y, offset + b, xp)))

        def curvature(b):
            return float(xp.sum(w * self.curvature(y, offset + b, xp)))

        return piecewise_linear_zero(slope, curvature, (2 * y - 1) - offset, xp)
