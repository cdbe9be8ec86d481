"""A whole path of the group Lasso in residual form: one compiled call for all strengths.

u is the gradient of the loss with respect to the predictor, weighted and with the intercept at its best; with d the
weights, the squared loss is 1/2 sum_i u_i^2 / d_i, in whose metric u is measured here. Each strength starts on the line
through the last two points, then sweeps over the groups in play take turns with certificates.

A certificate needs the norm of every group's gradient X_g'u. Near points v, v' of before, whose gradients are known,

    ||X_g'u|| <= ||a X_g'v + b X_g'v'|| + ||X_g|| ||u - a v - b v'||,

and as u hardly leaves their span along a path, this tells most groups to be inactive without a look at their columns.
"""

import math
from typing import NamedTuple

import numpy as np

from skreg.kernels._block_cd import (
    dense_adds,
    dense_dots,
    minimise_block,
    residual_block_sweep,
    sparse_adds,
    sparse_dots,
)
from skreg.kernels._residual_cd import dense_add, dense_dot, sparse_add, sparse_dot
from skreg.kernels._specialize import specialize

_REACH = 0.7  # ratio of two strengths from which one tells something about the other
_EARLY = 1.5  # factor on the tolerance at which a gap foretold by the last step is worth a certificate
_NEWTON = 2  # Newton steps of a line search
_LONGEST = 10.0  # step of a line search, in sweeps: a sweep that moves nothing is rounding, not to be made larger
_ROUNDING = 1e-14  # of the terms of a squared distance
_PARALLEL = 1e-8  # squared sine of the angle of two points below which the second says nothing more
_CONSTANT = 1e-25  # variance over squared mean below which a column counts as constant


class Groups(NamedTuple):
    """The columns by group: g holds the coordinates ``order[starts[g]:starts[g + 1]]``.

    `H` has each group's second derivatives from ``offsets[g]`` on, `bounds` a bound of their eigenvalues and `reach` a
    perhaps looser one, -1 where they are not known yet; `moment`, the columns' means, is known where `reach` is.
    """

    columns: tuple
    place: np.ndarray
    centred: bool
    moment: np.ndarray
    d: np.ndarray
    inverse: np.ndarray
    order: np.ndarray
    starts: np.ndarray
    H: np.ndarray
    offsets: np.ndarray
    bounds: np.ndarray
    reach: np.ndarray


class Memory(NamedTuple):
    """Points u, their products, those with the present one; a group's last two gradients, and at which points."""

    points: np.ndarray
    products: np.ndarray
    against: np.ndarray
    count: np.ndarray
    last: np.ndarray
    former: np.ndarray
    gradient: np.ndarray
    past: np.ndarray


def measure_block(groups, g):
    """Second derivatives of a group and a bound of their eigenvalues, which is the largest sum of a row's sizes."""
    members = groups.order[groups.starts[g] : groups.starts[g + 1]]
    width = members.shape[0]
    first = groups.offsets[g]
    block = groups.H[first : first + width * width].reshape((width, width))
    one, total = np.ones(1), groups.d.sum()
    measure_columns(groups, g)
    for a in range(width):
        x, mean = np.zeros(groups.d.shape[0]), groups.moment[members[a]]
        add(groups.columns, groups.place, members[a : a + 1], one, groups.d, x)  # noqa: F821 - bound by specialize
        for i in range(x.shape[0]):
            x[i] -= mean * groups.d[i]
        dots(groups.columns, groups.place, members, x, block[a])  # noqa: F821
        if block[a, a] <= _CONSTANT * total * mean * mean:
            block[a] = 0.0
    bound = 0.0
    for a in range(width):
        size = 0.0
        for b in range(width):
            if block[b, b] == 0.0:
                block[a, b] = 0.0
            size += abs(block[a, b])
        bound = max(bound, size)
    groups.bounds[g] = bound
    groups.reach[g] = bound


def measure_columns(groups, g):
    """Means of a group's columns, and the sum of their variances, which bounds its second derivatives."""
    members = groups.order[groups.starts[g] : groups.starts[g + 1]]
    one, total = np.ones(1), groups.d.sum()
    own, square = np.empty(1), 0.0
    for a in range(members.shape[0]):
        x = np.zeros(groups.d.shape[0])
        add(groups.columns, groups.place, members[a : a + 1], one, groups.d, x)  # noqa: F821
        dots(groups.columns, groups.place, members[a : a + 1], x, own)  # noqa: F821
        square += own[0]
        if groups.centred:
            groups.moment[members[a]] = x.sum() / total
    groups.reach[g] = square


def remember(memory, u, inverse):
    """Note the present point, and its products with those of before; all is forgotten when there is no more room."""
    k = memory.count[0]
    if k == memory.points.shape[0]:
        memory.last[:] = -1
        memory.former[:] = -1
        k = 0
    memory.points[k] = u
    for q in range(k + 1):
        point, product = memory.points[q], 0.0
        for i in range(u.shape[0]):
            product += point[i] * u[i] * inverse[i]
        memory.against[q] = product
        memory.products[q, k] = product
        memory.products[k, q] = product
    memory.count[0] = k + 1
    return k


def largest_norm(memory, groups, g, k):
    """Upper bound of the norm of a group's gradient at point k, from the points at which its gradient is known."""
    i, j = memory.last[g], memory.former[g]
    if i < 0 or groups.reach[g] < 0.0 or memory.products[i, i] <= 0.0:
        return np.inf
    ii, own, v = memory.products[i, i], memory.products[k, k], memory.against[i]
    a, b = v / ii, 0.0
    ij, jj, z = 0.0, 0.0, 0.0
    if j >= 0:
        ij, jj, z = memory.products[i, j], memory.products[j, j], memory.against[j]
        determinant = ii * jj - ij * ij
        if determinant > _PARALLEL * ii * jj:
            a, b = (jj * v - ij * z) / determinant, (ii * z - ij * v) / determinant
    rest = own - 2.0 * (a * v + b * z) + a * a * ii + 2.0 * a * b * ij + b * b * jj
    rest = max(rest, 0.0) + _ROUNDING * (own + a * a * ii + b * b * jj)
    total = 0.0
    for m in range(groups.starts[g], groups.starts[g + 1]):
        entry = a * memory.gradient[m] + b * memory.past[m]
        total += entry * entry
    return math.sqrt(total) + math.sqrt(groups.reach[g] * rest)


def know_gradient(memory, groups, g, k, u):
    """Compute a group's gradient at point k, keep it beside the last one, and return its norm."""
    first, last = groups.starts[g], groups.starts[g + 1]
    if groups.reach[g] < 0.0 and memory.former[g] >= 0:  # whoever asks a third time will ask again
        measure_columns(groups, g)
    memory.past[first:last] = memory.gradient[first:last]
    memory.former[g] = memory.last[g]
    memory.last[g] = k
    own = memory.gradient[first:last]
    dots(groups.columns, groups.place, groups.order[first:last], u, own)  # noqa: F821
    total = 0.0
    for m in range(own.shape[0]):
        total += own[m] * own[m]
    return math.sqrt(total)


def begin(memory, groups, u, gradient, pen, chosen):
    """Begin at the null model, whose gradient is known."""
    remember(memory, u, groups.inverse)
    memory.last[:] = 0
    for g in range(chosen.shape[0]):
        total = 0.0
        for m in range(groups.starts[g], groups.starts[g + 1]):
            memory.gradient[m] = gradient[groups.order[m]]
            total += memory.gradient[m] ** 2
        chosen[g] = math.sqrt(total) > pen.weights[groups.order[groups.starts[g]]]


def admit(memory, groups, u, pen, chosen):
    """Bring groups into play whose gradient is too large for 0.

    Returns the number of the present point, how many groups came, and the largest norm over its strength, 1 at least.
    """
    k = remember(memory, u, groups.inverse)
    fresh, worst = 0, 1.0
    for g in range(chosen.shape[0]):
        if chosen[g]:
            continue
        strength = pen.weights[groups.order[groups.starts[g]]]
        if largest_norm(memory, groups, g, k) > strength:
            norm = know_gradient(memory, groups, g, k, u)
            if norm > strength:
                chosen[g] = True
                fresh += 1
            worst = max(worst, norm / strength)
    return k, fresh, worst


def certify_point(memory, groups, w, u, pen, chosen):
    """Duality gap, largest violation, objective, and the number of groups that came into play, which violate too."""
    outside = np.invert(chosen)
    k, fresh, worst = admit(memory, groups, u, pen, chosen)
    value, slope, violation = 0.0, 0.0, 0.0
    for g in range(chosen.shape[0]):
        if not chosen[g]:
            continue
        first, last = groups.starts[g], groups.starts[g + 1]
        strength = pen.weights[groups.order[first]]
        if not outside[g]:
            worst = max(worst, know_gradient(memory, groups, g, k, u) / strength)
        size, shrunk = 0.0, 0.0
        for m in range(first, last):
            j = groups.order[m]
            size += w[j] * w[j]
            slope += memory.gradient[m] * w[j]
            shrunk += (w[j] - memory.gradient[m]) ** 2
        shrunk = math.sqrt(shrunk)
        scale, move = (1.0 - strength / shrunk if shrunk > strength else 0.0), 0.0
        for m in range(first, last):
            j = groups.order[m]
            move += (w[j] - scale * (w[j] - memory.gradient[m])) ** 2
        value += strength * math.sqrt(size)
        violation = max(violation, math.sqrt(move))
    rss = memory.products[k, k]
    c = 1.0 if worst <= 1.0 else (1.0 - 1e-15) / worst
    gap = max(0.5 * (1.0 - c) ** 2 * rss + value + c * slope, 0.0)
    return gap, violation, 0.5 * rss + value, fresh


def stretch(groups, w, u, old, before, pen, active):
    """Go on from `old` (u: `before`) through `w` as far as the objective falls, unless groups came or left."""
    bend, slope, value = 0.0, 0.0, 0.0
    for i in range(u.shape[0]):
        move = u[i] - before[i]
        bend += move * move * groups.inverse[i]
        slope += move * u[i] * groups.inverse[i]
    terms = np.zeros((active.shape[0], 4))
    for k in range(active.shape[0]):
        first, last = groups.starts[active[k]], groups.starts[active[k] + 1]
        size = 0.0
        for m in range(first, last):
            j = groups.order[m]
            move = w[j] - old[j]
            size += old[j] * old[j]
            terms[k, 0] += w[j] * w[j]
            terms[k, 1] += w[j] * move
            terms[k, 2] += move * move
        if (size == 0.0) != (terms[k, 0] == 0.0):
            return
        terms[k, 3] = pen.weights[groups.order[first]]
        value += terms[k, 3] * math.sqrt(terms[k, 0])
    step = 0.0
    for _ in range(_NEWTON):
        derivative, curvature = slope + step * bend, bend
        for k in range(active.shape[0]):
            norm = math.sqrt(max(terms[k, 0] + step * (2.0 * terms[k, 1] + step * terms[k, 2]), 0.0))
            if norm > 0.0:
                own = (terms[k, 1] + step * terms[k, 2]) / norm
                derivative += terms[k, 3] * own
                curvature += terms[k, 3] * max(terms[k, 2] - own * own, 0.0) / norm
        if not curvature > 0.0:
            return
        step -= derivative / curvature
    if not abs(step) <= _LONGEST:
        return
    after = step * (slope + 0.5 * step * bend)
    for k in range(active.shape[0]):
        after += terms[k, 3] * math.sqrt(max(terms[k, 0] + step * (2.0 * terms[k, 1] + step * terms[k, 2]), 0.0))
    if not after < value:
        return
    for i in range(u.shape[0]):
        u[i] += step * (u[i] - before[i])
    for k in range(active.shape[0]):
        for m in range(groups.starts[active[k]], groups.starts[active[k] + 1]):
            j = groups.order[m]
            w[j] += step * (w[j] - old[j])


def sweep_once(groups, w, u, pen, active):
    """One sweep over the active groups and a step on from it; returns the size of its largest step."""
    old, before = w.copy(), u.copy()
    after = groups.order, groups.starts, groups.bounds, active
    moved, shift = sweep(  # noqa: F821
        groups.columns, groups.place, groups.H, groups.offsets, groups.moment, groups.d, w, u, 0.0, pen, *after
    )
    if shift != 0.0:
        for i in range(u.shape[0]):
            u[i] -= shift * groups.d[i]
    stretch(groups, w, u, old, before, pen, active)
    return moved


def leap(groups, w, u, last, point, ratio):
    """Move (w, u), which are the point after (last, point), on along their line, `ratio` times as far.

    Groups stay on the present support.
    """
    for i in range(u.shape[0]):
        here = u[i]
        u[i] += ratio * (here - point[i])
        point[i] = here
    for g in range(groups.starts.shape[0] - 1):
        members = groups.order[groups.starts[g] : groups.starts[g + 1]]
        present, left = False, False
        for j in members:
            present = present or w[j] != 0.0
            left = left or last[j] != 0.0
        if left and not present:  # it would go on through 0
            delta, shift = np.empty(members.shape[0]), 0.0
            for k in range(members.shape[0]):
                delta[k] = ratio * last[members[k]]
                shift += delta[k] * groups.moment[members[k]]
            add(groups.columns, groups.place, members, delta, groups.d, u)  # noqa: F821
            for i in range(u.shape[0]):
                u[i] -= shift * groups.d[i]
        for j in members:
            here = w[j]
            if present:
                w[j] += ratio * (here - last[j])
            last[j] = here


def group_path(groups, memory, u, gradient, null_gap, alphas, tols, weights, pen, max_sweeps, W, report):
    """Solve for decreasing `alphas`, each from the ones before, to relative duality gaps of at most `tols`.

    ``pen.alpha`` is 1 and ``pen.weights`` a buffer for the strengths; `u` and `gradient` are those of the null model.
    Coefficients go to the rows of `W`, and to `report` gap, violation, objective and number of certificates. Returns
    how many alphas took no more than `max_sweeps` sweeps each.
    """
    w, last, point = np.zeros(weights.shape[0]), np.zeros(weights.shape[0]), u.copy()
    chosen = np.zeros(groups.starts.shape[0] - 1, dtype=np.bool_)
    rate = 0.0
    for k in range(alphas.shape[0]):
        if k > 0:
            fine = k > 1 and alphas[k] > _REACH * alphas[k - 1] and alphas[k - 1] < alphas[k - 2]
            ratio = (alphas[k] - alphas[k - 1]) / (alphas[k - 1] - alphas[k - 2]) if fine else 0.0
            leap(groups, w, u, last, point, ratio)
        for j in range(weights.shape[0]):
            pen.weights[j] = alphas[k] * weights[j]
        if k > 0:
            admit(memory, groups, u, pen, chosen)
        else:
            begin(memory, groups, u, gradient, pen, chosen)
        target, sweeps, done = tols[k] * null_gap, 0, False
        while not done:
            active, moved = np.flatnonzero(chosen), 0.0
            for g in active:
                if groups.bounds[g] < 0.0:
                    measure_block(groups, g)
            while active.shape[0] > 0 and sweeps < max_sweeps:
                moved = sweep_once(groups, w, u, pen, active)
                sweeps += 1
                if rate * moved <= _EARLY * target:
                    break
            gap, violation, objective, fresh = certify_point(memory, groups, w, u, pen, chosen)
            report[k, 0], report[k, 1], report[k, 2] = gap, violation, objective
            report[k, 3] += 1.0
            done = gap <= target
            if not done and (sweeps >= max_sweeps or (fresh == 0 and moved == 0.0)):
                return k
            if moved > 0.0 and (fresh == 0 or done):
                rate = gap / moved
        W[k] = w
        for g in range(chosen.shape[0]):
            chosen[g] = False
            for j in groups.order[groups.starts[g] : groups.starts[g + 1]]:
                chosen[g] = chosen[g] or w[j] != 0.0
    return alphas.shape[0]


def group_path_kernel(penalty, sparse):
    """`group_path` compiled for a penalty and a kind of columns."""
    kind = dict(dots=sparse_dots, add=sparse_adds, sparse_dot=sparse_dot, sparse_add=sparse_add)
    if not sparse:
        kind = dict(dots=dense_dots, add=dense_adds, dense_dot=dense_dot, dense_add=dense_add)
    own = (
        measure_block,
        measure_columns,
        remember,
        begin,
        largest_norm,
        know_gradient,
        admit,
        certify_point,
        stretch,
        sweep_once,
        leap,
    )
    leaves = {function.__name__: function for function in own}
    leaves |= dict(sweep=residual_block_sweep, minimise_block=minimise_block)
    return specialize(group_path, fastmath=("reassoc", "contract"), **leaves, **kind, **penalty.leaves)
