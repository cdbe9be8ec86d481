"""SLOPE, fused and exclusive Lasso: against a general-purpose optimiser, in their limits, and their contracts."""

import warnings

import cvxpy as cp
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV

from skreg import ExclusiveLasso, FusedLasso, Lasso, SlopeRegressor
from skreg._design import as_design
from skreg._problem import Data, Problem
from skreg.losses import Huber, Logistic
from skreg.model_selection import alpha_grid, regularization_path
from skreg.penalties import Exclusive, Fused, Slope
from skreg.solvers import ProximalGradient, SemismoothNewton

P = 14
EDGES = np.array([[0, 3], [3, 7], [7, 0], [1, 2], [2, 9], [4, 5], [5, 6], [6, 8], [8, 4], [10, 1]])
MODELS = [
    SlopeRegressor(alpha=0.1),
    SlopeRegressor(alpha=0.05, lambdas="oscar", q=0.2),
    FusedLasso(alpha=0.1),
    FusedLasso(alpha=0.1, l1_ratio=0.4),
    FusedLasso(alpha=0.05, edges=EDGES),
    FusedLasso(alpha=0.1, edges=EDGES, l1_ratio=0.5),
    ExclusiveLasso(groups=2, alpha=0.2),
    ExclusiveLasso(groups=[k % 4 for k in range(P)], alpha=0.5),
]
LOSSES = ["squared", Huber(delta=0.7), "poisson"]
every_model = pytest.mark.parametrize("model", MODELS, ids=lambda m: type(m).__name__)


def make(loss="squared", n=60, p=P, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) * np.linspace(0.5, 1.5, p)
    X[rng.random(X.shape) < 0.3] = 0.0
    w = np.repeat([0.5, -0.3, 0.0], [3, 3, p - 6])
    eta = 0.2 + X @ w
    y = rng.poisson(np.exp(0.7 * eta)) if loss == "poisson" else eta + 0.4 * rng.standard_normal(n)
    return X, y.astype(float), rng.uniform(0.2, 2.0, n)


def loss_expression(loss, y, eta, weight):
    if loss == "squared":
        terms = cp.square(y - eta) / 2
    elif loss == "poisson":
        terms = cp.exp(eta) - cp.multiply(y, eta)
    else:
        terms = cp.huber(y - eta, loss.delta) / 2
    return weight / weight.sum() @ terms


def penalty_expression(model, w, p):
    if isinstance(model, SlopeRegressor):
        lambdas = Slope(model.lambdas, model.q).bind(1.0, np.ones(p), None, None, None).lambdas
        drops = lambdas - np.append(lambdas[1:], 0.0)
        return sum(drops[k] * cp.sum_largest(cp.abs(w), k + 1) for k in range(p) if drops[k] > 0)
    if isinstance(model, FusedLasso):
        pairs = np.c_[: p - 1, 1:p] if isinstance(model.edges, str) else model.edges
        return (1 - model.l1_ratio) * cp.norm1(w[pairs[:, 0]] - w[pairs[:, 1]]) + model.l1_ratio * cp.norm1(w)
    labels = np.arange(p) // model.groups if isinstance(model.groups, int) else np.array(model.groups)
    return sum(cp.square(cp.norm1(w[np.flatnonzero(labels == g)])) for g in np.unique(labels)) / 2


@pytest.mark.parametrize("loss", LOSSES, ids=["squared", "huber", "poisson"])
@pytest.mark.parametrize("n", [60, 10])
@every_model
def test_optimum_of_a_general_optimiser(model, loss, n):
    X, y, weight = make(loss, n)
    model = clone(model).set_params(loss=loss, tol=1e-12)
    offset = 0.1 * X[:, 0]
    model.fit(X, y, weight, offset)
    assert model.converged_

    def objective(w, b):
        return loss_expression(loss, y, X @ w + b + offset, weight) + model.alpha * penalty_expression(model, w, P)

    w, b = cp.Variable(P), cp.Variable()
    problem = cp.Problem(cp.Minimize(objective(w, b)))
    problem.solve(solver="CLARABEL", tol_gap_abs=1e-12, tol_gap_rel=1e-12, tol_feas=1e-12)
    own = float(objective(cp.Constant(model.coef_), model.intercept_).value)
    assert own <= problem.value + 1e-8 * abs(problem.value)
    assert own >= problem.value - 1e-6 * abs(problem.value)  # else these were not the same objectives


@pytest.mark.parametrize(
    "penalty", [Slope("oscar", 0.1), Fused(l1_ratio=0.3), Fused(EDGES), Exclusive(np.arange(P) // 3)]
)
@pytest.mark.parametrize("solver", [SemismoothNewton(tol=1e-10), ProximalGradient(tol=1e-8, max_iter=50_000)], ids=repr)
def test_logistic_loss_and_both_solvers(penalty, solver):
    X, y, weight = make()
    data = Data(as_design(X), (y > 0).astype(float), weight / weight.sum(), Logistic())
    inf = np.full(P, np.inf)
    problem = Problem(data, penalty, penalty.bind(0.01, np.ones(P), -inf, inf, None))
    reference = SemismoothNewton(tol=1e-14).solve(problem)
    solution = solver.solve(problem)
    assert solution.converged
    assert reference.kkt_violation < 1e-12
    assert solution.objective == pytest.approx(reference.objective, rel=1e-8)


@every_model
@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("kind", [sp.csr_array, sp.csc_matrix, "int64"])
def test_sparse_data_give_the_dense_model(model, standardize, kind):
    X, y, weight = make()
    model = clone(model).set_params(standardize=standardize, tol=1e-12)
    dense = clone(model).fit(X, y, weight)
    S = sp.csc_array(X) if kind == "int64" else kind(X)
    if kind == "int64":
        S.indices, S.indptr = S.indices.astype(np.int64), S.indptr.astype(np.int64)
    sparse = clone(model).fit(S, y, weight)
    np.testing.assert_allclose(sparse.coef_, dense.coef_, atol=1e-9)
    np.testing.assert_allclose(sparse.intercept_, dense.intercept_, atol=1e-9)
    np.testing.assert_allclose(sparse.predict(S), dense.predict(X), atol=1e-8)


def test_sparse_data_wider_than_long_are_not_made_dense(monkeypatch):
    rng = np.random.default_rng(0)
    X = sp.random_array((80, 3000), density=0.01, rng=rng, format="csc")
    y = X[:, :20].sum(axis=1) + 0.1 * rng.standard_normal(80)
    make_dense = type(X).toarray

    def toarray(self, *arguments, **options):
        assert max(self.shape) < 3000
        return make_dense(self, *arguments, **options)

    monkeypatch.setattr(type(X), "toarray", toarray)
    model = SlopeRegressor(alpha=0.002, tol=1e-10).fit(X, y)
    assert model.dual_gap_ <= 1e-10
    assert 0 < np.count_nonzero(model.coef_) < 1000


@every_model
def test_weights_are_copies_and_scale_does_not_matter(model):
    X, y, _ = make()
    counts = np.random.default_rng(1).integers(0, 4, len(y))
    model = clone(model).set_params(tol=1e-12)
    weighted = clone(model).fit(X, y, counts)
    repeated = clone(model).fit(np.repeat(X, counts, axis=0), np.repeat(y, counts))
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, atol=1e-9)
    for scale in (1e-6, 1e6):
        alpha = model.alpha if isinstance(model, ExclusiveLasso) else scale * model.alpha
        scaled = clone(model).set_params(alpha=alpha).fit(X, scale * y, counts)
        np.testing.assert_allclose(scaled.coef_ / scale, weighted.coef_, atol=1e-9)


@every_model
def test_machine_precision_on_request(model):
    X, y, weight = make()
    fitted = clone(model).set_params(tol=1e-14).fit(X, y, weight)
    assert fitted.converged_ and fitted.dual_gap_ <= 1e-14
    assert fitted.kkt_violation_ <= 1e-13


def test_slope_with_equal_lambdas_is_the_lasso():
    X, y, weight = make()
    lasso = Lasso(alpha=0.1, tol=1e-12).fit(X, y, weight)
    slope = SlopeRegressor(alpha=0.1, lambdas=np.ones(P), tol=1e-12).fit(X, y, weight)
    np.testing.assert_allclose(slope.coef_, lasso.coef_, atol=1e-10)
    fused = FusedLasso(alpha=0.1, l1_ratio=1.0, tol=1e-12).fit(X, y, weight)
    np.testing.assert_allclose(fused.coef_, lasso.coef_, atol=1e-10)


def test_slope_makes_clusters_of_correlated_features():
    rng = np.random.default_rng(0)
    z = rng.standard_normal((200, 2))
    X = np.repeat(z, 3, axis=1) + 0.05 * rng.standard_normal((200, 6))
    y = 3 * z[:, 0] - 2 * z[:, 1] + 0.1 * rng.standard_normal(200)
    coef = SlopeRegressor(alpha=0.05, lambdas="oscar", q=0.3, tol=1e-10).fit(X, y).coef_
    assert np.ptp(coef[:3]) == 0.0 < coef[0]
    assert np.ptp(coef[3:]) == 0.0 > coef[3]


def test_fused_lasso_on_an_identity_design_is_total_variation_denoising():
    rng = np.random.default_rng(0)
    y = np.repeat([0.0, 2.0, -1.0], 30) + 0.3 * rng.standard_normal(90)
    model = FusedLasso(alpha=0.5 / 90, fit_intercept=False, tol=1e-12).fit(np.eye(90), y)
    inf = np.full(90, np.inf)
    denoised = Fused().prox(y, 1.0, Fused().bind(0.5, np.ones(90), -inf, inf, None))
    np.testing.assert_allclose(model.coef_, denoised, atol=1e-10)
    assert set(np.flatnonzero(np.diff(model.coef_))) >= {29, 59}


def test_exclusive_lasso_of_single_features_is_ridge():
    X, y, _ = make()
    model = ExclusiveLasso(alpha=0.3, tol=1e-14).fit(X, y)
    C = X - X.mean(axis=0)
    ridge = np.linalg.solve(C.T @ C / len(y) + 0.3 * np.eye(P), C.T @ (y - y.mean()) / len(y))
    np.testing.assert_allclose(model.coef_, ridge, atol=1e-10)


def test_exclusive_lasso_selects_within_every_group():
    X, y, _ = make(n=300)
    model = ExclusiveLasso(groups=7, alpha=1.0, tol=1e-10).fit(X, y)
    chosen = (model.coef_ != 0).reshape(2, 7).sum(axis=1)
    assert (chosen >= 1).all() and (chosen < 7).all()
    assert model.groups_.tolist() == ["group0", "group1"]
    assert model.group_columns_[1].tolist() == list(range(7, 14))


@pytest.mark.parametrize("loss", LOSSES, ids=["squared", "huber", "poisson"])
@pytest.mark.parametrize("model", MODELS[:6], ids=lambda m: type(m).__name__)
def test_alpha_max_empties_and_less_does_not(model, loss):
    X, y, weight = make(loss)
    model = clone(model).set_params(loss=loss, tol=1e-10)
    top = alpha_grid(model, X, y, sample_weight=weight)[0]
    at, below = (clone(model).set_params(alpha=a).fit(X, y, weight).coef_ for a in (top, 0.999 * top))
    if getattr(model, "l1_ratio", 1) > 0:
        assert not at.any() and below.any()
    else:
        parts = [range(P)] if isinstance(model.edges, str) else [[0, 3, 7], [1, 2, 9, 10], [4, 5, 6, 8]]
        spread = [max(np.ptp(coef[list(part)]) for part in parts) for coef in (at, below)]
        assert spread[0] <= 1e-9 < 1e-5 < spread[1]


@every_model
def test_path_and_warm_start_are_cold_fits(model):
    X, y, weight = make()
    model = clone(model).set_params(tol=1e-12)
    path = regularization_path(model, X, y, alphas=5, eps=0.01, sample_weight=weight)
    assert path.converged.all()
    warm = clone(model).set_params(warm_start=True)
    for alpha, coef in zip(path.alphas, path.coefs):
        np.testing.assert_allclose(clone(model).set_params(alpha=alpha).fit(X, y, weight).coef_, coef, atol=1e-8)
        np.testing.assert_allclose(warm.set_params(alpha=alpha).fit(X, y, weight).coef_, coef, atol=1e-8)
    assert warm.set_params(max_iter=1).fit(X, y, weight).converged_


@every_model
def test_alpha_of_zero_is_least_squares(model):
    X, y, _ = make()
    fitted = clone(model).set_params(alpha=0.0, tol=1e-12).fit(X, y)
    expected = np.linalg.lstsq(np.c_[X, np.ones(len(y))], y)[0]
    np.testing.assert_allclose(np.append(fitted.coef_, fitted.intercept_), expected, atol=1e-7)


@every_model
def test_reported_gap_bounds_the_true_excess(model):
    X, y, _ = make()
    best = clone(model).set_params(tol=1e-13).fit(X, y)

    def objective(fitted):
        value = loss_expression("squared", y, cp.Constant(X @ fitted.coef_ + fitted.intercept_), np.ones(len(y)))
        return float((value + model.alpha * penalty_expression(model, cp.Constant(fitted.coef_), P)).value)

    rough = [clone(model).set_params(tol=tol) for tol in (0.3, 1e-2, 1e-3, 1e-4)]
    rough += [clone(model).set_params(max_iter=k, tol=0.0) for k in (1, 2, 3)]
    for fitted in rough:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            fitted.fit(X, y)
        assert (objective(fitted) - objective(best)) / (0.5 * y.var()) <= fitted.dual_gap_ + 1e-12
    assert max(fitted.dual_gap_ for fitted in rough) > 1e-5


@every_model
def test_too_few_steps_warn_with_the_remedy(model):
    X, y, _ = make("poisson", n=30)
    model = clone(model).set_params(loss="poisson", alpha=1e-3, max_iter=1, tol=1e-12)
    with pytest.warns(ConvergenceWarning, match=r"max_iter=1\) or tol: .* relative duality gap .*above tol=1.0e-12"):
        model.fit(X, y)
    assert not model.converged_ and model.n_iter_ == 1


def test_relabelled_graph_gives_the_relabelled_model():
    X, y, _ = make()
    order = np.random.default_rng(3).permutation(P)
    one = FusedLasso(0.1, edges=EDGES, tol=1e-12).fit(X, y)
    other = FusedLasso(0.1, edges=np.argsort(order)[EDGES], tol=1e-12).fit(X[:, order], y)
    np.testing.assert_allclose(other.coef_, one.coef_[order], atol=1e-9)


def test_columns_by_name_and_searches():
    X, y, _ = make()
    frame = pd.DataFrame(X, columns=[f"f{j}" for j in range(P)])
    by_name, by_index = FusedLasso(edges=[["f3", "f0"], ["f3", "f7"]]), FusedLasso(edges=[[3, 0], [3, 7]])
    np.testing.assert_allclose(by_name.fit(frame, y).coef_, by_index.fit(X, y).coef_, atol=1e-12)
    with pytest.raises(ValueError, match="edges names the column 'g1' in row 1, which X does not have"):
        FusedLasso(edges=[["f3", "f0"], ["f3", "g1"]]).fit(frame, y)
    model = ExclusiveLasso({"a": ["f0", "f3"], "b": ["f1", "f5", "f6"]}, alpha=0.5, tol=1e-10).fit(frame, y)
    assert model.groups_[:2].tolist() == ["a", "b"]
    search = GridSearchCV(SlopeRegressor(), {"alpha": [0.01, 10.0], "lambdas": ["bh", "oscar"]}, cv=3).fit(X, y)
    assert search.best_params_["alpha"] == 0.01


WRONG = [
    (SlopeRegressor(lambdas="holm"), "'lambdas' parameter"),
    (SlopeRegressor(lambdas=[1.0]), r"lambdas must have one entry a feature, shape \(14,\); got shape \(1,\)"),
    (SlopeRegressor(q=2.0), r"q must be in \(0, 1\]"),
    (SlopeRegressor(q=-1.0), "'q' parameter"),
    (SlopeRegressor(alpha=-1.0), "'alpha' parameter"),
    (SlopeRegressor(loss="logistic"), "'loss' parameter"),
    (SlopeRegressor(loss=Logistic()), "is for classes"),
    (FusedLasso(edges="ring"), "'edges' parameter"),
    (FusedLasso(edges=[[0, 14]]), "edges names the column 14 in row 0, but X has 14 columns"),
    (FusedLasso(edges=[["a", "b"]]), "edges names the column 'a' in row 0, but X has no column names"),
    (FusedLasso(edges=[[0, 1], [2]]), "got an irregular list"),
    (FusedLasso(edges=[[1, 1]]), "edges must join different columns"),
    (FusedLasso(l1_ratio=1.1), "'l1_ratio' parameter"),
    (ExclusiveLasso(groups=3), "groups=3 makes groups of 3 columns each, but X has 14 columns"),
    (ExclusiveLasso(groups=[[0, 1], [1, 2]]), "groups of ExclusiveLasso must not overlap; the column 1 is in 2 groups"),
    (ExclusiveLasso(groups="auto"), "groups='auto' reads the names of the columns"),
]


@pytest.mark.parametrize(("model", "text"), WRONG, ids=lambda v: "" if isinstance(v, str) else type(v).__name__)
def test_wrong_arguments(model, text):
    X, y, _ = make()
    with pytest.raises(ValueError, match=text):
        model.fit(X, y)
    assert not [name for name in vars(model) if name.endswith("_")]
