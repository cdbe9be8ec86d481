import pytest


@pytest.fixture
def global_random_seed():
    """Scikit-learn's fixture of this name; 42 is its default."""
    return 42
