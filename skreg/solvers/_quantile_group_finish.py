"""From an interior point to the exact solution with norms of groups: Newton steps where the norms are smooth.

Once it is known which groups, and which coefficients in them, are not zero, and which residuals are, optimal are

    Z_F' d = gradient of the penalty at b_F,        y_E - Z_E b = 0,

a smooth system in the coefficients F that are not zero and the dual variables of the rows E. All other rows have d at
the end of its box that their residual's sign tells. Where the solution shows that the guess of E was wrong (d is out of
its box, or a residual off E has changed its sign), or that of the coefficients with absolute values, the guess is
changed, and so on; the certificate has the last word.
"""

import numpy as np
from scipy.linalg import qr

from skreg.solvers._interior_point_face import solve_on_face

_LARGEST = 2500  # unknowns up to which the system is solved
_STEPS = 15  # of Newton, for one guess
_ROUNDS = 12  # guesses
_ZERO = 1e-12  # residuals below this share of the numbers they are the difference of are zero
_DUAL_TOL = 1e-11  # of a row's weight, by which its dual variable may be out of its box
_SLOPE_TOL = 1e-9  # of its weight, by which a slope may be beyond an absolute value's
_STEP = 1e-9  # off zero, where sizes are about one
_CONVERGED = 1e-12  # violation of the system from which its quadratic convergence is over


def finish(problem, b, d, moving, close, certify, exact, derivatives=None, rounds=_ROUNDS):
    """The best certified solution that Newton steps lead to from a nearly optimal point, or None.

    Parameters
    ----------
    problem : GroupProblem
        The problem.
    b, d : ndarrays of shape (n_coef,) and (n_rows,)
        A nearly optimal point.
    moving : ndarray of bool of shape (n_coef,)
        Which coefficients are not zero.
    close : ndarray of shape (n_rows,)
        How close residuals are to zero; above 1 they are.
    certify : callable
        ``certify(b, d, r)`` gives the solution with its certificate.
    exact : callable
        Whether a solution is as good as rounding allows.
    derivatives : callable, default=None
        ``derivatives(b)`` gives the penalty's gradient, and the second derivatives of its norms, one a group: across
        the group's direction and along it. None: those of the problem's own norms.
    rounds : int
        Largest number of guesses.

    Returns
    -------
    solution : QuantileSolution or None
        None where there is none, or the system is too large.
    """
    derivatives = (lambda b: of_norms(problem, b)) if derivatives is None else derivatives
    high, low = problem.host
    zero, best = close > 1.0, None
    for _ in range(rounds):
        if moving.sum() + zero.sum() > _LARGEST:
            break
        zero = _consistent(problem, moving, zero, close)
        new, dual, r, gone = _newton(problem, b, d, moving, zero, derivatives)
        if gone.any():  # of several groups that say nearly the same, say
            moving, b = moving & ~gone, new
            continue
        if r is None:
            break
        d = dual
        solution = certify(new, d, r)
        if best is None or solution.gap < best.gap or solution.violations.max() < best.violations.max():
            best = solution
        if exact(solution):
            break
        turned = (new * b < 0) & (problem.l1 > 0)
        outside = zero & (np.maximum(d - high, -low - d) > _DUAL_TOL * (high + low))
        crossed = ~zero & ((r > 0) & (d < high) | (r < 0) & (d > -low))
        entering = _entering(problem, d, moving)
        if not (turned.any() or outside.any() or crossed.any() or entering.any()):
            break
        moving, b = moving & ~turned | (entering != 0), np.where(turned, 0.0, new) + entering
        zero = zero & ~outside | crossed
        close = np.where(crossed, 2.0, close)
        d = np.clip(d, -low, high)
    return best


def _entering(problem, d, moving):
    """A step off zero for each coefficient whose absolute value does not hold it there, beside others of its group."""
    z = problem.adjoint(d)
    beyond = ~moving & (problem.l1 > 0) & (np.abs(z) > problem.l1 * (1.0 + _SLOPE_TOL))
    within = np.append(problem.joint == 0, True)[problem.label] | _present(problem, moving)
    return np.where(beyond & within, np.copysign(_STEP, z), 0.0)


def _present(problem, moving):
    """The coefficients of groups of which some move."""
    groups = np.zeros(len(problem.joint) + 1, dtype=bool)
    groups[problem.label[moving]] = True
    groups[-1] = False
    return groups[problem.label]


def _consistent(problem, moving, zero, close):
    """No more rows than coefficients can pass through: the closest that are independent."""
    E, F = np.flatnonzero(zero), np.flatnonzero(moving)
    if len(E) <= len(F):
        return zero
    block = problem.rows.take(E)[:, F] * np.minimum(1.0, np.sqrt(close[E]))[:, None]
    _, _, order = qr(block.T, mode="economic", pivoting=True)
    kept = np.zeros(len(zero), dtype=bool)
    kept[E[order[: len(F)]]] = True
    return kept


def _newton(problem, b, d, moving, zero, derivatives):
    """The solution of the system, its dual point and its residuals (None where there is none), and no coefficients.

    Or, since a norm is not smooth where it vanishes, the point on the way where the first group does, and that group's
    coefficients.
    """
    none = np.zeros(len(b), dtype=bool)
    F, E = np.flatnonzero(moving), np.flatnonzero(zero)
    A = problem.rows.take(E)[:, F]
    high, low = problem.host
    b = np.where(moving, b, 0.0)
    r = problem.residuals(b)
    tied = ~zero & (np.abs(r) <= _zero(problem, b))  # on the face by dependence on E, with d as it is
    d = np.where(zero | tied, d, np.where(r > 0, high, -low))
    before = np.inf
    for _ in range(_STEPS):
        gradient, across, along = derivatives(b)
        slopes = (problem.adjoint(d) - gradient)[F]
        left = r[E]
        size = max(np.abs(slopes).max(initial=0.0), np.abs(left).max(initial=0.0))
        if not np.isfinite(size):
            return b, d, None, none
        if size > 0.5 * before and size <= _CONVERGED:
            break
        before = size
        change, more = solve_on_face(A, _second_derivatives(problem, b, F, across, along), slopes, left, 0)
        new = b.copy()
        new[F] += change
        length, gone = _vanishing(problem, b, new)
        if gone.any():
            return np.where(gone, 0.0, b + length * (new - b)), d, None, gone
        b = new
        d[E] += more
        r = problem.residuals(b)
    r[np.abs(r) <= _zero(problem, b)] = 0.0
    r[E] = 0.0
    return b, d, r, none


def _zero(problem, b):
    """Size below which residuals are rounding."""
    return _ZERO * (np.abs(problem.y) + np.abs(b).sum() + 1.0)


def of_norms(problem, b):
    """Gradient and second derivatives of the norms as they are."""
    norms = problem.norms_of(b)
    across = np.divide(problem.joint, norms, out=np.zeros_like(norms), where=norms > 0)
    return problem.gradient(b), across, np.zeros_like(norms)


def _second_derivatives(problem, b, F, across, along):
    """Of the norms, over the coefficients F: across (I - u u') + along u u' for each group of direction u."""
    label = problem.label[F]
    inside = label >= 0
    norms = np.append(problem.norms_of(b), 1.0)[label]
    u = np.divide(b[F], norms, out=np.zeros(len(F)), where=inside & (norms > 0))
    across, along = np.append(across, 0.0), np.append(along, 0.0)
    same = (label[:, None] == label) & inside[:, None]
    bend = np.where(same, (along - across)[label][:, None] * np.outer(u, u), 0.0)
    bend[np.arange(len(F)), np.arange(len(F))] += across[label]
    return bend


def _vanishing(problem, b, new):
    """How far along a step the first group turns round or vanishes, and its coefficients; none where none does."""
    inside = problem.label >= 0
    inner = np.bincount(problem.label[inside], weights=(b * new)[inside], minlength=len(problem.joint))
    squares = problem.norms_of(b) ** 2
    turned = (inner <= 0) & (squares > 0) & (problem.joint > 0)
    length = np.divide(squares, squares - inner, out=np.full(len(inner), np.inf), where=turned)
    first = np.zeros(len(inner), dtype=bool)
    if turned.any():
        first[np.argmin(length)] = True
    return float(length.min(initial=np.inf)), problem.of_group(first, False).astype(bool)
