"""The gamma loss with log link."""

import math

import numpy as np

from skreg.losses._base import Loss
from skreg.losses._numerics import bounded_exp, log_max, log_weighted_sum, require_positive, unless


class Gamma(Loss):
    r"""Gamma loss with log link, for positive targets whose standard deviation grows with the mean.

    .. math:: \ell(y, \eta) = y e^{-\eta} + \eta

    Notes
    -----
    Half the gamma deviance is :math:`\ell(y, \eta) - (1 + \log y)`. With :math:`v = 1 - u` the conjugate is
    :math:`v \log(v / y) - v` on :math:`v \ge 0`.

    So that no sum overflows, the exponential goes on along its tangent where ``-eta`` exceeds half the logarithm of
    the largest number (354 in float64, 44 in float32); that keeps the loss convex.

    References
    ----------
    McCullagh, Nelder, "Generalized Linear Models" (1989), chapter 8.

    Examples
    --------
    >>> import numpy as np
    >>> from skreg.losses import Gamma
    >>> Gamma().gradient(np.array([1.0, 3.0]), np.array([0.0, 0.0]))
    array([ 0., -2.])
    """

    name = "gamma"

    def value(self, y, eta, xp=np):
        """Negative log-likelihood of each sample at unit shape, shape (n_samples,)."""
        t = _bounded(eta, xp)
        return y * xp.exp(-t) * (1 + (t - eta)) + eta

    def gradient(self, y, eta, xp=np):
        """``1 - y * exp(-eta)``."""
        return 1 - y * xp.exp(-_bounded(eta, xp))

    def curvature(self, y, eta, xp=np):
        """``y * exp(-eta)``."""
        return y * xp.exp(-_bounded(eta, xp))

    def conjugate(self, y, u, xp=np):
        """``v * log(v / y) - v`` with ``v = 1 - u``, inf where v is negative."""
        v = 1 - u
        ratio = xp.where(v > 0, v / y, xp.ones_like(v))
        return unless(v < 0, v * (xp.log(ratio) - 1), xp)

    def inverse_link(self, eta, xp=np):
        """``exp(eta)``."""
        return bounded_exp(eta, xp)

    def infimum(self, y, xp=np):
        """``1 + log(y)``."""
        return 1 + xp.log(y)

    def check_target(self, y):
        """Raise ValueError where `y` has a value <= 0."""
        require_positive(y, "gamma")

    def null_intercept(self, y, weight, offset=None, xp=np):
        """``log(sum(weight * y * exp(-offset)) / sum(weight))``."""
        log_total = math.log(float(xp.sum(weight)))
        if offset is None:
            return math.log(float(xp.sum(weight * y))) - log_total
        return log_weighted_sum(weight * y, -offset, xp) - log_total


def _bounded(eta, xp):
    """`eta` down to the point where the exponential turns into its tangent."""
    return xp.clip(eta, -0.5 * log_max(eta, xp), None)
