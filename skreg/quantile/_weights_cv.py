"""Choice of how weights are fitted, by cross-validation over rows of out-of-fold forecasts."""

from typing import NamedTuple

import numpy as np
from sklearn.utils.parallel import Parallel, delayed

from skreg.metrics import mean_pinball_loss
from skreg.quantile._isotonic import isotonize


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

    def score(self, bands, isotonic):
        """Weighted interval score of combined forecasts: twice their mean pinball loss."""
        bands = ordered(bands, self.levels, isotonic)
        return 2.0 * mean_pinball_loss(self.y, bands, self.levels, sample_weight=self.weight)


def ordered(bands, levels, isotonic):
    """Bands put into order by the method `isotonic`, None for as they are."""
    return bands if isotonic is None else isotonize(bands, isotonic, quantiles=levels)


def cross_validated_scores(fits, forecasts, strengths, folds, isotonic, n_jobs=None):
    """Scores on samples that the weights were not fitted on.

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
    scores : ndarray of shape (n_fits, n_strengths)
        Weighted interval scores over all samples.
    """
    tasks = [(fit, test) for fit in fits for test in folds]
    held_out = Parallel(n_jobs=n_jobs)(delayed(_held_out)(fit, forecasts, strengths, test) for fit, test in tasks)
    bands = np.empty((len(fits), len(strengths), len(forecasts.y), len(forecasts.levels)))
    for i, part in enumerate(held_out):
        bands[i // len(folds)][:, folds[i % len(folds)]] = part
    return np.array([[forecasts.score(b, isotonic) for b in of_fit] for of_fit in bands])


def _held_out(fit, forecasts, strengths, test):
    train = np.setdiff1d(np.arange(len(forecasts.y)), test)
    part = forecasts.rows(test)
    return [weights.combine(part.Z, part.features) for weights in fit(forecasts.rows(train), strengths)]
