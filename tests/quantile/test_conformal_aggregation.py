"""Calibrated aggregation: by split and by CV+, against the same made by hand of parts that are tested elsewhere."""

from fractions import Fraction
from math import ceil

import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.linear_model import BayesianRidge
from sklearn.model_selection import GridSearchCV, KFold, ShuffleSplit

from skreg import ConformalQuantileRegressor, QuantileAggregator, QuantileRegressor
from skreg.metrics import coverage, make_quantile_scorer

LEVELS = [0.1, 0.25, 0.5, 0.8]
MODELS = [("linear", QuantileRegressor(penalty=None)), ("normal", BayesianRidge())]
SETTINGS = [
    dict(shrinkage=0.0),
    dict(shrinkage="cv", resolution="auto"),
    dict(shrinkage="cv", resolution="coarse", locality="features"),
    dict(shrinkage=0.01, locality="partition", isotonize=None),
]


def draw(n, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 3))
    return X, X[:, 0] + (0.5 + np.abs(X[:, 1])) * rng.standard_normal(n)


def aggregator(**params):
    return QuantileAggregator(**{**dict(estimators=MODELS, quantiles=LEVELS, cv=3, random_state=0), **params})


def rank(share, n):
    return ceil(Fraction(str(share)) * (n + 1))


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_split_calibrates_each_level_by_rows_not_seen(settings):
    X, y = draw(150)
    model = aggregator(conformal="split", calibration_size=50, **settings).fit(X, y)
    ((train, test),) = ShuffleSplit(1, test_size=50, random_state=0).split(X)
    np.testing.assert_array_equal(model.conformal_.calibration_indices_, [test])
    plain = aggregator(**settings).fit(X[train], y[train])
    np.testing.assert_array_equal(model.oof_predictions_, plain.oof_predictions_)
    np.testing.assert_array_equal(model.weights_, plain.weights_)
    assert model.wis_oof_ == plain.wis_oof_ and model.shrinkage_ == plain.shrinkage_
    q = np.sort(plain.predict_quantiles(X), axis=1)
    expected = q.copy()
    for k, tau in enumerate(LEVELS):
        if tau < 0.5:
            expected[:, k] -= np.sort(q[test, k] - y[test])[rank(1 - tau, 50) - 1]
        elif tau > 0.5:
            expected[:, k] += np.sort(y[test] - q[test, k])[rank(tau, 50) - 1]
    found = model.predict_quantiles(X)
    assert np.all(found[:, :2] <= expected[:, :2] + 1e-12) and np.all(found[:, 3] >= expected[:, 3] - 1e-12)
    in_order = np.all(np.diff(expected, axis=1) >= 0, axis=1)
    assert in_order.mean() > 0.5
    np.testing.assert_allclose(found[in_order], expected[in_order], rtol=1e-12)
    np.testing.assert_array_equal(model.predict(X), found[:, 2])


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_cv_plus_is_made_of_aggregators_fitted_without_a_fold(settings):
    """Their base models leave out pairs of folds: the aggregator's folds are the other ones."""
    X, y = draw(90)
    new, n = draw(40, seed=1)[0], 90
    cv = KFold(4, shuffle=True, random_state=3)
    model = aggregator(conformal="cv+", cv=cv, **settings).fit(X, y)
    folds = [test for _, test in cv.split(X)]
    at_new, scores = [], []
    for k, test in enumerate(folds):
        rest = np.setdiff1d(np.arange(n), test)
        others = [np.flatnonzero(np.isin(rest, fold)) for l, fold in enumerate(folds) if l != k]
        inner = [(np.setdiff1d(np.arange(len(rest)), fold), fold) for fold in others]
        part = aggregator(cv=inner, **settings).fit(X[rest], y[rest])
        np.testing.assert_array_equal(model.conformal_.estimators_[k].weights_, part.weights_)
        at_new += [np.sort(part.predict_quantiles(new), axis=1)] * len(test)
        scores.append(y[test, None] - np.sort(part.predict_quantiles(X[test]), axis=1))
    moved = np.sort(np.array(at_new) + np.vstack(scores)[:, None, :], axis=0)  # (n, new rows, levels)
    expected = np.mean(at_new, axis=0)
    for k, tau in enumerate(LEVELS):
        if tau < 0.5:
            expected[:, k] = moved[n - rank(1 - tau, n), :, k]
        elif tau > 0.5:
            expected[:, k] = moved[rank(tau, n) - 1, :, k]
    found = model.predict_quantiles(new)
    in_order = np.all(np.diff(expected, axis=1) >= 0, axis=1)
    assert in_order.mean() > 0.5
    np.testing.assert_allclose(found[in_order], expected[in_order], rtol=1e-9)
    whole = aggregator(cv=cv, **settings).fit(X, y)
    np.testing.assert_array_equal(model.oof_predictions_, whole.oof_predictions_)
    np.testing.assert_array_equal(model.weights_, whole.weights_)


class Counted(RegressorMixin, BaseEstimator):
    """Notes the rows that it is trained on, by their first feature."""

    trained = []

    def __init__(self, quantile=(0.5,)):
        self.quantile = quantile

    def fit(self, X, y):
        self.trained.append(frozenset(X[:, 0].astype(int).tolist()))
        self.values_ = np.quantile(y, self.quantile)
        return self

    def predict_quantiles(self, X):
        return np.tile(self.values_, (len(X), 1))


def test_cv_plus_fits_each_pair_of_folds_once():
    X, y = np.arange(50.0)[:, None], draw(50)[1]
    Counted.trained.clear()
    model = aggregator(estimators=[("one", Counted())], conformal="cv+", cv=5, shrinkage=np.inf).fit(X, y)
    folds = [frozenset(test.tolist()) for _, test in KFold(5).split(X)]
    every = frozenset(range(50))
    expected = [every - a for a in folds] + [every - a - b for i, a in enumerate(folds) for b in folds[:i]]
    assert len(Counted.trained) == 15 and sorted(map(sorted, Counted.trained)) == sorted(map(sorted, expected))
    assert not hasattr(model, "estimators_")


@pytest.mark.parametrize("method", ["split", "cv+"])
def test_ranks_beyond_the_rows_are_infinite(method):
    X, y = draw(40)
    size = dict(calibration_size=18) if method == "split" else dict(cv=3)
    levels = [0.05, 0.1, 0.5, 0.95] if method == "split" else [0.01, 0.1, 0.5, 0.99]
    with pytest.warns(UserWarning, match="are infinite: they need"):
        model = aggregator(conformal=method, quantiles=levels, **size).fit(X, y)
    bands = model.predict_quantiles(X)
    assert np.all(bands[:, 0] == -np.inf) and np.all(bands[:, 3] == np.inf)
    assert np.isfinite(bands[:, 1:3]).all()


@pytest.mark.parametrize("method", ["split", "cv+"])
def test_coverage_where_the_plain_aggregate_falls_short(method):
    """Fine weights without shrinkage and without an inner choice, of a model with many columns: overconfident."""
    rng = np.random.default_rng(0)
    covered, below, plain = [], [], []
    for _ in range(15):
        X = rng.standard_normal((360, 12))
        y = X[:, 0] + (0.5 + np.abs(X[:, 1])) * rng.standard_normal(360)
        train, test = slice(0, 60), slice(60, None)
        settings = dict(estimators=MODELS[:1], quantiles=[0.1, 0.9], cv=3, shrinkage=np.inf)
        bands = QuantileAggregator(**settings, conformal=method, random_state=0).fit(X[train], y[train])
        bands = bands.predict_quantiles(X[test])
        covered.append(coverage(y[test], *bands.T))
        below.append([np.mean(y[test] >= bands[:, 0]), np.mean(y[test] <= bands[:, 1])])
        plain.append(
            coverage(y[test], *QuantileAggregator(**settings).fit(X[train], y[train]).predict_quantiles(X[test]).T)
        )
    assert np.mean(plain) < 0.75
    error = np.std(covered) / np.sqrt(len(covered))
    assert np.mean(covered) >= 0.8 - 2 * error
    assert np.min(np.mean(below, axis=0)) >= 0.9 - 2 * error


@pytest.mark.parametrize("method", ["split", "cv+"])
def test_models_that_came_fitted(method):
    X, y = draw(200)
    fitted = [(name, clone(m).fit(X[:80], y[:80])) for name, m in [("linear", QuantileRegressor(LEVELS)), MODELS[1]]]
    X, y = X[80:], y[80:]
    model = aggregator(estimators=fitted, cv="prefit", conformal=method, shrinkage=0.0).fit(X, y)
    held_out = model.conformal_.calibration_indices_
    assert len(held_out) == (1 if method == "split" else 5)
    for part, test in zip(model.conformal_.estimators_, held_out):
        part = part.estimators_[0] if method == "split" else part
        rest = np.setdiff1d(np.arange(120), test)
        plain = aggregator(estimators=fitted, cv="prefit", shrinkage=0.0).fit(X[rest], y[rest])
        np.testing.assert_allclose(part.predict_quantiles(X), plain.predict_quantiles(X), rtol=1e-9)


@pytest.mark.parametrize("method", ["split", "cv+"])
def test_weights_of_samples_frames_and_metadata(method):
    X, y = draw(90)
    frame, weight = pd.DataFrame(X, columns=list("abc")), np.random.default_rng(0).uniform(0.2, 2.0, 90)
    settings = dict(estimators=MODELS, conformal=method, shrinkage=0.0)
    model = aggregator(**settings).fit(frame, y, sample_weight=weight)
    assert model.feature_names_in_.tolist() == list("abc")
    array = aggregator(**settings).fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(model.predict_quantiles(frame), array.predict_quantiles(X), rtol=1e-9)
    assert np.any(array.predict_quantiles(X) != aggregator(**settings).fit(X, y).predict_quantiles(X))
    with config_context(enable_metadata_routing=True):
        asks = [(name, clone(m).set_fit_request(sample_weight=True)) for name, m in MODELS]
        routed = aggregator(**{**settings, "estimators": asks}).fit(X, y, sample_weight=weight)
    np.testing.assert_array_equal(routed.predict_quantiles(X), array.predict_quantiles(X))


def test_levels_are_those_promised_and_intervals_come_of_them():
    X, y = draw(90)
    model = aggregator(quantiles=[0.1, 0.3, 0.7, 0.9], conformal="split").fit(X, y)
    bands = model.predict_quantiles(X)
    assert np.all(np.diff(bands, axis=1) >= 0)
    np.testing.assert_array_equal(model.predict_quantiles(X, quantiles=[0.1, 0.7]), bands[:, [0, 2]])
    np.testing.assert_array_equal(model.conformal_.predict_interval(X, 0.8), bands[:, [0, 3]])
    with pytest.raises(ValueError, match=r"predicts the levels .*and not \[0.5\]"):
        model.predict_quantiles(X, quantiles=0.5)


def test_split_is_the_calibration_around_the_aggregator():
    X, y = draw(90)
    model = aggregator(conformal="split").fit(X, y)
    around = ConformalQuantileRegressor(aggregator(), quantiles=LEVELS, per_level=True, random_state=0).fit(X, y)
    np.testing.assert_array_equal(model.predict_quantiles(X), around.predict_quantiles(X))


def test_settings_are_changed_by_a_new_fit():
    X, y = draw(60)
    model = aggregator(conformal="cv+").fit(X, y)
    model.set_params(conformal=None).fit(X, y)
    np.testing.assert_array_equal(model.predict_quantiles(X), aggregator().fit(X, y).predict_quantiles(X))
    assert not hasattr(model, "conformal_") and hasattr(model, "estimators_")
    before = vars(model).copy()
    with pytest.raises(ValueError, match="cv must have at least 3 folds with conformal='cv"):
        model.set_params(conformal="cv+", cv=2).fit(X, y)
    assert {n for n in vars(model) if n.endswith("_")} == {n for n in before if n.endswith("_")}


def test_search_over_the_way_of_calibration():
    X, y = draw(90)
    scoring = make_quantile_scorer("weighted_interval_score", quantiles=[0.1, 0.9])
    model = aggregator(quantiles=[0.1, 0.5, 0.9], shrinkage=0.0)
    search = GridSearchCV(model, dict(conformal=[None, "split", "cv+"]), cv=2, scoring=scoring).fit(X, y)
    scores = search.cv_results_["mean_test_score"]
    assert np.isfinite(scores).all() and len(set(scores)) == 3


@pytest.mark.parametrize(
    "name, params", [("conformal", dict(conformal="jackknife")), ("calibration_size", dict(calibration_size=0))]
)
def test_bad_parameters_are_named(name, params):
    with pytest.raises(ValueError, match=name):
        aggregator(**params).fit(*draw(40))
