"""Stability selection counts what halves of the data select, and its bounds hold."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from scipy.optimize import linprog
from sklearn import linear_model
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.model_selection import GroupShuffleSplit
from sklearn.pipeline import make_pipeline

import skreg
from skreg import GroupLasso, Lasso, SparseClassifier, StabilitySelection
from skreg.model_selection import _halves as halves
from skreg.model_selection import _stability_bounds as bounds
from skreg.model_selection._path import _pose
from tests._instances import make_data

X, Y = load_diabetes(return_X_y=True, as_frame=True)


def random_pairs(n_samples, n_pairs, seed=0):
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(n_samples) for _ in range(n_pairs)]
    return [(order[: n_samples // 2], order[n_samples // 2 : 2 * (n_samples // 2)]) for order in orders]


# ---------------------------------------------------------------- what is counted
def test_frequencies_are_those_of_scikit_learns_lars():
    """The first q features that least-angle regression lets in, on the same halves."""
    pairs, q, counts = random_pairs(len(Y), 10), 4, np.zeros(10)
    for half in (rows for pair in pairs for rows in pair):
        part, target = X.to_numpy()[half], Y.to_numpy()[half]
        coefs = linear_model.lars_path(part - part.mean(axis=0), target - target.mean(), method="lasso")[2]
        ever = [j for j in np.argsort([np.flatnonzero(row)[0] if row.any() else 99 for row in coefs], kind="stable")]
        counts[ever[:q]] += 1
    ours = StabilitySelection(Lasso(), q=q, alphas=150, eps=0.05, cv=pairs).fit(X, Y)
    np.testing.assert_array_equal(ours.selection_frequencies_, counts / 20)
    assert 0 < counts[counts < 20].max()  # something is left to chance
    assert ours.get_support().tolist() == (counts / 20 >= 0.75).tolist()


def test_given_alphas_are_solved_to_the_end():
    """As by scikit-learn's Lasso: a half selects what is not zero at any of the alphas."""
    data, target = make_data(Lasso(), n_samples=60)
    pairs, alphas = random_pairs(60, 10), [0.3, 0.1, 0.05]
    entered = np.zeros((3, 8))
    for half in (rows for pair in pairs for rows in pair):
        used = np.zeros(8, dtype=bool)
        for k, alpha in enumerate(alphas):
            used |= linear_model.Lasso(alpha=alpha, tol=1e-12).fit(data[half], target[half]).coef_ != 0
            entered[k] += used
    ours = StabilitySelection(Lasso(tol=1e-12), alphas=alphas, cv=pairs).fit(data, target)
    np.testing.assert_array_equal(ours.alphas_, alphas)
    np.testing.assert_array_equal(ours.frequency_path_, entered / 20)
    assert ours.q_ == entered[-1].sum() / 20
    assert ours.error_bounds_["worst_case"] == min(ours.q_**2 / (0.5 * 8), 8)


def test_a_half_selects_no_more_than_q():
    selection = StabilitySelection(Lasso(), q=3, alphas=5, n_pairs=10, random_state=0).fit(X, Y)
    assert np.isclose(selection.selection_frequencies_.sum(), 3)  # whole grid steps bring in more than one
    path = selection.frequency_path_
    assert (np.diff(path, axis=0) >= 0).all() and not path[0].any()
    np.testing.assert_array_equal(path[-1], selection.selection_frequencies_)
    assert len(selection.alphas_) == len(path) and (np.diff(selection.alphas_) < 0).all()


def test_groups_are_selected_as_wholes():
    groups = {"body": ["bmi", "bp"], "lipids": ["s1", "s2", "s3"]}
    selection = StabilitySelection(GroupLasso(groups=groups), q=3, n_pairs=10, random_state=0).fit(X, Y)
    assert selection.groups_.tolist() == ["age", "sex", "body", "lipids", "s4", "s5", "s6"]
    assert np.isclose(selection.group_frequencies_.sum(), 3)
    for name, frequency, columns in zip(selection.groups_, selection.group_frequencies_, selection.group_columns_):
        assert (selection.selection_frequencies_[columns] == frequency).all(), name
    assert selection.error_bounds_["worst_case"] == 9 / (0.5 * 7)
    assert set(groups["body"]) <= set(selection.get_feature_names_out())


def test_a_feature_of_several_groups_has_the_largest_frequency():
    data, target = make_data(Lasso(), n_samples=60)
    model = GroupLasso(groups=[[0, 1], [1, 2, 3], [4, 5], [6, 7]])
    selection = StabilitySelection(model, q=2, n_pairs=20, random_state=0).fit(data, target)
    first, second = selection.group_frequencies_[:2]
    assert selection.selection_frequencies_[[0, 1, 2]].tolist() == [first, max(first, second), second]


def test_features_without_penalty_are_always_selected_and_not_counted():
    weights = {"age": 0.0, "s2": 0.0}
    selection = StabilitySelection(Lasso(penalty_weights=weights), q=2, n_pairs=10, random_state=0).fit(X, Y)
    frequencies = pd.Series(selection.selection_frequencies_, X.columns)
    assert (frequencies[["age", "s2"]] == 1).all()
    assert np.isclose(frequencies.drop(["age", "s2"]).sum(), 2)
    assert selection.error_bounds_["worst_case"] == 4 / (0.5 * 8)
    with pytest.raises(ValueError, match="features with a penalty"):
        StabilitySelection(Lasso(penalty_weights=np.zeros(10))).fit(X, Y)


def test_a_noise_feature_is_not_selected_and_a_signal_is():
    rng = np.random.default_rng(0)
    data = rng.standard_normal((200, 300))
    target = data[:, :5] @ [1.0, -1.0, 1.0, -1.0, 1.0] + rng.standard_normal(200)
    selection = StabilitySelection(Lasso(), n_pairs=25, random_state=0).fit(data, target)
    assert selection.get_support(indices=True).tolist() == [0, 1, 2, 3, 4]
    assert selection.error_bound_ <= 1


# ---------------------------------------------------------------- halves
def test_halves_are_complementary_and_stratified():
    rng, classes = np.random.RandomState(0), np.repeat([0, 1, 2], [30, 7, 4])
    rows = np.arange(41)
    for one, other in halves.complementary_pairs(rng, rows, classes, 20):
        assert len(one) == len(other) == 20 and not np.intersect1d(one, other).size
        for of_class in range(3):
            assert abs(np.sum(classes[one] == of_class) - np.sum(classes[other] == of_class)) <= 1


@pytest.mark.parametrize(
    "model",
    [
        Lasso(),
        Lasso(standardize=True, positive=True),
        skreg.ElasticNet(l1_ratio=0.7, fit_intercept=False),
        GroupLasso(groups=3),
    ],
    ids=repr,
)
def test_chunks_select_what_their_rows_do(model):
    rng = np.random.default_rng(0)
    data = rng.standard_normal((1400, 12)) * np.linspace(0.5, 3, 12) + 1
    data[:, 3] = data[:, 3] > 3
    data[:, 4] = 5.0
    target, weight = data[:, :3] @ [0.1, -0.1, 0.1] + rng.standard_normal(1400), rng.uniform(0.5, 2, 1400)
    model, prepared = _pose(model, data, target, weight, None)
    units, rows = halves.Units.of(prepared), np.arange(1400)
    ladder = halves.Ladder(None, float(prepared.strengths(1, 0.5)[0]), 0.9, 60)
    assert halves.chunks_apply(model, prepared, units, 1400)
    found = halves.select_of_chunks(model, prepared, np.random.RandomState(1), rows, 3, ladder, 3, units)
    draw = np.random.RandomState(1)
    chunks = draw.permutation(rows)[:1376].reshape(32, 43)
    choices = np.array([draw.permutation(32) < 16 for _ in range(3)])
    for half, chosen in zip(found, np.concatenate([choices, ~choices])):
        again = halves.select(model, (data, target, weight, None), chunks[chosen].ravel(), ladder, 3, units)
        assert half.first == again.first and half.last == again.last
        np.testing.assert_array_equal(half.entered, again.entered)


def test_pairs_may_be_given():
    clinics = np.arange(len(Y)) // 10
    split = GroupShuffleSplit(10, test_size=0.5, random_state=0)
    selection = StabilitySelection(Lasso(), q=3, cv=split).fit(X, Y, groups=clinics)
    given = StabilitySelection(Lasso(), q=3, cv=list(split.split(X, Y, clinics))).fit(X, Y)
    np.testing.assert_array_equal(selection.selection_frequencies_, given.selection_frequencies_)
    assert selection.threshold_ == 0.75 and (selection.selection_frequencies_ * 20 % 1 < 1e-9).all()
    with pytest.raises(ValueError, match="without a row in common"):
        StabilitySelection(Lasso(), cv=[([0, 1, 2, 3], [3, 4, 5])]).fit(X, Y)


def test_weight_zero_is_no_row_and_scale_does_not_matter():
    data, target = make_data(Lasso(), n_samples=60)
    settings = dict(q=3, n_pairs=10, random_state=0)
    plain = StabilitySelection(Lasso(), **settings).fit(data, target)
    more, ignored = np.r_[data, 9 + data[:5]], np.r_[target, target[:5]]
    weight = np.r_[np.full(60, 0.3), np.zeros(5)]
    weighted = StabilitySelection(Lasso(), **settings).fit(more, 1e6 * ignored, sample_weight=weight)
    np.testing.assert_array_equal(weighted.frequency_path_, plain.frequency_path_)
    np.testing.assert_allclose(weighted.alphas_, 1e6 * plain.alphas_, rtol=1e-12)


def test_sparse_data_jobs_and_seeds():
    data, target = load_breast_cancer(return_X_y=True)
    data = (data - data.min(axis=0)) / np.ptp(data, axis=0)
    model, settings = SparseClassifier(), dict(q=6, n_pairs=3, alphas=20)
    plain = StabilitySelection(model, random_state=0, **settings).fit(data, target)
    parallel = StabilitySelection(model, random_state=0, n_jobs=2, **settings).fit(sp.csr_array(data), target)
    np.testing.assert_array_equal(plain.frequency_path_, parallel.frequency_path_)
    other = StabilitySelection(model, random_state=1, **settings).fit(data, target)
    assert (plain.selection_frequencies_ != other.selection_frequencies_).any()


# ---------------------------------------------------------------- bounds
@pytest.mark.parametrize(
    ("p", "q", "threshold", "n_pairs", "published"),
    [(88, 20, 0.8, 50, 3.743316), (9, 2, 0.75, 50, 0.454), (32, 15, 0.97, 100, 0.975)],
)
def test_unimodal_bound_is_that_of_stabs(p, q, threshold, n_pairs, published):
    """Printed by the R package stabs in published analyses, to the digits that it printed."""
    digits = len(str(published).split(".")[1])
    assert round(bounds.unimodal(q, p, threshold, n_pairs), digits) == published


@pytest.mark.parametrize("r", [-0.5, -0.25])
@pytest.mark.parametrize(("mean", "t"), [(0.05, 6), (0.2, 7), (0.3, 8), (0.2, 10)])
def test_no_r_concave_distribution_has_a_larger_tail(mean, t, r):
    rng, i, largest = np.random.default_rng(0), np.arange(11), 0.0
    limit = bounds.largest_tail(mean, t, 10, r)
    for _ in range(4000):  # f^r is convex: a line, and hinges on either side
        kinks, slopes = rng.integers(0, 10, 2), 10.0 ** rng.uniform(-3, 3, 3) * (rng.random(3) < 0.6)
        root = 1 + slopes[0] * i + slopes[1] * np.maximum(i - kinks[0], 0) + slopes[2] * np.maximum(kinks[1] - i, 0)
        f = root ** (1 / r) * (i <= rng.integers(t, 11))
        f /= f.sum()
        if f @ i <= 10 * mean:
            largest = max(largest, f[t:].sum())
    assert largest <= limit * (1 + 1e-9)
    assert largest >= 0.9 * limit  # and it is nearly reached


@pytest.mark.parametrize("theta", [0.1, 0.3])
@pytest.mark.parametrize("threshold", [0.6, 0.75, 0.8, 1.0])
def test_unimodal_bound_is_the_largest_tail_by_linear_programming(threshold, theta):
    """Of a law of the simultaneous frequency on 0, 1/B, ..., 1 that rises to its mode and falls, of mean theta^2."""
    n_pairs, p, unit = 10, 20, np.eye(11)
    places, largest = np.arange(n_pairs + 1.0), 0.0
    beyond = places >= round(n_pairs * (2 * threshold - 1))
    for mode in range(n_pairs + 1):
        steps = [(unit[k] - unit[k + 1]) * (1 if k < mode else -1) for k in range(n_pairs)]
        limits = np.r_[np.zeros(n_pairs), n_pairs * theta**2]
        found = linprog(-beyond.astype(float), np.array([*steps, places]), limits, np.ones((1, n_pairs + 1)), [1.0])
        largest = max(largest, -found.fun if found.success else 0.0)  # a high mode has too high a mean
    np.testing.assert_allclose(bounds.unimodal(p * theta, p, threshold, n_pairs), p * largest, rtol=1e-9)


def test_bounds_are_ordered_and_grow_with_q():
    for threshold in (0.55, 0.75, 0.9, 1.0):
        before = np.zeros(3)
        for q in (1, 3, 10, 30, 90):
            here = np.array([bounds.BOUNDS[name](q, 100, threshold, 50) for name in bounds.BOUNDS])
            assert (np.diff(here) <= 1e-12).all() and (here >= before).all() and here[0] <= 100
            before = here


def test_two_of_three_settings_give_the_third():
    fit = lambda **given: StabilitySelection(Lasso(), n_pairs=10, random_state=0, alphas=10, **given).fit(X, Y)
    for name, bound in bounds.BOUNDS.items():
        chosen = fit(pfer=0.8, threshold=0.9, bound=name)
        assert bound(chosen.q_, 10, 0.9, 10) <= 0.8 < bound(chosen.q_ + 1, 10, 0.9, 10)
        assert chosen.error_bound_ == chosen.error_bounds_[name] <= 0.8
        chosen = fit(q=2, pfer=0.5, bound=name)
        assert bound(2, 10, chosen.threshold_, 10) <= 0.5 < bound(2, 10, chosen.threshold_ - 0.05, 10)
    assert fit(q=3, threshold=0.601).threshold_ == 0.65  # the next that a frequency can be


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (dict(q=2, threshold=0.8, pfer=1.0), "At most two"),
        (dict(q=11), "q must be at most the number of features .* 10; got 11"),
        (dict(pfer=1e-3), "pfer=0.001 cannot be reached at threshold=0.75: the bound for q=1 of 10 features"),
        (dict(q=9, pfer=1e-3), "at any threshold"),
        (dict(threshold=0.4), "threshold"),
        (dict(alphas=[-1.0]), "alphas"),
    ],
)
def test_errors(given, message):
    with pytest.raises(ValueError, match=message):
        StabilitySelection(Lasso(), **given).fit(X, Y)


def test_errors_of_data_leave_nothing_behind():
    selection = StabilitySelection(Lasso(), n_pairs=2, random_state=0).fit(X, Y)
    before = dict(vars(selection))
    with pytest.raises(ValueError, match="at least 4 samples"):
        selection.fit(X[:3], Y[:3])
    assert vars(selection) == before
    with pytest.raises(TypeError, match="skreg estimator"):
        StabilitySelection(linear_model.Lasso()).fit(X, Y)


# ---------------------------------------------------------------- scikit-learn
def test_in_a_pipeline_with_names_and_frames():
    selection = StabilitySelection(Lasso(), random_state=0).set_output(transform="pandas")
    model = make_pipeline(selection, linear_model.LinearRegression()).fit(X, Y)
    kept = selection.fit(X, Y).transform(X)
    assert list(kept.columns) == list(selection.get_feature_names_out()) == list(X.columns[selection.get_support()])
    assert model[-1].n_features_in_ == kept.shape[1] > 0
    assert clone(selection).get_params()["estimator__alpha"] == 1.0


# ---------------------------------------------------------------- simulation
def simulate(rho, classify, seed, n_samples=100, p=50, n_signal=5):
    """Features with correlations rho^|i - j|, the signal among them evenly spaced."""
    rng = np.random.default_rng(seed)
    data = rng.standard_normal((n_samples, p))
    for j in range(1, p):
        data[:, j] = rho * data[:, j - 1] + np.sqrt(1 - rho**2) * data[:, j]
    eta = data[:, :: p // n_signal] @ np.resize([1.0, -1.0], n_signal)
    if classify:
        return data, (eta + rng.logistic(size=n_samples) > 0).astype(int)
    return data, eta + 2.0 * rng.standard_normal(n_samples)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "rho", "q"),
    [
        (Lasso(tol=1e-4), 0.0, 5),
        (Lasso(tol=1e-4), 0.0, 10),
        (Lasso(tol=1e-4), 0.7, 5),
        (Lasso(tol=1e-4), 0.7, 10),
        (SparseClassifier(tol=1e-4), 0.7, 10),
    ],
    ids=lambda value: type(value).__name__ if hasattr(value, "fit") else str(value),
)
def test_bounds_hold_in_simulation(model, rho, q):
    """Selected features that a half selects with a probability of q / p at most, on average over data sets.

    Prints a row of the user guide's table for each threshold: those, all features without influence that are selected,
    features with influence that are (of five), and the bounds.
    """
    p, n_pairs, n_sets = 50, 25, 150
    frequencies = np.empty((n_sets, p))
    for seed in range(n_sets):
        fitted = StabilitySelection(model, q=q, n_pairs=n_pairs, alphas=30, eps=0.01, random_state=seed)
        data, target = simulate(rho, isinstance(model, SparseClassifier), seed)
        frequencies[seed] = fitted.fit(data, target).selection_frequencies_
    low, noise = frequencies.mean(axis=0) <= q / p, np.arange(p) % (p // 5) != 0
    for threshold in (0.6, 0.75, 0.9):
        selected = frequencies >= bounds.next_frequency(threshold, n_pairs) - 1e-9
        counts = selected[:, low].sum(axis=1)
        means = counts.mean(), selected[:, noise].sum(axis=1).mean(), selected[:, ~noise].sum(axis=1).mean()
        limits = [bound(q, p, threshold, n_pairs) for bound in bounds.BOUNDS.values()]
        print(type(model).__name__, rho, q, threshold, *(f"{value:.2f}" for value in (*means, *limits)))
        assert counts.mean() <= min(limits) + 3 * counts.std() / np.sqrt(n_sets)
