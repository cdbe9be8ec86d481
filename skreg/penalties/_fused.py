"""The fused Lasso: total variation of the coefficients over a chain or any graph."""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from skreg.kernels._specialize import as_kernel_array
from skreg.kernels._total_variation import chain_tv, send_flow, tv_kernel
from skreg.penalties._structured import Structure, StructuredPenalty

_NOISE = 1e-14  # of the largest number: flows below count as none
_ROUNDS = 100  # of the search for the dual norm


class FusedParams(NamedTuple):
    """The fused Lasso bound to a problem."""

    alpha: float
    weights: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    l1_ratio: float
    edges: np.ndarray
    chain: bool


class Fused(StructuredPenalty):
    r"""The fused Lasso: differences of neighbouring coefficients, and the coefficients themselves.

    .. math:: \Omega(w) = \alpha \Big( (1 - \rho) \sum_{(i, j) \in E} |w_i - w_j| + \rho \|w\|_1 \Big), \qquad
              \rho = \texttt{l1\_ratio}

    Parameters
    ----------
    edges : "chain" or array-like of int of shape (n_edges, 2), default="chain"
        The pairs of neighbours; "chain" is (0, 1), (1, 2), ...; pairs that are given twice count twice.
    l1_ratio : float, default=0.0
        Share of the L1 norm, from 0 (total variation alone) to 1 (Lasso).

    Notes
    -----
    The prox of the total variation takes linear time on a chain [1]_. On another graph it halves sets of nodes by
    minimum cuts until all coefficients of a set are equal [2]_. A soft threshold then gives that of the sum [3]_. The
    dual norm is a ratio that some set of nodes attains; Newton's method for it, whose steps are proxes, finds it.

    References
    ----------
    .. [1] N. Johnson (2013), A dynamic programming algorithm for the fused lasso and L0-segmentation. Journal of
       Computational and Graphical Statistics 22(2), 246-260.
    .. [2] D. Hochbaum (2001), An efficient algorithm for image segmentation, Markov random fields and related
       problems. Journal of the ACM 48(4), 686-701.
    .. [3] J. Friedman, T. Hastie, H. Hofling, R. Tibshirani (2007), Pathwise coordinate optimization. Annals of
       Applied Statistics 1(2), 302-332, section 5.

    Examples
    --------
    >>> import numpy as np
    >>> from skreg.penalties import Fused
    >>> free = np.full(4, np.inf)
    >>> pen = Fused().bind(alpha=1.0, weights=np.ones(4), lower=-free, upper=free, curvature=None)
    >>> Fused().prox(np.array([0.0, 1.0, 6.0, 6.0]), 1.0, pen)
    array([1. , 1. , 5.5, 5.5])
    """

    name = "fused"

    def __init__(self, edges="chain", l1_ratio=0.0):
        self.edges = edges
        self.l1_ratio = l1_ratio

    def bind(self, alpha, weights, lower, upper, curvature):
        """Join shape and strength; ValueError where `edges` or `l1_ratio` is wrong."""
        if not 0 <= self.l1_ratio <= 1:
            raise ValueError(f"l1_ratio must be between 0 and 1 inclusive; got {self.l1_ratio!r}.")
        p = weights.shape[0]
        edges = graph_edges(self.edges, p)
        chain = np.array_equal(np.sort(edges.min(axis=1, initial=p)), np.arange(p - 1))
        chain = chain and bool((np.abs(np.diff(edges)) == 1).all())
        return FusedParams(float(alpha), weights, lower, upper, float(self.l1_ratio), edges, chain)

    def _values(self, w, pen):
        i, j = pen.edges.T
        half = 0.5 * (1.0 - pen.l1_ratio) * np.abs(w[i] - w[j])
        shares = np.bincount(i, half, len(w)) + np.bincount(j, half, len(w))
        return pen.alpha * (shares + pen.l1_ratio * np.abs(w))

    def _prox(self, z, step, pen):
        lam, t = step * pen.alpha * (1.0 - pen.l1_ratio), step * pen.alpha * pen.l1_ratio
        x = z.copy()
        if lam > 0 and len(pen.edges):
            block = _chain_blocks(z, lam) if pen.chain else _graph_blocks(z, lam, pen.edges)
            x = _block_values(z, lam, pen.edges, *block)
        return x - np.minimum(np.maximum(x, -t), t)

    def dual_norm(self, z, pen, at_least=0.0):
        """Largest ratio of the sum of z over a set of nodes to the set's own penalty (edges cut, and size)."""
        pen = pen._replace(alpha=1.0)
        largest = np.abs(z).max(initial=0.0)
        gauge = at_least
        for _ in range(_ROUNDS):
            x = self._prox(z, 1.0, pen._replace(alpha=gauge)) if gauge > 0 else z
            x = np.where(np.abs(x) > 16.0 * np.finfo(float).eps * largest, x, 0.0)
            if not x.any():
                return gauge
            ratio = self._best_level_set(x, z, pen)
            if not ratio > gauge * (1.0 + 1e-15):
                return gauge
            if np.isinf(ratio):
                return ratio
            gauge = ratio
        return gauge

    def _best_level_set(self, x, z, pen):
        """Largest ratio over the sets {x > t}, t >= 0, and {x < -t}, for z and -z."""
        best = 0.0
        for sign in (1.0, -1.0):
            order = np.argsort(-sign * x, kind="stable")
            rank = np.empty(len(x), dtype=np.int64)
            rank[order] = np.arange(len(x))
            ends = np.sort(rank[pen.edges], axis=1)
            cut = np.cumsum(np.bincount(ends[:, 0], minlength=len(x)) - np.bincount(ends[:, 1], minlength=len(x)))
            own = (1.0 - pen.l1_ratio) * cut + pen.l1_ratio * np.arange(1, len(x) + 1)
            sums = sign * np.cumsum(z[order])
            level = (sign * x[order] > 0) & (sums > 0)
            level[:-1] &= np.diff(x[order]) != 0
            if pen.l1_ratio == 0.0:  # whole components cost nothing, and sums over them are 0 but for rounding
                level &= (own > 0) | (sums > 1e-12 * np.abs(z).sum())
            if level.any():
                with np.errstate(divide="ignore"):
                    best = max(best, float(np.max(sums[level] / own[level])))
        return best

    def free(self, pen):
        """Connected components, if there is no L1 norm; every direction where alpha is 0."""
        if pen.alpha == 0:
            return np.arange(pen.weights.shape[0])
        if pen.l1_ratio > 0:
            return None
        return _components(pen.edges, pen.weights.shape[0])

    def structure(self, w, pen):
        """Connected sets of equal coefficients, without those at 0 where there is an L1 norm."""
        p = len(w)
        fuse = pen.alpha * (1.0 - pen.l1_ratio) > 0
        i, j = pen.edges.T
        block = _components(pen.edges[w[i] == w[j]], p) if fuse else np.arange(p)
        rise = pen.alpha * pen.l1_ratio * np.sign(w)
        if fuse:
            pull = pen.alpha * (1.0 - pen.l1_ratio) * np.sign(w[i] - w[j])
            rise = rise + np.bincount(i, pull, p) - np.bincount(j, pull, p)
        kept = np.arange(p) if pen.l1_ratio == 0 else np.flatnonzero(w)
        index = kept[np.argsort(block[kept], kind="stable")]
        block = np.unique(block[index], return_inverse=True)[1]
        return Structure(index, block, np.ones(len(index)), np.bincount(block, rise[index]))


def graph_edges(edges, n_features):
    """The edges as an integer array of shape (n_edges, 2), checked."""
    if isinstance(edges, str):
        if edges != "chain":
            raise ValueError(f"edges must be 'chain' or an array of pairs of columns; got {edges!r}.")
        return np.c_[: n_features - 1, 1:n_features]
    try:
        found = np.asarray(edges)
        found = found.reshape(0, 2) if found.size == 0 else found
    except ValueError:
        found = None
    if found is None or found.ndim != 2 or found.shape[1] != 2 or (found.size and found.dtype.kind not in "iu"):
        raise ValueError(
            "edges must be 'chain' or an array of integers of shape (n_edges, 2), a pair of columns in each row; "
            f"got {'an irregular list' if found is None else f'shape {found.shape} and dtype {found.dtype}'}."
        )
    found = found.astype(np.int64)
    outside = (found < 0) | (found >= n_features)
    if outside.any():
        row = int(np.flatnonzero(outside.any(axis=1))[0])
        raise ValueError(
            f"edges names the column {int(found[outside][0])} in row {row}, but X has {n_features} columns, 0 to "
            f"{n_features - 1}."
        )
    if (found[:, 0] == found[:, 1]).any():
        row = int(np.flatnonzero(found[:, 0] == found[:, 1])[0])
        raise ValueError(f"edges must join different columns; row {row} joins {int(found[row, 0])} to itself.")
    return found


def _components(edges, p):
    graph = sp.coo_array((np.ones(len(edges)), edges.T), shape=(p, p))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def _chain_blocks(z, lam):
    """Block of each coefficient of the prox on a chain, and the prox but for rounding."""
    x = np.empty(len(z))
    tv_kernel(chain_tv, 10 * len(z))(as_kernel_array(z), float(lam), x)
    return np.cumsum(np.diff(x, prepend=x[0]) != 0), x


def _graph_blocks(z, lam, edges):
    """As `_chain_blocks` on any graph.

    A block at its mean has excess to be carried off. What the room along its edges does not let through lies on the
    source side of a minimum cut; there the coefficients are larger. Edges between blocks stay full.
    """
    n = len(z)
    tail, head = np.concatenate([edges, edges[:, ::-1]]).T
    order = np.argsort(tail, kind="stable")
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    start = np.concatenate([[0], np.cumsum(np.bincount(tail, minlength=n))])
    back = np.roll(place, len(edges))[order]
    tail, head = tail[order], head[order]
    graph = tuple(map(as_kernel_array, (start, head, back)))
    noise = _NOISE * max(np.abs(z).max(initial=0.0), lam)
    residual, total, block = np.full(len(order), lam), z, _components(edges, n)
    while True:
        mean = np.bincount(block, total) / np.bincount(block)
        excess = total - mean[block]
        reached = tv_kernel(send_flow, 20 * len(order))(excess, residual, *graph, noise)
        new = np.unique(2 * block + reached, return_inverse=True)[1]
        if new.max() == block.max():
            return block, mean[block]
        total, block = excess + mean[block], new
        residual[block[tail] != block[head]] = 0.0


def _block_values(z, lam, edges, block, x):
    """Values of the blocks from their means and what their neighbours pull: exact to rounding."""
    i, j = edges.T
    pull = lam * np.sign(x[i] - x[j])
    pull[block[i] == block[j]] = 0.0
    total = np.bincount(block, z) - np.bincount(block[i], pull, block.max() + 1)
    total += np.bincount(block[j], pull, block.max() + 1)
    return (total / np.bincount(block))[block]
