"""Linear quantile regression at one level or several."""

from numbers import Integral, Real

import numpy as np
import scipy.sparse as sp
from sklearn.base import RegressorMixin, _fit_context
from sklearn.utils.validation import assert_all_finite, check_is_fitted

from skreg._backend import (
    Interval,
    Options,
    StrOptions,
    check_same_namespace,
    get_namespace_and_device,
    move_to,
    to_numpy,
)
from skreg._base import SparseLinearModel, check_offset, check_sample_weight, constraints, without_ignored
from skreg._groups import check_encoded
from skreg._quantiles import at_levels, central_level, check_levels
from skreg.quantile._inference import DENSITIES, StandardErrors, covariances
from skreg.quantile._penalties import GROUPED, NAMES, special_penalty
from skreg.quantile._prepared import PreparedQuantiles


class QuantileRegressor(RegressorMixin, SparseLinearModel):
    r"""Linear quantile regression: exact, at any number of rows, for one level or for several that need not cross.

    For each level :math:`\tau` it minimises over the coefficients :math:`w` and the intercept :math:`b`

    .. math::
        \frac{1}{\sum_i s_i} \sum_i s_i \, \psi_\tau(y_i - x_i^\top w - b)
        + \alpha \sum_j v_j \Bigl(\rho \, |w_j| + \frac{1 - \rho}{2} w_j^2\Bigr)
        \quad\text{subject to}\quad l_j \le w_j \le u_j,
        \qquad \psi_\tau(r) = \max(\tau r, (\tau - 1) r),

    with sample weights :math:`s_i`, penalty weights :math:`v_j` and :math:`\rho` = `l1_ratio` (1 for "l1"). For one
    level and the L1 penalty this is scikit-learn's `QuantileRegressor`, with the same `alpha`. In place of the second
    term there may be

    .. math::
        \alpha \sum_g v_g \|w_g\|_2, \qquad
        \alpha \Bigl(\rho \|w\|_1 + (1 - \rho) \sum_g v_g \|w_g\|_2\Bigr), \qquad
        \sum_j \phi(w_j; \alpha v_j), \qquad \sum_g \phi(\|w_g\|_2; \alpha v_g)

    with groups of features g, their weights :math:`v_g`, and :math:`\phi` the MCP or SCAD penalty: "group_lasso",
    "sparse_group_lasso", "mcp" or "scad", "group_mcp" or "group_scad".

    Parameters
    ----------
    quantile : float or array-like of shape (n_quantiles,), default=0.5
        Level or increasing levels, strictly between 0 and 1.
    penalty : str or None, default="l1"
        "l1", "elastic_net", "group_lasso", "sparse_group_lasso", "mcp", "scad", "group_mcp" or "group_scad"; None is
        ``alpha=0``.
    alpha : float, default=1.0
        Strength of the penalty.
    l1_ratio : float, default=None
        Share of the L1 norm in "elastic_net" and "sparse_group_lasso", between 0 and 1; None means 0.5.
    gamma : float, default=None
        Concavity of "mcp" and "group_mcp" (above 1; None means 3), "scad" and "group_scad" (above 2; None means 3.7).
        Coefficients beyond `gamma` times `alpha` are not shrunken, whatever the units of y: bring y and X to size about
        one.
    groups : None, "auto", int, array-like of labels, list of lists, or dict, default=None
        The groups of features, as in `GroupLasso`; None makes every feature a group of its own.
    group_weights : array-like of shape (n_groups,), dict or float, default=None
        Multiplies `alpha` for each group, in the order of `groups_` (that of the groups' first columns), or by name;
        None means the square root of the group's size. 0 leaves a group unpenalised. Groups that a dict does not name
        keep the square root.
    fit_intercept : bool, default=True
        Whether to fit an intercept, which is never penalised.
    non_crossing : {False, "rows", "box"}, default=False
        With several levels, fit all of them at once such that the predictions increase with the level: "rows" on the
        training rows, "box" for all x whose features are within the range of the training data. For the penalties
        "l1", "elastic_net" and None.
    standardize : bool, default=False
        Penalise the coefficients of features divided by their (weighted) standard deviations. `coef_` stays in the
        units of X.
    positive : bool, default=False
        Constrain the coefficients to be non-negative. Not for penalties of groups.
    penalty_weights : array-like of shape (n_features,) or dict, default=None
        Multiplies `alpha` for each feature: 0 leaves a feature unpenalised, inf leaves it out. A dict maps column
        names of a data frame to weights; columns that it does not name have weight 1. Not for penalties of groups.
    lower, upper : float, array-like of shape (n_features,) or dict, default=None
        Bounds of the coefficients, ``lower <= 0 <= upper``; None means unbounded. Not for penalties of groups.
    max_iter : int, default=200
        Largest number of interior-point steps of one solve.
    tol : float, default=1e-6
        Duality gap to reach, over the objective of the null model; KKT violation for MCP and SCAD. Without a ridge
        term or norms of groups the result is a vertex, exact but for rounding, whatever `tol`.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,) or (n_quantiles, n_features)
        Coefficients in the units of X; two-dimensional where `quantile` is a sequence.
    intercept_ : float or ndarray of shape (n_quantiles,)
        Intercept; 0.0 if ``fit_intercept=False``.
    quantiles_ : ndarray of shape (n_quantiles,)
        The levels, in float64.
    n_iter_ : int
        Interior-point steps, over all levels and stages.
    dual_gap_ : float
        Duality gap over the objective of the null model (its intercept is the quantile of y, its coefficients are 0),
        the largest over the levels: an upper bound of how much the objective can still fall; inf where the penalty is
        not convex.
    kkt_violation_ : float
        Largest violation of the optimality conditions over the largest gradient entry of the null model.
    converged_ : bool
        Whether `tol` was reached.
    groups_ : ndarray of shape (n_groups,)
        Names of the groups; this and the next three with penalties of groups alone.
    group_columns_ : list of ndarray
        Column indices of each group.
    group_norms_ : ndarray of shape (n_groups,) or (n_quantiles, n_groups)
        Euclidean norms of the groups' coefficients.
    selected_groups_ : ndarray
        Names of the groups with a coefficient that is not zero, at some level.
    n_features_in_ : int
        Number of features seen in `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X has string column names.

    See Also
    --------
    SparseRegressor : Means, with a choice of loss.
    PathCV : Chooses alpha along paths.

    Notes
    -----
    A primal-dual interior point finds the optimum's neighbourhood; the vertex there, at which as many residuals are
    zero as coefficients are not, follows by linear algebra and carries its dual certificate. With many rows, those
    whose residuals' signs are certain enter as two sums [1]_; with many features, those that stay at zero are left
    out and checked at the end. The optimum may not be unique: then one vertex of the set of optima is returned.

    With norms of groups the interior point is one on second-order cones, and Newton steps on the groups and the zero
    residuals that it finds lead to the optimum. MCP and SCAD are solved by tangents from the (group) Lasso's solution
    on [3]_: each problem on the way is solved exactly, and the last one's solution meets the optimality conditions of
    the concave problem, which may have other solutions too.

    A sparse X is never made dense as a whole: in its place enter its weighted cross products.

    References
    ----------
    .. [1] S. Portnoy, R. Koenker (1997). The Gaussian hare and the Laplacian tortoise: computability of squared-error
       versus absolute-error estimators. Statistical Science 12(4).
    .. [2] H. Bondell, B. Reich, H. Wang (2010). Noncrossing quantile regression curve estimation. Biometrika 97(4).
    .. [3] H. Zou, R. Li (2008). One-step sparse estimates in nonconcave penalized likelihood models. Annals of
       Statistics 36(4).

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skreg import QuantileRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = QuantileRegressor(quantile=[0.1, 0.5, 0.9], alpha=0.0, non_crossing="rows").fit(X, y)
    >>> bands = model.predict_quantiles(X)
    >>> bands.shape
    (442, 3)
    >>> bool((bands[:, 1:] >= bands[:, :-1]).all())
    True
    """

    _parameter_constraints = constraints(
        quantile=[Interval(Real, 0, 1, closed="neither"), "array-like"],
        penalty=[StrOptions({"l1", "elastic_net", *NAMES}), None],
        l1_ratio=[Interval(Real, 0, 1, closed="both"), None],
        gamma=[Interval(Real, 1, None, closed="neither"), None],
        groups=[None, StrOptions({"auto"}), Interval(Integral, 1, None, closed="left"), "array-like", dict],
        group_weights=[None, "array-like", dict, Real],
        non_crossing=[StrOptions({"rows", "box"}), Options(bool, {False})],
    )
    del _parameter_constraints["warm_start"]
    _pose_depends_on_rows = True  # a search poses each combination's problem by itself

    def __init__(
        self,
        quantile=0.5,
        penalty="l1",
        alpha=1.0,
        *,
        l1_ratio=None,
        gamma=None,
        groups=None,
        group_weights=None,
        fit_intercept=True,
        non_crossing=False,
        standardize=False,
        positive=False,
        penalty_weights=None,
        lower=None,
        upper=None,
        max_iter=200,
        tol=1e-6,
    ):
        self.quantile = quantile
        self.penalty = penalty
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.gamma = gamma
        self.groups = groups
        self.group_weights = group_weights
        self.fit_intercept = fit_intercept
        self.non_crossing = non_crossing
        self.standardize = standardize
        self.positive = positive
        self.penalty_weights = penalty_weights
        self.lower = lower
        self.upper = upper
        self.max_iter = max_iter
        self.tol = tol

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.array_api_support = self.penalty not in list(GROUPED)
        return tags

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None, offset=None):
        """Fit the model.

        Parameters
        ----------
        X : {array-like, sparse matrix, sparse array} of shape (n_samples, n_features)
            Training data.
        y : array-like of shape (n_samples,)
            Target.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the samples; an integer weight equals that many copies of the row.
        offset : array-like of shape (n_samples,), default=None
            Known part of the prediction, at every level.

        Returns
        -------
        self : QuantileRegressor
            The fitted model.

        Raises
        ------
        ValueError
            If an argument has a wrong shape or value; the message names it.
        """
        return self._fit(X, y, sample_weight, offset)

    def _validate(self, X, y, **check):
        if isinstance(self.groups, str):
            check_encoded(X)
        return super()._validate(X, y, **check)

    def _prepare(self, X, y, sample_weight=None, offset=None, n_outputs=1):
        levels = check_levels(self.quantile, "quantile")
        xp, _, device = get_namespace_and_device(X)
        dtype = X.dtype
        weight = check_sample_weight(sample_weight, X)
        y = without_ignored(xp.astype(move_to(y, xp=xp, device=device), xp.float64), weight, xp)
        offset = check_offset(offset, X, 1)
        if offset is not None:
            y = y - without_ignored(offset, weight, xp)
        if X.dtype != xp.float64:
            X = X.astype(np.float64) if sp.issparse(X) else xp.astype(X, xp.float64)
        if self._gradient_tells(X) and not np.isfinite(X.sum()):
            assert_all_finite(X, estimator_name=type(self).__name__, input_name="X")
        terms, scale = self._terms(X, weight, xp)
        penalty = special_penalty(self, X, weight, scale)
        return PreparedQuantiles(
            X,
            y,
            weight,
            levels,
            np.ndim(self.quantile) == 0,
            terms,
            penalty,
            bool(self.fit_intercept),
            self.non_crossing,
            xp,
            device,
            dtype,
        )

    def _terms(self, X, weight, xp):
        """L1, ridge and bounds per coefficient in the units of X, or weights and bounds for what `special_penalty` has.

        They are those of ``alpha=1``. Also what coefficients are multiplied by where they are penalised.
        """
        weights, lower, upper = self._weights_and_bounds(X.shape[1], None)
        ratio = 1.0 if self.penalty == "l1" else 0.5 if self.l1_ratio is None else self.l1_ratio
        weights = 0.0 * weights if self.penalty is None else weights
        scale = self._design(X, weight / xp.sum(weight), xp).scale if self.standardize else None
        scale = 1.0 if scale is None else move_to(scale, xp=np, device="cpu")
        bounds = dict(lower=lower, upper=upper)
        if self.penalty in NAMES:
            return dict(bounds, weights=weights), scale
        l1, ridge = ratio * weights * scale, (1.0 - ratio) * weights * scale**2
        return dict(bounds, l1=l1, ridge=ridge), scale

    def _known_part(self, offset, X):
        offset = check_offset(offset, X, 1)
        return offset[:, None] if self.coef_.ndim == 2 else offset

    def _warm(self, prepared):
        return None

    def _solve(self, prepared, start=None):
        solution = prepared.solve(self.alpha, self.tol, self.max_iter)
        self._warn(solution, stacklevel=6)
        return solution

    def _set_fitted(self, prepared, solution):
        for name in _OF_GROUPS:
            vars(self).pop(name, None)
        super()._set_fitted(prepared, solution)

    def _hidden(self, prepared, solution):
        return {**(solution.fitted or {}), "quantiles_": prepared.xp.asarray(prepared.levels, device=prepared.device)}

    def predict(self, X, offset=None):
        """Predict the target: the level of `quantile`, of several the one nearest to 0.5 (the lower one of two).

        Parameters
        ----------
        X : {array-like, sparse matrix, sparse array} of shape (n_samples, n_features)
            Samples.
        offset : array-like of shape (n_samples,), default=None
            Known part of the prediction, at every level.

        Returns
        -------
        y_pred : ndarray of shape (n_samples,)
            Predictions in the units of y.
        """
        eta = self._linear_predictor(X, offset)
        return eta if eta.ndim == 1 else eta[:, central_level(to_numpy(self.quantiles_))]

    def predict_quantiles(self, X, offset=None, *, quantiles=None):
        """Predict the target at every level.

        Parameters
        ----------
        X : {array-like, sparse matrix, sparse array} of shape (n_samples, n_features)
            Samples.
        offset : array-like of shape (n_samples,), default=None
            Known part of the prediction, at every level.
        quantiles : float or array-like, default=None
            Increasing levels to predict, linearly interpolated between those of the fit, and not beyond them. None
            means `quantiles_`.

        Returns
        -------
        bands : ndarray of shape (n_samples, n_quantiles)
            Predictions in the order of the levels.

        Raises
        ------
        ValueError
            If a level of `quantiles` is outside the range of `quantiles_`.
        """
        eta = self._linear_predictor(X, offset, method="predict_quantiles")
        return at_levels(eta[:, None] if eta.ndim == 1 else eta, to_numpy(self.quantiles_), quantiles)

    def standard_errors(self, X, y, sample_weight=None, offset=None, *, method="kernel"):
        r"""Standard errors of the coefficients, from large samples, of a model without penalty and bounds.

        The covariance is :math:`\tau (1 - \tau) H^{-1} J H^{-1}` with :math:`J = \sum_i s_i z_i z_i^\top`,
        :math:`H = \sum_i s_i f_i z_i z_i^\top` and :math:`z_i = (x_i, 1)`, where :math:`f_i` estimates the density of
        :math:`y_i` given :math:`x_i` at its quantile. The samples are taken to be independent.

        Parameters
        ----------
        X : {array-like, sparse matrix, sparse array} of shape (n_samples, n_features)
            The training data.
        y : array-like of shape (n_samples,)
            The target of the training data.
        sample_weight : array-like of shape (n_samples,), default=None
            The weights of the fit, as numbers of observations: their sum, too, counts. Divided by two they give
            larger errors.
        offset : array-like of shape (n_samples,), default=None
            The offset of the fit.
        method : {"kernel", "nid", "iid"}, default="kernel"
            Estimate of the densities: "kernel", Gaussian kernels at the residuals [1]_; "nid", differences of the
            predictions at two levels nearby, which takes two more fits for each level and assumes that the quantiles
            there are linear in x too [2]_; "iid", one density for all samples, right only where the noise does not
            depend on x. All take the bandwidth of [3]_.

        Returns
        -------
        errors : StandardErrors
            Named tuple of `coef` and `intercept`, in the shapes of `coef_` and `intercept_`, and `covariance`, of
            shape (n_features + 1, n_features + 1), the intercept last (without one: n_features); of a sequence of
            levels, one matrix for each.

        Raises
        ------
        ValueError
            If the model has a penalty or bounds, or columns are linearly dependent, or an argument has a wrong shape
            or value.

        Notes
        -----
        With "nid", samples at which the prediction does not increase with the level count as of density zero. Choose
        "kernel" or "nid" unless the noise is known to be the same everywhere.

        References
        ----------
        .. [1] J. Powell (1991). Estimation of monotonic regression models under quantile restrictions. In
           Nonparametric and Semiparametric Methods in Econometrics, Cambridge University Press.
        .. [2] W. Hendricks, R. Koenker (1992). Hierarchical spline models for conditional quantiles and the demand for
           electricity. Journal of the American Statistical Association 87(417).
        .. [3] P. Hall, S. Sheather (1988). On the distribution of a Studentized quantile. Journal of the Royal
           Statistical Society B 50(3).

        Examples
        --------
        >>> from sklearn.datasets import load_diabetes
        >>> from skreg import QuantileRegressor
        >>> X, y = load_diabetes(return_X_y=True)
        >>> model = QuantileRegressor(penalty=None).fit(X, y)
        >>> errors = model.standard_errors(X, y)
        >>> z = model.coef_ / errors.coef
        >>> (abs(z) > 1.96).nonzero()[0]
        array([1, 2, 3, 8])
        """
        check_is_fitted(self)
        if method not in list(DENSITIES):
            raise ValueError(f"method must be one of {list(DENSITIES)}; got {method!r}.")
        check_same_namespace(X, self, attribute="coef_", method="standard_errors")
        X, y = self._validate(X, y, y_numeric=True, reset=False)
        prepared = self._prepare(X, y, sample_weight, offset)
        free = dict(l1=0.0, ridge=0.0, lower=-np.inf, upper=np.inf)
        terms = prepared.terms_at(self.alpha)
        if prepared.penalty is not None or any(np.any(terms[name] != value) for name, value in free.items()):
            raise ValueError(
                "standard_errors are those of a model without penalty (alpha=0.0 or penalty=None) and without bounds."
            )
        covariance = covariances(
            prepared.X if sp.issparse(prepared.X) else to_numpy(prepared.X),
            to_numpy(prepared.y),
            to_numpy(prepared.weight),
            to_numpy(self.quantiles_),
            np.atleast_2d(to_numpy(self.coef_)).astype(np.float64),
            np.full(1, self.intercept_) if self.coef_.ndim == 1 else to_numpy(self.intercept_),
            bool(self.fit_intercept),
            method,
        )
        return self._standard_errors(prepared, covariance)

    def _standard_errors(self, prepared, covariance):
        """Errors at all levels in the shapes of `coef_` and `intercept_`."""
        errors = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
        n_features = prepared.X.shape[1]
        coef, intercept = errors[:, :n_features], errors[:, n_features:].sum(axis=1)
        if self.coef_.ndim == 1:
            return StandardErrors(prepared.on_device(coef[0]), float(intercept[0]), prepared.on_device(covariance[0]))
        return StandardErrors(*map(prepared.on_device, (coef, intercept, covariance)))


_OF_GROUPS = ("groups_", "group_columns_", "group_norms_", "selected_groups_")
