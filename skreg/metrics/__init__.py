"""Scores of predicted quantiles and intervals."""

from importlib import import_module

_HOME = {
    "coverage": "skreg.metrics._interval",
    "crossing_rate": "skreg.metrics._quantile",
    "crps": "skreg.metrics._quantile",
    "interval_score": "skreg.metrics._interval",
    "interval_width": "skreg.metrics._interval",
    "make_quantile_scorer": "skreg.metrics._scorer",
    "mean_pinball_loss": "skreg.metrics._quantile",
    "quantile_coverage": "skreg.metrics._quantile",
    "weighted_interval_score": "skreg.metrics._quantile",
}

__all__ = [  # noqa: F822 - at first use
    "coverage",
    "crossing_rate",
    "crps",
    "interval_score",
    "interval_width",
    "make_quantile_scorer",
    "mean_pinball_loss",
    "quantile_coverage",
    "weighted_interval_score",
]


def __getattr__(name):
    if name not in _HOME:
        raise AttributeError(f"module 'skreg.metrics' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
