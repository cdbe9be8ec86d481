"""Group Lasso and sparse-group Lasso for classification."""

from numbers import Real

from sklearn.base import _fit_context

from skreg._backend import Interval, StrOptions
from skreg._faces import CLASSIFICATION, LinearClassifier
from skreg.group._grouped import RADIAL, GroupedModel, group_constraints, radial_penalty
from skreg.losses import Loss
from skreg.penalties import SparseGroup


class GroupLassoClassifier(LinearClassifier, GroupedModel):
    r"""Linear classification that selects groups of features as wholes.

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
    alpha : float, default=0.01
        Strength of the penalty.
    loss : {"logistic", "multinomial", "squared_hinge"} or Loss, default="logistic"
        The loss, by name or as an object of `skreg.losses`. With more than two classes "logistic" is the multinomial
        (softmax) loss.
    penalty : {"group_lasso", "group_elastic_net", "group_mcp", "group_scad"}, default="group_lasso"
        Penalty of the groups' norms: the L1 norm, the elastic net, MCP or SCAD.
    l1_ratio : float, default=None
        Share of the norm in "group_elastic_net", beside half the squared norm; None means 0.5.
    gamma : float, default=None
        Concavity of "group_mcp" (above 1; None means 3) and "group_scad" (above 2; None means 3.7).
    multinomial : {"grouped", "ungrouped"}, default="grouped"
        With the softmax loss: whether a group holds its features' coefficients of all classes, so that it is
        selected for all classes or none (with ``groups=None``: a feature's row), or each class has groups of its own.
    group_weights : array-like of shape (n_groups,), dict or float, default=None
        Multiplies `alpha` for each group, in the order of `groups_` (that of the groups' first columns), or by name;
        None means the square root of the group's size. 0 leaves a group unpenalised. Groups that a dict does not name
        keep the square root.
    fit_intercept : bool, default=True
        Whether to fit an intercept, which is never penalised.
    standardize : bool, default=False
        Penalise the coefficients of features divided by their (weighted) standard deviations. `coef_` stays in the
        units of X.
    class_weight : dict or "balanced", default=None
        Multiplies the sample weights of each class.
    max_iter : int, default=200
        Largest number of passes over the data.
    tol : float, default=1e-6
        Stop when the duality gap (KKT violation for non-convex penalties) is at most `tol` times that of the null
        model, so that rescaling y changes nothing.
    warm_start : bool, default=False
        Start from the previous fit's coefficients.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes.
    coef_ : ndarray of shape (1, n_features) or (n_classes, n_features)
        Coefficients in the units of X; one row for two classes.
    intercept_ : ndarray of shape (1,) or (n_classes,)
        Intercepts; zeros if ``fit_intercept=False``.
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
    SparseGroupLassoClassifier : Selects groups, and features within them.
    GroupLasso : The same for regression.

    References
    ----------
    .. [1] M. Yuan and Y. Lin (2006), Model selection and estimation in regression with grouped variables. JRSS B
       68(1), 49-67.
    .. [2] L. Jacob, G. Obozinski, J.-P. Vert (2009), Group lasso with overlap and graph lasso. ICML 26.
    .. [3] P. Breheny and J. Huang (2015), Group descent algorithms for nonconvex penalized linear and logistic
       regression models with grouped predictors. Statistics and Computing 25, 173-187.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from skreg import GroupLassoClassifier
    >>> X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    >>> groups = [name.split()[-1] if name.endswith("error") else name.split()[0] for name in X]
    >>> model = GroupLassoClassifier(groups, alpha=0.05, standardize=True).fit(X, y)
    >>> model.selected_groups_.tolist()
    ['mean', 'worst']
    """

    _counterpart = "GroupLasso"
    _parameter_constraints = group_constraints(
        loss=[StrOptions(CLASSIFICATION), Loss],
        multinomial=[StrOptions({"grouped", "ungrouped"})],
        class_weight=[dict, StrOptions({"balanced"}), None],
        penalty=[StrOptions(set(RADIAL))],
        l1_ratio=[Interval(Real, 0, 1, closed="right"), None],
        gamma=[Interval(Real, 1, None, closed="neither"), None],
    )

    def __init__(
        self,
        groups=None,
        alpha=0.01,
        *,
        loss="logistic",
        penalty="group_lasso",
        l1_ratio=None,
        gamma=None,
        multinomial="grouped",
        group_weights=None,
        fit_intercept=True,
        standardize=False,
        class_weight=None,
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
        self.multinomial = multinomial
        self.group_weights = group_weights
        self.fit_intercept = fit_intercept
        self.standardize = standardize
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
            Known part of the linear predictor, such as the logarithm of an exposure.

        Returns
        -------
        self : GroupLassoClassifier
            The fitted model.

        Raises
        ------
        ValueError
            If an argument has a wrong shape or value, or `groups` does not fit X; the message names it.
        """
        return self._fit(X, y, sample_weight, offset)

    def _group_penalty(self, labels):
        return radial_penalty(self, labels)


class SparseGroupLassoClassifier(LinearClassifier, GroupedModel):
    r"""Linear classification that selects groups of features, and features within the groups.

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
    alpha : float, default=0.01
        Strength of the penalty.
    l1_ratio : float, default=0.5
        Share of the L1 norm, from 0 (group Lasso) to 1 (Lasso).
    loss : {"logistic", "multinomial", "squared_hinge"} or Loss, default="logistic"
        The loss, by name or as an object of `skreg.losses`. With more than two classes "logistic" is the multinomial
        (softmax) loss.
    multinomial : {"grouped", "ungrouped"}, default="grouped"
        With the softmax loss: whether a group holds its features' coefficients of all classes, so that it is
        selected for all classes or none (with ``groups=None``: a feature's row), or each class has groups of its own.
    group_weights : array-like of shape (n_groups,), dict or float, default=None
        Multiplies `alpha` for each group, in the order of `groups_` (that of the groups' first columns), or by name;
        None means the square root of the group's size. 0 leaves a group unpenalised. Groups that a dict does not name
        keep the square root.
    fit_intercept : bool, default=True
        Whether to fit an intercept, which is never penalised.
    standardize : bool, default=False
        Penalise the coefficients of features divided by their (weighted) standard deviations. `coef_` stays in the
        units of X.
    class_weight : dict or "balanced", default=None
        Multiplies the sample weights of each class.
    max_iter : int, default=200
        Largest number of passes over the data.
    tol : float, default=1e-6
        Stop when the duality gap (KKT violation for non-convex penalties) is at most `tol` times that of the null
        model, so that rescaling y changes nothing.
    warm_start : bool, default=False
        Start from the previous fit's coefficients.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes.
    coef_ : ndarray of shape (1, n_features) or (n_classes, n_features)
        Coefficients in the units of X; one row for two classes.
    intercept_ : ndarray of shape (1,) or (n_classes,)
        Intercepts; zeros if ``fit_intercept=False``.
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
    GroupLassoClassifier : Selects groups as wholes.
    SparseGroupLasso : The same for regression.

    References
    ----------
    .. [1] N. Simon, J. Friedman, T. Hastie, R. Tibshirani (2013), A sparse-group lasso. Journal of Computational and
       Graphical Statistics 22(2), 231-245.
    .. [2] E. Ndiaye, O. Fercoq, A. Gramfort, J. Salmon (2016), GAP safe screening rules for sparse-group Lasso.
       NeurIPS 29.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skreg import SparseGroupLassoClassifier
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> model = SparseGroupLassoClassifier({"sepal": [0, 1], "petal": [2, 3]}, alpha=0.1).fit(X, y)
    >>> model.selected_groups_.tolist()
    ['petal']
    """

    _counterpart = "SparseGroupLasso"
    _parameter_constraints = group_constraints(
        loss=[StrOptions(CLASSIFICATION), Loss],
        multinomial=[StrOptions({"grouped", "ungrouped"})],
        class_weight=[dict, StrOptions({"balanced"}), None],
        l1_ratio=[Interval(Real, 0, 1, closed="both")],
    )

    def __init__(
        self,
        groups=None,
        alpha=0.01,
        *,
        l1_ratio=0.5,
        loss="logistic",
        multinomial="grouped",
        group_weights=None,
        fit_intercept=True,
        standardize=False,
        class_weight=None,
        max_iter=200,
        tol=1e-6,
        warm_start=False,
    ):
        self.groups = groups
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.loss = loss
        self.multinomial = multinomial
        self.group_weights = group_weights
        self.fit_intercept = fit_intercept
        self.standardize = standardize
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
            Known part of the linear predictor, such as the logarithm of an exposure.

        Returns
        -------
        self : SparseGroupLassoClassifier
            The fitted model.

        Raises
        ------
        ValueError
            If an argument has a wrong shape or value, or `groups` does not fit X; the message names it.
        """
        return self._fit(X, y, sample_weight, offset)

    def _group_penalty(self, labels):
        return SparseGroup(labels, self.l1_ratio)
