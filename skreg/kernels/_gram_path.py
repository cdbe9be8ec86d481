"""A whole path of the Lasso or elastic net in Gram form: one compiled call for all strengths."""

import numpy as np

from skreg.kernels._gram_cd import add_row_loop, bounded_prox, gram_cd
from skreg.kernels._specialize import specialize

_FINER = 0.1  # factor on the tolerance of coordinate descent where the duality gap does not reach its own


def relative_gap(w, grad, q, null_gap, strength, l1_ratio):
    """Duality gap of 1/2 w'Hw - q'w + elastic net, over `null_gap`, which is half of y'y; `grad` is Hw - q."""
    rss = 2.0 * null_gap
    worst = 1.0
    for j in range(w.shape[0]):
        rss += w[j] * (grad[j] - q[j])
        l1, l2 = strength[j] * l1_ratio, strength[j] * (1.0 - l1_ratio)
        worst = max(worst, abs(grad[j] + l2 * w[j]) / l1)
    scale = 1.0 if worst <= 1.0 else (1.0 - 1e-15) / worst
    best = scaled_gap(w, grad, rss, strength, l1_ratio, scale)
    if scale < 1.0 and l1_ratio < 1.0:  # the conjugate is finite everywhere
        best = min(best, scaled_gap(w, grad, rss, strength, l1_ratio, 1.0))
    return max(best, 0.0) / null_gap


def scaled_gap(w, grad, rss, strength, l1_ratio, c):
    """Duality gap where the dual point is `c` times the residuals, whose weighted sum of squares is `rss`."""
    gap = 0.5 * (1.0 - c) ** 2 * max(rss, 0.0)
    for j in range(w.shape[0]):
        l1, l2 = strength[j] * l1_ratio, strength[j] * (1.0 - l1_ratio)
        gap += l1 * abs(w[j]) + 0.5 * l2 * w[j] * w[j] + c * grad[j] * w[j]
        excess = abs(c * grad[j]) - l1
        if excess > 0.0 and l2 > 0.0:
            gap += 0.5 * excess * excess / l2
    return gap


def gram_path(H, q, null_gap, alphas, weights, l1_ratio, pen, tol, max_epochs, W, G, gaps, epochs):
    """Solve for decreasing `alphas`, each from the one before, to relative duality gaps of at most `tol`.

    ``pen.alpha`` is 1 and ``pen.weights`` a buffer for the strengths. Coefficients and gradients go to the rows of `W`
    and `G`, gaps and sweeps to `gaps` and `epochs`. Returns how many alphas took no more than `max_epochs` sweeps each.
    """
    w, grad = np.zeros(q.shape[0]), -q
    largest = 0.0
    for j in range(q.shape[0]):
        largest = max(largest, abs(q[j]))
    for k in range(alphas.shape[0]):
        for j in range(q.shape[0]):
            pen.weights[j] = alphas[k] * weights[j]
        inner = tol * largest
        while True:
            gaps[k] = relative_gap(w, grad, q, null_gap, pen.weights, l1_ratio)
            if gaps[k] <= tol:
                break
            if epochs[k] >= max_epochs:
                return k
            done, _ = gram_cd(H, w, grad, pen, max_epochs - epochs[k], inner)
            epochs[k] += done
            inner *= _FINER
        W[k] = w
        G[k] = grad
    return alphas.shape[0]


def gram_path_kernel(penalty):
    """`gram_path` compiled for a penalty."""
    own = dict(relative_gap=relative_gap, scaled_gap=scaled_gap, gram_cd=gram_cd)
    return specialize(gram_path, **own, add_row=add_row_loop, bounded_prox=bounded_prox, **penalty.leaves)
