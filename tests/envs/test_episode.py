"""Laws of the record of an episode."""

import dataclasses

import numpy as np
import pytest

from envs.backend import JUMPPADS, Start
from envs.episode import Ending, Episode
from envs.errors import DataError

START = Start(2, "ninja", 1)


def episode(
    steps: int = 3, *, ending: Ending = Ending.TRUNCATED, jumppad: str | None = None, positions: int | None = None
) -> Episode:
    """An episode of so many steps, which stays where it is."""
    places = np.zeros((steps + 1 if positions is None else positions, 3), np.float32)
    return Episode(START, np.zeros((steps, 16), np.uint8), places, ending, jumppad)


def test_an_episode_is_as_long_as_its_actions() -> None:
    assert len(episode(3)) == 3
    assert len(episode(100)) == 100


def test_the_three_endings_stay_apart() -> None:
    assert [ending.value for ending in Ending] == ["terminated", "truncated", "interrupted"]
    assert Ending("interrupted") is Ending.INTERRUPTED


@pytest.mark.parametrize("pad", JUMPPADS)
def test_an_episode_that_terminated_is_on_a_pad(pad: str) -> None:
    assert episode(ending=Ending.TERMINATED, jumppad=pad).jumppad == pad


@pytest.mark.parametrize("ending", [Ending.TRUNCATED, Ending.INTERRUPTED])
def test_an_episode_that_ended_otherwise_is_on_none(ending: Ending) -> None:
    assert episode(ending=ending).jumppad is None
    with pytest.raises(DataError, match=f"on a pad or otherwise, got 'left' and {ending.value}"):
        episode(ending=ending, jumppad="left")


@pytest.mark.parametrize("pad", [None, "north", "Left"])
def test_an_episode_does_not_terminate_on_what_is_no_pad(pad: str | None) -> None:
    with pytest.raises(DataError, match="on a pad or otherwise"):
        episode(ending=Ending.TERMINATED, jumppad=pad)


def test_an_episode_that_ended_otherwise_has_no_unknown_pad_either() -> None:
    with pytest.raises(DataError, match="got 'north' and truncated"):
        episode(jumppad="north")


def test_there_is_a_position_before_the_first_step_and_one_after_each() -> None:
    for count in (3, 5):
        with pytest.raises(DataError, match=rf"actions \(3, 16\) and positions \({count}, 3\)"):
            episode(3, positions=count)


def test_an_episode_of_no_steps_is_none() -> None:
    with pytest.raises(DataError, match=r"actions \(0, 16\)"):
        episode(0)


@pytest.mark.parametrize("shape", [(3, 15), (3,), (3, 16, 1)])
def test_an_action_has_sixteen_components(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match="an episode of T steps has actions"):
        Episode(START, np.zeros(shape, np.uint8), np.zeros((4, 3), np.float32), Ending.TRUNCATED, None)


def test_a_position_has_three_coordinates() -> None:
    with pytest.raises(DataError, match=r"positions \(4, 2\)"):
        Episode(START, np.zeros((3, 16), np.uint8), np.zeros((4, 2), np.float32), Ending.TRUNCATED, None)


def test_a_record_does_not_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        episode().ending = Ending.INTERRUPTED  # type: ignore[misc]
