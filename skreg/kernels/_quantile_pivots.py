"""Pivots of the parametric simplex along the path of an L1-penalised quantile regression.

At a vertex the rows E have residual zero and the columns A are in the model, as many of the one as of the other. With
B = Z[E, A], its inverse M, weights u and signs s of the coefficients, and the strength alpha, the dual point is

    d_E = M' (alpha s_A u_A - Z[N, A]' d_N),        d_N at the ends that the residuals' signs tell

so that it falls by q = M' (s_A u_A), and the slopes Z'd by g = Z[E]' q, for each unit by which alpha falls. Until a row
of E reaches an end, or the slope of a column its strength alpha u_j, the coefficients stay as they are. There that row
leaves E, or that column enters A: the vertex moves along an edge of the optimal set until another row's residual is
zero, which enters E, or a coefficient, which leaves A.
"""

from typing import NamedTuple

import numpy as np

from skreg.kernels._specialize import specialize

DONE, GROW, REFACTOR, STUCK = range(4)
_ERROR = 1e-7  # of what products with the inverse should be, beyond which it is computed afresh


class Vertex(NamedTuple):
    """A vertex of the path, on some columns of the data; arrays are changed in place."""

    Z: np.ndarray  # (n_rows, room) the columns, row by row
    ZT: np.ndarray  # (room, n_rows) the same, column by column
    u: np.ndarray  # (room,) weights of the coefficients in the penalty, 0 where free
    ends: np.ndarray  # (2, room) 1.0 where a coefficient may fall below zero, and rise above
    high: np.ndarray  # (n_rows,) ends of the dual point: -low to high
    low: np.ndarray
    M: np.ndarray  # (most, most) inverse of Z[E, A]: a row for each column of A
    E: np.ndarray  # (most,)
    A: np.ndarray  # (most,)
    q: np.ndarray  # (most,)
    side: np.ndarray  # (n_rows,) 0.0 in E, else the sign of the residual
    sign: np.ndarray  # (room,) sign of the coefficient, 0.0 where free or out of A
    inside: np.ndarray  # (room,) whether a column is in A
    b: np.ndarray  # (room,)
    r: np.ndarray  # (n_rows,)
    d: np.ndarray  # (n_rows,)
    z: np.ndarray  # (room,) slopes Z'd
    shifts: np.ndarray  # (n_rows + room,) by how much zeros are moved off zero where vertices are degenerate
    g: np.ndarray  # (room,) work
    move: np.ndarray  # (most,) work
    column: np.ndarray  # (most,) work
    row: np.ndarray  # (most,) work
    rate: np.ndarray  # (n_rows,) work
    order: np.ndarray  # (most,) 0, 1, ...
    counts: np.ndarray  # columns in Z, size of the basis, pivots, pivots in a row at one alpha
    alpha: np.ndarray  # (1,)


def combine(rows, index, weight, k, out, size):
    """Sum of weight[e] rows[index[e], :size] into `out`, four rows at a time."""
    for j in range(size):
        out[j] = 0.0
    e = 0
    while e + 4 <= k:
        w0, w1, w2, w3 = weight[e], weight[e + 1], weight[e + 2], weight[e + 3]
        x0, x1, x2, x3 = rows[index[e]], rows[index[e + 1]], rows[index[e + 2]], rows[index[e + 3]]
        for j in range(size):
            out[j] += w0 * x0[j] + w1 * x1[j] + w2 * x2[j] + w3 * x3[j]
        e += 4
    while e < k:
        w0, x0 = weight[e], rows[index[e]]
        for j in range(size):
            out[j] += w0 * x0[j]
        e += 1


def subtract(x, factor, y, size):
    """Take `factor` times y from x."""
    for j in range(size):
        x[j] -= factor * y[j]


def next_event(v, reach):
    """How far alpha can fall, at most by `reach`, and what happens there: kind (0 nothing, 1 row, 2 column), place.

    Of those that come first but for rounding, the one whose dual variable changes fastest.
    """
    w, k, alpha = v.counts[0], v.counts[1], max(v.alpha[0], 1e-300)
    least = reach
    for sweep in range(2):
        kind, place, best, step = 0, -1, 0.0, reach
        slack = 1e-12 if sweep == 0 else 0.0
        for e in range(k):
            i, speed = v.E[e], abs(v.q[e])
            full = v.high[i] + v.low[i]
            if speed <= 1e-13 * full:
                continue
            room = v.high[i] - v.d[i] if v.q[e] < 0.0 else v.d[i] + v.low[i]
            t = (max(room, 0.0) + slack * full) / speed
            if sweep == 0:
                least = min(least, t)
            elif t <= least and speed / full > best:
                kind, place, best, step = 1, e, speed / full, t
        for j in range(w):
            if v.inside[j] or v.u[j] == 0.0:
                continue
            u = v.u[j]
            for end in range(2):
                side = 2.0 * end - 1.0
                speed = u - side * v.g[j]
                if v.ends[end, j] == 0.0 or speed <= 1e-10 * u:
                    continue
                t = (max(alpha * u - side * v.z[j], 0.0) + slack * u * alpha) / speed
                if sweep == 0:
                    least = min(least, t)
                elif t <= least and speed / (u * alpha) > best:
                    kind, place, best, step = 2, j if side > 0.0 else -1 - j, speed / (u * alpha), t
    return step, kind, place


def lift(value, sign, shift):
    """`value`, or, where it has not the sign that it should have, one that has it."""
    return value if sign * value > 1e-12 else sign * 1e-11 * (1.0 + shift)


def first_zero(v):
    """The step along the edge at which something is zero first: kind (0 nothing, 1 row, 2 coefficient), place."""
    n, k = v.r.shape[0], v.counts[1]
    least, kind, place, best, step = np.inf, 0, -1, 0.0, 0.0
    for sweep in range(2):
        slack = 1e-13 if sweep == 0 else 0.0
        for i in range(n):
            side = v.side[i]
            speed = -side * v.rate[i]
            if side == 0.0 or speed <= 1e-11:
                continue
            if sweep == 0:
                v.r[i] = lift(v.r[i], side, v.shifts[i])
            t = (side * v.r[i] + slack) / speed
            if sweep == 0:
                least = min(least, t)
            elif t <= least and speed > best:
                kind, place, best, step = 1, i, speed, t
        for a in range(k):
            j = v.A[a]
            speed = -v.sign[j] * v.move[a]
            if speed <= 1e-11:
                continue
            if sweep == 0:
                v.b[j] = lift(v.b[j], v.sign[j], v.shifts[n + j])
            t = (v.sign[j] * v.b[j] + slack) / speed
            if sweep == 0:
                least = min(least, t)
            elif t <= least and speed > best:
                kind, place, best, step = 2, a, speed, t
    return step, kind, place


def exchange_row(v, e, i):
    """Row i takes the place e in E."""
    k, M, t = v.counts[1], v.M, v.row
    for a in range(k):
        v.column[a] = v.Z[i, v.A[a]]
    combine(M, v.order, v.column, k, t, k)
    pivot = t[e]
    for a in range(k):
        f = M[a, e] / pivot
        subtract(M[a], f, t, k)
        M[a, e] = f
    f = v.q[e] / pivot
    for c in range(k):
        v.q[c] -= f * t[c]
    v.q[e] = f
    v.E[e] = i


def exchange_column(v, a, j, sign):
    """Column j, whose product with M is in `v.column`, takes the place a in A."""
    k, M, h = v.counts[1], v.M, v.column
    pivot = h[a]
    f = (sign * v.u[j] - v.g[j]) / pivot
    for c in range(k):
        v.q[c] += f * M[a, c]
        M[a, c] /= pivot
    for other in range(k):
        if other != a:
            subtract(M[other], h[other], M[a], k)
    v.A[a] = j


def border(v, i, j, sign):
    """Row i joins E and column j, whose product with M is in `v.column`, joins A."""
    k, M, h, t = v.counts[1], v.M, v.column, v.row
    schur = v.Z[i, j]
    for a in range(k):
        v.move[a] = v.Z[i, v.A[a]]
        schur -= v.move[a] * h[a]
    combine(M, v.order, v.move, k, t, k)
    for a in range(k):
        f = h[a] / schur
        subtract(M[a], -f, t, k)
        M[a, k] = -f
    f = (v.g[j] - sign * v.u[j]) / schur
    for c in range(k):
        M[k, c] = -t[c] / schur
        v.q[c] += f * t[c]
    M[k, k] = 1.0 / schur
    v.q[k] = -f
    v.E[k], v.A[k] = i, j
    v.counts[1] = k + 1


def shrink(v, e, a):
    """The places e of E and a of A are given up."""
    k, M = v.counts[1], v.M
    pivot = M[a, e]
    for other in range(k):
        if other != a:
            subtract(M[other], M[other, e] / pivot, M[a], k)
    f = v.q[e] / pivot
    for c in range(k):
        v.q[c] -= f * M[a, c]
    last = k - 1
    if a != last:
        for c in range(k):
            M[a, c] = M[last, c]
        v.A[a] = v.A[last]
    if e != last:
        for other in range(last):
            M[other, e] = M[other, last]
        v.E[e], v.q[e] = v.E[last], v.q[last]
    v.counts[1] = last


def edge(v, kind, place):
    """The move of the coefficients in A, and the rates of all residuals, along the edge at an event.

    Also the sign that the new residual or coefficient takes, and how far the rates of E are from what they should be.
    """
    n, k = v.r.shape[0], v.counts[1]
    if kind == 1:
        sign = 1.0 if v.q[place] < 0.0 else -1.0
        for a in range(k):
            v.move[a] = -sign * v.M[a, place]
    else:
        sign = 1.0 if place >= 0 else -1.0
        j = place if place >= 0 else -1 - place
        for e in range(k):
            v.row[e] = v.ZT[j, v.E[e]]
        for a in range(k):
            dot, inverse = 0.0, v.M[a]
            for e in range(k):
                dot += inverse[e] * v.row[e]
            v.column[a] = dot
            v.move[a] = -sign * dot
    error = 0.0
    if 4 * (n - k) < k:
        for i in range(n):
            dot = 0.0
            if v.side[i] != 0.0:
                for a in range(k):
                    dot -= v.Z[i, v.A[a]] * v.move[a]
                if kind == 2:
                    dot -= sign * v.Z[i, j]
            v.rate[i] = dot
    else:
        combine(v.ZT, v.A, v.move, k, v.rate, n)
        for i in range(n):
            v.rate[i] = -v.rate[i] - (sign * v.ZT[j, i] if kind == 2 else 0.0)
        for e in range(k):
            error = max(error, abs(v.rate[v.E[e]] - (sign if kind == 1 and e == place else 0.0)))
    return sign, error


def follow_pivots(v, target, most_pivots):
    """Lower alpha to `target`; returns DONE, or what stands in the way."""
    n, w = v.r.shape[0], v.counts[0]
    for _ in range(most_pivots):
        k = v.counts[1]
        combine(v.Z, v.E, v.q, k, v.g, w)
        error = 0.0
        for a in range(k):
            j = v.A[a]
            error = max(error, abs(v.g[j] - v.sign[j] * v.u[j]) / (v.u[j] + 1e-3))
        if error > _ERROR:
            return REFACTOR
        step, kind, place = next_event(v, v.alpha[0] - target)
        for e in range(k):
            v.d[v.E[e]] -= step * v.q[e]
        for j in range(w):
            v.z[j] -= step * v.g[j]
        if kind == 0:
            v.alpha[0] = target
            return DONE
        v.alpha[0] -= step
        if kind == 2 and k == v.E.shape[0]:
            return GROW
        sign, error = edge(v, kind, place)
        if error > _ERROR:
            return REFACTOR
        length, met, where = first_zero(v)
        if met == 0:
            return STUCK
        for a in range(k):
            v.b[v.A[a]] += length * v.move[a]
        for i in range(n):
            if v.side[i] != 0.0:
                v.r[i] += length * v.rate[i]
        if kind == 1:
            i = v.E[place]
            v.side[i], v.r[i], v.d[i] = sign, sign * length, v.high[i] if sign > 0.0 else -v.low[i]
        else:
            j = place if place >= 0 else -1 - place
            v.b[j], v.sign[j], v.inside[j] = sign * length, sign, 1
        if met == 2:
            out = v.A[where]
            v.b[out], v.sign[out], v.inside[out] = 0.0, 0.0, 0
            if kind == 1:
                shrink(v, place, where)
            else:
                exchange_column(v, where, j, sign)
        else:
            v.r[where], v.side[where] = 0.0, 0.0
            if kind == 1:
                exchange_row(v, place, where)
            else:
                border(v, where, j, sign)
        v.counts[2] += 1
        v.counts[3] = 0 if step > 1e-14 * v.alpha[0] else v.counts[3] + 1
        if v.counts[3] > 4 * k + 200:
            return STUCK
    return STUCK


def pivots():
    """`follow_pivots`, compiled."""
    own = [combine, subtract, next_event, lift, first_zero, exchange_row, exchange_column, border, shrink, edge]
    leaves = {leaf.__name__: leaf for leaf in own}
    return specialize(follow_pivots, fastmath=("reassoc", "contract"), **leaves)
