"""The contract of every loss: the intercept of the model without features."""

import math
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import brentq
from sklearn.dummy import DummyClassifier, DummyRegressor

from skreg.losses import Gamma, Huber, Logistic, Loss, Multinomial, Poisson, Squared, SquaredHinge, Tweedie
from tests.losses._draw import ALL, CONVEX_SCALAR, SCALAR, draw, ids, over


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


# --- Huber and the squared hinge: piecewise linear derivatives


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


@over(SCALAR)
def test_float32_null_intercept(loss):
    y, _, weight, offset = (x.astype(np.float32) for x in draw(loss))
    exact = loss.null_intercept(y.astype(float), weight.astype(float), offset.astype(float))
    assert_allclose(loss.null_intercept(y, weight, offset), exact, rtol=1e-5, atol=1e-6)
