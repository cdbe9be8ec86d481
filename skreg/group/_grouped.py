"""What estimators with groups of features share: reading the groups, their weights, and what is reported of them."""

from numbers import Integral, Real

import numpy as np

from skreg._backend import Interval, StrOptions
from skreg._base import SparseLinearModel, constraints
from skreg._groups import check_encoded, group_weights, parse_groups
from skreg._repeated import RepeatedDesign
from skreg.penalties import L1, MCP, SCAD, ElasticNet, RadialPenalty

RADIAL = {"group_lasso": L1, "group_elastic_net": ElasticNet, "group_mcp": MCP, "group_scad": SCAD}


class GroupedModel(SparseLinearModel):
    """A linear model whose penalty acts on groups of features.

    Subclasses have the parameters `groups` and `group_weights`, and give `_group_penalty(labels)`.
    """

    def _validate(self, X, y, **check):
        if isinstance(self.groups, str):
            check_encoded(X)
        return super()._validate(X, y, **check)

    def _structure(self, X, weight):
        names = getattr(self, "feature_names_in_", None)
        rows = X
        if isinstance(self.groups, str) and (weight == 0).any():
            rows = X[np.flatnonzero(weight)]
        return parse_groups(self.groups, X.shape[1], names, rows)

    def _prepare(self, X, y, sample_weight=None, offset=None, n_outputs=1):
        prepared = super()._prepare(X, y, sample_weight, offset, n_outputs)
        groups = prepared.structure
        prepared.fitted["groups_"] = np.array(groups.names, dtype=object)
        prepared.fitted["group_columns_"] = groups.all_columns()
        return prepared

    def _penalty_for(self, structure, n_outputs):
        labels = np.repeat(np.arange(len(structure)), structure.sizes)
        if not structure.overlapping:
            labels = structure.labels()
        if self._joint_outputs():
            return self._group_penalty(np.tile(labels, n_outputs))
        return self._group_penalty(np.concatenate([labels + k * len(structure) for k in range(n_outputs)]))

    def _joint_outputs(self):
        """Whether a group holds its features' coefficients of all classes."""
        return getattr(self, "multinomial", "grouped") == "grouped"

    def _design_for(self, structure, design):
        return RepeatedDesign(design, structure.indices) if structure.overlapping else design

    def _weights_and_bounds(self, n_features, structure):
        weights = group_weights(self.group_weights, structure)
        weights = np.repeat(weights, structure.sizes) if structure.overlapping else weights[structure.labels()]
        bound = np.full(len(weights), np.inf)
        return weights, -bound, bound

    def _set_coefficients(self, coef, intercept):
        super()._set_coefficients(coef, intercept)
        squares = np.sum(np.atleast_2d(coef).astype(np.float64) ** 2, axis=0)
        ends = np.cumsum([0, *map(len, self.group_columns_)])
        vars(self).update(self._selection(np.add.reduceat(squares[np.concatenate(self.group_columns_)], ends[:-1])))

    def _hidden(self, prepared, solution):
        """Where groups overlap, the norms of the latent coefficients, which the features' are sums of."""
        groups = prepared.structure
        if not groups.overlapping:
            return {}
        latent = solution.coef.reshape(prepared.n_outputs, -1)
        if prepared.data.design.scale is not None:
            latent = latent / prepared.data.design.scale
        return self._selection(np.add.reduceat(np.sum(latent**2, axis=0), groups.starts[:-1]))

    def _selection(self, squares):
        """What is reported of groups whose norms have these squares."""
        norms = np.sqrt(squares)
        return {"group_norms_": norms, "selected_groups_": self.groups_[norms > 0]}

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.array_api_support = False
        return tags


def group_constraints(**special):
    """Those of all linear models but for bounds and weights a feature, with those of groups."""
    shared = constraints()
    for name in ("positive", "penalty_weights", "lower", "upper"):
        del shared[name]
    groups = [None, StrOptions({"auto"}), Interval(Integral, 1, None, closed="left"), "array-like", dict]
    return {**shared, "groups": groups, "group_weights": [None, "array-like", dict, Real], **special}


def radial_penalty(model, labels):
    """The penalty of the groups' norms that `penalty`, `l1_ratio` and `gamma` name."""
    return RadialPenalty(_base_penalty(model.penalty, l1_ratio=model.l1_ratio, gamma=model.gamma), labels)


def _base_penalty(name, **shape):
    """The scalar penalty of the norms; ValueError where a shape parameter is set that it does not have."""
    kind = RADIAL[name]
    for parameter, value in shape.items():
        if value is not None and parameter not in kind().get_params():
            raise ValueError(f"{parameter}={value!r} is not used by penalty={name!r}; leave it None.")
    return kind(**{parameter: value for parameter, value in shape.items() if value is not None})
