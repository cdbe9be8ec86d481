"""Predicted quantiles put into order."""

import numpy as np

from skreg._quantiles import central_level, check_levels, same_level


def isotonize(q, method="sort", *, quantiles=None):
    r"""Put predicted quantiles that cross into order, row by row.

    Parameters
    ----------
    q : array-like of shape (n_samples, n_quantiles) or (n_quantiles,)
        Predicted quantiles, in the order of their levels. "sort" and "minmax" take infinite ones.
    method : {"sort", "pava", "minmax"}, default="sort"
        How:

        - "sort" sorts each row (rearrangement [1]_);
        - "pava" projects it: the increasing row with the least sum of squared changes, by pooling adjacent violators;
        - "minmax" starts at the median, and raises each quantile above it to the largest so far, lowers each below it
          to the smallest so far.
    quantiles : array-like of shape (n_quantiles,), default=None
        The levels, increasing. "minmax" starts at the one nearest to 0.5; None means the middle column. Of two equally
        near, both are put into order first.

    Returns
    -------
    q : ndarray of the shape of `q`
        Increasing in each row. Rows in order are returned as they are.

    Raises
    ------
    ValueError
        If an argument has a wrong shape or value; the message names it.

    Notes
    -----
    "sort" and "pava" bring every row nearer to any row in order, in every p-norm, and never raise the sum of the
    pinball losses over the levels, whatever is observed [2]_. "minmax" may raise it; but it only widens the central
    intervals (from the level :math:`\tau` to :math:`1 - \tau`), so that they keep their coverage: the one to use after
    conformal calibration.

    References
    ----------
    .. [1] V. Chernozhukov, I. Fernández-Val, A. Galichon (2010). Quantile and probability curves without crossing.
       Econometrica 78(3).
    .. [2] R. Fakoor, T. Kim, J. Mueller, A. J. Smola, R. J. Tibshirani (2023). Flexible model aggregation for quantile
       regression. Journal of Machine Learning Research 24(162), section 4.

    Examples
    --------
    >>> from skreg import isotonize
    >>> isotonize([[3.0, 1.0, 2.0], [0.0, 1.0, 2.0]]).tolist()
    [[1.0, 2.0, 3.0], [0.0, 1.0, 2.0]]
    >>> isotonize([3.0, 1.0, 2.0], "pava").tolist()
    [2.0, 2.0, 2.0]
    >>> isotonize([3.0, 1.0, 2.0], "minmax").tolist()
    [1.0, 1.0, 2.0]
    """
    if method not in _METHODS:
        raise ValueError(f"method must be one of {sorted(_METHODS)}; got {method!r}.")
    q = np.array(q, dtype=np.float64)
    if q.ndim not in {1, 2} or q.shape[-1] == 0:
        raise ValueError(f"q must have shape (n_samples, n_quantiles) or (n_quantiles,); got {q.shape}.")
    if np.isnan(q).any():
        raise ValueError("q must not have NaN.")
    rows = np.atleast_2d(q)  # a view: what changes there changes in q
    center = _center(rows.shape[1], quantiles)
    crossed = (rows[:, 1:] < rows[:, :-1]).any(axis=1)
    if crossed.any():
        rows[crossed] = _METHODS[method](rows[crossed], center)
    return q


def _center(n_levels, quantiles):
    """First and last column of the level nearest to 0.5: two columns where two are equally near."""
    if quantiles is None:
        return (n_levels - 1) // 2, n_levels // 2
    levels = check_levels(quantiles, "quantiles")
    if len(levels) != n_levels:
        raise ValueError(f"quantiles must have a level for each of q's {n_levels} columns; got {len(levels)}.")
    first = central_level(levels)
    both = first + 1 < n_levels and same_level(levels[first] + levels[first + 1], 1.0)
    return first, first + int(both)


def _sort(q, center):
    return np.sort(q, axis=1)


def _minmax(q, center):
    first, last = center
    lower = np.minimum.accumulate(q[:, last::-1], axis=1)[:, last - first :]
    upper = np.maximum.accumulate(q[:, first:], axis=1)[:, 1:]
    return np.hstack([lower[:, ::-1], upper])


def _pava(q, center):
    """Pool adjacent violators, all rows at once: each row has a stack of blocks with their means and sizes."""
    if not np.isfinite(q).all():
        raise ValueError("q must be finite for method='pava'.")
    n, m = q.shape
    mean, size, top = np.zeros((n, m)), np.zeros((n, m), dtype=np.intp), np.full(n, -1)
    for k in range(m):
        top += 1
        every = np.arange(n)
        mean[every, top], size[every, top] = q[:, k], 1
        rows = every
        while len(rows := rows[top[rows] > 0]):
            here = top[rows]
            rows, here = (v[mean[rows, here - 1] > mean[rows, here]] for v in (rows, here))
            pooled = size[rows, here - 1] + size[rows, here]
            mean[rows, here - 1] += (mean[rows, here] - mean[rows, here - 1]) * size[rows, here] / pooled
            size[rows, here - 1], size[rows, here] = pooled, 0
            top[rows] -= 1
    return np.repeat(mean.ravel(), size.ravel()).reshape(n, m)


_METHODS = {"sort": _sort, "pava": _pava, "minmax": _minmax}
