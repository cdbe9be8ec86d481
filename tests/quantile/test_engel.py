"""Engel's food expenditure against R's quantreg, whose numbers engel_quantreg.json holds beside their command."""

import json
from pathlib import Path

import numpy as np
import pytest
from statsmodels.datasets import engel

from skreg import QuantileRegressor

QUANTREG = json.loads(Path(__file__).with_name("engel_quantreg.json").read_text())["levels"]
DATA = engel.load_pandas().data
X, y = DATA[["income"]], DATA["foodexp"]


@pytest.mark.parametrize("level", QUANTREG)
def test_coefficients(level):
    model = QuantileRegressor(float(level), penalty=None).fit(X, y)
    np.testing.assert_allclose([model.intercept_, *model.coef_], QUANTREG[level]["coefficients"], rtol=1e-8)


@pytest.mark.parametrize("method, quantreg", [("kernel", "ker"), ("nid", "nid")])
def test_standard_errors(method, quantreg):
    model = QuantileRegressor([float(level) for level in QUANTREG], penalty=None).fit(X, y)
    errors = model.standard_errors(X, y, method=method)
    ours = np.column_stack([errors.intercept, errors.coef])
    np.testing.assert_allclose(ours, [numbers[quantreg] for numbers in QUANTREG.values()], rtol=1e-8)
