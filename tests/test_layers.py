"""Imports run one way only, downwards: families, model_selection -> _base -> solvers -> kernels.

All of them may use the foundation (`FOUNDATION`: losses, penalties, problem, design), which uses none of them, but for
one exception: designs use compiled loops, and kernels therefore use nothing at all.
"""

import ast
from pathlib import Path

import pytest

import skreg

PACKAGE = Path(skreg.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

FAMILIES = {"sparse", "group", "quantile", "ordinal", "robust"}
FOUNDATION = {
    "_params",
    "_backend",
    "_threads",
    "_design",
    "_repeated",
    "_problem",
    "_groups",
    "_quantiles",
    "losses",
    "penalties",
}
LAYERS = [FAMILIES | {"model_selection"}, {"_faces"}, {"_base"}, {"solvers"}, {"kernels"}]
ENTRY = {"__init__", "__main__", "_tour"}  # the package's front door sees everything

# What a part may import besides itself. None stands for anything.
ALLOWED = dict.fromkeys(ENTRY)
for depth, layer in enumerate(LAYERS):
    below = set().union(*LAYERS[depth + 1 :])
    ALLOWED |= {part: below | FOUNDATION for part in layer}
ALLOWED["model_selection"] |= {"sparse", "group"}  # the named forms: LassoCV is PathCV of a Lasso
ALLOWED["kernels"] = {"_params"}  # a leaf: kernels know neither losses nor designs, ...
ALLOWED["losses"] = {"_params", "_backend"}
ALLOWED["penalties"] = {"_params", "_backend", "kernels"}  # proximal operators that are loops
ALLOWED["_params"] = set()
ALLOWED["_backend"] = {"_params"}
ALLOWED["_quantiles"] = {"_backend"}
ALLOWED["_threads"] = {"_backend"}
ALLOWED["_design"] = {
    "_params",
    "_backend",
    "_threads",
    "kernels",
}  # ... so designs may use them
ALLOWED["_repeated"] = {"_design"}
ALLOWED["_problem"] = FOUNDATION
ALLOWED["_groups"] = {"_auto_groups"}
ALLOWED["_auto_groups"] = {"_params", "_backend"}
ALLOWED["_transformer_groups"] = set()
for part in ("metrics", "inspection", "datasets"):
    ALLOWED[part] = FOUNDATION | {"model_selection"} if part == "inspection" else {"_params", "_backend"}
ALLOWED["metrics"] |= {"_quantiles"}
ALLOWED["quantile"] |= {"metrics"}  # weights of forecasts are chosen by their score


def part_of(module):
    """First component under skreg of a dotted module name: "losses" for skreg.losses._huber."""
    components = module.split(".")
    return components[1] if len(components) > 1 else "__init__"


def dotted(path):
    return ".".join(["skreg", *path.relative_to(PACKAGE).with_suffix("").parts])


def is_file_or_folder(module):
    path = PACKAGE.parent.joinpath(*module.split("."))
    return path.is_dir() or path.with_suffix(".py").exists()


def imported_modules(source, module):
    """Absolute names of all modules that a source imports, at the top or within functions."""
    package = module.split(".")[:-1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            name = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                full = f"{name}.{alias.name}"
                yield full if name.split(".")[0] != "skreg" or name == "skreg" else name
                if name.startswith("skreg.") and is_file_or_folder(full):
                    yield full


def upward_imports(source, module):
    """Imports of skreg parts that the layer of `module` may not see."""
    part = part_of(module)
    assert part in ALLOWED, f"skreg.{part} has no place among the layers yet: give it one in ALLOWED"
    allowed = ALLOWED[part]
    seen = {name for name in imported_modules(source, module) if name.split(".")[0] == "skreg"}
    if allowed is None:
        return set()
    # `import skreg` and `from skreg import __version__` are harmless; `from skreg import Lasso` is its home's import.
    homes = {skreg._HOME.get(name.removeprefix("skreg."), name) for name in seen} - {"skreg", "skreg.__version__"}
    return {name for name in homes if part_of(name) not in allowed | {part}}


def private_sklearn_imports(source, module):
    names = (name for name in imported_modules(source, module) if name.split(".")[0] == "sklearn")
    return {name for name in names if any(component.startswith("_") for component in name.split("."))}


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_imports_run_downwards(path):
    assert upward_imports(path.read_text(), dotted(path)) == set()


# The one private name in a public module: every estimator that declares parameter constraints needs it.
TOLERATED = {"sklearn.base._fit_context"}


@pytest.mark.parametrize("path", [path for path in MODULES if path.name != "_backend.py"], ids=dotted)
def test_only_backend_touches_private_scikit_learn(path):
    assert private_sklearn_imports(path.read_text(), dotted(path)) - TOLERATED == set()


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("skreg.losses._huber", "from skreg.solvers import solve"),
        ("skreg.losses._huber", "def f():\n    from ..solvers._gram import solve"),
        ("skreg.kernels._cd", "import skreg.losses._huber"),
        ("skreg.kernels._cd", "from skreg import losses"),
        ("skreg.sparse._lasso", "from skreg.quantile import QuantileRegressor"),
        ("skreg.quantile._models", "from skreg import Lasso"),
        ("skreg._problem", "from . import solvers"),
        ("skreg._design", "from ._problem import Problem"),
        ("skreg.solvers._gram", "from skreg._base import LinearEstimator"),
    ],
)
def test_an_upward_import_is_seen(module, source):
    assert upward_imports(source, module)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("skreg.sparse._lasso", "from .._base import X\nfrom ..losses import Squared\nfrom ._names import y"),
        ("skreg.solvers._gram", "from skreg.kernels import specialize\nfrom skreg import penalties"),
        ("skreg.kernels._specialize", "import skreg\nfrom skreg import __version__"),
        ("skreg._tour", "from skreg import Lasso"),
    ],
)
def test_a_downward_import_is_allowed(module, source):
    assert not upward_imports(source, module)


def test_a_private_import_of_scikit_learn_is_seen():
    assert private_sklearn_imports("from sklearn.utils._array_api import get_namespace", "skreg._base")
    assert private_sklearn_imports("from sklearn.linear_model import _base", "skreg._base")
    assert not private_sklearn_imports("from sklearn.utils.validation import validate_data", "skreg._base")


def test_namespaces_are_asked_for_through_the_backend():
    """CuPy's arrays have no `__array_namespace__`; those of array_api_strict do, so no other test would fail."""
    found = {path.name for path in MODULES if "__array_namespace__" in path.read_text()}
    assert found == {"_numerics.py"}  # which takes CuPy's arrays too, and must not import scikit-learn
