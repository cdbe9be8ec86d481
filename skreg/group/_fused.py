"""The fused Lasso: regression whose coefficients are piecewise constant along a chain or over a graph."""

from numbers import Real

import numpy as np
from sklearn.base import _fit_context

from skreg._backend import Interval, StrOptions
from skreg._faces import REGRESSION
from skreg.group._structured import StructuredRegressor, structured_constraints
from skreg.losses import Loss
from skreg.penalties import Fused


class FusedLasso(StructuredRegressor):
    r"""Linear regression with equal coefficients for most neighbouring features.

    Minimises over the coefficients :math:`w` and the intercept :math:`b`

    .. math::
        \frac{1}{\sum_i s_i} \sum_i s_i \, \ell(y_i, x_i^\top w + b + o_i)
        + \alpha \Big( (1 - \rho) \sum_{(j, k) \in E} |w_j - w_k| + \rho \|w\|_1 \Big), \qquad
        \rho = \texttt{l1\_ratio}

    with sample weights :math:`s_i` and offsets :math:`o_i`.

    Parameters
    ----------
    alpha : float, default=1.0
        Strength of the penalty.
    l1_ratio : float, default=0.0
        Share of the L1 norm, from 0 (differences alone, which leave the mean of each connected set of features
        unpenalised) to 1 (Lasso).
    edges : "chain" or array-like of shape (n_edges, 2), default="chain"
        The pairs of neighbours, by the indices or names of their columns. "chain" stands for columns in their order,
        such as time points or wavelengths. Pairs that are given twice count twice.
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
    Lasso : No neighbours.
    SlopeRegressor : Equal coefficients of any features.
    skreg.model_selection.regularization_path : Solutions for a grid of alphas.

    Notes
    -----
    Solved by proximal Newton steps whose subproblems a semismooth Newton method solves over the sets of equal
    coefficients [2]_. The proximal operator is exact: dynamic programming on a chain, minimum cuts on other graphs.

    References
    ----------
    .. [1] R. Tibshirani, M. Saunders, S. Rosset, J. Zhu, K. Knight (2005), Sparsity and smoothness via the fused lasso.
       Journal of the Royal Statistical Society B 67(1), 91-108.
    .. [2] X. Li, D. Sun, K.-C. Toh (2018), On efficiently solving the subproblems of a level-set method for fused lasso
       problems. SIAM Journal on Optimization 28(2), 1842-1866.

    Examples
    --------
    Denoise a signal with one jump: each sample has a coefficient of its own.

    >>> import numpy as np
    >>> from skreg import FusedLasso
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat([0.0, 3.0], 20) + 0.3 * rng.standard_normal(40)
    >>> model = FusedLasso(alpha=0.2, fit_intercept=False).fit(np.eye(40), y)
    >>> np.flatnonzero(np.diff(model.coef_))
    array([19])
    """

    _parameter_constraints = structured_constraints(
        l1_ratio=[Interval(Real, 0, 1, closed="both")],
        edges=[StrOptions({"chain"}), "array-like"],
        loss=[StrOptions(REGRESSION), Loss],
    )

    def __init__(
        self,
        alpha=1.0,
        *,
        l1_ratio=0.0,
        edges="chain",
        loss="squared",
        fit_intercept=True,
        standardize=False,
        max_iter=200,
        tol=1e-6,
        warm_start=False,
    ):
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.edges = edges
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
        self : FusedLasso
            The fitted model.

        Raises
        ------
        ValueError
            If an argument has a wrong shape or value; the message names it.
        """
        return self._fit(X, y, sample_weight, offset)

    def _structure(self, X, weight):
        return _indexed(self.edges, getattr(self, "feature_names_in_", None))

    def _penalty_for(self, structure, n_outputs):
        return Fused(structure, self.l1_ratio)


def _indexed(edges, names):
    """The edges, with indices in place of the names of columns; the penalty checks the rest."""
    if isinstance(edges, str) or getattr(getattr(edges, "dtype", None), "kind", "O") in "iuf":
        return edges
    try:
        pairs = np.asarray(edges, dtype=object)
    except ValueError:  # of unequal lengths
        return edges
    place = {} if names is None else {str(name): j for j, name in enumerate(names)}
    named = [index for index, column in np.ndenumerate(pairs) if isinstance(column, str)]
    for index in named:
        if pairs[index] not in place:
            why = "which X does not have" if place else "but X has no column names; pass a data frame"
            raise ValueError(f"edges names the column {str(pairs[index])!r} in row {index[0]}, {why}.")
    return [[place.get(column, column) for column in pair] for pair in pairs] if named else edges
