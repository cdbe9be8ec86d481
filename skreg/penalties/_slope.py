"""SLOPE: the sorted L1 norm."""

from typing import NamedTuple

import numpy as np
from scipy.optimize import isotonic_regression
from scipy.special import ndtri

from skreg.penalties._structured import Structure, StructuredPenalty


class SlopeParams(NamedTuple):
    """The sorted L1 norm bound to a problem; `lambdas` decrease."""

    alpha: float
    weights: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    lambdas: np.ndarray


class Slope(StructuredPenalty):
    r"""The sorted L1 norm (SLOPE, OSCAR).

    .. math:: \Omega(w) = \alpha \sum_{i=1}^p \lambda_i |w|_{(i)}, \qquad
              |w|_{(1)} \ge \dots \ge |w|_{(p)}, \quad \lambda_1 \ge \dots \ge \lambda_p \ge 0

    Coefficients whose magnitudes would be close come out equal: the model has clusters.

    Parameters
    ----------
    lambdas : {"bh", "oscar"} or array-like of shape (n_features,), default="bh"
        The sequence: "bh" is that of Benjamini and Hochberg, :math:`\lambda_i = \Phi^{-1}(1 - i q / (2 p))`;
        "oscar" falls along a line, :math:`\lambda_i = 1 + q (p - i)`; an array is taken as it is and must not increase.
    q : float, default=0.1
        The false discovery rate for "bh", in (0, 1]; the slope of the line, non-negative, for "oscar".

    Notes
    -----
    The prox takes signs off, sorts, subtracts the lambdas, makes the result decrease by pooling adjacent violators,
    and clips it at 0. A dual point z is feasible where the sums of its k largest magnitudes are at most those of
    :math:`\alpha \lambda`, for every k.

    References
    ----------
    .. [1] M. Bogdan, E. van den Berg, C. Sabatti, W. Su, E. Candes (2015), SLOPE: adaptive variable selection via
       convex optimization. Annals of Applied Statistics 9(3), 1103-1140.
    .. [2] H. Bondell, B. Reich (2008), Simultaneous regression shrinkage, variable selection, and supervised
       clustering of predictors with OSCAR. Biometrics 64(1), 115-123.

    Examples
    --------
    >>> import numpy as np
    >>> from skreg.penalties import Slope
    >>> penalty, free = Slope([2.0, 1.0, 0.5]), np.full(3, np.inf)
    >>> pen = penalty.bind(alpha=1.0, weights=np.ones(3), lower=-free, upper=free, curvature=None)
    >>> penalty.prox(np.array([-3.0, 0.2, 2.5]), 1.0, pen)
    array([-1.25,  0.  ,  1.25])
    """

    name = "slope"

    def __init__(self, lambdas="bh", q=0.1):
        self.lambdas = lambdas
        self.q = q

    def bind(self, alpha, weights, lower, upper, curvature):
        """Join shape and strength; ValueError where `lambdas` or `q` is wrong."""
        p = weights.shape[0]
        return SlopeParams(float(alpha), weights, lower, upper, slope_sequence(self.lambdas, self.q, p))

    def _values(self, w, pen):
        magnitude = np.abs(w)
        shares = np.empty(len(w))
        order = np.argsort(-magnitude, kind="stable")
        shares[order] = pen.alpha * pen.lambdas * magnitude[order]
        return shares

    def _prox(self, z, step, pen):
        magnitude = np.abs(z)
        order = np.argsort(-magnitude, kind="stable")
        x = np.empty(len(z))
        pooled = isotonic_regression(magnitude[order] - step * pen.alpha * pen.lambdas, increasing=False).x
        x[order] = np.maximum(pooled, 0.0)
        return np.where(x > 0, np.copysign(x, z), 0.0)

    def dual_norm(self, z, pen, at_least=0.0):
        """Largest ratio of the sum of the k largest magnitudes to that of the k largest lambdas."""
        sums, limits = np.cumsum(np.sort(np.abs(z))[::-1]), np.cumsum(pen.lambdas)
        if not limits[-1] > 0:
            return np.inf if sums[-1] > 0 else 0.0
        return float(np.max(sums / limits))

    def free(self, pen):
        """Every direction where alpha or all lambdas are 0, else none."""
        return np.arange(len(pen.lambdas)) if pen.alpha * pen.lambdas[0] == 0 else None

    def structure(self, w, pen):
        """Blocks of equal magnitude, the largest first."""
        magnitude = np.abs(w)
        index = np.argsort(-magnitude, kind="stable")[: np.count_nonzero(w)]
        block = np.cumsum(np.diff(magnitude[index], prepend=np.inf) != 0) - 1
        slope = pen.alpha * np.bincount(block, pen.lambdas[: len(index)])
        return Structure(index, block, np.sign(w[index]), slope)


def slope_sequence(lambdas, q, n_features):
    """The sequence of that many lambdas, checked."""
    i = np.arange(1, n_features + 1)
    if isinstance(lambdas, str):
        if lambdas == "bh":
            if not 0 < q <= 1:
                raise ValueError(f"q must be in (0, 1] for lambdas='bh'; got {q!r}.")
            return -ndtri(0.5 * q * i / n_features) + 0.0
        if lambdas == "oscar":
            if not 0 <= q < np.inf:
                raise ValueError(f"q must be non-negative and finite for lambdas='oscar'; got {q!r}.")
            return 1.0 + q * (n_features - i)
        raise ValueError(f"lambdas must be 'bh', 'oscar' or an array of numbers; got {lambdas!r}.")
    try:
        lambdas = np.array(lambdas, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"lambdas must be 'bh', 'oscar' or an array of numbers; got {lambdas!r}.") from None
    if lambdas.shape != (n_features,):
        raise ValueError(f"lambdas must have one entry a feature, shape ({n_features},); got shape {lambdas.shape}.")
    if not np.isfinite(lambdas).all() or (lambdas < 0).any() or (np.diff(lambdas) > 0).any():
        raise ValueError("lambdas must be finite, non-negative and not increasing.")
    return lambdas
