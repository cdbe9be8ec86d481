"""Choosing the strength of the penalty."""

from importlib import import_module

from skreg.model_selection._path import Path, alpha_grid, regularization_path

_HOME = {  # at first use, as the first of them loads scikit-learn's model_selection
    "PathCV": "skreg.model_selection._cv",
    "PathIC": "skreg.model_selection._ic",
    "StabilitySelection": "skreg.model_selection._stability",
}

__all__ = ["Path", "PathCV", "PathIC", "StabilitySelection", "alpha_grid", "regularization_path"]


def __getattr__(name):
    if name not in _HOME:
        raise AttributeError(f"module 'skreg.model_selection' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
