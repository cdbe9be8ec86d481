"""A quantile problem at one level, its solution, and the certificate that ties the two together.

    minimise over b:   sum_i psi_i(y_i - z_i . b) + sum_j phi_j(b_j) + 1/2 sum_j ridge_j (b_j - centre_j)^2
    subject to         equality . b = total

    psi_i(r) = high_i max(r, 0) + low_i max(-r, 0)
    phi_j(b) = l1_j |b - centre_j|  where  lower_j <= b <= upper_j,  else infinite

With any d between -low and high, any nu, and z = Z'd - ridge (b - centre) - nu equality, Fenchel's inequality gives

    sum_i [psi_i(r_i) - d_i r_i] + sum_j [phi_j(b_j) + phi_j*(z_j) - z_j b_j]

as an upper bound of the objective's excess. No bracket is negative.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from skreg._backend import to_numpy
from skreg.solvers._interior_point import HUGE, Smooth
from skreg.solvers._interior_point_rows import Rows

_SLOPE_TOL = 1e-11  # of a coordinate's own weight, by which its slope may be beyond an end
_ROUNDING = 1e-14  # of the loss's slope, on top of that


@dataclass(frozen=True)
class QuantileProblem:
    """The problem above.

    Attributes
    ----------
    rows : DenseRows or DesignRows
        The rows z_i, with columns of size about one.
    y, high, low : arrays of shape (n_rows,)
        Targets, and weights of positive and negative residuals; targets of size about one.
    l1, centre, ridge, lower, upper : ndarrays of shape (n_coef,)
        The separable terms, on the host; lower < upper.
    equality : ndarray of shape (n_coef,) or None
        Coefficients of the equality.
    total : float
        Its right-hand side.
    scale : float
        Objective of the null model, against which gaps are measured.
    xp : module
        Array namespace of rows, y, high and low.
    """

    rows: Any
    y: Any
    high: Any
    low: Any
    l1: np.ndarray
    centre: np.ndarray
    ridge: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    equality: np.ndarray | None = None
    total: float = 0.0
    scale: float = 1.0
    xp: Any = np

    @property
    def n_rows(self):
        """Number of rows of the data."""
        return self.rows.shape[0]

    @property
    def n_coef(self):
        """Number of coefficients."""
        return self.rows.shape[1]

    @cached_property
    def kinks(self):
        """Coordinate, place, and weights of positive and negative residuals of each kink of the phi_j."""
        huge = np.full(self.n_coef, HUGE)
        at_lower, at_upper = self.lower == self.centre, self.upper == self.centre
        parts = []
        for where, place, high, low in (
            ((self.l1 > 0) & ~at_lower & ~at_upper, self.centre, self.l1, self.l1),
            (np.isfinite(self.lower), self.lower, huge, np.where(at_lower, self.l1, 0.0)),
            (np.isfinite(self.upper), self.upper, np.where(at_upper, self.l1, 0.0), huge),
        ):
            j = np.flatnonzero(where)
            parts.append((j, place[j], high[j], low[j]))
        return tuple(np.concatenate(column) for column in zip(*parts))

    def on_device(self, array):
        """A host array where the rows are."""
        return self.xp.asarray(array, device=self.y.device)

    @property
    def smooth(self):
        """What is smooth, in the namespace of the rows."""
        on = self.on_device
        equality = None if self.equality is None else on(self.equality)
        least, most = (on(end) for end in self._inside)
        return Smooth(on(self.ridge), on(self.centre), least, most, equality, self.total)

    @property
    def _inside(self):
        """Bounds of the start: a tenth of the way to zero, where zero is inside, or to each other."""
        if self.equality is not None:
            return np.zeros(self.n_coef), np.zeros(self.n_coef)
        width = np.minimum(self.upper - self.lower, 1.0)
        width = np.where(
            (self.lower < 0) & (self.upper > 0), np.minimum(width, np.minimum(-self.lower, self.upper)), width
        )
        return self.lower + 0.1 * width, self.upper - 0.1 * width

    def columns(self, index):
        """The problem in these coefficients alone, the others at their centres."""
        left_out = self.centre.copy()
        left_out[index] = 0.0
        y, total = self.y, self.total
        if np.any(left_out):
            y = y - self.rows.apply(self.on_device(left_out)[None, :])[0, :]
            total = total if self.equality is None else total - self.equality @ left_out
        return replace(
            self,
            rows=self.rows.columns(self.on_device(index)),
            y=y,
            total=total,
            equality=None if self.equality is None else self.equality[index],
            **{name: getattr(self, name)[index] for name in ("l1", "centre", "ridge", "lower", "upper")},
        )

    def residuals(self, b):
        """Residuals y - Z b, on the host."""
        return to_numpy(self.y - self.rows.apply(self.on_device(b)[None, :])[0, :])

    def adjoint(self, d):
        """Z'd on the host."""
        return to_numpy(self.rows.adjoint(self.on_device(d)[None, :])[0, :])

    @cached_property
    def host(self):
        """The weights `high` and `low` as NumPy arrays."""
        return to_numpy(self.high), to_numpy(self.low)

    def objective(self, b, r):
        """Loss and separable terms at `b` with residuals `r`; bounds and equality are taken for granted."""
        high, low = self.host
        loss = high @ np.maximum(r, 0.0) + low @ np.maximum(-r, 0.0)
        away = b - self.centre
        return float(loss + self.l1 @ np.abs(away) + 0.5 * self.ridge @ away**2)

    @cached_property
    def norms(self):
        """Lengths of the rows, on the host: a residual's error grows with them."""
        return np.maximum(to_numpy(self.rows.norms()), 1e-12)

    def slopes(self, b):
        """Left and right derivative of every phi_j at b_j."""
        left = np.where(b > self.centre, self.l1, -self.l1)
        right = np.where(b >= self.centre, self.l1, -self.l1)
        return np.where(b <= self.lower, -np.inf, left), np.where(b >= self.upper, np.inf, right)

    @cached_property
    def slope_tol(self):
        """How far each z_j may be from the slopes of phi_j for want of digits."""
        return np.where(self.l1 > 0, _SLOPE_TOL * np.minimum(self.l1, 1.0) + _ROUNDING, _SLOPE_TOL)

    def pull(self, b, d, nu):
        """The slopes z = Z'd - ridge (b - centre) - nu equality."""
        z = self.adjoint(d) - self.ridge * (b - self.centre)
        return z if self.equality is None else z - nu * self.equality


class QuantileSolution(NamedTuple):
    """A solution with its certificate."""

    coef: np.ndarray
    dual: np.ndarray  # d, one a row: the subgradient of the loss
    nu: float  # multiplier of the equality
    n_iter: int
    gap: float  # duality gap over the null model's objective
    violations: np.ndarray  # distance of each z_j from the slopes of phi_j
    exact: bool  # whether the solution is a vertex, exact but for rounding
    residuals: np.ndarray


def certified(problem, b, d, nu, n_iter, exact, r=None, pull=None):
    """The solution `b` with the gap and violation beside the dual point `d`, which is moved into its box.

    `pull` is what other conditions than those of the problem add to z.
    """
    high, low = problem.host
    r = problem.residuals(b) if r is None else r
    d = np.clip(d, -low, high)
    z = problem.pull(b, d, nu)
    z = z if pull is None else z + pull
    left, right = problem.slopes(b)
    violations = np.maximum(np.maximum(left - z, z - right), 0.0)
    c = _dual_scale(problem, z) if pull is None else 1.0
    loss = np.maximum(high * r, -low * r) - c * (d * r)
    gap = float(np.sum(loss) + np.sum(_coordinate_gaps(problem, b, c * z, c)))
    return QuantileSolution(b, d, nu, n_iter, max(gap, 0.0) / problem.scale, violations, exact, r)


def _dual_scale(problem, z):
    """Largest c <= 1 at which c z is inside the slopes of the penalised coordinates (but for rounding)."""
    if np.any(problem.ridge) or problem.equality is not None:
        return 1.0
    binding = np.where(np.isinf(problem.upper), z, 0.0)
    binding = np.maximum(binding, np.where(np.isinf(problem.lower), -z, 0.0))
    penalised = problem.l1 > 0
    return float(1.0 / max(1.0, ((binding[penalised] - _ROUNDING) / problem.l1[penalised]).max(initial=0.0)))


def _coordinate_gaps(problem, b, z, c):
    """phi_j(b_j) + phi_j*(z_j) - z_j b_j.

    Slopes outside of the conjugate's domain by no more than rounding count as on its edge; by more, as far away as
    twice the coefficient's size.
    """
    l1, centre = problem.l1, problem.centre
    away = b - centre
    edge_high = np.where(np.isinf(problem.upper), l1, np.inf)
    edge_low = np.where(np.isinf(problem.lower), -l1, -np.inf)
    inside = np.clip(z, edge_low, edge_high)
    outside = np.abs(z - inside)
    best = np.zeros_like(z)  # conjugate about the centre: the supremum is at the centre or at a bound
    for bound in (problem.lower, problem.upper):
        finite = np.isfinite(bound)
        step = np.where(finite, bound - centre, 0.0)
        best = np.maximum(best, np.where(finite, inside * step - l1 * np.abs(step), 0.0))
    gaps = l1 * np.abs(away) + best - inside * away
    reach = 2.0 * np.abs(away) + 1.0
    return gaps + np.where(outside > problem.slope_tol, outside * reach, 0.0)


def augmented(problem, rows=None, y=None, high=None, low=None):
    """The problem (or another set of rows with its separable terms) as the core takes it: rows, y, high, low."""
    xp = problem.xp
    rows = problem.rows if rows is None else rows
    y, high, low = (getattr(problem, n) if a is None else a for n, a in zip(("y", "high", "low"), (y, high, low)))
    j, place, above, below = problem.kinks
    units = np.zeros((len(j), problem.n_coef))
    units[np.arange(len(j)), j] = 1.0
    parts = [(y, place), (high, above), (low, below)]
    stacked = [xp.concat([a, problem.on_device(b)])[None, :] for a, b in parts]
    return Rows(rows, problem.on_device(units), xp=xp), *stacked
