"""Exact Newton steps on the rows of a matrix: 1/2 <W, HW> - <Q, W> + penalty of the row norms, in Gram form.

At a row w of norm r the penalty phi(|w|) has the second derivative a I - c u u', with u = w / r, a = phi'(r) / r and
c = a - phi''(r). Over the active rows, all T tasks at once, the second derivative is therefore

    K x I - U C U',     K = H + diag(a),     C = diag(c),     U the block diagonal of the u_j,

whose inverse needs none of its m T rows: with the Woodbury formula U' (K x I)^-1 U is the entrywise product of K^-1
with (u_j . u_k), so that two m x m Cholesky factors give the step for any number of tasks.
"""

import numpy as np
from scipy.linalg import lapack

from skreg.penalties import restrict
from skreg.penalties._rows import row_norms

_LENGTHS = (1.0, 0.5, 0.25, 0.1)  # of a step, until one leads down, ...
_SHORT = (1.0, 0.5, 0.1, 0.01)  # ... and then up to where the first row passes through zero
_SINGULAR = 1e-14  # pivot over diagonal entry below which a matrix counts as singular
_LIFT = 1e-11  # what is then added to its diagonal, as a share of the largest entry of H
_REFINEMENTS = 2  # of each step, by its residual
_EXACT = 1e-12  # residual over right-hand side below which none is needed
_ROUNDING = 1e-14  # share of the terms of a change in the objective that counts as rounding


def row_newton_step(H, W, gradient, penalty, pen):
    """One Newton step on the rows that are not zero, or not held there by a kink; True where it led down.

    A row whose step turns it by more than a right angle has passed through zero and stops there. The step is shortened
    until the objective falls. `W` and `gradient`, of shape (m, n_tasks), change in place.
    """
    norms = row_norms(W)
    active = np.flatnonzero((norms > 0) | ((penalty.kink(pen, len(W)) == 0) & (pen.upper > 0) & (H.diagonal() > 0)))
    if not len(active):
        return False
    local, old, norms = restrict(pen, active), W[active], norms[active]
    held = norms > 0
    safe = np.where(held, norms, 1.0)
    across, along = penalty.bends(safe, local)
    across = np.where(held, across, along)  # at zero without a kink the penalty is a parabola
    slope = gradient[active] + across[:, None] * old
    rows = H[active]
    step = _solve(rows[:, active], across, across - along, old / safe[:, None], slope)
    if step is None:
        return False
    stops = held & (across > along)
    first = _first_crossing(norms, np.einsum("jt,jt->j", old, step), stops)
    for length in (*_LENGTHS, *(first * share for share in _SHORT)):
        new = old + length * step
        new[stops & (np.einsum("jt,jt->j", new, old) <= 0.0)] = 0.0
        move = new - old
        change = rows.T @ move
        terms = (
            np.einsum("jt,jt->j", move, gradient[active] + 0.5 * change[active]),
            _rise(penalty, norms, old, new, move, local),
        )
        if sum(map(np.sum, terms)) <= _ROUNDING * sum(np.abs(term).sum() for term in terms):
            W[active] = new
            gradient += change
            return True
    return False


def _first_crossing(norms, along, stops):
    """Length at which the first row is turned by a right angle, a hair over so that it stops there; at most 1."""
    away = stops & (along < 0)
    return min(1.0, (1 + 1e-12) * np.min(-(norms[away] ** 2) / along[away])) if away.any() else 1.0


def _rise(penalty, norms, old, new, move, pen):
    """Change of the penalty of each row, from the change of its norm, lest digits cancel."""
    total = norms + row_norms(new)
    rise = np.einsum("jt,jt->j", move, old + new) / np.where(total > 0, total, 1.0)
    bend = penalty.base.second_derivative(np.ones(len(norms)), pen)
    return rise * (penalty.base.derivative(norms, pen) + 0.5 * bend * rise)


def _solve(H, across, bend, directions, slope):
    """-(K x I - U C U')^-1 slope with K = H + diag(across) and C = diag(bend); None where it is not definite."""
    n_tasks = slope.shape[1]
    if n_tasks == 1:  # then across and along cancel
        across, bend = across - bend, np.zeros_like(bend)
    top = H.diagonal().max()
    for lift in (0.0, _LIFT * top, 1e3 * _LIFT * top):
        inverse = _Inverse(H, across + lift, bend, directions)
        if not inverse.definite:
            continue
        step = inverse(-slope)
        for _ in range(_REFINEMENTS):
            along = bend * np.einsum("jt,jt->j", directions, step)
            residual = -slope - (H @ step + (across + lift)[:, None] * step - along[:, None] * directions)
            if np.abs(residual).max() <= _EXACT * np.abs(slope).max():
                break
            step = step + inverse(residual)
        if np.isfinite(step).all():
            return step
    return None


class _Inverse:
    """The inverse of K x I - U C U', as a map of matrices of shape (m, n_tasks)."""

    def __init__(self, H, across, bend, directions):
        K = H.copy()
        K.flat[:: len(K) + 1] += across
        self.factor = _cholesky(K)
        self.definite = self.factor is not None
        self.bent = np.flatnonzero(bend > 0)
        if not self.definite or not len(self.bent):
            return
        self.root, self.directions = np.sqrt(bend[self.bent]), directions[self.bent]
        capacity = lapack.dpotri(self.factor, lower=1)[0][np.ix_(self.bent, self.bent)]  # its lower triangle
        capacity *= -(self.directions @ self.directions.T)
        capacity *= self.root
        capacity *= self.root[:, None]
        capacity.flat[:: len(capacity) + 1] += 1.0
        self.capacity = _cholesky(capacity)
        self.definite = self.capacity is not None

    def __call__(self, right):
        x = _back_substitute(self.factor, right)
        if len(self.bent):
            inner = self.root * np.einsum("jt,jt->j", self.directions, x[self.bent])
            inner = self.root * _back_substitute(self.capacity, inner)
            correction = np.zeros_like(right)
            correction[self.bent] = inner[:, None] * self.directions
            x = x + _back_substitute(self.factor, correction)
        return x


def _cholesky(matrix):
    """Lower factor of a symmetric matrix, or None where it is not clearly positive definite."""
    factor, info = lapack.dpotrf(matrix, lower=1, clean=0)
    if info:
        return None
    return factor if (factor.diagonal() ** 2 > _SINGULAR * matrix.diagonal()).all() else None


def _back_substitute(factor, right):
    return lapack.dpotrs(factor, right, lower=1)[0]
