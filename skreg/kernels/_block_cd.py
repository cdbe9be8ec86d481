"""Block coordinate descent in Gram form: min over w of 1/2 w'Hw - q'w + sum of penalties of groups of coordinates."""

import math

import numpy as np

from skreg.kernels._specialize import specialize

_INNER = 20  # most proximal gradient steps within a group before its change is told to the others


def block_step(H, w, grad, pen, members, bound, old, z, new, local):
    """Minimise over one group by proximal gradient steps of length 1 / bound; returns the size of the first.

    On return `new` holds the group's coefficients; `old` is what they were. `local` follows the group's gradient.
    """
    d = members.shape[0]
    for a in range(d):
        old[a] = w[members[a]]
        new[a] = old[a]
        local[a] = grad[members[a]]
    first = 0.0
    for inner in range(_INNER if d > 1 else 1):
        for a in range(d):
            z[a] = new[a] - local[a] / bound
        before = new.copy()
        block_prox(z, 1.0 / bound, members[0], pen, new)  # noqa: F821 - bound by specialize
        moved = 0.0
        for a in range(d):
            delta = new[a] - before[a]
            if delta != 0.0:
                moved += delta * delta
                for b in range(d):
                    local[b] += H[members[a], members[b]] * delta
        moved = bound * math.sqrt(moved)
        if inner == 0:
            first = moved
        if moved <= 0.1 * first:
            break
    return first


def gram_block_cd(H, w, grad, pen, order, starts, bounds, max_epochs, tol):
    """Cyclic sweeps over groups, over those that are not 0 between full sweeps; updates `w` and `grad` in place.

    Group g holds the coordinates ``order[starts[g]:starts[g + 1]]``, with second derivatives of at most ``bounds[g]``.
    Returns the number of sweeps and the largest first step times bound of the last full sweep, which is <= `tol` when
    the loop converged.
    """
    n_groups = starts.shape[0] - 1
    m = w.shape[0]
    active = np.empty(n_groups, dtype=np.int64)
    epoch = 0
    worst = np.inf
    full = True
    size = 0
    target = tol
    while epoch < max_epochs:
        epoch += 1
        moved = 0.0
        kept = 0
        for k in range(n_groups if full else size):
            g = k if full else active[k]
            members = order[starts[g] : starts[g + 1]]
            d = members.shape[0]
            old, z, new, local = np.empty(d), np.empty(d), np.zeros(d), np.empty(d)
            if bounds[g] > 0.0:
                first = block_step(H, w, grad, pen, members, bounds[g], old, z, new, local)
                moved = max(moved, first)
            else:
                for a in range(d):
                    old[a] = w[members[a]]
            nonzero = False
            for a in range(d):
                delta = new[a] - old[a]
                if delta != 0.0:
                    row = H[members[a]]
                    for i in range(m):
                        grad[i] += delta * row[i]
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


def add_blocks(system, starts, c, k, u):
    """Add c I + k u u' of each group to the diagonal blocks of a matrix."""
    for g in range(starts.shape[0] - 1):
        for i in range(starts[g], starts[g + 1]):
            system[i, i] += c[i]
            for j in range(starts[g], starts[g + 1]):
                system[i, j] += k[i] * u[i] * u[j]


def block_kernel(penalty):
    """`gram_block_cd` compiled for a penalty."""
    return specialize(gram_block_cd, block_step=block_step, **penalty.leaves)
