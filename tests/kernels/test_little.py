"""Little problems: NumPy and the interpreter in the place of compiled loops, with the same results."""

import inspect
import subprocess
import sys
import warnings

import numpy as np
import pytest
import scipy.sparse as sp

from skreg import Lasso, SparseClassifier, SparseRegressor
from skreg.kernels import _dense, _specialize
from skreg.kernels._gram_cd import gram_cd, gram_kernel
from skreg.kernels._specialize import as_kernel_array
from skreg.penalties import L1, PENALTIES

RNG = np.random.default_rng(0)
X = RNG.standard_normal((80, 30))
Y = X[:, 0] - X[:, 1] + 0.5 * RNG.standard_normal(80)


@pytest.fixture
def fresh(monkeypatch):
    """As in a process that has done nothing yet."""
    monkeypatch.setattr(_specialize, "_COMPILED", {})
    monkeypatch.setattr(_specialize, "_steps", 0)


FIRST_FIT = """
import sys
import numpy as np
import skreg
X = np.random.default_rng(0).standard_normal((200, 100))
y = X[:, 0] + np.random.default_rng(1).standard_normal(200)
skreg.{}.fit(X, {})
print("numba" in sys.modules)
"""


@pytest.mark.parametrize(
    ("model", "y"),
    [
        ("Lasso(alpha=0.1)", "y"),
        ("Lasso(alpha=0.001)", "np.c_[y, -y]"),
        ("ElasticNet(alpha=0.01, standardize=True)", "y"),
        ("SparseClassifier(alpha=0.05)", "y > 0"),
        ("SparseRegressor(penalty='mcp', alpha=0.1)", "y"),
    ],
)
def test_a_first_fit_on_little_data_does_without_numba(model, y):
    code = FIRST_FIT.format(model, y)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("hold", [np.ascontiguousarray, np.asfortranarray, sp.csc_array], ids=["C", "F", "sparse"])
@pytest.mark.parametrize(
    "model",
    [
        Lasso(alpha=0.01, tol=1e-10),
        SparseClassifier(alpha=0.01, tol=1e-10),
        SparseRegressor(loss="huber", penalty="scad", alpha=0.05, tol=1e-10),
    ],
    ids=lambda model: type(model).__name__,
)
def test_size_changes_nothing(model, hold, fresh, monkeypatch):
    y = Y > 0 if isinstance(model, SparseClassifier) else Y
    little = model.fit(hold(X), y).coef_
    assert not _specialize._COMPILED
    monkeypatch.setattr(_specialize, "LITTLE", 0)
    np.testing.assert_allclose(model.fit(hold(X), y).coef_, little, atol=1e-9)


def test_the_interpreter_gives_way_after_as_long_as_loading_takes(fresh, monkeypatch):
    monkeypatch.setattr(_specialize, "_LOADING", 100)
    kernels = [gram_kernel(L1(), cells=10, steps=40) for _ in range(3)]
    assert kernels[0] is kernels[1] and [hasattr(kernel, "signatures") for kernel in kernels] == [False, False, True]
    assert gram_kernel(L1(), cells=10, steps=0) is kernels[2]  # numba is there: no more reason to wait


def test_large_problems_are_compiled_at_once(fresh):
    assert hasattr(gram_kernel(L1(), cells=_specialize.LITTLE + 1, steps=1), "signatures")


@pytest.mark.parametrize("penalty", [kind() for kind in PENALTIES.values()], ids=repr)
def test_interpreted_and_compiled_descent_agree_to_the_last_bit(penalty, fresh):
    H, q = X.T @ X / 80, X.T @ Y / 80
    free = np.full(30, np.inf)
    pen = penalty.bind(0.003, np.linspace(0.5, 2.0, 30), -free, np.where(np.arange(30) % 3, free, 0.3), H.diagonal())
    results = []
    for cells in (1, np.inf):
        w, gradient = np.zeros(30), -q
        done = gram_kernel(penalty, cells, 1)(as_kernel_array(H), w, gradient, pen, 200, 1e-12)
        results.append((*done, *w, *gradient))
    assert np.count_nonzero(results[0][2:32]) > 3
    np.testing.assert_array_equal(*results)


def test_the_interpreter_is_silent_about_overflows(fresh):
    pen = L1().bind(1.0, np.ones(1), np.array([-np.inf]), np.array([np.inf]), None)
    kernel = gram_kernel(L1(), cells=1, steps=1)
    assert kernel.__wrapped__.__code__ is gram_cd.__code__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kernel(as_kernel_array(np.array([[1e-300]])), np.zeros(1), np.array([1e300]), pen, 1, 0.0)


@pytest.mark.parametrize("template", _dense._TWINS, ids=lambda template: template.__name__)
def test_numpy_twins_of_dense_loops(template):
    samples, features = 23, 14
    matrix = RNG.standard_normal((samples, features) if template is _dense.gather_rows else (features, samples))
    columns, start, stop = np.array([3, 1, 4, 12, 5, 9, 2]), 2, 6
    given = {
        "rows": matrix,
        "X": matrix,
        "H": RNG.standard_normal((features, features)),
        "columns": columns,
        "support": columns,
        "r": RNG.standard_normal(samples),
        "w": RNG.standard_normal(len(columns)),
        "means": RNG.standard_normal(len(columns)),
        "root": RNG.random(samples),
        "others": RNG.standard_normal((6, samples)),
        "start": start,
        "stop": stop,
    }
    shape = {
        _dense.columns_dot: len(columns),
        _dense.columns_sum: samples,
        _dense.gather_columns: (len(columns), stop - start),
        _dense.gather_rows: (stop - start, len(columns)),
        _dense.cross_dots: (len(columns), 6),
        _dense.principal_block: (len(columns), len(columns)),
    }[template]
    names = [name for name in inspect.signature(template).parameters if name != "out"]
    loop, twin = np.zeros(shape), np.zeros(shape)
    template(*(given[name] for name in names), loop)
    _dense.dense_kernel(template, cells=1)(*(given[name] for name in names), twin)
    if template is _dense.principal_block:  # its loop fills the lower triangle alone
        twin = np.tril(twin)
    np.testing.assert_allclose(twin, loop, atol=1e-13)
