"""Which points a problem is solved from: one for convex penalties, several for the others.

A non-convex problem is solved along a decreasing path of strengths with warm starts, and from the Lasso solution; the
best of the certified points is kept.
"""

from types import SimpleNamespace

import numpy as np

from skreg._backend import namespace_of, to_numpy
from skreg._problem import Data, Problem
from skreg._threads import one_blas_thread
from skreg.penalties import L1, RadialPenalty
from skreg.solvers import _covariance as covariance
from skreg.solvers import _group_path as group_path
from skreg.solvers._models import GramModel
from skreg.solvers._prox_newton import State
from skreg.solvers._proximal_gradient import CentredModel, ProximalGradient

_PATH = 10  # strengths on the way down to a single non-convex problem
_THIN = 16  # samples a coordinate from which a problem is first solved on an eighth of its rows
_THIN_ALPHA = 1.7  # fewer rows are noisier: a larger alpha keeps the working set small
_THIN_GROWTH = 2.0  # their Gram matrices are cheap
_BLOCK_ROWS = 64  # rows are thinned in blocks, which lie together in memory
_VERY_TALL = 64  # samples a coordinate from which an eighth of them estimate second derivatives of the squared loss
_ESTIMATED = 200  # coordinates from which that pays
_ESTIMATED_TOL = 1e-8  # tolerance below which the whole matrix, and an exact step, cost less
_ROWS_EACH = 20  # rows for each coordinate of a support that estimate its second derivatives
_LOOSE = 1e-3  # tolerance on the way
_STRONG = 1e6  # times the largest strength of interest: all but the free directions of a penalty stay out
_MANY = 10  # alphas from which a path counts as long
_NARROW = 500  # coordinates up to which a convex problem is solved in one go
_STAGE = 3.5  # ratio of the alphas by which a wide convex problem is approached
_STAGE_TOL = 5e-2  # relative gap on the way


def solve(problem, solver, state=None):
    """Solve `problem` with `solver` from `state`; leaves the solution in `state` where one is given.

    A given start is trusted as it is: the previous point on a path, or a warm start.
    """
    if state is not None or not isinstance(problem.data.y, np.ndarray):
        return solver.solve(problem, state)
    with one_blas_thread():
        if problem.penalty.convex:
            state = State(problem.data)
            if group_path.is_served(problem, state, solver.tol):
                solution = group_path.solve_alone(problem, state, solver.tol, strongest(problem))
                return solver.solve(problem, state) if solution is None else solution
            return solver.solve(problem, _approach(problem, solver))
        return solve_best(problem, solver, _starts(problem, solver))[0]


def _approach(problem, solver):
    """Where to start a convex problem from."""
    data = problem.data
    wide = not data.design.is_sparse and data.n_coordinates > max(data.design.n_samples, _NARROW)
    if data.loss.quadratic and wide and not group_path.is_group_lasso(problem.penalty):
        return _from_larger_alphas(problem, solver)
    if data.loss.quadratic and not problem.penalty.blocks and _is_very_tall(data) and solver.tol >= _ESTIMATED_TOL:
        return _with_estimate(data)
    if not data.loss.quadratic and data.design.n_samples >= _THIN * max(data.n_coordinates, _NARROW // 10):
        return _from_fewer_rows(problem, solver)
    return State(data)


def _from_larger_alphas(problem, solver):
    """A wide problem with a small alpha by way of larger alphas, solved loosely.

    Each stage hands on a support that is nearly right, from which exact pivoting takes a few steps; from the null model
    the first working sets would be full of features that a larger model has no use for.
    """
    state = State(problem.data)
    top = strongest(problem)
    stages = int(np.log(top / problem.pen.alpha) / np.log(_STAGE)) if 0 < problem.pen.alpha < top else 0
    loose = type(solver)(**{**solver.get_params(), "tol": max(solver.tol, _STAGE_TOL)})
    for alpha in np.geomspace(top, problem.pen.alpha, stages + 2)[1:-1] if stages > 0 else ():
        loose.solve(with_alpha(problem, alpha), state)
    return state


def _is_very_tall(data):
    """Whether some of the rows estimate the second derivatives well, at a small part of what all rows cost."""
    n, p = data.design.n_samples, data.n_coordinates
    return not data.design.is_sparse and p >= _ESTIMATED and n >= _VERY_TALL * p


def _with_estimate(data):
    """The null model, with second derivatives of the squared loss that an eighth of the rows estimate."""
    state, fewer = State(data), _fewer_rows(data)
    if fewer is not None:
        state.take_estimate(GramModel(fewer, np.ones(len(fewer.y))))
    return state


def _from_fewer_rows(problem, solver):
    """A tall problem by way of an eighth of its rows: its Newton steps cost an eighth, and it ends nearly there.

    Its second derivatives go along where these rows are many next to the support: as an estimate of the whole matrix
    they lead on at the price of gradients alone.

    References
    ----------
    M. Pilanci, M. J. Wainwright (2016). Iterative Hessian sketch: fast and accurate solution approximation for
    constrained least-squares. JMLR 17(53).
    """
    data, fewer = problem.data, _fewer_rows(problem.data)
    if fewer is None:
        return State(data)
    loose = type(solver)(**{**solver.get_params(), "tol": max(solver.tol, _STAGE_TOL)})
    state = State(fewer)
    state.growth = _THIN_GROWTH
    rough = loose.solve(
        with_alpha(Problem(fewer, problem.penalty, problem.pen), _THIN_ALPHA * problem.pen.alpha), state
    )
    model, state = state.model, State(data, rough.coef, rough.intercept)
    many = len(fewer.y) >= _ROWS_EACH * np.count_nonzero(rough.coef)
    if many and type(model) is GramModel and not data.design.is_sparse:
        state.take_estimate(model)
    return state


def _fewer_rows(data):
    """An eighth of the rows, in blocks; None where they have no weight, or no null model: a class is missing, say."""
    starts = np.arange(0, data.design.n_samples, _BLOCK_ROWS * _THIN // 2)
    rows = (starts[:, None] + np.arange(_BLOCK_ROWS)).ravel()
    rows = rows[rows < data.design.n_samples]
    if not data.weight[rows].any():
        return None
    fewer = Data(
        data.design.row_blocks(starts, _BLOCK_ROWS),
        data.y[rows],
        data.weight[rows] / data.weight[rows].sum(),
        data.loss,
        data.fit_intercept,
        None if data.offset is None else data.offset[rows],
    )
    try:
        fewer.null  # noqa: B018 - computed once and kept
    except ValueError:
        return None
    return fewer


def solve_best(problem, solver, starts):
    """The best solution over several starts, and its state; converged solutions come first."""
    best, where = None, None
    for state in starts:
        solution = solver.solve(problem, state)
        if best is None or (not solution.converged, solution.objective) < (not best.converged, best.objective):
            best, where = solution, state
    return best, where


def _starts(problem, solver):
    """States to start from, sharing the Gram model of the squared loss."""
    data, alpha = problem.data, problem.pen.alpha
    loose = type(solver)(**{**solver.get_params(), "tol": max(solver.tol, _LOOSE)})
    top = strongest(problem)
    walker = State(data)
    for strength in np.geomspace(top, alpha, _PATH + 1)[1:-1] if 0 < alpha < top else ():
        loose.solve(with_alpha(problem, strength), walker)
    yield walker
    lasso = lasso_twin(problem)
    if lasso is not None:
        start = State(data)
        start.model = walker.model
        loose.solve(lasso, start)
        yield start


def begin_path(data, state, n_alphas):
    """Prepare `state` for a path: where many alphas lie ahead, the whole Gram matrix at once."""
    if n_alphas >= _MANY and isinstance(data.y, np.ndarray) and covariance.is_worthwhile(data):
        with one_blas_thread():
            covariance.complete_model(data, state)


def finish(problem, solver, state, solution):
    """A solution of a path, solved on from itself where the whole Gram matrix makes an exact step nearly free."""
    if not isinstance(state, State) or not covariance.is_complete(problem.data, state):
        return solution
    state.w[:], state.b, state.eta, state.gradient = solution.coef, solution.intercept, None, None
    again = solver.solve(problem, state)
    return again._replace(n_iter=solution.n_iter) if again.converged else solution


def path_starts(problem, solver, state):
    """Starts for the next point of a path: the last point, and the Lasso solution."""
    lasso = lasso_twin(problem)
    if lasso is not None:
        start = State(problem.data)
        start.model = state.model
        type(solver)(**{**solver.get_params(), "tol": max(solver.tol, _LOOSE)}).solve(lasso, start)
        yield start
    yield state


def with_alpha(problem, alpha):
    """The same problem at another strength of the penalty."""
    return Problem(problem.data, problem.penalty, problem.pen._replace(alpha=float(alpha)))


def lasso_twin(problem):
    """The L1 problem that enters features at the same gradient as `problem` does, on the typical column."""
    pen, data = problem.pen, problem.data
    penalised = pen.weights > 0
    if not penalised.any() or pen.alpha <= 0:
        return None
    if problem.penalty.blocks:
        radial = RadialPenalty(L1(), problem.penalty.labels)
        return Problem(data, radial, radial.bind(pen.alpha, pen.weights, pen.lower, pen.upper, None))
    curvature = np.array([np.median(data.penalty_curvature[penalised])])
    bounds = np.array([-np.inf]), np.array([np.inf])
    low, high = -300.0, 300.0  # log10 of the gradient; alpha_max grows with it
    for _ in range(60):
        mid = 0.5 * (low + high)
        enters = problem.penalty.alpha_max(np.array([10.0**mid]), curvature, np.ones(1), *bounds)
        low, high = (mid, high) if enters < pen.alpha else (low, mid)
    penalty = L1()
    return Problem(data, penalty, penalty.bind(10.0**high, pen.weights, pen.lower, pen.upper, None))


def null_problem(problem):
    """`problem` with every penalised coordinate held at zero: what remains is the unpenalised part."""
    pen, xp = problem.pen, namespace_of(problem.data.y)
    held = pen.weights > 0
    zeros = xp.zeros_like(pen.weights)
    penalty = L1()
    lower, upper = xp.where(held, zeros, pen.lower), xp.where(held, zeros, pen.upper)
    return Problem(problem.data, penalty, penalty.bind(1.0, pen.weights, lower, upper, None))


def strongest(problem):
    """Smallest alpha at which every penalised coordinate stays at zero."""
    data, pen = problem.data, problem.pen
    if not isinstance(data.y, np.ndarray):
        return _strongest_elsewhere(problem)
    gradient, eta = data.null.gradient, None
    if (pen.weights == 0).any():
        from skreg.solvers._prox_newton import ProxNewton

        state = State(data)
        ProxNewton(tol=1e-10).solve(null_problem(problem), state)
        eta = data.predictor(state.w, state.b)
        gradient = data.gradient(data.loss.gradient(data.y, eta))
    curvature = np.ones(len(gradient))
    if not problem.penalty.convex:
        curvature = data.scale(data.predictor(np.zeros(len(gradient)), data.null.intercept) if eta is None else eta)
    return problem.penalty.alpha_max(gradient, curvature, pen.weights, pen.lower, pen.upper)


def _strongest_elsewhere(problem):
    """`strongest` in another namespace than NumPy's: products with X where X is, what they give on the host."""
    data, pen, model = problem.data, problem.pen, CentredModel(problem)
    point, _, _ = model.null()

    def strength():
        certificate = model.certificate(point)
        return problem.penalty.alpha_max(
            *map(to_numpy, (certificate.gradient, certificate.scale, pen.weights, pen.lower, pen.upper))
        )

    free = None
    if bool(model.xp.any(pen.weights == 0)):
        free = null_problem(problem)
    elif hasattr(problem.penalty, "free") and problem.penalty.free(pen) is not None:
        free = with_alpha(problem, max(_STRONG * strength(), np.finfo(float).tiny))
    if free is not None:
        state = zero_point(data, model.xp)
        ProximalGradient(tol=1e-12).solve(free, state)
        point = model.start(state)
    return strength()


def strengths(problem, n_alphas, eps):
    """Decreasing grid of `n_alphas` strengths from the one that empties the model down to `eps` times it."""
    top = strongest(problem)
    if top <= np.finfo(float).tiny:
        return np.full(n_alphas, np.finfo(float).tiny)
    return np.geomspace(top, eps * top, n_alphas)


def zero_point(data, xp, w=None, b=None):
    """A start for solvers on other namespaces than NumPy's; without `b`, at the null model's intercept."""
    if w is None:
        w = xp.zeros(data.design.n_features * data.n_outputs, dtype=xp.float64, device=data.y.device)
    if b is None:
        b = data.loss.null_intercept(data.y, data.weight, data.offset, xp) if data.fit_intercept else 0.0
    return SimpleNamespace(w=w, b=b)
