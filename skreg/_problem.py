"""A problem (data, loss, penalty), its solution, and the certificate that ties the two together.

    minimise over w, b:   sum_i s_i * loss(y_i, x_i . w + b + offset_i) + penalty(w),      sum_i s_i = 1

With theta the gradient of the loss with respect to the linear predictor and z = -X'(s * theta), Fenchel's inequality
gives for every c in [0, 1] at which c * z is dual feasible

    gap(c) = sum_i s_i [loss(eta_i) + loss*(c theta_i) - c theta_i eta_i]
           + sum_j [phi_j(w_j) + phi_j*(c z_j) - c z_j w_j]

as an upper bound of the objective's excess. Each bracket is non-negative, so the sum does not suffer from cancellation.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from skreg._design import DesignMatrix
from skreg._threads import one_blas_thread
from skreg.losses import Loss
from skreg.penalties import GroupPenalty, SeparablePenalty

_ROUNDING = 1e-12  # of the null model's violation: gradients of unpenalised coordinates below it count as zero
_MAX_FREE = 2000  # unpenalised coordinates beyond which projecting the dual point costs more than the fit


class Null(NamedTuple):
    """The model with an intercept (where there is one) and no features: the yardstick of every tolerance."""

    intercept: np.ndarray | float
    gradient: np.ndarray  # of the loss with respect to the coefficients
    gap: float  # mean loss above the saturated model: the duality gap beside the dual point 0
    violation: float  # largest absolute entry of the gradient


@dataclass(frozen=True)
class Data:
    """What stays the same along a path: design, target, weights (summing to one), loss, offset, intercept or not."""

    design: DesignMatrix
    y: np.ndarray
    weight: np.ndarray
    loss: Loss
    fit_intercept: bool = True
    offset: np.ndarray | None = None

    @property
    def n_outputs(self):
        """Number of linear predictors: 1, or the number of classes."""
        return self.y.shape[1] if self.loss.multi_output else 1

    @property
    def n_coordinates(self):
        """Number of coefficients: features times outputs, all features of an output together."""
        return self.design.n_features * self.n_outputs

    def predictor(self, w, b, support=None):
        """Linear predictor X w + b + offset, read from the columns of the non-zero coefficients."""
        eta = self.apply(w, np.flatnonzero(w != 0) if support is None else support) + b
        return eta if self.offset is None else eta + self.offset

    def apply(self, w, coordinates):
        """X w for `w` (all coordinates) that is zero off `coordinates`."""
        if not self.loss.multi_output:
            return self.design.matvec(w[coordinates], coordinates)
        p = self.design.n_features
        features = np.unique(coordinates % p)
        return self.design.matvec(w.reshape(-1, p)[:, features].T, features)

    def gradient(self, slope, coordinates=None):
        """Gradient with respect to the coefficients, given that with respect to the predictor."""
        weighted = (slope.T * self.weight).T
        if not self.loss.multi_output:
            return self.design.rmatvec(weighted, coordinates)
        p = self.design.n_features
        if coordinates is None:
            return self.design.rmatvec(weighted).T.ravel()
        features, place = np.unique(coordinates % p, return_inverse=True)
        return self.design.rmatvec(weighted, features)[place, coordinates // p]

    @cached_property
    def null(self):
        """The null model."""
        with one_blas_thread():
            return self._null()

    def _null(self):
        loss, y = self.loss, self.y
        zero = np.zeros(self.n_outputs) if loss.multi_output else 0.0
        b = loss.null_intercept(y, self.weight, self.offset) if self.fit_intercept else zero
        eta = np.zeros(y.shape) + b
        if self.offset is not None:
            eta += self.offset
        slope = loss.gradient(y, eta)
        gradient = self.gradient(slope)
        value, infimum = loss.value(y, eta), loss.infimum(y)
        gap = float(self.weight @ (value - infimum))
        if loss.quadratic:
            noise = 1e-28 * float(self.weight @ (y * y))
        else:
            noise = 1e-14 * float(self.weight @ (np.abs(value) + np.abs(infimum)))
        gap = gap if gap > noise else 0.0
        return Null(b, gradient, gap, float(np.abs(gradient).max(initial=0.0)))

    @cached_property
    def curvature(self):
        """Mean square of each column, about its mean with an intercept, for each coordinate."""
        return np.tile(self.design.curvature(self.weight, self.fit_intercept), self.n_outputs)

    @cached_property
    def penalty_curvature(self):
        """Coordinate-wise curvature of the loss, or its bound: what penalties that adapt to the columns are made of."""
        return self.curvature * (self.loss.curvature_bound or 1.0)

    def scale(self, eta):
        """Upper bound of each coordinate's curvature at `eta`, the scale of non-convex KKT violations."""
        if self.loss.curvature_bound is not None:
            return self.penalty_curvature
        curvature = self.loss.curvature(self.y, eta)
        if self.loss.multi_output:
            curvature = np.max(curvature * (1.0 - curvature), axis=1)
        return np.tile(self.design.curvature(self.weight * curvature, False), self.n_outputs)


@dataclass(frozen=True)
class Problem:
    """Data with a penalty bound to it."""

    data: Data
    penalty: SeparablePenalty | GroupPenalty
    pen: Any

    @property
    def convex(self):
        """Whether a duality gap can certify a solution."""
        if not (self.penalty.convex and self.data.loss.convex):
            return False
        return len(self.free) <= (0 if self.data.loss.multi_output else _MAX_FREE)

    @cached_property
    def free(self):
        """Coordinates without penalty and bounds."""
        pen = self.pen
        return np.flatnonzero((pen.weights * pen.alpha == 0) & np.isneginf(pen.lower) & np.isposinf(pen.upper))

    @cached_property
    def unpenalised(self):
        """Coordinates without penalty, with or without bounds."""
        return np.flatnonzero(self.pen.weights * self.pen.alpha == 0)

    def objective(self, w, eta):
        """Mean loss plus penalty."""
        data = self.data
        return float(data.weight @ data.loss.value(data.y, eta)) + float(self.penalty.value(w, self.pen))


class Solution(NamedTuple):
    """A solution with its certificate, both measures relative to the null model."""

    coef: np.ndarray
    intercept: np.ndarray | float
    n_iter: int
    dual_gap: float
    kkt_violation: float
    converged: bool
    objective: float  # nan where nobody asks for it
    fitted: dict | None = None  # attributes of the fitted model that the coefficients do not tell


class Certificate(NamedTuple):
    """Duality gap and KKT violation, absolute, with the violation of each coordinate."""

    gap: float
    violation: float
    violations: np.ndarray


def certify(problem, w, eta, slope, gradient, curvature):
    """Certificate of the point `w` whose predictor is `eta`.

    `slope` is the gradient of the loss with respect to `eta`, `gradient` that with respect to the coefficients, and
    `curvature` the scale of each coordinate used in `SeparablePenalty.violation`.
    """
    penalty, pen = problem.penalty, problem.pen
    violations = penalty.violation(w, gradient, curvature, pen)
    violation = float(violations.max(initial=0.0))
    gap = np.inf
    if problem.convex:
        slope, gradient = _feasible(problem, w, eta, slope, gradient)
        gap = dual_gap(problem, w, gradient, lambda c: _loss_gap(problem.data, eta, c * slope))
    return Certificate(gap, violation, violations)


def dual_gap(problem, w, gradient, loss_gap):
    """Smallest of the gaps at the scaled dual point and, where it is feasible, at the unscaled one."""
    penalty, pen = problem.penalty, problem.pen
    value = penalty.values(w, pen)
    best = np.inf
    loose = problem.unpenalised
    if len(loose):  # their dual constraints, z <= 0 or z = 0, hold but for rounding
        loose = loose[np.abs(gradient[loose]) <= _ROUNDING * problem.data.null.violation]
        gradient = gradient.copy()
        gradient[loose] = 0.0
    scale = penalty.dual_scale(-gradient, w, pen)
    if len(problem.free) and np.any(gradient[problem.free]):
        return np.inf  # `conjugate` takes the constraints of unpenalised coordinates for granted
    for c in {1.0, scale} if penalty.finite_conjugate else {scale}:
        z = -c * gradient
        bracket = np.sum(value + penalty.conjugate(z, pen) - z * w)
        if np.isfinite(bracket):
            best = min(best, float(bracket + loss_gap(c)))
    return max(best, 0.0)


def _loss_gap(data, eta, dual):
    gaps = data.loss.fenchel_gap(data.y, eta, dual)
    return data.weight @ np.where(data.weight > 0, gaps, 0.0)  # samples without weight may leave the domain


def _feasible(problem, w, eta, slope, gradient):
    """Move the dual point onto the constraints of the intercept and of the unpenalised coordinates.

    These ask that the weighted sum of theta, and its product with each free column, vanish; one Newton step on the
    free part of the model moves theta there to first order, and keeps off the edge of the conjugate's domain.
    """
    data, free = problem.data, problem.free
    if len(free):
        return _feasible_free(data, free, eta, slope)
    if not data.fit_intercept:
        return slope, gradient
    total = data.weight @ slope
    if np.abs(total).max() <= 1e-15 * (data.weight @ np.abs(slope)).max():
        return slope, gradient
    curvature = data.loss.curvature(data.y, eta)
    if data.loss.multi_output:  # Hessian of sample i: diag(p_i) - p_i p_i'
        step = softmax_intercept_inverse(data.weight, curvature) @ total
        move = curvature * (step - (curvature @ step)[:, None])
    else:
        mass = data.weight @ curvature
        move = curvature * (total / mass) if mass > 0 else total
    return slope - move, data.gradient(slope - move)


def _feasible_free(data, free, eta, slope):
    means: Any = None
    curvature = data.loss.curvature(data.y, eta)
    weight = data.weight * curvature
    total = weight.sum()
    if not total > 0:
        return slope, data.gradient(slope)
    if data.fit_intercept:
        means = data.design.means(weight)
    target = data.gradient(slope, free)
    if data.fit_intercept:
        scale = 1.0 if data.design.scale is None else data.design.scale[free]
        target = target - means[free] / scale * (data.weight @ slope)
    step = np.linalg.lstsq(data.design.gram(free, None, weight, means), -target, rcond=1e-13)[0]
    move = data.design.matvec(step, free)
    if data.fit_intercept:
        move = move - (weight @ move + data.weight @ slope) / total
    slope = slope + curvature * move
    gradient = data.gradient(slope)
    return slope, gradient


def softmax_intercept_inverse(weight, probabilities):
    """Pseudo-inverse of the intercepts' second derivatives, sum_i s_i (diag(p_i) - p_i p_i').

    Its null space is the vector of ones, known beforehand: no eigenvalue has to be judged small.
    """
    weighted = probabilities.T * weight
    block = np.diag(weighted.sum(1)) - weighted @ probabilities
    trace = np.trace(block)
    return np.linalg.inv(block + trace / len(block) ** 2) - 1.0 / trace
