r"""Interior point for quantile losses with Euclidean norms of groups of coefficients.

    minimise over b:   sum_i psi_i(y_i - z_i . b) + sum_g radius_g ||b_g||

    psi_i(r) = high_i max(r, 0) + low_i max(-r, 0)

The rows are those of `_interior_point`, absolute values of single coordinates among them. Each norm is a bound t_g of
it, (t_g, b_g) in the second-order cone, beside the dual variable (radius_g, s_g) in the same cone; optimal are

    y - Z b = u - v,     Z'd + s = 0,     u zu = 0,     v zv = 0,     (t_g, b_g) o (radius_g, s_g) = 0,

with s zero off the groups and o the Jordan product. In the scaling of Nesterov and Todd, in which both points of a cone
are one, Newton's step adds to the normal equations a diagonal and a matrix of rank one for each group.

References
----------
Y. Nesterov, M. Todd (1997). Self-scaled barriers and interior-point methods for convex programming. Mathematics of
Operations Research 22(1).
L. Vandenberghe (2010). The CVXOPT linear and quadratic cone program solvers. Sections 4 and 5.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg.lapack import dpotrf, dpotrs

_BACK = 0.99  # share of the way to the boundary; cones bear less than bounds
_STALLED = 1e-10  # length of a step below which there is no progress
_INFEASIBLE = 1e-8  # what infeasibilities may change of the objective, relative, where `tol` is less
_PATIENCE = 15  # steps in which the gap must have halved
_RIDGES = (1e-14, 1e-12, 1e-10, 1e-8, 1e-6)  # relative additions to the diagonal, tried until a factor exists
_REFINEMENTS = 2


class Cones:
    """Products and sums over groups of coefficients; a point of all cones is a pair: heads, one a group, and tails.

    Parameters
    ----------
    members : ndarray of int
        The coefficients that are in a group with a norm.
    group : ndarray of int, of the shape of `members`
        The number of each one's group.
    radius : ndarray of shape (n_groups,)
        Weight of each norm; positive.
    """

    def __init__(self, members, group, radius):
        self.members, self.group, self.radius = members, group, radius
        order = np.argsort(group, kind="stable")
        sizes = np.bincount(group, minlength=len(radius))
        first = np.cumsum(sizes) - sizes
        left = np.repeat(np.arange(len(group)), sizes[group[order]])  # all pairs of members of one group
        right = np.arange(len(left)) - np.repeat(
            np.cumsum(sizes[group[order]]) - sizes[group[order]], sizes[group[order]]
        )
        self.left, self.right = order[left], order[right + first[group[order[left]]]]

    def dot(self, a, b):
        """Inner products of tails."""
        return np.bincount(self.group, weights=a * b, minlength=len(self.radius))

    def spread(self, heads):
        """Heads, one a member."""
        return heads[self.group]

    def determinant(self, head, tail):
        """Square root of head^2 - |tail|^2; FloatingPointError where rounding leaves nothing of it."""
        norm = np.sqrt(self.dot(tail, tail))
        if not np.all(head > norm):
            raise FloatingPointError("a cone's point is on its boundary")
        return np.sqrt((head - norm) * (head + norm))

    def product(self, a, b):
        """Jordan product."""
        (a0, a1), (b0, b1) = a, b
        return a0 * b0 + self.dot(a1, b1), self.spread(a0) * b1 + self.spread(b0) * a1

    def quotient(self, a, r):
        """The x whose Jordan product with a is r."""
        (a0, a1), (r0, r1) = a, r
        x0 = (a0 * r0 - self.dot(a1, r1)) / self.determinant(a0, a1) ** 2
        return x0, (r1 - self.spread(x0) * a1) / self.spread(a0)

    def fastest(self, point, move):
        """The largest rate at which a cone's boundary comes nearer along `move`: one over the longest step."""
        if not len(self.radius):
            return 0.0
        (x0, x1), (d0, d1) = point, move
        c = self.determinant(x0, x1) ** 2
        b = x0 * d0 - self.dot(x1, d1)
        a = d0 * d0 - self.dot(d1, d1)
        return float(np.max((-b + np.sqrt(np.maximum(b * b - a * c, 0.0))) / c * (b * b >= a * c)))


class Scaling:
    """Nesterov and Todd's scaling W of pairs x, s within the cones: W s = x / W."""

    def __init__(self, cones, x, s):
        self.cones = cones
        size_x, size_s = cones.determinant(*x), cones.determinant(*s)
        x = x[0] / size_x, x[1] / cones.spread(size_x)
        s = s[0] / size_s, s[1] / cones.spread(size_s)
        half = np.sqrt(2.0 * (1.0 + x[0] * s[0] + cones.dot(x[1], s[1])))
        self.w1 = (x[1] - s[1]) / cones.spread(half)
        self.w0 = np.sqrt(1.0 + cones.dot(self.w1, self.w1))
        self.eta = np.sqrt(size_x / size_s)

    def times(self, a, sign=1.0):
        """W a, or a / W where `sign` is -1."""
        (a0, a1), cones, w1 = a, self.cones, sign * self.w1
        across = cones.dot(w1, a1)
        head = self.w0 * a0 + across
        tail = cones.spread(a0 + across / (1.0 + self.w0)) * w1 + a1
        size = self.eta**sign
        return size * head, cones.spread(size) * tail

    def add_to(self, block):
        """Add the second derivatives that the norms have in the normal equations."""
        cones = self.cones
        shrink = cones.spread(2.0 / (2.0 * self.w0**2 - 1.0) / self.eta**2)
        block[cones.members, cones.members] += cones.spread(self.eta**-2)
        left, right = cones.left, cones.right
        block[cones.members[left], cones.members[right]] -= shrink[left] * self.w1[left] * self.w1[right]

    def eliminate(self, q):
        """What the target q of the scaled complementarity adds to the right-hand side."""
        p0, p1 = self.times(q, -1.0)
        return p1 + self.cones.spread(2.0 * self.w0 / (2.0 * self.w0**2 - 1.0) * p0) * self.w1

    def head(self, q, tail):
        """The heads of the step in x that belongs to its tails."""
        p0, _ = self.times(q, -1.0)
        turned = self.cones.dot(self.w1, tail)
        return (p0 * self.eta**2 + 2.0 * self.w0 * turned) / (2.0 * self.w0**2 - 1.0)


@dataclass
class ConePoint:
    """Where the iteration is."""

    b: Any  # (n_coef,)
    u: Any  # (n_rows,), as v, d, zu, zv
    v: Any
    d: Any
    zu: Any
    zv: Any
    t: Any  # (n_groups,)
    s: Any  # (n_members,)
    n_iter: int = 0
    gap: float = float("inf")  # duality gap, relative to `scale`
    converged: bool = False


class _Step(NamedTuple):
    b: Any
    u: Any
    v: Any
    d: Any
    t: Any
    s: Any


def cone_interior_point(rows, y, high, low, cones, *, scale=1.0, tol=1e-8, max_iter=100, point=None):
    """Solve to a duality gap of `tol * scale`.

    Parameters
    ----------
    rows : Rows
        The rows z_i as a linear map: `apply`, `adjoint` and `gram` of one level.
    y, high, low : ndarrays of shape (n_rows,)
        Targets, and weights of positive and negative residuals.
    cones : Cones
        The norms.
    scale : float, default=1.0
        What the gap is measured against.
    tol : float, default=1e-8
        Relative duality gap to stop at.
    max_iter : int, default=100
        Largest number of Newton steps, those of `point` not counted.
    point : ConePoint, default=None
        Where to go on from; it is moved.

    Returns
    -------
    point : ConePoint
        The last iterate, with its relative gap and whether it converged.
    """
    core = _Core(rows, y, high, low, cones)
    point = core.start() if point is None else point
    point.converged = False
    seen: list[float] = []
    for _ in range(max_iter):
        primal, dual = core.infeasibilities(point)
        gap = float(point.u @ point.zu + point.v @ point.zv + np.sum(core.complementarity(point)))
        excess = float(np.abs(point.d * primal).sum() + (np.abs(point.b) + 1.0) @ np.abs(dual)) / scale
        point.gap = gap / scale
        if point.gap <= tol and excess <= max(_INFEASIBLE, 0.1 * tol):
            point.converged = True
            break
        seen.append(max(point.gap, excess))
        if len(seen) > _PATIENCE and min(seen[-_PATIENCE:]) > 0.5 * min(seen[:-_PATIENCE]):
            break
        try:
            step, length_p, length_d = core.step(point, primal, dual, gap)
        except FloatingPointError:  # too close to the boundary for the digits there are
            break
        if not min(length_p, length_d) > _STALLED:
            break
        core.move(point, step, length_p, length_d)
        point.n_iter += 1
    return point


class _Core:
    """The problem, and Newton's steps for it."""

    def __init__(self, rows, y, high, low, cones):
        self.rows, self.y, self.high, self.low, self.cones = rows, y, high, low, cones
        self.n_pairs = 2 * len(y) + len(cones.radius)

    def apply(self, b):
        return self.rows.apply(b[None, :])[0]

    def adjoint(self, d):
        return self.rows.adjoint(d[None, :])[0]

    def start(self):
        """Least squares for b; residuals a tenth of their mean away from zero, bounds as far as they; duals zero."""
        cones, weight = self.cones, self.high + self.low
        blocks, _ = self.rows.gram(weight[None, :])
        b = _solver(blocks[0])(self.adjoint(weight * self.y))
        r = self.y - self.apply(b)
        room = 0.1 * float(weight @ np.abs(r)) / float(weight.sum()) + 1e-6
        mu = 0.5 * room * float(weight.mean())
        tail = b[cones.members]
        t = np.sqrt(cones.dot(tail, tail)) + mu / cones.radius
        u, v = np.maximum(r, 0.0) + room, np.maximum(-r, 0.0) + room
        d, s = np.zeros(len(self.y)), np.zeros(len(cones.members))  # which are feasible
        return ConePoint(b, u, v, d, self.high, self.low, t, s)

    def infeasibilities(self, point):
        primal = self.y - self.apply(point.b) - point.u + point.v
        dual = self.adjoint(point.d)
        dual[self.cones.members] += point.s
        return primal, dual

    def complementarity(self, point):
        """The products t_g radius_g + b_g . s_g."""
        return self.cones.radius * point.t + self.cones.dot(point.b[self.cones.members], point.s)

    def step(self, point, primal, dual, gap):
        """Mehrotra's step: Newton's towards zero gap tells how far to aim, and corrects for its curvature."""
        u, v, zu, zv, cones = point.u, point.v, point.zu, point.zv, self.cones
        Q = 1.0 / (u / zu + v / zv)
        x, s = (point.t, point.b[cones.members]), (cones.radius, point.s)
        with np.errstate(invalid="ignore", divide="ignore"):
            scaling = Scaling(cones, x, s)
        if not np.all(np.isfinite(scaling.w0) & np.isfinite(scaling.eta) & (scaling.eta > 0)):
            raise FloatingPointError("a cone's point is on its boundary")
        blocks, _ = self.rows.gram(Q[None, :])
        scaling.add_to(blocks[0])
        solve = _solver(blocks[0])
        scaled = scaling.times(s)
        newton = self._direction(point, Q, scaling, solve, primal, dual, -u * zu, -v * zv, (-scaled[0], -scaled[1]))
        length_p, length_d = self._lengths(point, newton)
        mu = gap / self.n_pairs * (self._aimed(point, newton, length_p, length_d) / gap) ** 3
        ru = mu - u * zu + newton.u * newton.d
        rv = mu - v * zv - newton.v * newton.d
        zero = np.zeros(len(cones.radius))
        curved = cones.product(
            scaling.times((newton.t, newton.b[cones.members]), -1.0), scaling.times((zero, newton.s))
        )
        square = cones.product(scaled, scaled)
        q = cones.quotient(scaled, (mu - square[0] - curved[0], -square[1] - curved[1]))
        step = self._direction(point, Q, scaling, solve, primal, dual, ru, rv, q)
        return step, *self._lengths(point, step)

    def _direction(self, point, Q, scaling, solve, primal, dual, ru, rv, q):
        """Newton's step that brings u zu + ru, v zv + rv and the cones to first order; no infeasibility is left."""
        members = self.cones.members
        g = ru / point.zu - rv / point.zv - primal
        rhs = dual - self.adjoint(Q * g)
        rhs[members] += scaling.eliminate(q)
        b = solve(rhs)
        d = -Q * (self.apply(b) + g)
        t = scaling.head(q, b[members])
        ends = scaling.times((t, b[members]), -1.0)
        _, s = scaling.times((q[0] - ends[0], q[1] - ends[1]), -1.0)
        return _Step(b, (ru + point.u * d) / point.zu, (rv - point.v * d) / point.zv, d, t, s)

    def _lengths(self, point, step):
        """Longest primal and dual steps that keep all positive and in their cones."""
        cones = self.cones
        zero = np.zeros(len(cones.radius))
        x, dx = (point.t, point.b[cones.members]), (step.t, step.b[cones.members])
        fastest_p = max(np.max(-step.u / point.u), np.max(-step.v / point.v), cones.fastest(x, dx))
        fastest_d = max(np.max(step.d / point.zu), np.max(-step.d / point.zv))
        fastest_d = max(fastest_d, cones.fastest((cones.radius, point.s), (zero, step.s)))
        return _BACK / max(fastest_p, _BACK), _BACK / max(fastest_d, _BACK)

    def _aimed(self, point, step, length_p, length_d):
        """The gap after a step."""
        members = self.cones.members
        gap = (point.u + length_p * step.u) @ (point.zu - length_d * step.d)
        gap += (point.v + length_p * step.v) @ (point.zv + length_d * step.d)
        gap += self.cones.radius @ (point.t + length_p * step.t)
        return float(gap + (point.b + length_p * step.b)[members] @ (point.s + length_d * step.s))

    def move(self, point, step, length_p, length_d):
        for name in ("b", "u", "v", "t"):
            setattr(point, name, getattr(point, name) + length_p * getattr(step, name))
        for name in ("d", "s"):
            setattr(point, name, getattr(point, name) + length_d * getattr(step, name))
        point.zu = point.zu - length_d * step.d
        point.zv = point.zv + length_d * step.d


def _solver(matrix):
    """Solver of a positive semi-definite system; refinement makes up for what is added to its diagonal."""
    diagonal = np.diag(matrix)
    root = np.sqrt(np.maximum(diagonal, 1e-30 * diagonal.max()) + 1e-300)
    matrix = matrix / root[:, None] / root
    for extra in _RIDGES:
        lifted = matrix.copy(order="F")
        lifted.flat[:: len(root) + 1] += extra
        factor, failed = dpotrf(lifted, lower=1, overwrite_a=1, clean=0)
        if not failed and np.isfinite(np.diag(factor)).all():
            break
    else:
        raise FloatingPointError("the normal equations are not finite")

    def solve(rhs):
        rhs = rhs / root
        x = dpotrs(factor, rhs, lower=1)[0]
        for _ in range(_REFINEMENTS):
            x = x + dpotrs(factor, rhs - matrix @ x, lower=1)[0]
        return x / root

    return solve
