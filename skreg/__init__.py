"""Scikit-learn-compatible sparse regression with certified solutions.

Every public name is resolved at its first use (PEP 562), so that ``import skreg`` costs next to nothing.
"""

from importlib import import_module

__version__ = "0.1.0.dev0"

_HOME = {
    "AdaptiveLasso": "skreg.sparse",
    "AdaptiveLassoCV": "skreg.model_selection._named",
    "ConformalQuantileRegressor": "skreg.quantile._conformal",
    "ElasticNet": "skreg.sparse",
    "ElasticNetCV": "skreg.model_selection._named",
    "ExclusiveLasso": "skreg.group",
    "FusedLasso": "skreg.group",
    "GroupLasso": "skreg.group",
    "GroupLassoCV": "skreg.model_selection._named",
    "GroupLassoClassifier": "skreg.group",
    "Lasso": "skreg.sparse",
    "LassoCV": "skreg.model_selection._named",
    "MultiTaskElasticNet": "skreg.group",
    "MultiTaskElasticNetCV": "skreg.model_selection._named",
    "MultiTaskLasso": "skreg.group",
    "MultiTaskLassoCV": "skreg.model_selection._named",
    "PathCV": "skreg.model_selection",
    "PathIC": "skreg.model_selection",
    "QuantileAggregator": "skreg.quantile._aggregator",
    "QuantileRegressor": "skreg.quantile",
    "SlopeRegressor": "skreg.group",
    "SparseClassifier": "skreg.sparse",
    "SparseClassifierCV": "skreg.model_selection._named",
    "SparseGroupLasso": "skreg.group",
    "SparseGroupLassoCV": "skreg.model_selection._named",
    "SparseGroupLassoClassifier": "skreg.group",
    "SparseRegressor": "skreg.sparse",
    "SparseRegressorCV": "skreg.model_selection._named",
    "SqrtLasso": "skreg.sparse",
    "StabilitySelection": "skreg.model_selection",
    "groups_from_transformer": "skreg._transformer_groups",
    "isotonize": "skreg.quantile._isotonic",
}
_SUBMODULES = ["inspection", "losses", "metrics", "model_selection", "penalties", "solvers"]

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
