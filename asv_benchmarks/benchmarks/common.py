"""Mix-ins that turn an estimator and data into benchmarks, after scikit-learn's.

Beside the time of a fit stands its objective gap, so that speed cannot be bought with accuracy.
"""

from abc import ABC, abstractmethod

import numpy as np
from sklearn.base import clone


class Benchmark:
    """Settings common to all benchmarks."""

    timeout = 300
    processes = 1
    warmup_time = 1.0  # kernels are compiled or loaded outside the clock

    param_names: list[str] = []
    params: tuple = ()


class Estimator(ABC):
    """Time, memory and objective gap of one fit."""

    @abstractmethod
    def make_data(self, *params):
        """Return X, y."""

    @abstractmethod
    def make_estimator(self, *params):
        """Return the unfitted estimator; called when `self.X` and `self.y` are there."""

    @abstractmethod
    def objective(self, estimator):
        """What a fitted estimator minimised, at its coefficients."""

    def setup(self, *params):
        self.X, self.y = self.make_data(*params)
        self.estimator = self.make_estimator(*params)
        self.estimator.fit(self.X, self.y)

    def time_fit(self, *params):
        clone(self.estimator).fit(self.X, self.y)

    def peakmem_fit(self, *params):
        clone(self.estimator).fit(self.X, self.y)

    def track_objective_gap(self, *params):
        """Objective above that of a fit at tol=1e-10, relative to the gain of that fit over the null model."""
        best = self.objective(clone(self.estimator).set_params(tol=1e-10).fit(self.X, self.y))
        null = self.objective(self.null_model())
        return float((self.objective(self.estimator) - best) / (null - best))

    def null_model(self):
        """The model with an intercept alone: a fit at a penalty beyond all data."""
        return clone(self.estimator).set_params(alpha=1e10).fit(self.X, self.y)


class Lasso(Estimator):
    """Objective of the Lasso."""

    def objective(self, estimator):
        r = self.y - estimator.predict(self.X)
        return 0.5 * np.mean(r**2) + self.estimator.alpha * np.abs(estimator.coef_).sum()


class LogisticL1(Estimator):
    """Objective of logistic regression, labels 0 and 1, with an L1 penalty."""

    def objective(self, estimator):
        eta = estimator.decision_function(self.X)
        return np.mean(np.logaddexp(0, eta) - self.y * eta) + self.estimator.alpha * np.abs(estimator.coef_).sum()


def regression(n_samples, n_features, n_informative=20, noise=0.5, seed=0):
    """Correlated Gaussian design with a sparse truth; X in Fortran order."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_samples, n_features))
    X[:, 1:] = 0.6 * X[:, :-1] + 0.8 * X[:, 1:]
    w = np.zeros(n_features)
    w[rng.choice(n_features, n_informative, replace=False)] = rng.choice([-1.0, 1.0], n_informative)
    eta = X @ w
    return np.asfortranarray(X), eta + noise * np.std(eta) * rng.standard_normal(n_samples)


def text_like(n_samples, n_features, density, seed=0):
    """Sparse non-negative design with columns of very unequal frequency, as word counts have; X in CSC."""
    from scipy import sparse

    rng = np.random.default_rng(seed)
    frequency = 1.0 / np.arange(1, n_features + 1)
    nnz = int(density * n_samples * n_features)
    columns = rng.choice(n_features, size=nnz, p=frequency / frequency.sum()).astype(np.int32)
    rows = rng.integers(n_samples, size=nnz, dtype=np.int32)
    X = sparse.csc_array((np.log1p(rng.exponential(size=nnz)), (rows, columns)), shape=(n_samples, n_features))
    w = np.zeros(n_features)
    w[rng.choice(n_features // 20, 30, replace=False)] = rng.standard_normal(30)
    eta = X @ w
    return X, eta + 0.5 * np.std(eta) * rng.standard_normal(n_samples)


def labels(y):
    """Two classes of equal size."""
    return (y > np.median(y)).astype(int)


def lasso_alpha_max(X, y):
    """Smallest alpha at which the Lasso with an intercept has no coefficient."""
    return float(np.max(np.abs(X.T @ (y - y.mean())))) / len(y)
