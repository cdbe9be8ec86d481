"""What halves of the data select: a regularisation path on each, up to the alpha at which enough features are in it.

Halves are drawn in pairs that have no row in common. For the squared loss on tall data they are made of chunks of
rows, whose moments are computed once: those of a half are the sums over its chunks.
"""

from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np

from skreg._backend import to_numpy
from skreg._design import as_design
from skreg._threads import one_blas_thread
from skreg.model_selection import _moments as moments
from skreg.model_selection._folds import _part
from skreg.model_selection._path import _pose
from skreg.penalties import RadialPenalty

NEVER = np.iinfo(np.int64).max  # entry of what a path did not reach
_BLOCK = 25  # alphas solved before it is looked whether more are needed
_CHUNKS = 32  # of which halves are made
_CHUNK_ROWS = 40  # a chunk, from which halves are made of them
_CHUNK_NUMBERS = 2**25  # in the Gram matrices of all chunks, at most
_BATCH = 8  # pairs whose moments are summed at a time


class Half(NamedTuple):
    """What one half selects: the numbers of the first and last alpha solved, and of that at which each unit entered."""

    first: int
    last: int
    entered: np.ndarray


class Ladder(NamedTuple):
    """Decreasing alphas by number: those given; or `top` times powers of a ratio, beyond `top` with numbers below 0."""

    given: np.ndarray | None
    top: float = 1.0
    ratio: float = 1.0
    length: int = 0

    def alphas(self, numbers):
        """The alphas of these numbers."""
        return self.given[numbers] if self.given is not None else self.top * self.ratio**numbers

    def below(self, strongest):
        """Numbers of the alphas to solve, where `strongest` is the smallest that empties the model."""
        if self.given is not None:
            return np.arange(len(self.given))
        first = 0
        if strongest > 0 and self.ratio < 1:
            first = int(np.floor((np.log(strongest) - np.log(self.top)) / np.log(self.ratio)))
        return np.arange(min(first, self.length - 1), self.length)


class Units(NamedTuple):
    """What is selected or not: groups, where the penalty takes them as wholes; or else features."""

    labels: np.ndarray  # unit of each coordinate of one output
    features: np.ndarray  # feature of each of these coordinates: they differ where groups overlap
    free: np.ndarray  # units without penalty, which are always selected
    are_groups: bool

    @classmethod
    def of(cls, prepared):
        """Those of a problem."""
        groups, n_coordinates = prepared.structure, prepared.data.design.n_features
        are_groups = isinstance(prepared.penalty, RadialPenalty)
        features = groups.indices if getattr(groups, "overlapping", False) else np.arange(n_coordinates)
        labels = features
        if are_groups:
            labels = np.repeat(np.arange(len(groups)), groups.sizes) if groups.overlapping else groups.labels()
        free = np.bincount(labels, prepared.weights[:n_coordinates] > 0) == 0
        return cls(labels, features, free, are_groups)

    def by_feature(self, counts):
        """Counts of features, along a path, from those of units: the largest where a feature is in several."""
        result = np.zeros((len(counts), self.features.max() + 1), dtype=counts.dtype)
        np.maximum.at(result, (slice(None), self.features), counts[:, self.labels])
        return result

    def used(self, coef):
        """Which units have a non-zero coefficient; `coef` has one row an output."""
        return np.bincount(self.labels, (coef != 0).any(axis=0)) > 0

    def norms(self, coef, deviations):
        """Norms of each unit's coefficients of standardised features, over the largest."""
        effects = coef * deviations
        effects = effects / max(np.abs(effects).max(), np.finfo(float).tiny)
        return np.sqrt(np.bincount(self.labels, np.square(effects).sum(axis=0)))


def complementary_pairs(rng, rows, strata, n_pairs):
    """Pairs of halves of `rows` without a row in common, each with its share of every stratum; one row may be left."""
    size = 2 * (len(rows) // 2)
    for _ in range(n_pairs):
        order = rng.permutation(rows)
        if strata is not None:
            order = order[np.argsort(strata[order], kind="stable")]
        yield np.sort(order[0:size:2]), np.sort(order[1:size:2])


def select(model, data, rows, ladder, q, units):
    """What the model selects on some rows of `data`: X, y, sample_weight and offset."""
    with one_blas_thread():
        half, prepared = _pose(model, *map(partial(_part, rows=rows), data))
        design, weight = prepared.data.design, prepared.data.weight
        return _follow(half, prepared, ladder, q, units, lambda: np.sqrt(design.curvature(weight, True)))


def _follow(model, prepared, ladder, q, units, deviations, state=None):
    """Solve the path until q penalised units have entered; where too many do so at once, the largest are taken.

    `deviations` gives the standard deviations of the features, as far as the coefficients do not allow for them;
    `state` is where the path starts, if not at the null model.
    """
    numbers = ladder.below(prepared.strengths(1, 0.5)[0])
    entered = np.where(units.free, numbers[0], NEVER)
    room = q
    for k, solution in zip(numbers, _solutions(prepared, ladder.alphas(numbers), model, state)):
        model._warn(solution, stacklevel=2)
        coef = to_numpy(solution.coef)
        coef = coef.T if coef.ndim == 2 else coef.reshape(prepared.n_outputs, -1)
        new = np.flatnonzero(units.used(coef) & (entered == NEVER))
        if len(new) > room:
            size = units.norms(coef, deviations())[new]
            new = new[np.argsort(-size, kind="stable")[:room]]
        entered[new] = k
        room -= len(new)
        if room <= 0:
            break
    return Half(int(numbers[0]), int(k), entered)


def _solutions(prepared, alphas, model, state):
    """The solutions along a path, computed as they are asked for, or a block of them at a time."""
    follow = partial(prepared.follow, tol=model.tol, max_iter=model.max_iter)
    if not prepared.penalty.convex:
        yield from follow(alphas)
        return
    state = prepared.state() if state is None else state
    for start in range(0, len(alphas), _BLOCK):
        yield from follow(alphas[start : start + _BLOCK], state=state)


# ---------------------------------------------------------------- tall data
def chunks_apply(model, prepared, units, n_rows):
    """Whether halves are made of chunks: where cross-validation is done on moments, or but for standardising it is."""
    data, p = prepared.data, len(units.labels)
    tall = n_rows >= max(4 * p, _CHUNKS * _CHUNK_ROWS) and _CHUNKS * p * p <= _CHUNK_NUMBERS
    if not tall or units.free.any() or not isinstance(data.y, np.ndarray):
        return False
    if data.design.scale is not None:
        bounds = np.concatenate([prepared.lower, prepared.upper])  # in units of the deviations in all rows
        if not data.fit_intercept or not (np.isinf(bounds) | (bounds == 0)).all():
            return False
    return moments.applies(model, replace(prepared, data=_unscaled(data)))


def select_of_chunks(model, prepared, rng, rows, n_pairs, ladder, q, units):
    """What the model selects on pairs of halves made of chunks; None where moments are not accurate enough."""
    data = _unscaled(prepared.data)
    centre = (data.design.means(data.weight), float(data.weight @ data.y)) if data.fit_intercept else (0.0, 0.0)
    chunks = rng.permutation(rows)[: len(rows) // _CHUNKS * _CHUNKS].reshape(_CHUNKS, -1)
    choices = np.array([rng.permutation(_CHUNKS) < _CHUNKS // 2 for _ in range(n_pairs)])
    halves = []
    with one_blas_thread():
        parts = moments.Moments(*map(np.array, zip(*(moments._moments(data, np.sort(c), *centre) for c in chunks))))
        for start in range(0, n_pairs, _BATCH):
            some = choices[start : start + _BATCH]
            some = np.concatenate([some, ~some])
            sums = [np.tensordot(some.astype(float), part, 1) for part in parts]
            for chosen, own in zip(some, zip(*sums)):
                posed = _pose_on_moments(prepared, data, moments.Moments(*own), chunks[chosen].ravel())
                if posed is None:
                    return None
                half, state, deviations = posed
                halves.append(_follow(model, half, ladder, q, units, lambda kept=deviations: kept, state))
    return halves


def _unscaled(data):
    return data if data.design.scale is None else replace(data, design=as_design(data.design.X))


def _pose_on_moments(prepared, data, own, rows):
    """The problem of one half, where its path starts, and the deviations of its features; None where in doubt."""
    variance = (own.xx.diagonal() - own.x**2 / own.weight) / own.weight
    squares = variance if data.fit_intercept else own.xx.diagonal() / own.weight
    doubtful = np.flatnonzero(squares * own.weight <= moments._CANCELLED * own.xx.diagonal())
    constant = doubtful[moments._are_constant(data, rows, doubtful)]
    if len(constant) < len(doubtful) or moments._target_square(own, data) < moments._CANCELLED * own.yy:
        return None
    deviations = np.sqrt(np.maximum(variance, 0.0))
    if prepared.data.design.scale is not None:
        deviations[constant] = 1.0
        own = own._replace(x=own.x / deviations, xx=own.xx / np.outer(deviations, deviations), xy=own.xy / deviations)
        deviations = np.ones(len(deviations))
    data = moments._without_rows(data, own, constant)
    start = moments.Part(data, moments._gram(data, own, constant)).state()
    return replace(prepared, data=data), start, deviations
