"""Bad input gives one clear sentence that names the argument, and leaves nothing half-fitted."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.base import clone, is_classifier, is_regressor

import skreg
from skreg.losses import Huber, Logistic, Tweedie
from skreg.penalties import MCP
from tests._instances import CLASSES, CONTRACTED, GROUPED, label, make_data

every_estimator = pytest.mark.parametrize("estimator", CONTRACTED, ids=label)
classes = [cls for cls in CLASSES if cls not in GROUPED]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("argument", ["X", "sparse X", "y", "sample_weight", "offset"])
@every_estimator
def test_not_finite(estimator, argument, bad):
    X, y = make_data(estimator)
    shape = (len(y), 3) if getattr(estimator, "loss", "") == "multinomial" else y.shape
    data = dict(X=X, y=y.astype(float), sample_weight=np.ones(len(y)), offset=np.zeros(shape))
    name = argument.removeprefix("sparse ")
    data[name].flat[3] = bad
    if argument == "sparse X":
        data["X"] = sp.csr_array(data["X"])
    with pytest.raises(ValueError, match=rf"(?i)input {name} contains (nan|infinity)"):
        clone(estimator).fit(**data)


WRONG_SHAPES = [
    (dict(y=np.ones(39)), "inconsistent numbers of samples"),
    (dict(X=np.ones(40)), "Expected 2D array, got 1D array"),
    (dict(X=np.ones((40, 2, 2))), "dim 3"),
    (dict(X=np.ones((40, 0))), r"0 feature\(s\)"),
    (dict(sample_weight=np.ones(39)), r"sample_weight.shape == \(39,\), expected \(40,\)"),
    (dict(sample_weight=np.ones((40, 2))), "sample_weight has 2 dimensions"),
    (dict(sample_weight=np.zeros(40)), "sample_weight is all zero"),
    (dict(sample_weight=np.r_[-1.0, np.ones(39)]), "sample_weight must be non-negative; the smallest value is -1.0"),
    (dict(offset=np.zeros(39)), r"offset must have shape \(40,"),
    (dict(offset=np.zeros((40, 7))), r"offset must have shape \(40,"),
]


@pytest.mark.parametrize(("change", "text"), WRONG_SHAPES)
@every_estimator
def test_wrong_shapes_and_weights(estimator, change, text):
    X, y = make_data(estimator)
    with pytest.raises(ValueError, match=text):
        clone(estimator).fit(**{**dict(X=X, y=y), **change})


WRONG_PARAMETERS = [
    (dict(alpha=-1.0), "'alpha' parameter"),
    (dict(alpha=np.inf), "'alpha' parameter"),
    (dict(alpha=np.nan), "'alpha' parameter"),
    (dict(alpha="1"), "'alpha' parameter"),
    (dict(tol=-1e-3), "'tol' parameter"),
    (dict(tol=np.nan), "'tol' parameter"),
    (dict(max_iter=0), "'max_iter' parameter"),
    (dict(max_iter=1.5), "'max_iter' parameter"),
    (dict(fit_intercept="yes"), "'fit_intercept' parameter"),
    (dict(penalty_weights=-np.ones(8)), r"penalty_weights must be non-negative; got -1.0"),
    (
        dict(penalty_weights=np.ones(7)),
        r"penalty_weights must have one entry a feature, shape \(8,\); got shape \(7,\)",
    ),
    (dict(penalty_weights=np.full(8, np.nan)), "penalty_weights contains NaN"),
    (dict(penalty_weights={"x": 1.0}), "penalty_weights is a dict of column names, but X has no column names"),
    (dict(penalty_weights=["a"] * 8), "penalty_weights must be a number, an array of numbers or a dict"),
    (dict(lower=0.5), "lower must be <= 0 for every feature, so that 0 is allowed; got 0.5"),
    (dict(upper=-0.5), "upper must be >= 0 for every feature, so that 0 is allowed; got -0.5"),
    (dict(lower=np.nan), "lower contains NaN"),
    (dict(upper=np.ones((8, 1))), r"upper must have one entry a feature, shape \(8,\); got shape \(8, 1\)"),
]


def has(cls, names):
    return set(names) <= set(cls().get_params())


WRONG = [(cls, *case) for cls in classes for case in WRONG_PARAMETERS if has(cls, case[0])]


@pytest.mark.parametrize(("cls", "change", "text"), WRONG, ids=lambda x: getattr(x, "__name__", str(x)))
def test_wrong_parameters(cls, change, text):
    X, y = make_data(cls())
    with pytest.raises(ValueError, match=text):
        cls(**change).fit(X, y)


NAMES = [(cls, name) for cls in classes for name in ("penalty_weights", "lower", "upper") if has(cls, [name])]


@pytest.mark.parametrize(("cls", "name"), NAMES)
def test_wrong_dicts(cls, name):
    X, y = make_data(cls())
    X = pd.DataFrame(X, columns=list("abcdefgh"))
    with pytest.raises(ValueError, match=f"{name} names the column 'z', which X does not have"):
        cls(**{name: {"z": 0.0}}).fit(X, y)
    for bad in ("much", np.nan, None):
        with pytest.raises(ValueError, match=f"{name} must give a number for each column; got {bad!r} for 'a'"):
            cls(**{name: {"a": bad}}).fit(X, y)


R, C = skreg.SparseRegressor, skreg.SparseClassifier
WRONG_MODELS = [
    (R(loss="quadratic"), "'loss' parameter of SparseRegressor"),
    (R(loss="logistic"), "'loss' parameter of SparseRegressor"),
    (R(loss=Logistic()), r"loss=Logistic\(\) is for classes; use SparseClassifier"),
    (C(loss="huber"), "'loss' parameter of SparseClassifier"),
    (C(loss=Huber()), r"loss=Huber\(delta=1.35\) is not for classes; use SparseRegressor"),
    (R(penalty="l7"), "'penalty' parameter"),
    (C(penalty=None), "'penalty' parameter"),
    (R(penalty="mcp", gamma=1.0), "'gamma' parameter"),
    (R(penalty=MCP(gamma=0.5)), "gamma must be a finite number above 1 for MCP; got 0.5"),
    (R(penalty="scad", gamma=1.5), "gamma must be a finite number above 2 for SCAD; got 1.5"),
    (R(penalty="lq", q=1.0), "'q' parameter"),
    (R(penalty="log_sum", eps=0.0), "'eps' parameter"),
    (R(penalty="elastic_net", l1_ratio=1.5), "'l1_ratio' parameter"),
    (skreg.ElasticNet(l1_ratio=-0.1), "'l1_ratio' parameter"),
    (R(loss=Huber(delta=0.0)), "delta of the Huber loss must be positive and finite; got 0.0"),
    (R(loss=Tweedie(power=0.5)), "power of the Tweedie loss must be 0 or at least 1"),
    (C(class_weight="even"), "'class_weight' parameter"),
    (C(class_weight={0: 0.0, 1: 1.0}), "class_weight must give each class a positive, finite weight"),
    (skreg.AdaptiveLasso(gamma=-1.0), "'gamma' parameter"),
    (skreg.AdaptiveLasso(pilot="ridge"), "'pilot' parameter"),
]


@pytest.mark.parametrize(("model", "text"), WRONG_MODELS, ids=lambda v: "" if isinstance(v, str) else repr(v))
def test_wrong_losses_and_penalties(model, text):
    X, y = make_data(model) if model not in (R(loss="quadratic"),) else make_data(R())
    with pytest.raises(ValueError, match=text):
        model.fit(X, y)
    assert not [name for name in vars(model) if name.endswith("_")]


@pytest.mark.parametrize("loss", ["poisson", "gamma", "tweedie"])
def test_targets_outside_the_domain_of_the_loss(loss):
    X, y = make_data(R(loss=loss))
    y[3] = -1.0
    with pytest.raises(ValueError, match=r"y must be (non-negative|positive) for the .* the smallest value is -1.0"):
        R(loss=loss).fit(X, y)
    with pytest.raises(ValueError, match=r"^y must"):
        R(loss=loss).fit(X, np.zeros(len(y)))


def test_classes():
    X, y = make_data(C())
    with pytest.raises(ValueError, match="at least 2 classes in y .* only one class: 0"):
        C().fit(X, np.zeros(len(y), dtype=int))
    with pytest.raises(ValueError, match="at least 2 classes in y with positive sample_weight"):
        C().fit(X, y, sample_weight=(y == 1))
    with pytest.raises(ValueError, match="Unknown label type"):
        C().fit(X, np.linspace(0, 1, len(y)))
    with pytest.raises(ValueError, match="Only binary classification is supported by loss='squared_hinge'"):
        C(loss="squared_hinge").fit(X, np.arange(len(y)) % 3)


@pytest.mark.parametrize("cls", [skreg.AdaptiveLasso, R, C])
def test_one_target_only(cls):
    X, y = make_data(cls())
    with pytest.raises(ValueError, match="y should be a 1d array"):
        cls().fit(X, np.c_[y, y])


def test_pilot_without_coefficients():
    from sklearn.neighbors import KNeighborsRegressor

    X, y = make_data(skreg.AdaptiveLasso())
    with pytest.raises(ValueError, match="pilot must have coef_ after fit; KNeighborsRegressor has none"):
        skreg.AdaptiveLasso(pilot=KNeighborsRegressor()).fit(X, y)


BREAKS = [dict(offset=np.zeros(3)), dict(sample_weight=np.zeros(40))]


@pytest.mark.parametrize("broken", BREAKS, ids=["offset", "sample_weight"])
@every_estimator
def test_a_failed_fit_leaves_nothing_half_fitted(estimator, broken):
    X, y = make_data(estimator)
    fresh = clone(estimator)
    with pytest.raises(ValueError, match="offset|sample_weight"):
        fresh.fit(X, y, **broken)
    assert not [name for name in vars(fresh) if name.endswith("_")]


@every_estimator
def test_a_failed_fit_keeps_the_previous_model(estimator):
    X, y = make_data(estimator)
    model = clone(estimator).fit(X, y)
    before = model.predict(X)
    wider = np.c_[X, X[:, 0]]
    with pytest.raises(ValueError, match="offset must have shape"):
        model.fit(wider, y, offset=np.zeros(3))
    with pytest.raises(ValueError, match="alpha"):
        model.set_params(alpha=-1.0).fit(wider, y)
    np.testing.assert_array_equal(model.predict(X), before)
    assert model.n_features_in_ == X.shape[1]


@every_estimator
def test_prediction_checks_its_input(estimator):
    X, y = make_data(estimator)
    model = clone(estimator).fit(X, y)
    with pytest.raises(ValueError, match="expecting 8 features"):
        model.predict(X[:, :3])
    with pytest.raises(ValueError, match="offset must have shape"):
        model.predict(X, np.zeros(3))
    with pytest.raises(ValueError, match="Input X contains NaN"):
        model.predict(np.full_like(X, np.nan))


def test_instances_are_of_both_kinds():
    assert any(map(is_classifier, CONTRACTED)) and any(map(is_regressor, CONTRACTED))
