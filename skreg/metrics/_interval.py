"""Scores of prediction intervals."""

from numbers import Real

import numpy as np

from skreg.metrics._checks import as_vector, weighted_mean


def interval_score(y_true, y_lower, y_upper, alpha, *, sample_weight=None):
    r"""Interval score (Winkler score) of central prediction intervals of nominal coverage :math:`1 - \alpha`.

    .. math::
        \mathrm{IS}_\alpha(l, u; y) = (u - l) + \frac{2}{\alpha} (l - y)_+ + \frac{2}{\alpha} (y - u)_+

    Its expectation is smallest at the quantiles of levels :math:`\alpha / 2` and :math:`1 - \alpha / 2`.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Observed values.
    y_lower, y_upper : array-like of shape (n_samples,)
        Ends of the intervals; infinite ends have an infinite score.
    alpha : float
        One less the nominal coverage, strictly between 0 and 1.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the samples.

    Returns
    -------
    score : float
        Mean over samples, in the units of y; smaller is better.

    References
    ----------
    .. [1] T. Gneiting, A. E. Raftery (2007). Strictly proper scoring rules, prediction, and estimation. Journal of the
       American Statistical Association 102(477), section 6.2.

    Examples
    --------
    >>> from skreg.metrics import interval_score
    >>> interval_score([1.0, 3.0], [0.0, 0.0], [2.0, 2.5], alpha=0.5)
    3.25
    """
    if not (isinstance(alpha, Real) and 0 < alpha < 1):
        raise ValueError(f"alpha must be strictly between 0 and 1; got {alpha!r}.")
    y, lower, upper = _checked(y_true, y_lower, y_upper)
    missed = np.maximum(lower - y, 0.0) + np.maximum(y - upper, 0.0)
    return float(weighted_mean(_width(lower, upper) + 2.0 / alpha * missed, sample_weight))


def coverage(y_true, y_lower, y_upper, *, sample_weight=None):
    """Share of observed values within their prediction intervals, ends included.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Observed values.
    y_lower, y_upper : array-like of shape (n_samples,)
        Ends of the intervals.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the samples.

    Returns
    -------
    share : float
        Between 0 and 1; best is the nominal coverage.

    Examples
    --------
    >>> from skreg.metrics import coverage
    >>> coverage([1.0, 3.0], [0.0, 0.0], [2.0, 2.5])
    0.5
    """
    y, lower, upper = _checked(y_true, y_lower, y_upper)
    return float(weighted_mean(((lower <= y) & (y <= upper)).astype(np.float64), sample_weight))


def interval_width(y_lower, y_upper, *, sample_weight=None):
    """Mean width of prediction intervals.

    Parameters
    ----------
    y_lower, y_upper : array-like of shape (n_samples,)
        Ends of the intervals.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the samples.

    Returns
    -------
    width : float
        Mean over samples, in the units of y; of intervals that cover as they should, smaller is better.

    Examples
    --------
    >>> from skreg.metrics import interval_width
    >>> interval_width([0.0, 0.0], [2.0, 2.5])
    2.25
    """
    lower = as_vector(y_lower, "y_lower", infinite=True)
    upper = as_vector(y_upper, "y_upper", len(lower), infinite=True)
    return float(weighted_mean(_width(lower, upper), sample_weight))


def _checked(y_true, y_lower, y_upper):
    y = as_vector(y_true, "y_true")
    return y, as_vector(y_lower, "y_lower", len(y), True), as_vector(y_upper, "y_upper", len(y), True)


def _width(lower, upper):
    """Upper less lower end, 0 where both are the same infinity."""
    return np.subtract(upper, lower, out=np.zeros_like(lower), where=upper != lower)
