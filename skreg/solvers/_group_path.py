"""Paths of the group Lasso on wide dense data: the squared loss, all strengths in one compiled call."""

import numpy as np

from skreg._problem import Solution
from skreg.kernels._group_path import Groups, Memory, group_path_kernel
from skreg.kernels._specialize import LITTLE, as_kernel_array
from skreg.penalties import L1, RadialPenalty
from skreg.solvers._block_descent import group_layout

_SWEEPS = 500  # most sweeps for one strength before the general solver is called for
_FINEST = 1e-10  # tolerance below which sweeps alone are slow
_WIDEST = 32  # width of a group above which matrix products make up for their overhead
_STAGE = 1.2  # ratio of the strengths by which a single problem is approached
_POINTS = 64  # points at which gradients are remembered


def is_served(problem, state, tol):
    """Whether `solve_path` solves such problems: the plain group Lasso, from the null model on."""
    data, penalty, pen = problem.data, problem.penalty, problem.pen
    if not (is_group_lasso(penalty) and data.loss.quadratic):
        return False
    design = data.design
    dense = not design.is_sparse and design.scale is None and design.X.flags.f_contiguous
    wide = data.n_coordinates > data.design.n_samples and data.design.cells > LITTLE
    if not (dense and wide and tol >= _FINEST and data.null.gap > 0) or state.w.any():
        return False
    return bool((pen.weights > 0).all() and pen.alpha > 0 and np.bincount(pen.label).max() <= _WIDEST)


def is_group_lasso(penalty):
    """Whether it is the plain group Lasso."""
    return isinstance(penalty, RadialPenalty) and type(penalty.base) is L1


def solve_path(problems, state, tols):
    """Solutions of the first problems of decreasing strength, to relative gaps of `tols`; perhaps not of all of them.

    Leaves the last one in `state`.
    """
    data, pen, null = problems[0].data, problems[0].pen, problems[0].data.null
    alphas = np.array([problem.pen.alpha for problem in problems])
    groups, memory = _groups(data, pen), _memory(data, pen)
    u = data.weight * data.loss.gradient(data.y, data.predictor(np.zeros(data.n_coordinates), null.intercept))
    s = np.divide(u, groups.root, out=np.zeros_like(u), where=groups.root > 0)
    W, report = np.zeros((len(alphas), data.n_coordinates)), np.zeros((len(alphas), 4))
    gradient, weights = null.gradient[groups.order], pen.weights[groups.order[groups.starts[:-1]]]
    before = [as_kernel_array(a) for a in (alphas, np.broadcast_to(tols, alphas.shape), weights)]
    done = group_path_kernel()(groups, memory, s, as_kernel_array(gradient), null.gap, *before, _SWEEPS, W, report)
    if not done:
        return []
    W, report = W[:done], report[:done]
    intercepts = np.full(done, null.intercept) - W[:, groups.order] @ groups.means
    state.w, state.b, state.alpha = W[-1].copy(), float(intercepts[-1]), float(alphas[done - 1])
    state.eta, state.gradient, state.members = None, None, np.flatnonzero(state.w)
    return [
        Solution(w, float(b), int(n), float(gap / null.gap), float(violation / null.violation), True, float(value))
        for w, b, (gap, violation, value, n) in zip(W, intercepts, report)
    ]


def solve_alone(problem, state, tol, top):
    """Solution of one problem by way of larger strengths below `top`, one sweep each; None where that fails."""
    alpha = problem.pen.alpha
    stages = max(int(np.log(top / alpha) / np.log(_STAGE)), 0) if 0 < alpha < top else 0
    pens = [problem.pen._replace(alpha=float(a)) for a in np.geomspace(top, alpha, stages + 2)[1:]]
    problems = [type(problem)(problem.data, problem.penalty, pen) for pen in pens]
    solutions = solve_path(problems, state, np.append(np.full(stages, np.inf), tol))
    return solutions[-1] if len(solutions) == len(problems) else None


def _groups(data, pen):
    """The columns by group, as the kernel takes them; nothing is known yet of their second derivatives."""
    order, starts = group_layout(pen)
    sizes, p, n = np.diff(starts), data.n_coordinates, data.design.n_samples
    rows, root = as_kernel_array(data.design.X.T), as_kernel_array(np.sqrt(data.weight))
    order, starts, places = (as_kernel_array(a) for a in (order, starts, np.arange(p)))
    reach, ready, store = np.full(len(sizes), -1.0), np.zeros(len(sizes), dtype=bool), np.empty((p, n))
    rotated, D, V, means = as_kernel_array(store), np.zeros(p), np.empty((p, sizes.max())), np.zeros(p)
    return Groups(
        rows, root, bool(data.fit_intercept), order, starts, places, means, reach, ready, store, rotated, D, V
    )


def _memory(data, pen):
    """Room for what the kernel remembers of points and gradients."""
    n_groups, p, n, square = pen.label.max() + 1, data.n_coordinates, len(data.y), (_POINTS, _POINTS)
    points, products, against = np.empty((_POINTS, n)), np.empty(square), np.empty(_POINTS)
    known = np.full((2, n_groups), -1)
    count, asks = np.zeros(1, dtype=np.int64), np.zeros(n_groups, dtype=np.int64)
    return Memory(points, products, against, count, np.empty(n), asks, *known, *np.zeros((2, p)))
