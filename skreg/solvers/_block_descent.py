"""Quadratic subproblems with a penalty of groups: sweeps over groups to find which enter, Newton steps on those."""

import numpy as np
from scipy.linalg import lapack

from skreg.kernels._block_cd import add_blocks, gram_block_kernel
from skreg.kernels._specialize import as_kernel_array, specialize
from skreg.penalties import restrict

_SWEEPS = 5  # sweeps between two rounds of Newton steps
_STEPS = 8  # most Newton steps a round
_HALVINGS = 6
_SETTLED = 1e-13  # of the right-hand side: Newton steps below it are rounding


def descend_blocks(H, w, gradient, penalty, pen, tol, aim, max_epochs, bounds):
    """Minimise 1/2 d'Hd + gradient'd + penalty(w + d); `w` and `gradient` change in place.

    Violations end at `tol`; those of the groups that are not 0, at `aim` where that is given and Newton steps get
    there. `bounds` holds a bound of each group's second derivatives, by number of the group (of `group_layout`).
    Returns the number of sweeps.
    """
    if not len(w):
        return 0
    kernel = gram_block_kernel(penalty)
    order, starts = group_layout(pen)
    arrays = as_kernel_array(H), as_kernel_array(order), as_kernel_array(starts), as_kernel_array(bounds)
    n_epochs = 0
    while True:
        if w.any():
            newton_steps(H, w, gradient, penalty, pen, order, tol)
        sweeps = min(_SWEEPS, max_epochs - n_epochs)
        done, worst = kernel(arrays[0], w, gradient, pen, *arrays[1:], sweeps, tol)
        n_epochs += done
        if worst <= tol or n_epochs >= max_epochs:
            if aim is not None and w.any():
                newton_steps(H, w, gradient, penalty, pen, order, aim)
            return n_epochs


def group_layout(pen):
    """Coordinates ordered by group, and where each group starts."""
    order = np.argsort(pen.label, kind="stable")
    starts = np.flatnonzero(np.diff(pen.label[order], prepend=-1, append=-1))
    return order, starts


def largest_eigenvalue(block):
    """Largest eigenvalue of a symmetric matrix, or a hair more."""
    return block[0, 0] if len(block) == 1 else np.linalg.eigvalsh(block)[-1] * (1 + 1e-12)


def newton_steps(H, w, gradient, penalty, pen, order, tol):
    """Newton's method on the coefficients that are not 0, the curvature of the norms included, while it leads down.

    Groups whose step turns them round stop at 0. Where the second derivative is not positive definite nothing is done.
    """
    m = len(w)
    for _ in range(_STEPS):
        support = order[w[order] != 0.0]
        if not len(support):
            return
        local = restrict(pen, support)
        old = w[support]
        slope, c, k, u = penalty.smooth(old, local)
        residual = gradient[support] + slope
        if np.abs(residual).max() <= max(0.1 * tol, _SETTLED * np.abs(gradient).max()):
            return
        rows = H[support]
        system = rows.take(support, axis=1)
        starts = np.flatnonzero(np.diff(local.label, prepend=-1, append=-1))
        specialize(add_blocks)(system, *(as_kernel_array(x) for x in (starts, c, k, u)))
        _, step, info = lapack.dposv(system, -residual, overwrite_a=1)
        if info != 0:
            return
        value = penalty.value(old, local)
        for halving in range(_HALVINGS):
            new = _stop_at_zero(old, old + 0.5**halving * step, penalty.signed, local, starts)
            move = new - old
            change = move @ rows
            gain = move @ (gradient[support] + 0.5 * change[support]) + penalty.value(new, local) - value
            if gain <= 0.0:
                break
        else:
            return
        w[support] = new
        gradient += change[:m]


def _stop_at_zero(old, new, signed, local, starts):
    """`new` with groups that turned round, and with `signed` coordinates that changed sign, at 0."""
    turned = np.add.reduceat(old * new, starts[:-1]) <= 0.0
    turned &= local.weights[starts[:-1]] > 0
    new = np.where(np.repeat(turned, np.diff(starts)), 0.0, new)
    if signed:
        new = np.where((old * new < 0) & (local.weights > 0), 0.0, new)
    return new
