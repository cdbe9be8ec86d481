"""A whole path of the group Lasso in residual form: one compiled call for all strengths.

With S the roots of the weights, s is minus the residual times S, and X stands for S times the centred columns: the loss
is 1/2 ||s||^2 and its gradient X's. Coordinates are numbered by group. A group that comes into play is rotated: from
then on its columns are those of X_g V with V the eigenvectors of X_g'X_g, and its coefficients are v = V'w. Its second
derivatives D are then diagonal, and its norm is what it was.

Each strength starts on the line through the last two points, then sweeps over the groups in play take turns with
certificates. A certificate needs the norm of every group's gradient X_g's. Near points t, t' of before, whose gradients
are known,

    ||X_g's|| <= ||a X_g't + b X_g't'|| + ||X_g|| ||s - a t - b t'||,

and as s hardly leaves their span along a path, this tells most groups to be inactive without a look at their columns.
"""

import math
from typing import NamedTuple

import numpy as np

from skreg.kernels._specialize import specialize

_REACH = 0.7  # ratio of two strengths from which one tells something about the other
_EARLY = 1.5  # factor on the tolerance at which a gap foretold by the last step is worth a certificate
_NEWTON = 2  # Newton steps of a line search
_LONGEST = 10.0  # step of a line search, in sweeps: a sweep that moves nothing is rounding, not to be made larger
_ROUNDING = 1e-14  # of the terms of a squared distance or norm
_PARALLEL = 1e-8  # squared sine of the angle of two points below which the second says nothing more
_CONSTANT = 1e-25  # variance over squared mean below which a column counts as constant
_SHARE = 0.3  # of the uncertain part of a norm that counts where no certificate is wanted
_LOOKS = 4  # strengths on the way to another after which gradients are not only foretold
_ASKS = 8  # gradients of a group after which a better bound is worth its price, that of some fifteen gradients
_ROOT = 30  # most Newton steps for the norm of a group, which take 2 or 3
_CLOSE = 1e-7  # relative Newton step after which that norm is exact: the error is about its square


class Groups(NamedTuple):
    """The columns by group: g holds the coordinates ``starts[g]:starts[g + 1]``, in the data the columns `order`.

    `reach` bounds the largest second derivative, and is -1 where nothing is known yet of a group; `means` are known
    where it is. Of groups that are `ready`, `store` (and `rotated`, the same memory to be read) has the rotated columns
    as rows, `D` their second derivatives, and `V` the rows of the rotation.
    """

    rows: np.ndarray
    root: np.ndarray
    centred: bool
    order: np.ndarray
    starts: np.ndarray
    places: np.ndarray
    means: np.ndarray
    reach: np.ndarray
    ready: np.ndarray
    store: np.ndarray
    rotated: np.ndarray
    D: np.ndarray
    V: np.ndarray


class Memory(NamedTuple):
    """Points s, their products, those with the present one; how often a group's gradient was asked for, the last two,
    and at which points.

    `weighted` is S times the present point, whose products with the plain columns are gradients.
    """

    points: np.ndarray
    products: np.ndarray
    against: np.ndarray
    count: np.ndarray
    weighted: np.ndarray
    asks: np.ndarray
    last: np.ndarray
    former: np.ndarray
    gradient: np.ndarray
    past: np.ndarray


def dots(rows, members, starts, which, ready, wanted, s, out):
    """Products of s with the rows of those groups that are ready, or that are not, four at a time."""
    for at in range(which.shape[0]):
        first, last = starts[which[at]], starts[which[at] + 1]
        if ready[which[at]] != wanted:
            continue
        whole = last - (last - first) % 4
        for k in range(first, whole, 4):
            e, f, g, h = members[k], members[k + 1], members[k + 2], members[k + 3]
            a = b = c = d = 0.0
            for i in range(s.shape[0]):
                a += rows[e, i] * s[i]
                b += rows[f, i] * s[i]
                c += rows[g, i] * s[i]
                d += rows[h, i] * s[i]
            out[k], out[k + 1], out[k + 2], out[k + 3] = a, b, c, d
        for k in range(whole, last):
            e, a = members[k], 0.0
            for i in range(s.shape[0]):
                a += rows[e, i] * s[i]
            out[k] = a


def sweep(rows, D, starts, active, strengths, v, c, s):
    """Minimise over each active group in turn: 1/2 (x - v)'D(x - v) + (X_g's)'(x - v) + strength ||x|| over x.

    With c = Dv - X_g's, x is 0 where ||c|| <= strength. Else its norm r is the root of

        sum_k (c_k / (D_k r + strength))^2 = 1.

    To the power -1/2 the left side is concave and rises in r, nearly on a line, so that Newton steps stay below the
    root from the first one on. Returns the size of the largest step.
    """
    worst, n = 0.0, s.shape[0]
    for at in range(active.shape[0]):
        first, last, strength = starts[active[at]], starts[active[at] + 1], strengths[active[at]]
        whole = last - (last - first) % 4
        for k in range(first, whole, 4):
            p0 = p1 = p2 = p3 = 0.0
            for i in range(n):
                p0 += rows[k, i] * s[i]
                p1 += rows[k + 1, i] * s[i]
                p2 += rows[k + 2, i] * s[i]
                p3 += rows[k + 3, i] * s[i]
            c[k], c[k + 1], c[k + 2], c[k + 3] = p0, p1, p2, p3
        for k in range(whole, last):
            p0 = 0.0
            for i in range(n):
                p0 += rows[k, i] * s[i]
            c[k] = p0
        total, size, top = 0.0, 0.0, 0.0
        for k in range(first, last):
            c[k] = D[k] * v[k] - c[k]
            total += c[k] * c[k]
            size += v[k] * v[k]
            top = max(top, D[k])
        r = 0.0
        if total > strength * strength and top > 0.0:
            low = (math.sqrt(total) - strength) / top
            r, rest = low, (_ROOT if last > first + 1 else 0)
            if rest > 0:
                r = max(r, math.sqrt(size))
            while rest > 0:
                value, slope = 0.0, 0.0
                for k in range(first, last):
                    inverse = 1.0 / (D[k] * r + strength)
                    term = c[k] * inverse
                    term *= term
                    value += term
                    slope += term * D[k] * inverse
                if not slope > 0.0:  # underflow
                    break
                before = r
                r = max(r + value * (math.sqrt(value) - 1.0) / slope, low)
                rest = rest - 1 if abs(r - before) > _CLOSE * r else 0
        moved = 0.0
        for k in range(first, last):
            new = c[k] * r / (D[k] * r + strength)
            c[k] = new - v[k]
            moved += c[k] * c[k]
            v[k] = new
        if moved == 0.0:
            continue
        worst = max(worst, top * math.sqrt(moved))
        for k in range(first, whole, 4):
            p0, p1, p2, p3 = c[k], c[k + 1], c[k + 2], c[k + 3]
            for i in range(n):
                s[i] += p0 * rows[k, i] + p1 * rows[k + 1, i] + p2 * rows[k + 2, i] + p3 * rows[k + 3, i]
        for k in range(whole, last):
            p0 = c[k]
            for i in range(n):
                s[i] += p0 * rows[k, i]
    return worst


def bound_columns(groups, g):
    """A first bound of a group's second derivatives, their trace."""
    root, total, trace = groups.root, 0.0, 0.0
    for i in range(root.shape[0]):
        total += root[i] * root[i]
    for m in range(groups.starts[g], groups.starts[g + 1]):
        j, moment, square = groups.order[m], 0.0, 0.0
        for i in range(root.shape[0]):
            term = root[i] * groups.rows[j, i]
            moment += root[i] * term
            square += term * term
        trace += (1.0 + _ROUNDING) * square - (moment * moment / total if groups.centred else 0.0)
    groups.reach[g] = trace


def measure_columns(groups, g):
    """Means of a group's columns, and a bound of its second derivatives: the largest sum of a row's sizes.

    Returns the columns, centred and weighted, and their products with each other.
    """
    root, total = groups.root, 0.0
    first, last = groups.starts[g], groups.starts[g + 1]
    plain = np.empty((last - first, root.shape[0]))
    for i in range(root.shape[0]):
        total += root[i] * root[i]
    for a in range(last - first):
        j, mean, size = groups.order[first + a], 0.0, 0.0
        if groups.centred:
            for i in range(root.shape[0]):
                mean += root[i] * root[i] * groups.rows[j, i]
            mean /= total
        groups.means[first + a] = mean
        for i in range(root.shape[0]):
            plain[a, i] = root[i] * (groups.rows[j, i] - mean)
            size += plain[a, i] * plain[a, i]
        if size <= _CONSTANT * total * mean * mean:
            for i in range(root.shape[0]):
                plain[a, i] = 0.0
    H = np.dot(plain, plain.T)
    bound = 0.0
    for a in range(last - first):
        size = 0.0
        for b in range(last - first):
            size += abs(H[a, b])
        bound = max(bound, size)
    groups.reach[g] = (1.0 + (last - first) * _ROUNDING) * bound
    return plain, H


def rotate_group(groups, memory, g):
    """Rotate a group: its columns, and the gradients that are known of it."""
    first, last, store, top = groups.starts[g], groups.starts[g + 1], groups.store, 0.0
    plain, H = measure_columns(groups, g)
    V = np.linalg.eigh(H)[1]
    columns = np.dot(V.T, plain)
    known = np.zeros((2, last - first))
    for a in range(last - first):
        size = 0.0
        for i in range(columns.shape[1]):
            store[first + a, i] = columns[a, i]
            size += columns[a, i] * columns[a, i]
        groups.D[first + a] = size
        top = max(top, size)
        for b in range(last - first):
            groups.V[first + b, a] = V[b, a]
            known[0, a] += V[b, a] * memory.gradient[first + b]
            known[1, a] += V[b, a] * memory.past[first + b]
    for a in range(last - first):
        memory.gradient[first + a], memory.past[first + a] = known[0, a], known[1, a]
    groups.reach[g] = (1.0 + (last - first) * _ROUNDING) * top
    groups.ready[g] = True


def remember(memory, s, root):
    """Note the present point, and its products with those of before; all is forgotten when there is no more room."""
    k = memory.count[0]
    if k == memory.points.shape[0]:
        for g in range(memory.last.shape[0]):
            memory.last[g], memory.former[g] = -1, -1
        k = 0
    for i in range(s.shape[0]):
        memory.points[k, i] = s[i]
        memory.weighted[i] = root[i] * s[i]
    for q in range(k + 1):
        product = 0.0
        for i in range(s.shape[0]):
            product += memory.points[q, i] * s[i]
        memory.against[q] = product
        memory.products[q, k] = product
        memory.products[k, q] = product
    memory.count[0] = k + 1
    return k


def bound_norms(memory, groups, chosen, k, share, bounds):
    """Bounds of the norms of the gradients at point k from points at which they are known, where not `chosen`.

    `share` is that of the second term, 1 for upper bounds.
    """
    products, against, gradient, past = memory.products, memory.against, memory.gradient, memory.past
    last, former, reach, starts = memory.last, memory.former, groups.reach, groups.starts
    own = products[k, k]
    for g in range(chosen.shape[0]):
        i, j = last[g], former[g]
        bounds[g] = 0.0 if chosen[g] else np.inf
        if chosen[g] or i < 0 or (share > 0.0 and reach[g] < 0.0) or not products[i, i] > 0.0:
            continue
        ii, v = products[i, i], against[i]
        a, b = v / ii, 0.0
        ij, jj, z = 0.0, 0.0, 0.0
        if j >= 0:
            ij, jj, z = products[i, j], products[j, j], against[j]
            determinant = ii * jj - ij * ij
            if determinant > _PARALLEL * ii * jj:
                a, b = (jj * v - ij * z) / determinant, (ii * z - ij * v) / determinant
        rest = own - 2.0 * (a * v + b * z) + a * a * ii + 2.0 * a * b * ij + b * b * jj
        rest = max(rest, 0.0) + _ROUNDING * (own + a * a * ii + b * b * jj)
        total = 0.0
        for m in range(starts[g], starts[g + 1]):
            entry = a * gradient[m] + b * past[m]
            total += entry * entry
        bounds[g] = math.sqrt(total)
        if share > 0.0:
            bounds[g] += share * math.sqrt(reach[g] * rest)


def know_gradients(memory, groups, which, k, s, norms):
    """Compute the gradients of some groups at point k and their norms, and keep the former ones beside them."""
    gradient, past, starts = memory.gradient, memory.past, groups.starts
    for g in which:
        memory.asks[g] += 1
        if groups.reach[g] < 0.0:
            bound_columns(groups, g)
        elif memory.asks[g] == _ASKS and not groups.ready[g]:
            measure_columns(groups, g)
        memory.former[g] = memory.last[g]
        memory.last[g] = k
        for m in range(starts[g], starts[g + 1]):
            past[m] = gradient[m]
    dots(groups.rotated, groups.places, starts, which, groups.ready, True, s, gradient)
    dots(groups.rows, groups.order, starts, which, groups.ready, False, memory.weighted, gradient)
    for g in which:
        total = 0.0
        for m in range(starts[g], starts[g + 1]):
            total += gradient[m] * gradient[m]
        norms[g] = math.sqrt(total)


def admit(memory, groups, s, strengths, chosen, share, norms):
    """Bring groups into play whose gradient is too large for 0.

    Returns the number of the present point, how many groups came, and the largest norm over its strength, 1 at least.
    """
    k = remember(memory, s, groups.root)
    bound_norms(memory, groups, chosen, k, share, norms)
    asked = np.empty(chosen.shape[0], dtype=np.int64)
    size = 0
    for g in range(chosen.shape[0]):
        if norms[g] > strengths[g]:
            asked[size] = g
            size += 1
    asked = asked[:size]
    know_gradients(memory, groups, asked, k, s, norms)
    fresh, worst = 0, 1.0
    for g in asked:
        worst = max(worst, norms[g] / strengths[g])
        if norms[g] > strengths[g]:
            chosen[g] = True
            fresh += 1
    return k, fresh, worst


def certify_point(memory, groups, v, s, strengths, chosen):
    """Duality gap, largest violation, objective, and the number of groups that came into play, which violate too."""
    before, norms = np.flatnonzero(chosen), np.empty(chosen.shape[0])
    k, fresh, worst = admit(memory, groups, s, strengths, chosen, 1.0, norms)
    know_gradients(memory, groups, before, k, s, norms)
    value, slope, violation = 0.0, 0.0, 0.0
    for g in np.flatnonzero(chosen):
        worst = max(worst, norms[g] / strengths[g])
        size, shrunk = 0.0, 0.0
        for m in range(groups.starts[g], groups.starts[g + 1]):
            size += v[m] * v[m]
            slope += memory.gradient[m] * v[m]
            shrunk += (v[m] - memory.gradient[m]) ** 2
        shrunk = math.sqrt(shrunk)
        scale, move = (1.0 - strengths[g] / shrunk if shrunk > strengths[g] else 0.0), 0.0
        for m in range(groups.starts[g], groups.starts[g + 1]):
            move += (v[m] - scale * (v[m] - memory.gradient[m])) ** 2
        value += strengths[g] * math.sqrt(size)
        violation = max(violation, math.sqrt(move))
    rss = memory.products[k, k]
    c = 1.0 if worst <= 1.0 else (1.0 - 1e-15) / worst
    gap = max(0.5 * (1.0 - c) ** 2 * rss + value + c * slope, 0.0)
    return gap, violation, 0.5 * rss + value, fresh


def stretch(starts, v, s, old, before, strengths, active):
    """Go on from `old` (s: `before`) through `v` as far as the objective falls, unless groups came or left."""
    bend, slope, value = 0.0, 0.0, 0.0
    for i in range(s.shape[0]):
        move = s[i] - before[i]
        bend += move * move
        slope += move * s[i]
    terms = np.zeros((active.shape[0], 4))
    for k in range(active.shape[0]):
        size = 0.0
        for m in range(starts[active[k]], starts[active[k] + 1]):
            move = v[m] - old[m]
            size += old[m] * old[m]
            terms[k, 0] += v[m] * v[m]
            terms[k, 1] += v[m] * move
            terms[k, 2] += move * move
        if (size == 0.0) != (terms[k, 0] == 0.0):
            return
        terms[k, 3] = strengths[active[k]]
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
    for i in range(s.shape[0]):
        s[i] += step * (s[i] - before[i])
    for k in range(active.shape[0]):
        for m in range(starts[active[k]], starts[active[k] + 1]):
            v[m] += step * (v[m] - old[m])


def leap(groups, v, s, last, point, ratio):
    """Move (v, s), which are the point after (last, point), on along their line, `ratio` times as far.

    Groups stay on the present support.
    """
    for i in range(s.shape[0]):
        here = s[i]
        s[i] += ratio * (here - point[i])
        point[i] = here
    rotated = groups.rotated
    for g in range(groups.ready.shape[0]):
        if not groups.ready[g]:
            continue
        first, end, present, left = groups.starts[g], groups.starts[g + 1], False, False
        for m in range(first, end):
            present = present or v[m] != 0.0
            left = left or last[m] != 0.0
        if left and not present:  # it would go on through 0
            for m in range(first, end):
                for i in range(s.shape[0]):
                    s[i] += ratio * last[m] * rotated[m, i]
        for m in range(first, end):
            here = v[m]
            if present:
                v[m] += ratio * (here - last[m])
            last[m] = here


def tell(groups, v, chosen, w):
    """Coefficients in the data's coordinates, to `w`; only groups that are not 0 stay in play."""
    for g in range(chosen.shape[0]):
        first, last, present = groups.starts[g], groups.starts[g + 1], False
        for m in range(first, last):
            present = present or v[m] != 0.0
        chosen[g] = present
        if present:
            for a in range(last - first):
                total = 0.0
                for b in range(last - first):
                    total += groups.V[first + a, b] * v[first + b]
                w[groups.order[first + a]] = total


def group_path(groups, memory, s, gradient, null_gap, alphas, tols, weights, max_sweeps, W, report):
    """Solve for decreasing `alphas`, each from the ones before, to relative duality gaps of at most `tols`.

    A tolerance of inf marks an alpha on the way to another: one sweep and no certificate. `s` and `gradient` are those
    of the null model, and `weights` the groups' strengths at an alpha of 1. Coefficients go to the rows of `W`, and to
    `report` gap, violation, objective and number of certificates. Returns how many alphas took no more than
    `max_sweeps` sweeps each.
    """
    v, last, point = np.zeros(gradient.shape[0]), np.zeros(gradient.shape[0]), s.copy()
    old, before, c = np.zeros(gradient.shape[0]), s.copy(), np.zeros(gradient.shape[0])
    chosen = np.zeros(weights.shape[0], dtype=np.bool_)
    rate, norms, strengths = 0.0, np.empty(weights.shape[0]), np.empty(weights.shape[0])
    for k in range(alphas.shape[0]):
        for g in range(weights.shape[0]):
            strengths[g] = alphas[k] * weights[g]
        if k > 0:
            fine = k > 1 and alphas[k] > _REACH * alphas[k - 1] and alphas[k - 1] < alphas[k - 2]
            ratio = (alphas[k] - alphas[k - 1]) / (alphas[k - 1] - alphas[k - 2]) if fine else 0.0
            leap(groups, v, s, last, point, ratio)
        else:
            remember(memory, s, groups.root)
            for m in range(gradient.shape[0]):
                memory.gradient[m] = gradient[m]
            for g in range(weights.shape[0]):
                memory.last[g] = 0
        look = tols[k] < np.inf or k % _LOOKS == 0
        admit(memory, groups, s, strengths, chosen, _SHARE if look else 0.0, norms)
        target, sweeps, done = tols[k] * null_gap, 0, False
        while not done:
            active, moved = np.flatnonzero(chosen), 0.0
            for g in active:
                if not groups.ready[g]:
                    rotate_group(groups, memory, g)
            while active.shape[0] > 0 and sweeps < max_sweeps:
                for i in range(s.shape[0]):
                    before[i] = s[i]
                for m in range(v.shape[0]):
                    old[m] = v[m]
                moved = sweep(groups.rotated, groups.D, groups.starts, active, strengths, v, c, s)
                stretch(groups.starts, v, s, old, before, strengths, active)
                sweeps += 1
                if rate * moved <= _EARLY * target:
                    break
            if target == np.inf:
                break
            gap, violation, objective, fresh = certify_point(memory, groups, v, s, strengths, chosen)
            report[k, 0], report[k, 1], report[k, 2] = gap, violation, objective
            report[k, 3] += 1.0
            done = gap <= target
            if not done and (sweeps >= max_sweeps or (fresh == 0 and moved == 0.0)):
                return k
            if moved > 0.0 and (fresh == 0 or done):
                rate = gap / moved
        tell(groups, v, chosen, W[k])
    return alphas.shape[0]


def group_path_kernel():
    """`group_path`, compiled."""
    own = (dots, sweep, bound_columns, measure_columns, rotate_group, remember, bound_norms, know_gradients)
    own += (admit, certify_point, stretch, leap, tell)
    return specialize(group_path, fastmath=("reassoc", "contract"), **{leaf.__name__: leaf for leaf in own})
