"""Models for tests of aggregation: a quantile forest, and experts that know the truth on one side."""

import numpy as np
from scipy.stats import norm
from sklearn.base import BaseEstimator, RegressorMixin, clone


class QuantileForest(RegressorMixin, BaseEstimator):
    """Quantiles of the targets that share leaves with a sample, each tree with the same weight (Meinshausen 2006)."""

    def __init__(self, trees, quantiles=(0.5,)):
        self.trees = trees
        self.quantiles = quantiles

    def fit(self, X, y):
        order = np.argsort(y)
        self.y_, self.trees_ = y[order], clone(self.trees).fit(X, y)
        self.leaves_ = self.trees_.apply(X)[order]
        self.quantiles_ = np.asarray(self.quantiles)
        return self

    def predict_quantiles(self, X):
        weight = np.zeros((len(X), len(self.y_)))
        for leaf, leaves in zip(self.trees_.apply(X).T, self.leaves_.T):
            together = leaf[:, None] == leaves
            weight += together / together.sum(axis=1, keepdims=True) / len(self.leaves_.T)
        below = np.cumsum(weight, axis=1) - 1e-12
        return np.stack([self.y_[(below < level).sum(axis=1)] for level in self.quantiles_], axis=1)


class Expert(RegressorMixin, BaseEstimator):
    """The true quantiles of `draw_two_sides` where `side` x >= 0, and off by a wave elsewhere."""

    def __init__(self, side=1.0, wave=5.0, error=1.5, quantiles=(0.5,)):
        self.side = side
        self.wave = wave
        self.error = error
        self.quantiles = quantiles

    def fit(self, X, y):
        self.quantiles_ = np.asarray(self.quantiles)
        return self

    def predict_quantiles(self, X):
        x = X[:, 0]
        off = np.where(self.side * x >= 0, 0.0, self.error) if self.side else self.error
        centre, spread = np.sin(2 * x) + off * np.cos(self.wave * X.sum(axis=1)), 0.3 + 0.3 * np.abs(x) * (1 + off)
        return centre[:, None] + spread[:, None] * norm.ppf(self.quantiles_)


def draw_two_sides(n, seed):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, (n, 3))
    return X, np.sin(2 * X[:, 0]) + (0.3 + 0.3 * np.abs(X[:, 0])) * rng.standard_normal(n)
