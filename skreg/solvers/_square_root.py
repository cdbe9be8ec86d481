r"""The square-root Lasso as a sequence of Lassos.

    minimise over w, b:   sigma(w, b) + alpha * penalty(w),      sigma^2 = sum_i s_i * (y_i - x_i . w - b - offset_i)^2

The gradient of sigma is that of half of sigma^2, over sigma, so the solution is the Lasso's at lam = alpha * sigma.
While support A and signs z of the Lasso stay the same, with H = X_A' diag(s) X_A and u = inverse(H) z,

    w_A = w_LS - lam * u,      sigma^2 = sigma_LS^2 + lam^2 * q,      q = z'u,

where w_LS is least squares on A. Hence sigma = sigma_LS / sqrt(1 - alpha^2 q): one Lasso with the right support gives
the solution in closed form, sigma = 0 (y fitted without error) included. Its dual point, the residual over sigma, is

    theta = (y - X w_LS) / sigma + alpha * X_A u,

which has a limit at sigma = 0. The strengths tried are those of the closed form, within a bracket.
"""

from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from skreg._params import Parameterised
from skreg._problem import Solution, dual_gap
from skreg._problem import _feasible as feasible
from skreg._threads import one_blas_thread
from skreg.solvers._freedom import gram
from skreg.solvers._prox_newton import ProxNewton, State
from skreg.solvers._strategy import strongest, with_alpha

_ACCURACY = 0.1  # gap of a Lasso, as a share of what the tolerance allows
_FINEST = 1e-13  # least relative gap that a Lasso is asked for
_START = 1e-3  # least sigma to begin with, as a share of the null model's: from 0 there is no way up
_FALL = 0.1  # least ratio of a strength to the one before
_ROUNDING = 1e-13  # of the size of y: a residual below it is none; of a strength: a bracket below it is a point


class SquareRootState:
    """A point on some data, with what the next solve on the same data can use again."""

    def __init__(self, data, w=None, b=None):
        self.lasso = State(data, w, b)

    @property
    def model(self):
        """Second derivatives of the mean squared error."""
        return self.lasso.model

    @model.setter
    def model(self, model):
        self.lasso.model = model


class SquareRootLasso(Parameterised):
    """Lassos at strengths that converge to that of the square-root Lasso, each finished in closed form.

    Parameters
    ----------
    tol : float, default=1e-6
        Stop when the duality gap is at most `tol` times that of the null model.
    max_iter : int, default=200
        Largest number of passes over the data.
    """

    def __init__(self, tol=1e-6, max_iter=200):
        self.tol = tol
        self.max_iter = max_iter

    def solve(self, problem, state=None):
        """Solve `problem`, starting from `state` and leaving the solution there; returns a `Solution`."""
        state = SquareRootState(problem.data) if state is None else state
        with one_blas_thread():
            return self._solve(problem, state.lasso)

    def _solve(self, problem, state):
        data, alpha = problem.data, problem.pen.alpha
        unit = np.sqrt(2.0 * data.null.gap)  # sigma of the null model
        if unit == 0.0:
            state.w[:] = 0.0
            state.b, state.eta, state.gradient = data.null.intercept, None, None
            return Solution(state.w.copy(), state.b, 1, 0.0, 0.0, True, 0.0)
        best: Any = None
        n_iter, low, high = 0, 0.0, np.inf
        lam = alpha * max(_size(data, _residual(data, state.w)[0]), _START * unit)
        while True:
            tol = max(_ACCURACY * self.tol * (lam / (alpha * unit) if alpha > 0 else self.tol), _FINEST)
            lasso = ProxNewton(tol=tol, max_iter=self.max_iter - n_iter).solve(with_alpha(problem, lam), state)
            n_iter += lasso.n_iter
            sigma = _size(data, _residual(data, state.w)[0])
            next_lam = alpha * sigma
            for w, theta, root in _candidates(problem, state, lam):
                point = _certified(problem, w, theta, unit)
                if best is None or point.measure < best.measure:
                    best = point
                next_lam = root if root is not None else next_lam
                if best.measure <= self.tol:
                    break
            if best.measure <= self.tol or n_iter >= self.max_iter or alpha == 0:
                break
            low, high = (max(low, lam), high) if alpha * sigma >= lam else (low, min(high, lam))
            last, lam = lam, next_lam if low < next_lam < high else alpha * sigma
            if not low < lam < high:
                lam = np.sqrt(low * high) if low > 0 else high
            lam = max(lam, _FALL * last)
            if lam == last or high <= (1.0 + _ROUNDING) * low:
                break
        state.w, state.b, state.eta, state.gradient = best.w, best.b, None, None
        return Solution(
            best.w.copy(), best.b, n_iter, best.gap, best.violation, bool(best.measure <= self.tol), best.objective
        )


def square_root_alpha_max(problem):
    """Smallest alpha at which every penalised coefficient stays at zero."""
    data = problem.data
    top = strongest(problem)
    if data.null.gap == 0.0 or top == 0.0:
        return 0.0
    if not (problem.pen.weights == 0).any():
        return top / np.sqrt(2.0 * data.null.gap)
    state = State(data)
    ProxNewton(tol=1e-10).solve(with_alpha(problem, top), state)
    sigma = _size(data, _residual(data, state.w)[0])
    return top / sigma if sigma > 0 else 0.0


class _Point(NamedTuple):
    """A point with its certificate, relative to the null model."""

    w: np.ndarray
    b: float
    gap: float
    violation: float
    measure: float  # gap of convex problems, violation of others
    objective: float


def _residual(data, w):
    """Residual at the best intercept, and that intercept."""
    r = data.y - data.predictor(w, 0.0)
    b = 0.0
    for _ in range(2 if data.fit_intercept else 0):  # the second time for the rounding of the first
        mean = float(data.weight @ r)
        r, b = r - mean, b + mean
    return r, b


def _size(data, r):
    return float(np.sqrt(data.weight @ (r * r)))


def _candidates(problem, state, lam):
    """Points with their dual points, and their strengths where known: the closed form, and the Lasso at `lam` itself.

    The dual point of the Lasso is feasible for its penalty beside alpha / lam, and for the root beside 1 / sigma.
    """
    r, _ = _residual(problem.data, state.w)
    sigma = _size(problem.data, r)
    if problem.pen.alpha * sigma < lam:
        lasso = r * (problem.pen.alpha / lam)
    else:
        lasso = r / sigma if sigma > 0 else r
    closed = _closed_form(problem, state, r)
    if closed is not None:
        yield closed
    yield state.w, lasso, None


def _closed_form(problem, state, r):
    """The solution w, theta on the support of the Lasso with its signs, and its strength; None where there is none."""
    data, pen, w = problem.data, problem.pen, state.w
    support = np.flatnonzero((w != 0) & (w > pen.lower) & (w < pen.upper))
    if not len(support):
        return None
    inverse = _inverse(gram(data, state.model, support))
    new = w.copy()
    for _ in range(2):  # least squares, once more for the rounding
        new[support] += inverse(data.design.rmatvec(data.weight * r, support))
        r, _ = _residual(data, new)
    z = pen.weights[support] * np.sign(w[support])
    u = inverse(z)
    room = 1.0 - pen.alpha**2 * float(z @ u)
    if not room > 0:
        return None
    along = data.design.matvec(u, support)
    along = along - data.weight @ along if data.fit_intercept else along
    noise, total = _size(data, r), _size(data, data.y)
    new_sigma = noise / np.sqrt(room) if noise > _ROUNDING * total else 0.0
    new[support] -= pen.alpha * new_sigma * u
    theta = pen.alpha * along + (r / new_sigma if new_sigma > 0 else 0.0)
    return new, theta, pen.alpha * new_sigma


def _inverse(H):
    """The map from x to inverse(H) @ x; of least length where H is singular."""
    try:
        factor = cho_factor(H)
    except LinAlgError:
        return np.linalg.pinv(H, rcond=1e-13, hermitian=True).__matmul__
    return lambda x: cho_solve(factor, x)


def _certified(problem, w, theta, unit):
    """The point `w` with the certificate that the dual point `theta`, made feasible, gives.

    In units of the null model's sigma, to which the rounding that `dual_gap` admits refers.
    """
    data = problem.data
    w = np.minimum(np.maximum(w, problem.pen.lower), problem.pen.upper)
    r, b = _residual(data, w)
    sigma = _size(data, r)
    theta = theta / max(1.0, _size(data, theta))
    scaled = with_alpha(problem, unit * problem.pen.alpha)
    slope, gradient = feasible(scaled, w, r, -theta, -data.gradient(theta))
    gradient = unit * gradient
    product = -data.weight @ (slope * r)
    gap = dual_gap(scaled, w, gradient, lambda c: unit * max(sigma - c * product, 0.0)) / unit**2
    violations = problem.penalty.violation(w, gradient, np.ones(1), scaled.pen)
    violation = float(violations.max(initial=0.0)) / data.null.violation if data.null.violation > 0 else 0.0
    objective = sigma + float(problem.penalty.value(w, problem.pen))
    return _Point(w, b, gap, violation, gap if problem.convex else violation, objective)
