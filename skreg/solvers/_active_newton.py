"""Newton's method on the groups that are not 0, for non-convex penalties where models of all groups do not lead on."""

import numpy as np
from scipy.linalg import lapack

from skreg.kernels._block_cd import add_blocks
from skreg.kernels._specialize import as_kernel_array, specialize
from skreg.penalties import restrict
from skreg.solvers._models import GramModel, MultinomialGramModel

_RIDGES = 1e-10, 1e-7, 1e-4  # of the largest second derivative: along what it leaves undetermined, steps stay short
_HALVINGS = 20


def active_newton(problem, state, slope, gradient, columns):
    """One damped Newton step on the true objective over the groups that are not 0; False when nothing moved.

    A model that sees all groups may want to exchange some, which the objective refuses, over and over. Within the
    present groups the objective is smooth; where the penalty bends it down, that bend is left out, so that the step
    leads down. `gradient` belongs to `columns`, which hold the groups.
    """
    data, loss, penalty = problem.data, problem.data.loss, problem.penalty
    place = np.flatnonzero(state.w[columns])
    place = place[np.argsort(problem.pen.label[columns[place]], kind="stable")]
    support = columns[place]
    if not len(support):
        return False
    model = (MultinomialGramModel if loss.multi_output else GramModel)(data, loss.curvature(data.y, state.eta))
    model.extend(support)
    profiled, own = model.profiled(gradient[place], slope)
    pen = restrict(problem.pen, support)
    old = state.w[support]
    bend, c, k, u = penalty.smooth(old, pen)
    step = _solve(model.H[: len(support), : len(support)], -(profiled + bend), pen, c, k, u)
    if step is None:
        return False
    shift = model.intercept_step(step, own)
    full = np.zeros(data.n_coordinates)
    full[support] = step
    direction = data.apply(full, support) + shift
    before = data.weight @ loss.value(data.y, state.eta) + float(penalty.value(old, pen))
    for length in 0.5 ** np.arange(_HALVINGS):
        eta, new = state.eta + length * direction, old + length * step
        if data.weight @ loss.value(data.y, eta) + float(penalty.value(new, pen)) < before:
            state.w[support], state.b, state.eta = new, state.b + length * shift, eta
            return True
    return False


def _solve(H, rhs, pen, c, k, u):
    """Newton step; without the penalty's downward bend where the matrix is not positive definite with it."""
    starts = np.flatnonzero(np.diff(pen.label, prepend=-1, append=-1))
    flat = np.maximum(k, -c)
    for kept, ridge in ((k, _RIDGES[0]), *((flat, ridge) for ridge in _RIDGES)):
        system = H.copy()
        specialize(add_blocks)(system, *(as_kernel_array(x) for x in (starts, c, kept, u)))
        system.flat[:: len(rhs) + 1] += ridge * H.diagonal().max()
        _, step, info = lapack.dposv(system, rhs, overwrite_a=1)
        if info == 0:
            return step
    return None
