"""What the displays share: the reversed axis of alphas, lines with names at their ends, and marks."""

from os.path import commonprefix
from textwrap import fill

import numpy as np
from sklearn.isotonic import isotonic_regression

# Okabe and Ito's colours without yellow, which is too light for lines; past seven lines they come again, dashed.
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]
STYLES = ["-", "--", ":", "-."]
QUIET = "0.8"
LABEL_SHARE = 0.35  # of the width of the axes, at most, for names
LEADER_SHARE = 0.04  # of the width, from the end of a line to its name


def axes_for(ax, caller):
    """The axes given, or those of a new figure; ImportError where matplotlib is missing."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        message = f"{caller} needs matplotlib, which is not installed: pip install 'skreg[plot]'."
        raise ImportError(message) from error
    if ax is None:
        _, ax = plt.subplots(figsize=(8.0, 5.0), layout="constrained")
    return ax


def positive(alphas):
    """Which alphas have a place on a logarithmic axis; ValueError where none has."""
    drawn = alphas > 0
    if not drawn.any():
        raise ValueError("alphas must have a positive entry to be drawn on a logarithmic axis.")
    return drawn


def set_alpha_axis(ax, alphas, share=1.0):
    """A logarithmic axis from the largest alpha on the left to the smallest, which ends at `share` of its width."""
    import matplotlib.ticker as ticker

    others = [other for other in ax.get_shared_x_axes().get_siblings(ax) if hasattr(other, "_skreg_alphas")]
    ends = [other._skreg_alphas for other in others] + [(np.log10(alphas.max()), np.log10(alphas.min()), share)]
    left, right = max(end[0] for end in ends), min(end[1] for end in ends)
    share = min(end[2] for end in ends)
    ax._skreg_alphas = ends[-1]
    width = max(left - right, 0.1)
    ax.set_xscale("log")
    ax.set_xlim(10.0 ** (left + 0.02 * width), 10.0 ** (right - width * max(1 / share - 1, 0.02)))
    ax.set_xlabel(r"$\alpha$")

    class Within(ticker.LogLocator):
        """No ticks where names stand."""

        def tick_values(self, vmin, vmax):
            ticks = super().tick_values(vmin, vmax)
            return ticks[ticks >= 10.0**right * (1 - 1e-9)]

    narrow = width < 1.5  # too few decades to label these only
    ax.xaxis.set_major_locator(Within(subs=(1.0, 2.0, 5.0) if narrow else (1.0,)))
    ax.xaxis.set_minor_locator(Within(subs=tuple(range(2, 10))))
    ax.xaxis.set_minor_formatter(ticker.NullFormatter())
    if narrow:
        ax.xaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:.3g}"))


def mark(ax, alpha, alphas, label, **style):
    """A vertical line at `alpha` with an entry in the legend; None where it is none, or off the axis."""
    if alpha is None or not alphas.min() * (1 - 1e-9) <= alpha <= alphas.max() * (1 + 1e-9):
        return None
    return ax.axvline(alpha, **{"color": "0.35", "lw": 1.2, "ls": "--", "zorder": 1.5, "label": label, **style})


def rank(values, alphas, alpha):
    """Columns that are ever non-zero, the largest at `alpha` first, and among equals the largest at the end."""
    sizes = np.abs(values)
    chosen = sizes[-1] if alpha is None else sizes[np.argmin(np.abs(np.log(alphas) - np.log(alpha)))]
    order = np.lexsort((np.arange(sizes.shape[1]), -sizes[-1], -chosen))
    return order[sizes.any(axis=0)[order]]


def draw_lines(ax, alphas, values, names, alpha, n_labels, line_kw, headroom=0.0):
    """One line a column that is ever non-zero, the first of `rank` coloured and named.

    `headroom` is a share of the height that stays free above them, for a legend.

    Returns the columns drawn, in their order, their lines, and the names' texts.
    """
    order = rank(values, alphas, alpha if alpha is not None and alpha > 0 else None)
    named = order[: room(ax, n_labels, headroom)]
    look = {j: {"color": QUIET, "lw": 0.9, "zorder": 1} for j in order}
    for k, j in enumerate(named):
        colour, style = COLOURS[k % len(COLOURS)], STYLES[k // len(COLOURS) % len(STYLES)]
        look[j] = {"color": colour, "ls": style, "lw": 2.0, "zorder": 2, "label": f"_{names[j]}"}
    if len(alphas) == 1:
        line_kw = {"marker": "o", **(line_kw or {})}
    columns = np.sort(order)
    lines = [ax.plot(alphas, values[:, j], **{**look[j], **(line_kw or {})})[0] for j in columns]
    line_of = dict(zip(columns, lines))
    named_lines = [line_of[j] for j in named]
    texts = _name_ends(ax, alphas, values[-1, named], [names[j] for j in named], named_lines, headroom)
    return columns, lines, texts


def _font_pixels(ax):
    import matplotlib as mpl
    from matplotlib.font_manager import FontProperties

    points = FontProperties(size=mpl.rcParams["legend.fontsize"]).get_size_in_points()
    return points * ax.figure.dpi / 72


def room(ax, n_labels, taken=0.0):
    """How many names fit below each other, where a share of the height is taken."""
    height = (1.0 - taken) * ax.get_window_extent().height
    return min(n_labels, max(1, int(height / (1.4 * _font_pixels(ax)))))


def _name_ends(ax, alphas, ends, names, lines, headroom):
    """Names inside the axes at the right, where the axis of alphas makes room for them, and leaders to the lines."""
    size = _font_pixels(ax) * 72 / ax.figure.dpi
    width, height = ax.get_window_extent().width, ax.get_window_extent().height
    texts = [ax.text(1.0, 0.5, name, transform=ax.transAxes, fontsize=size, color="0.15") for name in names]
    widths = _fit(texts, LABEL_SHARE * width)
    label_share = max(widths, default=0.0) / width
    share = 1.0 - label_share - LEADER_SHARE - 0.03 if texts else 1.0
    set_alpha_axis(ax, alphas, share)
    ax.margins(y=0.06)
    bottom, top = ax.get_ylim()
    ax.set_ylim(bottom, bottom + (top - bottom) / (1.0 - headroom))
    least = 1.3 * _font_pixels(ax) / height * (top - bottom) / (1.0 - headroom)
    order = np.argsort(-ends, kind="stable")
    heights = np.empty(len(ends))
    heights[order] = spread(ends[order], least, bottom + least / 2, top - least / 2)
    place = 0.99 - label_share
    for text, line, end, y in zip(texts, lines, ends, heights):
        text.set(x=place, y=y, transform=ax.get_yaxis_transform(), va="center")
        look = {"color": line.get_color(), "ls": line.get_linestyle(), "lw": 1.0, "shrinkA": 0, "shrinkB": 2}
        ax.annotate(
            "",
            xy=(place, y),
            xycoords=ax.get_yaxis_transform(),
            xytext=(alphas[-1], end),
            textcoords="data",
            arrowprops={"arrowstyle": "-", **look},
        )
    return texts


def _fit(texts, limit):
    """Shorten texts to a width in pixels, so that different ones stay different; the widths they have."""
    names = [text.get_text() for text in texts]
    widths = [_fit_one(text, name, limit) for text, name in zip(texts, names)]
    for shared_start in (False, True):
        short = [text.get_text() for text in texts]
        for same in {form for form in short if short.count(form) > 1}:
            which = [k for k, form in enumerate(short) if form == same]
            for k, core in zip(which, _differing([names[k] for k in which], shared_start)):
                widths[k] = _fit_one(texts[k], core, limit)
    return widths


def _fit_one(text, name, limit):
    """Set a text to `name`, shortened in the middle where it is too wide; its width."""
    text.set_text(name)
    width = text.get_window_extent().width
    keep = len(name)
    while width > limit and keep > 2:
        keep = max(2, min(keep - 1, int(keep * limit / width)))
        text.set_text(f"{name[: keep - keep // 2]}…{name[-(keep // 2) :]}")
        width = text.get_window_extent().width
    return width


def _differing(names, start_too):
    """The names without what all end with, and without what all start with where `start_too`."""
    if len(set(names)) == 1:
        return names
    start = len(commonprefix(names)) if start_too else 0
    ends = [name[start:][::-1] for name in names]
    end = len(commonprefix(ends))
    return [("…" if start else "") + name[start : len(name) - end] + ("…" if end else "") for name in names]


def bars(ax, values, names, free=0.0, **bar_kw):
    """Horizontal bars, the first at the top, with their names inside the axes; a share `free` of the height is below.

    Inside they are neither cut off nor in the way of a neighbour, whatever lays out the figure.
    """
    places = np.arange(len(values))
    drawn = ax.barh(places, values, **{"height": 0.7, **bar_kw})
    rows = max(len(places), 1) + 0.2
    ax.set_ylim(rows / (1.0 - free) - 0.6, -0.6)
    ax.set_yticks(places, names)
    ax.tick_params(axis="y", length=0, labelsize=_font_pixels(ax) * 72 / ax.figure.dpi)
    labels, width = ax.get_yticklabels(), ax.get_window_extent().width
    share = max(_fit(labels, LABEL_SHARE * width), default=0.0) / width + 0.03
    ax.set_yticks(places, [label.get_text() for label in labels])
    right = max(values, default=0.0) * 1.04 or 1.0
    ax.set_xlim(-share / (1.0 - share) * right, right)
    ax.set_xticks([tick for tick in ax.get_xticks() if 0 <= tick <= right])
    ax.spines["left"].set_position(("data", 0.0))
    return drawn


def count_shown(ax, n_nonzero, n_all, n_shown, what):
    """Say above the axes how many there are, and how many of these are drawn."""
    largest = f", the largest {n_shown} shown" if n_shown < n_nonzero else ""
    ax.set_title(f"{n_nonzero} of {n_all} {what}{largest}", fontsize="medium", loc="left")


def spread(heights, least, bottom, top):
    """The nearest heights, in least squares, that are `least` apart; they come in decreasing order."""
    steps = least * np.arange(len(heights))
    if not len(heights):
        return heights
    low = min(bottom + steps[-1], top)
    return isotonic_regression(heights + steps, y_min=low, y_max=top, increasing=False) - steps


def legend(ax, **where):
    """A legend for what has a name, in as many lines as the width of the axes asks for.

    Returns the share of the axes' height that it takes.
    """
    if not ax.get_legend_handles_labels()[0]:
        return 0.0
    drawn = ax.legend(**{"frameon": True, "framealpha": 0.85, "edgecolor": "none", **where})
    frame = ax.get_window_extent()
    labels = [text.get_text() for text in drawn.get_texts()]
    for share in (0.7, 0.5, 0.35, 0.25):
        if drawn.get_window_extent().width <= frame.width:
            break
        for text, label in zip(drawn.get_texts(), labels):
            text.set_text(fill(label, int(share * max(map(len, labels))), break_long_words=False))
    return min(drawn.get_window_extent().height / frame.height + 0.03, 0.5)
