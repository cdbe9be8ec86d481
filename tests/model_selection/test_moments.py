"""Folds from sums over rows: the scores and the models of paths on the rows themselves."""

import numpy as np
import pytest
from sklearn.model_selection import KFold, RepeatedKFold

import skreg
from skreg.model_selection import PathCV, _moments, alpha_grid
from skreg.model_selection import _path as path

FOLDS = KFold(4, shuffle=True, random_state=0)


def draw(n_samples=300, n_features=12, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_samples, n_features)) + 3.0
    X[:, 1] += X[:, 0]
    return X, X[:, 0] - X[:, 1] + 0.5 * X[:, 4] + rng.standard_normal(n_samples) + 100.0


@pytest.fixture
def used(monkeypatch):
    """For each call of `split`, whether it found moments to serve."""
    answers = []
    split = _moments.split

    def observed(*args):
        found = split(*args)
        answers.append(found is not None)
        return found

    monkeypatch.setattr(_moments, "split", observed)
    return answers


def generic(search, X, y, monkeypatch, **fit):
    with monkeypatch.context() as patch:
        patch.setattr(_moments, "applies", lambda model, prepared: False)
        return search.fit(X, y, **fit)


def assert_same(model, X, y, monkeypatch, *, cv=FOLDS, eps=1e-3, alphas=30, **fit):
    model = model.set_params(tol=1e-13)
    if isinstance(alphas, int):
        alphas = alpha_grid(model, X, y, n_alphas=alphas, eps=eps, sample_weight=fit.get("sample_weight"))
    by_moments = PathCV(model, alphas=alphas, cv=cv).fit(X, y, **fit)
    by_rows = generic(PathCV(model, alphas=alphas, cv=cv), X, y, monkeypatch, **fit)
    for k in range(by_rows.n_splits_):
        name = f"split{k}_test_score"
        np.testing.assert_allclose(by_moments.cv_results_[name], by_rows.cv_results_[name], rtol=1e-9, err_msg=name)
    assert by_moments.alpha_ == by_rows.alpha_
    scale = np.abs(by_rows.coef_path_).max()
    np.testing.assert_allclose(by_moments.coef_path_, by_rows.coef_path_, rtol=0, atol=1e-7 * scale)
    np.testing.assert_allclose(by_moments.intercept_, by_rows.intercept_, rtol=1e-7)
    assert by_moments.converged_ and by_moments.dual_gap_ <= model.tol


MODELS = [
    skreg.Lasso(),
    skreg.Lasso(fit_intercept=False),
    skreg.Lasso(positive=True, upper=0.5),
    skreg.Lasso(penalty_weights=[0.0, *[1.0] * 10, np.inf]),
    skreg.ElasticNet(l1_ratio=0.3),
    skreg.ElasticNet(l1_ratio=0.3, fit_intercept=False),
    skreg.GroupLasso(groups=3),
    skreg.GroupLasso(groups=3, fit_intercept=False),
    skreg.SparseGroupLasso(groups=3),
]


@pytest.mark.parametrize("shape", [(300, 12), (6000, 12)], ids=["little", "compiled"])
@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_moments_are_as_good_as_rows(model, shape, used, monkeypatch):
    X, y = draw(*shape)
    assert_same(model, X, y, monkeypatch)
    assert used == [True]


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_weights_some_of_them_zero(model, order, used, monkeypatch):
    X, y = draw()
    weight = np.random.default_rng(1).integers(0, 4, len(y)).astype(float)
    X[weight == 0] = 1e6
    assert_same(model, np.array(X, order=order), y, monkeypatch, sample_weight=weight)
    assert used == [True]


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("value", [0.0, 1.0, 0.1])
@pytest.mark.parametrize("model", [skreg.Lasso(), skreg.ElasticNet(), skreg.GroupLasso(groups=3)], ids=repr)
def test_a_column_constant_in_one_training_fold(model, value, fit_intercept, used, monkeypatch):
    X, y = draw()
    held = next(FOLDS.split(X))[1]
    X[:, 4] = value
    X[held, 4] = np.random.default_rng(2).standard_normal(len(held))
    X[:, 7] = 2 * value  # on all rows
    assert_same(model.set_params(fit_intercept=fit_intercept), X, y, monkeypatch)
    assert used == [True]


def test_a_column_nearly_constant_in_a_training_fold_is_left_to_the_rows(used, monkeypatch):
    X, y = draw()
    held = next(FOLDS.split(X))[1]
    X[held[0], 4] = 1e5
    assert_same(skreg.Lasso(), X, y, monkeypatch)
    y[held[0]] = 1e7
    assert_same(skreg.Lasso(), draw()[0], y, monkeypatch)
    assert used == [False, False]


def test_columns_far_from_zero(used, monkeypatch):
    X, y = draw()
    X[:, 2] += 1e6
    assert_same(skreg.Lasso(), X, y, monkeypatch)
    assert used == [True]


def test_residuals_next_to_nothing(used, monkeypatch):
    X, _ = draw()
    y = X @ np.linspace(-1, 1, 12)
    assert_same(skreg.Lasso(), X, y, monkeypatch, alphas=[1.0, 1e-2, 1e-4, 1e-6], cv=FOLDS)
    assert used == [True]


def test_folds_that_overlap(used, monkeypatch):
    X, y = draw()
    assert_same(skreg.Lasso(), X, y, monkeypatch, cv=RepeatedKFold(n_splits=3, n_repeats=2, random_state=0))
    assert_same(skreg.Lasso(), X, y, monkeypatch, cv=[next(FOLDS.split(X))])
    assert used == [True, True]


@pytest.mark.parametrize("kind", ["train is test", "repeated", "left out"])
def test_rows_that_are_no_split_are_left_to_paths_on_rows(kind, used, monkeypatch):
    X, y = draw()
    rows = np.arange(300)
    cv = {
        "train is test": [(rows[:150], rows[:150])],
        "repeated": [(np.r_[rows[:100], rows[:100]], rows[200:])],
        "left out": [(rows[:100], rows[200:])],
    }[kind]
    assert_same(skreg.Lasso(), X, y, monkeypatch, cv=cv)
    assert used == [False]


def test_negative_places_are_places_from_the_end(used, monkeypatch):
    X, y = draw()
    rows = np.arange(300)
    assert_same(skreg.Lasso(), X, y, monkeypatch, cv=[(rows[:200], np.arange(-100, 0))])


@pytest.mark.parametrize("side", ["train", "test"])
def test_a_side_without_weight_is_an_error(side):
    X, y = draw()
    train, test = next(FOLDS.split(X))
    weight = np.ones(300)
    weight[train if side == "train" else test] = 0.0
    with pytest.raises(ValueError, match="sample_weight is all zero"):
        PathCV(skreg.Lasso(), cv=[(train, test)]).fit(X, y, sample_weight=weight)


@pytest.mark.parametrize(
    "model",
    [
        skreg.Lasso(standardize=True),
        skreg.SparseRegressor(loss="huber"),
        skreg.SparseRegressor(penalty="mcp"),
        skreg.AdaptiveLasso(),
        skreg.SlopeRegressor(),
        skreg.FusedLasso(),
        skreg.GroupLasso(groups=[[0, 1], [1, 2, 3]]),
    ],
    ids=repr,
)
def test_what_moments_do_not_tell_is_left_to_rows(model):
    X, y = draw()
    assert not _moments.applies(*path._pose(model, X, y, None, None))
    assert not _moments.applies(*path._pose(skreg.Lasso(), X[:10], y[:10], None, None))


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_moments_add_and_give_mean_squares(fit_intercept):
    X, y = draw()
    _, prepared = path._pose(skreg.Lasso(fit_intercept=fit_intercept), X, y, np.linspace(0, 1, 300), None)
    data, rows = prepared.data, np.arange(300)
    centre = (X.mean(axis=0), 2.0) if fit_intercept else (0.0, 0.0)
    parts = [_moments._moments(data, part, *centre) for part in (rows[:120], rows[120:])]
    total = _moments._moments(data, rows, *centre)
    for value, first, second, rest in zip(total, *parts, total.less(parts[0])):
        np.testing.assert_allclose(np.add(first, second), value, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(rest, second, rtol=1e-10, atol=1e-12)
    coef, b = np.random.default_rng(0).standard_normal((3, 12)), np.array([0.5, -1.0, 2.0])
    residuals = (y - centre[1])[:, None] - (X - centre[0]) @ coef.T - b
    weight = data.weight[:120]
    expected = weight @ residuals[:120] ** 2 / weight.sum()
    np.testing.assert_allclose(parts[0].mean_square(coef, b), expected, rtol=1e-12)


def test_blocks_of_rows_change_nothing(monkeypatch):
    X, y = draw()
    whole = PathCV(skreg.Lasso(), alphas=10, cv=FOLDS).fit(X, y)
    monkeypatch.setattr(_moments, "_BLOCK", 12 * 17)
    blocks = PathCV(skreg.Lasso(), alphas=10, cv=FOLDS).fit(X, y)
    np.testing.assert_allclose(blocks.mean_score_, whole.mean_score_, rtol=1e-10)
