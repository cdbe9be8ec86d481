"""Base models trained without some of the rows, and their forecasts for these."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import KFold
from sklearn.utils.parallel import Parallel, delayed

from skreg._backend import safe_indexing
from skreg.quantile._adapter import QuantileAdapter

_PREFIT_FOLDS = 5  # at most, for the weights where the base models came fitted


@dataclass
class BaseModels:
    """What to train: models, their levels and the parameters of their `fit`; and the rows held out in turn."""

    models: list
    levels: np.ndarray
    X: object
    y: np.ndarray
    given: list  # one dict a model
    held_out: list | None  # rows of each fold; None: the models came fitted
    n_jobs: int | None

    @property
    def folds(self):
        """Rows of each fold; where the models came fitted, those by which the weights are chosen."""
        if self.held_out is not None:
            return self.held_out
        n = len(self.y)
        return [test for _, test in KFold(min(_PREFIT_FOLDS, n)).split(np.zeros(n))]

    def out_of_fold(self):
        """Models trained on all rows, and forecasts of each row by models trained without its fold.

        Models that came fitted stay as they are, and forecast all rows; (n_samples, n_models, n_quantiles) forecasts.
        """
        if self.held_out is None:
            return self._fitted()
        *parts, (models, _) = self._trained([*self.folds, []], keep=[False] * len(self.folds) + [True])
        Z = self._empty()
        for rows, (_, forecasts) in zip(self.folds, parts):
            Z[rows] = forecasts
        return models, Z

    def out_of_two_folds(self):
        """For each fold k, models trained without it, and forecasts of all rows.

        Rows of another fold l are forecast by models trained without both, K (K - 1) / 2 fits for all pairs of K folds;
        those of fold k by the models trained without it, as in `out_of_fold`.
        """
        folds = self.folds
        if self.held_out is None:
            return [self._fitted()] * len(folds)
        pairs = list(combinations(range(len(folds)), 2))
        without = [*folds, *(np.concatenate([folds[k], folds[l]]) for k, l in pairs)]
        done = self._trained(without, keep=[True] * len(folds) + [False] * len(pairs))
        parts = [(models, self._empty()) for models, _ in done[: len(folds)]]
        for k, (_, Z) in enumerate(parts):
            Z[folds[k]] = done[k][1]
        for (k, l), (_, forecasts) in zip(pairs, done[len(folds) :]):
            of_k, of_l = np.split(forecasts, [len(folds[k])])
            parts[l][1][folds[k]], parts[k][1][folds[l]] = of_k, of_l
        return parts

    def _fitted(self):
        adapters = [QuantileAdapter(frozen(model), self.levels).fit(self.X, self.y) for model in self.models]
        return adapters, np.stack([adapter.predict_quantiles(self.X) for adapter in adapters], axis=1)

    def _trained(self, without, keep):
        """For each of the sets of rows, models trained without it (None unless `keep`) and their forecasts for it."""
        adapters = [QuantileAdapter(model, self.levels) for model in self.models]
        tasks = [(*pair, rows, kept) for rows, kept in zip(without, keep) for pair in zip(adapters, self.given)]
        done = Parallel(n_jobs=self.n_jobs)(delayed(_fit_base)(*task, self.X, self.y) for task in tasks)
        p = len(adapters)
        sets = [zip(*done[begin : begin + p]) for begin in range(0, len(done), p)]
        return [
            (list(models), np.stack(forecasts, axis=1) if len(rows) else None)
            for rows, (models, forecasts) in zip(without, sets)
        ]

    def _empty(self):
        return np.empty((len(self.y), len(self.models), len(self.levels)))


def frozen(model):
    """A model that came fitted, such that cloning leaves it so."""
    return model if isinstance(model, FrozenEstimator) else FrozenEstimator(model)


def _fit_base(adapter, given, without, keep, X, y):
    """A model trained on all rows but some, and its forecasts for those; None for either where it is of no use."""
    train = np.setdiff1d(np.arange(len(y)), without)
    given = {name: safe_indexing(v, train) if np.shape(v)[:1] == (len(y),) else v for name, v in given.items()}
    model = clone(adapter).fit(safe_indexing(X, train), y[train], **given)
    forecasts = model.predict_quantiles(safe_indexing(X, without)) if len(without) else None
    return model if keep else None, forecasts
