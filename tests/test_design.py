"""One suite over every holder of X: the same linear map as the explicit centred and scaled matrix."""

import numpy as np
import pytest
import scipy.sparse as sp

from skreg._design import as_design
from skreg.kernels import _specialize

RNG = np.random.default_rng(0)
DENSE = np.where(RNG.random((70, 40)) < 0.4, RNG.standard_normal((70, 40)), 0.0)
WEIGHT = RNG.random(70)


def int64_indices(X):
    X = sp.csc_array(X)
    X.indices, X.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    return X


def unsorted(X):
    X = sp.csc_matrix(X)
    for j in range(X.shape[1]):
        part = slice(X.indptr[j], X.indptr[j + 1])
        X.indices[part], X.data[part] = X.indices[part][::-1].copy(), X.data[part][::-1].copy()
    X.has_sorted_indices = False
    return X


HOLDERS = {
    "C order": np.ascontiguousarray,
    "F order": np.asfortranarray,
    "strided": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
    "csc_matrix": sp.csc_matrix,
    "csr_array": sp.csr_array,
    "int64 indices": int64_indices,
    "unsorted indices": unsorted,
}


@pytest.fixture(params=["little", "large"], autouse=True)
def size(request, monkeypatch):
    """NumPy for little data, compiled loops for all other."""
    if request.param == "large":
        monkeypatch.setattr(_specialize, "LITTLE", 0)


@pytest.fixture(params=HOLDERS, ids=list(HOLDERS))
def held(request):
    return HOLDERS[request.param](DENSE.copy())


@pytest.fixture(params=[None, np.linspace(0.5, 3.0, 40)], ids=["unscaled", "scaled"])
def scale(request):
    return request.param


SUBSETS = [None, np.array([3]), np.array([7, 2, 30]), np.arange(5, 25), RNG.permutation(40)]


@pytest.mark.parametrize("columns", SUBSETS, ids=lambda c: "all" if c is None else f"{len(c)} columns")
def test_products(held, scale, columns):
    design = as_design(held, scale)
    X = DENSE if scale is None else DENSE / scale
    X = X if columns is None else X[:, columns]
    for shape in ((), (3,)):
        w, r = RNG.standard_normal((X.shape[1], *shape)), RNG.standard_normal((70, *shape))
        np.testing.assert_allclose(design.matvec(w, columns), X @ w, atol=1e-12)
        np.testing.assert_allclose(design.rmatvec(r, columns), X.T @ r, atol=1e-12)


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("block", [2**19, 300])
def test_gram(held, scale, centred, block, monkeypatch):
    monkeypatch.setattr("skreg._design._BLOCK", block)
    design = as_design(held, scale)
    means = design.means(WEIGHT) if centred else None
    X = DENSE - (WEIGHT @ DENSE) / WEIGHT.sum() if centred else DENSE
    X = X if scale is None else X / scale
    rows, columns = np.array([5, 1, 39, 20]), np.array([0, 38, 7])
    expected = X.T @ (WEIGHT[:, None] * X)
    np.testing.assert_allclose(design.gram(rows, columns, WEIGHT, means), expected[np.ix_(rows, columns)], atol=1e-12)
    np.testing.assert_allclose(design.gram(rows, None, WEIGHT, means), expected[np.ix_(rows, rows)], atol=1e-12)


@pytest.mark.parametrize("centred", [False, True])
def test_curvature_rows_and_kernel_columns(held, scale, centred):
    design = as_design(held, scale)
    X = DENSE if scale is None else DENSE / scale
    about = X - (WEIGHT @ X) / WEIGHT.sum() if centred else X
    columns = np.array([4, 33, 9])
    np.testing.assert_allclose(design.curvature(WEIGHT, centred), WEIGHT @ about**2, rtol=1e-10)
    np.testing.assert_allclose(design.curvature(WEIGHT, centred, columns), WEIGHT @ about[:, columns] ** 2, rtol=1e-10)
    samples = np.array([60, 2, 2])
    np.testing.assert_allclose(design.rows(samples, columns), X[np.ix_(samples, columns)], rtol=1e-12)
    arrays = design.kernel_columns(columns)
    block = (
        arrays[0].T if len(arrays) == 1 else sp.csc_array((arrays[2], arrays[1], arrays[0]), shape=(70, 3)).toarray()
    )
    np.testing.assert_allclose(block, X[:, columns], rtol=1e-12)


def test_standardized_uses_weighted_deviations_and_leaves_constant_columns(held):
    X = held.copy()
    if sp.issparse(X):
        X = X.tolil()
    X[:, 6] = 3.0
    dense = X.toarray() if sp.issparse(X) else X
    if sp.issparse(X):
        X = type(held)(X)
    scale = as_design(X).standardized(WEIGHT).scale
    expected = np.sqrt(np.cov(dense.T, aweights=WEIGHT, bias=True).diagonal())
    expected[6] = 1.0
    np.testing.assert_allclose(scale, expected, rtol=1e-10)


def test_gram_keeps_its_digits_far_from_the_origin():
    rng = np.random.default_rng(1)
    X = rng.standard_normal((500, 6))
    columns, weight = np.arange(6), np.full(500, 1 / 500)
    near = as_design(X).gram(columns, None, weight, as_design(X).means(weight))
    for order in "CF":
        far = as_design(np.array(X + 1e6, order=order))
        np.testing.assert_allclose(far.gram(columns, None, weight, far.means(weight)), near, atol=1e-8)
