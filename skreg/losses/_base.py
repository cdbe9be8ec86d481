"""What a loss is: a convex function of the linear predictor, one value a sample, in any array namespace."""

import numpy as np

from skreg._params import Parameterised


class Loss(Parameterised):
    r"""A loss :math:`\ell(y, \eta)` of the target `y` and the linear predictor `eta`.

    A loss knows nothing of designs, penalties or solvers. Its methods are written once against the array-API
    namespace `xp`, so that the same text runs on NumPy, on array_api_strict and on CuPy. `y` and `eta` have shape
    (n_samples,), or (n_samples, n_classes) when `multi_output` is true.

    Attributes
    ----------
    name : str
        The name by which estimators find the loss.
    quadratic : bool
        The curvature is 1 everywhere.
    convex : bool
        False where certificates must rest on the KKT violation alone.
    multi_output : bool
        `eta` has one column a class, and `curvature` gives the class probabilities (see `Multinomial`).
    classifier : bool
        The target is a class: 0 or 1, or one-hot rows when `multi_output`.
    piecewise : bool
        The curvature jumps between 0 and a constant.
    curvature_bound : float or None
        Upper bound of the second derivative, None where there is none.
    unit_dispersion : bool
        The deviance, twice the excess over `infimum`, is that of a distribution without a free variance.
    """

    name = ""
    quadratic = False
    convex = True
    multi_output = False
    classifier = False
    piecewise = False
    curvature_bound = None
    unit_dispersion = False

    def value(self, y, eta, xp=np):
        """Loss of each sample, shape (n_samples,)."""
        raise NotImplementedError

    def gradient(self, y, eta, xp=np):
        """First derivative with respect to `eta`, of the shape of `eta`."""
        raise NotImplementedError

    def curvature(self, y, eta, xp=np):
        """Second derivative with respect to `eta` (or a positive stand-in for it), of the shape of `eta`."""
        raise NotImplementedError

    def conjugate(self, y, u, xp=np):
        r"""Convex conjugate :math:`\sup_\eta u \eta - \ell(y, \eta)`, shape (n_samples,), inf outside its domain."""
        raise NotImplementedError

    def fenchel_gap(self, y, eta, u, xp=np):
        """``value(eta) + conjugate(u) - u * eta`` per sample: non-negative, and zero where u is the gradient."""
        product = u * eta
        if self.multi_output:
            product = xp.sum(product, axis=1)
        return self.value(y, eta, xp) + self.conjugate(y, u, xp) - product

    def inverse_link(self, eta, xp=np):
        """Mean of the target (classifiers: probabilities) that belongs to `eta`."""
        return eta

    def infimum(self, y, xp=np):
        """Smallest value that the loss can take for each `y`: the loss of the saturated model."""
        return -self.conjugate(y, xp.zeros_like(y), xp)

    def check_target(self, y):
        """Raise ValueError, naming y, where `y` (NumPy or array-API) lies outside the domain of the loss."""

    def null_intercept(self, y, weight, offset=None, xp=np):
        """Intercept of the model without features: minimises ``sum(weight * value(y, b + offset))``.

        Newton's method within a bracket on the monotone derivative; subclasses give a closed form where there is one.
        """
        shift = xp.zeros_like(y) if offset is None else offset
        eps = float(xp.finfo(y.dtype).eps)

        def slope(b):
            """The derivative, and the size of its rounding error."""
            terms = weight * self.gradient(y, shift + b, xp)
            return float(xp.sum(terms)), eps * float(xp.sum(xp.abs(terms)))

        low, high = -1.0, 1.0
        while slope(low)[0] > 0 and low > -(2.0**100):
            low, high = 2 * low, low
        while slope(high)[0] < 0 and high < 2.0**100:
            low, high = high, 2 * high
        b, last_step = 0.5 * (low + high), high - low
        for _ in range(200):
            value, rounding = slope(b)
            if value == 0:
                return b
            low, high = (low, b) if value > 0 else (b, high)
            curvature = float(xp.sum(weight * self.curvature(y, shift + b, xp)))
            step = -value / curvature if curvature > 0 else high - low
            if curvature > 0 and (abs(value) <= rounding or abs(step) <= eps * abs(b)):
                return b + step
            inside_and_shrinking = low < b + step < high and abs(step) <= 0.5 * abs(last_step)
            new = b + step if inside_and_shrinking else 0.5 * (low + high)
            if not low < new < high:
                return new
            b, last_step = new, new - b
        return b
