"""Choosing the strength of the penalty."""

from skreg.model_selection._path import Path, alpha_grid, regularization_path

__all__ = ["Path", "alpha_grid", "regularization_path"]
