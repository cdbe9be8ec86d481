r"""Weights of forecasts that depend on the features: deviations from global weights, shrunk to none.

"features": with features phi(x) (a constant and the standardised features), the combined forecast ghat_k(x) of the
global weights is moved towards those of the models, by

    g_k(x) = ghat_k(x) + sum_{j,r} v_kjr phi_r(x) (z_jk(x) - ghat_k(x)),

a linear quantile regression with the penalty lambda L_k sum |v_kjr|. The weights of the forecasts still sum to what
they did. Convex weights are kept convex: g_k(x) is held between the smallest and the largest of the forecasts that it
combines.

"partition": a tree splits the features' space where the models' losses differ most; each leaf has weights of its own,
shrunk to the global ones.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.tree import DecisionTreeRegressor

from skreg.quantile._weights import fit_weights, level_groups, pinball, weighted_loss
from skreg.solvers._interior_point_fit import fit_quantiles

_LEAVES = 8  # at most
_LEAF_SAMPLES = 30  # at least, ...
_LEAF_SHARE = 0.05  # ... and of all samples


@dataclass
class GlobalWeights:
    """Weights that are the same everywhere."""

    result: Any  # QuantileWeights

    def combine(self, Z, features):
        """Combined forecasts of shape (n_samples, n_quantiles)."""
        return self.result.combine(Z)


def fit_global(forecasts, strengths, settings):
    """Global weights for each strength of the shrinkage; `settings` are further arguments of `fit_weights`."""
    Z, y, levels, weight, _ = forecasts
    results = [fit_weights(Z, y, levels, sample_weight=weight, shrinkage=s, **settings) for s in strengths]
    return [GlobalWeights(result) for result in results]


@dataclass
class Standardised:
    """Features with weighted mean 0 and variance 1, kept within the range of the training data, after a constant."""

    low: np.ndarray
    high: np.ndarray
    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, features, weight):
        """Learn from training data."""
        mean = np.average(features, axis=0, weights=weight)
        scale = np.sqrt(np.average((features - mean) ** 2, axis=0, weights=weight))
        return cls(features.min(axis=0), features.max(axis=0), mean, np.where(scale > 0, scale, np.inf))

    def __call__(self, features):
        phi = (np.clip(features, self.low, self.high) - self.mean) / self.scale
        return np.hstack([np.ones((len(phi), 1)), phi])


@dataclass
class FeatureWeights:
    """Deviations from global weights that are linear in the features."""

    result: Any  # QuantileWeights
    phi: Standardised
    coefs: np.ndarray  # (n_quantiles, n_models, 1 + n_features)
    convex: bool

    def combine(self, Z, features):
        """Combined forecasts of shape (n_samples, n_quantiles)."""
        combined = self.result.combine(Z)
        away = Z - combined[:, None, :]
        moved = combined + np.einsum("ijk,ir,kjr->ik", away, self.phi(features), self.coefs, optimize=True)
        if not self.convex:
            return moved
        offset = self.result.intercepts
        axis, keep = ((1, 2), True) if self.result.weights.ndim == 3 else (1, False)
        low, high = Z.min(axis=axis, keepdims=keep), Z.max(axis=axis, keepdims=keep)
        if keep:
            low, high = low[:, 0], high[:, 0]
        return np.clip(moved, low + offset, high + offset)


def fit_by_features(forecasts, strengths, settings):
    """Weights linear in the features for each strength; `settings` (with `shrinkage`) are those of the global ones."""
    Z, y, levels, weight, features = forecasts
    result = fit_weights(Z, y, levels, sample_weight=weight, **settings)
    phi = Standardised.of(features, weight)
    combined = result.combine(Z)
    away = (Z - combined[:, None, :])[:, :, None, :] * phi(features)[:, None, :, None]
    groups = level_groups(settings["resolution"], settings["tau_groups"], len(levels))
    fits = []
    for strength in strengths:
        coefs = np.zeros((len(levels), Z.shape[1], away.shape[2]))
        for group in groups if np.isfinite(strength) else []:
            coefs[group] = _deviations(
                away[..., group], y[:, None] - combined[:, group], levels[group], weight, strength
            )
        fits.append(FeatureWeights(result, phi, coefs, settings["constraint"] == "convex"))
    return fits


def _deviations(away, r, levels, weight, strength):
    """Coefficients v of one group of levels, of shape (n_models, 1 + n_features)."""
    n, p, q, m = away.shape
    rows = np.ascontiguousarray(away.transpose(0, 3, 1, 2)).reshape(n * m, p * q)
    weight = np.repeat(np.ones(n) if weight is None else weight, m)
    of_rows = np.tile(levels, n)
    l1 = strength * weighted_loss(r.ravel(), of_rows, weight)
    fit = fit_quantiles(
        rows, r.ravel(), of_rows[None, :] if m > 1 else levels, weight, fit_intercept=False, l1=l1, tol=1e-4
    )
    return fit.coefs[0].reshape(p, q)


@dataclass
class PartitionWeights:
    """Weights for each leaf of a tree."""

    result: Any  # QuantileWeights of all samples
    tree: DecisionTreeRegressor
    leaves: dict  # leaf -> QuantileWeights

    def combine(self, Z, features):
        """Combined forecasts of shape (n_samples, n_quantiles)."""
        bands = np.empty((len(Z), Z.shape[2]))
        places = self.tree.apply(features)
        for leaf in np.unique(places):
            bands[places == leaf] = self.leaves[leaf].combine(Z[places == leaf])
        return bands


def fit_by_partition(forecasts, strengths, settings):
    """Weights of each leaf for each strength; `settings` (with `shrinkage`) are those of the global weights."""
    Z, y, levels, weight, features = forecasts
    result = fit_weights(Z, y, levels, sample_weight=weight, **settings)
    tree = _tree_of_losses(forecasts)
    places = tree.apply(features)
    fits = []
    for strength in strengths:
        at_leaves = {**settings, "shrinkage": strength, "shrink_to": result.weights}
        leaves = {leaf: _leaf_weights(forecasts.rows(places == leaf), at_leaves) for leaf in np.unique(places)}
        fits.append(PartitionWeights(result, tree, leaves))
    return fits


def _leaf_weights(part, settings):
    if part.weight is not None and not part.weight.any():
        part, settings = part._replace(weight=None), {**settings, "shrinkage": np.inf}
    return fit_weights(part.Z, part.y, part.levels, sample_weight=part.weight, **settings)


def _tree_of_losses(forecasts):
    """Tree of the models' pinball losses (averaged over levels) less their mean over the models."""
    Z, y, levels, weight, features = forecasts
    losses = pinball(y[:, None, None] - Z, levels).mean(axis=2)
    smallest = max(_LEAF_SAMPLES, int(np.ceil(_LEAF_SHARE * len(y))))
    tree = DecisionTreeRegressor(max_leaf_nodes=_LEAVES, min_samples_leaf=smallest, random_state=0)
    return tree.fit(features, losses - losses.mean(axis=1, keepdims=True), sample_weight=weight)
