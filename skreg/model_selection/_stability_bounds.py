r"""Bounds of the expected number of features that stability selection takes though single fits rarely do.

With q of p features selected on a half of the data on average, :math:`\theta = q / p`, B complementary pairs of halves
and a threshold :math:`\tau` of the selection frequencies, they bound the expected number of selected features
among those that a half selects with a probability of at most :math:`\theta` (R. D. Shah, R. J. Samworth 2013). If
features without influence are exchangeable, and selected no more often than the others are, all of them are
such features, and the bound is one of the expected number of false selections (N. Meinshausen, P. Bühlmann 2010).
"""

from bisect import bisect_left, bisect_right

import numpy as np

_STEPS = 100  # halvings, and golden sections, of the intervals below
_GOLDEN = (np.sqrt(5.0) - 1.0) / 2.0
_LARGEST = 1e6  # offset of a power law that is as good as flat


def worst_case(q, p, threshold, n_pairs):
    r""":math:`q^2 / ((2 \tau - 1) p)`, without assumptions: theorem 1, and the bound of Meinshausen and Bühlmann."""
    return min(q**2 / ((2.0 * threshold - 1.0) * p), p)


def unimodal(q, p, threshold, n_pairs):
    """If the simultaneous selection frequencies have unimodal distributions: theorem 2."""
    theta, half_step = q / p, 0.5 / n_pairs
    least = min(0.5 + theta**2, 0.5 + half_step + 0.75 * theta**2)
    general = worst_case(q, p, threshold, n_pairs)
    if theta > 1.0 / np.sqrt(3.0) or threshold <= least:
        return general
    if threshold <= 0.75:
        factor = 0.5 / (2.0 * threshold - 1.0 - half_step)
    else:
        factor = 4.0 * (1.0 - threshold + half_step) / (1.0 + 2.0 * half_step)
    return min(factor * q**2 / p, general)


def r_concave(q, p, threshold, n_pairs):
    """If these are -1/2-concave, and the selection frequencies -1/4-concave: section 3.3 of the paper."""
    theta, steps = q / p, round(2 * n_pairs * threshold)
    simultaneous = largest_tail(theta**2, steps - n_pairs, n_pairs, -0.5)
    single = largest_tail(theta, steps, 2 * n_pairs, -0.25)
    return min(p * min(simultaneous, single), unimodal(q, p, threshold, n_pairs))


BOUNDS = {"worst_case": worst_case, "unimodal": unimodal, "r_concave": r_concave}


def largest_tail(mean, t, n, r):
    r"""Largest probability of :math:`X \ge t` for r-concave X on 0, ..., n, -1 < r < 0, of expectation n `mean`.

    A probability function f is r-concave, for negative r, if :math:`f^r` is convex. Where the maximum is reached,
    :math:`f(i) = c (a + i)^{1/r}` for i = 0, ..., k, what is left of the mass is at k + 1, and nothing beyond. The
    mean sets c, and with it a range of a for each k, :math:`a_{k+1} \le a \le a_k`: with :math:`a_k`, nothing is left.
    """
    mean, power = mean * n, 1.0 / r
    first = int(np.floor(2.0 * mean)) + 1  # a falling f on 0, ..., k has a mean below k / 2
    if t <= first or t > n:
        return 1.0
    ends = np.arange(max(t - 1, first), n + 1)
    places = np.arange(n + 1)

    def masses(a, k):
        """Values of f / c, one row for each k."""
        return np.where(places <= k[:, None], (a[:, None] + places) ** power, 0.0)

    def excess(a, k):
        f = masses(a, k)
        return f @ places - mean * f.sum(axis=1)

    def tail(a, k):
        f = masses(a, k)
        left = (k + 1 - mean) / ((k + 1) * f.sum(axis=1) - f @ places)
        return 1.0 - left * f[:, :t].sum(axis=1)

    low, high = np.full(len(ends), np.log(1e-12)), np.full(len(ends), np.log(_LARGEST))
    for _ in range(_STEPS):
        middle = 0.5 * (low + high)
        above = excess(np.exp(middle), ends) > 0
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    exact = np.exp(high)
    last = float(tail(exact[-1:], ends[-1:])[0])
    low, high, ends = exact[1:], exact[:-1], ends[:-1]
    for _ in range(_STEPS if len(ends) else 0):
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        rises = tail(left, ends) < tail(right, ends)
        low, high = np.where(rises, left, low), np.where(rises, high, right)
    between = tail(0.5 * (low + high), ends) if len(ends) else np.zeros(1)
    return float(np.clip(max(last, between.max()), 0.0, 1.0))


def largest_q(bound, pfer, p, threshold, n_pairs):
    """The largest number of features on a half for which the bound is at most `pfer`; 0 where there is none."""
    return bisect_right(range(1, p + 1), pfer * (1 + 1e-12), key=lambda q: bound(q, p, threshold, n_pairs))


def smallest_threshold(bound, pfer, q, p, n_pairs):
    """The smallest frequency above one half at which the bound is at most `pfer`; None where there is none."""
    steps = range(n_pairs + 1, 2 * n_pairs + 1)
    meets = lambda k: bound(q, p, 0.5 * k / n_pairs, n_pairs) <= pfer * (1 + 1e-12)
    k = bisect_left(steps, True, key=meets)
    return 0.5 * steps[k] / n_pairs if k < len(steps) else None


def next_frequency(threshold, n_pairs):
    """The smallest number that a selection frequency can be, and that is at least `threshold` and above one half."""
    steps = int(np.ceil(2 * n_pairs * threshold - 1e-9))
    return 0.5 * max(steps, n_pairs + 1) / n_pairs
