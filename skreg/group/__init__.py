"""Penalties that tie features together: groups, tasks, order, neighbours."""

from skreg.group._exclusive import ExclusiveLasso
from skreg.group._fused import FusedLasso
from skreg.group._group_classifier import GroupLassoClassifier, SparseGroupLassoClassifier
from skreg.group._group_lasso import GroupLasso, SparseGroupLasso
from skreg.group._multi_task import MultiTaskElasticNet, MultiTaskLasso
from skreg.group._slope import SlopeRegressor

__all__ = [
    "ExclusiveLasso",
    "FusedLasso",
    "GroupLasso",
    "GroupLassoClassifier",
    "MultiTaskElasticNet",
    "MultiTaskLasso",
    "SlopeRegressor",
    "SparseGroupLasso",
    "SparseGroupLassoClassifier",
]
