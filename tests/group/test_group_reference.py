"""Group models against an interior-point solver, and against what they become in their limits."""

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse as sp
from sklearn.base import clone

from skreg import GroupLasso, GroupLassoClassifier, Lasso, SparseClassifier, SparseGroupLasso, SparseRegressor
from skreg.losses import Tweedie
from tests.group._group_data import (
    CLASSES,
    REGRESSION,
    alpha_top,
    draw,
    losses,
    model_for,
    objective,
    reference,
    spread,
    uneven,
)

CONVEX = ["group_lasso", "group_elastic_net", "sparse_group"]
CONTAINERS = {"F": np.asfortranarray, "C": np.ascontiguousarray, "csc": sp.csc_array, "csr": sp.csr_matrix}


def fitted(loss, kind, container, share, *, p=16, n=60, **params):
    """A certified fit at a share of alpha_max with group "2" unpenalised, and its least objective by cvxpy."""
    X, y, weight = draw(loss, n=n, p=p)
    labels = uneven(p)
    model = model_for(loss, kind, groups=labels, group_weights={"2": 0.0}, tol=1e-10, **params)
    model.set_params(alpha=share * alpha_top(model, X, y, weight)).fit(container(X), y, weight)
    names = list(dict.fromkeys(map(str, labels)))
    columns = [np.flatnonzero(labels == int(name)) for name in names]
    assert model.converged_ and model.groups_.tolist() == names
    return objective(model, X, y, weight), reference(model, X, y, weight, columns, names), model


@pytest.mark.parametrize("container", CONTAINERS.values(), ids=CONTAINERS)
@pytest.mark.parametrize("standardize", [False, True], ids=["plain", "standardized"])
@pytest.mark.parametrize("kind", CONVEX)
@pytest.mark.parametrize("loss", REGRESSION + CLASSES)
def test_cvxpy_finds_nothing_better(loss, kind, standardize, container):
    share = 0.3 if loss == "multinomial" else 0.15
    own, least, model = fitted(loss, kind, container, share, standardize=standardize)
    assert own == pytest.approx(least, rel=1e-7)
    assert 0 < np.count_nonzero(model.group_norms_) < len(model.groups_)
    assert model.group_norms_[model.groups_.tolist().index("2")] > 0


@pytest.mark.parametrize("kind", CONVEX)
@pytest.mark.parametrize("loss", ["squared", "logistic", "poisson"])
def test_cvxpy_finds_nothing_better_without_intercept(loss, kind):
    own, least, _ = fitted(loss, kind, np.asarray, 0.1, fit_intercept=False)
    assert own == pytest.approx(least, rel=1e-7)


@pytest.mark.parametrize("container", [np.asfortranarray, np.ascontiguousarray, sp.csc_array], ids=["F", "C", "csc"])
@pytest.mark.parametrize("kind", CONVEX)
@pytest.mark.parametrize("loss", REGRESSION + CLASSES)
def test_cvxpy_finds_nothing_better_on_wide_data(loss, kind, container):
    """More than 256 coordinates, more than samples: the sweeps over columns."""
    own, least, _ = fitted(loss, kind, container, 0.3, n=50, p=280)
    assert own == pytest.approx(least, rel=1e-7)


@pytest.mark.parametrize("kind", ["group_lasso", "sparse_group"])
def test_cvxpy_finds_nothing_better_where_each_class_has_its_own_groups(kind):
    own, least, model = fitted("multinomial", kind, np.asarray, 0.2, multinomial="ungrouped")
    assert own == pytest.approx(least, rel=1e-7)
    norms = [np.linalg.norm(model.coef_[:, columns], axis=1) for columns in model.group_columns_]
    assert any((size == 0).any() and (size > 0).any() for size in norms)
    if kind == "group_lasso":
        joint = clone(model).set_params(multinomial="grouped").fit(*draw("multinomial"))
        for columns in joint.group_columns_:
            size = np.linalg.norm(joint.coef_[:, columns], axis=1)
            assert (size == 0).all() or (size > 0).all()


OVERLAPPING = [[0, 1, 2], [2, 3], [3, 4, 5, 6], [8, 1], [9], [10, 11, 12], [12, 13, 0], [7, 14, 15]]


@pytest.mark.parametrize("container", [np.asfortranarray, np.ascontiguousarray, sp.csc_array], ids=["F", "C", "csc"])
@pytest.mark.parametrize("kind", CONVEX)
@pytest.mark.parametrize("loss", REGRESSION + CLASSES)
def test_cvxpy_finds_no_better_latent_coefficients(loss, kind, container):
    X, y, weight = draw(loss)
    model = model_for(loss, kind, groups=OVERLAPPING, tol=1e-10)
    model.set_params(alpha=0.15 * alpha_top(model, X, y, weight)).fit(container(X), y, weight)
    # the latent coefficients are not reported: their groups' norms are, and of the group Lasso those make the penalty
    names = [f"group{g}" for g in range(len(OVERLAPPING))]
    names[4] = "x9"
    least = reference(model, X, y, weight, [np.array(sorted(g)) for g in OVERLAPPING], names)
    first = np.argsort([min(g) for g in OVERLAPPING], kind="stable")
    assert [c.tolist() for c in model.group_columns_] == [sorted(OVERLAPPING[g]) for g in first]
    plain = objective(clone(model).set_params(alpha=0.0).fit(X, y, weight), X, y, weight)
    assert plain < least
    if kind == "group_lasso":
        v = np.sqrt([len(c) for c in model.group_columns_])
        own = unpenalised(model, X, y, weight) + model.alpha * v @ model.group_norms_
        assert own == pytest.approx(least, rel=1e-7)
    assert certified(model, X, y, weight, least)


def unpenalised(model, X, y, weight):
    """Weighted mean loss at the fitted coefficients."""
    from tests.group._group_data import encoded

    eta = X @ np.atleast_2d(model.coef_).T + np.ravel(model.intercept_)
    eta = eta if model.loss == "multinomial" else eta[:, 0]
    return float(weight @ losses(model.loss, encoded(model, y), eta, np)) / weight.sum()


def certified(model, X, y, weight, least):
    """Whether the least penalty of the fitted coefficients over latent copies makes the least objective."""
    import cvxpy as cp

    from tests.group._group_data import norms, weights_of

    W = np.atleast_2d(model.coef_).T
    columns = model.group_columns_
    own = [np.arange(sum(map(len, columns[:g])), sum(map(len, columns[: g + 1]))) for g in range(len(columns))]
    V = cp.Variable((sum(map(len, columns)), W.shape[1]))
    gather = np.zeros((len(W), V.shape[0]))
    gather[np.concatenate(columns), np.arange(V.shape[0])] = 1.0
    total = norms(model, V, own, weights_of(model, columns, model.groups_), cp)
    problem = cp.Problem(cp.Minimize(total), [gather @ V == W])
    problem.solve(solver=cp.CLARABEL, tol_gap_abs=1e-11, tol_gap_rel=1e-11, tol_feas=1e-11)
    return unpenalised(model, X, y, weight) + model.alpha * problem.value == pytest.approx(least, rel=1e-7)


# ------------------------------------------------------------ limits and known solutions
def assert_same(a, b, atol=1e-8):
    np.testing.assert_allclose(a.coef_, b.coef_, rtol=0, atol=atol)
    np.testing.assert_allclose(a.intercept_, b.intercept_, rtol=0, atol=atol)


@pytest.mark.parametrize("shape", [(60, 16), (50, 300)], ids=["tall", "wide"])
@pytest.mark.parametrize("container", [np.asfortranarray, sp.csc_array], ids=["dense", "sparse"])
@pytest.mark.parametrize("loss", [*REGRESSION, "tweedie", "logistic", "squared_hinge"])
def test_singletons_are_the_lasso(loss, container, shape):
    X, y, weight = draw("poisson" if loss == "tweedie" else loss, *shape)
    regression = loss not in CLASSES
    model = model_for(Tweedie() if loss == "tweedie" else loss, tol=1e-13, standardize=True)
    alpha = 0.3 * alpha_top(model, X, y, weight)
    lasso = (SparseRegressor if regression else SparseClassifier)(loss=loss, alpha=alpha, tol=1e-13, standardize=True)
    model = model.set_params(alpha=alpha).fit(container(X), y, weight)
    assert_same(model, lasso.fit(container(X), y, weight))
    assert 0 < np.count_nonzero(model.coef_) < shape[1]
    sparse = model_for(loss, "sparse_group", alpha=alpha, l1_ratio=0.3, tol=1e-13, standardize=True)
    assert_same(sparse.fit(container(X), y, weight), lasso)
    np.testing.assert_array_equal(model.group_norms_ > 0, model.coef_.ravel() != 0)


@pytest.mark.parametrize("penalty", ["mcp", "scad"])
def test_singletons_of_group_mcp_are_mcp(penalty):
    X, y, weight = draw("squared")
    model = model_for("squared", f"group_{penalty}", tol=1e-13, gamma=5.0, standardize=True)
    model.set_params(alpha=0.1 * alpha_top(model, X, y, weight)).fit(X, y, weight)
    single = SparseRegressor(penalty=penalty, gamma=5.0, alpha=model.alpha, tol=1e-13, standardize=True)
    assert_same(model, single.fit(X, y, weight), atol=1e-7)


@pytest.mark.parametrize("shape", [(60, 16), (50, 300)], ids=["tall", "wide"])
@pytest.mark.parametrize("loss", [*REGRESSION, *CLASSES])
def test_sparse_group_lasso_ends_at_the_group_lasso_and_at_the_lasso(loss, shape):
    X, y, weight = draw(loss, *shape)
    labels = uneven(shape[1])
    params = dict(groups=labels, tol=1e-13)
    if loss == "multinomial":
        params["multinomial"] = "ungrouped"
    alpha = 0.3 * alpha_top(model_for(loss, **params), X, y, weight)
    group = model_for(loss, alpha=alpha, **params).fit(X, y, weight)
    assert_same(model_for(loss, "sparse_group", alpha=alpha, l1_ratio=0.0, **params).fit(X, y, weight), group)
    lasso = (SparseClassifier if loss in CLASSES else SparseRegressor)(loss=loss, alpha=alpha, tol=1e-13)
    lasso.fit(X, y, weight)
    assert_same(model_for(loss, "sparse_group", alpha=alpha, l1_ratio=1.0, **params).fit(X, y, weight), lasso)
    assert np.count_nonzero(lasso.coef_) > 0 and np.count_nonzero(group.coef_) > 0


@pytest.mark.parametrize("shape", [(80, 6), (20, 40), (30, 300)], ids=str)
def test_one_group_is_the_ridge_whose_penalty_fits_its_norm(shape):
    """w = (A + alpha v / r)^-1 b at the r with |w| = r, a root of one number."""
    X, y, weight = draw("squared", *shape)
    model = GroupLasso(groups=shape[1], tol=1e-13)
    for share in (0.9, 0.3, 0.01):
        model.set_params(alpha=share * alpha_top(model, X, y, weight)).fit(X, y, weight)
        s = weight / weight.sum()
        root = np.sqrt(s)[:, None] * (X - s @ X)
        A, b = root.T @ root, root.T @ (np.sqrt(s) * (y - s @ y))
        strength = model.alpha * np.sqrt(shape[1])
        values, vectors = np.linalg.eigh(A)
        values, c = np.maximum(values, 0.0), vectors.T @ b

        def excess(log_r, values=values, c=c, strength=strength):
            return np.sum((c / (values * np.exp(log_r) + strength)) ** 2) - 1.0  # |w|^2 / r^2 - 1

        r = np.exp(scipy.optimize.brentq(excess, -40.0, 40.0, xtol=1e-14))
        expected = vectors @ (c / (values + strength / r))
        np.testing.assert_allclose(model.coef_, expected, rtol=0, atol=1e-8 * max(1.0, r))
        np.testing.assert_allclose(model.group_norms_, r, rtol=0, atol=1e-8 * max(1.0, r))


def test_an_orthonormal_design_is_block_soft_thresholding():
    rng = np.random.default_rng(0)
    X = np.linalg.qr(rng.standard_normal((50, 12)))[0] * np.sqrt(50)
    y = X[:, :6] @ np.array([1.0, 1.0, 0.5, 0.05, 0.04, 0.02]) + 0.1 * rng.standard_normal(50)
    b = X.T @ y / 50
    model = GroupLasso(groups=3, alpha=0.1, fit_intercept=False, tol=1e-14).fit(X, y)
    sparse = SparseGroupLasso(groups=3, alpha=0.1, l1_ratio=0.4, fit_intercept=False, tol=1e-14).fit(X, y)
    for g in range(4):
        part = b[3 * g : 3 * g + 3]
        shrunk = part * max(0.0, 1 - 0.1 * np.sqrt(3) / np.linalg.norm(part))
        np.testing.assert_allclose(model.coef_[3 * g : 3 * g + 3], shrunk, atol=1e-13)
        soft = np.sign(part) * np.maximum(np.abs(part) - 0.04, 0)
        size = np.linalg.norm(soft)
        shrunk = soft * max(0.0, 1 - 0.06 * np.sqrt(3) / size) if size > 0 else soft
        np.testing.assert_allclose(sparse.coef_[3 * g : 3 * g + 3], shrunk, atol=1e-13)
    assert model.selected_groups_.tolist() == ["group0"]


def test_a_row_of_class_coefficients_is_a_group_without_a_specification():
    X, y, weight = draw("multinomial")
    rows = GroupLassoClassifier(alpha=0.05, tol=1e-11).fit(X, y, weight)
    assert 0 < len(rows.selected_groups_) < X.shape[1]
    assert np.isin((rows.coef_ != 0).sum(axis=0), [0, 3]).all()
    np.testing.assert_allclose(rows.group_norms_, np.linalg.norm(rows.coef_, axis=0))


def test_lasso_equals_a_group_lasso_of_unit_weights_in_any_order():
    X, y, _ = draw("squared")
    lasso = Lasso(alpha=0.05, tol=1e-13).fit(X, y)
    assert_same(GroupLasso([[3], [1], [2]], alpha=0.05, tol=1e-13).fit(X, y), lasso)
    assert spread(GroupLasso(), X, np.ones(60)).tolist() == [1.0] * 16
