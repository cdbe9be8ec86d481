"""The coefficients of a fitted model as a data frame."""

import numpy as np
import scipy.sparse as sp
from sklearn.utils.validation import check_is_fitted

from skreg._backend import is_array, to_numpy
from skreg.inspection._source import names_for


def summary(estimator, X=None, *, feature_names=None):
    """Coefficients of a fitted model, one row a feature.

    Parameters
    ----------
    estimator : object
        A fitted estimator or search with `coef_`.
    X : {array-like, sparse matrix, sparse array} of shape (n_samples, n_features), default=None
        Data by which to standardise effects.
    feature_names : array-like of str, default=None
        Names of the features; by default those seen in fit, or else x0, x1, ...

    Returns
    -------
    frame : pandas.DataFrame
        Columns ``name`` and ``coefficient``; ``group``, where the model has groups (several are joined by a comma);
        and where X is given, ``standardised_effect``, the change of the linear predictor by one standard deviation of
        the feature. A model with several classes or tasks has a column ``coefficient[...]`` for each.

    Raises
    ------
    ImportError
        If pandas is not installed.
    ValueError
        If X or `feature_names` does not have one entry a feature.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skreg import Lasso
    >>> from skreg.inspection import summary
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> frame = summary(Lasso(alpha=1.0).fit(X, y))
    >>> frame[frame.coefficient != 0].round(1)
      name  coefficient
    2  bmi        367.7
    3   bp          6.3
    8   s5        307.6
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise ImportError("summary needs pandas, which is not installed: pip install pandas.") from error
    check_is_fitted(estimator, "coef_")
    coef = np.atleast_2d(to_numpy(estimator.coef_))
    columns = {"name": names_for(coef.shape[1], feature_names, estimator)}
    columns |= _by_output("coefficient", coef, estimator)
    if hasattr(estimator, "group_columns_"):
        columns["group"] = _group_names(estimator, coef.shape[1])
    if X is not None:
        if np.shape(X) != (np.shape(X)[0], coef.shape[1]):
            raise ValueError(f"X must have {coef.shape[1]} features, as in fit; its shape is {np.shape(X)}.")
        columns |= _by_output("standardised_effect", coef * _deviations(X), estimator)
    return pd.DataFrame(columns)


def _by_output(name, values, estimator):
    if len(values) == 1:
        return {name: values[0]}
    classes = getattr(estimator, "classes_", range(len(values)))
    return {f"{name}[{which}]": row for which, row in zip(classes, values)}


def _group_names(estimator, n_features):
    owners: list[list[str]] = [[] for _ in range(n_features)]
    for group, members in zip(estimator.groups_, estimator.group_columns_):
        for j in members:
            owners[j].append(str(group))
    return [", ".join(names) for names in owners]


def _deviations(X):
    if sp.issparse(X):
        X = X.astype(np.float64)
        mean = np.asarray(X.mean(axis=0)).ravel()
        return np.sqrt(np.maximum(np.asarray(X.multiply(X).mean(axis=0)).ravel() - mean**2, 0.0))
    X = to_numpy(X) if is_array(X) else X
    return np.asarray(X, dtype=np.float64).std(axis=0)
