"""Any estimator that can tell quantiles, as one with `fit` and `predict_quantiles` at given levels."""

import inspect
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.parallel import Parallel, delayed

from skreg._backend import to_numpy
from skreg._quantiles import check_levels, columns_of, final_model, model_levels, predict_quantiles


class QuantileAdapter(MetaEstimatorMixin, BaseEstimator):
    r"""An estimator and quantile levels, as a model with `predict_quantiles(X) -> (n_samples, n_quantiles)`.

    How the levels reach the estimator is found by looking at it, in this order:

    1. *all at once*: it has `predict_quantiles`; its parameter `quantiles` or `quantile` is set to the levels, where it
       has one;
    2. *when predicting*: its `predict` has an argument `quantiles`, as quantile forests have;
    3. *one clone a level*: it has a parameter for the level: `quantile` (scikit-learn's `QuantileRegressor`,
       `HistGradientBoostingRegressor(loss="quantile")`), `quantile_alpha` (XGBoost), or `alpha` where `loss` or
       `objective` is "quantile" (`GradientBoostingRegressor`, LightGBM);
    4. *Gaussian*: its `predict` has an argument `return_std`: mean plus standard deviation times the Normal quantile.

    The estimator may be the last step of a pipeline, or within a search; in ensembles and in
    `TransformedTargetRegressor` it is cloned for each level. A `FrozenEstimator` stays as it was fitted: its levels
    must be among those asked for.

    Parameters
    ----------
    estimator : object or sequence of objects
        The estimator, not changed by `fit`; or one for each level, whose `predict` is the quantile.
    quantiles : float or array-like of shape (n_quantiles,)
        Levels, increasing.
    n_jobs : int, default=None
        Clones fitted at a time, by joblib.

    Attributes
    ----------
    estimators_ : list
        The fitted estimators: one, or one for each level.
    quantiles_ : ndarray of shape (n_quantiles,)
        The levels.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.linear_model import BayesianRidge
    >>> from skreg.quantile._adapter import QuantileAdapter
    >>> X, y = load_diabetes(return_X_y=True)
    >>> QuantileAdapter(BayesianRidge(), [0.1, 0.9]).fit(X, y).predict_quantiles(X).shape
    (442, 2)
    """

    def __init__(self, estimator, quantiles, *, n_jobs=None):
        self.estimator = estimator
        self.quantiles = quantiles
        self.n_jobs = n_jobs

    def fit(self, X, y, **fit_params):
        """Fit the estimator, or a clone for each level.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training data, handed on as it is.
        y : array-like of shape (n_samples,)
            Target.
        **fit_params : dict
            Handed on to the `fit` of the estimator.

        Returns
        -------
        self : QuantileAdapter
            The fitted model.

        Raises
        ------
        ValueError
            If nothing tells how the estimator predicts quantiles.
        """
        levels = check_levels(self.quantiles, "quantiles")
        way = way_of(self.estimator)
        self.estimators_ = Parallel(n_jobs=self.n_jobs)(
            delayed(_fit)(model, X, y, fit_params) for model in way.models(self.estimator, levels)
        )
        self.quantiles_, self._way = levels, way
        return self

    def predict_quantiles(self, X):
        """Predict the quantiles.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        bands : ndarray of shape (n_samples, n_quantiles)
            Predictions in the order of `quantiles_`, in float64. They may cross.
        """
        return np.asarray(self._way.predict(self.estimators_, X, self.quantiles_), dtype=np.float64)


def is_frozen(estimator):
    """Whether the estimator, or each of a sequence, was fitted before and stays as it is."""
    models = estimator if isinstance(estimator, list | tuple) else [estimator]
    return all(isinstance(model, FrozenEstimator) for model in models)


def way_of(estimator):
    """The way in which `estimator` predicts quantiles; ValueError where there is none."""
    if isinstance(estimator, list | tuple):
        return _Given()
    frozen = isinstance(estimator, FrozenEstimator)
    model, prefix, seen_through = _innermost(estimator.estimator if frozen else estimator)
    if seen_through and hasattr(model, "predict_quantiles"):
        name = next((n for n in ("quantiles", "quantile") if n in _params(model)), None)
        if name is None and _takes(model.predict_quantiles, "quantiles"):
            return _WhenPredicting("predict_quantiles")
        return _AllAtOnce(None if frozen or name is None else prefix + name)
    if seen_through and _takes(getattr(model, "predict", None), "quantiles"):
        return _WhenPredicting("predict")
    name = _level_parameter(model)
    if name is not None:
        return _AllAtOnce(None) if frozen else _CloneALevel(prefix + name)
    if seen_through and _takes(getattr(model, "predict", None), "return_std"):
        return _Gaussian()
    raise ValueError(
        f"estimator must predict quantiles; {type(model).__name__} has no predict_quantiles, no parameter quantile, "
        "quantile_alpha or alpha (with loss='quantile' or objective='quantile'), and its predict no argument quantiles "
        "or return_std."
    )


@dataclass
class _AllAtOnce:
    """One fit for all levels; `parameter` takes them, None where they are fixed."""

    parameter: str | None

    def models(self, estimator, levels):
        model = clone(estimator)
        return [model if self.parameter is None else model.set_params(**{self.parameter: levels.tolist()})]

    def predict(self, models, X, levels):
        columns = columns_of(levels, model_levels(models[0]), type(models[0]).__name__)
        return predict_quantiles(models[0], X)[:, columns]


@dataclass
class _WhenPredicting:
    """One fit that knows no levels; the method that predicts takes them."""

    method: str

    def models(self, estimator, levels):
        return [clone(estimator)]

    def predict(self, models, X, levels):
        model, X = final_model(models[0], X)
        return to_numpy(getattr(model, self.method)(X, quantiles=levels.tolist())).reshape(-1, len(levels))


class _ModelALevel:
    """A model for each level, whose `predict` is the quantile."""

    def predict(self, models, X, levels):
        return np.column_stack([to_numpy(model.predict(X)) for model in models])


@dataclass
class _CloneALevel(_ModelALevel):
    """Clones of one estimator; `parameter` takes the level."""

    parameter: str

    def models(self, estimator, levels):
        return [clone(estimator).set_params(**{self.parameter: level}) for level in levels.tolist()]


class _Given(_ModelALevel):
    """A sequence of estimators."""

    def models(self, estimator, levels):
        if len(estimator) != len(levels):
            raise ValueError(f"estimator must have one for each of the {len(levels)} levels; got {len(estimator)}.")
        return [clone(model) for model in estimator]


class _Gaussian:
    """One fit of mean and standard deviation."""

    def models(self, estimator, levels):
        return [clone(estimator)]

    def predict(self, models, X, levels):
        model, X = final_model(models[0], X)
        mean, deviation = map(np.asarray, model.predict(X, return_std=True))
        return mean[:, None] + deviation[:, None] * ndtri(levels)


def _innermost(model):
    """The model that knows of levels, the prefix of its parameters, and whether its other methods can be reached.

    They can within pipelines and searches, once fitted: see `final_model`.
    """
    prefix, seen_through = "", True
    while not hasattr(model, "predict_quantiles"):
        if isinstance(model, Pipeline):
            name, model = model.steps[-1]
        elif (name := next((n for n in ("estimator", "regressor") if n in _params(model)), None)) is not None:
            seen_through &= "refit" in _params(model)
            model = getattr(model, name)
        else:
            break
        prefix += f"{name}__"
    return model, prefix, seen_through


def _level_parameter(model):
    """Name of the parameter that is the level."""
    params = _params(model)
    loss, objective = params.get("loss", "quantile"), params.get("objective")
    if "quantile" in params:
        if loss != "quantile":
            raise ValueError(f"estimator must have loss='quantile' to predict quantiles; got loss={loss!r}.")
        return "quantile"
    if "quantile_alpha" in params or objective == "reg:quantileerror":
        return "quantile_alpha"
    if objective == "quantile" or ("alpha" in params and params.get("loss") == "quantile"):
        return "alpha"
    return None


def _params(model):
    return model.get_params(deep=False) if hasattr(model, "get_params") else {}


def _takes(method, argument):
    return method is not None and argument in inspect.signature(method).parameters


def _fit(model, X, y, fit_params):
    return model.fit(X, y, **fit_params)
