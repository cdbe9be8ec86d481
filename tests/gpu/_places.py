"""Where the data of a test can live: the namespaces and devices that its body is run on."""

import numpy as np
import pytest


class StrictPlace:
    """The second device of array_api_strict, from which nothing comes to the host by accident."""

    name = "array_api_strict"

    def __init__(self):
        import array_api_strict

        self.xp, self.device = array_api_strict, array_api_strict.Device("device1")

    def put(self, array):
        return None if array is None else self.xp.asarray(array, device=self.device)

    def host(self, array):
        return np.asarray(self.xp.asarray(array, device=self.xp.Device("CPU_DEVICE")))

    def holds(self, array):
        return type(array).__module__.startswith("array_api_strict") and array.device == self.device


class CupyPlace:
    """The current GPU, through CuPy."""

    name = "cupy"

    def __init__(self):
        import cupy

        self.xp, self.device = cupy, cupy.cuda.Device()

    def put(self, array):
        return None if array is None else self.xp.asarray(array)

    def host(self, array):
        return array.get()

    def holds(self, array):
        return isinstance(array, self.xp.ndarray) and array.device == self.device


on_every_place = pytest.mark.parametrize(
    "place", [StrictPlace, pytest.param(CupyPlace, marks=pytest.mark.gpu)], ids=lambda kind: kind.name, indirect=True
)
