"""The strength of a penalty by an information criterion: one path on the whole data, and no other fit."""

from numbers import Integral, Real

import numpy as np
from sklearn.base import _fit_context
from sklearn.utils import get_tags
from sklearn.utils.validation import column_or_1d

from skreg._backend import Interval, StrOptions, is_numpy
from skreg._base import fitted_attributes, unchanged_on_error
from skreg.model_selection import _criteria as criteria
from skreg.model_selection._path import _given_grid, _grid, _pose, as_path, check_smooth, solve_path
from skreg.model_selection._relax import check_relaxable, relaxed, without_coordinates
from skreg.model_selection._search import PathSearch
from skreg.penalties import L1
from skreg.solvers import ProxNewton, degrees_of_freedom
from skreg.sparse import SqrtLasso

_MOST = 0.8  # degrees of freedom a sample from which a criterion means nothing


class PathIC(PathSearch):
    r"""Choose alpha by an information criterion along one regularisation path.

    With D the deviance of a model (the sum of squared residuals, for the squared loss), df its degrees of freedom, n
    samples, p coefficients and :math:`\phi` the variance of the noise, the alpha chosen has the least of

    .. math::
        \mathrm{AIC} &= L + 2 \, df, \qquad \mathrm{BIC} = L + \log(n) \, df, \qquad
        \mathrm{EBIC} = L + (\log n + 2 \gamma \log p) \, df, \\
        L &= D / \phi + n \log(2 \pi \phi), \qquad \phi = D / n \text{ where not given}, \\
        \mathrm{GCV} &= \frac{D / n}{(1 - (df + 1) / n)^2}, \qquad
        C_p = D / \phi - n + 2 (df + 1), \qquad \mathrm{SURE} = \phi \, C_p ,

    or is the smallest alpha that passes the test of "av", adaptive validation:

    .. math:: \max_j \frac{L_j |w_j(\alpha') - w_j(\alpha'')|}{(\alpha' + \alpha'') v_j} \le C
              \quad\text{for all}\quad \alpha', \alpha'' \ge \alpha

    with :math:`L_j` the mean square of feature j about its mean (1 for the standardised) times the bound of the loss's
    curvature.

    Parameters
    ----------
    estimator : object
        A skreg estimator with an alpha, which is not used.
    criterion : {"bic", "aic", "ebic", "gcv", "cp", "sure", "av"}, default="bic"
        The criterion. "ebic" selects fewer features than "bic" where there are many, "aic", "gcv", "cp" and "sure"
        aim at prediction; "av" (for an L1 penalty) bounds the error of every single coefficient.
    alphas : int or array-like, default=100
        The grid, or its length: see `alpha_grid`.
    eps : float, default=1e-3
        Smallest over largest alpha of a grid made here.
    noise_variance : float, default=None
        Variance of the noise :math:`\phi`; for other losses than the squared one, the factor of their variance. None:
        1 for Poisson and classification losses; else "aic", "bic" and "ebic" estimate it with each model, while "cp"
        and "sure" take it from a `SqrtLasso` of the squared loss, and need a number for others.
    ebic_gamma : float, default=0.5
        :math:`\gamma` of "ebic", from 0 ("bic") to 1.
    av_constant : float, default=0.75
        C of "av"; smaller is sparser.
    threshold : bool, default=False
        With "av", set the coefficients to 0 that may be 0 by its bound, :math:`L_j |w_j| < 3 C \alpha v_j`.
    relaxed : float, default=0.0
        Share of the fit without penalty on the selected features in the final coefficients: 0 keeps those of the path,
        1 is that fit (least squares, for the squared loss), 0.5 the mean of both.

    Attributes
    ----------
    alpha_ : float
        The alpha chosen.
    alphas_ : ndarray of shape (n_alphas,)
        The grid, decreasing, up to the last model of less than 0.8 n degrees of freedom.
    criterion_ : ndarray of shape (n_alphas,)
        The criterion along `alphas_`; for "av" the largest ratio in its test so far.
    df_path_ : ndarray of shape (n_alphas,)
        Degrees of freedom along `alphas_`, without the intercept.
    noise_variance_ : float
        The variance that the criterion used; where it used none of its own, D / n of the model chosen.
    coef_path_ : ndarray of shape (n_alphas, n_features) or (n_alphas, n_classes, n_features)
        Coefficients along `alphas_`.
    best_index_ : int
        Place of the model chosen in `alphas_`.
    best_estimator_ : object
        The model chosen. Its fitted attributes (`coef_`, `intercept_`, ...) are attributes of the search too.

    See Also
    --------
    PathCV : Chooses by cross-validation.
    SqrtLasso : Its alpha need not be chosen.

    Notes
    -----
    Degrees of freedom are the expected trace of the fit's derivative with respect to y. For L1 penalties that is the
    number of coefficients that are not 0 [1]_; for elastic nets and groups it is
    :math:`\mathrm{tr} (H + \Omega'')^{-1} H` over these, with H and :math:`\Omega''` the second derivatives of loss
    and penalty [2]_. For penalties that are not convex the number of coefficients stands in. Sample weights count
    copies of rows, unless they sum to less than their effective number.

    "av" rests on this [5]_: let :math:`\alpha^*` be such that from there on, at every alpha, no coefficient is further
    than :math:`C \alpha` from the truth. Then all :math:`\alpha', \alpha'' \ge \alpha^*` pass the test by the triangle
    inequality. So the alpha chosen is at most :math:`\alpha^*`; it passed the test together with that one, which
    puts its coefficients within :math:`3 C \alpha^*` of the truth, and those whose truth is above
    :math:`6 C \alpha^*` survive the threshold. With orthonormal features C = 3/2 suffices, where the noise
    :math:`|x_j^\top \varepsilon| / n` is below half of alpha; the smaller default selects better among many features.

    References
    ----------
    .. [1] H. Zou, T. Hastie, R. Tibshirani (2007). On the "degrees of freedom" of the lasso. Annals of Statistics
       35(5).
    .. [2] S. Vaiter, C. Deledalle, J. Fadili, G. Peyré, C. Dossal (2017). The degrees of freedom of partly smooth
       regularizers. Annals of the Institute of Statistical Mathematics 69(4).
    .. [3] J. Chen, Z. Chen (2008). Extended Bayesian information criteria for model selection with large model spaces.
       Biometrika 95(3).
    .. [4] G. Golub, M. Heath, G. Wahba (1979). Generalized cross-validation as a method for choosing a good ridge
       parameter. Technometrics 21(2).
    .. [5] M. Chichignoud, J. Lederer, M. Wainwright (2016). A practical scheme and fast algorithm to tune the lasso
       with optimality guarantees. Journal of Machine Learning Research 17(231).
    .. [6] N. Meinshausen (2007). Relaxed lasso. Computational Statistics & Data Analysis 52(1).

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skreg import Lasso, PathIC
    >>> X, y = load_diabetes(return_X_y=True)
    >>> search = PathIC(Lasso(), criterion="ebic", relaxed=1.0).fit(X, y)
    >>> (search.coef_ != 0).nonzero()[0]
    array([1, 2, 3, 4, 6, 8, 9])
    """

    _parameter_constraints = {
        "estimator": "no_validation",
        "criterion": [StrOptions({"bic", "aic", "ebic", "gcv", "cp", "sure", "av"})],
        "alphas": [Interval(Integral, 1, None, closed="left"), "array-like"],
        "eps": [Interval(Real, 0, 1, closed="neither")],
        "noise_variance": [Interval(Real, 0, None, closed="neither"), None],
        "ebic_gamma": [Interval(Real, 0, 1, closed="both")],
        "av_constant": [Interval(Real, 0, None, closed="neither")],
        "threshold": ["boolean"],
        "relaxed": [Interval(Real, 0, 1, closed="both")],
    }

    def __init__(
        self,
        estimator,
        *,
        criterion="bic",
        alphas=100,
        eps=1e-3,
        noise_variance=None,
        ebic_gamma=0.5,
        av_constant=0.75,
        threshold=False,
        relaxed=0.0,
    ):
        self.estimator = estimator
        self.criterion = criterion
        self.alphas = alphas
        self.eps = eps
        self.noise_variance = noise_variance
        self.ebic_gamma = ebic_gamma
        self.av_constant = av_constant
        self.threshold = threshold
        self.relaxed = relaxed

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, sample_weight=None, offset=None):
        """Solve the path and choose.

        Parameters
        ----------
        X : {array-like, sparse matrix, sparse array} of shape (n_samples, n_features)
            Training data.
        y : array-like of shape (n_samples,) or (n_samples, n_tasks)
            Target; of several tasks where that is what `estimator` takes.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the samples; an integer weight equals that many copies of the row.
        offset : array-like of shape (n_samples,), default=None
            Known part of the linear predictor.

        Returns
        -------
        self : PathIC
            The fitted search.

        Raises
        ------
        TypeError
            If `estimator` is not a skreg estimator with an alpha.
        ValueError
            If an argument has a wrong shape or value, or does not suit the criterion; the message names it.
        """
        with unchanged_on_error(self):
            for name in fitted_attributes(self):
                delattr(self, name)
            if not get_tags(self).target_tags.multi_output:
                y = column_or_1d(y, warn=True)
            return self._search(X, y, sample_weight, offset)

    def _search(self, *data):
        model, prepared = _pose(self.estimator, *data)
        check_smooth(model, prepared, "PathIC")
        self._check(model, prepared)
        variance = self._variance(model, prepared, *data)
        grid = _given_grid(self.alphas) if np.ndim(self.alphas) else _grid(prepared, self.alphas, self.eps, "alphas")
        freedom: list = []
        start = prepared.state()
        most = _MOST * criteria.n_observations(prepared)

        def saturated(solution):
            freedom.append(degrees_of_freedom(prepared.problem(grid[len(freedom)]), solution, start))
            return freedom[-1] >= most

        solutions = solve_path(model, prepared, grid, model._told(*data), state=start, enough=saturated)
        if freedom[-1] >= most:
            freedom, solutions = freedom[:-1], solutions[:-1]
        if not solutions:
            raise ValueError(
                f"alphas begins with a model of at least {most:g} degrees of freedom, 80 % of the number of samples; "
                "that is too many for an information criterion."
            )
        path = as_path(model, prepared, grid, solutions)
        self.alphas_, self.coef_path_, self.df_path_ = path.alphas, path.coefs, np.array(freedom)
        k = self._choose(prepared, solutions, variance)
        self.best_index_, self.alpha_ = k, float(path.alphas[k])
        self.best_estimator_ = self._final(model._at(path, k), prepared, solutions[k])
        self._take_attributes(self.best_estimator_)
        return self

    def _check(self, model, prepared):
        """ValueError, naming the parameter, where the criterion or what comes after it does not suit the estimator."""
        if not is_numpy(prepared.xp):
            raise TypeError(f"PathIC takes NumPy and SciPy data; got X of {prepared.xp.__name__}.")
        if self.relaxed:
            check_relaxable(model, prepared, f"relaxed={self.relaxed!r}")
        if self.threshold and self.criterion != "av":
            raise ValueError(f"threshold=True needs criterion='av'; got criterion={self.criterion!r}.")
        if self.criterion == "av" and not (
            isinstance(prepared.penalty, L1) and isinstance(prepared.solver(1.0, 1), ProxNewton)
        ):
            raise ValueError(
                f"criterion='av' needs an L1 penalty of single features; got the penalty {prepared.penalty!r} of "
                f"{type(model).__name__}."
            )
        if self.criterion == "av" and prepared.data.loss.curvature_bound is None:
            raise ValueError(f"criterion='av' needs a loss of bounded curvature; got {prepared.data.loss!r}.")

    def _variance(self, model, prepared, X, y, sample_weight, offset):
        """The variance of the noise, None where each model has its own."""
        loss = prepared.data.loss
        if self.noise_variance is not None:
            return float(self.noise_variance)
        if loss.unit_dispersion:
            return 1.0
        if self.criterion not in {"cp", "sure"}:
            return None
        if not loss.quadratic or prepared.data.y.ndim > 1:
            raise ValueError(f"criterion={self.criterion!r} needs a noise_variance for {type(model).__name__}.")
        pilot = SqrtLasso(fit_intercept=model.fit_intercept).fit(X, y, sample_weight, offset)
        return pilot.scale_**2

    def _choose(self, prepared, solutions, variance):
        """Place of the model chosen; sets `criterion_` and `noise_variance_`."""
        deviance = np.array([criteria.deviance(prepared, solution) for solution in solutions])
        if self.criterion == "av":
            self.criterion_ = criteria.av_ratios(prepared, solutions, self.alphas_)
            k = int(np.flatnonzero(self.criterion_ <= self.av_constant)[-1])
        else:
            rule = criteria.CRITERIA[self.criterion]
            self.criterion_ = rule(criteria.Models(prepared, deviance, self.df_path_, variance, self.ebic_gamma))
            k = int(np.argmin(self.criterion_))
        own = float(deviance[k]) / criteria.n_observations(prepared)
        self.noise_variance_ = own if variance is None else variance
        return k

    def _final(self, model, prepared, solution):
        if self.threshold:
            scale = criteria.av_scale(prepared)
            small = scale * np.abs(solution.coef) < 3.0 * self.av_constant * self.alpha_
            model, solution = without_coordinates(model, prepared, solution, small & (scale > 0))
        return relaxed(model, prepared, solution, self.relaxed)
