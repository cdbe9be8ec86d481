"""Regularisation paths: one warm-started sweep over a decreasing grid of alphas, for every estimator."""

from dataclasses import dataclass

import numpy as np

from skreg._backend import is_numpy
from skreg._base import follow_path
from skreg.solvers import strengths


@dataclass(frozen=True)
class Path:
    """Solutions for a decreasing grid of alphas.

    Attributes
    ----------
    alphas : ndarray of shape (n_alphas,)
        Strengths of the penalty, decreasing.
    coefs : ndarray of shape (n_alphas, n_features) or (n_alphas, n_classes, n_features)
        Coefficients in the units of X.
    intercepts : ndarray of shape (n_alphas,) or (n_alphas, n_classes)
        Intercepts.
    dual_gaps : ndarray of shape (n_alphas,)
        Relative duality gaps; inf where the problem is not convex.
    kkt_violations : ndarray of shape (n_alphas,)
        Relative KKT violations.
    n_iters : ndarray of shape (n_alphas,)
        Passes over the data.
    df : ndarray of shape (n_alphas,)
        Number of non-zero coefficients.
    estimator : object
        The estimator whose path this is; not fitted.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skreg import Lasso
    >>> from skreg.model_selection import regularization_path
    >>> X, y = load_diabetes(return_X_y=True)
    >>> path = regularization_path(Lasso(), X, y, alphas=20)
    >>> path.coefs.shape
    (20, 10)
    >>> int(path.df[0])
    0
    """

    alphas: np.ndarray
    coefs: np.ndarray
    intercepts: np.ndarray
    dual_gaps: np.ndarray
    kkt_violations: np.ndarray
    n_iters: np.ndarray
    df: np.ndarray
    estimator: object

    def predict(self, X, offset=None):
        """Predictions of every model on the path, as the estimator's own `predict` gives them.

        Parameters
        ----------
        X : {array-like, sparse matrix, sparse array} of shape (n_samples, n_features)
            Samples.
        offset : array-like, default=None
            Known part of the linear predictor.

        Returns
        -------
        y_pred : ndarray of shape (n_alphas, n_samples)
            One row an alpha.
        """
        return np.stack([model.predict(X) if offset is None else model.predict(X, offset) for model in self.models()])

    def models(self):
        """Yield the fitted estimator of each alpha."""
        for k in range(len(self.alphas)):
            yield self.estimator._at(self, k)


def alpha_grid(estimator, X, y, n_alphas=100, eps=1e-3, *, sample_weight=None, offset=None):
    """Decreasing grid of alphas, from the smallest that empties the model down to `eps` times it.

    Parameters
    ----------
    estimator : object
        A skreg estimator; its own alpha is not used.
    X : {array-like, sparse matrix, sparse array} of shape (n_samples, n_features)
        Training data.
    y : array-like of shape (n_samples,)
        Target.
    n_alphas : int, default=100
        Length of the grid.
    eps : float, default=1e-3
        Smallest over largest alpha.
    sample_weight, offset : array-like, default=None
        As in the estimator's `fit`.

    Returns
    -------
    alphas : ndarray of shape (n_alphas,)
        Evenly spaced in the logarithm.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skreg import Lasso
    >>> from skreg.model_selection import alpha_grid
    >>> alpha_grid(Lasso(), *load_diabetes(return_X_y=True), n_alphas=3, eps=0.01).round(3)
    array([2.148, 0.215, 0.021])
    """
    prepared = _unfitted(estimator)._pose(X, y, sample_weight, offset)
    return strengths(prepared.problem(1.0), n_alphas, eps)


def regularization_path(estimator, X, y, alphas=100, eps=1e-3, *, sample_weight=None, offset=None):
    """Solutions of an estimator's problem for a decreasing grid of alphas, each started from the one before.

    Parameters
    ----------
    estimator : object
        A skreg estimator with its parameters set; its own `alpha` is not used, and it is not fitted.
    X : {array-like, sparse matrix, sparse array} of shape (n_samples, n_features)
        Training data.
    y : array-like of shape (n_samples,)
        Target.
    alphas : int or array-like, default=100
        The grid, or its length: see `alpha_grid`. A given grid is sorted to decrease.
    eps : float, default=1e-3
        Smallest over largest alpha of a grid made here.
    sample_weight, offset : array-like, default=None
        As in the estimator's `fit`.

    Returns
    -------
    path : Path
        Alphas, coefficients, intercepts and certificates.

    Warns
    -----
    ConvergenceWarning
        For each alpha whose certificate does not reach the estimator's `tol`.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from skreg import SparseClassifier
    >>> from skreg.model_selection import regularization_path
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> path = regularization_path(SparseClassifier(standardize=True), X, y, alphas=5)
    >>> bool((path.dual_gaps <= 1e-6).all())
    True
    """
    model = _unfitted(estimator)
    prepared = model._pose(X, y, sample_weight, offset)
    if not is_numpy(prepared.xp):
        raise ValueError("regularization_path takes NumPy and scipy data; X is of another array namespace.")
    if np.ndim(alphas) == 0:
        alphas = strengths(prepared.problem(1.0), int(alphas), eps)
    else:
        alphas = np.sort(np.asarray(alphas, dtype=np.float64))[::-1]
        if not len(alphas) or not np.isfinite(alphas).all() or alphas[-1] < 0:
            raise ValueError("alphas must be a number of alphas, or finite non-negative numbers.")
    solutions = follow_path(model, prepared, alphas)
    pairs = [prepared.coefficients(s.coef, s.intercept) for s in solutions]
    return Path(
        alphas,
        np.stack([coef for coef, _ in pairs]),
        np.stack([b for _, b in pairs]),
        np.array([s.dual_gap for s in solutions]),
        np.array([s.kkt_violation for s in solutions]),
        np.array([s.n_iter for s in solutions]),
        np.array([np.count_nonzero(s.coef) for s in solutions]),
        model,
    )


def _unfitted(estimator):
    from sklearn.base import clone

    if not hasattr(estimator, "_pose"):
        raise TypeError(f"estimator must be a skreg estimator with an alpha; got {type(estimator).__name__}.")
    model = clone(estimator)
    model._validate_params()
    return model
