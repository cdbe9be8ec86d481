import pytest

from skreg.kernels import _specialize


@pytest.fixture(autouse=True)
def compiled(monkeypatch):
    """Compiled loops, as for large data; the estimators' tests run little data as it comes."""
    monkeypatch.setattr(_specialize, "LITTLE", 0)
