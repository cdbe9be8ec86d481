"""Weights of forecasts: optimal, nested, equivariant."""

import numpy as np
import pytest
from scipy.optimize import brentq, linprog
from scipy.stats import laplace, logistic, norm

from skreg.metrics import mean_pinball_loss
from skreg.quantile import fit_weights

LEVELS = np.array([0.1, 0.3, 0.5, 0.7, 0.9])


def draw(n=80, p=3, seed=0):
    """Forecasts of known and of varying quality, some of them biased, of a skewed target."""
    rng = np.random.default_rng(seed)
    signal = rng.standard_normal(n)
    y = signal + 0.3 * rng.gamma(2.0, size=n)
    error, spread = np.linspace(0.2, 0.8, p), np.linspace(0.3, 1.0, p)
    centre = signal[:, None] + error * rng.standard_normal((n, p)) + np.linspace(0.0, 0.8, p)
    return centre[:, :, None] + spread[:, None] * norm.ppf(LEVELS), y


def loss(Z, y, result, weight=None):
    return mean_pinball_loss(y, result.combine(Z), LEVELS, sample_weight=weight)


def reference(Z, y, level, weight, constraint, intercept, l1, target, cap):
    """The optimum at one level by HiGHS; `Z` has the columns that inform it."""
    n, q = Z.shape
    weight = weight / weight.sum()
    cost = np.r_[np.zeros(q + 1), weight * level, weight * (1 - level), np.full(2 * q, l1)]
    rows = np.c_[Z, np.full(n, float(intercept)), np.eye(n), -np.eye(n), np.zeros((n, 2 * q))]
    away = np.c_[np.eye(q), np.zeros((q, 2 * n + 1)), -np.eye(q), np.eye(q)]
    A, b = np.r_[rows, away], np.r_[y, target]
    if constraint in ("convex", "affine"):
        A, b = np.r_[A, [np.r_[np.ones(q), np.zeros(2 * n + 2 * q + 1)]]], np.r_[b, 1.0]
    lower = 0.0 if constraint in ("convex", "positive") else None
    bounds = [(lower, cap)] * q + [(None, None)] + [(0, None)] * (2 * n + 2 * q)
    return linprog(cost, A_eq=A, b_eq=b, bounds=bounds, method="highs").fun


@pytest.mark.parametrize("constraint", ["convex", "positive", "affine", "none"])
@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("resolution", ["medium", "fine"])
def test_optimum_is_that_of_highs(resolution, constraint, intercept):
    Z, y = draw()
    weight = np.random.default_rng(1).integers(0, 3, len(y)).astype(float)
    for shrinkage, cap in ((0.0, None), (0.05, 0.5)):
        result = fit_weights(
            Z,
            y,
            LEVELS,
            resolution=resolution,
            constraint=constraint,
            intercept=intercept,
            shrinkage=shrinkage,
            max_weight=cap,
            sample_weight=weight,
        )
        target = fit_weights(Z, y, LEVELS, intercept=intercept, shrinkage=np.inf, sample_weight=weight)
        scales = mean_pinball_loss(y, target.combine(Z), LEVELS, sample_weight=weight, average=False)
        best = []
        for k, level in enumerate(LEVELS):
            columns, centre = Z[:, :, k], np.full(3, 1 / 3)
            if resolution == "fine":
                columns, centre = Z.reshape(len(y), -1), np.zeros((3, 5))
                centre[:, k] = 1 / 3
            l1 = shrinkage * scales[k]
            best.append(reference(columns, y, level, weight, constraint, intercept, l1, centre.ravel(), cap))
        assert result.objective == pytest.approx(np.mean(best), rel=1e-9)
        assert result.dual_gap <= 1e-12
        if shrinkage == 0:
            assert loss(Z, y, result, weight) == pytest.approx(result.objective, rel=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_finer_weights_are_never_worse(seed):
    """Feasible sets are nested: fine, medium, groups of levels, coarse, single models and the average."""
    Z, y = draw(n=40, p=4, seed=seed)
    settings = [dict(resolution="fine"), dict(), dict(tau_groups=[0, 0, 1, 0, 0]), dict(resolution="coarse")]
    losses = [fit_weights(Z, y, LEVELS, **s).objective for s in settings]
    single = [mean_pinball_loss(y, Z[:, j], LEVELS) for j in range(4)]
    losses.append(min(*single, mean_pinball_loss(y, Z.mean(axis=1), LEVELS)))
    assert np.all(np.diff(losses) >= -1e-14)
    assert losses[0] < losses[1] < losses[3]


@pytest.mark.parametrize("resolution", ["coarse", "medium", "fine"])
@pytest.mark.parametrize("shrinkage", [0.0, 0.02])
def test_weights_follow_units_mirror_and_order(resolution, shrinkage):
    Z, y = draw()
    fit = lambda Z, y, levels=LEVELS: fit_weights(Z, y, levels, resolution=resolution, shrinkage=shrinkage)
    result = fit(Z, y)
    for scale, shift in ((1e-6, 0.0), (1e5, 0.0), (3.0, 50.0)):
        other = fit(scale * Z + shift, scale * y + shift)
        np.testing.assert_allclose(other.combine(Z), result.combine(Z), atol=1e-8)
        assert other.objective == pytest.approx(scale * result.objective, rel=1e-8)
    mirrored = fit(-Z[:, :, ::-1], -y, (1 - LEVELS)[::-1])
    np.testing.assert_allclose(mirrored.combine(-Z[:, :, ::-1]), -result.combine(Z)[:, ::-1], atol=1e-8)
    order = [2, 0, 1]
    permuted = fit(Z[:, order], y)
    np.testing.assert_allclose(permuted.combine(Z[:, order]), result.combine(Z), atol=1e-8)


def test_averages_of_quantiles_keep_the_shape():
    """Quantiles of N(mean_j, sd_j^2), averaged, are those of N(w . mean, (w . sd)^2) (paper, Proposition 3)."""
    mean, sd, w = np.array([0.0, 2.0, 5.0]), np.array([1.0, 0.5, 3.0]), np.array([0.2, 0.5, 0.3])
    y = norm.ppf(np.linspace(0.002, 0.998, 250), w @ mean, w @ sd)
    Z = np.broadcast_to(norm.ppf(LEVELS, mean[:, None], sd[:, None]), (250, 3, 5))
    result = fit_weights(Z, y, LEVELS, resolution="coarse", shrinkage=np.inf, shrink_to=w)
    np.testing.assert_allclose(result.combine(Z)[0], norm.ppf(LEVELS, w @ mean, w @ sd), rtol=1e-12)


@pytest.mark.parametrize("family", [norm, logistic, laplace], ids=lambda f: f.name)
def test_averages_of_quantiles_are_sharper_than_mixtures(family):
    """T5: the mean of the mixture, smaller even central moments, thinner tails (paper, Propositions 4 and 5)."""
    mean, sd, w = np.array([0.0, 2.0, 5.0]), np.array([1.0, 0.5, 3.0]), np.array([0.2, 0.5, 0.3])
    levels = (np.arange(2000) + 0.5) / 2000
    Z = family.ppf(levels, mean[:, None], sd[:, None])[None]
    averaged = fit_weights(Z, [0.0], levels, resolution="coarse", shrinkage=np.inf, shrink_to=w).combine(Z)[0]
    centre = w @ Z[0].mean(axis=1)
    assert averaged.mean() == pytest.approx(centre, rel=1e-12)
    for power in (2, 4, 6):
        of_mixture = w @ ((Z[0] - centre) ** power).mean(axis=1)
        assert np.mean((averaged - centre) ** power) < 0.7 * of_mixture
    for level in (1e-3, 1 - 1e-3):
        q = np.interp(level, levels, averaged)
        of_mixture = brentq(lambda x, level: w @ family.cdf(x, mean, sd) - level, -100.0, 100.0, args=(level,))
        assert abs(q - centre) < abs(of_mixture - centre)


def test_shrinkage_leads_from_free_weights_to_the_target():
    Z, y = draw()
    strengths = [0.0, 0.003, 0.03, 0.3, 3.0, np.inf]
    for shrink_to in ("uniform", "coarse"):
        fits = [fit_weights(Z, y, LEVELS, resolution="fine", shrinkage=s, shrink_to=shrink_to) for s in strengths]
        target = fits[-1].weights
        away = [np.abs(fit.weights - target).sum() for fit in fits]
        assert np.all(np.diff(away) <= 1e-9) and away[0] > 1.0 and away[-2] <= 1e-12
        losses = [loss(Z, y, fit) for fit in fits]
        assert np.all(np.diff(losses) >= -1e-12)
    coarse = fit_weights(Z, y, LEVELS, resolution="coarse").weights
    for k in range(5):
        np.testing.assert_allclose(target[k, :, k], coarse)
        assert target[k].sum() == pytest.approx(1.0)


def test_weights_and_models_in_use_are_capped():
    Z, y = draw(p=5)
    capped = fit_weights(Z, y, LEVELS, max_weight=0.3)
    assert capped.weights.max() <= 0.3 + 1e-12
    for resolution in ("coarse", "medium", "fine"):
        few = fit_weights(Z, y, LEVELS, resolution=resolution, max_nonzero=2, shrinkage=0.01)
        by_model = np.abs(few.weights).sum(axis={1: (), 2: 1, 3: (0, 2)}[few.weights.ndim])
        assert (by_model > 0).sum() <= 2
    best = np.argmin([mean_pinball_loss(y, Z[:, j], LEVELS) for j in range(5)])
    assert fit_weights(Z, y, LEVELS, resolution="coarse", max_nonzero=1).weights[best] == 1.0


def test_a_weight_of_a_sample_counts_as_copies_of_it():
    Z, y = draw(n=30)
    weight = np.random.default_rng(0).integers(0, 3, 30)
    for resolution in ("coarse", "medium", "fine"):
        given = fit_weights(Z, y, LEVELS, resolution=resolution, sample_weight=weight)
        repeated = fit_weights(np.repeat(Z, weight, axis=0), np.repeat(y, weight), LEVELS, resolution=resolution)
        assert given.objective == pytest.approx(repeated.objective, rel=1e-10)


def test_copies_of_a_model_change_nothing():
    Z, y = draw()
    twice = np.concatenate([Z, Z[:, :1]], axis=1)
    for resolution in ("coarse", "medium", "fine"):
        once = fit_weights(Z, y, LEVELS, resolution=resolution)
        assert fit_weights(twice, y, LEVELS, resolution=resolution).objective == pytest.approx(
            once.objective, rel=1e-10
        )


def test_a_perfect_forecast_is_found():
    Z, y = draw()
    Z = np.concatenate([Z, np.broadcast_to(y[:, None, None], (80, 1, 5))], axis=1)
    for resolution in ("coarse", "medium", "fine"):
        assert fit_weights(Z, y, LEVELS, resolution=resolution).objective <= 1e-14


@pytest.mark.parametrize(
    "name, arguments",
    [
        ("Z", dict(Z=np.zeros((80, 3)))),
        ("Z", dict(Z=np.full((80, 3, 5), np.nan))),
        ("y", dict(y=np.zeros(79))),
        ("quantiles", dict(quantiles=[0.5, 0.4, 0.6, 0.7, 0.8])),
        ("resolution", dict(resolution="finest")),
        ("constraint", dict(constraint="simplex")),
        ("tau_groups", dict(tau_groups=[0, 1])),
        ("tau_groups", dict(tau_groups=[0, 0, 1, 1, 1], resolution="fine")),
        ("max_weight", dict(max_weight=0.2)),
        ("max_nonzero", dict(max_nonzero=0)),
        ("shrinkage", dict(shrinkage=-1.0)),
        ("shrink_to", dict(shrink_to="median")),
        ("shrink_to", dict(shrink_to=[0.5, 0.5])),
        ("shrink_to", dict(shrink_to=[0.5, 0.6, -0.1], resolution="coarse")),
        ("sample_weight", dict(sample_weight=np.zeros(80))),
    ],
)
def test_bad_arguments_are_named(name, arguments):
    Z, y = draw()
    with pytest.raises(ValueError, match=name):
        fit_weights(**{**dict(Z=Z, y=y, quantiles=LEVELS), **arguments})
