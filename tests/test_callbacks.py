"""Callbacks as scikit-learn specifies them: which hooks a fit calls, with what, and what a failure leaves behind."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.callback import ScoringMonitor
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skreg
from tests._callbacks import Passing, Recorder
from tests._instances import CLASSES, CONTRACTED, label, make_data

every_estimator = pytest.mark.parametrize("estimator", CONTRACTED, ids=label)


@every_estimator
def test_a_fit_is_one_task(estimator):
    X, y = make_data(estimator)
    weight, offset = np.random.default_rng(0).uniform(0.5, 2.0, len(y)), np.zeros(len(y))
    if getattr(estimator, "loss", "") == "multinomial" or y.ndim == 2:
        offset = np.zeros((len(y), 3))
    plain = clone(estimator).fit(X, y, sample_weight=weight, offset=offset)
    seen = Recorder()
    model = clone(estimator).set_callbacks(seen)
    assert model.fit(X, y, sample_weight=weight, offset=offset) is model
    assert [call.hook for call in seen.calls] == ["setup", "begin", "end", "teardown"]
    for call in seen.calls:
        assert call.estimator is model
        assert (call.task_name, call.task_id, call.max_subtasks) == ("fit", 0, 0)
    begin, end = seen.calls[1:3]
    for call in (begin, end):
        assert call.X is X and call.y is y
        assert call.metadata["sample_weight"] is weight and call.metadata["offset"] is offset
    assert begin.fitted_estimator is None
    np.testing.assert_array_equal(end.fitted_estimator.predict(X), plain.predict(X))
    np.testing.assert_array_equal(model.coef_, plain.coef_)
    assert set(vars(model)) - set(vars(plain)) == {"_skl_callbacks"}


def test_what_was_not_given_is_no_metadata():
    X, y = make_data(skreg.Lasso())
    seen = Recorder()
    skreg.Lasso().set_callbacks(seen).fit(X, y)
    assert seen.calls[1].metadata == {}


def test_several_targets_are_one_task():
    X, y = make_data(skreg.Lasso())
    seen = Recorder()
    model = skreg.Lasso(0.05).set_callbacks(seen).fit(X, np.c_[y, -y])
    assert [call.hook for call in seen.calls] == ["setup", "begin", "end", "teardown"]
    np.testing.assert_array_equal(seen.calls[2].fitted_estimator.coef_, model.coef_)


@pytest.mark.parametrize("cls", CLASSES)
def test_set_callbacks(cls):
    estimator, seen = cls(), Recorder()
    assert estimator.set_callbacks(seen) is estimator
    X, y = make_data(estimator)
    clone(estimator).fit(X, y)
    assert len(seen.calls) == 4
    estimator.set_callbacks().fit(X, y)
    assert len(seen.calls) == 4
    with pytest.raises(TypeError, match="FitCallback protocol"):
        estimator.set_callbacks(Recorder)


@pytest.mark.parametrize("hook", ["setup", "begin", "end", "teardown"])
@every_estimator
def test_a_failing_hook_is_torn_down(estimator, hook):
    X, y = make_data(estimator)
    failing = Recorder(fail_at=hook)
    model = clone(estimator).set_callbacks(failing)
    with pytest.raises(RuntimeError, match=f"at {hook}"):
        model.fit(X, y)
    assert [call.hook for call in failing.calls].count("teardown") == 1
    assert not hasattr(model, "_callback_fit_ctx")
    if hook != "teardown":
        assert not hasattr(model, "coef_") and not hasattr(model, "n_features_in_")


@every_estimator
def test_a_failing_fit_is_torn_down_and_keeps_the_previous_one(estimator):
    X, y = make_data(estimator)
    seen = Recorder()
    model = clone(estimator).set_callbacks(seen).fit(X, y)
    before = model.coef_
    seen.calls.clear()
    with pytest.raises(ValueError, match="NaN"):
        model.fit(np.full_like(X, np.nan), y)
    assert [call.hook for call in seen.calls] == ["setup", "begin", "teardown"]
    assert model.coef_ is before and not hasattr(model, "_callback_fit_ctx")


def test_tasks_join_those_of_a_pipeline_and_a_search():
    X, y = make_data(skreg.Lasso())
    seen = Passing()
    make_pipeline(StandardScaler(), skreg.Lasso()).set_callbacks(seen).fit(X, y)
    ends = [(call.estimator_name, call.task_name, call.depth) for call in seen.calls if call.hook == "end"]
    assert ends == [("StandardScaler", "fit", 1), ("Lasso", "fit", 1), ("Pipeline", "fit", 0)]
    seen.calls.clear()
    GridSearchCV(skreg.Lasso(), {"alpha": [0.1, 0.01]}, cv=3).set_callbacks(seen).fit(X, y)
    assert sum(call.estimator_name == "Lasso" and call.hook == "end" for call in seen.calls) == 2 * 3 + 1
    assert [call.hook for call in seen.calls].count("setup") == 1


class TestPilot:
    """The pilot is a sub-estimator of `AdaptiveLasso`."""

    X, y = make_data(skreg.Lasso())

    def test_callbacks_that_pass_on_reach_it(self):
        seen = Passing()
        pilot = skreg.Lasso(alpha=0.01)
        weight = np.ones(len(self.y))
        model = skreg.AdaptiveLasso(0.05, pilot=pilot).set_callbacks(seen).fit(self.X, self.y, sample_weight=weight)
        calls = [(call.hook, call.estimator_name, call.task_name, call.depth) for call in seen.calls]
        assert calls == [
            ("setup", "AdaptiveLasso", "fit", 0),
            ("begin", "AdaptiveLasso", "fit", 0),
            ("begin", "Lasso", "fit", 1),
            ("end", "Lasso", "fit", 1),
            ("end", "AdaptiveLasso", "fit", 0),
            ("teardown", "AdaptiveLasso", "fit", 0),
        ]
        assert seen.calls[0].max_subtasks == 1
        np.testing.assert_array_equal(seen.calls[3].fitted_estimator.coef_, model.pilot_coef_)
        assert not hasattr(pilot, "_skl_callbacks")

    def test_others_see_its_task_from_outside(self):
        seen = Recorder()
        skreg.AdaptiveLasso(0.05, pilot=skreg.Lasso(alpha=0.01)).set_callbacks(seen).fit(self.X, self.y)
        ends = [(call.estimator_name, call.task_name) for call in seen.calls if call.hook == "end"]
        assert ends == [("AdaptiveLasso", "fit-pilot"), ("AdaptiveLasso", "fit")]

    def test_its_own_callbacks_are_called(self):
        seen = Recorder()
        skreg.AdaptiveLasso(0.05, pilot=skreg.Lasso(alpha=0.01).set_callbacks(seen)).fit(self.X, self.y)
        assert [call.hook for call in seen.calls] == ["setup", "begin", "end", "teardown"]

    def test_it_may_not_hold_callbacks_that_pass_on(self):
        model = skreg.AdaptiveLasso(0.05, pilot=skreg.Lasso().set_callbacks(Passing()))
        with pytest.raises(TypeError, match="auto-propagated callbacks"):
            model.fit(self.X, self.y)

    def test_it_need_not_support_callbacks(self):
        seen = Passing()
        model = skreg.AdaptiveLasso(0.05, pilot=RidgeCV()).set_callbacks(seen)
        with pytest.warns(UserWarning, match="RidgeCV does not support callbacks"):
            model.fit(self.X, self.y)
        ends = [(call.estimator_name, call.task_name) for call in seen.calls if call.hook == "end"]
        assert ends == [("AdaptiveLasso", "fit-pilot"), ("AdaptiveLasso", "fit")]


@pytest.mark.filterwarnings("error")
def test_scoring_monitor_scores_the_fitted_model():
    X, y = make_data(skreg.Lasso())
    frame = pd.DataFrame(X, columns=list("abcdefgh"))
    weight = np.random.default_rng(0).uniform(0.1, 2.0, len(y))
    monitor = ScoringMonitor(scoring="r2")
    model = skreg.Lasso(0.05).set_callbacks(monitor).fit(frame, y, sample_weight=weight)
    (row,) = monitor.get_logs().data
    assert row["r2"] == model.score(frame, y, sample_weight=weight)


def test_progress_bar(capsys):
    from sklearn.callback import ProgressBar

    X, y = make_data(skreg.Lasso())
    skreg.Lasso().set_callbacks(ProgressBar()).fit(X, y)
    assert "Lasso - fit" in capsys.readouterr().out
