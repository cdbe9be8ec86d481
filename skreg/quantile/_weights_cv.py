"""Choice of how weights are fitted, by cross-validation over rows of out-of-fold forecasts."""

from typing import NamedTuple

import numpy as np
from sklearn.utils.parallel import Parallel, delayed

from skreg.quantile._isotonic import isotonize
from skreg.quantile._weights import pinball


class Forecasts(NamedTuple):
    """Forecasts of samples that their models were not trained on, and what came true."""

    Z: np.ndarray  # (n_samples, n_models, n_quantiles)
    y: np.ndarray
    levels: np.ndarray
    weight: np.ndarray | None
    features: np.ndarray | None  # (n_samples, n_features), for weights that depend on them

    def rows(self, index):
        """Some of the samples."""
        return Forecasts(
            self.Z[index],
            self.y[index],
            self.levels,
            None if self.weight is None else self.weight[index],
            None if self.features is None else self.features[index],
        )

    def losses(self, bands, isotonic):
        """Weighted interval score of each sample's combined forecasts: twice the mean pinball loss."""
        bands = ordered(bands, self.levels, isotonic)
        return 2.0 * pinball(self.y[:, None] - bands, self.levels).mean(axis=1)

    def score(self, bands, isotonic):
        """Weighted interval score of combined forecasts."""
        return float(np.average(self.losses(bands, isotonic), weights=self.weight))


def ordered(bands, levels, isotonic):
    """Bands put into order by the method `isotonic`, None for as they are."""
    return bands if isotonic is None else isotonize(bands, isotonic, quantiles=levels)


def cross_validated_losses(fits, forecasts, strengths, folds, isotonic, n_jobs=None):
    """Scores of samples that the weights were not fitted on.

    Parameters
    ----------
    fits : list of callables
        Each maps forecasts and strengths to one set of weights a strength, with a method ``combine(Z, features)``.
    forecasts : Forecasts
        All samples.
    strengths : sequence of float
        Strengths of the shrinkage.
    folds : list of arrays
        Places of the samples held out in turn; together, all samples.
    isotonic : str or None
        How combined forecasts are put into order before they are scored.
    n_jobs : int, default=None
        Number of fits at a time.

    Returns
    -------
    losses : ndarray of shape (n_fits, n_strengths, n_samples)
        Weighted interval scores.
    """
    tasks = [(fit, test) for fit in fits for test in folds]
    held_out = Parallel(n_jobs=n_jobs)(delayed(_held_out)(fit, forecasts, strengths, test) for fit, test in tasks)
    bands = np.empty((len(fits), len(strengths), len(forecasts.y), len(forecasts.levels)))
    for i, part in enumerate(held_out):
        bands[i // len(folds)][:, folds[i % len(folds)]] = part
    return np.array([[forecasts.losses(b, isotonic) for b in of_fit] for of_fit in bands])


def within_one_standard_error(losses, weight):
    """The first of the rows of `losses` whose mean is at most one standard error above the least.

    The error is that of the mean difference from the best row, sample by sample.
    """
    weight = np.full(losses.shape[1], 1.0) if weight is None else weight
    best = losses[np.argmin(losses @ weight)]
    share = weight / weight.sum()
    excess = losses - best
    mean = excess @ share
    error = np.sqrt((excess - mean[:, None]) ** 2 @ share**2)
    return int(np.argmax(mean <= error))


def _held_out(fit, forecasts, strengths, test):
    train = np.setdiff1d(np.arange(len(forecasts.y)), test)
    part = forecasts.rows(test)
    return [weights.combine(part.Z, part.features) for weights in fit(forecasts.rows(train), strengths)]
