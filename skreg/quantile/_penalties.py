"""Penalties of `QuantileRegressor` beyond L1 and elastic net: of groups of features, and concave ones."""

from typing import Any

import numpy as np
import scipy.sparse as sp

from skreg._backend import to_numpy
from skreg._groups import group_weights, parse_groups
from skreg.penalties import MCP, SCAD
from skreg.quantile._prepared import Strength
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


def _concave(model, kind, weights, scale=1.0):
    penalty = kind() if model.gamma is None else kind(gamma=model.gamma)
    return Concave(penalty, model.alpha, weights, scale)


class ConcavePenalty(Strength):
    """MCP or SCAD of each coefficient; all that is not a group's."""

    fitted: dict = {}

    def __init__(self, model, scale):
        self.model, self.scale = model, scale

    def fit(self, X, y, levels, weight, *, weights, lower, upper, **settings):
        """The fit at each level."""
        concave = _concave(self.model, CONCAVE[self.model.penalty], weights, self.scale)
        return fit_quantiles_concave(X, y, levels, weight, concave, lower=lower, upper=upper, **settings)


class GroupedPenalty(Strength):
    """Penalties of groups' norms; where groups overlap, of latent copies of their columns."""

    def __init__(self, model, X, weight, scale):
        names = getattr(model, "feature_names_in_", None)
        rows = X
        if isinstance(model.groups, str) and bool((weight == 0).any()):
            rows = X[np.flatnonzero(to_numpy(weight))]
        self.model, self.scale = model, scale
        self.groups = groups = parse_groups(model.groups, X.shape[1], names, rows)
        self.weights = group_weights(model.group_weights, groups)
        self.fitted: dict[str, Any] = {
            "groups_": np.array(groups.names, dtype=object),
            "group_columns_": groups.all_columns(),
        }

    def fit(self, X, y, levels, weight, *, weights, lower, upper, **settings):
        """The fit at each level, on the host; `weights` and bounds of features are not for groups."""
        X = X if sp.issparse(X) else to_numpy(X)
        scale, groups = np.broadcast_to(self.scale, X.shape[1]), self.groups
        if np.ndim(self.scale):
            X = (X @ sp.diags_array(1.0 / scale)).tocsc() if sp.issparse(X) else X / scale
        labels = np.repeat(np.arange(len(groups)), groups.sizes)
        if groups.overlapping:
            X = X[:, groups.indices]
        else:
            labels = groups.labels()
        fit = self._solve(X, to_numpy(y), levels, to_numpy(weight), labels, settings)
        coefs = fit.coefs
        if groups.overlapping:
            latent = coefs / scale[groups.indices]
            coefs = np.zeros((len(levels), len(scale)))
            np.add.at(coefs.T, groups.indices, latent.T)
        else:
            latent = coefs = coefs / scale
        self._select(latent, labels)
        return fit._replace(coefs=coefs)

    def _solve(self, X, y, levels, weight, labels, settings):
        model = self.model
        kind = GROUPED[model.penalty]
        if kind is not None:
            concave = _concave(model, kind, self.weights)
            return fit_quantile_groups_concave(X, y, levels, weight, concave, labels, **settings)
        ratio = 0.0
        if model.penalty == "sparse_group_lasso":
            ratio = 0.5 if model.l1_ratio is None else model.l1_ratio
        l1 = model.alpha * ratio * (self.weights > 0)[labels]
        joint = model.alpha * (1.0 - ratio) * self.weights
        return fit_quantile_groups(X, y, levels, weight, labels=labels, joint=joint, l1=l1, **settings)

    def _select(self, latent, labels):
        """Norms of the groups at each level, and the groups that are in the model at one of them."""
        norms = np.sqrt([np.bincount(labels, weights=w * w, minlength=len(self.groups)) for w in latent])
        self.fitted["group_norms_"] = norms[0] if np.ndim(self.model.quantile) == 0 else norms
        self.fitted["selected_groups_"] = self.fitted["groups_"][(norms > 0).any(axis=0)]
