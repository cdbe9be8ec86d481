r"""Interior point for quantile losses: the core, which sees nothing but rows with a level and a weight.

    minimise over b:   sum_i psi_i(y_i - z_i . b) + 1/2 sum_j ridge_j (b_j - centre_j)^2     subject to  a . b = total

    psi_i(r) = high_i max(r, 0) + low_i max(-r, 0),     high = weight * level,   low = weight * (1 - level)

An absolute value, a bound, or an order between levels is one more row (`_interior_point_rows`); HUGE in `high` or `low`
makes a residual of that sign impossible. Residuals are split into u - v with u, v > 0. The dual variable d lies between
-low and high, at the distances zu = high - d and zv = low + d from these ends; optimal are

    y - Z b = u - v,     Z'd = ridge (b - centre) + a nu,     u zu = 0,     v zv = 0.

Newton's step for these, with u zu and v zv aimed at a common mu, comes down to the normal equations with

    M = Z' diag(Q) Z + diag(ridge),     Q = 1 / (u / zu + v / zv).

All arrays have a first axis for problems solved together ("levels"): independent ones with steps of their own, or ones
that rows couple, with a common step. Everything is written in the array-API namespace of the rows.

References
----------
S. Mehrotra (1992). On the implementation of a primal-dual interior point method. SIAM J. Optim. 2(4).
S. Portnoy, R. Koenker (1997). The Gaussian hare and the Laplacian tortoise. Statistical Science 12(4).
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg.lapack import dtrtri

from skreg._backend import is_singular, raising_singular
from skreg.kernels._interior_point import factor_blocks, solve_blocks, solve_factored
from skreg.kernels._specialize import is_loaded_or_pays, specialize
from skreg.solvers._interior_point_steps import row_steps

HUGE = 1e200  # weight that no residual can pay for
_BACK = 0.99995  # share of the way to the boundary
_RIDGES = (1e-14, 1e-12, 1e-10, 1e-8, 1e-6)  # relative additions to the diagonal, tried until a factor exists
_REFINEMENTS = 2
_LARGE = 48  # size of a triangular matrix from which its own inverse pays
_STALLED = 1e-10  # length of a step below which there is no progress
_INFEASIBLE = 1e-8  # what infeasibilities may change of the objective, relative, where `tol` is less
_PATIENCE = 15  # steps in which the gap must have halved


class Smooth(NamedTuple):
    """What is not rows: 1/2 sum_j ridge_j (b_j - centre_j)^2, the equality a . b = total, and where to start."""

    ridge: Any  # (n_coef,)
    centre: Any  # (n_coef,)
    least: Any  # (n_coef,) the first b is between these, well inside of any bounds
    most: Any  # (n_coef,)
    equality: Any = None  # (n_coef,) or None
    total: float = 0.0


@dataclass
class Point:
    """Where the iteration is; the first axis of each array has the levels."""

    b: Any  # (n_levels, n_coef)
    u: Any  # (n_levels, n_rows), as all that follow but nu
    v: Any
    d: Any
    zu: Any
    zv: Any
    nu: Any  # (n_levels, 1)
    n_iter: int = 0
    gap: float = float("inf")  # largest duality gap over the levels, relative to `scale`
    converged: bool = False


class Step(NamedTuple):
    """A direction for b and nu of a `Point`, and for its rows; there zu moves by -d, zv by d."""

    b: Any
    nu: Any
    rows: Any


def interior_point(rows, y, high, low, smooth, *, scale=1.0, tol=1e-8, max_iter=100, point=None, xp):
    """Solve to a duality gap of `tol * scale`.

    Parameters
    ----------
    rows : Rows
        The rows z_i as a linear map: `apply`, `adjoint` and `gram`.
    y, high, low : arrays of shape (n_levels, n_rows)
        Targets, and weights of positive and negative residuals.
    smooth : Smooth
        Ridge and equality.
    scale : float or array of shape (n_levels, 1), default=1.0
        What the gap is measured against.
    tol : float, default=1e-8
        Relative duality gap to stop at.
    max_iter : int, default=100
        Largest number of Newton steps.
    point : Point, default=None
        Where to go on from; it is moved.
    xp : module
        Array namespace of all the arrays.

    Returns
    -------
    point : Point
        The last iterate, with its relative gap and whether it converged.
    """
    point = _start(rows, y, high, low, smooth, xp) if point is None else point
    point.converged = False
    steps = row_steps(point, point.b.shape[1], xp)
    coupled, seen = rows.coupled, []
    for _ in range(max_iter):
        primal, gap, by_primal = steps.primal_gap(point, y - rows.apply(point.b))
        dual = rows.adjoint(point.d) - smooth.ridge * (point.b - smooth.centre)
        if smooth.equality is not None:
            dual = dual - smooth.equality * point.nu
        by_dual = _sum((xp.abs(point.b) + 1.0) * xp.abs(dual), xp)
        excess = float(xp.max((by_primal + by_dual) / scale))  # what infeasibilities can change of the objective
        point.gap = float(xp.max(gap / scale))
        if point.gap <= tol and excess <= max(_INFEASIBLE, 0.1 * tol):
            point.converged = True
            break
        seen.append(max(point.gap, excess))
        if len(seen) > _PATIENCE and min(seen[-_PATIENCE:]) > 0.5 * min(seen[:-_PATIENCE]):
            break
        try:
            moves = _predict_and_correct(rows, point, smooth, primal, dual, gap, coupled, steps, xp)
        except FloatingPointError:  # too close to the boundary for the digits there are
            break
        step, length_p, length_d = moves
        shortest = float(xp.min(xp.minimum(length_p, length_d)))
        if not shortest > _STALLED:
            break
        point.b = point.b + length_p * step.b
        point.nu = point.nu + length_d * step.nu
        steps.move(point, step.rows, length_p, length_d)
        point.n_iter += 1
    return point


def _start(rows, y, high, low, smooth, xp):
    """Least squares for b, within bounds; residuals a tenth of their mean away from zero; duals in the middle."""
    two_sided = high + low < HUGE
    ordinary = xp.where(two_sided, xp.ones_like(high), xp.zeros_like(high))
    weight = xp.where(two_sided, high + low, xp.zeros_like(high))
    blocks, links = rows.gram(weight)
    solve = factorise(blocks, links, smooth.ridge, xp)
    b = solve(rows.adjoint(weight * y) + smooth.ridge * smooth.centre)
    nu = xp.zeros_like(b[:, :1])
    b = xp.minimum(xp.maximum(b, smooth.least), smooth.most)
    r = y - rows.apply(b)
    size = _sum(weight * xp.abs(r), xp) / _sum(weight, xp)
    room = 0.1 * size + 1e-6
    zero = xp.zeros_like(r)
    typical = 0.5 * _sum(weight, xp) / xp.maximum(_sum(ordinary, xp), xp.ones_like(size))
    d = xp.where(two_sided, 0.5 * (high - low), xp.where(high >= HUGE, typical - low, high - typical))
    zu = xp.where(high >= HUGE, zero + HUGE, high - d)
    zv = xp.where(low >= HUGE, zero + HUGE, low + d)
    mu = room * typical
    away = xp.where(two_sided, zero, xp.abs(r))  # forbidden residuals are made up for on the way
    u = xp.where(high >= HUGE, mu / HUGE + zero, xp.maximum(r, away) + room)
    v = xp.where(low >= HUGE, mu / HUGE + zero, xp.maximum(-r, away) + room)
    return Point(b, u, v, d, zu, zv, nu)


def _predict_and_correct(rows, point, smooth, primal, dual, gap, coupled, steps, xp):
    """Mehrotra's step: Newton's towards zero gap tells how far to aim, and corrects for its curvature."""
    Q = steps.weights(point)
    blocks, links = rows.gram(Q)
    solve = factorise(blocks, links, smooth.ridge, xp)
    newton = _direction(rows, point, smooth, Q, solve, dual, steps.target(point, Q, primal), steps, xp)
    length_p, length_d = _lengths(newton, smooth, coupled, xp)
    aimed = steps.gap_ahead(point, newton.rows, length_p, length_d)
    n_levels, n_rows = Q.shape
    if coupled:
        aimed, gap = xp.sum(aimed), xp.sum(gap)
        mu = gap / (2.0 * n_levels * n_rows) * (aimed / gap) ** 3
    else:
        mu = gap / (2.0 * n_rows) * (aimed / gap) ** 3
    target = steps.target(point, Q, primal, mu, newton.rows)
    step = _direction(rows, point, smooth, Q, solve, dual, target, steps, xp)
    return step, *_lengths(step, smooth, coupled, xp)


def _direction(rows, point, smooth, Q, solve, dual, target, steps, xp):
    """Newton's step that brings u zu + ru and v zv + rv to first order, and ends the infeasibilities."""
    b = solve(dual - rows.adjoint(target.pulled))
    nu = xp.zeros_like(point.nu)
    if smooth.equality is not None:
        across = solve(xp.zeros_like(b) + smooth.equality)
        missing = smooth.total - _sum(point.b * smooth.equality, xp)
        nu = (_sum(b * smooth.equality, xp) - missing) / _sum(across * smooth.equality, xp)
        b = b - across * nu
    if not bool(xp.all(xp.isfinite(b))):
        raise FloatingPointError("the step is not finite")
    return Step(b, nu, steps.step(point, Q, target, rows.apply(b)))


def _lengths(step, smooth, coupled, xp):
    """Longest primal and dual steps, one a level, that keep u, v, zu and zv positive; alike where ridge ties them."""
    fastest_p, fastest_d = step.rows.fastest_p, step.rows.fastest_d
    if coupled:
        fastest_p = xp.zeros_like(fastest_p) + xp.max(fastest_p)
        fastest_d = xp.zeros_like(fastest_d) + xp.max(fastest_d)
    if bool(xp.any(smooth.ridge > 0)):
        fastest_p = fastest_d = xp.maximum(fastest_p, fastest_d)
    one = xp.ones_like(fastest_p)
    return _BACK / xp.maximum(fastest_p, _BACK * one), _BACK / xp.maximum(fastest_d, _BACK * one)


def _sum(a, xp):
    return xp.sum(a, axis=1, keepdims=True)


def factorise(blocks, links, ridge, xp):
    """Solver of the block-tridiagonal system with `blocks` (+ diag(ridge)) on its diagonal and `links` beside it.

    Parameters
    ----------
    blocks : array of shape (n_levels, n_coef, n_coef)
        Symmetric positive semi-definite.
    links : array of shape (n_levels - 1, n_coef, n_coef) or None
        Block k couples the levels k (rows) and k + 1 (columns).
    ridge : array of shape (n_coef,)
        Added to the diagonals.

    Returns
    -------
    solve : callable
        Maps right-hand sides (n_levels, n_coef) to solutions; small steps of refinement make up for what is added to
        the diagonal where the blocks are singular.
    """
    n_coef = blocks.shape[1]
    eye = xp.eye(n_coef, dtype=blocks.dtype, device=blocks.device)
    blocks = blocks + eye * ridge
    diagonal = xp.sum(blocks * eye, axis=2)
    largest = xp.max(diagonal, axis=1, keepdims=True)
    root = xp.sqrt(xp.maximum(diagonal, 1e-30 * largest) + 1e-300)
    blocks = blocks / root[:, :, None] / root[:, None, :]
    if links is not None:
        links = links / root[:-1, :, None] / root[1:, None, :]
    if xp is np and n_coef < _LARGE and is_loaded_or_pays(blocks.size * n_coef):
        return _factorise_by_loops(blocks, links, root)
    for extra in _RIDGES:
        inverses = _inverse_factors(blocks + extra * eye, links, xp)
        if inverses is not None:
            break
    else:
        raise FloatingPointError("the normal equations are not finite")

    def solve(rhs):
        rhs = rhs / root
        x = _solve_factored(inverses, links, rhs, xp)
        for _ in range(_REFINEMENTS):
            x = x + _solve_factored(inverses, links, rhs - _multiply(blocks, links, x, xp), xp)
        return x / root

    return solve


def _factorise_by_loops(blocks, links, root):
    """The solver of `factorise` for small blocks, by compiled loops."""
    links = blocks[:0] if links is None else np.ascontiguousarray(links)
    factors, across = np.empty(blocks.shape), np.empty(links.shape)
    factor, options = specialize(factor_blocks, fastmath=("reassoc", "contract")), dict(solve_factored=solve_factored)
    for extra in _RIDGES:
        if factor(blocks, links, extra, factors, across):
            break
    else:
        raise FloatingPointError("the normal equations are not finite")
    solve = specialize(solve_blocks, fastmath=("reassoc", "contract"), **options)
    return lambda rhs: solve(blocks, links, factors, across, root, rhs, _REFINEMENTS)


def _inverse_factors(blocks, links, xp):
    """Inverses of the diagonal blocks of the Cholesky factor; None where there is no factor."""
    try:
        with raising_singular(xp):
            if links is None:
                inverses = _triangular_inverse(xp.linalg.cholesky(blocks), xp)
            else:
                found: list[Any] = []
                for k in range(blocks.shape[0]):
                    block = blocks[k, ...]
                    if k:
                        across = found[-1] @ links[k - 1, ...]
                        block = block - across.T @ across
                    found.append(_triangular_inverse(xp.linalg.cholesky(block)[None, ...], xp)[0, ...])
                inverses = xp.stack(found)
    except Exception as error:
        if not is_singular(error):
            raise
        return None
    return inverses if bool(xp.all(xp.isfinite(inverses))) else None


def _triangular_inverse(factors, xp):
    """Inverses of lower triangular matrices; LAPACK has one for these alone, six times as fast as the general one."""
    if xp is not np or factors.shape[1] < _LARGE:
        return xp.linalg.inv(factors)
    return np.stack([dtrtri(factor, lower=1)[0] for factor in factors])


def _solve_factored(inverses, links, rhs, xp):
    if links is None:
        half = _times(inverses, rhs)
        return _times(xp.matrix_transpose(inverses), half)
    n_levels = rhs.shape[0]
    halves: list[Any] = []
    solution: list[Any] = [None] * n_levels
    for k in range(n_levels):
        r = rhs[k, ...]
        if k:
            r = r - links[k - 1, ...].T @ (inverses[k - 1, ...].T @ halves[-1])
        halves.append(inverses[k, ...] @ r)
    for k in range(n_levels - 1, -1, -1):
        half = halves[k]
        if k < n_levels - 1:
            half = half - inverses[k, ...] @ (links[k, ...] @ solution[k + 1])
        solution[k] = inverses[k, ...].T @ half
    return xp.stack(solution)


def _multiply(blocks, links, x, xp):
    product = _times(blocks, x)
    if links is None:
        return product
    zero = xp.zeros_like(x[:1, :])
    ahead = xp.concat([_times(links, x[1:, :]), zero])
    behind = xp.concat([zero, _times(xp.matrix_transpose(links), x[:-1, :])])
    return product + ahead + behind


def _times(matrices, vectors):
    return (matrices @ vectors[:, :, None])[:, :, 0]
