"""Penalties of `QuantileRegressor` beyond L1 and elastic net: of groups of features, and concave ones."""

import numpy as np
import scipy.sparse as sp

from skreg._backend import to_numpy
from skreg._groups import group_weights, parse_groups
from skreg.penalties import MCP, SCAD
from skreg.solvers._quantile_concave import Concave, fit_quantile_groups_concave, fit_quantiles_concave
from skreg.solvers._quantile_groups import fit_quantile_groups

CONCAVE = {"mcp": MCP, "scad": SCAD}
GROUPED = {"group_lasso": None, "sparse_group_lasso": None, "group_mcp": MCP, "group_scad": SCAD}
NAMES = {*CONCAVE, *GROUPED}


def special_penalty(model, X, weight, scale):
    """What solves the model's penalty, or None for those that are no more than terms a feature.

    `scale` holds what coefficients are multiplied by where they are penalised: 1.0, or one number a feature.
    """
    _check_unused(model)
    if model.penalty in GROUPED:
        return GroupedPenalty(model, X, weight, scale)
    return ConcavePenalty(model, scale) if model.penalty in CONCAVE else None


def _check_unused(model):
    """ValueError where a parameter is set that the penalty has no use for."""
    grouped, concave = model.penalty in GROUPED, model.penalty in {*CONCAVE, "group_mcp", "group_scad"}
    unused = []
    if not grouped:
        unused += [name for name in ("groups", "group_weights") if getattr(model, name) is not None]
    else:
        unused += [name for name in ("penalty_weights", "lower", "upper") if getattr(model, name) is not None]
        unused += ["positive"] if model.positive else []
    if not concave and model.gamma is not None:
        unused.append("gamma")
    if unused:
        value = getattr(model, unused[0])
        raise ValueError(
            f"{unused[0]}={value!r} is not used by penalty={model.penalty!r}; leave it "
            f"{'False' if unused[0] == 'positive' else 'None'}."
        )
    if (grouped or concave) and model.non_crossing:
        raise ValueError(
            f"non_crossing={model.non_crossing!r} is for penalty='l1', 'elastic_net' and None; with "
            f"penalty={model.penalty!r} the levels are fitted one by one: leave non_crossing=False, and see isotonize."
        )


def _concave(model, kind, alpha, weights, scale=1.0):
    penalty = kind() if model.gamma is None else kind(gamma=model.gamma)
    return Concave(penalty, alpha, weights, scale)


class ConcavePenalty:
    """MCP or SCAD of each coefficient; all that is not a group's."""

    def __init__(self, model, scale):
        self.model, self.scale = model, scale

    def fit(self, X, y, levels, weight, *, alpha, weights, lower, upper, **settings):
        """The fit at each level, and no further attributes."""
        concave = _concave(self.model, CONCAVE[self.model.penalty], alpha, weights, self.scale)
        return fit_quantiles_concave(X, y, levels, weight, concave, lower=lower, upper=upper, **settings), {}


class GroupedPenalty:
    """Penalties of groups' norms; where groups overlap, of latent copies of their columns."""

    def __init__(self, model, X, weight, scale):
        names = getattr(model, "feature_names_in_", None)
        rows = X
        if isinstance(model.groups, str) and bool((weight == 0).any()):
            rows = X[np.flatnonzero(to_numpy(weight))]
        self.model, self.scale = model, scale
        self.groups = groups = parse_groups(model.groups, X.shape[1], names, rows)
        self.weights = group_weights(model.group_weights, groups)
        self.names = np.array(groups.names, dtype=object)

    def fit(self, X, y, levels, weight, *, alpha, weights, lower, upper, **settings):
        """The fit at each level, on the host, and what is told of groups; `weights` and bounds are for features."""
        X = X if sp.issparse(X) else to_numpy(X)
        scale, groups = np.broadcast_to(self.scale, X.shape[1]), self.groups
        if np.ndim(self.scale):
            X = (X @ sp.diags_array(1.0 / scale)).tocsc() if sp.issparse(X) else X / scale
        labels = np.repeat(np.arange(len(groups)), groups.sizes)
        if groups.overlapping:
            X = X[:, groups.indices]
        else:
            labels = groups.labels()
        fit = self._solve(X, to_numpy(y), levels, to_numpy(weight), labels, alpha, settings)
        coefs = fit.coefs
        if groups.overlapping:
            latent = coefs / scale[groups.indices]
            coefs = np.zeros((len(levels), len(scale)))
            np.add.at(coefs.T, groups.indices, latent.T)
        else:
            latent = coefs = coefs / scale
        return fit._replace(coefs=coefs), self._told(latent, labels)

    def _solve(self, X, y, levels, weight, labels, alpha, settings):
        model = self.model
        kind = GROUPED[model.penalty]
        if kind is not None:
            concave = _concave(model, kind, alpha, self.weights)
            return fit_quantile_groups_concave(X, y, levels, weight, concave, labels, **settings)
        ratio = 0.0
        if model.penalty == "sparse_group_lasso":
            ratio = 0.5 if model.l1_ratio is None else model.l1_ratio
        l1 = alpha * ratio * (self.weights > 0)[labels]
        joint = alpha * (1.0 - ratio) * self.weights
        return fit_quantile_groups(X, y, levels, weight, labels=labels, joint=joint, l1=l1, **settings)

    def _told(self, latent, labels):
        """The groups, their norms at each level, and which of them are in the model at one of the levels."""
        norms = np.sqrt([np.bincount(labels, weights=w * w, minlength=len(self.groups)) for w in latent])
        return {
            "groups_": self.names,
            "group_columns_": self.groups.all_columns(),
            "group_norms_": norms[0] if np.ndim(self.model.quantile) == 0 else norms,
            "selected_groups_": self.names[(norms > 0).any(axis=0)],
        }
