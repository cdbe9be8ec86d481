"""Sparse classification: logistic, multinomial, squared hinge, with any separable penalty."""

from numbers import Real

from sklearn.base import _fit_context

from skreg._backend import Interval, StrOptions
from skreg._base import SparseLinearModel, constraints
from skreg._faces import CLASSIFICATION, LinearClassifier
from skreg.losses import Loss
from skreg.penalties import PENALTIES, SeparablePenalty


class SparseClassifier(LinearClassifier, SparseLinearModel):
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

    _counterpart = "SparseRegressor"
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
