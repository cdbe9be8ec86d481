"""Search on the true objective: along the step of a model, or one coordinate at a time."""

import numpy as np

from skreg.penalties import restrict

_ROUNDING = 1e-15  # of the objective's terms
_JUMPS = 20  # coordinates tried one at a time when models fail
_INTEGRATED = 1e5  # times that: changes of the loss below it are integrated, and not taken as differences


def search(problem, state, columns, new, shift, slope, shortest):
    """Move `state` towards coefficients `new` of the `columns` and an intercept changed by `shift`, halving the step.

    Until the objective falls by 1e-4 of what the slope promises (Armijo), or the step is `shortest`; False where
    nothing moved. Near a minimum the change of the loss drowns in the rounding of its values. The trapezoidal rule,
    applied to the slopes at both ends of the step, does not cancel, and its error is of third order in the step.
    """
    data, loss, penalty = problem.data, problem.data.loss, problem.penalty
    pen = restrict(problem.pen, columns)
    old = state.w[columns]
    step = new - old
    full = np.zeros(data.n_coordinates)
    full[columns] = step
    direction = data.apply(full, columns[step != 0]) + shift
    fall = float(np.sum(data.weight @ (slope * direction)))  # of the loss, to first order
    old_penalty = float(penalty.value(old, pen))
    predicted = fall + float(penalty.value(new, pen)) - old_penalty
    values = loss.value(data.y, state.eta)
    before = data.weight @ values
    noise = _ROUNDING * (data.weight @ np.abs(values) + abs(old_penalty))
    if not np.any(direction) or predicted > noise:
        return False
    length = 1.0
    while length > shortest:
        eta = state.eta + length * direction
        point = old + length * step
        change = data.weight @ loss.value(data.y, eta) - before
        if abs(change) <= _INTEGRATED * noise:
            change = 0.5 * length * (fall + float(np.sum(data.weight @ (loss.gradient(data.y, eta) * direction))))
        change += float(penalty.value(point, pen)) - old_penalty
        if change <= 1e-4 * length * predicted + noise:
            state.w[columns] = point
            state.b = state.b + length * shift
            state.eta = eta
            return True
        length *= 0.5
    return False


def jump(problem, state, gradient, scale, columns):
    """Move single coordinates downhill on the true objective, where no quadratic model leads on.

    A non-convex penalty may ask for a jump that is long next to the reach of a local model: the coordinates that
    violate their conditions most are tried one at a time, with ever smaller steps.
    """
    data, penalty = problem.data, problem.penalty
    w = state.w[columns]
    violations = penalty.violation(w, gradient, scale, restrict(problem.pen, columns))
    best = problem.objective(state.w, state.eta)
    for k in np.argsort(-violations)[:_JUMPS]:
        j = columns[k : k + 1]
        pen = restrict(problem.pen, j)
        for steepness in scale[k] * 4.0 ** np.arange(12):
            new = penalty.prox(w[k : k + 1] - gradient[k] / steepness, 1.0 / steepness, pen)
            trial = state.w.copy()
            trial[j] = new
            change = np.zeros_like(trial)
            change[j] = new - state.w[j]
            eta = state.eta + data.apply(change, j)
            objective = problem.objective(trial, eta)
            if objective < best * (1 - 1e-14):
                state.w, state.eta, state.refused = trial, eta, 0
                return
