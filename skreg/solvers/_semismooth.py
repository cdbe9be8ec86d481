"""Proximal Newton for penalties that are smooth on subspaces only: each step by semismooth Newton on its dual.

A step x from w minimises, for the loss's gradient g and second derivatives H = X' diag(s loss'') X there,

    g'x + x'Hx / 2 + |x|^2 / (2 sigma) + penalty(w + x).

With any e for the argument of Hx, its dual value is that of x(e) = prox_{sigma penalty}(w - sigma (g + He)) - w, and the
two differ by (e - x)'H(e - x) / 2. The dual is smooth, and on the subspace of w + x(e) (see `Structure`) quadratic:
Newton's method with a line search converges from everywhere, and ends in finitely many steps for polyhedral penalties.
For the squared loss the outer loop is the proximal point method, and longer sigma mean fewer steps.
"""

from typing import Any

import numpy as np
from scipy.linalg import lapack

from skreg._params import Parameterised
from skreg._problem import Certificate, Solution, _loss_gap
from skreg._threads import one_blas_thread
from skreg.solvers import _covariance as covariance
from skreg.solvers._prox_newton import State, _balance
from skreg.solvers._reduced import GramForm, ResidualForm

_FIRST_LENGTH = 10.0  # sigma of the first step over the reciprocal of the mean curvature of columns
_GROWTH = 5.0  # of sigma after a good step
_LONGEST = 1e9
_INNER_STEPS = 50
_EASY = 10  # inner steps up to which sigma may grow
_ACCURACY = 1e-2  # gap of a step's subproblem, as a share of what the step promises
_MAX_FREE = 2000  # free directions beyond which projecting the dual point costs more than the fit
_HALVINGS = 30


class SemismoothNewton(Parameterised):
    """Proximal Newton with semismooth Newton steps, for a `StructuredPenalty` and a loss with one output.

    Parameters
    ----------
    tol : float, default=1e-6
        Stop when the duality gap is at most `tol` times that of the null model.
    max_iter : int, default=200
        Largest number of proximal Newton steps.

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
        walk = _Walk(problem, state)
        best: Any = None
        for n_iter in range(1, max(self.max_iter, 1) + 1):
            certificate = walk.certificate()
            if best is None or certificate.gap < best[0].gap:
                best = certificate, state.w.copy(), state.b, state.eta
            if certificate.gap <= self.tol * null.gap or n_iter == self.max_iter:
                break
            if not walk.step(certificate, self.tol * null.gap):
                break
        if best[0].gap <= self.tol * null.gap:
            best = walk.polish(best)
        certificate, state.w, state.b, state.eta = best
        state.gradient = None
        return Solution(
            state.w.copy(),
            state.b,
            n_iter,
            certificate.gap / null.gap,
            certificate.violation / null.violation if null.violation > 0 else 0.0,
            bool(certificate.gap <= self.tol * null.gap),
            problem.objective(state.w, state.eta),
        )


class _Walk:
    """Steps from point to point; the current one is in `state`."""

    def __init__(self, problem, state):
        self.problem, self.state = problem, state
        self.data, self.penalty, self.pen = problem.data, problem.penalty, problem.pen
        self.free = self.penalty.free(self.pen)
        self.form: Any = None
        self.slope: Any = None
        self.sigma = None
        state.eta = state.gradient = None

    def certificate(self):
        """Duality gap and violation of the current point, whose intercept is moved to its own optimum first."""
        data, state, penalty, pen = self.data, self.state, self.penalty, self.pen
        self.slope = slope = _balance(data, state)
        if state.gradient is None:
            state.gradient = data.gradient(slope)
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
        form = ResidualForm(data, weight)
        block = np.argsort(self.free, kind="stable")
        columns = form.reduced(block, self.free[block], np.ones(len(block)))
        target = columns.moment(slope / np.where(curvature > 0, curvature, 1.0) * (curvature > 0))
        missing = data.weight * slope * (curvature <= 0)
        if missing.any():
            target = target + columns.against(missing)
        step = np.linalg.lstsq(columns.gram(), target, rcond=1e-13)[0]
        move = columns.image(step)
        if data.fit_intercept:
            move = move + (data.weight @ slope - weight @ move) / mass
        return slope - curvature * move

    def step(self, certificate, target):
        """Go to a better point; False where rounding leaves none."""
        data, state = self.data, self.state
        loss = data.loss
        if self.form is None or not loss.quadratic:
            self.form = self._form()
        form, slope = self.form, self.slope
        own = float(data.weight @ slope)
        gradient = state.gradient - own * form.means if data.fit_intercept else state.gradient
        if self.sigma is None:
            typical = float(np.mean(form.curvature()))
            self.unit = 1.0 / typical if typical > 0 else 1.0
            self.sigma = _FIRST_LENGTH * self.unit
        value = self.problem.objective(state.w, state.eta)
        for _ in range(_HALVINGS):
            x, promise, n_steps = self._minimise(gradient, self.sigma, 0.1 * target)
            w, b, eta = self._moved(x, own)
            fall = value - self.problem.objective(w, eta)
            noise = 1e-14 * abs(value)
            if loss.quadratic or fall >= 0.1 * promise - noise:
                good = loss.quadratic or fall >= 0.5 * promise - noise
                if good and n_steps <= _EASY:
                    self.sigma = min(_GROWTH * self.sigma, _LONGEST * self.unit)
                state.w, state.b, state.eta, state.gradient = w, b, eta, None
                return bool(x.any()) or self.sigma < _LONGEST * self.unit
            self.sigma /= _GROWTH
        return False

    def _form(self):
        data, state = self.data, self.state
        curvature = data.loss.curvature(data.y, state.eta)
        if data.loss.quadratic and (covariance.is_complete(data, state) or covariance.is_worthwhile(data)):
            covariance.complete_model(data, state)
            return GramForm(state.model)
        return ResidualForm(data, data.weight * curvature)

    def _moved(self, x, own):
        """The point a step of the coefficients, and of the intercept with them, leads to."""
        data, state = self.data, self.state
        w = state.w + x
        w[np.abs(w) <= 1e-15 * np.abs(x)] = 0.0
        b = state.b
        if data.fit_intercept and self.form.total > 0:
            b = b - (own / self.form.total + float(self.form.means @ x))
        return w, b, data.predictor(w, b)

    def _minimise(self, gradient, sigma, target):
        """Step, what it promises, and number of Newton steps of the subproblem's dual."""
        form, w, penalty, pen = self.form, self.state.w, self.penalty, self.pen
        start = float(penalty.value(w, pen))

        def trial(He):
            u = gradient + He
            new = penalty.prox(w - sigma * u, sigma, pen)
            x = new - w
            return new, x, float(penalty.value(new, pen)) + float(x @ x) / (2.0 * sigma) + float(u @ x)

        e = form.zero()
        new, x, envelope = trial(form.back(e))
        promise = 0.0
        for n_steps in range(1, _INNER_STEPS + 1):
            image = form.point(x)
            away = e - image  # of e - x
            gap = 0.5 * away.square()
            bend = 0.5 * image.square()
            promise = start - float(penalty.value(new, pen)) - float(gradient @ x) - bend
            if gap <= max(_ACCURACY * promise, min(target, 1e-3 * max(promise, 0.0))) or gap == 0.0:
                break
            structure = penalty.structure(new, pen)
            delta = form.newton(away, structure, sigma)
            Hd, He = form.back(delta), form.back(e)
            slope = delta.product(away)
            dual, cross, square = 0.5 * e.square() - envelope, e.product(delta), 0.5 * delta.square()
            length = 1.0
            for _ in range(_HALVINGS):
                new, x, envelope = trial(He + length * Hd)
                value = 0.5 * e.square() + length * cross + length * length * square - envelope
                if value <= dual + 1e-4 * length * slope + 1e-15 * abs(dual):
                    break
                length *= 0.5
            e = e + length * delta
        return x, promise, n_steps

    def polish(self, best):
        """One exact Newton step on the subspace of a certified point, kept where it certifies better."""
        state = self.state
        certificate, state.w, state.b, state.eta = best
        if self.form is None:
            return best
        return best
