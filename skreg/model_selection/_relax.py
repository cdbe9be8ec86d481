r"""Relaxed fits: the chosen model, and the one without penalty on its features, in shares.

    w = (1 - share) * w_path + share * w_free,      w_free = argmin of the mean loss over the support of w_path

The same for the intercept. Bounds stay in force.
"""

from copy import copy
from dataclasses import replace

import numpy as np

from skreg.model_selection._path import check_smooth
from skreg.penalties import L1, StructuredPenalty
from skreg.penalties._rows import RowPenalty
from skreg.solvers import ProxNewton, solve


def check_relaxable(model, prepared, given):
    """ValueError, naming what was `given`, where a support is not all that the penalty selects."""
    check_smooth(model, prepared, given)
    if isinstance(prepared.penalty, StructuredPenalty):
        raise ValueError(
            f"{given} needs a penalty of single features or of groups; that of {type(model).__name__} ties features "
            "together."
        )


def relaxed(model, prepared, solution, share):
    """`model`, the fitted estimator of a path's `solution`, relaxed; its certificate is that of the free fit."""
    if share == 0:
        return model
    free = _free_fit(model, prepared, solution)
    blend = {name: (1.0 - share) * getattr(solution, name) + share * getattr(free, name) for name in _POINT}
    result = copy(model)
    result._set_fitted(prepared, free._replace(**blend))
    return result


_POINT = ("coef", "intercept")


def without_coordinates(model, prepared, solution, left_out):
    """`model`, the fitted estimator of a path's `solution`, and that, with the coefficients `left_out` set to 0."""
    data = prepared.data
    w = np.where(left_out, 0.0, solution.coef)
    known, b = data.predictor(w, 0.0 * solution.intercept), 0.0 * solution.intercept
    if data.fit_intercept:
        b = data.loss.null_intercept(data.y, data.weight, known)
    solution = solution._replace(coef=w, intercept=b)
    result = copy(model)
    result._set_fitted(prepared, solution)
    return result, solution


def _free_fit(model, prepared, solution):
    """The solution without penalty on the support; a feature counts for all classes or for none."""
    tasks = solution.coef.ndim == 2
    used = solution.coef.any(axis=1) if tasks else _in_any_class(solution.coef, prepared.n_outputs)
    posed = replace(
        prepared,
        penalty=RowPenalty(L1()) if tasks else L1(),
        weights=np.where(used, 0.0, 1.0),
        lower=np.where(used, prepared.lower, 0.0),
        upper=np.where(used, prepared.upper, 0.0),
    )
    if tasks:
        free = prepared.solver(model.tol, model.max_iter).solve(posed.problem(1.0))
    else:
        free = solve(posed.problem(1.0), ProxNewton(tol=model.tol, max_iter=model.max_iter))
    model._warn(free, stacklevel=2)
    return free


def _in_any_class(w, n_classes):
    return np.tile((w.reshape(n_classes, -1) != 0).any(axis=0), n_classes)
