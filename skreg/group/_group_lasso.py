"""Group Lasso and sparse-group Lasso for regression."""

from numbers import Real

from sklearn.base import _fit_context

from skreg._backend import Interval, StrOptions
from skreg._faces import REGRESSION, LinearRegressor
from skreg.group._grouped import RADIAL, GroupedModel, group_constraints, radial_penalty
from skreg.losses import Loss
from skreg.penalties import SparseGroup


class GroupLasso(LinearRegressor, GroupedModel):
    r"""Linear regression that selects groups of features as wholes.

    Minimises over the coefficients :math:`w` and the intercept :math:`b`

    .. math::
        \frac{1}{\sum_i s_i} \sum_i s_i \, \ell(y_i, x_i^\top w + b + o_i)
        + \alpha \sum_g v_g \|w_g\|_2

    with sample weights :math:`s_i`, offsets :math:`o_i` and group weights :math:`v_g`. The result carries its
    certificate: the duality gap of convex problems, the KKT violation of all.

    Parameters
    ----------
    groups : None, "auto", int, array-like of labels, list of lists, or dict, default=None
        The groups of features:

        - None: every feature is a group of its own.
        - "auto": the columns that an encoder made from one input column are a group (one-hot columns, splines,
          polynomials), read from the column names of a data frame, as
          ``ColumnTransformer(...).set_output(transform="pandas")`` makes it.
        - int: the width of every group.
        - labels: one label a feature; features of equal label are a group.
        - list of lists: the column indices, or names, of each group.
        - dict: name of the group -> its columns, by index or by name.

        Lists and dicts may put a feature into several groups: the penalty is then that of latent copies of the
        feature, whose coefficients are summed (latent group Lasso). Features that they do not mention are groups of
        their own.
    alpha : float, default=1.0
        Strength of the penalty.
    loss : {"squared", "huber", "poisson", "gamma", "tweedie"} or Loss, default="squared"
        The loss, by name or as an object of `skreg.losses`. Poisson, gamma and Tweedie losses have a log link.
    penalty : {"group_lasso", "group_elastic_net", "group_mcp", "group_scad"}, default="group_lasso"
        Penalty of the groups' norms: the L1 norm, the elastic net, MCP or SCAD.
    l1_ratio : float, default=None
        Share of the norm in "group_elastic_net", beside half the squared norm; None means 0.5.
    gamma : float, default=None
        Concavity of "group_mcp" (above 1; None means 3) and "group_scad" (above 2; None means 3.7).
    group_weights : array-like of shape (n_groups,), dict or float, default=None
        Multiplies `alpha` for each group, in the order of `groups_` (that of the groups' first columns), or by name;
        None means the square root of the group's size. 0 leaves a group unpenalised. Groups that a dict does not name
        keep the square root.
    fit_intercept : bool, default=True
        Whether to fit an intercept, which is never penalised.
    standardize : bool, default=False
        Penalise the coefficients of features divided by their (weighted) standard deviations. `coef_` stays in the
        units of X.
    max_iter : int, default=200
        Largest number of passes over the data.
    tol : float, default=1e-6
        Stop when the duality gap (KKT violation for non-convex penalties) is at most `tol` times that of the null
        model, so that rescaling y changes nothing.
    warm_start : bool, default=False
        Start from the previous fit's coefficients.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,)
        Coefficients in the units of X.
    intercept_ : float
        Intercept; 0.0 if ``fit_intercept=False``.
    groups_ : ndarray of shape (n_groups,)
        Names of the groups.
    group_columns_ : list of ndarray
        Column indices of each group.
    group_norms_ : ndarray of shape (n_groups,)
        Euclidean norms of the groups' coefficients.
    selected_groups_ : ndarray
        Names of the groups whose coefficients are not all zero.
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
    SparseGroupLasso : Selects groups, and features within them.
    GroupLassoClassifier : The same for classes.
    skreg.model_selection.regularization_path : Solutions for a grid of alphas.

    References
    ----------
    .. [1] M. Yuan and Y. Lin (2006), Model selection and estimation in regression with grouped variables. JRSS B
       68(1), 49-67.
    .. [2] L. Jacob, G. Obozinski, J.-P. Vert (2009), Group lasso with overlap and graph lasso. ICML 26.
    .. [3] P. Breheny and J. Huang (2015), Group descent algorithms for nonconvex penalized linear and logistic
       regression models with grouped predictors. Statistics and Computing 25, 173-187.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skreg import GroupLasso
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> groups = {"person": ["age", "sex"], "serum": ["s1", "s2", "s3", "s4", "s5", "s6"]}
    >>> model = GroupLasso(groups, alpha=0.5).fit(X, y)
    >>> model.selected_groups_.tolist()
    ['bmi', 'bp', 'serum']
    """

    _counterpart = "GroupLassoClassifier"
    _parameter_constraints = group_constraints(
        loss=[StrOptions(REGRESSION), Loss],
        penalty=[StrOptions(set(RADIAL))],
        l1_ratio=[Interval(Real, 0, 1, closed="right"), None],
        gamma=[Interval(Real, 1, None, closed="neither"), None],
    )

    def __init__(
        self,
        groups=None,
        alpha=1.0,
        *,
        loss="squared",
        penalty="group_lasso",
        l1_ratio=None,
        gamma=None,
        group_weights=None,
        fit_intercept=True,
        standardize=False,
        max_iter=200,
        tol=1e-6,
        warm_start=False,
    ):
        self.groups = groups
        self.alpha = alpha
        self.loss = loss
        self.penalty = penalty
        self.l1_ratio = l1_ratio
        self.gamma = gamma
        self.group_weights = group_weights
        self.fit_intercept = fit_intercept
        self.standardize = standardize
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
            Target.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the samples; an integer weight equals that many copies of the row.
        offset : array-like of shape (n_samples,), default=None
            Known part of the linear predictor, such as the logarithm of an exposure.

        Returns
        -------
        self : GroupLasso
            The fitted model.

        Raises
        ------
        ValueError
            If an argument has a wrong shape or value, or `groups` does not fit X; the message names it.
        """
        return self._fit(X, y, sample_weight, offset)

    def _group_penalty(self, labels):
        return radial_penalty(self, labels)


class SparseGroupLasso(LinearRegressor, GroupedModel):
    r"""Linear regression that selects groups of features, and features within the groups.

    Minimises over the coefficients :math:`w` and the intercept :math:`b`

    .. math::
        \frac{1}{\sum_i s_i} \sum_i s_i \, \ell(y_i, x_i^\top w + b + o_i)
        + \alpha \Big( \rho \|w\|_1 + (1 - \rho) \sum_g v_g \|w_g\|_2 \Big), \qquad \rho = \texttt{l1\_ratio}

    with sample weights :math:`s_i`, offsets :math:`o_i` and group weights :math:`v_g`. The result carries its
    certificate: the duality gap of convex problems, the KKT violation of all.

    Parameters
    ----------
    groups : None, "auto", int, array-like of labels, list of lists, or dict, default=None
        The groups of features:

        - None: every feature is a group of its own.
        - "auto": the columns that an encoder made from one input column are a group (one-hot columns, splines,
          polynomials), read from the column names of a data frame, as
          ``ColumnTransformer(...).set_output(transform="pandas")`` makes it.
        - int: the width of every group.
        - labels: one label a feature; features of equal label are a group.
        - list of lists: the column indices, or names, of each group.
        - dict: name of the group -> its columns, by index or by name.

        Lists and dicts may put a feature into several groups: the penalty is then that of latent copies of the
        feature, whose coefficients are summed (latent group Lasso). Features that they do not mention are groups of
        their own.
    alpha : float, default=1.0
        Strength of the penalty.
    l1_ratio : float, default=0.5
        Share of the L1 norm, from 0 (group Lasso) to 1 (Lasso).
    loss : {"squared", "huber", "poisson", "gamma", "tweedie"} or Loss, default="squared"
        The loss, by name or as an object of `skreg.losses`. Poisson, gamma and Tweedie losses have a log link.
    group_weights : array-like of shape (n_groups,), dict or float, default=None
        Multiplies `alpha` for each group, in the order of `groups_` (that of the groups' first columns), or by name;
        None means the square root of the group's size. 0 leaves a group unpenalised. Groups that a dict does not name
        keep the square root.
    fit_intercept : bool, default=True
        Whether to fit an intercept, which is never penalised.
    standardize : bool, default=False
        Penalise the coefficients of features divided by their (weighted) standard deviations. `coef_` stays in the
        units of X.
    max_iter : int, default=200
        Largest number of passes over the data.
    tol : float, default=1e-6
        Stop when the duality gap (KKT violation for non-convex penalties) is at most `tol` times that of the null
        model, so that rescaling y changes nothing.
    warm_start : bool, default=False
        Start from the previous fit's coefficients.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,)
        Coefficients in the units of X.
    intercept_ : float
        Intercept; 0.0 if ``fit_intercept=False``.
    groups_ : ndarray of shape (n_groups,)
        Names of the groups.
    group_columns_ : list of ndarray
        Column indices of each group.
    group_norms_ : ndarray of shape (n_groups,)
        Euclidean norms of the groups' coefficients.
    selected_groups_ : ndarray
        Names of the groups whose coefficients are not all zero.
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
    GroupLasso : Selects groups as wholes.
    SparseGroupLassoClassifier : The same for classes.

    References
    ----------
    .. [1] N. Simon, J. Friedman, T. Hastie, R. Tibshirani (2013), A sparse-group lasso. Journal of Computational and
       Graphical Statistics 22(2), 231-245.
    .. [2] E. Ndiaye, O. Fercoq, A. Gramfort, J. Salmon (2016), GAP safe screening rules for sparse-group Lasso.
       NeurIPS 29.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skreg import SparseGroupLasso
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> groups = {"person": ["age", "sex"], "serum": ["s1", "s2", "s3", "s4", "s5", "s6"]}
    >>> model = SparseGroupLasso(groups, alpha=1.0, l1_ratio=0.5).fit(X, y)
    >>> X.columns[model.coef_ != 0].tolist()
    ['bmi', 'bp', 's3', 's4', 's5', 's6']
    """

    _counterpart = "SparseGroupLassoClassifier"
    _parameter_constraints = group_constraints(
        loss=[StrOptions(REGRESSION), Loss],
        l1_ratio=[Interval(Real, 0, 1, closed="both")],
    )

    def __init__(
        self,
        groups=None,
        alpha=1.0,
        *,
        l1_ratio=0.5,
        loss="squared",
        group_weights=None,
        fit_intercept=True,
        standardize=False,
        max_iter=200,
        tol=1e-6,
        warm_start=False,
    ):
        self.groups = groups
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.loss = loss
        self.group_weights = group_weights
        self.fit_intercept = fit_intercept
        self.standardize = standardize
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
            Target.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the samples; an integer weight equals that many copies of the row.
        offset : array-like of shape (n_samples,), default=None
            Known part of the linear predictor, such as the logarithm of an exposure.

        Returns
        -------
        self : SparseGroupLasso
            The fitted model.

        Raises
        ------
        ValueError
            If an argument has a wrong shape or value, or `groups` does not fit X; the message names it.
        """
        return self._fit(X, y, sample_weight, offset)

    def _group_penalty(self, labels):
        return SparseGroup(labels, self.l1_ratio)
