"""What a penalty is that ties coordinates together: sorted, fused, or competing within groups."""

from typing import Any, NamedTuple

import numpy as np

from skreg._backend import is_numpy, to_numpy
from skreg._params import Parameterised
from skreg.penalties._base import effective_dimension


class Structure(NamedTuple):
    """The subspace about a point on which the penalty is smooth: ``w[index] = sign * u[block]``, and 0 elsewhere.

    Blocks have no coordinate in common. `index` lists their coordinates block by block.
    """

    index: np.ndarray
    block: np.ndarray
    sign: np.ndarray
    slope: np.ndarray  # gradient of the penalty with respect to u
    bend: float = 0.0  # second derivative with respect to two blocks ...
    label: Any = None  # ... of the same group

    def same_subspace(self, other):
        """Whether another structure has the same blocks with the same signs."""
        return other is not None and all(np.array_equal(a, b) for a, b in zip(self[:3], other[:3]))

    def along(self, v):
        """Products of a vector of coefficients with the blocks."""
        return np.bincount(self.block, self.sign * v[self.index])

    def moved(self, w, step):
        """`w` with each block moved by its entry of `step`."""
        new = w.copy()
        new[self.index] += self.sign * step[self.block]
        return new


class StructuredPenalty(Parameterised):
    r"""A convex penalty :math:`\Omega(w)` whose coordinates are tied together, smooth on subspaces.

    The object answers the questions of a `SeparablePenalty` that make sense here: `values` and `conjugate` are shares
    of the whole, whose sums are right; `prox` takes one number for the step; there are no weights and bounds of single
    coordinates. In addition `structure` names the subspace of a point, on which solvers take Newton steps, and `free`
    the directions along which the penalty does not rise.

    Formulas are NumPy's; arrays of other namespaces are brought to the host and back.
    """

    name = ""
    convex = True
    finite_conjugate = False
    piecewise_quadratic = False
    blocks = False
    scalar_step = True

    def __eq__(self, other):
        if type(self) is not type(other):
            return False
        theirs = other.get_params()
        return all(np.array_equal(value, theirs[name]) for name, value in self.get_params().items())

    def __hash__(self):
        return hash(type(self))

    def bind(self, alpha, weights, lower, upper, curvature):
        """Join shape and strength for a number of coordinates, that of `weights`."""
        raise NotImplementedError

    def value(self, w, pen, xp=np):
        """The penalty."""
        return xp.sum(self.values(w, pen, xp))

    def values(self, w, pen, xp=np):
        """Shares of the coordinates in the penalty."""
        return _on_host(self._values, xp, w, pen)

    def prox(self, z, step, pen, xp=np):
        """Proximal operator, the minimiser over x of ``|x - z|**2 / (2 * step) + penalty(x)``; `step` is a number."""
        return _on_host(self._prox, xp, z, _number(step), pen)

    def conjugate(self, z, pen, xp=np):
        """Shares of the coordinates in the conjugate at a dual feasible `z`."""
        return xp.zeros_like(z)

    def dual_scale(self, z, w, pen, xp=np):
        """Largest c in [0, 1] for which ``c * z`` is dual feasible."""
        gauge = float(self.dual_norm(to_numpy(z), pen, at_least=pen.alpha))
        return 1.0 if gauge <= pen.alpha else (1.0 - 4.0 * float(np.finfo(float).eps)) * pen.alpha / gauge

    def violation(self, w, grad, curvature, pen, xp=np):
        """How far each coordinate is from where it would move: ``abs(w - prox(w - grad))`` at step 1."""
        return xp.abs(w - self.prox(w - grad, 1.0, pen, xp))

    def degrees_of_freedom(self, w, pen, hessian):
        """As `SeparablePenalty.degrees_of_freedom`, over the blocks of the `Structure` at w."""
        found = self.structure(w, pen)
        n_blocks = len(found.slope)
        if not found.bend or not n_blocks:
            return float(n_blocks)
        blocks = np.zeros((n_blocks, len(found.index)))
        blocks[found.block, np.arange(len(found.index))] = found.sign
        bend = found.bend * (found.label[:, None] == found.label)
        return effective_dimension(blocks @ hessian(found.index) @ blocks.T, bend)

    def alpha_max(self, grad, curvature, weights, lower, upper):
        """Smallest alpha, but for rounding, at which the free directions alone are in the model."""
        pen = self.bind(1.0, weights, lower, upper, curvature)
        grad = self._without_free(grad, pen)
        alpha = self.dual_norm(-grad, pen)
        if not 0 < alpha < np.inf:
            return 0.0
        free = self.free(pen)
        least = 0 if free is None else int(free.max()) + 1
        for nudge in range(-50, -20):
            alpha *= 1.0 + 2.0**nudge
            pen = pen._replace(alpha=alpha)
            if len(self.structure(self.prox(-grad, 1.0, pen), pen).slope) <= least:
                break
        return float(alpha)

    def free(self, pen):
        """Directions along which the penalty is constant: number of the direction of each coordinate, or None."""
        return np.arange(pen.weights.shape[0]) if pen.alpha == 0 else None

    def dual_norm(self, z, pen, at_least=0.0):
        """Largest product of `z` with a w of penalty 1 at alpha = 1, where that is above `at_least`."""
        raise NotImplementedError

    def structure(self, w, pen):
        """The `Structure` at w."""
        raise NotImplementedError

    def _without_free(self, z, pen):
        """`z` less its mean along each free direction, where rounding alone is left of it."""
        free = self.free(pen)
        return z if free is None else z - (np.bincount(free, z) / np.bincount(free))[free]

    def _values(self, w, pen):
        raise NotImplementedError

    def _prox(self, z, step, pen):
        raise NotImplementedError


def _number(step):
    return float(step if np.ndim(step) == 0 else to_numpy(step).flat[0])


def _on_host(formula, xp, x, *rest):
    if is_numpy(xp):
        return formula(x, *rest)
    return xp.asarray(formula(to_numpy(x), *rest), dtype=x.dtype, device=x.device)
