"""Data for models with groups, and their objective in cvxpy's words."""

import cvxpy as cp
import numpy as np
from sklearn.base import is_classifier

from skreg import GroupLasso, GroupLassoClassifier, SparseGroupLasso, SparseGroupLassoClassifier

REGRESSION = ["squared", "huber", "poisson", "gamma"]
CLASSES = ["logistic", "squared_hinge", "multinomial"]
HUBER = 1.35


def model_for(loss, kind="group_lasso", **params):
    """An estimator of a loss by name; `kind` is a penalty of GroupLasso, or "sparse_group"."""
    plain, sparse = (
        (GroupLassoClassifier, SparseGroupLassoClassifier) if loss in CLASSES else (GroupLasso, SparseGroupLasso)
    )
    if kind == "sparse_group":
        return sparse(loss=loss, **params)
    return plain(loss=loss, penalty=kind, **params)


def draw(loss, n=60, p=16, seed=0):
    """X with zeros, constants apart, a target that suits the loss, and weights, one of them 0."""
    rng = np.random.default_rng(seed)
    X = (rng.standard_normal((n, p)) + 0.4 * rng.standard_normal((n, 1))) * rng.uniform(0.5, 1.5, p) + 0.2
    X[rng.random((n, p)) < 0.3] = 0.0
    eta = X[:, : min(p, 8)] @ np.array([1.0, -0.8, 0.5, 0.0, 0.7, -0.5, 0.0, 0.3])[: min(p, 8)]
    weight = rng.uniform(0.3, 2.0, n)
    weight[5] = 0.0
    if loss in {"logistic", "squared_hinge"}:
        y = (eta + rng.logistic(size=n) > 0).astype(int)
    elif loss == "multinomial":
        y = np.argmax(np.stack([eta, X[:, -1], -eta]) + rng.gumbel(size=(3, n)), axis=0)
    elif loss == "poisson":
        y = rng.poisson(np.exp(0.4 * eta)).astype(float)
    elif loss == "gamma":
        y = np.exp(0.4 * eta) * rng.gamma(3.0, size=n)
    else:
        y = 1.0 + eta + rng.standard_normal(n)
    return X, y, weight


def uneven(p):
    """Labels of groups of 1, 2, 3, 4, 1, 2, ... columns that do not lie together."""
    labels = np.repeat(np.arange(p), np.resize([1, 2, 3, 4], p))[:p]
    return np.random.default_rng(3).permutation(labels)


def losses(loss, y, eta, xp):
    """Loss of each sample; `xp` is cvxpy or NumPy, `eta` of shape (n,), or (n, K) with one-hot y."""
    if loss == "squared":
        return xp.square(y - eta) / 2
    if loss == "poisson":
        return xp.exp(eta) - xp.multiply(y, eta)
    if loss == "gamma":
        return xp.multiply(y, xp.exp(-eta)) + eta
    if loss == "squared_hinge":
        return xp.square(xp.maximum(1 - xp.multiply(2 * y - 1, eta), 0))
    if xp is cp:
        if loss == "huber":
            return cp.huber(y - eta, HUBER) / 2
        if loss == "logistic":
            return cp.logistic(eta) - cp.multiply(y, eta)
        return cp.log_sum_exp(eta, axis=1) - cp.sum(cp.multiply(y, eta), axis=1)
    if loss == "huber":
        r = np.abs(y - eta)
        return np.where(r <= HUBER, r * r / 2, HUBER * r - HUBER**2 / 2)
    if loss == "logistic":
        return np.logaddexp(0, eta) - y * eta
    return np.logaddexp.reduce(eta, axis=1) - np.sum(y * eta, axis=1)


def norms(model, W, columns, weights, xp):
    """Of coefficients W (features x outputs) the penalty over its strength."""
    norm = (lambda x: cp.norm(cp.vec(x, order="C"))) if xp is cp else np.linalg.norm
    ratio = model.l1_ratio if hasattr(model, "l1_ratio") and model.l1_ratio is not None else 0.5
    total = 0.0
    for group, v in zip(columns, weights):
        part = W[group, :]
        joint = getattr(model, "multinomial", "grouped") == "grouped"
        for each in [part] if joint else [part[:, [k]] for k in range(part.shape[1])]:
            size = norm(each)
            if isinstance(model, SparseGroupLasso | SparseGroupLassoClassifier):
                total = total + ratio * (v > 0) * xp.sum(xp.abs(each)) + (1 - ratio) * v * size
            elif model.penalty == "group_elastic_net":
                total = total + v * (ratio * size + (1 - ratio) / 2 * xp.square(size))
            else:
                total = total + v * size
    return total


def encoded(model, y):
    """y as the loss takes it: numbers, or one-hot rows for the softmax."""
    if model.loss == "multinomial":
        return (y[:, None] == np.unique(y)).astype(float)
    return (y == np.max(y)).astype(float) if is_classifier(model) else y


def spread(model, X, weight):
    """What coefficients are multiplied by before they are penalised."""
    if not model.standardize:
        return np.ones(X.shape[1])
    weight = weight / weight.sum()
    return np.sqrt(weight @ (X - weight @ X) ** 2)


def weights_of(model, columns, names):
    """The groups' weights: square roots of the sizes, or what the dict `group_weights` says."""
    given = model.group_weights or {}
    return [given.get(name, np.sqrt(len(group))) for name, group in zip(names, columns)]


def objective(model, X, y, weight):
    """Objective at a fitted model without overlap, written down anew."""
    y, W = encoded(model, y), np.atleast_2d(model.coef_).T
    eta = X @ W + np.ravel(model.intercept_)
    eta = eta if model.loss == "multinomial" else eta[:, 0]
    W = W * spread(model, X, weight)[:, None]
    v = weights_of(model, model.group_columns_, model.groups_)
    penalty = norms(model, W, model.group_columns_, v, np)
    return float(weight @ losses(model.loss, y, eta, np)) / weight.sum() + model.alpha * penalty


def reference(model, X, y, weight, columns, names):
    """Least objective by an interior-point solver; latent copies of the columns where groups overlap."""
    y = encoded(model, y)
    outputs = y.shape[1] if y.ndim == 2 else 1
    own = [np.arange(sum(map(len, columns[:g])), sum(map(len, columns[: g + 1]))) for g in range(len(columns))]
    indices = np.concatenate(columns)
    V, b = cp.Variable((len(indices), outputs)), cp.Variable((1, outputs))
    eta = (X / spread(model, X, weight))[:, indices] @ V
    if model.fit_intercept:
        eta = eta + np.ones((len(X), 1)) @ b
    eta = eta if outputs > 1 else eta[:, 0]
    total = (weight / weight.sum()) @ losses(model.loss, y, eta, cp)
    total = total + model.alpha * norms(model, V, own, weights_of(model, columns, names), cp)
    problem = cp.Problem(cp.Minimize(total))
    problem.solve(solver=cp.CLARABEL, tol_gap_abs=1e-11, tol_gap_rel=1e-11, tol_feas=1e-11)
    return problem.value


def alpha_top(model, X, y, weight=None):
    """The strength that empties the model."""
    from skreg.model_selection import alpha_grid

    return alpha_grid(model, X, y, 1, sample_weight=weight)[0]
