"""Losses: convex functions of the linear predictor. One file a loss; adding one is a file and a line in LOSSES."""

from skreg.losses._base import Loss
from skreg.losses._gamma import Gamma
from skreg.losses._huber import Huber
from skreg.losses._logistic import Logistic
from skreg.losses._multinomial import Multinomial
from skreg.losses._poisson import Poisson
from skreg.losses._squared import Squared
from skreg.losses._squared_hinge import SquaredHinge
from skreg.losses._tweedie import Tweedie

__all__ = [
    "LOSSES",
    "Gamma",
    "Huber",
    "Logistic",
    "Loss",
    "Multinomial",
    "Poisson",
    "Squared",
    "SquaredHinge",
    "Tweedie",
    "get_loss",
]

LOSSES = {loss.name: loss for loss in (Squared, Huber, Logistic, Multinomial, Poisson, Gamma, Tweedie, SquaredHinge)}


def get_loss(loss):
    """Loss object for a name or a loss object.

    Parameters
    ----------
    loss : str or Loss
        A key of `LOSSES`, which stands for that loss with its default parameters, or a loss, returned as it is.

    Returns
    -------
    Loss
        The loss.

    Examples
    --------
    >>> from skreg.losses import get_loss
    >>> get_loss("huber")
    Huber(delta=1.35)
    """
    if isinstance(loss, Loss):
        return loss
    if isinstance(loss, str) and loss in LOSSES:
        return LOSSES[loss]()
    raise ValueError(f"loss must be one of {', '.join(map(repr, LOSSES))} or a Loss object; got {loss!r}.")
