"""What the tests of the rollouts share: ninjas at play, recorded in a second."""

import pytest

from envs.standin.gameplay import record_match
from envs.standin.replay import Replay


@pytest.fixture(scope="session")
def ninjas() -> list[Replay]:
    """Three matches of ninjas who know the way to every pad."""
    return [record_match(seed=1, index=index, character="ninja") for index in (0, 2, 4)]
