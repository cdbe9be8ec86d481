"""The kinds of weights that depend on the features: how they are fitted, and what they do not go with."""

from functools import partial
from numbers import Integral, Real

import numpy as np
from sklearn.utils import check_random_state

from skreg.quantile._local_weights import fit_by_features, fit_by_partition
from skreg.quantile._network_weights import fit_by_network

LOCALITIES = ("features", "partition", "softmax", "mlp")
NETWORK_PARAMS = dict(
    hidden_layer_sizes=(64,),
    dropout=0.0,
    learning_rate=0.005,
    weight_decay=1e-7,
    crossing_penalty=1.0,
    margin=0.01,
    max_steps=2000,
)

_OF_SOFTMAX = dict(hidden_layer_sizes=(), learning_rate=0.02)
_CONVEX = dict(constraint="convex", intercept=False, tau_groups=None, max_weight=None, max_nonzero=None)
_NOT_LOCAL = dict(  # settings that local weights could not hold
    features=dict(max_weight=None, max_nonzero=None),
    partition=dict(intercept=False, max_nonzero=None),
    softmax=_CONVEX,
    mlp=_CONVEX,
)
_VALID = dict(  # parameter of the network -> what it must be, and whether it is
    dropout=("a number from 0 on, below 1", lambda v: isinstance(v, Real) and 0 <= v < 1),
    learning_rate=("a positive number", lambda v: isinstance(v, Real) and 0 < v < np.inf),
    weight_decay=("a non-negative number", lambda v: isinstance(v, Real) and 0 <= v < np.inf),
    crossing_penalty=("a non-negative number", lambda v: isinstance(v, Real) and 0 <= v < np.inf),
    margin=("a non-negative number", lambda v: isinstance(v, Real) and 0 <= v < np.inf),
    max_steps=("a positive integer", lambda v: isinstance(v, Integral) and v >= 1),
    hidden_layer_sizes=(
        "a sequence of positive integers",
        lambda v: isinstance(v, list | tuple) and len(v) > 0 and all(isinstance(a, Integral) and a >= 1 for a in v),
    ),
)


def check_locality(estimator):
    """Reject the estimator's parameters where its local weights could not hold them."""
    for name, absent in _NOT_LOCAL.get(estimator.locality, {}).items():
        value = getattr(estimator, name)
        if np.ndim(value) > 0 or value != absent:
            raise ValueError(
                f"{name} must be {absent if absent is None else repr(absent)} with locality={estimator.locality!r}; "
                f"got {value!r}."
            )
    network_params(estimator.locality, estimator.network_params)


def network_params(locality, given):
    """All parameters of the network, by those given."""
    given = {} if given is None else given
    params = {**NETWORK_PARAMS, **(_OF_SOFTMAX if locality == "softmax" else {})}
    for name, value in given.items():
        if name not in params:
            raise ValueError(f"network_params must have names among {', '.join(NETWORK_PARAMS)}; got {name!r}.")
        what, is_valid = _VALID[name]
        if not is_valid(value):
            raise ValueError(f"network_params must have {what} as {name}; got {value!r}.")
    params |= given
    return {**params, "hidden_layer_sizes": ()} if locality == "softmax" else params


def local_fit(estimator, settings):
    """How the estimator's local weights are fitted: a function of forecasts and strengths of the shrinkage."""
    if estimator.locality in ("features", "partition"):
        fit = fit_by_features if estimator.locality == "features" else fit_by_partition
        return partial(fit, settings=settings)
    seed = int(check_random_state(estimator.random_state).randint(2**31 - 1))
    params = network_params(estimator.locality, estimator.network_params)
    return partial(fit_by_network, settings=settings, params=params, seed=seed)
