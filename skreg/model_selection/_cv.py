"""The strength of a penalty by cross-validation: one warm-started path a fold, for every estimator with an alpha."""

from functools import partial
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin, _fit_context, clone, is_classifier
from sklearn.metrics import check_scoring
from sklearn.model_selection import ParameterGrid, check_cv
from sklearn.utils import get_tags, indexable
from sklearn.utils.metaestimators import available_if
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from skreg._backend import Interval, StrOptions, safe_indexing
from skreg._base import check_sample_weight, fitted_attributes, follow_path, unchanged_on_error, without_ignored
from skreg._threads import one_blas_thread
from skreg.model_selection import _moments as moments
from skreg.model_selection._path import _given_grid, _grid, _pose, solve

_DEVIANCES = {"squared", "poisson", "gamma", "tweedie"}  # losses that are half a deviance, but for a constant


def _delegate(name):
    """Whether the estimator has the method; for `available_if`."""

    def check(self):
        model = getattr(self, "best_estimator_", None) or self.estimator
        getattr(model, name)
        return True

    return check


class PathCV(MetaEstimatorMixin, BaseEstimator):
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
        Folds and combinations solved at a time, by joblib.

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
        ``std_test_score``, ``rank_test_score``.
    mean_score_, std_score_ : ndarray of shape (n_alphas,)
        Mean and standard deviation of the score over folds along `alphas_`, for the parameters chosen.
    coef_path_ : ndarray of shape (n_alphas, n_features) or (n_alphas, n_classes, n_features)
        Coefficients on the whole data along `alphas_`; where refit.
    best_estimator_ : object
        The final model; where refit. Its fitted attributes (`coef_`, `intercept_`, ...) are attributes of the search
        too.
    n_splits_ : int
        Number of folds.

    See Also
    --------
    regularization_path : One path on the whole data.

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
        "eps": [Interval(Real, 0, 1, closed="neither")],
        "param_grid": [dict, list, None],
        "cv": ["cv_object"],
        "scoring": [str, callable, None],
        "selection": [StrOptions({"min", "1se"}), callable],
        "refit": ["boolean", StrOptions({"relaxed"})],
        "n_jobs": [Integral, None],
    }

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

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, sample_weight=None, offset=None, groups=None):
        """Solve the paths of all folds, choose, and fit the model chosen on the whole data.

        Parameters
        ----------
        X : {array-like, sparse matrix, sparse array} of shape (n_samples, n_features)
            Training data.
        y : array-like of shape (n_samples,)
            Target.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples, in the fits and in the scores.
        offset : array-like of shape (n_samples,), default=None
            Known part of the linear predictor.
        groups : array-like of shape (n_samples,), default=None
            Groups of samples for splitters such as `GroupKFold`.

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
        with unchanged_on_error(self):
            for name in fitted_attributes(self):
                delattr(self, name)
            return self._search(X, column_or_1d(y, warn=True), sample_weight, offset, groups)

    def _search(self, X, y, sample_weight, offset, groups):
        model, _ = _pose(self.estimator, X, y, sample_weight, offset)
        scorer = self._scorer(model, offset)
        X, y, sample_weight, offset, groups = indexable(X, y, sample_weight, offset, groups)
        cv = check_cv(self.cv, y, classifier=is_classifier(model))
        folds = [tuple(_places(rows) for rows in fold) for fold in cv.split(X, y, groups)]
        combinations = list(ParameterGrid(self.param_grid or {}))
        if any("alpha" in combination for combination in combinations):
            raise ValueError("param_grid names alpha; give its values as alphas.")
        models = [clone(self.estimator).set_params(**combination) for combination in combinations]
        data = X, y, sample_weight, offset
        grids = [self._alphas_for(model, *data) for model in models]
        scores, starts = self._scores_of_moments(models, data, folds, grids) if scorer is None else (None, None)
        if scores is None:
            run = delayed(_fold_scores)
            scores = Parallel(n_jobs=self.n_jobs)(
                run(model, *data, train, test, grid, scorer)
                for model, grid in zip(models, grids)
                for train, test in folds
            )
        scores = np.array(scores).reshape(len(models), len(folds), -1)
        self.n_splits_ = len(folds)
        self.cv_results_ = _results(combinations, grids, scores)
        self._select(combinations, grids, scores)
        if self.refit:
            which = self.best_index_ // scores.shape[2]
            model, prepared, start = starts[which] if starts else (*_pose(models[which], *data), None)
            path = solve(model, prepared, self.alphas_, model._told(*data), state=start)
            self._keep(path, data)
        else:
            self._take_attributes(model)
        return self

    def _scorer(self, model, offset):
        """The scorer, None for the loss's own; after a check of what it and `refit` ask for."""
        if self.refit == "relaxed" and "penalty_weights" not in model.get_params():
            raise ValueError(
                f"refit='relaxed' needs an estimator with penalty_weights; {type(model).__name__} has none."
            )
        if self.scoring is None:
            return None
        if offset is not None:
            raise ValueError("offset needs scoring=None: a scorer does not pass it to predict.")
        return check_scoring(model, self.scoring)

    @staticmethod
    def _scores_of_moments(models, data, folds, grids):
        """The scores of all folds from sums over their rows, and each model's start; Nones where these do not serve."""
        scores, starts = [], []
        for model, grid in zip(models, grids):
            fold, prepared = _pose(model, *data)
            with one_blas_thread():
                found = moments.fold_scores(fold, prepared, folds, grid) if moments.applies(fold, prepared) else None
            if found is None:
                return None, None
            scores += found[0]
            starts.append((fold, prepared, found[1]))
        return scores, starts

    def _alphas_for(self, model, X, y, sample_weight, offset):
        if np.ndim(self.alphas):
            return _given_grid(self.alphas)
        return _grid(_pose(model, X, y, sample_weight, offset)[1], self.alphas, self.eps, "alphas")

    def _select(self, combinations, grids, scores):
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
        self.alphas_, self.alpha_ = grids[which], float(grids[which][k])
        self.best_params_ = {**combinations[which], "alpha": self.alpha_}
        self.mean_score_, self.std_score_ = mean[which], scores[which].std(axis=0)
        self.best_score_ = float(mean[which, k])

    def _keep(self, path, data):
        """Take the chosen model from the path on the whole data."""
        best = path.estimator._at(path, int(np.flatnonzero(path.alphas == self.alpha_)[0]))
        if self.refit == "relaxed":
            best = _relaxed(best, *data)
        self.coef_path_ = path.coefs
        self.best_estimator_ = best
        self._take_attributes(best)

    def _take_attributes(self, model):
        own = set(vars(self))
        vars(self).update({name: value for name, value in fitted_attributes(model).items() if name not in own})

    # ------------------------------------------------------------ the model chosen
    def _call(self, method, X, *args, **kwargs):
        self._check_refitted(method)
        return getattr(self.best_estimator_, method)(X, *args, **kwargs)

    def _check_refitted(self, method):
        check_is_fitted(self)
        check_is_fitted(self, "best_estimator_", msg=f"{method} needs the final model, which refit=False does not fit.")

    @available_if(_delegate("predict"))
    def predict(self, X, offset=None):
        """Predictions of the model chosen.

        Parameters
        ----------
        X : {array-like, sparse matrix, sparse array} of shape (n_samples, n_features)
            Samples.
        offset : array-like of shape (n_samples,), default=None
            Known part of the linear predictor.

        Returns
        -------
        y_pred : ndarray of shape (n_samples,)
            Predictions.
        """
        return self._call("predict", X, offset)

    @available_if(_delegate("predict_proba"))
    def predict_proba(self, X, offset=None):
        """Probabilities of the classes by the model chosen.

        Parameters
        ----------
        X : {array-like, sparse matrix, sparse array} of shape (n_samples, n_features)
            Samples.
        offset : array-like of shape (n_samples,), default=None
            Known part of the linear predictor.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            Rows sum to one.
        """
        return self._call("predict_proba", X, offset)

    @available_if(_delegate("predict_log_proba"))
    def predict_log_proba(self, X, offset=None):
        """Logarithm of `predict_proba`.

        Parameters
        ----------
        X : {array-like, sparse matrix, sparse array} of shape (n_samples, n_features)
            Samples.
        offset : array-like of shape (n_samples,), default=None
            Known part of the linear predictor.

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes)
            Log-probabilities.
        """
        return self._call("predict_log_proba", X, offset)

    @available_if(_delegate("decision_function"))
    def decision_function(self, X, offset=None):
        """Scores of the model chosen.

        Parameters
        ----------
        X : {array-like, sparse matrix, sparse array} of shape (n_samples, n_features)
            Samples.
        offset : array-like of shape (n_samples,), default=None
            Known part of the linear predictor.

        Returns
        -------
        scores : ndarray of shape (n_samples,) or (n_samples, n_classes)
            Scores.
        """
        return self._call("decision_function", X, offset)

    @available_if(_delegate("score"))
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
        weight = {} if sample_weight is None else {"sample_weight": sample_weight}
        return check_scoring(self.best_estimator_, self.scoring)(self.best_estimator_, X, y, **weight)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        tags.estimator_type = inner.estimator_type
        tags.classifier_tags, tags.regressor_tags = inner.classifier_tags, inner.regressor_tags
        tags.target_tags = inner.target_tags
        tags.target_tags.multi_output, tags.target_tags.single_output = False, True
        tags.input_tags.sparse = inner.input_tags.sparse
        return tags


def _fold_scores(model, X, y, sample_weight, offset, train, test, alphas, scorer):
    """Scores on the rows `test` of the models along a path on the rows `train`."""
    part = partial(_part, rows=train)
    fold, prepared = _pose(model, part(X), part(y), part(sample_weight), part(offset))
    solutions = list(follow_path(prepared, alphas, fold.tol, fold.max_iter))
    for solution in solutions:
        fold._warn(solution, stacklevel=2)
    part = partial(_part, rows=test)
    X, y, sample_weight, offset = part(X), part(y), part(sample_weight), part(offset)
    if scorer is None:
        return _deviance_scores(fold, prepared, solutions, X, y, sample_weight, offset)
    weight = {} if sample_weight is None else {"sample_weight": sample_weight}
    scores = []
    for alpha, solution in zip(alphas, solutions):
        fitted = clone(fold)
        vars(fitted).update(fold._attributes_at(alpha, prepared, solution))
        scores.append(scorer(fitted, X, y, **weight))
    return scores


def _places(rows):
    """Indices of rows from those, or from a mask."""
    rows = np.asarray(rows)
    return np.flatnonzero(rows) if rows.dtype == bool else rows


def _part(x, rows):
    return None if x is None else safe_indexing(x, rows)


def _deviance_scores(fold, prepared, solutions, X, y, sample_weight, offset):
    """Minus the mean deviance of each solution on other rows, all in one product."""
    X = validate_data(fold, X, accept_sparse=["csc", "csr"], dtype=[np.float64, np.float32], reset=False)
    weight = check_sample_weight(sample_weight, X)
    target = without_ignored(_encoded(fold, prepared, np.asarray(y), weight), weight, np)
    loss = prepared.data.loss
    loss.check_target(target)
    scores = np.empty(len(solutions))
    pairs = [prepared.coefficients(solution.coef, solution.intercept) for solution in solutions]
    coefs, intercepts = np.stack([coef for coef, _ in pairs]), np.array([b for _, b in pairs])
    eta = X @ coefs.reshape(-1, X.shape[1]).T
    eta = eta.reshape(len(target), *coefs.shape[:-1])  # samples, alphas, outputs
    factor = 2.0 if loss.name in _DEVIANCES else 1.0
    for k in range(len(solutions)):
        own = eta[:, k] + intercepts[k]
        own = own if offset is None else own + np.asarray(offset, dtype=np.float64)
        excess = loss.value(target, own) - loss.infimum(target)
        scores[k] = -factor * float(weight @ excess / weight.sum())
    return scores


def _encoded(fold, prepared, y, weight):
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


def _results(combinations, grids, scores):
    """`cv_results_` for scores of shape (n_combinations, n_splits, n_alphas)."""
    params = [{**combination, "alpha": float(a)} for combination, grid in zip(combinations, grids) for a in grid]
    flat = scores.transpose(0, 2, 1).reshape(len(params), -1)
    mean = flat.mean(axis=1)
    order = np.unique(-mean, return_inverse=True)[1]
    counts = np.concatenate([[0], np.cumsum(np.bincount(order))])
    names = sorted({name for entry in params for name in entry})
    results: dict = {}
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


def _relaxed(model, X, y, sample_weight, offset):
    """The model fitted again without penalty on the features of its non-zero coefficients."""
    used = np.atleast_2d(model.coef_ != 0).any(axis=0)
    free = clone(model).set_params(penalty_weights=np.where(used, 0.0, np.inf))
    return free.fit(X, y, sample_weight=sample_weight, offset=offset).set_params(
        penalty_weights=model.get_params()["penalty_weights"]
    )
