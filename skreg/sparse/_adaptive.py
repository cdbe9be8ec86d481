"""Adaptive Lasso: a weighted Lasso whose weights come from a pilot fit."""

from dataclasses import replace
from numbers import Real

import numpy as np
from sklearn.base import RegressorMixin, _fit_context, clone

from skreg._backend import HasMethods, Interval, is_numpy, move_to, to_numpy
from skreg._base import SparseLinearModel, constraints
from skreg.losses import Squared
from skreg.penalties import L1
from skreg.solvers import strengths

_PILOT_ALPHAS = 50
_PILOT_EPS = 1e-3
_FLOOR = 1e-3  # pilot coefficients below this share of the largest count as this share


class AdaptiveLasso(RegressorMixin, SparseLinearModel):
    r"""Lasso with weights that spare the coefficients a pilot fit found large.

    Minimises over the coefficients :math:`w` and the intercept :math:`b`

    .. math::
        \frac{1}{2 \sum_i s_i} \sum_i s_i (y_i - x_i^\top w - b)^2 + \alpha \sum_j v_j |w_j| ,
        \qquad v_j = \left( \frac{\max_k |\hat w_k|}{\max(|\hat w_j|, 10^{-3} \max_k |\hat w_k|)} \right)^\gamma ,

    where :math:`\hat w` are the coefficients of the pilot fit. Weights are relative to the largest coefficient of a
    penalised feature, so that rescaling y rescales the model.

    Parameters
    ----------
    alpha : float, default=1.0
        Strength of the penalty on the feature with the largest pilot coefficient.
    gamma : float, default=1.0
        Exponent of the weights; 0 is the Lasso.
    pilot : estimator, default=None
        Regressor with `coef_` after `fit`, such as ``RidgeCV()``. None means the Lasso chosen by the Bayesian
        information criterion along its path, computed on the host. For the criterion, sample weights count copies of
        rows, unless they sum to less than their effective number.
    fit_intercept : bool, default=True
        Whether to fit an intercept, which is never penalised.
    standardize : bool, default=False
        Penalise the coefficients of features divided by their (weighted) standard deviations; the pilot's coefficients
        count on that scale too. `coef_` stays in the units of X.
    positive : bool, default=False
        Constrain the coefficients to be non-negative.
    penalty_weights : array-like of shape (n_features,) or dict, default=None
        Multiplies the weights above: 0 leaves a feature unpenalised, inf leaves it out. A dict maps column names of a
        data frame to weights; columns that it does not name have weight 1.
    lower, upper : float, array-like of shape (n_features,) or dict, default=None
        Bounds of the coefficients, ``lower <= 0 <= upper``; None means unbounded.
    max_iter : int, default=200
        Largest number of passes over the data.
    tol : float, default=1e-6
        Stop when the duality gap is at most `tol` times that of the null model.
    warm_start : bool, default=False
        Start from the previous fit's coefficients.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,)
        Coefficients in the units of X.
    intercept_ : float
        Intercept; 0.0 if ``fit_intercept=False``.
    pilot_coef_ : ndarray of shape (n_features,)
        Coefficients of the pilot fit.
    n_iter_ : int
        Passes over the data, without the pilot's.
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
    Lasso : Equal weights.
    SparseRegressor : Non-convex penalties, which lessen bias in one fit.

    References
    ----------
    .. [1] H. Zou (2006). The adaptive lasso and its oracle properties. Journal of the American Statistical
       Association 101(476).

    Examples
    --------
    >>> from sklearn.datasets import make_regression
    >>> from skreg import AdaptiveLasso
    >>> X, y = make_regression(100, 20, n_informative=4, noise=1.0, random_state=0)
    >>> model = AdaptiveLasso(alpha=0.5).fit(X, y)
    >>> int((model.coef_ != 0).sum())
    4
    """

    _pose_depends_on_rows = True
    _parameter_constraints = constraints(
        gamma=[Interval(Real, 0, None, closed="left")],
        pilot=[HasMethods(["fit"]), None],
    )

    def __init__(
        self,
        alpha=1.0,
        *,
        gamma=1.0,
        pilot=None,
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
        self.gamma = gamma
        self.pilot = pilot
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
        """Fit the pilot, then the model.

        Parameters
        ----------
        X : {array-like, sparse matrix, sparse array} of shape (n_samples, n_features)
            Training data; sparse data is never densified.
        y : array-like of shape (n_samples,)
            Target.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the samples; an integer weight equals that many copies of the row.
        offset : array-like of shape (n_samples,), default=None
            Known part of the prediction; a pilot of your own is fitted to y less the offset.

        Returns
        -------
        self : AdaptiveLasso
            The fitted model.

        Raises
        ------
        ValueError
            If an argument has a wrong shape or value; the message names it.
        """
        return self._fit(X, y, sample_weight, offset, max_subtasks=int(self.pilot is not None))

    def _pose(self, X, y, sample_weight=None, offset=None):
        prepared = super()._pose(X, y, sample_weight, offset)
        xp = prepared.xp
        if self.pilot is None:
            w = self._pilot_by_bic(prepared, X, y, sample_weight, offset)
        else:
            w = self._given_pilot(prepared, X, sample_weight)
        prepared.fitted["pilot_coef_"], _ = prepared.coefficients(w, 0.0)
        size = xp.abs(w)
        top = xp.max(xp.where(prepared.weights > 0, size, xp.zeros_like(size)))
        if float(top) > 0:
            share = xp.clip(size / top, _FLOOR, None)
            prepared.weights = prepared.weights * share ** -float(self.gamma)
        return prepared

    def _given_pilot(self, prepared, X, sample_weight):
        """Coefficients of the user's pilot on the scale of the penalised ones."""
        xp, data = prepared.xp, prepared.data
        target = data.y if data.offset is None else data.y - data.offset
        weight = {} if sample_weight is None else dict(sample_weight=sample_weight)
        pilot = clone(self.pilot)
        with self._subtask("fit-pilot", pilot, X, target, weight):
            pilot.fit(X, target, **weight)
        if not hasattr(pilot, "coef_"):
            raise ValueError(f"pilot must have coef_ after fit; {type(pilot).__name__} has none.")
        w = move_to(pilot.coef_, xp=xp, device=prepared.device)
        if tuple(w.shape) != tuple(prepared.weights.shape):
            raise ValueError(
                f"pilot must have coef_ of shape {tuple(prepared.weights.shape)} after fit; got {tuple(w.shape)}."
            )
        w = xp.astype(w, xp.float64)
        return w if data.design.scale is None else w * data.design.scale

    def _pilot_by_bic(self, prepared, X, y, sample_weight, offset):
        if is_numpy(prepared.xp):
            return pilot_by_bic(prepared, self.tol, self.max_iter)
        host = (None if a is None else to_numpy(a) for a in (X, y, sample_weight, offset))
        w = pilot_by_bic(super()._pose(*host), self.tol, self.max_iter)
        return move_to(w, xp=prepared.xp, device=prepared.device)

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


def pilot_by_bic(prepared, tol, max_iter):
    """Coefficients of the point on the Lasso path with the least n log(RSS / n) + df log n.

    All penalised features count the same here: their own penalty weights come in once, with the model.
    """
    weights = np.where(prepared.weights > 0, 1.0, 0.0)
    prepared = replace(prepared, weights=weights)
    data, n = prepared.data, prepared.n_samples
    alphas = strengths(prepared.problem(1.0), _PILOT_ALPHAS, _PILOT_EPS)
    best, chosen = np.inf, np.zeros(data.n_coordinates)
    for solution in prepared.follow(alphas, tol, max_iter):
        df = np.count_nonzero(solution.coef)
        rss = data.weight @ (data.y - data.predictor(solution.coef, solution.intercept)) ** 2
        if df >= 0.8 * n or not rss > 0:
            break
        bic = n * np.log(rss) + df * np.log(n)
        if bic < best:
            best, chosen = bic, solution.coef
    return chosen
