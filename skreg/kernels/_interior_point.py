"""The interior point's work row by row, one pass over the rows each, and its small systems of equations.

Arrays have a first axis of levels. Where a row's residual of one sign is impossible its slack is next to nothing and
its weight next to infinite; no product of two such numbers is formed. `ByArrays` of `_interior_point_steps` has the
same formulas for any array namespace.
"""

import math

import numpy as np


def primal_gap(u, v, d, zu, zv, r, primal, gap, by_primal):
    """Set primal = r - u + v; sums by level of u zu + v zv and of |d primal|."""
    for k in range(u.shape[0]):
        total = moved = 0.0
        for i in range(u.shape[1]):
            primal[k, i] = r[k, i] - u[k, i] + v[k, i]
            total += u[k, i] * zu[k, i] + v[k, i] * zv[k, i]
            moved += abs(d[k, i] * primal[k, i])
        gap[k, 0], by_primal[k, 0] = total, moved


def row_weights(u, v, zu, zv, Q):
    """Q = 1 / (u / zu + v / zv)."""
    for k in range(u.shape[0]):
        for i in range(u.shape[1]):
            Q[k, i] = 1.0 / (u[k, i] / zu[k, i] + v[k, i] / zv[k, i])


def row_target(u, v, zu, zv, primal, Q, mu, du, dv, dd, corrected, ru, rv, g, pulled):
    """What the step is to bring u zu and v zv to, with second-order terms where `corrected`; pulled = Q g."""
    for k in range(u.shape[0]):
        for i in range(u.shape[1]):
            a, b = mu[k, 0] - u[k, i] * zu[k, i], mu[k, 0] - v[k, i] * zv[k, i]
            if corrected:
                a += du[k, i] * dd[k, i]
                b -= dv[k, i] * dd[k, i]
            ru[k, i], rv[k, i] = a, b
            g[k, i] = a / zu[k, i] - b / zv[k, i] - primal[k, i]
            pulled[k, i] = Q[k, i] * g[k, i]


def row_step(u, v, zu, zv, Q, ru, rv, g, across, du, dv, dd, fastest_p, fastest_d):
    """The step of each row from that of its prediction, and the largest rates at which slacks go to zero."""
    for k in range(u.shape[0]):
        fast_p = fast_d = -math.inf
        for i in range(u.shape[1]):
            d = -Q[k, i] * (across[k, i] + g[k, i])
            a, b = (ru[k, i] + u[k, i] * d) / zu[k, i], (rv[k, i] - v[k, i] * d) / zv[k, i]
            dd[k, i], du[k, i], dv[k, i] = d, a, b
            fast_p = max(fast_p, max(-a / max(u[k, i], 1e-300), -b / max(v[k, i], 1e-300)))
            fast_d = max(fast_d, max(d / zu[k, i], -d / zv[k, i]))
        fastest_p[k, 0], fastest_d[k, 0] = fast_p, fast_d


def gap_ahead(u, v, zu, zv, du, dv, dd, length_p, length_d, aimed):
    """Sums by level of u zu + v zv after the step."""
    for k in range(u.shape[0]):
        p, q, total = length_p[k, 0], length_d[k, 0], 0.0
        for i in range(u.shape[1]):
            total += (u[k, i] + p * du[k, i]) * (zu[k, i] - q * dd[k, i])
            total += (v[k, i] + p * dv[k, i]) * (zv[k, i] + q * dd[k, i])
        aimed[k, 0] = total


def move_rows(u, v, d, zu, zv, du, dv, dd, length_p, length_d):
    """Make the step."""
    for k in range(u.shape[0]):
        p, q = length_p[k, 0], length_d[k, 0]
        for i in range(u.shape[1]):
            u[k, i] += p * du[k, i]
            v[k, i] += p * dv[k, i]
            d[k, i] += q * dd[k, i]
            zu[k, i] -= q * dd[k, i]
            zv[k, i] += q * dd[k, i]


def factor_blocks(blocks, links, lift, factors, across):
    """Block Cholesky factor of a block-tridiagonal matrix with `lift` added to its diagonal; whether there is one.

    `factors` has the triangular diagonal blocks, `across` the transposed blocks beside them; `links` may be empty.
    """
    m, q = blocks.shape[0], blocks.shape[1]
    coupled = links.shape[0] > 0
    for k in range(m):
        L = factors[k]
        for i in range(q):
            for j in range(i + 1):
                L[i, j] = blocks[k, i, j]
            L[i, i] += lift
        if coupled and k > 0:
            W, before = across[k - 1], factors[k - 1]
            for i in range(q):  # before W = links, row by row
                for c in range(q):
                    W[i, c] = links[k - 1, i, c]
                for l in range(i):
                    f = before[i, l]
                    for c in range(q):
                        W[i, c] -= f * W[l, c]
                f = 1.0 / before[i, i]
                for c in range(q):
                    W[i, c] *= f
            for l in range(q):
                for i in range(q):
                    f = W[l, i]
                    for j in range(i + 1):
                        L[i, j] -= f * W[l, j]
        for i in range(q):
            for j in range(i + 1):
                total = L[i, j]
                for l in range(j):
                    total -= L[i, l] * L[j, l]
                if j < i:
                    L[i, j] = total / L[j, j]
                elif total > 0.0 and total < math.inf:
                    L[i, i] = math.sqrt(total)
                else:
                    return False
    return True


def solve_factored(factors, across, rhs):
    """Solve in place with the factor of `factor_blocks`."""
    m, q = rhs.shape
    coupled = across.shape[0] > 0
    for k in range(m):
        L, x = factors[k], rhs[k]
        if coupled and k > 0:
            for l in range(q):
                for i in range(q):
                    x[i] -= across[k - 1, l, i] * rhs[k - 1, l]
        for i in range(q):
            for l in range(i):
                x[i] -= L[i, l] * x[l]
            x[i] /= L[i, i]
    for k in range(m - 1, -1, -1):
        L, x = factors[k], rhs[k]
        if coupled and k < m - 1:
            for l in range(q):
                for i in range(q):
                    x[l] -= across[k, l, i] * rhs[k + 1, i]
        for i in range(q - 1, -1, -1):
            x[i] /= L[i, i]
            for l in range(i):
                x[l] -= L[i, l] * x[i]


def solve_blocks(blocks, links, factors, across, root, rhs, refinements):
    """Solve with `blocks` and `links`, which have unit diagonals once divided by `root`; refinement mends the lift."""
    m, q = rhs.shape
    scaled = rhs / root
    x = scaled.copy()
    solve_factored(factors, across, x)
    left = np.empty_like(x)
    for _ in range(refinements):
        for k in range(m):
            for i in range(q):
                total = scaled[k, i]
                for j in range(q):
                    total -= blocks[k, i, j] * x[k, j]
                left[k, i] = total
        for k in range(links.shape[0]):
            for i in range(q):
                for j in range(q):
                    left[k, i] -= links[k, i, j] * x[k + 1, j]
                    left[k + 1, j] -= links[k, i, j] * x[k, i]
        solve_factored(factors, across, left)
        x += left
    return x / root
