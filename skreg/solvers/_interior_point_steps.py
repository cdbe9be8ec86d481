"""What the interior point does row by row: in any array namespace, or by compiled loops over NumPy arrays."""

from typing import Any, NamedTuple

import numpy as np

from skreg.kernels import _interior_point as loops
from skreg.kernels._specialize import is_loaded_or_pays, specialize

_TINY = 1e-300  # in place of slacks that are zero in floating point


class Target(NamedTuple):
    """What u zu and v zv are to change by, what that means for residuals, and that times the rows' weights."""

    ru: Any
    rv: Any
    g: Any
    pulled: Any


class RowStep(NamedTuple):
    """A direction for the rows' part of a `Point`, and the largest rates (n_levels, 1) at which slacks go to zero."""

    u: Any
    v: Any
    d: Any
    fastest_p: Any
    fastest_d: Any


def row_steps(point, n_coef, xp):
    """`ByLoops` for NumPy arrays on which compiled loops pay, else `ByArrays`."""
    if xp is np and is_loaded_or_pays(point.u.size * n_coef):
        return ByLoops()
    return ByArrays(xp)


class ByArrays:
    """In an array namespace."""

    def __init__(self, xp):
        self.xp = xp

    def primal_gap(self, point, r):
        """Primal infeasibilities; by level the gap, and what the infeasibilities may change of the objective."""
        primal = r - point.u + point.v
        gap = self._sum(point.u * point.zu) + self._sum(point.v * point.zv)
        return primal, gap, self._sum(self.xp.abs(point.d * primal))

    def weights(self, point):
        """The rows' weights Q in the normal equations."""
        return 1.0 / (point.u / point.zu + point.v / point.zv)

    def target(self, point, Q, primal, mu=None, newton=None):
        """Newton's target, or with `mu` and a first step the one that corrects it."""
        u, v, zu, zv = point.u, point.v, point.zu, point.zv
        if newton is None:
            ru, rv = -u * zu, -v * zv
        else:
            ru, rv = mu - u * zu + newton.u * newton.d, mu - v * zv - newton.v * newton.d
        g = ru / zu - rv / zv - primal
        return Target(ru, rv, g, Q * g)

    def step(self, point, Q, target, across):
        """The step to a target, where the rows' predictions change by `across`."""
        xp = self.xp
        d = -Q * (across + target.g)
        du, dv = (target.ru + point.u * d) / point.zu, (target.rv - point.v * d) / point.zv
        u, v = (xp.maximum(part, _TINY + xp.zeros_like(part)) for part in (point.u, point.v))
        fastest_p = xp.maximum(self._max(-du / u), self._max(-dv / v))
        fastest_d = xp.maximum(self._max(d / point.zu), self._max(-d / point.zv))
        return RowStep(du, dv, d, fastest_p, fastest_d)

    def gap_ahead(self, point, step, length_p, length_d):
        """The gap after a step, by level."""
        ahead = self._sum((point.u + length_p * step.u) * (point.zu - length_d * step.d))
        return ahead + self._sum((point.v + length_p * step.v) * (point.zv + length_d * step.d))

    def move(self, point, step, length_p, length_d):
        """Make the step."""
        point.u = point.u + length_p * step.u
        point.v = point.v + length_p * step.v
        point.d = point.d + length_d * step.d
        point.zu = point.zu - length_d * step.d
        point.zv = point.zv + length_d * step.d

    def _sum(self, a):
        return self.xp.sum(a, axis=1, keepdims=True)

    def _max(self, a):
        return self.xp.max(a, axis=1, keepdims=True)


class ByLoops:
    """By compiled loops, with the methods of `ByArrays`; a point moves in place."""

    def primal_gap(self, point, r):
        """See `ByArrays`."""
        primal, gap, by_primal = np.empty_like(r), np.empty((len(r), 1)), np.empty((len(r), 1))
        _compiled(loops.primal_gap)(point.u, point.v, point.d, point.zu, point.zv, r, primal, gap, by_primal)
        return primal, gap, by_primal

    def weights(self, point):
        """See `ByArrays`."""
        Q = np.empty_like(point.u)
        _compiled(loops.row_weights)(point.u, point.v, point.zu, point.zv, Q)
        return Q

    def target(self, point, Q, primal, mu=None, newton=None):
        """See `ByArrays`."""
        target = Target(*(np.empty_like(Q) for _ in range(4)))
        first = newton is None
        du, dv, dd = (point.u,) * 3 if first else (newton.u, newton.v, newton.d)
        mu = np.zeros((len(Q), 1)) if first else np.zeros((len(Q), 1)) + mu
        _compiled(loops.row_target)(point.u, point.v, point.zu, point.zv, primal, Q, mu, du, dv, dd, not first, *target)
        return target

    def step(self, point, Q, target, across):
        """See `ByArrays`."""
        m = len(Q)
        step = RowStep(np.empty_like(Q), np.empty_like(Q), np.empty_like(Q), np.empty((m, 1)), np.empty((m, 1)))
        ru, rv, g, _ = target
        _compiled(loops.row_step)(point.u, point.v, point.zu, point.zv, Q, ru, rv, g, across, *step)
        return step

    def gap_ahead(self, point, step, length_p, length_d):
        """See `ByArrays`."""
        ahead = np.empty_like(length_p)
        parts = point.u, point.v, point.zu, point.zv, step.u, step.v, step.d
        _compiled(loops.gap_ahead)(*parts, length_p, length_d, ahead)
        return ahead

    def move(self, point, step, length_p, length_d):
        """See `ByArrays`."""
        parts = point.u, point.v, point.d, point.zu, point.zv, step.u, step.v, step.d
        _compiled(loops.move_rows)(*parts, length_p, length_d)


def _compiled(loop):
    return specialize(loop, fastmath=("reassoc", "contract"))
