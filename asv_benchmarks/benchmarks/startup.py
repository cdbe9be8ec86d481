"""What a fresh process pays: importing, and the first fit with kernels cached on disk."""

IMPORT = "import skreg"

IMPORT_ESTIMATOR = "from skreg import Lasso"

IMPORT_SCIKIT_LEARN = "from sklearn.linear_model import Lasso"

FIRST_FIT = """
import numpy as np
from skreg import Lasso
rng = np.random.default_rng(0)
X = rng.standard_normal((200, 100))
Lasso(alpha=0.1).fit(X, X[:, 0] + rng.standard_normal(200))
"""


def timeraw_import():
    return IMPORT


def timeraw_import_estimator():
    return IMPORT_ESTIMATOR


def timeraw_import_scikit_learn():
    """The floor of the two around it."""
    return IMPORT_SCIKIT_LEARN


def timeraw_first_fit():
    return FIRST_FIT
