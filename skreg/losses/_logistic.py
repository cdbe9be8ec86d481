"""The binary logistic loss."""

import math

import numpy as np

from skreg.losses._base import Loss
from skreg.losses._numerics import require_binary, sigmoids, unless, xlogx


class Logistic(Loss):
    r"""Logistic loss, for a class 0 or 1.

    .. math:: \ell(y, \eta) = \log(1 + e^\eta) - y \eta

    Notes
    -----
    `inverse_link` gives P(y = 1). With :math:`v = u + y` the conjugate is :math:`v \log v + (1 - v) \log(1 - v)` on
    :math:`0 \le v \le 1`. Value and gradient keep their relative accuracy however small they are.

    References
    ----------
    McCullagh, Nelder, "Generalized Linear Models" (1989), section 4.4.

    Examples
    --------
    >>> import numpy as np
    >>> from skreg.losses import Logistic
    >>> Logistic().inverse_link(np.array([0.0, np.log(3.0)]))
    array([0.5 , 0.75])
    """

    name = "logistic"
    classifier = True
    unit_dispersion = True
    curvature_bound = 0.25

    def value(self, y, eta, xp=np):
        """Negative log-likelihood of each sample, shape (n_samples,)."""
        return xp.log1p(xp.exp(-xp.abs(eta))) + (xp.clip(eta, 0.0, None) - y * eta)

    def gradient(self, y, eta, xp=np):
        """``P(y = 1) - y``."""
        p, q = sigmoids(eta, xp)
        return (1 - y) * p - y * q

    def curvature(self, y, eta, xp=np):
        """``p * (1 - p)``."""
        p, q = sigmoids(eta, xp)
        return p * q

    def conjugate(self, y, u, xp=np):
        """``v * log(v) + (1 - v) * log(1 - v)`` with ``v = u + y``, inf outside [0, 1]."""
        v, q = y + u, (1 - y) - u
        return unless((v < 0) | (q < 0), xlogx(v, xp, q) + xlogx(q, xp, v), xp)

    def inverse_link(self, eta, xp=np):
        """Probability of class 1."""
        return sigmoids(eta, xp)[0]

    def check_target(self, y):
        """Raise ValueError where `y` holds anything but 0 and 1."""
        require_binary(y, "logistic")

    def null_intercept(self, y, weight, offset=None, xp=np):
        """Logit of the weighted mean of `y`; by Newton's method where there is an offset."""
        ones, zeros = float(xp.sum(weight * y)), float(xp.sum(weight * (1 - y)))
        if min(ones, zeros) <= 0:
            raise ValueError("y must hold both classes with positive weight for the logistic loss; it holds only one.")
        if offset is None:
            return math.log(ones) - math.log(zeros)
        return super().null_intercept(y, weight, offset, xp)
