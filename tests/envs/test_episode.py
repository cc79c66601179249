"""Laws of the record of an episode."""

import dataclasses
from typing import Any

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
    parts = {"positions": np.zeros((steps + 1 if positions is None else positions, 3), np.float32)}
    return build(steps, ending=ending, jumppad=jumppad, **parts)


def build(steps: int, **changes: Any) -> Episode:
    """An episode of so many steps with some of its parts changed."""
    parts: dict[str, Any] = {
        "seed": 7,
        "start": START,
        "actions": np.zeros((steps, 16), np.uint8),
        "log_probs": np.zeros(steps, np.float32),
        "embeddings": np.zeros((steps, 4), np.float16),
        "features": np.zeros((steps, 4), np.float16),
        "positions": np.zeros((steps + 1, 3), np.float32),
        "ending": Ending.TRUNCATED,
        "jumppad": None,
    }
    return Episode(**parts | changes)


def test_an_episode_is_as_long_as_its_actions() -> None:
    assert len(episode(3)) == 3
    assert len(episode(100)) == 100


def test_the_three_endings_stay_apart() -> None:
    assert [ending.value for ending in Ending] == ["terminated", "truncated", "interrupted"]
    assert Ending("interrupted") is Ending.INTERRUPTED


@pytest.mark.parametrize("pad", JUMPPADS)
def test_an_episode_that_terminated_is_on_a_pad(pad: str) -> None:
    assert episode(ending=Ending.TERMINATED, jumppad=pad).jumppad == pad


@pytest.mark.parametrize(("ending", "reason"), [(Ending.TRUNCATED, None), (Ending.INTERRUPTED, "the window is gone")])
def test_an_episode_that_ended_otherwise_is_on_none(ending: Ending, reason: str | None) -> None:
    assert build(3, ending=ending, interrupted=reason).jumppad is None
    with pytest.raises(DataError, match=f"on a pad or otherwise, got 'left' and {ending.value}"):
        build(3, ending=ending, interrupted=reason, jumppad="left")


def test_an_interrupted_episode_says_why_and_no_other_does() -> None:
    with pytest.raises(DataError, match="has a reason, and no other, got None"):
        build(3, ending=Ending.INTERRUPTED)
    with pytest.raises(DataError, match="has a reason, and no other, got 'late'"):
        build(3, ending=Ending.TRUNCATED, interrupted="late")


def test_where_a_real_game_does_not_tell_there_are_no_positions() -> None:
    assert len(build(3, positions=np.zeros((0, 3), np.float32))) == 3


@pytest.mark.parametrize("pad", [None, "north", "Left"])
def test_an_episode_does_not_terminate_on_what_is_no_pad(pad: str | None) -> None:
    with pytest.raises(DataError, match="on a pad or otherwise"):
        episode(ending=Ending.TERMINATED, jumppad=pad)


def test_an_episode_that_ended_otherwise_has_no_unknown_pad_either() -> None:
    with pytest.raises(DataError, match="got 'north' and truncated"):
        episode(jumppad="north")


@pytest.mark.parametrize(
    ("part", "shape"),
    [
        ("positions", (3, 3)),
        ("positions", (5, 3)),
        ("positions", (4, 2)),
        ("actions", (3, 15)),
        ("actions", (3,)),
        ("actions", (3, 16, 1)),
        ("log_probs", (4,)),
        ("log_probs", (3, 1)),
        ("features", (2, 4)),
        ("features", (3,)),
        ("embeddings", (2, 4)),
        ("embeddings", (3, 5)),
        ("embeddings", (0, 5)),
        ("embeddings", (3,)),
    ],
)
def test_a_part_that_does_not_fit_is_named(part: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match=rf"an episode of 3 steps: .*{part} \("):
        build(3, **{part: np.zeros(shape, np.uint8)})


def test_embeddings_and_features_may_go_on_after_the_end_and_may_be_none() -> None:
    assert len(build(3, embeddings=np.zeros((0, 4), np.float16))) == 3
    for shape in ((100, 4), (3, 0)):
        read = np.zeros(shape, np.float16)
        assert len(build(3, embeddings=read, features=read)) == 3


def test_an_episode_of_no_steps_is_none() -> None:
    with pytest.raises(DataError, match="an episode of 0 steps: actions"):
        episode(0)


def test_a_record_does_not_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        episode().ending = Ending.INTERRUPTED  # type: ignore[misc]
