"""The time limit and the jump pads: what the last step reached is told, and nothing that came after it.

The window, its pixels and its pad are made up; the beat is a clock that only sleeping moves.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from envs.backend import Start
from envs.gamepad import NOOP
from envs.task import MAX_STEPS
from envs.window import backend as module
from envs.window.backend import WindowBackend
from envs.window.capture import Shot
from envs.window.clock import Clock
from envs.window.jumppad import Detection, JumpPadConfig
from envs.window.locate import Rectangle, Sight
from envs.window.pad import PadConfig, PadState
from envs.window.profile import Profile, WindowProfile


class Pad:
    """Takes what it is told to hold; remembers when it was let go."""

    def __init__(self, config: PadConfig, window: int) -> None:
        assert window == 7
        self.released = 0

    def hold(self, state: PadState) -> None:
        assert isinstance(state, PadState)

    def release(self) -> None:
        self.released += 1

    def resume(self) -> None:
        pass

    def close(self) -> None:
        pass


class Window:
    title, id, pid = "Game", 7, None

    def look(self) -> Sight:
        return Sight(Rectangle(0, 0, 8, 8), "visible", True)

    def focus(self) -> None:
        pass

    def close(self) -> None:
        pass


class Camera:
    """Shows a picture that is new each time."""

    def __init__(self, *_: object) -> None:
        self.shown = 0

    def shoot(self, rectangle: Rectangle) -> Shot:
        self.shown += 1
        return Shot(np.full((rectangle.height, rectangle.width, 4), self.shown % 200 + 20, np.uint8), 0.0, 0.0)

    def close(self) -> None:
        pass


class Detector:
    """Tells a launch from the left pad two frames after it was reached, as the real one does at the latest.

    Args: lag: or so many frames after it.
    """

    names, config = ("left",), JumpPadConfig(debounce=2)

    def __init__(self, reached: int, lag: int = 2) -> None:
        self._reached, self._lag, self.frames = reached, lag, 0

    def reset(self) -> None:
        self.frames = 0

    def update(self, pixels: Any) -> Detection | None:
        assert pixels.shape == (8, 8, 3)
        self.frames += 1
        index = self.frames - 1
        return Detection("left", 1.0, self._reached + 1, ()) if index == self._reached + self._lag else None


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Play to the limit or the pad, which a frame's index shows as reached; the last view, the steps, what was used."""

    def run(reached: int, lag: int = 2) -> Any:
        time = [0.0]
        monkeypatch.setattr(module, "GuardedPad", Pad)
        monkeypatch.setattr(module, "Capture", Camera)
        monkeypatch.setattr(module, "grabber_of", lambda name: None)
        backend: Any = WindowBackend(Profile(name="game", window=WindowProfile(title="Game")))
        backend._game._find = lambda *_: Window()
        backend._clock = Clock(0.1, lambda: time[0], lambda seconds: time.__setitem__(0, time[0] + seconds))
        backend._detector = Detector(reached, lag)
        view = backend.reset(Start(0, "player", 0))
        steps = 0
        while steps < MAX_STEPS and not view.jumppad:
            view, steps = backend.step(NOOP), steps + 1
        return view, steps, backend

    return run


def test_a_pad_is_told_two_frames_after_it_was_reached(play):
    view, step, backend = play(50)
    assert (view.jumppad, step) == ("left", 52)
    assert backend._detector.frames == 53


@pytest.mark.parametrize("reached", [MAX_STEPS - 1, MAX_STEPS])
def test_a_pad_that_the_last_steps_reached_is_told_with_the_last_one(play, reached: int):
    view, step, backend = play(reached)
    assert (view.jumppad, step) == ("left", MAX_STEPS)
    assert backend._pad.released >= 1
    assert view.frame.max() == MAX_STEPS + 1 + 20  # what the last step showed, and not what came after it


def test_a_pad_that_was_reached_when_the_time_was_over_does_not_count(play):
    view, _, backend = play(MAX_STEPS + 1, lag=1)
    assert backend._detector.frames == MAX_STEPS + 3  # it was seen
    assert view.jumppad is None


def test_without_a_pad_two_frames_more_are_looked_at_and_no_others(play):
    view, step, backend = play(10_000)
    assert (view.jumppad, step) == (None, MAX_STEPS)
    assert backend._detector.frames == 1 + MAX_STEPS + 2
    assert view.frame.max() == MAX_STEPS + 1 + 20
