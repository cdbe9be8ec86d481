"""Conformal quantiles: the formulas by hand, exact ranks, coverage, and every kind of model inside."""

from fractions import Fraction
from math import ceil, floor

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from scipy.stats import norm
from sklearn import config_context
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import BaggingRegressor, GradientBoostingRegressor, HistGradientBoostingRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import BayesianRidge, LinearRegression
from sklearn.linear_model import QuantileRegressor as ScikitQuantileRegressor
from sklearn.model_selection import GridSearchCV, KFold, LeaveOneOut, ShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skreg import ConformalQuantileRegressor, QuantileRegressor
from skreg.metrics import coverage, make_quantile_scorer
from skreg.quantile._adapter import QuantileAdapter

LINEAR = QuantileRegressor(alpha=0.0)


def data(n, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 3))
    return X, X[:, 0] + (0.5 + np.abs(X[:, 1])) * rng.standard_normal(n)


class NormalLevels(RegressorMixin, BaseEstimator):
    """Quantiles of the standard Normal, whatever X; a parameter widens them."""

    def __init__(self, quantiles=(0.05, 0.5, 0.95), scale=1.0):
        self.quantiles, self.scale = quantiles, scale

    def fit(self, X, y):
        self.quantiles_ = np.asarray(self.quantiles)
        return self

    def predict_quantiles(self, X):
        return np.tile(self.scale * norm.ppf(self.quantiles_), (len(X), 1))


class Forest(RegressorMixin, BaseEstimator):
    """Takes levels when predicting, as quantile forests do."""

    def fit(self, X, y):
        self.y_ = np.asarray(y)
        return self

    def predict(self, X, quantiles=None):
        return np.tile(np.quantile(self.y_, quantiles), (len(X), 1))


def frozen(levels, scale=1.0):
    return FrozenEstimator(NormalLevels(levels, scale).fit(None, None))


def rank(level, n):
    """ceil(level (n + 1)) without rounding errors."""
    return ceil(Fraction(str(level)) * (n + 1))


def test_split_by_the_formula_of_romano_et_al():
    X, y = data(30)
    levels = [0.1, 0.25, 0.5, 0.75, 0.9]
    model = ConformalQuantileRegressor(frozen(levels, 0.3), quantiles=levels).fit(X, y)
    g = 0.3 * norm.ppf(levels)
    bands = model.predict_quantiles(X[:2])
    for low, high, nominal in [(0, 4, 0.8), (1, 3, 0.5)]:
        shift = np.sort(np.maximum(g[low] - y, y - g[high]))[rank(nominal, 30) - 1]
        assert shift > 0
        np.testing.assert_allclose(bands[0, [low, high]], [g[low] - shift, g[high] + shift], rtol=1e-12)
        np.testing.assert_array_equal(model.predict_interval(X[:2], nominal), bands[:, [low, high]])
        np.testing.assert_allclose(model.corrections_[[low, high]], [-shift, shift], rtol=1e-12)
    assert bands[0, 2] == g[2] == model.predict(X)[0]
    np.testing.assert_array_equal(model.predict_interval(X[:2]), bands[:, [0, 4]])


def test_per_level_by_the_one_sided_formula():
    X, y = data(30)
    levels = [0.1, 0.3, 0.5, 0.8]
    model = ConformalQuantileRegressor(frozen(levels, 0.3), quantiles=levels, per_level=True).fit(X, y)
    g = 0.3 * norm.ppf(levels)
    expected = [
        g[0] - np.sort(g[0] - y)[rank(0.9, 30) - 1],
        g[1] - np.sort(g[1] - y)[rank(0.7, 30) - 1],
        g[2],
        g[3] + np.sort(y - g[3])[rank(0.8, 30) - 1],
    ]
    assert (np.diff(expected) > 0).all()
    np.testing.assert_allclose(model.predict_quantiles(X[:1])[0], expected, rtol=1e-12)


@pytest.mark.parametrize("per_level", [False, True])
@pytest.mark.parametrize("cv", [KFold(4), LeaveOneOut()], ids=str)
def test_cv_plus_by_the_formula_of_barber_et_al(per_level, cv):
    X, y = data(41)
    new, alpha, n = data(50, seed=1)[0], Fraction(1, 5), 41
    model = ConformalQuantileRegressor(LINEAR, quantiles=[0.1, 0.9], method="cv+", cv=cv, per_level=per_level)
    found = model.fit(X, y).predict_quantiles(new)
    lower, upper = [], []
    for train, test in cv.split(X):
        fold = QuantileRegressor(quantile=[0.1, 0.9], alpha=0.0).fit(X[train], y[train])
        at_test, at_new = (np.sort(fold.predict_quantiles(rows), axis=1) for rows in (X[test], new))
        below, above = at_test[:, 0] - y[test], y[test] - at_test[:, 1]
        far = np.maximum(below, above)
        lower.append(at_new[:, [0]] - (below if per_level else far))
        upper.append(at_new[:, [1]] + (above if per_level else far))
    miss = alpha / 2 if per_level else alpha
    low = np.sort(np.hstack(lower), axis=1)[:, floor(miss * (n + 1)) - 1]
    high = np.sort(np.hstack(upper), axis=1)[:, ceil((1 - miss) * (n + 1)) - 1]
    assert (low < high).all()
    np.testing.assert_allclose(found, np.c_[low, high], rtol=1e-9, atol=1e-12)


def test_cv_plus_in_blocks(monkeypatch):
    X, y = data(60)
    model = ConformalQuantileRegressor(method="cv+", random_state=0).fit(X, y)
    whole = model.predict_quantiles(X)
    monkeypatch.setattr("skreg.quantile._conformal._BLOCK", 100)
    np.testing.assert_array_equal(model.predict_quantiles(X), whole)


@pytest.mark.filterwarnings("ignore:Quantiles of the levels:UserWarning")
@pytest.mark.parametrize("n", [9, 10, 19, 20, 39, 99, 100, 999, 1000])
def test_ranks_are_exact(n):
    """Also where (1 - alpha)(n + 1) is whole but its floating-point value is not."""
    X, y = data(n)
    lower = np.arange(5, 50, 5) / 100
    levels = [*lower, *(1 - lower[::-1])]
    pairs = ConformalQuantileRegressor(frozen(levels), quantiles=levels)
    alone = clone(pairs).set_params(per_level=True)
    pairs, alone = pairs.fit(X, y), alone.fit(X, y)
    assert (
        pairs.ranks_[:9].tolist()
        == pairs.ranks_[:8:-1].tolist()
        == [rank(1 - Fraction(k, 10), n) for k in range(1, 10)]
    )
    assert (
        alone.ranks_[:9].tolist()
        == alone.ranks_[:8:-1].tolist()
        == [rank(1 - Fraction(k, 20), n) for k in range(1, 10)]
    )


@pytest.mark.parametrize("method", ["split", "cv+"])
@pytest.mark.parametrize(("per_level", "needed"), [(False, 9), (True, 19)])
def test_a_rank_beyond_the_rows_is_infinite_and_never_clipped(method, per_level, needed):
    for n in (needed - 1, needed):
        X, y = data(n)
        X, y = (np.vstack([X, data(30, 1)[0]]), np.append(y, data(30, 1)[1])) if method == "split" else (X, y)
        settings = dict(quantiles=[0.05, 0.5, 0.95], method=method, per_level=per_level, calibration_size=n, cv=3)
        model = ConformalQuantileRegressor(BayesianRidge(), random_state=0, **settings)
        if n == needed:
            assert np.isfinite(model.fit(X, y).predict_quantiles(X)).all()
            continue
        with pytest.warns(UserWarning, match=rf"\[0.05, 0.95\] are infinite: they need {needed} calibration rows"):
            model.fit(X, y)
        bands = model.predict_quantiles(X)
        assert (bands[:, 0] == -np.inf).all() and (bands[:, 2] == np.inf).all()
        assert np.isfinite(model.predict(X)).all()


@pytest.mark.filterwarnings("ignore:Quantiles of the levels:UserWarning")
@pytest.mark.parametrize("per_level", [False, True])
@pytest.mark.parametrize("n", [10, 19, 20, 100, 1000])
@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.2])
def test_expected_coverage_of_split(n, alpha, per_level):
    """T8: rank / (n + 1) for scores without ties, twice less its complement per level; 1 where infinite."""
    rng = np.random.default_rng(0)
    levels = [alpha / 2, 1 - alpha / 2]
    model = ConformalQuantileRegressor(frozen(levels, 0.8), quantiles=levels, per_level=per_level)
    X, covered = np.zeros((n, 1)), []
    for _ in range(50):
        model.fit(X, rng.standard_normal(n))
        covered.append(np.diff(norm.cdf(model.predict_quantiles(X[:1])[0])).item())
    exact = min(1.0, rank(1 - alpha / (2 if per_level else 1), n) / (n + 1))
    exact = 2 * exact - 1 if per_level else exact
    error = np.std(covered) / np.sqrt(len(covered))
    assert 1 - alpha <= exact + 1e-12 <= 1 - alpha + (2 if per_level else 1) / (n + 1) + 1e-9 or exact == 1.0
    assert np.mean(covered) == pytest.approx(exact, abs=4 * error + 1e-12)


def test_coverage_of_cv_plus():
    """At least 1 - 2 alpha by theory; in practice at least 1 - alpha, where the plain quantiles fall short."""
    alpha, n, covered, plain = 0.2, 40, [], []
    for seed in range(30):
        X, y = data(n + 300, seed)
        model = ConformalQuantileRegressor(LINEAR, quantiles=[0.1, 0.9], method="cv+", cv=4, random_state=seed)
        for found, bands in (
            (covered, model.fit(X[:n], y[:n]).predict_quantiles(X[n:])),
            (plain, QuantileAdapter(LINEAR, [0.1, 0.9]).fit(X[:n], y[:n]).predict_quantiles(X[n:])),
        ):
            found.append(coverage(y[n:], *bands.T))
    assert np.mean(plain) < 1 - alpha - 0.03
    assert 1 - alpha - 0.01 < np.mean(covered) < 1 - alpha + 0.1


def test_ties_and_constant_targets():
    X, _ = data(40)
    for method in ("split", "cv+"):
        model = ConformalQuantileRegressor(method=method, random_state=0).fit(X, np.full(40, 3.0))
        np.testing.assert_allclose(model.predict_quantiles(X), 3.0, rtol=1e-9)
    levels = [0.1, 0.9]
    y = np.tile([-2.0, 2.0], 20)  # all scores are one
    bands = ConformalQuantileRegressor(frozen(levels), quantiles=levels).fit(X, y).predict_quantiles(X)
    np.testing.assert_allclose(bands[0], [-2.0, 2.0], rtol=1e-12)


@pytest.mark.parametrize("settings", [{}, dict(method="cv+"), dict(per_level=True)], ids=str)
def test_units_and_sign_of_the_target(settings):
    """T7."""
    X, y = data(120)
    levels = np.array([0.1, 0.3, 0.5, 0.7, 0.9])
    model = ConformalQuantileRegressor(LINEAR, quantiles=levels, random_state=0, **settings)
    bands = clone(model).fit(X, y).predict_quantiles(X)
    np.testing.assert_allclose(clone(model).fit(X, 1e3 * y - 7).predict_quantiles(X), 1e3 * bands - 7, rtol=1e-7)
    np.testing.assert_allclose(clone(model).fit(X, -y).predict_quantiles(X), -bands[:, ::-1], rtol=1e-7, atol=1e-9)


HGB = HistGradientBoostingRegressor(loss="quantile", max_iter=5)
GBR = GradientBoostingRegressor(loss="quantile", n_estimators=5, random_state=0)
SEARCH = GridSearchCV(QuantileRegressor(), {"alpha": [0.1]}, cv=2, scoring=make_quantile_scorer())


def by_level(estimator, name):
    return lambda X, y, t: np.column_stack(
        [clone(estimator).set_params(**{name: tau}).fit(X, y).predict(X) for tau in t]
    )


def gaussian(X, y, t):
    mean, deviation = BayesianRidge().fit(X, y).predict(X, return_std=True)
    return np.stack([norm.ppf(tau, mean, deviation) for tau in t], axis=1)


WAYS = {
    "several levels": (LINEAR, by_level(LINEAR, "quantile")),
    "scikit-learn's": (ScikitQuantileRegressor(alpha=0.1), by_level(ScikitQuantileRegressor(alpha=0.1), "quantile")),
    "histogram boosting": (HGB, by_level(HGB, "quantile")),
    "boosting": (GBR, by_level(GBR, "alpha")),
    "Gaussian": (BayesianRidge(), gaussian),
    "forest": (Forest(), lambda X, y, t: np.tile(np.quantile(y, t), (len(X), 1))),
    "sequence": (
        [GBR, LINEAR, GBR],
        lambda X, y, t: np.column_stack([clone(m).fit(X, y).predict(X) for m in (GBR, LINEAR, GBR)]),
    ),
    "pipeline": (make_pipeline(StandardScaler(), LINEAR), by_level(LINEAR, "quantile")),
    "pipeline by level": (make_pipeline(StandardScaler(), GBR), by_level(GBR, "alpha")),
    "pipeline, Gaussian": (
        make_pipeline(StandardScaler(with_std=False), BayesianRidge()),
        lambda X, y, t: gaussian(X - X.mean(axis=0), y, t),
    ),
    "search": (SEARCH, by_level(QuantileRegressor(alpha=0.1), "quantile")),
    "transformed": (TransformedTargetRegressor(GBR), by_level(GBR, "alpha")),
    "ensemble": (
        BaggingRegressor(LINEAR, n_estimators=2, random_state=0),
        by_level(BaggingRegressor(LINEAR, n_estimators=2, random_state=0), "estimator__quantile"),
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_predict_quantiles(way):
    X, y = data(60)
    estimator, expected = WAYS[way]
    before = repr(estimator)
    levels = [0.2, 0.5, 0.9]
    found = QuantileAdapter(estimator, levels).fit(X, y).predict_quantiles(X)
    np.testing.assert_allclose(found, expected(X, y, levels), rtol=1e-7, atol=1e-8)
    assert repr(estimator) == before
    model = ConformalQuantileRegressor(estimator, quantiles=[0.2, 0.5, 0.8], random_state=0).fit(X, y)
    assert (np.diff(model.predict_quantiles(X), axis=1) >= 0).all()


def test_alpha_is_the_level_for_lightgbm_and_xgboost_objectives():
    class Booster(BaseEstimator):
        def __init__(self, objective="quantile", alpha=0.9, quantile_alpha=None):
            self.objective, self.alpha, self.quantile_alpha = objective, alpha, quantile_alpha

        def fit(self, X, y):
            return self

        def predict(self, X):
            return np.full(len(X), self.alpha if self.quantile_alpha is None else self.quantile_alpha)

    X, y = data(5)
    for estimator in (Booster(), Booster(objective="reg:quantileerror")):
        found = QuantileAdapter(estimator, [0.2, 0.7]).fit(X, y).predict_quantiles(X)
        np.testing.assert_array_equal(found[0], [0.2, 0.7])


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (LinearRegression(), "LinearRegression has no predict_quantiles"),
        (HistGradientBoostingRegressor(), "loss='quantile' to predict quantiles; got loss='squared_error'"),
        ([LINEAR, LINEAR], "one for each of the 3 levels; got 2"),
        (FrozenEstimator(QuantileRegressor(quantile=[0.2, 0.8]).fit(*data(30))), r"and not \[0.05, 0.5, 0.95\]"),
    ],
)
def test_estimators_that_cannot_are_named(estimator, message):
    with pytest.raises(ValueError, match=message):
        ConformalQuantileRegressor(estimator).fit(*data(30))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(quantiles=[0.1, 0.8]), "quantiles must be symmetric"),
        (dict(quantiles=0.5), "quantiles must have a level other than 0.5"),
        (dict(quantiles=[0.1, 1.0]), "quantiles must be strictly between 0 and 1"),
        (dict(method="cv+", cv=ShuffleSplit(3, test_size=0.5)), "cv must have every row in one test set"),
        (dict(estimator=frozen([0.05, 0.5, 0.95]), method="cv+"), "calibrate a FrozenEstimator by method='split'"),
    ],
)
def test_bad_settings_are_named_and_leave_nothing(settings, message):
    model = ConformalQuantileRegressor(**settings)
    with pytest.raises(ValueError, match=message):
        model.fit(*data(30))
    assert not [name for name in vars(model) if name.endswith("_")]
    fitted = ConformalQuantileRegressor(quantiles=[0.1, 0.9], random_state=0).fit(*data(60))
    with pytest.raises(ValueError, match="have no two levels for coverage=0.5"):
        fitted.predict_interval(data(3)[0], coverage=0.5)


def test_sample_weight_goes_by_rows_to_the_fit_and_not_to_the_calibration():
    X, y = data(80)
    weight = np.random.default_rng(0).uniform(0.1, 3.0, 80)
    model = ConformalQuantileRegressor(LINEAR, quantiles=[0.1, 0.9], calibration_size=20, random_state=0)
    model.fit(X, y, sample_weight=weight)
    (test,) = model.calibration_indices_
    train = np.setdiff1d(np.arange(80), test)
    inner = QuantileRegressor(quantile=[0.1, 0.9], alpha=0.0).fit(X[train], y[train], weight[train])
    q = inner.predict_quantiles(X[test])
    shift = np.sort(np.maximum(q[:, 0] - y[test], y[test] - q[:, 1]))[rank(0.8, 20) - 1]
    np.testing.assert_allclose(model.corrections_, [-shift, shift], rtol=1e-7)
    with config_context(enable_metadata_routing=True):
        asked = ConformalQuantileRegressor(
            clone(LINEAR).set_fit_request(sample_weight=True, offset=False),
            quantiles=[0.1, 0.9],
            calibration_size=20,
            random_state=0,
        )
        asked.fit(X, y, sample_weight=weight)
    np.testing.assert_array_equal(asked.corrections_, model.corrections_)


def test_frames_reach_the_estimator_and_jobs_change_nothing():
    X, y = data(60)
    frame = pd.DataFrame(X, columns=list("abc"))
    for method in ("split", "cv+"):
        model = ConformalQuantileRegressor(GBR, method=method, random_state=0).fit(frame, y)
        assert model.feature_names_in_.tolist() == ["a", "b", "c"]
        assert model.estimators_[0].estimators_[0].feature_names_in_.tolist() == ["a", "b", "c"]
        with parallel_config(backend="threading"):
            twin = clone(model).set_params(n_jobs=2).fit(frame, y)
        np.testing.assert_array_equal(twin.predict_quantiles(frame), model.predict_quantiles(frame))


def test_grid_search_over_the_inner_model():
    X, y = data(120)
    model = ConformalQuantileRegressor(QuantileRegressor(), quantiles=[0.1, 0.5, 0.9], random_state=0)
    scorer = make_quantile_scorer("weighted_interval_score")
    search = GridSearchCV(model, {"estimator__alpha": [1e-3, 10.0]}, scoring=scorer, cv=3).fit(X, y)
    assert search.best_params_ == {"estimator__alpha": 1e-3}
