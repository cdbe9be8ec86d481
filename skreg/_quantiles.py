"""What quantile levels are, and how a fitted model tells its own: shared by the estimators and the metrics."""

import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from skreg._backend import get_namespace_and_device, to_numpy

_SAME_LEVEL = 1e-6  # levels nearer than this are one: a level may have been through float32


def check_levels(quantiles, name):
    """Valid levels as an array of shape (n_levels,)."""
    try:
        levels = np.atleast_1d(np.asarray(quantiles, dtype=np.float64))
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be a level or a sequence of levels; got {quantiles!r}.") from None
    if levels.ndim != 1 or len(levels) == 0:
        raise ValueError(f"{name} must be a level or a non-empty sequence of levels; got shape {levels.shape}.")
    if not ((levels > 0) & (levels < 1)).all():
        raise ValueError(f"{name} must be strictly between 0 and 1; got {quantiles!r}.")
    if (np.diff(levels) <= 0).any():
        raise ValueError(f"{name} must have levels that increase; got {quantiles!r}.")
    return levels


def central_level(levels):
    """Place of the level nearest to 0.5, the lower one of two."""
    return int(np.argmin(np.round(np.abs(levels - 0.5), 12)))


def are_symmetric(levels):
    """Whether 1 - tau is a level wherever tau is."""
    return bool(np.allclose(levels + levels[::-1], 1.0, rtol=0, atol=_SAME_LEVEL))


def same_level(a, b):
    """Whether levels are equal but for rounding; elementwise."""
    return np.abs(np.asarray(a) - b) <= _SAME_LEVEL


def columns_of(wanted, levels, owner):
    """Places of the levels `wanted` among `levels`, those of `owner`; an error where one is missing."""
    match = same_level(np.asarray(wanted)[:, None], np.asarray(levels))
    if not match.any(axis=1).all():
        missing = np.asarray(wanted)[~match.any(axis=1)]
        raise ValueError(f"{owner} predicts the levels {np.asarray(levels).tolist()}, and not {missing.tolist()}.")
    return match.argmax(axis=1)


def at_levels(bands, levels, quantiles):
    """Predictions at the levels `quantiles`, linearly interpolated between the `levels` of the columns of `bands`.

    None leaves them as they are; levels outside the range of `levels` are an error.
    """
    if quantiles is None:
        return bands
    wanted = check_levels(quantiles, "quantiles")
    if wanted[0] < levels[0] - _SAME_LEVEL or wanted[-1] > levels[-1] + _SAME_LEVEL:
        raise ValueError(
            f"quantiles must be between the lowest and the highest level of the model, {levels[0]:.6g} and "
            f"{levels[-1]:.6g}; got {wanted.tolist()}."
        )
    mix = np.stack([np.interp(wanted, levels, unit) for unit in np.eye(len(levels))])
    xp, _, device = get_namespace_and_device(bands)
    return bands @ xp.asarray(mix, dtype=bands.dtype, device=device)


def model_levels(model):
    """Levels that a fitted model predicts: its `quantiles_`, or the parameter `quantiles` or `quantile`."""
    model, _ = final_model(model)
    for name in ("quantiles_", "quantiles", "quantile"):
        levels = getattr(model, name, None)
        if levels is not None:
            return check_levels(to_numpy(levels) if hasattr(levels, "dtype") else levels, name)
    raise ValueError(
        f"{type(model).__name__} does not tell its quantile levels: it needs an attribute quantiles_, or a parameter "
        "quantiles or quantile."
    )


def predict_quantiles(model, X):
    """Predictions of a fitted model at its levels, of shape (n_samples, n_quantiles), as a NumPy array.

    That is its `predict_quantiles`, or its `predict` as the only column.
    """
    model, X = final_model(model, X)
    method = model.predict_quantiles if hasattr(model, "predict_quantiles") else model.predict
    predictions = to_numpy(method(X))
    return predictions[:, None] if predictions.ndim == 1 else predictions


def final_model(model, X=None):
    """The model within fitted pipelines, searches and frozen estimators, and X as it reaches that model.

    These do not hand `predict_quantiles` on.
    """
    while True:
        if isinstance(model, FrozenEstimator):
            model = model.estimator
        elif isinstance(model, Pipeline):
            X = X if X is None or len(model) == 1 else model[:-1].transform(X)
            model = model[-1]
        elif hasattr(model, "best_estimator_") and not hasattr(model, "predict_quantiles"):
            model = model.best_estimator_
        else:
            return model, X
