"""The quadratic model of a working set of groups in residual form: for sets wider than the data is long."""

from typing import Any

import numpy as np

from skreg.kernels._block_cd import residual_block_kernel
from skreg.kernels._residual_cd import DenseColumns, SparseColumns
from skreg.kernels._specialize import as_kernel_array
from skreg.penalties import restrict
from skreg.solvers._block_descent import group_layout, largest_eigenvalue

_MEMORY = 5  # sweeps that an extrapolation combines
_WAITS = -1.0  # in place of the largest eigenvalue of a group whose block is not made yet
_CONSTANT = 1e-25  # variance over squared mean below which a column counts as constant


class Point:
    """Coefficients, gradient with respect to the predictor, and how far the intercept's profile is from it."""

    def __init__(self, w, u, shift):
        self.w, self.u, self.shift = w, u, shift


class Extrapolation:
    """Anderson extrapolation of sweeps: after `_MEMORY` of them, their affine combination of least residual.

    It is taken where it lowers the objective, a function of a point.

    References
    ----------
    Q. Bertrand and M. Massias (2021). Anderson acceleration of coordinate descent. AISTATS 24.
    """

    def __init__(self, objective):
        self.objective = objective
        self.past: list = []

    def push(self, point):
        """Take note of the point after a sweep, and move it where extrapolation leads down."""
        self.past.append((point.w.copy(), point.u.copy(), point.shift * 1.0))
        if len(self.past) <= _MEMORY:
            return
        past, self.past = self.past, []
        W = np.stack([w for w, _, _ in past])
        D = np.diff(W, axis=0)
        products = D @ D.T
        products.flat[:: len(D) + 1] += 1e-12 * np.trace(products)
        try:
            share = np.linalg.solve(products, np.ones(len(D)))
        except np.linalg.LinAlgError:
            return
        share /= share.sum()
        u = np.tensordot(share, np.stack([u for _, u, _ in past[1:]]), 1)
        shift = share @ np.array([shift for _, _, shift in past[1:]])
        new = Point(share @ W[1:], u, shift)
        if self.objective(new) < self.objective(point):
            point.w[:], point.u[:], point.shift = new.w, new.u, new.shift
            self.past = [(new.w, new.u, new.shift * 1.0)]


def sweep_groups(sweep, point, starts, order, objective, tol, max_epochs):
    """Sweeps over all groups until none moves more than `tol`, extrapolated ones over those that are not 0 between.

    ``sweep(chosen)`` moves `point` and returns the largest step. Returns the number of sweeps.
    """
    everything = np.arange(len(starts) - 1)
    n_epochs = 0
    while n_epochs < max_epochs:
        worst = sweep(everything)
        n_epochs += 1
        if worst <= tol:
            break
        active = np.flatnonzero(np.add.reduceat(point.w[order] != 0, starts[:-1]))
        memory = Extrapolation(objective)
        while n_epochs < max_epochs and len(active):
            moved = sweep(active)
            n_epochs += 1
            if moved <= max(0.1 * worst, tol):
                break
            memory.push(point)
    return n_epochs


def column_source(design, features):
    """The columns as kernels take them, in place where they lie together, and where in them each feature is."""
    if not design.is_sparse and design.scale is None and design.X.flags.f_contiguous:
        return DenseColumns(as_kernel_array(design.X.T)), design.place(features)
    used, place = np.unique(features, return_inverse=True)
    kind = SparseColumns if design.is_sparse else DenseColumns
    return kind(*map(as_kernel_array, design.kernel_columns(used))), place


class BlockModel:
    """Columns of a growing list of coordinates, whole groups at a time, with each group's own second derivatives."""

    def __init__(self, data, curvature):
        self.data = data
        self.columns = np.empty(0, dtype=np.int64)
        self.weight = data.weight * curvature
        self.total = float(self.weight.sum())
        self.centred = data.fit_intercept and self.total > 0
        self.means: Any = np.zeros(data.n_coordinates) if self.centred else None
        self.moments: Any = None
        self.blocks: dict = {}  # by number of the group: its matrix, and the largest eigenvalue

    def extend(self, coordinates):
        """Take the coordinates that are not there yet."""
        new = coordinates[~np.isin(coordinates, self.columns)]
        if not len(new):
            return
        self.columns = np.concatenate([self.columns, new])
        design = self.data.design
        if self.centred:
            moments = design.rmatvec(self.weight / self.total, new)
            self.moments = moments if self.moments is None else np.concatenate([self.moments, moments])
            self.means[new] = moments if design.scale is None else moments * design.scale[new]

    def profiled(self, gradient, slope):
        """Gradient over the model's coordinates when the intercept moves with them, and the intercept's own."""
        own = self.data.weight @ slope
        return (gradient if self.moments is None else gradient - self.moments * own), own

    def update(self, curvature):
        """Models in residual form are cheap to make anew."""
        return False

    def minimise(self, w, gradient, slope, penalty, pen, tol, aim=None, max_epochs=2_000):
        """As `GramModel.minimise`: between sweeps over all groups, extrapolated ones over those that are not 0."""
        pen = restrict(pen, self.columns)
        order, starts = group_layout(pen)
        offsets = np.concatenate([[0], np.cumsum(np.diff(starts) ** 2)])
        H, bounds = np.empty(offsets[-1]), np.full(len(starts) - 1, _WAITS)
        present = np.logical_or.reduceat(w[order] != 0.0, starts[:-1]) if penalty.convex else np.ones(len(bounds), bool)
        self._put_blocks(np.flatnonzero(present), pen, order, starts, offsets, H, bounds)
        columns, place = column_source(self.data.design, self.columns)
        moments = np.zeros(len(w)) if self.moments is None else self.moments
        shift = float(self.data.weight @ slope) / self.total if self.centred else 0.0
        point = Point(w.copy(), self.data.weight * slope, shift)
        before = [as_kernel_array(a) for a in (place, H, offsets, moments, self.weight)]
        layout = as_kernel_array(order), as_kernel_array(starts)
        kernel = residual_block_kernel(penalty, self.data.design.is_sparse)

        def sweep(chosen):
            moved, point.shift = kernel(columns, *before, point.w, point.u, point.shift, pen, *layout, bounds, chosen)
            if bounds.min() < _WAITS:
                length = _WAITS - bounds
                wanted = np.flatnonzero(length >= 0.5 * length.max())
                bounds[bounds < _WAITS] = _WAITS
                self._put_blocks(wanted, pen, order, starts, offsets, H, bounds)
                _, point.shift = kernel(columns, *before, point.w, point.u, point.shift, pen, *layout, bounds, wanted)
            return moved

        inverse = np.divide(1.0, self.weight, out=np.zeros_like(self.weight), where=self.weight > 0)

        def objective(at):
            r = at.u - at.shift * self.weight
            return 0.5 * float((r * r) @ inverse) + float(penalty.value(at.w, pen))

        n_epochs = sweep_groups(sweep, point, starts, order, objective, tol, max_epochs)
        step = point.w - w
        return point.w, 0.0 if self.moments is None else -(shift + self.moments @ step), n_epochs

    def _put_blocks(self, groups, pen, order, starts, offsets, H, bounds):
        """Put the matrices of these groups into `H`, and their largest eigenvalues into `bounds`."""
        for g in groups:
            members = order[starts[g] : starts[g + 1]]
            label = pen.label[members[0]]
            if label not in self.blocks:
                self.blocks[label] = self._block(members)
            H[offsets[g] : offsets[g + 1]], bounds[g] = self.blocks[label]

    def _block(self, members):
        """Second derivatives within a group, one row after another, and their largest eigenvalue."""
        block = self.data.design.gram(self.columns[members], None, self.weight, self.means)
        if self.moments is not None:
            constant = block.diagonal() <= _CONSTANT * self.total * self.moments[members] ** 2
            block[constant, :] = 0.0
            block[:, constant] = 0.0
        return np.ascontiguousarray(block).ravel(), largest_eigenvalue(block)
