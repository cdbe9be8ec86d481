r"""Weights of several quantile forecasts, as exactly solved linear programs.

    minimise over w, b:   sum_i s_i mean_k psi_{tau_k}(y_i - w_k . z_ik - b_k) + penalty,     sum_i s_i = 1

Here z_ik are the forecasts that inform level k: one a model at level k itself, or (fine weights) all levels of all
models. Levels that share their weights are one stacked problem; all other levels are problems of their own.
"""

from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np
from sklearn.utils import check_array
from sklearn.utils.validation import column_or_1d

from skreg._base import check_sample_weight
from skreg._quantiles import check_levels
from skreg.solvers._interior_point_fit import fit_quantiles, weighted_quantile

RESOLUTIONS = ("coarse", "medium", "fine")
CONSTRAINTS = ("convex", "positive", "affine", "none")

_ROUNDING = 1e-6  # by which given weights may miss a constraint: they may have been through float32


@dataclass(frozen=True)
class QuantileWeights:
    """Weights of forecasts, and what is known of them.

    Attributes
    ----------
    weights : ndarray of shape (n_models,), (n_models, n_quantiles) or (n_quantiles, n_models, n_quantiles)
        Coarse, medium or fine weights; the first axis of fine ones is the level that is predicted, the last one the
        level that informs it.
    intercepts : ndarray of shape (n_quantiles,)
        What is added at each level; zeros without `intercept`.
    objective : float
        Pinball loss, averaged over samples and levels, plus the penalty.
    dual_gap : float
        Duality gap over the objective of equal weights, the largest over the levels.
    """

    weights: np.ndarray
    intercepts: np.ndarray
    objective: float
    dual_gap: float

    def combine(self, Z):
        """Combined forecasts of shape (n_samples, n_quantiles) of forecasts (n_samples, n_models, n_quantiles)."""
        spec = {1: "ijk,j->ik", 2: "ijk,jk->ik", 3: "ijl,kjl->ik"}[self.weights.ndim]
        return np.einsum(spec, np.asarray(Z, dtype=np.float64), self.weights, optimize=True) + self.intercepts


def fit_weights(
    Z,
    y,
    quantiles,
    *,
    resolution="medium",
    constraint="convex",
    intercept=False,
    tau_groups=None,
    max_weight=None,
    max_nonzero=None,
    shrinkage=0.0,
    shrink_to="uniform",
    sample_weight=None,
    tol=1e-6,
):
    r"""Weights with which to average quantile forecasts: coarse, medium or fine, to the exact optimum.

    With forecasts :math:`z_{ijl}` of sample i by model j at level :math:`\tau_l`, and weights that sum to one,

    .. math::
        \min_w \; \frac{1}{m} \sum_{k=1}^m \Bigl[ \frac{1}{\sum_i s_i} \sum_i s_i \,
        \psi_{\tau_k}\Bigl(y_i - \sum_{j,l} w_{kjl} \, z_{ijl}\Bigr) + \lambda \, L_k \, \|w_k - w^0_k\|_1 \Bigr],
        \qquad \psi_\tau(r) = \max(\tau r, (\tau - 1) r).

    Fine weights are all :math:`w_{kjl}`; medium ones have :math:`w_{kjl} = 0` for :math:`l \ne k`; coarse ones are, in
    addition, the same at every level. The penalty leads to the target :math:`w^0`, in units of the target's own loss
    :math:`L_k` (for coarse weights, its average over the levels).

    Parameters
    ----------
    Z : array-like of shape (n_samples, n_models, n_quantiles)
        Forecasts of samples that the models were not trained on.
    y : array-like of shape (n_samples,)
        What came true.
    quantiles : float or array-like of shape (n_quantiles,)
        Increasing levels, strictly between 0 and 1.
    resolution : {"coarse", "medium", "fine"}, default="medium"
        One weight a model; one a model and level; or one a model, level and level that informs it.
    constraint : {"convex", "positive", "affine", "none"}, default="convex"
        Non-negative weights that sum to one; non-negative ones; ones that sum to one; any.
    intercept : bool, default=False
        Whether to add a constant to each level (coarse: to all levels together), which nothing penalises.
    tau_groups : array-like of shape (n_quantiles,), default=None
        Labels of the levels; levels with one label share their weights and intercept. For "medium" alone.
    max_weight : float, default=None
        Largest value of a weight, at least 1 / n_models.
    max_nonzero : int, default=None
        Largest number of models in use. Those with the least coarse weight are left out one by one.
    shrinkage : float, default=0.0
        :math:`\lambda`; ``inf`` gives the target itself.
    shrink_to : {"uniform", "coarse"} or array-like, default="uniform"
        The target: equal weights of all models at the level itself, the coarse weights (without shrinkage), or weights
        in the shape of the resolution's.
    sample_weight : array-like of shape (n_samples,), default=None
        Non-negative weights of the samples.
    tol : float, default=1e-6
        Duality gap to reach, over the objective of equal weights. Optima are vertices, exact but for rounding.

    Returns
    -------
    result : QuantileWeights
        `weights`, `intercepts`, `objective`, `dual_gap`, and ``combine(Z)``.

    Raises
    ------
    ValueError
        If an argument has a wrong shape or value; the message names it.

    See Also
    --------
    QuantileAggregator : Trains the models, too.

    References
    ----------
    .. [1] R. Fakoor, T. Kim, J. Mueller, A. Smola, R. Tibshirani (2023). Flexible model aggregation for quantile
       regression. JMLR 24(162), section 3.

    Examples
    --------
    Two forecasts of a standard normal variable, one too low and one too high:

    >>> import numpy as np
    >>> from scipy.stats import norm
    >>> from skreg.quantile import fit_weights
    >>> y = norm.ppf(np.linspace(0.005, 0.995, 100))
    >>> levels = [0.25, 0.5, 0.75]
    >>> Z = norm.ppf(levels) + np.array([[-1.0], [3.0]]) + np.zeros((100, 1, 1))
    >>> fit_weights(Z, y, levels, resolution="coarse").weights.round(2)
    array([0.75, 0.25])
    """
    Z, y, levels, weight = _check_data(Z, y, quantiles, sample_weight)
    p, m = Z.shape[1:]
    _check_choice("resolution", resolution, RESOLUTIONS)
    _check_choice("constraint", constraint, CONSTRAINTS)
    if not (isinstance(shrinkage, Real) and shrinkage >= 0):
        raise ValueError(f"shrinkage must be a non-negative number; got {shrinkage!r}.")
    if max_nonzero is not None and not (isinstance(max_nonzero, Integral) and max_nonzero >= 1):
        raise ValueError(f"max_nonzero must be a positive integer or None; got {max_nonzero!r}.")
    groups = level_groups(resolution, tau_groups, m)
    least = 1.0 / min(p, max_nonzero or p)
    if max_weight is not None and not max_weight >= least * (1.0 - 1e-12):
        raise ValueError(f"max_weight must be at least {least:.3g}, so that weights can sum to one; got {max_weight}.")
    bounds = dict(
        lower=0.0 if constraint in ("convex", "positive") else -np.inf,
        upper=np.inf if max_weight is None else max(max_weight, least),
        simplex=constraint in ("convex", "affine"),
    )
    program = _Program(Z, y, levels, weight, bounds, bool(intercept), tol)
    if max_nonzero is not None and max_nonzero < p:
        program.leave_out(max_nonzero)
    target = _target(shrink_to, program, groups, resolution)
    return _shaped(program.solve(groups, resolution == "fine", target, float(shrinkage)), resolution, groups, m)


@dataclass
class _Program:
    """The data, and what all levels' problems have in common."""

    Z: np.ndarray
    y: np.ndarray
    levels: np.ndarray
    weight: np.ndarray
    bounds: dict
    intercept: bool
    tol: float

    def __post_init__(self):
        self.kept = np.arange(self.Z.shape[1])  # models that may have weight

    def uniform(self):
        """Equal weights of the models in use."""
        w = np.zeros(self.Z.shape[1])
        w[self.kept] = 1.0 / len(self.kept)
        return w

    def leave_out(self, n_models):
        """Leave models out, one by one, until at most `n_models` have coarse weight."""
        while len(self.kept) > n_models:
            size = np.abs(self.coarse()[self.kept])
            worst = np.argmin(size)
            self.kept = self.kept[size > 0] if n_models <= np.sum(size > 0) < len(size) else np.delete(self.kept, worst)

    def coarse(self):
        """Coarse weights, not shrunk."""
        everything = [np.arange(len(self.levels))]
        return self.solve(everything, False, [self.uniform()], 0.0).weights[0]

    def solve(self, groups, fine, targets, shrinkage):
        """Weights, and what comes with them, per group of levels; targets are as the weights."""
        found = [self._solve_group(group, fine, target, shrinkage) for group, target in zip(groups, targets)]
        return _Solved(*map(list, zip(*found)))

    def _solve_group(self, group, fine, target, shrinkage):
        design, centre = self._design(group, fine), target[self.kept].ravel()
        y, weight = np.repeat(self.y, len(group)), np.repeat(self.weight, len(group))
        levels = np.tile(self.levels[group], len(self.y))
        l1, m = 0.0, len(group)
        if shrinkage > 0:
            b, loss = self._target_alone(y - design @ centre, levels, weight)
            if np.isinf(shrinkage):
                return self._spread(centre, target), b, loss * m, 0.0
            l1 = shrinkage * loss
        fit = fit_quantiles(
            design,
            y,
            levels[None, :] if m > 1 else levels[:1],
            weight,
            fit_intercept=self.intercept,
            l1=l1,
            centre=centre,
            tol=self.tol,
            **self.bounds,
        )
        w, b = fit.coefs[0], float(fit.intercepts[0])
        objective = weighted_loss(y - design @ w - b, levels, weight) + l1 * np.sum(np.abs(w - centre))
        return self._spread(w, target), b, objective * m, float(fit.gaps[0])

    def _target_alone(self, r, levels, weight):
        """Intercept and loss where the target's weights leave the residuals `r`."""
        b = weighted_quantile(r, weight, levels) if self.intercept else 0.0
        return b, weighted_loss(r - b, levels, weight)

    def _design(self, group, fine):
        Z = self.Z[:, self.kept]
        if fine:
            return Z.reshape(len(Z), -1)
        return np.ascontiguousarray(Z[:, :, group].transpose(0, 2, 1)).reshape(-1, len(self.kept))

    def _spread(self, w, target):
        """Weights of the models in use among those of all."""
        everywhere = np.zeros_like(target)
        everywhere[self.kept] = w.reshape(len(self.kept), *target.shape[1:])
        return everywhere


@dataclass
class _Solved:
    """One entry a group of levels."""

    weights: list
    intercepts: list
    objectives: list
    gaps: list


def _shaped(solved, resolution, groups, m):
    """Weights in the shape of their resolution."""
    place = np.empty(m, dtype=int)
    for g, levels in enumerate(groups):
        place[levels] = g
    weights = np.array(solved.weights)
    weights = weights[0] if resolution == "coarse" else weights[place] if resolution == "fine" else weights[place].T
    intercepts = np.array(solved.intercepts)[place]
    return QuantileWeights(weights, intercepts, float(np.sum(solved.objectives)) / m, float(np.max(solved.gaps)))


def _target(shrink_to, program, groups, resolution):
    """What the weights of each group of levels are shrunk to, of their shape."""
    _, p, m = program.Z.shape
    if not isinstance(shrink_to, str):
        return _given_target(shrink_to, groups, resolution, p, m, program.bounds)
    _check_choice("shrink_to", shrink_to, ("uniform", "coarse"))
    w = program.coarse() if shrink_to == "coarse" and resolution != "coarse" else program.uniform()
    if resolution != "fine":
        return [w for _ in groups]
    targets = np.zeros((m, p, m))
    targets[np.arange(m), :, np.arange(m)] = w
    return list(targets)


def _given_target(shrink_to, groups, resolution, p, m, bounds):
    target = np.asarray(shrink_to, dtype=np.float64)
    shape = {"coarse": (p,), "medium": (p, m), "fine": (m, p, m)}[resolution]
    if target.shape != shape:
        raise ValueError(f"shrink_to must be of shape {shape}, as the weights are; got shape {target.shape}.")
    if resolution == "coarse":
        targets = [target]
    else:
        targets = list(target) if resolution == "fine" else [target[:, group[0]] for group in groups]
    lower, upper = bounds["lower"] - _ROUNDING, bounds["upper"] + _ROUNDING
    feasible = all(np.all((w >= lower) & (w <= upper)) for w in targets)
    if not feasible or (bounds["simplex"] and any(abs(np.sum(w) - 1.0) > _ROUNDING for w in targets)):
        raise ValueError("shrink_to must have weights that meet constraint and max_weight.")
    targets = [np.clip(w, bounds["lower"], bounds["upper"]) for w in targets]
    return [w / np.sum(w) for w in targets] if bounds["simplex"] else targets


def weighted_loss(r, levels, weight):
    """Weighted mean pinball loss of residuals."""
    return float(np.average(pinball(r, levels), weights=weight))


def pinball(r, levels):
    """Pinball loss of residuals."""
    return np.maximum(levels * r, (levels - 1.0) * r)


def level_groups(resolution, tau_groups, m):
    """Levels that share their weights, as one array of places a group."""
    if tau_groups is not None:
        if resolution != "medium":
            raise ValueError(f"tau_groups needs resolution='medium'; got resolution={resolution!r}.")
        labels = np.asarray(tau_groups)
        if labels.shape != (m,):
            raise ValueError(f"tau_groups must have one label for each of {m} quantiles; got shape {labels.shape}.")
        return [np.flatnonzero(labels == label) for label in dict.fromkeys(labels.tolist())]
    return [np.arange(m)] if resolution == "coarse" else [np.array([k]) for k in range(m)]


def _check_choice(name, value, choices):
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}; got {value!r}.")


def _check_data(Z, y, quantiles, sample_weight):
    levels = check_levels(quantiles, "quantiles")
    Z = check_array(Z, dtype=np.float64, ensure_2d=False, allow_nd=True, input_name="Z")
    if Z.ndim != 3 or Z.shape[2] != len(levels) or 0 in Z.shape:
        raise ValueError(f"Z must be of shape (n_samples, n_models, {len(levels)} quantiles); got shape {Z.shape}.")
    y = check_array(column_or_1d(y), dtype=np.float64, ensure_2d=False, input_name="y")
    if len(y) != len(Z):
        raise ValueError(f"Z and y must have the same number of samples; got {len(Z)} and {len(y)}.")
    return Z, y, levels, check_sample_weight(sample_weight, Z)
