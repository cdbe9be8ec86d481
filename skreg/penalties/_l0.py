"""The number of non-zero coefficients."""

import math

import numpy as np

from skreg.penalties._base import SeparablePenalty


def l0_prox(z, step, j, pen):
    """Hard threshold: z if abs(z) > sqrt(2 * step * alpha_j), else 0."""
    return z if abs(z) > math.sqrt(2.0 * step * (pen.alpha * pen.weights[j])) else 0.0


def l0_value(x, j, pen):
    """alpha_j if x is not 0, else 0."""
    return pen.alpha * pen.weights[j] if x != 0 else 0.0


class L0(SeparablePenalty):
    r"""The number of non-zero coefficients (best subset selection).

    .. math:: \phi_j(w) = \alpha_j 1\{w \ne 0\}, \qquad \alpha_j = \alpha v_j

    Notes
    -----
    The prox at step s is the hard threshold, z if :math:`|z| > \sqrt{2 s \alpha_j}` and else 0.

    References
    ----------
    .. [1] T. Blumensath and M. E. Davies (2008), Iterative thresholding for sparse approximations. Journal of Fourier
       Analysis and Applications 14, 629-654.

    Examples
    --------
    >>> import numpy as np
    >>> from skreg.penalties import L0
    >>> free = np.full(3, np.inf)
    >>> pen = L0().bind(alpha=2.0, weights=np.ones(3), lower=-free, upper=free, curvature=np.ones(3))
    >>> L0().prox(np.array([-3.0, 2.0, 2.5]), 1.0, pen)
    array([-3. ,  0. ,  2.5])
    """

    name = "l0"
    leaves = {"prox": l0_prox, "value": l0_value}

    def values(self, w, pen, xp=np):
        return xp.where(w != 0, pen.alpha * pen.weights * xp.ones_like(w), xp.zeros_like(w))

    def free_prox(self, z, step, pen, xp=np):
        return xp.where(xp.abs(z) > xp.sqrt(2.0 * step * (pen.alpha * pen.weights)), z, xp.zeros_like(z))

    def derivative(self, w, pen, xp=np):
        return xp.zeros_like(w)

    def second_derivative(self, w, pen, xp=np):
        return xp.zeros_like(w)

    def _emptying_strength(self, slope, L):
        return slope * slope / (2.0 * L)
