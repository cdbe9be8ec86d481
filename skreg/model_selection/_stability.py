"""Stability selection: the features that a path takes on most halves of the data."""

from collections.abc import Iterable
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin, _fit_context, is_classifier
from sklearn.feature_selection import SelectorMixin
from sklearn.model_selection import check_cv
from sklearn.utils import check_random_state, get_tags, indexable
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted

from skreg._backend import HasMethods, Interval, StrOptions, get_namespace, is_numpy
from skreg._base import fitted_attributes, unchanged_on_error
from skreg.model_selection import _halves as halves
from skreg.model_selection import _stability_bounds as bounds
from skreg.model_selection._path import _given_grid, _pose, check_smooth

_THRESHOLD, _PFER = 0.75, 1.0  # where they are not given


class StabilitySelection(SelectorMixin, MetaEstimatorMixin, BaseEstimator):
    r"""Select features that enter the path early on most halves of the data.

    The rows are split at random into two halves, `n_pairs` times. On each half a regularisation path is followed
    until q features have entered, :math:`\hat S(A)`. The selection frequency of feature j over the 2B halves, and the
    features selected, are

    .. math::
        \hat \Pi_j = \frac{1}{2B} \sum_{b=1}^{B} \left( 1\{j \in \hat S(A_{2b-1})\} + 1\{j \in \hat S(A_{2b})\} \right),
        \qquad \hat S = \{ j : \hat \Pi_j \ge \tau \} .

    The expected number V of false selections has a bound, without assumptions on the data or on how well a half
    selects, if false is what a half selects with probability q / p at most: :math:`E V \le q^2 / ((2\tau - 1) p)`.

    Parameters
    ----------
    estimator : object
        A skreg estimator; its own alpha is not used. One that takes groups of features as wholes (`GroupLasso`) selects
        groups, and q and p count these. Features without penalty are always selected, and not counted.
    alphas : int or array-like, default=100
        Alphas from the one that empties the model of the whole data down to `eps` times it; or the alphas themselves.
        Given alphas without `q` and `pfer` are solved to the end, and a half selects what enters at any of them.
    eps : float, default=1e-3
        Smallest over largest alpha of a grid made here.
    q : int, default=None
        Number of features to select on each half. None takes the largest that `pfer` and `threshold` allow.
    threshold : float, default=None
        Least selection frequency :math:`\tau` of a feature that is selected, above 1/2. None means 0.75; or, where `q`
        and `pfer` are given, the smallest that they allow.
    pfer : float, default=None
        Largest bound of the expected number of false selections, the per-family error rate. None means 1 where `q` is
        not given. At most two of `q`, `threshold` and `pfer` can be given.
    bound : {"worst_case", "unimodal", "r_concave"}, default="unimodal"
        The bound to go by. "worst_case" assumes nothing. "unimodal" assumes that the shares of pairs both of whose
        halves select a feature have unimodal distributions; "r_concave" more than that, and is the smallest.
    n_pairs : int, default=50
        Number B of pairs of halves to draw.
    cv : cross-validation generator or iterable, default=None
        Gives the pairs in place of random ones: training and test rows are the two halves. For data whose rows depend
        on each other, such as ``GroupShuffleSplit(50, test_size=0.5)``. None draws `n_pairs` at random.
    random_state : int, RandomState instance or None, default=None
        Draws the halves.
    n_jobs : int, default=None
        Halves solved at a time, by joblib.

    Attributes
    ----------
    selection_frequencies_ : ndarray of shape (n_features,)
        Share of the halves that select the feature.
    support_ : ndarray of bool of shape (n_features,)
        Features selected.
    frequency_path_ : ndarray of shape (n_alphas, n_features)
        Share of the halves on which the feature entered at the alpha or above.
    alphas_ : ndarray of shape (n_alphas,)
        Those alphas, decreasing, from the largest to the smallest that any half was solved at.
    q_ : int or float
        Number of features to select on a half; the mean number where given alphas were solved to the end.
    threshold_ : float
        Least selection frequency of a selected feature: a multiple of 1 / (2 B).
    error_bound_ : float
        Bound of the expected number of false selections.
    error_bounds_ : dict of str to float
        This bound for each value of `bound`.
    group_frequencies_ : ndarray of shape (n_groups,)
        Share of the halves that select the group; where groups are selected. A feature in several has the largest.
    group_frequency_path_ : ndarray of shape (n_alphas, n_groups)
        Share of the halves on which the group entered at the alpha or above.
    groups_, group_columns_ : ndarray of str, list of ndarray
        Names and columns of the groups, where the estimator has groups.
    n_features_in_ : int
        Number of features seen in `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X has string column names.

    See Also
    --------
    PathCV : Chooses alpha for prediction.
    skreg.inspection.StabilityDisplay : Draws the frequencies.

    Notes
    -----
    If more than q features enter at the same alpha, those with the largest coefficients in units of their standard
    deviations count first.

    Classifiers have their share of every class in both halves. Rows of weight 0 are left out before the rows are split.

    For the squared loss on tall dense data, from 1280 rows and four rows a feature on, the rows are split at random
    into 32 chunks, once, and each half is made of 16 chunks, whose moments are summed. The bounds hold for these
    halves too, which are drawn without a look at the data and have no row in common with the other of the pair.

    References
    ----------
    .. [1] N. Meinshausen, P. Bühlmann (2010). Stability selection. Journal of the Royal Statistical Society B 72(4).
    .. [2] R. D. Shah, R. J. Samworth (2013). Variable selection with error control: another look at stability
       selection. Journal of the Royal Statistical Society B 75(1).

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skreg import Lasso, StabilitySelection
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> selection = StabilitySelection(Lasso(), random_state=0).fit(X, y)
    >>> selection.q_, selection.get_feature_names_out().tolist()
    (3, ['bmi', 's5'])
    >>> round(selection.error_bound_, 2)
    0.92
    """

    _parameter_constraints = {
        "estimator": "no_validation",
        "alphas": [Interval(Integral, 1, None, closed="left"), "array-like"],
        "eps": [Interval(Real, 0, 1, closed="neither")],
        "q": [Interval(Integral, 1, None, closed="left"), None],
        "threshold": [Interval(Real, 0.5, 1, closed="right"), None],
        "pfer": [Interval(Real, 0, None, closed="neither"), None],
        "bound": [StrOptions(set(bounds.BOUNDS))],
        "n_pairs": [Interval(Integral, 1, None, closed="left")],
        "cv": [HasMethods(["split"]), Iterable, None],
        "random_state": ["random_state"],
        "n_jobs": [Integral, None],
    }
    _doc_link_module = "skreg"

    def __init__(
        self,
        estimator,
        *,
        alphas=100,
        eps=1e-3,
        q=None,
        threshold=None,
        pfer=None,
        bound="unimodal",
        n_pairs=50,
        cv=None,
        random_state=None,
        n_jobs=None,
    ):
        self.estimator = estimator
        self.alphas = alphas
        self.eps = eps
        self.q = q
        self.threshold = threshold
        self.pfer = pfer
        self.bound = bound
        self.n_pairs = n_pairs
        self.cv = cv
        self.random_state = random_state
        self.n_jobs = n_jobs

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, sample_weight=None, offset=None, groups=None):
        """Select features.

        Parameters
        ----------
        X : {array-like, sparse matrix, sparse array} of shape (n_samples, n_features)
            Training data.
        y : array-like of shape (n_samples,) or (n_samples, n_tasks)
            Target.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.
        offset : array-like, default=None
            Known part of the linear predictor.
        groups : array-like of shape (n_samples,), default=None
            Groups of samples for splitters such as `GroupShuffleSplit`.

        Returns
        -------
        self : StabilitySelection
            The fitted selector.

        Raises
        ------
        TypeError
            If `estimator` is not a skreg estimator with an alpha.
        ValueError
            If an argument has a wrong shape or value; the message names it.
        """
        with unchanged_on_error(self):
            for name in fitted_attributes(self):
                delattr(self, name)
            xp, _ = get_namespace(X)
            if not is_numpy(xp):
                raise TypeError(f"StabilitySelection takes NumPy and SciPy data; got X of {xp.__name__}.")
            return self._select(X, y, sample_weight, offset, groups)

    def _select(self, X, y, sample_weight, offset, groups):
        model, prepared = _pose(self.estimator, X, y, sample_weight, offset)
        check_smooth(model, prepared, "StabilitySelection")
        units, kept = halves.Units.of(prepared), prepared.data.weight > 0
        pairs = self._given_pairs(X, y, groups, kept)
        self._plan(units, self.n_pairs if pairs is None else len(pairs))
        data, ladder = indexable(X, y, sample_weight, offset), self._ladder(prepared)
        found = self._solve(model, prepared, data, kept, pairs, units, ladder)
        self._count(found, units, ladder)
        known = {"n_features_in_", "feature_names_in_", "groups_", "group_columns_"}
        vars(self).update({name: value for name, value in vars(model).items() if name in known})
        return self

    def _given_pairs(self, X, y, groups, kept):
        """The pairs of halves that `cv` gives, without the rows of weight 0; None where they are drawn."""
        if self.cv is None:
            if np.count_nonzero(kept) < 4:
                n_samples = np.count_nonzero(kept)
                raise ValueError(f"Two halves need at least 4 samples of positive weight; got n_samples = {n_samples}.")
            return None
        pairs = []
        for pair in check_cv(self.cv).split(X, y, groups):
            pair = [np.arange(len(kept))[rows] for rows in pair]
            pair = [rows[kept[rows]] for rows in pair]
            if not all(map(len, pair)) or len(np.intersect1d(*pair)):
                raise ValueError("cv must give pairs of halves with positive weights and without a row in common.")
            pairs.append(pair)
        return pairs

    def _plan(self, units, n_pairs):
        """Set q and the threshold as far as they are known before the halves are solved."""
        bound, p = bounds.BOUNDS[self.bound], int(np.count_nonzero(~units.free))
        if not p:
            raise ValueError("StabilitySelection needs features with a penalty; the estimator penalises none of X's.")
        if None not in (self.q, self.threshold, self.pfer):
            raise ValueError("At most two of q, threshold and pfer can be given; the third follows from them.")
        if self.q is not None and self.q > p:
            raise ValueError(f"q must be at most the number of features (or groups) with a penalty, {p}; got {self.q}.")
        threshold = _THRESHOLD if self.threshold is None else self.threshold
        threshold = bounds.next_frequency(threshold, n_pairs)
        pfer = _PFER if self.pfer is None else self.pfer
        advice = f"With bound={self.bound!r} and n_pairs={n_pairs}, pfer={pfer} cannot be reached "
        self.q_ = self.q
        if self.q is not None and self.pfer is not None:
            threshold = bounds.smallest_threshold(bound, pfer, self.q, p, n_pairs)
            if threshold is None:
                raise ValueError(f"{advice}for q={self.q} of {p} features at any threshold; take a smaller q.")
        elif self.q is None and (self.pfer is not None or np.ndim(self.alphas) == 0):
            self.q_ = bounds.largest_q(bound, pfer, p, threshold, n_pairs)
            if not self.q_:
                least = bound(1, p, threshold, n_pairs)
                raise ValueError(f"{advice}at threshold={threshold}: the bound for q=1 of {p} features is {least:.3g}.")
        self.threshold_ = threshold

    def _ladder(self, prepared):
        if np.ndim(self.alphas):
            return halves.Ladder(_given_grid(self.alphas))
        top, length = float(prepared.strengths(1, 0.5)[0]), int(self.alphas)
        return halves.Ladder(None, top, self.eps ** (1.0 / max(length - 1, 1)), length)

    def _solve(self, model, prepared, data, kept, pairs, units, ladder):
        """What each half selects."""
        rng, rows = check_random_state(self.random_state), np.flatnonzero(kept)
        q = len(units.free) if self.q_ is None else self.q_
        if pairs is None and halves.chunks_apply(model, prepared, units, len(rows)):
            found = halves.select_of_chunks(model, prepared, rng, rows, self.n_pairs, ladder, q, units)
            if found is not None:
                return found
        if pairs is None:
            strata = np.unique(np.asarray(data[1]), return_inverse=True)[1] if is_classifier(model) else None
            pairs = halves.complementary_pairs(rng, rows, strata, self.n_pairs)
        run = delayed(halves.select)
        return Parallel(n_jobs=self.n_jobs)(run(model, data, half, ladder, q, units) for pair in pairs for half in pair)

    def _count(self, found, units, ladder):
        """Set the frequencies, and what follows from them."""
        first, last = min(half.first for half in found), max(half.last for half in found)
        entered = np.array([half.entered for half in found])
        numbers = np.arange(first, last + 1)
        counts = np.array([np.count_nonzero(entered <= k, axis=0) for k in numbers])
        if self.q_ is None:
            self.q_ = np.count_nonzero(entered[:, ~units.free] <= last) / len(found)
        by_feature = units.by_feature(counts)
        self.alphas_ = ladder.alphas(numbers)
        self.frequency_path_ = by_feature / len(found)
        self.selection_frequencies_ = self.frequency_path_[-1].copy()
        if units.are_groups:
            self.group_frequency_path_ = counts / len(found)
            self.group_frequencies_ = self.group_frequency_path_[-1].copy()
        self.support_ = by_feature[-1] >= round(self.threshold_ * len(found))
        setting = self.q_, int(np.count_nonzero(~units.free)), self.threshold_, len(found) // 2
        self.error_bounds_ = {name: float(bound(*setting)) for name, bound in bounds.BOUNDS.items()}
        self.error_bound_ = self.error_bounds_[self.bound]

    def _get_support_mask(self):
        check_is_fitted(self)
        return self.support_

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        tags.target_tags = inner.target_tags
        tags.input_tags.sparse = inner.input_tags.sparse
        return tags
