"""A state handed from one solver to another carries nothing stale."""

import numpy as np
import pytest

from skreg._design import as_design
from skreg._problem import Data, Problem
from skreg.losses import Squared
from skreg.penalties import L1
from skreg.solvers import ProximalGradient, ProxNewton, State, begin_path


@pytest.mark.parametrize("first", ["gram", "gradient"])
def test_a_state_can_change_solvers(first):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 8))
    y = X[:, 0] - X[:, 1] + 0.1 * rng.standard_normal(60)
    data = Data(as_design(X), y, np.full(60, 1 / 60), Squared())
    bounds = np.full(8, -np.inf), np.full(8, np.inf)
    loose, tight = (Problem(data, L1(), L1().bind(alpha, np.ones(8), *bounds, None)) for alpha in (0.3, 0.01))
    state = State(data)
    if first == "gram":
        begin_path(data, state, 100)
        ProxNewton(tol=1e-10).solve(loose, state)
        state.model = None  # so that the next solve reads X
    else:
        ProximalGradient(tol=1e-10).solve(loose, state)
    again = ProxNewton(tol=1e-8).solve(loose, state)
    assert again.converged and again.n_iter == 1  # the certificate is that of this very point
    solution = ProxNewton(tol=1e-12).solve(tight, state)
    fresh = ProxNewton(tol=1e-12).solve(tight)
    assert solution.converged
    np.testing.assert_allclose(solution.coef, fresh.coef, atol=1e-10)
