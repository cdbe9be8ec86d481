"""Scores of paths on rows held out: the work of one fold, for several combinations of further parameters at once.

Combinations that differ in the penalty alone share a fold's rows and its null model and, with the squared loss, its
Gram matrix: entries that one path has computed are there for the next.
"""

from dataclasses import replace
from functools import partial
from time import perf_counter
from typing import NamedTuple

import numpy as np
from sklearn import get_config
from sklearn.base import clone
from sklearn.utils.metadata_routing import get_routing_for_object
from sklearn.utils.validation import validate_data

from skreg._backend import safe_indexing
from skreg._base import check_sample_weight, fitted_attributes, without_ignored
from skreg._threads import one_blas_thread
from skreg.model_selection import _moments as moments
from skreg.model_selection._path import _pose, solve_path

_DEVIANCES = {"squared", "poisson", "gamma", "tweedie"}  # losses that are half a deviance, but for a constant
_OF_THE_PENALTY = {"penalty", "l1_ratio", "gamma", "tol", "max_iter"}  # parameters that leave data and loss as they are


class Candidate(NamedTuple):
    """A combination of further parameters, its estimator and its alphas."""

    params: dict
    model: object
    alphas: np.ndarray


class Scores(NamedTuple):
    """For each alpha on one fold: its score, NaN where a callback ended the path before it, and seconds spent."""

    test: np.ndarray
    fit_seconds: np.ndarray
    score_seconds: np.ndarray


# ---------------------------------------------------------------- what combinations share
def sharing(combinations, model):
    """Numbers of the combinations, in groups that pose their problems on the same data with the same kind of loss."""
    groups: list = []
    for c, combination in enumerate(combinations):
        others = {name: value for name, value in combination.items() if not _is_shared(name, model)}
        for key, members in groups:
            if key.keys() == others.keys() and all(key[name] is others[name] for name in key):
                members.append(c)
                break
        else:
            groups.append((others, [c]))
    return [members for _, members in groups]


def _is_shared(name, model):
    """Whether a parameter's values can share a posed problem's data: those of the penalty, or inside of a loss."""
    head, _, inside = name.partition("__")
    own = not getattr(model, "_pose_depends_on_rows", False)
    return own and (head in _OF_THE_PENALTY or (head == "loss" and inside != ""))


def pose_all(models, X, y, sample_weight, offset):
    """Each model and its problem; the data are validated once, for the models are of one group of `sharing`."""
    first, prepared = _pose(models[0], X, y, sample_weight, offset)
    posed = [(first, prepared)]
    for model in models[1:]:
        model = clone(model)
        model._validate_params()
        vars(model).update(fitted_attributes(first))
        data, loss = prepared.data, model._loss_for(prepared.n_outputs)
        if loss != data.loss:
            loss.check_target(data.y)
            data = replace(data, loss=loss)
        penalty = model._penalty_for(prepared.structure, prepared.n_outputs)
        posed.append((model, replace(prepared, data=data, penalty=penalty)))
    return posed


# ---------------------------------------------------------------- one fold
def walk(search, task, model, prepared, alphas, told, **path):
    """The solutions along a path that is a task of the search: its callbacks that pass on are the model's meanwhile."""
    outer = {**told, "estimator": search}
    with task.propagate_callback_context(model):
        task.call_on_fit_task_begin(**outer)
        solutions = solve_path(model, prepared, alphas, {**told, "estimator": model}, **path)
    task.call_on_fit_task_end(**outer)
    return solutions


def score_fold(candidates, tasks, data, fold, place, scorer, search):
    """`Scores` of each candidate of a group: paths on the fold's training rows, scored on the others."""
    begin = perf_counter()
    train, test = ([_part(x, rows) for x in data] for rows in fold)
    posed = pose_all([candidate.model for candidate in candidates], *train)
    elapsed, gram, results = perf_counter() - begin, None, []
    for candidate, task, (model, prepared) in zip(candidates, tasks, posed):
        state, seconds = prepared.state(), [elapsed]
        if gram is not None:
            state.model = gram
        solutions = walk(
            search, task, model, prepared, candidate.alphas, model._told(*train), state=state, seconds=seconds
        )
        gram = getattr(state, "model", None) if prepared.data.loss.quadratic else None
        begin = perf_counter()
        if scorer is None:
            scores = deviance_scores(model, prepared, solutions, *test)
            spent = np.full(len(solutions), (perf_counter() - begin) / len(solutions))
        else:
            scores, spent = _scorers_scores(scorer, model, prepared, candidate.alphas, solutions, *test)
        results.append(_collect(candidate, scores, seconds, spent, place, search))
        elapsed = 0.0
    return results


def _collect(candidate, scores, seconds, score_seconds, place, search):
    """`Scores` for all alphas, from those of the alphas that were reached; the setup counts to the first."""
    seconds = np.array([seconds[0] + seconds[1], *seconds[2:]])
    missing = len(candidate.alphas) - len(seconds)
    result = Scores(
        np.append(scores, np.full(missing, np.nan)),
        np.append(seconds, np.zeros(missing)),
        np.append(score_seconds, np.zeros(missing)),
    )
    if search.verbose:
        _report(candidate, result, len(seconds), *place)
    return result


def _report(candidate, result, n_reached, fold, n_folds):
    params = "".join(f"  {name}={value}" for name, value in candidate.params.items())
    text = (
        f"fold {fold + 1:>{len(str(n_folds))}}/{n_folds}{params}  {n_reached} alphas  {result.fit_seconds.sum():.2f} s"
    )
    if not np.isnan(result.test).all():
        k = np.nanargmax(result.test)
        text += f"  best score {result.test[k]:.4g} at alpha {candidate.alphas[k]:.3e}"
    print(text)


# ---------------------------------------------------------------- all folds from sums over rows
def scores_of_moments(groups, candidates, posed, data, folds, tasks, search):
    """`Scores` by candidate and fold, and each candidate's state to start from; Nones where moments do not serve."""
    if not all(moments.applies(*pair) for pair in posed):
        return None, None
    splits, setup = [], []
    for group in groups:
        begin = perf_counter()
        with one_blas_thread():
            splits.append(moments.split(posed[group[0]][1], folds))
        if splits[-1] is None:
            return None, None
        setup.append((perf_counter() - begin) / (len(group) * len(folds)))
    results, starts = [[] for _ in candidates], [None] * len(candidates)
    for group, split, elapsed in zip(groups, splits, setup):
        for c in group:
            starts[c] = split.whole.state()
        for k, fold in enumerate(split.folds):
            train, told, place = fold.train(), _told_when_asked(data, fold.rows), (k, len(folds))
            for c in group:
                path = candidates[c], tasks[c][k], *posed[c]
                results[c].append(_score_moments(*path, fold, train, told, place, elapsed, search))
    return results, starts


def _score_moments(candidate, task, model, prepared, fold, train, told, place, elapsed, search):
    prepared, seconds = train.pose(prepared), [elapsed]
    with one_blas_thread():
        path = dict(state=train.state(), seconds=seconds)
        solutions = walk(search, task, model, prepared, candidate.alphas, told, **path)
        begin = perf_counter()
        scores = fold.scores(solutions)
    spent = np.full(len(scores), (perf_counter() - begin) / len(scores))
    return _collect(candidate, scores, seconds, spent, place, search)


def _told_when_asked(data, rows):
    """What callbacks are told of training rows that nobody else has copied."""
    X, y, sample_weight, offset = (partial(_part, x, rows) for x in data)
    given = {
        name: part
        for name, part, x in zip(("sample_weight", "offset"), (sample_weight, offset), data[2:])
        if x is not None
    }
    return dict(X=X, y=y, metadata=lambda: {name: part() for name, part in given.items()})


# ---------------------------------------------------------------- scores
def _scorers_scores(scorer, model, prepared, alphas, solutions, X, y, sample_weight, offset):
    """Scores of the fitted models by a scorer, and the seconds of each."""
    weight = weight_for(scorer, sample_weight)
    scores, seconds = [], []
    for alpha, solution in zip(alphas, solutions):
        begin = perf_counter()
        fitted = clone(model)
        vars(fitted).update(model._attributes_at(alpha, prepared, solution))
        scores.append(scorer(fitted, X, y, **weight))
        seconds.append(perf_counter() - begin)
    return scores, seconds


def weight_for(scorer, sample_weight):
    """The weights as a scorer takes them, where there are any and it has not asked by routing to go without."""
    asked = {}
    if get_config()["enable_metadata_routing"] and hasattr(scorer, "get_metadata_routing"):
        asked = get_routing_for_object(scorer).score.requests
    return {} if sample_weight is None or asked.get("sample_weight") is False else {"sample_weight": sample_weight}


def deviance_scores(model, prepared, solutions, X, y, sample_weight, offset):
    """Minus the mean deviance of each solution on other rows, all in one product; the mean of several tasks'."""
    X = validate_data(model, X, accept_sparse=["csc", "csr"], dtype=[np.float64, np.float32], reset=False)
    weight = check_sample_weight(sample_weight, X)
    target = without_ignored(_encoded(prepared, np.asarray(y), weight), weight, np)
    loss = prepared.data.loss
    loss.check_target(target)
    pairs = [prepared.coefficients(solution.coef, solution.intercept) for solution in solutions]
    coefs, intercepts = np.stack([coef for coef, _ in pairs]), np.array([b for _, b in pairs])
    eta = X @ coefs.reshape(-1, X.shape[1]).T
    eta = eta.reshape(len(target), *coefs.shape[:-1])  # samples, alphas, outputs
    factor = 2.0 if loss.name in _DEVIANCES else 1.0
    scores = np.empty(len(solutions))
    for k in range(len(solutions)):
        own = eta[:, k] + intercepts[k]
        if offset is not None:
            known = np.asarray(offset, dtype=np.float64)
            own = own + (known.reshape(own.shape) if known.size == own.size else known[:, None])
        excess = loss.value(target, own) - loss.infimum(target)
        scores[k] = -factor * float(np.mean(weight @ excess / weight.sum()))
    return scores


def _encoded(prepared, y, weight):
    """The target as the loss takes it; the class of a row of weight 0 may be any."""
    classes = prepared.fitted.get("classes_")
    if classes is None:
        return y.astype(np.float64)
    unknown = ~np.isin(y, classes) & (weight > 0)
    if unknown.any():
        raise ValueError(f"The class {y[unknown].tolist()[0]!r} of y is not in the training rows of some fold of cv.")
    if prepared.n_outputs > 1:
        return (y[:, None] == classes).astype(np.float64)
    return (y == classes[1]).astype(np.float64)


def _part(x, rows):
    return None if x is None else safe_indexing(x, rows)
