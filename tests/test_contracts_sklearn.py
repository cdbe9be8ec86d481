"""Life within scikit-learn: cloning, pickling, searching, pipelines, frames, routing."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn import config_context
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.feature_selection import SelectFromModel
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import skreg
from skreg.losses import Huber
from skreg.penalties import MCP
from tests._instances import CONTRACTED, label, make_data

every_estimator = pytest.mark.parametrize("estimator", CONTRACTED, ids=label)


@every_estimator
def test_pickle_keeps_the_predictions_and_holds_no_engine(estimator):
    X, y = make_data(estimator)
    model = clone(estimator).set_params(tol=1e-8).fit(X, y)
    text = pickle.dumps(model)
    np.testing.assert_array_equal(pickle.loads(text).predict(X), model.predict(X))
    assert b"numba" not in text and b"skreg.solvers" not in text and b"skreg._problem" not in text


@every_estimator
def test_clone_and_repr_give_the_parameters_back(estimator):
    other = clone(estimator)
    assert other is not estimator
    assert repr(other) == repr(estimator)
    assert {k: repr(v) for k, v in other.get_params().items()} == {
        k: repr(v) for k, v in estimator.get_params().items()
    }


def test_nested_parameters_of_losses_and_penalties():
    model = skreg.SparseRegressor(loss=Huber(delta=2.0), penalty=MCP(gamma=4.0))
    assert model.get_params()["loss__delta"] == 2.0
    model.set_params(loss__delta=0.5, penalty__gamma=2.5)
    assert model.loss == Huber(delta=0.5) and model.penalty == MCP(gamma=2.5)
    twin = clone(model).set_params(loss__delta=1.0)
    assert model.loss.delta == 0.5 and twin.loss.delta == 1.0


def test_grid_search_over_alpha_and_loss_delta():
    X, y = make_data(skreg.Lasso(), n_samples=80)
    y[::9] += 30.0
    grid = {"alpha": [1e-3, 0.05, 1.0], "loss__delta": [0.5, 100.0]}
    scoring = "neg_median_absolute_error"
    search = GridSearchCV(skreg.SparseRegressor(loss=Huber()), grid, cv=4, scoring=scoring).fit(X, y)
    assert search.best_params_["loss__delta"] == 0.5
    assert search.best_params_["alpha"] < 1.0


@pytest.mark.parametrize("estimator", CONTRACTED, ids=label)
def test_pipeline_with_a_scaler_equals_standardize(estimator):
    """But for bounds, which are in the units of X, and for class weights, which count for the scale too."""
    X, y = make_data(estimator)
    estimator = clone(estimator).set_params(**({"class_weight": None} if is_classifier(estimator) else {}))
    piped = make_pipeline(StandardScaler(), clone(estimator).set_params(standardize=False)).fit(X, y)
    own = clone(estimator).set_params(standardize=True).fit(X, y)
    np.testing.assert_allclose(piped[-1].coef_ / piped[0].scale_, own.coef_, rtol=0, atol=1e-7)


def mixed_frame(kind):
    rng = np.random.default_rng(0)
    columns = {"size": rng.normal(50, 10, 60), "age": rng.uniform(0, 9, 60), "town": rng.choice(["a", "b", "c"], 60)}
    y = 0.1 * columns["size"] + 2.0 * (columns["town"] == "b") + 0.1 * rng.standard_normal(60)
    return kind(columns), y


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame])
@pytest.mark.parametrize("output", ["default", "pandas", "polars"])
def test_column_transformer_and_parameters_by_output_name(kind, output):
    frame, y = mixed_frame(kind)
    encode = ColumnTransformer(
        [("number", StandardScaler(), ["size", "age"]), ("word", OneHotEncoder(sparse_output=False), ["town"])],
        verbose_feature_names_out=False,
    )
    encode.set_output(transform=output)
    weights = {"age": np.inf} if output != "default" else [1.0, np.inf, 1.0, 1.0, 1.0]
    model = Pipeline([("encode", encode), ("lasso", skreg.Lasso(alpha=1e-3, penalty_weights=weights))]).fit(frame, y)
    assert model.score(frame, y) > 0.95
    assert model[-1].coef_[1] == 0.0
    if output != "default":
        assert list(model[-1].feature_names_in_) == ["size", "age", "town_a", "town_b", "town_c"]


@every_estimator
def test_select_from_model(estimator):
    X, y = make_data(estimator)
    lasso = getattr(estimator, "penalty", "") == "l1" or "Lasso" in type(estimator).__name__
    select = SelectFromModel(clone(estimator), threshold=None if lasso else 1e-5).fit(X, y)
    kept = np.any(np.atleast_2d(select.estimator_.coef_) != 0, axis=0)
    np.testing.assert_array_equal(select.get_support(), kept)
    assert 0 < kept.sum()


def test_transformed_target():
    X, y = make_data(skreg.Lasso())
    model = TransformedTargetRegressor(skreg.Lasso(alpha=0.01), func=np.log, inverse_func=np.exp).fit(X, np.exp(y))
    plain = skreg.Lasso(alpha=0.01).fit(X, y)
    np.testing.assert_allclose(np.log(model.predict(X)), plain.predict(X), rtol=1e-10)


@every_estimator
def test_metadata_routing_takes_weights_to_the_fit(estimator):
    X, y = make_data(estimator)
    weight = np.random.default_rng(0).uniform(0.1, 3.0, len(y))
    with config_context(enable_metadata_routing=True):
        asked = clone(estimator).set_params(tol=1e-8).set_fit_request(sample_weight=True, offset=False)
        pipe = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), asked)
        pipe.fit(X, y, sample_weight=weight)
        scaled = StandardScaler().fit_transform(X)
        alone = clone(estimator).set_params(tol=1e-8).fit(scaled, y, sample_weight=weight)
        np.testing.assert_array_equal(pipe[-1].coef_, alone.coef_)
        asked.set_score_request(sample_weight=True)
        scores = cross_validate(asked, X, y, cv=2, params={"sample_weight": weight}, error_score="raise")
        assert np.isfinite(scores["test_score"]).all()


@every_estimator
def test_html_repr_and_kind(estimator):
    assert type(estimator).__name__ in estimator._repr_html_()
    assert is_classifier(estimator) != is_regressor(estimator)
