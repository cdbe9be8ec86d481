"""The contract of every penalty: parameters, objects and names."""

import pickle
import subprocess
import sys

import numpy as np
import pytest

from skreg import penalties
from skreg.penalties import MCP, PENALTIES, SCAD, ElasticNet, LogSum, Lq, SeparablePenalty, get_penalty, restrict
from tests.penalties._textbook import SETTINGS, bind, every_penalty, sample


@pytest.mark.parametrize(
    "penalty, parameter",
    [
        (ElasticNet(l1_ratio=-0.1), "l1_ratio"),
        (ElasticNet(l1_ratio=1.1), "l1_ratio"),
        (MCP(gamma=1.0), "gamma"),
        (MCP(gamma=np.inf), "gamma"),
        (SCAD(gamma=2.0), "gamma"),
        (SCAD(gamma=np.nan), "gamma"),
        (LogSum(eps=0.0), "eps"),
        (Lq(q=0.0), "q"),
        (Lq(q=1.0), "q"),
    ],
    ids=repr,
)
def test_shape_parameters_are_checked_when_bound(penalty, parameter):
    with pytest.raises(ValueError, match=rf"^{parameter} must be .*; got "):
        bind(penalty, 1.0, np.ones(1))


@every_penalty
def test_objects_are_values(penalty):
    from sklearn.base import clone

    for copy in (clone(penalty), eval(repr(penalty), vars(penalties)), pickle.loads(pickle.dumps(penalty))):
        assert copy == penalty and copy.get_params() == penalty.get_params() and copy is not penalty


@every_penalty
def test_restrict_commutes_with_the_penalty(penalty):
    z, step, pen = sample(penalty)
    index = np.array([5, 17, 2])
    part = restrict(pen, index)
    assert type(part) is type(pen)
    np.testing.assert_array_equal(penalty.prox(z[index], step[index], part), penalty.prox(z, step, pen)[index])
    np.testing.assert_array_equal(penalty.values(z[index], restrict(pen, index)), penalty.values(z, pen)[index])


def test_every_registered_penalty_is_under_contract():
    assert {penalty.name for penalty in SETTINGS} == set(PENALTIES)
    for name, penalty in PENALTIES.items():
        assert issubclass(penalty, SeparablePenalty) and penalty.name == name and get_penalty(name) == penalty()


def test_get_penalty():
    assert get_penalty("scad", gamma=2.5, q=None, eps=None, l1_ratio=None) == SCAD(gamma=2.5)
    assert get_penalty("lq", gamma=None, q=0.3) == Lq(q=0.3)
    assert get_penalty("elastic_net", l1_ratio=0.0) == ElasticNet(l1_ratio=0.0)
    assert get_penalty("mcp", gamma=None) == MCP()
    own = MCP(gamma=9.0)
    assert get_penalty(own, gamma=None) is own
    for unknown in ("lasso", None, MCP, ["l1"]):
        with pytest.raises(ValueError, match=r"penalty must be .*'l1', 'elastic_net', 'mcp'"):
            get_penalty(unknown)


def test_shape_parameters_that_are_set_and_not_used_draw_a_warning():
    with pytest.warns(UserWarning, match=r"^q=0.3 is not used by penalty='scad', which has no such parameter\.$"):
        assert get_penalty("scad", gamma=2.5, q=0.3) == SCAD(gamma=2.5)
    own = MCP(gamma=9.0)
    with pytest.warns(
        UserWarning, match=r"^gamma=2.0 is not used by penalty=MCP\(gamma=9.0\), which has its own parameters\.$"
    ):
        assert get_penalty(own, gamma=2.0) is own
    with pytest.warns(UserWarning) as seen:
        get_penalty("l1", l1_ratio=0.0, eps=0.1)
    assert len(seen) == 2


def test_import_is_light():
    code = "import sys, skreg.penalties; print([m for m in ('numba', 'scipy', 'sklearn') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
