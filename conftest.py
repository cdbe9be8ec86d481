"""Settings that must hold before any test or doctest module is imported."""

import os
import sys

# SciPy reads this once, when it is first imported; without it scikit-learn cannot dispatch to array-API namespaces.
if "scipy" in sys.modules and os.environ.get("SCIPY_ARRAY_API") != "1":
    raise RuntimeError("SciPy was imported before conftest.py could set SCIPY_ARRAY_API=1; set it in the environment.")
os.environ.setdefault("SCIPY_ARRAY_API", "1")

from hypothesis import settings  # noqa: E402

# The first example may compile a kernel, so no deadline; in CI the examples are the same in every run.
settings.register_profile("skreg", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("skreg")


def pytest_configure(config):
    """A fit that is not certified fails its test unless the test expects it (not in pyproject.toml: see there)."""
    config.addinivalue_line("filterwarnings", "error::sklearn.exceptions.ConvergenceWarning")
