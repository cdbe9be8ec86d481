"""What a fitted model must be: optimal, certified, and equal to what others compute in the limits they share."""

import warnings

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse as sp
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import GammaRegressor, LinearRegression, LogisticRegression, PoissonRegressor

import skreg
from skreg.losses import Huber
from skreg.model_selection import alpha_grid
from tests._instances import CONTRACTED, MULTI_TASK, adapted, label, make_data

every_estimator = pytest.mark.parametrize("estimator", CONTRACTED, ids=label)
# Quantile regression has a solver and an objective of its own: tests/quantile holds its contracts.
engine = [e for e in CONTRACTED if not isinstance(e, skreg.QuantileRegressor)]
every_engine_model = pytest.mark.parametrize("estimator", engine, ids=label)
weighted = [e for e in CONTRACTED if "penalty_weights" in e.get_params()]
convex = [e for e in weighted if getattr(e, "penalty", "l1") in {"l1", "elastic_net"}]
emptied = [e for e in engine if not isinstance(e, skreg.ExclusiveLasso) and getattr(e, "l1_ratio", 1) != 0]


SQUARED = [skreg.Lasso, skreg.ElasticNet, skreg.AdaptiveLasso, skreg.SparseRegressor]
SQUARED += [skreg.MultiTaskLasso, skreg.MultiTaskElasticNet]
SQUARED += [skreg.SlopeRegressor, skreg.FusedLasso, skreg.ExclusiveLasso]


# ------------------------------------------------------------ the strength of the penalty
@pytest.mark.parametrize("estimator", emptied, ids=label)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_alpha_max_empties_the_model_and_a_little_less_does_not(estimator, weighted, fit_intercept):
    X, y = make_data(estimator)
    weight = np.random.default_rng(0).uniform(0.1, 2.0, len(y)) if weighted else None
    estimator = clone(estimator).set_params(fit_intercept=fit_intercept)
    top = alpha_grid(estimator, X, y, n_alphas=1, sample_weight=weight)[0]
    for container in (np.asarray, sp.csr_array):
        full = clone(estimator).set_params(alpha=top).fit(container(X), y, weight)
        np.testing.assert_array_equal(full.coef_, 0.0)
        less = clone(estimator).set_params(alpha=0.999 * top).fit(container(X), y, weight)
        assert np.any(less.coef_ != 0)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("cls", SQUARED)
def test_alpha_zero_is_least_squares(cls, fit_intercept):
    X, y = make_data(cls())
    weight = np.random.default_rng(0).uniform(0.1, 2.0, len(y))
    model = cls(alpha=0.0, tol=1e-12, fit_intercept=fit_intercept).fit(X, y, weight)
    reference = LinearRegression(fit_intercept=fit_intercept).fit(X, y, weight)
    np.testing.assert_allclose(model.coef_, reference.coef_, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(model.intercept_, reference.intercept_, rtol=1e-8, atol=1e-8)
    assert model.dual_gap_ <= 1e-12


UNPENALISED = {
    "poisson": PoissonRegressor(alpha=0, tol=1e-10, max_iter=10_000, solver="newton-cholesky"),
    "gamma": GammaRegressor(alpha=0, tol=1e-10, max_iter=10_000, solver="newton-cholesky"),
}


@pytest.mark.parametrize("loss", UNPENALISED)
def test_alpha_zero_is_the_unpenalised_glm(loss):
    model = skreg.SparseRegressor(loss=loss, alpha=0.0, tol=1e-12)
    X, y = make_data(model)
    reference = UNPENALISED[loss].fit(X, y)
    model.fit(X, y)
    np.testing.assert_allclose(model.coef_, reference.coef_, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(model.predict(X), reference.predict(X), rtol=1e-6)


def test_alpha_zero_is_unpenalised_logistic_regression():
    X, y = make_data(skreg.SparseClassifier())
    reference = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-10).fit(X, y)
    model = skreg.SparseClassifier(alpha=0.0, tol=1e-11).fit(X, y)
    np.testing.assert_allclose(model.predict_proba(X), reference.predict_proba(X), atol=1e-6)


def test_alpha_zero_is_huber_m_estimation():
    X, y = make_data(skreg.Lasso())
    y[:3] += 20.0

    def objective(b):
        r = np.abs(y - X @ b[1:] - b[0])
        return np.where(r <= 0.7, 0.5 * r**2, 0.7 * r - 0.245).mean()

    model = skreg.SparseRegressor(loss=Huber(delta=0.7), alpha=0.0, tol=1e-12).fit(X, y)
    reference = scipy.optimize.minimize(objective, np.zeros(X.shape[1] + 1), options=dict(gtol=1e-10, maxiter=10_000))
    np.testing.assert_allclose(np.r_[model.intercept_, model.coef_], reference.x, atol=1e-5)


# ------------------------------------------------------------ certificates
def objective(model, X, y):
    """Mean loss plus penalty for L1 and elastic net, written down anew."""
    size = model.coef_ * (X.std(axis=0) if model.standardize else 1.0)
    ratio = getattr(model, "l1_ratio", None)
    elastic = isinstance(model, skreg.ElasticNet) or getattr(model, "penalty", "") == "elastic_net"
    ratio = (0.5 if ratio is None else ratio) if elastic else 1.0
    penalty = model.alpha * (ratio * np.abs(size).sum() + 0.5 * (1 - ratio) * (size**2).sum())
    eta = X @ model.coef_.T + model.intercept_
    loss = getattr(model, "loss", "squared")
    if loss == "squared":
        return 0.5 * np.mean((y - eta) ** 2) + penalty
    if loss == "huber":
        r = np.abs(y - eta)
        return np.mean(np.where(r <= 1.35, 0.5 * r**2, 1.35 * r - 0.5 * 1.35**2)) + penalty
    if loss == "poisson":
        return np.mean(np.exp(eta) - y * eta) + penalty
    if loss == "gamma":
        return np.mean(y * np.exp(-eta) + eta) + penalty
    if loss == "logistic":
        return np.mean(np.logaddexp(0, eta[:, 0]) - y * eta[:, 0]) + penalty
    if loss == "multinomial":
        return np.mean(np.log(np.exp(eta).sum(axis=1)) - eta[np.arange(len(y)), y]) + penalty
    raise AssertionError(loss)


def saturated(loss, y):
    """Smallest mean loss that any predictor could have."""
    if loss == "poisson":
        return np.mean(np.where(y > 0, y - y * np.log(np.where(y > 0, y, 1.0)), 0.0))
    return np.mean(1.0 + np.log(y)) if loss == "gamma" else 0.0


KNOWN = {"squared", "huber", "poisson", "gamma", "logistic", "multinomial"}
OTHER = skreg.AdaptiveLasso | skreg.MultiTaskLasso | skreg.MultiTaskElasticNet  # tests/group holds those of tasks
OTHER |= skreg.SqrtLasso | skreg.QuantileRegressor  # tests/sparse and tests/quantile hold those of other objectives
known = [e for e in convex if getattr(e, "loss", "squared") in KNOWN and not isinstance(e, OTHER)]


@pytest.mark.parametrize("estimator", known, ids=label)
def test_reported_gap_bounds_the_true_excess(estimator):
    X, y = make_data(estimator)
    best = objective(clone(estimator).fit(X, y), X, y)
    empty = clone(estimator).set_params(alpha=1e6).fit(X, y)
    null = objective(empty, X, y) - saturated(getattr(estimator, "loss", "squared"), y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        rough = [clone(estimator).set_params(max_iter=k, tol=0.0).fit(X, y) for k in (1, 2, 3, 4)]
        rough.append(clone(estimator).set_params(tol=1e-2).fit(X, y))
    for model in rough:
        excess = (objective(model, X, y) - best) / null
        assert excess <= model.dual_gap_ + 1e-11
    assert max(model.dual_gap_ for model in rough) > 1e-3


@pytest.mark.parametrize("estimator", known, ids=label)
def test_optimality_conditions(estimator):
    """No coordinate step of any size lowers the objective."""
    X, y = make_data(estimator)
    model = clone(estimator).fit(X, y)
    best = objective(model, X, y)
    for index in np.ndindex(model.coef_.shape):
        for step in (1e-3, -1e-3, 1e-5, -1e-5):
            old = model.coef_[index]
            model.coef_[index] = old + step
            if not (estimator.positive and old + step < 0):
                assert objective(model, X, y) >= best - 1e-12
            model.coef_[index] = old


@every_estimator
def test_fitted_attributes(estimator):
    X, y = make_data(estimator)
    model = clone(estimator).fit(X, y)
    assert type(model.n_iter_) is int and model.n_iter_ >= 1
    assert type(model.dual_gap_) is float and type(model.kkt_violation_) is float
    assert model.converged_ is True
    measure = model.kkt_violation_ if getattr(estimator, "penalty", "l1") == "mcp" else model.dual_gap_
    assert 0 <= measure <= estimator.tol
    if type(estimator) in MULTI_TASK:
        assert model.intercept_.shape == (3,) and model.coef_.shape == (3, X.shape[1])
    elif is_regressor(estimator):
        assert type(model.intercept_) is float and model.coef_.shape == (X.shape[1],)
    else:
        n_outputs = 3 if estimator.loss == "multinomial" else 1
        assert model.intercept_.shape == (n_outputs,) and model.coef_.shape == (n_outputs, X.shape[1])


@every_engine_model
def test_too_few_iterations_warn_with_the_remedy(estimator):
    X, y = make_data(estimator)
    with pytest.warns(ConvergenceWarning, match=r"max_iter=1\) or tol.*above tol=1.0e-10") as record:
        model = clone(estimator).set_params(max_iter=1, tol=1e-10).fit(X, y)
    assert not model.converged_
    own = [w for w in record if type(estimator).__name__ in str(w.message)]
    assert len(own) == 1
    assert own[0].filename == __file__  # the line that called fit


@every_engine_model
def test_warm_start_gives_the_same_model_sooner(estimator):
    X, y = make_data(estimator)
    cold = clone(estimator).fit(X, y)
    warm = clone(estimator).set_params(warm_start=True).fit(X, y)
    again = warm.n_iter_
    warm.fit(X, y)
    assert warm.n_iter_ < again
    np.testing.assert_allclose(warm.coef_, cold.coef_, rtol=0, atol=1e-8)
    warm.set_params(alpha=2 * estimator.alpha).fit(X, y)
    fresh = clone(estimator).set_params(alpha=2 * estimator.alpha).fit(X, y)
    if getattr(estimator, "penalty", "l1") != "mcp":
        np.testing.assert_allclose(warm.coef_, fresh.coef_, rtol=0, atol=1e-7)


# ------------------------------------------------------------ weights of features, bounds, offsets
@pytest.mark.parametrize("estimator", convex, ids=label)
def test_unpenalised_features_are_certified_and_their_gradient_vanishes(estimator):
    X, y = make_data(estimator)
    weights = np.ones(X.shape[1])
    weights[[0, 5]] = 0.0
    model = adapted(estimator, penalty_weights=weights, positive=False, tol=1e-10).fit(X, y)
    assert np.all(model.coef_[..., [0, 5]] != 0)
    heavy = clone(model).set_params(alpha=1e4).fit(X, y)
    np.testing.assert_array_equal(heavy.coef_[..., weights > 0], 0.0)
    sub = clone(model).set_params(penalty_weights=None, alpha=0.0).fit(X[:, [0, 5]], y)
    np.testing.assert_allclose(heavy.coef_[..., [0, 5]], sub.coef_, rtol=1e-4, atol=1e-5)
    if getattr(estimator, "loss", "") != "multinomial":
        assert model.dual_gap_ <= 1e-10


@pytest.mark.parametrize("estimator", weighted, ids=label)
def test_infinite_weight_leaves_a_feature_out(estimator):
    X, y = make_data(estimator)
    weights = np.ones(X.shape[1])
    weights[0] = np.inf
    model = clone(estimator).set_params(penalty_weights=weights).fit(X, y)
    without = clone(estimator).fit(X[:, 1:], y)
    np.testing.assert_array_equal(model.coef_[..., 0], 0.0)
    np.testing.assert_allclose(model.coef_[..., 1:], without.coef_, rtol=0, atol=1e-8)


@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("estimator", [e for e in CONTRACTED if "upper" in e.get_params()], ids=label)
def test_bounds_hold_in_the_units_of_X(estimator, standardize):
    X, y = make_data(estimator)
    model = clone(estimator).set_params(standardize=standardize, positive=False, lower=-0.05, upper=0.1).fit(X, y)
    assert model.coef_.min() >= -0.05 - 1e-12 and model.coef_.max() <= 0.1 + 1e-12
    assert np.isclose(model.coef_.max(), 0.1) or np.isclose(model.coef_.min(), -0.05)


@pytest.mark.parametrize("cls", SQUARED)
def test_offset_shifts_the_target_of_squared_losses(cls):
    X, y = make_data(cls())
    offset = np.random.default_rng(1).standard_normal(y.shape)
    a = cls(alpha=0.05, tol=1e-12).fit(X, y, offset=offset)
    b = cls(alpha=0.05, tol=1e-12).fit(X, y - offset)
    np.testing.assert_allclose(a.coef_, b.coef_, rtol=0, atol=1e-8)
    np.testing.assert_allclose(a.predict(X, offset), b.predict(X) + offset, rtol=1e-8)


def test_exposure_of_poisson_is_rate_weighted_by_exposure():
    model = skreg.SparseRegressor(loss="poisson", alpha=0.02, tol=1e-12)
    X, y = make_data(model)
    exposure = np.random.default_rng(1).uniform(0.5, 3.0, len(y))
    counts = clone(model).set_params(alpha=0.02 * exposure.mean()).fit(X, y, offset=np.log(exposure))
    rates = clone(model).fit(X, y / exposure, sample_weight=exposure)
    np.testing.assert_allclose(counts.coef_, rates.coef_, rtol=0, atol=1e-7)
    np.testing.assert_allclose(counts.predict(X, np.log(exposure)), exposure * rates.predict(X), rtol=1e-6)


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_offset_of_a_classifier_adds_to_its_scores(n_outputs):
    model = skreg.SparseClassifier("logistic" if n_outputs == 1 else "multinomial", alpha=0.02)
    X, y = make_data(model)
    offset = np.random.default_rng(1).standard_normal(len(y) if n_outputs == 1 else (len(y), n_outputs))
    model.fit(X, y, offset=offset)
    np.testing.assert_allclose(model.decision_function(X, offset), model.decision_function(X) + offset)
    assert model.predict_proba(X, offset).shape == (len(y), max(n_outputs, 2))


# ------------------------------------------------------------ classes
def test_class_weight_is_sample_weight():
    X, y = make_data(skreg.SparseClassifier())
    names = np.array(["no", "yes"])[y]
    weight = np.where(y == 1, 3.0, 0.5)
    by_class = skreg.SparseClassifier(alpha=0.03, tol=1e-10, class_weight={"no": 0.5, "yes": 3.0}).fit(X, names)
    by_sample = skreg.SparseClassifier(alpha=0.03, tol=1e-10).fit(X, names, weight)
    np.testing.assert_allclose(by_class.coef_, by_sample.coef_, atol=1e-9)
    counts = np.bincount(y)
    balanced = skreg.SparseClassifier(alpha=0.03, tol=1e-10, class_weight="balanced").fit(X, y)
    by_count = skreg.SparseClassifier(alpha=0.03, tol=1e-10).fit(X, y, 1.0 / counts[y])
    np.testing.assert_allclose(balanced.coef_, by_count.coef_, atol=1e-9)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_classifier_agrees_with_saga(n_classes, fit_intercept):
    X, y = load_iris(return_X_y=True)
    X, y = (X - X.mean(axis=0)) / X.std(axis=0), y
    X, y = (X[y < n_classes][::3], y[y < n_classes][::3])
    alpha = 0.02
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        saga = LogisticRegression(
            C=1 / (alpha * len(y)),
            l1_ratio=1.0,
            solver="saga",
            tol=1e-9,
            max_iter=20_000,
            fit_intercept=fit_intercept,
            random_state=0,
        ).fit(X, y)
    model = skreg.SparseClassifier(alpha=alpha, tol=1e-10, fit_intercept=fit_intercept).fit(X, y)
    np.testing.assert_allclose(model.predict_proba(X), saga.predict_proba(X), atol=1e-5)
    np.testing.assert_allclose(model.coef_, saga.coef_, atol=1e-4)


@pytest.mark.parametrize("loss", ["logistic", "multinomial"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_probabilities(loss, n_classes):
    X, y = load_iris(return_X_y=True)
    X, y = X[y < n_classes], y[y < n_classes]
    model = skreg.SparseClassifier(loss, alpha=1e-3).fit(X, y)
    far = np.r_[X, 1e4 * X, -1e4 * X]
    proba, log_proba = model.predict_proba(far), model.predict_log_proba(far)
    assert proba.shape == (len(far), n_classes)
    np.testing.assert_allclose(proba.sum(axis=1), 1.0, rtol=1e-12)
    np.testing.assert_array_equal(model.classes_[proba.argmax(axis=1)], model.predict(far))
    assert np.isfinite(log_proba).all()
    np.testing.assert_allclose(
        log_proba[: len(X)], np.log(proba[: len(X)]), rtol=1e-9, atol=1e-15
    )  # log(1 - eps) rounds


def test_two_class_softmax_decides_as_its_probabilities_do():
    X, y = make_data(skreg.SparseClassifier())
    model = skreg.SparseClassifier("multinomial", alpha=0.02, tol=1e-10).fit(X, y)
    assert model.coef_.shape == (2, X.shape[1])
    np.testing.assert_array_equal(model.decision_function(X) > 0, model.predict_proba(X)[:, 1] > 0.5)


def test_squared_hinge_has_no_probabilities():
    assert not hasattr(skreg.SparseClassifier("squared_hinge"), "predict_proba")
    assert hasattr(skreg.SparseClassifier("logistic"), "predict_proba")


@pytest.mark.parametrize("y", [["a", "b", "c"], [True, False], [1.0, 2.0], [-1, 1]], ids=str)
def test_labels_of_any_type(y):
    X, _ = make_data(skreg.SparseClassifier(), n_samples=30)
    labels = np.resize(np.array(y), 30)
    model = skreg.SparseClassifier(alpha=1e-3).fit(X, labels)
    np.testing.assert_array_equal(model.classes_, np.unique(labels))
    assert set(model.predict(X)) <= set(labels)
    assert is_classifier(model)
