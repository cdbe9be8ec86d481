import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from skreg.penalties import L1, ElasticNet
from skreg.solvers._newton_finish import pivot, pivot_from
from skreg.solvers._support import SupportFactor


def gram(m, n, seed):
    X = np.random.default_rng(seed).standard_normal((n, m))
    return X.T @ X / n


def expected(H, bend, support, rhs):
    return np.linalg.solve(H[np.ix_(support, support)] + np.diag(bend[support]), rhs)


@given(
    m=st.integers(1, 60),
    seed=st.integers(0, 1000),
    bent=st.booleans(),
    moves=st.lists(st.lists(st.integers(0, 59), max_size=12), max_size=12),
)
@settings(max_examples=60, deadline=None)
def test_follows_a_support_that_changes(m, seed, bent, moves):
    H, rng = gram(m, 4 * m + 10, seed), np.random.default_rng(seed)
    bend = rng.random(m) if bent else np.zeros(m)
    inside = rng.random(m) < 0.5
    inside[0] = True
    factor = SupportFactor()
    for move in moves:
        support = np.flatnonzero(inside)
        rhs = rng.standard_normal(len(support))
        if len(support):
            x = factor.solve(H, bend, support, rhs)
            assert_allclose(x, expected(H, bend, support, rhs), rtol=1e-10, atol=1e-10)
        for j in move:
            inside[j % m] = not inside[j % m]


def test_is_kept_while_the_support_changes_little():
    H, bend, rng = gram(80, 400, 0), np.zeros(80), np.random.default_rng(1)
    factor = SupportFactor()
    factor.solve(H, bend, np.arange(40), np.ones(40))
    packed = factor.packed
    support = np.r_[5:40, 50:54]
    rhs = rng.standard_normal(len(support))
    assert_allclose(factor.solve(H, bend, support, rhs), expected(H, bend, support, rhs), rtol=1e-10)
    assert factor.packed is packed
    back = np.arange(3, 45)
    assert_allclose(factor.solve(H, bend, back, np.ones(42)), expected(H, bend, back, np.ones(42)), rtol=1e-10)
    assert factor.packed is packed
    far = np.arange(45, 80)
    assert_allclose(factor.solve(H, bend, far, np.ones(35)), expected(H, bend, far, np.ones(35)), rtol=1e-10)
    assert factor.packed is not packed


def test_goes_on_with_a_larger_matrix():
    large, bend = gram(60, 300, 2), np.zeros(60)
    factor = SupportFactor()
    factor.solve(large[:30, :30].copy(), bend[:30], np.arange(30), np.ones(30))
    support = np.arange(5, 45)
    assert_allclose(factor.solve(large, bend, support, np.ones(40)), expected(large, bend, support, np.ones(40)))


def test_takes_a_new_bend_into_account():
    H, support, rhs = gram(30, 100, 3), np.arange(20), np.ones(20)
    factor = SupportFactor()
    for strength in (0.0, 0.5, 0.1):
        bend = np.full(30, strength)
        assert_allclose(factor.solve(H, bend, support, rhs), expected(H, bend, support, rhs), rtol=1e-10)


@pytest.mark.parametrize("size", [10, 40])
def test_a_singular_matrix_gives_none(size):
    H = gram(60, 300, 4)
    H[size], H[:, size] = H[0], H[:, 0]
    H[size, size] = H[0, 0]
    factor, bend = SupportFactor(), np.zeros(60)
    assert factor.solve(H, bend, np.arange(size + 1), np.ones(size + 1)) is None
    assert factor.solve(H, bend, np.arange(size), np.ones(size)) is not None
    assert factor.solve(H, bend, np.arange(size + 1), np.ones(size + 1)) is None
    support = np.arange(1, size + 1)
    assert_allclose(factor.solve(H, bend, support, np.ones(size)), expected(H, bend, support, np.ones(size)))


def test_an_indefinite_matrix_gives_none():
    H, bend, factor = gram(30, 100, 5), np.zeros(30), SupportFactor()
    assert factor.solve(H, bend, np.arange(20), np.ones(20)) is not None
    bend[22] = -100.0
    assert factor.solve(H, bend, np.arange(25), np.ones(25)) is None
    assert factor.solve(H, bend, np.arange(20), np.ones(20)) is not None


def bound(penalty, m, alpha, positive=False):
    lower = np.zeros(m) if positive else np.full(m, -np.inf)
    weights = np.ones(m)
    weights[-1] = 0.0
    return penalty.bind(alpha, weights, lower, np.full(m, np.inf), None)


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("penalty", [L1(), ElasticNet(l1_ratio=0.7)])
@given(seed=st.integers(0, 1000), share=st.floats(0.05, 0.9))
@settings(max_examples=25, deadline=None)
def test_pivoting_ends_at_the_minimum(penalty, positive, seed, share):
    m, rng = 40, np.random.default_rng(seed)
    H, target = gram(m, 200, seed), rng.standard_normal(m)
    pen = bound(penalty, m, share * np.abs(target).max(), positive)
    start = np.sign(np.maximum(target, pen.lower))
    found = pivot_from(H, target, start, penalty, pen, 0.0, 0.0, m, SupportFactor())
    assert found is not None
    w, gradient = found
    assert_allclose(gradient, H @ w - target, atol=1e-12)
    assert penalty.violation(w, gradient, np.ones(1), pen).max() <= 1e-11


def test_pivoting_in_place_changes_nothing_where_it_gives_up():
    H, factor = np.ones((3, 3)), SupportFactor()
    w, gradient = np.array([1.0, 1.0, 1.0]), np.zeros(3)
    pen = L1().bind(0.1, np.ones(3), np.full(3, -np.inf), np.full(3, np.inf), None)
    assert not pivot(H, w, gradient, L1(), pen, 1e-6, 0.0, 3, factor)
    assert (w == 1).all()
    assert (gradient == 0).all()


def test_pivoting_may_start_from_an_empty_support():
    H, target = gram(5, 50, 0), np.array([1.0, -2.0, 0.1, 0.0, 0.3])
    pen = L1().bind(0.2, np.ones(5), np.full(5, -np.inf), np.full(5, np.inf), None)
    w, gradient = pivot_from(H, target, np.zeros(5), L1(), pen, 0.0, 0.0, 5, SupportFactor())
    assert w.any()
    assert L1().violation(w, gradient, np.ones(1), pen).max() <= 1e-12
