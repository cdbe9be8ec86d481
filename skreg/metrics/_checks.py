"""Checks of the metrics' arguments, and their weighted mean."""

import numpy as np

from skreg._backend import is_array, to_numpy


def as_vector(values, name, n_samples=None, infinite=False):
    """`values` as a float array of shape (n_samples,) without NaN."""
    values = _as_floats(values, name, infinite)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1 or len(values) == 0:
        raise ValueError(f"{name} must have shape (n_samples,), with a sample at least; got {values.shape}.")
    if n_samples is not None and len(values) != n_samples:
        raise ValueError(f"{name} must have as many samples as y_true, {n_samples}; got {len(values)}.")
    return values


def as_quantiles(y_quantiles, n_samples=None, n_levels=None):
    """Predicted quantiles as a float array of shape (n_samples, n_quantiles); infinite ones are allowed."""
    q = _as_floats(y_quantiles, "y_quantiles", infinite=True)
    if n_levels == 1 and q.ndim == 1:
        q = q[:, None]
    if q.ndim != 2 or 0 in q.shape:
        raise ValueError(f"y_quantiles must have shape (n_samples, n_quantiles); got {q.shape}.")
    if n_samples is not None and len(q) != n_samples:
        raise ValueError(f"y_quantiles must have as many rows as y_true, {n_samples}; got {len(q)}.")
    if n_levels is not None and q.shape[1] != n_levels:
        raise ValueError(f"y_quantiles must have a column for each of the {n_levels} levels; got {q.shape[1]}.")
    return q


def weighted_mean(values, sample_weight):
    """Mean over samples, the first axis; rows of weight 0 count for nothing, whatever they hold."""
    if sample_weight is None:
        return values.mean(axis=0)
    weight = as_vector(sample_weight, "sample_weight", len(values))
    if (weight < 0).any() or not weight.any():
        raise ValueError("sample_weight must be non-negative, and not zero throughout.")
    kept = weight > 0
    return np.average(values[kept], weights=weight[kept], axis=0)


def _as_floats(values, name, infinite):
    try:
        values = to_numpy(values) if is_array(values) else values
        values = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be an array of numbers; got {type(values).__name__}.") from None
    if np.isnan(values).any() or not (infinite or np.isfinite(values).all()):
        raise ValueError(f"{name} must not have NaN{'' if infinite else ' or infinity'}.")
    return values
