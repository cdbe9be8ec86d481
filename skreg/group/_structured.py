"""What estimators share whose penalty ties coefficients together: the solver, and the strength that empties a model."""

from dataclasses import dataclass

import numpy as np

from skreg._backend import is_numpy
from skreg._base import Prepared, SparseLinearModel, constraints
from skreg._faces import LinearRegressor
from skreg.solvers import ProximalGradient, SemismoothNewton, structured_alpha_max


@dataclass
class _PreparedStructured(Prepared):
    """The problem for every alpha."""

    def solver(self, tol, max_iter):
        """Semismooth Newton on NumPy and scipy data; accelerated proximal gradient in any other namespace."""
        if is_numpy(self.xp):
            return SemismoothNewton(tol=tol, max_iter=max_iter)
        return ProximalGradient(tol=tol, max_iter=100 * max_iter)

    def strengths(self, n_alphas, eps):
        """Decreasing grid of alphas from the one that empties the model down to `eps` times it."""
        if not is_numpy(self.xp):
            return super().strengths(n_alphas, eps)
        top = max(structured_alpha_max(self.problem(1.0)), np.finfo(float).tiny / eps)
        return np.geomspace(top, eps * top, n_alphas)


class StructuredRegressor(LinearRegressor, SparseLinearModel):
    """Linear regression with a `StructuredPenalty`; subclasses have no weights and bounds of single coefficients."""

    _prepared = _PreparedStructured
    _counterpart = "SparseClassifier"

    def _weights_and_bounds(self, n_features, structure):
        inf = np.full(n_features, np.inf)
        return np.ones(n_features), -inf, inf

    def _warm(self, prepared):
        """As for all models, but where there is nothing to start from the null model: stages do not pay here."""
        start = super()._warm(prepared)
        return prepared.state() if start is None else start


def structured_constraints(**special):
    """Parameter constraints that these estimators share, with an estimator's own."""
    shared = constraints()
    for name in ("positive", "penalty_weights", "lower", "upper"):
        del shared[name]
    return {**shared, **special}
