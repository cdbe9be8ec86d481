"""Penalties of groups of coefficients: scalar penalties of their norms, and the sparse-group Lasso."""

import math
from typing import NamedTuple

import numpy as np

from skreg._params import Parameterised
from skreg.penalties._base import effective_dimension, restrict
from skreg.penalties._elastic_net import ElasticNet
from skreg.penalties._l1 import L1
from skreg.penalties._mcp import MCP
from skreg.penalties._scad import SCAD

_BISECTIONS = 200  # halvings of an interval: down to neighbouring numbers


class GroupParams(NamedTuple):
    """A group Lasso bound to a problem; `label` numbers each coordinate's group, `weights` are the groups'."""

    alpha: float
    weights: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    label: np.ndarray


class GroupElasticNetParams(NamedTuple):
    """A group elastic net, or a sparse-group Lasso, bound to a problem."""

    alpha: float
    weights: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    l1_ratio: float
    label: np.ndarray


class GroupConcaveParams(NamedTuple):
    """A group MCP or SCAD bound to a problem."""

    alpha: float
    weights: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    gamma: float
    label: np.ndarray


class GroupPenalty(Parameterised):
    r"""A penalty :math:`\sum_g \phi_g(w_g)` over groups of coordinates that do not overlap.

    The object answers the same questions as a `SeparablePenalty`. What belongs to a group as a whole is given for each
    of its coordinates: violations in full, values in equal shares, so that sums are right. Bounds are not supported.

    Parameters
    ----------
    labels : array-like of int of shape (n_coordinates,)
        Number of each coordinate's group, from 0 on without gaps.

    Notes
    -----
    The scalar face in `leaves` is ``block_prox(z, step, k, pen, out)``, the proximal operator of the group to which
    coordinate k belongs at the vector z; it uses `math`, numpy and nothing else.
    """

    name = ""
    convex = True
    blocks = True
    signed = False  # whether single coefficients stop at 0 too
    piecewise_quadratic = False
    finite_conjugate = False
    leaves: dict = {}

    def __init__(self, labels):
        self.labels = np.asarray(labels, dtype=np.int64)
        self._structure = _structure(self.labels)

    @property
    def sizes(self):
        """Number of coordinates of each group."""
        return self._structure[2]

    def complete(self, coordinates):
        """The coordinates, and after them those of their groups that are missing."""
        wanted = np.zeros(len(self._structure[0]), dtype=bool)
        wanted[self.labels[coordinates]] = True
        missing = wanted[self.labels]
        missing[coordinates] = False
        return np.concatenate([coordinates, np.flatnonzero(missing)])

    def _groups(self, pen):
        """First coordinate of each group, number of each coordinate's group, and sizes, within `pen`."""
        return self._structure if pen.label is self.labels else _structure(pen.label)

    def value(self, w, pen, xp=np):
        """Sum of the penalty over groups."""
        return np.sum(self.values(w, pen))

    def degrees_of_freedom(self, w, pen, hessian):
        r"""As `SeparablePenalty.degrees_of_freedom`, with the second derivatives of the groups that are not 0.

        For the group Lasso this is the formula of S. Vaiter, C. Deledalle, J. Fadili, G. Peyré, C. Dossal (2017, Annals
        of the Institute of Statistical Mathematics 69(4)); on orthonormal columns that of Yuan and Lin (2006).
        """
        _, group, _ = self._groups(pen)
        active = w != 0 if self.signed else (np.bincount(group, weights=w * w) > 0)[group]
        moving = np.flatnonzero(active)
        if not self.convex or not len(moving):
            return float(len(moving))
        _, c, k, u = (a[moving] for a in self.smooth(w, pen))
        same = group[moving][:, None] == group[moving]
        return effective_dimension(hessian(moving), np.diag(c) + k[:, None] * np.outer(u, u) * same)

    def violation(self, w, grad, curvature, pen, xp=np):
        r"""How far each group is from where it would move: :math:`L_g \|w_g - prox_{1/L_g}(w_g - g_g / L_g)\|`.

        L_g is 1 where `curvature` has a single entry, else the sum of the group's entries, which bounds the curvature
        within the group.
        """
        _, group, _ = self._groups(pen)
        L = np.ones(1)
        if len(curvature) > 1:
            L = np.bincount(group, weights=curvature)[group]
            L[L <= 0] = 1.0
        step = L * (w - self.prox(w - grad / L, 1.0 / L, pen))
        return np.sqrt(np.bincount(group, weights=step * step))[group]


class RadialPenalty(GroupPenalty):
    r"""A scalar penalty of the groups' norms.

    .. math:: \phi_g(w_g) = \rho_g(\|w_g\|_2)

    with :math:`\rho` the L1 norm (group Lasso), elastic net, MCP or SCAD.

    Parameters
    ----------
    base : SeparablePenalty
        The scalar penalty.
    labels : array-like of int of shape (n_coordinates,)
        Number of each coordinate's group, from 0 on without gaps.

    Notes
    -----
    The prox shrinks the norm by the scalar prox, and the conjugate is the scalar conjugate of the norm.

    References
    ----------
    .. [1] M. Yuan and Y. Lin (2006), Model selection and estimation in regression with grouped variables. JRSS B
       68(1), 49-67.
    .. [2] P. Breheny and J. Huang (2015), Group descent algorithms for nonconvex penalized linear and logistic
       regression models with grouped predictors. Statistics and Computing 25, 173-187.

    Examples
    --------
    >>> import numpy as np
    >>> from skreg.penalties import L1, RadialPenalty
    >>> penalty, free = RadialPenalty(L1(), [0, 0, 1]), np.full(3, np.inf)
    >>> pen = penalty.bind(alpha=1.0, weights=np.ones(3), lower=-free, upper=free, curvature=np.ones(3))
    >>> penalty.prox(np.array([3.0, 4.0, 0.5]), 1.0, pen)
    array([2.4, 3.2, 0. ])
    """

    def __init__(self, base, labels):
        super().__init__(labels)
        self.base = base
        self.name = "group_" + base.name
        self.convex = base.convex
        self.finite_conjugate = base.finite_conjugate
        self.leaves = {"block_prox": radial_prox, "prox": base.leaves["prox"]}

    def bind(self, alpha, weights, lower, upper, curvature):
        """Join shape, strength, weights and groups."""
        return _KINDS[type(self.base)](*self.base.bind(alpha, weights, lower, upper, curvature), self.labels)

    def _norms(self, x, pen):
        """Norms of the groups, the penalty's parameters a group, and the number of each coordinate's group."""
        first, group, size = self._groups(pen)
        return np.sqrt(np.bincount(group, weights=x * x)), restrict(pen, first), group, size

    def values(self, w, pen, xp=np):
        """The groups' values in equal shares."""
        norms, own, group, size = self._norms(w, pen)
        return (self.base.values(norms, own) / size)[group]

    def prox(self, z, step, pen, xp=np):
        """Proximal operator; `step` is a number, or one a coordinate that is the same within a group."""
        norms, own, group, _ = self._norms(z, pen)
        step = step if np.ndim(step) == 0 or len(step) == 1 else step[self._groups(pen)[0]]
        new = self.base.free_prox(norms, step, own)
        return z * np.divide(new, norms, out=np.zeros_like(norms), where=norms > 0)[group]

    def conjugate(self, z, pen, xp=np):
        """The groups' conjugates in equal shares."""
        norms, own, group, size = self._norms(z, pen)
        return (self.base.conjugate(norms, own) / size)[group]

    def dual_scale(self, z, w, pen, xp=np):
        """Largest c in [0, 1] for which ``c * z`` is known to be dual feasible beside the primal point `w`."""
        ridge = 1.0 - getattr(pen, "l1_ratio", 1.0)
        norms, own, _, _ = self._norms(z - pen.alpha * pen.weights * ridge * w, pen)
        return self.base.dual_scale(norms, np.zeros_like(norms), own)

    def alpha_max(self, grad, curvature, weights, lower, upper):
        """Smallest alpha at which w = 0 stays put, given the gradient at 0."""
        first, group, _ = self._structure
        norms, L = np.sqrt(np.bincount(group, weights=grad * grad)), np.bincount(group, weights=curvature)
        alpha = self.base.alpha_max(norms, L, weights[first], lower[first], upper[first])
        return _nudge(self, alpha, grad, weights, lower, upper)

    def smooth(self, w, pen):
        """Gradient at groups that are not 0, and of their second derivatives c I + k u u' the c, the k and u."""
        norms, own, group, _ = self._norms(w, pen)
        slope, bend = self.base.derivative(norms, own), self.base.second_derivative(norms, own)
        c = np.divide(slope, norms, out=np.zeros_like(norms), where=norms > 0)
        u = w * np.divide(1.0, norms, out=np.zeros_like(norms), where=norms > 0)[group]
        return c[group] * w, c[group], (bend - c)[group], u


class SparseGroup(GroupPenalty):
    r"""The sparse-group Lasso: some groups, and of these some coefficients.

    .. math:: \phi_g(w_g) = \alpha \left( \rho \|w_g\|_1 + (1 - \rho) v_g \|w_g\|_2 \right), \qquad
              \rho = \texttt{l1\_ratio}

    A group of weight 0 is unpenalised, in its L1 norm too.

    Parameters
    ----------
    labels : array-like of int of shape (n_coordinates,)
        Number of each coordinate's group, from 0 on without gaps.
    l1_ratio : float, default=0.5
        Share of the L1 norm, from 0 (group Lasso) to 1 (Lasso).

    Notes
    -----
    The prox is a soft threshold of the coordinates, then one of the norm. A dual point z is feasible where
    :math:`\|S(z_g, \alpha \rho)\|_2 \le \alpha (1 - \rho) v_g`, S the soft threshold: a bound on the epsilon-norm.

    References
    ----------
    .. [1] N. Simon, J. Friedman, T. Hastie, R. Tibshirani (2013), A sparse-group lasso. Journal of Computational and
       Graphical Statistics 22(2), 231-245.
    .. [2] E. Ndiaye, O. Fercoq, A. Gramfort, J. Salmon (2016), GAP safe screening rules for sparse-group Lasso.
       NeurIPS 29.

    Examples
    --------
    >>> import numpy as np
    >>> from skreg.penalties import SparseGroup
    >>> penalty, free = SparseGroup([0, 0, 1], l1_ratio=0.5), np.full(3, np.inf)
    >>> pen = penalty.bind(alpha=2.0, weights=np.ones(3), lower=-free, upper=free, curvature=np.ones(3))
    >>> penalty.prox(np.array([4.0, 5.0, 1.5]), 1.0, pen)
    array([2.4, 3.2, 0. ])
    """

    name = "sparse_group"
    signed = True

    def __init__(self, labels, l1_ratio=0.5):
        super().__init__(labels)
        self.l1_ratio = l1_ratio
        self.leaves = {"block_prox": sparse_group_prox}

    def bind(self, alpha, weights, lower, upper, curvature):
        """Join shape, strength, weights and groups; ValueError unless 0 <= l1_ratio <= 1."""
        if not 0 <= self.l1_ratio <= 1:
            raise ValueError(f"l1_ratio must be between 0 and 1 inclusive; got {self.l1_ratio!r}.")
        return GroupElasticNetParams(float(alpha), weights, lower, upper, float(self.l1_ratio), self.labels)

    def _strengths(self, pen):
        """Of the L1 norm a coordinate, and of the L2 norm a group."""
        first, _, _ = self._groups(pen)
        single = pen.alpha * pen.l1_ratio * (pen.weights > 0)
        weights = pen.weights[first]
        group = np.where(weights > 0, pen.alpha * (1.0 - pen.l1_ratio) * np.where(weights > 0, weights, 1.0), 0.0)
        return single, group

    def values(self, w, pen, xp=np):
        """The groups' values: the L1 norm where it arises, the L2 norm in equal shares."""
        _, group, size = self._groups(pen)
        single, joint = self._strengths(pen)
        norms = np.sqrt(np.bincount(group, weights=w * w))
        return single * np.abs(w) + (joint * norms / size)[group]

    def prox(self, z, step, pen, xp=np):
        """Proximal operator; `step` is a number, or one a coordinate that is the same within a group."""
        first, group, _ = self._groups(pen)
        single, joint = self._strengths(pen)
        x = _soft(z, step * single)
        norms = np.sqrt(np.bincount(group, weights=x * x))
        step = step if np.ndim(step) == 0 or len(step) == 1 else step[first]
        kept = np.maximum(norms - step * joint, 0.0)
        return x * np.divide(kept, norms, out=np.zeros_like(norms), where=norms > 0)[group]

    def conjugate(self, z, pen, xp=np):
        """0 where z is feasible, but for rounding, and inf elsewhere."""
        _, group, size = self._groups(pen)
        single, joint = self._strengths(pen)
        excess = np.sqrt(np.bincount(group, weights=_soft(z, single) ** 2))
        largest = np.sqrt(np.bincount(group, weights=z * z))
        free = joint + np.bincount(group, weights=single) == 0
        return np.where(free | (excess <= joint + 1e-15 * largest), 0.0, np.inf)[group]

    def dual_scale(self, z, w, pen, xp=np):
        """Largest c in [0, 1] for which ``c * z`` is dual feasible."""
        _, group, _ = self._groups(pen)
        single, joint = self._strengths(pen)
        outside = np.sqrt(np.bincount(group, weights=_soft(z, single) ** 2)) > joint
        outside &= joint + np.bincount(group, weights=single) > 0
        chosen = outside[group]
        if not chosen.any():
            return 1.0
        scale = shrinkage(z[chosen], single[chosen], group[chosen], joint).min()
        return (1.0 - 4.0 * np.finfo(float).eps) * float(scale)

    def alpha_max(self, grad, curvature, weights, lower, upper):
        """Smallest alpha at which w = 0 stays put, given the gradient at 0."""
        pen = self.bind(1.0, weights, lower, upper, None)
        _, group, _ = self._groups(pen)
        single, joint = self._strengths(pen)
        chosen = (weights > 0) & (grad != 0)
        if not chosen.any():
            return 0.0
        alpha = float(1.0 / shrinkage(grad[chosen], single[chosen], group[chosen], joint).min())
        return _nudge(self, alpha, grad, weights, lower, upper)

    def smooth(self, w, pen):
        """As `RadialPenalty.smooth`, for coordinates that are not 0."""
        _, group, _ = self._groups(pen)
        single, joint = self._strengths(pen)
        norms = np.sqrt(np.bincount(group, weights=w * w))
        inverse = np.divide(1.0, norms, out=np.zeros_like(norms), where=norms > 0)
        c = (joint * inverse)[group]
        return c * w + single * np.sign(w), c, -c, w * inverse[group]


_KINDS = {L1: GroupParams, ElasticNet: GroupElasticNetParams, MCP: GroupConcaveParams, SCAD: GroupConcaveParams}


def radial_prox(z, step, k, pen, out):
    """Shrink the norm of z by the scalar prox."""
    total = 0.0
    for i in range(z.shape[0]):
        total += z[i] * z[i]
    norm = math.sqrt(total)
    scale = prox(norm, step, k, pen) / norm if norm > 0.0 else 0.0  # noqa: F821 - bound by specialize
    for i in range(z.shape[0]):
        out[i] = scale * z[i]


def sparse_group_prox(z, step, k, pen, out):
    """Soft threshold of the coordinates, then of the norm."""
    weight = pen.weights[k]
    t = step * pen.alpha * pen.l1_ratio if weight > 0.0 else 0.0
    total = 0.0
    for i in range(z.shape[0]):
        size = abs(z[i]) - t
        out[i] = math.copysign(size, z[i]) if size > 0.0 else 0.0
        total += out[i] * out[i]
    norm = math.sqrt(total)
    joint = step * pen.alpha * (1.0 - pen.l1_ratio) * weight if weight > 0.0 else 0.0
    scale = (norm - joint) / norm if norm > joint else 0.0
    for i in range(z.shape[0]):
        out[i] *= scale


def _structure(label):
    """First coordinate of each group, number of each coordinate's group, and the groups' sizes."""
    _, first, group, size = np.unique(label, return_index=True, return_inverse=True, return_counts=True)
    return first, group, size


def _soft(z, t):
    return z - np.clip(z, -t, t)


def shrinkage(z, single, group, joint):
    """For each group the c at which ``norm(soft(c * z, single)) == joint``, by bisection of its logarithm."""
    numbers, group = np.unique(group, return_inverse=True)
    joint, size = joint[numbers], np.abs(z)
    low, high = np.full(len(numbers), -700.0), np.full(len(numbers), 700.0)
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        excess = np.maximum(np.exp(middle)[group] * size - single, 0.0)
        inside = np.bincount(group, weights=excess * excess) <= joint**2
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    return np.exp(low)


def _nudge(penalty, alpha, grad, weights, lower, upper):
    """`alpha` a few units in the last place up, so that the prox of the vector face is exactly 0 there."""
    for nudge in range(-52, -20):
        pen = penalty.bind(alpha, weights, lower, upper, np.ones(len(grad)))
        if alpha == 0.0 or not penalty.prox(-grad, 1.0, pen)[weights > 0].any():
            break
        alpha *= 1.0 + 2.0**nudge
    return alpha
