"""What models with groups must be: the same whatever way data and groups are given, certified, and clear in errors."""

import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import scipy.special
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV

from skreg import GroupLasso, GroupLassoClassifier, SparseGroupLasso, SparseGroupLassoClassifier
from skreg.model_selection import regularization_path
from tests.group._group_data import CLASSES, REGRESSION, alpha_top, draw, model_for, objective, uneven

P = 16
KINDS = ["group_lasso", "group_elastic_net", "sparse_group", "group_mcp", "group_scad"]
MODELS = [
    *(model_for("squared", kind, alpha=0.1) for kind in KINDS),
    *(model_for(loss, alpha=0.05) for loss in REGRESSION[1:]),
    *(model_for(loss, alpha=0.05) for loss in CLASSES),
    model_for("multinomial", "sparse_group", alpha=0.03, multinomial="ungrouped"),
    model_for("logistic", "sparse_group", alpha=0.03),
]
MODELS = [model.set_params(groups=uneven(P), tol=1e-12) for model in MODELS]
OVERLAP = [[0, 1, 2], [2, 3], [4, 5, 6, 0], [7, 8]]
containers = pytest.mark.parametrize("container", [np.asarray, sp.csr_array], ids=["dense", "sparse"])


def label(model):
    return "-".join([type(model).__name__, model.loss, getattr(model, "penalty", "")])


every_model = pytest.mark.parametrize("model", MODELS, ids=label)


def assert_same(a, b, atol=1e-8, columns=slice(None)):
    np.testing.assert_allclose(a.coef_, b.coef_[..., columns], rtol=0, atol=atol)
    np.testing.assert_allclose(a.intercept_, b.intercept_, rtol=0, atol=atol)


# ------------------------------------------------------------ data
@every_model
@containers
@pytest.mark.parametrize("groups", [None, OVERLAP], ids=["disjoint", "overlapping"])
def test_integer_weights_are_copies(model, container, groups):
    X, y, _ = draw(model.loss)
    model = clone(model).set_params(groups=groups or model.groups)
    counts = np.random.default_rng(1).integers(0, 4, len(y))
    rows = np.repeat(np.arange(len(y)), counts)
    weighted = clone(model).fit(container(X), y, sample_weight=counts)
    assert_same(weighted, clone(model).fit(container(X[rows]), y[rows]))
    assert np.any(weighted.coef_ != 0)


@every_model
@pytest.mark.parametrize("standardize", [False, True])
def test_order_of_columns_rows_and_groups_does_not_matter(model, standardize):
    X, y, weight = draw(model.loss)
    model = clone(model).set_params(standardize=standardize)
    rng = np.random.default_rng(2)
    rows, columns = rng.permutation(len(y)), rng.permutation(P)
    labels = np.asarray(model.groups)
    weights = {str(g): 0.5 + 0.2 * g for g in np.unique(labels)}
    straight = clone(model).set_params(group_weights=weights).fit(X, y, weight)
    moved = clone(model).set_params(groups=labels[columns], group_weights=weights)
    moved.fit(X[rows][:, columns], y[rows], weight[rows])
    assert_same(moved, straight, columns=columns)
    weights = {str(100 - int(g)): v for g, v in weights.items()}
    renamed = clone(model).set_params(groups=100 - labels, group_weights=weights)
    assert_same(renamed.fit(X, y, weight), straight)
    norms = dict(zip(straight.groups_, straight.group_norms_))
    np.testing.assert_allclose(moved.group_norms_, [norms[name] for name in moved.groups_], rtol=0, atol=1e-8)


@every_model
def test_groups_that_lie_apart_are_groups_that_lie_together(model):
    X, y, weight = draw(model.loss)
    order = np.argsort(model.groups, kind="stable")
    apart = clone(model).fit(X, y, weight)
    together = clone(model).set_params(groups=np.sort(model.groups)).fit(X[:, order], y, weight)
    assert_same(together, apart, columns=order)


@every_model
@pytest.mark.parametrize(
    "container",
    [np.asfortranarray, lambda X: np.repeat(X, 2, axis=1)[:, ::2], sp.csc_matrix, sp.csr_array, sp.coo_array],
    ids=["F", "strided", "csc", "csr", "coo"],
)
@pytest.mark.parametrize("groups", [None, OVERLAP], ids=["disjoint", "overlapping"])
def test_container_does_not_matter(model, container, groups):
    X, y, weight = draw(model.loss)
    model = clone(model).set_params(groups=groups or model.groups, standardize=True)
    assert_same(clone(model).fit(container(X), y, weight), clone(model).fit(X, y, weight))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", [1e-6, 1e6])
@pytest.mark.parametrize("groups", [uneven(P), OVERLAP], ids=["disjoint", "overlapping"])
def test_rescaled_target_gives_the_rescaled_model(kind, scale, groups):
    X, y, weight = draw("squared")
    model = model_for("squared", kind, groups=groups, alpha=0.1, tol=1e-12).fit(X, y, weight)
    other = clone(model).set_params(alpha=scale * model.alpha)
    if kind == "group_elastic_net":
        norm, ridge = scale * 0.5 * model.alpha, 0.5 * model.alpha
        other.set_params(alpha=norm + ridge, l1_ratio=norm / (norm + ridge))
    other.fit(X, scale * y, weight)
    np.testing.assert_allclose(other.coef_ / scale, model.coef_, rtol=0, atol=1e-10)
    assert other.selected_groups_.tolist() == model.selected_groups_.tolist()


@every_model
def test_doubled_and_constant_columns(model):
    X, y, weight = draw(model.loss)
    plain = clone(model).fit(X, y, weight)
    padded = np.c_[X, np.full(len(X), 3.0), np.zeros(len(X))]
    wider = clone(model).set_params(groups=[*np.asarray(model.groups).tolist(), 77, 78]).fit(padded, y, weight)
    np.testing.assert_allclose(wider.coef_[..., :P], plain.coef_, rtol=0, atol=1e-7)
    np.testing.assert_array_equal(wider.coef_[..., P:], 0.0)
    twice = clone(model).set_params(groups=[*np.asarray(model.groups).tolist()] * 2)
    assert twice.fit(np.c_[X, X], y, weight).converged_


# ------------------------------------------------------------ strength, certificate, warm start, path
@every_model
@containers
@pytest.mark.parametrize("groups", [None, OVERLAP, 1], ids=["disjoint", "overlapping", "single"])
@pytest.mark.parametrize("weighted", [False, True])
def test_alpha_max_empties_the_model_and_a_little_less_does_not(model, container, groups, weighted):
    X, y, weight = draw(model.loss)
    weight = weight if weighted else None
    model = clone(model).set_params(groups=groups or model.groups, tol=1e-9)
    top = alpha_top(model, X, y, weight)
    full = clone(model).set_params(alpha=top).fit(container(X), y, weight)
    np.testing.assert_array_equal(full.coef_, 0.0)
    assert full.selected_groups_.size == 0
    less = clone(model).set_params(alpha=0.999 * top).fit(container(X), y, weight)
    assert 0 < less.selected_groups_.size < len(less.groups_)


@every_model
def test_alpha_max_leaves_unpenalised_groups_alone(model):
    X, y, weight = draw(model.loss)
    model = clone(model).set_params(group_weights={"0": 0.0}, tol=1e-10)
    top = alpha_top(model, X, y, weight)
    full = clone(model).set_params(alpha=top * (1 + 1e-6)).fit(X, y, weight)  # the null fit has a tolerance of its own
    assert full.selected_groups_.tolist() == ["0"]
    less = clone(model).set_params(alpha=0.999 * top).fit(X, y, weight)
    assert less.selected_groups_.size > 1


@every_model
def test_fitted_attributes(model):
    X, y, weight = draw(model.loss)
    fit = clone(model).fit(X, y, weight)
    convex = getattr(model, "penalty", "") not in {"group_mcp", "group_scad"}
    assert fit.converged_ is True and type(fit.n_iter_) is int
    assert (fit.dual_gap_ if convex else fit.kkt_violation_) <= model.tol and np.isfinite(fit.dual_gap_) == convex
    assert sorted(np.concatenate(fit.group_columns_).tolist()) == list(range(P))
    W = np.atleast_2d(fit.coef_)
    np.testing.assert_allclose(fit.group_norms_, [np.linalg.norm(W[:, c]) for c in fit.group_columns_], rtol=1e-14)
    assert fit.selected_groups_.tolist() == fit.groups_[fit.group_norms_ > 0].tolist()
    assert 0 < fit.selected_groups_.size < len(fit.groups_)


@every_model
def test_too_few_iterations_warn(model):
    X, y, weight = draw(model.loss)
    with pytest.warns(ConvergenceWarning, match=r"max_iter=1\) or tol"):
        fit = clone(model).set_params(max_iter=1).fit(X, y, weight)
    assert not fit.converged_


@every_model
@pytest.mark.parametrize("groups", [None, OVERLAP], ids=["disjoint", "overlapping"])
def test_warm_start_gives_the_same_model(model, groups):
    X, y, weight = draw(model.loss)
    model = clone(model).set_params(groups=groups or model.groups)
    cold = clone(model).fit(X, y, weight)
    warm = clone(model).set_params(warm_start=True).fit(X, y, weight)
    first = warm.n_iter_
    warm.fit(X, y, weight)
    assert_same(warm, cold)
    if groups is None:
        assert warm.n_iter_ < first or first <= 2
    warm.set_params(groups=None).fit(X[:, :9], y, weight)  # other widths: a cold start
    assert warm.coef_.shape[-1] == 9


@every_model
@containers
@pytest.mark.parametrize("groups", [None, OVERLAP], ids=["disjoint", "overlapping"])
def test_a_path_is_the_fits_of_its_alphas(model, container, groups):
    X, y, weight = draw(model.loss)
    model = clone(model).set_params(groups=groups or model.groups)
    path = regularization_path(model, container(X), y, alphas=8, eps=0.05, sample_weight=weight)
    assert path.converged.all() and path.df[0] == 0 and path.df[-1] > 0
    concave = getattr(model, "penalty", "") in {"group_mcp", "group_scad"}
    for at in path.models():
        single = clone(at).fit(container(X), y, weight)
        assert at.groups_.tolist() == single.groups_.tolist()
        assert [c.tolist() for c in at.group_columns_] == [c.tolist() for c in single.group_columns_]
        if concave:  # starts differ, and so may the minima
            continue
        assert_same(at, single, atol=1e-7)
        np.testing.assert_allclose(at.group_norms_, single.group_norms_, rtol=0, atol=1e-6)
        assert at.selected_groups_.tolist() == single.selected_groups_.tolist()


# ------------------------------------------------------------ concave penalties
@pytest.mark.parametrize("shape", [(200, 16), (60, 40), (50, 300)], ids=str)
@pytest.mark.parametrize("share", [0.5, 0.1])
@pytest.mark.parametrize("kind", ["group_mcp", "group_scad"])
@pytest.mark.parametrize("loss", ["squared", "huber", "poisson", "logistic"])
def test_concave_penalties_end_where_no_group_would_move(loss, kind, share, shape):
    """At a stationary point as good as the group Lasso's; groups at 0 have short gradients, others balance theirs."""
    X, y, weight = draw(loss, *shape)
    labels = uneven(shape[1])
    model = model_for(loss, kind, groups=labels, tol=1e-9)
    model.set_params(alpha=share * alpha_top(model_for(loss, groups=labels), X, y, weight)).fit(X, y, weight)
    start = model_for(loss, groups=labels, alpha=model.alpha, tol=1e-9).fit(X, y, weight)
    eta = X @ np.ravel(model.coef_) + model.intercept_
    slope = {
        "squared": lambda: eta - y,
        "huber": lambda: np.clip(eta - y, -1.35, 1.35),
        "poisson": lambda: np.exp(eta) - y,
        "logistic": lambda: scipy.special.expit(eta) - y,
    }[loss]()
    s = weight / weight.sum()
    gradient = X.T @ (s * slope)
    top = np.abs(gradient).max() + alpha_top(model_for(loss, groups=labels), X, y, weight)
    assert abs(s @ slope) <= 1e-8
    total = 0.0
    for norm, columns in zip(model.group_norms_, model.group_columns_):
        part, strength = np.ravel(model.coef_)[columns], model.alpha * np.sqrt(len(columns))
        if norm == 0.0:
            assert np.linalg.norm(gradient[columns]) <= strength + 1e-7 * top
            continue
        pull = concave_slope(kind, norm, strength) * part / norm
        np.testing.assert_allclose(-gradient[columns], pull, atol=1e-7 * top)
        total += concave_value(kind, norm, strength)
    at_start = sum(
        concave_value(kind, norm, model.alpha * np.sqrt(len(columns)))
        for norm, columns in zip(start.group_norms_, start.group_columns_)
    )
    own = objective(clone_at(model, 0.0), X, y, weight) + total
    assert own <= objective(clone_at(start, 0.0), X, y, weight) + at_start + 1e-9 * abs(own)
    assert np.isinf(model.dual_gap_)


def clone_at(model, alpha):
    """The fitted model with another alpha: its mean loss alone, for 0."""
    other = pickle.loads(pickle.dumps(model))
    return other.set_params(alpha=alpha)


def concave_slope(kind, norm, strength):
    if kind == "group_mcp":
        return max(0.0, strength - norm / 3.0)
    return strength if norm <= strength else max(0.0, (3.7 * strength - norm) / 2.7)


def concave_value(kind, norm, strength):
    grid = np.linspace(0, norm, 20_001)
    middle = (grid[1:] + grid[:-1]) / 2
    return float(np.sum([concave_slope(kind, m, strength) for m in middle])) * (grid[1] - grid[0])


@pytest.mark.parametrize("share", [0.5, 0.1, 0.02])
@pytest.mark.parametrize("kind", ["group_mcp", "group_scad"])
@pytest.mark.parametrize("loss", CLASSES)
def test_concave_penalties_of_separable_classes_do_not_creep(loss, kind, share):
    """Classes that few groups separate: coefficients grow until their gradient is below tol, in a few passes."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((120, 200))
    y = (X[:, :15] @ rng.standard_normal(15) + 0.5 * rng.logistic(size=120) > 0).astype(int)
    y = y + (X[:, 3] + rng.standard_normal(120) > 1) if loss == "multinomial" else y
    model = model_for(loss, kind, groups=5, tol=1e-10)
    model.set_params(alpha=share * alpha_top(model, X, y)).fit(X, y)
    assert model.converged_ and model.n_iter_ <= 60


# ------------------------------------------------------------ life as an estimator
ESTIMATORS = [GroupLasso, SparseGroupLasso, GroupLassoClassifier, SparseGroupLassoClassifier]
every_class = pytest.mark.parametrize("cls", ESTIMATORS)


@every_class
@pytest.mark.parametrize(
    "groups",
    [None, 4, np.repeat([3, 1], 8), [[0, 1], [2, 3]], {"one": [0, 5], "two": 7}, [[0, 1], [1, 2]]],
    ids=["none", "int", "labels", "lists", "dict", "overlapping"],
)
def test_clone_pickle_and_repr(cls, groups):
    X, y, _ = draw("logistic" if "Classifier" in cls.__name__ else "squared")
    model = cls(groups, alpha=0.02)
    assert repr(clone(model)) == repr(model)
    model.fit(X, y)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    np.testing.assert_array_equal(again.group_norms_, model.group_norms_)
    assert b"skreg.solvers" not in pickle.dumps(model)


@every_class
def test_groups_by_column_name(cls):
    X, y, _ = draw("logistic" if "Classifier" in cls.__name__ else "squared", p=6)
    frame = pd.DataFrame(X, columns=list("abcdef"))
    by_name = cls({"first": ["a", "c"], "last": ["e", "f"]}, alpha=0.02, tol=1e-11).fit(frame, y)
    by_index = cls({"first": [0, 2], "last": [4, 5]}, alpha=0.02, tol=1e-11).fit(X, y)
    assert by_name.groups_.tolist() == ["first", "b", "d", "last"]
    assert by_index.groups_.tolist() == ["first", "x1", "x3", "last"]
    assert_same(by_name, by_index, atol=1e-12)
    series = pd.Series([0, 1, 0, 2, 3, 3], index=list("abcdef")).sample(frac=1, random_state=0)
    labelled = cls(series, alpha=0.02, tol=1e-11).fit(frame, y)
    assert_same(labelled, by_index, atol=1e-12)
    search = GridSearchCV(cls({"first": ["a", "c"]}), {"alpha": [1e-3, 10.0]}, cv=3).fit(frame, y)
    assert search.best_params_["alpha"] == 1e-3
    assert "first" in search.best_estimator_.groups_


@every_class
def test_group_weights_in_every_form(cls):
    X, y, _ = draw("logistic" if "Classifier" in cls.__name__ else "squared")
    params = dict(groups=4, alpha=0.02, tol=1e-11)
    array = cls(**params, group_weights=[1.0, 2.0, 2.0, 0.0]).fit(X, y)
    named = cls(**params, group_weights={"group0": 1.0, "group3": 0.0}).fit(X, y)
    np.testing.assert_array_equal(array.coef_, named.coef_)
    np.testing.assert_array_equal(cls(**params, group_weights=2.0).fit(X, y).coef_, cls(**params).fit(X, y).coef_)


WRONG = [
    (dict(groups=5), r"groups=5 makes groups of 5 columns each, but X has 16 columns"),
    (dict(groups=0), r"'groups' parameter"),
    (dict(groups=[0, 1]), r"groups has 2 labels, but X has 16 columns"),
    (dict(groups="Auto"), r"'groups' parameter"),
    (dict(groups="auto"), r"groups='auto' reads the names of the columns, but X has none"),
    (dict(groups=[[0, 16]]), r"'group0' has the column index 16, but X has 16 columns"),
    (dict(groups={"g": ["a"]}), r"'g' names the column 'a', but X has no column names"),
    (dict(groups=[[]] * 2), r"groups: the group 'group0' is empty"),
    (dict(groups=8, group_weights=[1.0]), r"group_weights must have one entry a group, shape \(2,\); got \(1,\)"),
    (dict(groups=8, group_weights=[[1.0, 2.0]]), r"group_weights must have one entry a group, shape \(2,\)"),
    (dict(groups=8, group_weights=[1.0, -1.0]), r"group_weights must be finite and non-negative"),
    (dict(groups=8, group_weights=[1.0, np.nan]), r"group_weights must be finite and non-negative"),
    (dict(groups=8, group_weights=-1.0), r"group_weights must be finite and non-negative"),
    (dict(groups=8, group_weights=np.inf), r"group_weights must be finite and non-negative"),
    (dict(groups=8, group_weights=["a", "b"]), r"group_weights must be numbers, one a group"),
    (dict(groups=8, group_weights={"group7": 1.0}), r"group_weights names the group 'group7'; the groups are"),
    (dict(groups=8, group_weights={"group0": "x"}), r"group_weights must give a number .*'x' for 'group0'"),
    (dict(groups=8, group_weights={"group0": None}), r"group_weights must give a number .*None for 'group0'"),
    (dict(alpha=-1.0), r"'alpha' parameter"),
    (dict(alpha=np.nan), r"'alpha' parameter"),
    (dict(l1_ratio=1.5), r"'l1_ratio' parameter"),
    (dict(tol=-1.0), r"'tol' parameter"),
    (dict(max_iter=0), r"'max_iter' parameter"),
]


@every_class
@pytest.mark.parametrize(("params", "text"), WRONG, ids=lambda v: "" if isinstance(v, str) else "-".join(map(str, v)))
def test_wrong_arguments(cls, params, text):
    X, y, _ = draw("logistic" if "Classifier" in cls.__name__ else "squared")
    model = cls(**params)
    with pytest.raises(ValueError, match=text):
        model.fit(X, y)
    assert not [name for name in vars(model) if name.endswith("_") and name != "n_features_in_"]


SHAPES = [
    (dict(l1_ratio=0.5), r"l1_ratio=0.5 is not used by penalty='group_lasso'"),
    (dict(gamma=3.0), r"gamma=3.0 is not used by penalty='group_lasso'"),
    (dict(penalty="group_elastic_net", gamma=3.0), r"gamma=3.0 is not used by penalty='group_elastic_net'"),
    (dict(penalty="group_mcp", l1_ratio=0.5), r"l1_ratio=0.5 is not used by penalty='group_mcp'"),
    (dict(penalty="group_mcp", gamma=1.0), r"gamma"),
    (dict(penalty="group_scad", gamma=2.0), r"gamma must be .*; got 2.0"),
    (dict(penalty="l1"), r"'penalty' parameter"),
]


@pytest.mark.parametrize("cls", [GroupLasso, GroupLassoClassifier])
@pytest.mark.parametrize(("params", "text"), SHAPES, ids=lambda v: "" if isinstance(v, str) else "-".join(map(str, v)))
def test_shape_parameters_that_are_not_used_or_wrong(cls, params, text):
    X, y, _ = draw("logistic" if cls is GroupLassoClassifier else "squared")
    with pytest.raises(ValueError, match=text):
        cls(groups=4, **params).fit(X, y)


def test_losses_of_the_other_kind_are_refused():
    from skreg.losses import Logistic, Squared

    X, y, _ = draw("logistic")
    with pytest.raises(ValueError, match="is for classes; use GroupLassoClassifier"):
        GroupLasso(loss=Logistic()).fit(X, y)
    with pytest.raises(ValueError, match="is not for classes; use SparseGroupLasso"):
        SparseGroupLassoClassifier(loss=Squared()).fit(X, y)
    with pytest.raises(ValueError, match="'multinomial' parameter"):
        GroupLassoClassifier(multinomial="rows").fit(X, y)
