"""Choosing alpha: searches by cross-validation and by information criteria, against the one path that both need."""

import skreg

from .common import Benchmark, labels, regression

DATA = {
    "tall": lambda: regression(10_000, 200),
    "wide": lambda: regression(200, 2_000),
}
GRID = dict(alphas=50, eps=1e-2)
ESTIMATORS = {
    "lasso": lambda: skreg.Lasso(),
    "group lasso": lambda: skreg.GroupLasso(groups=10),
    "logistic": lambda: skreg.SparseClassifier(),
}


class _Search(Benchmark):
    param_names = ["data", "estimator"]
    params = (list(DATA), list(ESTIMATORS))

    def setup(self, data, estimator):
        self.X, self.y = DATA[data]()
        if estimator == "logistic":
            self.y = labels(self.y)
        self.search = self.make_search(ESTIMATORS[estimator]())
        self.time_fit(data, estimator)

    def time_fit(self, data, estimator):
        self.search.fit(self.X, self.y)

    def peakmem_fit(self, data, estimator):
        self.search.fit(self.X, self.y)

    def track_dual_gap(self, data, estimator):
        return self.search.dual_gap_


class PathCVBenchmark(_Search):
    def make_search(self, estimator):
        return skreg.PathCV(estimator, cv=5, **GRID)


class PathICBenchmark(_Search):
    def make_search(self, estimator):
        return skreg.PathIC(estimator, **GRID)


class SqrtLassoBenchmark(Benchmark):
    """The pivotal strength; a tenth of it, where the residual is far from the null model's; and data without noise."""

    param_names = ["data", "noise", "alpha"]
    params = (list(DATA), [0.0, 0.5], ["pivotal", 0.02])

    def setup(self, data, noise, alpha):
        shape = dict(tall=(10_000, 200), wide=(200, 2_000))[data]
        self.X, self.y = regression(*shape, noise=noise)
        self.model = skreg.SqrtLasso(alpha)
        self.time_fit(data, noise, alpha)

    def time_fit(self, data, noise, alpha):
        self.model.fit(self.X, self.y)

    def track_dual_gap(self, data, noise, alpha):
        return self.model.dual_gap_


class StabilitySelectionBenchmark(Benchmark):
    """Tall data by chunks of rows for the Lasso; all else by a path on each half."""

    param_names = ["data", "estimator"]
    params = (list(DATA), list(ESTIMATORS))

    def setup(self, data, estimator):
        self.X, self.y = DATA[data]()
        if estimator == "logistic":
            self.y = labels(self.y)
        self.selection = skreg.StabilitySelection(ESTIMATORS[estimator](), q=10, n_pairs=10, random_state=0, **GRID)
        self.time_fit(data, estimator)

    def time_fit(self, data, estimator):
        self.selection.fit(self.X, self.y)

    def peakmem_fit(self, data, estimator):
        self.selection.fit(self.X, self.y)
