"""Scikit-learn-compatible sparse regression with certified solutions.

Every public name is resolved at its first use (PEP 562), so that ``import skreg`` costs next to nothing.
"""

from importlib import import_module

__version__ = "0.1.0.dev0"

_HOME = {
    "AdaptiveLasso": "skreg.sparse",
    "ElasticNet": "skreg.sparse",
    "GroupLasso": "skreg.group",
    "GroupLassoClassifier": "skreg.group",
    "Lasso": "skreg.sparse",
    "MultiTaskElasticNet": "skreg.group",
    "MultiTaskLasso": "skreg.group",
    "SparseClassifier": "skreg.sparse",
    "SparseGroupLasso": "skreg.group",
    "SparseGroupLassoClassifier": "skreg.group",
    "SparseRegressor": "skreg.sparse",
    "groups_from_transformer": "skreg._transformer_groups",
}
_SUBMODULES = ["losses", "model_selection", "penalties", "solvers"]

__all__ = [*_HOME, *_SUBMODULES]


def __getattr__(name):
    if name in _HOME:
        value = getattr(import_module(_HOME[name]), name)
    elif name in _SUBMODULES:
        value = import_module(f"skreg.{name}")
    else:
        raise AttributeError(f"module 'skreg' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *__all__})
