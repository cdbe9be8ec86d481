"""Tabular data with categories and splines: every input is selected or dropped as a whole, with no list of groups."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, PolynomialFeatures, SplineTransformer, StandardScaler

from skreg import (
    GroupLasso,
    GroupLassoClassifier,
    SparseGroupLasso,
    SparseGroupLassoClassifier,
    groups_from_transformer,
)

LEVELS = {
    "season": ["fall", "spring", "summer", "winter"],
    "weather": ["clear", "mist", "rain"],
    "town_part": ["north", "south"],
    "brand": [f"b{k}" for k in range(12)],
}
NUMBERS = ["hour", "temperature", "windspeed", "humidity"]
SMOOTH = ["hour", "temperature", "windspeed"]
MATTERS = {"season", "weather", "hour", "temperature"}


def rentals(n=500, seed=0):
    """Hourly rentals of bicycles: season, weather, hour and temperature tell them; the rest is noise."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({name: pd.Categorical(rng.choice(levels, n)) for name, levels in LEVELS.items()})
    frame["hour"] = rng.uniform(0, 24, n)
    frame["temperature"] = rng.normal(15, 8, n)
    frame["windspeed"] = rng.gamma(2.0, 5.0, n)
    frame["humidity"] = rng.uniform(20, 100, n)
    eta = frame["season"].map({"fall": 0.5, "spring": 0.3, "summer": 0.8, "winter": -0.8}).astype(float)
    eta += frame["weather"].map({"clear": 0.5, "mist": 0.0, "rain": -0.9}).astype(float)
    eta += 0.9 * np.sin(2 * np.pi * (frame["hour"] - 9) / 24) - ((frame["temperature"] - 22) / 12) ** 2 / 2
    return frame, eta.to_numpy() + 0.3 * rng.standard_normal(n)


def encoder(drop=None, prefix=True):
    return ColumnTransformer(
        [
            ("word", OneHotEncoder(sparse_output=False, drop=drop), list(LEVELS)),
            ("curve", SplineTransformer(n_knots=6), SMOOTH),
            ("number", StandardScaler(), ["humidity"]),
        ],
        verbose_feature_names_out=prefix,
    ).set_output(transform="pandas")


def target(model, y):
    if isinstance(model, GroupLassoClassifier | SparseGroupLassoClassifier):
        return np.where(y > np.median(y), "busy", "calm")
    return np.round(np.exp(y)) if model.loss == "poisson" else y


MODELS = [
    GroupLasso(groups="auto", alpha=0.02),
    GroupLasso(groups="auto", alpha=0.02, standardize=True),
    GroupLasso(groups="auto", alpha=0.05, loss="poisson"),
    GroupLasso(groups="auto", alpha=0.02, loss="huber"),
    GroupLasso(groups="auto", alpha=0.05, penalty="group_mcp", standardize=True),
    GroupLassoClassifier(groups="auto", alpha=0.015),
    SparseGroupLasso(groups="auto", alpha=0.03, l1_ratio=0.3),
    SparseGroupLassoClassifier(groups="auto", alpha=0.015, l1_ratio=0.2),
]
every_model = pytest.mark.parametrize("model", MODELS, ids=lambda m: f"{type(m).__name__}-{m.loss}")


def inputs(model):
    """The input whose columns a group holds, by the names of the columns, for each selected group."""
    names = model.feature_names_in_
    return [{owner(name) for name in names[columns]} for columns in model.group_columns_]


def owner(name):
    return next(known for known in [*LEVELS, *NUMBERS] if name.split("__")[-1].startswith(known))


@every_model
@pytest.mark.parametrize("drop", [None, "first"])
@pytest.mark.parametrize("prefix", [True, False])
def test_every_input_is_selected_or_dropped_as_a_whole(model, drop, prefix):
    frame, y = rentals()
    pipe = make_pipeline(encoder(drop, prefix), clone(model)).fit(frame, target(model, y))
    fit = pipe[-1]
    assert all(len(owners) == 1 for owners in inputs(fit))
    assert {next(iter(owners)) for owners in inputs(fit)} == {*LEVELS, *NUMBERS} and len(fit.groups_) == 8
    prefixes = {"word": LEVELS, "curve": SMOOTH, "number": ["humidity"]} if prefix else {"": [*LEVELS, *NUMBERS]}
    named = {f"{kind}__{name}" if kind else name for kind, known in prefixes.items() for name in known}
    if drop is None:  # a binary input with a dropped level is one column, which keeps its own name
        assert set(fit.groups_) == named
    plain = isinstance(fit, GroupLasso | GroupLassoClassifier)
    for columns, norm in zip(fit.group_columns_, fit.group_norms_):
        part = np.ravel(fit.coef_)[columns]
        assert not part.any() if norm == 0 else not plain or (part != 0).all()
    chosen = {owner(name) for name in fit.selected_groups_}
    assert MATTERS <= chosen and len(chosen) < 8
    assert pipe.score(frame, target(model, y)) > (0.4 if fit.loss == "poisson" else 0.5)


@every_model
def test_grid_search_over_alpha(model):
    frame, y = rentals(300)
    pipe = make_pipeline(encoder(), clone(model))
    step = pipe.steps[-1][0]
    search = GridSearchCV(pipe, {f"{step}__alpha": [1e-3, 1e-2, 10.0]}, cv=3).fit(frame, target(model, y))
    assert search.best_params_[f"{step}__alpha"] < 10.0
    best = search.best_estimator_[-1]
    assert len(best.groups_) == 8 and {"word__season", "curve__hour"} <= set(best.selected_groups_)
    assert search.best_score_ > search.cv_results_["mean_test_score"][2] + 0.1


def test_weights_by_group_name_and_without_a_list_of_groups_the_same_model():
    frame, y = rentals()
    free = GroupLasso("auto", alpha=0.5, group_weights={"word__season": 0.0})
    fit = make_pipeline(encoder(), free).fit(frame, y)[-1]
    assert fit.selected_groups_.tolist() == ["word__season"]
    with pytest.raises(ValueError, match=r"group_weights names the group 'season'; the groups are \['word__season'"):
        make_pipeline(encoder(), clone(free).set_params(group_weights={"season": 0.0})).fit(frame, y)
    columns = encoder().fit(frame)
    by_hand = GroupLasso(groups_from_transformer(columns), alpha=0.02, tol=1e-10).fit(columns.transform(frame), y)
    auto = make_pipeline(encoder(), GroupLasso("auto", alpha=0.02, tol=1e-10)).fit(frame, y)[-1]
    np.testing.assert_allclose(by_hand.coef_, auto.coef_, atol=1e-8)
    assert by_hand.selected_groups_.size == auto.selected_groups_.size


def test_exact_groups_for_sparse_output():
    frame, y = rentals()
    columns = ColumnTransformer([("word", OneHotEncoder(), list(LEVELS)), ("number", StandardScaler(), NUMBERS)])
    X = sp.csr_array(columns.fit_transform(frame))
    fit = GroupLasso(groups_from_transformer(columns), alpha=0.05, tol=1e-10).fit(X, y)
    dense = GroupLasso(groups_from_transformer(columns), alpha=0.05, tol=1e-10).fit(X.toarray(), y)
    np.testing.assert_allclose(fit.coef_, dense.coef_, atol=1e-8)
    assert len(fit.groups_) == 8 and 0 < fit.selected_groups_.size < 8


def test_powers_and_interactions_are_groups():
    frame, y = rentals()
    powers = ColumnTransformer([("curve", PolynomialFeatures(3, include_bias=False), ["hour", "windspeed"])])
    pipe = make_pipeline(powers.set_output(transform="pandas"), GroupLasso("auto", alpha=0.05, standardize=True))
    fit = pipe.fit(frame, y)[-1]
    assert fit.groups_.tolist() == ["curve__hour", "curve__windspeed", "curve__hour windspeed"]
    assert [len(c) for c in fit.group_columns_] == [3, 3, 3]
    assert fit.selected_groups_.tolist() == ["curve__hour"]


def test_polars_frames():
    frame, y = rentals(200)
    encoded = encoder().fit_transform(frame)
    fit = GroupLasso("auto", alpha=0.05).fit(encoded, y)
    other = GroupLasso("auto", alpha=0.05).fit(pl.DataFrame(encoded.to_dict("list")), y)
    assert other.groups_.tolist() == fit.groups_.tolist()
    np.testing.assert_allclose(other.coef_, fit.coef_, atol=1e-6)


@pytest.mark.parametrize("kind", ["category", "str", "polars"])
def test_a_categorical_that_was_not_encoded_is_an_error_that_names_it(kind):
    frame, y = rentals(50)
    if kind == "polars":
        frame = pl.DataFrame({name: frame[name].astype(str).tolist() for name in LEVELS} | {"hour": frame["hour"]})
    elif kind == "str":
        frame = frame.astype({name: str for name in LEVELS})
    with pytest.raises(ValueError, match="X has the column 'season' of dtype .*; encode it before the fit"):
        GroupLasso("auto").fit(frame, y)


def test_rows_of_weight_zero_tell_nothing_of_the_groups():
    """A row with two levels of one input shows that its columns are flags; without its weight it shows nothing."""
    X = pd.DataFrame({"ill_flu": [1.0, 0, 0, 1, 0, 1], "ill_cold": [0, 1.0, 0, 0, 1, 1]})
    y, weight = np.arange(6.0), np.array([1.0, 1, 1, 1, 1, 0])
    assert GroupLasso("auto").fit(X, y).groups_.tolist() == ["ill_flu", "ill_cold"]
    assert GroupLasso("auto").fit(X, y, weight).groups_.tolist() == ["ill"]
