"""The Tweedie family with log link."""

from numbers import Real

import numpy as np

from skreg.losses._base import Loss
from skreg.losses._gamma import Gamma
from skreg.losses._numerics import (
    bounded_exp,
    log_max,
    log_weighted_sum,
    require_non_negative,
    require_positive,
    sigmoids,
    softplus,
    unless,
    xlogx,
)
from skreg.losses._poisson import Poisson
from skreg.losses._squared import Squared

_NAMED = {0.0: Squared(), 1.0: Poisson(), 2.0: Gamma()}
_NEWTON_STEPS = 8  # from there on s is exact to rounding for every power in (1, 2) and every c


class Tweedie(Loss):
    r"""Tweedie loss with log link, for targets whose variance is proportional to the mean to the `power`.

    .. math:: \ell(y, \eta) = \frac{y e^{-a \eta}}{a} + \frac{e^{b \eta}}{b}, \qquad a = p - 1, \quad b = 2 - p

    Parameters
    ----------
    power : float, default=1.5
        The exponent p: 0 is the squared loss (identity link), 1 Poisson, 2 gamma, between 1 and 2 the compound
        Poisson-gamma family (zeros allowed), above 2 positive stable (3: inverse Gaussian). There is no such
        distribution for p in (0, 1), and p < 0 is not supported.

    Notes
    -----
    Half the deviance is :math:`\ell(y, \eta) - y^b / (a b)`. For p > 2 the loss is not convex: `curvature` is its
    expectation :math:`e^{b \eta}` (Fisher scoring) and there is no conjugate.

    *Conjugate, 1 < p < 2.* With :math:`\eta = \log y + s` and :math:`c = u y^{-b}` the condition
    :math:`u = \ell'(\eta)` reads :math:`e^{b s} - e^{-a s} = c`. As a + b = 1, for :math:`c \ge 0` this is
    :math:`s = \log(1 + c e^{a s})`, a concave equation on which Newton's method from below never overshoots; for c < 0
    it is the same with a and b exchanged and the signs of s and c turned. Then
    :math:`\ell^* = u \log y + y^b (c s - e^{-a s} / a - e^{b s} / b)`, in which an error of s counts only by its
    square. For y = 0 the conjugate is :math:`(u \log u - u) / b` on :math:`u \ge 0`.

    So that no sum overflows, the loss goes on along its tangent where an exponent exceeds half the logarithm of the
    largest number.

    References
    ----------
    Jørgensen, "Exponential Dispersion Models", J. R. Statist. Soc. B 49 (1987), section 5.

    Examples
    --------
    >>> import numpy as np
    >>> from skreg.losses import Tweedie
    >>> Tweedie(power=1.5).gradient(np.array([0.0, 4.0]), np.array([0.0, 0.0]))
    array([ 1., -3.])
    """

    name = "tweedie"

    def __init__(self, power=1.5):
        self.power = power

    @property
    def _same(self):
        """The loss that this power has a name for, or None."""
        if not (isinstance(self.power, Real) and (self.power == 0 or 1 <= self.power < np.inf)):
            raise ValueError(f"power of the Tweedie loss must be 0 or at least 1 (and finite); got {self.power!r}.")
        return _NAMED.get(float(self.power))

    @property
    def quadratic(self):
        """True at power 0."""
        return isinstance(self._same, Squared)

    @property
    def convex(self):
        """True up to power 2."""
        return self._same is not None or self.power < 2

    @property
    def curvature_bound(self):
        """1 at power 0, else None."""
        return 1.0 if self.quadratic else None

    @property
    def _exponents(self):
        return float(self.power) - 1, 2 - float(self.power)

    def _bounded(self, eta, xp):
        """`eta` between the points where the loss turns into its tangents."""
        a, b = self._exponents
        end = 0.5 * log_max(eta, xp)
        return xp.clip(eta, -end / a, end / b if b > 0 else None)

    def value(self, y, eta, xp=np):
        """Half the deviance plus the infimum, for each sample, shape (n_samples,)."""
        if self._same:
            return self._same.value(y, eta, xp)
        a, b = self._exponents
        t = self._bounded(eta, xp)
        lower, upper = y * xp.exp(-a * t), xp.exp(b * t)
        return lower / a + upper / b + (upper - lower) * (eta - t)

    def gradient(self, y, eta, xp=np):
        """``exp(b * eta) - y * exp(-a * eta)``."""
        if self._same:
            return self._same.gradient(y, eta, xp)
        a, b = self._exponents
        t = self._bounded(eta, xp)
        return xp.exp(b * t) - y * xp.exp(-a * t)

    def curvature(self, y, eta, xp=np):
        """``b * exp(b * eta) + a * y * exp(-a * eta)``; above power 2 at least its expectation ``exp(b * eta)``."""
        if self._same:
            return self._same.curvature(y, eta, xp)
        a, b = self._exponents
        t = self._bounded(eta, xp)
        expected = xp.exp(b * t)
        observed = b * expected + a * y * xp.exp(-a * t)
        return observed if self.convex else xp.maximum(observed, expected)

    def conjugate(self, y, u, xp=np):
        """The conjugate, exact to rounding; NotImplementedError for powers above 2, where the loss is not convex."""
        if self._same:
            return self._same.conjugate(y, u, xp)
        if not self.convex:
            raise NotImplementedError("The Tweedie loss has no conjugate for power > 2, where it is not convex.")
        a, b = self._exponents
        positive = y > 0
        y = xp.where(positive, y, xp.ones_like(y))
        c = xp.abs(u) / y**b
        rising, falling = xp.full_like(u, b), xp.full_like(u, a)  # b and a, exchanged where u < 0
        rising, falling = xp.where(u < 0, falling, rising), xp.where(u < 0, rising, falling)
        s = _stationary(c, falling, rising, xp)
        at_positive = u * xp.log(y) + y**b * (c * s - xp.exp(-falling * s) / falling - xp.exp(rising * s) / rising)
        at_zero = unless(u < 0, (xlogx(xp.clip(u, 0.0, None), xp) - u) / b, xp)
        return xp.where(positive, at_positive, at_zero)

    def inverse_link(self, eta, xp=np):
        """``exp(eta)``; `eta` itself at power 0."""
        return self._same.inverse_link(eta, xp) if self._same else bounded_exp(eta, xp)

    def infimum(self, y, xp=np):
        """``y**b / (a * b)``."""
        if self._same:
            return self._same.infimum(y, xp)
        a, b = self._exponents
        return y**b / (a * b)

    def check_target(self, y):
        """Raise ValueError where `power` has no loss, or `y` lies outside the domain of that power."""
        if self._same:
            return self._same.check_target(y)
        label = f"Tweedie (power={self.power})"
        return require_non_negative(y, label) if self.power < 2 else require_positive(y, label)

    def null_intercept(self, y, weight, offset=None, xp=np):
        """``log(sum(weight * y * exp(-a * offset)) / sum(weight * exp(b * offset)))``."""
        if self._same:
            return self._same.null_intercept(y, weight, offset, xp)
        a, b = self._exponents
        if not float(xp.sum(weight * y)) > 0:
            raise ValueError("y must have a positive weighted sum for the Tweedie loss; the sum is 0.")
        offset = xp.zeros_like(y) if offset is None else offset
        return log_weighted_sum(weight * y, -a * offset, xp) - log_weighted_sum(weight, b * offset, xp)


def _stationary(c, a, b, xp):
    """Solution s of ``s = log(1 + c * exp(a * s))``, c >= 0, a + b = 1, by Newton's method from below."""
    positive = c > 0
    k = xp.log(xp.where(positive, c, xp.ones_like(c)))
    s = xp.maximum(softplus(k, xp), k / b)
    for _ in range(_NEWTON_STEPS):
        grow, fade = sigmoids(k + a * s, xp)
        s = s + (softplus(k + a * s, xp) - s) / (b + a * fade)
    return xp.where(positive, s, xp.zeros_like(s))
