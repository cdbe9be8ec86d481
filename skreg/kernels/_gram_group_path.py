"""A whole path of the group Lasso or group elastic net in Gram form: one compiled call for all strengths.

The objective is 1/2 w'Hw - q'w + the penalty, up to half of y'y, and the gradient Hw - q is kept at hand. Each strength
starts on the line through the last two points. Sweeps over the groups, to settle which of them are 0, then take turns
with Newton steps on those that are not. A factor of the second derivatives serves as long as its steps lead on: where
no group comes or goes, they change little from one strength to the next.

Group g holds the coordinates ``order[starts[g]:starts[g + 1]]``. ``pen.weights`` are the strengths, ``pen.alpha`` is 1.
"""

import math

import numpy as np

from skreg.kernels._block_cd import gram_block_cd, minimise_block
from skreg.kernels._specialize import specialize

_SWEEPS = 5  # sweeps after a Newton step that was cut short; one after others
_SLOW = 0.3  # share of the gap left by a step, above which the second derivatives are too old
_HALVINGS = 6  # most lengths of a Newton step that are tried; each is half the one before, ...
_LONG = 2  # ... but after so many halvings as far as the first group turns round, if that is less
_FINER = 0.1  # factor on the tolerance of sweeps where the duality gap does not reach its own
_REACH = 0.7  # ratio of two strengths from which one tells something about the other
_SINGULAR = 1e-13  # pivot over diagonal below which a matrix counts as singular


def certify_groups(w, grad, q, null_gap, l1_ratio, pen, order, starts):
    """Duality gap, violation and objective of the point `w`; `null_gap` is half of y'y."""
    rss, slope, value, worst, violation = 2.0 * null_gap, 0.0, 0.0, 1.0, 0.0
    for g in range(starts.shape[0] - 1):
        members = order[starts[g] : starts[g + 1]]
        strength = pen.weights[members[0]]
        l1, l2 = strength * l1_ratio, strength * (1.0 - l1_ratio)
        size, tilted, ahead = 0.0, 0.0, 0.0
        for j in members:
            rss += w[j] * (grad[j] - q[j])
            slope += w[j] * grad[j]
            size += w[j] ** 2
            tilted += (grad[j] + l2 * w[j]) ** 2
            ahead += (w[j] - grad[j]) ** 2
        value += l1 * math.sqrt(size) + 0.5 * l2 * size
        worst = max(worst, math.sqrt(tilted) / l1)
        ahead = math.sqrt(ahead)
        scale = (1.0 - l1 / ahead) / (1.0 + l2) if ahead > l1 else 0.0
        move = 0.0
        for j in members:
            move += (w[j] - scale * (w[j] - grad[j])) ** 2
        violation = max(violation, math.sqrt(move))
    rss = max(rss, 0.0)
    c = 1.0 if worst <= 1.0 else (1.0 - 1e-15) / worst
    gap = 0.5 * (1.0 - c) ** 2 * rss + value + c * slope + group_conjugates(grad, l1_ratio, pen, order, starts, c)
    if c < 1.0 and l1_ratio < 1.0:  # the conjugate is finite everywhere
        gap = min(gap, value + slope + group_conjugates(grad, l1_ratio, pen, order, starts, 1.0))
    return max(gap, 0.0), violation, 0.5 * rss + value


def group_conjugates(grad, l1_ratio, pen, order, starts, c):
    """Conjugate of the penalty at ``-c * grad``, of which the Lasso's part is feasible but for rounding."""
    total = 0.0
    if l1_ratio < 1.0:
        for g in range(starts.shape[0] - 1):
            members = order[starts[g] : starts[g + 1]]
            strength, size = pen.weights[members[0]], 0.0
            for j in members:
                size += grad[j] ** 2
            excess = max(c * math.sqrt(size) - strength * l1_ratio, 0.0)
            total += 0.5 * excess * excess / (strength * (1.0 - l1_ratio))
    return total


def multiply(H, w, out):
    """Add Hw to `out`, H symmetric."""
    for j in range(w.shape[0]):
        if w[j] != 0.0:
            row, scale = H[j], w[j]
            for i in range(out.shape[0]):
                out[i] += scale * row[i]


def follow_line(H, q, w, last, grad, ratio, order, starts):
    """Move `w`, the point after `last`, on along their line, `ratio` times as far, and compute its gradient anew.

    Groups stay on the present support.
    """
    for g in range(starts.shape[0] - 1):
        members = order[starts[g] : starts[g + 1]]
        present = False
        for j in members:
            present = present or w[j] != 0.0
        for j in members:
            here = w[j]
            if present:
                w[j] += ratio * (here - last[j])
            last[j] = here
    for i in range(q.shape[0]):
        grad[i] = -q[i]
    multiply(H, w, grad)


def factorise(system, m):
    """Put the Cholesky factor of the first m rows into their lower triangle.

    Rows that depend on those before get an infinite diagonal: `substitute` gives 0 for them.
    """
    for first in range(0, m, 4):
        whole = first + 4 <= m
        if whole:  # four rows at a time, for each is a pass over all rows before
            a, b, c, d = system[first], system[first + 1], system[first + 2], system[first + 3]
            for j in range(first):
                row = system[j]
                e = f = g = h = 0.0
                for k in range(j):
                    e += a[k] * row[k]
                    f += b[k] * row[k]
                    g += c[k] * row[k]
                    h += d[k] * row[k]
                a[j], b[j] = (a[j] - e) / row[j], (b[j] - f) / row[j]
                c[j], d[j] = (c[j] - g) / row[j], (d[j] - h) / row[j]
        for i in range(first, min(first + 4, m)):
            row = system[i]
            diagonal = row[i]
            for j in range(first if whole else 0, i + 1):
                other, total = system[j], 0.0
                for k in range(j):
                    total += row[k] * other[k]
                row[j] -= total
                if j < i:
                    row[j] /= other[j]
            row[i] = math.sqrt(row[i]) if row[i] > _SINGULAR * diagonal else np.inf


def substitute(factor, x):
    """Solve ``factor @ factor.T @ x = x`` in place, the factor in the lower triangle."""
    for i in range(x.shape[0]):
        row, total = factor[i], x[i]
        for k in range(i):
            total -= row[k] * x[k]
        x[i] = total / row[i]
    for i in range(x.shape[0] - 1, -1, -1):
        row = factor[i]
        x[i] /= row[i]
        last = x[i]
        for k in range(i):
            x[k] -= row[k] * last


def find_support(w, order, starts, support, bounds):
    """Note the coordinates of the groups that are not 0, one group after the other, and where each of these starts.

    Returns how many groups they are, and whether they are those that were noted before.
    """
    m, active, same = 0, 0, True
    for g in range(starts.shape[0] - 1):
        members = order[starts[g] : starts[g + 1]]
        present = False
        for j in members:
            present = present or w[j] != 0.0
        if present:
            same = same and bounds[active] == m and support[m] == members[0]
            bounds[active] = m
            support[m : m + members.shape[0]] = members
            m += members.shape[0]
            active += 1
    same = same and bounds[active] == m
    bounds[active] = m
    bounds[active + 1 :] = -1
    return active, same


def second_derivatives(H, w, l1_ratio, pen, support, starts, out):
    """Second derivatives of the objective over groups that are not 0."""
    for a in range(support.shape[0]):
        row = H[support[a]]
        for b in range(a + 1):
            out[a, b] = row[support[b]]
    for g in range(starts.shape[0] - 1):
        strength, size = pen.weights[support[starts[g]]], 0.0
        for a in range(starts[g], starts[g + 1]):
            size += w[support[a]] ** 2
        bend = strength * l1_ratio / math.sqrt(size)
        for a in range(starts[g], starts[g + 1]):
            out[a, a] += bend + strength * (1.0 - l1_ratio)
            for b in range(starts[g], a + 1):
                out[a, b] -= bend * w[support[a]] * w[support[b]] / size


def step_on_groups(H, w, grad, l1_ratio, pen, support, starts, factor):
    """A step on the groups that are not 0, by the factor of their second derivatives, which must lead down.

    Groups that the step turns round stop at 0. Returns how many did, and whether it was taken in full.
    """
    step = np.empty(support.shape[0])
    for g in range(starts.shape[0] - 1):
        strength, size = pen.weights[support[starts[g]]], 0.0
        for a in range(starts[g], starts[g + 1]):
            size += w[support[a]] ** 2
        slope = strength * (l1_ratio / math.sqrt(size) + 1.0 - l1_ratio)
        for a in range(starts[g], starts[g + 1]):
            step[a] = -grad[support[a]] - slope * w[support[a]]
    substitute(factor, step)
    move, change = np.zeros(w.shape[0]), np.empty(w.shape[0])
    for halving in range(_HALVINGS):
        gain, crossing, gone = 0.0, 1.0, 0
        for g in range(starts.shape[0] - 1):
            strength, size, along, length = pen.weights[support[starts[g]]], 0.0, 0.0, 0.0
            for a in range(starts[g], starts[g + 1]):
                size += w[support[a]] ** 2
                along += w[support[a]] * step[a]
                length += step[a] ** 2
            turned = along <= -size
            if turned:
                gone, crossing = gone + 1, min(crossing, -size / along)
                along, length = -size, size
            rise = 2.0 * along + length  # of the squared norm
            norms = math.sqrt(size) + math.sqrt(max(size + rise, 0.0))
            gain += strength * rise * (l1_ratio / norms + 0.5 * (1.0 - l1_ratio))
            for a in range(starts[g], starts[g + 1]):
                move[support[a]] = -w[support[a]] if turned else step[a]
        change[:] = 0.0
        multiply(H, move, change)
        for i in support:
            gain += move[i] * (grad[i] + 0.5 * change[i])
        if gain <= 0.0:
            for i in range(w.shape[0]):
                w[i] += move[i]
                grad[i] += change[i]
            return gone, halving == 0 and gone == 0
        step *= min(0.5, crossing) if halving == _LONG else 0.5
    return 0, False


def gram_group_path(H, q, null_gap, alphas, weights, l1_ratio, pen, order, starts, bounds, tol, max_sweeps, W, report):
    """Solve for decreasing `alphas`, each from the ones before, to relative duality gaps of at most `tol`.

    ``pen.weights`` is a buffer; `bounds` bound the eigenvalues of the groups' blocks of H. Coefficients go to the rows
    of `W`, and to `report` gap, violation, objective and number of sweeps. Returns how many alphas took no more than
    `max_sweeps` sweeps each.
    """
    p = q.shape[0]
    w, last, grad = np.zeros(p), np.zeros(p), -q
    support, begins, system = np.empty(p, dtype=np.int64), np.full(starts.shape[0] + 1, -1), np.empty((p, p))
    largest = np.abs(q).max()
    known = False  # whether `system` holds the factor for `support`, not too old
    for k in range(alphas.shape[0]):
        if k > 0:
            fine = k > 1 and _REACH * alphas[k - 1] < alphas[k] and alphas[k - 1] < alphas[k - 2]
            ratio = (alphas[k] - alphas[k - 1]) / (alphas[k - 1] - alphas[k - 2]) if fine else 0.0
            follow_line(H, q, w, last, grad, ratio, order, starts)
        for j in range(p):
            pen.weights[j] = alphas[k] * weights[j]
        inner, sweeps, rest, before = tol * largest, 0, 1, np.inf
        while True:
            gap, violation, value = certify_groups(w, grad, q, null_gap, l1_ratio, pen, order, starts)
            if gap <= tol * null_gap:
                break
            if sweeps >= max_sweeps:
                return k
            known, before = known and gap < _SLOW * before, np.inf
            if rest > 0:
                done, _ = gram_block_cd(H, w, grad, pen, order, starts, bounds, min(rest, max_sweeps - sweeps), inner)
                sweeps, rest, inner = sweeps + done, 0, _FINER * inner
                continue
            active, same = find_support(w, order, starts, support, begins)
            chosen, own = support[: begins[active]], begins[: active + 1]
            if known and same:
                before = gap
            else:
                second_derivatives(H, w, l1_ratio, pen, chosen, own, system)
                factorise(system, begins[active])
            gone, known = step_on_groups(H, w, grad, l1_ratio, pen, chosen, own, system)
            rest = 0 if gone else (1 if known else _SWEEPS)
        W[k] = w
        report[k, 0], report[k, 1], report[k, 2], report[k, 3] = gap, violation, value, sweeps
    return alphas.shape[0]


def gram_group_path_kernel(penalty):
    """`gram_group_path` compiled for a penalty."""
    own = dict(certify_groups=certify_groups, group_conjugates=group_conjugates, multiply=multiply)
    own |= dict(follow_line=follow_line, factorise=factorise, substitute=substitute, find_support=find_support)
    own |= dict(second_derivatives=second_derivatives, step_on_groups=step_on_groups)
    sweeps = dict(gram_block_cd=gram_block_cd, minimise_block=minimise_block)
    return specialize(gram_group_path, fastmath=("reassoc", "contract"), **own, **sweeps, **penalty.leaves)
