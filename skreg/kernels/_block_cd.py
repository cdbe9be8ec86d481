"""Block coordinate descent over groups of coordinates, in Gram form and in residual form.

Gram form:      min over w of 1/2 w'Hw - q'w + penalty(w), the gradient Hw - q kept at hand.
Residual form:  as `skreg.kernels._residual_cd`: u is the gradient with respect to the predictor, u - shift * d that
                with the intercept profiled out.

Group g holds the coordinates ``order[starts[g]:starts[g + 1]]``. Within a group the quadratic is minimised by proximal
gradient steps of length 1 / bounds[g], the largest eigenvalue, which touch nothing but the group's own block of H.
"""

import math

import numpy as np

from skreg.kernels._residual_cd import dense_add, dense_dot, sparse_add, sparse_dot
from skreg.kernels._specialize import specialize

_INNER = 20  # most proximal gradient steps within a group before its change is told to the others


def minimise_block(H, grad, new, bound, k, pen):
    """Minimise over the group of coordinate k; `grad` and `new` follow. Returns the size of the first step."""
    d = new.shape[0]
    z, before = np.empty(d), np.empty(d)
    first = 0.0
    for inner in range(_INNER if d > 1 else 1):
        for a in range(d):
            before[a] = new[a]
            z[a] = new[a] - grad[a] / bound
        block_prox(z, 1.0 / bound, k, pen, new)  # noqa: F821 - bound by specialize
        moved = 0.0
        for a in range(d):
            delta = new[a] - before[a]
            if delta != 0.0:
                moved += delta * delta
                for b in range(d):
                    grad[b] += H[a, b] * delta
        moved = bound * math.sqrt(moved)
        if inner == 0:
            first = moved
        if moved <= 0.01 * first:
            break
    return first


def gram_block_cd(H, w, grad, pen, order, starts, bounds, max_epochs, tol):
    """Cyclic sweeps over groups, over those that are not 0 between full sweeps; updates `w` and `grad` in place.

    Returns the number of sweeps and the size of the largest step of the last full sweep, times the group's bound; it
    is <= `tol` when the loop converged.
    """
    n_groups = starts.shape[0] - 1
    m = w.shape[0]
    active = np.empty(n_groups, dtype=np.int64)
    epoch, size = 0, 0
    worst = np.inf
    full = True
    target = tol
    while epoch < max_epochs:
        epoch += 1
        moved = 0.0
        kept = 0
        for i in range(n_groups if full else size):
            g = i if full else active[i]
            members = order[starts[g] : starts[g + 1]]
            d = members.shape[0]
            new, local, block = np.zeros(d), np.empty(d), np.empty((d, d))
            if bounds[g] > 0.0:
                for a in range(d):
                    new[a] = w[members[a]]
                    local[a] = grad[members[a]]
                    for b in range(d):
                        block[a, b] = H[members[a], members[b]]
                moved = max(moved, minimise_block(block, local, new, bounds[g], members[0], pen))
            nonzero = False
            for a in range(d):
                delta = new[a] - w[members[a]]
                if delta != 0.0:
                    row = H[members[a]]
                    for j in range(m):
                        grad[j] += delta * row[j]
                    w[members[a]] = new[a]
                nonzero = nonzero or new[a] != 0.0
            if full and nonzero:
                active[kept] = g
                kept += 1
        if full:
            worst = moved
            if worst <= tol:
                break
            size = kept
            target = max(0.1 * worst, tol)
            full = False
        elif moved <= target:
            full = True
    return epoch, worst


def residual_block_sweep(columns, place, H, offsets, moment, d, w, u, shift, pen, order, starts, bounds, chosen):
    """One sweep over the chosen groups; updates `w` and `u` in place.

    `H` holds the groups' own blocks, group g's from ``offsets[g]`` on, and ``place[j]`` is coordinate j's column in
    `columns`. A group that is 0 may have no block yet, and -1 as its bound: where it would not stay at 0, that is
    lowered by the length of a step of unit curvature. Returns the size of the largest step times the group's bound, and
    the new `shift`.
    """
    total = d.sum()
    moved = 0.0
    for g in chosen:
        members = order[starts[g] : starts[g + 1]]
        width = members.shape[0]
        new, local = np.zeros(width), np.empty(width)
        if bounds[g] < 0.0:
            dots(columns, place, members, u, local)  # noqa: F821 - bound by specialize
            for a in range(width):
                local[a] = shift * moment[members[a]] * total - local[a]
            block_prox(local, 1.0, members[0], pen, new)  # noqa: F821
            size = 0.0
            for a in range(width):
                size += new[a] * new[a]
            if size > 0.0:
                bounds[g], moved = -1.0 - math.sqrt(size), np.inf
            continue
        if bounds[g] > 0.0:
            dots(columns, place, members, u, local)  # noqa: F821
            for a in range(width):
                new[a] = w[members[a]]
                local[a] -= shift * moment[members[a]] * total
            block = H[offsets[g] : offsets[g] + width * width].reshape((width, width))
            moved = max(moved, minimise_block(block, local, new, bounds[g], members[0], pen))
        changed = False
        for a in range(width):
            j = members[a]
            local[a] = new[a] - w[j]
            changed = changed or local[a] != 0.0
            shift += local[a] * moment[j]
            w[j] = new[a]
        if changed:
            add(columns, place, members, local, d, u)  # noqa: F821
    return moved, shift


def dense_dots(columns, place, members, u, out):
    """Products of u with a group's columns, four at a time."""
    rows = columns.rows
    width = members.shape[0]
    whole = width - width % 4
    for k in range(0, whole, 4):
        x, y = rows[place[members[k]]], rows[place[members[k + 1]]]
        z, v = rows[place[members[k + 2]]], rows[place[members[k + 3]]]
        a = b = c = d = 0.0
        for i in range(u.shape[0]):
            a += x[i] * u[i]
            b += y[i] * u[i]
            c += z[i] * u[i]
            d += v[i] * u[i]
        out[k], out[k + 1], out[k + 2], out[k + 3] = a, b, c, d
    for k in range(whole, width):
        out[k] = dense_dot(columns, place[members[k]], u)


def dense_adds(columns, place, members, delta, d, u):
    """Add d * (a group's columns @ delta) to u, four columns at a time."""
    rows = columns.rows
    width = members.shape[0]
    whole = width - width % 4
    for k in range(0, whole, 4):
        x, y = rows[place[members[k]]], rows[place[members[k + 1]]]
        z, v = rows[place[members[k + 2]]], rows[place[members[k + 3]]]
        e, f, g, h = delta[k], delta[k + 1], delta[k + 2], delta[k + 3]
        for i in range(u.shape[0]):
            u[i] += d[i] * (e * x[i] + f * y[i] + g * z[i] + h * v[i])
    for k in range(whole, width):
        dense_add(columns, place[members[k]], delta[k], d, u)


def sparse_dots(columns, place, members, u, out):
    """Products of u with a group's columns."""
    for k in range(members.shape[0]):
        out[k] = sparse_dot(columns, place[members[k]], u)


def sparse_adds(columns, place, members, delta, d, u):
    """Add d * (a group's columns @ delta) to u."""
    for k in range(members.shape[0]):
        sparse_add(columns, place[members[k]], delta[k], d, u)


def add_blocks(system, starts, c, k, u):
    """Add c I + k u u' of each group to the diagonal blocks of a matrix."""
    for g in range(starts.shape[0] - 1):
        for i in range(starts[g], starts[g + 1]):
            system[i, i] += c[i]
            for j in range(starts[g], starts[g + 1]):
                system[i, j] += k[i] * u[i] * u[j]


def gram_block_kernel(penalty):
    """`gram_block_cd` compiled for a penalty."""
    return specialize(gram_block_cd, minimise_block=minimise_block, **penalty.leaves)


def residual_block_kernel(penalty, sparse):
    """`residual_block_sweep` compiled for a penalty and a kind of columns."""
    kind = dict(dots=sparse_dots, add=sparse_adds, sparse_dot=sparse_dot, sparse_add=sparse_add)
    if not sparse:
        kind = dict(dots=dense_dots, add=dense_adds, dense_dot=dense_dot, dense_add=dense_add)
    leaves = {"minimise_block": minimise_block, **kind, **penalty.leaves}
    return specialize(residual_block_sweep, fastmath=("reassoc", "contract"), **leaves)
