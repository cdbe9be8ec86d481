"""The quadratic model of the multinomial loss over a working set of groups in residual form: for large sets."""

import numpy as np

from skreg._problem import softmax_intercept_inverse
from skreg.kernels._multinomial_block_cd import multinomial_block_kernel
from skreg.kernels._specialize import as_kernel_array
from skreg.penalties import restrict
from skreg.solvers._block_descent import largest_eigenvalue
from skreg.solvers._block_model import Point, column_source, sweep_groups

_CONSTANT = 1e-13  # share of a group's second derivatives below which the intercepts explain it


class MultinomialBlockModel:
    """Columns of a growing list of coordinates, whole groups at a time; curvature as in `MultinomialGramModel`."""

    def __init__(self, data, probabilities, majorise=False):
        K = data.n_outputs
        self.data = data
        self.columns = np.empty(0, dtype=np.int64)
        if majorise:
            probabilities = np.full_like(probabilities, 1.0 / K)
        weight = 0.5 * K * data.weight if majorise else data.weight
        self.probabilities, self.weight = probabilities, weight
        weighted = (probabilities.T * weight)[:, None, :]
        self.Q = weighted * (np.eye(K)[:, :, None] - probabilities.T)  # outputs x outputs x samples
        self.mixed = np.empty((0, K))  # second derivatives by coordinates and intercepts
        self.inverse = np.zeros((K, K))
        if data.fit_intercept:
            self.inverse = softmax_intercept_inverse(weight, probabilities)
        self.blocks: dict = {}  # by number of the group: its matrix, and the largest eigenvalue

    def extend(self, coordinates):
        """Take the coordinates that are not there yet."""
        new = coordinates[~np.isin(coordinates, self.columns)]
        if not len(new):
            return
        self.columns = np.concatenate([self.columns, new])
        mixed = np.zeros((len(new), self.data.n_outputs))
        if self.data.fit_intercept:
            p = self.data.design.n_features
            features, place = np.unique(new % p, return_inverse=True)
            for l in range(mixed.shape[1]):
                mixed[:, l] = self.data.design.rmatvec(np.ascontiguousarray(self.Q[l].T), features)[place, new // p]
        self.mixed = np.concatenate([self.mixed, mixed])

    def profiled(self, gradient, slope):
        """As `BlockModel.profiled`."""
        own = self.data.weight @ slope
        return gradient - self.mixed @ (self.inverse @ own), own

    def minimise(self, w, gradient, slope, penalty, pen, tol, aim=None, max_epochs=2_000):
        """As `BlockModel.minimise`."""
        data, pen = self.data, restrict(pen, self.columns)
        output = self.columns // data.design.n_features
        order = np.lexsort((output, pen.label))
        starts = np.flatnonzero(np.diff(pen.label[order], prepend=-1, append=-1))
        H, offsets, bounds = self._blocks(pen, order, starts)
        columns, place = column_source(data.design, self.columns % data.design.n_features)
        first = np.ascontiguousarray(slope.T * data.weight)
        point = Point(w.copy(), first.copy(), -self.inverse @ (data.weight @ slope))
        before = [as_kernel_array(a) for a in (place, H, offsets, self.mixed, self.inverse, self.Q)]
        after = [as_kernel_array(a) for a in (order, starts, bounds, output)]
        kernel = multinomial_block_kernel(penalty, data.design.is_sparse)

        def sweep(chosen):
            return kernel(columns, *before, point.w, point.u, point.shift, pen, *after, chosen)

        def objective(at):
            return self._change(at, w, first) + float(penalty.value(at.w, pen))

        n_epochs = sweep_groups(sweep, point, starts, order, objective, tol, max_epochs)
        return point.w, point.shift, n_epochs

    def _change(self, at, w, first):
        """What the model gains over its value at `w`, where the gradient is `first`: 1/2 (first + last)'(d eta)."""
        full = np.zeros(self.data.n_coordinates)
        full[self.columns] = at.w - w
        last = at.u + np.tensordot(at.shift, self.Q, 1)
        return 0.5 * float(np.sum((first + last).T * (self.data.apply(full, np.flatnonzero(full)) + at.shift)))

    def _blocks(self, pen, order, starts):
        """As `BlockModel._blocks`."""
        blocks, bounds = [], np.zeros(len(starts) - 1)
        for g in range(len(bounds)):
            members = order[starts[g] : starts[g + 1]]
            label = pen.label[members[0]]
            if label not in self.blocks:
                self.blocks[label] = self._block(members)
            block, bounds[g] = self.blocks[label]
            blocks.append(block)
        offsets = np.concatenate([[0], np.cumsum(np.diff(starts) ** 2)])
        return np.concatenate(blocks) if blocks else np.empty(0), offsets, bounds

    def _block(self, members):
        """Second derivatives within a group whose coordinates are ordered by output, and their largest eigenvalue."""
        design = self.data.design
        features, output = self.columns[members] % design.n_features, self.columns[members] // design.n_features
        runs = [slice(a, b) for a, b in zip(*_ends(output))]
        H = np.empty((len(members), len(members)))
        for i in runs:
            for j in runs[runs.index(i) :]:
                weight = self.Q[output[i.start], output[j.start]]
                same = np.array_equal(features[i], features[j])
                block = design.gram(features[i], None if same else features[j], np.abs(weight))
                H[i, j] = block if i == j else -block
                H[j, i] = H[i, j].T
        size = H.trace()
        H -= self.mixed[members] @ self.inverse @ self.mixed[members].T
        bound = largest_eigenvalue(H)
        return H.ravel(), bound if bound > _CONSTANT * size else 0.0


def _ends(output):
    """Where runs of equal entries begin and end."""
    edges = np.flatnonzero(np.diff(output, prepend=-1, append=-1))
    return edges[:-1], edges[1:]
