"""What a model may not depend on: how the same data are given."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.utils._testing import create_memmap_backed_data

import skreg
from skreg.losses import Huber
from tests._instances import CLASSES, CONTRACTED, GROUPED, MULTI_TASK, adapted, label, make_data, on_columns

every_estimator = pytest.mark.parametrize("estimator", CONTRACTED, ids=label)


def assert_same_model(a, b, atol=1e-8):
    assert a.coef_.dtype == b.coef_.dtype
    np.testing.assert_allclose(a.coef_, b.coef_, rtol=0, atol=atol)
    np.testing.assert_allclose(a.intercept_, b.intercept_, rtol=0, atol=atol)


def test_the_contracts_cover_every_estimator():
    assert {type(estimator) for estimator in CONTRACTED} == set(CLASSES) - {*GROUPED}


@every_estimator
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array], ids=["dense", "sparse"])
@pytest.mark.parametrize("standardize", [False, True])
def test_integer_weights_are_copies_and_weight_zero_is_no_row(estimator, container, standardize):
    X, y = make_data(estimator)
    counts = np.random.default_rng(1).integers(0, 4, len(y))
    rows = np.repeat(np.arange(len(y)), counts)
    estimator = clone(estimator).set_params(standardize=standardize)
    weighted = clone(estimator).fit(container(X), y, sample_weight=counts)
    repeated = clone(estimator).fit(container(X[rows]), y[rows])
    assert np.any(weighted.coef_ != 0)
    assert_same_model(weighted, repeated)


@every_estimator
def test_rows_of_weight_zero_may_hold_any_target(estimator):
    """Also a class of their own, or a target outside the domain of the loss."""
    X, y = make_data(estimator)
    weight = np.ones(len(y))
    weight[:5] = 0.0
    odd = y.copy()
    odd[:5] = 7 if is_classifier(estimator) else -1e3
    assert_same_model(clone(estimator).fit(X, odd, sample_weight=weight), clone(estimator).fit(X[5:], y[5:]))


@every_estimator
def test_scale_of_the_weights_does_not_matter(estimator):
    X, y = make_data(estimator)
    weight = np.random.default_rng(1).uniform(0.5, 2.0, len(y))
    if isinstance(estimator, skreg.AdaptiveLasso):  # large weights count copies; small ones are relative
        weight /= weight.sum()
        others = [1e-300 * weight]
    else:
        others = [1e-300 * weight, 1e300 * weight]
    model = clone(estimator).fit(X, y, sample_weight=weight)
    for other in others:
        assert_same_model(model, clone(estimator).fit(X, y, sample_weight=other))


@pytest.mark.parametrize("scale", [1e-6, 1e6])
@pytest.mark.parametrize(
    "estimator",
    [e for e in CONTRACTED if getattr(e, "loss", "squared") == "squared" and is_regressor(e)]
    + [skreg.SparseRegressor(loss=Huber(delta=0.6), alpha=0.03, tol=1e-12)],
    ids=label,
)
def test_rescaled_target_gives_the_rescaled_model(estimator, scale):
    X, y = make_data(estimator)
    model = clone(estimator).fit(X, y)
    other = clone(estimator)
    if getattr(estimator, "penalty", "l1") == "mcp":
        other.set_params(alpha=scale * estimator.alpha)
    elif isinstance(estimator, skreg.ElasticNet | skreg.MultiTaskElasticNet):  # alpha (1 - l1_ratio) does not scale
        l1, l2 = scale * estimator.alpha * estimator.l1_ratio, estimator.alpha * (1 - estimator.l1_ratio)
        other.set_params(alpha=l1 + l2, l1_ratio=l1 / (l1 + l2))
    elif not isinstance(estimator, skreg.ExclusiveLasso | skreg.SqrtLasso | skreg.QuantileRegressor):  # one degree
        other.set_params(alpha=scale * estimator.alpha)
    if getattr(estimator, "loss", "squared") != "squared":
        other.set_params(loss=Huber(delta=scale * estimator.loss.delta))
    other.fit(X, scale * y)
    size = np.abs(model.coef_).max()
    np.testing.assert_allclose(other.coef_ / scale, model.coef_, rtol=0, atol=1e-10 * size)
    np.testing.assert_allclose(other.intercept_ / scale, model.intercept_, rtol=0, atol=1e-10 * size)


CONTAINERS = {
    "fortran": np.asfortranarray,
    "strided": lambda X: np.repeat(X, 2, axis=0)[::2],
    "csc_matrix": sp.csc_matrix,
    "csr_matrix": sp.csr_matrix,
    "csc_array": sp.csc_array,
    "csr_array": sp.csr_array,
    "coo_array": sp.coo_array,
    "list": np.ndarray.tolist,
    "memmap": create_memmap_backed_data,
}


@every_estimator
@pytest.mark.parametrize("container", CONTAINERS.values(), ids=CONTAINERS)
def test_container_of_X_does_not_matter(estimator, container):
    X, y = make_data(estimator)
    dense = clone(estimator).fit(X, y)
    other = clone(estimator).fit(container(X), y)
    assert_same_model(dense, other)
    np.testing.assert_allclose(other.predict(container(X)), dense.predict(X), rtol=1e-6)


@every_estimator
@pytest.mark.parametrize("kind", [sp.csr_array, sp.csc_array])
def test_int64_indices(estimator, kind):
    X, y = make_data(estimator)
    wide = kind(X)
    wide.indices, wide.indptr = wide.indices.astype(np.int64), wide.indptr.astype(np.int64)
    assert_same_model(clone(estimator).fit(X, y), clone(estimator).fit(wide, y))


def test_unsorted_indices_and_explicit_zeros():
    X, y = make_data(CONTRACTED[0])
    messy = sp.csc_array(X)
    for j in range(X.shape[1]):
        part = slice(messy.indptr[j], messy.indptr[j + 1])
        messy.indices[part], messy.data[part] = messy.indices[part][::-1].copy(), messy.data[part][::-1].copy()
    messy.has_sorted_indices = False
    messy.data[:2] = 0.0
    X = messy.toarray()
    before = messy.copy()
    assert_same_model(clone(CONTRACTED[0]).fit(X, y), clone(CONTRACTED[0]).fit(messy, y))
    np.testing.assert_array_equal(messy.indices, before.indices)


@every_estimator
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array], ids=["dense", "sparse"])
def test_float32(estimator, container):
    X, y = make_data(estimator)
    X = X.astype(np.float32)
    single = clone(estimator).fit(container(X), y)
    double = clone(estimator).fit(container(X.astype(np.float64)), y)
    assert single.coef_.dtype == np.float32
    assert double.coef_.dtype == np.float64
    np.testing.assert_allclose(single.coef_, double.coef_, rtol=1e-6, atol=1e-7)
    if is_regressor(estimator):
        assert single.predict(container(X)).dtype == np.float32
        assert type(estimator) in MULTI_TASK or type(single.intercept_) is float


@every_estimator
def test_order_of_rows_and_columns_does_not_matter(estimator):
    X, y = make_data(estimator)
    rng = np.random.default_rng(3)
    rows, columns = rng.permutation(X.shape[0]), rng.permutation(X.shape[1])
    model = clone(estimator).fit(X, y)
    other = on_columns(estimator, columns).fit(X[rows][:, columns], y[rows])
    np.testing.assert_allclose(other.coef_, model.coef_[..., columns], rtol=0, atol=1e-8)


@every_estimator
def test_data_are_not_modified(estimator):
    X, y = make_data(estimator)
    weight, offset = np.ones(len(y)), None
    copies = X.copy(), y.copy(), weight.copy()
    for container in (np.asarray, np.asfortranarray):
        data = container(X)
        clone(estimator).set_params(standardize=True).fit(data, y, weight, offset)
        np.testing.assert_array_equal(data, copies[0])
    np.testing.assert_array_equal(y, copies[1])
    np.testing.assert_array_equal(weight, copies[2])


FRAMES = {"pandas": pd.DataFrame, "polars": lambda X, columns: pl.DataFrame(X, schema=columns)}


@every_estimator
@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
def test_data_frames_and_parameters_by_column_name(estimator, frame):
    X, y = make_data(estimator)
    names = [f"x{j}" for j in range(X.shape[1])]
    weights, lower, upper = np.ones(len(names)), np.full(len(names), -np.inf), np.full(len(names), np.inf)
    weights[1], lower[2], upper[0] = 0.5, -0.01, 0.2
    by_name = dict(penalty_weights={"x1": 0.5}, lower={"x2": -0.01}, upper={"x0": 0.2})
    arrays = adapted(estimator, penalty_weights=weights, lower=lower, upper=upper).fit(X, y)
    named = adapted(estimator, **by_name).fit(frame(X, columns=names), y)
    np.testing.assert_array_equal(named.feature_names_in_, names)
    assert_same_model(named, arrays)
    assert "upper" not in arrays.get_params() or (arrays.coef_[..., 0] <= 0.2).all()
    np.testing.assert_allclose(named.predict(frame(X, columns=names)), arrays.predict(X), rtol=1e-6)


def is_split_at_no_cost(estimator):
    """Whether coefficients may be shared out among copies of their columns without a change of the penalty."""
    if isinstance(estimator, skreg.FusedLasso | skreg.ExclusiveLasso | skreg.MultiTaskLasso):
        return True
    other = skreg.ElasticNet | skreg.AdaptiveLasso | skreg.MultiTaskElasticNet | skreg.SlopeRegressor
    return getattr(estimator, "penalty", "l1") == "l1" and not isinstance(estimator, other)


@every_estimator
def test_constant_and_duplicated_columns(estimator):
    X, y = make_data(estimator)
    p = X.shape[1]
    plain = clone(estimator).fit(X, y)
    wider = on_columns(estimator, [-1, *range(p), -1]).fit(np.c_[np.ones(len(y)), X, np.zeros(len(y))], y)
    np.testing.assert_allclose(wider.coef_[..., 1:-1], plain.coef_, rtol=0, atol=1e-7)
    np.testing.assert_array_equal(wider.coef_[..., [0, -1]], 0.0)
    twice = on_columns(estimator, [*range(p)] * 2).fit(np.c_[X, X], y)
    assert twice.converged_
    if is_split_at_no_cost(estimator):
        np.testing.assert_allclose(twice.coef_[..., :p] + twice.coef_[..., p:], plain.coef_, rtol=0, atol=1e-6)


@pytest.mark.parametrize("estimator", [e for e in CONTRACTED if is_regressor(e)], ids=label)
def test_constant_target_gives_the_constant(estimator):
    X, y = make_data(estimator)
    for value in (3.0, 1e-9, 1e9):
        model = clone(estimator).fit(X, np.full_like(y, value))
        np.testing.assert_array_equal(model.coef_, 0.0)
        np.testing.assert_allclose(model.predict(X), value, rtol=1e-10)
        assert model.converged_


@every_estimator
@pytest.mark.parametrize("shape", [(12, 30), (40, 1), (3, 5)])
def test_more_features_than_samples_and_one_feature(estimator, shape):
    X, y = make_data(estimator, n_samples=shape[0] + 20, n_features=max(shape[1], 3))
    X, y = X[: shape[0], : shape[1]], y[: shape[0]]
    if is_classifier(estimator):
        y = np.arange(shape[0]) % (3 if estimator.loss == "multinomial" else 2)
    width = 2 - shape[1] % 2
    model = adapted(estimator, groups=width if getattr(estimator, "groups", None) else None).fit(X, y)
    assert model.converged_
    assert np.isfinite(model.coef_).all()


@pytest.mark.parametrize("estimator", [e for e in CONTRACTED if is_regressor(e)], ids=label)
def test_one_sample_is_its_own_mean(estimator):
    _, y = make_data(estimator)
    model = clone(estimator).fit([[1.0, 2.0]], np.full_like(y[:1], 3.0))
    np.testing.assert_array_equal(model.coef_, 0.0)
    np.testing.assert_allclose(model.predict([[5.0, -1.0]]), 3.0, rtol=1e-12)
