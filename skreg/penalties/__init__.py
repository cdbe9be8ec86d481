"""Penalties: one file each, found by name through `get_penalty`.

A new penalty is one file and one line in `PENALTIES`; the contract tests then cover it.
"""

from skreg.penalties._base import Params, SeparablePenalty, restrict
from skreg.penalties._cel0 import CEL0
from skreg.penalties._elastic_net import ElasticNet
from skreg.penalties._l0 import L0
from skreg.penalties._l1 import L1
from skreg.penalties._log_sum import LogSum
from skreg.penalties._lq import Lq
from skreg.penalties._mcp import MCP
from skreg.penalties._scad import SCAD

__all__ = [
    "CEL0",
    "L0",
    "L1",
    "MCP",
    "PENALTIES",
    "SCAD",
    "ElasticNet",
    "LogSum",
    "Lq",
    "Params",
    "SeparablePenalty",
    "get_penalty",
    "restrict",
]

PENALTIES = {penalty.name: penalty for penalty in (L1, ElasticNet, MCP, SCAD, L0, CEL0, LogSum, Lq)}


def get_penalty(penalty, **shape):
    """Penalty object for a name, or the object itself.

    Parameters
    ----------
    penalty : str or SeparablePenalty
        One of the names in `PENALTIES`, or an object, which is returned as it is.
    **shape
        Shape parameters (`gamma`, `q`, `eps`, `l1_ratio`) for a penalty given by name; those it does not have, and
        those that are None, are passed over.

    Returns
    -------
    SeparablePenalty

    Raises
    ------
    ValueError
        If `penalty` is neither.

    Examples
    --------
    >>> from skreg.penalties import get_penalty
    >>> get_penalty("mcp", gamma=2.5, q=None, l1_ratio=0.5)
    MCP(gamma=2.5)
    """
    if isinstance(penalty, SeparablePenalty):
        return penalty
    if not isinstance(penalty, str) or penalty not in PENALTIES:
        raise ValueError(f"penalty must be a penalty object or one of {list(PENALTIES)}; got {penalty!r}.")
    found = PENALTIES[penalty]
    accepted = found._parameter_names()
    return found(**{name: value for name, value in shape.items() if name in accepted and value is not None})
