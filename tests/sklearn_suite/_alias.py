"""Scikit-learn's own tests of Lasso and ElasticNet, with skreg's in their place.

The files come from the installed scikit-learn; nothing of them is copied. While a file is imported,
``sklearn.linear_model`` offers the shims below under the names Lasso and ElasticNet; every other class stays
scikit-learn's own. Tests that mention neither name are none of ours and are left out.
"""

import ast
import importlib.util
from pathlib import Path
from unittest import mock

import sklearn.linear_model

import skreg


class _Shim:
    """Takes the arguments that skreg does not have, and does nothing with them: they do not change the solution."""

    _parameter_constraints = dict.fromkeys(["precompute", "copy_X", "random_state", "selection"], "no_validation")

    def _take(self, **dropped):
        for name, value in dropped.items():
            setattr(self, name, value)

    def fit(self, X, y, sample_weight=None, check_input=True):
        return super().fit(X, y, sample_weight)


class Lasso(_Shim, skreg.Lasso):
    _parameter_constraints = skreg.Lasso._parameter_constraints | _Shim._parameter_constraints

    def __init__(
        self,
        alpha=1.0,
        *,
        fit_intercept=True,
        precompute=False,
        copy_X=True,
        max_iter=200,
        tol=1e-6,
        warm_start=False,
        positive=False,
        random_state=None,
        selection="cyclic",
    ):
        super().__init__(
            alpha, fit_intercept=fit_intercept, max_iter=max_iter, tol=tol, warm_start=warm_start, positive=positive
        )
        self._take(precompute=precompute, copy_X=copy_X, random_state=random_state, selection=selection)


class ElasticNet(_Shim, skreg.ElasticNet):
    _parameter_constraints = skreg.ElasticNet._parameter_constraints | _Shim._parameter_constraints

    def __init__(
        self,
        alpha=1.0,
        *,
        l1_ratio=0.5,
        fit_intercept=True,
        precompute=False,
        max_iter=200,
        copy_X=True,
        tol=1e-6,
        warm_start=False,
        positive=False,
        random_state=None,
        selection="cyclic",
    ):
        super().__init__(
            alpha,
            l1_ratio=l1_ratio,
            fit_intercept=fit_intercept,
            max_iter=max_iter,
            tol=tol,
            warm_start=warm_start,
            positive=positive,
        )
        self._take(precompute=precompute, copy_X=copy_X, random_state=random_state, selection=selection)


def scikit_learns_tests(file, not_applicable):
    """Test functions of scikit-learn's `file` that use Lasso or ElasticNet, but for those that do not apply."""
    path = Path(sklearn.linear_model.__file__).parent / "tests" / file
    concerned = [
        node.name
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_") and _mentions_an_alias(node)
    ]
    gone = set(not_applicable) - set(concerned)
    assert not gone, f"{file} has no such tests of Lasso or ElasticNet any more: {sorted(gone)}"
    spec = importlib.util.spec_from_file_location(f"skreg_alias_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    with mock.patch.multiple(sklearn.linear_model, Lasso=Lasso, ElasticNet=ElasticNet):
        spec.loader.exec_module(module)
    assert module.Lasso is Lasso and module.ElasticNet is ElasticNet
    return {name: getattr(module, name) for name in concerned if name not in not_applicable}


def _mentions_an_alias(node):
    return any(isinstance(part, ast.Name) and part.id in {"Lasso", "ElasticNet"} for part in ast.walk(node))
