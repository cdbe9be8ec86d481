"""Paths of the squared loss, several strengths ahead.

Along a path the solution and its gradient are nearly linear, piece by piece, in the strength of the penalty. So two
points tell which features the next ones will need, and with which signs: a block of problems is solved on those
features alone, and one pass over the data serves all their certificates. A point that its certificate does not confirm
is but a start.
"""

from itertools import takewhile
from typing import NamedTuple

import numpy as np

from skreg._threads import one_blas_thread
from skreg.penalties import restrict
from skreg.solvers import _covariance as covariance
from skreg.solvers import _group_path as group_path
from skreg.solvers._models import GramModel, can_pivot
from skreg.solvers._newton_finish import pivot_from, product

_REACH = 0.7  # ratio of two strengths from which one tells something about the other
_MARGIN = 0.95  # share of its strength at which a gradient foretold admits a feature
_EXACT = 0.1  # share of the tolerance to which features of the model may violate their conditions


class Point(NamedTuple):
    """Coefficients and gradient at one strength of the penalty."""

    alpha: float
    w: np.ndarray
    gradient: np.ndarray

    def restrict(self, columns):
        """The point on some coordinates."""
        return Point(self.alpha, self.w[columns], self.gradient[columns])

    def towards(self, alpha, before):
        """Coefficients and gradient at `alpha`, on the line through this point and the one before."""
        step = (alpha - self.alpha) / (self.alpha - before.alpha) if self.alpha < before.alpha else 0.0
        return self.w + step * (self.w - before.w), self.gradient + step * (self.gradient - before.gradient)


def solve_path(problems, solver, state):
    """Yield the solutions of convex problems of decreasing strength, each from the ones before."""
    before, done = None, 0
    if problems and covariance.is_complete(problems[0].data, state):
        with one_blas_thread():
            solutions = covariance.solve_path(problems, state, solver.tol)
        yield from solutions
        done = len(solutions)
    elif problems and group_path.is_served(problems[-1], state, solver.tol):
        with one_blas_thread():
            solutions = group_path.solve_path(problems, state, solver.tol)
        yield from solutions
        done = len(solutions)
    while done < len(problems):
        with one_blas_thread():
            solutions, before = _solve_some(problems[done:], solver, state, before)
        yield from solutions
        done += len(solutions)


def _solve_some(problems, solver, state, before):
    """Solutions of the first problem and of those that a look ahead solves as well, and the point before the last."""
    points = _look_ahead(problems, state, before, solver.tol)
    solutions = []
    for problem, point in zip(problems, points or [None]):
        last, before = before, None if state.gradient is None else Point(state.alpha, state.w.copy(), state.gradient)
        if point is not None:
            state.w, state.b, state.eta, state.gradient = point
        elif problem.penalty.blocks and before is not None and last is not None:
            _extrapolate(state, last, problem.pen.alpha)
        solutions.append(solver.solve(problem, state))
        if solutions[-1].n_iter > 1:
            break
    return solutions, before


def _extrapolate(state, before, alpha):
    """Start a problem with groups from the line through the last two points, on the support of the last."""
    if not _REACH * state.alpha < alpha < state.alpha < before.alpha:
        return
    here = Point(state.alpha, state.w, state.gradient)
    w, _ = here.towards(alpha, before)
    state.w = np.where(here.w != 0, w, 0.0)
    state.eta = state.gradient = None


def _look_ahead(problems, state, before, tol):
    """Points (w, b, eta, gradient) that should solve the next few problems; none where they cannot be told."""
    model, first = state.model, problems[0]
    if not isinstance(model, GramModel) or not model.data.loss.quadratic or state.gradient is None or before is None:
        return []
    problems = list(takewhile(lambda problem: _REACH * state.alpha < problem.pen.alpha <= state.alpha, problems))
    if len(problems) < 2 or not can_pivot(first.penalty, first.pen):
        return []
    here = Point(state.alpha, state.w, state.gradient)
    _admit(problems[-1], state, here, before)
    model.extend(state.members)
    found = _solve_ahead(problems, model, here.restrict(model.columns), before.restrict(model.columns), tol)
    return _complete(model, state, found)


def _admit(problem, state, here, before):
    """Add the features to the working set that the gradient foretold for `problem` brings in, or nearly so."""
    _, gradient = here.towards(problem.pen.alpha, before)
    relaxed = problem.pen._replace(alpha=_MARGIN * problem.pen.alpha)
    near = problem.penalty.violation(state.w, gradient, np.ones(1), relaxed) > 0
    near[state.members] = False
    state.members = np.concatenate([state.members, np.flatnonzero(near)])


def _solve_ahead(problems, model, here, before, tol):
    """Coefficients over the model's columns that solve the problems there, as far as pivoting leads."""
    pen = restrict(problems[0].pen, model.columns)
    H = model.H[: len(here.w), : len(here.w)]
    support = np.flatnonzero(here.w)
    target = product(H, support, here.w[support]) - here.gradient
    found = []
    for problem in problems:
        alpha = problem.pen.alpha
        pen = pen._replace(alpha=alpha)
        sign = _signs(here, before, problem.penalty, pen)
        aim = _EXACT * tol * alpha
        solved = pivot_from(model.H, target, sign, problem.penalty, pen, aim, aim, model.rank, model.factor)
        if solved is None:
            break
        here, before = Point(alpha, *solved), here
        found.append(here.w)
    return found


def _signs(here, before, penalty, pen):
    """Signs of the solution for `pen`, as two points on the path foretell them."""
    w, gradient = here.towards(pen.alpha, before)
    sign = np.where(w * here.w > 0, np.sign(w), 0.0)
    enter = (here.w == 0) & (penalty.violation(here.w, gradient, np.ones(1), pen) > 0)
    return np.where(enter, -np.sign(gradient), sign)


def _complete(model, state, found):
    """Intercepts, predictors and gradients that go with the coefficients, by one pass over the data."""
    if not found:
        return []
    data, columns = model.data, model.columns
    points = []
    for new in found:
        w = np.zeros(data.n_coordinates)
        w[columns] = new
        points.append((w, data.predictor(w, state.b)))
    slopes = data.loss.gradient(data.y, np.array([eta for _, eta in points]))
    shifts = np.zeros(len(points))
    for _ in range(2 if data.fit_intercept else 0):  # the second time for the rounding of the first
        own = slopes @ data.weight
        shifts -= own
        slopes -= own[:, None]
    gradients = np.ascontiguousarray(data.gradient(slopes.T).T)
    return [
        (w, state.b + float(shift), eta + shift, gradient)
        for (w, eta), shift, gradient in zip(points, shifts, gradients)
    ]
