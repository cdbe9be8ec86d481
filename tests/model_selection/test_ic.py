"""PathIC: criteria against other software and formulas, degrees of freedom against Stein's lemma, relaxed fits."""

import warnings

import numpy as np
import pytest
from scipy.linalg import block_diag
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LassoLarsIC, LinearRegression, PoissonRegressor, RidgeCV
from sklearn.metrics import log_loss, mean_gamma_deviance, mean_poisson_deviance

import skreg
from skreg.model_selection import regularization_path
from skreg.solvers import ProxNewton
from tests._instances import make_data
from tests.model_selection import _simulation as simulation

TIGHT = dict(tol=1e-13)


def regression(n=24, p=9, noise=1.0, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) @ (np.eye(p) + 0.3)
    w = np.r_[2.0, -1.5, 1.0, np.zeros(p - 3)]
    return X, X @ w + 1.0 + noise * rng.standard_normal(n)


# ------------------------------------------------------------ other software
@pytest.mark.parametrize("criterion", ["aic", "bic"])
def test_aic_and_bic_are_those_of_lasso_lars_ic(criterion):
    X, y = load_diabetes(return_X_y=True)
    theirs = LassoLarsIC(criterion=criterion).fit(X, y)
    given = dict(alphas=theirs.alphas_, noise_variance=theirs.noise_variance_)
    ours = skreg.PathIC(skreg.Lasso(**TIGHT), criterion=criterion, **given).fit(X, y)
    np.testing.assert_allclose(ours.criterion_, theirs.criterion_, rtol=1e-10)
    assert ours.alpha_ == theirs.alpha_ and ours.noise_variance_ == theirs.noise_variance_
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-6, atol=1e-6)


def test_gcv_of_ridge_is_ridge_cv_where_leverages_are_equal():
    """RidgeCV leaves each sample out; GCV puts the mean leverage in place of each: no difference for sines."""
    n, alphas = 30, np.geomspace(1.0, 1e-3, 10)
    angle = 2 * np.pi * np.outer(np.arange(n), [1, 2, 5]) / n
    X = np.hstack([np.cos(angle), np.sin(angle)]) * np.r_[1.0, 0.5, 2.0, 1.0, 0.5, 2.0]
    y = X @ [1.0, 0.0, -1.0, 0.5, 0.0, 2.0] + np.random.default_rng(0).standard_normal(n) + 4.0
    theirs = RidgeCV(alphas=n * alphas, store_cv_results=True).fit(X, y)
    ours = skreg.PathIC(skreg.ElasticNet(l1_ratio=0.0, **TIGHT), criterion="gcv", alphas=alphas).fit(X, y)
    np.testing.assert_allclose(ours.criterion_, theirs.cv_results_.mean(axis=0), rtol=1e-8)
    assert n * ours.alpha_ == pytest.approx(theirs.alpha_)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-8)


DEVIANCES = {
    "poisson": lambda y, model, X: len(y) * mean_poisson_deviance(y, model.predict(X)),
    "gamma": lambda y, model, X: len(y) * mean_gamma_deviance(y, model.predict(X)),
    "logistic": lambda y, model, X: 2 * log_loss(y, model.predict_proba(X), normalize=False),
    "multinomial": lambda y, model, X: 2 * log_loss(y, model.predict_proba(X), normalize=False),
}


@pytest.mark.parametrize("loss", DEVIANCES)
def test_other_losses_have_their_deviance_in_place_of_squares(loss):
    cls = skreg.SparseRegressor if loss in {"poisson", "gamma"} else skreg.SparseClassifier
    model = cls(loss=loss, standardize=True, **TIGHT)
    X, y = make_data(model)
    search = skreg.PathIC(model, alphas=8, eps=0.05).fit(X, y)
    deviance = np.array(
        [DEVIANCES[loss](y, fit, X) for fit in regularization_path(model, X, y, search.alphas_).models()]
    )
    if loss == "gamma":  # its variance has a free factor, estimated by deviance / n
        deviance = len(y) * (1 + np.log(2 * np.pi * deviance / len(y)))
    np.testing.assert_allclose(search.criterion_, deviance + np.log(len(y)) * search.df_path_, rtol=1e-8)
    assert search.df_path_[-1] > search.df_path_[0] == 0


def test_ebic_adds_the_logarithm_of_the_number_of_features():
    X, y = regression()
    bic, half, one = (
        skreg.PathIC(skreg.Lasso(**TIGHT), criterion=name, ebic_gamma=gamma).fit(X, y)
        for name, gamma in [("bic", 0.3), ("ebic", 0.5), ("ebic", 1.0)]
    )
    np.testing.assert_allclose(half.criterion_ - bic.criterion_, np.log(9) * bic.df_path_, atol=1e-9)
    np.testing.assert_allclose(one.criterion_ - bic.criterion_, 2 * np.log(9) * bic.df_path_, atol=1e-9)
    assert bic.noise_variance_ == pytest.approx(np.mean((y - bic.predict(X)) ** 2))


def test_sure_is_an_unbiased_estimate_of_the_error():
    rng = np.random.default_rng(0)
    X, _ = regression(50)
    mean = X[:, 0] - 0.5 * X[:, 1] + 3.0
    excess = []
    for _ in range(400):
        y = mean + 2.0 * rng.standard_normal(50)
        search = skreg.PathIC(skreg.Lasso(), criterion="sure", alphas=[0.3], noise_variance=4.0).fit(X, y)
        excess.append(search.criterion_[0] - np.sum((search.predict(X) - mean) ** 2))
    assert abs(np.mean(excess)) <= 3 * np.std(excess) / np.sqrt(400)
    assert 3 * np.std(excess) / np.sqrt(400) < 8.0  # what one degree of freedom more or less would change
    cp = skreg.PathIC(skreg.Lasso(), criterion="cp", alphas=[0.3], noise_variance=4.0).fit(X, y)
    assert cp.criterion_[0] == pytest.approx(search.criterion_[0] / 4.0)


def test_the_noise_of_cp_comes_from_the_square_root_lasso():
    X, y = regression()
    search = skreg.PathIC(skreg.Lasso(), criterion="cp").fit(X, y)
    assert search.noise_variance_ == pytest.approx(skreg.SqrtLasso().fit(X, y).scale_ ** 2, rel=1e-6)


# ------------------------------------------------------------ degrees of freedom
def divergence(model, X, y, step=1e-4):
    """Sum over the entries of y of the derivative of the fit there, the intercept's 1 a target left out."""
    total = 0.0
    for place in np.ndindex(y.shape):
        ends = []
        for change in (step, -step):
            moved = y.copy()
            moved[place] += change
            ends.append(model.fit(X, moved).predict(X)[place])
        total += (ends[0] - ends[1]) / (2 * step)
    return total - (y.shape[1] if y.ndim > 1 else 1)


STEIN = [
    skreg.Lasso(0.3, **TIGHT),
    skreg.Lasso(0.3, positive=True, **TIGHT),
    skreg.Lasso(0.1, upper=1.2, penalty_weights=[0.0, *[1.0] * 8], **TIGHT),
    skreg.ElasticNet(0.5, l1_ratio=0.5, standardize=True, **TIGHT),
    skreg.GroupLasso(groups=3, alpha=0.2, **TIGHT),
    skreg.GroupLasso(groups=3, alpha=0.5, penalty="group_elastic_net", l1_ratio=0.6, **TIGHT),
    skreg.SparseGroupLasso(groups=3, alpha=0.3, l1_ratio=0.5, **TIGHT),
    skreg.ExclusiveLasso(groups=3, alpha=0.3, **TIGHT),
    skreg.FusedLasso(alpha=0.3, l1_ratio=0.3, **TIGHT),
    skreg.SlopeRegressor(alpha=0.2, lambdas=np.linspace(3.0, 1.0, 9), **TIGHT),
    skreg.MultiTaskLasso(alpha=0.5, **TIGHT),
    skreg.MultiTaskElasticNet(alpha=0.5, l1_ratio=0.5, **TIGHT),
    skreg.SqrtLasso(alpha=0.0, **TIGHT),
]


@pytest.mark.parametrize("model", STEIN, ids=repr)
def test_degrees_of_freedom_are_the_divergence_of_the_fit(model):
    X, y = regression()
    if isinstance(model, skreg.MultiTaskLasso | skreg.MultiTaskElasticNet):
        y = np.c_[y, -0.5 * y + X[:, 4]]
    search = skreg.PathIC(model, alphas=[model.alpha]).fit(X, y)
    assert search.df_path_[0] == pytest.approx(divergence(model, X, y), rel=1e-5)
    assert isinstance(model, skreg.SqrtLasso) or 1 < search.df_path_[0] < 9 * (2 if y.ndim > 1 else 1)


def test_degrees_of_freedom_of_groups_are_yuan_and_lins_on_orthonormal_columns():
    rng = np.random.default_rng(0)
    Q = np.linalg.qr(np.c_[np.ones(60), rng.standard_normal((60, 12))])[0][:, 1:] * np.sqrt(60)
    y = Q @ np.r_[2.0, -1.0, 1.0, np.zeros(9)] + rng.standard_normal(60)
    search = skreg.PathIC(skreg.GroupLasso(groups=3, **TIGHT), alphas=[0.1]).fit(Q, y)
    norms = np.linalg.norm((Q.T @ y / 60).reshape(4, 3), axis=1)
    shrunk = search.group_norms_
    assert 0 < np.count_nonzero(shrunk)
    assert search.df_path_[0] == pytest.approx(np.sum((shrunk > 0) + shrunk / norms * 2), rel=1e-8)


@pytest.mark.parametrize("loss", ["logistic", "multinomial"])
def test_degrees_of_freedom_of_classes_are_the_trace_of_the_hat_matrix(loss):
    model = skreg.SparseClassifier(loss=loss, penalty="elastic_net", l1_ratio=0.0, **TIGHT)
    X, y = make_data(model)
    search = skreg.PathIC(model, alphas=[0.05]).fit(X, y)
    P = search.predict_proba(X)
    Z = np.c_[X, np.ones(len(X))]
    if loss == "logistic":
        H = (Z * (P[:, :1] * P[:, 1:])).T @ Z / len(X)
        ridge = np.diag([0.05] * 8 + [0.0])
    else:
        H = sum(np.kron(np.diag(p) - np.outer(p, p), np.outer(z, z)) for p, z in zip(P, Z)) / len(X)
        ridge = block_diag(*[np.diag([0.05] * 8 + [0.0])] * 3)
    free = len(H) // 9 - (loss == "multinomial")  # intercepts, of which one is a gauge
    trace = np.trace(np.linalg.pinv(H + ridge, rcond=1e-12) @ H)
    assert search.df_path_[0] == pytest.approx(trace - free, rel=1e-8)


@pytest.mark.parametrize("penalty", ["mcp", "scad", "l0"])
def test_degrees_of_freedom_of_other_penalties_are_the_size_of_the_support(penalty):
    X, y = regression()
    search = skreg.PathIC(skreg.SparseRegressor(penalty=penalty, tol=1e-9), alphas=10, eps=0.1).fit(X, y)
    np.testing.assert_array_equal(search.df_path_, np.count_nonzero(search.coef_path_, axis=1))


# ------------------------------------------------------------ one path
def test_there_is_one_path_and_no_other_fit(monkeypatch):
    X, y = regression(30, 60)
    calls, solve = [], ProxNewton.solve
    monkeypatch.setattr(ProxNewton, "solve", lambda self, *args: calls.append(args[0].pen.alpha) or solve(self, *args))
    search = skreg.PathIC(skreg.Lasso(), alphas=30).fit(X, y)
    np.testing.assert_array_equal(calls[: len(search.alphas_)], search.alphas_)
    assert len(calls) <= len(search.alphas_) + 1 <= 30  # the one that has too many degrees of freedom ended the path
    calls.clear()
    skreg.PathIC(skreg.Lasso(), alphas=search.alphas_, relaxed=0.5).fit(X, y)
    assert len(calls) == len(search.alphas_) + 1  # and the free fit


def test_the_path_ends_at_80_percent_of_the_samples():
    X, y = regression(30, 60)
    search = skreg.PathIC(skreg.Lasso(), criterion="aic").fit(X, y)
    full = regularization_path(skreg.Lasso(), X, y)
    assert len(search.alphas_) == len(search.criterion_) == len(search.coef_path_) == np.argmax(full.df >= 24) < 100
    np.testing.assert_allclose(search.coef_path_, full.coefs[: len(search.alphas_)], atol=1e-8)
    assert search.alpha_ == search.alphas_[search.best_index_] == search.best_estimator_.alpha
    np.testing.assert_array_equal(search.coef_, search.coef_path_[search.best_index_])


def test_weights_count_copies_of_rows():
    X, y = regression()
    weight = np.random.default_rng(1).integers(0, 3, 24)
    for criterion in ("bic", "gcv", "cp"):
        search = skreg.PathIC(skreg.ElasticNet(**TIGHT), criterion=criterion, alphas=20)
        one = search.fit(X, y, weight).criterion_
        other = search.fit(np.repeat(X, weight, axis=0), np.repeat(y, weight)).criterion_
        np.testing.assert_allclose(one, other, rtol=1e-7)


def test_data_without_noise_and_constant_targets():
    X, y = regression(noise=0.0)
    for criterion in ("bic", "aic", "ebic", "gcv", "cp", "sure", "av"):
        exact = skreg.PathIC(skreg.Lasso(**TIGHT), criterion=criterion).fit(X, y)
        assert exact.score(X, y) > (0.99 if criterion != "av" else 0.8)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            constant = skreg.PathIC(skreg.Lasso(), criterion=criterion, noise_variance=1.0).fit(X, np.full(24, 2.0))
        assert not constant.coef_.any() and constant.intercept_ == 2.0


# ------------------------------------------------------------ adaptive validation
def test_adaptive_validation_keeps_its_promise():
    """Within 3 C a of the truth, where every coefficient at every alpha of a or above is within C alpha."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((100, 30))
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    w = np.r_[2.0, -1.5, 1.0, np.zeros(27)]
    y = X @ w + rng.standard_normal(100)
    search = skreg.PathIC(skreg.Lasso(**TIGHT), criterion="av", av_constant=1.2, alphas=60, threshold=True).fit(X, y)
    ratio = np.abs(search.coef_path_ - w).max(axis=1) / search.alphas_
    last = np.argmax(ratio > 1.2) - 1 if (ratio > 1.2).any() else 59
    assert 0 < last < 59 and search.alpha_ <= search.alphas_[last]
    chosen = search.coef_path_[search.best_index_]
    assert np.abs(chosen - w).max() <= 3.6 * search.alphas_[last]
    kept = np.abs(chosen) >= 3.6 * search.alpha_
    np.testing.assert_array_equal(search.coef_, np.where(kept, chosen, 0.0))
    assert np.mean(y - search.predict(X)) == pytest.approx(0.0, abs=1e-12) and 0 < kept.sum() < (chosen != 0).sum()


def test_the_test_of_adaptive_validation():
    X, y = regression()
    search = skreg.PathIC(skreg.Lasso(penalty_weights=np.linspace(0, 2, 9)), criterion="av", alphas=15).fit(X, y)
    a, w, v = search.alphas_, search.coef_path_[:, 1:], np.linspace(0, 2, 9)[1:]
    ratios = [
        max(
            np.max(X.var(axis=0)[1:] * np.abs(w[i] - w[j]) / v) / (a[i] + a[j])
            for i in range(k + 1)
            for j in range(k + 1)
        )
        for k in range(15)
    ]
    np.testing.assert_allclose(search.criterion_, ratios, rtol=1e-10)
    assert search.best_index_ == max(k for k in range(15) if ratios[k] <= 0.75) < 14


# ------------------------------------------------------------ relaxed fits
@pytest.mark.parametrize("model", [skreg.Lasso(), skreg.GroupLasso(groups=3), skreg.SqrtLasso()], ids=repr)
def test_relaxed_fits_are_shares_of_least_squares(model):
    X, y = regression(60)
    fits = [skreg.PathIC(model, criterion="ebic", relaxed=share).fit(X, y) for share in (0.0, 0.5, 1.0)]
    used = fits[0].coef_ != 0
    ols = LinearRegression().fit(X[:, used], y)
    assert 0 < used.sum() < 9 and not fits[2].coef_[~used].any()
    np.testing.assert_allclose(fits[2].coef_[used], ols.coef_, atol=1e-8)
    np.testing.assert_allclose(fits[2].predict(X), ols.predict(X[:, used]), atol=1e-8)
    np.testing.assert_allclose(fits[1].coef_, 0.5 * (fits[0].coef_ + fits[2].coef_), atol=1e-12)
    np.testing.assert_allclose(fits[1].predict(X), 0.5 * (fits[0].predict(X) + fits[2].predict(X)), atol=1e-12)


def test_relaxed_fits_of_counts_and_of_tasks():
    model = skreg.SparseRegressor(loss="poisson", tol=1e-10)
    X, y = make_data(model, n_samples=100)
    search = skreg.PathIC(model, alphas=[0.1], relaxed=1.0).fit(X, y)
    used = search.coef_ != 0
    assert 0 < used.sum() < 8
    free = PoissonRegressor(alpha=0.0, tol=1e-10, max_iter=1000).fit(X[:, used], y)
    np.testing.assert_allclose(search.coef_[used], free.coef_, atol=1e-5)
    X, y = regression()
    Y = np.c_[y, X[:, 4] - y]
    tasks = skreg.PathIC(skreg.MultiTaskLasso(), criterion="ebic", relaxed=1.0).fit(X, Y)
    used = tasks.coef_.any(axis=0)
    np.testing.assert_allclose(tasks.coef_[:, used], LinearRegression().fit(X[:, used], Y).coef_, atol=1e-7)
    assert 0 < used.sum() < 9


# ------------------------------------------------------------ errors
@pytest.mark.parametrize(
    ("search", "message"),
    [
        (skreg.PathIC(skreg.Lasso(), threshold=True), "threshold=True needs criterion='av'"),
        (skreg.PathIC(skreg.GroupLasso(groups=11), criterion="av"), "criterion='av' needs an L1 penalty"),
        (skreg.PathIC(skreg.SparseRegressor(loss="poisson"), criterion="av"), "needs a loss of bounded curvature"),
        (skreg.PathIC(skreg.SparseRegressor(loss="huber"), criterion="cp"), "criterion='cp' needs a noise_variance"),
        (skreg.PathIC(skreg.FusedLasso(), relaxed=0.5), "relaxed=0.5 needs a penalty of single features or of groups"),
        (
            skreg.PathIC(skreg.ElasticNet(l1_ratio=0.0), alphas=[1e-9]),
            "alphas begins with a model of at least 9.6 degr",
        ),
        (skreg.PathIC(skreg.Lasso(), alphas=[-1.0]), "alphas"),
        (skreg.PathIC(skreg.Lasso(), relaxed=1.5), "relaxed"),
    ],
    ids=repr,
)
def test_errors_name_the_parameter(search, message):
    X, y = make_data(skreg.SparseRegressor(loss="poisson"), n_samples=12, n_features=11)
    with pytest.raises(ValueError, match=message):
        search.fit(X, y)
    assert not hasattr(search, "alpha_")


def test_an_estimator_without_alpha_is_refused():
    with pytest.raises(TypeError, match="skreg estimator with an alpha; got LinearRegression"):
        skreg.PathIC(LinearRegression()).fit(*regression())


def test_missed_certificates_warn():
    X, y = regression(30, 60)
    with pytest.warns(ConvergenceWarning, match="Lasso stopped after"):
        skreg.PathIC(skreg.Lasso(max_iter=1), alphas=3).fit(X, y)


# ------------------------------------------------------------ what is selected
@pytest.mark.slow
def test_false_discoveries_come_in_the_order_of_the_user_guide():
    """Rules that are about equal are in one tuple."""
    found = simulation.table(24)
    wrong = {name: row[2] for name, row in found.items()}
    order = [
        ("GCV",),
        ("cross-validation",),
        ("BIC", "cross-validation, 1-SE"),
        ("AV",),
        ("SURE", "EBIC 0.5"),
        ("EBIC 1",),
        ("AV, threshold", "square-root Lasso"),
    ]
    for more, fewer in zip(order, order[1:]):
        assert min(wrong[name] for name in more) > max(wrong[name] for name in fewer), (more, fewer)
    errors = [found[name][0] for name in ("EBIC 0.5, relaxed", "cross-validation", "EBIC 0.5", "square-root Lasso")]
    assert errors == sorted(errors)
