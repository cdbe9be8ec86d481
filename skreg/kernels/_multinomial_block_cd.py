"""Block coordinate descent over groups of coordinates of several outputs, in residual form.

Row l of U is the gradient with respect to output l of the predictor, the intercepts' part left out: those are profiled
out, `shift` is their change. ``Q[k, l]`` holds each sample's second derivative by outputs k and l, and
``moments[j, l]`` that by coordinate j and intercept l.
"""

import numpy as np

from skreg.kernels._block_cd import dense_adds, dense_dots, minimise_block, sparse_adds, sparse_dots
from skreg.kernels._residual_cd import dense_add, dense_dot, sparse_add, sparse_dot
from skreg.kernels._specialize import specialize


def multinomial_block_sweep(
    columns, place, H, offsets, moments, inverse, Q, w, U, shift, pen, order, starts, bounds, output, chosen
):
    """One sweep over the chosen groups, each ordered by output; updates `w`, `U` and `shift` in place.

    Arguments are those of `residual_block_sweep`, with `inverse` of the intercepts' own second derivatives and the
    `output` of each coordinate. Returns the size of the largest step times the group's bound.
    """
    K = U.shape[0]
    moved = 0.0
    pull = np.empty(K)
    for g in chosen:
        members = order[starts[g] : starts[g + 1]]
        width = members.shape[0]
        new, local = np.zeros(width), np.zeros(width)
        if bounds[g] > 0.0:
            first = 0
            while first < width:
                last = end_of_run(output, members, first)
                dots(columns, place, members[first:last], U[output[members[first]]], local[first:last])  # noqa: F821 - bound by specialize
                first = last
            for a in range(width):
                new[a] = w[members[a]]
                for l in range(K):
                    local[a] += moments[members[a], l] * shift[l]
            block = H[offsets[g] : offsets[g] + width * width].reshape((width, width))
            moved = max(moved, minimise_block(block, local, new, bounds[g], members[0], pen))
        changed = False
        pull[:] = 0.0
        for a in range(width):
            j = members[a]
            local[a] = new[a] - w[j]
            w[j] = new[a]
            changed = changed or local[a] != 0.0
            for l in range(K):
                pull[l] += moments[j, l] * local[a]
        if not changed:
            continue
        for k in range(K):
            for l in range(K):
                shift[k] -= inverse[k, l] * pull[l]
        first = 0
        while first < width:
            last = end_of_run(output, members, first)
            for l in range(K):
                k = output[members[first]]
                add(columns, place, members[first:last], local[first:last], Q[k, l], U[l])  # noqa: F821
            first = last
    return moved


def end_of_run(output, members, first):
    """End of the run of members of the same output that begins at `first`."""
    last = first + 1
    while last < members.shape[0] and output[members[last]] == output[members[first]]:
        last += 1
    return last


def multinomial_block_kernel(penalty, sparse):
    """`multinomial_block_sweep` compiled for a penalty and a kind of columns."""
    kind = dict(dots=sparse_dots, add=sparse_adds, sparse_dot=sparse_dot, sparse_add=sparse_add)
    if not sparse:
        kind = dict(dots=dense_dots, add=dense_adds, dense_dot=dense_dot, dense_add=dense_add)
    leaves = {"minimise_block": minimise_block, "end_of_run": end_of_run, **kind, **penalty.leaves}
    return specialize(multinomial_block_sweep, fastmath=("reassoc", "contract"), **leaves)
