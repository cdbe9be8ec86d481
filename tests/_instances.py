"""Every public estimator, found by introspection, in the settings that the common checks and contracts run it in."""

import inspect

import numpy as np
from scipy.stats import norm
from sklearn.base import BaseEstimator, clone, is_classifier
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.linear_model import BayesianRidge

import skreg
from skreg.losses import Huber, Tweedie

PUBLIC = [
    value
    for name in sorted(skreg.__all__)
    if inspect.isclass(value := getattr(skreg, name)) and issubclass(value, BaseEstimator)
]

# Searches choose alpha: tests/model_selection holds their contracts.
SEARCHES = [cls for cls in PUBLIC if cls.__module__.startswith("skreg.model_selection")]
# Models around other models that predict quantiles: tests/quantile holds their contracts.
AROUND = [cls for cls in PUBLIC if cls.__module__.startswith("skreg.quantile") and "alpha" not in vars(cls())]
CLASSES = [cls for cls in PUBLIC if cls not in SEARCHES + AROUND]

# These take a 2-D y alone.
MULTI_TASK = [cls for cls in CLASSES if not cls().__sklearn_tags__().target_tags.single_output]

# tests/group/test_group_shared.py runs the contracts on these, with groups of several kinds.
GROUPED = [skreg.GroupLasso, skreg.GroupLassoClassifier, skreg.SparseGroupLasso, skreg.SparseGroupLassoClassifier]

SMALL = dict(alpha=1e-3, tol=1e-10)  # coefficients are not zero here; at alpha=1 most checks see an empty model

# Non-convex penalties drive coefficients along nearly doubled columns (float32 data) to 1e5, where rounding alone
# leaves a violation of 1e-9.
LOCAL = dict(tol=1e-8)

EXTRA = {
    "Lasso": [
        dict(standardize=True),
        dict(positive=True),
        dict(fit_intercept=False),
        dict(warm_start=True),
        dict(lower=-100.0, upper=50.0),
    ],
    "ElasticNet": [dict(l1_ratio=0.1), dict(l1_ratio=0.0), dict(standardize=True, positive=True)],
    "MultiTaskLasso": [dict(standardize=True), dict(fit_intercept=False), dict(warm_start=True)],
    "MultiTaskElasticNet": [dict(l1_ratio=0.1), dict(l1_ratio=0.0, standardize=True)],
    "QuantileRegressor": [
        dict(quantile=[0.2, 0.5, 0.7]),
        dict(quantile=0.8, penalty="elastic_net", standardize=True),
        dict(quantile=[0.3, 0.6], non_crossing="rows"),
        dict(quantile=[0.3, 0.6], non_crossing="box"),
        dict(positive=True),
        dict(fit_intercept=False),
        dict(penalty="group_lasso"),
        dict(penalty="group_lasso", groups=[[0]], group_weights=0.5, standardize=True),
        dict(quantile=[0.3, 0.6], penalty="sparse_group_lasso", groups=[[0]], l1_ratio=0.3),
        dict(penalty="mcp"),
        dict(penalty="scad", standardize=True),
        dict(penalty="group_mcp"),
        dict(quantile=[0.3, 0.6], penalty="group_scad", groups=[[0]]),
    ],
    "ConformalQuantileRegressor": [
        dict(method="cv+", cv=3),
        dict(estimator=skreg.QuantileRegressor(**SMALL), quantiles=[0.2, 0.8], calibration_size=0.5),
        dict(estimator=BayesianRidge(), quantiles=[0.3, 0.6], per_level=True),
        dict(estimator=GradientBoostingRegressor(loss="quantile", n_estimators=20, random_state=0)),
    ],
    "SlopeRegressor": [
        dict(lambdas="oscar", standardize=True),
        dict(loss="huber"),
        dict(loss="poisson", warm_start=True),
        dict(fit_intercept=False),
    ],
    "FusedLasso": [
        dict(l1_ratio=0.3),
        dict(loss="huber", l1_ratio=0.5, standardize=True),
        dict(loss="gamma", l1_ratio=0.1),
        dict(edges=[], l1_ratio=1.0, warm_start=True),
    ],
    "ExclusiveLasso": [dict(groups=1, standardize=True), dict(loss="poisson"), dict(loss="huber", fit_intercept=False)],
    "GroupLasso": [
        dict(standardize=True),
        dict(penalty="group_elastic_net", l1_ratio=0.3, warm_start=True),
        dict(penalty="group_mcp", **LOCAL),
        dict(penalty="group_scad", loss="huber", standardize=True, **LOCAL),
        dict(loss="huber", fit_intercept=False),
        dict(loss="poisson"),
        dict(loss="gamma"),
        dict(loss=Tweedie(power=1.7)),
        dict(group_weights=2.0),
        dict(groups=[[0]]),
    ],
    "SparseGroupLasso": [
        dict(l1_ratio=0.0, standardize=True),
        dict(l1_ratio=1.0),
        dict(loss="poisson", warm_start=True),
    ],
    "GroupLassoClassifier": [  # no penalty that levels off, as with SparseClassifier
        dict(loss="multinomial"),
        dict(loss="multinomial", multinomial="ungrouped"),
        dict(loss="squared_hinge"),
        dict(penalty="group_elastic_net", standardize=True),
        dict(class_weight="balanced"),
    ],
    "SparseGroupLassoClassifier": [dict(loss="multinomial", warm_start=True), dict(l1_ratio=0.1, standardize=True)],
    "SqrtLasso": [
        dict(alpha="pivotal"),
        dict(standardize=False, warm_start=True),
        dict(positive=True),
        dict(fit_intercept=False),
        dict(alpha=0.0),
    ],
    "AdaptiveLasso": [dict(gamma=2.0, standardize=True), dict(pilot=skreg.Lasso(alpha=1e-2, tol=1e-10))],
    "SparseRegressor": [
        dict(loss="huber"),
        dict(loss=Huber(delta=0.5), standardize=True),
        dict(loss="poisson"),
        dict(loss="gamma"),
        dict(loss="tweedie"),
        dict(loss=Tweedie(power=1.7), penalty="elastic_net"),
        dict(penalty="elastic_net", l1_ratio=0.3),
        dict(penalty="mcp", **LOCAL),
        dict(penalty="scad", **LOCAL),
        dict(penalty="l0", **LOCAL),
        dict(penalty="cel0", **LOCAL),
        dict(penalty="log_sum", **LOCAL),
        dict(penalty="lq", **LOCAL),
        dict(loss="huber", penalty="mcp", standardize=True, **LOCAL),
        dict(loss="poisson", positive=True),
    ],
    "SparseClassifier": [  # no penalty that levels off: on separable blobs it has no optimum
        dict(loss="multinomial"),
        dict(loss="squared_hinge"),
        dict(penalty="elastic_net", standardize=True),
        dict(class_weight="balanced"),
    ],
}


BASES = [("linear", skreg.QuantileRegressor(penalty=None)), ("normal", BayesianRidge())]
QUICK = {"QuantileAggregator": dict(estimators=BASES, quantiles=[0.25, 0.5, 0.75], cv=2)}
EXTRA["QuantileAggregator"] = [
    dict(QUICK["QuantileAggregator"], resolution="coarse", locality="features", intercept=True),
    dict(QUICK["QuantileAggregator"], resolution="medium", locality="partition", isotonize="minmax", shrinkage=0.1),
    dict(QUICK["QuantileAggregator"], conformal="split", shrinkage=0.1),
    dict(QUICK["QuantileAggregator"], conformal="cv+", cv=3, resolution="coarse"),
    dict(QUICK["QuantileAggregator"], resolution="coarse", locality="softmax", random_state=0),
    dict(
        QUICK["QuantileAggregator"],
        locality="mlp",
        shrinkage=0.01,
        network_params=dict(hidden_layer_sizes=(8, 4), dropout=0.1, max_steps=100),
        random_state=0,
    ),
]


def instances():
    """Each class at its defaults, at a small alpha with a tight tolerance, and there in more settings."""
    for cls in CLASSES:
        yield cls()
        yield cls(**SMALL)
        for extra in EXTRA.get(cls.__name__, []):
            yield cls(**{**SMALL, **extra})
    for cls in AROUND:
        yield cls(**QUICK.get(cls.__name__, {}))
        for extra in EXTRA.get(cls.__name__, []):
            yield cls(**extra)
    for cls in SEARCHES:
        takes = inspect.signature(cls).parameters
        short = {name: value for name, value in dict(alphas=8, cv=3, n_pairs=5).items() if name in takes}
        if "n_pairs" in takes:
            del short["cv"]  # takes no number there
        if "estimator" in takes:
            yield cls(skreg.Lasso(), **short)
            yield cls(skreg.SparseClassifier(tol=1e-10), **short)
        else:
            yield cls(**short)
            yield cls(tol=1e-10, **short)


TIGHT = dict(tol=1e-12)
CONTRACTED = [  # what the contracts run on: every class, loss and kind of penalty
    skreg.Lasso(alpha=0.05, **TIGHT),
    skreg.Lasso(alpha=0.05, standardize=True, positive=True, **TIGHT),
    skreg.ElasticNet(alpha=0.05, l1_ratio=0.7, **TIGHT),
    skreg.AdaptiveLasso(alpha=0.05, **TIGHT),
    skreg.SqrtLasso(alpha=0.1, **TIGHT),
    skreg.SparseRegressor(penalty="mcp", alpha=0.05, **TIGHT),
    skreg.SparseRegressor(loss="huber", alpha=0.03, **TIGHT),
    skreg.SparseRegressor(loss="poisson", alpha=0.05, standardize=True, **TIGHT),
    skreg.SparseRegressor(loss="gamma", penalty="elastic_net", alpha=0.05, **TIGHT),
    skreg.SparseRegressor(loss="tweedie", alpha=0.05, **TIGHT),
    skreg.SparseClassifier(alpha=0.03, **TIGHT),
    skreg.SparseClassifier(loss="multinomial", alpha=0.02, standardize=True, **TIGHT),
    skreg.SparseClassifier(loss="squared_hinge", alpha=0.03, class_weight="balanced", **TIGHT),
    skreg.QuantileRegressor(quantile=0.4, alpha=0.02, **TIGHT),
    skreg.MultiTaskLasso(alpha=0.05, **TIGHT),
    skreg.MultiTaskElasticNet(alpha=0.05, l1_ratio=0.7, standardize=True, **TIGHT),
    skreg.SlopeRegressor(alpha=0.05, **TIGHT),
    skreg.FusedLasso(alpha=0.05, **TIGHT),
    skreg.FusedLasso(alpha=0.03, l1_ratio=0.5, loss="huber", **TIGHT),
    skreg.ExclusiveLasso(groups=2, alpha=0.05, **TIGHT),
]


def adapted(estimator, **params):
    """A clone with those of the parameters that it has."""
    return clone(estimator).set_params(**{k: v for k, v in params.items() if k in estimator.get_params(deep=False)})


def on_columns(estimator, origin):
    """A clone whose penalty treats column j as `estimator` treats column origin[j] of 8; those of origin -1 are new.

    Copies of the 8 columns are given one after another.
    """
    origin, other = np.asarray(origin), clone(estimator)
    if isinstance(other, skreg.FusedLasso):
        places = [np.flatnonzero(origin == k) for k in range(8)]
        other.edges = [pair for pairs in map(zip, places, places[1:]) for pair in pairs]
    elif isinstance(other, skreg.ExclusiveLasso):
        other.groups = [f"new{j}" if k < 0 else str(k // estimator.groups) for j, k in enumerate(origin)]
    elif isinstance(other, skreg.SlopeRegressor):
        lambdas = norm.isf(0.1 * np.arange(1, 9) / 16)
        other.lambdas = np.append(lambdas, np.full(len(origin) - 8, lambdas[-1]))
    return other


def label(estimator):
    """Short name of a setting, for test ids."""
    changed = {k: v for k, v in estimator.get_params(deep=False).items() if k in {"loss", "penalty", "standardize"}}
    words = [str(v) for v in changed.values() if v is not False and v not in {"l1", "squared"}]
    return "-".join([type(estimator).__name__, *["standardized" if w == "True" else w for w in words]])


def least_df(estimator):
    """Coefficients that are not zero at the largest alpha of a path."""
    if isinstance(estimator, skreg.ExclusiveLasso):
        return 4  # no alpha empties it: the grid begins where each of the four groups has one feature
    return 8 if isinstance(estimator, skreg.FusedLasso) and estimator.l1_ratio == 0 else 0  # all of them, equal


def make_data(estimator, n_samples=40, n_features=8, seed=0):
    """Data that suits the estimator, with three features that matter."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_samples, n_features)) * np.linspace(0.5, 2.0, n_features)
    X[rng.random(X.shape) < 0.3] = 0.0
    eta = 0.3 + X[:, :3] @ np.array([1.0, -0.8, 0.5][: min(3, n_features)])
    loss = getattr(estimator, "loss", "squared")
    if is_classifier(estimator):
        y = (eta + rng.logistic(size=n_samples) > 0).astype(int)
        if loss == "multinomial":
            y = y + (X[:, -1] + 0.5 * rng.standard_normal(n_samples) > 0.5)
        return X, y
    if loss in {"poisson", "tweedie"}:
        return X, rng.poisson(np.exp(0.5 * eta)).astype(float)
    if loss == "gamma":
        return X, np.exp(0.5 * eta) * rng.gamma(3.0, size=n_samples)
    if type(estimator) in MULTI_TASK:
        return X, np.c_[eta, -0.5 * eta, X[:, 0]] + 0.5 * rng.standard_normal((n_samples, 3))
    return X, eta + 0.5 * rng.standard_normal(n_samples)
