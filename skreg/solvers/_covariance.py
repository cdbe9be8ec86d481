"""The squared loss on its sufficient statistics: once the Gram matrix of all columns is known, X is not read again.

With q = X'y and yy = y'y (weighted, centred where there is an intercept), the gradient at w is Hw - q and the weighted
sum of squared residuals yy - w'q + w'(Hw - q). Path, certificate and intercept are all made of these.
"""

import numpy as np

from skreg._problem import Certificate, Solution, dual_gap
from skreg.kernels._gram_path import gram_path_kernel
from skreg.kernels._specialize import LITTLE, as_kernel_array
from skreg.penalties import L1, ElasticNet, restrict
from skreg.solvers._models import GramModel, descend
from skreg.solvers._newton_finish import newton_step

_SMALL = 100  # size of a support at which an exact step is always taken
_PATH_SWEEPS = 500  # most sweeps for one point of a path before pivoting is called for
_LONG = 30  # alphas from which a path on little data is worth the loading of compiled code
_COLUMNS = 2000  # columns up to which a path over a taller design is worth the whole Gram matrix


def complete_model(data, state):
    """Put the Gram matrix of all columns into `state`."""
    if state.model is None:
        state.model = GramModel(data, np.ones(data.y.shape))
    state.model.extend(np.arange(data.n_coordinates))


def is_worthwhile(data):
    """Whether a path should begin with the whole Gram matrix: the squared loss on more rows than columns."""
    p, n = data.n_coordinates, data.design.n_samples
    return data.loss.quadratic and p <= _COLUMNS and p <= n and (not data.design.is_sparse or p <= 256)


def is_complete(data, state):
    """Whether `state` holds the Gram matrix of all columns."""
    return isinstance(state.model, GramModel) and data.loss.quadratic and len(state.model.columns) == data.n_coordinates


def solve(problem, state, tol, max_iter):
    """As `ProxNewton.solve`, without touching X; every iteration costs products with the Gram matrix only."""
    data, model, penalty = problem.data, state.model, problem.penalty
    null, columns = data.null, model.columns
    pen = restrict(problem.pen, columns)
    m = len(columns)
    H = model.H[:m, :m]
    q = -null.gradient[columns]
    w = state.w[columns]
    support = np.flatnonzero(w)
    gradient = w[support] @ H[support] - q
    scale = np.ones(1) if problem.convex else H.diagonal()
    free = model.place[problem.free]
    target = tol * (null.gap if problem.convex else null.violation)
    accuracy, previous, polished = 0.1, np.inf, False
    local = type(problem)(data, penalty, pen)
    for n_iter in range(1, max(max_iter, 1) + 1):
        rss = max(2.0 * null.gap + w @ (gradient - q), 0.0)
        certificate = _certify(local, w, gradient, rss, scale, free, H)
        measure = certificate.gap if problem.convex else certificate.violation
        if measure <= target and not polished and _worth_polishing(w, certificate, data):
            polished = True
            before = w.copy(), gradient.copy(), certificate, rss
            if penalty.blocks:
                descend(model, w, gradient, penalty, pen, 0.0, None, 1)
            else:
                newton_step(model.H, w, gradient, penalty, pen)
            rss = max(2.0 * null.gap + w @ (gradient - q), 0.0)
            certificate = _certify(local, w, gradient, rss, scale, free, H)
            if certificate.violation > before[2].violation or certificate.gap > max(target, before[2].gap):
                w, gradient, certificate, rss = before
            measure = certificate.gap if problem.convex else certificate.violation
        if measure <= target or n_iter == max_iter:
            break
        accuracy = 0.01 * accuracy if certificate.violation > 0.5 * previous else accuracy
        previous = certificate.violation
        inner = accuracy * certificate.violation
        aim = 0.0 if np.count_nonzero(w) <= _SMALL else inner
        descend(model, w, gradient, penalty, pen, inner, aim, 2_000)
    state.w[columns] = w
    state.b = null.intercept if model.moments is None else null.intercept - model.moments @ w
    state.eta, state.gradient = None, None  # of the point before
    return Solution(
        state.w.copy(),
        state.b,
        n_iter,
        certificate.gap / null.gap,
        certificate.violation / null.violation,
        bool(measure <= target),
        0.5 * rss + float(penalty.value(w, pen)),
    )


def solve_path(problems, state, tol, max_sweeps=_PATH_SWEEPS):
    """Solutions of the first problems of decreasing strength, all in one compiled call; none where that does not serve.

    It does for the Lasso and the elastic net without bounds and unpenalised features, from the null model on. By
    coordinate descent alone: a problem for which `max_sweeps` do not suffice, and those after it, are left to `solve`.
    """
    first = problems[0]
    data, pen, null = first.data, first.pen, first.data.null
    plain = np.isinf(pen.lower).all() and np.isinf(pen.upper).all() and (pen.weights > 0).all()
    if type(first.penalty) not in {L1, ElasticNet} or not plain or state.w.any() or not null.gap > 0:
        return []
    l1_ratio = getattr(pen, "l1_ratio", 1.0)
    alphas = np.array([problem.pen.alpha for problem in problems])
    if not (l1_ratio * alphas > 0).all() or (len(alphas) < _LONG and data.design.cells <= LITTLE):
        return []
    model, m = state.model, data.n_coordinates
    columns, q = model.columns, -null.gradient[model.columns]
    W, G = np.zeros((len(alphas), m)), np.zeros((len(alphas), m))
    epochs, gaps = np.zeros(len(alphas), dtype=np.int64), np.zeros(len(alphas))
    local = restrict(pen, columns)
    own = local._replace(alpha=1.0, weights=np.empty(m))
    arrays = [as_kernel_array(a) for a in (model.H, q)]
    after = [as_kernel_array(a) for a in (alphas, local.weights)]
    kernel = gram_path_kernel(first.penalty)
    done = kernel(*arrays, null.gap, *after, l1_ratio, own, tol, max_sweeps, W, G, gaps, epochs)
    if not done:
        return []
    W, G, along = W[:done], G[:done], local._replace(alpha=alphas[:done, None])
    violations = np.abs(W - first.penalty.prox(W - G, 1.0, along)).max(axis=1) / null.violation
    rss = np.maximum(2.0 * null.gap + np.sum(W * (G - q), axis=1), 0.0)
    objectives = 0.5 * rss + first.penalty.values(W, along).sum(axis=1)
    coefs, intercepts = np.zeros((done, m)), np.full(done, null.intercept)
    coefs[:, columns] = W
    if model.moments is not None:
        intercepts -= W @ model.moments
    state.w, state.b, state.eta, state.gradient = coefs[-1].copy(), float(intercepts[-1]), None, None
    return [
        Solution(coef, float(b), max(int(n), 1), float(gap), float(violation), bool(gap <= tol), float(objective))
        for coef, b, n, gap, violation, objective in zip(coefs, intercepts, epochs, gaps, violations, objectives)
    ]


def _worth_polishing(w, certificate, data):
    """Whether an exact step from a certified point costs next to nothing, and has something to gain."""
    size = np.count_nonzero(w)
    cells = data.design.n_samples * data.design.n_features
    return certificate.violation > 1e-13 * data.null.violation and (size <= _SMALL or 5 * size**3 <= cells)


def _certify(problem, w, gradient, rss, scale, free, H):
    violations = problem.penalty.violation(w, gradient, scale, problem.pen)
    violation = float(violations.max(initial=0.0))
    if not problem.convex:
        return Certificate(np.inf, violation, violations)
    shift = 0.0
    if len(free):  # project the dual point onto the free columns, as `_feasible` does
        step = np.linalg.lstsq(H[np.ix_(free, free)], -gradient[free], rcond=1e-13)[0]
        shift = float(step @ gradient[free])
        gradient = gradient + step @ H[free]
        gradient[free] = 0.0

    def loss_gap(c):
        return 0.5 * max((1.0 - c) ** 2 * rss + (c * c - 2.0 * c) * shift, 0.0)

    return Certificate(dual_gap(problem, w, gradient, loss_gap), violation, violations)
