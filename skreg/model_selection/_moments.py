"""Cross-validation of the squared loss on moments: the rows are read once, whatever the number of folds.

With rows and target centred about the means of the whole data, S = sum of w x x', t = sum of w x y and so on are
additive over rows: those of a fold's training rows are the total less the fold's, recentred about its own means. Paths
and scores are made of these alone (J. H. Friedman, T. Hastie, R. Tibshirani 2010, section 2.2, on one data set).
"""

from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import numpy as np

from skreg._base import Prepared
from skreg._design import DesignMatrix
from skreg._problem import Data, Null
from skreg._threads import in_parallel, n_threads
from skreg.solvers import GramModel, ProxNewton, State, is_worthwhile

_BLOCK = 2**19  # numbers in a block of rows
_CONSTANT = 1e-12  # deviation over the mean below which a column is constant, but for rounding
_CANCELLED = 1e-5  # share of a sum that must be left of it for a difference to be trusted


class Moments(NamedTuple):
    """Sums over rows, each times its weight, of centred data: of 1, x, y, x x', x y and y y."""

    weight: float
    x: np.ndarray
    y: float
    xx: np.ndarray
    xy: np.ndarray
    yy: float

    def less(self, other):
        """The moments of the rows that `other` does not have."""
        return Moments(*(a - b for a, b in zip(self, other)))

    def mean_square(self, coef, intercept):
        """Mean squared residuals of linear models, coefficients of shape (n_models, n_features), on these rows."""
        squares = np.einsum("kj,kj->k", coef @ self.xx, coef) + intercept**2 * self.weight + self.yy
        return (squares + 2 * (coef @ self.x * intercept - coef @ self.xy - intercept * self.y)) / self.weight


def applies(model, prepared):
    """Whether the paths of all folds can be made of moments: the squared loss on more rows than columns, dense."""
    data = prepared.data
    return (
        isinstance(data, Data)
        and isinstance(data.y, np.ndarray)
        and data.y.ndim == 1
        and is_worthwhile(data)
        and not data.design.is_sparse
        and data.design.scale is None
        and data.design.X.shape[1] == data.design.n_features  # not so where groups overlap
        and type(data.design.X) is np.ndarray
        and data.offset is None
        and not model._pose_depends_on_rows
        and prepared.penalty.convex
        and isinstance(prepared.solver(1.0, 1), ProxNewton)  # other solvers work on rows
    )


@dataclass
class _Centred(Prepared):
    """A problem posed on columns and a target about `centre`; fitted models are in the units of the data."""

    centre: tuple = (0.0, 0.0)

    def coefficients(self, w, b):
        """coef_ and intercept_ in the units of X, in its dtype."""
        mean_x, mean_y = self.centre
        return super().coefficients(w, b + mean_y - np.sum(mean_x * w))


class Part(NamedTuple):
    """Rows as far as the squared loss knows them: data whose rows are not needed any more, and their Gram matrix."""

    data: Data
    model: GramModel
    centre: tuple = (0.0, 0.0)

    def pose(self, prepared):
        """The problem of `prepared` on these rows."""
        given = {field.name: getattr(prepared, field.name) for field in fields(prepared)}
        return _Centred(**{**given, "data": self.data}, centre=self.centre)

    def state(self):
        """Where a path starts, its whole Gram matrix at hand."""
        state = State(self.data)
        state.model = self.model
        return state


class Fold(NamedTuple):
    """One fold: its training rows and the others, the moments of these and of all, and what they are about."""

    rows: np.ndarray
    test: np.ndarray
    held: Moments
    total: Moments
    constant: np.ndarray  # columns that do not vary on the training rows
    data: Data
    centre: tuple

    def train(self):
        """What the squared loss knows of the training rows."""
        moments = self.total.less(self.held)
        data = _without_rows(self.data, moments, self.constant)
        return Part(data, _gram(data, moments, self.constant), self.centre)

    def scores(self, solutions):
        """Minus the mean squared error of each solution on the rows held out."""
        coef = np.stack([solution.coef for solution in solutions])
        intercept = np.array([solution.intercept for solution in solutions])
        squares = self.held.mean_square(coef, intercept)
        small = squares * self.held.weight <= _CANCELLED * self.held.yy
        if small.any():
            squares[small] = _mean_square(self.data, self.test, self.centre, coef[small], intercept[small])
        return -squares


class Split(NamedTuple):
    """All folds, and the whole data."""

    folds: list
    whole: Part


def split(prepared, folds):
    """The moments of folds, for any penalty; None where they are not of a kind to have them.

    That is where a splitter leaves rows out of both sides, for instance.
    """
    data = prepared.data
    if not all(_is_split(train, test, data.weight) for train, test in folds):
        return None
    centre = (data.design.means(data.weight), float(data.weight @ data.y)) if data.fit_intercept else (0.0, 0.0)
    held = [_moments(data, test, *centre) for _, test in folds]
    total = (
        _sum(held)
        if _is_partition([test for _, test in folds], len(data.y))
        else _moments(data, np.arange(len(data.y)), *centre)
    )
    parts = []
    for (rows, test), moments in zip(folds, held):
        train = total.less(moments)
        doubtful = np.flatnonzero(_squares(train, data) <= _CANCELLED * _squares(total, data))
        constant = doubtful[_are_constant(data, rows, doubtful)]
        if len(constant) < len(doubtful) or _target_square(train, data) <= _CANCELLED * total.yy:
            return None
        parts.append(Fold(rows, test, moments, total, constant, data, centre))
    varied = _squares(total, data)
    constant = np.flatnonzero(varied <= _CONSTANT**2 * (varied + total.weight * centre[0] ** 2))
    return Split(parts, Part(data, _gram(data, total, constant, centre[0])))


def _is_split(train, test, weight):
    """Whether each row is in one of the two, once, and both have weight."""
    return _is_partition([train, test], len(weight)) and weight[train].any() and weight[test].any()


def _squares(moments, data):
    """Sums of squares of the columns, about their means where there is an intercept."""
    squares = moments.xx.diagonal()
    return squares - moments.x**2 / moments.weight if data.fit_intercept else squares


def _target_square(moments, data):
    return moments.yy - moments.y**2 / moments.weight if data.fit_intercept else moments.yy


def _are_constant(data, rows, columns):
    """Whether columns are constant on the rows that have weight; without an intercept, whether they are zero."""
    X = data.design.X[np.ix_(rows[data.weight[rows] > 0], columns)]
    return (X == (X[0] if data.fit_intercept else 0.0)).all(axis=0)


def _mean_square(data, rows, centre, coef, intercept):
    """`Moments.mean_square` from the rows themselves, for residuals too small to be the difference of moments."""
    residuals = (data.y[rows] - centre[1])[:, None] - (data.design.X[rows] - centre[0]) @ coef.T - intercept
    return data.weight[rows] @ residuals**2 / data.weight[rows].sum()


def _is_partition(parts, n_samples):
    """Whether each row is in one of the parts, once."""
    rows = np.concatenate(parts)
    return len(rows) == n_samples and rows.min() >= 0 and bool((np.bincount(rows, minlength=n_samples) == 1).all())


def _sum(parts):
    return Moments(*(sum(values) for values in zip(*parts)))


def _moments(data, rows, mean_x, mean_y):
    """Moments of some rows about the means of all."""
    size = max(_BLOCK // data.design.n_features, 16)

    def part(share):
        xx = np.zeros((data.design.n_features, data.design.n_features))
        x, xy = np.zeros(data.design.n_features), np.zeros(data.design.n_features)
        for start in range(share.start, share.stop, size):
            chosen = rows[start : min(start + size, share.stop)]
            root = np.sqrt(data.weight[chosen])
            X = data.design.X[chosen]
            X -= mean_x
            X *= root[:, None]
            y = (data.y[chosen] - mean_y) * root
            xx += X.T @ X
            x += root @ X
            xy += y @ X
        return x, xx, xy

    count = n_threads()
    bounds = [len(rows) * k // count for k in range(count + 1)]
    parts = in_parallel(part, [slice(a, b) for a, b in zip(bounds[:-1], bounds[1:])])
    x, xx, xy = (sum(values) for values in zip(*parts))
    weight, y = data.weight[rows], data.y[rows] - mean_y
    return Moments(float(weight.sum()), x, float(weight @ y), xx, xy, float(weight @ (y * y)))


class _NoRows(DesignMatrix):
    """The size of a design whose rows are not needed any more."""

    def __init__(self, n_samples, n_features):
        self.X, self.scale = None, None
        self.n_samples, self.n_features = n_samples, n_features

    @property
    def cells(self):
        return self.n_samples * self.n_features


def _without_rows(data, train, constant):
    """The data of a fold, of which nothing but the null model is known."""
    part = replace(data, design=_NoRows(*data.design.X.shape), y=data.y)
    mean_y = train.y / train.weight if data.fit_intercept else 0.0
    mean_x = train.x / train.weight if data.fit_intercept else 0.0 * train.x
    gradient = -(train.xy / train.weight - mean_x * mean_y)
    gradient[constant] = 0.0
    gap = max(0.5 * (train.yy / train.weight - mean_y**2), 0.0)
    vars(part)["null"] = Null(mean_y, gradient, gap, float(np.abs(gradient).max(initial=0.0)))
    return part


def _gram(data, train, constant, centre=0.0):
    """The whole Gram matrix, from moments of columns about `centre`."""
    model = GramModel(data, np.ones(len(data.y)))
    mean = train.x / train.weight if data.fit_intercept else 0.0 * train.x
    model.H = train.xx / train.weight - np.outer(mean, mean)
    model.H[constant, :] = 0.0
    model.H[:, constant] = 0.0
    model.columns = np.arange(data.n_coordinates)
    model.place = model.columns.copy()
    if data.fit_intercept:
        model.means = model.moments = mean + centre
    return model
