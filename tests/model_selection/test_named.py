"""LassoCV and its kin: scikit-learn's choices, PathCV's results, parameters and docstrings of their own."""

import inspect
import pickle
import re

import numpy as np
import pytest
from sklearn import linear_model
from sklearn.base import clone
from sklearn.datasets import load_diabetes
from sklearn.model_selection import GridSearchCV, KFold

import skreg
from skreg.model_selection import PathCV, alpha_grid
from skreg.model_selection._named import EstimatorCV
from tests._instances import SEARCHES, make_data

NAMED = [cls for cls in SEARCHES if issubclass(cls, EstimatorCV)]
FOLDS = KFold(5, shuffle=True, random_state=0)
every_form = pytest.mark.parametrize("cls", NAMED)


def test_there_are_nine():
    names = "Lasso ElasticNet AdaptiveLasso SparseRegressor SparseClassifier GroupLasso SparseGroupLasso".split()
    names += ["MultiTaskLasso", "MultiTaskElasticNet"]
    assert {f"{name}CV" for name in names} <= {cls.__name__ for cls in NAMED}


@pytest.mark.parametrize("settings", [{}, dict(fit_intercept=False), dict(positive=True)], ids=str)
def test_lasso_cv_is_scikit_learns(settings):
    X, y = load_diabetes(return_X_y=True)
    alphas = alpha_grid(skreg.Lasso(**settings), X, y, n_alphas=30)
    ours = skreg.LassoCV(alphas=alphas, cv=FOLDS, tol=1e-13, **settings).fit(X, y)
    theirs = linear_model.LassoCV(alphas=alphas, cv=FOLDS, tol=1e-12, max_iter=10**6, **settings).fit(X, y)
    assert ours.alpha_ == theirs.alpha_
    np.testing.assert_array_equal(ours.alphas_, theirs.alphas_)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, rtol=1e-6)
    np.testing.assert_allclose(-ours.mean_score_, theirs.mse_path_.mean(axis=1), rtol=1e-6)


def test_the_grid_made_is_scikit_learns():
    X, y = load_diabetes(return_X_y=True)
    ours, theirs = skreg.LassoCV(alphas=15).fit(X, y), linear_model.LassoCV(alphas=15, max_iter=10**5).fit(X, y)
    np.testing.assert_allclose(ours.alphas_, theirs.alphas_, rtol=1e-10)


def test_elastic_net_cv_is_scikit_learns():
    X, y = load_diabetes(return_X_y=True)
    X = X * 20
    given = dict(l1_ratio=[0.2, 0.5, 0.9], cv=FOLDS)
    alphas = alpha_grid(skreg.ElasticNet(), X, y, n_alphas=20)
    ours = skreg.ElasticNetCV(alphas=alphas, tol=1e-13, **given).fit(X, y)
    theirs = linear_model.ElasticNetCV(alphas=alphas, tol=1e-12, max_iter=10**6, **given).fit(X, y)
    assert ours.best_params_ == {"alpha": theirs.alpha_, "l1_ratio": theirs.l1_ratio_}
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-6, atol=1e-6)
    means = ours.cv_results_["mean_test_score"].reshape(3, 20)
    np.testing.assert_allclose(-means, theirs.mse_path_.mean(axis=2), rtol=1e-6)


@pytest.mark.parametrize("name", ["MultiTaskLassoCV", "MultiTaskElasticNetCV"])
def test_multi_task_forms_are_scikit_learns(name):
    X, y = make_data(skreg.MultiTaskLasso(), n_samples=60)
    given = dict(l1_ratio=[0.3, 0.9]) if "Elastic" in name else {}
    given |= dict(cv=FOLDS, eps=0.02)
    ours = getattr(skreg, name)(alphas=12, tol=1e-13, **given).fit(X, y)
    theirs = getattr(linear_model, name)(alphas=12, tol=1e-13, max_iter=10**6, **given).fit(X, y)
    assert np.isclose(ours.alpha_, theirs.alpha_, rtol=1e-10)
    assert not given.get("l1_ratio") or ours.l1_ratio_ == theirs.l1_ratio_
    assert ours.coef_.shape == (3, 8) and ours.coef_path_.shape == (12, 3, 8)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=0, atol=1e-7)
    np.testing.assert_allclose(ours.mse_path_, theirs.mse_path_, rtol=1e-7)


@pytest.mark.parametrize("name", ["LassoCV", "ElasticNetCV"])
def test_one_task_is_the_single_form(name):
    X, y = make_data(skreg.Lasso(), n_samples=60)
    one = getattr(skreg, name)(alphas=8, tol=1e-13).fit(X, y)
    tasks = getattr(skreg, f"MultiTask{name}")(alphas=8, tol=1e-13).fit(X, y[:, None])
    assert np.isclose(one.alpha_, tasks.alpha_, rtol=1e-10)
    np.testing.assert_allclose(tasks.coef_[0], one.coef_, rtol=0, atol=1e-7)
    np.testing.assert_allclose(tasks.mse_path_, one.mse_path_, rtol=1e-7)


@pytest.mark.parametrize("n_samples", [10, 300])
@pytest.mark.parametrize("value", [0.0, 5.0])
def test_a_constant_target_is_predicted(n_samples, value):
    X = np.random.default_rng(0).random((n_samples, 3))
    model = skreg.LassoCV(alphas=3).fit(X, np.full(n_samples, value))
    np.testing.assert_array_equal(model.predict(X), value)
    tasks = np.c_[np.full(n_samples, value), np.full(n_samples, 2 * value)]
    np.testing.assert_array_equal(skreg.MultiTaskLassoCV(alphas=3).fit(X, tasks).predict(X), tasks)


def test_scikit_learns_attributes():
    X, y = load_diabetes(return_X_y=True)
    model = skreg.ElasticNetCV(alphas=4, l1_ratio=[0.5, 0.9], cv=3)
    assert not hasattr(model, "mse_path_") and not hasattr(model, "l1_ratio_")
    model.fit(X, y)
    assert model.mse_path_.shape == (2, 4, 3) and model.l1_ratio_ == model.best_params_["l1_ratio"]
    model.set_params(l1_ratio=0.7, scoring="r2").fit(X, y)
    assert model.l1_ratio_ == 0.7 and not hasattr(model, "mse_path_")


def test_named_forms_can_be_subclassed():
    class Own(skreg.LassoCV):
        pass

    X, y = make_data(skreg.Lasso())
    np.testing.assert_array_equal(Own(alphas=5).fit(X, y).coef_, skreg.LassoCV(alphas=5).fit(X, y).coef_)


def test_adaptive_lasso_cv_fits_a_pilot_in_each_fold():
    X, y = make_data(skreg.Lasso(), n_samples=60)
    alphas = [0.3, 0.1, 0.03, 0.01]
    ours = skreg.AdaptiveLassoCV(alphas=alphas, cv=FOLDS, tol=1e-13).fit(X, y)
    scoring = "neg_mean_squared_error"
    theirs = GridSearchCV(skreg.AdaptiveLasso(tol=1e-13), {"alpha": alphas}, cv=FOLDS, scoring=scoring).fit(X, y)
    np.testing.assert_allclose(ours.mean_score_, theirs.cv_results_["mean_test_score"], rtol=1e-8)
    assert ours.alpha_ == theirs.best_params_["alpha"]


@every_form
def test_a_named_form_is_a_path_search_of_its_estimator(cls):
    estimator = cls().estimator
    X, y = make_data(estimator, n_samples=60)
    weight = np.random.default_rng(0).uniform(0.5, 2, len(y))
    named = cls(alphas=6, cv=3, fit_intercept=False, tol=1e-9).fit(X, y, sample_weight=weight)
    plain = PathCV(clone(estimator).set_params(fit_intercept=False, tol=1e-9), alphas=6, cv=3)
    plain.fit(X, y, sample_weight=weight)
    np.testing.assert_array_equal(named.mean_score_, plain.mean_score_)
    np.testing.assert_array_equal(named.coef_, plain.coef_)
    assert type(named.best_estimator_) is type(estimator) and named.best_estimator_.alpha == named.alpha_


@every_form
def test_parameters_are_those_of_both(cls):
    of = type(cls().estimator)
    own = set(inspect.signature(of).parameters) - {"alpha", "warm_start"}
    search = set(inspect.signature(PathCV).parameters) - {"estimator", "param_grid"}
    assert set(cls().get_params(deep=False)) == own | search
    for name in own - search:
        assert getattr(cls(), name) == inspect.signature(of).parameters[name].default
    model = cls(alphas=7).set_params(tol=1e-9, cv=4)
    assert model.estimator.tol == 1e-9
    twin = clone(model)
    assert twin is not model and repr(twin) == repr(model) and twin.get_params(deep=False)["alphas"] == 7
    assert repr(cls()) == f"{cls.__name__}()"
    for wrong in ("alpha", "warm_start", "param_grid", "estimator", "nonsense"):
        with pytest.raises(TypeError, match=wrong):
            cls(**{wrong: 1})
        with pytest.raises(ValueError, match=wrong):
            cls().set_params(**{wrong: 1})


@every_form
def test_docstring_has_every_parameter(cls):
    parameters, attributes = cls.__doc__.split("Parameters\n----------\n")[1].split("\nAttributes\n----------\n")
    entries = re.findall(r"^([a-z]\w*(?:, \w+)*) : ", parameters, flags=re.MULTILINE)
    names = [name for entry in entries for name in entry.split(", ")]
    assert sorted(names) == sorted(cls().get_params(deep=False))
    assert len(names) == len(set(names))
    assert "alpha_ : float" in attributes and "coef_ : " in attributes
    assert "\nExamples\n--------\n>>> " in cls.__doc__
    if "l1_ratio" in names:
        assert "l1_ratio : float or list of float" in parameters


@every_form
def test_fitted_forms_are_shown_and_pickled(cls):
    model = cls(alphas=4, cv=3)
    X, y = make_data(model.estimator)
    assert cls.__name__ in model._repr_html_()
    model.fit(X, y)
    assert cls.__name__ in model._repr_html_()
    text = pickle.dumps(model)
    np.testing.assert_array_equal(pickle.loads(text).predict(X), model.predict(X))
    assert b"numba" not in text and b"skreg._problem" not in text and b"skreg.solvers" not in text


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (skreg.LassoCV(tol=-1.0), "'tol' parameter of LassoCV"),
        (skreg.LassoCV(alphas="many"), "'alphas' parameter of LassoCV"),
        (skreg.ElasticNetCV(l1_ratio=2.0), "'l1_ratio' parameter of ElasticNetCV"),
        (skreg.ElasticNetCV(l1_ratio=[0.5, 2.0]), "'l1_ratio' parameter of ElasticNet "),
        (skreg.ElasticNetCV(l1_ratio=[]), "l1_ratio"),
        (skreg.SparseRegressorCV(loss="logistic"), "'loss' parameter of SparseRegressorCV"),
        (skreg.GroupLassoCV(groups=[[0], [99]]), "groups"),
    ],
    ids=repr,
)
def test_wrong_arguments_are_named(model, message):
    with pytest.raises(ValueError, match=message):
        model.fit(*make_data(skreg.Lasso()))


def test_groups_come_first_where_the_estimator_has_them():
    assert skreg.GroupLassoCV(2).groups == 2 and skreg.SparseGroupLassoCV(2, alphas=5).groups == 2
    with pytest.raises(TypeError):
        skreg.LassoCV(2)
