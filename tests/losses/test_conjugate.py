"""The contract of every convex loss: its conjugate."""

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize, minimize_scalar

from skreg.losses import Gamma, Huber, Logistic, Multinomial, Poisson, SquaredHinge, Tweedie
from tests.losses._draw import CONVEX, CONVEX_SCALAR, draw, over

OPTIMUM = {"xatol": 1e-10}


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
