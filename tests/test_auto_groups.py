"""Groups read from names and values, against those that the fitted transformer knows."""

from itertools import combinations_with_replacement

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer, make_column_selector, make_column_transformer
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_iris,
    load_linnerud,
    load_wine,
)
from sklearn.decomposition import PCA
from sklearn.feature_extraction import DictVectorizer
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.feature_selection import SelectKBest, VarianceThreshold, f_regression
from sklearn.impute import SimpleImputer
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline, make_union
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MaxAbsScaler,
    OneHotEncoder,
    PolynomialFeatures,
    SplineTransformer,
    StandardScaler,
)

from skreg._groups import parse_groups
from skreg._transformer_groups import groups_from_transformer


def as_dict(groups):
    return {name: groups.columns(g).tolist() for g, name in enumerate(groups.names)}


def parsed(groups, n_features=None, feature_names=None, X=None):
    n_features = len(feature_names) if n_features is None else n_features
    return as_dict(parse_groups(groups, n_features, feature_names, X))


def auto(frame):
    """Groups that "auto" reads from a frame: name -> names of columns."""
    names = list(frame.columns)
    found = parsed("auto", feature_names=names, X=np.asarray(frame, dtype=float))
    return {name: [names[j] for j in columns] for name, columns in found.items()}


def partition(groups):
    return sorted(map(list, groups.values()))


# ---------------------------------------------------------------- "auto": real transformers
N = 120


@pytest.fixture(scope="module")
def people():
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "colour": rng.choice(["red", "dark_blue", "light_blue_green"], N),
            "size": rng.choice(["S", "M", "L", "XL"], N),
            "zone": rng.choice([1, 2, 30], N),
            "rare": rng.choice(list("abcdefg"), N, p=[0.4, 0.4, 0.04, 0.04, 0.04, 0.04, 0.04]),
            "smoker": rng.choice(["no", "yes"], N),
            "age": rng.uniform(18, 80, N),
            "mean_radius": rng.normal(size=N),
            "mean_texture": rng.normal(size=N),
        }
    )


def onehot(**parameters):
    return OneHotEncoder(sparse_output=False, **parameters)


CATEGORICAL = ["colour", "size", "zone", "rare", "smoker"]
NUMERICAL = ["mean_radius", "mean_texture"]
ENCODERS = {
    "one-hot": [("cat", onehot(), CATEGORICAL)],
    "drop first": [("cat", onehot(drop="first"), CATEGORICAL)],
    "drop if binary": [("cat", onehot(drop="if_binary"), CATEGORICAL)],
    "infrequent": [("cat", onehot(min_frequency=10), CATEGORICAL)],
    "infrequent, drop first": [("cat", onehot(max_categories=3, drop="first"), CATEGORICAL)],
    "given categories": [("cat", onehot(categories=[["red", "dark_blue", "light_blue_green", "no"]]), ["colour"])],
    "splines": [("spl", SplineTransformer(n_knots=4), ["age", "mean_radius"])],
    "splines, no bias": [("spl", SplineTransformer(include_bias=False, degree=1), ["age", "mean_radius"])],
    "bins": [("bin", KBinsDiscretizer(4, encode="onehot-dense", quantile_method="linear"), ["age", "mean_radius"])],
    "polynomial": [("poly", PolynomialFeatures(3), ["age", *NUMERICAL])],
    "interactions": [("poly", PolynomialFeatures(3, interaction_only=True), ["age", *NUMERICAL])],
    "no bias": [("poly", PolynomialFeatures(2, include_bias=False, order="F"), NUMERICAL)],
    "polynomial of splines": [("p", make_pipeline(SplineTransformer(3), PolynomialFeatures(2)), ["age", *NUMERICAL])],
    "polynomial of one-hot": [
        ("p", make_pipeline(onehot(), PolynomialFeatures(2, include_bias=False)), ["colour", "size", "smoker"])
    ],
    "scaled": [("cat", make_pipeline(onehot(), StandardScaler()), ["colour", "size"])],
    "imputed": [("num", make_pipeline(SimpleImputer(add_indicator=True), PCA(2)), NUMERICAL)],
    "numeric": [("num", StandardScaler(), ["age"])],
    "several": [
        ("cat_1", onehot(), ["colour", "zone"]),
        ("cat_2", onehot(drop="first"), ["size"]),
        ("spl", SplineTransformer(), ["age"]),
        ("poly", PolynomialFeatures(2), NUMERICAL),
    ],
}
every_encoder = pytest.mark.parametrize("encoder", ENCODERS.values(), ids=ENCODERS)


def columns_of(groups, names):
    """Names of the columns of each group of two and more: a singleton is called after a column or an input."""
    found = as_dict(parse_groups(groups, len(names), names))
    return {name: [names[j] for j in columns] for name, columns in found.items() if len(columns) > 1}


@every_encoder
@pytest.mark.parametrize("remainder", ["drop", "passthrough"])
@pytest.mark.parametrize("output", ["pandas", "polars"])
def test_auto_agrees_with_the_transformer(people, encoder, remainder, output):
    used = {column for _, _, columns in encoder for column in columns}
    X = people if remainder == "drop" else people[[c for c in people if c in used or c not in CATEGORICAL]]
    transformer = ColumnTransformer(encoder, remainder=remainder).set_output(transform=output)
    frame = transformer.fit_transform(X)
    labels = groups_from_transformer(transformer)
    found = auto(frame)
    assert {k: v for k, v in found.items() if len(v) > 1} == columns_of(labels, list(frame.columns))


@every_encoder
def test_auto_without_prefixes(people, encoder):
    transformer = ColumnTransformer(encoder, verbose_feature_names_out=False).set_output(transform="pandas")
    frame = transformer.fit_transform(people)
    assert partition(auto(frame)) == partition(parsed_by_name(groups_from_transformer(transformer), frame))


def parsed_by_name(groups, frame):
    names = list(frame.columns)
    return {name: [names[j] for j in columns] for name, columns in parsed(groups, feature_names=names).items()}


def test_names_of_groups(people):
    transformer = ColumnTransformer(
        [
            ("cat", onehot(drop="if_binary"), ["colour", "size", "smoker"]),
            ("spl", SplineTransformer(n_knots=2, degree=1), ["age"]),
            ("poly", PolynomialFeatures(2), NUMERICAL),
        ],
    ).set_output(transform="pandas")
    assert auto(transformer.fit_transform(people)) == {
        "cat__colour": ["cat__colour_dark_blue", "cat__colour_light_blue_green", "cat__colour_red"],
        "cat__size": ["cat__size_L", "cat__size_M", "cat__size_S", "cat__size_XL"],
        "cat__smoker_yes": ["cat__smoker_yes"],
        "spl__age": ["spl__age_sp_0", "spl__age_sp_1"],
        "poly__1": ["poly__1"],
        "poly__mean_radius": ["poly__mean_radius", "poly__mean_radius^2"],
        "poly__mean_texture": ["poly__mean_texture", "poly__mean_texture^2"],
        "poly__mean_radius mean_texture": ["poly__mean_radius mean_texture"],
    }


def test_interactions_of_encoded_inputs_are_wholes(people):
    encoder = ColumnTransformer([("cat", onehot(), ["colour", "size"]), ("num", "passthrough", ["age"])])
    interactions = PolynomialFeatures(2, interaction_only=True)
    frame = make_pipeline(encoder, interactions).set_output(transform="pandas").fit_transform(people)
    found = auto(frame)
    assert list(found) == [
        "1", "cat__colour", "cat__size", "num__age", "cat__colour cat__size", "cat__colour num__age",
        "cat__size num__age",
    ]  # fmt: skip
    assert len(found["cat__colour"]) == 3 + 3  # products of levels of one input belong to it
    assert len(found["cat__colour cat__size"]) == 3 * 4


@pytest.mark.parametrize("scaler", [StandardScaler(), MaxAbsScaler()])
@pytest.mark.parametrize("drop", [None, "first"])
def test_scaled_one_hot_columns_are_recognised(people, scaler, drop):
    encoder = make_column_transformer((onehot(drop=drop), ["colour", "size"]), remainder="drop")
    steps = make_pipeline(encoder, scaler).set_output(transform="pandas")
    found = auto(steps.fit_transform(people))
    assert list(found) == ["onehotencoder__colour", "onehotencoder__size"]


def test_a_selector_may_have_removed_columns(people):
    encoder = make_column_transformer((onehot(), ["colour", "size"]), (SplineTransformer(), ["age"]))
    steps = make_pipeline(encoder, VarianceThreshold(0.05)).set_output(transform="pandas")
    frame = steps.fit_transform(people)
    assert frame.shape[1] < encoder.fit_transform(people).shape[1]
    assert list(auto(frame)) == ["onehotencoder__colour", "onehotencoder__size", "splinetransformer__age"]
    labels = groups_from_transformer(steps)
    assert partition(parsed_by_name(labels, frame)) == partition(auto(frame))


@pytest.mark.parametrize("drop_first", [False, True])
def test_get_dummies(people, drop_first):
    frame = pd.get_dummies(people[["age", "mean_radius", "mean_texture", "colour", "size"]], drop_first=drop_first)
    assert list(auto(frame)) == ["age", "mean_radius", "mean_texture", "colour", "size"]


def test_polars_to_dummies(people):
    frame = pl.DataFrame(people[["colour", "size"]].to_dict("list")).to_dummies()
    assert list(auto(frame)) == ["colour", "size"]


def test_equals_sign_separates_too():
    records = [{"light_colour": c, "age": a} for c, a in zip(["red", "a_b", "blue", "red"], [1.5, 2.5, 4.0, 0.1])]
    vectorizer = DictVectorizer(sparse=False)
    frame = pd.DataFrame(vectorizer.fit_transform(records), columns=vectorizer.get_feature_names_out())
    assert list(auto(frame)) == ["age", "light_colour"]


def one_hot_frame(inputs, **parameters):
    frame = pd.DataFrame(inputs)
    encoder = onehot(**parameters).set_output(transform="pandas")
    return encoder.fit_transform(frame), encoder


words = st.text("ab_<=50 ", min_size=1, max_size=4).map("v{}e".format).filter(lambda word: "__" not in word)


@given(
    st.lists(words, min_size=1, max_size=4, unique=True),
    st.lists(words, min_size=2, max_size=5, unique=True),
    st.integers(5, 30),
    st.integers(0, 10_000),
)
def test_inputs_with_all_levels_are_found_whatever_their_names(inputs, levels, n_samples, seed):
    rng = np.random.default_rng(seed)
    inputs = {name: rng.choice(levels[: rng.integers(2, len(levels) + 1)], n_samples) for name in inputs}
    inputs = {name: values for name, values in inputs.items() if len(set(values)) > 1}
    assume(inputs)
    columns = [f"{name}_{level}" for name, values in inputs.items() for level in set(values)]
    assume(len(set(columns)) == len(columns))
    frame, encoder = one_hot_frame(inputs)
    assert partition(auto(frame)) == partition(parsed_by_name(groups_from_transformer(encoder), frame))


def test_one_input_named_like_a_level_of_another():
    rng = np.random.default_rng(0)
    inputs = {"col": rng.choice(["a_x", "c"], 50), "col_a": rng.choice(["b", "z"], 50)}
    frame, _ = one_hot_frame(inputs)
    assert auto(frame) == {"col": ["col_a_x", "col_c"], "col_a": ["col_a_b", "col_a_z"]}
    inputs = {"product": rng.choice(list("abc"), 50), "product_type": rng.choice(list("xyz"), 50)}
    frame, _ = one_hot_frame(inputs, drop="first")
    assert auto(frame) == {
        "product": ["product_b", "product_c"],
        "product_type": ["product_type_y", "product_type_z"],
    }


def test_inputs_with_a_common_prefix_and_a_dropped_level():
    rng = np.random.default_rng(0)
    inputs = {"home_type": rng.choice(list("abc"), 50), "home_city": rng.choice(list("xyz"), 50)}
    frame, _ = one_hot_frame(inputs, drop="first")
    assert list(auto(frame)) == ["home_type", "home_city"]


def test_levels_that_no_row_has():
    frame = pd.DataFrame(
        {"home_type_a": [1, 0, 1], "home_type_b": [0, 1, 0], "home_type_c": 0, "home_city_x": 0, "home_city_y": 1}
    )
    assert auto(frame) == {
        "home_type": ["home_type_a", "home_type_b", "home_type_c"],
        "home_city": ["home_city_x", "home_city_y"],
    }


# ---------------------------------------------------------------- "auto": what is no group
@pytest.mark.parametrize(
    "load",
    [load_breast_cancer, load_diabetes, load_digits, load_iris, load_linnerud, load_wine],
    ids=lambda f: f.__name__,
)
def test_no_groups_in_plain_data(load):
    frame = load(as_frame=True).data
    assert list(auto(frame)) == list(frame.columns)


@pytest.mark.parametrize(
    "frame",
    [
        {"has_car": [1, 0, 1, 0], "has_dog": [1, 1, 0, 0]},
        {"has_car": [1, 0, 0, 0], "has_dog": [0, 1, 0, 0], "has_cat": [1, 1, 1, 0]},  # only all of a prefix, or none
        {"mean_a": [0.3, 0.1, 0.2], "mean_b": [1.0, 4.0, 2.0]},
        {"a": [1, 0, 0], "b": [0, 1, 0]},
        {"a_b": [1, 0], "b_b": [0, 1]},
        {"_a": [1, 0, 0], "_b": [0, 1, 0]},
        {"cat__a": [1, 0, 0], "cat__b": [0, 1, 0]},  # levels of nothing, from one transformer
        {"a_x": [2.0, 3.0], "a_y": [3.0, 2.0]},  # any two rows have two values
        {"a_x": [5.0, 5.0, 5.0], "a_y": [0.0, 0.0, 0.0]},
        {"a_x": [-1, 0, 0], "a_y": [0, -1, 0]},
        {"a": [1, 2, 3], "b": [2, 3, 5], "b a": [2, 6, 15], "a^2.5": [1, 2, 3], "c^2": [1, 4, 9]},
        {"sp_0": [0.1, 0.2, 0.3], "sp_1": [0.3, 0.1, 0.9]},
        {"age_sp_1": [0.1, 0.2, 0.3], "age_sp_0": [0.3, 0.1, 0.9]},
    ],
)
def test_no_groups(frame):
    assert list(auto(pd.DataFrame(frame))) == list(frame)


def test_two_word_features_are_no_products():
    vectorizer = CountVectorizer(ngram_range=(1, 2))
    X = vectorizer.fit_transform(["new york is new", "york is old", "old new york", "is new york new new"])
    names = vectorizer.get_feature_names_out()
    assert parse_groups("auto", X.shape[1], names, X).is_singletons


def test_a_flag_beside_levels_stays_apart():
    frame = {"c_red": [1, 0, 0, 1], "c_blue": [0, 1, 0, 0], "c_green": [0, 0, 1, 0], "c_bright": [1, 0, 1, 0]}
    assert list(auto(pd.DataFrame(frame))) == ["c", "c_bright"]


def test_groups_stay_within_a_transformer():
    frame = {"a__c_red": [1, 0, 0], "b__c_blue": [0, 1, 0], "b__c_green": [0, 0, 1]}
    assert list(auto(pd.DataFrame(frame))) == ["a__c_red", "b__c"]
    frame = {"c_red": [1, 0, 0], "c_blue__ish": [0, 1, 0], "c_green": [0, 0, 1]}  # no transformers here
    assert list(auto(pd.DataFrame(frame))) == ["c"]


def test_same_name_twice():
    frame = {"age_sp_0": [0.1, 0.2, 0.3], "age_sp_1": [0.3, 0.1, 0.9], "age": [1.0, 2.0, 3.0]}
    assert auto(pd.DataFrame(frame)) == {"age": ["age_sp_0", "age_sp_1"], "age (2)": ["age"]}


def test_values_decide_about_one_hot_columns_only():
    names = ["c_red", "c_blue", "age_sp_0", "age_sp_1", "b", "b^2"]
    assert parsed("auto", feature_names=names) == {"c_red": [0], "c_blue": [1], "age": [2, 3], "b": [4, 5]}


@pytest.mark.parametrize("holder", [sp.csc_array, sp.csr_matrix, sp.coo_array, np.asfortranarray, np.float32])
@every_encoder
def test_any_holder_of_X(people, encoder, holder):
    frame = ColumnTransformer(encoder).set_output(transform="pandas").fit_transform(people)
    names, X = list(frame.columns), frame.to_numpy(float)
    expected = parsed("auto", feature_names=names, X=X)
    assert parsed("auto", feature_names=names, X=holder(X)) == expected


def test_explicit_zeros_and_unsorted_sparse_columns():
    X = sp.csc_array(np.array([[1.0, 7.0, 1.0], [7.0, 1.0, 2.0], [1.0, 0.0, 2.0]]))
    X.data[X.data == 7.0] = 0.0
    assert list(parsed("auto", feature_names=["c_a", "c_b", "c_d"], X=X)) == ["c", "c_d"]
    assert list(parsed("auto", feature_names=["c_a", "c_b", "d"], X=X)) == ["c", "d"]
    for j in range(3):
        part = slice(X.indptr[j], X.indptr[j + 1])
        X.indices[part], X.data[part] = X.indices[part][::-1].copy(), X.data[part][::-1].copy()
    X.has_sorted_indices = False
    assert list(parsed("auto", feature_names=["c_a", "c_b", "d"], X=X)) == ["c", "d"]


# ---------------------------------------------------------------- from a fitted transformer
def test_sparse_output(people):
    transformer = ColumnTransformer(
        [("cat", OneHotEncoder(), CATEGORICAL), ("num", "passthrough", NUMERICAL)], sparse_threshold=1.0
    )
    X = transformer.fit_transform(people)
    assert sp.issparse(X)
    groups = parse_groups(groups_from_transformer(transformer), X.shape[1])
    assert groups.names == [*(f"cat__{name}" for name in CATEGORICAL), *(f"num__{name}" for name in NUMERICAL)]
    assert groups.sizes.tolist() == [*people[CATEGORICAL].nunique(), 1, 1]


def test_names_that_do_not_tell():
    """Levels that look like another input's, a level dropped from each: `auto` cannot know, the transformer does."""
    rng = np.random.default_rng(0)
    inputs = {"home": rng.choice(["a", "city_a", "z"], 50), "home_city": rng.choice(list("xyz"), 50)}
    frame, encoder = one_hot_frame(inputs, drop="first")
    assert groups_from_transformer(encoder).tolist() == ["home"] * 2 + ["home_city"] * 2
    frame, encoder = one_hot_frame(inputs, feature_name_combiner=lambda name, level: f"{level}!{name}")
    assert groups_from_transformer(encoder).tolist() == ["home"] * 3 + ["home_city"] * 3
    assert list(auto(frame)) == list(frame.columns)


@pytest.mark.parametrize(
    "columns",
    [
        "colour",
        ["colour"],
        [0],
        0,
        slice(0, 1),
        slice("colour", "colour"),
        np.eye(8, dtype=bool)[0],
        lambda X: ["colour"],
    ],
)
def test_every_way_to_select_columns(people, columns):
    inner = FunctionTransformer(
        lambda x: np.asarray(x).reshape(-1, 1) == "red", feature_names_out=lambda *_: ["is_red"]
    )
    encoder = inner if isinstance(columns, (str, int)) else OneHotEncoder()
    transformer = ColumnTransformer([("c", encoder, columns), ("n", "drop", ["age"]), ("none", onehot(), [])]).fit(
        people
    )
    expected = ["c__is_red"] if encoder is inner else ["c__colour"] * 3
    assert groups_from_transformer(transformer).tolist() == expected


def test_column_selector_and_remainder(people):
    encode = make_column_transformer(
        (onehot(), make_column_selector(dtype_exclude="number")), ("drop", ["zone"]), remainder=StandardScaler()
    ).fit(people)
    labels = groups_from_transformer(encode)
    assert list(dict.fromkeys(labels)) == [
        "onehotencoder__colour", "onehotencoder__size", "onehotencoder__rare", "onehotencoder__smoker",
        "remainder__age", "remainder__mean_radius", "remainder__mean_texture",
    ]  # fmt: skip
    assert len(labels) == encode.transform(people).shape[1]


def test_nested_parts(people):
    inner = make_column_transformer((onehot(), ["colour"]), remainder="passthrough")
    union = make_union(SplineTransformer(n_knots=2, degree=1), "passthrough", PCA(2))
    outer = ColumnTransformer(
        [
            ("a", Pipeline([("inner", inner), ("none", None), ("skip", "passthrough")]), ["colour", "age"]),
            ("b", union, NUMERICAL),
            ("c", make_pipeline(StandardScaler(), SelectKBest(f_regression, k=1)), NUMERICAL),
        ]
    ).fit(people, people["mean_texture"])
    assert groups_from_transformer(outer).tolist() == [
        *["a__onehotencoder__colour"] * 3, "a__remainder__age",
        *["b__splinetransformer__mean_radius"] * 2, *["b__splinetransformer__mean_texture"] * 2,
        "b__passthrough__mean_radius", "b__passthrough__mean_texture", "b__pca__pca0", "b__pca__pca1",
        "c__mean_texture",
    ]  # fmt: skip
    assert len(groups_from_transformer(outer)) == outer.transform(people).shape[1]
    union = FeatureUnion([("kept", StandardScaler()), ("gone", "drop")]).fit(people[NUMERICAL])
    assert groups_from_transformer(union).tolist() == ["kept__mean_radius", "kept__mean_texture"]


def test_transformer_fitted_on_an_array():
    X = np.random.default_rng(0).uniform(size=(30, 2))
    steps = make_pipeline(KBinsDiscretizer(3, quantile_method="linear"), PolynomialFeatures(2, include_bias=False))
    labels = groups_from_transformer(steps.fit(X))
    inputs = ["x0"] * 3 + ["x1"] * 3
    pairs = combinations_with_replacement(inputs, 2)
    assert labels.tolist() == inputs + [a if a == b else f"{a} {b}" for a, b in pairs]
    assert len(labels) == steps.transform(X).shape[1]
    ordinal = KBinsDiscretizer(3, encode="ordinal", quantile_method="linear").fit(X)
    assert groups_from_transformer(ordinal).tolist() == ["x0", "x1"]


def test_a_transformer_without_names_cannot_be_traced(people):
    opaque = make_pipeline(FunctionTransformer(np.exp), StandardScaler()).fit(people[NUMERICAL])
    with pytest.raises(ValueError, match="FunctionTransformer has no get_feature_names_out"):
        groups_from_transformer(opaque)
