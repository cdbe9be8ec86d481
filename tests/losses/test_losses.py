"""The contract of every loss: derivatives, conjugate, infimum, null model, namespaces, extremes, parameters."""

import math
import pickle
import subprocess
import sys
import warnings
from decimal import Decimal, localcontext

import array_api_strict
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import brentq, minimize, minimize_scalar
from sklearn.base import clone
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, mean_gamma_deviance, mean_poisson_deviance, mean_tweedie_deviance

from skreg.losses import (
    LOSSES,
    Gamma,
    Huber,
    Logistic,
    Loss,
    Multinomial,
    Poisson,
    Squared,
    SquaredHinge,
    Tweedie,
    get_loss,
)

SETTINGS = {
    "huber": [{}, {"delta": 0.1}, {"delta": 20.0}],
    "tweedie": [{"power": p} for p in (0, 1, 1.01, 1.5, 1.9, 2, 2.5, 3)],
}
ALL = [cls(**kwargs) for name, cls in LOSSES.items() for kwargs in SETTINGS.get(name, [{}])]
SCALAR = [loss for loss in ALL if not loss.multi_output]
CONVEX = [loss for loss in ALL if loss.convex]
CONVEX_SCALAR = [loss for loss in SCALAR if loss.convex]
METHODS = ("value", "gradient", "curvature")
OPTIMUM = {"xatol": 1e-10}


def ids(loss):
    return repr(loss)


def over(losses):
    return pytest.mark.parametrize("loss", losses, ids=ids)


def has_zeros(loss):
    """Whether the target is non-negative with zeros allowed."""
    return isinstance(loss, Poisson) or (isinstance(loss, Tweedie) and 1 <= loss.power < 2)


def draw_target(loss, rng, n=60):
    if isinstance(loss, Multinomial):
        return np.eye(3)[np.r_[0, 1, 2, rng.integers(3, size=n - 3)]]
    if loss.classifier:
        return np.r_[0.0, 1.0, rng.integers(2, size=n - 2)]
    if has_zeros(loss):
        return np.r_[0.0, rng.gamma(1.0, 2.0, n - 1)]
    if isinstance(loss, Gamma | Tweedie) and not loss.quadratic:
        return rng.gamma(2.0, 1.0, n) + 1e-3
    return 3 * rng.standard_normal(n)


def draw(loss, seed=0, n=60):
    """Target, linear predictor, weights (one is zero) and offset."""
    rng = np.random.default_rng(seed)
    y = draw_target(loss, rng, n)
    eta = 2 * rng.standard_normal(y.shape)
    weight = rng.uniform(0.5, 2.0, n)
    weight[n // 2] = 0.0
    return y, eta, weight, rng.standard_normal(y.shape)


def away_from_kinks(loss, y, eta):
    if isinstance(loss, Huber):
        return np.abs(np.abs(y - eta) - loss.delta) > 1e-3
    if isinstance(loss, SquaredHinge):
        return np.abs(1 - (2 * y - 1) * eta) > 1e-3
    return np.ones(y.shape, dtype=bool)


# --- derivatives


@over(SCALAR)
def test_derivatives_match_finite_differences(loss):
    y, eta, _, _ = draw(loss)
    smooth = away_from_kinks(loss, y, eta)
    y, eta, h = y[smooth], eta[smooth], 1e-5
    slope = (loss.value(y, eta + h) - loss.value(y, eta - h)) / (2 * h)
    assert_allclose(loss.gradient(y, eta), slope, rtol=1e-7, atol=1e-7)
    if loss.convex:
        bend = (loss.gradient(y, eta + h) - loss.gradient(y, eta - h)) / (2 * h)
        assert_allclose(loss.curvature(y, eta), bend, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("power", [2.5, 3])
def test_tweedie_above_two_has_the_expected_curvature(power):
    loss, h = Tweedie(power=power), 1e-5
    eta = np.linspace(-2, 2, 9)
    mean = np.exp(eta)  # the observed curvature is linear in y: at the mean it is its expectation
    bend = (loss.gradient(mean, eta + h) - loss.gradient(mean, eta - h)) / (2 * h)
    assert_allclose(loss.curvature(mean, eta), bend, rtol=1e-8)
    assert np.all(loss.curvature(100 * mean, eta) > 0) and np.all(loss.curvature(0.001 * mean, eta) > 0)
    assert not loss.convex


def test_multinomial_derivatives_match_finite_differences():
    loss, h = Multinomial(), 1e-5
    y, eta, _, _ = draw(loss)
    p = loss.curvature(y, eta)
    hessian = p[:, :, None] * np.eye(3) - p[:, :, None] * p[:, None, :]
    for k in range(3):
        e = h * np.eye(3)[k]
        assert_allclose(
            loss.gradient(y, eta)[:, k], (loss.value(y, eta + e) - loss.value(y, eta - e)) / (2 * h), atol=1e-8
        )
        assert_allclose(hessian[:, k], (loss.gradient(y, eta + e) - loss.gradient(y, eta - e)) / (2 * h), atol=1e-8)


@over(ALL)
def test_curvature_bound_holds_and_is_attained_nearly(loss):
    y, eta, _, _ = draw(loss, n=2000)
    if loss.curvature_bound is None:
        assert np.max(loss.curvature(y, 3 * np.sign(eta) * eta**2)) > 10
        return
    if loss.multi_output:
        eta[:, 2] -= 20 * (np.arange(2000) % 2)
        p = loss.curvature(y, eta)
        largest = np.linalg.eigvalsh(p[:, :, None] * np.eye(3) - p[:, :, None] * p[:, None, :])[:, -1]
    else:
        largest = loss.curvature(y, eta)
    assert 0.99 * loss.curvature_bound < np.max(largest) <= loss.curvature_bound * (1 + 1e-14)
    assert loss.quadratic == bool(np.all(loss.curvature(y, 100 * eta) == 1.0))


@over(CONVEX)
def test_curvature_is_not_negative(loss):
    y, eta, _, _ = draw(loss)
    assert np.all(loss.curvature(y, 10 * eta) >= 0)


# --- conjugate


def inner(u, eta):
    return u * eta if u.ndim == 1 else np.sum(u * eta, axis=1)


@over(CONVEX)
@pytest.mark.parametrize("scale", [1e-3, 0.3, 1.0, 5.0])
def test_fenchel_young_inequality(loss, scale):
    y, eta, _, _ = draw(loss)
    value = loss.value(y, eta)
    far = np.random.default_rng(1).permutation(eta)
    for u in (scale * eta, -scale * eta, scale * loss.gradient(y, far), loss.gradient(y, -scale * eta)):
        conjugate = loss.conjugate(y, u)
        assert conjugate.shape == value.shape and not np.any(np.isnan(conjugate))
        size = 1 + np.abs(value) + np.abs(inner(u, eta))
        assert np.all(conjugate + value - inner(u, eta) >= -1e-13 * size)


@over(CONVEX)
@pytest.mark.parametrize("scale", [0.01, 1.0, 3.0])
def test_fenchel_young_equality_at_the_gradient(loss, scale):
    y, eta, _, _ = draw(loss)
    eta = scale * eta
    u, value = loss.gradient(y, eta), loss.value(y, eta)
    conjugate = loss.conjugate(y, u)
    assert np.all(np.isfinite(conjugate))
    # an error of u by rounding counts |eta| times; the largest rounding unit is that of the terms of the gradient
    size = np.abs(value) + np.abs(inner(u, eta)) + np.abs(loss.infimum(y)) + 1
    assert np.max(np.abs(conjugate + value - inner(u, eta)) / size) < 2e-14


@over(CONVEX_SCALAR)
def test_conjugate_is_the_supremum(loss):
    y, eta, _, _ = draw(loss, n=12)
    for y_i, u_i in zip(y, loss.gradient(y, eta) + 0.0, strict=True):
        y_i, u_i = np.array([y_i]), np.array([0.7 * u_i])
        best = minimize_scalar(
            lambda eta, y_i=y_i, u_i=u_i: (loss.value(y_i, np.array([eta])) - u_i * eta)[0],
            bounds=(-60, 60),
            method="bounded",
            options=OPTIMUM,
        )
        assert_allclose(loss.conjugate(y_i, u_i)[0], -best.fun, rtol=1e-9, atol=1e-9)


def test_multinomial_conjugate_is_the_supremum():
    loss = Multinomial()
    y, eta, _, _ = draw(loss, n=6)
    u = 0.6 * loss.gradient(y, eta)
    for i in range(6):
        row = slice(i, i + 1)
        best = minimize(lambda e, row=row: (loss.value(y[row], e[None, :]) - inner(u[row], e[None, :]))[0], np.zeros(3))
        assert_allclose(loss.conjugate(y[row], u[row])[0], -best.fun, atol=1e-7)


def decimal_tweedie_conjugate(y, u, p):
    """Bisection for the stationary point in 50 digits."""
    with localcontext() as context:
        context.prec = 50
        y, u, a, b = Decimal(y), Decimal(u), Decimal(p) - 1, 2 - Decimal(p)
        low, high = Decimal(-20000), Decimal(2000)
        for _ in range(180):
            middle = (low + high) / 2
            low, high = (low, middle) if (b * middle).exp() - y * (-a * middle).exp() > u else (middle, high)
        eta = (low + high) / 2
        terms = u * eta, -y * (-a * eta).exp() / a, -(b * eta).exp() / b
        return float(sum(terms)), float(sum(abs(t) for t in terms))


@pytest.mark.parametrize("power", [1.0078125, 1.25, 1.5, 1.9375])
@pytest.mark.parametrize("y", [1e-6, 0.3, 5.0, 1e6])
def test_tweedie_conjugate_to_thirteen_digits(power, y):
    u = np.array([-1e4, -3.0, -1e-2, -1e-9, 1e-9, 0.1, 2.0, 1e4])
    expected, size = np.array([decimal_tweedie_conjugate(y, float(u_i), power) for u_i in u]).T
    error = np.abs(Tweedie(power=power).conjugate(np.full(u.shape, y), u) - expected)
    assert np.max(error / size) < 1e-14


@pytest.mark.parametrize(
    ("loss", "y", "inside", "outside"),
    [
        (Huber(delta=2.0), 3.0, [-2.0, 2.0], [-2.01, 2.01]),
        (Logistic(), 1.0, [-1.0, 0.0], [-1.01, 0.01]),
        (Logistic(), 0.0, [0.0, 1.0], [-0.01, 1.01]),
        (Poisson(), 3.0, [-3.0, 50.0], [-3.01]),
        (Gamma(), 3.0, [1.0, -50.0], [1.01]),
        (Tweedie(power=1.5), 0.0, [0.0, 50.0], [-0.01]),
        (SquaredHinge(), 1.0, [0.0, -50.0], [0.01]),
        (SquaredHinge(), 0.0, [0.0, 50.0], [-0.01]),
    ],
    ids=repr,
)
def test_conjugate_domain(loss, y, inside, outside):
    assert np.all(np.isfinite(loss.conjugate(np.full(len(inside), y), np.array(inside))))
    assert_array_equal(loss.conjugate(np.full(len(outside), y), np.array(outside)), np.inf)


def test_multinomial_conjugate_domain():
    y = np.array([[0.0, 1.0, 0.0]] * 4)
    u = np.array([[0.5, -1.0, 0.5], [0.1 + 0.2, -0.3, 1e-17], [0.5, -0.4, 0.0], [-0.1, 0.0, 0.1]])
    conjugate = Multinomial().conjugate(y, u)
    assert_allclose(conjugate[0], -math.log(2), rtol=1e-15)
    assert np.isfinite(conjugate[1]) and conjugate[2] == np.inf and conjugate[3] == np.inf


# --- infimum and deviance


@over(SCALAR)
def test_infimum_is_the_smallest_value(loss):
    y, _, _, _ = draw(loss, n=12)
    for y_i in y:
        y_i = np.array([y_i])
        best = minimize_scalar(
            lambda eta, y_i=y_i: loss.value(y_i, np.array([eta]))[0],
            bounds=(-400, 60),
            method="bounded",
            options=OPTIMUM,
        )
        assert_allclose(loss.infimum(y_i)[0], best.fun, atol=1e-9, rtol=1e-9)


@over(ALL)
def test_saturated_model_attains_the_infimum(loss):
    y, eta, _, _ = draw(loss)
    infimum = loss.infimum(y)
    assert infimum.shape == (y.shape[0],)
    assert np.all(loss.value(y, eta) >= infimum - 1e-14 * (1 + np.abs(infimum)))
    if loss.classifier:
        assert_array_equal(infimum, 0.0)
        assert_array_equal(loss.value(y, 1000.0 * (2 * y - 1)), 0.0)
    else:
        kept = y > 0 if has_zeros(loss) else np.ones(len(y), dtype=bool)
        exact = y[kept] if loss.inverse_link(np.array([-1.0]))[0] == -1.0 else np.log(y[kept])
        assert_allclose(loss.value(y[kept], exact), infimum[kept], rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize(
    ("loss", "deviance"),
    [(Poisson(), mean_poisson_deviance), (Gamma(), mean_gamma_deviance)]
    + [
        (
            Tweedie(power=p),
            lambda y, mean, sample_weight, p=p: mean_tweedie_deviance(y, mean, sample_weight=sample_weight, power=p),
        )
        for p in (0, 1, 1.2, 1.5, 1.8, 2, 2.5, 3)
    ],
    ids=repr,
)
def test_twice_the_excess_is_the_deviance_of_sklearn(loss, deviance):
    y, eta, weight, _ = draw(loss)
    ours = np.average(2 * (loss.value(y, eta) - loss.infimum(y)), weights=weight)
    assert_allclose(ours, deviance(y, loss.inverse_link(eta), sample_weight=weight), rtol=1e-12)


@over([Logistic(), Multinomial()])
def test_value_is_the_log_loss_of_sklearn(loss):
    y, eta, weight, _ = draw(loss)
    label = np.argmax(y, axis=1) if loss.multi_output else y
    expected = log_loss(label, loss.inverse_link(eta), sample_weight=weight)
    assert_allclose(np.average(loss.value(y, eta), weights=weight), expected, rtol=1e-12)


# --- null intercept


def total_gradient(loss, y, weight, eta):
    """Sum of the weighted gradients and the size of its terms."""
    terms = (weight if y.ndim == 1 else weight[:, None]) * loss.gradient(y, eta)
    return np.sum(terms, axis=0), np.sum(np.abs(terms), axis=0)


@over(ALL)
@pytest.mark.parametrize("with_offset", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_null_intercept_is_stationary(loss, with_offset, seed):
    y, _, weight, offset = draw(loss, seed)
    b = loss.null_intercept(y, weight, offset if with_offset else None)
    eta = b + (offset if with_offset else np.zeros_like(offset))
    total, size = total_gradient(loss, y, weight, eta)
    assert np.all(np.abs(total) <= 1e-13 * size)


@over(ALL)
@pytest.mark.parametrize("with_offset", [False, True])
def test_null_intercept_respects_weights(loss, with_offset):
    y, _, weight, offset = draw(loss, n=40)
    offset = offset if with_offset else None
    b = loss.null_intercept(y, weight, offset)
    kept = weight > 0
    assert_allclose(
        b, loss.null_intercept(y[kept], weight[kept], offset[kept] if with_offset else None), rtol=1e-12, atol=1e-13
    )
    assert_allclose(b, loss.null_intercept(y, 1e3 * weight, offset), rtol=1e-12, atol=1e-13)
    times = np.random.default_rng(3).integers(0, 4, size=40)
    times[:3] = 1  # every class stays
    rows = np.repeat(np.arange(40), times)
    assert_allclose(
        loss.null_intercept(y, times.astype(float), offset),
        loss.null_intercept(y[rows], np.ones(len(rows)), offset[rows] if with_offset else None),
        rtol=1e-12,
        atol=1e-13,
    )


@over([loss for loss in CONVEX_SCALAR if not isinstance(loss, Huber | SquaredHinge)])
@pytest.mark.parametrize("with_offset", [False, True])
def test_newton_of_the_base_class_agrees_with_the_closed_form(loss, with_offset):
    y, _, weight, offset = draw(loss)
    offset = 3 * offset if with_offset else None
    assert_allclose(
        Loss.null_intercept(loss, y, weight, offset), loss.null_intercept(y, weight, offset), rtol=1e-13, atol=1e-14
    )


@pytest.mark.parametrize("y", [[-1.0, 1.0], [3.0, 5.0], [-7.0, 0.0, 1.0], [0.0, 0.0]])
def test_newton_of_the_base_class_returns_where_the_slope_is_exactly_zero(y):
    y = np.array(y)
    assert_allclose(Loss.null_intercept(Squared(), y, np.ones_like(y)), np.mean(y), rtol=1e-15, atol=1e-300)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_newton_of_the_base_class_copes_with_zero_curvature(seed, scale):
    rng = np.random.default_rng(seed)
    y, weight = scale * rng.standard_cauchy(50), rng.uniform(0.1, 3.0, 50)
    loss = Huber(delta=0.3)
    assert_allclose(Loss.null_intercept(loss, y, weight), loss.null_intercept(y, weight), rtol=1e-13)
    flat = Loss.null_intercept(loss, np.array([-10.0, 11.0]), np.ones(2))
    assert -9.7 <= flat <= 10.7


@over([Squared(), Poisson(), Gamma(), Tweedie(power=1.5), Tweedie(power=3)])
def test_null_model_is_the_dummy_regressor(loss):
    y, _, weight, _ = draw(loss)
    mean = DummyRegressor().fit(np.zeros((60, 1)), y, sample_weight=weight).constant_[0, 0]
    assert_allclose(loss.inverse_link(np.array([loss.null_intercept(y, weight)])), mean, rtol=1e-13)


@over([Logistic(), Multinomial()])
def test_null_model_is_the_dummy_classifier(loss):
    y, _, weight, _ = draw(loss)
    label = np.argmax(y, axis=1) if loss.multi_output else y
    prior = DummyClassifier().fit(np.zeros((60, 1)), label, sample_weight=weight).class_prior_
    eta = np.atleast_1d(loss.null_intercept(y, weight))
    expected = prior if loss.multi_output else prior[1:]
    assert_allclose(np.ravel(loss.inverse_link(eta[None, :] if loss.multi_output else eta)), expected, rtol=1e-13)


def test_squared_hinge_null_is_the_weighted_mean_of_the_signs():
    y, _, weight, _ = draw(SquaredHinge())
    b = SquaredHinge().null_intercept(y, weight)
    assert_allclose(b, np.average(2 * y - 1, weights=weight), rtol=1e-14)
    assert_allclose(SquaredHinge().null_intercept(y, weight, np.zeros_like(y)), b, rtol=1e-14)


def test_squared_hinge_null_is_not_disturbed_by_a_removed_row():
    y, _, weight, offset = draw(SquaredHinge())
    far = np.where(weight > 0, offset, 1e15)
    assert SquaredHinge().null_intercept(y, weight, far) == SquaredHinge().null_intercept(y, weight, offset)


def test_multinomial_null_intercept_is_centred_and_matches_logistic():
    y, _, weight, offset = draw(Multinomial())
    for o in (None, offset, 20 * offset):
        b = Multinomial().null_intercept(y, weight, o)
        assert b.shape == (3,) and abs(np.sum(b)) < 1e-13 * np.max(np.abs(b))
        total, size = total_gradient(Multinomial(), y, weight, b + (0 * offset if o is None else o))
        assert np.all(np.abs(total) <= 1e-12 * size)
    binary, _, weight, offset = draw(Logistic())
    two = Multinomial().null_intercept(
        np.stack([1 - binary, binary], axis=1), weight, np.stack([0 * offset, offset], axis=1)
    )
    assert_allclose(two[1] - two[0], Logistic().null_intercept(binary, weight, offset), rtol=1e-12)


# Huber and the squared hinge: piecewise linear derivatives


@pytest.mark.parametrize("scale", [10.0, 20.0, 100.0])
@pytest.mark.parametrize("seed", range(8))
def test_multinomial_null_intercept_with_offsets_that_saturate(scale, seed):
    rng = np.random.default_rng(seed)
    n_classes, n = int(rng.integers(2, 6)), int(rng.integers(5, 100))
    y = np.eye(n_classes)[np.r_[np.arange(n_classes), rng.integers(n_classes, size=n)]]
    weight, offset = rng.uniform(0.1, 2.0, len(y)), scale * rng.standard_normal(y.shape)
    b = Multinomial().null_intercept(y, weight, offset)
    total, size = total_gradient(Multinomial(), y, weight, b + offset)
    assert np.all(np.abs(total) <= 1e-11 * size)


@pytest.mark.parametrize("scale", [1e-12, 1e-6, 1.0, 1e6, 1e12])
@pytest.mark.parametrize("seed", range(4))
def test_huber_null_intercept_to_fourteen_digits_at_every_scale(scale, seed):
    rng = np.random.default_rng(seed)
    y, weight = scale * (rng.standard_cauchy(101) + 0.5), rng.uniform(0.1, 3.0, 101)
    loss = Huber()
    b = loss.null_intercept(y, weight)
    below, _ = total_gradient(loss, y, weight, np.full(101, b - 2e-14 * abs(b)))
    above, _ = total_gradient(loss, y, weight, np.full(101, b + 2e-14 * abs(b)))
    assert below <= 0 <= above
    assert_allclose(Huber(delta=1.35 * scale).null_intercept(y, weight) / scale,
                    Huber().null_intercept(y / scale, weight), rtol=1e-13)  # fmt: skip


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_squared_null_intercept_scales(scale):
    y, _, weight, offset = draw(Squared())
    expected = scale * np.average(y - offset, weights=weight)
    assert_allclose(Squared().null_intercept(scale * y, weight, scale * offset), expected, rtol=1e-13)


@pytest.mark.parametrize("value", [0.1, 1e6 + 0.1, -3e-7])
def test_constant_target_is_fitted_exactly(value):
    y, weight = np.full(37, value), np.linspace(0.1, 1.7, 37)
    assert Squared().null_intercept(y, weight) == value
    assert_allclose(Huber().null_intercept(y, weight), value, rtol=1e-15)


def test_huber_null_intercept_limits_are_mean_and_median():
    y = np.random.default_rng(0).standard_normal(51)
    assert_allclose(Huber(delta=1e3).null_intercept(y, np.ones(51)), np.mean(y), rtol=1e-13)
    assert_allclose(Huber(delta=1e-9).null_intercept(y, np.ones(51)), np.median(y), atol=1e-8)


def test_flat_optimum_gives_its_middle():
    y, weight = np.array([0.0, 5.0, 10.0]), np.array([0.3, 0.0, 0.3])
    assert_allclose(Huber(delta=1.0).null_intercept(y, weight), 5.0, rtol=1e-14)
    hinge, offset = np.array([1.0, 0.0]), np.array([4.0, -6.0])  # no loss for b in [-3, 5]
    assert_allclose(SquaredHinge().null_intercept(hinge, np.ones(2), offset), 1.0, rtol=1e-14)


@pytest.mark.parametrize("loss", [Logistic(), SquaredHinge()], ids=ids)
def test_null_intercept_against_brentq(loss):
    y, _, weight, offset = draw(loss)
    expected = brentq(lambda b: total_gradient(loss, y, weight, 5 * offset + b)[0], -50, 50, xtol=1e-14, rtol=1e-14)
    assert_allclose(loss.null_intercept(y, weight, 5 * offset), expected, rtol=1e-12, atol=1e-13)


@over([Poisson(), Gamma(), Tweedie(power=1.5), Tweedie(power=1.99)])
def test_log_link_null_intercept_with_huge_offsets(loss):
    y = np.array([1.0, 2.0, 3.0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        b = loss.null_intercept(y, np.array([1.0, 1.0, 0.0]), np.array([2000.0, 2000.0, 1e5]))
    assert_allclose(b + 2000.0, math.log(1.5), rtol=1e-11)


@pytest.mark.parametrize(
    ("loss", "y", "weight"),
    [
        (Logistic(), [1.0, 1.0, 0.0], [1.0, 2.0, 0.0]),
        (Poisson(), [0.0, 0.0, 4.0], [1.0, 2.0, 0.0]),
        (Tweedie(power=1.5), [0.0, 0.0, 4.0], [1.0, 2.0, 0.0]),
        (Multinomial(), [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], [1.0, 2.0, 0.0]),
    ],
    ids=repr,
)
def test_infinite_null_intercept_raises(loss, y, weight):
    with pytest.raises(ValueError, match="^y must"):
        loss.null_intercept(np.array(y), np.array(weight))


# --- extremes and accuracy in the tails


@over(ALL)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [50.0, 1000.0])
def test_large_predictors_stay_finite(loss, dtype, size):
    y = draw(loss)[0].astype(dtype)
    eta = (size * np.random.default_rng(5).choice([-1.0, 1.0], size=y.shape)).astype(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        results = [getattr(loss, method)(y, eta) for method in METHODS] + [loss.inverse_link(eta)]
        sums = [np.sum(result) for result in results[:3]]
        if loss.convex:
            u = loss.gradient(y, eta)
            loss.conjugate(y, u)
    assert all(np.all(np.isfinite(result)) for result in results)
    assert np.all(np.isfinite(sums))
    assert all(result.dtype == dtype for result in results)


@over(CONVEX_SCALAR)
def test_convex_across_the_point_where_exponentials_turn_into_tangents(loss):
    eta = np.linspace(-1500, 1500, 6001)
    y = np.full(eta.shape, draw(loss)[0][-1])
    gradient, value = loss.gradient(y, eta), loss.value(y, eta)
    assert np.all(np.diff(gradient) >= 0)
    chord = np.diff(value) / np.diff(eta)
    rounding = 1e-12 * (1 + np.abs(chord))
    assert np.all(gradient[:-1] <= chord + rounding) and np.all(chord <= gradient[1:] + rounding)


@pytest.mark.parametrize("m", [5.0, 40.0, 300.0])
def test_classification_tails_keep_their_relative_accuracy(m):
    tail = math.log1p(math.exp(-m))
    slope = -math.exp(-m) / (1 + math.exp(-m))
    for y, eta in ((1.0, m), (0.0, -m)):
        y, eta = np.array([y]), np.array([eta])
        t = 2 * y - 1
        assert_allclose(Logistic().value(y, eta), tail, rtol=1e-14)
        u = Logistic().gradient(y, eta)
        assert_allclose(t * u, slope, rtol=1e-14)
        assert_allclose(Logistic().conjugate(y, u), u * eta - tail, rtol=1e-13)
        two, wide = np.stack([1 - y, y], axis=1), np.stack([0 * eta, eta], axis=1)
        assert_allclose(Multinomial().value(two, wide), tail, rtol=1e-14)
        assert_allclose(Multinomial().gradient(two, wide), slope * np.stack([-t, t], axis=1), rtol=1e-14)


def test_huber_does_not_overflow():
    y, eta = np.array([1e200, -1e200]), np.zeros(2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_allclose(Huber(delta=2.0).value(y, eta), 2e200)


# --- relations between losses and to scikit-learn


@pytest.mark.parametrize(("power", "other"), [(0, Squared()), (1, Poisson()), (2, Gamma())])
def test_tweedie_is_continuous_in_its_power(power, other):
    y, eta, _, _ = draw(other)
    same = Tweedie(power=power)
    assert (same.quadratic, same.curvature_bound, same.convex) == (other.quadratic, other.curvature_bound, True)
    for method in METHODS + ("conjugate",):
        assert_array_equal(getattr(same, method)(y, eta), getattr(other, method)(y, eta))
    if power > 0:
        near = Tweedie(power=power + (1e-7 if power == 1 else -1e-7))
        assert_allclose(near.gradient(y, eta), other.gradient(y, eta), rtol=1e-5, atol=1e-5)
        assert_allclose(near.curvature(y, eta), other.curvature(y, eta), rtol=1e-5, atol=1e-5)


def test_softmax_is_shift_invariant_and_its_gradient_sums_to_zero():
    y, eta, _, _ = draw(Multinomial())
    assert_allclose(Multinomial().value(y, eta + 500.0), Multinomial().value(y, eta), rtol=1e-11)
    assert_allclose(np.sum(Multinomial().gradient(y, eta), axis=1), 0.0, atol=1e-15)


def test_gradient_vanishes_at_the_logistic_regression_of_sklearn():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((80, 3))
    y = (X[:, 0] + rng.standard_normal(80) > 0).astype(float)
    model = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000, solver="newton-cholesky").fit(X, y)
    assert_allclose(X.T @ Logistic().gradient(y, model.decision_function(X)), 0.0, atol=1e-6)
    assert_allclose(Logistic().inverse_link(model.decision_function(X)), model.predict_proba(X)[:, 1], rtol=1e-13)


# --- namespaces


@over(ALL)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_strict_array_api_gives_the_same_numbers(loss, dtype):
    xp = array_api_strict
    rtol, atol = (1e-13, 1e-13) if dtype == "float64" else (2e-5, 2e-5)
    y, eta, weight, offset = (x.astype(dtype) for x in draw(loss))
    ys, etas, ws, os = (xp.asarray(x) for x in (y, eta, weight, offset))

    def check(strict, expected):
        assert strict.dtype == getattr(xp, dtype)
        assert_allclose(np.from_dlpack(strict), expected, rtol=rtol, atol=atol)

    for method in METHODS:
        check(getattr(loss, method)(ys, etas, xp), getattr(loss, method)(y, eta))
    check(loss.inverse_link(etas, xp), loss.inverse_link(eta))
    check(loss.infimum(ys, xp), loss.infimum(y))
    if loss.convex:
        for u in (0.5 * loss.gradient(y, eta), 3 * eta):
            check(loss.conjugate(ys, xp.asarray(u), xp), loss.conjugate(y, u))
    loss.check_target(ys)
    for o, strict_o in ((None, None), (offset, os)):
        strict = loss.null_intercept(ys, ws, strict_o, xp)
        if loss.multi_output:
            check(strict, loss.null_intercept(y, weight, o))
        else:
            assert isinstance(strict, float)
            assert_allclose(strict, loss.null_intercept(y, weight, o), rtol=rtol, atol=atol)


@over(ALL)
def test_methods_leave_their_arguments_alone(loss):
    arrays = draw(loss)
    for x in arrays:
        x.flags.writeable = False
    y, eta, weight, offset = arrays
    for method in METHODS + (("conjugate",) if loss.convex else ()):
        getattr(loss, method)(y, eta)
    loss.null_intercept(y, weight, offset)


@over(SCALAR)
def test_float32_null_intercept(loss):
    y, _, weight, offset = (x.astype(np.float32) for x in draw(loss))
    exact = loss.null_intercept(y.astype(float), weight.astype(float), offset.astype(float))
    assert_allclose(loss.null_intercept(y, weight, offset), exact, rtol=1e-5, atol=1e-6)


# --- parameters and the registry


@over(ALL)
def test_parameters(loss):
    params = loss.get_params()
    again = type(loss)(**params)
    assert again == loss and hash(again) == hash(loss) and clone(loss) == loss and clone(loss) is not loss
    assert pickle.loads(pickle.dumps(loss)) == loss
    assert eval(repr(loss)) == loss
    with pytest.raises(ValueError, match="no parameter 'nonsense'"):
        loss.set_params(nonsense=1)


def test_set_params_changes_the_loss():
    y, eta = np.array([5.0]), np.array([0.0])
    assert Huber().set_params(delta=2.0) == Huber(delta=2.0) != Huber()
    assert Huber().set_params(delta=2.0).gradient(y, eta) == -2.0
    assert Tweedie().set_params(power=1).value(y, eta + 1) == Poisson().value(y, eta + 1)
    assert Poisson() != Gamma() and Tweedie(power=1) != Poisson()


def test_registry():
    assert list(LOSSES) == [
        "squared", "huber", "logistic", "multinomial", "poisson", "gamma", "tweedie", "squared_hinge",
    ]  # fmt: skip
    for name, cls in LOSSES.items():
        assert get_loss(name) == cls() and cls.name == name and issubclass(cls, Loss)
    mine = Huber(delta=3)
    assert get_loss(mine) is mine


@pytest.mark.parametrize("bad", ["hubber", "", None, 3, Huber, ["squared"]])
def test_unknown_loss_raises(bad):
    with pytest.raises(ValueError, match="^loss must be one of 'squared', .*'squared_hinge' or a Loss object; got"):
        get_loss(bad)


@pytest.mark.parametrize("power", [-1, 0.5, 0.999, math.nan, math.inf, "1", None])
def test_bad_power_raises(power):
    loss, x = Tweedie(power=power), np.ones(3)
    for call in (
        lambda: loss.check_target(x),
        lambda: loss.value(x, x),
        lambda: loss.gradient(x, x),
        lambda: loss.curvature(x, x),
        lambda: loss.null_intercept(x, x),
        lambda: loss.convex,
    ):
        with pytest.raises(ValueError, match="^power"):
            call()


@pytest.mark.parametrize("delta", [0, -1.0, math.nan, math.inf, "1", None])
def test_bad_delta_raises(delta):
    with pytest.raises(ValueError, match="^delta"):
        Huber(delta=delta).check_target(np.ones(3))


def test_no_conjugate_without_convexity():
    with pytest.raises(NotImplementedError, match="power > 2"):
        Tweedie(power=2.5).conjugate(np.ones(1), np.ones(1))


# --- targets


@over(ALL)
def test_good_target_passes(loss):
    y = draw(loss)[0]
    loss.check_target(y)
    loss.check_target(y.tolist())
    loss.check_target(y.astype(np.float32))


@over(ALL)
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_non_finite_target_raises(loss, bad):
    y = draw(loss)[0].copy()
    y[3] = bad
    with pytest.raises(ValueError, match="^y must be finite"):
        loss.check_target(y)


@pytest.mark.parametrize("wrap", [np.asarray, array_api_strict.asarray], ids=["numpy", "strict"])
@pytest.mark.parametrize(
    ("loss", "y", "message"),
    [
        (Poisson(), [1.0, -3.0], r"y must be non-negative for the Poisson loss; the smallest value is -3\.0\."),
        (Poisson(), [0.0, 0.0], "y must not be all zero for the Poisson loss: its sum must be positive"),
        (Tweedie(power=1), [1.0, -3.0], "y must be non-negative for the Poisson loss"),
        (Tweedie(power=1.5), [1.0, -3.0], r"y must be non-negative for the Tweedie \(power=1.5\) loss"),
        (Tweedie(power=1.5), [0.0, 0.0], "y must not be all zero"),
        (Tweedie(power=3), [1.0, 0.0], "y must be positive for the Tweedie"),
        (Gamma(), [1.0, 0.0], r"y must be positive for the gamma loss; the smallest value is 0\.0\."),
        (Tweedie(power=2), [1.0, 0.0], "y must be positive for the gamma loss"),
        (Logistic(), [0.0, 1.0, 2.0], r"y must hold only 0 and 1 for the logistic loss; it also holds 2\.0\."),
        (SquaredHinge(), [-1.0, 1.0], r"y must hold only 0 and 1 for the squared hinge loss; it also holds -1\.0\."),
        (Multinomial(), [0.0, 1.0, 2.0], r"y must have one column a class .*\(3,\)"),
        (Multinomial(), [[1.0], [1.0]], "y must have one column a class"),
        (Multinomial(), [[1.0, 0.0], [1.0, 1.0]], "y must hold one 1 a row .* row 1 does not"),
        (Multinomial(), [[0.5, 0.5], [1.0, 0.0]], "y must hold one 1 a row .* row 0 does not"),
    ],
    ids=repr,
)
def test_bad_target_raises(loss, y, message, wrap):
    with pytest.raises(ValueError, match="^" + message):
        loss.check_target(wrap(y))


def test_import_is_light():
    code = "import sys, skreg.losses; print([m for m in ('scipy', 'sklearn', 'numba', 'pandas') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
