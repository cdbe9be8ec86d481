"""Importing skreg is cheap, and the names that type checkers see are the names that exist."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import skreg

HEAVY = {"numpy", "scipy", "sklearn", "numba", "cupy", "pandas", "matplotlib", "rich"}


def loaded_after(statement):
    """Which heavy packages a fresh interpreter has loaded after `statement`."""
    code = f"{statement}\nimport sys\nprint(*({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_import_skreg_loads_nothing_heavy():
    assert loaded_after("import skreg; dir(skreg)") == set()


@pytest.mark.parametrize("name", ["Lasso", "SparseClassifier", "model_selection"])
def test_import_of_an_estimator_loads_no_more_than_scikit_learn(name):
    # scikit-learn itself loads pandas where it is installed; skreg must add none of these.
    assert loaded_after(f"from skreg import {name}") <= loaded_after("import sklearn.base") - {"numba", "matplotlib"}


@pytest.mark.parametrize("name", skreg.__all__)
def test_every_public_name_resolves(name):
    value = getattr(skreg, name)
    assert value.__name__ in {name, f"skreg.{name}"}
    assert name in dir(skreg)


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Lassoo'"):
        skreg.Lassoo  # noqa: B018


def test_stub_lists_the_public_names():
    stub = ast.parse(Path(skreg.__file__).with_suffix(".pyi").read_text())
    imports = [node for node in stub.body if isinstance(node, ast.ImportFrom)]
    homes = {alias.asname: node.module for node in imports for alias in node.names}
    assert homes == {name: skreg._HOME.get(name, "skreg") for name in skreg.__all__}
    declared = {node.target.id for node in stub.body if isinstance(node, ast.AnnAssign)}
    assert declared == {"__version__"}


def test_array_api_switch_was_set_before_scipy():
    """With the switch set too late, scikit-learn refuses to turn array-API dispatch on."""
    import sklearn
    from scipy._lib import _array_api_override

    assert _array_api_override.SCIPY_ARRAY_API == "1"
    with sklearn.config_context(array_api_dispatch=True):
        pass
