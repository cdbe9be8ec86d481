"""The mean loss as a function of the coefficients alone, and its parts along blocks of coordinates.

    F(w) = min over b:   sum_i s_i * loss(y_i, x_i . w + b + offset_i)

Where b is at its optimum, the partial gradient with respect to w is the gradient of F. With c the bound of the loss's
curvature and x~ the centred columns, the second derivatives of F are at most c * X~' diag(s) X~ (within a class; for
several classes, block diagonal), since the intercept takes out what it can at any curvature.
"""

import numpy as np

from skreg._problem import softmax_intercept_inverse

_CONSTANT = 1e-25  # variance over squared mean below which a column counts as constant
_BALANCE = 30  # most steps on the intercept
_GRAM = 3000  # coordinates up to which all second derivatives of the squared loss are computed beforehand, ...
_WIDE = 4  # ... where there are at most so many coordinates a sample


def profiled_loss(data, state):
    """The form that suits the data: `GramLoss` for the squared loss of few features, else `ResidualLoss`."""
    p, n = data.design.n_features, data.design.n_samples
    return (GramLoss if data.loss.quadratic and p <= min(_GRAM, _WIDE * n) else ResidualLoss)(data, state)


class ResidualLoss:
    """F at a point that moves, known through its linear predictor.

    Attributes
    ----------
    lipschitz : ndarray of shape (n_coordinates,)
        Bound of F's second derivative along each coordinate; 0 where F does not depend on it.
    w, b : ndarray of shape (n_coordinates,), float or ndarray of shape (n_outputs,)
        The point, with the best intercept.
    eta, slope : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Its linear predictor, and the gradient of the loss with respect to it.
    """

    def __init__(self, data, state):
        self.data = data
        self.w, self.b = np.array(state.w, dtype=np.float64), state.b
        self.lipschitz = data.penalty_curvature.copy()
        if data.fit_intercept:
            means = self._means(data.weight, np.arange(data.design.n_features))
            constant = np.tile(means**2, data.n_outputs) * (data.loss.curvature_bound * _CONSTANT)
            self.lipschitz[self.lipschitz <= constant] = 0.0
        self.w[self.lipschitz == 0] = 0.0
        self.refresh()

    def refresh(self):
        """Compute what depends on the point from scratch."""
        self.eta = self.data.predictor(self.w, self.b)
        self._balance()

    def gradient(self, block=None):
        """Gradient along a block, or the whole."""
        return self.data.gradient(self.slope, block)

    def value(self):
        """F at the point."""
        return float(self.data.weight @ self.data.loss.value(self.data.y, self.eta))

    def move(self, block, step):
        """Add `step` to the coefficients of `block`."""
        self._set(block, self.w[block] + step, self.eta + self._predictor(block, step), self.b)

    def search(self, block, step, enough):
        """Move along `step`, halved until ``enough(value, length)``; returns the length, 0 where that fails."""
        start, eta, b = self.w[block], self.eta, self.b
        change = self._predictor(block, step)
        for k in range(30):
            length = 0.5**k
            self._set(block, start + length * step, eta + length * change, b)
            if enough(self.value(), length):
                return length
        self._set(block, start, eta, b)
        return 0.0

    def _set(self, block, values, eta, b):
        self.w[block] = values
        self.eta, self.b = eta, b
        self._balance()

    def _predictor(self, block, step):
        """X d for d that is `step` on the block and 0 elsewhere."""
        data = self.data
        if not data.loss.multi_output:
            return data.design.matvec(step, block)
        p = data.design.n_features
        features, place = np.unique(block % p, return_inverse=True)
        table = np.zeros((len(features), data.n_outputs))
        table[place, block // p] = step
        return data.design.matvec(table, features)

    def _balance(self):
        """Take the intercept to its optimum: Newton steps, or steps by the curvature bound where those do not help."""
        data, loss = self.data, self.data.loss
        self.slope = loss.gradient(data.y, self.eta)
        for _ in range(_BALANCE if data.fit_intercept else 0):
            own = data.weight @ self.slope
            size = np.abs(own).max()
            if size <= 1e-15 * (data.weight @ np.abs(self.slope)).max():
                return
            for step in (self._newton_intercept(own), -own / loss.curvature_bound):
                eta = self.eta + step
                slope = loss.gradient(data.y, eta)
                if np.abs(data.weight @ slope).max() < 0.5 * size:
                    break
            else:
                if size <= 1e-10 * (data.weight @ np.abs(self.slope)).max():
                    return  # down to rounding
            self.eta, self.b, self.slope = eta, self.b + step, slope
            if loss.quadratic:
                return

    def _newton_intercept(self, own):
        data = self.data
        if data.loss.quadratic:
            return -own
        curvature = data.loss.curvature(data.y, self.eta)
        if data.loss.multi_output:
            return -softmax_intercept_inverse(data.weight, curvature) @ own
        mass = data.weight @ curvature
        return -own / mass if mass > 0 else 0.0 * own

    def bound(self, block):
        """Bound of F's second derivatives over a block, of shape (size, size)."""
        data, p = self.data, self.data.design.n_features
        features, place = np.unique(block % p, return_inverse=True)
        gram = data.design.gram(features, None, data.weight, self._centre(data.weight, features))
        same_class = (block // p)[:, None] == block // p
        return data.loss.curvature_bound * gram[np.ix_(place, place)] * same_class

    def hessian(self, block):
        """F's second derivatives over a block at the point."""
        data = self.data
        if data.loss.quadratic:
            return self.bound(block)
        curvature = data.loss.curvature(data.y, self.eta)
        if data.loss.multi_output:
            return self._softmax_hessian(block, curvature)
        weight = data.weight * curvature
        total = weight.sum()
        return data.design.gram(block, None, weight, self._centre(weight, block) if total > 0 else None)

    def _softmax_hessian(self, block, p):
        """X' (diag(p) - p p') X over pairs of feature and class, the intercepts profiled out."""
        data, n_features = self.data, self.data.design.n_features
        classes = block // n_features
        features, place = np.unique(block % n_features, return_inverse=True)
        columns = data.design.rows(np.arange(data.design.n_samples), features)[:, place]
        mixed = columns * p[:, classes]
        weighted = mixed * data.weight[:, None]
        hessian = (weighted.T @ columns) * (classes[:, None] == classes) - weighted.T @ mixed
        if data.fit_intercept:
            cross = -weighted.T @ p
            cross[np.arange(len(block)), classes] += weighted.sum(axis=0)
            hessian -= cross @ softmax_intercept_inverse(data.weight, p) @ cross.T
        return hessian

    def _centre(self, weight, features):
        """Means of X's columns where there is an intercept, filled in at `features`."""
        if not self.data.fit_intercept:
            return None
        means, scale = np.zeros(self.data.design.n_features), self.data.design.scale
        means[features] = self._means(weight, features) * (1.0 if scale is None else scale[features])
        return means

    def _means(self, weight, features):
        return self.data.design.rmatvec(weight / weight.sum(), features)


class GramLoss(ResidualLoss):
    """F of the squared loss, known through its gradient and the matrix of its second derivatives."""

    def __init__(self, data, state):
        features = np.arange(data.design.n_features)
        super().__init__(data, state)
        self.H = data.design.gram(features, None, data.weight, self._centre(data.weight, features))
        constant = self.lipschitz == 0
        self.H[constant] = 0.0
        self.H[:, constant] = 0.0
        self._gradient_at_zero = self._gradient - self.H @ self.w
        self._at_zero = super().value() - 0.5 * self.w @ (self._gradient + self._gradient_at_zero)

    def refresh(self):
        super().refresh()
        self._gradient = super().gradient()

    def gradient(self, block=None):
        return self._gradient if block is None else self._gradient[block]

    def value(self):
        return float(self._at_zero + 0.5 * self.w @ (self._gradient + self._gradient_at_zero))

    def move(self, block, step):
        self.w[block] += step
        self._gradient = self._gradient + step @ self.H[block]

    def bound(self, block):
        return self.H[np.ix_(block, block)]
