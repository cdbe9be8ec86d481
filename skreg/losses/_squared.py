"""The squared loss."""

import numpy as np

from skreg.losses._base import Loss
from skreg.losses._numerics import require_finite


class Squared(Loss):
    r"""Squared loss, for a real target.

    .. math:: \ell(y, \eta) = \tfrac{1}{2} (y - \eta)^2

    Notes
    -----
    The conjugate is :math:`u^2 / 2 + u y`; the null intercept is the weighted mean of ``y - offset``.

    References
    ----------
    Hastie, Tibshirani, Friedman, "The Elements of Statistical Learning" (2009), section 3.2.

    Examples
    --------
    >>> import numpy as np
    >>> from skreg.losses import Squared
    >>> Squared().value(np.array([1.0, 2.0]), np.array([0.0, 2.0]))
    array([0.5, 0. ])
    """

    name = "squared"
    quadratic = True
    curvature_bound = 1.0

    def value(self, y, eta, xp=np):
        """Loss of each sample, shape (n_samples,)."""
        return 0.5 * (y - eta) ** 2

    def gradient(self, y, eta, xp=np):
        """``eta - y``."""
        return eta - y

    def curvature(self, y, eta, xp=np):
        """Ones."""
        return xp.ones_like(eta)

    def conjugate(self, y, u, xp=np):
        """``u**2 / 2 + u * y``."""
        return u * (0.5 * u + y)

    def infimum(self, y, xp=np):
        """Zeros."""
        return xp.zeros_like(y)

    def check_target(self, y):
        """Raise ValueError where `y` is not finite."""
        require_finite(y, "squared")

    def null_intercept(self, y, weight, offset=None, xp=np):
        """Weighted mean of ``y - offset``."""
        z = y if offset is None else y - offset
        total = float(xp.sum(weight))
        mean = float(xp.sum(weight * z)) / total
        return mean + float(xp.sum(weight * (z - mean))) / total  # the second pass makes a constant exact
