"""The one place that touches scikit-learn's private helpers: array namespaces, parameter checks, tags."""

import numpy as np
from sklearn.utils._array_api import (
    check_same_namespace,
    get_namespace,
    get_namespace_and_device,
    move_to,
)
from sklearn.utils._param_validation import HasMethods, Interval, Options, StrOptions
from sklearn.utils.parallel import _get_threadpool_controller

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


def one_blas_thread():
    """Context in which BLAS runs on one thread.

    Solvers make thousands of small products and factorisations: handing each to several threads and back costs more
    than it saves (a path over 500 x 5000 took 4 times as long on two cores as on one).
    """
    return _get_threadpool_controller().limit(limits=1, user_api="blas")
