"""What a separable penalty is: a scalar formula for compiled loops, the same formula on arrays for everything else."""

from typing import NamedTuple

import numpy as np

from skreg._params import Parameterised

LIFT = 1e-12  # of the diagonal of a matrix that may be singular


class Params(NamedTuple):
    """A penalty bound to a problem: its strength, and per feature a weight and two bounds."""

    alpha: float
    weights: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


def restrict(params, index):
    """Parameters of the features in `index` (a slice, mask or integer array): arrays are indexed, numbers kept."""
    kept = {name: value if isinstance(value, float) else value[index] for name, value in params._asdict().items()}
    return params._replace(**kept)


def effective_dimension(H, D):
    """Trace of ``inverse(H + D) @ H`` for positive semidefinite H and D; what neither sees does not count."""
    system = H + D
    system.flat[:: len(H) + 1] *= 1.0 + LIFT
    return float(np.trace(np.linalg.solve(system, H)))


class SeparablePenalty(Parameterised):
    r"""A penalty :math:`\sum_j \phi_j(w_j)` with bounds :math:`l_j \le w_j \le u_j`, where :math:`l_j \le 0 \le u_j`.

    The object holds shape parameters alone (`gamma`, `q`, ...); `bind` checks them and joins them with `alpha`, the
    per-feature weights and the bounds into a NamedTuple `pen` that compiled kernels and the methods below take.
    `alpha` and a weight enter as their product alone, the feature's strength; a feature of strength 0 is unpenalised.

    A subclass gives each formula in two faces:

    - scalar, as plain module-level functions that numba can compile, named in `leaves`:
      ``prox(z, step, j, pen)``, the minimiser over x of ``(x - z)**2 / (2 * step) + phi_j(x)`` with no heed of the
      bounds, and ``value(x, j, pen)``. They use `math`, numpy and nothing else.
    - on arrays in any namespace: `free_prox` and `values`.

    Attributes
    ----------
    name : str
        The name by which estimators find the penalty.
    convex : bool
        Convex penalties also give `conjugate` and `dual_scale`, which certify a solution by its duality gap.
    piecewise_quadratic : bool
        Each phi_j is the same quadratic function of abs(w_j) on either side of zero: the minimum is a linear
        system once the signs are known.
    finite_conjugate : bool
        The conjugate is finite everywhere (as with a squared norm), so that an unscaled dual point certifies too.
    blocks : bool
        Whether the penalty is one of groups of coordinates: see `GroupPenalty`.
    leaves : dict
        The scalar face: ``{"prox": function, "value": function}``.

    Notes
    -----
    Every prox is the global minimiser, whatever the step; among equal minimisers it is the one nearest 0.

    `prox` honours the bounds by a rule that scalar code must repeat: clip the free prox; where that changed it and
    the penalty is not convex, keep the clipped x only if ``phi_j(x) < x * (z - x / 2) / step``, else return 0. The
    rule is exact wherever the objective beyond 0 first rises and then falls to its free minimiser. Where it can have
    a further minimum between (SCAD at long steps alone), the free prox itself heeds the bounds in choosing.
    """

    name = ""
    convex = False
    piecewise_quadratic = False
    finite_conjugate = False
    blocks = False
    leaves: dict = {}

    def complete(self, coordinates):
        """The coordinates that must be in a working set together with these: for a separable penalty, no more."""
        return coordinates

    def bind(self, alpha, weights, lower, upper, curvature):
        """Join shape, strength, weights and bounds; `curvature` is the mean square of each column of the design."""
        return Params(float(alpha), weights, lower, upper)

    def values(self, w, pen, xp=np):
        """phi_j(w_j) for each feature."""
        raise NotImplementedError

    def value(self, w, pen, xp=np):
        """Sum of the penalty over features."""
        return xp.sum(self.values(w, pen, xp))

    def free_prox(self, z, step, pen, xp=np):
        """Proximal operator of each phi_j with no heed of the bounds; `step` is a number or one number a feature."""
        raise NotImplementedError

    def prox(self, z, step, pen, xp=np):
        """Proximal operator within the bounds."""
        free = self.free_prox(z, step, pen, xp)
        x = xp.minimum(xp.maximum(free, pen.lower), pen.upper)
        if self.convex:
            return x
        better_than_zero = self.values(x, pen, xp) < x * (z - x / 2) / step
        return xp.where((x == free) | better_than_zero, x, xp.zeros_like(x))

    def violation(self, w, grad, curvature, pen, xp=np):
        r"""How far each coordinate is from where it would move: :math:`L_j |w_j - prox_{1/L_j}(w_j - g_j / L_j)|`.

        For the L1 norm this is the distance of the gradient from the subdifferential wherever the step does not cross
        0; unlike that distance it also tells something at 0 for penalties with an infinite slope there. `curvature`
        is the coordinate-wise L.
        """
        L = xp.where(curvature > 0, curvature, xp.ones_like(curvature))
        return L * xp.abs(w - self.prox(w - grad / L, 1.0 / L, pen, xp))

    def derivative(self, w, pen, xp=np):
        """phi_j'(w_j) where w_j is not 0, and 0 where it is (NumPy only)."""
        raise NotImplementedError

    def second_derivative(self, w, pen, xp=np):
        """phi_j''(w_j) where w_j is not 0, and 0 where it is (NumPy only)."""
        raise NotImplementedError

    def degrees_of_freedom(self, w, pen, hessian):
        r"""Degrees of freedom of the fit, the intercept aside: :math:`\mathrm{tr} (H_A + \phi''_A)^{-1} H_A`.

        A are the coordinates that are neither 0 nor at a bound, and `hessian(index)` gives the second derivatives H of
        the loss over such, the intercept taken out. Where the penalty does not bend this is their number (Lasso:
        R. J. Tibshirani and J. Taylor 2012, Annals of Statistics 40(2)), which also stands in where it is not convex.
        NumPy only.
        """
        moving = np.flatnonzero((w != 0) & (w > pen.lower) & (w < pen.upper))
        bend = self.second_derivative(w[moving], restrict(pen, moving))
        if not self.convex or not bend.any():
            return float(len(moving))
        return effective_dimension(hessian(moving), np.diag(bend))

    def conjugate(self, z, pen, xp=np):
        r"""Conjugate within the bounds, :math:`\sup_{l_j \le w \le u_j} z_j w - \phi_j(w)`, for each feature.

        An unpenalised feature without bounds gives 0 for every z: there the dual constraint is z = 0, onto which the
        certificate has projected, and rounding must not turn it into infinity.
        """
        raise NotImplementedError

    def dual_scale(self, z, w, pen, xp=np):
        """Largest c in [0, 1] for which ``c * z`` is known to be dual feasible beside the primal point `w`."""
        raise NotImplementedError

    def alpha_max(self, grad, curvature, weights, lower, upper):
        """Smallest alpha at which w = 0 stays put under coordinate descent, given the gradient at 0 (NumPy only).

        At the value returned the proximal operator is exactly 0 for every feature: it is a few units in the last
        place above the formula, since the scalar face may round otherwise than this one. Features of weight 0, and
        those whose bounds forbid the way downhill, do not count.
        """
        room = np.where(grad > 0, -lower, upper)
        moving = (weights > 0) & (room > 0) & (grad != 0)
        if not moving.any():
            return 0.0
        L = np.where(curvature > 0, curvature, 1.0)
        g, L, v, lower, upper, room = (a[moving] for a in (grad, L, weights, lower, upper, room))

        strength = np.array(self._emptying_strength(np.abs(g), L), dtype=float)
        unknown = np.isnan(strength) | (np.isfinite(room) & (not self.convex))
        if unknown.any():
            strength[unknown] = self._bisect_strength(g[unknown], L[unknown], lower[unknown], upper[unknown])
        alpha = float(np.max(strength / v))

        for nudge in range(-50, -20):
            alpha *= 1.0 + 2.0**nudge
            if not np.any(self.prox(-g / L, 1.0 / L, self.bind(alpha, v, lower, upper, L))):
                break
        return alpha

    def _emptying_strength(self, slope, L):
        """Least alpha_j at which an unbounded feature with abs(gradient) `slope` stays at 0; nan if not known."""
        return np.full(slope.shape, np.nan)

    def _bisect_strength(self, g, L, lower, upper):
        """Least alpha_j at which each feature stays at 0, by bisection of its logarithm on the proximal operator."""
        low, high = np.full(g.shape, -600.0), np.full(g.shape, 600.0)
        with np.errstate(over="ignore", under="ignore"):
            for _ in range(64):
                middle = 0.5 * (low + high)
                stays = self.prox(-g / L, 1.0 / L, self.bind(1.0, np.exp(middle), lower, upper, L)) == 0
                low, high = np.where(stays, low, middle), np.where(stays, middle, high)
        return np.exp(high)
