"""The multinomial logistic loss."""

import math

import numpy as np

from skreg.losses._base import Loss
from skreg.losses._logistic import Logistic
from skreg.losses._numerics import namespace, require_finite, unless, xlogx


class Multinomial(Loss):
    r"""Multinomial logistic loss (softmax cross-entropy), for one of K classes.

    .. math:: \ell(y, \eta) = \log \sum_k e^{\eta_k} - \sum_k y_k \eta_k

    `y` holds one-hot rows, shape (n_samples, n_classes), and so does `eta` a column a class.

    Notes
    -----
    `curvature` gives the probabilities p: the Hessian of a sample is :math:`\mathrm{diag}(p) - p p^\top`, whose largest
    eigenvalue is at most `curvature_bound` = 1/2. With :math:`v = u + y` the conjugate is :math:`\sum_k v_k \log v_k`
    on the simplex. Adding a number to all columns of `eta` changes nothing, so the null intercepts are centred to
    mean zero.

    References
    ----------
    Böhning, "Multinomial Logistic Regression Algorithm", Ann. Inst. Statist. Math. 44 (1992).

    Examples
    --------
    >>> import numpy as np
    >>> from skreg.losses import Multinomial
    >>> Multinomial().inverse_link(np.log(np.array([[1.0, 2.0, 5.0]])))
    array([[0.125, 0.25 , 0.625]])
    """

    name = "multinomial"
    multi_output = True
    classifier = True
    unit_dispersion = True
    curvature_bound = 0.5

    def value(self, y, eta, xp=np):
        """Negative log-likelihood of each sample, shape (n_samples,)."""
        z, _, others = _softmax_parts(eta, xp)
        return xp.log1p(others[:, 0]) - xp.sum(y * z, axis=1)

    def gradient(self, y, eta, xp=np):
        """Probabilities minus `y`, shape (n_samples, n_classes)."""
        _, is_top, others = parts = _softmax_parts(eta, xp)
        p = _probabilities(parts, xp)
        complement = xp.where(is_top, others / (1 + others), 1 - p)  # 1 - p without cancellation
        return p * (1 - y) - y * complement

    def curvature(self, y, eta, xp=np):
        """Probabilities p, shape (n_samples, n_classes); the Hessian of a sample is ``diag(p) - p p'``."""
        return self.inverse_link(eta, xp)

    def conjugate(self, y, u, xp=np):
        """``sum(v * log(v))`` with ``v = u + y``, shape (n_samples,); inf off the simplex, up to rounding."""
        v, complement = y + u, (1 - y) - u
        rounding = 64 * v.shape[1] * float(xp.finfo(v.dtype).eps)
        outside = (xp.min(v, axis=1) < -rounding) | (xp.abs(xp.sum(v, axis=1) - 1) > rounding)
        return unless(outside, xp.sum(xlogx(xp.clip(v, 0.0, 1.0), xp, xp.clip(complement, 0.0, 1.0)), axis=1), xp)

    def inverse_link(self, eta, xp=np):
        """Class probabilities, shape (n_samples, n_classes)."""
        return _probabilities(_softmax_parts(eta, xp), xp)

    def check_target(self, y):
        """Raise ValueError where `y` is not a matrix of one-hot rows."""
        require_finite(y, "multinomial")
        xp = namespace(y)
        y = xp.asarray(y)
        if y.ndim != 2 or y.shape[1] < 2:
            raise ValueError(f"y must have one column a class for the multinomial loss; its shape is {y.shape}.")
        bad_row = xp.any((y != 0) & (y != 1), axis=1) | (xp.sum(y, axis=1) != 1)
        if bool(xp.any(bad_row)):
            first = int(xp.argmax(xp.astype(bad_row, xp.int64)))
            raise ValueError(f"y must hold one 1 a row and else 0 for the multinomial loss; row {first} does not.")

    def null_intercept(self, y, weight, offset=None, xp=np):
        """Logarithms of the class frequencies, shape (n_classes,), centred; by Newton's method with an offset."""
        mass = xp.sum(weight[:, None] * y, axis=0)
        if not bool(xp.all(mass > 0)):
            empty = int(xp.argmin(mass))
            raise ValueError(f"y must hold every class with positive weight for the multinomial loss; not so {empty}.")
        b = xp.log(mass)
        b = b - xp.mean(b)
        return b if offset is None else self._newton_intercept(y, weight / xp.sum(weight), offset, b, xp)

    def _newton_intercept(self, y, weight, offset, b, xp):
        """Newton's method from `b`; a round of coordinate descent where its step does not halve the error."""
        rounding = 4 * float(xp.finfo(b.dtype).eps)
        nearly = math.sqrt(rounding)  # below it a step that does not help is rounding

        def slope(b):
            """The gradient, and its largest entry relative to the terms that it sums."""
            terms = weight[:, None] * self.gradient(y, offset + b, xp)
            g, size = xp.sum(terms, axis=0), xp.sum(xp.abs(terms), axis=0)
            return g, float(xp.max(xp.abs(g) / xp.where(size > 0, size, xp.ones_like(size))))

        g, error = slope(b)
        best, least = b, error
        for _ in range(100):
            if error <= rounding:
                return b
            step = self._newton_step(weight, offset + b, g, xp)
            if float(xp.max(xp.abs(step))) <= rounding * float(xp.max(xp.abs(b))) and error <= nearly:
                break
            new = b + step
            g, new_error = slope(new)
            if new_error > 0.5 * error:
                new = self._coordinate_round(y, weight, offset, b, xp)
                g, new_error = slope(new)
                if error <= nearly and new_error >= error:
                    break
            b, error = new - xp.mean(new), new_error
            best, least = (b, error) if error < least else (best, least)
        return best

    def _newton_step(self, weight, eta, g, xp):
        p = self.inverse_link(eta, xp)
        weighted = weight[:, None] * p
        hessian = (
            xp.sum(weighted, axis=0)[:, None] * xp.eye(p.shape[1], dtype=p.dtype, device=p.device) - p.T @ weighted
        )
        return -xp.linalg.pinv(hessian) @ g

    def _coordinate_round(self, y, weight, offset, b, xp):
        """Solve for one entry of `b` after the other: each is the null intercept of a binary logistic loss."""
        classes = xp.arange(b.shape[0], device=b.device)
        for k in range(b.shape[0]):
            eta = offset + b
            others = xp.where(classes == k, xp.full_like(eta, -math.inf), eta)
            top = xp.max(others, axis=1, keepdims=True)
            log_others = top[:, 0] + xp.log(xp.sum(xp.exp(others - top), axis=1))
            b_k = Logistic().null_intercept(y[:, k], weight, offset[:, k] - log_others, xp)
            b = xp.where(classes == k, xp.full_like(b, b_k), b)
        return b


def _softmax_parts(eta, xp):
    """`eta` less its row maximum, where that is, and the sum of the exponentials of all others, shape (n, 1)."""
    top = xp.argmax(eta, axis=1)[:, None]
    is_top = xp.arange(eta.shape[1], device=eta.device)[None, :] == top
    z = eta - xp.max(eta, axis=1, keepdims=True)
    return z, is_top, xp.sum(xp.where(is_top, xp.zeros_like(z), xp.exp(z)), axis=1, keepdims=True)


def _probabilities(parts, xp):
    z, _, others = parts
    return xp.exp(z) / (1 + others)
