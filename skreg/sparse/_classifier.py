"""Sparse classification: logistic, multinomial, squared hinge, with any separable penalty."""

from numbers import Real

import numpy as np
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets

from skreg._backend import Interval, StrOptions, get_namespace, get_namespace_and_device, is_numpy, move_to, to_numpy
from skreg._base import SparseLinearModel, check_sample_weight, constraints
from skreg.losses import LOSSES, Loss, Multinomial
from skreg.penalties import PENALTIES, SeparablePenalty

CLASSIFICATION = {name for name, loss in LOSSES.items() if loss.classifier}


def _has_probabilities(self):
    if getattr(self._named_loss(), "name", "") in {"logistic", "multinomial"}:
        return True
    raise AttributeError(f"loss={self.loss!r} has no probabilities; use 'logistic' or 'multinomial'.")


class SparseClassifier(ClassifierMixin, SparseLinearModel):
    r"""Linear classification with a choice of loss and sparse penalty.

    Minimises over the coefficients :math:`w` and the intercept :math:`b`

    .. math::
        \frac{1}{\sum_i s_i} \sum_i s_i \, \ell(y_i, x_i^\top w + b + o_i) + \alpha \, \Omega(w)
        \quad\text{subject to}\quad l_j \le w_j \le u_j

    with sample weights :math:`s_i` and offsets :math:`o_i`. With more than two classes the logistic loss becomes the
    multinomial (softmax) loss, fitted jointly over the classes, with one column of coefficients a class.

    Parameters
    ----------
    loss : {"logistic", "multinomial", "squared_hinge"} or Loss, default="logistic"
        The loss, by name or as an object of `skreg.losses`. "multinomial" fits the softmax model for two classes too.
    penalty : {"l1", "elastic_net", "mcp", "scad", "l0", "cel0", "log_sum", "lq"} or SeparablePenalty, default="l1"
        The penalty, by name or as an object of `skreg.penalties`.
    alpha : float, default=0.01
        Strength of the penalty: ``1 / (C * n_samples)`` in terms of scikit-learn's LogisticRegression.
    l1_ratio : float, default=None
        Share of the L1 norm in "elastic_net", between 0 and 1; None means 0.5.
    gamma : float, default=None
        Concavity of "mcp" (above 1; None means 3) and "scad" (above 2; None means 3.7); larger is closer to "l1".
    q : float, default=None
        Exponent of "lq", between 0 and 1; None means 0.5.
    eps : float, default=None
        Scale of the coefficients in "log_sum"; None means 0.1.
    fit_intercept : bool, default=True
        Whether to fit an intercept, which is never penalised.
    standardize : bool, default=False
        Penalise the coefficients of features divided by their (weighted) standard deviations. `coef_` stays in the
        units of X.
    positive : bool, default=False
        Constrain the coefficients to be non-negative.
    penalty_weights : array-like of shape (n_features,) or dict, default=None
        Multiplies `alpha` for each feature: 0 leaves a feature unpenalised, inf leaves it out. A dict maps column
        names of a data frame to weights; columns that it does not name have weight 1.
    lower, upper : float, array-like of shape (n_features,) or dict, default=None
        Bounds of the coefficients, ``lower <= 0 <= upper``; None means unbounded.
    class_weight : dict or "balanced", default=None
        Multiplies the sample weights of each class; "balanced" makes the classes weigh the same.
    max_iter : int, default=200
        Largest number of passes over the data.
    tol : float, default=1e-6
        Stop when the duality gap (KKT violation for non-convex penalties) is at most `tol` times that of the null
        model.
    warm_start : bool, default=False
        Start from the previous fit's coefficients.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes.
    coef_ : ndarray of shape (1, n_features) or (n_classes, n_features)
        Coefficients in the units of X; one row for two classes (in favour of ``classes_[1]``).
    intercept_ : ndarray of shape (1,) or (n_classes,)
        Intercepts; zeros if ``fit_intercept=False``.
    n_iter_ : int
        Passes over the data.
    dual_gap_ : float
        Duality gap over that of the null model: an upper bound of how much the objective can still fall; inf where
        the problem is not convex.
    kkt_violation_ : float
        Largest violation of the optimality conditions over the largest gradient entry of the null model.
    converged_ : bool
        Whether `tol` was reached.
    n_features_in_ : int
        Number of features seen in `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X has string column names.

    See Also
    --------
    SparseRegressor : The same for numbers and counts.
    skreg.model_selection.regularization_path : Solutions for a grid of alphas.

    References
    ----------
    .. [1] J. Friedman, T. Hastie, R. Tibshirani (2010). Regularization paths for generalized linear models via
       coordinate descent. Journal of Statistical Software 33(1).

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skreg import SparseClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = SparseClassifier(alpha=0.01).fit(X, y)
    >>> model.coef_.shape
    (3, 4)
    >>> round(model.score(X, y), 2)
    0.97
    """

    _parameter_constraints = constraints(
        loss=[StrOptions(CLASSIFICATION), Loss],
        penalty=[StrOptions(set(PENALTIES)), SeparablePenalty],
        l1_ratio=[Interval(Real, 0, 1, closed="both"), None],
        gamma=[Interval(Real, 1, None, closed="neither"), None],
        q=[Interval(Real, 0, 1, closed="neither"), None],
        eps=[Interval(Real, 0, None, closed="neither"), None],
        class_weight=[dict, StrOptions({"balanced"}), None],
    )

    def __init__(
        self,
        loss="logistic",
        penalty="l1",
        alpha=0.01,
        *,
        l1_ratio=None,
        gamma=None,
        q=None,
        eps=None,
        fit_intercept=True,
        standardize=False,
        positive=False,
        penalty_weights=None,
        lower=None,
        upper=None,
        class_weight=None,
        max_iter=200,
        tol=1e-6,
        warm_start=False,
    ):
        self.loss = loss
        self.penalty = penalty
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.gamma = gamma
        self.q = q
        self.eps = eps
        self.fit_intercept = fit_intercept
        self.standardize = standardize
        self.positive = positive
        self.penalty_weights = penalty_weights
        self.lower = lower
        self.upper = upper
        self.class_weight = class_weight
        self.max_iter = max_iter
        self.tol = tol
        self.warm_start = warm_start

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None, offset=None):
        """Fit the model.

        Parameters
        ----------
        X : {array-like, sparse matrix, sparse array} of shape (n_samples, n_features)
            Training data; sparse data is never densified.
        y : array-like of shape (n_samples,)
            Classes, of any type.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the samples; an integer weight equals that many copies of the row.
        offset : array-like of shape (n_samples,) or (n_samples, n_classes), default=None
            Known part of the linear predictor.

        Returns
        -------
        self : SparseClassifier
            The fitted model.

        Raises
        ------
        ValueError
            If an argument has a wrong shape or value; the message names it.
        """
        return self._fit(X, y, sample_weight, offset)

    def _pose(self, X, y, sample_weight=None, offset=None):
        X, y = self._validate(X, y)
        check_classification_targets(y)
        xp, _, device = get_namespace_and_device(X)
        if not is_numpy(xp):
            y = move_to(y, xp=xp, device=device)
        weight = check_sample_weight(sample_weight, X)
        y_kept = y[weight > 0]
        classes = np.unique(y_kept) if is_numpy(xp) else xp.sort(xp.unique_values(y_kept))
        n_classes = classes.shape[0]
        if n_classes < 2:
            raise ValueError(
                f"{type(self).__name__} needs at least 2 classes in y with positive sample_weight; the data contains "
                f"only one class: {to_numpy(classes).tolist()[0]!r}."
            )
        if self.class_weight is not None:
            weight = xp.asarray(self._class_weighted(y, classes, weight), device=device)
        n_outputs = n_classes if self._loss_for(n_classes).multi_output else 1
        if n_outputs > 1:
            target = xp.astype(y[:, None] == classes[None, :], xp.float64)
        else:
            target = xp.astype(y == classes[1], xp.float64)
        prepared = self._prepare(X, target, weight, offset, n_outputs)
        prepared.fitted["classes_"] = classes
        return prepared

    def _class_weighted(self, y, classes, weight):
        """Sample weights times class weights, on the host; rows of weight 0 belong to no class."""
        y, classes, weight = to_numpy(y), to_numpy(classes), to_numpy(weight)
        kept = weight > 0
        factors = compute_class_weight(self.class_weight, classes=classes, y=y[kept], sample_weight=weight[kept])
        if not (np.isfinite(factors).all() and (factors > 0).all()):
            raise ValueError(f"class_weight must give each class a positive, finite weight; got {self.class_weight!r}.")
        result = np.zeros(len(y))
        result[kept] = weight[kept] * factors[np.searchsorted(classes, y[kept])]
        return result

    def _named_loss(self):
        return LOSSES[self.loss]() if isinstance(self.loss, str) and self.loss in LOSSES else self.loss

    def _loss_for(self, n_outputs):
        loss = self._loss()
        if not loss.classifier:
            raise ValueError(f"loss={self.loss!r} is not for classes; use SparseRegressor.")
        if n_outputs > 2 and not loss.multi_output:
            if loss.name != "logistic":
                raise ValueError(
                    f"Only binary classification is supported by loss={self.loss!r}; y has {n_outputs} classes."
                )
            return Multinomial()
        return loss

    def _set_coefficients(self, coef, intercept):
        if coef.ndim == 1:
            xp, _, device = get_namespace_and_device(coef)
            coef = coef[None, :]
            intercept = xp.asarray([intercept], dtype=coef.dtype, device=device)
        super()._set_coefficients(coef, intercept)

    def decision_function(self, X, offset=None):
        """Linear predictor of each class; for two classes, that in favour of ``classes_[1]``.

        Parameters
        ----------
        X : {array-like, sparse matrix, sparse array} of shape (n_samples, n_features)
            Samples.
        offset : array-like of shape (n_samples,) or (n_samples, n_classes), default=None
            Known part of the linear predictor.

        Returns
        -------
        scores : ndarray of shape (n_samples,) or (n_samples, n_classes)
            Scores, positive in favour of ``classes_[1]`` for two classes.
        """
        return self._scores(X, offset, "decision_function")

    def _scores(self, X, offset, method):
        eta = self._linear_predictor(X, offset, method)
        if eta.shape[1] == 1:
            return eta[:, 0]
        return eta[:, 1] - eta[:, 0] if eta.shape[1] == 2 else eta

    def predict(self, X, offset=None):
        """Most likely class of each sample.

        Parameters
        ----------
        X : {array-like, sparse matrix, sparse array} of shape (n_samples, n_features)
            Samples.
        offset : array-like of shape (n_samples,) or (n_samples, n_classes), default=None
            Known part of the linear predictor.

        Returns
        -------
        y_pred : ndarray of shape (n_samples,)
            Classes.
        """
        scores = self._scores(X, offset, "predict")
        xp, _ = get_namespace(scores)
        best = xp.astype(scores > 0, xp.int64) if scores.ndim == 1 else xp.argmax(scores, axis=1)
        return xp.take(self.classes_, best, axis=0)

    @available_if(_has_probabilities)
    def predict_proba(self, X, offset=None):
        """Probability of each class.

        Parameters
        ----------
        X : {array-like, sparse matrix, sparse array} of shape (n_samples, n_features)
            Samples.
        offset : array-like of shape (n_samples,) or (n_samples, n_classes), default=None
            Known part of the linear predictor.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            Rows sum to one, in the order of `classes_`.
        """
        eta = self._linear_predictor(X, offset, "predict_proba")
        xp, _ = get_namespace(eta)
        if eta.shape[1] > 1:
            return Multinomial().inverse_link(eta, xp)
        positive = self._named_loss().inverse_link(eta[:, 0], xp)
        return xp.stack([1.0 - positive, positive], axis=1)

    @available_if(_has_probabilities)
    def predict_log_proba(self, X, offset=None):
        """Logarithm of `predict_proba`.

        Parameters
        ----------
        X : {array-like, sparse matrix, sparse array} of shape (n_samples, n_features)
            Samples.
        offset : array-like of shape (n_samples,) or (n_samples, n_classes), default=None
            Known part of the linear predictor.

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes)
            Log-probabilities in the order of `classes_`; finite where a probability rounds to 0.
        """
        eta = self._linear_predictor(X, offset, "predict_log_proba")
        xp, _ = get_namespace(eta)
        if eta.shape[1] == 1:
            eta = xp.concat([xp.zeros_like(eta), eta], axis=1)
        eta = eta - xp.max(eta, axis=1, keepdims=True)
        return eta - xp.log(xp.sum(xp.exp(eta), axis=1, keepdims=True))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = getattr(self._named_loss(), "name", "logistic") in {
            "logistic",
            "multinomial",
        }
        return tags
