"""Scikit-learn's own tests of Lasso, ElasticNet and their multi-task forms, with skreg's in their place.

The files come from the installed scikit-learn; nothing of them is copied. While a file is imported,
``sklearn.linear_model`` offers the shims below under the names of those classes; every other class stays
scikit-learn's own. Tests that mention none of them are none of ours and are left out.
"""

import ast
import importlib.util
from pathlib import Path
from unittest import mock

import sklearn.linear_model

import skreg

DROPPED = {"precompute": False, "copy_X": True, "random_state": None, "selection": "cyclic"}


class _Shim:
    """Takes the arguments that skreg does not have, and does nothing with them: they do not change the solution."""

    def __init__(self, alpha=1.0, **params):
        for name, default in DROPPED.items():
            setattr(self, name, params.pop(name, default))
        super().__init__(alpha, **params)

    @classmethod
    def _get_param_names(cls):
        skregs = cls.__mro__[cls.__mro__.index(_Shim) + 1]
        return sorted([*skregs._get_param_names(), *DROPPED])

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


ALIASES = {cls.__name__: cls for cls in (Lasso, ElasticNet, MultiTaskLasso, MultiTaskElasticNet)}


def scikit_learns_tests(file, not_applicable):
    """Test functions of scikit-learn's `file` that use one of the classes, but for those that do not apply."""
    path = Path(sklearn.linear_model.__file__).parent / "tests" / file
    concerned = [
        node.name
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_") and _mentions_an_alias(node)
    ]
    gone = set(not_applicable) - set(concerned)
    assert not gone, f"{file} has no such tests of these classes any more: {sorted(gone)}"
    spec = importlib.util.spec_from_file_location(f"skreg_alias_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    with mock.patch.multiple(sklearn.linear_model, **ALIASES):
        spec.loader.exec_module(module)
    assert module.Lasso is Lasso and module.ElasticNet is ElasticNet
    return {name: getattr(module, name) for name in concerned if name not in not_applicable}


def _mentions_an_alias(node):
    return any(isinstance(part, ast.Name) and part.id in ALIASES for part in ast.walk(node))
