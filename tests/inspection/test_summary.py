"""The table of coefficients."""

import sys

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.datasets import load_diabetes, load_iris
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import StandardScaler

from skreg import GroupLasso, Lasso, LassoCV, SparseClassifier
from skreg.inspection import summary

X, Y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)


def test_names_and_coefficients():
    model = Lasso(alpha=1.0).fit(X, Y)
    frame = summary(model)
    assert list(frame.columns) == ["name", "coefficient"]
    assert list(frame["name"]) == list(X.columns)
    np.testing.assert_array_equal(frame["coefficient"], model.coef_)
    assert list(summary(Lasso().fit(X.to_numpy(), Y))["name"][:2]) == ["x0", "x1"]
    assert list(summary(model, feature_names=list("abcdefghij"))["name"]) == list("abcdefghij")


def test_groups_also_where_they_overlap():
    groups = {"one": [0, 1, 2, 3, 4], "two": [4, 5, 6, 7, 8, 9]}
    frame = summary(GroupLasso(groups=groups).fit(X, Y))
    assert list(frame["group"]) == ["one"] * 4 + ["one, two"] + ["two"] * 5


@pytest.mark.parametrize("convert", [lambda X: X, np.asarray, sp.csr_array])
def test_standardised_effects_are_the_coefficients_on_standardised_data(convert):
    model = Lasso(alpha=1e-3).fit(X, Y)
    scaler = StandardScaler().fit(X)
    frame = summary(model, convert(X))
    np.testing.assert_allclose(frame["standardised_effect"], model.coef_ * scaler.scale_, rtol=1e-9)


def test_classes_have_a_column_each():
    flowers, kind = load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "virginica"])
    model = SparseClassifier(alpha=0.05).fit(flowers, names[kind])
    frame = summary(model, flowers)
    np.testing.assert_array_equal(frame["coefficient[versicolor]"], model.coef_[1])
    assert "standardised_effect[setosa]" in frame
    two = SparseClassifier(alpha=0.05).fit(flowers, kind == 0)
    np.testing.assert_array_equal(summary(two)["coefficient"], np.ravel(two.coef_))


def test_a_search_is_a_model():
    search = LassoCV(alphas=10).fit(X, Y)
    np.testing.assert_array_equal(summary(search)["coefficient"], search.coef_)


def test_errors(monkeypatch):
    model = Lasso().fit(X, Y)
    with pytest.raises(NotFittedError):
        summary(Lasso())
    with pytest.raises(ValueError, match="X must have 10 features"):
        summary(model, X.iloc[:, :3])
    with pytest.raises(ValueError, match="feature_names"):
        summary(model, feature_names=["a"])
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="pip install pandas"):
        summary(model)
