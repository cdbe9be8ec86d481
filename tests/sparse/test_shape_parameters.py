"""Shape parameters of the penalty as parameters of the estimator: used, or pointed out."""

import warnings

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV

from skreg import SparseClassifier, SparseRegressor
from skreg.penalties import L1, MCP

RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 5))
Y = X[:, 0] + 0.3 * RNG.standard_normal(60)


@pytest.mark.parametrize("unused", [{"l1_ratio": 0.3}, {"gamma": 3.0}, {"q": 0.5}, {"eps": 0.1}], ids=repr)
@pytest.mark.parametrize("estimator", [SparseRegressor, SparseClassifier])
def test_a_shape_parameter_that_the_penalty_does_not_use_draws_one_warning(estimator, unused):
    y = Y if estimator is SparseRegressor else Y > 0
    plain = estimator(alpha=0.1).fit(X, y)
    with pytest.warns(UserWarning, match=f"^{next(iter(unused))}=.* is not used by penalty='l1'") as seen:
        model = estimator(alpha=0.1, **unused).fit(X, y)
    assert len(seen) == 1
    np.testing.assert_array_equal(model.coef_, plain.coef_)


@pytest.mark.parametrize(
    "grid",
    [
        {"penalty": ["l1", "mcp", L1(), MCP(gamma=2.0)]},
        [{"penalty": ["l1"]}, {"penalty": ["mcp"], "gamma": [2.0, 3.0]}, {"penalty": ["lq"], "q": [0.5]}],
    ],
    ids=["objects", "list of grids"],
)
def test_a_search_over_penalties_is_silent(grid):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        GridSearchCV(SparseRegressor(alpha=0.1), grid, cv=2).fit(X, Y)
