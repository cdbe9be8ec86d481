"""Coefficients, and norms of groups of them, along a regularisation path."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skreg._backend import to_numpy
from skreg.inspection import _draw as draw
from skreg.inspection._source import groups_of, names_for, path_of


class PathDisplay:
    """Coefficients along a regularisation path, against alpha on a logarithmic axis that falls to the right.

    Use `from_estimator` or `from_path` to make one. The lines of the largest few features have colours and names.

    Parameters
    ----------
    alphas : ndarray of shape (n_alphas,)
        Strengths of the penalty, decreasing.
    coefs : ndarray of shape (n_alphas, n_features) or (n_alphas, n_classes, n_features)
        Coefficients.
    feature_names : array-like of str, default=None
        Names of the features; None means x0, x1, ...
    alpha : float, default=None
        The alpha to mark.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes of the picture.
    figure_ : matplotlib Figure
        The figure.
    lines_ : list of matplotlib Line2D
        One line for each of `drawn_`.
    drawn_ : ndarray of int
        The features that are drawn: those whose coefficient is not zero all along the path.
    texts_ : list of matplotlib Text
        Names at the ends of lines, the largest coefficient first.
    mark_ : matplotlib Line2D or None
        The mark at `alpha`; None where there is none, or it is not within the path.

    See Also
    --------
    GroupDisplay : Norms of groups of coefficients along a path.
    CVDisplay : Scores by cross-validation along a path.
    skreg.model_selection.regularization_path : The path itself.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skreg import Lasso
    >>> from skreg.inspection import PathDisplay
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> display = PathDisplay.from_estimator(Lasso(alpha=0.5), X, y)
    >>> [text.get_text() for text in display.texts_][:2]
    ['bmi', 's5']
    """

    def __init__(self, alphas, coefs, *, feature_names=None, alpha=None):
        self.alphas = alphas
        self.coefs = coefs
        self.feature_names = feature_names
        self.alpha = alpha

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X=None,
        y=None,
        *,
        alphas=100,
        eps=1e-3,
        sample_weight=None,
        offset=None,
        feature_names=None,
        ax=None,
        **plot_params,
    ):
        """Draw the path of an estimator, or of a fitted search such as `PathCV`, and mark its alpha.

        Parameters
        ----------
        estimator : object
            A skreg estimator with an alpha, fitted or not; or a fitted search.
        X, y : array-like, default=None
            Data to solve the path on, as in `regularization_path`. A search with `refit` holds its path and needs none.
        alphas, eps, sample_weight, offset : object
            As in `regularization_path`; a search gives its own alphas.
        feature_names : array-like of str, default=None
            Names of the features; by default those of X, or else x0, x1, ...
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        **plot_params : dict
            Further arguments of `plot`.

        Returns
        -------
        display : PathDisplay
            The picture.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        NotFittedError
            If a search is not fitted.
        TypeError
            If `estimator` is neither.
        ValueError
            If there is no path and no data to solve it on, or an argument has a wrong shape.
        """
        ax = draw.axes_for(ax, f"{cls.__name__}.from_estimator")
        solve = {"alphas": alphas, "eps": eps, "sample_weight": sample_weight, "offset": offset}
        alphas, coefs, alpha, fitted = path_of(estimator, X, y, f"{cls.__name__}.from_estimator", **solve)
        names = names_for(coefs.shape[-1], feature_names, fitted)
        return cls(alphas, coefs, feature_names=names, alpha=alpha).plot(ax, **plot_params)

    @classmethod
    def from_path(cls, path, feature_names=None, *, alpha=None, ax=None, **plot_params):
        """Draw a path that has been solved.

        Parameters
        ----------
        path : Path
            What `regularization_path` returned.
        feature_names : array-like of str, default=None
            Names of the features; by default those seen when the path was solved, or else x0, x1, ...
        alpha : float, default=None
            The alpha to mark.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        **plot_params : dict
            Further arguments of `plot`.

        Returns
        -------
        display : PathDisplay
            The picture.
        """
        coefs = to_numpy(path.coefs)
        names = names_for(coefs.shape[-1], feature_names, path.estimator)
        return cls(path.alphas, coefs, feature_names=names, alpha=alpha).plot(ax, **plot_params)

    def plot(self, ax=None, *, n_labels=10, output=None, line_kw=None):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        n_labels : int, default=10
            Features to colour and name, the largest at `alpha` first; fewer where the axes are too low for them.
        output : int, default=None
            With several classes, which one's coefficients to draw; None draws each feature's Euclidean norm over them.
        line_kw : dict, default=None
            Keywords of `Axes.plot` for all lines.

        Returns
        -------
        display : PathDisplay
            Self.
        """
        self.ax_ = ax = draw.axes_for(ax, f"{type(self).__name__}.plot")
        self.figure_ = ax.figure
        shown = draw.positive(self.alphas)
        alphas, values, title = self.alphas[shown], self.coefs[shown], "coefficient"
        names = names_for(values.shape[-1], self.feature_names)
        if values.ndim == 3:
            title = "norm of coefficients over classes" if output is None else f"coefficient, class {output}"
            values = np.linalg.norm(values, axis=1) if output is None else values[:, output]
        ax.plot(alphas[[0, -1]], [0.0, 0.0], color="0.6", lw=0.8, zorder=0)
        self.mark_ = draw.mark(ax, self.alpha, alphas, _mark_label(self.alpha))
        headroom = draw.legend(ax, loc="upper left")
        self.drawn_, self.lines_, self.texts_ = draw.draw_lines(
            ax, alphas, values, names, self.alpha, n_labels, line_kw, headroom
        )
        ax.set_ylabel(title)
        return self


class GroupDisplay:
    """Norms of groups of coefficients along a path, or as bars those of one fitted model.

    Use `from_estimator` or `from_path` to make one. Along a path, the lines of the largest few groups have colours and
    names. The norm is the Euclidean one of the coefficients of the group's features, over all classes; bars are
    `group_norms_`, which differs where groups overlap.

    Parameters
    ----------
    norms : ndarray of shape (n_alphas, n_groups) or (n_groups,)
        Norms along a path, or of one model.
    group_names : array-like of str
        Names of the groups.
    alphas : ndarray of shape (n_alphas,), default=None
        Strengths of the penalty, decreasing; None for one model.
    alpha : float, default=None
        The alpha to mark.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes of the picture.
    figure_ : matplotlib Figure
        The figure.
    lines_ : list of matplotlib Line2D
        Along a path, one line for each of `drawn_`.
    bars_ : matplotlib BarContainer
        Of one model, one bar for each of `drawn_`.
    drawn_ : ndarray of int
        The groups that are drawn.
    texts_ : list of matplotlib Text
        Along a path, names at the ends of lines, the largest norm first.
    mark_ : matplotlib Line2D or None
        The mark at `alpha`; None where there is none, or it is not within the path.

    See Also
    --------
    PathDisplay : Coefficients along a path.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skreg import GroupLasso
    >>> from skreg.inspection import GroupDisplay
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> groups = {"person": ["age", "sex", "bmi", "bp"], "serum": ["s1", "s2", "s3", "s4", "s5", "s6"]}
    >>> model = GroupLasso(groups=groups, alpha=0.5).fit(X, y)
    >>> display = GroupDisplay.from_estimator(model)  # bars
    >>> display = GroupDisplay.from_estimator(model, X, y)  # the path
    >>> len(display.lines_)
    2
    """

    def __init__(self, norms, group_names, *, alphas=None, alpha=None):
        self.norms = norms
        self.group_names = group_names
        self.alphas = alphas
        self.alpha = alpha

    @classmethod
    def from_estimator(
        cls, estimator, X=None, y=None, *, alphas=100, eps=1e-3, sample_weight=None, offset=None, ax=None, **plot_params
    ):
        """Draw the path of an estimator or a fitted search, or, without data, the bars of a fitted estimator.

        Parameters
        ----------
        estimator : object
            A skreg estimator with groups and an alpha; or a fitted search over one, such as `GroupLassoCV`.
        X, y : array-like, default=None
            Data to solve the path on; without them a fitted estimator is drawn as bars. A search with `refit` holds its
            path and needs none.
        alphas, eps, sample_weight, offset : object
            As in `regularization_path`; a search gives its own alphas.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        **plot_params : dict
            Further arguments of `plot`.

        Returns
        -------
        display : GroupDisplay
            The picture.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        NotFittedError
            If a search, or an estimator without data, is not fitted.
        TypeError
            If `estimator` has no groups.
        ValueError
            If an argument has a wrong shape.
        """
        caller = f"{cls.__name__}.from_estimator"
        ax = draw.axes_for(ax, caller)
        if X is None and y is None and hasattr(estimator, "_pose"):
            check_is_fitted(estimator)
            names, _ = groups_of(estimator, caller)
            return cls(np.asarray(estimator.group_norms_), names).plot(ax, **plot_params)
        solve = {"alphas": alphas, "eps": eps, "sample_weight": sample_weight, "offset": offset}
        alphas, coefs, alpha, fitted = path_of(estimator, X, y, caller, **solve)
        names, columns = groups_of(fitted, caller)
        return cls(_norms(coefs, columns), names, alphas=alphas, alpha=alpha).plot(ax, **plot_params)

    @classmethod
    def from_path(cls, path, *, alpha=None, ax=None, **plot_params):
        """Draw a path that has been solved.

        Parameters
        ----------
        path : Path
            What `regularization_path` returned for an estimator with groups.
        alpha : float, default=None
            The alpha to mark.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        **plot_params : dict
            Further arguments of `plot`.

        Returns
        -------
        display : GroupDisplay
            The picture.

        Raises
        ------
        TypeError
            If the path's estimator has no groups.
        """
        names, columns = groups_of(path.estimator, f"{cls.__name__}.from_path")
        norms = _norms(to_numpy(path.coefs), columns)
        return cls(norms, names, alphas=path.alphas, alpha=alpha).plot(ax, **plot_params)

    def plot(self, ax=None, *, n_labels=10, n_bars=30, line_kw=None, bar_kw=None):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        n_labels : int, default=10
            Along a path, groups to colour and name, the largest at `alpha` first; fewer where the axes are too low.
        n_bars : int, default=30
            Of one model, bars at most, the largest norm first; fewer where the axes are too low for their names.
        line_kw, bar_kw : dict, default=None
            Keywords of `Axes.plot` for all lines, and of `Axes.barh`.

        Returns
        -------
        display : GroupDisplay
            Self.
        """
        self.ax_ = ax = draw.axes_for(ax, f"{type(self).__name__}.plot")
        self.figure_ = ax.figure
        if self.alphas is None:
            return self._plot_bars(n_bars, bar_kw)
        shown = draw.positive(self.alphas)
        alphas = self.alphas[shown]
        self.mark_ = draw.mark(ax, self.alpha, alphas, _mark_label(self.alpha))
        headroom = draw.legend(ax, loc="upper left")
        self.drawn_, self.lines_, self.texts_ = draw.draw_lines(
            ax, alphas, self.norms[shown], self.group_names, self.alpha, n_labels, line_kw, headroom
        )
        ax.set_ylabel("norm of the group's coefficients")
        return self

    def _plot_bars(self, n_bars, bar_kw):
        ax = self.ax_
        self.drawn_ = draw.rank(self.norms[None], None, None)[: draw.room(ax, n_bars)]
        names = [self.group_names[g] for g in self.drawn_]
        self.bars_ = draw.bars(ax, self.norms[self.drawn_], names, **{"color": draw.COLOURS[0], **(bar_kw or {})})
        ax.set_xlabel("norm of the group's coefficients")
        draw.count_shown(ax, np.count_nonzero(self.norms), len(self.norms), len(names), "groups")
        return self


def _mark_label(alpha):
    return None if alpha is None else rf"$\alpha$ = {alpha:.3g}"


def _norms(coefs, columns):
    """Euclidean norms over groups of features and over classes, along a path."""
    squares = np.square(coefs.astype(np.float64).reshape(len(coefs), -1, coefs.shape[-1])).sum(axis=1)
    return np.sqrt(np.stack([squares[:, members].sum(axis=1) for members in columns], axis=1))
