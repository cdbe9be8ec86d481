"""Regularisation paths: one warm-started sweep over a decreasing grid of alphas, for every estimator."""

from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np
from sklearn.base import clone

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
    converged : ndarray of bool of shape (n_alphas,)
        Whether the estimator's `tol` was reached.
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
    converged: np.ndarray
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
        return np.stack([model.predict(X, offset) for model in self.models()])

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
        Smallest over largest alpha, between 0 and 1.
    sample_weight, offset : array-like, default=None
        As in the estimator's `fit`.

    Returns
    -------
    alphas : ndarray of shape (n_alphas,)
        Evenly spaced in the logarithm.

    Raises
    ------
    ValueError
        If an argument has a wrong shape or value; the message names it.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skreg import Lasso
    >>> from skreg.model_selection import alpha_grid
    >>> alpha_grid(Lasso(), *load_diabetes(return_X_y=True), n_alphas=3, eps=0.01).round(3)
    array([2.148, 0.215, 0.021])
    """
    _, prepared = _pose(estimator, X, y, sample_weight, offset)
    return _grid(prepared, n_alphas, eps, "n_alphas")


def regularization_path(estimator, X, y, alphas=100, eps=1e-3, *, sample_weight=None, offset=None, verbose=False):
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
        Smallest over largest alpha of a grid made here, between 0 and 1.
    sample_weight, offset : array-like, default=None
        As in the estimator's `fit`.
    verbose : bool, default=False
        Whether to print one line an alpha as it is solved.

    Returns
    -------
    path : Path
        Alphas, coefficients, intercepts and certificates.

    Raises
    ------
    TypeError
        If `estimator` is not a skreg estimator with an alpha.
    ValueError
        If an argument has a wrong shape or value; the message names it. A path has one target: y is one-dimensional.

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
    model, prepared = _pose(estimator, X, y, sample_weight, offset)
    if np.ndim(alphas) == 0:
        alphas = _grid(prepared, alphas, eps, "alphas")
    else:
        alphas = _given_grid(alphas)
    solutions = []
    for alpha, solution in zip(alphas, follow_path(prepared, alphas, model.tol, model.max_iter)):
        model._warn(solution, stacklevel=3)
        solutions.append(solution)
        if verbose:
            _report(len(solutions), len(alphas), alpha, solution)
    pairs = [prepared.coefficients(s.coef, s.intercept) for s in solutions]
    return Path(
        alphas,
        np.stack([coef for coef, _ in pairs]),
        np.stack([b for _, b in pairs]),
        np.array([s.dual_gap for s in solutions]),
        np.array([s.kkt_violation for s in solutions]),
        np.array([s.n_iter for s in solutions]),
        np.array([np.count_nonzero(s.coef) for s in solutions]),
        np.array([s.converged for s in solutions]),
        model,
    )


def _pose(estimator, X, y, sample_weight, offset):
    """A clone of the estimator with the attributes that do not depend on alpha, and its problem."""
    if not hasattr(estimator, "_pose"):
        raise TypeError(f"estimator must be a skreg estimator with an alpha; got {type(estimator).__name__}.")
    model = clone(estimator)
    model._validate_params()
    prepared = model._pose(X, y, sample_weight, offset)
    if not is_numpy(prepared.xp):
        raise ValueError(
            "X must be NumPy or scipy data, or a data frame, for a path; it is of another array namespace."
        )
    vars(model).update(prepared.fitted)
    return model, prepared


def _grid(prepared, n_alphas, eps, name):
    if not isinstance(n_alphas, Integral) or n_alphas < 1:
        raise ValueError(
            f"{name} must be a number of alphas of at least 1, or the alphas themselves; got {n_alphas!r}."
        )
    if not isinstance(eps, Real) or not 0 < eps < 1:
        raise ValueError(f"eps must be a number between 0 and 1; got {eps!r}.")
    return strengths(prepared.problem(1.0), int(n_alphas), eps)


def _given_grid(alphas):
    alphas = np.sort(np.asarray(alphas, dtype=np.float64), axis=None)[::-1].copy()
    if not len(alphas) or not np.isfinite(alphas).all() or alphas[-1] < 0:
        raise ValueError("alphas must be a number of alphas, or finite non-negative numbers.")
    return alphas


def _report(k, n, alpha, solution):
    gap = np.isfinite(solution.dual_gap)
    name, value = ("gap", solution.dual_gap) if gap else ("violation", solution.kkt_violation)
    df = np.count_nonzero(solution.coef)
    print(f"{k:>{len(str(n))}}/{n}  alpha {alpha:.3e}  df {df:>5}  passes {solution.n_iter:>3}  {name} {value:.1e}")
