"""Degrees of freedom of a solution: how far its fit follows the target, by the second derivatives at it."""

import numpy as np

from skreg.solvers._models import GramModel
from skreg.solvers._profiled_loss import ResidualLoss
from skreg.solvers._prox_newton import State

_ROUNDING = 1e-10  # of the largest effect of a coefficient: one below it is 0 but for rounding, as where it enters


def degrees_of_freedom(problem, solution, state=None):
    """Degrees of freedom of a solution of `problem`, its intercept aside: see `SeparablePenalty.degrees_of_freedom`.

    `state`, where given, is that of the solver, whose matrices need not be computed again.
    """
    data, w = problem.data, solution.coef
    if w.ndim == 1:  # rows of several tasks enter with a norm
        effect = np.abs(w) * np.sqrt(data.curvature)
        w = np.where(effect > _ROUNDING * effect.max(initial=0.0), w, 0.0)
        solution = solution._replace(coef=w)
    return problem.penalty.degrees_of_freedom(w, problem.pen, lambda index: _hessian(data, solution, state, index))


def _hessian(data, solution, state, index):
    """Second derivatives of the mean loss over some coordinates, the intercept taken out."""
    if data.loss.quadratic:
        return gram(data, getattr(state, "model", None), index)
    if data.loss.multi_output:
        return ResidualLoss(data, State(data, solution.coef, solution.intercept)).hessian(index)
    weight = data.weight * data.loss.curvature(data.y, data.predictor(solution.coef, solution.intercept))
    means = data.design.means(weight) if data.fit_intercept and weight.any() else None
    return data.design.gram(index, None, weight, means)


def gram(data, model, index):
    """The (centred) Gram matrix of some coordinates, from a solver's model where that has it."""
    if isinstance(model, GramModel) and not model.is_estimate and (model.place[index] >= 0).all():
        place = model.place[index]
        return model.H[np.ix_(place, place)]
    means = data.design.means(data.weight) if data.fit_intercept else None
    return data.design.gram(index, None, data.weight, means)
