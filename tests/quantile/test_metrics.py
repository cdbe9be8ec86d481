"""Scores of quantiles and intervals against their definitions, closed forms and scikit-learn."""

import pickle

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm
from sklearn import config_context
from sklearn.datasets import load_diabetes
from sklearn.linear_model import QuantileRegressor as ScikitQuantileRegressor
from sklearn.metrics import mean_pinball_loss as scikit_pinball
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skreg
from skreg import metrics
from skreg.metrics import make_quantile_scorer

LEVELS = np.array([0.05, 0.25, 0.5, 0.75, 0.95])


def forecasts(n=30, levels=LEVELS, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal(n), rng.standard_normal((n, len(levels))), rng.uniform(0.1, 2.0, n)


def test_pinball_is_scikit_learns_at_each_level():
    y, q, weight = forecasts()
    theirs = [scikit_pinball(y, q[:, k], alpha=tau, sample_weight=weight) for k, tau in enumerate(LEVELS)]
    ours = metrics.mean_pinball_loss(y, q, LEVELS, sample_weight=weight, average=False)
    np.testing.assert_allclose(ours, theirs, rtol=1e-13)
    assert metrics.mean_pinball_loss(y, q, LEVELS, sample_weight=weight) == pytest.approx(np.mean(theirs), rel=1e-13)


@pytest.mark.parametrize("median", [True, False])
def test_weighted_interval_score_by_its_definition(median):
    """T3: 1 / (K + 1/2) (|y - m| / 2 + sum of alpha / 2 IS), without the median 1 / K; also where quantiles cross."""
    levels = LEVELS if median else np.delete(LEVELS, 2)
    y, q, _ = forecasts(levels=levels)
    total = np.abs(y - q[:, 2]) / 2 if median else np.zeros(len(y))
    for k in range(2):
        alpha, lower, upper = 2 * levels[k], q[:, k], q[:, -1 - k]
        missed = np.where(y < lower, lower - y, 0.0) + np.where(y > upper, y - upper, 0.0)
        total += alpha / 2 * (upper - lower + 2 / alpha * missed)
    expected = np.mean(total) / (2.5 if median else 2.0)
    assert metrics.weighted_interval_score(y, q, levels) == pytest.approx(expected, rel=1e-13)
    assert expected == pytest.approx(2 * metrics.mean_pinball_loss(y, q, levels), rel=1e-13)


def test_crps_of_many_levels_is_the_closed_form_of_the_normal():
    """T3: z (2 Phi(z) - 1) + 2 phi(z) - 1 / sqrt(pi), times sigma."""
    y, mu, sigma = np.array([-1.5, 0.0, 0.3, 4.0]), np.array([0.0, 0.5, 0.3, 1.0]), np.array([1.0, 2.0, 0.5, 1.0])
    z = (y - mu) / sigma
    closed = np.mean(sigma * (z * (2 * norm.cdf(z) - 1) + 2 * norm.pdf(z) - 1 / np.sqrt(np.pi)))
    errors = {}
    for n_levels in (99, 999, 9999):
        levels = np.arange(1, n_levels + 1) / (n_levels + 1)
        q = mu[:, None] + sigma[:, None] * norm.ppf(levels)
        errors[n_levels] = abs(metrics.crps(y, q, levels) - closed)
        assert metrics.weighted_interval_score(y, q, levels) == pytest.approx(closed, rel=3 / n_levels)
    assert errors[99] < 2e-3 and errors[999] < 1e-4 and errors[9999] < 1e-5


@pytest.mark.parametrize("y", [-2.0, 0.5, 1.0, 2.5, 9.0])
def test_crps_is_the_integral_of_its_definition(y):
    levels, q = np.array([0.2, 0.5, 0.6, 0.9]), np.array([0.0, 1.0, 1.0, 4.0])
    at = lambda x: 0.0 if x < 0 else 1.0 if x >= 4 else 0.2 + 0.3 * x if x < 1 else 0.6 + 0.1 * (x - 1)
    cuts = sorted({-3.0, 0.0, 1.0, 4.0, 10.0, y})
    pieces = [quad(lambda x: (at(x) - (y <= x)) ** 2, a, b)[0] for a, b in zip(cuts, cuts[1:])]
    assert metrics.crps([y], [q], levels) == pytest.approx(sum(pieces), rel=1e-9)
    assert metrics.crps([y], [q[::-1]], levels) == metrics.crps([y], [q], levels)
    assert metrics.crps([y], [[1.0]], 0.3) == abs(y - 1.0)


def test_interval_score_is_smallest_at_the_quantiles():
    """Its expectation under the standard Normal is there (2 / alpha) 2 phi(z), by integration by parts."""
    y = np.linspace(-12, 12, 20001)
    alpha, best = 0.2, norm.ppf(0.1)

    def expected(lower, upper):
        ends = np.full_like(y, lower), np.full_like(y, upper)
        return metrics.interval_score(y, *ends, alpha, sample_weight=norm.pdf(y))

    value = expected(best, -best)
    assert value == pytest.approx(2 / alpha * 2 * norm.pdf(best), rel=1e-6)
    assert all(value < expected(best + a, -best + b) for a, b in [(0.1, 0), (-0.1, 0), (0, 0.1), (0, -0.1)])


def test_shares_and_weights():
    y, q = np.array([0.0, 1.0, 2.0]), np.array([[0.0, 1.0], [2.0, 1.5], [3.0, 5.0]])
    assert metrics.coverage(y, q[:, 0], q[:, 1]) == pytest.approx(1 / 3)
    assert metrics.coverage(y, q[:, 0], q[:, 1], sample_weight=[2, 1, 1]) == 0.5
    assert metrics.crossing_rate(q) == pytest.approx(1 / 3)
    assert metrics.crossing_rate(q, sample_weight=[1, 2, 1]) == 0.5
    np.testing.assert_allclose(metrics.quantile_coverage(y, q), [1.0, 1.0])
    assert metrics.interval_width(q[:, 0], q[:, 1], sample_weight=[1, 0, 1]) == 1.5


@pytest.mark.parametrize("name", ["mean_pinball_loss", "weighted_interval_score", "crps"])
def test_integer_weights_repeat_rows_and_infinite_quantiles_score_infinity(name):
    score = getattr(metrics, name)
    y, q, _ = forecasts()
    times = np.arange(len(y)) % 3
    repeated = score(np.repeat(y, times), np.repeat(q, times, axis=0), LEVELS)
    assert score(y, q, LEVELS, sample_weight=times) == pytest.approx(repeated, rel=1e-13)
    q[0, -1] = np.inf  # of weight 0 above
    assert score(y, q, LEVELS) == np.inf
    assert score(y, q, LEVELS, sample_weight=times) == pytest.approx(repeated, rel=1e-13)


def test_infinite_intervals():
    ends = np.array([-np.inf, 0.0]), np.array([np.inf, np.inf])
    assert metrics.coverage([3.0, 1.0], *ends) == 1.0
    assert metrics.interval_width(*ends) == np.inf
    assert metrics.interval_score([3.0, 1.0], *ends, alpha=0.1) == np.inf
    assert metrics.interval_width([np.inf], [np.inf]) == 0.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.mean_pinball_loss([1.0], [[1.0, 2.0]], [0.5]), "y_quantiles must have a column"),
        (lambda: metrics.mean_pinball_loss([1.0, 2.0], [[1.0]], 0.5), "y_quantiles must have as many rows"),
        (lambda: metrics.mean_pinball_loss([np.nan], [[1.0]], 0.5), "y_true must not have NaN"),
        (lambda: metrics.crps([1.0], [[1.0, 2.0]], [0.9, 0.1]), "quantiles must have levels that increase"),
        (lambda: metrics.crps(["a"], [[1.0]], 0.5), "y_true must be an array of numbers"),
        (lambda: metrics.weighted_interval_score([1.0], [[1.0, 2.0]], [0.1, 0.8]), "quantiles must be symmetric"),
        (lambda: metrics.interval_score([1.0], [0.0], [1.0], alpha=1.0), "alpha must be strictly between"),
        (lambda: metrics.coverage([1.0], [0.0], [1.0, 2.0]), "y_upper must have as many samples"),
        (lambda: metrics.crossing_rate([[1.0]], sample_weight=[0.0]), "sample_weight must be non-negative"),
        (lambda: make_quantile_scorer("pinball"), "metric must be a callable or one of"),
    ],
)
def test_bad_input_names_the_argument(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_every_named_scorer_is_its_metric_of_the_model():
    X, y = load_diabetes(return_X_y=True)
    model = skreg.QuantileRegressor(quantile=LEVELS, alpha=0.01).fit(X, y)
    q = model.predict_quantiles(X)
    expected = {
        "mean_pinball_loss": metrics.mean_pinball_loss(y, q, LEVELS),
        "weighted_interval_score": metrics.weighted_interval_score(y, q, LEVELS),
        "crps": metrics.crps(y, q, LEVELS),
        "crossing_rate": metrics.crossing_rate(q),
        "interval_score": metrics.interval_score(y, q[:, 0], q[:, -1], 0.1),
        "interval_width": metrics.interval_width(q[:, 0], q[:, -1]),
        "miscoverage": abs(metrics.coverage(y, q[:, 0], q[:, -1]) - 0.9),
    }
    for name, value in expected.items():
        assert make_quantile_scorer(name)(model, X, y) == pytest.approx(-value, abs=1e-12), name
    few = make_quantile_scorer("interval_score", quantiles=[0.25, 0.75])
    assert few(model, X, y) == pytest.approx(-metrics.interval_score(y, q[:, 1], q[:, 3], 0.5), rel=1e-12)
    with pytest.raises(ValueError, match=r"and not \[0.1\]"):
        make_quantile_scorer(quantiles=[0.1, 0.5])(model, X, y)


def test_scorer_in_a_grid_search_over_a_pipeline_and_of_a_model_with_one_level():
    X, y = load_diabetes(return_X_y=True)
    pipe = make_pipeline(StandardScaler(), skreg.QuantileRegressor(quantile=[0.1, 0.5, 0.9]))
    scorer = make_quantile_scorer("weighted_interval_score")
    search = GridSearchCV(pipe, {"quantileregressor__alpha": [0.1, 100.0]}, scoring=scorer, cv=3).fit(X, y)
    assert search.best_params_ == {"quantileregressor__alpha": 0.1}
    assert search.score(X, y) == scorer(search.best_estimator_, X, y)
    twin = pickle.loads(pickle.dumps(scorer))  # as processes do
    assert twin(search.best_estimator_, X, y) == search.score(X, y) and repr(twin) == repr(scorer)
    one = ScikitQuantileRegressor(quantile=0.8, alpha=0.1).fit(X, y)
    assert make_quantile_scorer()(one, X, y) == pytest.approx(-scikit_pinball(y, one.predict(X), alpha=0.8))
    with pytest.raises(ValueError, match="StandardScaler does not tell its quantile levels"):
        scorer(StandardScaler().fit(X), X, y)


def test_scorer_takes_weights_by_metadata_routing():
    X, y = load_diabetes(return_X_y=True)
    weight = np.random.default_rng(0).uniform(0.1, 3.0, len(y))
    model = skreg.QuantileRegressor(quantile=[0.2, 0.8], alpha=0.1)
    folds = [(np.arange(0, 300), np.arange(300, 442))]
    with config_context(enable_metadata_routing=True):
        asked = model.set_fit_request(sample_weight=True, offset=False)
        scorer = make_quantile_scorer().set_score_request(sample_weight=True)
        found = cross_validate(asked, X, y, cv=folds, scoring=scorer, params={"sample_weight": weight})
    fitted = skreg.QuantileRegressor(quantile=[0.2, 0.8], alpha=0.1).fit(X[:300], y[:300], weight[:300])
    q = fitted.predict_quantiles(X[300:])
    expected = metrics.mean_pinball_loss(y[300:], q, [0.2, 0.8], sample_weight=weight[300:])
    assert found["test_score"] == pytest.approx(-expected, rel=1e-10)
