r"""Groups of more features than there are samples: their problem in as many coordinates as there are samples.

With :math:`X_g^\top = V R` (thin QR, V of orthonormal columns) the predictor :math:`X_g w_g = R^\top (V^\top w_g)`
knows nothing of what is orthogonal to V, and the gradient :math:`X_g^\top \theta` lies in the span of V. So a penalty
that rises with :math:`\|w_g\|_2` has its minimum at some :math:`w_g = V c`, where :math:`\|w_g\|_2 = \|c\|_2`: the
problem in c, with the columns :math:`R^\top`, is the same one. Only groups that enter a working set are factored; the
certificate is that of the problem as it was posed.
"""

import numpy as np

from skreg._design import DenseDesign
from skreg._problem import Data, Problem
from skreg.penalties import RadialPenalty, restrict

_NARROW = 256  # coordinates up to which there is nothing to gain
_WIDE = 1.5  # features a sample from which a group is wide: below, turning it costs what it saves


def has_wide_groups(problem):
    """Whether some group has many more features than there are samples, under a penalty of the groups' norms."""
    penalty, p, wide = problem.penalty, problem.data.design.n_features, _WIDE * problem.data.design.n_samples
    if not isinstance(penalty, RadialPenalty) or p <= _NARROW or penalty.sizes.max(initial=0) <= wide:
        return False
    label = penalty.labels.reshape(-1, p)
    _, first, group, size = np.unique(label[0], return_index=True, return_inverse=True, return_counts=True)
    return bool(size.max() > wide and (label == label[:, first[group]]).all())


class WideGroups:
    """Orthonormal bases of the groups that were needed so far, and the last problem in their coordinates."""

    def __init__(self, data, penalty):
        self.data = data
        self.labels = penalty.labels.reshape(-1, data.design.n_features)
        self.order = np.argsort(self.labels[0], kind="stable")
        ends = np.flatnonzero(np.diff(self.labels[0][self.order], append=-1)) + 1
        self.columns = np.split(self.order, ends[:-1])
        self.number = np.empty(len(self.order), dtype=np.int64)  # of each feature's group
        for g, columns in enumerate(self.columns):
            self.number[columns] = g
        self.factors: dict = {}
        self.last: dict = {}

    def factor(self, g):
        """Columns of group g in its own coordinates, and the basis V; None for V where the group is not wide."""
        if g not in self.factors:
            n, columns = self.data.design.n_samples, self.columns[g]
            block = self.data.design.rows(np.arange(n), columns)
            self.factors[g] = (block, None)
            if len(columns) > _WIDE * n:
                V, R = np.linalg.qr(block.T)
                self.factors[g] = (R.T, V)
        return self.factors[g]

    def restrict(self, members):
        """The coordinates of the groups to which `members` belong."""
        key = tuple(np.unique(self.number[members % len(self.number)]).tolist())
        if key not in self.last:
            self.last = {key: Turned(self, key)}
        return self.last[key]


class Turned:
    """The data of some groups in their own coordinates."""

    def __init__(self, groups, chosen):
        data = groups.data
        factors = [groups.factor(g) for g in chosen]
        self.columns, self.bases = [groups.columns[g] for g in chosen], [V for _, V in factors]
        self.ends = np.cumsum([block.shape[1] for block, _ in factors])
        X = np.asfortranarray(np.hstack([block for block, _ in factors]))
        self.data = Data(DenseDesign(X), data.y, data.weight, data.loss, data.fit_intercept, data.offset)
        first = np.repeat([columns[0] for columns in self.columns], np.diff(self.ends, prepend=0))
        p = data.design.n_features
        self.pick = (first + p * np.arange(data.n_outputs)[:, None]).ravel()  # a coordinate of the same group
        self.labels = np.unique(groups.labels.ravel()[self.pick], return_inverse=True)[1]
        self.state = None  # of the last solution

    def problem(self, problem):
        """`problem` on these groups."""
        penalty = RadialPenalty(problem.penalty.base, self.labels)
        pen = restrict(problem.pen, self.pick)._replace(label=penalty.labels)
        return Problem(self.data, penalty, pen)

    def towards(self, w):
        """Coefficients in the groups' own coordinates."""
        W = w.reshape(self.data.n_outputs, -1)
        parts = [W[:, own] if V is None else W[:, own] @ V for own, V in zip(self.columns, self.bases)]
        return np.hstack(parts).ravel()

    def back(self, c, w):
        """`w` with the coefficients of these groups replaced by those of which `c` are the own coordinates."""
        W, C = w.reshape(self.data.n_outputs, -1).copy(), c.reshape(self.data.n_outputs, -1)
        for own, V, part in zip(self.columns, self.bases, np.split(C, self.ends[:-1], axis=1)):
            W[:, own] = part if V is None else part @ V.T
        return W.ravel()


def descend_turned(problem, state, solver, share):
    """Solve `problem` on the working set in the groups' own coordinates, to a share of the null model's measure."""
    if not isinstance(state.model, WideGroups) or state.model.data is not problem.data:
        state.model = WideGroups(problem.data, problem.penalty)
    turned = state.model.restrict(state.members)
    small = turned.problem(problem)
    if turned.state is None:
        turned.state = type(state)(turned.data)
    inner = turned.state
    inner.w, inner.b, inner.eta, inner.gradient = turned.towards(state.w), state.b, None, None
    inner.members = np.union1d(inner.members, np.flatnonzero(inner.w))
    if not small.convex:
        share = share * problem.data.null.violation / max(turned.data.null.violation, np.finfo(float).tiny)
    solution = type(solver)(**{**solver.get_params(), "tol": share}).solve(small, inner)
    state.w, state.b = turned.back(solution.coef, state.w), solution.intercept
    state.eta = problem.data.predictor(state.w, state.b)
