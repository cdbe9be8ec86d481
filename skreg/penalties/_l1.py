"""The L1 norm."""

import numpy as np

from skreg.penalties._base import SeparablePenalty, restrict


def l1_prox(z, step, j, pen):
    """Soft threshold: z moved towards 0 by step * alpha_j."""
    t = step * (pen.alpha * pen.weights[j])
    if z > t:
        return z - t
    if z < -t:
        return z + t
    return 0.0


def l1_value(x, j, pen):
    """alpha_j * abs(x)."""
    return pen.alpha * pen.weights[j] * abs(x)


class L1(SeparablePenalty):
    r"""The L1 norm (Lasso).

    .. math:: \phi_j(w) = \alpha_j |w|, \qquad \alpha_j = \alpha v_j

    Notes
    -----
    The prox is the soft threshold, :math:`\mathrm{sign}(z) (|z| - s \alpha_j)_+` for step s. The conjugate is the
    indicator of :math:`|z| \le \alpha_j`; a finite bound u on one side makes it :math:`u (z - \alpha_j)_+` there.

    References
    ----------
    .. [1] R. Tibshirani (1996), Regression shrinkage and selection via the lasso. JRSS B 58(1), 267-288.

    Examples
    --------
    >>> import numpy as np
    >>> from skreg.penalties import L1
    >>> free = np.full(3, np.inf)
    >>> pen = L1().bind(alpha=1.0, weights=np.ones(3), lower=-free, upper=free, curvature=np.ones(3))
    >>> L1().prox(np.array([-3.0, 0.5, 2.0]), 1.0, pen)
    array([-2.,  0.,  1.])
    """

    name = "l1"
    convex = True
    piecewise_quadratic = True
    leaves = {"prox": l1_prox, "value": l1_value}

    def values(self, w, pen, xp=np):
        return pen.alpha * pen.weights * xp.abs(w)

    def free_prox(self, z, step, pen, xp=np):
        t = step * (pen.alpha * pen.weights)
        return z - xp.minimum(xp.maximum(z, -t), t)

    def violation(self, w, grad, curvature, pen, xp=np):
        if xp is not np:
            return super().violation(w, grad, curvature, pen, xp)
        moving = np.flatnonzero((w != 0) | ~(np.abs(grad) <= pen.alpha * pen.weights))
        scale = curvature if len(curvature) == 1 else curvature[moving]
        result = np.zeros_like(grad)
        result[moving] = super().violation(w[moving], grad[moving], scale, restrict(pen, moving))
        return result

    def derivative(self, w, pen, xp=np):
        return pen.alpha * pen.weights * xp.sign(w)

    def second_derivative(self, w, pen, xp=np):
        return xp.zeros_like(w)

    def conjugate(self, z, pen, xp=np):
        strength = pen.alpha * pen.weights
        zero = xp.zeros_like(z)
        if bool(xp.all(xp.abs(z) <= strength)):
            return zero
        total = zero
        for excess, room in ((z - strength, pen.upper), (-z - strength, -pen.lower)):
            # 0 * inf would be nan: no excess, no room taken
            total = total + xp.maximum(excess, zero) * xp.where(excess > 0, room, zero)
        unconstrained = (strength == 0) & xp.isinf(pen.lower) & xp.isinf(pen.upper)
        return xp.where(unconstrained, zero, total)

    def dual_scale(self, z, w, pen, xp=np):
        r"""Scale of the dual point: :math:`c = \min_j 1 / \max(1, |z_j| / \alpha_j)`, a little less where not 1.

        Only unbounded sides are constraints; features of weight 0 do not count.
        """
        outside = ~(xp.abs(z) <= pen.alpha * pen.weights)
        if not bool(xp.any(outside)):
            return 1.0
        z, pen = z[outside], restrict(pen, outside)
        strength, one = pen.alpha * pen.weights, xp.ones_like(z)
        constrained = (strength > 0) & xp.isinf(xp.where(z > 0, pen.upper, pen.lower))
        excess = xp.where(constrained, xp.abs(z) / xp.where(strength > 0, strength, one), one)
        worst = float(xp.max(excess))
        return 1.0 if worst <= 1.0 else (1.0 - 4.0 * float(xp.finfo(z.dtype).eps)) / worst

    def _emptying_strength(self, slope, L):
        return slope
