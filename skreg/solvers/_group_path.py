"""Paths of the group Lasso on wide dense data: the squared loss, all strengths in one compiled call."""

import numpy as np

from skreg._problem import Solution
from skreg.kernels._group_path import Groups, Memory, group_path_kernel
from skreg.kernels._residual_cd import DenseColumns
from skreg.kernels._specialize import LITTLE, as_kernel_array
from skreg.penalties import L1, RadialPenalty
from skreg.solvers._block_descent import group_layout

_SWEEPS = 500  # most sweeps for one strength before the general solver is called for
_FINEST = 1e-10  # tolerance below which sweeps alone are slow
_WIDEST = 32  # width of a group above which matrix products make up for their overhead
_STAGE = 1.35  # ratio of the strengths by which a single problem is approached
_STAGE_TOL = 5e-2  # relative gap on the way
_POINTS = 64  # points at which gradients are remembered


def is_served(problem, state, tol):
    """Whether `solve_path` solves such problems: the plain group Lasso, from the null model on."""
    data, penalty, pen = problem.data, problem.penalty, problem.pen
    if not (isinstance(penalty, RadialPenalty) and type(penalty.base) is L1 and data.loss.quadratic):
        return False
    design = data.design
    dense = not design.is_sparse and design.scale is None and design.X.flags.f_contiguous
    wide = data.n_coordinates > data.design.n_samples and data.design.cells > LITTLE
    if not (dense and wide and tol >= _FINEST and data.null.gap > 0) or state.w.any():
        return False
    return bool((pen.weights > 0).all() and pen.alpha > 0 and np.bincount(pen.label).max() <= _WIDEST)


def solve_path(problems, state, tols):
    """Solutions of the first problems of decreasing strength, to relative gaps of `tols`; perhaps not of all of them.

    Leaves the last one in `state`.
    """
    data, penalty, pen, null = problems[0].data, problems[0].penalty, problems[0].pen, problems[0].data.null
    alphas = np.array([problem.pen.alpha for problem in problems])
    u = data.weight * data.loss.gradient(data.y, data.predictor(np.zeros(data.n_coordinates), null.intercept))
    W, report = np.zeros((len(alphas), data.n_coordinates)), np.zeros((len(alphas), 4))
    own = pen._replace(alpha=1.0, weights=np.empty(data.n_coordinates))
    groups, memory = _groups(data, pen), _memory(data, pen)
    before = [as_kernel_array(a) for a in (alphas, np.broadcast_to(tols, alphas.shape), pen.weights)]
    start = as_kernel_array(null.gradient), null.gap
    done = group_path_kernel(penalty, False)(groups, memory, u, *start, *before, own, _SWEEPS, W, report)
    if not done:
        return []
    W, report = W[:done], report[:done]
    intercepts = np.full(done, null.intercept) - W @ groups.moment
    state.w, state.b, state.alpha = W[-1].copy(), float(intercepts[-1]), float(alphas[done - 1])
    state.eta, state.gradient, state.members = None, None, np.flatnonzero(state.w)
    return [
        Solution(w, float(b), int(n), float(gap / null.gap), float(violation / null.violation), True, float(value))
        for w, b, (gap, violation, value, n) in zip(W, intercepts, report)
    ]


def solve_alone(problem, state, tol, top):
    """Solution of one problem by way of larger strengths below `top`, solved loosely; None where that fails."""
    alpha = problem.pen.alpha
    stages = max(int(np.log(top / alpha) / np.log(_STAGE)), 0) if 0 < alpha < top else 0
    pens = [problem.pen._replace(alpha=float(a)) for a in np.geomspace(top, alpha, stages + 2)[1:]]
    problems = [type(problem)(problem.data, problem.penalty, pen) for pen in pens]
    solutions = solve_path(problems, state, np.append(np.full(stages, max(tol, _STAGE_TOL)), tol))
    return solutions[-1] if len(solutions) == len(problems) else None


def _groups(data, pen):
    """The columns by group, as the kernel takes them; nothing is known yet of their second derivatives."""
    order, starts = group_layout(pen)
    sizes = np.diff(starts)
    offsets = np.concatenate([[0], np.cumsum(sizes**2)])
    inverse = np.divide(1.0, data.weight, out=np.zeros_like(data.weight), where=data.weight > 0)
    columns, place = DenseColumns(as_kernel_array(data.design.X.T)), as_kernel_array(np.arange(data.n_coordinates))
    d, inverse, order, starts = (as_kernel_array(a) for a in (data.weight, inverse, order, starts))
    bounds = np.full((2, len(sizes)), -1.0)
    moment = np.zeros(data.n_coordinates)
    H, offsets = np.empty(offsets[-1]), as_kernel_array(offsets)
    fit_intercept = bool(data.fit_intercept)
    return Groups(columns, place, fit_intercept, moment, d, inverse, order, starts, H, offsets, bounds[0], bounds[1])


def _memory(data, pen):
    """Room for what the kernel remembers of points and gradients."""
    n_groups, p, square = pen.label.max() + 1, data.n_coordinates, (_POINTS, _POINTS)
    points, products = np.empty((_POINTS, len(data.y))), np.empty(square)
    known = np.full((2, n_groups), -1)
    return Memory(points, products, np.empty(_POINTS), np.zeros(1, dtype=np.int64), *known, *np.zeros((2, p)))
