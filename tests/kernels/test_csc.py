"""Loops over compressed sparse columns, against scipy."""

import numpy as np
import pytest
import scipy.sparse as sp

from skreg import _design, _threads
from skreg._design import SparseDesign
from skreg.kernels import _csc

RNG = np.random.default_rng(0)
N, P = 50, 24
DENSE = np.where(RNG.random((N, P)) < 0.3, RNG.standard_normal((N, P)), 0.0)
DENSE[:, [0, 7, P - 1]] = 0.0
DENSE[:, 3] = 2.5
WEIGHT = RNG.random(N)
SCALE = np.linspace(0.5, 2.0, P)
SUBSETS = {
    "all": None,
    "some": np.array([9, 2, 3, 20]),
    "repeated": np.array([5, 9, 5, 5]),
    "empty columns": np.array([0, 7, P - 1]),
    "none": np.array([], dtype=np.int64),
}


def narrow(tmp_path):
    return sp.csc_array(DENSE)


def wide(tmp_path):
    X = sp.csc_array(DENSE)
    X.indices, X.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    return X


def memmap(tmp_path):
    X = sp.csc_matrix(DENSE)
    for name in ("indptr", "indices", "data"):
        np.save(tmp_path / name, getattr(X, name))
        setattr(X, name, np.load(tmp_path / f"{name}.npy", mmap_mode="r"))
    return X


@pytest.fixture(params=[narrow, wide, memmap], ids=lambda hold: hold.__name__)
def X(request, tmp_path):
    return request.param(tmp_path)


@pytest.fixture(params=[1, 3], ids=["one thread", "three threads"], autouse=True)
def threads(request, monkeypatch):
    monkeypatch.setattr(_design, "_WORK", 1)
    token = _threads._ALLOWED.set(request.param)
    yield
    _threads._ALLOWED.reset(token)


@pytest.mark.parametrize("scale", [None, SCALE], ids=["unscaled", "scaled"])
@pytest.mark.parametrize("columns", SUBSETS.values(), ids=SUBSETS)
@pytest.mark.parametrize("shape", [(), (4,)], ids=["one output", "four outputs"])
def test_products(X, columns, scale, shape):
    design = SparseDesign(X, scale)
    chosen = (DENSE if scale is None else DENSE / scale)[:, slice(None) if columns is None else columns]
    r, w = RNG.standard_normal((N, *shape)), RNG.standard_normal((*shape, chosen.shape[1])).T  # not C-contiguous
    np.testing.assert_allclose(design.rmatvec(r, columns), chosen.T @ r, atol=1e-13)
    np.testing.assert_allclose(design.matvec(w, columns), chosen @ w, atol=1e-13)


@pytest.mark.parametrize("columns", SUBSETS.values(), ids=SUBSETS)
@pytest.mark.parametrize("scale", [None, SCALE], ids=["unscaled", "scaled"])
def test_curvature(X, columns, scale):
    design = SparseDesign(X, scale)
    chosen = (DENSE if scale is None else DENSE / scale)[:, slice(None) if columns is None else columns]
    np.testing.assert_allclose(design.curvature(WEIGHT, False, columns), WEIGHT @ chosen**2, atol=1e-13)
    away = chosen - (WEIGHT @ chosen) / WEIGHT.sum()
    np.testing.assert_allclose(design.curvature(WEIGHT, True, columns), WEIGHT @ away**2, atol=1e-13)


def test_curvature_of_constant_columns_is_zero():
    flat = np.column_stack([np.full(N, 1e6 / 3), np.zeros(N), np.where(WEIGHT > 0.5, 0.1, 0.0)])
    design = SparseDesign(sp.csc_array(flat))
    assert not design.curvature(np.where(WEIGHT > 0.5, WEIGHT, 0.0), True).any()
    assert not design.curvature(np.zeros(N), True).any()


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("scale", [None, SCALE], ids=["unscaled", "scaled"])
@pytest.mark.parametrize("columns", [None, *list(SUBSETS.values())[1:]], ids=["same", *list(SUBSETS)[1:]])
def test_cross_products(X, columns, scale, centred):
    design = SparseDesign(X, scale)
    means = design.means(WEIGHT) if centred else None
    chosen = DENSE - (WEIGHT @ DENSE) / WEIGHT.sum() if centred else DENSE
    chosen = chosen if scale is None else chosen / scale
    rows = np.array([20, 3, 0, 11, 3])
    expected = (chosen[:, rows].T * WEIGHT) @ chosen[:, rows if columns is None else columns]
    found = design.gram(rows, columns, WEIGHT, means)
    np.testing.assert_allclose(found, expected, atol=1e-13)
    if columns is None:
        np.testing.assert_array_equal(found, found.T)


def test_indices_and_data_are_read_where_they_lie(X):
    design = SparseDesign(X)
    assert design.X is X
    for name, array in design._compressed._asdict().items():
        assert np.shares_memory(array, getattr(X, name)) and not array.flags.writeable
        assert array.dtype.itemsize == getattr(X, name).dtype.itemsize


def test_duplicates_are_summed_in_a_copy():
    X = sp.csc_array((np.array([1.0, 2.0, 4.0]), np.array([3, 1, 3]), np.array([0, 3])), shape=(5, 1))
    design, only = SparseDesign(X), np.array([0])
    assert X.nnz == 3 and X.indices.tolist() == [3, 1, 3]
    assert design.gram(only, None, np.ones(5))[0, 0] == design.curvature(np.ones(5), False)[0] == 29.0


@pytest.mark.parametrize("symmetric", [False, True])
def test_loops_are_plain_python_too(symmetric):
    X, rows = _csc.compressed(sp.csc_array(DENSE)), np.array([4, 2, 9])
    out = np.empty((3, 3))
    _csc.csc_cross(X, rows, rows, WEIGHT, symmetric, out)
    np.testing.assert_allclose(out, (DENSE[:, rows].T * WEIGHT) @ DENSE[:, rows], atol=1e-13)


@pytest.mark.parametrize("kernel", [_csc.csc_dot, _csc.csc_dots])
def test_dots_keep_to_their_range(kernel):
    r = RNG.standard_normal((N, 2) if kernel is _csc.csc_dots else N)
    columns, out = np.array([4, 2, 9, 5]), np.full((4, *r.shape[1:]), 7.0)
    kernel(_csc.compressed(sp.csc_array(DENSE)), columns, r, 1, 3, out)
    np.testing.assert_allclose(out[1:3], DENSE[:, columns[1:3]].T @ r, atol=1e-13)
    assert (out[[0, 3]] == 7.0).all()
