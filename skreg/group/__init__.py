"""Penalties that tie features together: groups, tasks, order, neighbours."""

from skreg.group._group_classifier import GroupLassoClassifier, SparseGroupLassoClassifier
from skreg.group._group_lasso import GroupLasso, SparseGroupLasso
from skreg.group._multi_task import MultiTaskElasticNet, MultiTaskLasso

__all__ = [
    "GroupLasso",
    "GroupLassoClassifier",
    "MultiTaskElasticNet",
    "MultiTaskLasso",
    "SparseGroupLasso",
    "SparseGroupLassoClassifier",
]
