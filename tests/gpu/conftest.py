import pytest
from sklearn import config_context


@pytest.fixture
def place(request):
    """Where the data lives, while scikit-learn dispatches."""
    with config_context(array_api_dispatch=True):
        yield request.param()
