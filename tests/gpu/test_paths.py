"""Paths on another device: those of NumPy data."""

import numpy as np
import pytest
from sklearn.base import clone

import skreg
from skreg.model_selection import regularization_path
from tests._instances import CONTRACTED, label, least_df, make_data
from tests.gpu._places import on_every_place

PORTABLE = [
    estimator
    for estimator in CONTRACTED
    if estimator.__sklearn_tags__().array_api_support and not isinstance(estimator, skreg.QuantileRegressor)
]


@on_every_place
@pytest.mark.parametrize("estimator", PORTABLE, ids=label)
def test_a_path_is_that_of_numpy_data(estimator, place):
    X, y = make_data(estimator)
    weight = np.random.default_rng(0).uniform(0.5, 2.0, len(y))
    estimator = clone(estimator).set_params(tol=1e-10)
    expected = regularization_path(estimator, X, y, alphas=6, eps=0.05, sample_weight=weight)
    given = place.put(X), place.put(y)
    path = regularization_path(estimator, *given, alphas=6, eps=0.05, sample_weight=place.put(weight))
    assert place.holds(path.coefs) and place.holds(path.intercepts)
    for name in ("alphas", "dual_gaps", "kkt_violations", "n_iters", "df", "converged"):
        assert isinstance(getattr(path, name), np.ndarray)
    assert path.converged.all()
    np.testing.assert_allclose(path.alphas, expected.alphas, rtol=1e-13 if least_df(estimator) == 0 else 1e-8)
    assert path.coefs.shape == expected.coefs.shape and path.intercepts.shape == expected.intercepts.shape
    if getattr(estimator, "penalty", "l1") != "mcp":  # there the NumPy path has more points to start from
        intercepts, of_numpy = place.host(path.intercepts), expected.intercepts
        if intercepts.ndim == 2:  # softmax does not see a shift of all classes
            intercepts, of_numpy = (b - b.mean(axis=1, keepdims=True) for b in (intercepts, of_numpy))
        np.testing.assert_array_equal(path.df, expected.df)
        np.testing.assert_allclose(place.host(path.coefs), expected.coefs, rtol=0, atol=1e-5)
        np.testing.assert_allclose(intercepts, of_numpy, rtol=0, atol=1e-5)
    predictions = path.predict(place.put(X))
    assert place.holds(predictions)
    assert predictions.shape == (6, len(y))
    for k, model in enumerate(path.models()):
        np.testing.assert_array_equal(place.host(predictions[k, ...]), place.host(model.predict(place.put(X))))
