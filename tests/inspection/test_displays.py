"""Pictures show the values that they are given, at the right place, within the axes."""

import subprocess
import sys

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from sklearn import linear_model
from sklearn.datasets import load_diabetes, load_iris, make_regression
from sklearn.exceptions import NotFittedError

from skreg import GroupLasso, GroupLassoCV, Lasso, LassoCV, PathCV, SparseClassifier, StabilitySelection
from skreg.inspection import CVDisplay, GroupDisplay, PathDisplay, StabilityDisplay
from skreg.inspection._draw import spread
from skreg.model_selection import regularization_path

mpl.use("Agg")

X, Y = load_diabetes(return_X_y=True, as_frame=True)
GROUPS = {"person": ["age", "sex"], "body": ["bmi", "bp"], "serum": ["s1", "s2", "s3", "s4", "s5", "s6"]}


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def search():
    return LassoCV(alphas=30, selection="1se").fit(X, Y)


def texts(display):
    return [text.get_text() for text in display.texts_]


# ---------------------------------------------------------------- paths
def test_lines_are_the_path():
    path = regularization_path(Lasso(), X, Y, alphas=20)
    display = PathDisplay.from_path(path)
    assert len(display.lines_) == len(display.drawn_) == np.count_nonzero(path.coefs.any(axis=0))
    for j, line in zip(display.drawn_, display.lines_):
        np.testing.assert_array_equal(line.get_xdata(), path.alphas)
        np.testing.assert_array_equal(line.get_ydata(), path.coefs[:, j])
    left, right = display.ax_.get_xlim()
    assert display.ax_.get_xscale() == "log"
    assert left > path.alphas[0] > path.alphas[-1] > right
    assert display.mark_ is None
    assert display.figure_ is display.ax_.figure


def test_an_estimator_and_its_path_give_the_same_picture():
    path = regularization_path(Lasso(), X, Y, alphas=20, eps=0.01)
    display = PathDisplay.from_estimator(Lasso(alpha=0.3), X, Y, alphas=20, eps=0.01)
    np.testing.assert_array_equal(display.coefs, path.coefs)
    assert set(display.mark_.get_xdata()) == {0.3}


def test_a_search_is_drawn_from_its_own_path(search):
    display = PathDisplay.from_estimator(search)
    np.testing.assert_array_equal(display.coefs, search.coef_path_)
    assert set(display.mark_.get_xdata()) == {search.alpha_}
    chosen = np.flatnonzero(search.coef_)
    largest = chosen[np.argmax(np.abs(search.coef_[chosen]))]
    assert texts(display)[0] == X.columns[largest]
    assert set(X.columns[chosen]) == set(texts(display)[: len(chosen)])


def test_a_search_without_refit_needs_data():
    unfinished = PathCV(Lasso(), alphas=10, refit=False, param_grid={"fit_intercept": [True]}).fit(X, Y)
    with pytest.raises(ValueError, match="X and y"):
        PathDisplay.from_estimator(unfinished)
    display = PathDisplay.from_estimator(unfinished, X, Y)
    np.testing.assert_array_equal(display.alphas, unfinished.alphas_)
    assert set(display.mark_.get_xdata()) == {unfinished.alpha_}


def test_an_alpha_off_the_path_is_not_marked():
    assert PathDisplay.from_estimator(Lasso(alpha=1e3), X, Y, alphas=5).mark_ is None


def test_alpha_zero_has_no_place_on_a_logarithmic_axis():
    path = regularization_path(Lasso(), X, Y, alphas=[0.0, 0.1, 1.0])
    display = PathDisplay.from_path(path)
    np.testing.assert_array_equal(display.lines_[0].get_xdata(), [1.0, 0.1])
    with pytest.raises(ValueError, match="positive"):
        PathDisplay.from_path(regularization_path(Lasso(), X, Y, alphas=[0.0]))


def test_a_single_alpha():
    display = PathDisplay.from_path(regularization_path(Lasso(), X, Y, alphas=[0.5]))
    left, right = display.ax_.get_xlim()
    assert left > 0.5 > right
    empty = PathDisplay.from_path(regularization_path(Lasso(), X, Y, alphas=[1e3]))
    assert empty.lines_ == empty.texts_ == []


def test_several_classes():
    flowers, kind = load_iris(return_X_y=True)
    path = regularization_path(SparseClassifier(), flowers, kind, alphas=10, eps=0.1)
    norms, one = PathDisplay.from_path(path), PathDisplay.from_path(path, output=2)
    for j, line in zip(norms.drawn_, norms.lines_):
        np.testing.assert_allclose(line.get_ydata(), np.sqrt((path.coefs[:, :, j] ** 2).sum(axis=1)), rtol=1e-12)
    for j, line in zip(one.drawn_, one.lines_):
        np.testing.assert_array_equal(line.get_ydata(), path.coefs[:, 2, j])


@pytest.mark.parametrize("layout", [None, "constrained"])
@pytest.mark.parametrize("size", [(8, 5), (4, 3), (14, 5)])
def test_a_hundred_features_are_legible(size, layout):
    data, target = make_regression(80, 100, n_informative=20, noise=5.0, random_state=0)
    names = [f"measurement_{j}_with_a_very_long_name" if j % 2 else f"x{j}" for j in range(100)]
    _, (ax, other) = plt.subplots(1, 2, figsize=size, layout=layout)
    display = PathDisplay.from_estimator(Lasso(alpha=1.0), data, target, feature_names=names, ax=ax, alphas=30)
    display.figure_.draw_without_rendering()
    assert 1 <= len(display.texts_) <= 10
    frame = ax.get_window_extent()
    boxes = [text.get_window_extent() for text in display.texts_]
    for box in boxes:
        assert frame.x0 <= box.x0 and box.x1 <= frame.x1 + 1
        assert frame.y0 - 1 <= box.y0 and box.y1 <= frame.y1 + 1
        assert box.x0 > ax.transData.transform((display.alphas[-1], 0.0))[0]
    centres = np.sort([(box.y0 + box.y1) / 2 for box in boxes])
    assert (np.diff(centres) > 0.8 * max(box.height for box in boxes)).all()


def test_spread_keeps_order_distance_and_bounds():
    rng = np.random.default_rng(0)
    for _ in range(50):
        heights = np.sort(rng.uniform(0, 1, 8))[::-1]
        moved = spread(heights, 0.1, 0.0, 1.0)
        assert (-np.diff(moved) >= 0.1 - 1e-12).all()
        assert moved[-1] >= -1e-12 and moved[0] <= 1 + 1e-12
    np.testing.assert_allclose(spread(np.array([0.9, 0.5, 0.1]), 0.1, 0.0, 1.0), [0.9, 0.5, 0.1])


def test_axes_given_are_used_and_lines_styled(search):
    _, ax = plt.subplots()
    display = PathDisplay.from_estimator(search, ax=ax, n_labels=3, line_kw={"lw": 5.0})
    assert display.ax_ is ax
    assert len(display.texts_) == 3
    assert {line.get_linewidth() for line in display.lines_} == {5.0}
    assert display.plot().ax_ is not ax


# ---------------------------------------------------------------- cross-validation
def test_scores_and_their_marks(search):
    display = CVDisplay.from_estimator(search)
    (line,) = display.lines_
    np.testing.assert_array_equal(line.get_xdata(), search.alphas_)
    np.testing.assert_allclose(line.get_ydata(), search.mean_score_, rtol=1e-14)
    error = search.std_score_ / np.sqrt(search.n_splits_ - 1)
    corners = display.band_.get_paths()[0].vertices
    for sign in (-1, 1):
        for point in np.column_stack([search.alphas_, search.mean_score_ + sign * error]):
            assert np.isclose(corners, point, rtol=1e-9).all(axis=1).any()
    assert set(display.marks_["1se"].get_xdata()) == {search.alpha_}
    best = search.alphas_[np.argmax(search.mean_score_)]
    assert set(display.marks_["best"].get_xdata()) == {best}
    assert set(display.marks_) == {"best", "1se"}
    assert f"{np.count_nonzero(search.coef_)} features" in display.marks_["1se"].get_label()


def test_an_alpha_chosen_otherwise_is_marked_too():
    search = PathCV(Lasso(), alphas=10, selection=lambda results: 0, scoring="r2").fit(X, Y)
    display = CVDisplay.from_estimator(search)
    assert set(display.marks_["chosen"].get_xdata()) == {search.alphas_[0]}
    assert display.ax_.get_ylabel().startswith("r2")


def test_the_scores_are_those_of_the_parameters_chosen():
    search = PathCV(Lasso(), alphas=10, param_grid={"fit_intercept": [False, True]}).fit(X, Y)
    assert search.best_params_["fit_intercept"]
    display = CVDisplay.from_estimator(search)
    np.testing.assert_allclose(display.mean_score_, search.mean_score_, rtol=1e-14)


def test_a_single_split_has_no_band():
    rows = np.arange(len(Y))
    display = CVDisplay.from_estimator(LassoCV(alphas=10, cv=[(rows[::2], rows[1::2])]).fit(X, Y))
    assert display.band_ is None
    assert display.alpha_best_ == display.alpha_1se_


# ---------------------------------------------------------------- groups
def test_group_norms_along_a_path():
    model = GroupLasso(groups=GROUPS)
    path = regularization_path(model, X, Y, alphas=10)
    display = GroupDisplay.from_path(path, alpha=path.alphas[4])
    for k, fitted in enumerate(path.models()):
        drawn = [line.get_ydata()[k] for line in display.lines_]
        np.testing.assert_allclose(drawn, fitted.group_norms_[display.drawn_], rtol=1e-12)
    assert set(texts(display)) == set(GROUPS)
    assert set(display.mark_.get_xdata()) == {path.alphas[4]}
    again = GroupDisplay.from_estimator(model, X, Y, alphas=10)
    np.testing.assert_array_equal(again.norms, display.norms)


def test_a_group_search_is_drawn_from_its_own_path():
    search = GroupLassoCV(GROUPS, alphas=10).fit(X, Y)
    display = GroupDisplay.from_estimator(search)
    k = int(np.flatnonzero(search.alphas_ == search.alpha_)[0])
    np.testing.assert_allclose(display.norms[k], search.group_norms_, rtol=1e-12)
    assert set(display.mark_.get_xdata()) == {search.alpha_}


def test_bars_of_one_model():
    model = GroupLasso(groups=GROUPS, alpha=0.3).fit(X, Y)
    display = GroupDisplay.from_estimator(model)
    widths = [bar.get_width() for bar in display.bars_]
    np.testing.assert_array_equal(widths, np.sort(model.group_norms_[model.group_norms_ > 0])[::-1])
    labels = [label.get_text() for label in display.ax_.get_yticklabels()]
    assert labels == [str(model.groups_[g]) for g in display.drawn_]


# ---------------------------------------------------------------- stability selection
@pytest.fixture(scope="module")
def selection():
    return StabilitySelection(Lasso(), q=4, n_pairs=5, alphas=20, random_state=0).fit(X, Y)


def test_selection_frequencies_along_the_path(selection):
    display = StabilityDisplay.from_estimator(selection)
    for j, line in zip(display.drawn_, display.lines_):
        np.testing.assert_array_equal(line.get_xdata(), selection.alphas_)
        np.testing.assert_array_equal(line.get_ydata(), selection.frequency_path_[:, j])
    assert set(display.drawn_) == set(np.flatnonzero(selection.selection_frequencies_))
    assert set(display.threshold_line_.get_ydata()) == {selection.threshold_}
    assert f"{selection.error_bound_:.2g} false" in display.threshold_line_.get_label()
    assert set(texts(display)[: selection.support_.sum()]) == set(selection.get_feature_names_out())


def test_selection_frequencies_as_bars(selection):
    display = StabilityDisplay.from_estimator(selection, kind="bars")
    widths = np.array([bar.get_width() for bar in display.bars_])
    np.testing.assert_array_equal(widths, selection.selection_frequencies_[display.drawn_])
    assert (np.diff(widths) <= 0).all()
    colours = {bar.get_facecolor() for bar in display.bars_ if bar.get_width() >= selection.threshold_}
    assert len(colours) == 1 and colours.isdisjoint(
        bar.get_facecolor() for bar in display.bars_ if bar.get_width() < selection.threshold_
    )
    labels = [label.get_text() for label in display.ax_.get_yticklabels()]
    assert labels == X.columns[display.drawn_].tolist()
    assert set(display.threshold_line_.get_xdata()) == {selection.threshold_}


def test_groups_selected_are_drawn_as_such():
    selection = StabilitySelection(GroupLasso(groups=GROUPS), q=2, n_pairs=3, alphas=10, random_state=0).fit(X, Y)
    display = StabilityDisplay.from_estimator(selection)
    assert set(texts(display)) <= set(GROUPS)
    np.testing.assert_array_equal(display.frequencies[-1], selection.group_frequencies_)


# ---------------------------------------------------------------- legibility
@pytest.mark.parametrize("layout", [None, "constrained"])
@pytest.mark.parametrize("size", [(8, 5), (4, 3), (14, 5)])
def test_bars_legends_and_names_keep_out_of_each_others_way(size, layout):
    rng = np.random.default_rng(0)
    frequencies = np.sort(rng.uniform(0, 1, (3, 100)), axis=0)
    frequencies[-1, :20] = 1.0
    names = [f"measurement_number_{j}_with_a_very_long_name_indeed" for j in range(100)]
    known = dict(alphas=np.array([1.0, 0.5, 0.2]), threshold=0.75, error_bound=1.2, feature_names=names)
    figure, (bars, path) = plt.subplots(1, 2, figsize=size, layout=layout)
    shown = StabilityDisplay(frequencies, **known).plot(bars, kind="bars")
    lines = StabilityDisplay(frequencies, **known).plot(path)
    figure.draw_without_rendering()
    labels = shown.ax_.get_yticklabels()
    for ax, written in ((bars, labels), (path, lines.texts_)):
        frame, legend = ax.get_window_extent(), ax.get_legend().get_window_extent()
        assert frame.x0 <= legend.x0 and legend.x1 <= frame.x1
        assert len({text.get_text() for text in written}) == len(written)  # shortened, but not to the same
        for text in written:
            box = text.get_window_extent()
            assert frame.x0 - 1 <= box.x0 and box.x1 <= frame.x1 + 1
            assert not legend.overlaps(box)
    assert not any(bars.get_legend().get_window_extent().overlaps(bar.get_window_extent()) for bar in shown.bars_)
    top = path.get_legend().get_window_extent().y0
    assert all(path.transData.transform((1.0, line.get_ydata().max()))[1] <= top for line in lines.lines_)


# ---------------------------------------------------------------- errors
def test_errors():
    with pytest.raises(ValueError, match="X and y"):
        PathDisplay.from_estimator(Lasso())
    with pytest.raises(NotFittedError):
        PathDisplay.from_estimator(LassoCV(), X, Y)
    with pytest.raises(NotFittedError):
        CVDisplay.from_estimator(LassoCV())
    with pytest.raises(NotFittedError):
        GroupDisplay.from_estimator(GroupLasso(groups=GROUPS))
    with pytest.raises(TypeError, match="LinearRegression"):
        PathDisplay.from_estimator(linear_model.LinearRegression(), X, Y)
    with pytest.raises(TypeError, match="LassoCV"):
        PathDisplay.from_estimator(linear_model.LassoCV().fit(X, Y), X, Y)
    with pytest.raises(TypeError, match="named form of it; got LassoCV"):
        CVDisplay.from_estimator(linear_model.LassoCV().fit(X, Y))
    with pytest.raises(TypeError, match="Lasso"):
        CVDisplay.from_estimator(Lasso())
    with pytest.raises(TypeError, match="PathDisplay"):
        GroupDisplay.from_estimator(Lasso(), X, Y)
    with pytest.raises(TypeError, match="StabilitySelection; got Lasso"):
        StabilityDisplay.from_estimator(Lasso())
    with pytest.raises(NotFittedError):
        StabilityDisplay.from_estimator(StabilitySelection(Lasso()))
    with pytest.raises(ValueError, match="kind"):
        StabilityDisplay(np.ones((1, 2)), alphas=np.ones(1)).plot(kind="pie")
    with pytest.raises(ValueError, match="feature_names must have one entry a feature, 10; got 2"):
        PathDisplay.from_estimator(Lasso(), X, Y, feature_names=["a", "b"])


def test_without_matplotlib_the_error_names_the_extra(monkeypatch, search):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    for draw in (
        lambda: PathDisplay.from_estimator(search),
        lambda: CVDisplay.from_estimator(search),
        lambda: PathDisplay(search.alphas_, search.coef_path_).plot(),
        lambda: GroupDisplay(np.ones(2), ["a", "b"]).plot(),
        lambda: StabilityDisplay(np.ones((1, 2)), alphas=np.ones(1)).plot(),
    ):
        with pytest.raises(ImportError, match=r"skreg\[plot\]"):
            draw()


def test_import_does_not_load_matplotlib():
    code = "import skreg.inspection, sys; print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_names_of_an_array_and_of_a_frame():
    array = PathDisplay.from_estimator(Lasso(), X.to_numpy(), Y, alphas=5)
    frame = PathDisplay.from_estimator(Lasso(), pd.DataFrame(X), Y, alphas=5)
    assert texts(array)[0] == f"x{list(X.columns).index(texts(frame)[0])}"
