"""Penalties on the Euclidean norms of a matrix's rows, made from the scalar penalties."""

import numpy as np

from skreg._params import Parameterised
from skreg.penalties._base import LIFT, restrict


class RowPenalty(Parameterised):
    r"""A convex scalar penalty of the norm of each row, :math:`\sum_j \phi_j(\|W_j\|_2)`.

    With the L1 penalty this is the L2,1 norm of W. A row is the coefficients of one feature in all tasks, so that a
    feature is selected for every task or for none.

    Parameters
    ----------
    base : SeparablePenalty
        The scalar penalty: convex, and the same on either side of zero. Its `bind` makes the `pen` that the methods
        take; an upper bound is one of the row's norm (0 keeps the row out).

    Notes
    -----
    The proximal operator shrinks the norm of a row by that of the scalar penalty, and keeps its direction. The
    conjugate of the penalty at a row is the scalar conjugate at the row's norm.

    References
    ----------
    .. [1] G. Obozinski, B. Taskar, M. I. Jordan (2010). Joint covariate selection and joint subspace selection for
       multiple classification problems. Statistics and Computing 20(2).

    Examples
    --------
    >>> import numpy as np
    >>> from skreg.penalties import L1
    >>> from skreg.penalties._rows import RowPenalty
    >>> penalty, free = RowPenalty(L1()), np.full(2, np.inf)
    >>> pen = penalty.bind(2.0, np.ones(2), -free, free)
    >>> float(penalty.value(np.array([[3.0, 4.0], [0.0, 0.0]]), pen))
    10.0
    """

    convex = True

    def __init__(self, base):
        self.base = base

    def bind(self, alpha, weights, lower, upper, curvature=None):
        """As `SeparablePenalty.bind`, with one weight and bound a row."""
        return self.base.bind(alpha, weights, lower, upper, curvature)

    def value(self, W, pen):
        """Sum of the penalty over rows."""
        return float(np.sum(self.base.values(row_norms(W), pen)))

    def fenchel_gaps(self, W, Z, pen):
        """phi_j(W_j) + phi_j*(Z_j) - Z_j . W_j for each row: non-negative, and zero where Z_j is a subgradient."""
        return (
            self.base.values(row_norms(W), pen) + self.base.conjugate(row_norms(Z), pen) - np.einsum("jt,jt->j", Z, W)
        )

    def dual_scale(self, Z, W, pen):
        """Scale of the dual point of the equivalent problem without the squared norm, on augmented data."""
        ridge = self.base.second_derivative(np.ones(len(W)), pen)
        return self.base.dual_scale(row_norms(Z - ridge[:, None] * W), np.zeros(len(W)), pen)

    def violation(self, W, gradient, pen):
        """Distance of each row's negative gradient from the subdifferential."""
        norms = row_norms(W)
        at_zero = np.maximum(row_norms(gradient) - self.kink(pen, len(W)), 0.0)
        at_zero[pen.upper == 0] = 0.0
        away = np.flatnonzero(norms)
        at_zero[away] = row_norms(self.slope(W[away], gradient[away], restrict(pen, away)))
        return at_zero

    def slope(self, W, gradient, pen):
        """Gradient of loss plus penalty at rows that are not zero."""
        norms = row_norms(W)
        return gradient + (self.base.derivative(norms, pen) / norms)[:, None] * W

    def bends(self, norms, pen):
        r"""Curvature of :math:`\phi_j(\|w\|)` at rows of these norms, not zero: across the row, and along it."""
        return self.base.derivative(norms, pen) / norms, self.base.second_derivative(norms, pen)

    def kink(self, pen, n_rows):
        """Slope of each phi_j at zero."""
        return self.base.derivative(np.full(n_rows, np.finfo(float).tiny), pen)

    def degrees_of_freedom(self, W, pen, hessian):
        """As `SeparablePenalty.degrees_of_freedom`; `hessian(rows)` is the same for every task.

        With c I + k u u' the second derivative at a row, C = diag(c), G = inverse(H + C), U = u u' and K = diag(k), the
        matrix inversion lemma leaves matrices of the size of the rows: in T tasks,
        ``T tr(G H) - tr(K inverse(I + (G * U) K) (G H G * U))``.
        """
        norms = row_norms(W)
        rows = np.flatnonzero(norms)
        if not len(rows):
            return 0.0
        across, along = self.bends(norms[rows], restrict(pen, rows))
        u, k = W[rows] / norms[rows, None], along - across
        H = hessian(rows)
        system = H + np.diag(across)
        system.flat[:: len(rows) + 1] *= 1.0 + LIFT
        G, U = np.linalg.inv(system), u @ u.T
        inner = np.eye(len(rows)) + (G * U) * k
        return float(W.shape[1] * np.trace(G @ H) - np.trace(k[:, None] * np.linalg.solve(inner, G @ H @ G * U)))

    def alpha_max(self, gradient, pen):
        """Smallest alpha at which rows with this gradient at zero stay there."""
        norms = row_norms(gradient)
        return self.base.alpha_max(-norms, np.ones(len(norms)), pen.weights, pen.lower, pen.upper)


def row_norms(W):
    """Euclidean norm of each row, without underflow: a row is zero only if its entries are."""
    top = np.abs(W).max(axis=1, initial=0.0)
    safe = np.where(top > 0, top, 1.0)
    scaled = W / safe[:, None]
    return safe * np.sqrt(np.einsum("jt,jt->j", scaled, scaled))
