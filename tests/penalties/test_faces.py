"""The contract of every penalty: scalar code, compiled code and every namespace say the same."""

import inspect
import math

import numpy as np
import pytest

from tests.penalties._textbook import bind, every_penalty, sample


@every_penalty
def test_scalar_face_equals_array_face(penalty):
    z, step, pen = sample(penalty)
    prox, value = penalty.leaves["prox"], penalty.leaves["value"]
    scalar = np.array([prox(float(z[j]), float(step[j]), j, pen) for j in range(z.size)])
    np.testing.assert_allclose(scalar, penalty.free_prox(z, step, pen), rtol=1e-14, atol=1e-15)
    scalar = np.array([value(float(z[j]), j, pen) for j in range(z.size)])
    np.testing.assert_allclose(scalar, penalty.values(z, pen), rtol=1e-14, atol=1e-15)
    for length in (0.3, 5.0):  # a number for the step does as an array of it
        np.testing.assert_array_equal(penalty.prox(z, length, pen), penalty.prox(z, np.full(z.size, length), pen))


@every_penalty
def test_compiled_face_equals_python_face(penalty):
    import numba

    z, step, pen = sample(penalty, seed=3, size=100)
    for face in penalty.leaves.values():
        compiled = numba.njit(face)
        for j in range(z.size):
            arguments = (z[j], step[j], j, pen) if face is penalty.leaves["prox"] else (z[j], j, pen)
            assert compiled(*arguments) == pytest.approx(face(*arguments), rel=1e-14, abs=1e-15)


@every_penalty
def test_leaves_are_self_contained(penalty):
    """Only leaves are compiled and cached by their source, so they may lean on nothing but `math` and numpy."""
    fields = set(bind(penalty, 1.0, np.ones(1))._fields)
    for face in penalty.leaves.values():
        used = inspect.getclosurevars(face)
        assert set(used.globals) <= {"math", "np"}
        assert not used.nonlocals
        assert {name for name in used.unbound if not hasattr(math, name)} <= fields


@every_penalty
def test_array_api_strict_equals_numpy(penalty):
    import array_api_strict as strict

    z, step, pen = sample(penalty)
    z_strict, step_strict, pen_strict = sample(penalty, xp=strict)

    def same(name, *arguments, strict_arguments):
        ours = getattr(penalty, name)(*arguments)
        theirs = np.asarray(getattr(penalty, name)(*strict_arguments, xp=strict))
        np.testing.assert_allclose(theirs, ours, rtol=1e-14, atol=1e-15)

    same("values", z, pen, strict_arguments=(z_strict, pen_strict))
    for s, s_strict in ((step, step_strict), (0.3, 0.3), (7.0, 7.0)):
        same("free_prox", z, s, pen, strict_arguments=(z_strict, s_strict, pen_strict))
        same("prox", z, s, pen, strict_arguments=(z_strict, s_strict, pen_strict))
    w = penalty.prox(z, step, pen)
    w_strict = strict.asarray(w)
    same("violation", w, z, step, pen, strict_arguments=(w_strict, z_strict, step_strict, pen_strict))
    if penalty.convex:
        same("conjugate", z, pen, strict_arguments=(z_strict, pen_strict))
        same("dual_scale", z, w, pen, strict_arguments=(z_strict, w_strict, pen_strict))


@every_penalty
def test_float32_stays_float32(penalty):
    import array_api_strict as strict

    arrays = [
        strict.asarray(a, dtype=strict.float32) for a in ([1.0, 0.5], [-math.inf, 0.0], [math.inf, 1.0], [1.0, 2.0])
    ]
    pen = penalty.bind(0.5, *arrays)
    z = strict.asarray([2.0, -0.7], dtype=strict.float32)
    for result in (
        penalty.prox(z, 0.5, pen, strict),
        penalty.prox(z, 30.0, pen, strict),
        penalty.values(z, pen, strict),
    ):
        assert result.dtype == strict.float32
