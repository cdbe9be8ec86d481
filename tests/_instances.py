"""Every public estimator, found by introspection, in the settings that the common checks and contracts run it in."""

import inspect

from sklearn.base import BaseEstimator

import skreg
from skreg.losses import Huber, Tweedie

CLASSES = [
    value
    for name in sorted(skreg.__all__)
    if inspect.isclass(value := getattr(skreg, name)) and issubclass(value, BaseEstimator)
]

SMALL = dict(alpha=1e-3, tol=1e-10)  # coefficients are not zero here; at alpha=1 most checks see an empty model

EXTRA = {
    "Lasso": [
        dict(standardize=True),
        dict(positive=True),
        dict(fit_intercept=False),
        dict(warm_start=True),
        dict(lower=-100.0, upper=50.0),
    ],
    "ElasticNet": [dict(l1_ratio=0.1), dict(l1_ratio=0.0), dict(standardize=True, positive=True)],
    "AdaptiveLasso": [dict(gamma=2.0, standardize=True), dict(pilot=skreg.Lasso(alpha=1e-2, tol=1e-10))],
    "SparseRegressor": [
        dict(loss="huber"),
        dict(loss=Huber(delta=0.5), standardize=True),
        dict(loss="poisson"),
        dict(loss="gamma"),
        dict(loss="tweedie"),
        dict(loss=Tweedie(power=1.7), penalty="elastic_net"),
        dict(penalty="elastic_net", l1_ratio=0.3),
        dict(penalty="mcp"),
        dict(penalty="scad"),
        dict(penalty="l0"),
        dict(penalty="cel0"),
        dict(penalty="log_sum"),
        dict(penalty="lq"),
        dict(loss="huber", penalty="mcp", standardize=True),
        dict(loss="poisson", positive=True),
    ],
    "SparseClassifier": [
        dict(loss="multinomial"),
        dict(loss="squared_hinge"),
        dict(penalty="elastic_net", standardize=True),
        dict(penalty="mcp"),
        dict(penalty="scad"),
        dict(class_weight="balanced"),
        dict(fit_intercept=False),
    ],
}


def instances():
    """Each class at its defaults, at a small alpha with a tight tolerance, and there in more settings."""
    for cls in CLASSES:
        yield cls()
        yield cls(**SMALL)
        for extra in EXTRA.get(cls.__name__, []):
            yield cls(**SMALL, **extra)
