"""Where a piecewise linear, non-decreasing function is zero: the null model of Huber's loss and the squared hinge."""

from bisect import bisect_left


def piecewise_linear_zero(slope, curvature, breakpoints, xp):
    """Zero of a continuous, non-decreasing, piecewise linear function; the middle where it is zero on an interval.

    Bisection over the sorted breakpoints finds the piece, the chord its zero, and Newton steps remove the rounding
    of the chord, so that a zero far smaller than the breakpoints is accurate too.

    Parameters
    ----------
    slope, curvature : callable
        The function and its derivative, from float to float. `slope` must be <= 0 at the first breakpoint and >= 0 at
        the last, up to rounding.
    breakpoints : array of shape (n_breakpoints,)
        Where the derivative may jump, in any order.
    xp : module
        The array namespace of `breakpoints`.

    Returns
    -------
    float
        The zero.
    """
    t = xp.sort(breakpoints)
    n = t.shape[0]

    def at(i):
        return slope(float(t[i]))

    rounding = 16 * float(xp.finfo(t.dtype).eps) * max(abs(at(0)), abs(at(n - 1)))
    right = min(bisect_left(range(n), True, key=lambda i: at(i) >= -rounding), n - 1)
    left = max(bisect_left(range(n), True, key=lambda i: at(i) > rounding) - 1, 0)
    t_left, t_right = float(t[left]), float(t[right])
    if left >= right:
        b = 0.5 * (t_left + t_right)
    else:
        s_left, s_right = at(left), at(right)
        b = t_left - s_left * (t_right - t_left) / (s_right - s_left)
    for _ in range(3):
        value, derivative = slope(b), curvature(b)
        if derivative <= 0 or abs(slope(b - value / derivative)) >= abs(value):
            break
        b -= value / derivative
    return b
