"""Paths: every estimator, certified at each alpha, and the same models as separate fits."""

import array_api_strict
import numpy as np
import pytest
import scipy.sparse as sp
from sklearn import config_context
from sklearn.base import clone
from sklearn.callback import ScoringMonitor
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression, enet_path, lasso_path

import skreg
from skreg.model_selection import Path, alpha_grid, regularization_path
from tests._callbacks import Passing, Recorder
from tests._instances import CONTRACTED, label, least_df, make_data

ON_PATHS = [estimator for estimator in CONTRACTED if not isinstance(estimator, skreg.QuantileRegressor)]
every_estimator = pytest.mark.parametrize("estimator", ON_PATHS, ids=label)


@every_estimator
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array], ids=["dense", "sparse"])
def test_a_path_is_the_fits_of_its_alphas(estimator, container):
    X, y = make_data(estimator)
    weight = np.random.default_rng(0).uniform(0.5, 2.0, len(y))
    estimator = clone(estimator).set_params(tol=1e-10)
    path = regularization_path(estimator, container(X), y, alphas=8, eps=0.05, sample_weight=weight)
    assert isinstance(path, Path)
    assert (np.diff(path.alphas) < 0).all() and np.isclose(path.alphas[-1], 0.05 * path.alphas[0])
    assert path.converged.all()
    assert path.df[0] == least_df(estimator) and path.df[-1] > 0
    convex = getattr(estimator, "penalty", "l1") != "mcp"
    measure = path.dual_gaps if convex else path.kkt_violations
    assert (measure <= estimator.tol).all()
    predictions = path.predict(X)
    assert predictions.shape == (8, *y.shape)
    for k, on_path in enumerate(path.models()):
        alone = clone(estimator).set_params(alpha=path.alphas[k]).fit(container(X), y, sample_weight=weight)
        assert on_path.alpha == path.alphas[k]
        assert on_path.coef_.shape == alone.coef_.shape
        assert np.shape(on_path.intercept_) == np.shape(alone.intercept_)
        np.testing.assert_array_equal(predictions[k], on_path.predict(X))
        assert on_path.n_iter_ == path.n_iters[k] and on_path.converged_ is True
        if convex:
            np.testing.assert_allclose(on_path.coef_, alone.coef_, rtol=0, atol=1e-6)
        assert path.df[k] == np.count_nonzero(on_path.coef_)
    assert not hasattr(estimator, "coef_")


def test_an_estimator_without_paths_says_so():
    X, y = make_data(skreg.QuantileRegressor())
    for fit in (regularization_path, alpha_grid):
        with pytest.raises(TypeError, match="must be a skreg estimator with an alpha; got ConformalQuantileRegressor"):
            fit(skreg.ConformalQuantileRegressor(), X, y)
    with pytest.raises(TypeError, match="must be a skreg estimator with an alpha"):
        skreg.PathCV(skreg.ConformalQuantileRegressor()).fit(X, y)


def test_path_agrees_with_scikit_learn():
    X, y = load_diabetes(return_X_y=True)
    X, y = X - X.mean(axis=0), y - y.mean()
    alphas, coefs, _ = lasso_path(X, y, alphas=30, tol=1e-12, max_iter=100_000)
    path = regularization_path(skreg.Lasso(tol=1e-12), X, y, alphas=alphas)
    np.testing.assert_allclose(path.coefs.T, coefs, rtol=0, atol=1e-3)
    np.testing.assert_allclose(alpha_grid(skreg.Lasso(), X, y, n_alphas=30), alphas, rtol=1e-10)
    alphas, coefs, _ = enet_path(X, y, l1_ratio=0.5, alphas=10, tol=1e-12, max_iter=100_000)
    path = regularization_path(skreg.ElasticNet(l1_ratio=0.5, tol=1e-12), X, y, alphas=10)
    np.testing.assert_allclose(path.alphas, alphas, rtol=1e-10)
    np.testing.assert_allclose(path.coefs.T, coefs, rtol=0, atol=1e-3)


def test_given_alphas_are_sorted_and_may_end_at_zero():
    X, y = make_data(skreg.Lasso())
    path = regularization_path(skreg.Lasso(tol=1e-10), X, y, alphas=[0.01, 0.0, 1.0])
    np.testing.assert_array_equal(path.alphas, [1.0, 0.01, 0.0])
    np.testing.assert_allclose(path.coefs[-1], LinearRegression().fit(X, y).coef_, atol=1e-5)


def test_offset_goes_into_the_predictions():
    model = skreg.SparseRegressor(loss="poisson", tol=1e-9)
    X, y = make_data(model)
    offset = np.random.default_rng(0).standard_normal(len(y))
    path = regularization_path(model, X, y, alphas=4, offset=offset)
    np.testing.assert_allclose(path.predict(X, offset), path.predict(X) * np.exp(offset), rtol=1e-10)


def test_warnings_count_the_alphas_and_point_to_the_caller():
    X, y = make_data(skreg.Lasso())
    with pytest.warns(ConvergenceWarning, match="Lasso stopped after 1 ") as record:
        path = regularization_path(skreg.Lasso(max_iter=1, tol=1e-12), X, y, alphas=[0.1, 0.01])
    assert len(record) == (~path.converged).sum() == 2
    assert {w.filename for w in record} == {__file__}


def test_verbose_prints_a_line_an_alpha(capsys):
    X, y = make_data(skreg.Lasso())
    regularization_path(skreg.Lasso(), X, y, alphas=5)
    assert capsys.readouterr().out == ""
    path = regularization_path(skreg.Lasso(), X, y, alphas=5, verbose=True)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    assert all(f"alpha {alpha:.3e}" in line for alpha, line in zip(path.alphas, lines))


BAD = [
    (dict(alphas=0), "alphas must be a number of alphas"),
    (dict(alphas=2.5), "alphas must be a number of alphas"),
    (dict(alphas=[]), "alphas must be"),
    (dict(alphas=[1.0, -1.0]), r"alphas\[1\] == -1.0, must be >= 0"),
    (dict(alphas=[1.0, np.nan]), "alphas must be"),
    (dict(eps=0.0), "eps must be a number between 0 and 1; got 0.0"),
    (dict(eps=1.5), "eps must be"),
    (dict(y=np.ones((40, 2))), "y should be a 1d array"),
    (dict(estimator=skreg.Lasso(tol=-1.0)), "'tol' parameter"),
    (dict(sample_weight=np.zeros(40)), "sample_weight is all zero"),
]


@pytest.mark.parametrize(("change", "text"), BAD, ids=str)
def test_bad_input(change, text):
    X, y = make_data(skreg.Lasso())
    with pytest.raises(ValueError, match=text):
        regularization_path(**{**dict(estimator=skreg.Lasso(), X=X, y=y), **change})


@pytest.mark.parametrize("function", [regularization_path, alpha_grid])
def test_estimators_of_others(function):
    X, y = make_data(skreg.Lasso())
    with pytest.raises(TypeError, match="estimator must be a skreg estimator with an alpha; got LinearRegression"):
        function(LinearRegression(), X, y)


def test_constant_target():
    X, _ = make_data(skreg.Lasso())
    path = regularization_path(skreg.Lasso(), X, np.ones(len(X)), alphas=3)
    np.testing.assert_array_equal(path.coefs, 0.0)
    assert np.isfinite(path.alphas).all()


class TestCallbacks:
    """Callbacks of the estimator: a task for the path, below it one for each alpha."""

    @every_estimator
    def test_a_task_an_alpha(self, estimator):
        X, y = make_data(estimator)
        weight = np.random.default_rng(0).uniform(0.5, 2.0, len(y))
        arguments = dict(alphas=4, eps=0.1, sample_weight=weight)
        plain = regularization_path(estimator, X, y, **arguments)
        seen = Recorder()
        path = regularization_path(clone(estimator).set_callbacks(seen), X, y, **arguments)
        np.testing.assert_array_equal(path.coefs, plain.coefs)
        np.testing.assert_array_equal(path.alphas, plain.alphas)
        assert [call.hook for call in seen.calls] == ["setup", "begin", *["begin", "end"] * 4, "end", "teardown"]
        assert {call.estimator for call in seen.calls} == {path.estimator}
        assert not hasattr(path.estimator, "coef_") and not hasattr(path.estimator, "_callback_fit_ctx")
        root, tasks = [seen.calls[k] for k in (0, 1, -2, -1)], seen.calls[2:-2]
        for call in root:
            assert (call.task_name, call.depth, call.max_subtasks) == ("regularization-path", 0, 4)
            assert call.fitted_estimator is None
        for k, (begin, end, model) in enumerate(zip(tasks[::2], tasks[1::2], path.models())):
            for call in (begin, end):
                assert call.X is X and call.y is y and call.metadata == {"sample_weight": weight}
                assert (call.task_id, call.depth, call.max_subtasks) == (k, 1, 0)
                assert call.task_name == f"alpha={path.alphas[k]:.6g}"
            assert end.fitted_estimator.get_params() == model.get_params()
            np.testing.assert_array_equal(end.fitted_estimator.coef_, path.coefs[k].reshape(model.coef_.shape))
            np.testing.assert_array_equal(end.fitted_estimator.predict(X), model.predict(X))
            assert end.fitted_estimator.n_iter_ == path.n_iters[k]

    @pytest.mark.parametrize("last", [0, 2])
    def test_a_callback_may_stop_it(self, last):
        X, y = make_data(skreg.Lasso())
        whole = regularization_path(skreg.Lasso(), X, y, alphas=5)
        seen = Recorder(stop_after=last)
        path = regularization_path(skreg.Lasso().set_callbacks(seen), X, y, alphas=5)
        assert seen.calls[-2].task_name == "regularization-path" and seen.calls[-1].hook == "teardown"
        assert len(list(path.models())) == last + 1
        for name in ("alphas", "coefs", "intercepts", "dual_gaps", "kkt_violations", "n_iters", "df", "converged"):
            np.testing.assert_array_equal(getattr(path, name), getattr(whole, name)[: last + 1])

    @pytest.mark.parametrize("hook", ["setup", "begin", "end", "teardown"])
    def test_a_failing_hook_is_torn_down(self, hook):
        X, y = make_data(skreg.Lasso())
        failing = Recorder(fail_at=hook)
        with pytest.raises(RuntimeError, match=f"at {hook}"):
            regularization_path(skreg.Lasso().set_callbacks(failing), X, y, alphas=3)
        assert [call.hook for call in failing.calls].count("teardown") == 1

    def test_bad_input_comes_before_them(self):
        X, y = make_data(skreg.Lasso())
        seen = Recorder()
        estimator = skreg.Lasso().set_callbacks(seen)
        for bad in (dict(alphas=0), dict(y=y[:-1])):
            with pytest.raises(ValueError):
                regularization_path(estimator, **{**dict(X=X, y=y), **bad})
        alpha_grid(estimator, X, y)
        assert seen.calls == []

    def test_the_pilot_is_no_part_of_the_path(self):
        seen = Passing()
        estimator = skreg.AdaptiveLasso(pilot=skreg.Lasso(alpha=0.01)).set_callbacks(seen)
        regularization_path(estimator, *make_data(estimator), alphas=3)
        assert {call.estimator_name for call in seen.calls} == {"AdaptiveLasso"}
        assert len(seen.calls) == 2 * (1 + 1 + 3)

    @pytest.mark.filterwarnings("error")
    def test_scoring_monitor(self):
        X, y = load_diabetes(return_X_y=True, as_frame=True)
        monitor = ScoringMonitor(scoring="r2")
        path = regularization_path(skreg.Lasso().set_callbacks(monitor), X, y, alphas=4)
        assert [row["r2"] for row in monitor.get_logs().data] == [model.score(X, y) for model in path.models()]

    def test_progress_bar(self, capsys):
        from sklearn.callback import ProgressBar

        X, y = make_data(skreg.Lasso())
        regularization_path(skreg.Lasso().set_callbacks(ProgressBar()), X, y, alphas=4)
        out = capsys.readouterr().out
        assert "Lasso - regularization-path" in out and "100%" in out

    def test_warnings_still_point_to_the_caller(self):
        X, y = make_data(skreg.Lasso())
        estimator = skreg.Lasso(max_iter=1, tol=1e-12).set_callbacks(Recorder())
        with pytest.warns(ConvergenceWarning) as record:
            regularization_path(estimator, X, y, alphas=[0.1, 0.01])
        assert {w.filename for w in record} == {__file__}


@pytest.fixture
def dispatch():
    with config_context(array_api_dispatch=True):
        yield


def strict(array, device="device1"):
    return None if array is None else array_api_strict.asarray(array, device=array_api_strict.Device(device))


def on_host(array):
    return np.asarray(array_api_strict.asarray(array, device=array_api_strict.Device("CPU_DEVICE")))


@pytest.mark.usefixtures("dispatch")
class TestArrayApi:
    """Data in another namespace, on another device than the first."""

    @pytest.mark.parametrize("fit_intercept", [True, False])
    @pytest.mark.parametrize("penalty", ["l1", "elastic_net", "mcp", "scad", "l0", "cel0", "log_sum", "lq"])
    @pytest.mark.parametrize("loss", ["squared", "huber", "poisson", "logistic", "multinomial", "squared_hinge"])
    def test_the_grid_is_that_of_numpy_data(self, loss, penalty, fit_intercept):
        kind = skreg.SparseClassifier if loss in {"logistic", "multinomial", "squared_hinge"} else skreg.SparseRegressor
        estimator = kind(loss=loss, penalty=penalty, fit_intercept=fit_intercept, standardize=fit_intercept)
        X, y = make_data(estimator)
        rng = np.random.default_rng(0)
        weight = rng.integers(0, 3, len(y)).astype(float)
        offset = 0.1 * rng.standard_normal((len(y), 3) if loss == "multinomial" else len(y))
        bounded = dict(penalty_weights=rng.uniform(0.5, 2.0, 8), upper=rng.uniform(0.05, 1.0, 8))
        for change in ({}, bounded):
            estimator.set_params(**change)
            expected = alpha_grid(estimator, X, y, 5, sample_weight=weight, offset=offset)
            arrays = dict(sample_weight=strict(weight), offset=strict(offset))
            grid = alpha_grid(estimator, strict(X), strict(y), 5, **arrays)
            assert isinstance(grid, np.ndarray)
            np.testing.assert_allclose(grid, expected, rtol=1e-13)

    @pytest.mark.parametrize("loss", ["squared", "huber", "poisson", "logistic", "multinomial"])
    def test_the_grid_with_an_unpenalised_feature(self, loss):
        """It is solved for by each solver to its own tolerance, 1e-10 on NumPy data."""
        kind = skreg.SparseClassifier if loss in {"logistic", "multinomial"} else skreg.SparseRegressor
        estimator = kind(loss=loss, penalty_weights=np.where(np.arange(8) == 2, 0.0, 1.0))
        X, y = make_data(estimator)
        expected = alpha_grid(estimator, X, y, 3)
        np.testing.assert_allclose(alpha_grid(estimator, strict(X), strict(y), 3), expected, rtol=1e-9)

    @pytest.mark.parametrize("penalty", ["mcp", "scad", "l0", "cel0", "log_sum", "lq"])
    @pytest.mark.parametrize("loss", ["squared", "poisson"])
    def test_non_convex_paths_are_certified(self, loss, penalty):
        estimator = skreg.SparseRegressor(loss=loss, penalty=penalty, tol=1e-8)
        X, y = make_data(estimator)
        path = regularization_path(estimator, strict(X), strict(y), alphas=6, eps=0.05)
        assert path.converged.all() and (path.kkt_violations <= 1e-8).all()
        assert np.isinf(path.dual_gaps).all()
        assert path.df[-1] > 0

    def test_given_alphas_float32_and_verbose(self, capsys):
        X, y = make_data(skreg.Lasso())
        X, y = X.astype(np.float32), y.astype(np.float32)
        expected = regularization_path(skreg.Lasso(), X, y, alphas=[0.01, 0.5])
        path = regularization_path(skreg.Lasso(), strict(X), strict(y), alphas=[0.01, 0.5], verbose=True)
        assert len(capsys.readouterr().out.splitlines()) == 2
        assert path.coefs.dtype == array_api_strict.float32
        assert path.intercepts.dtype == array_api_strict.float64 and expected.intercepts.dtype == np.float64
        np.testing.assert_allclose(on_host(path.coefs), expected.coefs, rtol=0, atol=1e-5)

    def test_constant_target(self):
        X, _ = make_data(skreg.Lasso())
        path = regularization_path(skreg.Lasso(), strict(X), strict(np.ones(len(X))), alphas=3)
        assert not on_host(path.coefs).any() and np.isfinite(path.alphas).all()

    def test_callbacks_get_models_of_the_namespace(self):
        X, y = make_data(skreg.Lasso())
        seen = Recorder()
        X, y = strict(X), strict(y)
        path = regularization_path(skreg.Lasso().set_callbacks(seen), X, y, alphas=3)
        ends = [call for call in seen.calls if call.hook == "end" and call.depth == 1]
        for k, call in enumerate(ends):
            assert call.X is X
            assert bool(array_api_strict.all(call.fitted_estimator.coef_ == path.coefs[k, ...]))
