"""Regularisation paths: one warm-started sweep over a decreasing grid of alphas, for every estimator."""

from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from numbers import Integral, Real
from time import perf_counter

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_scalar

from skreg._backend import get_namespace, to_numpy
from skreg._base import Prepared
from skreg._threads import one_blas_thread


@dataclass(frozen=True)
class Path:
    """Solutions for a decreasing grid of alphas.

    `coefs` and `intercepts` are arrays of the namespace and on the device of X, as in `fit`; the others are NumPy's.

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
    hidden : tuple of dict
        For each alpha the attributes of the fitted estimator that its coefficients do not tell, if there are any.

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
    hidden: tuple = ()

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
        predictions = [model.predict(X, offset) for model in self.models()]
        xp, _ = get_namespace(*predictions)
        return xp.stack(predictions)

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
        A skreg estimator with its parameters set; its own `alpha` is not used, and it is not fitted. Its callbacks
        (see its `set_callbacks`) are called for the path and, as subtasks of that, for each alpha.
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
        Alphas, coefficients, intercepts and certificates; up to the alpha at which a callback asked to stop.

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

    Notes
    -----
    To callbacks, the task of each alpha ends with the estimator fitted there, whose `alpha` tells which it is; its
    `task_id` is the index into the path's `alphas`. Computing the grid, and fitting the pilot of an `AdaptiveLasso`,
    come before the first task.

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
    solutions = solve_path(model, prepared, alphas, model._told(X, y, sample_weight, offset), verbose)
    return as_path(model, prepared, alphas, solutions)


def solve_path(model, prepared, alphas, told, verbose=False, state=None, enough=None, seconds=None):
    """The solutions of a posed problem along a path, from `state` where one is given.

    `told` is what callbacks are told of the data. The path ends after a solution for which ``enough(solution)``. To the
    list `seconds`, where given, the time that each solution took is appended.
    """
    from sklearn.callback import with_callbacks  # not above: it loads rich, where that is installed

    return with_callbacks(_solutions)(model, prepared, alphas, verbose, told, state, enough, seconds)


def as_path(model, prepared, alphas, solutions):
    """The `Path` of a posed problem's solutions."""
    xp = prepared.xp
    coefs, intercepts = zip(*(prepared.coefficients(s.coef, s.intercept) for s in solutions))
    if prepared.n_outputs == 1:
        intercepts = [xp.asarray(b, dtype=xp.float64, device=prepared.device) for b in intercepts]
    coefs = xp.stack(coefs)
    return Path(
        alphas[: len(solutions)],
        coefs,
        xp.stack(intercepts),
        np.array([s.dual_gap for s in solutions]),
        np.array([s.kkt_violation for s in solutions]),
        np.array([s.n_iter for s in solutions]),
        np.count_nonzero(to_numpy(coefs).reshape(len(solutions), -1), axis=1),
        np.array([s.converged for s in solutions]),
        model,
        tuple(model._hidden(prepared, s) for s in solutions),
    )


def _solutions(model, prepared, alphas, verbose, told, state, enough, seconds):
    """The solutions for `alphas`, as far as callbacks let them be computed; `told` is what all hooks are given."""
    path = model._init_callback_context(task_name="regularization-path", max_subtasks=len(alphas))
    path.call_on_fit_task_begin(**told)
    steps, solutions = prepared.follow(alphas, model.tol, model.max_iter, state), []
    alone = not getattr(model, "_skl_callbacks", [])  # callbacks may use more threads
    whole, each = (one_blas_thread, nullcontext) if alone else (nullcontext, one_blas_thread)
    with whole():
        for alpha in alphas:
            task = path.subcontext(task_name=f"alpha={alpha:.6g}")
            task.call_on_fit_task_begin(**told)
            begin = perf_counter()
            with each():
                solution = next(steps)
            if seconds is not None:
                seconds.append(perf_counter() - begin)
            model._warn(solution, stacklevel=6)  # user, regularization_path, solve_path, wrapper, here, _warn
            solutions.append(solution)
            if verbose:
                _report(len(solutions), len(alphas), alpha, solution)
            fitted = partial(model._attributes_at, alpha, prepared, solution)
            stopped = task.call_on_fit_task_end(**told, reconstruction_attributes=fitted)
            if (enough is not None and enough(solution)) or stopped:
                break
    path.call_on_fit_task_end(**told)
    return solutions


def _pose(estimator, X, y, sample_weight, offset):
    """A clone of the estimator with the attributes that do not depend on alpha, and its problem."""
    if not hasattr(estimator, "_pose"):
        raise TypeError(f"estimator must be a skreg estimator with an alpha; got {type(estimator).__name__}.")
    model = clone(estimator)
    model._validate_params()
    prepared = model._pose(X, y, sample_weight, offset)
    vars(model).update(prepared.fitted)
    return model, prepared


def check_smooth(model, prepared, user):
    """TypeError, naming what asks for it, where a loss is one that the quantile models' problems do not have."""
    if not isinstance(prepared, Prepared):
        raise TypeError(f"{user} does not take {type(model).__name__}; choose its alpha with PathCV(refit=True).")


def _grid(prepared, n_alphas, eps, name):
    if not isinstance(n_alphas, Integral) or n_alphas < 1:
        raise ValueError(
            f"{name} must be a number of alphas of at least 1, or the alphas themselves; got {n_alphas!r}."
        )
    if not isinstance(eps, Real) or not 0 < eps <= 1:
        raise ValueError(f"eps must be a number between 0 and 1; got {eps!r}.")
    return prepared.strengths(int(n_alphas), eps)


def _given_grid(alphas):
    for k, alpha in enumerate(alphas):
        check_scalar(alpha, f"alphas[{k}]", target_type=Real, min_val=0.0)
    alphas = np.sort(np.asarray(alphas, dtype=np.float64))[::-1].copy()
    if not len(alphas) or not np.isfinite(alphas).all():
        raise ValueError("alphas must be a number of alphas, or finite non-negative numbers.")
    return alphas


def _report(k, n, alpha, solution):
    gap = np.isfinite(solution.dual_gap)
    name, value = ("gap", solution.dual_gap) if gap else ("violation", solution.kkt_violation)
    df = np.count_nonzero(to_numpy(solution.coef))
    print(f"{k:>{len(str(n))}}/{n}  alpha {alpha:.3e}  df {df:>5}  passes {solution.n_iter:>3}  {name} {value:.1e}")
