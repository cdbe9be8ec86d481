r"""A quantile problem with norms of groups at one level, and the certificate of its solutions.

    minimise over b:   sum_i psi_i(y_i - z_i . b) + sum_j l1_j |b_j| + sum_g joint_g ||b_g||

With any d between -low and high, and z = Z'd, Fenchel's inequality gives

    sum_i [psi_i(r_i) - d_i r_i] + sum_g [phi_g(b_g) - z_g . b_g]

as an upper bound of the objective's excess, where ||S(z_g, l1_g)|| <= joint_g for each group, S the soft threshold, and
z_j = 0 for what nothing penalises. No bracket is negative.
"""

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from skreg.penalties._group import shrinkage
from skreg.solvers._interior_point_cones import Cones
from skreg.solvers._interior_point_problem import QuantileProblem, QuantileSolution

_ROUNDING = 1e-14  # by which the slope of an unpenalised coefficient may miss zero, and one at rest its bound
_FEASIBLE = 1.0 - 1e-14  # of the largest scale of the dual point that is feasible


@dataclass(frozen=True)
class GroupProblem(QuantileProblem):
    """The problem above: a `QuantileProblem` without ridge, bounds and centres, with norms.

    Attributes
    ----------
    label : ndarray of int of shape (n_coef,)
        Number of each coefficient's group; -1 for what is in none.
    joint : ndarray of shape (n_groups,)
        Weights of the norms.
    """

    label: Any = None
    joint: Any = None

    @classmethod
    def of(cls, problem, label, joint):
        """The problem with norms from one without."""
        shared = {f.name: getattr(problem, f.name) for f in fields(QuantileProblem)}
        return cls(**shared, label=label, joint=joint)

    def columns(self, index):
        """The problem in these coefficients alone, which are whole groups."""
        label = self.label[index]
        kept, number = np.unique(label[label >= 0], return_inverse=True)
        label = label.copy()
        label[label >= 0] = number
        return replace(super().columns(index), label=label, joint=self.joint[kept])

    @property
    def cones(self):
        """The norms, as the interior point takes them; groups that have none are left out."""
        normed = np.flatnonzero(self.joint > 0)
        place = np.full(len(self.joint) + 1, -1)  # the last is that of the label -1
        place[normed] = np.arange(len(normed))
        group = place[self.label]
        members = np.flatnonzero(group >= 0)
        return Cones(members, group[members], self.joint[normed])

    def norms_of(self, x):
        """Euclidean norms over the groups of a vector of coefficients."""
        inside = self.label >= 0
        return np.sqrt(np.bincount(self.label[inside], weights=x[inside] ** 2, minlength=len(self.joint)))

    def of_group(self, values, outside=0.0):
        """One value a coefficient from one a group."""
        return np.append(values, outside)[self.label]

    @property
    def free(self):
        """Coefficients that nothing penalises."""
        return (self.l1 == 0) & (self.of_group(self.joint) == 0)

    def excess(self, z):
        """For each group by how much z is beyond what holds it at zero, and the soft thresholds of z."""
        soft = z - np.clip(z, -self.l1, self.l1)
        return self.norms_of(soft) - self.joint, soft

    def gradient(self, b):
        """Of the penalty, where it has one; 0 at coefficients that rest."""
        inverse = self.of_group(self.joint * _inverse(self.norms_of(b)))
        return inverse * b + self.l1 * np.sign(b)


def certified(problem, b, d, n_iter, r=None):
    """The solution `b` with the gap and violations beside the dual point `d`, which is moved into its box."""
    high, low = problem.host
    r = problem.residuals(b) if r is None else r
    d = np.clip(d, -low, high)
    z = problem.adjoint(d)
    violations = violations_of(problem, b, z)
    c = _dual_scale(problem, z)
    loss = np.maximum(high * r, -low * r) - c * (d * r)
    penalty = problem.l1 * np.abs(b) - c * z * b
    free = problem.free
    penalty[free] = np.where(np.abs(z[free]) > _ROUNDING, c * np.abs(z[free]) * (2.0 * np.abs(b[free]) + 1.0), 0.0)
    value = penalty.sum() + problem.joint @ problem.norms_of(b)
    gap = max(float(np.sum(loss) + value), 0.0) / problem.scale
    return QuantileSolution(b, d, 0.0, n_iter, gap, violations, False, r)


def violations_of(problem, b, z):
    """Distance of z from the subgradients of the penalty at b, for each coefficient that of its group."""
    miss = z - problem.gradient(b)
    at_rest = (b == 0) & (problem.l1 > 0)
    miss[at_rest] = z[at_rest] - np.clip(z[at_rest], -problem.l1[at_rest], problem.l1[at_rest])
    excess, _ = problem.excess(z)
    distance = np.where(problem.norms_of(b) > 0, problem.norms_of(miss), np.maximum(excess, 0.0))
    return np.where(problem.label >= 0, problem.of_group(distance), np.abs(miss))


def _dual_scale(problem, z):
    """Largest c <= 1 at which c z is feasible (but for rounding)."""
    excess, soft = problem.excess(z)
    alone = (problem.label < 0) & (problem.l1 > 0)
    c = float(1.0 / max(1.0, (np.abs(z[alone]) / problem.l1[alone]).max(initial=0.0)))
    outside = problem.of_group(excess > _ROUNDING * problem.joint, False).astype(bool) & ~problem.free & (z != 0)
    if outside.any():
        group = problem.label[outside]
        scales = shrinkage(z[outside], problem.l1[outside], group, problem.joint)
        c = min(c, _FEASIBLE * float(scales.min()))
    return c


def _inverse(values):
    return np.divide(1.0, values, out=np.zeros_like(values), where=values > 0)
