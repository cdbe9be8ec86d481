"""Groups of columns: every way to write them, what is refused, and life as a parameter of an estimator."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.compose import ColumnTransformer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, SplineTransformer
from sklearn.utils.validation import validate_data

from skreg._groups import check_encoded, parse_groups


def as_dict(groups):
    return {name: groups.columns(g).tolist() for g, name in enumerate(groups.names)}


def parsed(groups, n_features=None, feature_names=None):
    n_features = len(feature_names) if n_features is None else n_features
    return as_dict(parse_groups(groups, n_features, feature_names))


# ---------------------------------------------------------------- the representation
def test_representation():
    groups = parse_groups({"b": [4, 1], "a": [3, 0]}, 5)
    assert groups.names == ["a", "b", "x2"] and len(groups) == 3
    assert groups.indices.tolist() == [0, 3, 1, 4, 2] and groups.indices.dtype == np.int64
    assert groups.starts.tolist() == [0, 2, 4, 5] and groups.starts.dtype == np.int64
    assert groups.sizes.tolist() == [2, 2, 1]
    assert groups.labels().tolist() == [0, 1, 2, 0, 1]
    assert groups.n_features == 5
    assert not (groups.overlapping or groups.is_singletons or groups.is_contiguous)
    with pytest.raises(AttributeError):
        groups.names = []
    with pytest.raises(ValueError, match="read-only"):
        groups.indices[0] = 1
    again = pickle.loads(pickle.dumps(groups))
    assert as_dict(again) == as_dict(groups)


def test_overlapping_groups_are_flagged_and_can_be_expanded():
    groups = parse_groups([[0, 1], [1, 2]], 4)
    assert groups.overlapping and not groups.is_singletons and not groups.is_contiguous
    assert as_dict(groups) == {"group0": [0, 1], "group1": [1, 2], "x3": [3]}
    with pytest.raises(ValueError, match="Groups that overlap have no single label a column"):
        groups.labels()
    X = np.arange(8.0).reshape(2, 4)
    expanded = groups.expanded()
    assert not expanded.overlapping and expanded.is_contiguous and expanded.names == groups.names
    for g in range(3):
        np.testing.assert_array_equal(X[:, groups.indices][:, expanded.columns(g)], X[:, groups.columns(g)])


@given(st.lists(st.integers(0, 5), min_size=1, max_size=12))
def test_labels_round_trip(labels):
    groups = parse_groups(labels, len(labels))
    assert [groups.names[g] for g in groups.labels()] == [str(label) for label in labels]
    assert sorted(groups.indices) == list(range(len(labels)))
    assert groups.names == [str(label) for label in dict.fromkeys(labels)]  # in the order of first columns
    assert groups.starts[-1] == len(labels) and (groups.sizes > 0).all()


# ---------------------------------------------------------------- ways to write them
@pytest.mark.parametrize("n_features", [1, 3, 10])
@pytest.mark.parametrize("groups", [None, 1, "labels", "lists", {}])
def test_singletons(groups, n_features):
    groups = {"labels": np.arange(n_features), "lists": [[j] for j in range(n_features)]}.get(str(groups), groups)
    assert parse_groups(groups, n_features).is_singletons
    assert parse_groups(groups, n_features).is_contiguous


def test_singletons_have_the_names_of_columns():
    assert parsed(None, feature_names=["a", "b"]) == {"a": [0], "b": [1]}
    assert parsed(None, 2) == {"x0": [0], "x1": [1]}


def test_equal_width():
    groups = parse_groups(np.int64(2), 6, list("abcdef"))
    assert as_dict(groups) == {"group0": [0, 1], "group1": [2, 3], "group2": [4, 5]}
    assert groups.is_contiguous and not groups.is_singletons
    assert parsed(np.array(3), 3) == {"group0": [0, 1, 2]}


@pytest.mark.parametrize(
    "labels",
    [
        ["a", "b", "a"],
        ("a", "b", "a"),
        np.array(["a", "b", "a"]),
        np.array(["a", "b", "a"], dtype=object),
        pd.Series(["a", "b", "a"], index=[7, 8, 9]),
        pd.Series(["a", "b", "a"], dtype="category"),
        pd.Index(["a", "b", "a"]),
        pd.Categorical(["a", "b", "a"]),
        pl.Series(["a", "b", "a"]),
    ],
    ids=lambda labels: type(labels).__module__.split(".")[0] + " " + type(labels).__name__,
)
def test_labels(labels):
    assert parsed(labels, 3) == {"a": [0, 2], "b": [1]}


def test_labels_may_be_anything_hashable():
    assert parsed([1.5, True, 1.5, True], 4) == {"1.5": [0, 2], "True": [1, 3]}
    assert parsed([1, "1", 1], 3) == {"1": [0, 2], "1 (2)": [1]}
    tuples = np.empty(3, dtype=object)
    tuples[:] = [("a", 1), ("b", 1), ("a", 1)]
    assert parsed(tuples, 3) == {"('a', 1)": [0, 2], "('b', 1)": [1]}


def test_a_series_indexed_by_columns_is_read_by_name():
    assert parsed(pd.Series({"c": 1, "a": 2, "b": 1}), feature_names=["a", "b", "c"]) == {"2": [0], "1": [1, 2]}


@pytest.mark.parametrize(
    "lists",
    [
        [[2, 0], [1, 3]],
        [(2, 0), (1, 3)],
        [{2, 0}, range(1, 4, 2)],
        [np.array([2, 0]), np.array([1, 3])],
        np.array([[2, 0], [1, 3]]),
        [["c", "a"], ["b", "d"]],
        [["c", 0], ["b", 3]],
        [pd.Index(["c", "a"]), pl.Series(["b", "d"])],
        [frozenset(["c", "a"]), frozenset(["b", "d"])],
    ],
)
def test_lists_of_columns(lists):
    assert parsed(lists, feature_names=list("abcd")) == {"group0": [0, 2], "group1": [1, 3]}


def test_ragged_object_array_is_a_list_of_lists():
    ragged = np.empty(2, dtype=object)
    ragged[:] = [[0, 1], [2]]
    assert parsed(ragged, 3) == {"group0": [0, 1], "x2": [2]}


def test_dict_of_columns():
    groups = {"size": ["height", 2], "sex": "sex", 5: 3}
    assert parsed(groups, feature_names=["sex", "height", "width", "age"]) == {"sex": [0], "size": [1, 2], "5": [3]}


def test_columns_in_no_group_are_groups_under_their_name():
    assert parsed({"g": ["b", "d"]}, feature_names=list("abcd")) == {"a": [0], "g": [1, 3], "c": [2]}
    assert parsed([[1, 3]], 4) == {"x0": [0], "group0": [1, 3], "x2": [2]}
    assert parsed({"a": ["b", "c"]}, feature_names=list("abc")) == {"a (2)": [0], "a": [1, 2]}  # the user's name stays


def test_groups_come_in_the_order_of_first_columns_whatever_the_order_given():
    assert parse_groups([[4, 5], [2, 3], [0, 1]], 6).names == ["group2", "group1", "group0"]


# ---------------------------------------------------------------- what is refused
NAMES = ["height", "width", "age", "sex"]


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (True, "groups must be None, 'auto', an int .*; got True."),
        (np.True_, "groups must be None, 'auto', an int .*; got True."),
        (2.0, "groups must be None, 'auto', an int .*; got 2.0."),
        ("automatic", "groups must be None, 'auto', .*; got 'automatic'."),
        ({0, 1}, "groups must be None, 'auto', .*; got {0, 1}."),
        (0, "groups, as the width of every group, must be at least 1; got 0."),
        (-2, "groups, as the width of every group, must be at least 1; got -2."),
        (3, "groups=3 makes groups of 3 columns each, but X has 4 columns, which is no multiple of 3."),
        (8, "groups=8 makes groups of 8 columns each, but X has 4 columns, which is no multiple of 8."),
        ([], "groups is empty; groups=None makes every column a group of its own."),
        (np.array([]), "groups is empty; groups=None makes every column a group of its own."),
        (["a", "b", "a"], "groups has 3 labels, but X has 4 columns; one label a column is needed"),
        (np.zeros(5), "groups has 5 labels, but X has 4 columns; one label a column is needed"),
        ([1, 1, np.nan, 2], "groups has no label for the column 'age': got nan."),
        (np.array([1.0, 1.0, 2.0, np.nan]), "groups has no label for the column 'sex': got nan."),
        (["a", None, "b", "b"], "groups has no label for the column 'width': got None."),
        (pd.Series(["a", pd.NA, "b", "b"]), "groups has no label for the column 'width'"),
        (pl.Series(["a", None, "b", "b"]), "groups has no label for the column 'width': got None."),
        (["a", {}, "b", "b"], "groups must hold hashable labels; got {} for the column 'width'."),
        ([[0, 1], 2, 3], "groups must hold either lists of columns or labels, not both; .* entry 1 is 2."),
        ([0, [1]], r"groups must hold either lists of columns or labels, not both; .* entry 1 is \[1\]."),
        ([[0, 1], []], "groups: the group 'group1' is empty."),
        ({"g": []}, "groups: the group 'g' is empty."),
        ([[0, 4]], "groups: the group 'group0' has the column index 4, but X has 4 columns, 0 to 3."),
        ([[0, -1]], "groups: the group 'group0' has the column index -1, but X has 4 columns, 0 to 3."),
        ({"g": [0, 0]}, "groups: the group 'g' has the column 'height' twice."),
        ({"g": ["age", 2]}, "groups: the group 'g' has the column 'age' twice."),
        ({"g": ["age", "weight"]}, "groups: the group 'g' names the column 'weight', which X does not have."),
        ([["age"], ["weight"]], "groups: the group 'group1' names the column 'weight', which X does not have."),
        ({"height": "size", "width": "size"}, "the group 'height' names the column 'size', which X does not have."),
        ([[True, False, True, True]], "the group 'group0' must hold column names or integer indices; got True."),
        ({"g": [0.0, 1.0]}, "groups: the group 'g' must hold column names or integer indices; got 0.0."),
        ({"g": True}, "groups: the group 'g' must hold column names or integer indices; got True."),
        ({"g": None}, "groups: the group 'g' must be a list of columns; got None."),
        ({"g": {"age": 1}}, "groups: the group 'g' must be a list of columns; got {'age': 1}."),
        ({"g": [["age"]]}, r"groups: the group 'g' must hold column names or integer indices; got \['age'\]."),
    ],
)
def test_a_wrong_spec_gets_one_clear_error(groups, message):
    with pytest.raises(ValueError, match=message):
        parse_groups(groups, 4, NAMES)


@pytest.mark.parametrize(
    ("groups", "names", "message"),
    [
        ([["age"]], None, "the group 'group0' names the column 'age', but X has no column names; pass a data frame."),
        ({"g": [1, 1]}, None, "groups: the group 'g' has the column 1 twice."),
        ([1, 1, 2, np.nan], None, "groups has no label for the column 'x3': got nan."),
        ({"g": ["a"]}, ["a", "b", "a", "c"], "the group 'g' names the column 'a', which X has 2 times."),
        ("auto", None, "groups='auto' reads the names of the columns, but X has none .*; pass a data frame"),
    ],
)
def test_errors_that_depend_on_the_names(groups, names, message):
    with pytest.raises(ValueError, match=message):
        parse_groups(groups, 4, names)


# ---------------------------------------------------------------- frames that are not encoded
@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"age": [1.0, 2.0], "colour": pd.Categorical(["red", "blue"])}),
        pd.DataFrame({"age": [1.0, 2.0], "colour": pd.Categorical([1, 2])}),
        pd.DataFrame({"age": [1.0, 2.0], "colour": ["red", "blue"]}),
        pd.DataFrame({"age": [1.0, 2.0], "colour": np.array(["red", "blue"], dtype=object)}),
        pl.DataFrame({"age": [1.0, 2.0], "colour": ["red", "blue"]}),
        pl.DataFrame({"age": [1.0, 2.0], "colour": pl.Series(["red", "blue"], dtype=pl.Categorical)}),
        pl.DataFrame({"age": [1.0, 2.0], "colour": pl.Series(["red", "blue"], dtype=pl.Enum(["red", "blue"]))}),
    ],
)
def test_a_column_to_encode_is_named(frame):
    with pytest.raises(ValueError, match="X has the column 'colour' of dtype .*; encode it before the fit"):
        check_encoded(frame)


@pytest.mark.parametrize(
    "X",
    [
        np.ones((2, 2)),
        sp.eye_array(2),
        pd.DataFrame({"a": [1, 2], "b": np.array([1, 2.5], dtype=object), "c": [True, False]}),
        pl.DataFrame({"a": [1, 2], "c": [True, False]}),
    ],
)
def test_numbers_need_no_encoding(X):
    check_encoded(X)


# ---------------------------------------------------------------- within scikit-learn
class Grouped(RegressorMixin, BaseEstimator):
    """As little as it takes to have a parameter `groups`."""

    def __init__(self, groups=None):
        self.groups = groups

    def fit(self, X, y):
        X, y = validate_data(self, X, y, accept_sparse=True)
        names = getattr(self, "feature_names_in_", None)
        self.groups_ = parse_groups(self.groups, X.shape[1], names, X).names
        return self

    def predict(self, X):
        return np.zeros(X.shape[0])


@pytest.mark.parametrize("output", ["pandas", "polars"])
def test_pipeline_selects_inputs_as_wholes(output):
    rng = np.random.default_rng(0)
    X = pd.DataFrame({name: rng.normal(size=90) for name in ("age", "mean_radius", "mean_texture")})
    X["colour"], X["size"] = rng.choice(["red", "dark_blue"], 90), rng.choice(list("SML"), 90)
    onehot, numerical = OneHotEncoder(sparse_output=False), ["mean_radius", "mean_texture"]
    encode = ColumnTransformer(
        [
            ("cat", onehot, ["colour", "size"]),
            ("spl", SplineTransformer(), ["age"]),
            ("num", "passthrough", numerical),
        ]
    ).set_output(transform=output)
    y = np.arange(90.0)
    model = make_pipeline(encode, Grouped("auto")).fit(X, y)
    expected = ["cat__colour", "cat__size", "spl__age", "num__mean_radius", "num__mean_texture"]
    assert model[-1].groups_ == expected
    search = GridSearchCV(model, {"grouped__groups": ["auto", None, {"size": ["cat__size_S", "cat__size_M"]}]}, cv=3)
    search.set_params(error_score="raise").fit(X, y)
    assert search.best_estimator_[-1].groups_ == expected
    assert clone(model).fit(X, y)[-1].groups_ == expected


@pytest.mark.parametrize("groups", ["auto", 2, [[0, 1]], {"a": ["b"]}, np.array([1, 1, 2]), pd.Series([1, 2, 1]), None])
def test_clone_and_pickle(groups):
    for again in (clone(Grouped(groups)).groups, pickle.loads(pickle.dumps(Grouped(groups))).groups):
        assert type(again) is type(groups)
        assert np.all(np.asarray(again == groups))


@pytest.mark.parametrize("n_features", [1, 7, 300])
def test_integer_arrays_are_read_as_lists_of_labels_are(n_features):
    labels = np.random.default_rng(0).integers(-2, 5, n_features).astype(np.int8)
    array, listed = parse_groups(labels, n_features), parse_groups(labels.tolist(), n_features)
    assert array.names == listed.names
    for g in range(len(listed)):
        np.testing.assert_array_equal(array.columns(g), listed.columns(g))
