"""Groups: n >> p, p >> n and sparse X, for the group Lasso, the sparse-group Lasso, classes and paths.

Then several tasks, sorted norms and chains.
"""

import numpy as np
from scipy.stats import norm

import skreg
from skreg.model_selection import regularization_path

from .common import Benchmark, Estimator, labels, regression, text_like

WIDTH = 10
DATA = {
    "tall": lambda: regression(10_000, 500),
    "wide": lambda: regression(300, 5_000),
    "text": lambda: text_like(2_000, 5_000, density=0.005),
}


def norms(coef):
    """Norms of the groups' coefficients."""
    return np.linalg.norm(np.reshape(coef, (-1, WIDTH)), axis=1)


def group_alpha_max(X, y):
    """Smallest alpha at which the group Lasso with an intercept has no coefficient; weights are sqrt(WIDTH)."""
    return float(norms(X.T @ (y - y.mean())).max()) / (len(y) * np.sqrt(WIDTH))


class GroupLasso(Estimator):
    """Objective of the group Lasso."""

    def objective(self, estimator):
        r = self.y - estimator.predict(self.X)
        return 0.5 * np.mean(r**2) + estimator.alpha * np.sqrt(WIDTH) * norms(estimator.coef_).sum()


class GroupLassoBenchmark(Benchmark, GroupLasso):
    param_names = ["data", "alpha_max / alpha"]
    params = (list(DATA), [5, 20])

    def make_data(self, data, ratio):
        return DATA[data]()

    def make_estimator(self, data, ratio):
        return skreg.GroupLasso(WIDTH, alpha=group_alpha_max(self.X, self.y) / ratio, tol=1e-6)


class SparseGroupLassoBenchmark(Benchmark, Estimator):
    param_names = ["data", "alpha_max / alpha"]
    params = (list(DATA), [5])

    def make_data(self, data, ratio):
        return DATA[data]()

    def make_estimator(self, data, ratio):
        return skreg.SparseGroupLasso(WIDTH, alpha=group_alpha_max(self.X, self.y) / ratio, l1_ratio=0.5, tol=1e-6)

    def objective(self, estimator):
        r = self.y - estimator.predict(self.X)
        penalty = np.abs(estimator.coef_).sum() + np.sqrt(WIDTH) * norms(estimator.coef_).sum()
        return 0.5 * np.mean(r**2) + 0.5 * estimator.alpha * penalty


class GroupLassoClassifierBenchmark(Benchmark, Estimator):
    param_names = ["data", "alpha_max / alpha"]
    params = (list(DATA), [5])

    def make_data(self, data, ratio):
        X, y = DATA[data]()
        return X, labels(y)

    def make_estimator(self, data, ratio):
        alpha = group_alpha_max(self.X, self.y.astype(float)) / ratio  # the gradient at 0 is that of least squares
        return skreg.GroupLassoClassifier(WIDTH, alpha=alpha, tol=1e-6)

    def objective(self, estimator):
        eta = estimator.decision_function(self.X)
        loss = np.mean(np.logaddexp(0, eta) - self.y * eta)
        return loss + estimator.alpha * np.sqrt(WIDTH) * norms(estimator.coef_).sum()


class GroupPathBenchmark(Benchmark):
    param_names = ["data"]
    params = (list(DATA),)

    def setup(self, data):
        self.X, self.y = DATA[data]()
        self.time_path(data)

    def path(self):
        return regularization_path(skreg.GroupLasso(WIDTH, tol=1e-6), self.X, self.y, alphas=30, eps=5e-2)

    def time_path(self, data):
        self.path()

    def peakmem_path(self, data):
        self.path()

    def track_largest_gap(self, data):
        return float(max(self.path().dual_gaps))


class FusedLassoBenchmark(Benchmark, Estimator):
    """A piecewise constant signal in noise: the design is the identity."""

    param_names = ["n_samples"]
    params = ([1_000, 20_000],)

    def make_data(self, n_samples):
        from scipy import sparse

        rng = np.random.default_rng(0)
        level = np.repeat(rng.normal(0.0, 2.0, 20), n_samples // 20)
        return sparse.eye_array(n_samples, format="csc"), level + 0.5 * rng.standard_normal(n_samples)

    def make_estimator(self, n_samples):
        return skreg.FusedLasso(alpha=2.0 / n_samples, tol=1e-6)

    def objective(self, estimator):
        r = self.y - estimator.predict(self.X)
        return 0.5 * np.mean(r**2) + estimator.alpha * np.abs(np.diff(estimator.coef_)).sum()


class MultiTaskLassoBenchmark(Benchmark, Estimator):
    """Tasks that depend on the same twenty features."""

    param_names = ["data", "n_tasks", "alpha_max / alpha"]
    params = (["tall", "wide"], [3, 50], [5, 20])

    def make_data(self, data, n_tasks, ratio):
        X, y = DATA[data]()
        rng = np.random.default_rng(1)
        informative = np.argsort(-np.abs(X.T @ y))[:20]
        Y = X[:, informative] @ rng.standard_normal((20, n_tasks))
        return X, Y + 0.5 * Y.std() * rng.standard_normal(Y.shape)

    def make_estimator(self, data, n_tasks, ratio):
        slopes = self.X.T @ (self.y - self.y.mean(axis=0)) / len(self.y)
        return skreg.MultiTaskLasso(alpha=float(np.linalg.norm(slopes, axis=1).max()) / ratio, tol=1e-6)

    def objective(self, estimator):
        loss = 0.5 * np.mean(np.sum((self.y - estimator.predict(self.X)) ** 2, axis=1))
        return loss + estimator.alpha * np.linalg.norm(estimator.coef_, axis=0).sum()


class SlopeBenchmark(Benchmark, Estimator):
    """The sequence of Benjamini and Hochberg."""

    param_names = ["data", "alpha_max / alpha"]
    params = (["tall", "wide"], [5])

    def make_data(self, data, ratio):
        return DATA[data]()

    def make_estimator(self, data, ratio):
        self.lambdas = norm.isf(0.1 * np.arange(1, self.X.shape[1] + 1) / (2 * self.X.shape[1]))
        slopes = np.sort(np.abs(self.X.T @ (self.y - self.y.mean())))[::-1] / len(self.y)
        top = float(np.max(np.cumsum(slopes) / np.cumsum(self.lambdas)))
        return skreg.SlopeRegressor(alpha=top / ratio, lambdas="bh", q=0.1, tol=1e-6)

    def objective(self, estimator):
        r = self.y - estimator.predict(self.X)
        return 0.5 * np.mean(r**2) + estimator.alpha * self.lambdas @ np.sort(np.abs(estimator.coef_))[::-1]
