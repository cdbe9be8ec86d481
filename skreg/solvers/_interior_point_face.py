"""From an interior point to the optimum on its face: what `vertex` is for problems with a ridge or several levels.

Residuals that are zero, coefficients at kinks and conditions that bind make up a face. On it the optimality conditions
are linear:

    [ diag(ridge)  -A' ] [ change of b           ]     [ slopes that are left    ]
    [      A        0  ] [ change of multipliers ]  =  [ residuals that are left ]

with a row of A for each zero residual, binding condition and equality, restricted to coefficients off their kinks.
"""

import numpy as np
from scipy.linalg import lstsq
from scipy.linalg.lapack import dgecon, dgetrf, dgetrs

from skreg._backend import to_numpy

_LARGEST = 2500  # unknowns up to which the system is solved
_SINGULAR = 1e-12


def refine(problems, B, D, zero, at_kink, conditions=None):
    """One Newton step on the face.

    Parameters
    ----------
    problems : list of QuantileProblem
        One a level.
    B, D : ndarrays of shape (n_levels, n_coef) and (n_levels, n_rows)
        Nearly optimal coefficients and dual points.
    zero, at_kink : ndarrays of bool, shapes as of D and B
        Residuals that are zero; coefficients at kinks, which are exact in `B`.
    conditions : tuple of ndarrays, default=None
        Conditions that bind between neighbouring levels: level of the first (n,), points (n, n_coef), right-hand side
        (n,) and multipliers (n,). None with an equality.

    Returns
    -------
    refined : tuple or None
        B, D, the multipliers of the conditions, and that of the equality; None where the face is too large.
    """
    n_unknowns = int(zero.sum() + (~at_kink).sum()) + (0 if conditions is None else len(conditions[0]))
    if n_unknowns > _LARGEST:
        return None
    m, q = B.shape
    free = ~at_kink.ravel()
    A, left = _rows_on_face(problems, B, zero)
    multipliers = np.zeros(0)
    if conditions is not None:
        level, points, rhs, multipliers = conditions
        across = np.zeros((len(level), m, q))
        across[np.arange(len(level)), level] = -points
        across[np.arange(len(level)), level + 1] = points
        A = np.concatenate([A, across.reshape(len(level), m * q)])
        left = np.append(left, rhs - across.reshape(len(level), m * q) @ B.ravel())
    if problems[0].equality is not None:
        A = np.concatenate([A, problems[0].equality[None, :]])
        left = np.append(left, problems[0].total - problems[0].equality @ B[0])
    D = np.stack([_signed(p, d, b, z) for p, d, b, z in zip(problems, D, B, zero)])
    slopes = np.stack([_slope(p, b, d) for p, b, d in zip(problems, B, D)]).ravel()
    n_zero = int(zero.sum())
    slopes = slopes + A[n_zero : n_zero + len(multipliers)].T @ multipliers
    ridge = np.concatenate([p.ridge for p in problems])[free]
    change, more = solve_on_face(A[:, free], ridge, slopes[free], left)
    B = B.copy().ravel()
    B[free] += change
    D[zero] += more[:n_zero]
    nu = -float(more[-1]) if problems[0].equality is not None else 0.0
    return B.reshape(m, q), D, multipliers + more[n_zero : n_zero + len(multipliers)], nu


def _rows_on_face(problems, B, zero):
    """Rows of zero residuals, in the columns of their level, and what is left of these residuals."""
    m, q = B.shape
    A = np.zeros((int(zero.sum()), m, q))
    left, first = [], 0
    for k, problem in enumerate(problems):
        index = problem.on_device(np.flatnonzero(zero[k]))
        Z = to_numpy(problem.rows.take(index))
        A[first : first + len(Z), k] = Z
        left.append(to_numpy(problem.xp.take(problem.y, index, axis=0)) - Z @ B[k])
        first += len(Z)
    return A.reshape(len(A), m * q), np.concatenate(left)


def _signed(problem, d, b, zero):
    """The dual point with its entries at the ends where residuals are not zero."""
    high, low = problem.host
    r = problem.residuals(b)
    return np.where(zero, d, np.where(r > 0, high, -low))


def _slope(problem, b, d):
    """What is left of the slopes of the objective's negative at each coefficient."""
    left, right = problem.slopes(b)
    return problem.pull(b, d, 0.0) - np.where(np.isfinite(left), left, right)


def solve_on_face(A, bend, slopes, left, refinements=1):
    """Newton's step: bend x - A'd = slopes and A x = left, of least length where there are several.

    `bend` is the matrix of second derivatives, or its diagonal where it has no other entries.
    """
    n, k = len(bend), len(left)
    system = np.zeros((n + k, n + k))
    system[:n, :n] = np.diag(bend) if bend.ndim == 1 else bend
    system[:n, n:] = -A.T
    system[n:, :n] = A
    rhs = np.append(slopes, left)
    factor, pivots, failed = dgetrf(system)
    if failed or not dgecon(factor, np.abs(system).sum(axis=0).max())[0] > np.finfo(float).eps:
        x = lstsq(system, rhs, cond=_SINGULAR, check_finite=False)[0]
        return x[:n], x[n:]
    x = dgetrs(factor, pivots, rhs)[0]
    for _ in range(refinements):
        x = x + dgetrs(factor, pivots, rhs - system @ x)[0]
    return x[:n], x[n:]
