"""What was seen in an episode of the stand-in: it is played again, from its start and its actions."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from envs.episode import Episode
from envs.errors import DataError
from envs.standin.characters import NAMES
from envs.standin.replay import Recorder, Replay, ReplayReader
from envs.standin.simulation import picture_of


def film(episode: Episode) -> NDArray[np.uint8]:
    """What the agent saw, (T, 128, 128, 3) uint8."""
    return ReplayReader(replay_of(episode)).window(0, len(episode))[0]


def replay_of(episode: Episode) -> Replay:
    """An episode of the stand-in as a replay."""
    recorder = _at_start(episode)
    for action in episode.actions:
        recorder.step(action)
    return recorder.replay()


def pictures(episode: Episode, size: int) -> Iterator[NDArray[np.uint8]]:
    """What a person would have seen, the arrival included: T + 1 pictures, (size, size, 3) uint8."""
    recorder, character, skin = _at_start(episode), NAMES.index(episode.start.character), episode.start.skin

    def picture() -> NDArray[np.uint8]:
        return picture_of(recorder.stage, recorder.body, character, skin, size, size)

    yield picture()
    for action in episode.actions:
        recorder.step(action)
        yield picture()


def _at_start(episode: Episode) -> Recorder:
    """A match in which the episode's life has just begun.

    Raises: DataError: the episode was played in a real game.
    """
    start = episode.start
    if not len(episode.positions):
        raise DataError("an episode of a game's window cannot be drawn again; only those of the stand-in can")
    recorder = Recorder(0, NAMES.index(start.character), start.skin, player="agent", seed=0)
    recorder.begin(start.known_spawn)
    return recorder
