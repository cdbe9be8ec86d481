"""Penalties that tie features together: groups, tasks, order, neighbours."""

from skreg.group._group_classifier import GroupLassoClassifier, SparseGroupLassoClassifier
from skreg.group._group_lasso import GroupLasso, SparseGroupLasso

__all__ = [
    "GroupLasso",
    "GroupLassoClassifier",
    "SparseGroupLasso",
    "SparseGroupLassoClassifier",
]
