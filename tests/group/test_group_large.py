"""A thousand groups of 1 to 50 columns: a certificate, or a warning that says why; never a silent wrong answer."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning

from tests.group._group_data import CLASSES, REGRESSION, alpha_top, model_for, objective

N, N_GROUPS = 2000, 1000


def large(loss, seed=0, n=N, n_groups=N_GROUPS, density=0.02):
    """Sparse X whose columns come in groups of 1 to 50, ten of which matter."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(n_groups), rng.integers(1, 51, n_groups))
    X = sp.random(n, len(labels), density, "csc", rng=rng, data_rvs=rng.standard_normal)
    w = np.where(np.isin(labels, rng.choice(n_groups, 10)), rng.standard_normal(len(labels)), 0.0)
    eta = X @ w
    eta = eta / eta.std()
    if loss == "multinomial":
        y = np.argmax(np.stack([2 * eta, 0 * eta, -2 * eta]) + rng.gumbel(size=(3, n)), axis=0)
    elif loss in CLASSES:
        y = (2 * eta + rng.logistic(size=n) > 0).astype(int)
    elif loss == "poisson":
        y = rng.poisson(np.exp(0.7 * eta)).astype(float)
    elif loss == "gamma":
        y = np.exp(0.7 * eta) * rng.gamma(3.0, size=n)
    else:
        y = eta + 0.5 * rng.standard_normal(n)
    return X, y, labels


def check(loss, kind, container, share, size=None, tol=1e-10):
    X, y, labels = large(loss, **(size or {}))
    weight = np.ones(len(y))
    model = model_for(loss, kind, groups=labels, tol=tol)
    model.set_params(alpha=share * alpha_top(model, X, y))
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        model.fit(container(X), y)
    told = [str(w.message) for w in seen if issubclass(w.category, ConvergenceWarning)]
    assert model.converged_ or (len(told) == 1 and "relative duality gap of" in told[0] and "max_iter" in told[0])
    assert model.converged_ == (model.dual_gap_ <= tol) == (not told)
    assert 0 < model.selected_groups_.size < len(model.groups_)
    dense = X.toarray()
    rough = model_for(loss, kind, groups=labels, tol=1e-4, alpha=model.alpha).fit(container(X), y)
    null = model_for(loss, kind, groups=labels, tol=1e-4, alpha=1e6).fit(container(X), y)
    own, other = objective(model, dense, y, weight), objective(rough, dense, y, weight)
    fall = objective(null, dense, y, weight) - own
    assert own <= other + 1e-12 * abs(own)  # the tighter model is no worse, ...
    assert other - own <= 1e-2 * fall  # ... and the looser one no further off than a gap of 1e-4 allows
    return model


CONTAINERS = {"dense": lambda X: np.asfortranarray(X.toarray()), "sparse": sp.csc_array}


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.5, 0.1])
@pytest.mark.parametrize("container", CONTAINERS.values(), ids=CONTAINERS)
@pytest.mark.parametrize("kind", ["group_lasso", "sparse_group"])
@pytest.mark.parametrize("loss", REGRESSION + CLASSES)
def test_a_thousand_groups(loss, kind, container, share):
    check(loss, kind, container, share)


@pytest.mark.parametrize("container", CONTAINERS.values(), ids=CONTAINERS)
@pytest.mark.parametrize("kind", ["group_lasso", "group_elastic_net", "sparse_group"])
@pytest.mark.parametrize("loss", REGRESSION + CLASSES)
def test_fifty_groups(loss, kind, container):
    model = check(loss, kind, container, 0.4, dict(n=150, n_groups=50, density=0.1))
    assert model.converged_
