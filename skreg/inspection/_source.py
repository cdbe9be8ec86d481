"""What is drawn, from whatever holds it: an estimator, a fitted search, or a path."""

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from skreg._backend import to_numpy
from skreg.model_selection import regularization_path


def path_of(estimator, X, y, caller, **path_params):
    """Alphas, coefficients, the alpha to mark, and what has the fitted attributes, of an estimator or a search."""
    if hasattr(estimator, "coef_path_"):
        return np.asarray(estimator.alphas_), to_numpy(estimator.coef_path_), estimator.alpha_, estimator
    search = hasattr(estimator, "alphas") and hasattr(estimator, "estimator")
    if search:
        check_is_fitted(estimator, "alphas_")
        best = {name: value for name, value in estimator.best_params_.items() if name != "alpha"}
        path_params["alphas"], alpha = estimator.alphas_, estimator.alpha_
        estimator = clone(estimator.estimator).set_params(**best)
    elif hasattr(estimator, "_pose"):
        alpha = estimator.alpha
    else:
        raise TypeError(
            f"{caller} takes a skreg estimator with an alpha, or a fitted search; got {type(estimator).__name__}."
        )
    if X is None or y is None:
        raise ValueError(f"{caller} needs X and y to solve the path; only a search with refit=True holds its own.")
    path = regularization_path(estimator, X, y, **path_params)
    return path.alphas, to_numpy(path.coefs), alpha, path.estimator


def names_for(n_features, names, fitted=None):
    """Names of features: those given, those seen in fit, or x0, x1, ..."""
    if names is None:
        names = getattr(fitted, "feature_names_in_", None)
    if names is None:
        names = [f"x{j}" for j in range(n_features)]
    names = [str(name) for name in names]
    if len(names) != n_features:
        raise ValueError(f"feature_names must have one entry a feature, {n_features}; got {len(names)}.")
    return np.array(names, dtype=object)


def groups_of(fitted, caller):
    """Names and columns of the groups of a fitted model; TypeError where it has none."""
    if not hasattr(fitted, "group_columns_"):
        raise TypeError(f"{caller} needs an estimator with groups; {type(fitted).__name__} has none: use PathDisplay.")
    return np.array([str(name) for name in fitted.groups_], dtype=object), fitted.group_columns_
