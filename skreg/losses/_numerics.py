"""Elementary functions that keep their accuracy in the tails, and the checks of a target, in array-API text."""

import math
import sys

import numpy as np


def namespace(x):
    """Array namespace of `x`; NumPy for lists and the like."""
    if hasattr(x, "__array_namespace__"):
        return x.__array_namespace__()
    return sys.modules.get(type(x).__module__.split(".")[0]) if hasattr(x, "__cuda_array_interface__") else np


def log_max(x, xp):
    """Logarithm of the largest number of the dtype of `x`, a little less so that its exponential is finite."""
    limits = xp.finfo(x.dtype)
    return math.log(float(limits.max)) * (1 - 4 * float(limits.eps))


def bounded_exp(x, xp):
    """``exp(x)``, the largest finite number where it would overflow."""
    return xp.exp(xp.clip(x, None, log_max(x, xp)))


def sigmoids(x, xp):
    r"""The pair :math:`1 / (1 + e^{-x})` and :math:`1 / (1 + e^x)`, both to full relative accuracy."""
    z = xp.exp(-xp.abs(x))
    large, small = 1 / (1 + z), z / (1 + z)
    return xp.where(x >= 0, large, small), xp.where(x >= 0, small, large)


def softplus(x, xp):
    r""":math:`\log(1 + e^x)`."""
    return xp.log1p(xp.exp(-xp.abs(x))) + xp.clip(x, 0.0, None)


def xlogx(x, xp, complement=None):
    r""":math:`x \log x`, 0 at 0; accurate near 1 as well where ``complement = 1 - x`` is given."""
    log_x = xp.log(xp.where(x > 0, x, xp.ones_like(x)))
    if complement is not None:
        near_one = x > 0.5
        log_x = xp.where(near_one, xp.log1p(-xp.where(near_one, complement, xp.zeros_like(x))), log_x)
    return x * log_x


def unless(outside, x, xp):
    """`x`, with inf where `outside` holds."""
    return xp.where(outside, xp.full_like(x, math.inf), x)


def log_weighted_sum(weight, x, xp):
    """``log(sum(weight * exp(x)))`` without overflow; -inf where all weights are 0."""
    x = xp.where(weight > 0, x, xp.full_like(x, -math.inf))
    top = float(xp.max(x))
    return top if top == -math.inf else top + math.log(float(xp.sum(weight * xp.exp(x - top))))


def require_finite(y, label):
    """Raise ValueError where `y` holds NaN or infinity."""
    xp = namespace(y)
    if not bool(xp.all(xp.isfinite(xp.asarray(y)))):
        raise ValueError(f"y must be finite for the {label} loss; it holds NaN or infinity.")


def require_non_negative(y, label):
    """Raise ValueError where `y` has a negative value, or nothing but zeros: its null intercept is -inf."""
    require_finite(y, label)
    xp = namespace(y)
    y = xp.asarray(y)
    if not bool(xp.all(y >= 0)):
        raise ValueError(f"y must be non-negative for the {label} loss; the smallest value is {float(xp.min(y))}.")
    if not bool(xp.any(y > 0)):
        raise ValueError(f"y must not be all zero for the {label} loss: its sum must be positive.")


def require_positive(y, label):
    """Raise ValueError where `y` has a value <= 0."""
    require_finite(y, label)
    xp = namespace(y)
    y = xp.asarray(y)
    if not bool(xp.all(y > 0)):
        raise ValueError(f"y must be positive for the {label} loss; the smallest value is {float(xp.min(y))}.")


def require_binary(y, label):
    """Raise ValueError where `y` holds anything but 0 and 1."""
    require_finite(y, label)
    xp = namespace(y)
    y = xp.asarray(y)
    other = (y != 0) & (y != 1)
    if bool(xp.any(other)):
        raise ValueError(f"y must hold only 0 and 1 for the {label} loss; it also holds {float(y[other][0])}.")
