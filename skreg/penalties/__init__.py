"""Penalties: one file each, found by name through `get_penalty`.

A new penalty is one file and one line in `PENALTIES`; the contract tests then cover it.
"""

import warnings
from importlib import import_module

from skreg.penalties._base import Params, SeparablePenalty, restrict
from skreg.penalties._cel0 import CEL0
from skreg.penalties._elastic_net import ElasticNet
from skreg.penalties._group import GroupPenalty, RadialPenalty, SparseGroup
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
    "Exclusive",
    "Fused",
    "GroupPenalty",
    "LogSum",
    "Lq",
    "Params",
    "RadialPenalty",
    "SeparablePenalty",
    "Slope",
    "SparseGroup",
    "Structure",
    "StructuredPenalty",
    "get_penalty",
    "restrict",
]

_HOME = {  # at first use, as these load scipy
    "Exclusive": "skreg.penalties._exclusive",
    "Fused": "skreg.penalties._fused",
    "Slope": "skreg.penalties._slope",
    "Structure": "skreg.penalties._structured",
    "StructuredPenalty": "skreg.penalties._structured",
}
PENALTIES = {penalty.name: penalty for penalty in (L1, ElasticNet, MCP, SCAD, L0, CEL0, LogSum, Lq)}


def __getattr__(name):
    if name not in _HOME:
        raise AttributeError(f"module 'skreg.penalties' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def get_penalty(penalty, **shape):
    """Penalty object for a name, or the object itself.

    Parameters
    ----------
    penalty : str or SeparablePenalty
        One of the names in `PENALTIES`, or an object, which is returned as it is.
    **shape
        Shape parameters (`gamma`, `q`, `eps`, `l1_ratio`) for a penalty given by name; None leaves one at its default.

    Returns
    -------
    SeparablePenalty

    Raises
    ------
    ValueError
        If `penalty` is neither.

    Warns
    -----
    UserWarning
        For each shape parameter that is set and not used: one that the named penalty does not have, or any beside an
        object.

    Examples
    --------
    >>> from skreg.penalties import get_penalty
    >>> get_penalty("mcp", gamma=2.5, q=None)
    MCP(gamma=2.5)
    """
    unused = {name: value for name, value in shape.items() if value is not None}
    if isinstance(penalty, SeparablePenalty):
        found, reason = penalty, "which has its own parameters"
    elif isinstance(penalty, str) and penalty in PENALTIES:
        kind, reason = PENALTIES[penalty], "which has no such parameter"
        found = kind(**{name: unused.pop(name) for name in kind._parameter_names() if name in unused})
    else:
        raise ValueError(f"penalty must be a penalty object or one of {list(PENALTIES)}; got {penalty!r}.")
    for name, value in unused.items():
        warnings.warn(f"{name}={value!r} is not used by penalty={penalty!r}, {reason}.", stacklevel=2)
    return found
