"""Weights by networks: exact gradients, a start at the global weights, gains where there are any, else no loss."""

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from sklearn.linear_model import BayesianRidge

from skreg import QuantileAggregator, QuantileRegressor
from skreg.metrics import mean_pinball_loss, weighted_interval_score
from skreg.quantile import fit_weights
from skreg.quantile._local_weights import Standardised
from skreg.quantile._localities import NETWORK_PARAMS
from skreg.quantile._network import Adam, Network
from skreg.quantile._network_weights import Problem, SoftmaxWeights, fit_by_network, train
from skreg.quantile._weights_cv import Forecasts
from tests.quantile._forecasters import Expert, draw_two_sides

LEVELS = np.array([0.1, 0.3, 0.5, 0.7, 0.9])
SIDES = [("left", Expert(-1.0)), ("right", Expert(1.0))]
NETWORKS = pytest.mark.parametrize("locality", ["softmax", "mlp"])
RESOLUTIONS = pytest.mark.parametrize("resolution", ["coarse", "medium", "fine"])


def draw_forecasts(n=300, seed=0, weight=None):
    """Forecasts of two experts and of one that is off everywhere."""
    X, y = draw_two_sides(n, seed)
    models = [Expert(s, wave, quantiles=LEVELS).fit(X, y) for s, wave in ((-1.0, 5.0), (1.0, 7.0), (0.0, 9.0))]
    Z = np.stack([m.predict_quantiles(X) for m in models], axis=1)
    Z += 0.05 * np.random.default_rng(seed).standard_normal(Z.shape)  # or fine weights would not be unique
    return Forecasts(Z, y, LEVELS, weight, X)


def problem_of(forecasts, resolution, hidden=(), many=4000, **params):
    result = fit_weights(
        forecasts.Z, forecasts.y, LEVELS, resolution=resolution, sample_weight=forecasts.weight, shrinkage=0.01
    )
    x = Standardised.of(forecasts.features, forecasts.weight)(forecasts.features)[:, 1:]
    problem = Problem.of(forecasts, x, result, {**NETWORK_PARAMS, **params})
    rng = np.random.default_rng(0)
    return problem, SoftmaxWeights.at(result.weights, LEVELS, x.shape[1], hidden, rng, many), result, rng


@RESOLUTIONS
@pytest.mark.parametrize("hidden, many", [((), 4000), ((4,), 4000), ((5, 4), 4000), ((4,), 0)])
@pytest.mark.parametrize("penalty", [0.0, 2.0])
def test_gradient_is_that_of_finite_differences(resolution, hidden, many, penalty):
    weight = np.random.default_rng(1).uniform(0.5, 2.0, 40)
    problem, local, _, rng = problem_of(
        draw_forecasts(40, weight=weight), resolution, hidden, many, crossing_penalty=penalty, margin=0.5
    )
    theta, rows = local.network.theta, np.arange(3, 17)
    assert (local.tie is not None) == (many == 0 and resolution == "fine")
    theta += 0.5 * rng.standard_normal(len(theta))
    place = theta.copy()

    def loss(at):
        theta[:] = at
        return problem.objective(local, rows)[0]

    assert (problem.penalty(problem.combine(local, rows))[0].sum() > 0.0) == (penalty > 0.0)
    expected = approx_fprime(place, loss, 1e-7)
    theta[:] = place
    gradient = problem.objective(local, rows)[1]
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-6)
    assert np.count_nonzero(gradient) == len(gradient)


def test_objective_is_the_papers():
    """Written out in loops."""
    forecasts = draw_forecasts(30)
    problem, local, result, rng = problem_of(forecasts, "fine", (4,), crossing_penalty=3.0, margin=0.4)
    local.network.theta[:] += 0.5 * rng.standard_normal(len(local.network.theta))
    weights, _ = local.forward(problem.x)
    r = np.sort(forecasts.y - np.median(forecasts.Z[:, :, 2], axis=1))
    q = [np.quantile(r, level, method="inverted_cdf") for level in LEVELS]
    total = 0.0
    for i in range(30):
        g = [np.sum(weights[i, k].reshape(3, 5) * forecasts.Z[i]) for k in range(5)]
        total += np.mean([max(t * (forecasts.y[i] - a), (t - 1) * (forecasts.y[i] - a)) for t, a in zip(LEVELS, g)])
        for k in range(5):
            for l in range(k + 1, 5):
                total += 3.0 / 10 * max(g[k] - g[l] + 0.4 * (q[l] - q[k]), 0.0)
    unit = mean_pinball_loss(forecasts.y, result.combine(forecasts.Z), LEVELS)
    assert problem.objective(local, np.arange(30))[0] == pytest.approx(total / 30 / unit, rel=1e-10)


def test_dropout_keeps_the_mean_and_its_gradient():
    rng = np.random.default_rng(0)
    network = Network([3, 6, 5, 2], 0.0, rng)
    network.theta += 0.3 * rng.standard_normal(len(network.theta))
    x, slope, place = rng.standard_normal((8, 3)), rng.standard_normal((8, 2)), network.theta.copy()

    def value(at):
        network.theta[:] = at
        return np.sum(network.forward(x, 0.4, np.random.default_rng(5))[0] * slope)  # the same entries each time

    expected = approx_fprime(place, value, 1e-7)
    network.theta[:] = place
    out, way = network.forward(x, 0.4, np.random.default_rng(5))
    np.testing.assert_allclose(network.gradient(way, slope), expected, rtol=1e-4, atol=1e-6)
    assert not np.allclose(out, network.forward(x)[0])
    assert np.mean(way[1][1] == 0.0) == pytest.approx(0.4, abs=0.15)
    assert set(np.unique(way[1][1])) == {0.0, 1 / 0.6}


def test_adam_takes_the_steps_of_its_definition():
    theta, optimiser = np.array([1.0, -2.0]), Adam(2, 0.1)
    first = second = largest = np.zeros(2)
    expected = theta.copy()
    for t, gradient in enumerate(np.array([[3.0, 0.1], [-1.0, 0.2], [0.5, 0.0]]), start=1):
        optimiser.step(theta, gradient)
        first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
        largest = np.maximum(largest, second)
        expected = expected - 0.1 * first / (1 - 0.9**t) / (np.sqrt(largest / (1 - 0.999**t)) + 1e-8)
        np.testing.assert_allclose(theta, expected, rtol=1e-12)


@RESOLUTIONS
@pytest.mark.parametrize("hidden, many", [((), 4000), ((8,), 4000), ((8,), 0)])
def test_start_is_at_the_global_weights(resolution, hidden, many):
    """But for the share of 2 % that is spread; permuted models have permuted weights."""
    forecasts = draw_forecasts()
    problem, local, result, _ = problem_of(forecasts, resolution, hidden, many)
    weights, _ = local.forward(problem.x)
    np.testing.assert_allclose(weights.sum(axis=2), 1.0)
    assert np.all(weights > 0.0) and np.ptp(weights, axis=0).max() <= 1e-15
    assert local.distances(result.weights, problem.x).max() <= 0.04
    assert problem.loss(problem.combine(local, slice(None)), slice(None)) <= 1.02 * problem.scale
    order = [2, 0, 1]
    permuted = problem_of(forecasts._replace(Z=forecasts.Z[:, order]), resolution, hidden, many)
    other = permuted[1].forward(problem.x)[0].reshape(*weights.shape[:2], 3, -1)
    np.testing.assert_allclose(other, weights.reshape(other.shape)[:, :, order], atol=1e-6)


@RESOLUTIONS
@pytest.mark.parametrize("hidden, many", [((), 4000), ((16, 8), 4000), ((16,), 0)])
def test_training_lowers_the_loss(resolution, hidden, many):
    problem, local, _, rng = problem_of(draw_forecasts(), resolution, hidden, many)
    rows, params = np.arange(300), {**NETWORK_PARAMS, "learning_rate": 0.01}
    losses = [problem.objective(local, rows)[0]]
    for _ in range(3):
        train(problem, local, rows, params, 100, rng)
        losses.append(problem.objective(local, rows)[0])
    assert losses[3] < losses[2] < losses[1] < losses[0] and losses[3] < 0.8 * losses[0]


def test_best_step_is_kept():
    problem, local, _, rng = problem_of(draw_forecasts(60), "fine", (32,))
    rest, held_out = np.arange(40), np.arange(40, 60)
    steps = train(problem, local, rest, {**NETWORK_PARAMS, "learning_rate": 0.02}, 2000, rng, held_out)
    kept = problem.loss(problem.combine(local, held_out), held_out)
    problem, again, _, rng = problem_of(draw_forecasts(60), "fine", (32,))
    train(problem, again, rest, {**NETWORK_PARAMS, "learning_rate": 0.02}, steps, rng)
    assert 0 < steps < 2000
    assert problem.loss(problem.combine(again, held_out), held_out) == pytest.approx(kept, rel=1e-12)


@pytest.mark.parametrize("many", [4000, 0])
def test_shrinkage_goes_from_local_to_global_weights(monkeypatch, many):
    monkeypatch.setattr(SoftmaxWeights.at.__func__, "__defaults__", (many,))
    monkeypatch.setattr("skreg.quantile._network_weights._AT_A_TIME", 5000)  # parts of some rows
    forecasts = draw_forecasts()
    strengths = [np.inf, 1.0, 0.3, 0.1, 0.03, 0.0]
    settings = dict(resolution="fine", shrinkage=0.01)
    fits = fit_by_network(forecasts, strengths, settings, NETWORK_PARAMS, seed=0)
    shares = [fit.share for fit in fits]
    assert shares[0] == 0.0 and shares[-1] > 0.8 and np.all(np.diff(shares) >= 0.0)
    bands = [fit.combine(forecasts.Z, forecasts.features) for fit in fits]
    np.testing.assert_array_equal(bands[0], fits[0].result.combine(forecasts.Z))
    between = bands[0] + shares[-2] / shares[-1] * (bands[-1] - bands[0])
    np.testing.assert_allclose(bands[-2], between, atol=1e-12)
    weights, _ = fits[-1].local.forward(fits[-1].phi(forecasts.features)[:, 1:])
    assert (fits[-1].local.tie is None) == (many > 0)
    full = bands[0] + shares[-1] * (np.einsum("ikjl,ijl->ik", weights.reshape(300, 5, 3, 5), forecasts.Z) - bands[0])
    np.testing.assert_allclose(bands[-1], full, atol=1e-12)


@NETWORKS
@pytest.mark.parametrize("resolution", ["coarse", "fine"])
def test_local_weights_win_where_models_are_good_in_places(locality, resolution):
    X, y = draw_two_sides(2000, seed=9)
    params = dict(resolution=resolution, cv=2, random_state=0)
    fit = lambda **p: QuantileAggregator(SIDES, LEVELS, **params, **p).fit(*draw_two_sides(300, seed=0))
    scores = [weighted_interval_score(y, m.predict_quantiles(X), LEVELS) for m in (fit(), fit(locality=locality))]
    assert scores[1] <= 0.75 * scores[0]


@NETWORKS
@pytest.mark.parametrize("seed", [0, 1])
def test_local_weights_lose_nothing_where_models_are_alike_everywhere(locality, seed):
    models = [(f"m{k}", Expert(0.0, wave=31.0 + 9 * k, error=0.4 + 0.2 * k)) for k in range(3)]
    X, y = draw_two_sides(2000, seed=9)
    params = dict(estimators=models, quantiles=[0.2, 0.5, 0.8], resolution="coarse", random_state=seed)
    fit = lambda **p: QuantileAggregator(**params, **p).fit(*draw_two_sides(200, seed=seed))
    scores = [mean_pinball_loss(y, m.predict_quantiles(X), m.quantiles_) for m in (fit(), fit(locality=locality))]
    assert scores[1] <= 1.01 * scores[0]


def local(**params):
    return QuantileAggregator(**{**dict(estimators=SIDES, quantiles=LEVELS, cv=2, shrinkage=0.0), **params})


@NETWORKS
def test_fits_are_reproducible(locality):
    X, y = draw_two_sides(200, seed=0)
    bands = [local(locality=locality, random_state=s).fit(X, y).predict_quantiles(X) for s in (3, 3, 4)]
    np.testing.assert_array_equal(bands[0], bands[1])
    assert not np.allclose(bands[0], bands[2])


@NETWORKS
@RESOLUTIONS
def test_predictions_follow_the_units_and_the_order_of_models(locality, resolution):
    forecasts = draw_forecasts(200)
    params = {**NETWORK_PARAMS, "max_steps": 60, "hidden_layer_sizes": () if locality == "softmax" else (16,)}
    settings = dict(resolution=resolution, shrinkage=0.01)
    (fit,) = fit_by_network(forecasts, [0.0], settings, params, 0)
    other = forecasts._replace(Z=1e3 * forecasts.Z[:, ::-1] + 7e4, y=1e3 * forecasts.y + 7e4)
    (again,) = fit_by_network(other, [0.0], settings, params, 0)
    assert fit.share > 0.0
    expected = 1e3 * fit.combine(forecasts.Z, forecasts.features) + 7e4
    np.testing.assert_allclose(again.combine(other.Z, other.features), expected, rtol=1e-6)


@NETWORKS
def test_zero_weight_of_a_sample_is_as_if_it_were_not_there(locality):
    params = {**NETWORK_PARAMS, "max_steps": 60, "hidden_layer_sizes": () if locality == "softmax" else (16,)}
    weight = np.random.default_rng(0).uniform(0.5, 2.0, 200)
    weight[::5] = 0.0
    forecasts = draw_forecasts(200, weight=weight)
    forecasts.features[::5] *= 100.0
    kept = forecasts.rows(weight > 0.0)
    settings = dict(resolution="fine", shrinkage=0.01)
    (weighted,), (without,), (equal,) = (
        fit_by_network(data, [0.0], settings, params, 0) for data in (forecasts, kept, kept._replace(weight=None))
    )
    assert weighted.share > 0.0
    np.testing.assert_array_equal(*(fit.combine(kept.Z, kept.features) for fit in (weighted, without)))
    assert not np.allclose(weighted.combine(kept.Z, kept.features), equal.combine(kept.Z, kept.features))


@NETWORKS
def test_convex_predictions_are_within_the_range_of_the_models(locality):
    X, y = draw_two_sides(200, seed=0)
    model = local(locality=locality, resolution="medium", isotonize=None, random_state=0).fit(X, y)
    X = np.vstack([X, 10.0 * X])
    Z, bands = np.stack([m.predict_quantiles(X) for m in model.estimators_], axis=1), model.predict_quantiles(X)
    assert np.all((bands >= Z.min(axis=1) - 1e-9) & (bands <= Z.max(axis=1) + 1e-9))


@NETWORKS
@pytest.mark.parametrize("n", [8, 19, 25])
def test_few_rows_constant_y_and_one_level(locality, n):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 2))
    models = [("linear", QuantileRegressor(penalty=None)), ("normal", BayesianRidge())]
    for y in (X[:, 0] + rng.standard_normal(n), np.ones(n)):
        model = local(estimators=models, quantiles=[0.4], locality=locality, random_state=0).fit(X, y)
        assert np.isfinite(model.predict_quantiles(X)).all()


@NETWORKS
@pytest.mark.parametrize(
    "name, params",
    [
        ("constraint", dict(constraint="positive")),
        ("constraint", dict(constraint="none", intercept=True)),
        ("intercept", dict(intercept=True)),
        ("tau_groups", dict(tau_groups=np.array([0, 0, 1, 2, 2]), resolution="medium")),
        ("max_weight", dict(max_weight=0.8)),
        ("max_nonzero", dict(max_nonzero=1)),
        ("network_params", dict(network_params=dict(layers=2))),
        ("hidden_layer_sizes", dict(network_params=dict(hidden_layer_sizes=(0,)))),
        ("hidden_layer_sizes", dict(network_params=dict(hidden_layer_sizes=64))),
        ("dropout", dict(network_params=dict(dropout=1.0))),
        ("learning_rate", dict(network_params=dict(learning_rate=0.0))),
        ("weight_decay", dict(network_params=dict(weight_decay=-1.0))),
        ("crossing_penalty", dict(network_params=dict(crossing_penalty="much"))),
        ("margin", dict(network_params=dict(margin=-0.1))),
        ("max_steps", dict(network_params=dict(max_steps=0.5))),
        ("random_state", dict(random_state="seed")),
    ],
)
def test_bad_parameters_are_named(locality, name, params):
    with pytest.raises(ValueError, match=name):
        local(locality=locality, **params).fit(*draw_two_sides(60, seed=0))
