"""What all tests share: how hypothesis draws, and the option that draws the golden images anew."""

import pytest
from hypothesis import settings

# The same examples in every run: a failure that comes and goes teaches people to run tests twice.
settings.register_profile("skygarden", deadline=None, derandomize=True, database=None)
settings.load_profile("skygarden")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --update-golden."""
    parser.addoption("--update-golden", action="store_true", help="draw tests/envs/golden/ anew instead of comparing")
