"""Self-check and tour: what is installed, and one certified model per family beside scikit-learn's counterpart."""

import ctypes
import os
import platform
import sys
import time
import warnings
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NamedTuple

import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.linear_model import HuberRegressor, LogisticRegression, PoissonRegressor
from sklearn.linear_model import Lasso as SklearnLasso
from sklearn.metrics import accuracy_score, d2_absolute_error_score, d2_tweedie_score, r2_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, PolynomialFeatures, StandardScaler

import skreg

PACKAGES = ["numpy", "scipy", "scikit-learn", "numba", "joblib"]


class Data(NamedTuple):
    """A train/test split and its name."""

    name: str
    X: np.ndarray
    X_test: np.ndarray
    y: np.ndarray
    y_test: np.ndarray


class Case(NamedTuple):
    """One line of the table: a model, its data, a held-out score, and scikit-learn's counterpart (or None).

    `same` tells whether the counterpart minimises the same objective.
    """

    data: Data
    model: Any
    score_name: str
    score: Any
    peer: Any = None
    same: bool = True


class Result(NamedTuple):
    """What one model did: `first` and `again` are the seconds of its first and second fit."""

    model: Any
    score: float
    nonzeros: int
    first: float
    again: float
    converged: bool


def main():
    """Print the report and the table; return 0, or 1 where a model is not certified."""
    print(environment())
    print("\nOne model per family, on data that ships with scikit-learn (a quarter held out).\n")
    print(HEADER)
    failures = []
    for case in cases():
        result = run(case.model, case)
        print(row(case, result, run(case.peer, case)), flush=True)
        if not result.converged:
            failures.append(label(case.model))
    print(FOOTNOTE)
    if failures:
        print(f"\nNot certified: {', '.join(failures)}.", file=sys.stderr)
        return 1
    print("\nEvery skreg model is certified.")
    return 0


def environment():
    """Versions, cores, cache folder and GPU, one a line."""
    lines = [("python", platform.python_version()), ("skreg", skreg.__version__)]
    lines += [(name, installed_version(name)) for name in PACKAGES]
    lines += [("cupy", cupy_version()), ("GPU", gpu()), ("kernel cache", cache_folder()), ("cores", str(cores()))]
    return "\n".join(f"{name:<14}{value}" for name, value in lines)


def installed_version(package):
    """Version of a distribution, or "not installed"."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def cupy_version():
    """Version of CuPy under whichever distribution name it was installed."""
    found = [installed_version(name) for name in ("cupy", "cupy-cuda13x", "cupy-cuda12x")]
    return next((text for text in found if text != "not installed"), "not installed")


def gpu():
    """How many GPUs NVIDIA's driver sees; needs no CUDA package."""
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return "none seen (no NVIDIA driver)"
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0 or count.value == 0:
        return "none seen"
    return f"{count.value} seen"


def cache_folder():
    """Folder of the compiled kernels: decorating finds it, nothing is compiled."""
    from numba import njit

    from skreg.kernels import _specialize

    try:
        return njit(cache=True)(_specialize.specialize).stats.cache_path
    except RuntimeError:
        return "no writable folder: kernels are compiled anew in each process"


def cores():
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def cases():
    """The models of the tour, family by family."""
    diabetes = split(
        "diabetes, squares",
        *load_diabetes(return_X_y=True),
        PolynomialFeatures(2, include_bias=False),
        StandardScaler(),
    )
    cancer = split("breast cancer", *load_breast_cancer(return_X_y=True), StandardScaler())
    digits = split("digits", *load_digits(return_X_y=True), MinMaxScaler())
    regressor, classifier = skreg.SparseRegressor, skreg.SparseClassifier
    return [
        Case(diabetes, skreg.Lasso(alpha=3.0), "R2", r2_score, SklearnLasso(alpha=3.0)),
        Case(diabetes, regressor(penalty="mcp", alpha=6.0), "R2", r2_score),
        Case(
            diabetes,
            regressor(loss="huber", alpha=0.05),
            "D2 abs",
            d2_absolute_error_score,
            HuberRegressor(alpha=1.0, max_iter=1000),
            same=False,
        ),
        Case(
            diabetes,
            regressor(loss="poisson", alpha=3.0),
            "D2 Poisson",
            poisson_d2,
            PoissonRegressor(alpha=1.0, solver="newton-cholesky"),
            same=False,
        ),
        Case(cancer, classifier(alpha=0.01), "accuracy", accuracy_score, l1_logistic(0.01, cancer, "liblinear")),
        Case(
            digits,
            classifier(loss="multinomial", alpha=0.0015),
            "accuracy",
            accuracy_score,
            l1_logistic(0.0015, digits, "saga"),
        ),
    ]


def split(name, X, y, *steps):
    """Hold out a quarter of the samples; learn the preprocessing from the others."""
    X, X_test, y, y_test = train_test_split(X, y, random_state=0)
    transform = make_pipeline(*steps).fit(X)
    return Data(name, transform.transform(X), transform.transform(X_test), y, y_test)


def l1_logistic(alpha, data, solver):
    """Scikit-learn's logistic regression with skreg's objective: C = 1 / (alpha * n_samples)."""
    C = 1.0 / (alpha * len(data.y))
    return LogisticRegression(C=C, l1_ratio=1.0, solver=solver, max_iter=1000, random_state=0)


def poisson_d2(y, prediction):
    """Share of the Poisson deviance explained."""
    return d2_tweedie_score(y, prediction, power=1)


def run(model, case):
    """Fit twice (the first fit may compile or load kernels) and score on the held-out part; None for no model."""
    if model is None:
        return None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        seconds = []
        for _ in range(2):
            start = time.perf_counter()
            model.fit(case.data.X, case.data.y)
            seconds.append(time.perf_counter() - start)
    stopped = any("ConvergenceWarning" in entry.category.__name__ for entry in caught)
    return Result(
        model=model,
        score=case.score(case.data.y_test, model.predict(case.data.X_test)),
        nonzeros=int(np.count_nonzero(model.coef_)),
        first=seconds[0],
        again=seconds[1],
        converged=bool(getattr(model, "converged_", not stopped)),
    )


HEADER = (
    f"{'model':<33}{'data':<18}{'score':<11}{'held out':>8}{'non-zeros':>10}{'certificate':>12} {'first fit':>10}"
    f"{'refit':>8} | {'scikit-learn':<19}{'held out':>8}{'non-zeros':>10} {'refit':>7}"
)
FOOTNOTE = """
certificate   relative duality gap, or relative KKT violation where the penalty is not convex
first fit     seconds, with compiling or loading kernels; refit: seconds of a second fit of the same model
~             scikit-learn's model has another penalty (ridge): its nearest counterpart, not the same objective
!             did not converge"""


def row(case, result, peer):
    """One line of the table."""
    nonzeros = f"{result.nonzeros}/{result.model.coef_.size}"
    left = (
        f"{label(case.model):<33}{case.data.name:<18}{case.score_name:<11}{result.score:>8.3f}{nonzeros:>10}"
        f"{certificate(result.model):>12}{mark(result)}{result.first:>10.4f}{result.again:>8.4f} | "
    )
    if peer is None:
        return left + "none"
    name = ("" if case.same else "~") + type(case.peer).__name__
    return left + f"{name:<19}{peer.score:>8.3f}{peer.nonzeros:>10}{mark(peer)}{peer.again:>7.4f}"


def mark(result):
    """An exclamation mark where a fit did not converge."""
    return " " if result.converged else "!"


def label(model):
    """Class, loss and penalty of a model, without the defaults."""
    parts = [str(value) for name in ("loss", "penalty") if (value := getattr(model, name, None)) is not None]
    return type(model).__name__ + (f" {', '.join(parts)}" if parts else "")


def certificate(model):
    """Relative duality gap where there is one, otherwise relative KKT violation."""
    gap = np.max(model.dual_gap_)
    return f"gap {gap:.0e}" if np.isfinite(gap) else f"KKT {np.max(model.kkt_violation_):.0e}"
