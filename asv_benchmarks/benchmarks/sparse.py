"""Sparse regression: n >> p, p >> n and sparse X, for the Lasso, sparse logistic regression and paths."""

import skreg
from skreg.model_selection import regularization_path

from .common import Benchmark, Lasso, LogisticL1, labels, lasso_alpha_max, regression, text_like

DATA = {
    "tall": lambda: regression(10_000, 200),
    "wide": lambda: regression(200, 5_000),
    "text": lambda: text_like(2_000, 10_000, density=0.005),
}


class LassoBenchmark(Benchmark, Lasso):
    param_names = ["data", "alpha_max / alpha"]
    params = (list(DATA), [10, 100])

    def make_data(self, data, ratio):
        return DATA[data]()

    def make_estimator(self, data, ratio):
        return skreg.Lasso(alpha=lasso_alpha_max(self.X, self.y) / ratio, tol=1e-6, max_iter=1000)


class SparseClassifierBenchmark(Benchmark, LogisticL1):
    param_names = ["data", "alpha_max / alpha"]
    params = (list(DATA), [10])

    def make_data(self, data, ratio):
        X, y = DATA[data]()
        return X, labels(y)

    def make_estimator(self, data, ratio):
        alpha = lasso_alpha_max(self.X, self.y.astype(float)) / ratio  # the gradient at 0 is that of the Lasso
        return skreg.SparseClassifier(alpha=alpha, tol=1e-6)


class PathBenchmark(Benchmark):
    param_names = ["data"]
    params = (list(DATA),)

    def setup(self, data):
        self.X, self.y = DATA[data]()
        self.time_path(data)

    def path(self):
        return regularization_path(skreg.Lasso(tol=1e-6), self.X, self.y, alphas=30, eps=1e-2)

    def time_path(self, data):
        self.path()

    def peakmem_path(self, data):
        self.path()

    def track_largest_gap(self, data):
        return float(max(self.path().dual_gaps))
