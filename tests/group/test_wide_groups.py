"""Groups of more features than there are samples, and large working sets of the multinomial loss."""

import numpy as np
import pytest
import scipy.sparse as sp

from skreg.model_selection import regularization_path
from skreg.solvers import _models
from tests.group._group_data import alpha_top, draw, model_for, objective, reference

WIDE = np.random.default_rng(7).permutation(np.repeat([0, 1, 2, 3], [120, 90, 70, 10]))  # of 30 samples


def fit(loss, kind, container, share, **params):
    """A certified fit of wide groups, its objective and the least one by cvxpy."""
    X, y, weight = draw(loss, 30, len(WIDE))
    model = model_for(loss, kind, groups=WIDE, tol=1e-10, **params)
    model.set_params(alpha=share * alpha_top(model, X, y, weight)).fit(container(X), y, weight)
    columns = [np.flatnonzero(int(name) == WIDE) for name in model.groups_]
    least = reference(model, X, y, weight, columns, model.groups_.tolist())
    assert model.converged_ and 0 < model.selected_groups_.size < 4
    assert objective(model, X, y, weight) == pytest.approx(least, rel=1e-7)
    return X, y, weight, model


@pytest.mark.parametrize("container", [np.ascontiguousarray, sp.csc_array], ids=["dense", "csc"])
@pytest.mark.parametrize("kind", ["group_lasso", "group_elastic_net", "sparse_group"])
@pytest.mark.parametrize("loss", ["squared", "logistic", "multinomial"])
def test_cvxpy_finds_nothing_better(loss, kind, container):
    X, _, _, model = fit(loss, kind, container, 0.7)
    if kind != "sparse_group":  # coefficients are combinations of the samples' rows
        for columns in model.group_columns_:
            W = np.atleast_2d(model.coef_)[:, columns].T
            off = W - X[:, columns].T @ np.linalg.lstsq(X[:, columns].T, W, rcond=None)[0]
            assert np.abs(off).max() <= 1e-9 * max(np.abs(W).max(), 1.0)


def test_standardized_columns_and_an_unpenalised_group():
    X, _, _, model = fit("squared", "group_lasso", np.asfortranarray, 0.5, standardize=True, group_weights={"3": 0.0})
    assert model.group_norms_[model.groups_.tolist().index("3")] > 0


@pytest.mark.parametrize("kind", ["group_mcp", "group_scad"])
def test_concave_penalties_end_at_stationary_points(kind):
    X, y, weight = draw("logistic", 30, len(WIDE))
    model = model_for("logistic", kind, groups=WIDE, tol=1e-10)
    model.set_params(alpha=0.7 * alpha_top(model, X, y, weight)).fit(X, y, weight)
    assert model.converged_ and 0 < model.selected_groups_.size < 4
    s = weight / weight.sum()
    theta = s * (1 / (1 + np.exp(-X @ model.coef_[0] - model.intercept_)) - y)
    for norm, columns in zip(model.group_norms_, model.group_columns_):
        strength, gradient = model.alpha * np.sqrt(len(columns)), np.linalg.norm(X[:, columns].T @ theta)
        slope = max(0.0, strength - norm / 3.0)
        if kind == "group_scad":
            slope = strength if norm <= strength else max(0.0, (3.7 * strength - norm) / 2.7)
        assert gradient <= strength * (1 + 1e-9) if norm == 0 else gradient == pytest.approx(slope, abs=1e-8)


def test_a_path_is_the_fits_of_its_alphas():
    X, y, weight = draw("squared", 30, len(WIDE))
    model = model_for("squared", groups=WIDE, tol=1e-12)
    path = regularization_path(model, X, y, alphas=12, eps=0.1, sample_weight=weight)
    assert path.converged.all() and path.df[-1] > 0
    for at in path.models():
        single = model.set_params(alpha=at.alpha).fit(X, y, weight)
        np.testing.assert_allclose(at.coef_, single.coef_, rtol=0, atol=1e-6)


@pytest.mark.parametrize("container", [np.ascontiguousarray, sp.csc_array], ids=["dense", "csc"])
@pytest.mark.parametrize("multinomial", ["grouped", "ungrouped"])
@pytest.mark.parametrize("kind", ["group_lasso", "sparse_group"])
def test_classes_swept_by_columns_have_the_same_optimum(kind, multinomial, container, monkeypatch):
    monkeypatch.setattr(_models, "_MULTINOMIAL_GRAM", 0)
    X, y, weight = draw("multinomial", 60, 40)
    labels = np.repeat(np.arange(10), [1, 7, 3, 5, 4, 4, 2, 6, 3, 5])
    for intercept in (True, False):
        model = model_for("multinomial", kind, groups=labels, tol=1e-10, multinomial=multinomial)
        model.set_params(fit_intercept=intercept, standardize=intercept, alpha=0.05)
        model.set_params(alpha=0.3 * alpha_top(model, X, y, weight)).fit(container(X), y, weight)
        columns = [np.flatnonzero(int(name) == labels) for name in model.groups_]
        least = reference(model, X, y, weight, columns, model.groups_.tolist())
        assert model.converged_ and 0 < model.selected_groups_.size < 10
        assert objective(model, X, y, weight) == pytest.approx(least, rel=1e-7)
