"""Lasso and elastic net of several tasks that select the same features: drop-in for scikit-learn's."""

from dataclasses import dataclass
from numbers import Real

import numpy as np
import scipy.sparse as sp
from sklearn.base import MultiOutputMixin, RegressorMixin, _fit_context

from skreg._backend import Interval
from skreg._base import Prepared, SparseLinearModel, check_offset, constraints
from skreg.losses import Squared
from skreg.penalties import L1
from skreg.penalties import ElasticNet as ElasticNetPenalty
from skreg.penalties._rows import RowPenalty
from skreg.solvers._multi_task import MultiTaskData, MultiTaskNewton, MultiTaskProblem, MultiTaskState


@dataclass
class _PreparedTasks(Prepared):
    """The problem of several tasks for every alpha; solvers hold the coefficients one row a feature."""

    def problem(self, alpha):
        """The problem at one strength of the penalty."""
        pen = self.penalty.bind(alpha, self.weights, self.lower, self.upper)
        return MultiTaskProblem(self.data, self.penalty, pen)

    def strengths(self, n_alphas, eps):
        """Decreasing grid of alphas from the one that empties the model down to `eps` times it."""
        top = max(self.problem(1.0).alpha_max, np.finfo(float).tiny / eps)
        return np.geomspace(top, eps * top, n_alphas)

    def coefficients(self, w, b):
        """coef_ and intercept_ in the units of X, in its dtype."""
        scale = self.data.design.scale
        coef = (w if scale is None else w / scale[:, None]).T
        return np.ascontiguousarray(coef, dtype=self.dtype), b.astype(self.dtype)

    def state(self, coef=None, intercept=None):
        """Where the solver starts: the null model, or the given coefficients in the units of X."""
        if coef is None:
            return MultiTaskState(self.data)
        W = np.asarray(coef, dtype=np.float64).T
        if self.data.design.scale is not None:
            W = W * self.data.design.scale[:, None]
        return MultiTaskState(self.data, np.where(self.upper[:, None] > 0, W, 0.0))

    def solver(self, tol, max_iter):
        """Working sets of rows."""
        return MultiTaskNewton(tol=tol, max_iter=max_iter)


class _MultiTaskRegressor(MultiOutputMixin, RegressorMixin, SparseLinearModel):
    """Squared loss of all tasks with a penalty of the norms that features have across tasks."""

    _prepared = _PreparedTasks
    positive, lower, upper = False, None, None  # no parameters here: a row's norm has no sign

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.array_api_support = False
        tags.target_tags.single_output = False
        return tags

    def _loss(self):
        return Squared()

    def _pose(self, X, y, sample_weight=None, offset=None):
        X, y = self._validate(X, y, y_numeric=True, multi_output=True)
        if sp.issparse(y):
            raise TypeError("y must be dense; got a sparse matrix.")
        if y.ndim == 1:
            single = type(self).__name__.removeprefix("MultiTask")
            raise ValueError(f"y must have one column a task, shape (n_samples, n_tasks). For one task, use {single}.")
        if offset is not None:  # the loss sees their difference alone
            y = y - check_offset(offset, X, y.shape[1]).reshape(y.shape)
        return self._prepare(X, y, sample_weight)

    def _data(self, design, y, weight, loss, offset):
        return MultiTaskData(design, y, weight, bool(self.fit_intercept))

    def _solve(self, prepared, start=None):
        solution = prepared.solver(self.tol, self.max_iter).solve(prepared.problem(self.alpha), start)
        self._warn(solution, stacklevel=6)  # user, wrapper of fit, fit, _fit, here, _warn
        return solution

    def _warm(self, prepared):
        shape = prepared.data.y.shape[1], prepared.data.n_coordinates
        if not (self.warm_start and getattr(self, "coef_", np.empty(0)).shape == shape):
            return None
        return prepared.state(self.coef_)

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None, offset=None):
        """Fit the model.

        Parameters
        ----------
        X : {array-like, sparse matrix, sparse array} of shape (n_samples, n_features)
            Training data; sparse data is never densified.
        y : array-like of shape (n_samples, n_tasks)
            Targets, one column a task.
        sample_weight : float or array-like of shape (n_samples,), default=None
            Non-negative weights of the samples; an integer weight equals that many copies of the row.
        offset : array-like of shape (n_samples, n_tasks), default=None
            Known part of the predictions; of shape (n_samples,) for one task.

        Returns
        -------
        self : object
            The fitted model.

        Raises
        ------
        ValueError
            If an argument has a wrong shape or value; the message names it.
        """
        return self._fit(X, y, sample_weight, offset)

    def predict(self, X, offset=None):
        """Predict the targets.

        Parameters
        ----------
        X : {array-like, sparse matrix, sparse array} of shape (n_samples, n_features)
            Samples.
        offset : array-like of shape (n_samples, n_tasks), default=None
            Known part of the predictions; of shape (n_samples,) for one task.

        Returns
        -------
        y_pred : ndarray of shape (n_samples, n_tasks)
            Predictions.
        """
        return self._linear_predictor(X, offset)

    @property
    def sparse_coef_(self):
        """Coefficients as a sparse CSR matrix."""
        return sp.csr_matrix(self.coef_)


class MultiTaskLasso(_MultiTaskRegressor):
    r"""Least squares of several tasks with the L2,1 norm: a feature is selected for all tasks or for none.

    Minimises over the coefficients :math:`W` (one row a feature, one column a task) and the intercepts :math:`b`

    .. math::
        \frac{1}{2 \sum_i s_i} \sum_i s_i \|y_i - W^\top x_i - b\|_2^2 + \alpha \sum_j v_j \|W_j\|_2 ,

    which is scikit-learn's MultiTaskLasso objective, with sample weights :math:`s_i` and penalty weights :math:`v_j`.

    Parameters
    ----------
    alpha : float, default=1.0
        Strength of the penalty. Coefficients are all zero from the largest norm of a feature's (weighted) covariances
        with the tasks on.
    fit_intercept : bool, default=True
        Whether to fit intercepts, which are never penalised.
    standardize : bool, default=False
        Penalise the coefficients of features divided by their (weighted) standard deviations. `coef_` stays in the
        units of X.
    penalty_weights : array-like of shape (n_features,) or dict, default=None
        Multiplies `alpha` for each feature: 0 leaves a feature unpenalised, inf leaves it out. A dict maps column
        names of a data frame to weights; columns that it does not name have weight 1.
    max_iter : int, default=200
        Largest number of passes over the data.
    tol : float, default=1e-6
        Stop when the duality gap is at most `tol` times that of the null model, so that rescaling y changes nothing.
    warm_start : bool, default=False
        Start from the previous fit's coefficients.

    Attributes
    ----------
    coef_ : ndarray of shape (n_tasks, n_features)
        Coefficients in the units of X.
    intercept_ : ndarray of shape (n_tasks,)
        Intercepts; zeros if ``fit_intercept=False``.
    n_iter_ : int
        Passes over the data.
    dual_gap_ : float
        Duality gap over that of the null model: an upper bound of how much the objective can still fall, relative to
        half the sum of the tasks' (weighted) variances.
    kkt_violation_ : float
        Largest violation of the optimality conditions of a feature over the largest gradient norm of the null model.
    converged_ : bool
        Whether `tol` was reached.
    n_features_in_ : int
        Number of features seen in `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X has string column names.

    See Also
    --------
    MultiTaskElasticNet : Adds a squared Frobenius norm.
    Lasso : One task, or several that select their own features.
    skreg.model_selection.regularization_path : Solutions for a grid of alphas.

    Notes
    -----
    Newton steps on the selected rows solve for all tasks at once and cost the same for any number of tasks, so that
    relative gaps of 1e-12 take little longer than 1e-6.

    References
    ----------
    .. [1] G. Obozinski, B. Taskar, M. I. Jordan (2010). Joint covariate selection and joint subspace selection for
       multiple classification problems. Statistics and Computing 20(2).
    .. [2] M. Massias, S. Vaiter, A. Gramfort, J. Salmon (2020). Dual extrapolation for sparse generalized linear
       models. Journal of Machine Learning Research 21(234), section 5.

    Examples
    --------
    >>> from sklearn.datasets import load_linnerud
    >>> from skreg import MultiTaskLasso
    >>> X, y = load_linnerud(return_X_y=True)
    >>> model = MultiTaskLasso(alpha=50.0).fit(X, y)
    >>> model.coef_.shape
    (3, 3)
    >>> (model.coef_ != 0).all(axis=0)
    array([False,  True,  True])
    >>> model.dual_gap_ <= model.tol
    True
    """

    _parameter_constraints = constraints()
    for _name in ("positive", "lower", "upper"):
        del _parameter_constraints[_name]
    del _name

    def __init__(
        self,
        alpha=1.0,
        *,
        fit_intercept=True,
        standardize=False,
        penalty_weights=None,
        max_iter=200,
        tol=1e-6,
        warm_start=False,
    ):
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.standardize = standardize
        self.penalty_weights = penalty_weights
        self.max_iter = max_iter
        self.tol = tol
        self.warm_start = warm_start

    def _penalty(self):
        return RowPenalty(L1())


class MultiTaskElasticNet(_MultiTaskRegressor):
    r"""Least squares of several tasks with the L2,1 norm and the squared Frobenius norm.

    Minimises over the coefficients :math:`W` (one row a feature, one column a task) and the intercepts :math:`b`

    .. math::
        \frac{1}{2 \sum_i s_i} \sum_i s_i \|y_i - W^\top x_i - b\|_2^2
        + \alpha \sum_j v_j \left( \rho \|W_j\|_2 + \frac{1 - \rho}{2} \|W_j\|_2^2 \right) ,

    with :math:`\rho` = `l1_ratio`: scikit-learn's MultiTaskElasticNet objective, with sample weights :math:`s_i` and
    penalty weights :math:`v_j`.

    Parameters
    ----------
    alpha : float, default=1.0
        Strength of the penalty.
    l1_ratio : float, default=0.5
        Share of the L2,1 norm, between 0 (ridge) and 1 (multi-task Lasso).
    fit_intercept : bool, default=True
        Whether to fit intercepts, which are never penalised.
    standardize : bool, default=False
        Penalise the coefficients of features divided by their (weighted) standard deviations. `coef_` stays in the
        units of X.
    penalty_weights : array-like of shape (n_features,) or dict, default=None
        Multiplies `alpha` for each feature: 0 leaves a feature unpenalised, inf leaves it out. A dict maps column
        names of a data frame to weights; columns that it does not name have weight 1.
    max_iter : int, default=200
        Largest number of passes over the data.
    tol : float, default=1e-6
        Stop when the duality gap is at most `tol` times that of the null model, so that rescaling y changes nothing.
    warm_start : bool, default=False
        Start from the previous fit's coefficients.

    Attributes
    ----------
    coef_ : ndarray of shape (n_tasks, n_features)
        Coefficients in the units of X.
    intercept_ : ndarray of shape (n_tasks,)
        Intercepts; zeros if ``fit_intercept=False``.
    n_iter_ : int
        Passes over the data.
    dual_gap_ : float
        Duality gap over that of the null model: an upper bound of how much the objective can still fall, relative to
        half the sum of the tasks' (weighted) variances.
    kkt_violation_ : float
        Largest violation of the optimality conditions of a feature over the largest gradient norm of the null model.
    converged_ : bool
        Whether `tol` was reached.
    n_features_in_ : int
        Number of features seen in `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X has string column names.

    See Also
    --------
    MultiTaskLasso : The L2,1 norm alone.
    ElasticNet : One task, or several that select their own features.

    References
    ----------
    .. [1] G. Obozinski, B. Taskar, M. I. Jordan (2010). Joint covariate selection and joint subspace selection for
       multiple classification problems. Statistics and Computing 20(2).
    .. [2] H. Zou, T. Hastie (2005). Regularization and variable selection via the elastic net. Journal of the Royal
       Statistical Society B 67(2).

    Examples
    --------
    >>> from sklearn.datasets import load_linnerud
    >>> from skreg import MultiTaskElasticNet
    >>> X, y = load_linnerud(return_X_y=True)
    >>> model = MultiTaskElasticNet(alpha=1.0, l1_ratio=0.9).fit(X, y)
    >>> model.predict(X[:2]).shape
    (2, 3)
    """

    _parameter_constraints = {
        **MultiTaskLasso._parameter_constraints,
        "l1_ratio": [Interval(Real, 0, 1, closed="both")],
    }

    def __init__(
        self,
        alpha=1.0,
        *,
        l1_ratio=0.5,
        fit_intercept=True,
        standardize=False,
        penalty_weights=None,
        max_iter=200,
        tol=1e-6,
        warm_start=False,
    ):
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.standardize = standardize
        self.penalty_weights = penalty_weights
        self.max_iter = max_iter
        self.tol = tol
        self.warm_start = warm_start

    def _penalty(self):
        return RowPenalty(ElasticNetPenalty(l1_ratio=self.l1_ratio))
