"""The exclusive Lasso: competition within groups."""

from typing import NamedTuple

import numpy as np

from skreg._backend import to_numpy
from skreg.penalties._structured import Structure, StructuredPenalty

_FAR = 1e3  # alpha_max over the largest curvature of a column


class ExclusiveParams(NamedTuple):
    """The exclusive Lasso bound to a problem; `label` numbers each coordinate's group."""

    alpha: float
    weights: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    label: np.ndarray


class Exclusive(StructuredPenalty):
    r"""The exclusive Lasso: a squared L1 norm for each group, so that few in each group are chosen, and not few groups.

    .. math:: \Omega(w) = \frac{\alpha}{2} \sum_g \Big( \sum_{j \in g} |w_j| \Big)^2

    Parameters
    ----------
    labels : array-like of int of shape (n_features,)
        Number of each coordinate's group, from 0 on without gaps.

    Notes
    -----
    The prox with step s is a soft threshold by :math:`s \alpha \|x_g\|_1` within each group; with magnitudes sorted,
    :math:`\|x_g\|_1 = \max_k \sum_{i \le k} |z|_{(i)} / (1 + k s \alpha)`. The conjugate is
    :math:`\sum_g \max_{j \in g} z_j^2 / (2 \alpha)`, finite everywhere. As with a ridge penalty no finite alpha
    empties the model; `alpha_max` is 1000 times the largest curvature of a column.

    References
    ----------
    .. [1] Y. Zhou, R. Jin, S. Hoi (2010), Exclusive lasso for multi-task feature selection. AISTATS.
    .. [2] F. Campbell, G. Allen (2017), Within group variable selection through the exclusive lasso. Electronic
       Journal of Statistics 11(2), 4220-4257.

    Examples
    --------
    >>> import numpy as np
    >>> from skreg.penalties import Exclusive
    >>> penalty, free = Exclusive([0, 0, 1]), np.full(3, np.inf)
    >>> pen = penalty.bind(alpha=1.0, weights=np.ones(3), lower=-free, upper=free, curvature=None)
    >>> penalty.prox(np.array([4.0, 1.0, 1.0]), 1.0, pen)
    array([2. , 0. , 0.5])
    """

    name = "exclusive"
    finite_conjugate = True

    def __init__(self, labels):
        self.labels = labels

    def bind(self, alpha, weights, lower, upper, curvature):
        """Join groups and strength."""
        label = np.asarray(self.labels, dtype=np.int64)
        if label.shape != (weights.shape[0],):
            raise ValueError(
                f"labels must have one entry a feature, shape ({weights.shape[0]},); got shape {label.shape}."
            )
        return ExclusiveParams(float(alpha), weights, lower, upper, label)

    def _norms(self, w, pen):
        return np.bincount(pen.label, np.abs(w))

    def _values(self, w, pen):
        return 0.5 * pen.alpha * self._norms(w, pen)[pen.label] * np.abs(w)

    def _prox(self, z, step, pen):
        magnitude, t = np.abs(z), step * pen.alpha
        order = np.lexsort((-magnitude, pen.label))
        group, size = pen.label[order], np.bincount(pen.label)
        start = np.cumsum(size) - size
        sums = np.cumsum(magnitude[order])
        sums -= (sums - magnitude[order])[start][group]
        rank = np.arange(1, len(z) + 1) - start[group]
        norm = np.maximum.reduceat(sums / (1.0 + rank * t), start)
        for _ in range(2):  # sums over all groups have rounded: once more over each group's own support
            support = magnitude > t * norm[pen.label]
            count = np.bincount(pen.label, support)
            norm = np.bincount(pen.label, magnitude * support) / (1.0 + count * t)
        x = np.maximum(magnitude - t * norm[pen.label], 0.0)
        return np.where(x > 0, np.copysign(x, z), 0.0)

    def conjugate(self, z, pen, xp=np):
        """The groups' conjugates, in equal shares."""
        return xp.zeros_like(z) + self._conjugate(z, pen, xp) / z.shape[0]

    def _conjugate(self, z, pen, xp):
        largest = np.zeros(int(pen.label.max()) + 1)
        np.maximum.at(largest, pen.label, np.abs(to_numpy(z)))
        if pen.alpha == 0:
            return 0.0 if not largest.any() else np.inf
        return float(largest @ largest) / (2.0 * pen.alpha)

    def dual_scale(self, z, w, pen, xp=np):
        """1: every point is feasible (but where alpha is 0)."""
        return 1.0

    def alpha_max(self, grad, curvature, weights, lower, upper):
        """1000 times the largest curvature, where coefficients are nearly 0; 0 where they are 0 at any alpha."""
        return float(_FAR * np.max(curvature)) if np.any(grad) else 0.0

    def structure(self, w, pen):
        """Each coefficient that is not 0 by itself."""
        index = np.flatnonzero(w)
        label, slope = pen.label[index], pen.alpha * self._norms(w, pen)
        return Structure(index, np.arange(len(index)), np.sign(w[index]), slope[label], pen.alpha, label)
