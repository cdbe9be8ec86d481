"""Working-set proximal Newton: the solver of every smooth loss with a separable penalty, on the CPU.

Outer loop, one pass over X each: the full gradient gives the certificate and the coordinates that violate it most;
they join the working set. Inner loop, on the working set alone: a quadratic model of the loss (exact for the squared
loss), minimised in Gram or residual form, then a line search on the true objective.
"""

import numpy as np

from skreg._params import Parameterised
from skreg._problem import Solution, certify, softmax_intercept_inverse
from skreg._threads import one_blas_thread
from skreg.penalties import restrict
from skreg.solvers import _covariance as covariance
from skreg.solvers._active_newton import active_newton
from skreg.solvers._block_model import BlockModel
from skreg.solvers._line_search import jump, search
from skreg.solvers._models import GramModel, gram_pays, is_large_multinomial, make_model, sweeps_columns
from skreg.solvers._residual_model import ResidualModel
from skreg.solvers._wide_groups import descend_turned, has_wide_groups

_FIRST = 100  # coordinates in the first working set
_GROUPS = 8  # groups in it, where groups that stay at 0 cost but a product with each of their columns
_FLOOR = (
    0.01  # least curvature of a first model, as a share of the loss's bound; lowered with each step that leads down
)
_LEAST_FLOOR = 1e-9
_REFUSALS = 2  # refused steps after which the outer loop takes over
_FINE = 0.7  # ratio of two strengths above which the strong rule tells something
_SMALL = 100  # size of a support, or of a working set beside as many samples, at which exact steps are cheap
_ROUGH = 1e-3  # tolerance above which a solution is but a step on the way to another
_POLISH_SWEEPS = 50  # most sweeps spent on making a certified point exact
_FEW = 20  # coordinates that may always join
_ESTIMATE_STALE = 0.5  # an estimate of it from some rows is kept while each step shrinks the violation by this factor
_ESTIMATE_ACCURACY = 0.05  # share of the violation to which such a model leads down between two passes, ...
_ESTIMATE_AIM = 0.5  # ... or this share of tol once no coordinate enters
_STALE = 0.1  # a model is kept for another step while each step shrinks the violation by this factor, ...
_TALL_STALE = 0.3  # ... or by this one, where making it costs many passes over the data
_TALL = 16  # samples a coordinate from which that is so
_BALANCE = 5  # most Newton steps on the intercept alone before a certificate
_NEAR = 0.7  # share of alpha from which a feature's gradient makes it a candidate
_SHARE = 0.3  # share of all features up to which looking at candidates first is worth it
_ROUNDS = 5  # most times that candidates are looked at between two passes over the data
_ROUNDING = 1e-15  # of the null model's violation: no subproblem is asked for more
_LOOSE = 0.3  # share of the violation asked for that models in residual form are solved to; others to a tenth
_ENOUGH = 1.0  # share of tol to which a subproblem is solved where each digit costs more sweeps
_INNER = 0.1  # share of tol to which the problem of a working set of wide groups is solved at least, ...
_LARGEST = 0.1  # ... and the largest tolerance of such a problem
_NEWTON_STEPS = 20  # most Newton steps between two passes over the data
_SLOW = 0.3  # share of the violation left, above which models of concave groups take turns with the groups present
_SHORTEST = 0.1  # step below which a model of concave groups is steepened instead
_CONCAVE_SWEEPS = 200  # most sweeps of such a model, which says little of far points
_STEEPER = 8.0  # factor of its curvature then, ...
_STEEPEST = 3  # ... so many times, before an upper bound of the curvature takes its place


class State:
    """A point on some data, with what the next solve on the same data can use again."""

    def __init__(self, data, w=None, b=None):
        self.data = data
        self.w = np.zeros(data.n_coordinates) if w is None else np.array(w, dtype=np.float64)
        self.b = data.null.intercept if b is None else b
        self.eta = None
        self.gradient = data.null.gradient if w is None else None  # with respect to the coefficients, where known
        self.members = np.flatnonzero(self.w)
        self.model = None
        self.on_path = False
        self.growth = 2.0 if data.loss.quadratic else 1.5  # each Newton step makes a Gram matrix of all members
        self.alpha = np.inf  # strength of the penalty at which this point was solved
        self.floor = _FLOOR  # least curvature of a model, as a share of the loss's bound
        self.refused = 0  # steps that did not lead down in a row
        self.contraction = np.inf  # by which the last step with this model shrank the violation

    def enter(self, alpha):
        """Note that the next problem's strength is `alpha`; returns the last one's."""
        last, self.alpha = self.alpha, alpha
        self.on_path = _FINE * last < alpha < last < np.inf
        return last

    def take_estimate(self, model):
        """Begin with a model that is made of some rows alone."""
        model.data = self.data
        self.model, self.contraction = model, 0.0

    def restore(self, certified):
        """Go back to a certified point; returns its certificate and measure."""
        certificate, measure, self.w, self.b, self.eta, self.gradient = certified
        return certificate, measure


class ProxNewton(Parameterised):
    """Proximal Newton with working sets.

    Parameters
    ----------
    tol : float, default=1e-6
        Stop when the duality gap (convex problems) or the KKT violation (others) is at most `tol` times that of the
        null model.
    max_iter : int, default=200
        Largest number of passes over the data.
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
        data = problem.data
        null = data.null
        if null.gap == 0.0 and not len(problem.free):
            state.w[:] = 0.0
            state.b, state.eta, state.gradient = null.intercept, None, None
            return Solution(
                state.w.copy(), state.b, 1, 0.0, 0.0, True, problem.objective(state.w, data.predictor(state.w, state.b))
            )
        if covariance.is_complete(data, state):
            return covariance.solve(problem, state, self.tol, self.max_iter)
        target = self.tol * (null.gap if problem.convex else null.violation)
        last = state.enter(problem.pen.alpha)
        state.members = problem.penalty.complete(state.members)
        accuracy = (1e-3 if state.on_path else 0.1) if data.loss.quadratic else 0.3
        floor = _ROUNDING
        wide = has_wide_groups(problem)
        if wide:
            floor = _INNER * self.tol
        elif sweeps_columns(data, problem.penalty):
            floor = _ENOUGH * self.tol
            accuracy = 0.0 if state.on_path else accuracy
        previous = np.inf
        certified = None
        for n_iter in range(1, max(self.max_iter, 1) + 1):
            slope = _balance(data, state)
            gradient = data.gradient(slope) if state.gradient is None else state.gradient
            state.gradient = gradient
            certificate = certify(problem, state.w, state.eta, slope, gradient, _scale(problem, state))
            measure = certificate.gap if problem.convex else certificate.violation
            if certified is not None:  # this was the polished point
                if measure > target or certificate.violation > certified[0].violation:
                    certificate, measure = state.restore(certified)
                break
            if n_iter == self.max_iter:
                break
            if measure <= target:
                if self.tol > _ROUGH or wide or not _worth_polishing(problem, state, certificate):
                    break
                certified = certificate, measure, state.w.copy(), state.b, state.eta, gradient
                state.gradient = None
                _polish(problem, state, slope, gradient)
                continue
            _drop_idle(state, certificate.violations, problem)
            if n_iter == 1 and state.on_path:
                _seed(state, problem, gradient, last)
            grown = _grow(state, certificate.violations, problem)
            if not grown and certificate.violation > 0.5 * previous:
                accuracy, floor = 0.01 * accuracy, max(0.1 * floor, _ROUNDING)
            previous = certificate.violation
            state.gradient = None
            if wide:
                share = accuracy * measure / (null.gap if problem.convex else null.violation)
                descend_turned(problem, state, self, max(min(share, _LARGEST), floor))
                continue
            inner = max(accuracy * certificate.violation, floor * null.violation)
            candidates = _candidates(problem, state, gradient)
            if _is_estimate(state.model):
                candidates = _keep_near(problem, state, gradient)
                share = _ESTIMATE_ACCURACY * certificate.violation
                inner = max(
                    share if grown else min(share, _ESTIMATE_AIM * self.tol * null.violation), floor * null.violation
                )
            _descend(problem, state, slope, gradient, inner)
            _settle(problem, state, gradient, candidates, inner)
        if data.loss.multi_output and len(problem.free):
            _centre_free(problem, state)
        return Solution(
            state.w.copy(),
            state.b,
            n_iter,
            certificate.gap / null.gap if null.gap > 0 else 0.0,
            certificate.violation / null.violation if null.violation > 0 else 0.0,
            bool(measure <= target),
            problem.objective(state.w, state.eta),
        )


def _centre_free(problem, state):
    """Of the unpenalised coefficients that give the same probabilities, take those that sum to zero over classes."""
    p = problem.data.design.n_features
    free = problem.free[problem.free < p]
    w = state.w.reshape(-1, p)
    w[:, free] -= w[:, free].mean(axis=0)
    state.eta = problem.data.predictor(state.w, state.b)


def _worth_polishing(problem, state, certificate):
    """Whether an exact step from a certified point costs next to nothing, and has something to gain.

    A gap of tol bounds the objective; coefficients are only known to its square root, and an exact step on the support
    makes up for that.
    """
    if state.model is None or _is_estimate(state.model) or certificate.violation <= 1e-13 * problem.data.null.violation:
        return False
    data, m = problem.data, len(state.members)
    size = np.count_nonzero(state.w)
    if state.on_path and data.design.cells > _SMALL**3:
        return False  # each of many points would cost another pass over the data
    if data.loss.quadratic:
        return _is_cheap(data, size)
    return data.design.n_samples * m * m <= _SMALL**3


def _is_cheap(data, size):
    """Whether exact steps on a support of this size cost little next to a pass over the data."""
    return size <= _SMALL or 5 * size**3 <= data.design.cells


def _polish(problem, state, slope, gradient):
    """One exact step over the working set."""
    inner = _ROUNDING * problem.data.null.violation
    if not problem.data.loss.quadratic:
        state.contraction = np.inf  # a model of this very point
        state.model = None
    _descend(problem, state, slope, gradient, inner, steps=1, sweeps=_POLISH_SWEEPS)


def _balance(data, state):
    """Gradient of the loss with respect to the predictor, after the intercept has been moved to its own optimum.

    A balanced gradient (its weighted sum is zero) is dual feasible in the intercept, which spares the certificate a
    pass over the data.
    """
    loss, y = data.loss, data.y
    if state.eta is None:
        state.eta = data.predictor(state.w, state.b)
    slope = loss.gradient(y, state.eta)
    for _ in range(_BALANCE if data.fit_intercept and state.gradient is None else 0):
        own = data.weight @ slope
        size = np.abs(own).max()
        if size <= 1e-15 * (data.weight @ np.abs(slope)).max():
            break
        curvature = loss.curvature(y, state.eta)
        if loss.multi_output:
            step = -softmax_intercept_inverse(data.weight, curvature) @ own
        else:
            mass = data.weight @ curvature
            step = -own / mass if mass > 0 else 0.0
        eta = state.eta + step
        new = loss.gradient(y, eta)
        if not np.abs(data.weight @ new).max() < size:
            break
        state.b, state.eta, slope = state.b + step, eta, new
        state.gradient = None
    return slope


def _scale(problem, state, columns=slice(None)):
    """Coordinate-wise curvature that violations are measured with; any positive number will do for convex problems."""
    return np.ones(1) if problem.convex else problem.data.scale(state.eta)[columns]


def _seed(state, problem, gradient, last):
    """Sequential strong rule: on a fine path, features that the last alpha's gradient says may enter join at once.

    References
    ----------
    R. Tibshirani et al. (2012). Strong rules for discarding predictors in lasso-type problems. JRSS B 74(2).
    """
    if not problem.convex:
        return
    relaxed = problem.pen._replace(alpha=2.0 * problem.pen.alpha - last)
    candidates = problem.penalty.violation(state.w, gradient, np.ones(1), relaxed) > 0
    candidates[state.members] = False
    state.members = problem.penalty.complete(np.concatenate([state.members, np.flatnonzero(candidates)]))


def _in_columns(problem, members):
    """Whether a model of these coordinates is solved by sweeps over their columns, each by itself."""
    return not problem.penalty.blocks and not gram_pays(problem.data, len(members))


def _drop_idle(state, violations, problem):
    """Take those out of the working set that are zero and want to stay there, where each costs time in every sweep."""
    if _in_columns(problem, state.members):
        state.members = state.members[(state.w[state.members] != 0) | (violations[state.members] > 0)]


def _grow(state, violations, problem):
    """Add the worst violators to the working set. Returns how many joined."""
    fresh = violations.copy()
    fresh[state.members] = 0.0
    free = problem.free
    size = len(problem.penalty.complete(np.flatnonzero(state.w)))  # with what is zero in groups that are not
    room = max(_FIRST, int(state.growth * size)) - len(state.members)
    room = max(_FIRST, size) if _in_columns(problem, state.members) else max(room, _FEW)
    if sweeps_columns(problem.data, problem.penalty):
        room = max(room, _GROUPS * int(np.bincount(problem.pen.label).max()))
    new = np.flatnonzero(fresh)
    if len(new) > room:
        new = new[np.argpartition(fresh[new], -room)[-room:]]
    if len(free):
        new = np.union1d(new, np.setdiff1d(free, state.members))
    state.members = problem.penalty.complete(np.concatenate([state.members, new]))
    return len(new)


def _candidates(problem, state, gradient):
    """Features near to entering, among which to look for violators before the next pass over all; may be none."""
    if problem.data.loss.multi_output or problem.data.loss.quadratic:
        return state.members[:0]
    relaxed = problem.pen._replace(alpha=_NEAR * problem.pen.alpha)
    near = problem.penalty.violation(state.w, gradient, _scale(problem, state), relaxed) > 0
    near[state.members] = True
    return np.flatnonzero(near) if np.count_nonzero(near) < _SHARE * len(near) else state.members[:0]


def _keep_near(problem, state, gradient):
    """Leave in the working set, and in its estimated model, features near to entering alone; returns no candidates."""
    relaxed = problem.pen._replace(alpha=_NEAR * problem.pen.alpha)
    near = problem.penalty.violation(state.w, gradient, np.ones(1), relaxed) > 0
    near |= state.w != 0
    near[problem.free] = True
    state.members = problem.penalty.complete(state.members[near[state.members]])
    state.model.keep(state.members)
    return state.members[:0]


def _is_estimate(model):
    """Whether the model's second derivatives are those of some rows."""
    return isinstance(model, GramModel) and model.is_estimate


def _settle(problem, state, gradient, candidates, inner):
    """Grow the working set by violators among the candidates, and descend, until there are none."""
    data = problem.data
    pen = restrict(problem.pen, candidates)
    for _ in range(_ROUNDS if len(candidates) else 0):
        slope = _balance(data, state)
        gradient[candidates] = data.gradient(slope, candidates)
        scale = _scale(problem, state, candidates)
        violations = np.zeros(len(gradient))
        violations[candidates] = problem.penalty.violation(state.w[candidates], gradient[candidates], scale, pen)
        if not _grow(state, violations, problem):
            return
        _descend(problem, state, slope, gradient, inner)


def _descend(problem, state, slope, gradient, inner, steps=None, sweeps=2_000):
    """Lower the objective over the working set until its violation is at most `inner`."""
    steps = _NEWTON_STEPS if steps is None else steps
    data, loss = problem.data, problem.data.loss
    model = _model(problem, state, state.members)
    model.extend(state.members)
    columns = model.columns
    gradient = gradient[columns]
    if loss.quadratic and not _is_estimate(model):
        exact = not state.on_path and (not problem.penalty.blocks or _is_cheap(data, np.count_nonzero(state.w)))
        aim = 0.0 if exact else inner
        w, shift, _ = model.minimise(
            state.w[columns], gradient, slope, problem.penalty, problem.pen, inner, aim, sweeps
        )
        state.w[columns] = w
        state.b = state.b + shift
        state.eta = data.predictor(state.w, state.b)
        return
    violation, exact = _violation(problem, model, state, gradient, slope, _scale(problem, state, columns)), False
    concave, slow = _is_concave(problem.penalty), True
    for _ in range(steps):
        before, (start, _) = state.w[columns], model.profiled(gradient, slope)
        slow, moved = concave and not slow and state.contraction > _SLOW, False
        if slow:
            moved = active_newton(problem, state, slope, gradient, columns)
        if not moved:
            moved = _newton_step(problem, state, model, slope, gradient, inner, exact)
        if not moved and concave and not slow:
            moved = active_newton(problem, state, slope, gradient, columns)
        slope = loss.gradient(data.y, state.eta)
        gradient = data.gradient(slope, columns)
        if moved and not loss.multi_output and isinstance(model, GramModel) and _is_tall(data, columns):
            model.secant(state.w[columns] - before, model.profiled(gradient, slope)[0] - start)
        scale = _scale(problem, state, columns)
        last, violation = violation, _violation(problem, model, state, gradient, slope, scale)
        state.contraction = violation / last if moved else np.inf
        state.refused = _refusals(problem, state, moved)
        state.floor = max(0.1 * state.floor, _LEAST_FLOOR) if moved else _FLOOR
        if violation <= inner or (_is_estimate(model) and state.contraction > _ESTIMATE_STALE):
            return
        if not moved and state.refused > (
            _REFUSALS if problem.penalty.convex or not problem.penalty.blocks else _STEEPEST
        ):
            if not problem.convex and not problem.penalty.blocks:
                jump(problem, state, gradient, scale, columns)
            return
        exact = not moved or violation > 0.5 * last
        model = _model(problem, state, columns)
        model.extend(columns)


def _model(problem, state, members):
    """The quadratic model to use now: the last one where it still serves or can be corrected, or a new one."""
    data, loss = problem.data, problem.data.loss
    if isinstance(state.model, BlockModel) and loss.quadratic:
        return state.model
    if _in_columns(problem, members) != isinstance(state.model, ResidualModel) and not _is_estimate(state.model):
        state.model = None  # the set has grown, or shrunk, to where the other form costs less
    if is_large_multinomial(data, len(members), problem.penalty.blocks):
        state.model = None
    if isinstance(state.model, GramModel):
        stale = _TALL_STALE if _is_tall(data, members) else _STALE
        stale = _ESTIMATE_STALE if state.model.is_estimate else stale
        if (loss.quadratic and not state.model.is_estimate) or state.contraction <= stale:
            return state.model
    curvature = _model_curvature(problem, state)
    state.contraction = np.inf
    if isinstance(state.model, (GramModel, ResidualModel)) and state.model.update(curvature):
        return state.model
    state.model = make_model(data, curvature, len(members), state.refused > 0, problem.penalty.blocks)
    return state.model


def _is_tall(data, members):
    """Whether making a Gram matrix of the members costs many passes over the data."""
    return data.design.n_samples >= _TALL * len(members)


def _model_curvature(problem, state):
    """Curvature of the loss for the model, kept off zero; an upper bound of it after a step that was refused.

    Where a loss is linear (Huber's outliers) a model without them could be unbounded below. Under a non-convex penalty
    a model that does not majorise can lead uphill.
    """
    data, loss = problem.data, problem.data.loss
    curvature = loss.curvature(data.y, state.eta)
    bound = loss.curvature_bound
    if loss.multi_output:
        return curvature
    if bound is None:
        return curvature * 10.0**state.refused
    if not problem.penalty.convex and loss.piecewise:
        return np.full_like(curvature, bound)
    if _is_concave(problem.penalty) and state.refused < _STEEPEST:
        return np.clip(curvature * _STEEPER**state.refused, _LEAST_FLOOR * bound, bound)
    if state.refused:
        return np.full_like(curvature, bound)
    return np.maximum(curvature, state.floor * bound)


def _refusals(problem, state, moved):
    """Number of refused steps in a row; under a non-convex penalty of groups steps that lead down count backwards."""
    if not moved:
        return state.refused + 1
    return max(min(state.refused, _STEEPEST) - 1, 0) if _is_concave(problem.penalty) else 0


def _is_concave(penalty):
    """Whether it is a non-convex penalty of groups."""
    return penalty.blocks and not penalty.convex


def _violation(problem, model, state, gradient, slope, scale):
    """Largest violation over the model's coordinates, the intercept following them."""
    profiled, _ = model.profiled(gradient, slope)
    columns = model.columns
    pen = restrict(problem.pen, columns)
    return float(problem.penalty.violation(state.w[columns], profiled, scale, pen).max(initial=0.0))


def _newton_step(problem, state, model, slope, gradient, inner, exact):
    """Minimise the model, then search along the step on the true objective; False when nothing moved."""
    penalty, columns = problem.penalty, model.columns
    tol = (_LOOSE if isinstance(model, ResidualModel) else 0.1) * inner
    sweeps, shortest = (_CONCAVE_SWEEPS, _SHORTEST) if _is_concave(penalty) else (2_000, 1e-10)
    new, shift, _ = model.minimise(
        state.w[columns], gradient, slope, penalty, problem.pen, tol, tol if exact else None, sweeps
    )
    return search(problem, state, columns, new, shift, slope, shortest)
