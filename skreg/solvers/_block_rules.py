"""Which block of coordinates to update: partitions, and the rules that choose among blocks.

With g the gradient, L_j the coordinates' Lipschitz constants and H a bound of the second derivatives, the progress that
one update of block B guarantees is, without penalty,

    GS   |g_B|^2 / (2 L)         L the largest eigenvalue of H
    GSL  |g_B|^2 / (2 L_B)       L_B that of H_BB
    GSD  sum_B g_j^2 / (2 D_j)   D_j = |B| L_j, so that H_BB <= diag(D) by the Cauchy-Schwarz inequality
    GSQ  g_B' inv(H_BB) g_B / 2

and each rule takes the block for which its own is largest. With a penalty, GS and GSL use the subgradient of least norm
in place of g; GSD and GSQ the decrease of their quadratic model plus the penalty.
"""

from typing import Any

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from skreg.kernels._gram_cd import gram_kernel
from skreg.kernels._specialize import as_kernel_array
from skreg.penalties import restrict
from skreg.solvers._newton_finish import newton_step

GREEDY = ("gs", "gsl", "gsd", "gsq")
RULES = ("cyclic", "random", *GREEDY)
PARTITIONS = ("order", "average", "sorted")

_DINKELBACH = 50  # most steps to the best ratio; a handful is normal
_THRESHOLDINGS = 10  # steps of iterated thresholding
_POWER_STEPS = 50
_SWEEPS = 16  # of coordinate descent between two Newton steps within a block
_ROUNDS = 20
_EXACT = 1e-10  # violation within a block, relative to that at first, that counts as none
_ROUNDING = 1e-15
_TINY = 1e-250  # second derivatives below which nothing is divided by them
_SINGULAR = 1e-11  # pivots below this share of the largest: the pseudo-inverse is used


def make_partition(partition, lipschitz, block_size, active):
    """Blocks that cover the coordinates in `active`, as a list of index arrays.

    Parameters
    ----------
    partition : {"order", "average", "sorted"} or list of array-like of int
        "order": as they come. "sorted": by their Lipschitz constants, so that a block holds like ones. "average": large
        and small ones by turns, so that blocks have like averages. Or the blocks themselves, which must hold every
        coordinate once.
    lipschitz : ndarray of shape (n_coordinates,)
        Lipschitz constants.
    block_size : int
        Coordinates a block; the last one may have fewer.
    active : ndarray of int
        Coordinates that the loss depends on.
    """
    if not isinstance(partition, str):
        blocks = [np.asarray(block, dtype=np.int64) for block in partition]
        if not np.array_equal(np.sort(np.concatenate([*blocks, []])), np.arange(len(lipschitz))):
            raise ValueError(f"partition must hold each of the {len(lipschitz)} coordinates once; it does not.")
        kept = np.isin(np.arange(len(lipschitz)), active)
        return [block[kept[block]] for block in blocks if kept[block].any()]
    order = active
    if partition != "order":
        order = active[np.argsort(-lipschitz[active], kind="stable")]
    if partition == "average":
        half = -(-len(order) // 2)
        mixed = np.empty_like(order)
        mixed[::2], mixed[1::2] = order[:half], order[half:][::-1]
        order = mixed
    return chop(order, block_size)


def chop(order, size):
    """The coordinates in `order`, cut into blocks of `size`."""
    return [order[first : first + size] for first in range(0, len(order), size)]


class Chooser:
    """A rule at work on a problem.

    Parameters
    ----------
    rule, block_size
        As in `BlockCoordinateDescent`.
    blocks : list of ndarray, or None
        The partition; None for variable blocks.
    active : ndarray of int
        Coordinates to choose from.
    loss : ProfiledLoss
        The smooth part.
    terms : PenaltyTerms
        The rest.
    random : numpy.random.Generator
        Source of random blocks.
    """

    def __init__(self, rule, blocks, block_size, active, loss, terms, random):
        self.rule, self.blocks, self.active, self.random = rule, blocks, active, random
        self.loss, self.terms = loss, terms
        self.size = min(block_size, len(active))
        self.n_blocks = -(-len(active) // self.size) if blocks is None else len(blocks)
        self.turn = 0
        self.bounds: dict = {}
        self.constants: dict = {}
        if blocks is not None:
            self.order = np.concatenate(blocks)
            self.starts = np.cumsum([0, *map(len, blocks)])[:-1]
            sizes = np.zeros(len(loss.lipschitz))
            sizes[self.order] = np.repeat([len(block) for block in blocks], [len(block) for block in blocks])
            self.diagonal = sizes * loss.lipschitz
        else:
            self.diagonal = self.size * loss.lipschitz
        if rule == "gsq" and blocks is None:
            self.largest = largest_curvature(loss)

    def choose(self):
        """The next block, and its number in the partition (None for variable blocks)."""
        if self.rule not in GREEDY:
            return self._next()
        gradient = self.loss.gradient()
        scores = self._variable if self.blocks is None else self._fixed
        return scores(gradient)

    def bound(self, block, number):
        """H_BB, kept for fixed blocks."""
        if number is None:
            return self.loss.bound(block)
        if number not in self.bounds:
            self.bounds[number] = self.loss.bound(block)
        return self.bounds[number]

    def constant(self, block, number):
        """L_B, the largest eigenvalue of H_BB, kept for fixed blocks."""
        if number is None or number not in self.constants:
            H = self.bound(block, number)
            largest = float(H[0, 0]) if len(H) == 1 else float(np.linalg.eigvalsh(H)[-1]) * (1 + 1e-12)
            if number is None:
                return largest
            self.constants[number] = largest
        return self.constants[number]

    def _next(self):
        """Without regard to the gradient: in turn, or at random."""
        k, self.turn = self.turn % self.n_blocks, self.turn + 1
        if self.blocks is not None:
            k = k if self.rule == "cyclic" else int(self.random.integers(self.n_blocks))
            return self.blocks[k], k
        if self.rule == "random":
            return self.random.choice(self.active, self.size, replace=False), None
        if k == 0:
            self.round = chop(self.random.permutation(self.active), self.size)
        return self.round[k], None

    def _fixed(self, gradient):
        scores = {"gs": self._norms, "gsl": self._ratios, "gsd": self._diagonal_gains, "gsq": self._exact_gains}
        k = int(np.argmax(scores[self.rule](gradient)))
        return self.blocks[k], k

    def _sums(self, values):
        return np.add.reduceat(values[self.order], self.starts)

    def _norms(self, gradient):
        return self._sums(self.terms.least_subgradient(self.loss.w, gradient) ** 2)

    def _ratios(self, gradient):
        constants = np.array([self.constant(block, k) for k, block in enumerate(self.blocks)])
        return self._norms(gradient) / constants

    def _diagonal_gains(self, gradient):
        return self._sums(self.terms.coordinate_gains(self.loss.w, gradient, self.diagonal))

    def _exact_gains(self, gradient):
        w, gains = self.loss.w, np.zeros(self.n_blocks)
        for k in np.flatnonzero(self._norms(gradient)):
            block = self.blocks[k]
            H = self.bound(block, k)
            step = self.terms.minimise(H, gradient[block], w[block], block, k)
            gains[k] = -self.terms.change(H, gradient[block], w[block], step, block)
        return gains

    def _variable(self, gradient):
        w, active = self.loss.w, self.active
        if self.rule in ("gs", "gsl"):
            squares = self.terms.least_subgradient(w, gradient)[active] ** 2
            if self.rule == "gs":
                return active[largest(squares, self.size)], None
            return active[best_ratio(squares, self.loss.lipschitz[active], self.size)], None
        gains = self.terms.coordinate_gains(w, gradient, self.diagonal)[active]
        block = active[largest(gains, self.size)]
        return (block if self.rule == "gsd" else self._threshold(gradient, block)), None

    def _threshold(self, gradient, block):
        """Iterated thresholding of the step of all coordinates, from that of `block`; the better of the two blocks.

        Each iteration minimises, over steps with as many non-zeros as a block has, a bound of the quadratic model that
        touches it at the last step. The best block itself is NP-hard to find.
        """
        w, L, terms = self.loss.w, self.largest, self.terms
        candidates = [block]
        curvature = np.full(len(w), L)
        step = np.zeros(len(w))
        step[block] = terms.minimise(self.loss.bound(block), gradient[block], w[block], block)
        for _ in range(_THRESHOLDINGS):
            slope = gradient + bound_product(self.loss, step) - L * step
            target = terms.prox(w - slope / L, 1.0 / L)
            gains = terms.coordinate_gains(w, slope, curvature)
            block = self.active[largest(gains[self.active], self.size)]
            if np.array_equal(np.sort(block), np.sort(candidates[-1])):
                break
            candidates.append(block)
            step = np.zeros(len(w))
            step[block] = target[block] - w[block]
        changes = []
        for block in (candidates[0], candidates[-1]):
            H = self.loss.bound(block)
            move = terms.minimise(H, gradient[block], w[block], block)
            changes.append(terms.change(H, gradient[block], w[block], move, block))
        return candidates[0] if changes[0] <= changes[1] else candidates[-1]


def largest(scores, size):
    """Places of the `size` largest scores."""
    return np.argpartition(scores, -size)[-size:] if size < len(scores) else np.arange(len(scores))


def best_ratio(numerators, denominators, size):
    """Places, `size` of them, with the largest ratio of sums (W. Dinkelbach, 1967, Management Science 13(7))."""
    ratio = 0.0
    for _ in range(_DINKELBACH):
        places = largest(numerators - ratio * denominators, size)
        last, ratio = ratio, numerators[places].sum() / denominators[places].sum()
        if ratio <= last:
            break
    return places


def bound_product(loss, step):
    """H d, for a step of all coordinates."""
    data = loss.data
    if hasattr(loss, "H"):
        moving = np.flatnonzero(step)
        return step[moving] @ loss.H[moving]
    change = data.apply(step, np.flatnonzero(step))
    if data.fit_intercept:
        change = change - data.weight @ change
    return data.loss.curvature_bound * data.gradient(change)


def largest_curvature(loss):
    """A bound of the largest eigenvalue of H, by the power method."""
    z = np.sqrt(loss.lipschitz) * (1.0 + 0.5 * np.cos(np.arange(len(loss.lipschitz))))
    for _ in range(_POWER_STEPS):
        size = np.linalg.norm(z)
        if size == 0:
            return 1.0
        z = bound_product(loss, z / size)
    return 1.02 * float(np.linalg.norm(z))


class PenaltyTerms:
    """What rules and updates ask of the penalty: a convex one of single coefficients, quadratic on each side of zero.

    Attributes
    ----------
    smooth : ndarray of bool
        Coordinates with neither kink nor bounds.
    """

    def __init__(self, problem):
        self.penalty, self.pen = problem.penalty, problem.pen
        ones = np.ones(problem.data.n_coordinates)
        self.bend = self.penalty.second_derivative(ones, self.pen)
        self.kink = self.penalty.derivative(ones, self.pen) - self.bend
        self.smooth = (self.kink == 0) & np.isneginf(self.pen.lower) & np.isposinf(self.pen.upper)
        self.all_smooth = bool(self.smooth.all())
        self.kernel: Any = None if self.all_smooth else gram_kernel(self.penalty, problem.data.design.cells)
        self.tol = _ROUNDING * problem.data.null.violation
        self.inverses: dict = {}

    def least_subgradient(self, w, gradient):
        """The subgradient of the objective with the least norm: 0 at the minimum, else the way downhill."""
        if self.all_smooth:
            return gradient + self.bend * w
        slope = gradient + self.bend * w
        zero = w == 0
        right = slope + np.where(zero, self.kink, np.sign(w) * self.kink)
        left = slope - np.where(zero, self.kink, -np.sign(w) * self.kink)
        right = np.where(w >= self.pen.upper, np.inf, right)
        left = np.where(w <= self.pen.lower, -np.inf, left)
        return np.where(right < 0, right, np.where(left > 0, left, 0.0))

    def prox(self, z, step, block=None):
        """Proximal operator over a block, or over all coordinates."""
        return self.penalty.prox(z, step, self.pen if block is None else restrict(self.pen, block))

    def coordinate_gains(self, w, gradient, curvature):
        """Decrease that each coordinate makes alone, by the model with that curvature."""
        L = np.where(curvature > 0, curvature, 1.0)
        step = self.prox(w - gradient / L, 1.0 / L) - w
        return -(step * (gradient + 0.5 * L * step) + self._rise(w, step))

    def change(self, H, gradient, w, step, block):
        """Change of the quadratic model plus the penalty along a step of a block."""
        return float(step @ (gradient + 0.5 * (H @ step)) + self._rise(w, step, block).sum())

    def _rise(self, w, step, block=slice(None)):
        """What a step adds to each coordinate's penalty, without the cancellation of a difference of values."""
        new, bend = w + step, self.bend[block]
        across = np.where(w * new < 0, np.abs(new) - np.abs(w), np.where(w == 0, np.abs(step), step * np.sign(w)))
        return self.kink[block] * across + bend * step * (w + 0.5 * step)

    def minimise(self, H, gradient, w, block, number=None):
        """Step to the minimum of the quadratic model plus the penalty over a block.

        One linear system where the penalty is smooth (its inverse is kept by the `number` of a fixed block, for which
        `H` must not change); else coordinate descent with Newton steps on the support.
        """
        if self.smooth[block].all():
            slope = gradient + self.bend[block] * w
            if number is None:
                return -solve(H + np.diag(self.bend[block]), slope)
            if number not in self.inverses:
                self.inverses[number] = np.linalg.pinv(H + np.diag(self.bend[block]), _SINGULAR, hermitian=True)
            return -(self.inverses[number] @ slope)
        pen, new, slope = restrict(self.pen, block), w.copy(), np.array(gradient)
        H = as_kernel_array(H)
        _, worst = self.kernel(H, new, slope, pen, 1, self.tol)
        tol = max(self.tol, _EXACT * worst)
        for _ in range(_ROUNDS if worst > tol else 0):
            _, worst = self.kernel(H, new, slope, pen, _SWEEPS, tol)
            if worst <= tol:
                break
            newton_step(H, new, slope, self.penalty, pen)
        return new - w


def solve(H, slope):
    """Pseudo-inverse of a positive semi-definite matrix times a vector."""
    if not H.diagonal().max() > _TINY:
        return np.zeros_like(slope)
    try:
        factor = cho_factor(H)
        pivots = factor[0].diagonal() ** 2
        if pivots.min() > _SINGULAR * pivots.max():
            return cho_solve(factor, slope)
    except LinAlgError:
        pass
    return np.linalg.pinv(H, _SINGULAR, hermitian=True) @ slope
