"""Proximal Newton for penalties that are smooth on subspaces only: each step by semismooth Newton on its dual.

A step x from w minimises, for the loss's gradient g and second derivatives H = X' diag(s loss'') X there,

    g'x + x'Hx / 2 + |x|^2 / (2 sigma) + penalty(w + x).

With any e for the argument of Hx, the minimiser is x(e) = prox_{sigma penalty}(w - sigma (g + He)) - w, and primal and
dual value differ by (e - x)'H(e - x) / 2. The dual is smooth, and quadratic on the subspace of w + x(e) (see
`Structure`): Newton's method with a line search converges from everywhere, and ends in finitely many steps for
polyhedral penalties. For the squared loss the outer loop is the proximal point method, and longer sigma mean fewer
steps. (On well-conditioned data accelerated gradient steps are cheaper than the first of these, and so come before.)
"""

from typing import Any

import numpy as np

from skreg._params import Parameterised
from skreg._problem import Certificate, Solution, _loss_gap
from skreg._threads import one_blas_thread
from skreg.penalties import Structure
from skreg.solvers import _covariance as covariance
from skreg.solvers._prox_newton import State, _balance
from skreg.solvers._proximal_gradient import ProximalGradient
from skreg.solvers._reduced import GramForm, ResidualForm

_FIRST_LENGTH = 1.0  # sigma of the first step from 0 over the reciprocal of the mean curvature of columns
_WARM_LENGTH = 100.0  # the same from any other point
_GRADIENT_STEPS = 10  # most gradient steps from 0 before the first proximal Newton step, for each of those allowed ...
_MOST_GRADIENT_STEPS = 300  # ... and at all
_ROUGH = 1e-6  # relative gap at which they end
_GROWTH = 3.0  # of sigma after a good step
_LONGEST = 1e9
_INNER_STEPS = 30
_EASY = 8  # inner steps up to which sigma may grow
_HARD = 15  # inner steps beyond which it shrinks
_ACCURACY = 1e-2  # gap of a step's subproblem, as a share of what the step promises
_MAX_FREE = 2000  # free directions beyond which projecting the dual point costs more than the fit
_HALVINGS = 30
_LITTLE = 1e-9  # of the largest curvature: below it a column may be constant
_CONSTANT = 1e-25  # variance over squared mean below which it is
_UNBALANCED = 1e-10  # of the size of all slopes: sum of them beyond which the intercept is searched for
_FAR = 1e6  # least length of a step from a certified point, as a multiple of the unit
_EXACT = 1e-14  # of the null model's violation: no step from there
_STRONG = 1e3  # alpha over the sum of all gradients at which none but free directions move
_LEAST_FALL = 0.1  # of the objective, as a share of what a step promises


class SemismoothNewton(Parameterised):
    """Proximal Newton with semismooth Newton steps, for a `StructuredPenalty` and a loss with one output.

    Parameters
    ----------
    tol : float, default=1e-6
        Stop when the duality gap is at most `tol` times that of the null model.
    max_iter : int, default=200
        Largest number of proximal Newton steps. From 0, up to ten times as many gradient steps (300 at most) come
        first.

    References
    ----------
    .. [1] X. Li, D. Sun, K.-C. Toh (2018), A highly efficient semismooth Newton augmented Lagrangian method for
       solving lasso problems. SIAM Journal on Optimization 28(1), 433-458.
    .. [2] Z. Luo, D. Sun, K.-C. Toh, N. Xiu (2019), Solving the OSCAR and SLOPE models using a semismooth Newton-based
       augmented Lagrangian method. Journal of Machine Learning Research 20(106).
    """

    def __init__(self, tol=1e-6, max_iter=200):
        self.tol = tol
        self.max_iter = max_iter

    def solve(self, problem, state=None):
        """Solve `problem`, starting from `state` and leaving the solution there; returns a `Solution`."""
        state = State(problem.data) if state is None else state
        with one_blas_thread():
            return self._solve(problem, state)

    def _solve(self, problem, state):
        data, null = problem.data, problem.data.null
        if null.gap == 0.0:
            state.w[:] = 0.0
            state.b, state.eta, state.gradient = null.intercept, None, None
            eta = data.predictor(state.w, state.b)
            return Solution(state.w.copy(), state.b, 1, 0.0, 0.0, True, problem.objective(state.w, eta))
        target = self.tol * null.gap
        walk = _Walk(problem, state)
        if not state.w.any():
            walk.rush(max(self.tol, _ROUGH), min(_GRADIENT_STEPS * self.max_iter, _MOST_GRADIENT_STEPS))
        best: Any = None
        for n_iter in range(1, max(self.max_iter, 1) + 1):
            certificate = walk.certificate()
            if best is None or certificate.gap < best[0].gap:
                best = certificate, state.w.copy(), state.b, state.eta
            if certificate.gap <= target or n_iter == self.max_iter:
                break
            if not walk.step(target):
                break
        if best[0].gap <= target:
            best = walk.polish(best, target)
        certificate, state.w, state.b, state.eta = best
        state.gradient = None
        return Solution(
            state.w.copy(),
            state.b,
            n_iter,
            certificate.gap / null.gap,
            certificate.violation / null.violation if null.violation > 0 else 0.0,
            bool(certificate.gap <= target),
            problem.objective(state.w, state.eta),
        )


class _Walk:
    """Steps from point to point; the current one is in `state`."""

    def __init__(self, problem, state):
        self.problem, self.state = problem, state
        self.data, self.penalty, self.pen = problem.data, problem.penalty, problem.pen
        self.free = self.penalty.free(self.pen)
        self.constant = _constant_columns(problem.data)
        self.form: Any = None
        self.slope: Any = None
        self.sigma: Any = None
        self.unit = 1.0
        state.eta = state.gradient = None

    def rush(self, tol, n_steps):
        """Gradient steps, few of which find most of the structure."""
        w = self.state.w
        ProximalGradient(tol=tol, max_iter=n_steps).solve(self.problem, self.state)
        w[:] = self.state.w
        little = np.abs(w[self.constant]) <= _LITTLE * np.abs(w).max(initial=0.0)
        w[self.constant[little]] = 0.0
        self.state.w, self.state.eta, self.state.gradient = w, None, None

    def certificate(self):
        """Duality gap and violation of the current point, whose intercept is moved to its own optimum first."""
        data, state, penalty, pen = self.data, self.state, self.penalty, self.pen
        self.slope = slope = self._balanced()
        if state.gradient is None:
            state.gradient = data.gradient(slope)
            state.gradient[self.constant] = 0.0  # but for rounding
        violations = penalty.violation(state.w, state.gradient, np.ones(1), pen)
        dual = self._feasible(slope)
        gap = np.inf
        if dual is not None:
            z = -penalty._without_free(data.gradient(dual) if dual is not slope else state.gradient, pen)
            scale = penalty.dual_scale(z, state.w, pen)
            values = penalty.values(state.w, pen)
            for c in {1.0, scale} if penalty.finite_conjugate else {scale}:
                bracket = float(np.sum(values + penalty.conjugate(c * z, pen) - c * z * state.w))
                total = bracket + float(_loss_gap(data, state.eta, c * dual))
                gap = min(gap, total) if np.isfinite(total) else gap
        return Certificate(max(gap, 0.0), float(violations.max(initial=0.0)), violations)

    def _balanced(self):
        """As `_balance`; where its Newton steps fail, by the search that finds the null model's intercept."""
        data, state = self.data, self.state
        slope = _balance(data, state)
        if data.fit_intercept and abs(data.weight @ slope) > _UNBALANCED * (data.weight @ np.abs(slope)):
            b = data.loss.null_intercept(data.y, data.weight, state.eta - state.b)
            eta = state.eta + (b - state.b)
            new = data.loss.gradient(data.y, eta)
            if abs(data.weight @ new) < abs(data.weight @ slope):
                state.b, state.eta, state.gradient, slope = b, eta, None, new
        return slope

    def _feasible(self, slope):
        """The dual point moved onto the constraints of the intercept and the free directions; None if that is dear.

        One Newton step along them, as in `skreg._problem`.
        """
        data = self.data
        if self.free is None and not data.fit_intercept:
            return slope
        curvature = data.loss.curvature(data.y, self.state.eta)
        weight = data.weight * curvature
        mass = weight.sum()
        if self.free is None:
            own = data.weight @ slope
            if abs(own) <= 1e-15 * (data.weight @ np.abs(slope)):
                return slope
            return slope - curvature * (own / mass) if mass > 0 else slope - own
        if self.free.max() >= _MAX_FREE or not mass > 0:
            return None
        order = np.argsort(self.free, kind="stable")
        directions = Structure(order, self.free[order], np.ones(len(order)), np.zeros(0))
        columns = ResidualForm(data, weight).reduced(directions)
        move = columns.image(np.linalg.lstsq(columns.gram, columns.sums(data.weight * slope), rcond=1e-13)[0])
        if data.fit_intercept:
            move = move + float(data.weight @ slope) / mass
        return slope - curvature * move

    def step(self, target):
        """Go to a better point; False where rounding leaves none."""
        state, quadratic = self.state, self.data.loss.quadratic
        if self.form is None or not quadratic:
            self.form = self._form()
        gradient, own = self._profiled()
        value = self.problem.objective(state.w, state.eta)
        noise = 1e-14 * abs(value)
        for _ in range(_HALVINGS):
            w, promise, n_steps = self._minimise(gradient, 0.1 * target)
            b, eta = self._follow(w, own)
            fall = value - self.problem.objective(w, eta)
            if fall >= _LEAST_FALL * promise - noise:
                moved = bool((w != state.w).any())
                state.w, state.b, state.eta, state.gradient = w, b, eta, None
                at_end = self.sigma >= _LONGEST * self.unit
                if n_steps > _HARD:
                    self.sigma /= _GROWTH
                elif n_steps <= _EASY and fall >= 0.5 * promise - noise:
                    self.sigma = min(_GROWTH * self.sigma, _LONGEST * self.unit)
                return moved or not at_end
            self.sigma /= _GROWTH
        return False

    def _form(self):
        data, state = self.data, self.state
        curvature = data.loss.curvature(data.y, state.eta)
        if self.sigma is None:
            typical = float(np.mean(data.curvature)) * (data.loss.curvature_bound or float(data.weight @ curvature))
            self.unit = 1.0 / typical if typical > 0 else 1.0
            self.sigma = (_WARM_LENGTH if state.w.any() else _FIRST_LENGTH) * self.unit
        if covariance.is_worthwhile(data) or covariance.is_complete(data, state):
            covariance.complete_model(data, state)
            return GramForm(state.model)
        return ResidualForm(data, data.weight * curvature)

    def _profiled(self):
        """Gradient over the coefficients when the intercept moves with them, and the intercept's own."""
        own = float(self.data.weight @ self.slope)
        gradient = self.state.gradient - own * self.form.means
        gradient[self.constant] = 0.0
        return gradient, own

    def _follow(self, w, own):
        """Intercept and predictor that go with new coefficients."""
        data, state = self.data, self.state
        b = state.b
        if data.fit_intercept and self.form.total > 0:
            b = b - (own / self.form.total + float(self.form.means @ (w - state.w)))
        return b, data.predictor(w, b)

    def _minimise(self, gradient, target):
        """New coefficients, what the step promises, and number of Newton steps on the subproblem's dual."""
        form, start, penalty, pen, sigma = self.form, self.state.w, self.penalty, self.pen, self.sigma
        product = form.product

        def primal(He):
            """Minimiser for the argument He of the loss's part, and the dual value but for e'He / 2."""
            u = gradient + He
            w = penalty.prox(start - sigma * u, sigma, pen)
            x = w - start
            return w, -(float(penalty.value(w, pen)) + float(x @ x) / (2.0 * sigma) + float(u @ x))

        e, value = form.zero(), float(penalty.value(start, pen))
        He = form.times(e)
        w, envelope = primal(He)
        n_steps = 0
        while True:
            x = form.image(w - start)
            promise = value - float(penalty.value(w, pen)) - float(gradient @ (w - start)) - 0.5 * product(x, x)
            away = e - x
            gap = 0.5 * product(away, away)
            if gap <= max(_ACCURACY * promise, 1e-3 * target) or n_steps == _INNER_STEPS:
                return self._refined(w, gradient, x), promise, n_steps
            n_steps += 1
            delta = -away
            structure = penalty.structure(w, pen)
            if len(structure.index):
                newton = form.reduced(structure).newton(away, structure, sigma)
                delta = delta if newton is None else delta + newton
            Hd, slope = form.times(delta), product(delta, away)
            square, cross, bend = 0.5 * product(e, e), product(e, delta), 0.5 * product(delta, delta)
            length, height = 1.0, square + envelope
            for _ in range(_HALVINGS):
                w, envelope = primal(He + length * Hd)
                rise = length * cross + length * length * bend
                if square + rise + envelope <= height + 1e-4 * length * slope + 1e-15 * abs(height):
                    break
                length *= 0.5
            e, He = e + length * delta, He + length * Hd

    def _refined(self, w, gradient, x):
        """The minimiser of the subproblem on the subspace of `w`, if it lies there: what long sigma rounded off."""
        structure = self.penalty.structure(w, self.pen)
        if not 0 < len(structure.slope) <= self.data.design.n_samples:
            return w
        reduced = self.form.reduced(structure)
        pull = gradient + (w - self.state.w) / self.sigma
        rise = structure.along(pull) + reduced.against(x) + structure.slope
        step = reduced.solve(-rise, structure, self.sigma)
        new = w if step is None else structure.moved(w, step)
        return new if structure.same_subspace(self.penalty.structure(new, self.pen)) else w

    def polish(self, best, target):
        """A certified point, or a better one: a long step on, and a Newton step on the subspace where that ends."""
        if best[0].violation <= _EXACT * self.data.null.violation:
            return best
        self._go(best)
        if self.sigma is not None:
            self.sigma = max(self.sigma, _FAR * self.unit)
            self.certificate()
            self.step(0.0)
            best = self._better(best, target)
        return self._on_subspace(best, target)

    def _go(self, point):
        state = self.state
        _, state.w, state.b, state.eta = point
        state.gradient = None

    def _better(self, best, target):
        """The current point, where it certifies as much as `best`, and more; else that."""
        new = self.certificate()
        if new.gap > max(best[0].gap, target) or new.violation > best[0].violation:
            return best
        return new, self.state.w, self.state.b, self.state.eta

    def _on_subspace(self, best, target):
        self._go(best)
        state = self.state
        structure = self.penalty.structure(state.w, self.pen)
        if not 0 < len(structure.slope) <= self.data.design.n_samples:
            return best
        self.certificate()
        if self.form is None or not self.data.loss.quadratic:
            self.form = self._form()
        gradient, own = self._profiled()
        rise = structure.along(gradient) + structure.slope
        step = self.form.reduced(structure).solve(-rise, structure, np.inf)
        if step is None:
            return best
        w = structure.moved(state.w, step)
        if not structure.same_subspace(self.penalty.structure(w, self.pen)):
            return best
        state.b, state.eta = self._follow(w, own)
        state.w, state.gradient = w, None
        return self._better(best, target)


def _constant_columns(data):
    """Columns that the intercept explains."""
    suspect = data.curvature <= _LITTLE * data.curvature.max(initial=0.0)
    if not (data.fit_intercept and suspect.any()):
        return np.empty(0, dtype=np.int64)
    means = data.design.rmatvec(data.weight)
    return np.flatnonzero(suspect & (data.curvature <= _CONSTANT * means**2))


def structured_alpha_max(problem):
    """Smallest alpha at which the free directions of a structured penalty alone are in the model."""
    data, penalty, pen = problem.data, problem.penalty, problem.pen
    gradient = data.null.gradient
    if penalty.free(pen) is not None:
        strong = pen._replace(alpha=_STRONG * gradient.size * max(data.null.violation, np.finfo(float).tiny))
        state = State(data)
        SemismoothNewton(tol=1e-14).solve(type(problem)(data, penalty, strong), state)
        gradient = data.gradient(data.loss.gradient(data.y, data.predictor(state.w, state.b)))
    return penalty.alpha_max(gradient, data.penalty_curvature, pen.weights, pen.lower, pen.upper)
