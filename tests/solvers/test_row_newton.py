"""Row descent and Newton steps on the rows of a matrix, in Gram form."""

import numpy as np
import pytest

from skreg.kernels._row_cd import row_cd, row_kernel
from skreg.kernels._specialize import as_kernel_array, interpret
from skreg.penalties import L1, ElasticNet
from skreg.penalties._rows import RowPenalty, row_norms
from skreg.solvers._row_newton import row_newton_step

RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 15))
Y = X[:, :4] @ RNG.standard_normal((4, 3)) + 0.3 * RNG.standard_normal((40, 3))
H, Q = X.T @ X / 40, X.T @ Y / 40
FREE = np.full(15, np.inf)

every_penalty = pytest.mark.parametrize(
    "penalty", [RowPenalty(L1()), RowPenalty(ElasticNet(0.6)), RowPenalty(ElasticNet(0.0))], ids=repr
)


def bind(penalty, alpha=0.1):
    return penalty.bind(alpha, np.linspace(0.0, 2.0, 15), -FREE, FREE)


def descend(penalty, pen, sweeps, kernel=None):
    W, gradient = np.zeros((3, 15)), -Q.T.copy()
    kernel = row_kernel(penalty.base) if kernel is None else kernel
    done = kernel(as_kernel_array(H), W, gradient, pen, sweeps, 1e-13)
    return W.T.copy(), gradient.T.copy(), done


@every_penalty
def test_descent_ends_at_the_optimum_and_keeps_the_gradient(penalty):
    pen = bind(penalty)
    W, gradient, (epochs, worst) = descend(penalty, pen, 10_000)
    assert worst <= 1e-13 and epochs < 10_000
    np.testing.assert_allclose(gradient, H @ W - Q, atol=1e-12)
    assert penalty.violation(W, gradient, pen).max() <= 1e-11


@every_penalty
def test_interpreted_and_compiled_descent_agree(penalty):
    pen = bind(penalty)
    from skreg.kernels._row_cd import add_rows, row_step

    plain = interpret(row_cd, add_rows=add_rows, row_step=row_step, **penalty.base.leaves)
    for a, b in zip(descend(penalty, pen, 30), descend(penalty, pen, 30, plain)):
        np.testing.assert_allclose(a, b, atol=1e-12)


@every_penalty
def test_newton_steps_converge_quadratically(penalty):
    pen = bind(penalty)
    W, gradient, _ = descend(penalty, pen, 12)
    violations = []
    for _ in range(5):
        assert row_newton_step(H, W, gradient, penalty, pen)
        violations.append(penalty.violation(W, gradient, pen).max())
    assert violations[-1] <= 1e-14
    np.testing.assert_allclose(gradient, H @ W - Q, atol=1e-13)
    np.testing.assert_allclose(W, descend(penalty, pen, 10_000)[0], atol=1e-10)


@every_penalty
def test_a_newton_step_is_that_of_the_dense_second_derivative(penalty):
    """Against finite differences of the gradient over all entries of the active rows."""
    pen = bind(penalty, alpha=0.002)
    W, gradient, _ = descend(penalty, pen, 1000)
    W += 1e-3 * RNG.standard_normal(W.shape) * (row_norms(W) > 0)[:, None]
    gradient = H @ W - Q
    rows = np.flatnonzero(row_norms(W))
    assert len(rows) == 15

    def slope(flat):
        V = flat.reshape(W.shape)
        return penalty.slope(V, H @ V - Q, pen).ravel()

    flat, h = W.ravel(), 1e-6
    second = np.stack([(slope(flat + h * e) - slope(flat - h * e)) / (2 * h) for e in np.eye(len(flat))])
    expected = flat - np.linalg.solve(second, slope(flat))
    assert row_newton_step(H, W, gradient, penalty, pen)
    np.testing.assert_allclose(W.ravel(), expected, atol=1e-6 * np.abs(expected).max())


def test_a_step_through_zero_stops_there():
    penalty = RowPenalty(L1())
    pen = penalty.bind(1.0, np.ones(15), -FREE, FREE)
    W, q = np.zeros((15, 3)), np.zeros((15, 3))
    W[0] = 1.0
    gradient = np.eye(15) @ W - q
    assert row_newton_step(np.eye(15), W, gradient, penalty, pen)
    np.testing.assert_array_equal(W, 0.0)
    np.testing.assert_array_equal(gradient, 0.0)


def test_singular_second_derivatives_still_lead_down():
    penalty = RowPenalty(L1())
    double = np.tile(X[:, :5], 2)
    G, q = double.T @ double / 40, double.T @ Y / 40
    pen = penalty.bind(0.01, np.ones(10), -FREE[:10], FREE[:10])
    W = np.tile(np.linalg.solve(H[:5, :5], Q[:5]) / 2, (2, 1))
    gradient = G @ W - q

    def value():
        return 0.5 * np.sum(W * (G @ W)) - np.sum(W * q) + penalty.value(W, pen)

    before = value()
    assert row_newton_step(G, W, gradient, penalty, pen)
    assert value() < before
    assert penalty.violation(W, G @ W - q, pen).max() < 1e-3


def test_nothing_to_do():
    penalty = RowPenalty(L1())
    pen = penalty.bind(1.0, np.ones(15), -FREE, FREE)
    assert not row_newton_step(H, np.zeros((15, 3)), -Q.copy(), penalty, pen)


def test_norms_do_not_underflow():
    np.testing.assert_allclose(row_norms(np.array([[3e-200, 4e-200], [0.0, 0.0], [3e200, 4e200]])), [5e-200, 0, 5e200])
