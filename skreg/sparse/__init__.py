"""Sparse linear models: Lasso, elastic net, adaptive and non-convex penalties, with every smooth loss."""

from skreg.sparse._adaptive import AdaptiveLasso
from skreg.sparse._classifier import SparseClassifier
from skreg.sparse._lasso import ElasticNet, Lasso
from skreg.sparse._regressor import SparseRegressor
from skreg.sparse._sqrt_lasso import SqrtLasso

__all__ = ["AdaptiveLasso", "ElasticNet", "Lasso", "SparseClassifier", "SparseRegressor", "SqrtLasso"]
