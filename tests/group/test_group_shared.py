"""The contracts of all estimators, on those with groups of features."""

import functools
import inspect

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone, is_classifier

from skreg import GroupLasso, GroupLassoClassifier, SparseGroupLasso, SparseGroupLassoClassifier
from tests import test_contracts_data as data
from tests import test_contracts_input as given
from tests import test_contracts_model as model
from tests import test_contracts_sklearn as life
from tests._instances import label, make_data

TIGHT = dict(tol=1e-12)
SINGLE = [
    GroupLasso(alpha=0.05, **TIGHT),
    GroupLasso(alpha=0.05, penalty="group_elastic_net", l1_ratio=0.7, standardize=True, **TIGHT),
    GroupLasso(alpha=0.05, loss="huber", **TIGHT),
    SparseGroupLasso(alpha=0.05, loss="poisson", **TIGHT),
    SparseGroupLasso(alpha=0.05, loss="gamma", standardize=True, **TIGHT),
    GroupLassoClassifier(alpha=0.03, **TIGHT),
    GroupLassoClassifier(alpha=0.03, loss="squared_hinge", class_weight="balanced", **TIGHT),
    SparseGroupLassoClassifier(alpha=0.02, loss="multinomial", **TIGHT),
    SparseGroupLassoClassifier(alpha=0.02, loss="multinomial", multinomial="ungrouped", standardize=True, **TIGHT),
]
CONCAVE = [GroupLasso(alpha=0.05, penalty="group_mcp", **TIGHT), GroupLasso(alpha=0.05, penalty="group_scad", **TIGHT)]
OVERLAPPING = [[0, 1, 2], [2, 3], [4, 5, 0]]
GROUPED = [clone(e).set_params(groups=2) for e in [*SINGLE, *CONCAVE]]
GROUPED += [clone(e).set_params(groups=OVERLAPPING) for e in (SINGLE[0], SINGLE[5], SINGLE[7])]

dense_and_sparse = [np.asarray, sp.csr_array]
ON_EIGHT_COLUMNS = [
    *(functools.partial(data.test_integer_weights_are_copies_and_weight_zero_is_no_row, container=c, standardize=s)
      for c in dense_and_sparse for s in (False, True)),
    data.test_rows_of_weight_zero_may_hold_any_target,
    data.test_scale_of_the_weights_does_not_matter,
    *(functools.partial(data.test_container_of_X_does_not_matter, container=c) for c in data.CONTAINERS.values()),
    *(functools.partial(data.test_int64_indices, kind=kind) for kind in (sp.csr_array, sp.csc_array)),
    *(functools.partial(data.test_float32, container=c) for c in dense_and_sparse),
    data.test_data_are_not_modified,
    *(functools.partial(model.test_alpha_max_empties_the_model_and_a_little_less_does_not, weighted=w, fit_intercept=i)
      for w in (False, True) for i in (False, True)),
    model.test_too_few_iterations_warn_with_the_remedy,
    life.test_pickle_keeps_the_predictions_and_holds_no_engine,
    life.test_clone_and_repr_give_the_parameters_back,
    life.test_pipeline_with_a_scaler_equals_standardize,
    life.test_metadata_routing_takes_weights_to_the_fit,
    life.test_html_repr_and_kind,
    given.test_a_failed_fit_keeps_the_previous_model,
    given.test_prediction_checks_its_input,
]  # fmt: skip
SHAPES = (12, 30), (40, 1), (3, 5)
ON_ANY_WIDTH = [
    *(functools.partial(data.test_more_features_than_samples_and_one_feature, shape=shape) for shape in SHAPES),
    data.test_order_of_rows_and_columns_does_not_matter,
    life.test_select_from_model,
]


def words(law):
    name = getattr(law, "func", law).__name__.removeprefix("test_")
    values = getattr(law, "keywords", {}).values()
    return "-".join([name, *(getattr(v, "__name__", str(v)) for v in values)])


@pytest.mark.parametrize("estimator", GROUPED, ids=label)
@pytest.mark.parametrize("law", ON_EIGHT_COLUMNS, ids=words)
def test_contract_with_groups(law, estimator):
    law(estimator)


@pytest.mark.parametrize("estimator", SINGLE, ids=label)
@pytest.mark.parametrize("law", ON_ANY_WIDTH, ids=words)
def test_contract_with_singletons(law, estimator):
    law(estimator)


@pytest.mark.parametrize("estimator", [e for e in SINGLE if not is_classifier(e)], ids=label)
def test_constant_targets_and_single_samples(estimator):
    data.test_constant_target_gives_the_constant(estimator)
    data.test_one_sample_is_its_own_mean(estimator)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("argument", ["X", "sparse X", "y", "sample_weight", "offset"])
@pytest.mark.parametrize("estimator", GROUPED, ids=label)
def test_not_finite(estimator, argument, bad):
    given.test_not_finite(estimator, argument, bad)


@pytest.mark.parametrize(("change", "text"), given.WRONG_SHAPES)
@pytest.mark.parametrize("estimator", GROUPED, ids=label)
def test_wrong_shapes_and_weights(estimator, change, text):
    given.test_wrong_shapes_and_weights(estimator, change, text)


def test_the_laws_take_an_estimator():
    for law in [*ON_EIGHT_COLUMNS, *ON_ANY_WIDTH]:
        free = [p for p in inspect.signature(law).parameters.values() if p.name not in getattr(law, "keywords", {})]
        assert [p.name for p in free] == ["estimator"]


@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("overlapping", [False, True])
def test_offset_is_the_known_part(standardize, overlapping):
    X, y = make_data(GroupLasso())
    offset = np.random.default_rng(1).standard_normal(len(y))
    params = dict(groups=OVERLAPPING if overlapping else 2, alpha=0.05, standardize=standardize, **TIGHT)
    a, b = GroupLasso(**params).fit(X, y, offset=offset), GroupLasso(**params).fit(X, y - offset)
    np.testing.assert_allclose(a.coef_, b.coef_, rtol=0, atol=1e-8)
    np.testing.assert_allclose(a.predict(X, offset), b.predict(X) + offset, rtol=1e-8)
