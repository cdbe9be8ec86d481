"""Quantile regression: n >> p, p >> n, and several levels, one by one and together."""

import numpy as np
from sklearn.base import clone

import skreg
from skreg.model_selection import regularization_path
from skreg.quantile import fit_weights

from .common import Benchmark, Estimator, regression

LEVELS = {
    "one": 0.9,
    "seven": [0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95],
}
DATA = {
    "tall": (lambda: regression(50_000, 20), 0.0),  # most rows enter as two sums
    "mid": (lambda: regression(1_000, 50), 0.0),
    "wide": (lambda: regression(200, 2_000), 0.05),  # most features are left out
}


class QuantileRegressorBenchmark(Benchmark, Estimator):
    param_names = ["data", "levels"]
    params = (list(DATA), list(LEVELS))

    def make_data(self, data, levels):
        return DATA[data][0]()

    def make_estimator(self, data, levels):
        return skreg.QuantileRegressor(quantile=LEVELS[levels], alpha=DATA[data][1])

    def objective(self, estimator):
        """The mean over the levels."""
        r = self.y[:, None] - estimator.predict_quantiles(self.X)
        tau = estimator.quantiles_
        pinball = np.maximum(tau * r, (tau - 1.0) * r).mean()
        return pinball + self.estimator.alpha * np.abs(np.atleast_2d(estimator.coef_)).sum(axis=1).mean()


class PenaltyBenchmark(Benchmark):
    """Penalties of groups of five features, and concave ones."""

    param_names = ["shape", "penalty"]
    params = ([(500, 200), (200, 2_000)], ["group_lasso", "sparse_group_lasso", "group_mcp", "mcp"])

    def setup(self, shape, penalty):
        X, y = regression(*shape, n_informative=10)
        self.X, self.y = X, y / np.std(y)
        groups = None if penalty == "mcp" else 5
        self.model = skreg.QuantileRegressor(penalty=penalty, alpha=0.05, groups=groups)
        self.time_fit(shape, penalty)

    def time_fit(self, shape, penalty):
        self.model.fit(self.X, self.y)

    def peakmem_fit(self, shape, penalty):
        self.model.fit(self.X, self.y)

    def track_kkt_violation(self, shape, penalty):
        return self.model.kkt_violation_


class PathBenchmark(Benchmark):
    """A hundred alphas with the L1 penalty."""

    param_names = ["shape"]
    params = ([(1_000, 100), (200, 2_000), (500, 2_500)],)

    def setup(self, shape):
        X, y = regression(*shape, n_informative=10)
        self.X, self.y = X, y / np.std(y)
        self.time_path(shape)

    def time_path(self, shape):
        self.path = regularization_path(skreg.QuantileRegressor(), self.X, self.y, eps=1e-2)

    def peakmem_path(self, shape):
        self.time_path(shape)

    def track_dual_gap(self, shape):
        return float(self.path.dual_gaps.max())


class NonCrossingBenchmark(Benchmark):
    """All levels at once, in order on the rows of the training data or in the box around them."""

    param_names = ["n_samples", "non_crossing"]
    params = ([500, 5_000], ["rows", "box"])

    def setup(self, n_samples, non_crossing):
        self.X, self.y = regression(n_samples, 10, n_informative=5)
        levels = np.arange(1, 20) / 20
        self.model = skreg.QuantileRegressor(quantile=levels, alpha=0.0, non_crossing=non_crossing)
        self.time_fit(n_samples, non_crossing)

    def time_fit(self, n_samples, non_crossing):
        self.model.fit(self.X, self.y)

    def peakmem_fit(self, n_samples, non_crossing):
        self.model.fit(self.X, self.y)

    def track_dual_gap(self, n_samples, non_crossing):
        return self.model.dual_gap_


class ConformalBenchmark(Benchmark):
    """What calibration adds to the fits, and what a prediction by CV+ costs."""

    param_names = ["method"]
    params = (["split", "cv+"],)

    def setup(self, method):
        self.X, self.y = regression(2_000, 20)
        levels = LEVELS["seven"]
        base = skreg.QuantileRegressor(quantile=levels, alpha=0.0)
        self.model = skreg.ConformalQuantileRegressor(base, quantiles=levels, method=method, random_state=0)
        self.time_fit(method)

    def time_fit(self, method):
        self.model.fit(self.X, self.y)

    def time_predict(self, method):
        self.model.predict_quantiles(self.X)

    def peakmem_predict(self, method):
        self.model.predict_quantiles(self.X)


class AggregatorBenchmark(Benchmark):
    """Weights of given forecasts: one for each, one for each and level."""

    param_names = ["resolution"]
    params = (["coarse", "medium", "fine"],)

    def setup(self, resolution):
        X, self.y = regression(2_000, 20)
        self.levels = LEVELS["seven"]
        base = skreg.QuantileRegressor(quantile=self.levels, alpha=0.0)
        parts = [X, X[:, :10], X[:, 10:], X[:, ::2]]
        forecasts = [base.fit(part, self.y).predict_quantiles(part) for part in parts]
        self.Z = np.stack(forecasts, axis=1)
        self.time_fit_weights(resolution)

    def time_fit_weights(self, resolution):
        fit_weights(self.Z, self.y, self.levels, resolution=resolution)


class LocalWeightsBenchmark(Benchmark):
    """Weights that depend on the features, of given models, with a shrinkage that is given, too."""

    param_names = ["locality", "resolution"]
    params = (["features", "partition", "softmax", "mlp"], ["medium", "fine"])

    def setup(self, locality, resolution):
        self.X, self.y = regression(1_000, 10, n_informative=5)
        self.y = self.y + 3.0 * np.abs(self.X[:, 0])
        base = skreg.QuantileRegressor(quantile=LEVELS["seven"], alpha=0.0)
        sides = [self.X[:, 0] < 0.0, self.X[:, 0] >= 0.0]  # each model has seen one of them
        models = [(f"side{k}", clone(base).fit(self.X[side], self.y[side])) for k, side in enumerate(sides)]
        self.model = skreg.QuantileAggregator(
            models,
            LEVELS["seven"],
            resolution=resolution,
            locality=locality,
            shrinkage=0.01,
            cv="prefit",
            random_state=0,
        )
        self.time_fit(locality, resolution)

    def time_fit(self, locality, resolution):
        self.model.fit(self.X, self.y)

    def time_predict(self, locality, resolution):
        self.model.predict_quantiles(self.X)

    def track_wis(self, locality, resolution):
        return self.model.wis_oof_
