"""Total variation: the proximal operator on a chain by dynamic programming, and maximum flows for other graphs."""

import numpy as np

from skreg.kernels._specialize import interpret, is_soon_done, specialize


def chain_tv(y, lam, x):
    """Set x to the minimiser of 1/2 |x - y|^2 + lam * sum_i |x[i + 1] - x[i]|, in time linear in the length.

    The derivative of the value function of x[k], minimised over those before it, is piecewise linear; `knots` are its
    knots from `left` to `right`, at which slope and offset change by `a` and `b`. Between low[k] and high[k] it is
    within lam, and x[k] follows x[k + 1] there.

    N. Johnson (2013), A dynamic programming algorithm for the fused lasso and L0-segmentation. Journal of
    Computational and Graphical Statistics 22(2), 246-260.
    """
    n = y.shape[0]
    if n <= 1 or lam <= 0.0:
        for k in range(n):
            x[k] = y[k]
        return
    knots, a, b = np.zeros(2 * n), np.zeros(2 * n), np.zeros(2 * n)
    low, high = np.zeros(n - 1), np.zeros(n - 1)
    left, right = n - 1, n
    low[0], high[0] = y[0] - lam, y[0] + lam
    knots[left], a[left], b[left] = low[0], 1.0, lam - y[0]
    knots[right], a[right], b[right] = high[0], -1.0, lam + y[0]
    for k in range(1, n - 1):
        slope, offset = 1.0, -lam - y[k]
        lo = left
        while lo <= right and slope * knots[lo] + offset <= -lam:
            slope += a[lo]
            offset += b[lo]
            lo += 1
        down, rest = -1.0, y[k] - lam
        hi = right
        while hi >= lo and -down * knots[hi] - rest >= lam:
            down += a[hi]
            rest += b[hi]
            hi -= 1
        low[k] = (-lam - offset) / slope
        left = lo - 1
        knots[left], a[left], b[left] = low[k], slope, offset + lam
        high[k] = (lam + rest) / -down
        right = hi + 1
        knots[right], a[right], b[right] = high[k], down, rest + lam
    slope, offset = 1.0, -lam - y[n - 1]
    lo = left
    while lo <= right and slope * knots[lo] + offset <= 0.0:
        slope += a[lo]
        offset += b[lo]
        lo += 1
    x[n - 1] = -offset / slope
    for k in range(n - 2, -1, -1):
        x[k] = min(max(x[k + 1], low[k]), high[k])


def send_flow(excess, residual, start, head, back, noise):
    """Send as much as there is room for from nodes of positive `excess` to those of negative, in place.

    Arcs start[i] to start[i + 1] leave node i for `head`, with room `residual`; `back` is the number of the opposite
    arc. Less than `noise` counts as nothing. Returns a mark for each node from which what is left over could still
    reach: the source side of the smallest minimum cut.

    E. Dinic (1970), Algorithm for solution of a problem of maximum flow in networks with power estimation. Soviet
    Mathematics Doklady 11, 1277-1280.
    """
    n = excess.shape[0]
    level, queue, path = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64)
    arc = np.empty(n, dtype=np.int64)
    while True:
        first, last, found = 0, 0, False
        for i in range(n):
            level[i] = -1
            arc[i] = start[i]
            if excess[i] > noise:
                level[i] = 0
                queue[last] = i
                last += 1
        while first < last:
            i = queue[first]
            first += 1
            if excess[i] < -noise:
                found = True
            for e in range(start[i], start[i + 1]):
                if residual[e] > noise and level[head[e]] < 0:
                    level[head[e]] = level[i] + 1
                    queue[last] = head[e]
                    last += 1
        if not found:
            return level >= 0
        for source in range(n):
            while level[source] == 0 and excess[source] > noise:
                depth, i = 0, source
                while not excess[i] < -noise:
                    if arc[i] < start[i + 1]:
                        e = arc[i]
                        if residual[e] > noise and level[head[e]] == level[i] + 1:
                            path[depth] = e
                            depth += 1
                            i = head[e]
                        else:
                            arc[i] += 1
                    elif depth > 0:
                        depth -= 1
                        i = head[back[path[depth]]]
                        arc[i] += 1
                    else:
                        break
                if depth == 0:
                    break
                amount = min(excess[source], -excess[i])
                for k in range(depth):
                    amount = min(amount, residual[path[k]])
                for k in range(depth):
                    residual[path[k]] -= amount
                    residual[back[path[k]]] += amount
                excess[source] -= amount
                excess[i] += amount


def tv_kernel(template, steps):
    """A template of this file: compiled, or interpreted where the next `steps` do not repay loading the compiler."""
    return interpret(template) if is_soon_done(0, steps) else specialize(template)
