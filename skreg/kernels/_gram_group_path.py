"""A whole path of the group Lasso or group elastic net in Gram form: one compiled call for all strengths.

The objective is 1/2 w'Hw - q'w + the penalty, up to half of y'y, and the gradient Hw - q is kept at hand. Each strength
starts on the line through the last two points. Sweeps over the groups settle which of them are 0, and Newton's method
finishes on those that are not, where sweeps have not been enough.

Group g holds the coordinates ``order[starts[g]:starts[g + 1]]``. ``pen.weights`` are the strengths, ``pen.alpha`` is 1.
"""

import math

import numpy as np

from skreg.kernels._block_cd import gram_block_cd, minimise_block
from skreg.kernels._specialize import specialize

_SWEEPS = 5  # most sweeps between two looks at the duality gap
_STEPS = 3  # most Newton steps after them
_HALVINGS = 4  # of a Newton step
_FINER = 0.1  # factor on the tolerance of sweeps where the duality gap does not reach its own
_REACH = 0.7  # ratio of two strengths from which one tells something about the other
_SINGULAR = 1e-13  # pivot over diagonal below which a matrix counts as singular
_SETTLED = 1e-14  # of the largest gradient: Newton steps below it are rounding


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


def solve_positive(system, x):
    """Solve ``system @ x = x`` in place, by the Cholesky factor that replaces the lower triangle; False if singular."""
    m = x.shape[0]
    for i in range(m):
        row = system[i]
        diagonal = row[i]
        for j in range(i):
            other, total = system[j], row[j]
            for k in range(j):
                total -= row[k] * other[k]
            row[j] = total / other[j]
        pivot = diagonal
        for k in range(i):
            pivot -= row[k] * row[k]
        if not pivot > _SINGULAR * diagonal:
            return False
        row[i] = math.sqrt(pivot)
        for k in range(i):
            x[i] -= row[k] * x[k]
        x[i] /= row[i]
    for i in range(m - 1, -1, -1):
        row = system[i]
        x[i] /= row[i]
        for k in range(i):
            x[k] -= row[k] * x[i]
    return True


def newton_on_groups(H, w, grad, l1_ratio, pen, order, starts):
    """A Newton step on the groups that are not 0, the curvature of the norms included; whether it led down.

    Groups that the step turns round stop at 0.
    """
    support, own = np.empty(w.shape[0], dtype=np.int64), np.zeros(starts.shape[0], dtype=np.int64)
    m, active = 0, 0
    for g in range(starts.shape[0] - 1):
        members = order[starts[g] : starts[g + 1]]
        present = False
        for j in members:
            present = present or w[j] != 0.0
        if present:
            support[m : m + members.shape[0]] = members
            m += members.shape[0]
            active += 1
            own[active] = m
    support = support[:m]
    system, step, before, largest = np.empty((m, m)), np.empty(m), 0.0, 0.0
    for a in range(m):
        row = H[support[a]]
        for b in range(m):
            system[a, b] = row[support[b]]
    for g in range(active):
        strength, size = pen.weights[support[own[g]]], 0.0
        for a in range(own[g], own[g + 1]):
            size += w[support[a]] ** 2
        norm, l1, l2 = math.sqrt(size), strength * l1_ratio, strength * (1.0 - l1_ratio)
        before += l1 * norm + 0.5 * l2 * size
        for a in range(own[g], own[g + 1]):
            i = support[a]
            step[a] = -grad[i] - (l1 / norm + l2) * w[i]
            largest = max(largest, abs(step[a]) / l1)
            system[a, a] += l1 / norm + l2
            for b in range(own[g], own[g + 1]):
                system[a, b] -= l1 / norm * (w[i] / norm) * (w[support[b]] / norm)
    if largest <= _SETTLED or not solve_positive(system, step):
        return False
    move, change = np.zeros(w.shape[0]), np.empty(w.shape[0])
    for _ in range(_HALVINGS):
        after = 0.0
        for g in range(active):
            strength, size, along = pen.weights[support[own[g]]], 0.0, 0.0
            for a in range(own[g], own[g + 1]):
                i = support[a]
                size += (w[i] + step[a]) ** 2
                along += w[i] * (w[i] + step[a])
            kept = along > 0.0
            for a in range(own[g], own[g + 1]):
                move[support[a]] = step[a] if kept else -w[support[a]]
            after += strength * (l1_ratio * math.sqrt(size) + 0.5 * (1.0 - l1_ratio) * size) if kept else 0.0
        change[:] = 0.0
        multiply(H, move, change)
        gain = after - before
        for i in support:
            gain += move[i] * (grad[i] + 0.5 * change[i])
        if gain <= 0.0:
            for i in range(w.shape[0]):
                w[i] += move[i]
                grad[i] += change[i]
            return True
        for a in range(m):
            step[a] *= 0.5
    return False


def gram_group_path(
    H, q, null_gap, alphas, weights, l1_ratio, pen, order, starts, bounds, tol, max_sweeps, W, report
):
    """Solve for decreasing `alphas`, each from the ones before, to relative duality gaps of at most `tol`.

    ``pen.weights`` is a buffer; `bounds` bound the eigenvalues of the groups' blocks of H. Coefficients go to the rows
    of `W`, and to `report` gap, violation, objective and number of sweeps. Returns how many alphas took no more than
    `max_sweeps` sweeps each.
    """
    w, last, grad = np.zeros(q.shape[0]), np.zeros(q.shape[0]), -q
    largest = np.abs(q).max()
    for k in range(alphas.shape[0]):
        if k > 0:
            fine = k > 1 and _REACH * alphas[k - 1] < alphas[k] and alphas[k - 1] < alphas[k - 2]
            ratio = (alphas[k] - alphas[k - 1]) / (alphas[k - 1] - alphas[k - 2]) if fine else 0.0
            follow_line(H, q, w, last, grad, ratio, order, starts)
        for j in range(q.shape[0]):
            pen.weights[j] = alphas[k] * weights[j]
        inner, sweeps, swept = tol * largest, 0, False
        while True:
            gap, violation, value = certify_groups(w, grad, q, null_gap, l1_ratio, pen, order, starts)
            if gap <= tol * null_gap:
                break
            if sweeps >= max_sweeps:
                return k
            if swept:
                for _ in range(_STEPS):
                    if not newton_on_groups(H, w, grad, l1_ratio, pen, order, starts):
                        break
            done, _ = gram_block_cd(H, w, grad, pen, order, starts, bounds, min(_SWEEPS, max_sweeps - sweeps), inner)
            sweeps, swept = sweeps + done, True
            inner *= _FINER
        W[k] = w
        report[k, 0], report[k, 1], report[k, 2], report[k, 3] = gap, violation, value, sweeps
    return alphas.shape[0]


def gram_group_path_kernel(penalty):
    """`gram_group_path` compiled for a penalty."""
    own = dict(certify_groups=certify_groups, group_conjugates=group_conjugates, multiply=multiply)
    own |= dict(follow_line=follow_line, solve_positive=solve_positive, newton_on_groups=newton_on_groups)
    sweeps = dict(gram_block_cd=gram_block_cd, minimise_block=minimise_block)
    return specialize(gram_group_path, fastmath=("reassoc", "contract"), **own, **sweeps, **penalty.leaves)
