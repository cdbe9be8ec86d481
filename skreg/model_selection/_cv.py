"""The strength of a penalty by cross-validation: one warm-started path a fold, for every estimator with an alpha."""

from numbers import Integral, Real

import numpy as np
from sklearn import get_config
from sklearn.base import _fit_context, clone, is_classifier
from sklearn.metrics import check_scoring
from sklearn.model_selection import ParameterGrid, check_cv
from sklearn.utils import get_tags, indexable
from sklearn.utils.metadata_routing import UNUSED, MetadataRouter, MethodMapping, process_routing
from sklearn.utils.metaestimators import available_if
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import column_or_1d

from skreg._backend import CallbackSupport, Interval, StrOptions
from skreg._base import fitted_attributes, unchanged_on_error
from skreg.model_selection._folds import (
    Candidate,
    Scores,
    pose_all,
    score_fold,
    scores_of_moments,
    sharing,
    walk,
    weight_for,
)
from skreg.model_selection._path import _given_grid, _grid, as_path
from skreg.model_selection._relax import check_relaxable, relaxed
from skreg.model_selection._search import PathSearch, delegated


class PathCV(CallbackSupport, PathSearch):
    """Choose alpha, and other parameters, by cross-validation along regularisation paths.

    Every fold solves one path of decreasing alphas, each point started from the one before, and scores all of its
    models; all alphas see the same folds. The result is that of `GridSearchCV` over the same alphas and folds, for a
    fraction of its time.

    Parameters
    ----------
    estimator : object
        A skreg estimator; its own alpha is not used.
    alphas : int or array-like, default=100
        The grid, or its length: see `alpha_grid`. A grid made here is that of the whole data, one for each
        combination in `param_grid`.
    eps : float, default=1e-3
        Smallest over largest alpha of a grid made here.
    param_grid : dict or list of dict, default=None
        Further parameters of the estimator and the values to try, as in `GridSearchCV`.
    cv : int, cross-validation generator or iterable, default=5
        How to split the data; stratified for classifiers.
    scoring : str or callable, default=None
        A scorer; larger is better. None means minus the mean deviance of the estimator's loss on the fold: the mean
        squared error, the mean Poisson, gamma or Tweedie deviance, the log loss; for other losses their mean.
    selection : {"min", "1se"} or callable, default="min"
        "min" takes the best mean score; "1se" the largest alpha whose mean score is within one standard error of it,
        for the best further parameters; a callable is given `cv_results_` and returns an index into it.
    refit : bool or "relaxed", default=True
        Fit the chosen model on the whole data. "relaxed" fits it once more on the features chosen, without penalty.
    n_jobs : int, default=None
        Folds solved at a time, by joblib.
    verbose : bool, default=False
        Whether to print one line a fold, and one line an alpha of the path on the whole data.

    Attributes
    ----------
    alpha_ : float
        The alpha chosen.
    alphas_ : ndarray of shape (n_alphas,)
        The grid, decreasing, for the parameters chosen.
    best_params_ : dict
        The parameters chosen, alpha among them.
    best_index_ : int
        Their place in `cv_results_`.
    best_score_ : float
        Their mean score over folds.
    cv_results_ : dict of ndarray
        As `GridSearchCV`'s: ``params``, ``param_alpha``, ``split0_test_score``, ..., ``mean_test_score``,
        ``std_test_score``, ``rank_test_score``, and times in seconds, ``mean_fit_time``, ``std_fit_time``,
        ``mean_score_time``, ``std_score_time``. The time of an alpha is that from the one before on its path; what is
        done once a path counts to the first.
    mean_score_, std_score_ : ndarray of shape (n_alphas,)
        Mean and standard deviation of the score over folds along `alphas_`, for the parameters chosen.
    coef_path_ : ndarray of shape (n_alphas, n_features) or (n_alphas, n_outputs, n_features)
        Coefficients on the whole data along `alphas_`; where refit. NaN where a callback ended the path before.
    best_estimator_ : object
        The final model; where refit. Its fitted attributes (`coef_`, `intercept_`, ...) are attributes of the search
        too.
    n_splits_ : int
        Number of folds.

    See Also
    --------
    regularization_path : One path on the whole data.
    PathIC : Chooses from that path by an information criterion.

    Notes
    -----
    Callbacks of `sklearn.callback` see the tasks of `GridSearchCV`: ``search``, with one task for each combination and
    fold, and ``refit``. Callbacks that pass on, such as progress bars, and those of `estimator` see the path of each as
    `regularization_path` shows it. Where one ends a fold's path, the alphas that it did not reach have no score and are
    not chosen; where one ends the path on the whole data, the alpha chosen is solved nevertheless.

    With metadata routing, `sample_weight` and `offset` are the search's own, and `groups` and what else is given to
    `fit` is the splitter's. Scorers are given the weights unless they ask not to be.

    References
    ----------
    .. [1] J. Friedman, T. Hastie, R. Tibshirani (2010). Regularization paths for generalized linear models via
       coordinate descent. Journal of Statistical Software 33(1).

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skreg import Lasso
    >>> from skreg.model_selection import PathCV
    >>> X, y = load_diabetes(return_X_y=True)
    >>> search = PathCV(Lasso(), alphas=50, selection="1se").fit(X, y)
    >>> int((search.coef_ != 0).sum())
    6
    """

    _parameter_constraints = {
        "estimator": "no_validation",
        "alphas": [Interval(Integral, 1, None, closed="left"), "array-like"],
        "eps": [Interval(Real, 0, 1, closed="right")],
        "param_grid": [dict, list, None],
        "cv": ["cv_object"],
        "scoring": [str, callable, None],
        "selection": [StrOptions({"min", "1se"}), callable],
        "refit": ["boolean", StrOptions({"relaxed"})],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
    }
    __metadata_request__fit = {"groups": UNUSED}  # the splitter's

    def __init__(
        self,
        estimator,
        *,
        alphas=100,
        eps=1e-3,
        param_grid=None,
        cv=5,
        scoring=None,
        selection="min",
        refit=True,
        n_jobs=None,
        verbose=False,
    ):
        self.estimator = estimator
        self.alphas = alphas
        self.eps = eps
        self.param_grid = param_grid
        self.cv = cv
        self.scoring = scoring
        self.selection = selection
        self.refit = refit
        self.n_jobs = n_jobs
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, sample_weight=None, offset=None, groups=None, **params):
        """Solve the paths of all folds, choose, and fit the model chosen on the whole data.

        Parameters
        ----------
        X : {array-like, sparse matrix, sparse array} of shape (n_samples, n_features)
            Training data.
        y : array-like of shape (n_samples,) or (n_samples, n_tasks)
            Target; of several tasks where that is what `estimator` takes.
        sample_weight : float or array-like of shape (n_samples,), default=None
            Weights of the samples, in the fits and in the scores.
        offset : array-like of the shape of the linear predictor, default=None
            Known part of the linear predictor.
        groups : array-like of shape (n_samples,), default=None
            Groups of samples for splitters such as `GroupKFold`.
        **params : dict
            What the splitter asks for besides, with metadata routing enabled.

        Returns
        -------
        self : PathCV
            The fitted search.

        Raises
        ------
        TypeError
            If `estimator` is not a skreg estimator with an alpha.
        ValueError
            If an argument has a wrong shape or value; the message names it.
        """
        metadata = dict(sample_weight=sample_weight, offset=offset)
        told = dict(estimator=self, X=X, y=y, metadata={k: v for k, v in metadata.items() if v is not None})
        task = self._init_callback_context(max_subtasks=1 + bool(self.refit))
        with unchanged_on_error(self):
            task.call_on_fit_task_begin(**told)
            for name in fitted_attributes(self):
                delattr(self, name)
            if not get_tags(self).target_tags.multi_output:
                y = column_or_1d(y, warn=True)
            if np.isscalar(sample_weight):
                sample_weight = np.full(len(y), float(sample_weight))
            self._search(task, X, y, sample_weight, offset, self._for_splitter(groups=groups, **metadata, **params))
            task.call_on_fit_task_end(**told, reconstruction_attributes={} if self.refit else None)
        return self

    def _search(self, root, X, y, sample_weight, offset, splitting):
        combinations = list(ParameterGrid(self.param_grid or {}))
        if any("alpha" in combination for combination in combinations):
            raise ValueError("param_grid names alpha; give its values as alphas.")
        estimator = self.estimator
        models = [clone(estimator).set_params(**combination) for combination in combinations]
        together, posed = sharing(combinations, estimator), [None] * len(models)
        for group in together:
            for c, pair in zip(group, pose_all([models[c] for c in group], X, y, sample_weight, offset)):
                posed[c] = pair
        model, prepared = posed[0]
        scorer = self._scorer(model, prepared, offset)
        data = X, y, sample_weight, offset = indexable(X, y, sample_weight, offset)
        cv = check_cv(self.cv, y, classifier=is_classifier(model))
        folds = [tuple(_places(rows) for rows in fold) for fold in cv.split(X, y, **splitting)]
        candidates = [
            Candidate(combination, models[c], self._alphas_for(posed[c][1]))
            for c, combination in enumerate(combinations)
        ]
        scores, starts = self._scores(root, together, candidates, posed, data, folds, scorer)
        self.n_splits_ = len(folds)
        self.cv_results_ = _results(candidates, scores)
        self._select(candidates, np.array([[fold.test for fold in row] for row in scores]))
        if self.refit:
            which = self.best_index_ // len(self.alphas_)
            self._refit(root, *posed[which], data, starts[which])
        else:
            self._take_attributes(model)

    def _scores(self, root, together, candidates, posed, data, folds, scorer):
        """`Scores` by candidate and fold, and each candidate's state to start the path on the whole data from."""
        size = len(candidates) * len(folds)
        search = root.subcontext(task_name="search", max_subtasks=size, sequential_subtasks=False)
        search.call_on_fit_task_begin(estimator=self)
        ids = np.arange(size).reshape(len(candidates), len(folds)).tolist()
        tasks = [[search.subcontext(task_name="fold-path", task_id=k) for k in row] for row in ids]
        scores = None
        if scorer is None:
            scores, starts = scores_of_moments(together, candidates, posed, data, folds, tasks, self)
        if scores is None:
            scores, starts = [[None] * len(folds) for _ in candidates], [None] * len(candidates)
            jobs = [(group, k) for group in together for k in range(len(folds))]
            run = delayed(score_fold)
            found = Parallel(n_jobs=self.n_jobs)(
                run(
                    [candidates[c] for c in group],
                    [tasks[c][k] for c in group],
                    data,
                    folds[k],
                    (k, len(folds)),
                    scorer,
                    self,
                )
                for group, k in jobs
            )
            for (group, k), results in zip(jobs, found):
                for c, result in zip(group, results):
                    scores[c][k] = result
        search.call_on_fit_task_end(estimator=self)
        return scores, starts

    def _for_splitter(self, groups, **metadata):
        """What is given to the splitter's `split`."""
        if get_config()["enable_metadata_routing"]:
            given = {name: value for name, value in {"groups": groups, **metadata}.items() if value is not None}
            return process_routing(self, "fit", **given).splitter.split if given else {}
        unknown = sorted(metadata.keys() - {"sample_weight", "offset"})
        if unknown:
            raise ValueError(f"fit takes {', '.join(unknown)} only with enable_metadata_routing=True.")
        return {"groups": groups}

    def get_metadata_routing(self):
        """What `fit` and `score` ask for themselves, and what they pass on to the splitter.

        Returns
        -------
        routing : MetadataRouter
            See scikit-learn's user guide of metadata routing.
        """
        to_splitter = MethodMapping().add(caller="fit", callee="split")
        return (
            MetadataRouter(owner=self)
            .add_self_request(self)
            .add(splitter=check_cv(self.cv), method_mapping=to_splitter)
        )

    def _scorer(self, model, prepared, offset):
        """The scorer, None for the loss's own; after a check of what it and `refit` ask for."""
        if self.refit == "relaxed":
            check_relaxable(model, prepared, "refit='relaxed'")
        if self.scoring is None:
            return None
        if offset is not None:
            raise ValueError("offset needs scoring=None: a scorer does not pass it to predict.")
        return check_scoring(model, self.scoring)

    def _alphas_for(self, prepared):
        if np.ndim(self.alphas):
            return _given_grid(self.alphas)
        return _grid(prepared, self.alphas, self.eps, "alphas")

    def _select(self, candidates, scores):
        mean, n_alphas = scores.mean(axis=1), scores.shape[2]
        if callable(self.selection):
            best = self.selection(self.cv_results_)
            if not isinstance(best, Integral) or not 0 <= best < mean.size:
                raise ValueError(f"selection must return an index into cv_results_, below {mean.size}; got {best!r}.")
        elif np.isnan(mean).all():
            raise ValueError(f"scoring={self.scoring!r} gave NaN for every alpha in some fold.")
        else:
            best = np.nanargmax(mean)
        which, k = divmod(int(best), n_alphas)
        if self.selection == "1se":
            error = scores[which].std(axis=0, ddof=1)[k] / np.sqrt(self.n_splits_) if self.n_splits_ > 1 else 0.0
            k = int(np.flatnonzero(mean[which] >= mean[which, k] - error)[0])
        self.best_index_ = which * n_alphas + k
        self.alphas_ = candidates[which].alphas
        self.alpha_ = float(self.alphas_[k])
        self.best_params_ = {**candidates[which].params, "alpha": self.alpha_}
        self.mean_score_, self.std_score_ = mean[which], scores[which].std(axis=0)
        self.best_score_ = float(mean[which, k])

    def _refit(self, root, model, prepared, data, state):
        """The path on the whole data, and of it the model chosen."""
        task = root.subcontext(task_name="refit")
        state = prepared.state() if state is None else state
        path = dict(state=state, verbose=self.verbose)
        solutions = walk(self, task, model, prepared, self.alphas_, model._told(*data), **path)
        k = int(np.flatnonzero(self.alphas_ == self.alpha_)[0])
        reached = [*range(len(solutions))]
        if k not in reached:  # a callback ended the path before
            solutions += prepared.follow([self.alpha_], model.tol, model.max_iter)
            model._warn(solutions[-1], stacklevel=5)
            reached.append(k)
        chosen = reached.index(k)
        solutions[chosen] = prepared.finish(self.alpha_, model.tol, model.max_iter, state, solutions[chosen])
        path = as_path(model, prepared, self.alphas_[reached], solutions)
        best = model._at(path, chosen)
        if self.refit == "relaxed":
            best = relaxed(best, prepared, solutions[chosen], share=1.0)
        self.coef_path_ = np.full((len(self.alphas_), *path.coefs.shape[1:]), np.nan, dtype=path.coefs.dtype)
        self.coef_path_[reached] = path.coefs
        self.best_estimator_ = best
        self._take_attributes(best)

    @available_if(delegated("score"))
    def score(self, X, y, sample_weight=None):
        """Score of the model chosen: the scorer given as `scoring`, or the estimator's own score.

        Parameters
        ----------
        X : {array-like, sparse matrix, sparse array} of shape (n_samples, n_features)
            Samples.
        y : array-like of shape (n_samples,)
            Target.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        score : float
            Larger is better.
        """
        if self.scoring is None:
            return self._call("score", X, y, sample_weight=sample_weight)
        self._check_refitted("score")
        scorer = check_scoring(self.best_estimator_, self.scoring)
        return scorer(self.best_estimator_, X, y, **weight_for(scorer, sample_weight))


def _places(rows):
    """Indices of rows from those, or from a mask."""
    rows = np.asarray(rows)
    return np.flatnonzero(rows) if rows.dtype == bool else rows


def _results(candidates, scores):
    """`cv_results_` from `Scores` by candidate and fold."""
    params = [{**candidate.params, "alpha": float(alpha)} for candidate in candidates for alpha in candidate.alphas]
    kinds = (np.array([[getattr(fold, name) for fold in row] for row in scores]) for name in Scores._fields)
    flat, fit_seconds, score_seconds = (kind.transpose(0, 2, 1).reshape(len(params), -1) for kind in kinds)
    mean = flat.mean(axis=1)
    order = np.unique(-mean, return_inverse=True)[1]
    counts = np.concatenate([[0], np.cumsum(np.bincount(order))])
    names = sorted({name for entry in params for name in entry})
    results: dict = {}
    for name, seconds in (("fit", fit_seconds), ("score", score_seconds)):
        results[f"mean_{name}_time"], results[f"std_{name}_time"] = seconds.mean(axis=1), seconds.std(axis=1)
    for name in names:
        values = [entry[name] for entry in params if name in entry]
        kinds = {np.result_type(value) if isinstance(value, Real) else np.dtype(object) for value in values}
        column = np.ma.masked_all(len(params), dtype=np.result_type(*kinds))
        for k, entry in enumerate(params):
            if name in entry:
                column[k] = entry[name]
        results[f"param_{name}"] = column
    results["params"] = params
    for split in range(flat.shape[1]):
        results[f"split{split}_test_score"] = flat[:, split]
    results["mean_test_score"], results["std_test_score"] = mean, flat.std(axis=1)
    results["rank_test_score"] = (counts[order] + 1).astype(np.int32)
    return results
