r"""Large-sample covariance of the coefficients of an unpenalised linear quantile model.

With rows z_i = (x_i, 1), weights s_i that count observations, and f_i the density of y_i given x_i at its quantile,

    cov = tau (1 - tau) H^{-1} J H^{-1},    J = sum_i s_i z_i z_i',    H = sum_i s_i f_i z_i z_i'

(Koenker, Quantile Regression, 2005, sections 3.4 and 4.10). The methods differ in how they estimate f_i.
"""

from typing import Any, NamedTuple

import numpy as np
from scipy.special import ndtri

from skreg._design import as_design
from skreg.solvers._interior_point_fit import fit_quantiles

_DEPENDENT = 1e-12  # smallest eigenvalue of the correlations below which columns are dependent but for rounding
_NO_SLOPE = 1e-12  # increase from level to level, over the largest one, that rounding may leave


class StandardErrors(NamedTuple):
    """Standard errors of a linear quantile model, and the covariance that they come from."""

    coef: Any
    """Standard errors of `coef_`, in its shape."""
    intercept: Any
    """Standard errors of `intercept_`, in its shape; 0.0 where the model has no intercept."""
    covariance: Any
    """Covariance of the coefficients and, last, the intercept; one matrix a level where the model has several."""


class _Problem(NamedTuple):
    """Data on the host, and the fitted model at one level."""

    X: Any
    y: np.ndarray
    weight: np.ndarray
    fit_intercept: bool
    level: float
    residual: np.ndarray

    @property
    def n_observations(self):
        return self.weight.sum()


def covariances(X, y, weight, levels, coefs, intercepts, fit_intercept, method):
    """Covariances of shape (n_levels, k, k), k the number of features and 1 for an intercept."""
    design = as_design(X)
    n_coefs = X.shape[1] + fit_intercept
    if weight.sum() <= n_coefs:
        raise ValueError(
            "Standard errors need more observations (rows, or the sum of sample_weight, which counts them) than "
            f"coefficients, {n_coefs}; got {weight.sum():.4g}."
        )
    basis = _Basis(design, weight, fit_intercept)
    result = np.zeros((len(levels), n_coefs, n_coefs))
    for k, level in enumerate(levels):
        residual = y - X @ coefs[k] - intercepts[k]
        if residual[weight > 0].any():
            density = DENSITIES[method](_Problem(X, y, weight, fit_intercept, level, residual))
            result[k] = level * (1.0 - level) * basis.sandwich(weight * density)
    return result


class _Basis:
    """Cross products in columns of mean 0 (beside an intercept) and mean square 1, in which rounding is small."""

    def __init__(self, design, weight, fit_intercept):
        self.design, self.fit_intercept = design, fit_intercept
        n_features = design.X.shape[1]
        self.means = design.means(weight) if fit_intercept else np.zeros(n_features)
        spread = np.sqrt(design.curvature(weight / weight.sum(), fit_intercept))
        self.scale = np.where(spread > 0, spread, 1.0)
        self.cross = self._cross_products(weight)
        if np.linalg.eigvalsh(self.cross / weight.sum())[0] <= _DEPENDENT:
            raise ValueError(
                "X must have linearly independent columns (none constant beside an intercept) for its coefficients to "
                "have standard errors."
            )

    def sandwich(self, weight):
        """H^{-1} J H^{-1} in the units of X, where `weight` is s_i f_i."""
        curvature = self._cross_products(weight)
        if np.linalg.eigvalsh(curvature)[0] <= _DEPENDENT * np.trace(curvature):
            raise ValueError(
                "The density of y at its quantile is estimated to be zero on too many rows for standard errors; "
                'method="kernel" or "iid", more rows or a more central quantile may help.'
            )
        bread = np.linalg.solve(curvature, self._to_units_of_X().T)
        return bread.T @ self.cross @ bread

    def _cross_products(self, weight):
        columns = np.arange(len(self.scale))
        inner = self.design.gram(columns, None, weight, self.means) / np.outer(self.scale, self.scale)
        if not self.fit_intercept:
            return inner
        border = (self.design.rmatvec(weight) - weight.sum() * self.means) / self.scale
        return np.block([[inner, border[:, None]], [border[None, :], weight.sum()]])

    def _to_units_of_X(self):
        """Matrix that takes the coefficients of these columns to those of X."""
        if not self.fit_intercept:
            return np.diag(1.0 / self.scale)
        matrix = np.diag(np.append(1.0 / self.scale, 1.0))
        matrix[-1, :-1] = -self.means / self.scale
        return matrix


def _density_at_rows(problem):
    """Kernel weights whose sums estimate those of the densities (Powell, 1991)."""
    width = _kernel_width(problem)
    return _normal_density(problem.residual / width) / width


def _density_of_all(problem):
    """One density for all rows, that of the residuals at zero."""
    return np.full(len(problem.y), np.average(_density_at_rows(problem), weights=problem.weight))


def _density_between_levels(problem):
    """2 h over the predictions' increase from level tau - h to tau + h (Hendricks, Koenker, 1992)."""
    h = bandwidth(problem.level, problem.n_observations)
    levels = [problem.level - h, problem.level + h]
    fit = fit_quantiles(problem.X, problem.y, levels, problem.weight, fit_intercept=problem.fit_intercept)
    increase = problem.X @ (fit.coefs[1] - fit.coefs[0]) + (fit.intercepts[1] - fit.intercepts[0])
    increases = increase > _NO_SLOPE * np.abs(increase).max()
    return np.divide(2.0 * h, increase, out=np.zeros_like(increase), where=increases)


DENSITIES = {"kernel": _density_at_rows, "nid": _density_between_levels, "iid": _density_of_all}


def bandwidth(level, n, size=0.05):
    """Half-width in levels of Hall and Sheather (1988), optimal for tests of that size; halved until within (0, 1)."""
    x = ndtri(level)
    h = (
        n ** (-1 / 3)
        * ndtri(1.0 - size / 2) ** (2 / 3)
        * (1.5 * _normal_density(x) ** 2 / (2.0 * x**2 + 1.0)) ** (1 / 3)
    )
    while level - h <= 0.0 or level + h >= 1.0:
        h /= 2.0
    return h


def _normal_density(x):
    return np.exp(-0.5 * x**2) / np.sqrt(2.0 * np.pi)


def _kernel_width(problem):
    """The bandwidth in units of y: as wide as in the normal distribution of the residuals' robust spread."""
    h = bandwidth(problem.level, problem.n_observations)
    r, weight = problem.residual, problem.weight
    deviation = np.sqrt(weight @ (r - np.average(r, weights=weight)) ** 2 / (weight.sum() - 1.0))
    quartiles = _order_statistics(r, weight, 0.75) - _order_statistics(r, weight, 0.25)
    spread = min(deviation, quartiles / 1.34) if quartiles > 0 else deviation
    return spread * (ndtri(problem.level + h) - ndtri(problem.level - h))


def _order_statistics(values, weight, level):
    """Quantile of `values`, each taken `weight` times, by linear interpolation between order statistics."""
    order = np.argsort(values)
    count = np.cumsum(weight[order])
    place = level * (count[-1] - 1.0)
    below = np.floor(place)
    places = np.searchsorted(count, [below, below + 1.0], side="right").clip(max=len(values) - 1)
    low, high = values[order][places]
    return low + (place - below) * (high - low)
