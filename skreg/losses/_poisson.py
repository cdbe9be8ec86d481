"""The Poisson loss with log link."""

import math

import numpy as np

from skreg.losses._base import Loss
from skreg.losses._numerics import bounded_exp, log_max, log_weighted_sum, require_non_negative, unless, xlogx


class Poisson(Loss):
    r"""Poisson loss with log link, for counts and other non-negative targets.

    .. math:: \ell(y, \eta) = e^\eta - y \eta

    Notes
    -----
    Half the Poisson deviance is :math:`\ell(y, \eta) - (y - y \log y)`. With :math:`v = u + y` the conjugate is
    :math:`v \log v - v` on :math:`v \ge 0`.

    So that no sum overflows, the exponential goes on along its tangent beyond half the logarithm of the largest
    number (354 in float64, 44 in float32); that keeps the loss convex.

    References
    ----------
    McCullagh, Nelder, "Generalized Linear Models" (1989), chapter 6.

    Examples
    --------
    >>> import numpy as np
    >>> from skreg.losses import Poisson
    >>> Poisson().gradient(np.array([0.0, 3.0]), np.array([0.0, 0.0]))
    array([ 1., -2.])
    """

    name = "poisson"
    unit_dispersion = True

    def value(self, y, eta, xp=np):
        """Negative log-likelihood of each sample without ``log(y!)``, shape (n_samples,)."""
        t = _bounded(eta, xp)
        return xp.exp(t) * (1 + (eta - t)) - y * eta

    def gradient(self, y, eta, xp=np):
        """``exp(eta) - y``."""
        return xp.exp(_bounded(eta, xp)) - y

    def curvature(self, y, eta, xp=np):
        """``exp(eta)``."""
        return xp.exp(_bounded(eta, xp))

    def conjugate(self, y, u, xp=np):
        """``v * log(v) - v`` with ``v = u + y``, inf where v is negative."""
        v = u + y
        return unless(v < 0, xlogx(v, xp) - v, xp)

    def inverse_link(self, eta, xp=np):
        """``exp(eta)``."""
        return bounded_exp(eta, xp)

    def infimum(self, y, xp=np):
        """``y - y * log(y)``."""
        return y - xlogx(y, xp)

    def check_target(self, y):
        """Raise ValueError where `y` has a negative value or a sum of zero."""
        require_non_negative(y, "Poisson")

    def null_intercept(self, y, weight, offset=None, xp=np):
        """``log(sum(weight * y) / sum(weight * exp(offset)))``."""
        total = float(xp.sum(weight * y))
        if total <= 0:
            raise ValueError("y must have a positive weighted sum for the Poisson loss; the sum is 0.")
        if offset is None:
            return math.log(total) - math.log(float(xp.sum(weight)))
        return math.log(total) - log_weighted_sum(weight, offset, xp)


def _bounded(eta, xp):
    """`eta` up to the point where the exponential turns into its tangent."""
    return xp.clip(eta, None, 0.5 * log_max(eta, xp))
