"""SLOPE: regression with the sorted L1 norm."""

from numbers import Real

from sklearn.base import _fit_context

from skreg._backend import Interval, StrOptions
from skreg._faces import REGRESSION
from skreg.group._structured import StructuredRegressor, structured_constraints
from skreg.losses import Loss
from skreg.penalties import Slope


class SlopeRegressor(StructuredRegressor):
    r"""Linear regression with the sorted L1 norm (SLOPE, OSCAR): few features, in clusters of equal coefficients.

    Minimises over the coefficients :math:`w` and the intercept :math:`b`

    .. math::
        \frac{1}{\sum_i s_i} \sum_i s_i \, \ell(y_i, x_i^\top w + b + o_i)
        + \alpha \sum_{j=1}^p \lambda_j |w|_{(j)}, \qquad |w|_{(1)} \ge \dots \ge |w|_{(p)}

    with sample weights :math:`s_i` and offsets :math:`o_i`.
    The largest coefficient bears the largest lambda, so that coefficients of correlated features come out equal, and
    the strength of the penalty falls with the number of features that have entered.

    Parameters
    ----------
    alpha : float, default=1.0
        Strength of the penalty.
    lambdas : {"bh", "oscar"} or array-like of shape (n_features,), default="bh"
        The lambdas: "bh" are those of Benjamini and Hochberg, :math:`\lambda_j = \Phi^{-1}(1 - j q / (2 p))`; "oscar"
        fall along a line, :math:`\lambda_j = 1 + q (p - j)`; an array must be non-negative and not increase. Equal
        lambdas of 1 make it the Lasso.
    q : float, default=0.1
        The false discovery rate that "bh" aims at, in (0, 1]; the slope of the line, non-negative, for "oscar".
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
    Lasso : The same strength for all coefficients.
    FusedLasso : Equal coefficients of features that are neighbours.
    skreg.model_selection.regularization_path : Solutions for a grid of alphas.

    Notes
    -----
    Solved by proximal Newton steps whose subproblems a semismooth Newton method solves over the clusters [3]_.

    References
    ----------
    .. [1] M. Bogdan, E. van den Berg, C. Sabatti, W. Su, E. Candes (2015), SLOPE: adaptive variable selection via
       convex optimization. Annals of Applied Statistics 9(3), 1103-1140.
    .. [2] H. Bondell, B. Reich (2008), Simultaneous regression shrinkage, variable selection, and supervised
       clustering of predictors with OSCAR. Biometrics 64(1), 115-123.
    .. [3] Z. Luo, D. Sun, K.-C. Toh, N. Xiu (2019), Solving the OSCAR and SLOPE models using a semismooth Newton-based
       augmented Lagrangian method. Journal of Machine Learning Research 20(106).

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.preprocessing import scale
    >>> from skreg import SlopeRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = SlopeRegressor(alpha=10.0, lambdas="oscar", q=0.2).fit(scale(X), y)
    >>> (model.coef_.round(1) + 0.0).tolist()
    [0.0, 0.0, 11.5, 0.6, 0.0, 0.0, -0.3, 0.3, 11.5, 0.3]
    >>> model.dual_gap_ <= model.tol
    True
    """

    _parameter_constraints = structured_constraints(
        lambdas=[StrOptions({"bh", "oscar"}), "array-like"],
        q=[Interval(Real, 0, None, closed="left")],
        loss=[StrOptions(REGRESSION), Loss],
    )

    def __init__(
        self,
        alpha=1.0,
        *,
        lambdas="bh",
        q=0.1,
        loss="squared",
        fit_intercept=True,
        standardize=False,
        max_iter=200,
        tol=1e-6,
        warm_start=False,
    ):
        self.alpha = alpha
        self.lambdas = lambdas
        self.q = q
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
        self : SlopeRegressor
            The fitted model.

        Raises
        ------
        ValueError
            If an argument has a wrong shape or value; the message names it.
        """
        return self._fit(X, y, sample_weight, offset)

    def _penalty(self):
        return Slope(self.lambdas, self.q)
