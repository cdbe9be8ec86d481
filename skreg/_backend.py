"""The one place that touches scikit-learn's private helpers: array namespaces, parameter checks, tags."""

import numpy as np
from sklearn.utils._array_api import (
    check_same_namespace,
    get_namespace,
    get_namespace_and_device,
    move_to,
)
from sklearn.utils._param_validation import HasMethods, Interval, Options, StrOptions

__all__ = [
    "HasMethods",
    "Interval",
    "Options",
    "StrOptions",
    "check_same_namespace",
    "get_namespace",
    "get_namespace_and_device",
    "is_numpy",
    "move_to",
    "to_numpy",
]


def is_numpy(xp):
    """Whether `xp` is NumPy, bare or wrapped by array_api_compat."""
    return xp is np or xp.__name__ in {"numpy", "array_api_compat.numpy", "sklearn.externals.array_api_compat.numpy"}


def to_numpy(x):
    """`x` as a NumPy array on the host, whatever namespace and device hold it."""
    return move_to(x, xp=np, device="cpu")
