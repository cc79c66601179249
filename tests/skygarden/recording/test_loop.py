"""The recorder's loop in a world of its own time: what is paired with what, and how it ends."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray

from envs.gamepad import decode
from envs.window.pad import SticksConfig
from rollout.lerobot.track import PAD, Held, Step
from skygarden.recording import view
from skygarden.recording.loop import LOOKS, PERIOD, Ended, record_play
from skygarden.recording.view import Away


@dataclass(frozen=True)
class Beat:
    due: float


@dataclass(frozen=True)
class Shot:
    pixels: NDArray[np.uint8]
    time: float

    def rgb(self) -> NDArray[np.uint8]:
        return self.pixels


@dataclass
class World:
    """Time, a window, hands and a sink in one. Each frame's first pixel is its number."""

    held: Callable[[float], Held] = lambda time: Held()
    seen: Callable[[float], Away | None] = lambda time: None
    late: dict[int, int] = field(default_factory=dict[int, int])  # beats that are skipped before a beat
    now: float = 1000.0
    number: int = 0
    steps: list[tuple[int, Step]] = field(default_factory=list[tuple[int, Step]])
    cuts: list[int] = field(default_factory=list[int])
    said: list[str] = field(default_factory=list[str])

    def start(self) -> float:
        return self.now

    def wait(self) -> Beat:
        self.number += 1 + self.late.get(self.number + 1, 0)
        assert self.number < 100_000
        self.now = 1000.0 + self.number * PERIOD
        return Beat(self.now)

    def read(self) -> Held:
        return self.held(self.now - 1000.0)

    def shoot(self) -> Shot | Away:
        away = self.seen(self.now - 1000.0)
        pixels = np.full((2, 2, 3), round((self.now - 1000.0) * 10) % 256, np.uint8)
        return away or Shot(pixels, self.now + 0.001)

    def add(self, shot: view.Shot, step: Step) -> None:
        self.steps.append((int(shot.rgb()[0, 0, 0]), step))

    def cut(self) -> None:
        self.cuts.append(len(self.steps))

    def close(self) -> None:
        raise AssertionError("the loop closes nothing")

    def play(self, seconds: float = 1.05) -> Ended:
        def stopped(passed: float) -> str | None:
            return "over" if passed >= seconds else None

        return record_play(self, self, self, self, SticksConfig(), stopped, self.said.append)


def test_a_frame_is_taken_every_tenth_and_the_hands_after_it_are_its_action():
    world = World(lambda time: Held(pressed=frozenset({"A"} if 0.42 < time < 0.46 else ())))
    assert world.play() == Ended("over", 0)
    assert [number for number, _ in world.steps] == list(range(1, 11))
    assert [step.time - 1000 for _, step in world.steps] == pytest.approx([k / 10 + 0.001 for k in range(1, 11)])
    assert [number for number, step in world.steps if step.action[0]] == [4]
    assert world.cuts == [10]


def test_the_pad_is_kept_as_it_was_at_the_frame():
    world = World(lambda time: Held((0.03, 0, 0, 0, 0, 0), frozenset({"START"} if time < 0.41 else ())))
    world.play()
    raw = [step.pad for _, step in world.steps]
    assert [pad[PAD.index("LX")] for pad in raw] == pytest.approx([0.03] * 10)
    assert [pad[PAD.index("START held")] for pad in raw] == [1] * 4 + [0] * 6
    assert decode(world.steps[0][1].action).lx == 0.0


def test_a_frame_that_is_missed_is_counted_and_its_time_is_free():
    world = World(late={20: 14})  # from 0.317 s on nothing happens until 0.567 s
    assert world.play().missed == 1
    assert [number for number, _ in world.steps] == [1, 2, 3, 6, 6, 7, 8, 9, 10]  # 4 is missed, 5 is late


def test_a_window_that_is_away_ends_the_episode_and_the_next_begins_when_it_is_back():
    world = World(seen=lambda time: Away("the window is covered") if 0.35 < time < 0.65 else None)
    assert world.play() == Ended("over", 0)
    assert [number for number, _ in world.steps] == [1, 2, 3, 7, 8, 9, 10]
    assert world.cuts == [3, 7]
    assert world.said == ["recording", "waiting: the window is covered", "recording"]


def test_a_window_that_is_gone_ends_the_recording_and_what_was_played_is_kept():
    world = World(seen=lambda time: Away("the window is gone", is_final=True) if time > 0.55 else None)
    assert world.play().reason == "the window is gone"
    assert len(world.steps) == 5
    assert world.cuts == [5]


def test_start_and_back_held_for_a_second_end_the_recording():
    chord = frozenset({"START", "BACK"})
    world = World(lambda time: Held(pressed=chord if time > 2 or time < 0.5 else frozenset()))
    assert world.play(20).reason == "START and BACK were held"
    assert world.now - 1000 == pytest.approx(3.1)


def test_hands_are_read_often_enough_for_a_tap():
    assert pytest.approx(0.1) == LOOKS * PERIOD
    assert PERIOD < 0.02
