"""The squared loss on its sufficient statistics: once the Gram matrix of all columns is known, X is not read again.

With q = X'y and yy = y'y (weighted, centred where there is an intercept), the gradient at w is Hw - q and the weighted
sum of squared residuals yy - w'q + w'(Hw - q). Path, certificate and intercept are all made of these.
"""

import numpy as np

from skreg._problem import Certificate, Solution, dual_gap
from skreg.kernels._gram_group_path import gram_group_path_kernel
from skreg.kernels._gram_path import gram_path_kernel
from skreg.kernels._specialize import LITTLE, as_kernel_array
from skreg.penalties import L1, ElasticNet, RadialPenalty, restrict
from skreg.solvers._block_descent import group_layout
from skreg.solvers._models import GramModel, descend
from skreg.solvers._newton_finish import newton_step

_BASES = L1, ElasticNet  # penalties of which there are compiled paths, and of groups' norms
_SMALL = 100  # size of a support at which an exact step is always taken
_PATH_SWEEPS = 500  # most sweeps for one point of a path before pivoting is called for, ...
_GROUP_SWEEPS = 100  # ... or the general solver for groups, with Newton steps between sweeps
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

    It does for the Lasso and the elastic net, of coefficients or of groups, without bounds and unpenalised features,
    from the null model on. A problem for which `max_sweeps` do not suffice, and those after it, are left to `solve`.
    """
    first, model = problems[0], state.model
    penalty, pen, null = first.penalty, restrict(first.pen, model.columns), first.data.null
    alphas = np.array([problem.pen.alpha for problem in problems])
    if not _is_served(first, alphas) or state.w.any() or not null.gap > 0:
        return []
    q = -null.gradient[model.columns]
    W, gaps, violations, objectives, epochs = (_group_points if penalty.blocks else _points)(
        model, q, null, penalty, pen, alphas, tol, max_sweeps
    )
    if not len(W):
        return []
    coefs, intercepts = np.zeros(W.shape), np.full(len(W), null.intercept)
    coefs[:, model.columns] = W
    if model.moments is not None:
        intercepts -= W @ model.moments
    state.w, state.b, state.eta, state.gradient = coefs[-1].copy(), float(intercepts[-1]), None, None
    return [
        Solution(coef, float(b), max(int(n), 1), float(gap), float(violation), bool(gap <= tol), float(objective))
        for coef, b, n, gap, violation, objective in zip(coefs, intercepts, epochs, gaps, violations, objectives)
    ]


def _is_served(problem, alphas):
    """Whether there is a compiled path for problems like this one, and it is worth the loading of compiled code."""
    data, penalty, pen = problem.data, problem.penalty, problem.pen
    bounded = np.isfinite(pen.lower).any() or np.isfinite(pen.upper).any()
    if bounded or not (pen.weights > 0).all() or not (getattr(pen, "l1_ratio", 1.0) * alphas > 0).all():
        return False
    if isinstance(penalty, RadialPenalty):  # sweeps over groups are compiled in any case
        return type(penalty.base) in _BASES and bool(np.isfinite(pen.weights).all())
    return type(penalty) in _BASES and (len(alphas) >= _LONG or data.design.cells > LITTLE)


def _points(model, q, null, penalty, pen, alphas, tol, max_sweeps):
    """Coefficients by alpha, as far as the sweeps suffice; their gaps, violations and objectives, and the sweeps."""
    l1_ratio, shape = getattr(pen, "l1_ratio", 1.0), (len(alphas), len(q))
    W, G = np.zeros(shape), np.zeros(shape)
    epochs, gaps = np.zeros(len(alphas), dtype=np.int64), np.zeros(len(alphas))
    own = pen._replace(alpha=1.0, weights=np.empty(len(q)))
    arrays = [as_kernel_array(a) for a in (model.H, q)]
    after = [as_kernel_array(a) for a in (alphas, pen.weights)]
    kernel = gram_path_kernel(penalty)
    done = kernel(*arrays, null.gap, *after, l1_ratio, own, tol, max_sweeps, W, G, gaps, epochs)
    W, G, along = W[:done], G[:done], pen._replace(alpha=alphas[:done, None])
    violations = np.abs(W - penalty.prox(W - G, 1.0, along)).max(axis=1) / null.violation
    rss = np.maximum(2.0 * null.gap + np.sum(W * (G - q), axis=1), 0.0)
    objectives = 0.5 * rss + penalty.values(W, along).sum(axis=1)
    return W, gaps[:done], violations, objectives, epochs[:done]


def _group_points(model, q, null, penalty, pen, alphas, tol, max_sweeps):
    """As `_points`, for groups."""
    W, report = np.zeros((len(alphas), len(q))), np.zeros((len(alphas), 4))
    own = pen._replace(alpha=1.0, weights=np.empty(len(q)))
    arrays = [as_kernel_array(a) for a in (model.H, q)]
    along = [as_kernel_array(a) for a in (alphas, pen.weights)]
    layout = [as_kernel_array(a) for a in (*group_layout(pen), model.block_bounds(pen))]
    kernel, l1_ratio = gram_group_path_kernel(penalty), getattr(pen, "l1_ratio", 1.0)
    most = min(max_sweeps, _GROUP_SWEEPS)
    done = kernel(*arrays, null.gap, *along, l1_ratio, own, *layout, tol, most, W, report)
    gaps, violations, objectives, epochs = report[:done].T
    return W[:done], gaps / null.gap, violations / null.violation, objectives, epochs


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
