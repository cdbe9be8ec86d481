"""The quadratic model of a working set in residual form: for sets whose Gram matrix would cost more than sweeps do."""

from typing import Any

import numpy as np

from skreg.kernels._residual_cd import DenseColumns, WeightedColumns, residual_kernel
from skreg.kernels._residual_cg import support_kernel
from skreg.kernels._specialize import as_kernel_array
from skreg.penalties import restrict
from skreg.solvers._block_model import BlockModel, Point
from skreg.solvers._newton_finish import first_crossing, stay_inside

CONSTANT = 1e-25  # variance over squared mean below which a column counts as constant
_SWEEPS = 16  # sweeps of coordinate descent between two steps on the support
_ITERATIONS = 20  # iterations of conjugate gradients for the first; twice as many after each that kept the support, ...
_MOST_ITERATIONS = 200  # ... up to this number
_ENOUGH = 1e-2  # residual, as a share of the first, at which they end
_FLAT = 0.1  # likewise an iteration's gain, as a share of the best
_INEXACT = 48  # sweeps and iterations spent on a model that is but an approximation


class ResidualModel:
    """The columns themselves, with the second derivative of each.

    Attributes
    ----------
    columns : ndarray of shape (m,)
        The coordinates.
    curvature : ndarray of shape (m,)
        Their second derivatives, the intercept following.
    moments : ndarray of shape (m,) or None
        Weighted means of the columns: what the intercept gives up for a unit of each coordinate.
    """

    moments: Any = None

    def __init__(self, data, curvature):
        self.data = data
        self.columns = np.empty(0, dtype=np.int64)
        self.update(curvature)

    def update(self, curvature):
        """Take over a new curvature; `extend` must follow. Always True: it costs two passes over the columns."""
        self.weight = self.data.weight * curvature
        self.total = float(self.weight.sum())
        self.block: Any = None
        return True

    def extend(self, coordinates):
        """Take these coordinates in place of those that are there."""
        design = self.data.design
        if not np.array_equal(coordinates, self.columns):
            self.columns = coordinates
            self.source = [as_kernel_array(a) for a in design.kernel_columns(coordinates)]
        elif self.block is not None:
            return
        centred = self.data.fit_intercept and self.total > 0
        self.curvature = design.curvature(self.weight, centred, coordinates)
        self.moments = design.rmatvec(self.weight, coordinates) / self.total if centred else None
        if centred:  # what is left of columns that the intercept explains is rounding
            self.curvature[self.curvature <= CONSTANT * self.total * self.moments**2] = 0.0
        if design.is_sparse:
            indptr, indices, values = self.source
            weighted = as_kernel_array(values * self.weight[indices])
            self.block = WeightedColumns(indptr.view(np.uint64), indices.view(np.uint64), values, weighted)
        else:
            self.block = DenseColumns(*self.source)

    profiled = BlockModel.profiled

    def minimise(self, w, gradient, slope, penalty, pen, tol, aim=None, max_epochs=2_000):
        """As `GramModel.minimise`: sweeps of coordinate descent and, between them, Newton steps on the support.

        Of a loss that is not quadratic the model is approximate, and its minimum is only worth so much.
        """
        data, pen = self.data, restrict(pen, self.columns)
        if not data.loss.quadratic:
            max_epochs = min(max_epochs, _INEXACT)
        kernel = residual_kernel(penalty, data.design.is_sparse)
        moments = np.zeros(len(w)) if self.moments is None else self.moments
        arrays = [as_kernel_array(a) for a in (self.curvature, moments, self.weight)]
        shift = 0.0 if self.moments is None else float(data.weight @ slope) / self.total
        point, iterations, n_epochs = Point(w.copy(), data.weight * slope, shift), _ITERATIONS, 0
        while True:
            sweeps = min(_SWEEPS, max_epochs - n_epochs)
            done, worst, point.shift = kernel(self.block, *arrays, point.w, point.u, point.shift, pen, sweeps, tol)
            n_epochs += done
            if worst <= tol or n_epochs >= max_epochs:
                break
            done, kept = self._newton_step(point, penalty, pen, moments, iterations)
            n_epochs += done
            iterations = min(2 * iterations, _MOST_ITERATIONS) if kept else max(iterations // 2, _ITERATIONS)
        return point.w, 0.0 if self.moments is None else -(shift + moments @ (point.w - w)), n_epochs

    def _newton_step(self, point, penalty, pen, moments, max_iter):
        """Newton step on the support by conjugate gradients, which moves `point`.

        On the support the penalty is smooth. Coordinates that the step would carry through zero, or over a bound, stop
        there; it is shortened until the objective falls. Returns the number of iterations, and whether the step was
        taken in full and no coordinate stopped.
        """
        place = np.flatnonzero((point.w != 0) & (point.w > pen.lower) & (point.w < pen.upper))
        if not len(place):
            return 0, False
        design, columns, local, old = self.data.design, self.columns[place], restrict(pen, place), point.w[place]
        gradient = design.rmatvec(point.u - point.shift * self.weight, columns)
        slope, bend = gradient + penalty.derivative(old, local), penalty.second_derivative(old, local)
        curvature, moments, step = self.curvature[place], moments[place], np.empty(len(place))
        diagonal = np.where(curvature + bend > 0, curvature + bend, curvature)
        system = map(as_kernel_array, (place, diagonal, bend, moments, self.weight, slope))
        n_iter = support_kernel(design.is_sparse)(self.block, *system, max_iter, _ENOUGH, _FLAT, step)
        value = penalty.value(old, local)
        for length in (1.0, 0.5, 0.25, first_crossing(old, step)):
            new = stay_inside(old, old + length * step, local)
            change = design.matvec(new - old, columns) - moments @ (new - old)  # of the predictor
            gain = gradient @ (new - old) + 0.5 * (self.weight @ change**2) + penalty.value(new, local) - value
            if gain <= 0:
                point.w[place] = new
                point.u += self.weight * change
                return n_iter, length == 1.0 and bool(new.all())
        return n_iter, False
