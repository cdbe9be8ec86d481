"""Callbacks that write down how they were called."""

from typing import Any, NamedTuple


class Call(NamedTuple):
    """One call of a hook: the task it was about, and the arguments."""

    hook: str
    estimator: Any
    estimator_name: str
    task_name: str
    task_id: int
    max_subtasks: int
    depth: int
    X: Any = None
    y: Any = None
    metadata: Any = None
    fitted_estimator: Any = None


class Recorder:
    """Keeps every call; may fail at a hook, or ask to stop after the task of an id below the root."""

    def __init__(self, fail_at=None, stop_after=None):
        self.calls = []
        self.fail_at = fail_at
        self.stop_after = stop_after

    def _record(self, hook, estimator, context, **arguments):
        depth, parent = 0, context.parent
        while parent is not None:
            depth, parent = depth + 1, parent.parent
        task = (context.estimator_name, context.task_name, context.task_id, context.max_subtasks, depth)
        self.calls.append(Call(hook, estimator, *task, **arguments))
        if hook == self.fail_at:
            raise RuntimeError(f"at {hook}")
        return depth > 0 and context.task_id == self.stop_after

    def setup(self, estimator, context):
        self._record("setup", estimator, context)

    def teardown(self, estimator, context):
        self._record("teardown", estimator, context)

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None):
        arguments = dict(X=X, y=y, metadata=metadata, fitted_estimator=fitted_estimator)
        self._record("begin", estimator, context, **arguments)

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None):
        arguments = dict(X=X, y=y, metadata=metadata, fitted_estimator=fitted_estimator)
        return self._record("end", estimator, context, **arguments)


class Passing(Recorder):
    """Passed on to sub-estimators at every depth."""

    max_propagation_depth = None
