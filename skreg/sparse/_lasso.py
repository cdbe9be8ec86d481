"""Lasso and elastic net: drop-in for scikit-learn's, with weights, bounds and certificates."""

from numbers import Real

import numpy as np
import scipy.sparse as sp
from sklearn.base import MultiOutputMixin, RegressorMixin, _fit_context

from skreg._backend import Interval, get_namespace, is_numpy
from skreg._base import SparseLinearModel, check_offset, constraints
from skreg.losses import Squared
from skreg.penalties import L1
from skreg.penalties import ElasticNet as ElasticNetPenalty


class _SquaredRegressor(MultiOutputMixin, RegressorMixin, SparseLinearModel):
    """Squared loss; a 2-D y is fitted column by column, on one design."""

    def _loss(self):
        return Squared()

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None, offset=None):
        """Fit the model.

        Parameters
        ----------
        X : {array-like, sparse matrix, sparse array} of shape (n_samples, n_features)
            Training data; sparse data is never densified.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Target; several targets are fitted independently.
        sample_weight : float or array-like of shape (n_samples,), default=None
            Non-negative weights of the samples; an integer weight equals that many copies of the row.
        offset : array-like of shape (n_samples,), default=None
            Known part of the prediction, the same for all targets.

        Returns
        -------
        self : object
            The fitted model.

        Raises
        ------
        ValueError
            If an argument has a wrong shape or value; the message names it.
        """
        with self._fit_task(X, y, sample_weight, offset):
            X, y = self._validate(X, y, y_numeric=True, multi_output=True)
            (self._fit_target if y.ndim == 1 else self._fit_targets)(X, y, sample_weight, offset)
        return self

    def _fit_target(self, X, y, sample_weight, offset):
        prepared = self._prepare(X, y, sample_weight, offset)
        self._set_fitted(prepared, self._solve(prepared, self._warm(prepared)))

    def _fit_targets(self, X, y, sample_weight, offset):
        xp, _ = get_namespace(X)
        n_targets = y.shape[1]
        first = self._prepare(X, y[:, 0], sample_weight, offset)
        old = self._previous_targets(n_targets, X.shape[1])
        pairs, solutions, model = [], [], None
        for k in range(n_targets):
            prepared = first if k == 0 else first.with_target(y[:, k])
            start = prepared.state() if old is None else prepared.state(old[0][k, :], float(old[1][k]))
            if is_numpy(xp):
                start.model = model  # second derivatives know nothing of the target
            solutions.append(self._solve(prepared, start))
            model = getattr(start, "model", None)
            pairs.append(prepared.coefficients(solutions[-1].coef, solutions[-1].intercept))
        self.coef_ = pairs[0][0] if n_targets == 1 else xp.stack([coef for coef, _ in pairs])
        self.intercept_ = xp.asarray([b for _, b in pairs], dtype=self.coef_.dtype, device=first.device)
        n_iter, gap = [int(s.n_iter) for s in solutions], np.array([s.dual_gap for s in solutions])
        self.n_iter_, self.dual_gap_ = (n_iter[0], float(gap[0])) if n_targets == 1 else (n_iter, gap)
        self.kkt_violation_ = float(max(s.kkt_violation for s in solutions))
        self.converged_ = all(bool(s.converged) for s in solutions)

    def _previous_targets(self, n_targets, n_features):
        """Coefficients, one row a target, and intercepts of the last fit, where they can be started from."""
        if not (self.warm_start and hasattr(self, "coef_")):
            return None
        coef = self.coef_[None, :] if self.coef_.ndim == 1 else self.coef_
        intercept = self.intercept_
        if tuple(coef.shape) != (n_targets, n_features) or isinstance(intercept, float):
            return None
        return coef, intercept

    def _known_part(self, offset, X):
        offset = check_offset(offset, X, 1)
        return offset[:, None] if self.coef_.ndim == 2 else offset

    def predict(self, X, offset=None):
        """Predict the target.

        Parameters
        ----------
        X : {array-like, sparse matrix, sparse array} of shape (n_samples, n_features)
            Samples.
        offset : array-like of shape (n_samples,), default=None
            Known part of the prediction, the same for all targets.

        Returns
        -------
        y_pred : ndarray of shape (n_samples,) or (n_samples, n_targets)
            Predictions.
        """
        return self._linear_predictor(X, offset)

    @property
    def sparse_coef_(self):
        """Coefficients as a sparse CSR matrix."""
        return sp.csr_matrix(self.coef_)


class Lasso(_SquaredRegressor):
    r"""Least squares with the L1 norm.

    Minimises over the coefficients :math:`w` and the intercept :math:`b`

    .. math::
        \frac{1}{2 \sum_i s_i} \sum_i s_i (y_i - x_i^\top w - b)^2 + \alpha \sum_j v_j |w_j|
        \quad\text{subject to}\quad l_j \le w_j \le u_j ,

    which is scikit-learn's Lasso objective, with sample weights :math:`s_i`, penalty weights :math:`v_j` and bounds.

    Parameters
    ----------
    alpha : float, default=1.0
        Strength of the penalty. Coefficients are all zero from the largest absolute weighted covariance of a feature
        with y on.
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
    max_iter : int, default=200
        Largest number of passes over the data.
    tol : float, default=1e-6
        Stop when the duality gap is at most `tol` times that of the null model, so that rescaling y changes nothing.
    warm_start : bool, default=False
        Start from the previous fit's coefficients.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,) or (n_targets, n_features)
        Coefficients in the units of X.
    intercept_ : float or ndarray of shape (n_targets,)
        Intercept; 0.0 if ``fit_intercept=False``.
    n_iter_ : int or list of int
        Passes over the data.
    dual_gap_ : float or ndarray of shape (n_targets,)
        Duality gap over that of the null model: an upper bound of how much the objective can still fall, relative to
        half the (weighted) variance of y.
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
    ElasticNet : Adds a squared L2 norm.
    AdaptiveLasso : Weights from a pilot fit lessen the bias of large coefficients.
    SparseRegressor : Other losses and penalties.
    skreg.model_selection.regularization_path : Solutions for a grid of alphas.

    References
    ----------
    .. [1] R. Tibshirani (1996). Regression shrinkage and selection via the lasso. Journal of the Royal Statistical
       Society B 58(1).
    .. [2] M. Massias, A. Gramfort, J. Salmon (2018). Celer: a fast solver for the lasso with dual extrapolation. ICML.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skreg import Lasso
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = Lasso(alpha=0.5).fit(X, y)
    >>> model.coef_[2:4].round(1)
    array([471. , 136.5])
    >>> model.dual_gap_ <= model.tol
    True
    """

    _parameter_constraints = constraints()

    def __init__(
        self,
        alpha=1.0,
        *,
        fit_intercept=True,
        standardize=False,
        positive=False,
        penalty_weights=None,
        lower=None,
        upper=None,
        max_iter=200,
        tol=1e-6,
        warm_start=False,
    ):
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.standardize = standardize
        self.positive = positive
        self.penalty_weights = penalty_weights
        self.lower = lower
        self.upper = upper
        self.max_iter = max_iter
        self.tol = tol
        self.warm_start = warm_start

    def _penalty(self):
        return L1()


class ElasticNet(_SquaredRegressor):
    r"""Least squares with the L1 norm and the squared L2 norm.

    Minimises over the coefficients :math:`w` and the intercept :math:`b`

    .. math::
        \frac{1}{2 \sum_i s_i} \sum_i s_i (y_i - x_i^\top w - b)^2
        + \alpha \sum_j v_j \left( \rho |w_j| + \frac{1 - \rho}{2} w_j^2 \right)
        \quad\text{subject to}\quad l_j \le w_j \le u_j ,

    with :math:`\rho` = `l1_ratio`: scikit-learn's ElasticNet objective, with sample weights :math:`s_i`, penalty
    weights :math:`v_j` and bounds.

    Parameters
    ----------
    alpha : float, default=1.0
        Strength of the penalty.
    l1_ratio : float, default=0.5
        Share of the L1 norm, between 0 (ridge) and 1 (Lasso).
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
    max_iter : int, default=200
        Largest number of passes over the data.
    tol : float, default=1e-6
        Stop when the duality gap is at most `tol` times that of the null model, so that rescaling y changes nothing.
    warm_start : bool, default=False
        Start from the previous fit's coefficients.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,) or (n_targets, n_features)
        Coefficients in the units of X.
    intercept_ : float or ndarray of shape (n_targets,)
        Intercept; 0.0 if ``fit_intercept=False``.
    n_iter_ : int or list of int
        Passes over the data.
    dual_gap_ : float or ndarray of shape (n_targets,)
        Duality gap over that of the null model: an upper bound of how much the objective can still fall, relative to
        half the (weighted) variance of y.
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
    Lasso : The L1 norm alone.
    SparseRegressor : Other losses and penalties.

    References
    ----------
    .. [1] H. Zou, T. Hastie (2005). Regularization and variable selection via the elastic net. Journal of the Royal
       Statistical Society B 67(2).

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skreg import ElasticNet
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = ElasticNet(alpha=0.01, l1_ratio=0.8, positive=True).fit(X, y)
    >>> bool((model.coef_ >= 0).all())
    True
    """

    _parameter_constraints = constraints(l1_ratio=[Interval(Real, 0, 1, closed="both")])

    def __init__(
        self,
        alpha=1.0,
        *,
        l1_ratio=0.5,
        fit_intercept=True,
        standardize=False,
        positive=False,
        penalty_weights=None,
        lower=None,
        upper=None,
        max_iter=200,
        tol=1e-6,
        warm_start=False,
    ):
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.standardize = standardize
        self.positive = positive
        self.penalty_weights = penalty_weights
        self.lower = lower
        self.upper = upper
        self.max_iter = max_iter
        self.tol = tol
        self.warm_start = warm_start

    def _penalty(self):
        return ElasticNetPenalty(l1_ratio=self.l1_ratio)
