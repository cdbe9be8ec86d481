"""Scores of predicted quantiles at several levels."""

import numpy as np

from skreg._quantiles import are_symmetric, check_levels
from skreg.metrics._checks import as_quantiles, as_vector, weighted_mean


def mean_pinball_loss(y_true, y_quantiles, quantiles, *, sample_weight=None, average=True):
    r"""Pinball loss of predicted quantiles, the mean over samples and levels.

    .. math::
        \frac{1}{Q} \sum_{k=1}^{Q} \frac{1}{\sum_i s_i} \sum_i s_i \, \psi_{\tau_k}(y_i - q_{ik}),
        \qquad \psi_\tau(r) = \max(\tau r, (\tau - 1) r)

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Observed values.
    y_quantiles : array-like of shape (n_samples, n_quantiles)
        Predicted quantiles. They may cross, and may be infinite: then the loss is.
    quantiles : float or array-like of shape (n_quantiles,)
        Levels :math:`\tau_k`, increasing.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the samples.
    average : bool, default=True
        Whether to average over the levels.

    Returns
    -------
    loss : float or ndarray of shape (n_quantiles,)
        Mean loss, or that of each level if ``average=False``; in the units of y, 0 is best.

    See Also
    --------
    weighted_interval_score : Twice this loss, for levels that pair up.

    Examples
    --------
    >>> from skreg.metrics import mean_pinball_loss
    >>> mean_pinball_loss([1.0, 3.0], [[0.0, 2.0], [1.0, 2.0]], [0.25, 0.75])
    0.4375
    """
    losses = weighted_mean(_pinball(*_checked(y_true, y_quantiles, quantiles)), sample_weight)
    return float(losses.mean()) if average else losses


def weighted_interval_score(y_true, y_quantiles, quantiles, *, sample_weight=None):
    r"""Weighted interval score of central prediction intervals.

    Levels pair up as :math:`\alpha_k / 2` and :math:`1 - \alpha_k / 2`, the ends :math:`l_k` and :math:`u_k` of K
    central intervals; the median m may be there too. The score of a sample is

    .. math::
        \frac{1}{Q / 2} \Bigl( \frac{1}{2} |y - m| + \sum_{k=1}^{K} \frac{\alpha_k}{2} \mathrm{IS}_{\alpha_k}(l_k, u_k;
        y) \Bigr),

    with :math:`\mathrm{IS}` the `interval_score` and Q the number of levels, 2K + 1 with the median [1]_. It equals
    twice the mean pinball loss of the levels. Some authors sum where this takes the mean: their score is Q times this
    one.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Observed values.
    y_quantiles : array-like of shape (n_samples, n_quantiles)
        Predicted quantiles.
    quantiles : array-like of shape (n_quantiles,)
        Levels, increasing and symmetric: with each level also one less it.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the samples.

    Returns
    -------
    score : float
        Mean over samples, in the units of y; 0 is best.

    Raises
    ------
    ValueError
        If the levels do not pair up, or an argument has a wrong shape or value.

    References
    ----------
    .. [1] J. Bracher, E. L. Ray, T. Gneiting, N. G. Reich (2021). Evaluating epidemic forecasts in an interval format.
       PLOS Computational Biology 17(2).

    Examples
    --------
    >>> from skreg.metrics import weighted_interval_score
    >>> weighted_interval_score([1.0, 3.0], [[0.0, 1.0, 2.0], [1.0, 1.0, 2.0]], [0.25, 0.5, 0.75])
    0.9166666666666666
    """
    levels = check_levels(quantiles, "quantiles")
    if not are_symmetric(levels):
        raise ValueError(f"quantiles must be symmetric, each level with one less it; got {levels.tolist()}.")
    return 2.0 * mean_pinball_loss(y_true, y_quantiles, levels, sample_weight=sample_weight)


def crps(y_true, y_quantiles, quantiles, *, sample_weight=None):
    r"""Continuous ranked probability score of the distribution that predicted quantiles describe.

    .. math::
        \mathrm{CRPS}(F, y) = \int (F(x) - 1\{y \le x\})^2 \, dx

    is computed without error for the F whose quantile function is linear between the levels and constant beyond the
    first and the last, where F has the rest of its mass. As levels are added this tends to the score of the
    distribution that the quantiles are of. With one level it is the absolute error.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Observed values.
    y_quantiles : array-like of shape (n_samples, n_quantiles)
        Predicted quantiles. Rows that cross are sorted. The score is infinite where a quantile is.
    quantiles : float or array-like of shape (n_quantiles,)
        Levels, increasing.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the samples.

    Returns
    -------
    score : float
        Mean over samples, in the units of y; 0 is best.

    See Also
    --------
    weighted_interval_score : Has the quantiles alone as its optimum, whatever the levels; of few levels, prefer it.

    References
    ----------
    .. [1] T. Gneiting, A. E. Raftery (2007). Strictly proper scoring rules, prediction, and estimation. Journal of the
       American Statistical Association 102(477), section 4.2.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.stats import norm
    >>> from skreg.metrics import crps
    >>> levels = np.arange(1, 1000) / 1000
    >>> round(crps([0.5], norm.ppf(levels)[None], levels), 3)  # 0.331 for the Normal distribution
    0.331
    """
    y, q, levels = _checked(y_true, y_quantiles, quantiles)
    finite = np.isfinite(q).all(axis=1)
    scores = np.full(len(y), np.inf)
    scores[finite] = _crps(y[finite, None], np.sort(q[finite], axis=1), levels)
    return float(weighted_mean(scores, sample_weight))


def quantile_coverage(y_true, y_quantiles, *, sample_weight=None):
    r"""Share of observed values at or below each predicted quantile.

    Calibrated predictions of a continuous target have their levels as shares: the points of a reliability diagram.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Observed values.
    y_quantiles : array-like of shape (n_samples, n_quantiles)
        Predicted quantiles.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the samples.

    Returns
    -------
    shares : ndarray of shape (n_quantiles,)
        Between 0 and 1.

    See Also
    --------
    coverage : Of intervals.

    Examples
    --------
    >>> from skreg.metrics import quantile_coverage
    >>> quantile_coverage([1.0, 3.0], [[0.0, 2.0], [3.0, 4.0]]).tolist()
    [0.5, 1.0]
    """
    y = as_vector(y_true, "y_true")
    return weighted_mean((y[:, None] <= as_quantiles(y_quantiles, len(y))).astype(np.float64), sample_weight)


def crossing_rate(y_quantiles, *, sample_weight=None):
    r"""Share of samples whose predicted quantiles cross: some quantile is below that of a lower level.

    Parameters
    ----------
    y_quantiles : array-like of shape (n_samples, n_quantiles)
        Predicted quantiles, in the order of their levels.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the samples.

    Returns
    -------
    rate : float
        Between 0 and 1; 0 is best.

    See Also
    --------
    skreg.isotonize : Mends crossings.

    Examples
    --------
    >>> from skreg.metrics import crossing_rate
    >>> crossing_rate([[0.0, 1.0], [1.0, 0.0]])
    0.5
    """
    q = as_quantiles(y_quantiles)
    crossed = (q[:, 1:] < q[:, :-1]).any(axis=1)
    return float(weighted_mean(crossed.astype(np.float64), sample_weight))


def _checked(y_true, y_quantiles, quantiles):
    levels = check_levels(quantiles, "quantiles")
    y = as_vector(y_true, "y_true")
    return y, as_quantiles(y_quantiles, len(y), len(levels)), levels


def _pinball(y, q, levels):
    residual = y[:, None] - q
    return np.maximum(levels * residual, (levels - 1.0) * residual)


def _crps(y, q, levels):
    """Scores of the rows: F is linear from q[k] to q[k + 1], 0 before the first and 1 after the last quantile."""
    left, right = q[:, :-1], q[:, 1:]
    split, rise, width = np.clip(y, left, right), np.diff(levels), right - left
    at_split = levels[:-1] + rise * np.divide(split - left, width, out=np.zeros_like(width), where=width > 0)
    below = (split - left) * _mean_square(levels[:-1], at_split)
    above = (right - split) * _mean_square(1.0 - at_split, 1.0 - levels[1:])
    outside = np.maximum(q[:, 0] - y[:, 0], 0.0) + np.maximum(y[:, 0] - q[:, -1], 0.0)
    return outside + (below + above).sum(axis=1)


def _mean_square(a, b):
    """Mean of the square of a number that goes linearly from a to b."""
    return (a * a + a * b + b * b) / 3.0
