"""The one place that touches scikit-learn's private helpers: array namespaces, parameter checks, tags, callbacks."""

from contextlib import contextmanager, nullcontext

import numpy as np
from sklearn.externals import array_api_compat
from sklearn.utils import _safe_indexing as safe_indexing
from sklearn.utils._array_api import (
    check_same_namespace,
    get_namespace,
    get_namespace_and_device,
    move_to,
)
from sklearn.utils._param_validation import HasMethods, Interval, Options, StrOptions
from sklearn.utils.parallel import _get_threadpool_controller as threadpool_controller

__all__ = [
    "CallbackSupport",
    "HasMethods",
    "Interval",
    "Options",
    "StrOptions",
    "check_same_namespace",
    "get_namespace",
    "get_namespace_and_device",
    "is_array",
    "is_numpy",
    "move_to",
    "namespace_of",
    "raising_singular",
    "refuse_device_sparse",
    "safe_indexing",
    "threadpool_controller",
    "to_numpy",
]


def is_numpy(xp):
    """Whether `xp` is NumPy, bare or wrapped by array_api_compat."""
    return xp is np or xp.__name__ in {"numpy", "array_api_compat.numpy", "sklearn.externals.array_api_compat.numpy"}


def namespace_of(x):
    """Namespace of the array `x`, bare for NumPy, whether or not scikit-learn dispatches.

    CuPy's arrays have no method that tells it.
    """
    return np if isinstance(x, np.ndarray) else array_api_compat.array_namespace(x)


def is_array(x):
    """Whether `x` is an array of any namespace."""
    return array_api_compat.is_array_api_obj(x)


def is_singular(error):
    """Whether `error` says that a matrix has no inverse or factor: each namespace has a class of its own for that."""
    return type(error).__name__.endswith("LinAlgError")


def raising_singular(xp):
    """Context in which a matrix without inverse or factor raises: CuPy would return what the failed routine left."""
    if not xp.__name__.endswith("cupy"):
        return nullcontext()
    import cupyx

    return cupyx.errstate(linalg="raise")


def refuse_device_sparse(X):
    """Raise TypeError where `X` is a sparse matrix of cupyx: it is in no array namespace."""
    if type(X).__module__.startswith("cupyx."):
        raise TypeError(
            f"X is a sparse {type(X).__name__} on a GPU, which is not supported: fit the SciPy matrix X.get() on the "
            "CPU, or the array X.toarray() on the GPU."
        )


def to_numpy(x):
    """`x` as a NumPy array on the host, whatever namespace and device hold it."""
    return x if type(x) is np.ndarray else move_to(x, xp=np, device="cpu")


class CallbackSupport:
    """Mixin for estimators that support callbacks: scikit-learn's `CallbackSupportMixin`, imported at its first use.

    `sklearn.callback` loads rich, where that is installed; importing an estimator must not.
    """

    def set_callbacks(self, *callbacks):
        """Set callbacks, such as those of `sklearn.callback`, to be called while the estimator is fitted.

        Clones share them. No argument removes them.

        Parameters
        ----------
        *callbacks : callback instances
            Objects that follow the `sklearn.callback.FitCallback` protocol.

        Returns
        -------
        self : object
            The estimator.

        Raises
        ------
        TypeError
            If an argument does not follow the protocol.
        """
        from sklearn.callback import CallbackSupportMixin

        return CallbackSupportMixin.set_callbacks(self, *callbacks)

    def _init_callback_context(self, task_name="fit", task_id=0, max_subtasks=0, sequential_subtasks=True):
        """Set the callbacks up for a fit; returns the context of its root task."""
        from sklearn.callback import CallbackSupportMixin

        return CallbackSupportMixin._init_callback_context(self, task_name, task_id, max_subtasks, sequential_subtasks)

    @contextmanager
    def _subtask(self, task_name, sub_estimator, X, y, metadata):
        """Run the fit of `sub_estimator` as a subtask of this estimator's, where one is under way."""
        root = getattr(self, "_callback_fit_ctx", None)
        if root is None:
            yield
            return
        told = dict(estimator=self, X=X, y=y, metadata=metadata)
        task = root.subcontext(task_name=task_name)
        with task.propagate_callback_context(sub_estimator):
            task.call_on_fit_task_begin(**told)
            yield
            task.call_on_fit_task_end(**told)
