"""Callbacks and reports of searches: which tasks they see, what they are told, and what happens where they stop."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.callback import ScoringMonitor
from sklearn.model_selection import GridSearchCV, KFold

import skreg
from skreg.model_selection import PathCV, regularization_path
from tests._callbacks import Passing, Recorder
from tests._instances import make_data

FOLDS = KFold(3)
SEARCHES = {
    "moments": PathCV(skreg.Lasso(), alphas=4, eps=0.1, cv=FOLDS),
    "rows": PathCV(skreg.SparseRegressor(loss="huber"), alphas=4, eps=0.1, cv=FOLDS),
    "named": skreg.LassoCV(alphas=4, eps=0.1, cv=FOLDS),
}
every_search = pytest.mark.parametrize("kind", SEARCHES)


def draw(kind):
    search = clone(SEARCHES[kind])
    X, y = make_data(search.estimator, n_samples=60)
    return search, X, y, np.random.default_rng(0).uniform(0.5, 2.0, 60)


@every_search
def test_tasks_are_those_of_a_grid_search_with_paths_below(kind):
    search, X, y, weight = draw(kind)
    seen, theirs = Passing(), Passing()
    search.set_params(n_jobs=1).set_callbacks(seen).fit(X, y, sample_weight=weight)
    GridSearchCV(search.estimator, {"tol": [1e-6]}, cv=FOLDS).set_callbacks(theirs).fit(X, y, sample_weight=weight)
    ours = [call for call in seen.calls if call.estimator is search]
    assert [(call.hook, call.task_name, call.depth) for call in ours] == [
        (call.hook, call.task_name.replace("refit-with-best-params", "refit"), call.depth)
        for call in theirs.calls
        if call.estimator_name == "GridSearchCV"
    ]
    assert ours[0].max_subtasks == 2 and [call.max_subtasks for call in ours if call.task_name == "search"] == [3, 3]
    paths = [call for call in seen.calls if call.task_name == "regularization-path" and call.hook == "begin"]
    assert [(call.depth, call.task_id, call.max_subtasks) for call in paths] == [
        (2, 0, 4),
        (2, 1, 4),
        (2, 2, 4),
        (1, 1, 4),
    ]
    for call, (train, _) in zip(paths, FOLDS.split(X)):
        np.testing.assert_array_equal(call.X, X[train])
        np.testing.assert_array_equal(call.y, y[train])
        np.testing.assert_array_equal(call.metadata["sample_weight"], weight[train])
    plain = draw(kind)[0].fit(X, y, sample_weight=weight)
    np.testing.assert_array_equal(search.coef_, plain.coef_)
    np.testing.assert_array_equal(search.mean_score_, plain.mean_score_)
    assert not hasattr(search, "_callback_fit_ctx") and not hasattr(search.best_estimator_, "_skl_callbacks")
    assert set(vars(search)) - set(vars(plain)) == {"_skl_callbacks"}


@every_search
def test_the_task_of_each_alpha_ends_with_the_model_of_its_rows(kind):
    search, X, y, weight = draw(kind)
    seen = Passing()
    search.set_callbacks(seen).fit(X, y, sample_weight=weight)
    ends = [call for call in seen.calls if call.hook == "end" and call.task_name.startswith("alpha=")]
    assert len(ends) == 4 * 4
    for k, (train, _) in enumerate(FOLDS.split(X)):
        path = regularization_path(search.estimator, X[train], y[train], search.alphas_, sample_weight=weight[train])
        for call, model in zip(ends[4 * k : 4 * k + 4], path.models()):
            assert call.fitted_estimator.alpha == model.alpha
            np.testing.assert_allclose(call.fitted_estimator.predict(X), model.predict(X), rtol=1e-5, atol=1e-5)
    assert seen.calls[-2].fitted_estimator.best_estimator_ is search.best_estimator_


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("n_jobs", [None, 2])
def test_scoring_monitor_of_the_estimator_sees_every_alpha(n_jobs):
    search, X, y, weight = draw("rows")
    monitor = ScoringMonitor(scoring="r2")
    search.estimator.set_callbacks(monitor)
    search.set_params(n_jobs=n_jobs).fit(X, y, sample_weight=weight)
    rows = monitor.get_logs().data
    assert len(rows) == 4 * 4
    train = next(FOLDS.split(X))[0]
    path = regularization_path(
        clone(SEARCHES["rows"]).estimator, X[train], y[train], search.alphas_, sample_weight=weight[train]
    )
    expected = [model.score(X[train], y[train], sample_weight=weight[train]) for model in path.models()]
    of_first_fold = [row["r2"] for row in rows if row["parent_task_id_path"] == (0, 0, 0)]
    np.testing.assert_allclose(of_first_fold, expected, rtol=1e-6, atol=1e-9)


def test_scoring_monitor_of_a_named_form_sees_every_alpha_and_the_final_model():
    search, X, y, weight = draw("named")
    monitor = ScoringMonitor(scoring="r2")
    search.set_callbacks(monitor).fit(X, y, sample_weight=weight)
    rows = monitor.get_logs().data
    assert [row["estimator_name"] for row in rows] == ["LassoCV", *["Lasso"] * 16]
    assert rows[0]["r2"] == search.score(X, y, sample_weight=weight)
    assert not hasattr(pickle.loads(pickle.dumps(clone(search).set_callbacks())), "_skl_callbacks")


def test_without_refit_there_is_no_model_to_be_told_of():
    search, X, y, _ = draw("rows")
    seen = Recorder()
    search.set_params(refit=False).set_callbacks(seen).fit(X, y)
    assert [call.hook for call in seen.calls] == [
        "setup",
        *["begin"] * 2,
        *["begin", "end"] * 3,
        *["end"] * 2,
        "teardown",
    ]
    assert seen.calls[0].max_subtasks == 1 and seen.calls[-2].fitted_estimator is None


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_progress_bar(n_jobs, capsys):
    from sklearn.callback import ProgressBar

    search, X, y, _ = draw("rows")
    search.set_params(n_jobs=n_jobs).set_callbacks(ProgressBar()).fit(X, y)
    out = capsys.readouterr().out
    assert "PathCV - search" in out and out.count("100%") >= 6


@every_search
@pytest.mark.parametrize("last", [0, 2])
def test_a_callback_that_ends_all_paths_leaves_the_alphas_before(kind, last):
    search, X, y, weight = draw(kind)
    whole = draw(kind)[0].fit(X, y, sample_weight=weight)
    owner = search if kind == "named" else search.estimator
    owner.set_callbacks(Recorder(stop_after=last))
    search.fit(X, y, sample_weight=weight)
    for name in ("mean_score_", "coef_path_"):
        ours, theirs = getattr(search, name), getattr(whole, name)
        np.testing.assert_array_equal(ours[: last + 1], theirs[: last + 1])
        assert np.isnan(ours[last + 1 :]).all()
    assert search.alpha_ in search.alphas_[: last + 1]
    np.testing.assert_array_equal(search.cv_results_["rank_test_score"][last + 1 :], last + 2)


@every_search
def test_the_alpha_chosen_is_solved_where_a_callback_ends_the_path_before_it(kind):
    class Impatient(Recorder):
        """Ends the path on the whole data after its first alpha."""

        def on_fit_task_end(self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None):
            return context.task_name.startswith("alpha=") and len(X) == 60

    search, X, y, weight = draw(kind)
    whole = draw(kind)[0].fit(X, y, sample_weight=weight)
    (search if kind == "named" else search.estimator).set_callbacks(Impatient())
    search.fit(X, y, sample_weight=weight)
    assert search.alpha_ == whole.alpha_ == search.best_estimator_.alpha and search.best_index_ > 0
    np.testing.assert_allclose(search.coef_, whole.coef_, rtol=0, atol=1e-5)
    reached = [0, search.best_index_]
    np.testing.assert_array_equal(np.flatnonzero(~np.isnan(search.coef_path_).any(axis=1)), reached)


@pytest.mark.parametrize("hook", ["setup", "begin", "end", "teardown"])
@every_search
def test_a_failing_hook_is_torn_down(kind, hook):
    search, X, y, _ = draw(kind)
    failing = Passing(fail_at=hook)
    with pytest.raises(RuntimeError, match=f"at {hook}"):
        search.set_callbacks(failing).fit(X, y)
    assert [call.hook for call in failing.calls].count("teardown") == 1
    assert not hasattr(search, "_callback_fit_ctx")
    if hook != "teardown":
        assert not [name for name in vars(search) if name.endswith("_")]


def test_callbacks_that_pass_on_belong_to_the_search():
    search, X, y, _ = draw("rows")
    search.estimator.set_callbacks(Passing())
    with pytest.raises(TypeError, match="Register them directly on the meta-estimator"):
        search.fit(X, y)


@every_search
def test_verbose_prints_a_line_a_fold_and_an_alpha(kind, capsys):
    search, X, y, _ = draw(kind)
    search.fit(X, y)
    assert capsys.readouterr().out == ""
    search.set_params(verbose=True).fit(X, y)
    folds, alphas = np.split(np.array(capsys.readouterr().out.splitlines()), [3])
    assert len(alphas) == 4 and all(f"alpha {a:.3e}" in line for a, line in zip(search.alphas_, alphas))
    for k, line in enumerate(folds):
        scores = search.cv_results_[f"split{k}_test_score"]
        assert line.startswith(f"fold {k + 1}/3  4 alphas")
        assert line.endswith(f"best score {scores.max():.4g} at alpha {search.alphas_[scores.argmax()]:.3e}")
