"""PathCV: the scores and the choice of GridSearchCV, rules of selection, the final model, routing and errors."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.metrics import log_loss, make_scorer, mean_squared_error, mean_tweedie_deviance, r2_score
from sklearn.model_selection import (
    BaseCrossValidator,
    GridSearchCV,
    GroupKFold,
    KFold,
    ParameterGrid,
    ShuffleSplit,
    StratifiedKFold,
    cross_validate,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skreg
from skreg.losses import Huber, Poisson, Tweedie
from skreg.model_selection import PathCV, alpha_grid
from skreg.model_selection._folds import sharing
from skreg.solvers import GramModel
from tests._instances import make_data

TIGHT = dict(tol=1e-13)
FIVE = KFold(4, shuffle=True, random_state=3)


def huber(model, X, y):
    return -Huber().value(y, model.predict(X)).mean()


def squared_hinge(model, X, y):
    margin = 1 - (2 * y - 1) * model.decision_function(X)
    return -np.mean(np.maximum(margin, 0) ** 2)


LOSSES = {
    "squared": "neg_mean_squared_error",
    "huber": huber,
    "poisson": "neg_mean_poisson_deviance",
    "gamma": "neg_mean_gamma_deviance",
    "tweedie": make_scorer(mean_tweedie_deviance, power=1.5, greater_is_better=False),
    "logistic": "neg_log_loss",
    "multinomial": "neg_log_loss",
    "squared_hinge": squared_hinge,
}
CLASSES = {"logistic", "multinomial", "squared_hinge"}


def model_of(loss, **params):
    cls = skreg.SparseClassifier if loss in CLASSES else skreg.SparseRegressor
    return cls(loss=loss, **{**TIGHT, **params})


def grid_of(estimator, X, y, n_alphas=8, eps=0.02):
    """Alphas below the largest, where ties of empty models would leave the ranks to rounding."""
    return alpha_grid(estimator, X, y, n_alphas=n_alphas + 1, eps=eps)[1:]


def assert_same_search(ours, theirs, atol=1e-8):
    """Every split's score, means, deviations, ranks and the choice, entry by entry of params."""
    place = {tuple(sorted(entry.items())): k for k, entry in enumerate(theirs.cv_results_["params"])}
    order = [place[tuple(sorted(entry.items()))] for entry in ours.cv_results_["params"]]
    assert sorted(order) == list(range(len(place)))
    assert set(ours.cv_results_) == set(theirs.cv_results_)
    for name, values in ours.cv_results_.items():
        other = theirs.cv_results_[name]
        if name == "params":
            continue
        if name.endswith("_time"):
            assert values.shape == other.shape and values.dtype == other.dtype and (values >= 0).all()
        elif name.startswith("param_"):
            assert isinstance(values, np.ma.MaskedArray) and values.dtype == other.dtype
            np.testing.assert_array_equal(np.ma.getmaskarray(values), np.ma.getmaskarray(other[order]))
            np.testing.assert_array_equal(values.compressed(), other[order].compressed())
        elif name.startswith("rank"):
            assert values.dtype == other.dtype
            np.testing.assert_array_equal(values, other[order])
        else:
            np.testing.assert_allclose(values, other[order], rtol=atol, atol=atol, err_msg=name)
    assert ours.n_splits_ == theirs.n_splits_
    assert ours.best_params_ == theirs.best_params_
    assert np.isclose(ours.best_score_, theirs.best_score_, rtol=atol, atol=atol)


def search_both(estimator, X, y, *, scoring=None, reference=None, cv=FIVE, groups=None, alphas=None, param_grid=None):
    alphas = grid_of(estimator, X, y) if alphas is None else alphas
    ours = PathCV(estimator, alphas=alphas, cv=cv, scoring=scoring, param_grid=param_grid).fit(X, y, groups=groups)
    grids = [{"alpha": alphas, **grid} for grid in _as_list(param_grid, estimator)]
    theirs = GridSearchCV(estimator, grids, cv=cv, scoring=reference or scoring).fit(X, y, groups=groups)
    assert_same_search(ours, theirs)
    np.testing.assert_allclose(ours.coef_, theirs.best_estimator_.coef_, atol=1e-5)
    np.testing.assert_array_equal(ours.predict(X).shape, theirs.predict(X).shape)
    return ours, theirs


def _as_list(param_grid, estimator):
    grids = [{}] if param_grid is None else param_grid if isinstance(param_grid, list) else [param_grid]
    return [{name: list(values) for name, values in grid.items()} for grid in grids]


@pytest.mark.parametrize("settings", [{}, dict(fit_intercept=False), dict(standardize=True)], ids=str)
@pytest.mark.parametrize("loss", LOSSES)
def test_equals_grid_search_for_every_loss(loss, settings):
    model = model_of(loss, **settings)
    X, y = make_data(model, n_samples=60)
    search_both(model, X, y, reference=LOSSES[loss])


@pytest.mark.parametrize("container", [sp.csr_array, sp.csc_matrix])
@pytest.mark.parametrize("loss", ["squared", "poisson", "multinomial"])
def test_equals_grid_search_on_sparse_data(loss, container):
    model = model_of(loss, standardize=True)
    X, y = make_data(model, n_samples=60)
    search_both(model, container(X), y, reference=LOSSES[loss])


@pytest.mark.parametrize("n_features", [8, 90])
@pytest.mark.parametrize("kind", ["group", "stratified", "shuffle split", "given", "masks", "lists", "int"])
def test_equals_grid_search_for_every_splitter(kind, n_features):
    model = skreg.Lasso(**TIGHT)
    X, y = make_data(model, n_samples=60, n_features=n_features)
    groups, rows = np.repeat(np.arange(12), 5), np.arange(60)
    overlapping = [(rows[:40], rows[20:40]), (rows[::2], rows[1::2])]  # the first is no split, by its sizes it might be
    cv = {
        "group": GroupKFold(4),
        "stratified": [*StratifiedKFold(3).split(X, y > 0)],
        "shuffle split": ShuffleSplit(5, train_size=0.5, test_size=0.25, random_state=0),
        "given": overlapping,
        "masks": [(rows % 3 != k, rows % 3 == k) for k in range(3)],
        "lists": [(train.tolist(), test.tolist()) for train, test in FIVE.split(X)],
        "int": 3,
    }[kind]
    search_both(model, X, y, reference="neg_mean_squared_error", cv=cv, groups=groups if kind == "group" else None)


def test_a_split_is_known_by_its_rows_not_their_number():
    X, y = make_data(skreg.Lasso(), n_samples=60)
    rows = np.arange(60)
    cv = [(rows[:30], rows[:30]), (np.r_[rows[:20], rows[:20]], rows[40:])]
    search_both(skreg.Lasso(**TIGHT), X, y, reference="neg_mean_squared_error", cv=cv)


@pytest.mark.parametrize(
    "param_grid",
    [{"l1_ratio": [0.2, 0.9]}, [{"l1_ratio": [0.5]}, {"fit_intercept": [True, False]}]],
    ids=["dict", "list of dict"],
)
def test_equals_grid_search_over_further_parameters(param_grid):
    model = skreg.ElasticNet(**TIGHT)
    X, y = make_data(model, n_samples=60)
    ours, _ = search_both(model, X, y, reference="neg_mean_squared_error", param_grid=param_grid)
    alone = PathCV(clone(model).set_params(**{k: v for k, v in ours.best_params_.items() if k != "alpha"}), cv=FIVE)
    alone.set_params(alphas=ours.alphas_).fit(X, y)
    np.testing.assert_allclose(ours.mean_score_, alone.mean_score_, atol=1e-12)
    np.testing.assert_allclose(ours.coef_path_, alone.coef_path_, atol=1e-7)


SHARED = {
    "tall": (skreg.ElasticNet(**TIGHT), 8, {"l1_ratio": [0.2, 0.5, 1.0]}),
    "wide": (skreg.ElasticNet(**TIGHT), 90, {"l1_ratio": [0.2, 0.5, 1.0]}),
    "groups": (skreg.SparseGroupLasso(groups=2, tol=1e-12), 90, {"l1_ratio": [0.2, 0.8]}),
    "loss": (skreg.SparseRegressor(loss=Huber(), **TIGHT), 8, {"loss__delta": [0.5, 2.0], "l1_ratio": [None]}),
    "classes": (model_of("multinomial", penalty="elastic_net"), 8, {"l1_ratio": [0.5, 1.0]}),
    "pilot": (skreg.AdaptiveLasso(**TIGHT), 8, {"gamma": [0.5, 2.0]}),
    "tasks": (skreg.MultiTaskElasticNet(**TIGHT), 90, {"l1_ratio": [0.2, 0.8]}),
}


@pytest.mark.parametrize("kind", SHARED)
def test_combinations_that_share_their_data_have_the_scores_of_their_own(kind):
    model, n_features, param_grid = SHARED[kind]
    X, y = make_data(model, n_samples=60, n_features=n_features)
    together = PathCV(model, alphas=[0.2, 0.1, 0.05], param_grid=param_grid, cv=3).fit(X, y)
    for combination in ParameterGrid(param_grid):
        alone = PathCV(clone(model).set_params(**combination), alphas=together.alphas_, cv=3).fit(X, y)
        entries = [
            k for k, params in enumerate(together.cv_results_["params"]) if combination.items() <= params.items()
        ]
        assert len(entries) == 3
        for k in range(3):
            name = f"split{k}_test_score"
            np.testing.assert_allclose(together.cv_results_[name][entries], alone.cv_results_[name], rtol=1e-8)


def test_what_combinations_share():
    def groups(model, param_grid):
        return sharing(list(ParameterGrid(param_grid)), model)

    model = skreg.SparseRegressor()
    assert groups(model, {"gamma": [2.0, 3.0], "tol": [1e-6, 1e-8]}) == [[0, 1, 2, 3]]
    assert groups(model, {"standardize": [True, False], "l1_ratio": [0.1, 0.9]}) == [[0, 2], [1, 3]]
    assert groups(model, {"loss": ["squared", "huber"]}) == [[0], [1]]
    assert groups(model, {"loss__delta": [1.0, 2.0]}) == [[0, 1]]
    assert groups(skreg.AdaptiveLasso(), {"gamma": [1.0, 2.0]}) == [[0], [1]]
    assert groups(model, {}) == [[0]]


@pytest.mark.parametrize("shape", [(60, 8), (60, 90)])
def test_gram_matrices_are_made_once_a_fold(shape, monkeypatch):
    X, y = make_data(skreg.ElasticNet(), n_samples=shape[0], n_features=shape[1])
    entries = []
    cross = GramModel._cross

    def counted(self, rows, columns):
        block = cross(self, rows, columns)
        entries.append(block.size)
        return block

    monkeypatch.setattr(GramModel, "_cross", counted)
    search = PathCV(skreg.ElasticNet(), alphas=12, eps=0.1, scoring="r2", cv=3, refit=False)
    search.set_params(param_grid={"l1_ratio": [0.5]}).fit(X, y)
    one = sum(entries)
    entries.clear()
    search.set_params(param_grid={"l1_ratio": [0.5, 0.5, 0.5, 0.5]}).fit(X, y)
    assert sum(entries) == one > 0


def test_strings_and_objects_are_further_parameters_too():
    model = skreg.SparseRegressor(loss="poisson", **TIGHT)
    X, y = make_data(model, n_samples=60)
    search_both(model, X, y, scoring="r2", param_grid={"loss": ["poisson", "tweedie"]}, alphas=[0.05, 0.2])


@pytest.mark.parametrize("scoring", ["r2", "neg_median_absolute_error", make_scorer(mean_squared_error), huber])
def test_equals_grid_search_by_any_scorer(scoring):
    X, y = make_data(skreg.Lasso(), n_samples=60)
    ours, theirs = search_both(skreg.Lasso(**TIGHT), X, y, scoring=scoring)
    assert np.isclose(ours.score(X, y), theirs.score(X, y), atol=1e-7)


@pytest.mark.parametrize("scoring", ["accuracy", "roc_auc", "neg_log_loss"])
def test_equals_grid_search_by_any_scorer_of_classes(scoring):
    model = model_of("logistic")
    X, y = make_data(model, n_samples=60)
    search_both(model, X, np.array(["no", "yes"])[y], scoring=scoring, cv=StratifiedKFold(3))


def test_the_pilot_of_an_adaptive_lasso_is_fitted_in_each_fold():
    model = skreg.AdaptiveLasso(**TIGHT)
    X, y = make_data(model, n_samples=60)
    ours, theirs = search_both(model, X, y, reference="neg_mean_squared_error")
    np.testing.assert_allclose(ours.pilot_coef_, theirs.best_estimator_.pilot_coef_, atol=1e-7)


@pytest.mark.parametrize(
    "model",
    [
        skreg.GroupLasso(groups=2),
        skreg.GroupLasso(groups=[[0, 1, 2], [2, 3, 4], [5, 6, 7]]),
        skreg.SparseGroupLasso(groups=2),
        skreg.GroupLasso(groups=2, loss="poisson"),
        skreg.GroupLassoClassifier(groups=2),
        skreg.FusedLasso(l1_ratio=0.5),
        skreg.SlopeRegressor(),
        skreg.ExclusiveLasso(groups=2),
    ],
    ids=repr,
)
def test_equals_grid_search_for_groups_and_structure(model):
    model = clone(model).set_params(tol=1e-12)
    X, y = make_data(model, n_samples=60)
    loss = "logistic" if isinstance(model, skreg.GroupLassoClassifier) else getattr(model, "loss", "squared")
    search_both(model, X, y, reference=LOSSES[loss])


def score_of(loss, model, X, y, weight):
    if loss == "logistic":
        return -log_loss(y, model.predict_proba(X), sample_weight=weight, labels=model.classes_)
    if loss == "huber":
        return -np.average(Huber().value(y, model.predict(X)), weights=weight)
    power = {"squared": 0, "poisson": 1, "gamma": 2}[loss]
    return -mean_tweedie_deviance(y, model.predict(X), sample_weight=weight, power=power)


def test_equals_grid_search_for_several_tasks():
    model = skreg.MultiTaskElasticNet(**TIGHT)
    X, y = make_data(model, n_samples=60)
    ours, _ = search_both(model, X, y, reference="neg_mean_squared_error", param_grid={"l1_ratio": [0.2, 0.9]})
    assert ours.coef_path_.shape == (8, 3, 8) and ours.intercept_.shape == (3,)
    weight = np.random.default_rng(1).integers(0, 4, 60).astype(float)
    search = PathCV(model, alphas=ours.alphas_, cv=FIVE).fit(sp.csr_array(X), y, sample_weight=weight, offset=y / 2)
    train, test = next(FIVE.split(X))
    fitted = clone(model).set_params(alpha=ours.alphas_[-1])
    fitted.fit(X[train], y[train], sample_weight=weight[train], offset=y[train] / 2)
    expected = mean_squared_error(y[test], fitted.predict(X[test], y[test] / 2), sample_weight=weight[test])
    assert np.isclose(-search.cv_results_["split0_test_score"][-1], expected, rtol=1e-8)


@pytest.mark.parametrize("n_features", [8, 70])
@pytest.mark.parametrize("loss", ["squared", "huber", "poisson", "gamma", "logistic"])
def test_weights_count_in_fits_and_scores(loss, n_features):
    model = model_of(loss)
    X, y = make_data(model, n_samples=60, n_features=n_features)
    weight = np.random.default_rng(1).integers(0, 4, 60).astype(float)
    alphas = alpha_grid(model, X, y, n_alphas=6, eps=0.05, sample_weight=weight)
    search = PathCV(model, alphas=alphas, cv=FIVE).fit(X, y, sample_weight=weight)
    for k, (train, test) in enumerate(FIVE.split(X)):
        fits = [clone(model).set_params(alpha=a).fit(X[train], y[train], sample_weight=weight[train]) for a in alphas]
        scores = [score_of(loss, fit, X[test], y[test], weight[test]) for fit in fits]
        np.testing.assert_allclose(search.cv_results_[f"split{k}_test_score"], scores, atol=1e-8)
    by_name = PathCV(model, alphas=alphas, cv=FIVE, scoring="r2" if loss != "logistic" else "accuracy")
    by_name.fit(X, y, sample_weight=weight)
    fitted = clone(model).set_params(alpha=alphas[2]).fit(X[train], y[train], sample_weight=weight[train])
    expected = fitted.score(X[test], y[test], sample_weight=weight[test])
    assert np.isclose(by_name.cv_results_[f"split{k}_test_score"][2], expected, atol=1e-8)


def test_one_weight_for_all_is_none():
    X, y = make_data(skreg.Lasso(), n_samples=60)
    plain, weighted = (PathCV(skreg.Lasso(**TIGHT), alphas=5).fit(X, y, sample_weight=w) for w in (None, 3.0))
    np.testing.assert_allclose(weighted.mean_score_, plain.mean_score_, rtol=1e-10)


def test_rows_of_weight_zero_may_be_of_any_class():
    X, y = make_data(model_of("logistic"), n_samples=60)
    weight = np.ones(60)
    weight[:3] = 0
    labels = np.r_[["unknown"] * 3, np.array(["no", "yes"])[y[3:]]]
    cv = [(np.arange(20, 60), np.arange(20)), (np.arange(30), np.arange(30, 60))]
    search = PathCV(model_of("logistic"), alphas=[0.01, 0.1], cv=cv).fit(X, labels, sample_weight=weight)
    kept = [(np.arange(17, 57), np.arange(17)), (np.arange(27), np.arange(27, 57))]
    without = PathCV(model_of("logistic"), alphas=[0.01, 0.1], cv=kept).fit(X[3:], labels[3:])
    np.testing.assert_allclose(search.mean_score_, without.mean_score_, atol=1e-9)


def test_an_offset_counts_in_fits_and_scores():
    model = model_of("poisson")
    X, y = make_data(model, n_samples=60)
    offset = np.random.default_rng(1).standard_normal(60)
    search = PathCV(model, alphas=[0.3, 0.05], cv=FIVE).fit(X, y, offset=offset)
    train, test = next(FIVE.split(X))
    fitted = clone(model).set_params(alpha=0.05).fit(X[train], y[train], offset=offset[train])
    expected = -mean_tweedie_deviance(y[test], fitted.predict(X[test], offset[test]), power=1)
    assert np.isclose(search.cv_results_["split0_test_score"][1], expected, atol=1e-8)
    with pytest.raises(ValueError, match="offset needs scoring=None"):
        PathCV(model, scoring="r2").fit(X, y, offset=offset)


# ---------------------------------------------------------------- selection and refit
def test_one_standard_error_rule_is_glmnets():
    X, y = make_data(skreg.Lasso(), n_samples=60)
    least = PathCV(skreg.Lasso(**TIGHT), alphas=40, cv=FIVE).fit(X, y)
    simple = PathCV(skreg.Lasso(**TIGHT), alphas=40, cv=FIVE, selection="1se").fit(X, y)
    errors = -np.array([least.cv_results_[f"split{k}_test_score"] for k in range(4)])
    mean, error = errors.mean(axis=0), errors.std(axis=0, ddof=1) / np.sqrt(4)
    k = np.argmin(mean)
    assert least.alpha_ == least.alphas_[k]
    assert simple.alpha_ == max(a for a, m in zip(least.alphas_, mean) if m <= mean[k] + error[k])
    assert simple.alpha_ > least.alpha_
    assert simple.best_params_ == {"alpha": simple.alpha_} == simple.cv_results_["params"][simple.best_index_]
    assert simple.best_score_ == simple.cv_results_["mean_test_score"][simple.best_index_]
    assert simple.best_estimator_.alpha == simple.alpha_


def test_one_standard_error_rule_keeps_the_best_further_parameters():
    X, y = make_data(skreg.ElasticNet(), n_samples=60)
    given = dict(alphas=20, cv=FIVE, param_grid={"l1_ratio": [0.1, 0.5, 1.0]})
    least = PathCV(skreg.ElasticNet(), **given).fit(X, y)
    simple = PathCV(skreg.ElasticNet(), selection="1se", **given).fit(X, y)
    assert simple.best_params_["l1_ratio"] == least.best_params_["l1_ratio"]
    np.testing.assert_array_equal(simple.alphas_, least.alphas_)
    assert simple.alpha_ >= least.alpha_ and simple.alpha_ in simple.alphas_


def test_a_callable_selects_and_wrong_answers_are_named():
    X, y = make_data(skreg.Lasso())
    search = PathCV(skreg.Lasso(), alphas=6, selection=lambda results: len(results["params"]) - 2).fit(X, y)
    assert search.best_index_ == 4 and search.alpha_ == search.alphas_[4]
    for wrong in (6, -1, "3", 1.5):
        with pytest.raises(ValueError, match="selection must return an index"):
            PathCV(skreg.Lasso(), alphas=6, selection=lambda results, wrong=wrong: wrong).fit(X, y)


@pytest.mark.parametrize("model", [skreg.Lasso(**TIGHT), model_of("poisson", max_iter=500)], ids=repr)
def test_the_final_model_is_a_fit_at_its_alpha(model):
    X, y = make_data(model, n_samples=60)
    search = PathCV(model, alphas=10, eps=0.05, cv=FIVE).fit(X, y)
    alone = clone(model).set_params(alpha=search.alpha_).fit(X, y)
    np.testing.assert_allclose(search.coef_, alone.coef_, atol=1e-6)
    np.testing.assert_array_equal(search.predict(X), search.best_estimator_.predict(X))
    np.testing.assert_array_equal(search.coef_path_[search.best_index_], search.coef_)
    assert search.score(X, y) == search.best_estimator_.score(X, y)
    assert search.intercept_ == search.best_estimator_.intercept_ and search.converged_


def test_without_refit_there_is_a_choice_and_no_model():
    X, y = make_data(skreg.Lasso())
    search = PathCV(skreg.Lasso(), alphas=8)
    with pytest.raises(NotFittedError, match="not fitted yet"):
        search.predict(X)
    search.fit(X, y).set_params(refit=False).fit(X, y)
    assert search.alpha_ > 0 and search.n_features_in_ == 8
    assert not hasattr(search, "coef_") and not hasattr(search, "best_estimator_")
    for call in (lambda: search.predict(X), lambda: search.score(X, y)):
        with pytest.raises(NotFittedError, match="refit=False"):
            call()


RELAXABLE = [skreg.Lasso(), skreg.Lasso(standardize=True), skreg.AdaptiveLasso(), skreg.GroupLasso(groups=2)]


@pytest.mark.parametrize("model", RELAXABLE, ids=repr)
def test_a_relaxed_refit_is_least_squares_on_the_support(model):
    X, y = make_data(model, n_samples=60)
    search = PathCV(model, alphas=10, refit="relaxed", selection="1se").fit(X, y)
    used = search.coef_ != 0
    assert 0 < used.sum() < 8
    ols = LinearRegression().fit(X[:, used], y)
    np.testing.assert_allclose(search.coef_[used], ols.coef_, atol=1e-8)
    np.testing.assert_allclose(search.predict(X), ols.predict(X[:, used]), atol=1e-8)
    assert (
        search.best_estimator_.get_params().get("penalty_weights") is None
        and search.best_estimator_.alpha == search.alpha_
    )


def test_a_relaxed_refit_of_tied_features_is_refused_before_any_fit():
    X, y = make_data(skreg.Lasso())
    with pytest.raises(ValueError, match="refit='relaxed' needs a penalty of single features or of groups; .*Fused"):
        PathCV(skreg.FusedLasso(), refit="relaxed").fit(X, y)


def test_a_relaxed_refit_of_several_tasks_is_least_squares_on_the_features_of_any():
    X, y = make_data(skreg.MultiTaskLasso(), n_samples=60)
    search = PathCV(skreg.MultiTaskLasso(tol=1e-10), alphas=10, refit="relaxed", selection="1se").fit(X, y)
    used = search.coef_.any(axis=0)
    assert 0 < used.sum() < 8
    np.testing.assert_allclose(search.predict(X), LinearRegression().fit(X[:, used], y).predict(X[:, used]), atol=1e-6)


def test_a_second_fit_forgets_the_first():
    X, y = make_data(skreg.Lasso())
    search = PathCV(skreg.Lasso(), alphas=8).fit(X, y)
    search.fit(X[:, :5], -y)
    fresh = PathCV(skreg.Lasso(), alphas=8).fit(X[:, :5], -y)
    np.testing.assert_array_equal(search.coef_, fresh.coef_)
    assert search.n_features_in_ == 5 and search.intercept_ == fresh.intercept_


def test_a_fit_that_fails_leaves_the_one_before():
    X, y = make_data(skreg.Lasso())
    search = PathCV(skreg.Lasso(), alphas=8).fit(X, y)
    before = dict(vars(search))
    with pytest.raises(ValueError, match="selection"):
        search.set_params(selection=lambda results: 99).fit(X, -y)
    assert {**vars(search), "selection": "min"} == before


@pytest.mark.parametrize("scoring", [None, "r2"])
def test_jobs_change_nothing(scoring):
    model = model_of("poisson")
    X, y = make_data(model)
    weight = np.random.default_rng(0).uniform(0.5, 2, len(y))
    alone, both = (
        PathCV(model, alphas=5, cv=3, n_jobs=n_jobs, scoring=scoring).fit(X, y, sample_weight=weight)
        for n_jobs in (None, 2)
    )
    np.testing.assert_array_equal(alone.cv_results_["mean_test_score"], both.cv_results_["mean_test_score"])
    np.testing.assert_array_equal(alone.coef_, both.coef_)


# ---------------------------------------------------------------- errors
def test_a_class_missing_in_a_training_fold_is_an_error_that_says_so():
    model = model_of("multinomial")
    X, y = make_data(model, n_samples=60)
    y[y == 2] = 1
    y[:3] = 2
    cv = [(np.arange(30, 60), np.arange(30)), (np.arange(30), np.arange(30, 60))]
    with pytest.raises(ValueError, match="The class 2 of y is not in the training rows of some fold of cv"):
        PathCV(model, alphas=[0.05], cv=cv).fit(X, y)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (dict(alphas=0), "'alphas'"),
        (dict(alphas=[1.0, -1.0]), r"alphas\[1\] == -1.0, must be >= 0"),
        (dict(alphas=[]), "alphas must be"),
        (dict(eps=1.5), "'eps'"),
        (dict(cv=1), "'cv'"),
        (dict(cv="five"), "'cv'"),
        (dict(scoring="best"), "scoring"),
        (dict(selection="2se"), "'selection'"),
        (dict(refit="yes"), "'refit'"),
        (dict(n_jobs=0.5), "'n_jobs'"),
        (dict(param_grid={"alpha": [1.0]}), "param_grid names alpha"),
        (dict(param_grid={"l1": [1.0]}), "Invalid parameter 'l1'"),
        (dict(param_grid={"tol": [-1.0]}), "'tol'"),
    ],
    ids=str,
)
def test_wrong_arguments_are_named(params, message):
    X, y = make_data(skreg.Lasso())
    search = PathCV(skreg.Lasso(), **params)
    with pytest.raises(ValueError, match=message):
        search.fit(X, y)
    assert not [name for name in vars(search) if name.endswith("_")]


def test_wrong_data_is_named():
    X, y = make_data(skreg.Lasso())
    with pytest.raises(TypeError, match="estimator must be a skreg estimator with an alpha; got LinearRegression"):
        PathCV(LinearRegression()).fit(X, y)
    with pytest.raises(ValueError, match="sample_weight"):
        PathCV(skreg.Lasso()).fit(X, y, sample_weight=np.ones(3))
    with pytest.raises(ValueError, match="groups"):
        PathCV(skreg.Lasso(), cv=GroupKFold(3)).fit(X, y)
    with pytest.raises(ValueError, match="scoring=.* gave NaN"):
        PathCV(skreg.Lasso(), alphas=3, scoring=lambda *_: np.nan).fit(X, y)


def test_a_score_that_is_nan_is_not_chosen():
    X, y = make_data(skreg.Lasso())
    alphas = grid_of(skreg.Lasso(), X, y)

    def scoring(model, X, y):
        return np.nan if model.alpha == alphas[0] else -model.alpha

    with pytest.warns(UserWarning, match="non-finite"):
        theirs = GridSearchCV(skreg.Lasso(), {"alpha": alphas}, scoring=scoring, cv=3).fit(X, y)
    ours = PathCV(skreg.Lasso(), alphas=alphas, scoring=scoring, cv=3).fit(X, y)
    assert ours.alpha_ == theirs.best_params_["alpha"] == alphas[-1]
    np.testing.assert_array_equal(ours.cv_results_["rank_test_score"], theirs.cv_results_["rank_test_score"])


def test_a_target_outside_the_loss_is_named_in_held_out_rows_too():
    X, y = make_data(model_of("poisson"))
    y[0] = -1.0
    with pytest.raises(ValueError, match="y"):
        PathCV(model_of("poisson"), alphas=[0.1]).fit(X, y)


# ---------------------------------------------------------------- as part of scikit-learn
@pytest.mark.parametrize(
    "search",
    [skreg.LassoCV(alphas=8), PathCV(model_of("poisson"), alphas=8, n_jobs=2)],
    ids=["LassoCV", "two jobs"],
)
def test_metadata_is_routed(search):
    X, y = make_data(search.estimator, n_samples=60)
    weight, groups = np.random.default_rng(0).uniform(0.5, 2, 60), np.repeat(np.arange(12), 5)
    search = clone(search).set_params(cv=GroupKFold(3))
    direct = clone(search).fit(StandardScaler().fit_transform(X), y, sample_weight=weight, groups=groups)
    with config_context(enable_metadata_routing=True):
        search.set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        pipeline = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), search)
        pipeline.fit(X, y, sample_weight=weight, groups=groups)  # which the splitter asks for by itself
        np.testing.assert_array_equal(
            pipeline[-1].cv_results_["mean_test_score"], direct.cv_results_["mean_test_score"]
        )
        params = dict(sample_weight=weight, groups=groups)
        scores = cross_validate(search, X, y, params=params, cv=FIVE, error_score="raise")["test_score"]
        with pytest.raises(TypeError, match="groups"):
            clone(search).set_params(cv=3).fit(X, y, groups=groups)
    train, test = next(FIVE.split(X))
    alone = clone(search).fit(X[train], y[train], sample_weight=weight[train], groups=groups[train])
    assert np.isclose(scores[0], alone.score(X[test], y[test], sample_weight=weight[test]))


class Blocks(BaseCrossValidator):
    """Leaves one block of rows out, and asks for the blocks."""

    def split(self, X, y=None, groups=None, blocks=None):
        return ((np.flatnonzero(blocks != k), np.flatnonzero(blocks == k)) for k in np.unique(blocks))

    def get_n_splits(self, X=None, y=None, groups=None, blocks=None):
        return len(np.unique(blocks))


def test_a_splitter_may_ask_for_more_than_groups():
    X, y = make_data(skreg.Lasso(), n_samples=60)
    blocks = np.repeat([0, 1, 2], 20)
    plain = PathCV(skreg.Lasso(), alphas=5, cv=[*Blocks().split(X, y, blocks=blocks)]).fit(X, y)
    search = PathCV(skreg.Lasso(), alphas=5, cv=Blocks())
    with pytest.raises(ValueError, match="blocks only with enable_metadata_routing=True"):
        search.fit(X, y, blocks=blocks)
    with config_context(enable_metadata_routing=True):
        search.set_params(cv=Blocks().set_split_request(blocks=True)).fit(X, y, blocks=blocks)
    np.testing.assert_array_equal(search.mean_score_, plain.mean_score_)


@pytest.mark.parametrize("asks", [None, True, False])
def test_scorers_have_the_weights_unless_they_ask_not_to(asks):
    X, y = make_data(skreg.Lasso(), n_samples=60)
    weight = np.random.default_rng(0).uniform(0.5, 2, 60)
    with config_context(enable_metadata_routing=True):
        scorer = make_scorer(r2_score).set_score_request(sample_weight=asks)
        search = PathCV(skreg.Lasso(), alphas=5, cv=FIVE, scoring=scorer).fit(X, y, sample_weight=weight)
        own = search.score(X, y, sample_weight=weight)
    train, test = next(FIVE.split(X))
    fitted = skreg.Lasso(search.alphas_[-1]).fit(X[train], y[train], sample_weight=weight[train])
    expected = fitted.score(X[test], y[test], sample_weight=None if asks is False else weight[test])
    assert np.isclose(search.cv_results_["split0_test_score"][-1], expected, atol=1e-6)
    assert own == search.best_estimator_.score(X, y, sample_weight=None if asks is False else weight)


def test_tags_and_methods_are_those_of_the_estimator():
    probable, not_so = PathCV(model_of("logistic")), PathCV(model_of("squared_hinge"))
    assert hasattr(probable, "predict_proba") and not hasattr(not_so, "predict_proba")
    assert not hasattr(PathCV(skreg.Lasso()), "decision_function")
    assert probable.__sklearn_tags__().estimator_type == "classifier"
    assert PathCV(model_of("poisson")).__sklearn_tags__().target_tags.positive_only
    X, y = make_data(model_of("logistic"))
    fitted = pickle.loads(pickle.dumps(probable.set_params(alphas=5).fit(X, y)))
    np.testing.assert_array_equal(fitted.predict_proba(X), fitted.best_estimator_.predict_proba(X))
    np.testing.assert_allclose(fitted.predict_log_proba(X), np.log(fitted.predict_proba(X)))
    np.testing.assert_array_equal(fitted.decision_function(X), fitted.best_estimator_.decision_function(X))
    np.testing.assert_array_equal(fitted.classes_, [0, 1])
    assert "SparseClassifier" in fitted._repr_html_()


def test_parameters_within_are_reached():
    search = PathCV(skreg.ElasticNet()).set_params(estimator__l1_ratio=0.2, estimator__tol=1e-9)
    assert search.estimator.l1_ratio == 0.2 and clone(search).get_params()["estimator__tol"] == 1e-9


def test_losses_and_frames_by_object():
    import pandas as pd

    X, y = make_data(model_of("poisson"))
    frame = pd.DataFrame(X, columns=list("abcdefgh"))
    search = PathCV(skreg.SparseRegressor(loss=Poisson()), alphas=5).fit(frame, pd.Series(y))
    assert search.feature_names_in_.tolist() == list("abcdefgh")
    own = PathCV(skreg.SparseRegressor(loss=Tweedie(power=1.2), **TIGHT), alphas=[0.1], cv=FIVE).fit(X, y)
    train, test = next(FIVE.split(X))
    fitted = skreg.SparseRegressor(loss=Tweedie(power=1.2), alpha=0.1, **TIGHT).fit(X[train], y[train])
    expected = -mean_tweedie_deviance(y[test], fitted.predict(X[test]), power=1.2)
    assert np.isclose(own.cv_results_["split0_test_score"][0], expected, atol=1e-8)
