"""Working sets of rows for the squared loss with several tasks and a penalty of row norms.

    minimise over W, b:   sum_i s_i / 2 * |y_i - W' x_i - b|^2 + sum_j phi_j(|W_j|),      sum_i s_i = 1

Outer loop, one pass over X each: the gradient (one matrix product for all tasks) gives the certificate and the rows
that violate it most; they join the working set. Inner loop, on the working set alone: the Gram matrix of its columns,
the same for all tasks, on which sweeps of row descent find the support and Newton steps finish. With theta = -R the
gradient of the loss at the residuals R, and Z = X' (s * R), every c in [0, 1] with feasible c Z certifies

    gap(c) = (1 - c)^2 / 2 * sum_i s_i |r_i|^2 + sum_j [phi_j(W_j) + phi_j*(c Z_j) - c Z_j . W_j].
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from skreg._design import DesignMatrix
from skreg._params import Parameterised
from skreg._problem import Certificate, Solution
from skreg._threads import one_blas_thread
from skreg.kernels._row_cd import row_kernel
from skreg.kernels._specialize import as_kernel_array, is_little
from skreg.losses import Squared
from skreg.penalties import Params, restrict
from skreg.penalties._rows import RowPenalty, row_norms
from skreg.solvers._models import GramModel
from skreg.solvers._row_newton import row_newton_step

_FIRST = 100  # rows in the first working set
_FEW = 20  # rows that may always join
_ROUNDING = 1e-15  # of the null model's violation: no subproblem is asked for more
_VANISHING = 1e-12  # of the null model's violation: gradients of unpenalised rows below it count as zero
_ACCURACY = 0.1  # share of the violation that a working set is solved to, ...
_COARSE, _FINEST = 0.3, 1e-3  # ... and its range
_SWEEPS = 12  # what a Newton step costs, in sweeps, at the least ...
_NEWTON_COST = 0.25  # ... and further for each row over the number of tasks
_INTERPRETED = 1 / 3  # of these numbers on little data, whose sweeps the interpreter makes
_PATIENCE = 3  # Newton steps whose time sweeps are given to end by themselves
_STEPS = 10  # most Newton steps between sweeps
_ROUNDS = 200  # most times of both
_NOISE = 1e-10  # of the null model's violation: progress below it may end in rounding
_STALLED = 3  # rounds without progress after which rounding is to blame
_SLOW = 0.5  # ratio of violations above which Newton steps give way to sweeps
_NARROW = 500  # rows up to which a problem is solved in one go
_STAGE = 2.5  # ratio of the alphas by which a wide problem is approached
_STAGE_TOL = 5e-2  # relative gap on the way
_NEWTON_WORK = 40  # multiply-adds of Newton's method on a support that doubles, over the support's cube
_ROUGH = 1e-3  # tolerance above which a solution is but a step on the way to another
_SMALL = 100  # size of a support at which an exact step from a certified point is always taken
_FINE = 0.7  # ratio of two strengths above which the strong rule tells something


class Null(NamedTuple):
    """The model with an intercept (where there is one) and no features: the yardstick of every tolerance."""

    intercept: np.ndarray
    gradient: np.ndarray
    gap: float
    violation: float


@dataclass(frozen=True)
class MultiTaskData:
    """What stays the same along a path: design, targets (n_samples, n_tasks), weights summing to one, intercept."""

    design: DesignMatrix
    y: np.ndarray
    weight: np.ndarray
    fit_intercept: bool = True
    loss = Squared()

    @property
    def n_coordinates(self):
        """Number of rows of W."""
        return self.design.n_features

    @cached_property
    def centred(self):
        """The targets less their weighted means, and these."""
        if not self.fit_intercept:
            return self.y, np.zeros(self.y.shape[1])
        mean = self.weight @ self.y
        mean = mean + self.weight @ (self.y - mean)  # the second pass makes a constant exact
        return self.y - mean, mean

    @cached_property
    def null(self):
        """The null model."""
        R, mean = self.centred
        with one_blas_thread():
            gradient = self.gradient(R)
        size = float(self.weight @ np.einsum("it,it->i", R, R))
        noise = 1e-28 * float(self.weight @ np.einsum("it,it->i", self.y, self.y))
        gap = 0.5 * size if size > noise else 0.0
        return Null(mean, gradient, gap, float(row_norms(gradient).max(initial=0.0)))

    def residuals(self, W):
        """Residuals, and the intercepts that go with W: their weighted sum is zero."""
        R, intercept = self.centred
        rows = np.flatnonzero(W.any(axis=1))
        R = R - self.design.matvec(W[rows], rows)
        if not self.fit_intercept:
            return R, intercept
        for _ in range(2):
            shift = self.weight @ R
            R -= shift
            intercept = intercept + shift
        return R, intercept

    def gradient(self, R):
        """Gradient of the loss with respect to W, from the residuals."""
        return self.design.rmatvec(-self.weight[:, None] * R)

    def squares(self, R):
        """Weighted sum of squares."""
        return float(self.weight @ np.einsum("it,it->i", R, R))


@dataclass(frozen=True)
class MultiTaskProblem:
    """Data with a penalty of row norms bound to it."""

    data: MultiTaskData
    penalty: RowPenalty
    pen: Params
    convex = True

    @cached_property
    def smooth(self):
        """Rows whose penalty has no kink at zero: they are in every working set."""
        return np.flatnonzero((self.penalty.kink(self.pen, self.data.n_coordinates) == 0) & (self.pen.upper > 0))

    @cached_property
    def free(self):
        """Rows without penalty."""
        return np.flatnonzero((self.pen.weights * self.pen.alpha == 0) & (self.pen.upper > 0))

    def at(self, alpha):
        """The same problem at another strength."""
        return MultiTaskProblem(self.data, self.penalty, self.pen._replace(alpha=float(alpha)))

    def objective(self, W, R):
        """Mean loss plus penalty."""
        return 0.5 * self.data.squares(R) + self.penalty.value(W, self.pen)

    @cached_property
    def alpha_max(self):
        """Smallest alpha at which every penalised row stays at zero."""
        data, pen = self.data, self.pen
        gradient = data.null.gradient
        if (pen.weights == 0).any():
            held = pen._replace(alpha=1.0, upper=np.where(pen.weights > 0, 0.0, pen.upper))
            state = MultiTaskState(data)
            MultiTaskNewton(tol=1e-12).solve(MultiTaskProblem(data, self.penalty, held), state)
            gradient = data.gradient(data.residuals(state.W)[0])
        return self.penalty.alpha_max(gradient, pen)


class MultiTaskState:
    """A point on some data, with what the next solve on the same data can use again."""

    def __init__(self, data, W=None):
        self.W = np.zeros((data.n_coordinates, data.y.shape[1])) if W is None else np.array(W, dtype=np.float64)
        self.model = GramModel(data, np.ones(len(data.y)))
        self.members = np.flatnonzero(self.W.any(axis=1))
        self.forget()
        if W is None:
            self.residuals, self.intercept = data.centred
            self.gradient = data.null.gradient
        self.alpha = np.inf  # at which this point was solved

    def forget(self):
        """W has changed."""
        self.residuals = self.intercept = self.gradient = None

    def snapshot(self):
        """What `restore` goes back to."""
        return self.W.copy(), self.residuals, self.intercept, self.gradient

    def restore(self, snapshot):
        """Go back to an earlier point."""
        self.W, self.residuals, self.intercept, self.gradient = snapshot


class MultiTaskNewton(Parameterised):
    """Working sets of rows, row descent and Newton steps on their Gram matrix.

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
        with one_blas_thread():
            if state is None:
                state = self._approach(problem)
            return self._solve(problem, state)

    def _approach(self, problem):
        """A wide problem by way of larger alphas, solved loosely: small supports lead to the right one."""
        data, alpha, state = problem.data, problem.pen.alpha, MultiTaskState(problem.data)
        if data.null.gap == 0.0 or data.n_coordinates <= max(_NARROW, data.design.n_samples):
            return state
        top = problem.alpha_max
        stages = int(np.log(top / alpha) / np.log(_STAGE)) if 0 < alpha < top else 0
        loose = MultiTaskNewton(max(self.tol, _STAGE_TOL), self.max_iter)
        for strength in np.geomspace(top, alpha, stages + 2)[1:-1] if stages else ():
            loose._solve(problem.at(strength), state)
        state.alpha = np.inf
        return state

    def _solve(self, problem, state):
        data, null = problem.data, problem.data.null
        if null.gap == 0.0:
            state.restore((np.zeros_like(state.W), *data.centred, null.gradient))
            return Solution(state.W.copy(), state.intercept, 1, 0.0, 0.0, True, 0.0)
        target = self.tol * null.gap
        _seed(state, problem)
        accuracy, previous, certified = _ACCURACY, np.inf, None
        for n_iter in range(1, self.max_iter + 1):
            if state.gradient is None:
                state.residuals, state.intercept = data.residuals(state.W)
                state.gradient = data.gradient(state.residuals)
            certificate = certify(problem, state)
            if certified is not None:  # this was the polished point
                if certificate.gap > target or certificate.violation > certified[0].violation:
                    certificate = certified[0]
                    state.restore(certified[1])
                break
            if n_iter == self.max_iter:
                break
            if certificate.gap <= target:
                if self.tol > _ROUGH or not _worth_polishing(state, certificate, data):
                    break
                certified = certificate, state.snapshot()
                _descend(problem, state, _ROUNDING * null.violation, rounds=1)
                continue
            grown = _grow(state, certificate.violations, problem)
            if not grown and certificate.violation > 0.5 * previous:
                accuracy *= 0.01
            previous = certificate.violation
            share = _share(grown, len(state.members), target / certificate.gap) if accuracy == _ACCURACY else accuracy
            inner = 0.0 if _is_cheap(state, data) else share * certificate.violation
            _descend(problem, state, max(inner, _ROUNDING * null.violation))
        return Solution(
            state.W.copy(),
            state.intercept,
            n_iter,
            certificate.gap / null.gap,
            certificate.violation / null.violation if null.violation > 0 else 0.0,
            bool(certificate.gap <= target),
            problem.objective(state.W, state.residuals),
        )


def _share(grown, size, needed):
    """Share of the violation to bring a working set down to, of which `grown` rows are new.

    While the set still grows much, little; once it has settled, what the goal needs.
    """
    if 4 * grown > size:
        return _COARSE
    return min(max(_COARSE * needed, _FINEST), _COARSE) if 20 * grown <= size else _ACCURACY


def certify(problem, state):
    """Certificate of the point of `state`."""
    data, penalty, pen, W = problem.data, problem.penalty, problem.pen, state.W
    violations = penalty.violation(W, state.gradient, pen)
    dual = _feasible(problem, state)
    gap = np.inf
    if dual is not None:
        R, gradient = dual
        scale = penalty.dual_scale(-gradient, W, pen)
        for c in {1.0, scale} if penalty.base.finite_conjugate else {scale}:
            bracket = float(np.sum(penalty.fenchel_gaps(W, -c * gradient, pen)))
            if np.isfinite(bracket):
                gap = min(gap, max(bracket + 0.5 * data.squares(state.residuals - c * R), 0.0))
    return Certificate(gap, float(violations.max(initial=0.0)), violations)


def _feasible(problem, state):
    """Residuals and gradient moved to where the dual constraints of unpenalised rows hold: their gradient vanishes.

    None where rounding keeps it from doing so.
    """
    data, free = problem.data, problem.free
    R, gradient = state.residuals, state.gradient
    if not len(free):
        return R, gradient
    rounding = _VANISHING * data.null.violation
    if row_norms(gradient[free]).max() > rounding:
        state.model.extend(free)
        place = state.model.place[free]
        step = np.linalg.lstsq(state.model.H[np.ix_(place, place)], -gradient[free], rcond=1e-13)[0]
        R = R - data.design.matvec(step, free)
        if data.fit_intercept:
            R -= data.weight @ R
        gradient = data.gradient(R)
    if row_norms(gradient[free]).max() > rounding:
        return None
    gradient = gradient.copy()
    gradient[free] = 0.0
    return R, gradient


def _seed(state, problem):
    """Sequential strong rule: on a fine path, rows that the last gradient says may enter join at once.

    References
    ----------
    R. Tibshirani et al. (2012). Strong rules for discarding predictors in lasso-type problems. JRSS B 74(2).
    """
    alpha, last = problem.pen.alpha, state.alpha
    state.alpha = alpha
    new = problem.smooth
    if state.gradient is not None and _FINE * last < alpha < last < np.inf:
        relaxed = problem.pen._replace(alpha=2.0 * alpha - last)
        new = np.union1d(new, np.flatnonzero(problem.penalty.violation(state.W, state.gradient, relaxed)))
    state.members = np.concatenate([state.members, np.setdiff1d(new, state.members)])


def _grow(state, violations, problem):
    """Add the worst violators to the working set, up to twice the support. Returns how many joined."""
    fresh = violations.copy()
    fresh[state.members] = 0.0
    room = max(_FIRST, 2 * int(np.count_nonzero(state.W.any(axis=1)))) - len(state.members)
    room = max(room, _FEW)
    new = np.flatnonzero(fresh)
    if len(new) > room:
        new = new[np.argpartition(fresh[new], -room)[-room:]]
    state.members = np.concatenate([state.members, new])
    return len(new)


def _descend(problem, state, tol, rounds=_ROUNDS):
    """Minimise over the working set until its violation is at most `tol`."""
    state.model.extend(state.members)
    rows = state.model.columns
    W, gradient, noise = state.W[rows], state.gradient[rows].copy(), _NOISE * problem.data.null.violation
    minimise(state.model, W, gradient, problem.penalty, restrict(problem.pen, rows), tol, noise, rounds)
    state.W[rows] = W
    state.forget()


def minimise(model, W, gradient, penalty, pen, tol, noise, rounds=_ROUNDS):
    """Sweeps of row descent and Newton steps in turn; `W` and `gradient`, (m, n_tasks), change in place.

    Between Newton steps there are as many sweeps as such a step costs, and more where sweeps at the last rate end
    sooner than Newton steps would. Violations that stall below `noise` are put down to rounding.
    """
    m, n_tasks = W.shape
    H, matrix = model.H[:m, :m], as_kernel_array(model.H)
    cells = model.data.design.cells
    sweeps = int((_INTERPRETED if is_little(cells) else 1.0) * (_SWEEPS + _NEWTON_COST * m / n_tasks))
    least, stalled, violation = np.inf, 0, penalty.violation(W, gradient, pen).max()
    for _ in range(rounds):
        columns, slopes, last = W.T.copy(), gradient.T.copy(), violation
        row_kernel(penalty.base, cells, sweeps * m * n_tasks)(matrix, columns, slopes, pen, sweeps, tol)
        W[:], gradient[:] = columns.T, slopes.T
        violation = penalty.violation(W, gradient, pen).max()
        if tol < violation < tol * (last / violation) ** _PATIENCE:
            continue
        size = np.count_nonzero(W.any(axis=1))
        for _ in range(_STEPS):
            if violation <= tol or not row_newton_step(H, W, gradient, penalty, pen):
                break
            last, violation = violation, penalty.violation(W, gradient, pen).max()
            before, size = size, np.count_nonzero(W.any(axis=1))
            if violation > _SLOW * last and size == before:
                break
        stalled = 0 if violation < 0.9 * least or violation > noise else stalled + 1
        least = min(violation, least)
        if violation <= tol or stalled == _STALLED:
            return


def _is_cheap(state, data):
    """Whether Newton steps on the support cost next to nothing beside a pass over the data."""
    size = np.count_nonzero(state.W.any(axis=1))
    return _NEWTON_WORK * size**3 <= data.design.cells * data.y.shape[1]


def _worth_polishing(state, certificate, data):
    """Whether an exact step from a certified point costs next to nothing, and has something to gain."""
    small = np.count_nonzero(state.W.any(axis=1)) <= _SMALL or _is_cheap(state, data)
    return small and len(state.members) > 0 and certificate.violation > 1e-13 * data.null.violation
