"""Information criteria along a path: from deviances and degrees of freedom to one number a model."""

import numpy as np


class Models:
    """What criteria know of the models on a path.

    Attributes
    ----------
    deviance, freedom : ndarray of shape (n_alphas,)
        Deviances, and degrees of freedom without the intercept.
    variance : float or None
        Variance of the noise, None where each model has its own.
    n, p : float
        Numbers of observations and of coefficients (of features, for several tasks).
    total : ndarray of shape (n_alphas,)
        Degrees of freedom with the intercept.
    """

    def __init__(self, prepared, deviance, freedom, variance, ebic_gamma):
        data = prepared.data
        self.deviance, self.freedom, self.variance, self.ebic_gamma = deviance, freedom, variance, ebic_gamma
        self.n, self.p = n_observations(prepared), data.n_coordinates
        n_outputs = data.y.shape[1] if data.y.ndim > 1 else 1
        self.total = freedom + (n_outputs if data.fit_intercept else 0)
        self.unit_dispersion = data.loss.unit_dispersion

    def likelihood(self):
        """Minus twice the log-likelihood; the variance of each model is its own where none is known."""
        variance = self.deviance / self.n if self.variance is None else self.variance
        with np.errstate(divide="ignore", invalid="ignore"):
            fit = np.where(self.deviance > 0, self.deviance / variance, 0.0)
            return fit if self.unit_dispersion else fit + self.n * np.log(2.0 * np.pi * variance)


def _aic(models):
    return models.likelihood() + 2.0 * models.freedom


def _bic(models):
    return models.likelihood() + np.log(models.n) * models.freedom


def _ebic(models):
    return _bic(models) + 2.0 * models.ebic_gamma * np.log(models.p) * models.freedom


def _gcv(models):
    room = np.maximum(1.0 - models.total / models.n, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(room > 0, models.deviance / models.n / room**2, np.inf)


def _cp(models):
    return models.deviance / models.variance - models.n + 2.0 * models.total


def _sure(models):
    return models.deviance + models.variance * (2.0 * models.total - models.n)


CRITERIA = {"aic": _aic, "bic": _bic, "ebic": _ebic, "gcv": _gcv, "cp": _cp, "sure": _sure}


def n_observations(prepared):
    """Number of samples, times that of tasks."""
    data = prepared.data
    tasks = 1 if data.y.ndim == 1 or data.loss.multi_output else data.y.shape[1]
    return prepared.n_samples * tasks


def deviance(prepared, solution):
    """Twice the loss above that of the saturated model, summed over samples."""
    data = prepared.data
    if data.y.ndim > 1 and not data.loss.multi_output:  # several tasks
        return prepared.n_samples * data.squares(data.residuals(solution.coef)[0])
    excess = data.loss.value(data.y, data.predictor(solution.coef, solution.intercept)) - data.loss.infimum(data.y)
    kept = data.weight > 0  # others may leave the domain
    return 2.0 * prepared.n_samples * max(float(data.weight[kept] @ excess[kept]), 0.0)


def av_scale(prepared):
    """By what a change of each coefficient is divided by its strength over alpha; 0 where it is not penalised."""
    weights = prepared.weights
    return np.divide(prepared.data.penalty_curvature, weights, out=np.zeros_like(weights), where=weights > 0)


def av_ratios(prepared, solutions, alphas):
    """For each alpha the largest ratio, in the test of adaptive validation, of any two alphas down to it."""
    coefs = np.array([solution.coef for solution in solutions])
    coefs = (coefs * av_scale(prepared))[:, coefs.any(axis=0)]
    ratios = np.zeros(len(alphas))
    for k in range(1, len(alphas)):
        change = np.abs(coefs[:k] - coefs[k]).max(axis=1, initial=0.0)
        ratios[k] = np.max(change / (alphas[:k] + alphas[k]), initial=ratios[k - 1])
    return ratios
