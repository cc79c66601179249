"""Laws of playing in a game that is lost now and then: what was lost does not count, and another takes its place."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from envs.backend import Start
from envs.episode import Ending, Episode
from envs.errors import WindowLostError
from skygarden.playing import whole


def episodes(pattern: str) -> Iterator[Episode]:
    """One for each letter: a whole one, or x, one that was interrupted; their seeds count them."""
    for seed, letter in enumerate(pattern):
        episode = Episode(
            seed=seed,
            start=Start(None, "monk", 0),
            actions=np.zeros((2, 16), np.uint8),
            log_probs=np.zeros(2, np.float32),
            embeddings=np.zeros((2, 0), np.float16),
            features=np.zeros((2, 0), np.float16),
            positions=np.zeros((0, 3), np.float32),
            ending=Ending.TRUNCATED,
            jumppad=None,
        )
        lost = letter == "x"
        yield replace(episode, ending=Ending.INTERRUPTED, interrupted="the window is gone") if lost else episode


def test_interrupted_episodes_are_left_out_and_said_to_be(capsys: pytest.CaptureFixture[str]):
    assert [e.seed for e in whole(episodes(".x..xx."))] == [0, 2, 3, 6]
    assert capsys.readouterr().out.count("interrupted and does not count: the window is gone") == 3


def test_a_game_that_is_lost_five_times_in_a_row_is_given_up():
    played = whole(episodes("xxxx.xxxxx."))
    assert next(played).seed == 4
    with pytest.raises(WindowLostError, match=r"5 episodes in a row were interrupted, .* the window is gone"):
        next(played)
