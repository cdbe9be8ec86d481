"""The on-disk cache: hit by a fresh process, never stale, one machine-code version a kernel."""

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from skreg import Lasso
from skreg.kernels import _specialize
from skreg.kernels._gram_cd import bounded_prox, gram_cd, gram_kernel
from skreg.kernels._specialize import as_kernel_array, bind, specialize
from skreg.penalties import L1, MCP


def run(code, cache, **env):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache), **env}
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


FIT = """
    import numpy as np
    from skreg import Lasso
    from skreg.kernels import _specialize
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 250))
    Lasso(alpha=0.01).fit(X, X[:, 0] + rng.standard_normal(300))
    hits = sum(sum(k.stats.cache_hits.values()) for k in _specialize._COMPILED.values())
    misses = sum(sum(k.stats.cache_misses.values()) for k in _specialize._COMPILED.values())
    print(hits, misses)
"""


def test_a_second_process_compiles_nothing(tmp_path):
    hits, misses = map(int, run(FIT, tmp_path).split())
    assert hits == 0 and misses > 0
    hits, misses = map(int, run(FIT, tmp_path).split())
    assert hits > 0 and misses == 0


LEAF = """
    import sys
    sys.path.insert(0, {folder!r})
    import leaf
    from skreg.kernels._specialize import specialize
    print(specialize(leaf.template, step=leaf.step)(1.0))
"""


def test_an_edited_leaf_is_never_served_from_the_cache(tmp_path):
    module = tmp_path / "leaf.py"
    source = "def step(x):\n    return x + {}\n\n\ndef template(x):\n    return 2.0 * step(x)\n"
    for added, expected in ((1.0, "4.0"), (10.0, "22.0"), (1.0, "4.0")):
        module.write_text(source.format(added))
        assert run(LEAF.format(folder=str(tmp_path)), tmp_path / "cache", PYTHONDONTWRITEBYTECODE="1") == expected


def test_without_a_writable_folder_kernels_compile_uncached(monkeypatch):
    import numba

    compiled = numba.njit

    def refuses_to_cache(*args, **options):
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return compiled(*args, **options)

    monkeypatch.setattr(numba, "njit", refuses_to_cache)
    monkeypatch.setattr(_specialize, "_COMPILED", {})
    kernel = specialize(lambda_template, scale=double)
    assert kernel(3.0) == 7.0


def double(x):
    return 2.0 * x


def lambda_template(x):
    return scale(x) + 1.0  # noqa: F821 - bound by specialize


def test_memmaps_float32_and_views_reach_a_kernel_as_one_type(tmp_path):
    rng = np.random.default_rng(0)
    X = np.asfortranarray(rng.standard_normal((300, 250)))
    y = X[:, 0] + 0.1 * rng.standard_normal(300)
    path = tmp_path / "X.npy"
    np.save(path, X)
    frozen = X.copy()
    frozen.flags.writeable = False
    for data in (X, np.ascontiguousarray(X), np.load(path, mmap_mode="r"), frozen, X[::1, :], X.astype(np.float32)):
        Lasso(alpha=0.01).fit(data, y)
    assert len(gram_kernel(L1()).signatures) == 1


def test_as_kernel_array_gives_read_only_contiguous_views():
    x = np.arange(6.0)
    view = as_kernel_array(x)
    assert np.shares_memory(view, x) and not view.flags.writeable and x.flags.writeable
    assert as_kernel_array(np.arange(6, dtype=np.int32)).dtype == np.int64
    assert as_kernel_array(np.arange(12.0).reshape(3, 4).T).flags.c_contiguous


@pytest.mark.parametrize("penalty", [L1(), MCP(gamma=2.5)])
def test_the_template_runs_as_plain_python(penalty):
    rng = np.random.default_rng(1)
    X = rng.standard_normal((30, 6))
    H, q = X.T @ X / 30, X.T @ (X[:, 0] - X[:, 1]) / 30
    pen = penalty.bind(0.05, np.ones(6), np.full(6, -np.inf), np.full(6, 0.9), np.ones(6))
    results = []
    for kernel in (bind(gram_cd, bounded_prox=bounded_prox, **penalty.leaves), gram_kernel(penalty)):
        w, gradient = np.zeros(6), -q
        epochs, worst = kernel(as_kernel_array(H), w, gradient, pen, 500, 1e-12)
        assert worst <= 1e-12 and w.max() <= 0.9
        np.testing.assert_allclose(gradient, H @ w - q, atol=1e-12)
        results.append((epochs, w))
    assert results[0][0] == results[1][0]
    np.testing.assert_allclose(results[0][1], results[1][1], atol=1e-15)
