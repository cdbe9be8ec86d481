"""Scikit-learn's own tests of Lasso, ElasticNet, their multi-task forms and searches, with skreg's in their place.

The files come from the installed scikit-learn; nothing of them is copied. While a file is imported,
``sklearn.linear_model`` offers the shims below under the names of those classes; every other class stays
scikit-learn's own. Tests that mention none of them are none of ours and are left out.
"""

import ast
import importlib.util
from pathlib import Path
from unittest import mock

import pytest
import sklearn.linear_model

import skreg

DROPPED = {"precompute": False, "copy_X": True, "random_state": None, "selection": "cyclic"}


class _Shim:
    """Takes the arguments that skreg does not have, and does nothing with them: they do not change the solution."""

    dropped = DROPPED

    def __init__(self, alpha=1.0, **params):
        for name, default in DROPPED.items():
            setattr(self, name, params.pop(name, default))
        super().__init__(alpha, **params)

    @classmethod
    def _get_param_names(cls):
        skregs = cls.__mro__[cls.__mro__.index(_Shim) + 1]
        return sorted([*skregs._get_param_names(), *cls.dropped])

    def fit(self, X, y, sample_weight=None, check_input=True):
        return super().fit(X, y, sample_weight)


class Lasso(_Shim, skreg.Lasso):
    _parameter_constraints = skreg.Lasso._parameter_constraints | dict.fromkeys(DROPPED, "no_validation")


class ElasticNet(_Shim, skreg.ElasticNet):
    _parameter_constraints = skreg.ElasticNet._parameter_constraints | dict.fromkeys(DROPPED, "no_validation")


class MultiTaskLasso(_Shim, skreg.MultiTaskLasso):
    _parameter_constraints = skreg.MultiTaskLasso._parameter_constraints | dict.fromkeys(DROPPED, "no_validation")


class MultiTaskElasticNet(_Shim, skreg.MultiTaskElasticNet):
    _parameter_constraints = skreg.MultiTaskElasticNet._parameter_constraints | dict.fromkeys(DROPPED, "no_validation")


class _SearchShim(_Shim):
    """As `_Shim`; `selection` is skreg's, which chooses among alphas and not among coordinates."""

    dropped = {name: default for name, default in DROPPED.items() if name != "selection"}

    def __init__(self, **params):
        for name, default in self.dropped.items():
            setattr(self, name, params.pop(name, default))
        super(_Shim, self).__init__(**params)

    def fit(self, X, y, sample_weight=None, **params):
        return super(_Shim, self).fit(X, y, sample_weight, **params)


def _search(name):
    skregs = getattr(skreg, name)
    constraints = skregs._parameter_constraints | dict.fromkeys(_SearchShim.dropped, "no_validation")
    return type(name, (_SearchShim, skregs), {"_parameter_constraints": constraints, "__module__": __name__})


LassoCV, ElasticNetCV = _search("LassoCV"), _search("ElasticNetCV")
MultiTaskLassoCV, MultiTaskElasticNetCV = _search("MultiTaskLassoCV"), _search("MultiTaskElasticNetCV")

ESTIMATORS = (Lasso, ElasticNet, MultiTaskLasso, MultiTaskElasticNet)
SEARCHES = (LassoCV, ElasticNetCV, MultiTaskLassoCV, MultiTaskElasticNetCV)
ALIASES = {cls.__name__: cls for cls in (*ESTIMATORS, *SEARCHES)}


def scikit_learns_tests(file, not_applicable, slow=()):
    """Test functions of scikit-learn's `file` that use one of the classes, but for those that do not apply."""
    path = Path(sklearn.linear_model.__file__).parent / "tests" / file
    concerned = [
        node.name
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_") and _mentions_an_alias(node)
    ]
    gone = {*not_applicable, *slow} - set(concerned)
    assert not gone, f"{file} has no such tests of these classes any more: {sorted(gone)}"
    spec = importlib.util.spec_from_file_location(f"skreg_alias_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    with mock.patch.multiple(sklearn.linear_model, **ALIASES):
        spec.loader.exec_module(module)
    assert module.Lasso is Lasso and module.ElasticNet is ElasticNet
    functions = {name: getattr(module, name) for name in concerned if name not in not_applicable}
    return {name: pytest.mark.slow(test) if name in slow else test for name, test in functions.items()}


def _mentions_an_alias(node):
    return any(isinstance(part, ast.Name) and part.id in ALIASES for part in ast.walk(node))
