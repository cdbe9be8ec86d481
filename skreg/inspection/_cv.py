"""Scores by cross-validation along a path."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skreg._backend import to_numpy
from skreg.inspection import _draw as draw


class CVDisplay:
    """Mean score over folds along a path with a band of one standard error, against alpha.

    Use `from_estimator` to make one. Marked are the alpha of the best mean score, the largest alpha whose mean score is
    within one standard error of it (the one-standard-error rule), and the chosen alpha where it is neither.

    Parameters
    ----------
    alphas : ndarray of shape (n_alphas,)
        Strengths of the penalty, decreasing.
    scores : ndarray of shape (n_splits, n_alphas)
        Scores of the folds; larger is better.
    alpha : float, default=None
        The alpha chosen.
    n_nonzero : ndarray of int of shape (n_alphas,), default=None
        Numbers of features with a non-zero coefficient, for the legend.
    score_name : str, default="score"
        What the scores are.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes of the picture.
    figure_ : matplotlib Figure
        The figure.
    lines_ : list of matplotlib Line2D
        The curve of mean scores.
    band_ : matplotlib PolyCollection or None
        The band; None with a single fold.
    marks_ : dict of str to matplotlib Line2D
        The marks: ``"best"``, ``"1se"`` and, where it is neither, ``"chosen"``.
    mean_score_, standard_error_ : ndarray of shape (n_alphas,)
        What is drawn.
    alpha_best_, alpha_1se_ : float
        Where the marks stand.

    See Also
    --------
    skreg.PathCV : The search.
    PathDisplay : Coefficients along a path.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skreg import LassoCV
    >>> from skreg.inspection import CVDisplay
    >>> X, y = load_diabetes(return_X_y=True)
    >>> display = CVDisplay.from_estimator(LassoCV(alphas=50).fit(X, y))
    >>> display.alpha_best_ < display.alpha_1se_
    True
    """

    def __init__(self, alphas, scores, *, alpha=None, n_nonzero=None, score_name="score"):
        self.alphas = alphas
        self.scores = scores
        self.alpha = alpha
        self.n_nonzero = n_nonzero
        self.score_name = score_name

    @classmethod
    def from_estimator(cls, estimator, *, ax=None, **plot_params):
        """Draw the scores of a fitted search, for the further parameters that it chose.

        Parameters
        ----------
        estimator : PathCV
            A fitted search.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        **plot_params : dict
            Further arguments of `plot`.

        Returns
        -------
        display : CVDisplay
            The picture.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        NotFittedError
            If the search is not fitted.
        TypeError
            If `estimator` is not a search along paths.
        """
        caller = f"{cls.__name__}.from_estimator"
        ax = draw.axes_for(ax, caller)
        if not (all(hasattr(estimator, name) for name in ("alphas", "cv", "estimator"))):
            raise TypeError(f"{caller} takes a fitted PathCV or a named form of it; got {type(estimator).__name__}.")
        check_is_fitted(estimator, ["cv_results_", "alphas_"])
        n_alphas, results = len(estimator.alphas_), estimator.cv_results_
        start = estimator.best_index_ // n_alphas * n_alphas
        splits = [results[f"split{k}_test_score"] for k in range(estimator.n_splits_)]
        scores = np.array(splits)[:, start : start + n_alphas]
        n_nonzero = None
        if hasattr(estimator, "coef_path_"):
            used = to_numpy(estimator.coef_path_) != 0
            n_nonzero = np.count_nonzero(used if used.ndim == 2 else used.any(axis=1), axis=1)
        name = "minus mean deviance" if estimator.scoring is None else str(estimator.scoring).replace("_", " ")
        name = "score" if callable(estimator.scoring) else name
        display = cls(estimator.alphas_, scores, alpha=estimator.alpha_, n_nonzero=n_nonzero, score_name=name)
        return display.plot(ax, **plot_params)

    def plot(self, ax=None, *, line_kw=None, band_kw=None):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        line_kw, band_kw : dict, default=None
            Keywords of `Axes.plot` for the curve, and of `Axes.fill_between` for the band.

        Returns
        -------
        display : CVDisplay
            Self.
        """
        self.ax_ = ax = draw.axes_for(ax, f"{type(self).__name__}.plot")
        self.figure_ = ax.figure
        n_splits = len(self.scores)
        self.mean_score_ = mean = self.scores.mean(axis=0)
        error = self.scores.std(axis=0, ddof=1) / np.sqrt(n_splits) if n_splits > 1 else np.zeros(len(mean))
        self.standard_error_ = error
        best = int(np.argmax(mean))
        sparser = int(np.flatnonzero(mean >= mean[best] - error[best])[0])
        self.alpha_best_, self.alpha_1se_ = float(self.alphas[best]), float(self.alphas[sparser])

        shown = draw.positive(self.alphas)
        alphas = self.alphas[shown]
        style = {"color": draw.COLOURS[0], "lw": 2.0, **(line_kw or {})}
        self.lines_ = ax.plot(alphas, mean[shown], **style)
        self.band_ = None
        if n_splits > 1:
            look = {"color": self.lines_[0].get_color(), "alpha": 0.2, "lw": 0, "label": "one standard error"}
            ends = (mean - error)[shown], (mean + error)[shown]
            self.band_ = ax.fill_between(alphas, *ends, **{**look, **(band_kw or {})})
        draw.set_alpha_axis(ax, alphas)
        marks = {
            "best": (best, "best", {"ls": ":", "color": "black", "lw": 1.6}),
            "1se": (sparser, "1-SE rule", {"ls": "--", "color": draw.COLOURS[1], "lw": 1.6}),
        }
        if self.alpha is not None and self.alpha not in (self.alpha_best_, self.alpha_1se_):
            chosen = int(np.argmin(np.abs(self.alphas - self.alpha)))
            marks["chosen"] = (chosen, "chosen", {"ls": "-.", "color": draw.COLOURS[2], "lw": 1.6})
        drawn = {name: self._mark(alphas, *which) for name, which in marks.items()}
        self.marks_ = {name: line for name, line in drawn.items() if line is not None}
        ax.set_ylabel(f"{self.score_name} ({n_splits} folds)" if n_splits > 1 else self.score_name)
        draw.legend(ax, loc="best")
        return self

    def _mark(self, alphas, k, label, style):
        size = ""
        if self.n_nonzero is not None:
            size = ", 1 feature" if self.n_nonzero[k] == 1 else f", {self.n_nonzero[k]} features"
        return draw.mark(self.ax_, self.alphas[k], alphas, rf"{label}: $\alpha$ = {self.alphas[k]:.3g}{size}", **style)
