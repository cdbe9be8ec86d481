"""The square-root Lasso: a strength of the penalty that does not depend on the noise."""

from dataclasses import dataclass
from numbers import Real

import numpy as np
from sklearn.base import RegressorMixin, _fit_context

from skreg._backend import Interval, StrOptions
from skreg._base import Prepared, SparseLinearModel, constraints
from skreg.losses import Squared
from skreg.penalties import L1
from skreg.solvers import SquareRootLasso, SquareRootState, square_root_alpha_max

_SLACK = 1.1  # c, and ...
_LEVEL = 0.05  # ... gamma of the pivotal strength


@dataclass
class _PreparedSquareRoot(Prepared):
    """The problem for every alpha."""

    def state(self, coef=None, intercept=None):
        """Where the solver starts: the null model, or the given coefficients in the units of X."""
        start = super().state(coef, intercept)
        return SquareRootState(self.data, None if coef is None else start.w, start.b)

    def solver(self, tol, max_iter):
        """Lassos that converge to the square-root Lasso."""
        return SquareRootLasso(tol=tol, max_iter=max_iter)

    def strengths(self, n_alphas, eps):
        """Decreasing grid of alphas from the one that empties the model down to `eps` times it."""
        top = max(square_root_alpha_max(self.problem(1.0)), np.finfo(float).tiny / eps)
        return np.geomspace(top, eps * top, n_alphas)


class SqrtLasso(RegressorMixin, SparseLinearModel):
    r"""Lasso with the root of the mean squared error, whose best alpha does not depend on the noise.

    Minimises over the coefficients :math:`w` and the intercept :math:`b`

    .. math::
        \Big( \frac{1}{\sum_i s_i} \sum_i s_i (y_i - x_i^\top w - b)^2 \Big)^{1/2} + \alpha \sum_j v_j |w_j|
        \quad\text{subject to}\quad l_j \le w_j \le u_j ,

    with sample weights :math:`s_i`, penalty weights :math:`v_j` and bounds. With features standardised, as they are by
    default, :math:`w_j` counts per standard deviation of its feature. The first term is the estimate `scale_` of the
    noise's standard deviation; the coefficients are those of the Lasso with strength ``alpha * scale_``.

    Parameters
    ----------
    alpha : float or "pivotal", default="pivotal"
        Strength of the penalty, a pure number. "pivotal" means :math:`1.1 \, \Phi^{-1}(1 - 0.05 / (2 p)) / \sqrt{n}`
        for p penalised features and n samples, :math:`\Phi` the normal distribution function: enough to keep out all
        features that have nothing to do with y, with a probability of 95 %.
    fit_intercept : bool, default=True
        Whether to fit an intercept, which is never penalised.
    standardize : bool, default=True
        Penalise the coefficients of features divided by their (weighted) standard deviations, as the pivotal alpha
        presumes. `coef_` stays in the units of X.
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
    coef_ : ndarray of shape (n_features,)
        Coefficients in the units of X.
    intercept_ : float
        Intercept; 0.0 if ``fit_intercept=False``.
    alpha_ : float
        The strength of the penalty.
    scale_ : float
        Root of the (weighted) mean squared residual, in the units of y: 0 where the model fits y without error.
    n_iter_ : int
        Passes over the data.
    dual_gap_ : float
        Duality gap over that of the null model, which is the (weighted) standard deviation of y.
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
    Lasso : Its strength is in units of y.
    PathIC : Chooses alpha by an information criterion.

    Notes
    -----
    The solution is the Lasso's at ``alpha * scale_``, which is found by a few Lassos, each started from the last and
    finished in closed form on its support. Where y is a linear function of few features without any noise, or X has
    as many features as to fit any y and alpha is small, the root is 0 at the solution: the objective has a kink there,
    the closed form a limit, and the certificate is a dual point of norm below one.

    The pivotal alpha is for selection and for inference; it shrinks much, and predictions are better with another.

    References
    ----------
    .. [1] A. Belloni, V. Chernozhukov, L. Wang (2011). Square-root lasso: pivotal recovery of sparse signals via conic
       programming. Biometrika 98(4).
    .. [2] T. Sun, C.-H. Zhang (2012). Scaled sparse linear regression. Biometrika 99(4).

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skreg import SqrtLasso
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = SqrtLasso().fit(X, y)
    >>> (model.coef_ != 0).nonzero()[0]
    array([2, 3, 6, 8])
    >>> SqrtLasso().fit(X, 1000 * y).alpha_ == model.alpha_
    True
    """

    _prepared = _PreparedSquareRoot
    _parameter_constraints = {
        **constraints(),
        "alpha": [StrOptions({"pivotal"}), Interval(Real, 0, np.inf, closed="left")],
    }

    def __init__(
        self,
        alpha="pivotal",
        *,
        fit_intercept=True,
        standardize=True,
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

    def _loss(self):
        return Squared()

    def _penalty(self):
        return L1()

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None, offset=None):
        """Fit the model.

        Parameters
        ----------
        X : {array-like, sparse matrix, sparse array} of shape (n_samples, n_features)
            Training data; sparse data is never densified.
        y : array-like of shape (n_samples,)
            Target.
        sample_weight : float or array-like of shape (n_samples,), default=None
            Non-negative weights of the samples; an integer weight equals that many copies of the row.
        offset : array-like of shape (n_samples,), default=None
            Known part of the prediction.

        Returns
        -------
        self : SqrtLasso
            The fitted model.

        Raises
        ------
        ValueError
            If an argument has a wrong shape or value; the message names it.
        """
        return self._fit(X, y, sample_weight, offset)

    def _solve(self, prepared, start=None):
        alpha = pivotal_alpha(prepared) if isinstance(self.alpha, str) else float(self.alpha)
        solution = prepared.solver(self.tol, self.max_iter).solve(prepared.problem(alpha), start)
        self._warn(solution, stacklevel=6)  # user, wrapper of fit, fit, _fit, here, _warn
        prepared.fitted["alpha_"] = alpha
        return solution

    def _hidden(self, prepared, solution):
        data = prepared.data
        residual = data.y - data.predictor(solution.coef, solution.intercept)
        return {"scale_": float(np.sqrt(data.weight @ residual**2))}

    def _at(self, path, k):
        model = super()._at(path, k)
        model.alpha_ = model.alpha
        return model

    def predict(self, X, offset=None):
        """Predict the target.

        Parameters
        ----------
        X : {array-like, sparse matrix, sparse array} of shape (n_samples, n_features)
            Samples.
        offset : array-like of shape (n_samples,), default=None
            Known part of the prediction.

        Returns
        -------
        y_pred : ndarray of shape (n_samples,)
            Predictions.
        """
        return self._linear_predictor(X, offset)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.array_api_support = False
        return tags


def pivotal_alpha(prepared):
    """The strength that keeps out what is noise, for standardised features: Belloni et al. (2011), section 3."""
    from scipy.special import ndtri

    p = max(np.count_nonzero((prepared.weights > 0) & (prepared.lower < prepared.upper)), 1)
    return float(_SLACK * ndtri(1.0 - _LEVEL / (2.0 * p)) / np.sqrt(prepared.n_samples))
