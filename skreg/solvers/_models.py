"""Quadratic models of the smooth part over a list of coordinates, the intercept profiled out.

A model is asked one thing: given the gradient of the loss with respect to the predictor, minimise the model plus the
penalty over its coordinates. `GramModel` holds the matrix of second derivatives, other models the columns.
"""

import numpy as np

from skreg._problem import softmax_intercept_inverse
from skreg.kernels._gram_cd import gram_kernel
from skreg.kernels._specialize import as_kernel_array
from skreg.penalties import restrict
from skreg.solvers._block_descent import descend_blocks, group_layout, largest_eigenvalue
from skreg.solvers._block_model import BlockModel
from skreg.solvers._multinomial_block_model import MultinomialBlockModel
from skreg.solvers._newton_finish import newton_step, pivot
from skreg.solvers._residual_model import CONSTANT, ResidualModel
from skreg.solvers._support import SupportFactor

_SWEEPS = 16  # sweeps of coordinate descent between two Newton steps
_TALL = 2.0  # rank over size from which a warm start is swept first: such models are well conditioned
_SAME = 0.03  # changes of a row's curvature below this share of the largest wait: the step stays a Newton step nearly
_FEW_ROWS = 0.5  # share of rows whose curvature may change before a model is made anew
_CURVED = 1e-3  # curvature along a step, as a share of the model's, below which it corrects nothing
_SPARSE_GRAM = 256  # coordinates beyond which sparse columns are swept in residual form
_SPARSE_NEWTON = 32  # likewise where the matrix has to be made anew for each Newton step
_DENSE_GRAM = 6000  # likewise for dense columns: a Gram matrix of 288 MB
_MULTINOMIAL_GRAM = 1500  # coordinates beyond which groups of the multinomial loss are swept in residual form


def make_model(data, curvature, n_coordinates, majorise=False, blocks=False):
    """The model that suits the data, the number of coordinates and the penalty; `curvature` is the loss's."""
    if data.loss.multi_output:
        large = is_large_multinomial(data, n_coordinates, blocks)
        return (MultinomialBlockModel if large else MultinomialGramModel)(data, curvature, majorise)
    if blocks:
        return (BlockModel if _is_wide(data) else GramModel)(data, curvature)
    return (GramModel if gram_pays(data, n_coordinates) else ResidualModel)(data, curvature)


def gram_pays(data, n_coordinates):
    """Whether a Gram matrix of so many coordinates costs less than sweeps over their columns."""
    if data.loss.multi_output:
        return True
    limit = (_SPARSE_GRAM if data.loss.quadratic else _SPARSE_NEWTON) if data.design.is_sparse else _DENSE_GRAM
    return n_coordinates <= limit


def is_large_multinomial(data, n_coordinates, blocks):
    """Whether groups of so many coordinates of a loss with several outputs are swept in residual form."""
    return data.loss.multi_output and blocks and n_coordinates > _MULTINOMIAL_GRAM


def sweeps_columns(data, penalty):
    """Whether models of groups are solved by sweeps over the columns alone."""
    return penalty.blocks and not data.loss.multi_output and _is_wide(data)


def _is_wide(data):
    """Whether supports of groups may outgrow the number of samples, or a Gram matrix is not worth its making."""
    wide = data.design.is_sparse or data.n_coordinates > data.design.n_samples
    return wide and data.n_coordinates > _SPARSE_GRAM


class GramModel:
    """Second derivatives over a growing list of coordinates.

    Attributes
    ----------
    columns : ndarray of shape (m,)
        Coordinates in the order of the matrix; it only grows.
    H : ndarray of shape (capacity, capacity)
        The first m rows and columns hold the matrix; rows are contiguous, as kernels want them.
    moments : ndarray of shape (m,) or (m, n_outputs)
        Weighted means of the columns: what the intercept gives up for a unit of each coordinate.
    data, sample : Data
        What is minimised, and the rows that the matrix is made of: all of them unless it is an estimate.
    """

    def __init__(self, data, curvature):
        self.data = self.sample = data
        self.columns = np.empty(0, dtype=np.int64)
        self.place = np.full(data.n_coordinates, -1, dtype=np.int64)
        self.H = np.empty((0, 0))
        self.factor = SupportFactor()
        self.has_secants = False
        self.bounds: dict = {}
        self.rank = data.design.n_samples - bool(data.fit_intercept)
        self._set_curvature(curvature)

    def _set_curvature(self, curvature):
        self.weight = self.sample.weight * curvature
        self.total = float(self.weight.sum())
        centred = self.data.fit_intercept and self.total > 0
        self.means = np.zeros(self.data.n_coordinates) if centred else None  # filled in for the model's columns
        self.moments = None

    def extend(self, coordinates):
        """Append those coordinates that are not there yet."""
        new = coordinates[self.place[coordinates] < 0]
        m, k = len(self.columns), len(new)
        if not k:
            return
        self._reserve(m + k)
        self._extend_means(new)
        self.H[m : m + k, m : m + k] = self._cross(new, None)
        if m:
            cross = self._cross(self.columns, new)
            self.H[:m, m : m + k] = cross
            self.H[m : m + k, :m] = cross.T
        self._drop_constants(new)
        self.place[new] = np.arange(m, m + k)
        self.columns = np.concatenate([self.columns, new])
        self._extend_moments()

    def _drop_constants(self, new):
        """Zero what is left of columns that the intercept explains: rounding, by which nothing must be divided."""
        if self.means is None:
            return
        m = len(self.columns)
        scale = self.sample.design.scale
        means = self.means[new] if scale is None else self.means[new] / scale[new]
        block = self.H[m : m + len(new), m : m + len(new)]
        constant = m + np.flatnonzero(block.diagonal() <= CONSTANT * self.total * means**2)
        self.H[constant, :] = 0.0
        self.H[:, constant] = 0.0

    def update(self, curvature):
        """Take over a new curvature by correcting for the rows where it changed; False where they are many."""
        if self.sample.design.is_sparse or self.has_secants or self.is_estimate:
            return False
        change = self.sample.weight * curvature - self.weight
        samples = np.flatnonzero(np.abs(change) > _SAME * self.weight.max(initial=0.0))
        total = self.total + change[samples].sum()
        if len(samples) > _FEW_ROWS * len(change) or not total > 0.5 * self.total:
            return False
        m, change = len(self.columns), change[samples]
        self.factor.clear()
        self.bounds.clear()
        self.weight[samples] += change
        self.total = float(total)
        if m and len(samples):
            rows = self.sample.design.rows(samples, self.columns)
            if self.means is not None:
                rows -= self.moments
                drift = change @ rows / total
                rows, change = np.vstack([rows, drift]), np.append(change, -total)
                scale = self.sample.design.scale
                self.means[self.columns] += drift if scale is None else drift * scale[self.columns]
                self._extend_moments()
            for sign in (1.0, -1.0):  # two symmetric products cost half as much as one general product
                part = rows[sign * change > 0] * np.sqrt(np.abs(change[sign * change > 0]))[:, None]
                self.H[:m, :m] += sign * (part.T @ part)
        return True

    def secant(self, step, change):
        """Correct the matrix by what a step did to the gradient (the BFGS update), where it is kept for the next."""
        m = len(self.columns)
        product = self.H[:m, :m] @ step
        slope, bend = float(change @ step), float(product @ step)
        if not slope > _CURVED * bend > 0.0:
            return
        self.H[:m, :m] += np.outer(change, change / slope) - np.outer(product, product / bend)
        self.factor.clear()
        self.bounds.clear()
        self.has_secants = True

    def block_bounds(self, pen):
        """Bounds of the second derivatives within each group, by number of the group, kept while the matrix is."""
        order, starts = group_layout(pen)
        labels = pen.label[order[starts[:-1]]]
        for g, label in enumerate(labels):
            if label not in self.bounds:
                members = order[starts[g] : starts[g + 1]]
                self.bounds[label] = largest_eigenvalue(self.H[np.ix_(members, members)])
        return np.array([self.bounds[label] for label in labels])

    @property
    def is_estimate(self):
        """Whether the matrix is made of some rows alone."""
        return self.sample is not self.data

    def keep(self, coordinates):
        """Forget all coordinates but these."""
        kept = self.place[coordinates]
        kept = np.sort(kept[kept >= 0])
        if len(kept) == len(self.columns):
            return
        self.H = self.H[np.ix_(kept, kept)]
        self.columns = self.columns[kept]
        self.place[:] = -1
        self.place[self.columns] = np.arange(len(kept))
        self.factor.clear()
        self.bounds.clear()
        self._extend_moments()

    def _reserve(self, size):
        if size > len(self.H):
            capacity = min(max(size, 2 * len(self.H)), len(self.place))
            H = np.zeros((capacity, capacity))
            m = len(self.columns)
            H[:m, :m] = self.H[:m, :m]
            self.H = H

    def _cross(self, rows, columns):
        return self.sample.design.gram(rows, columns, self.weight, self.means)

    def _extend_means(self, new):
        if self.means is not None:
            scale = self.sample.design.scale
            means = self.sample.design.rmatvec(self.weight / self.total, new)
            self.means[new] = means if scale is None else means * scale[new]

    def _extend_moments(self):
        if self.means is not None:
            scale = self.sample.design.scale
            self.moments = self.means[self.columns] / (1.0 if scale is None else scale[self.columns])

    def profiled(self, gradient, slope):
        """Gradient over the model's coordinates when the intercept moves with them, and the intercept's own."""
        own = self.data.weight @ slope
        return (gradient if self.moments is None else gradient - self.moments * own), own

    def intercept_step(self, step, own):
        """Change of the intercept that goes with a change `step` of the coordinates."""
        return 0.0 if self.moments is None else -(own / self.total + self.moments @ step)

    def minimise(self, w, gradient, slope, penalty, pen, tol, aim=None, max_epochs=2_000):
        """Minimiser of the model plus the penalty from `w`, the intercept's change beside it, and the sweeps done."""
        gradient, own = self.profiled(gradient, slope)
        gradient = np.array(gradient)
        new = w.copy()
        n_epochs = descend(self, new, gradient, penalty, restrict(pen, self.columns), tol, aim, max_epochs)
        return new, self.intercept_step(new - w, own), n_epochs


def descend(model, w, gradient, penalty, pen, tol, aim, max_epochs):
    """Minimise 1/2 d'Hd + gradient'd + penalty(w + d), H of a `GramModel`; `w` and `gradient` change in place.

    Block pivoting where the penalty allows it, coordinate descent with Newton steps on the support elsewhere, or where
    pivoting does not lead on. Violations end at `tol`, or at `aim` where that is given and pivoting gets there (0: down
    to rounding). Returns the number of sweeps.
    """
    if penalty.blocks:
        return descend_blocks(model.H, w, gradient, penalty, pen, tol, aim, max_epochs, model.block_bounds(pen))
    H, rank = model.H, model.rank
    matrix = as_kernel_array(H)
    pivotal = can_pivot(penalty, pen)
    goal = tol, tol if aim is None else aim, rank, model.factor
    n_epochs = 0
    if pivotal and w.any() and rank < _TALL * len(w) and pivot(H, w, gradient, penalty, pen, *goal):
        return 1
    while True:
        sweeps = min(_SWEEPS, max_epochs - n_epochs)
        kernel = gram_kernel(penalty, model.data.design.cells, sweeps * len(w))
        done, worst = kernel(matrix, w, gradient, pen, sweeps, tol)
        n_epochs += done
        if (worst <= tol and aim is None) or n_epochs >= max_epochs:
            return n_epochs
        if pivotal and w.any() and pivot(H, w, gradient, penalty, pen, *goal):
            return n_epochs
        if worst <= tol:
            return n_epochs
        newton_step(H, w, gradient, penalty, pen)


def can_pivot(penalty, pen):
    """Whether `pivot` solves such problems: the penalty is quadratic off zero, and all bounds are infinite or zero."""
    lower, upper = pen.lower, pen.upper
    return penalty.piecewise_quadratic and bool(
        ((lower == 0) | np.isneginf(lower)).all() and ((upper == 0) | np.isposinf(upper)).all()
    )


class MultinomialGramModel(GramModel):
    """All classes at once: block (k, l) of the second derivatives is X' diag(s p_k (1{k=l} - p_l)) X.

    With `majorise` each sample's block is (I - 11'/K) / 2 instead, an upper bound of all of them (D. Bohning, 1992,
    Annals of the Institute of Statistical Mathematics 44). The intercepts are profiled out through the pseudo-inverse
    of their own block, which is singular along the vector of ones (a shift of all classes changes nothing).
    """

    def __init__(self, data, curvature, majorise=False):
        self.boost = 0.5 * data.n_outputs if majorise else 1.0
        super().__init__(data, np.full_like(curvature, 1.0 / data.n_outputs) if majorise else curvature)

    def extend(self, coordinates):
        """Take the coordinates that are not there yet; the matrix is made anew, as the intercepts tie it together."""
        new = coordinates[self.place[coordinates] < 0]
        if len(new) and len(self.columns):
            coordinates = np.concatenate([self.columns, new])
            self.columns, self.place[:] = np.empty(0, dtype=np.int64), -1
        if len(new):
            super().extend(coordinates)

    def update(self, curvature):
        return False

    def _extend_means(self, new):
        pass

    def _drop_constants(self, new):
        pass

    def _set_curvature(self, curvature):
        data = self.data
        self.rank *= data.n_outputs
        self.probabilities = curvature
        self.means = None
        self.moments = None
        self.inverse = softmax_intercept_inverse(self.boost * data.weight, curvature)

    def _pair_weight(self, k, l):
        """Weights of block (k, l): non-negative on the diagonal, non-positive off it."""
        p = self.probabilities
        return self.boost * self.data.weight * p[:, k] * ((k == l) - p[:, l])

    def _cross(self, rows, columns):
        p = self.data.design.n_features
        same = columns is None
        columns = rows if same else columns
        result = np.empty((len(rows), len(columns)))
        for k in np.unique(rows // p):
            i = np.flatnonzero(rows // p == k)
            for l in np.unique(columns // p):
                if same and l < k:
                    continue
                j = np.flatnonzero(columns // p == l)
                weight = self._pair_weight(k, l)
                block = self.data.design.gram(rows[i] % p, None if same and k == l else columns[j] % p, np.abs(weight))
                block = block if k == l else -block
                result[np.ix_(i, j)] = block
                if same and k != l:
                    result[np.ix_(j, i)] = block.T
        return result

    def _extend_moments(self):
        if not self.data.fit_intercept:
            return
        data, p = self.data, self.data.design.n_features
        m = len(self.columns)
        features, place = np.unique(self.columns % p, return_inverse=True)
        classes = self.columns // p
        mixed = np.empty((m, data.n_outputs))
        for l in range(data.n_outputs):
            weights = np.stack([self._pair_weight(k, l) for k in range(data.n_outputs)], axis=1)
            mixed[:, l] = data.design.rmatvec(weights, features)[place, classes]
        self.moments = mixed @ self.inverse
        self.H[:m, :m] -= self.moments @ mixed.T

    def profiled(self, gradient, slope):
        own = self.data.weight @ slope
        return (gradient if self.moments is None else gradient - self.moments @ own), own

    def intercept_step(self, step, own):
        return 0.0 if self.moments is None else -(self.inverse @ own + self.moments.T @ step)
