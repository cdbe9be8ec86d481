"""Scikit-learn's own checks over every public estimator, with no expected failures."""

import os

import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone, is_classifier
from sklearn.datasets import make_blobs, make_regression
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

import skreg
from tests._instances import CLASSES, MULTI_TASK, PUBLIC, SMALL, instances


@parametrize_with_checks(list(instances()))
def test_scikit_learn_check(estimator, check):
    check(estimator)


def test_every_public_estimator_is_checked():
    public = {name for name in dir(skreg) if isinstance(getattr(skreg, name), type)}
    estimators = {name for name in public if issubclass(getattr(skreg, name), BaseEstimator)}
    assert estimators == {cls.__name__ for cls in PUBLIC}
    assert {"Lasso", "ElasticNet", "AdaptiveLasso", "SparseRegressor", "SparseClassifier"} <= estimators


@pytest.mark.parametrize("cls", [cls for cls in CLASSES if cls().__sklearn_tags__().array_api_support])
def test_array_api_checks_do_run(cls):
    """They are left out in silence where the tag, the environment variable or array_api_strict is missing."""
    assert os.environ["SCIPY_ARRAY_API"] == "1"
    checks = [repr(check) for _, check in estimator_checks_generator(cls(), legacy=True)]
    on_strict = [text for text in checks if "array_api_strict" in text]
    assert any("check_array_api_input" in text for text in on_strict)
    assert any("check_array_api_same_namespace" in text for text in on_strict)


@pytest.mark.parametrize("estimator", [e for e in instances() if getattr(e, "alpha", None) == SMALL["alpha"]], ids=repr)
def test_coefficients_are_not_zero_at_a_small_alpha(estimator):
    """On data as the checks make it: with an empty model most of them would pass for any estimator."""
    if is_classifier(estimator):
        X, y = make_blobs(n_samples=60, centers=2, random_state=0, cluster_std=0.1)
        X = (X - X.mean(axis=0)) / X.std(axis=0)
    else:
        X, y = make_regression(n_samples=200, n_features=10, n_informative=1, bias=5.0, noise=20, random_state=42)
        y = (y - y.mean()) / y.std()
    if estimator.__sklearn_tags__().target_tags.positive_only:
        y = y + 0.1 - y.min()
    y = y[:, None] if type(estimator) in MULTI_TASK else y
    assert np.any(clone(estimator).fit(X, y).coef_ != 0)
