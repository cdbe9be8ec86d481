"""The contract of every loss: parameters, registry, targets."""

import math
import pickle
import subprocess
import sys

import array_api_strict
import numpy as np
import pytest
from sklearn.base import clone

from skreg import losses
from skreg.losses import LOSSES, Gamma, Huber, Logistic, Loss, Multinomial, Poisson, SquaredHinge, Tweedie, get_loss
from tests.losses._draw import ALL, draw, over


@over(ALL)
def test_parameters(loss):
    params = loss.get_params()
    again = type(loss)(**params)
    assert again == loss and hash(again) == hash(loss) and clone(loss) == loss and clone(loss) is not loss
    assert pickle.loads(pickle.dumps(loss)) == loss
    assert eval(repr(loss), vars(losses)) == loss
    with pytest.raises(ValueError, match="no parameter 'nonsense'"):
        loss.set_params(nonsense=1)


def test_set_params_changes_the_loss():
    y, eta = np.array([5.0]), np.array([0.0])
    assert Huber().set_params(delta=2.0) == Huber(delta=2.0) != Huber()
    assert Huber().set_params(delta=2.0).gradient(y, eta) == -2.0
    assert Tweedie().set_params(power=1).value(y, eta + 1) == Poisson().value(y, eta + 1)
    assert Poisson() != Gamma() and Tweedie(power=1) != Poisson()


def test_registry():
    assert list(LOSSES) == [
        "squared", "huber", "logistic", "multinomial", "poisson", "gamma", "tweedie", "squared_hinge",
    ]  # fmt: skip
    for name, cls in LOSSES.items():
        assert get_loss(name) == cls() and cls.name == name and issubclass(cls, Loss)
    mine = Huber(delta=3)
    assert get_loss(mine) is mine


@pytest.mark.parametrize("bad", ["hubber", "", None, 3, Huber, ["squared"]])
def test_unknown_loss_raises(bad):
    with pytest.raises(ValueError, match="^loss must be one of 'squared', .*'squared_hinge' or a Loss object; got"):
        get_loss(bad)


@pytest.mark.parametrize("power", [-1, 0.5, 0.999, math.nan, math.inf, "1", None])
def test_bad_power_raises(power):
    loss, x = Tweedie(power=power), np.ones(3)
    for call in (
        lambda: loss.check_target(x),
        lambda: loss.value(x, x),
        lambda: loss.gradient(x, x),
        lambda: loss.curvature(x, x),
        lambda: loss.null_intercept(x, x),
        lambda: loss.convex,
    ):
        with pytest.raises(ValueError, match="^power"):
            call()


@pytest.mark.parametrize("delta", [0, -1.0, math.nan, math.inf, "1", None])
def test_bad_delta_raises(delta):
    with pytest.raises(ValueError, match="^delta"):
        Huber(delta=delta).check_target(np.ones(3))


def test_no_conjugate_without_convexity():
    with pytest.raises(NotImplementedError, match="power > 2"):
        Tweedie(power=2.5).conjugate(np.ones(1), np.ones(1))


# --- targets


@over(ALL)
def test_good_target_passes(loss):
    y = draw(loss)[0]
    loss.check_target(y)
    loss.check_target(y.tolist())
    loss.check_target(y.astype(np.float32))


@over(ALL)
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_non_finite_target_raises(loss, bad):
    y = draw(loss)[0].copy()
    y[3] = bad
    with pytest.raises(ValueError, match="^y must be finite"):
        loss.check_target(y)


@pytest.mark.parametrize("wrap", [np.asarray, array_api_strict.asarray], ids=["numpy", "strict"])
@pytest.mark.parametrize(
    ("loss", "y", "message"),
    [
        (Poisson(), [1.0, -3.0], r"y must be non-negative for the Poisson loss; the smallest value is -3\.0\."),
        (Poisson(), [0.0, 0.0], "y must not be all zero for the Poisson loss: its sum must be positive"),
        (Tweedie(power=1), [1.0, -3.0], "y must be non-negative for the Poisson loss"),
        (Tweedie(power=1.5), [1.0, -3.0], r"y must be non-negative for the Tweedie \(power=1.5\) loss"),
        (Tweedie(power=1.5), [0.0, 0.0], "y must not be all zero"),
        (Tweedie(power=3), [1.0, 0.0], "y must be positive for the Tweedie"),
        (Gamma(), [1.0, 0.0], r"y must be positive for the gamma loss; the smallest value is 0\.0\."),
        (Tweedie(power=2), [1.0, 0.0], "y must be positive for the gamma loss"),
        (Logistic(), [0.0, 1.0, 2.0], r"y must hold only 0 and 1 for the logistic loss; it also holds 2\.0\."),
        (SquaredHinge(), [-1.0, 1.0], r"y must hold only 0 and 1 for the squared hinge loss; it also holds -1\.0\."),
        (Multinomial(), [0.0, 1.0, 2.0], r"y must have one column a class .*\(3,\)"),
        (Multinomial(), [[1.0], [1.0]], "y must have one column a class"),
        (Multinomial(), [[1.0, 0.0], [1.0, 1.0]], "y must hold one 1 a row .* row 1 does not"),
        (Multinomial(), [[0.5, 0.5], [1.0, 0.0]], "y must hold one 1 a row .* row 0 does not"),
    ],
    ids=repr,
)
def test_bad_target_raises(loss, y, message, wrap):
    with pytest.raises(ValueError, match="^" + message):
        loss.check_target(wrap(y))


def test_import_is_light():
    code = "import sys, skreg.losses; print([m for m in ('scipy', 'sklearn', 'numba', 'pandas') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
