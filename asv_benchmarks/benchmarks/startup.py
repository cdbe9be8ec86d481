"""What a fresh process pays, from its start to its end: importing, and the first fit with kernels cached on disk.

Exit counts too: Python then visits every object that numba and others made. Scikit-learn's own process is the floor.
"""

import subprocess
import sys

from .common import Benchmark

IMPORT = "from {module} import {classifier}, {lasso}"

DATA = """
import numpy as np
rng = np.random.default_rng(0)
X = rng.standard_normal({shape})
y = X[:, 0] + rng.standard_normal(len(X))
"""

LASSO = DATA + "from {module} import {lasso}\n{lasso}(alpha=0.1).fit(X, y)"

CLASSIFIER = DATA + "from {module} import {classifier}\n{classifier}({arguments}).fit(X, y > 0)"

PROGRAMS = {
    "import": (IMPORT, None),
    "Lasso, 200 x 100": (LASSO, (200, 100)),
    "Lasso, 2000 x 200": (LASSO, (2000, 200)),  # large enough for compiled kernels
    "classifier, 200 x 100": (CLASSIFIER, (200, 100)),
    "classifier, 2000 x 200": (CLASSIFIER, (2000, 200)),
}
LIBRARIES = {
    "skreg": dict(module="skreg", lasso="Lasso", classifier="SparseClassifier", arguments="alpha=0.05"),
    "scikit-learn": dict(
        module="sklearn.linear_model",
        lasso="Lasso",
        classifier="LogisticRegression",
        arguments="C=0.1, l1_ratio=1.0, solver='saga'",
    ),
}


def run(program):
    subprocess.run([sys.executable, "-c", program], check=True)


class Process(Benchmark):
    param_names = ["program", "library"]
    params = (list(PROGRAMS), list(LIBRARIES))

    def setup(self, program, library):
        template, shape = PROGRAMS[program]
        self.program = template.format(shape=shape, **LIBRARIES[library])
        run(self.program)

    def time_process(self, program, library):
        run(self.program)


class ImportOfThePackage(Benchmark):
    def setup(self):
        run("import skreg")

    def time_process(self):
        run("import skreg")
