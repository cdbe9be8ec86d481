"""Accelerated proximal gradient in any array namespace: every loss with every penalty, on the CPU or on a GPU.

Columns are centred implicitly, x~ = (x - mean) / scale, and c = b + mean'w / scale takes the place of the intercept,
so that coefficients and intercept do not pull at each other. The metric M is the mean square of each centred column
(1 for c). A step of length s from the extrapolated point v is

    w+ = prox_{s / M}(v - s / M * gradient(v)),        valid where   <gradient(w+) - gradient(v), d> <= |d|_M^2 / s,

d = w+ - v. Steps run in epochs on the device; only at the end of one does the host learn whether all its steps were
valid and the objective fell. If not, the epoch is thrown away and run again with a shorter step or no momentum.
"""

import math
from typing import NamedTuple

import scipy.sparse as sp

from skreg._backend import is_singular, namespace_of, raising_singular
from skreg._params import Parameterised
from skreg._problem import Solution

_EPOCH = 10  # steps between two looks at the certificate
_POWER_STEPS = 20  # of the power method for the first step length
_PATIENCE = 100  # epochs without progress after which rounding is taken to be the limit
_POLISH = 2000  # largest support on which Newton steps are tried
_POLISH_STEPS = 5
_TRIALS = 12  # coordinates, and lengths of a jump along each, tried where full steps rest
_BLOCK = 2**22  # numbers in a block of centred columns


class Point(NamedTuple):
    """Coefficients, centred intercept and linear predictor."""

    w: object
    c: object
    eta: object


class Run(NamedTuple):
    """Where the accelerated method stands: two last points and Nesterov's t."""

    point: Point
    previous: Point
    t: object


class Certificate(NamedTuple):
    """Duality gap (inf where there is none) and KKT violation, absolute, with what they were computed from."""

    gap: float
    violation: float
    violations: object
    gradient: object
    scale: object


class ProximalGradient(Parameterised):
    """Accelerated proximal gradient (FISTA) with adaptive restart and backtracking.

    Parameters
    ----------
    tol : float, default=1e-6
        Stop when the duality gap (convex problems without unpenalised coordinates) or the KKT violation (others) is
        at most `tol` times that of the null model.
    max_iter : int, default=10_000
        Largest number of gradient steps, up to a full epoch of ten.

    References
    ----------
    .. [1] A. Beck and M. Teboulle (2009), A fast iterative shrinkage-thresholding algorithm for linear inverse
       problems. SIAM Journal on Imaging Sciences 2(1), 183-202.
    .. [2] B. O'Donoghue and E. Candes (2015), Adaptive restart for accelerated gradient schemes. Foundations of
       Computational Mathematics 15, 715-732, section 3.2.
    """

    def __init__(self, tol=1e-6, max_iter=10_000):
        self.tol = tol
        self.max_iter = max_iter

    def solve(self, problem, state=None):
        """Solve `problem` from `state` (an object with `w` and `b`), leave the solution there; return a `Solution`."""
        model = CentredModel(problem)
        null_point, null_gap, null_violation = model.null()
        if null_gap == 0.0 and not model.has_free:
            return self._finish(model, state, null_point, 1, 0.0, 0.0, True)
        point = null_point if state is None else model.start(state)
        target = self.tol * (null_gap if model.certifies_gap else null_violation)
        point, certificate, n_iter = self._descend(model, point, target)
        measure = certificate.gap if model.certifies_gap else certificate.violation
        gap = certificate.gap / null_gap if null_gap > 0 else 0.0
        violation = certificate.violation / null_violation if null_violation > 0 else 0.0
        return self._finish(model, state, point, max(n_iter, 1), gap, violation, measure <= target)

    def _descend(self, model, point, target):
        step, growth = model.first_step(point), 1.0 if model.loss.curvature_bound else 1.2
        run, objective = model.restart(point), model.objective(point)
        certificate = model.certificate(point)
        best, idle, n_iter, momentum = math.inf, 0, 0, True
        while True:
            measure = certificate.gap if model.certifies_gap else certificate.violation
            if measure <= target or n_iter >= self.max_iter or idle >= _PATIENCE:
                return run.point, certificate, n_iter
            idle = 0 if measure < 0.9 * best else idle + 1
            best = min(best, measure)
            new_run, valid = epoch(model, run, step, momentum)
            n_iter += _EPOCH
            if not bool(valid):
                step, growth = 0.5 * step, 1.0 + 0.7 * (growth - 1.0)
                run = model.restart(run.point)
                continue
            new_objective = model.objective(new_run.point)
            if not new_objective <= objective + 1e-15 * abs(objective) + model.noise(run.point):
                run, momentum = model.restart(run.point), False
                continue
            idle = idle if objective - new_objective <= 1e-14 * abs(objective) else 0
            settled = model.same_support(run.point, new_run.point)
            run, objective, momentum = new_run, new_objective, True
            polished = model.polish(run.point, objective) if settled else None
            if polished is not None:
                run, objective = model.restart(polished), model.objective(polished)
            step *= growth
            certificate = model.certificate(run.point)
            escaped = model.escape(run.point, certificate, step, objective)
            if escaped is not None:
                run, objective, certificate = (
                    model.restart(escaped),
                    model.objective(escaped),
                    model.certificate(escaped),
                )

    @staticmethod
    def _finish(model, state, point, n_iter, gap, violation, converged):
        b = model.intercept(point)
        if state is not None:
            state.w, state.b = point.w, b
            if hasattr(state, "eta"):
                state.eta = state.gradient = None  # ProxNewton computes them anew
        return Solution(point.w, b, n_iter, gap, violation, bool(converged), model.objective(point))


def epoch(model, run, step, momentum):
    """Ten steps from `run`, and whether all were valid (an array: nothing here waits for the device)."""
    xp = model.xp
    valid = xp.ones((), dtype=xp.bool, device=run.point.w.device)
    for _ in range(_EPOCH):
        point, previous, t = run
        t_next = 0.5 * (1.0 + xp.sqrt(1.0 + 4.0 * t * t))
        beta = (t - 1.0) / t_next if momentum else 0.0 * t
        v = Point(*(x + beta * (x - y) for x, y in zip(point, previous)))
        slope = model.slope(v)
        new = model.proximal_step(v, slope, step)
        valid = valid & model.is_valid(v, slope, new, step)
        new = Point(*(xp.where(valid, x, y) for x, y in zip(new, point)))  # lest an invalid step lead to overflow
        against = model.inner(v, new, new, point) > 0  # the step turns back on the path: start momentum anew
        run = Run(new, point, xp.where(against, xp.ones_like(t), t_next))
    return run, valid


class CentredModel:
    """A problem in centred coordinates; every method but those that return floats stays on the device."""

    def __init__(self, problem):
        data = problem.data
        self.xp = xp = namespace_of(data.y)
        self.y, self.offset, self.loss, self.fit_intercept = data.y, data.offset, data.loss, data.fit_intercept
        self.penalty, self.pen = problem.penalty, problem.pen
        self.X, self.scale = data.design.X, data.design.scale
        self.weight = data.weight
        self.rows = data.weight[:, None] if self.loss.multi_output else data.weight
        self.n_outputs = self.y.shape[1] if self.loss.multi_output else 1
        self.eps = float(xp.finfo(self.y.dtype).eps)

        self.moments = None
        if self.fit_intercept:
            self.moments = self._over_scale(self.X.T @ self.weight)
        column_curvature = self._column_curvature(self.weight, self.fit_intercept)
        self.largest = math.sqrt(float(xp.max(column_curvature)))
        column_metric = xp.where(column_curvature > 0, column_curvature, xp.ones_like(column_curvature))
        self.ties = getattr(self.penalty, "scalar_step", False)  # whether the prox takes one step for all
        if self.ties:
            column_metric = xp.ones_like(column_metric) * xp.mean(column_metric)
        self.metric = xp.concat([column_metric] * self.n_outputs)

        free = (self.pen.alpha * self.pen.weights == 0) & xp.isinf(self.pen.lower) & xp.isinf(self.pen.upper)
        self.has_free = bool(xp.any(free)) or (self.ties and self.penalty.free(self.pen) is not None)
        self.convex = self.penalty.convex and self.loss.convex
        self.certifies_gap = self.convex and not self.has_free

    def _over_scale(self, columns):
        return columns if self.scale is None else columns / self.scale

    def _column_curvature(self, weight, centred):
        """Weighted sum of squares of each column; centred in blocks, as a difference of moments would cancel."""
        xp, X = self.xp, self.X
        total = xp.sum(weight)
        mean_weight = weight / xp.where(total > 0, total, xp.ones_like(total))
        if sp.issparse(X):
            squares = X.multiply(X).T @ weight
            means = X.T @ mean_weight if centred else 0.0 * squares
            variance = squares - total * means**2
            return self._over_scale(self._over_scale(xp.where(variance > 1e-15 * squares, variance, 0.0)))
        parts, width = [], max(_BLOCK // X.shape[0], 1)
        for start in range(0, X.shape[1], width):
            block = X[:, start : min(start + width, X.shape[1])]
            if centred:
                block = block - block.T @ mean_weight
            parts.append((block * block).T @ weight)
        return self._over_scale(self._over_scale(xp.concat(parts)))

    # points

    def _by_output(self, w):
        return self.xp.reshape(w, (self.n_outputs, -1)) if self.loss.multi_output else w

    def _transposed(self, a):
        return a.T if self.loss.multi_output else a

    def point(self, w, c):
        """Point with its linear predictor."""
        W = self._by_output(w)
        eta = self.X @ self._transposed(self._over_scale(W)) + c
        if self.moments is not None:
            eta = eta - W @ self.moments
        return Point(w, c, eta if self.offset is None else eta + self.offset)

    def _outputs(self, value):
        """A number, or one an output, as an array of the namespace."""
        xp = self.xp
        zero = xp.zeros((self.n_outputs,) if self.loss.multi_output else (), dtype=self.y.dtype, device=self.y.device)
        return zero + value

    def start(self, state):
        """The point of a state."""
        w = self.xp.asarray(state.w)
        return self.point(w, self._outputs(state.b) + self._shift(w))

    def _shift(self, w):
        if self.moments is None:
            return 0.0
        return self._by_output(w) @ self.moments

    def intercept(self, point):
        """The intercept of the model in the columns as they are."""
        b = point.c - self._shift(point.w)
        return b if self.loss.multi_output else float(b)

    def null(self):
        """The point of the null model, its duality gap beside the dual point 0, and its largest slope."""
        xp, loss, y = self.xp, self.loss, self.y
        b = loss.null_intercept(y, self.weight, self.offset, xp) if self.fit_intercept else 0.0
        point = self.point(xp.zeros_like(self.metric), self._outputs(b))
        value = loss.value(y, point.eta, xp)
        excess = float(xp.sum(self.weight * (value - loss.infimum(y, xp))))
        size = float(xp.sum(self.weight * xp.abs(value)))
        if loss.quadratic:
            size += float(xp.sum(self.weight * y * y))
        gradient, total = self.gradient(self.slope(point))
        return point, excess if excess > 1e-28 * size else 0.0, float(xp.max(xp.abs(self._raw(gradient, total))))

    # the smooth part

    def slope(self, point):
        """Derivative of the loss with respect to the linear predictor."""
        return self.loss.gradient(self.y, point.eta, self.xp)

    def gradient(self, slope):
        """Gradients with respect to the coefficients of centred columns and to their intercept."""
        weighted = self.rows * slope
        total = self.xp.sum(weighted, axis=0)
        gradient = self._over_scale(self._transposed(self.X.T @ weighted))
        if self.moments is None:
            return self.xp.reshape(gradient, (-1,)), 0.0 * total
        return self.xp.reshape(gradient - total[..., None] * self.moments, (-1,)), total

    def _raw(self, gradient, total):
        """Gradient with respect to the coefficients of the columns as they are."""
        return gradient if self.moments is None else gradient + self.xp.reshape(total[..., None] * self.moments, (-1,))

    def objective(self, point):
        """Mean loss plus penalty, a float."""
        xp = self.xp
        loss = xp.sum(self.weight * self.loss.value(self.y, point.eta, xp))
        return float(loss + self.penalty.value(point.w, self.pen, xp))

    def noise(self, point):
        """How much of the objective the rounding of the linear predictor may be: much where large terms cancel."""
        xp = self.xp
        slope = self.slope(point)
        terms = xp.sum(xp.sqrt(self.metric) * xp.abs(point.w))
        return 4.0 * self.eps * float(terms * xp.sqrt(xp.sum(self.rows * slope * slope)))

    def first_step(self, point):
        """Reciprocal of the largest second derivative in the metric: the bound's, or that at `point`."""
        xp = self.xp
        bound = self.loss.curvature_bound
        curvature = bound * xp.ones_like(self.weight) if bound else self.loss.curvature(self.y, point.eta, xp)
        root = xp.sqrt(self.metric[: self.X.shape[1]])
        z = 1.0 + 0.5 * xp.cos(
            xp.astype(xp.arange(self.X.shape[1], device=self.y.device), self.y.dtype)
        )  # no reason to be orthogonal
        for _ in range(_POWER_STEPS):
            z = z / (xp.sqrt(xp.sum(z * z)) * root)
            u = self.X @ self._over_scale(z)
            u = u if self.moments is None else u - z @ self.moments
            u = self.weight * curvature * u
            z = self._over_scale(self.X.T @ u)
            z = (z if self.moments is None else z - self.moments * xp.sum(u)) / root
            z = xp.where(xp.isfinite(z), z, xp.ones_like(z))
        size = float(xp.sqrt(xp.sum(z * z)))
        intercept = float(xp.sum(self.weight * curvature)) if self.fit_intercept else 0.0
        largest = max(size, intercept)
        return 1.0 / (1.02 * largest) if 0 < largest < math.inf else 1.0

    # steps

    def restart(self, point):
        """A run that begins at `point`."""
        return Run(point, point, self.xp.ones((), dtype=self.y.dtype, device=self.y.device))

    def proximal_step(self, v, slope, step):
        """The point that the proximal gradient step of length `step` leads to from v."""
        gradient, total = self.gradient(slope)
        width = step / self.metric
        w = self.penalty.prox(v.w - width * gradient, width, self.pen, self.xp)
        return self.point(w, v.c - step * total)

    def inner(self, a, b, c, d):
        """Product <a - b, c - d> in the metric."""
        coefficients = self.xp.sum(self.metric * (a.w - b.w) * (c.w - d.w))
        return coefficients + self.xp.sum((a.c - b.c) * (c.c - d.c))

    def is_valid(self, v, slope, new, step):
        """Whether the loss curves no more than 1 / step between v and the new point, but for rounding."""
        xp = self.xp
        move = new.eta - v.eta
        rise = self.slope(new) - slope
        size = xp.abs(slope) + xp.abs(self.y) + xp.abs(v.eta)
        noise = 32.0 * self.eps * xp.sum(self.rows * xp.abs(move) * size)
        return xp.sum(self.rows * rise * move) <= self.inner(new, v, new, v) / step + noise

    def same_support(self, one, other):
        """Whether two points have their non-zeros in the same places, with the same signs."""
        return bool(self.xp.all(self.xp.sign(one.w) == self.xp.sign(other.w)))

    def polish(self, point, objective):
        """Newton steps on a small support, each up to the first change of sign; None if none descends."""
        xp, pen = self.xp, self.pen
        if self.loss.multi_output or sp.issparse(self.X) or not hasattr(self.penalty, "derivative"):
            return None
        index = xp.nonzero((point.w != 0) & (point.w > pen.lower) & (point.w < pen.upper))[0]
        if not 0 < index.shape[0] <= min(self.X.shape[0], _POLISH):
            return None
        local = type(pen)(*(xp.take(x, index) if hasattr(x, "shape") and x.shape else x for x in pen))
        columns = xp.take(self.X, index, axis=1)
        if self.scale is not None:
            columns = columns / xp.take(self.scale, index)
        best = None
        for _ in range(_POLISH_STEPS):
            new = self._newton(point, index, columns, local)
            value = math.inf if new is None else self.objective(new)
            if not value < objective - (0.0 if best is None else 1e-16 * abs(objective)):
                return best
            point, objective, best = new, value, new
        return best

    def _newton(self, point, index, columns, local):
        xp = self.xp
        weight = self.weight * self.loss.curvature(self.y, point.eta, xp)
        total = xp.sum(weight)
        gradient, slope_sum = self.gradient(self.slope(point))
        old = xp.take(point.w, index)
        slope = xp.take(gradient, index) + self.penalty.derivative(old, local, xp)
        drift = None
        if self.moments is not None:
            means = weight @ columns / total
            drift = means - xp.take(self.moments, index)
            slope = slope - drift * slope_sum
            columns = columns - means
        H = columns.T @ (weight[:, None] * columns)
        bend = self.penalty.second_derivative(old, local, xp)
        H = H + bend * xp.eye(index.shape[0], dtype=self.y.dtype, device=self.y.device)
        try:
            with raising_singular(xp):
                step = -xp.linalg.solve(H, slope)
        except Exception as error:
            if not is_singular(error):
                raise
            return None
        away = step * old < 0  # up to where the first coordinate comes to zero, and stops there
        reach = xp.where(away, -old / xp.where(away, step, xp.ones_like(step)), xp.full_like(old, xp.inf))
        length = min(1.0, float(xp.min(reach)))
        step = length * step
        new = xp.where(reach <= length, xp.zeros_like(old), old + step)
        if not bool(xp.all(xp.isfinite(new) & (new >= local.lower) & (new <= local.upper))):
            return None
        places = xp.arange(point.w.shape[0], device=self.y.device)
        order = xp.searchsorted(index, places)
        order = xp.where(order < index.shape[0], order, xp.zeros_like(order))
        w = xp.where(xp.take(index, order) == places, xp.take(new, order), point.w)
        c = point.c if drift is None else point.c - (length * slope_sum / total + drift @ step)
        return self.point(w, c)

    def escape(self, point, certificate, step, objective):
        """Where full steps have come to rest but a longer one along a coordinate still descends: go there.

        Penalties with jumps hold more points when steps are short, and steps along all coordinates at once are
        shorter than those along one, by which points are judged. None if there is nothing to escape from.
        """
        if self.penalty.convex:
            return None
        xp = self.xp
        own = self.penalty.violation(point.w, certificate.gradient, self.metric / step, self.pen, xp)
        worst = float(xp.max(certificate.violations))
        if worst == 0 or float(xp.max(own)) > 1e-3 * worst:
            return None
        scale = xp.where(certificate.scale > 0, certificate.scale, xp.ones_like(certificate.scale))
        order = xp.argsort(-certificate.violations)
        lengths = [1.0 / (scale * 4.0**k) for k in range(_TRIALS)]
        moved = [self.penalty.prox(point.w - width * certificate.gradient, width, self.pen, xp) for width in lengths]
        moved += [point.w + 0.5**k * (moved[0] - point.w) for k in range(1, _TRIALS)]
        for rank in range(min(_TRIALS, point.w.shape[0])):
            chosen = xp.arange(point.w.shape[0], device=self.y.device) == order[rank]
            trials = [self.point(xp.where(chosen, target, point.w), point.c) for target in moved]
            lowest, k = min((self.objective(trial), k) for k, trial in enumerate(trials))
            if lowest < objective - 1e-14 * abs(objective):
                return trials[k]
        return None

    # the certificate

    def coordinate_curvature(self, point):
        """Curvature along each coordinate by which violations are measured.

        Ones for convex problems; else the bound's where there is one, and that at `point` (the intercept held): with
        less, points would count as violations that no step along a coordinate improves.
        """
        if self.convex:
            return self.xp.ones_like(self.metric)
        if self.loss.curvature_bound:
            return self.loss.curvature_bound * self.metric
        return self._column_curvature(self.weight * self.loss.curvature(self.y, point.eta, self.xp), False)

    def certificate(self, point):
        """Duality gap and KKT violation: `skreg._problem.certify` for any namespace.

        The derivative along the intercept counts as that along a column as large as the largest.
        """
        xp = self.xp
        slope = self.slope(point)
        gradient, total = self.gradient(slope)
        raw = self._raw(gradient, total)
        scale = self.coordinate_curvature(point)
        violations = self.penalty.violation(point.w, raw, scale, self.pen, xp)
        violation = max(float(xp.max(violations)), self.largest * float(xp.max(xp.abs(total))))
        gap = self._gap(point, slope, total) if self.certifies_gap else math.inf
        return Certificate(gap, violation, violations, raw, scale)

    def _gap(self, point, slope, total):
        """Smallest of the duality gaps at c * theta for the candidates c."""
        xp, w = self.xp, point.w
        dual = slope - self._tangent_step(point, total) if self.fit_intercept else slope
        z = -self._raw(*self.gradient(dual))
        value = self.penalty.values(w, self.pen, xp)
        best = math.inf
        scale = self.penalty.dual_scale(z, w, self.pen, xp)
        for c in {1.0, scale} if self.penalty.finite_conjugate else {scale}:
            coefficients = float(xp.sum(value + self.penalty.conjugate(c * z, self.pen, xp) - c * z * w))
            samples = self.loss.fenchel_gap(self.y, point.eta, c * dual, xp)
            samples = xp.where(self.weight > 0, samples, xp.zeros_like(samples))
            gap = coefficients + float(xp.sum(self.weight * samples))
            best = min(best, gap) if math.isfinite(gap) else best
        return max(best, 0.0)

    def _tangent_step(self, point, total):
        """What a Newton step of the intercept takes off the slopes: it leaves the constraint of theta satisfied."""
        xp = self.xp
        curvature = self.loss.curvature(self.y, point.eta, xp)
        weighted = self.rows * curvature
        mass = xp.sum(weighted, axis=0)
        if not self.loss.multi_output:
            return curvature * (total / mass if float(mass) > 0 else total)
        eye = xp.eye(self.n_outputs, dtype=self.y.dtype, device=self.y.device)
        step = xp.linalg.pinv(mass[:, None] * eye - curvature.T @ weighted) @ total
        return curvature * (step - (curvature @ step)[:, None])
