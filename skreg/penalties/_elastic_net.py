"""The elastic net: L1 norm and half the squared L2 norm, mixed."""

from typing import NamedTuple

import numpy as np

from skreg.penalties._base import SeparablePenalty


class ElasticNetParams(NamedTuple):
    """An elastic net bound to a problem."""

    alpha: float
    weights: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    l1_ratio: float


def elastic_net_prox(z, step, j, pen):
    """Soft threshold by the L1 part, then shrinkage by the L2 part."""
    s = step * (pen.alpha * pen.weights[j])
    t = s * pen.l1_ratio
    shrink = 1.0 + s * (1.0 - pen.l1_ratio)
    if z > t:
        return (z - t) / shrink
    if z < -t:
        return (z + t) / shrink
    return 0.0


def elastic_net_value(x, j, pen):
    """alpha_j * (l1_ratio * abs(x) + (1 - l1_ratio) / 2 * x**2)."""
    return pen.alpha * pen.weights[j] * (pen.l1_ratio * abs(x) + 0.5 * (1.0 - pen.l1_ratio) * x * x)


class ElasticNet(SeparablePenalty):
    r"""The elastic net, with scikit-learn's parameters.

    .. math:: \phi_j(w) = \alpha_j \left( \rho |w| + \tfrac{1 - \rho}{2} w^2 \right),
              \qquad \alpha_j = \alpha v_j,\ \rho = \texttt{l1\_ratio}

    Parameters
    ----------
    l1_ratio : float, default=0.5
        Share of the L1 norm, from 0 (ridge) to 1 (Lasso).

    Notes
    -----
    With :math:`l_1 = \alpha_j \rho` and :math:`l_2 = \alpha_j (1 - \rho)` the prox is
    :math:`\mathrm{sign}(z) (|z| - s l_1)_+ / (1 + s l_2)` and the conjugate :math:`(|z| - l_1)_+^2 / (2 l_2)`.

    For ``l1_ratio=0`` no alpha empties the model; `alpha_max` then answers for ``l1_ratio=1e-3``, as glmnet does, to
    give a path somewhere to start.

    References
    ----------
    .. [1] H. Zou and T. Hastie (2005), Regularization and variable selection via the elastic net. JRSS B 67(2),
       301-320.

    Examples
    --------
    >>> import numpy as np
    >>> from skreg.penalties import ElasticNet
    >>> free = np.full(3, np.inf)
    >>> penalty = ElasticNet(l1_ratio=0.5)
    >>> pen = penalty.bind(alpha=2.0, weights=np.ones(3), lower=-free, upper=free, curvature=np.ones(3))
    >>> penalty.prox(np.array([-3.0, 0.5, 2.0]), 1.0, pen)
    array([-1. ,  0. ,  0.5])
    """

    name = "elastic_net"
    convex = True
    piecewise_quadratic = True
    finite_conjugate = True
    leaves = {"prox": elastic_net_prox, "value": elastic_net_value}

    def __init__(self, l1_ratio=0.5):
        self.l1_ratio = l1_ratio

    def bind(self, alpha, weights, lower, upper, curvature):
        """Join shape, strength, weights and bounds; ValueError unless 0 <= l1_ratio <= 1."""
        if not 0 <= self.l1_ratio <= 1:
            raise ValueError(f"l1_ratio must be between 0 and 1 inclusive for the elastic net; got {self.l1_ratio!r}.")
        return ElasticNetParams(float(alpha), weights, lower, upper, float(self.l1_ratio))

    def values(self, w, pen, xp=np):
        return pen.alpha * pen.weights * (pen.l1_ratio * xp.abs(w) + 0.5 * (1.0 - pen.l1_ratio) * w * w)

    def free_prox(self, z, step, pen, xp=np):
        s = step * (pen.alpha * pen.weights)
        t = s * pen.l1_ratio
        return (z - xp.minimum(xp.maximum(z, -t), t)) / (1.0 + s * (1.0 - pen.l1_ratio))

    def derivative(self, w, pen, xp=np):
        return pen.alpha * pen.weights * (pen.l1_ratio * xp.sign(w) + (1.0 - pen.l1_ratio) * w)

    def second_derivative(self, w, pen, xp=np):
        return xp.where(w != 0, pen.alpha * pen.weights * (1.0 - pen.l1_ratio), xp.zeros_like(w))

    def conjugate(self, z, pen, xp=np):
        strength = pen.alpha * pen.weights
        l1, l2 = strength * pen.l1_ratio, strength * (1.0 - pen.l1_ratio)
        zero, one = xp.zeros_like(z), xp.ones_like(z)
        curved = l2 > 0
        total = zero
        for excess, room in ((z - l1, pen.upper), (-z - l1, -pen.lower)):
            excess = xp.maximum(excess, zero)
            inside = xp.minimum(excess / xp.where(curved, l2, one), room)
            flat = xp.where(excess > 0, room, zero)  # may be infinite, and then so is the supremum
            inside = xp.where(curved, inside, zero)
            total = total + excess * xp.where(curved, inside, flat) - 0.5 * l2 * inside * inside
        unconstrained = (strength == 0) & xp.isinf(pen.lower) & xp.isinf(pen.upper)
        return xp.where(unconstrained, zero, total)

    def dual_scale(self, z, w, pen, xp=np):
        r"""Scale of the dual point of the equivalent Lasso on augmented data.

        :math:`c = \min_j 1 / \max(1, |z_j - l_2 w_j| / l_1)`, a little less where not 1. Only unbounded sides count;
        features of weight 0, and every feature when ``l1_ratio=0`` (no constraint is left), do not.

        With ``l1_ratio < 1`` every multiple of z is feasible, so that c = 1 is a second candidate worth trying.
        """
        strength = pen.alpha * pen.weights
        l1, l2 = strength * pen.l1_ratio, strength * (1.0 - pen.l1_ratio)
        one = xp.ones_like(z)
        u = z - l2 * w
        constrained = (l1 > 0) & xp.isinf(xp.where(u > 0, pen.upper, pen.lower))
        excess = xp.where(constrained, xp.abs(u) / xp.where(l1 > 0, l1, one), one)
        worst = float(xp.max(excess))
        return 1.0 if worst <= 1.0 else (1.0 - 4.0 * float(xp.finfo(z.dtype).eps)) / worst

    def alpha_max(self, grad, curvature, weights, lower, upper):
        """Smallest alpha at which w = 0 stays put; for ``l1_ratio=0`` that of ``l1_ratio=1e-3``, for none does."""
        if self.l1_ratio == 0:
            return ElasticNet(l1_ratio=1e-3).alpha_max(grad, curvature, weights, lower, upper)
        return super().alpha_max(grad, curvature, weights, lower, upper)

    def _emptying_strength(self, slope, L):
        return slope / self.l1_ratio
