"""Selection frequencies of stability selection."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skreg.inspection import _draw as draw
from skreg.inspection._source import names_for


class StabilityDisplay:
    """Selection frequencies along the path, against alpha, or as bars at its end, with the threshold.

    Use `from_estimator` to make one. Along the path, the lines of the most frequent few have colours and names.

    Parameters
    ----------
    frequencies : ndarray of shape (n_alphas, n_features)
        Share of the halves on which each feature, or group, entered at the alpha or above.
    alphas : ndarray of shape (n_alphas,)
        Strengths of the penalty, decreasing.
    threshold : float, default=None
        Least frequency of what is selected.
    error_bound : float, default=None
        Bound of the expected number of false selections, for the legend.
    feature_names : array-like of str, default=None
        Names of the features, or groups; x0, x1, ... where not given.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes of the picture.
    figure_ : matplotlib Figure
        The figure.
    lines_ : list of matplotlib Line2D
        Along the path, one line for each of `drawn_`.
    bars_ : matplotlib BarContainer
        As bars, one for each of `drawn_`.
    drawn_ : ndarray of int
        The features that are drawn: those that are ever selected.
    texts_ : list of matplotlib Text
        Along the path, names at the ends of lines, the most frequent first.
    threshold_line_ : matplotlib Line2D or None
        The mark at the threshold.

    See Also
    --------
    skreg.StabilitySelection : The selector.
    PathDisplay : Coefficients along a path.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skreg import Lasso, StabilitySelection
    >>> from skreg.inspection import StabilityDisplay
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> selection = StabilitySelection(Lasso(), n_pairs=10, random_state=0).fit(X, y)
    >>> display = StabilityDisplay.from_estimator(selection)
    >>> display.texts_[0].get_text()
    'bmi'
    """

    def __init__(self, frequencies, *, alphas, threshold=None, error_bound=None, feature_names=None):
        self.frequencies = frequencies
        self.alphas = alphas
        self.threshold = threshold
        self.error_bound = error_bound
        self.feature_names = feature_names

    @classmethod
    def from_estimator(cls, estimator, *, feature_names=None, ax=None, **plot_params):
        """Draw a fitted selector; groups, where it selects these.

        Parameters
        ----------
        estimator : StabilitySelection
            A fitted selector.
        feature_names : array-like of str, default=None
            Names of the features; by default those seen in fit, or else x0, x1, ...
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        **plot_params : dict
            Further arguments of `plot`.

        Returns
        -------
        display : StabilityDisplay
            The picture.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        NotFittedError
            If the selector is not fitted.
        TypeError
            If `estimator` is not a `StabilitySelection`.
        """
        caller = f"{cls.__name__}.from_estimator"
        ax = draw.axes_for(ax, caller)
        if not hasattr(estimator, "pfer"):
            raise TypeError(f"{caller} takes a fitted StabilitySelection; got {type(estimator).__name__}.")
        check_is_fitted(estimator, "selection_frequencies_")
        if hasattr(estimator, "group_frequency_path_"):
            frequencies, names = estimator.group_frequency_path_, [str(name) for name in estimator.groups_]
        else:
            frequencies = estimator.frequency_path_
            names = names_for(frequencies.shape[1], feature_names, estimator)
        known = dict(threshold=estimator.threshold_, error_bound=estimator.error_bound_, feature_names=names)
        return cls(frequencies, alphas=estimator.alphas_, **known).plot(ax, **plot_params)

    def plot(self, ax=None, *, kind="path", n_labels=10, n_bars=30, line_kw=None, bar_kw=None):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        kind : {"path", "bars"}, default="path"
            Lines along the path, or bars of the frequencies at its end.
        n_labels : int, default=10
            Along the path, features to colour and name, the most frequent first; fewer where the axes are too low.
        n_bars : int, default=30
            Bars at most, the most frequent first; fewer where the axes are too low for their names.
        line_kw, bar_kw : dict, default=None
            Keywords of `Axes.plot` for all lines, and of `Axes.barh`.

        Returns
        -------
        display : StabilityDisplay
            Self.

        Raises
        ------
        ValueError
            If `kind` is neither, or `feature_names` does not have one entry a feature.
        """
        if kind not in {"path", "bars"}:
            raise ValueError(f"kind must be 'path' or 'bars'; got {kind!r}.")
        self.ax_ = ax = draw.axes_for(ax, f"{type(self).__name__}.plot")
        self.figure_ = ax.figure
        names = names_for(self.frequencies.shape[1], self.feature_names)
        if kind == "bars":
            return self._plot_bars(names, n_bars, bar_kw)
        shown = draw.positive(self.alphas)
        alphas = self.alphas[shown]
        for end in (0.0, 1.0):
            ax.plot(alphas[[0, -1]], [end, end], color="0.6", lw=0.8, zorder=0)
        self.threshold_line_ = self._mark(lambda value, **look: ax.plot(alphas[[0, -1]], [value, value], **look)[0])
        headroom = draw.legend(ax, loc="upper left")
        self.drawn_, self.lines_, self.texts_ = draw.draw_lines(
            ax, alphas, self.frequencies[shown], names, None, n_labels, line_kw, headroom
        )
        ax.set_yticks(np.linspace(0.0, 1.0, 6))
        ax.set_ylabel("selection frequency")
        return self

    def _plot_bars(self, names, n_bars, bar_kw):
        ax, frequencies = self.ax_, self.frequencies[-1]
        self.threshold_line_ = self._mark(ax.axvline)
        free = draw.legend(ax, loc="lower right")
        self.drawn_ = draw.rank(frequencies[None], None, None)[: draw.room(ax, n_bars, free)]
        threshold = 0.0 if self.threshold is None else self.threshold - 1e-9
        colours = [draw.COLOURS[0] if frequencies[j] >= threshold else draw.QUIET for j in self.drawn_]
        look = {"color": colours, **(bar_kw or {})}
        self.bars_ = draw.bars(ax, frequencies[self.drawn_], names[self.drawn_], free, **look)
        ax.set_xlabel("selection frequency")
        draw.count_shown(ax, np.count_nonzero(frequencies), len(frequencies), len(self.drawn_), "ever selected")
        return self

    def _mark(self, line):
        if self.threshold is None:
            return None
        bound = "" if self.error_bound is None else f": at most {self.error_bound:.2g} false expected"
        label = f"threshold {self.threshold:.3g}{bound}"
        return line(self.threshold, ls="--", color="black", lw=1.2, zorder=1.5, label=label)
