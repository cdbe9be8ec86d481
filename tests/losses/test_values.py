"""The contract of every loss: value, derivatives, infimum, extremes, namespaces."""

import math
import warnings

import array_api_strict
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize_scalar
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, mean_gamma_deviance, mean_poisson_deviance, mean_tweedie_deviance

from skreg.losses import Gamma, Huber, Logistic, Loss, Multinomial, Poisson, Squared, Tweedie
from tests.losses._draw import ALL, CONVEX, CONVEX_SCALAR, METHODS, SCALAR, away_from_kinks, draw, has_zeros, over

OPTIMUM = {"xatol": 1e-10}

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
    ids=lambda value: repr(value) if isinstance(value, Loss) else "deviance",
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
