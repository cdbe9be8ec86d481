"""The exclusive Lasso: regression with competition within groups of features."""

import numpy as np
from sklearn.base import _fit_context

from skreg._backend import StrOptions
from skreg._faces import REGRESSION
from skreg._groups import check_encoded, parse_groups
from skreg.group._grouped import group_constraints
from skreg.group._structured import StructuredRegressor
from skreg.losses import Loss
from skreg.penalties import Exclusive


class ExclusiveLasso(StructuredRegressor):
    r"""Linear regression that selects few features in each group, and some in every group.

    Minimises over the coefficients :math:`w` and the intercept :math:`b`

    .. math::
        \frac{1}{\sum_i s_i} \sum_i s_i \, \ell(y_i, x_i^\top w + b + o_i)
        + \frac{\alpha}{2} \sum_g \Big( \sum_{j \in g} |w_j| \Big)^2

    with sample weights :math:`s_i` and offsets :math:`o_i`. Where the group Lasso makes groups
    compete, here the features of a group compete with one another.

    Parameters
    ----------
    groups : None, "auto", int, array-like of labels, list of lists, or dict, default=None
        The groups of features, each feature in one:

        - None: every feature is a group of its own, which makes it ridge regression.
        - "auto": the columns that an encoder made from one input column are a group, read from the column names of a
          data frame.
        - int: the width of every group.
        - labels: one label a feature; features of equal label are a group.
        - list of lists: the column indices, or names, of each group.
        - dict: name of the group -> its columns, by index or by name.

        Features that lists and dicts do not mention are groups of their own.
    alpha : float, default=1.0
        Strength of the penalty. As with ridge regression, no alpha makes all coefficients zero.
    loss : {"squared", "huber", "poisson", "gamma", "tweedie"} or Loss, default="squared"
        The loss, by name or as an object of `skreg.losses`. Poisson, gamma and Tweedie losses have a log link.
    fit_intercept : bool, default=True
        Whether to fit an intercept, which is never penalised.
    standardize : bool, default=False
        Penalise the coefficients of features divided by their (weighted) standard deviations. `coef_` stays in the
        units of X.
    max_iter : int, default=200
        Largest number of proximal Newton steps.
    tol : float, default=1e-6
        Stop when the duality gap is at most `tol` times that of the null model, so that rescaling y changes nothing.
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
    n_iter_ : int
        Proximal Newton steps.
    dual_gap_ : float
        Duality gap over that of the null model: an upper bound of how much the objective can still fall.
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
    skreg.model_selection.regularization_path : Solutions for a grid of alphas.

    Notes
    -----
    Solved by proximal Newton steps whose subproblems a semismooth Newton method solves over the support [3]_.

    References
    ----------
    .. [1] Y. Zhou, R. Jin, S. Hoi (2010), Exclusive lasso for multi-task feature selection. AISTATS.
    .. [2] F. Campbell, G. Allen (2017), Within group variable selection through the exclusive lasso. Electronic
       Journal of Statistics 11(2), 4220-4257.
    .. [3] M. Lin, Y. Yuan, D. Sun, K.-C. Toh (2024), A highly efficient algorithm for solving exclusive lasso problems.
       Optimization Methods and Software 39(3), 489-518.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skreg import ExclusiveLasso
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> groups = {"person": ["age", "sex", "bmi", "bp"], "serum": ["s1", "s2", "s3", "s4", "s5", "s6"]}
    >>> model = ExclusiveLasso(groups, alpha=1.0, standardize=True).fit(X, y)
    >>> X.columns[model.coef_ != 0].tolist()
    ['bmi', 'bp', 's5']
    """

    _parameter_constraints = {
        name: kinds
        for name, kinds in group_constraints(loss=[StrOptions(REGRESSION), Loss]).items()
        if name != "group_weights"
    }

    def __init__(
        self,
        groups=None,
        alpha=1.0,
        *,
        loss="squared",
        fit_intercept=True,
        standardize=False,
        max_iter=200,
        tol=1e-6,
        warm_start=False,
    ):
        self.groups = groups
        self.alpha = alpha
        self.loss = loss
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
        self : ExclusiveLasso
            The fitted model.

        Raises
        ------
        ValueError
            If an argument has a wrong shape or value, or `groups` does not fit X; the message names it.
        """
        return self._fit(X, y, sample_weight, offset)

    def _validate(self, X, y, **check):
        if isinstance(self.groups, str):
            check_encoded(X)
        return super()._validate(X, y, **check)

    def _structure(self, X, weight):
        names = getattr(self, "feature_names_in_", None)
        rows = X[np.flatnonzero(weight)] if isinstance(self.groups, str) and (weight == 0).any() else X
        groups = parse_groups(self.groups, X.shape[1], names, rows)
        if groups.overlapping:
            count = np.bincount(groups.indices, minlength=X.shape[1])
            column = int(np.argmax(count > 1))
            name = column if names is None else repr(str(names[column]))
            raise ValueError(
                f"groups of ExclusiveLasso must not overlap; the column {name} is in {count.max()} groups."
            )
        return groups

    def _prepare(self, X, y, sample_weight=None, offset=None, n_outputs=1):
        prepared = super()._prepare(X, y, sample_weight, offset, n_outputs)
        groups = prepared.structure
        prepared.fitted["groups_"] = np.array(groups.names, dtype=object)
        prepared.fitted["group_columns_"] = groups.all_columns()
        return prepared

    def _penalty_for(self, structure, n_outputs):
        return Exclusive(structure.labels())

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.array_api_support = False  # names and columns of groups stay on the host
        return tags
