"""Self-check and tour: what is installed, and one certified model per family beside scikit-learn's counterpart."""

import ctypes
import os
import platform
import re
import sys
import time
import warnings
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NamedTuple

import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.linear_model import HuberRegressor, LogisticRegression, LogisticRegressionCV, PoissonRegressor
from sklearn.linear_model import LassoCV as SklearnLassoCV
from sklearn.linear_model import QuantileRegressor as SklearnQuantileRegressor
from sklearn.metrics import accuracy_score, d2_absolute_error_score, d2_pinball_score, d2_tweedie_score, r2_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, PolynomialFeatures, StandardScaler

import skreg
from skreg.losses import Huber

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
    print("\nModels on data that ships with scikit-learn, a quarter of it held out. Below each one, its")
    print("counterpart in scikit-learn; ~ marks one with another penalty (ridge), the nearest there is.\n")
    print(HEADER)
    failures, data = [], None
    for case in cases():
        if case.data is not data:
            data = case.data
            print(f"\n{data.name}: {data.X.shape[0]} samples, {data.X.shape[1]} features")
        result = run(case.model, case)
        print(row(label(case.model), case.score_name, result), flush=True)
        if case.peer is not None:
            print(row(peer_label(case), "", run(case.peer, case)), flush=True)
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
        "diabetes with squares and products",
        *load_diabetes(return_X_y=True),
        PolynomialFeatures(2, include_bias=False),
        StandardScaler(),
    )
    names = load_breast_cancer().feature_names
    cancer = split("breast cancer", *load_breast_cancer(return_X_y=True), StandardScaler())
    digits = split("digits", *load_digits(return_X_y=True), MinMaxScaler())
    quantities = [re.sub("^(mean|worst) | error$", "", name) for name in names]  # each with mean, error and worst
    return [
        Case(diabetes, skreg.LassoCV(), "R2", r2_score, SklearnLassoCV(cv=5, tol=1e-6, max_iter=10_000)),
        Case(diabetes, skreg.AdaptiveLassoCV(), "R2", r2_score),
        Case(diabetes, skreg.SparseRegressorCV(penalty="mcp", alphas=30), "R2", r2_score),
        Case(diabetes, skreg.PathIC(skreg.Lasso(), criterion="ebic"), "R2", r2_score),
        Case(
            diabetes,
            skreg.SparseRegressorCV(loss=Huber(delta=70.0), alphas=30),
            "D2 absolute",
            d2_absolute_error_score,
            HuberRegressor(alpha=1.0, max_iter=1000),
            same=False,
        ),
        Case(
            diabetes,
            skreg.SparseRegressorCV(loss="poisson", alphas=30),
            "D2 Poisson",
            poisson_d2,
            PoissonRegressor(alpha=100.0, solver="newton-cholesky"),
            same=False,
        ),
        Case(
            diabetes,
            skreg.QuantileRegressor(quantile=0.9, alpha=0.01),
            "D2 at 0.9",
            pinball_d2,
            SklearnQuantileRegressor(quantile=0.9, alpha=0.01),
        ),
        Case(cancer, skreg.SparseClassifierCV(alphas=30), "accuracy", accuracy_score, l1_logistic_cv()),
        Case(
            cancer,
            skreg.PathCV(skreg.GroupLassoClassifier(quantities), alphas=30, selection="1se"),
            "accuracy",
            accuracy_score,
        ),
        Case(
            digits,
            skreg.SparseClassifier(loss="multinomial", alpha=0.0015),
            "accuracy",
            accuracy_score,
            l1_logistic(0.0015, digits),
        ),
    ]


def split(name, X, y, *steps):
    """Hold out a quarter of the samples; learn the preprocessing from the others."""
    X, X_test, y, y_test = train_test_split(X, y, random_state=0)
    transform = make_pipeline(*steps).fit(X)
    return Data(name, transform.transform(X), transform.transform(X_test), y, y_test)


def l1_logistic(alpha, data):
    """Scikit-learn's logistic regression with skreg's objective: C = 1 / (alpha * n_samples), the intercept free."""
    C = 1.0 / (alpha * len(data.y))
    return LogisticRegression(C=C, l1_ratio=1.0, solver="saga", max_iter=10_000, random_state=0)


def l1_logistic_cv():
    """Scikit-learn's search over the same objective; its solver is stopped early, as by its default."""
    return LogisticRegressionCV(Cs=30, l1_ratios=(1.0,), solver="saga", random_state=0, use_legacy_attributes=False)


def poisson_d2(y, prediction):
    """Share of the Poisson deviance explained."""
    return d2_tweedie_score(y, prediction, power=1)


def pinball_d2(y, prediction):
    """Share of the pinball loss at the level 0.9 explained."""
    return d2_pinball_score(y, prediction, alpha=0.9)


def run(model, case):
    """Fit twice (the first fit may compile or load kernels) and score on the held-out part."""
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


HEADER = f"{'model':<43}{'score':<12}{'held out':>8}{'non-zeros':>11}{'certificate':>13}  {'first fit':>9}{'refit':>8}"
FOOTNOTE = """
certificate   relative duality gap, or relative KKT violation where the penalty is not convex
first fit     seconds, with compiling or loading kernels; refit: the same fit again
!             did not converge
scikit-learn's models stop by their own rules and default tolerances (Lasso: tol=1e-6)."""


def row(name, score_name, result):
    """One line of the table."""
    nonzeros = f"{result.nonzeros}/{result.model.coef_.size}"
    return (
        f"{name:<43}{score_name:<12}{result.score:>8.3f}{nonzeros:>11}{certificate(result.model):>13}"
        f"{' ' if result.converged else '!'} {result.first:>9.4f}{result.again:>8.4f}"
    )


def label(model):
    """Class, loss and penalty of a model; of a search, what it searches, its criterion and rule."""
    if hasattr(model, "estimator"):
        rule = getattr(model, "criterion", None) or getattr(model, "selection", "")
        return f"{type(model).__name__} {type(model.estimator).__name__}, {rule}"
    parts = [getattr(value, "name", value) for name in ("loss", "penalty") if (value := getattr(model, name, None))]
    return type(model).__name__ + (f" {', '.join(parts)}" if parts else "")


def peer_label(case):
    """Class of scikit-learn's counterpart, with a tilde where its objective is another."""
    return f"  {'' if case.same else '~'}scikit-learn's {type(case.peer).__name__}"


def certificate(model):
    """Relative duality gap where there is one, otherwise relative KKT violation; a dash for other packages' models."""
    if not hasattr(model, "kkt_violation_"):
        return "-"
    gap = np.max(model.dual_gap_)
    return f"gap {gap:.0e}" if np.isfinite(gap) else f"KKT {np.max(model.kkt_violation_):.0e}"
