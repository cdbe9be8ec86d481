"""Block coordinate descent: which blocks, in which order, and what to do with one.

Each iteration changes one block of coordinates. The intercept is profiled out (`skreg.solvers._profiled_loss`), so that
the guarantees of every rule (`skreg.solvers._block_rules`) hold for the objective as a function of the coefficients.
Where a penalty makes coefficients zero, the support settles after finitely many iterations, and Newton steps on the
support end the search: for the squared loss a single one.
"""

import time
from collections.abc import Callable
from numbers import Integral
from typing import NamedTuple

import numpy as np

from skreg._params import Parameterised
from skreg._problem import Solution, certify
from skreg._threads import one_blas_thread
from skreg.penalties import restrict
from skreg.solvers._block_rules import GREEDY, PARTITIONS, RULES, Chooser, PenaltyTerms, make_partition
from skreg.solvers._newton_finish import newton_step
from skreg.solvers._profiled_loss import profiled_loss
from skreg.solvers._prox_newton import State

_MAX_FREE = 100  # unpenalised coordinates beyond which the KKT violation decides: a gap would cost more than the fit
_MAX_SUPPORT = 2000  # largest support on which Newton steps are taken
_FINISH_STEPS = 20  # most Newton steps in a row
_LEAST_INTERVAL = 5  # iterations between two looks at the certificate
_ARMIJO = 1e-4
_NOISE = 8 * np.finfo(float).eps  # of the objective: what a line search must allow for


class Progress(NamedTuple):
    """What the callback of `BlockCoordinateDescent` is told after each iteration.

    Attributes
    ----------
    n_iter : int
        Iterations so far; 0 at the start.
    seconds : float
        Time spent so far, without that for reports.
    objective : float
        Mean loss plus penalty.
    n_nonzero : int
        Coefficients that are not zero.
    kind : {"start", "gradient", "newton", "finish"}
        What was done: an update of a block, or a Newton step on the support.
    block : ndarray of int
        Coordinates that it concerned.
    """

    n_iter: int
    seconds: float
    objective: float
    n_nonzero: int
    kind: str
    block: np.ndarray


class BlockCoordinateDescent(Parameterised):
    r"""Block coordinate descent with cyclic, random and greedy rules.

    Minimises, with the intercept b profiled out and :math:`\sum_i s_i = 1`,

    .. math:: \min_{w, b} \; \sum_i s_i \, \ell(y_i, x_i^\top w + b + o_i) + \sum_j \phi_j(w_j)

    by changing a block B of coordinates at a time. With g the gradient over w, :math:`L_j` its coordinate-wise
    Lipschitz constants, H a bound of the second derivatives and :math:`L_B = \lambda_{\max}(H_{BB})`:

    ==========  ==========================================================================================
    ``rule``    block without penalty
    ==========  ==========================================================================================
    "cyclic"    one after the other
    "random"    any, with equal probabilities
    "gs"        Gauss-Southwell: largest :math:`\|g_B\|`
    "gsl"       Gauss-Southwell-Lipschitz: largest :math:`\|g_B\|^2 / L_B`
    "gsd"       diagonal scaling: largest :math:`\sum_{j \in B} g_j^2 / L_j`
    "gsq"       quadratic: largest :math:`g_B^\top H_{BB}^{-1} g_B`
    ==========  ==========================================================================================

    Parameters
    ----------
    rule : {"cyclic", "random", "gs", "gsl", "gsd", "gsq"}, default="gsl"
        How to choose the block.
    blocks : {"variable", "fixed"}, default="variable"
        Whether any `block_size` coordinates may be a block, or only those of a partition.
    update : {"newton", "gradient"}, default="newton"
        "gradient": a proximal gradient step of length :math:`1 / L_B`. "newton": to the minimum over the block of the
        second-order model plus the penalty, with a line search where the loss is not quadratic.
    block_size : int, default=10
        Coordinates a block.
    partition : {"order", "average", "sorted"} or list of array-like of int, default="order"
        Fixed blocks: neighbours; coordinates with large and small :math:`L_j` by turns; coordinates of like
        :math:`L_j`; or the blocks themselves (of any sizes, and each coordinate once).
    finish : {"newton", None}, default="newton"
        Whether to take Newton steps on the support once the signs of the coefficients have settled. Only penalties
        that make coefficients zero have a support to settle on.
    tol : float, default=1e-6
        Stop when the duality gap is at most `tol` times that of the null model; with more than 100 unpenalised
        coordinates (several classes: any), when the KKT violation is.
    max_iter : int, default=100_000
        Largest number of iterations.
    random_state : int, numpy.random.Generator or None, default=None
        Seed of random blocks, and of the permutations by which ``rule="cyclic"`` goes with variable blocks.
    callback : callable or None, default=None
        Called with a `Progress` at the start and after each iteration; the ``append`` of a list records them.

    Notes
    -----
    With a penalty, "gs" and "gsl" take for g the subgradient of least norm, "gsd" and "gsq" compare the decrease of the
    quadratic model plus the penalty; for fixed blocks this is exact. For variable blocks "gsl" bounds :math:`L_B`
    by :math:`\sum_{j \in B} L_j`, for which it finds the best block, and "gsq", whose best block is NP-hard to find,
    improves the one of "gsd" by iterated hard thresholding.

    Without penalty, the update "gradient" lowers the objective at least by :math:`\|g_B\|^2 / (2 L_B)`. For the squared
    loss, with any penalty, the update "newton" lowers it at least by the decrease of the model that "gsd" or "gsq"
    compares.

    Greedy rules need the whole gradient. It costs a pass over the data, or, for the squared loss of up to 3000
    features, a product with `block_size` rows of a matrix kept for that: more than the update itself either way. They
    win by iterations; by seconds `ProxNewton`, which is greedy once a pass, is faster.

    References
    ----------
    .. [1] J. Nutini, I. Laradji and M. Schmidt (2022), Let's make block coordinate descent converge faster. Journal of
       Machine Learning Research 23(131), 1-74, sections 3, 4 and 6.

    Examples
    --------
    >>> import numpy as np
    >>> from skreg._design import as_design
    >>> from skreg._problem import Data, Problem
    >>> from skreg.losses import Squared
    >>> from skreg.penalties import L1
    >>> from skreg.solvers import BlockCoordinateDescent
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((50, 20))
    >>> y = X[:, 0] - X[:, 1] + 0.1 * rng.standard_normal(50)
    >>> data = Data(as_design(X), y, np.full(50, 1 / 50), Squared())
    >>> free = np.full(20, np.inf)
    >>> problem = Problem(data, L1(), L1().bind(0.01, np.ones(20), -free, free, data.curvature))
    >>> history = []
    >>> solution = BlockCoordinateDescent("gsl", block_size=5, tol=1e-12, callback=history.append).solve(problem)
    >>> solution.converged, history[-1].kind
    (True, 'finish')
    """

    def __init__(
        self,
        rule="gsl",
        blocks="variable",
        update="newton",
        *,
        block_size=10,
        partition="order",
        finish="newton",
        tol=1e-6,
        max_iter=100_000,
        random_state=None,
        callback: Callable[[Progress], object] | None = None,
    ):
        self.rule = rule
        self.blocks = blocks
        self.update = update
        self.block_size = block_size
        self.partition = partition
        self.finish = finish
        self.tol = tol
        self.max_iter = max_iter
        self.random_state = random_state
        self.callback = callback

    def solve(self, problem, state=None):
        """Solve a problem.

        Parameters
        ----------
        problem : Problem
            Convex, with a loss of bounded curvature and a penalty that is quadratic on each side of zero (L1, elastic
            net); any weights and bounds.
        state : State, optional
            Where to start; the solution is left there.

        Returns
        -------
        Solution
            `n_iter` counts blocks and Newton steps; `dual_gap` is infinite where the KKT violation decided.

        Raises
        ------
        ValueError
            If a parameter is not one of those above, or the problem not of this kind.
        """
        self._check(problem)
        state = State(problem.data) if state is None else state
        with one_blas_thread():
            return Run(self, problem, state).go()

    def _check(self, problem):
        for name, allowed in (
            ("rule", RULES),
            ("blocks", ("fixed", "variable")),
            ("update", ("gradient", "newton")),
            ("finish", ("newton", None)),
        ):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}; got {getattr(self, name)!r}.")
        if isinstance(self.partition, str) and self.partition not in PARTITIONS:
            accepted = ", ".join(map(repr, PARTITIONS))
            raise ValueError(f"partition must be one of {accepted} or a list of blocks; got {self.partition!r}.")
        if not isinstance(self.block_size, Integral) or self.block_size < 1:
            raise ValueError(f"block_size must be a positive integer; got {self.block_size!r}.")
        loss, penalty = problem.data.loss, problem.penalty
        if loss.curvature_bound is None or not loss.convex:
            raise ValueError(f"loss must be convex with bounded curvature for block coordinate descent; got {loss!r}.")
        if penalty.blocks or not (penalty.convex and penalty.piecewise_quadratic):
            raise ValueError(f"penalty must be L1 or the elastic net for block coordinate descent; got {penalty!r}.")


class Run:
    """One solve: the state of the search and its clock."""

    def __init__(self, solver, problem, state):
        self.started, self.reporting = time.perf_counter(), 0.0
        self.solver, self.problem, self.state = solver, problem, state
        self.loss = profiled_loss(problem.data, state)
        self.terms = PenaltyTerms(problem)
        self.n_iter = 0
        self.by_gap = problem.convex and len(problem.free) <= _MAX_FREE
        null = problem.data.null
        self.target = solver.tol * (null.gap if self.by_gap else null.violation)
        self.signs = None

    def go(self):
        """Iterate until certified."""
        solver = self.solver
        active = np.flatnonzero(self.loss.lipschitz > 0)
        fixed = solver.blocks == "fixed"
        partition = make_partition(solver.partition, self.loss.lipschitz, solver.block_size, active) if fixed else None
        self._report("start", active[:0])
        certificate, measure = self._certify()
        if len(active) and measure > self.target:
            random = np.random.default_rng(solver.random_state)
            chooser = Chooser(solver.rule, partition, solver.block_size, active, self.loss, self.terms, random)
            certificate, measure = self._iterate(chooser, certificate, measure)
        return self._finished(certificate, measure)

    def _iterate(self, chooser, certificate, measure):
        solver = self.solver
        update = self._gradient_step if solver.update == "gradient" else self._newton_step
        while measure > self.target and self.n_iter < solver.max_iter:
            moved = False
            for _ in range(min(self._interval(chooser), solver.max_iter - self.n_iter)):
                block, number = chooser.choose()
                step = update(chooser, block, number)
                moved = moved or bool(np.any(step))
                self._count(solver.update, block)
            certificate, measure = self._certify()
            if measure > self.target and self._has_settled():
                self._newton_finish()
                certificate, measure = self._certify()
            if not moved and chooser.rule != "random":
                break  # at rest, up to rounding
        return certificate, measure

    def _interval(self, chooser):
        """Iterations until the next certificate: a round of all blocks, or of those that hold the support."""
        if chooser.rule not in GREEDY:
            return chooser.n_blocks
        needed = -(-np.count_nonzero(self.loss.w) // chooser.size)
        return min(max(needed, _LEAST_INTERVAL), max(chooser.n_blocks, 1))

    def _gradient_step(self, chooser, block, number):
        loss, L = self.loss, chooser.constant(block, number)
        old = loss.w[block]
        step = self.terms.prox(old - loss.gradient(block) / L, 1.0 / L, block) - old
        loss.move(block, step)
        return step

    def _newton_step(self, chooser, block, number):
        loss = self.loss
        old, gradient = loss.w[block], loss.gradient(block)
        if loss.data.loss.quadratic:
            step = self.terms.minimise(chooser.bound(block, number), gradient, old, block, number)
            loss.move(block, step)
            return step
        step = self.terms.minimise(loss.hessian(block), gradient, old, block)
        length = self._search(block, gradient, step)
        return length * step if length else self._gradient_step(chooser, block, number)

    def _search(self, block, gradient, step):
        """Backtracking line search on the objective; returns the length, 0 where no length is good enough."""
        loss, penalty, pen = self.loss, self.problem.penalty, restrict(self.problem.pen, block)
        old = loss.w[block]
        before = loss.value()
        kept = float(penalty.value(old, pen))
        slope = float(gradient @ step) + float(penalty.value(old + step, pen)) - kept
        if not slope < 0:
            return 0.0
        noise = _NOISE * (abs(before) + abs(kept))

        def enough(value, length):
            after = value + float(penalty.value(old + length * step, pen))
            return after <= before + kept + _ARMIJO * length * slope + noise

        return loss.search(block, step, enough)

    def _has_settled(self):
        """Whether the support is small and its signs are those of the last look."""
        signs = np.sign(self.loss.w)
        last, self.signs = self.signs, signs
        if self.solver.finish is None or self.terms.all_smooth or last is None:
            return False
        size = np.count_nonzero(signs)
        return 0 < size <= _MAX_SUPPORT and np.array_equal(signs, last)

    def _newton_finish(self):
        """Newton steps on the support, each up to the first change of sign, until they no longer help."""
        loss, problem = self.loss, self.problem
        least = np.inf
        for _ in range(_FINISH_STEPS):
            if self.n_iter >= self.solver.max_iter:
                return
            support = np.flatnonzero(loss.w)
            old, gradient = loss.w[support], loss.gradient(support)
            violation = np.abs(self.terms.least_subgradient(loss.w, loss.gradient())[support]).max(initial=0.0)
            if not len(support) or violation <= self.terms.tol or not violation < least:
                return
            new, pen = old.copy(), restrict(problem.pen, support)
            full = newton_step(loss.hessian(support), new, gradient.copy(), problem.penalty, pen)
            step = new - old
            if not step.any():
                return
            if problem.data.loss.quadratic:
                loss.move(support, step)
            elif not self._search(support, gradient, step):
                return
            self._count("finish", support)
            if full and problem.data.loss.quadratic:
                return
            least = violation if full else np.inf

    def _count(self, kind, block):
        self.n_iter += 1
        self._report(kind, block)

    def _report(self, kind, block):
        callback = self.solver.callback
        if callback is None:
            return
        paused = time.perf_counter()
        w = self.loss.w
        objective = self.loss.value() + float(self.problem.penalty.value(w, self.problem.pen))
        seconds = paused - self.started - self.reporting
        callback(Progress(self.n_iter, seconds, objective, int(np.count_nonzero(w)), kind, block))
        self.reporting += time.perf_counter() - paused

    def _certify(self):
        """Certificate of the point, computed afresh, and the measure that decides."""
        loss, problem = self.loss, self.problem
        loss.refresh()
        if self.by_gap:
            certificate = certify(problem, loss.w, loss.eta, loss.slope, loss.gradient(), np.ones(1))
            return certificate, certificate.gap
        violations = problem.penalty.violation(loss.w, loss.gradient(), np.ones(1), problem.pen)
        violation = float(violations.max(initial=0.0))
        return (np.inf, violation), violation

    def _finished(self, certificate, measure):
        loss, problem, state, null = self.loss, self.problem, self.state, self.problem.data.null
        gap, violation = certificate[:2]
        state.w[:] = loss.w
        state.b, state.eta, state.gradient = loss.b, loss.eta, np.array(loss.gradient())
        state.members = np.flatnonzero(state.w)
        return Solution(
            state.w.copy(),
            state.b,
            self.n_iter,
            gap / null.gap if null.gap > 0 else 0.0,
            violation / null.violation if null.violation > 0 else 0.0,
            bool(measure <= self.target),
            problem.objective(state.w, state.eta),
        )
