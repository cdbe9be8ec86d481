"""The laws of putting quantiles into order: theorems of Fakoor et al. (2023), and scikit-learn's projection."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.isotonic import isotonic_regression

from skreg import isotonize, metrics

numbers = st.one_of(st.floats(-100, 100, width=32), st.integers(-3, 3).map(float))
bands = st.integers(1, 9).flatmap(lambda m: arrays(np.float64, (4, m), elements=numbers))
every_method = pytest.mark.parametrize("method", ["sort", "pava", "minmax"])


@every_method
@given(q=bands)
def test_rows_increase_and_what_does_so_stays(method, q):
    ordered = isotonize(q, method)
    assert (np.diff(ordered, axis=1) >= 0).all()
    np.testing.assert_array_equal(isotonize(ordered, method), ordered)
    in_order = (np.diff(q, axis=1) >= 0).all(axis=1)
    np.testing.assert_array_equal(ordered[in_order], q[in_order])
    np.testing.assert_array_equal(isotonize(q[0], method), ordered[0])
    np.testing.assert_allclose(isotonize(-q[:, ::-1], method)[:, ::-1], -ordered, atol=1e-9)  # mirrored


@given(q=bands)
def test_pava_is_the_projection(q):
    np.testing.assert_allclose(isotonize(q, "pava"), [isotonic_regression(row) for row in q], atol=1e-9)


@pytest.mark.parametrize("method", ["sort", "pava"])
@given(q=bands, other=bands, p=st.sampled_from([1.0, 1.5, 2.0, 7.0, np.inf]))
def test_no_row_in_order_gets_farther(method, q, other, p):
    """T1: their proposition 1."""
    m = min(q.shape[1], other.shape[1])
    q, target = q[:, :m], np.sort(other[:, :m], axis=1)
    before = np.linalg.norm(q - target, p, axis=1)
    assert (np.linalg.norm(isotonize(q, method) - target, p, axis=1) <= before * (1 + 1e-9) + 1e-9).all()


@pytest.mark.parametrize("method", ["sort", "pava"])
@given(q=bands, y=arrays(np.float64, 4, elements=numbers))
def test_the_pinball_loss_never_rises(method, q, y):
    """T2: their proposition 2, row by row."""
    levels = np.arange(1, q.shape[1] + 1) / (q.shape[1] + 1)
    for row, ordered, value in zip(q, isotonize(q, method), y):
        before = metrics.mean_pinball_loss([value], [row], levels)
        assert metrics.mean_pinball_loss([value], [ordered], levels) <= before + 1e-9


@given(q=bands, y=st.floats(-100, 100))
def test_sorting_gains_as_much_as_it_moves_up_the_levels(q, y):
    """T2: the sum over levels of max(0, q - y) does not depend on their order, so that sort is strictly better."""
    levels = np.arange(1, q.shape[1] + 1) / (q.shape[1] + 1)
    for row in q:
        ordered = isotonize(row)
        before, after = (metrics.mean_pinball_loss([y], [r], levels) for r in (row, ordered))
        gain = levels @ (ordered - row) / len(levels)
        assert before - after == pytest.approx(gain, abs=1e-9)
        swapped = np.abs(ordered - row).max()
        assert gain >= 0.999 * swapped / len(levels) / (len(levels) + 1)  # one step of level for what moved farthest


@given(q=bands)
def test_minmax_only_widens_central_intervals(q):
    """Each interval from column k to the one as far from the end, the middle ones of an even number included."""
    wide = isotonize(q, "minmax")
    half = q.shape[1] // 2
    assert (wide[:, :half] <= q[:, :half]).all()
    assert (wide[:, q.shape[1] - half :] >= q[:, q.shape[1] - half :]).all()


def test_minmax_may_raise_the_loss_and_sort_may_narrow_an_interval():
    """Why both are there."""
    q, levels = np.array([[5.0, 0.0, 5.5]]), [0.1, 0.5, 0.9]
    loss = lambda bands: metrics.mean_pinball_loss([5.2], bands, levels)
    assert loss(isotonize(q, "minmax")) > loss(q) > loss(isotonize(q, "sort"))
    crossed = np.array([[0.0, 9.0, 5.0, 6.0]])  # outer interval [0, 6], inner [9, 5] is empty
    assert isotonize(crossed, "minmax").tolist() == [[0.0, 5.0, 9.0, 9.0]]
    narrow = np.array([[1.0, 0.0, 9.0, 5.0]])  # sorted, the inner interval [0, 9] becomes [1, 5]
    assert isotonize(narrow, "sort")[0, 1:3].tolist() == [1.0, 5.0]
    assert isotonize(narrow, "minmax")[0, 1:3].tolist() == [0.0, 9.0]


def test_minmax_starts_at_the_level_nearest_to_the_median():
    q = [[3.0, 2.0, 1.0]]
    assert isotonize(q, "minmax").tolist() == [[2.0, 2.0, 2.0]]
    assert isotonize(q, "minmax", quantiles=[0.5, 0.7, 0.9]).tolist() == [[3.0, 3.0, 3.0]]
    assert isotonize(q, "minmax", quantiles=[0.4, 0.6, 0.9]).tolist() == [[2.0, 3.0, 3.0]]
    assert isotonize([[1.0, np.inf, 0.0]], "minmax").tolist() == [[1.0, np.inf, np.inf]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[1.0]], "cummax"), "method must be one of"),
        (([[[1.0]]],), "q must have shape"),
        (([[np.nan]],), "q must not have NaN"),
        (([[np.inf, 0.0]], "pava"), "q must be finite"),
    ],
)
def test_bad_input_names_the_argument(arguments, message):
    with pytest.raises(ValueError, match=message):
        isotonize(*arguments)
    with pytest.raises(ValueError, match="quantiles must have a level for each"):
        isotonize([[1.0, 2.0]], quantiles=[0.5])
