"""MultiTaskLasso and MultiTaskElasticNet against other solvers, in their limits, and as estimators."""

import pickle
import warnings

import array_api_strict
import cvxpy as cp
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import sklearn.linear_model
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

import skreg
from skreg import MultiTaskElasticNet, MultiTaskLasso
from skreg.model_selection import alpha_grid, regularization_path
from tests._callbacks import Recorder

TIGHT = dict(tol=1e-13)
BOTH = [MultiTaskLasso(alpha=0.1, **TIGHT), MultiTaskElasticNet(alpha=0.15, l1_ratio=0.7, **TIGHT)]
both = pytest.mark.parametrize("estimator", BOTH, ids=["lasso", "enet"])
containers = pytest.mark.parametrize("container", [np.asarray, sp.csc_array], ids=["dense", "sparse"])
shapes = pytest.mark.parametrize("shape", [(60, 12), (25, 70)], ids=["tall", "wide"])
intercepts = pytest.mark.parametrize("fit_intercept", [True, False], ids=["intercept", "origin"])

pytestmark = pytest.mark.filterwarnings("error")


def make_tasks(n_samples=60, n_features=12, n_tasks=4, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_samples, n_features)) * np.linspace(0.5, 2.0, n_features) + 0.3
    X[rng.random(X.shape) < 0.3] = 0.0
    Y = 1.0 + X[:, :4] @ rng.standard_normal((4, n_tasks)) + 0.5 * rng.standard_normal((n_samples, n_tasks))
    return X, Y, rng.uniform(0.1, 2.0, n_samples)


def selected(model):
    return np.flatnonzero(model.coef_.any(axis=0))


def assert_same_model(a, b, atol=1e-8):
    np.testing.assert_allclose(a.coef_, b.coef_, rtol=0, atol=atol)
    np.testing.assert_allclose(a.intercept_, b.intercept_, rtol=0, atol=atol)


def objective(model, X, Y, weight=None):
    """Mean loss plus penalty, written down anew."""
    weight = np.ones(len(Y)) if weight is None else weight
    ratio = getattr(model, "l1_ratio", 1.0)
    norms = np.linalg.norm(model.coef_, axis=0)
    loss = 0.5 * np.average(((Y - X @ model.coef_.T - model.intercept_) ** 2).sum(axis=1), weights=weight)
    return loss + model.alpha * (ratio * norms.sum() + 0.5 * (1 - ratio) * (norms**2).sum())


# ------------------------------------------------------------ other solvers
@both
@shapes
@containers
@intercepts
@pytest.mark.parametrize("weighted", [False, True])
def test_scikit_learn(estimator, shape, container, fit_intercept, weighted):
    X, Y, weight = make_tasks(*shape)
    weight = weight if weighted else None
    model = clone(estimator).set_params(fit_intercept=fit_intercept).fit(container(X), Y, weight)
    theirs = getattr(sklearn.linear_model, type(estimator).__name__)
    params = {k: v for k, v in model.get_params().items() if k in {"alpha", "l1_ratio", "fit_intercept"}}
    reference = theirs(**params, tol=1e-14, max_iter=100_000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # rounding may keep it from so small a gap
        reference.fit(X, Y, weight)
    assert_same_model(model, reference)
    assert 0 < len(selected(model)) < X.shape[1]
    assert model.coef_.shape == reference.coef_.shape and model.intercept_.shape == np.shape(model.coef_[:, 0])
    np.testing.assert_allclose(model.predict(container(X)), X @ model.coef_.T + model.intercept_, rtol=1e-10)


@both
@shapes
def test_cvxpy_with_weights_of_samples_and_features(estimator, shape):
    X, Y, weight = make_tasks(*shape)
    strength = np.linspace(0.0, 2.0, X.shape[1])  # the first feature is unpenalised
    W, b = cp.Variable((X.shape[1], Y.shape[1])), cp.Variable(Y.shape[1])
    ratio = getattr(estimator, "l1_ratio", 1.0)
    fit = cp.multiply(np.sqrt(weight / weight.sum())[:, None], Y - X @ W - np.ones((len(Y), 1)) @ b[None, :])
    l21 = strength @ cp.norm(W, 2, axis=1)
    squares = cp.sum(cp.multiply(strength[:, None], W**2))
    penalty = estimator.alpha * (ratio * l21 + 0.5 * (1 - ratio) * squares)
    best = cp.Problem(cp.Minimize(0.5 * cp.sum_squares(fit) + penalty)).solve(solver=cp.CLARABEL)
    model = clone(estimator).set_params(penalty_weights=strength).fit(X, Y, weight)
    norms = np.linalg.norm(model.coef_, axis=0)
    loss = 0.5 * np.average(((Y - X @ model.coef_.T - model.intercept_) ** 2).sum(axis=1), weights=weight)
    value = loss + estimator.alpha * strength @ (ratio * norms + 0.5 * (1 - ratio) * norms**2)
    np.testing.assert_allclose(value, best, rtol=1e-7)
    assert value <= best * (1 + 1e-9)
    np.testing.assert_allclose(model.coef_, W.value.T, atol=1e-3)


# ------------------------------------------------------------ limits
@shapes
@containers
@pytest.mark.parametrize("standardize", [False, True])
def test_one_task_is_the_lasso(shape, container, standardize):
    X, Y, weight = make_tasks(*shape)
    for tasks, single in ((MultiTaskLasso, skreg.Lasso), (MultiTaskElasticNet, skreg.ElasticNet)):
        model = tasks(alpha=0.1, standardize=standardize, **TIGHT).fit(container(X), Y[:, :1], weight)
        one = single(alpha=0.1, standardize=standardize, **TIGHT).fit(container(X), Y[:, 0], weight)
        assert model.coef_.shape == (1, X.shape[1]) and model.intercept_.shape == (1,)
        np.testing.assert_allclose(model.coef_[0], one.coef_, rtol=0, atol=1e-8)
        np.testing.assert_allclose(model.intercept_[0], one.intercept_, rtol=0, atol=1e-8)
        np.testing.assert_allclose(model.dual_gap_, one.dual_gap_, atol=1e-12)


def test_equal_tasks_are_one_task_with_a_weaker_penalty():
    X, Y, _ = make_tasks()
    model = MultiTaskLasso(alpha=0.2, **TIGHT).fit(X, np.repeat(Y[:, :1], 4, axis=1))
    one = skreg.Lasso(alpha=0.1, **TIGHT).fit(X, Y[:, 0])
    np.testing.assert_allclose(model.coef_, np.tile(one.coef_, (4, 1)), rtol=0, atol=1e-9)


def test_rotating_the_tasks_rotates_the_model():
    X, Y, _ = make_tasks()
    rotation = np.linalg.qr(np.random.default_rng(1).standard_normal((4, 4)))[0]
    model, rotated = clone(BOTH[0]).fit(X, Y), clone(BOTH[0]).fit(X, Y @ rotation)
    np.testing.assert_allclose(rotated.coef_, rotation.T @ model.coef_, rtol=0, atol=1e-9)


@containers
@intercepts
def test_ridge_and_least_squares(container, fit_intercept):
    X, Y, weight = make_tasks()
    model = MultiTaskElasticNet(alpha=0.5, l1_ratio=0.0, fit_intercept=fit_intercept, **TIGHT)
    ridge = Ridge(alpha=0.5 * weight.sum(), fit_intercept=fit_intercept, solver="svd" if fit_intercept else "auto")
    assert_same_model(model.fit(container(X), Y, weight), ridge.fit(X, Y, weight))
    plain = MultiTaskLasso(alpha=0.0, fit_intercept=fit_intercept, **TIGHT).fit(container(X), Y, weight)
    assert_same_model(plain, LinearRegression(fit_intercept=fit_intercept).fit(X, Y, weight))
    assert plain.dual_gap_ <= 1e-13


def test_least_squares_of_more_features_than_samples():
    X, Y, _ = make_tasks(20, 50)
    model = MultiTaskLasso(alpha=0.0).fit(X, Y)
    np.testing.assert_allclose(model.predict(X), Y, atol=1e-4)
    assert model.converged_


@both
@containers
@intercepts
@pytest.mark.parametrize("free", [[], [0, 5]], ids=["all penalised", "two free"])
def test_alpha_max_empties_the_model_and_a_little_less_does_not(estimator, container, fit_intercept, free):
    X, Y, weight = make_tasks()
    strength = np.ones(X.shape[1])
    strength[free] = 0.0
    estimator = clone(estimator).set_params(fit_intercept=fit_intercept, penalty_weights=strength)
    top = alpha_grid(estimator, container(X), Y, n_alphas=1, sample_weight=weight)[0]
    full = clone(estimator).set_params(alpha=top).fit(container(X), Y, weight)
    np.testing.assert_array_equal(selected(full), free)
    less = clone(estimator).set_params(alpha=0.999 * top).fit(container(X), Y, weight)
    assert len(selected(less)) > len(free)


# ------------------------------------------------------------ certificates
@both
@shapes
@containers
def test_gaps_of_1e_minus_12(estimator, shape, container):
    X, Y, weight = make_tasks(*shape)
    for fraction in (0.3, 0.03, 0.003):
        alpha = fraction * alpha_grid(estimator, X, Y, n_alphas=1, sample_weight=weight)[0]
        model = clone(estimator).set_params(alpha=alpha, tol=1e-12).fit(container(X), Y, weight)
        assert model.converged_ is True and type(model.dual_gap_) is float and model.dual_gap_ <= 1e-12
        assert type(model.n_iter_) is int and model.n_iter_ < 30
        assert model.kkt_violation_ <= 1e-6


@both
@shapes
def test_reported_gap_bounds_the_true_excess(estimator, shape):
    X, Y, weight = make_tasks(*shape)
    best = objective(clone(estimator).fit(X, Y, weight), X, Y, weight)
    null = objective(clone(estimator).set_params(alpha=1e6).fit(X, Y, weight), X, Y, weight)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        rough = [clone(estimator).set_params(max_iter=k, tol=0.0).fit(X, Y, weight) for k in (1, 2, 3, 4)]
    for model in rough:
        assert (objective(model, X, Y, weight) - best) / null <= model.dual_gap_ + 1e-12
    assert rough[0].dual_gap_ > 1e-3


@both
def test_too_few_iterations_warn_with_the_remedy(estimator):
    X, Y, _ = make_tasks()
    with pytest.warns(ConvergenceWarning, match=r"max_iter=1\) or tol.*above tol=1.0e-10") as record:
        model = clone(estimator).set_params(max_iter=1, tol=1e-10).fit(X, Y)
    assert not model.converged_
    assert [w.filename for w in record] == [__file__]


# ------------------------------------------------------------ data and weights
@both
@containers
@pytest.mark.parametrize("standardize", [False, True])
def test_integer_weights_are_copies_and_weight_zero_is_no_row(estimator, container, standardize):
    X, Y, _ = make_tasks()
    counts = np.random.default_rng(1).integers(0, 4, len(Y))
    rows = np.repeat(np.arange(len(Y)), counts)
    Y[counts == 0] = 1e5
    estimator = clone(estimator).set_params(standardize=standardize)
    weighted = clone(estimator).fit(container(X), Y, counts)
    assert_same_model(weighted, clone(estimator).fit(container(X[rows]), Y[rows]))
    assert_same_model(weighted, clone(estimator).fit(container(X), Y, 1e200 * counts))


CONTAINERS = [np.asfortranarray, sp.csc_array, sp.csr_array, sp.csr_matrix, sp.coo_array, lambda X: X[::-1][::-1]]


@both
@shapes
@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("standardize", [False, True])
def test_container_of_X_does_not_matter(estimator, shape, container, standardize):
    X, Y, weight = make_tasks(*shape)
    estimator = clone(estimator).set_params(standardize=standardize)
    assert_same_model(clone(estimator).fit(X, Y, weight), clone(estimator).fit(container(X), Y, weight))


@both
def test_standardize_is_a_scaler(estimator):
    X, Y, weight = make_tasks()
    X = np.c_[X, np.ones(len(X))]
    scaler = StandardScaler().fit(X, sample_weight=weight)
    own = clone(estimator).set_params(standardize=True).fit(X, Y, weight)
    other = clone(estimator).fit(scaler.transform(X), Y, weight)
    np.testing.assert_allclose(own.coef_, other.coef_ / scaler.scale_, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(own.coef_[:, -1], 0.0)


@both
def test_weights_of_features(estimator):
    X, Y, _ = make_tasks()
    frame = pd.DataFrame(X, columns=[f"x{j}" for j in range(X.shape[1])])
    model = clone(estimator).set_params(penalty_weights={"x0": 0.0, "x1": np.inf, "x7": 0.0}).fit(frame, Y)
    np.testing.assert_array_equal(model.coef_[:, 1], 0.0)
    residuals = Y - model.predict(frame)
    np.testing.assert_allclose((X - X.mean(axis=0))[:, [0, 7]].T @ residuals / len(X), 0.0, atol=1e-12)
    assert np.all(model.coef_[:, [0, 7]] != 0)
    strength = np.full(X.shape[1], 2.0)
    doubled = clone(estimator).set_params(penalty_weights=strength).fit(X, Y)
    assert_same_model(doubled, clone(estimator).set_params(alpha=2 * estimator.alpha).fit(X, Y))


# ------------------------------------------------------------ life as an estimator
@both
@containers
def test_warm_start_gives_the_same_model_sooner(estimator, container):
    X, Y, _ = make_tasks()
    X = container(X)
    warm = clone(estimator).set_params(warm_start=True).fit(X, Y)
    first = warm.n_iter_
    assert warm.fit(X, Y).n_iter_ < first
    warm.set_params(alpha=1.01 * estimator.alpha).fit(X, Y)
    assert_same_model(warm, clone(estimator).set_params(alpha=1.01 * estimator.alpha).fit(X, Y))
    warm.set_params(penalty_weights=np.where(np.arange(X.shape[1]) == selected(warm)[0], np.inf, 1.0)).fit(X, Y)
    assert_same_model(warm, clone(warm).fit(X, Y))
    warm.set_params(penalty_weights=None).fit(X, Y[:, :2])  # another shape: a cold start
    assert_same_model(warm, clone(warm).fit(X, Y[:, :2]))


@both
@containers
def test_a_path_is_the_fits_of_its_alphas(estimator, container):
    X, Y, weight = make_tasks()
    path = regularization_path(clone(estimator), container(X), Y, alphas=12, eps=0.05, sample_weight=weight)
    assert path.converged.all() and path.df[0] == 0 and path.df[-1] > 0
    assert path.coefs.shape == (12, *clone(estimator).fit(X, Y).coef_.shape)
    assert path.predict(X).shape == (12, *Y.shape)
    for model in path.models():
        assert_same_model(model, clone(model).fit(container(X), Y, weight))


BAD = [
    (dict(y=np.ones(60)), "y must have one column a task, .* For one task, use (Lasso|ElasticNet)"),
    (dict(y=np.full((60, 2), np.nan)), "Input y contains NaN"),
    (dict(y=np.ones((59, 2))), "inconsistent numbers of samples"),
    (dict(sample_weight=np.zeros(60)), "sample_weight is all zero"),
    (dict(sample_weight=-np.ones(60)), "sample_weight must be non-negative"),
]


@both
@pytest.mark.parametrize(("change", "text"), BAD, ids=lambda v: "" if isinstance(v, str) else next(iter(v)))
def test_bad_input(estimator, change, text):
    X, Y, _ = make_tasks()
    fresh = clone(estimator)
    with pytest.raises(ValueError, match=text):
        fresh.fit(**{**dict(X=X, y=Y), **change})
    assert not [name for name in vars(fresh) if name.endswith("_")]
    with pytest.raises(TypeError, match="y must be dense"):
        fresh.fit(X, sp.csr_array(Y))
    with pytest.raises(ValueError, match="penalty_weights must be non-negative"):
        fresh.set_params(penalty_weights=-np.ones(X.shape[1])).fit(X, Y)
    with pytest.raises(ValueError, match=r"offset must have shape \(60, 4\)"):
        fresh.fit(X, Y, offset=np.zeros(len(Y)))


@both
@pytest.mark.parametrize("n_tasks", [1, 4])
def test_offset_is_the_known_part_of_the_prediction(estimator, n_tasks):
    X, Y, weight = make_tasks(n_tasks=n_tasks)
    offset = np.random.default_rng(1).standard_normal(Y.shape)
    shifted = clone(estimator).fit(X, Y - offset, weight)
    given = offset if n_tasks > 1 else offset[:, 0]
    model = clone(estimator).fit(X, Y, weight, given)
    assert_same_model(model, shifted)
    np.testing.assert_allclose(model.predict(X, given), shifted.predict(X) + offset)
    path = regularization_path(estimator, X, Y, alphas=[estimator.alpha], sample_weight=weight, offset=given)
    np.testing.assert_allclose(path.coefs[0], model.coef_, atol=1e-8)


@both
def test_other_namespaces_are_refused_in_one_sentence(estimator):
    X, Y, _ = make_tasks()
    with (
        config_context(array_api_dispatch=True),
        pytest.raises(TypeError, match="takes NumPy and SciPy data; got X of array_api_strict"),
    ):
        clone(estimator).fit(array_api_strict.asarray(X), array_api_strict.asarray(Y))


@both
def test_within_scikit_learn(estimator):
    X, Y, weight = make_tasks()
    pipe = Pipeline([("scale", StandardScaler()), ("model", clone(estimator))])
    search = GridSearchCV(pipe, {"model__alpha": [1e-3, 10.0]}).fit(X, Y)
    assert search.best_params_ == {"model__alpha": 1e-3} and search.score(X, Y) > 0.7
    seen = Recorder()
    model = clone(estimator).set_callbacks(seen).fit(X, Y, weight)
    assert [call.hook for call in seen.calls] == ["setup", "begin", "end", "teardown"]
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(clone(estimator).fit(X, Y, weight))).coef_, model.coef_)
    np.testing.assert_array_equal(model.sparse_coef_.toarray(), model.coef_)
