"""Fits of data on another device: those of NumPy data at equal certified accuracy, with results where the data is."""

import numpy as np
import pytest
from sklearn.base import clone, is_classifier
from sklearn.utils._array_api import NamespaceAndDevice
from sklearn.utils.estimator_checks import (
    check_array_api_input_and_values,
    check_array_api_mixed_inputs,
    check_array_api_same_namespace,
)

import skreg
from skreg._backend import namespace_of
from skreg.solvers._interior_point import factorise
from tests._instances import CLASSES, CONTRACTED, label, make_data
from tests.gpu._places import CupyPlace, on_every_place

TIGHT = dict(tol=1e-10)
TAGGED = [cls for cls in CLASSES if cls().__sklearn_tags__().array_api_support]
PORTABLE = [clone(e).set_params(**TIGHT) for e in CONTRACTED if e.__sklearn_tags__().array_api_support]
QUANTILES = [
    skreg.QuantileRegressor(quantile=[0.1, 0.5, 0.8], penalty=None, **TIGHT),
    skreg.QuantileRegressor(quantile=[0.2, 0.7], alpha=0.02, standardize=True, **TIGHT),
    skreg.QuantileRegressor(quantile=0.3, penalty="elastic_net", alpha=0.05, **TIGHT),
    skreg.QuantileRegressor(quantile=0.6, alpha=0.02, lower=-0.5, upper=0.4, **TIGHT),
    skreg.QuantileRegressor(quantile=[0.3, 0.5, 0.6], alpha=0.01, non_crossing="rows", **TIGHT),
    skreg.QuantileRegressor(quantile=[0.3, 0.6], alpha=0.01, non_crossing="box", **TIGHT),
]
FURTHER = [
    skreg.SparseRegressor(penalty="elastic_net", l1_ratio=0.0, alpha=0.1, **TIGHT),
    skreg.Lasso(alpha=0.05, fit_intercept=False, penalty_weights=np.arange(1.0, 9.0), **TIGHT),
    skreg.Lasso(alpha=0.05, lower=-0.2, upper=0.3, **TIGHT),
    skreg.SlopeRegressor(alpha=0.05, loss="poisson", **TIGHT),
    skreg.SparseClassifier(loss="multinomial", penalty="elastic_net", alpha=0.02, class_weight="balanced", tol=1e-12),
]
NON_CONVEX = [skreg.SparseRegressor(penalty=p, alpha=0.05, tol=1e-8) for p in ("mcp", "scad", "l0", "log_sum", "lq")]


def is_convex(estimator):
    return getattr(estimator, "penalty", "l1") not in {"mcp", "scad", "l0", "cel0", "log_sum", "lq"}


def name_of(estimator):
    kept = ("quantile", "non_crossing", "fit_intercept", "lower", "class_weight")
    params = estimator.get_params(deep=False)
    return "-".join([label(estimator), *(f"{k}={params[k]}" for k in kept if params.get(k) not in (None, False, True))])


def data_of(estimator):
    X, y = make_data(estimator)
    return X, y, np.random.default_rng(1).uniform(0.5, 2.0, len(y))


def objective(estimator, X, y, weight, coef, intercept):
    """The estimator's objective on NumPy data."""
    if isinstance(estimator, skreg.QuantileRegressor):
        return quantile_objective(estimator, X, y, weight, np.atleast_2d(coef), np.atleast_1d(intercept))
    prepared = estimator._pose(X, y, weight)
    state = prepared.state(coef, np.asarray(intercept) if np.ndim(intercept) else intercept)
    return prepared.problem(estimator.alpha).objective(state.w, prepared.data.predictor(state.w, state.b))


def quantile_objective(estimator, X, y, weight, coefs, intercepts):
    total, alpha = 0.0, 0.0 if estimator.penalty is None else estimator.alpha
    deviation = np.sqrt(np.average((X - np.average(X, axis=0, weights=weight)) ** 2, axis=0, weights=weight))
    ratio = 0.5 if estimator.penalty == "elastic_net" else 1.0
    for level, w, b in zip(np.atleast_1d(estimator.quantile), coefs, intercepts):
        r, size = y - X @ w - b, w * deviation if estimator.standardize else w
        total += np.average(np.maximum(level * r, (level - 1.0) * r), weights=weight)
        total += alpha * (ratio * np.abs(size).sum() + 0.5 * (1.0 - ratio) * (size**2).sum())
    return total


def fitted(estimator, place, X, y, weight):
    here = clone(estimator).fit(X, y, sample_weight=weight)
    there = clone(estimator).fit(place.put(X), place.put(y), sample_weight=place.put(weight))
    return here, there


def intercepts(model, place=None):
    """Intercepts on the host; of several classes less their mean, as softmax does not see a shift of all."""
    value = model.intercept_
    value = np.asarray(value if place is None or isinstance(value, float) else place.host(value))
    return value - value.mean() if is_classifier(model) and value.shape[0] > 1 else value


@on_every_place
@pytest.mark.parametrize("estimator", [e for e in PORTABLE + QUANTILES + FURTHER if is_convex(e)], ids=name_of)
class TestConvex:
    def test_the_fit_is_that_of_numpy_data(self, estimator, place):
        X, y, weight = data_of(estimator)
        here, there = fitted(estimator, place, X, y, weight)
        for model in (here, there):
            measure = model.dual_gap_ if np.isfinite(model.dual_gap_) else model.kkt_violation_  # free directions
            assert model.converged_ is True and measure <= estimator.tol
            assert 0.0 <= model.kkt_violation_ < 1e-3
        coef = place.host(there.coef_)
        assert np.any(coef != 0)
        np.testing.assert_allclose(coef, here.coef_, rtol=0, atol=1e-6)
        np.testing.assert_allclose(intercepts(there, place), intercepts(here), rtol=0, atol=1e-6)
        values = [
            objective(estimator, X, y, weight, c, b)
            for c, b in ((here.coef_, intercepts(here)), (coef, intercepts(there, place)))
        ]
        assert values[1] == pytest.approx(values[0], rel=1e-8)

    def test_results_stay_where_the_data_is(self, estimator, place):
        X, y, weight = data_of(estimator)
        here, there = fitted(estimator, place, X, y, weight)
        arrays = {k: v for k, v in vars(here).items() if k.endswith("_") and isinstance(v, np.ndarray)}
        assert {"coef_"} <= set(arrays)
        for name, array in arrays.items():
            assert place.holds(getattr(there, name)), name
            assert getattr(there, name).shape == array.shape, name
        for method in ("predict", "decision_function", "predict_proba", "predict_log_proba", "predict_quantiles"):
            if hasattr(here, method):
                predicted, expected = getattr(there, method)(place.put(X)), getattr(here, method)(X)
                assert place.holds(predicted), method
                predicted = place.host(predicted)
                if method == "decision_function" and expected.ndim == 2:  # softmax does not see a shift of all classes
                    predicted, expected = (a - a.mean(axis=1, keepdims=True) for a in (predicted, expected))
                np.testing.assert_allclose(predicted, expected, rtol=0, atol=2e-5)
        score = there.score(place.put(X), place.put(y), place.put(weight))
        assert float(score) == pytest.approx(here.score(X, y, weight), abs=1e-5)


@on_every_place
@pytest.mark.parametrize("estimator", NON_CONVEX, ids=name_of)
def test_non_convex_fits_are_certified(estimator, place):
    """Solvers may end at other local optima: each at one of which the violation says so."""
    X, y, weight = data_of(estimator)
    for model in fitted(estimator, place, X, y, weight):
        assert model.converged_ is True and model.kkt_violation_ <= estimator.tol
        assert model.dual_gap_ == np.inf


@on_every_place
def test_several_targets(place):
    X, y = make_data(skreg.Lasso())
    Y = np.c_[y, -y + X[:, 3], X[:, 0]]
    model = skreg.Lasso(alpha=0.05, **TIGHT)
    here, there = clone(model).fit(X, Y), clone(model).fit(place.put(X), place.put(Y))
    assert place.holds(there.coef_) and place.holds(there.intercept_) and there.converged_ is True
    np.testing.assert_allclose(place.host(there.coef_), here.coef_, rtol=0, atol=1e-6)
    np.testing.assert_allclose(place.host(there.predict(place.put(X))), here.predict(X), rtol=0, atol=1e-5)


@on_every_place
@pytest.mark.parametrize("estimator", [skreg.Lasso(alpha=0.05, **TIGHT), *QUANTILES[:1], PORTABLE[-1]], ids=name_of)
def test_all_follows_X(estimator, place):
    X, y, weight = data_of(estimator)
    here, there = fitted(estimator, place, X, y, weight)
    mixed = clone(estimator).fit(place.put(X), y, sample_weight=weight)
    assert place.holds(mixed.coef_)
    np.testing.assert_allclose(place.host(mixed.coef_), place.host(there.coef_), rtol=0, atol=1e-12)
    back = clone(estimator).fit(X, place.put(y), sample_weight=place.put(weight))
    assert type(back.coef_) is np.ndarray
    np.testing.assert_allclose(back.coef_, here.coef_, rtol=0, atol=1e-12)
    with pytest.raises(ValueError, match="must use the same namespace and the same device"):
        there.predict(X)


@on_every_place
def test_float32_offset_and_parameters_on_the_device(place):
    X, y = make_data(skreg.Lasso())
    offset, bounds = np.linspace(-1.0, 1.0, len(y)), np.linspace(0.1, 1.0, 8)
    here = skreg.Lasso(alpha=0.02, upper=bounds).fit(X.astype(np.float32), y, offset=offset)
    there = skreg.Lasso(alpha=0.02, upper=place.put(bounds))
    there.fit(place.put(X.astype(np.float32)), place.put(y), offset=place.put(offset))
    assert place.holds(there.coef_) and str(there.coef_.dtype).endswith("float32")
    np.testing.assert_allclose(place.host(there.coef_), here.coef_, rtol=0, atol=1e-5)


@on_every_place
@pytest.mark.parametrize("estimator", [cls() for cls in CLASSES if cls not in TAGGED], ids=name_of)
def test_estimators_without_the_tag_say_so(estimator, place):
    assert not estimator.__sklearn_tags__().array_api_support
    X, y = make_data(estimator)
    with pytest.raises(TypeError, match="NumPy and SciPy data"):
        clone(estimator).fit(place.put(X), place.put(y))


@on_every_place
def test_matrices_without_a_factor_are_noticed(place):
    """The ridge grows until there is one: cuSOLVER would hand out a factor that is none."""
    xp = namespace_of(place.put(np.zeros(1)))
    with pytest.raises(FloatingPointError, match="not finite"):
        factorise(place.put(np.full((1, 3, 3), np.nan)), None, place.put(np.zeros(3)), xp)
    indefinite = np.array([[[1.0, 1.0 + 1e-9], [1.0 + 1e-9, 1.0]]])
    solve = factorise(place.put(indefinite), None, place.put(np.zeros(2)), xp)
    expected = factorise(indefinite, None, np.zeros(2), np)(np.array([[1.0, 2.0]]))
    np.testing.assert_allclose(place.host(solve(place.put(np.array([[1.0, 2.0]])))), expected, rtol=1e-3)


def test_sparse_data_on_a_gpu_is_refused():
    """A class that looks like one of cupyx to `fit`."""
    csr = type("csr_matrix", (), {"__module__": "cupyx.scipy.sparse._csr", "shape": (3, 2)})
    for estimator in (skreg.Lasso(), skreg.SparseClassifier(), skreg.QuantileRegressor()):
        with pytest.raises(TypeError, match="csr_matrix on a GPU, which is not supported"):
            estimator.fit(csr(), np.arange(3.0))


@pytest.mark.gpu
@pytest.mark.parametrize("place", [CupyPlace], ids=["cupy"], indirect=True)
def test_sparse_data_of_cupyx_is_refused(place):
    from cupyx.scipy import sparse

    X, y = make_data(skreg.Lasso())
    model = skreg.Lasso().fit(place.put(X), place.put(y))
    X = sparse.csr_matrix(place.put(X))
    with pytest.raises(TypeError, match="not supported: fit the SciPy matrix"):
        skreg.Lasso().fit(X, place.put(y))
    with pytest.raises(TypeError, match="not supported: fit the SciPy matrix"):
        model.predict(X)


@pytest.mark.gpu
@pytest.mark.parametrize("cls", TAGGED)
class TestScikitLearn:
    """Scikit-learn's own checks on CuPy; tests/test_common.py has those on array_api_strict.

    They compare coefficients to seven digits; a duality gap of `tol` gives half as many as `tol` has.
    """

    def test_input_and_values(self, cls):
        check_array_api_input_and_values(cls.__name__, cls(tol=1e-15), "cupy", check_sample_weight=True)

    def test_mixed_inputs(self, cls):
        strict, cupy, host = ("array_api_strict", "CPU_DEVICE"), ("cupy", None), ("numpy", None)
        for X, other in ((cupy, host), (host, cupy), (cupy, strict), (strict, cupy)):
            check_array_api_mixed_inputs(
                cls.__name__, cls(tol=1e-15), NamespaceAndDevice(*X), NamespaceAndDevice(*other), check_values=True
            )

    def test_same_namespace(self, cls):
        check_array_api_same_namespace(cls.__name__, cls(), "cupy")
