"""One run of the GPU validation: tests on the device, then fits on CPU and GPU at equal certified accuracy.

    python -m asv_benchmarks.gpu_validation --out DIR

writes the page that doc/gpu_validation/README.md describes. It needs CuPy, and SCIPY_ARRAY_API=1 in the environment.
Each part runs in a process of its own: what fails or does not end in time is recorded, and the others go on.
"""

import argparse
import datetime
import importlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
REPEATS, ENOUGH = 3, 12.0  # runs, of which the best counts, unless they have taken so many seconds
LONGEST = 75.0  # seconds of one part
TESTS_SHARE = 0.45  # of the budget
TAIL = 8  # lines of a failure in the page
KINDS = {"cpu": "CPU", "device": "device", "transfer": "device, with transfer"}


def regression(rng, n, p, targets=1):
    """Correlated columns (a common factor), a tenth of which matter (50 at most), and noise."""
    X = rng.standard_normal((n, p))
    X += 0.5 * rng.standard_normal((n, 1))
    used = min(50, max(p // 10, 3))
    W = np.zeros((p, targets))
    W[:used] = rng.standard_normal((used, targets))
    Y = X[:, :used] @ W[:used]
    Y += 0.5 * Y.std() * rng.standard_normal((n, targets))
    return X, Y[:, 0] if targets == 1 else Y


def lasso(rng, small, shape, targets=1):
    import skreg
    from skreg.model_selection import alpha_grid

    X, y = regression(rng, *(max(s // 50, 40) if small else s for s in shape), targets)
    top = max(alpha_grid(skreg.Lasso(), X, t, 2)[0] for t in (y.T if y.ndim == 2 else [y]))
    return skreg.Lasso(alpha=0.1 * top), X, y


def logistic(rng, small, shape):
    import skreg
    from skreg.model_selection import alpha_grid

    X, y = regression(rng, *(max(s // 50, 40) if small else s for s in shape))
    y = (y > np.median(y)).astype(np.int64)
    return skreg.SparseClassifier(alpha=0.1 * alpha_grid(skreg.SparseClassifier(), X, y, 2)[0]), X, y


def quantile(rng, small, shape, **params):
    import skreg

    n, p = shape
    X, y = regression(rng, n // 200 if small else n, p)
    return skreg.QuantileRegressor(**params), X, y


CASES = {
    "lasso-tall": ("Lasso, n = 200,000, p = 500", lasso, dict(shape=(200_000, 500))),
    "lasso-wide": ("Lasso, n = 2,000, p = 20,000", lasso, dict(shape=(2_000, 20_000))),
    "logistic-tall": ("L1 logistic, n = 200,000, p = 500", logistic, dict(shape=(200_000, 500))),
    "targets": ("Lasso, 20 targets, n = 50,000, p = 500", lasso, dict(shape=(50_000, 500), targets=20)),
    "quantile-long": (
        "QuantileRegressor (0.5), n = 1,000,000, p = 10",
        quantile,
        dict(shape=(1_000_000, 10), penalty=None),
    ),
    "quantile-broad": (
        "QuantileRegressor (0.9), n = 200,000, p = 200",
        quantile,
        dict(shape=(200_000, 200), penalty=None, quantile=0.9),
    ),
    "path": ("Lasso, path of 50 alphas to 0.01, n = 100,000, p = 500", lasso, dict(shape=(100_000, 500))),
}


class Place:
    """Where arrays live: NumPy, array_api_strict or CuPy."""

    def __init__(self, namespace):
        self.name, self.xp = namespace, importlib.import_module(namespace)

    def put(self, array):
        return self.xp.asarray(array)

    def host(self, array):
        return array.get() if self.name == "cupy" else np.asarray(array)

    def wait(self):
        if self.name == "cupy":
            self.xp.cuda.get_current_stream().synchronize()


def measure(name, namespace, small, write):
    """Fit on the device, with and without transfer, and on the CPU; `write` takes one finding after another."""
    from sklearn import config_context
    from sklearn.base import clone

    from skreg.model_selection import regularization_path

    _, make, params = CASES[name]
    place, host = Place(namespace), Place("numpy")
    estimator, X, y = make(np.random.default_rng(0), small, **params)
    write(dict(shape=X.shape))

    def fit(X, y):
        if name == "path":
            return regularization_path(estimator, X, y, alphas=50, eps=1e-2)
        return clone(estimator).fit(X, y)

    def coefficients(fitted, place):
        return place.host(fitted.coefs if name == "path" else fitted.coef_)

    def moved():
        return coefficients(fit(place.put(X), place.put(y)), place)

    with config_context(array_api_dispatch=True):
        there = place.put(X), place.put(y)
        for kind, task, where in (
            ("device", lambda: fit(*there), place),
            ("transfer", moved, place),
            ("cpu", lambda: fit(X, y), host),
        ):
            seconds, result = best(task, where)
            write({kind: seconds})
            if kind != "transfer":
                write({f"{kind}_certificate": certificate(result), f"{kind}_df": sparsity(coefficients(result, where))})
            if kind == "device":
                coef = coefficients(result, place)
        scale = float(np.abs(coefficients(result, host)).max())
        write(dict(difference=float(np.abs(coef - coefficients(result, host)).max()) / scale))


def best(task, place):
    """Seconds of the first run and the best of those that follow, and the last result."""
    seconds = []
    while len(seconds) <= REPEATS and (len(seconds) < 2 or sum(seconds[1:]) < ENOUGH):
        place.wait()
        start = time.perf_counter()
        result = task()
        place.wait()
        seconds.append(time.perf_counter() - start)
        if len(seconds) == 1 and seconds[0] > 1.5 * ENOUGH:
            break  # dear: the first must do, and the page says so
    return dict(first=seconds[0], best=min(seconds[1:] or seconds), runs=len(seconds) - 1), result


def certificate(result):
    """Worst relative duality gap and KKT violation, and whether the tolerance was reached."""
    if hasattr(result, "coefs"):
        found = result.dual_gaps, result.kkt_violations, result.converged
    else:
        found = result.dual_gap_, result.kkt_violation_, result.converged_
    return [float(np.max(found[0])), float(np.max(found[1])), bool(np.all(found[2]))]


def sparsity(coef):
    return int(np.count_nonzero(coef))


# ---------------------------------------------------------------- the page
def run(command, seconds, **options):
    """Output of a command that is ended after so many seconds, and its exit status (None: it was ended)."""
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, **options)
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            status = None
        log.seek(0)
        return log.read(), status


def environment(namespace, commit):
    from skreg._tour import environment as report

    lines = [f"commit        {commit}"]
    if namespace == "cupy":
        import cupy

        runtime, device = cupy.cuda.runtime, cupy.cuda.runtime.getDeviceProperties(0)
        lines.append(f"device        {device['name'].decode()}, {device['totalGlobalMem'] / 2**30:.0f} GiB")
        lines.append(f"CUDA          driver {runtime.driverGetVersion()}, runtime {runtime.runtimeGetVersion()}")
        query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        try:
            lines.append(f"driver        {subprocess.run(query, capture_output=True, text=True).stdout.strip()}")
        except OSError as error:
            lines.append(f"driver        not told: {error}")
    found = report()
    return lines + (found.splitlines() if isinstance(found, str) else [str(line) for line in found])


def tests(namespace, seconds, out, extra):
    """Run the tests; the lines for the page."""
    marker = "gpu" if namespace == "cupy" else "not gpu"
    words = ["pytest", "-m", marker, "tests/gpu", "-q", "--tb=short", "-rfE", "--durations=10", *extra]
    text, status = run([sys.executable, "-m", *words], seconds)
    (out / "pytest.txt").write_text(text)
    lines = text.strip().splitlines() or ["no output"]
    failed = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
    last = lines[-1] if status is not None else f"not ended after {seconds:.0f} s; last line: {lines[-1]}"
    return [f"`{' '.join(words)}`", "", f"    {last}", *(f"    {line[:200]}" for line in failed[:20])]


def child(name, arguments, seconds, out):
    """Measure one case in a process of its own; the findings, and the end of its output where it failed."""
    found_at = out / f".{name}.jsonl"
    command = [sys.executable, "-m", "asv_benchmarks.gpu_validation", "--case", name, "--out", str(out)]
    command += ["--namespace", arguments.namespace] + ["--small"] * arguments.small
    text, status = run(command, seconds)
    found = {}
    if found_at.exists():
        for line in found_at.read_text().splitlines():
            found |= json.loads(line)
        found_at.unlink()
    if status != 0:
        end = f"not ended after {seconds:.0f} s" if status is None else f"exit status {status}"
        found["error"] = "\n".join([end, *text.strip().splitlines()[-TAIL:]])
    return found


def seconds_of(found, kind):
    if kind not in found:
        return "none"
    runs = f" ({found[kind]['runs']} runs)" if found[kind]["runs"] < REPEATS else ""
    return f"{found[kind]['best']:.3g}{runs}"


def certificate_of(found, kind):
    if f"{kind}_certificate" not in found:
        return "none"
    gap, violation, reached = found[f"{kind}_certificate"]
    return f"{gap:.1e} / {violation:.1e}" + ("" if reached else " (tol not reached)")


def tables(results):
    lines = [
        "## Accuracy",
        "",
        "Relative duality gap / KKT violation; the difference is over the largest coefficient.",
        "",
    ]
    lines += ["| | device | CPU | difference | non-zeros, device, CPU |", "| --- | --- | --- | --- | --- |"]
    for name, found in results.items():
        df = f"{found.get('device_df', 'none')}, {found.get('cpu_df', 'none')}"
        difference = f"{found['difference']:.1e}" if "difference" in found else "none"
        cells = [CASES[name][0], certificate_of(found, "device"), certificate_of(found, "cpu"), difference, df]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "## Time", "", f"Seconds, best of {REPEATS} after a warm-up (fewer, and none, where said).", ""]
    lines += [f"| | {' | '.join(KINDS.values())} | shape |", "| --- | --- | --- | --- | --- |"]
    for name, found in results.items():
        cells = [CASES[name][0], *(seconds_of(found, kind) for kind in KINDS), str(found.get("shape", "none"))]
        lines.append(f"| {' | '.join(cells)} |")
    failed = {name: found["error"] for name, found in results.items() if "error" in found}
    if failed:
        lines += ["", "## What did not end well"]
        for name, text in failed.items():
            lines += ["", f"{CASES[name][0]}:", "", *(f"    {line[:200]}" for line in text.splitlines())]
    return lines


def validate(arguments):
    start, out = time.monotonic(), Path(arguments.out)
    out.mkdir(parents=True, exist_ok=True)
    left = lambda: arguments.budget - (time.monotonic() - start)
    commit = arguments.commit or run(["git", "rev-parse", "HEAD"], 10)[0].strip()
    head = environment(arguments.namespace, commit)
    device = next((line.split(maxsplit=1)[1] for line in head if line.startswith("device ")), arguments.namespace)
    slug = re.sub("[^A-Za-z0-9]+", "-", device.split(",")[0]).strip("-")
    page = out / f"{datetime.date.today()}-{slug}.md"
    lines = [f"# {device}", "", "## Environment", "", *(f"    {line}" for line in head), "", "## Tests", ""]
    extra = arguments.pytest_args.split()
    lines += tests(arguments.namespace, TESTS_SHARE * arguments.budget, out, extra) + [""]
    page.write_text("\n".join(lines) + "\n")
    results = {}
    for name in arguments.cases or CASES:
        enough = left() > 10.0
        results[name] = (
            child(name, arguments, min(LONGEST, left()), out) if enough else dict(error="not run: no time left")
        )
        page.write_text("\n".join(lines + tables(results)) + "\n")
        print(name, json.dumps(results[name]), flush=True)
    (out / "results.json").write_text(json.dumps(results, indent=1))
    print(page.read_text())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, help="folder of the page")
    parser.add_argument("--budget", type=float, default=240.0, help="seconds after which no part begins")
    parser.add_argument("--namespace", choices=["cupy", "array_api_strict", "numpy"], default="cupy")
    parser.add_argument("--commit", help="what the page says; by default git is asked")
    parser.add_argument("--small", action="store_true", help="little data, to try the script")
    parser.add_argument("--pytest-args", default="", help="such as '-n 6'")
    parser.add_argument("--cases", nargs="*", choices=list(CASES), help="all by default")
    parser.add_argument("--case", choices=list(CASES), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if os.environ.get("SCIPY_ARRAY_API") != "1":
        parser.error("set SCIPY_ARRAY_API=1 in the environment")
    if not arguments.case:
        validate(arguments)
        return
    with open(Path(arguments.out) / f".{arguments.case}.jsonl", "w") as found:
        write = lambda finding: print(json.dumps(finding), file=found, flush=True)
        measure(arguments.case, arguments.namespace, arguments.small, write)


if __name__ == "__main__":
    main()
