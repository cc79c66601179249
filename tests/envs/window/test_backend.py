"""The stand-in's game in a real window, played through nothing but that window: what goes well, and what goes wrong.

Faults are injected while an episode runs. Each is followed, or ends the episode with a reason; the next reset recovers.
"""

import importlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from envs.backend import Start
from envs.errors import WindowLostError
from envs.gamepad import NOOP
from envs.skygarden import SkygardenEnv
from envs.window.backend import WindowBackend
from envs.window.profile import load_profile

pytestmark = pytest.mark.slow

START = {"spawn": 1, "character": "monk", "skin": 2}
FORWARD = np.array([0] * 12 + [5, 10, 5, 5])
TURN = np.array([0] * 12 + [5, 5, 10, 5])
STEPS = 60  # within which a fault has to be noticed


class Bystander:
    """Another program, or a person, on the same screen."""

    def __init__(self, display: str) -> None:
        from Xlib import XK, X
        from Xlib.display import Display
        from Xlib.ext import xtest

        self._x, self._keysyms, self._xtest = X, XK, xtest
        self.display: Any = Display(display)

    @property
    def game(self) -> Any:
        """The game's window."""
        name = self.display.intern_atom("_NET_WM_NAME")
        for window in self.display.screen().root.query_tree().children:
            title = window.get_full_property(name, self._x.AnyPropertyType)
            if title is not None and title.value == b"Skygarden":
                return window
        pytest.fail("the game has no window")

    def change(self, **changes: int) -> None:
        """Move or resize the game's window."""
        self.game.configure(**changes)
        self.display.sync()

    def open(self, left: int, top: int, width: int, height: int) -> Any:
        """Another window, in front of all."""
        screen = self.display.screen()
        window = screen.root.create_window(
            left, top, width, height, 0, screen.root_depth, background_pixel=screen.white_pixel
        )
        window.map()
        self.display.sync()
        return window

    def press(self, name: str) -> None:
        """Press a key for a moment."""
        code = self.display.keysym_to_keycode(self._keysyms.string_to_keysym(name))
        self._xtest.fake_input(self.display, self._x.KeyPress, code)
        self.display.sync()
        time.sleep(0.15)
        self._xtest.fake_input(self.display, self._x.KeyRelease, code)
        self.display.sync()


@pytest.fixture(scope="module")
def env(game_display: str) -> Iterator[SkygardenEnv]:
    """An environment in the game's window."""
    assert game_display
    made = SkygardenEnv(backend="window", profile="standin-keyboard", render_mode="rgb_array", render_size=(480, 480))
    yield made
    made.close()


@pytest.fixture
def bystander(game_display: str) -> Iterator[Bystander]:
    """Somebody else on the screen."""
    there = Bystander(game_display)
    yield there
    there.display.close()


def backend_of(env: SkygardenEnv) -> WindowBackend:
    backend = env._backend
    assert isinstance(backend, WindowBackend)
    return backend


def game_pid(env: SkygardenEnv) -> int:
    process = backend_of(env)._game._process
    assert process is not None
    return process.pid


def steps_until_interrupted(env: SkygardenEnv, action: Any = FORWARD) -> str:
    """Play on until the episode is interrupted; why it was."""
    for _ in range(STEPS):
        _, reward, terminated, truncated, info = env.step(action)
        assert not terminated
        assert reward == 0
        if truncated:
            assert info["interrupted"], "the time limit came first"
            assert info["jumppad"] is None
            return info["interrupted"]
    pytest.fail(f"nothing was noticed in {STEPS} steps")


def check_it_plays(env: SkygardenEnv) -> None:
    """Begin anew, turn the camera, and see it turn."""
    frame, info = env.reset(options=START)
    assert info["interrupted"] is None
    assert {name: info[name] for name in START} == START
    turned = frame
    for _ in range(6):
        turned, _, _, truncated, info = env.step(TURN)
        assert not truncated, info["interrupted"]
    assert np.mean(np.any(turned != frame, axis=-1)) > 0.3


def test_the_window_shows_what_the_stand_in_shows(env: SkygardenEnv):
    standin = SkygardenEnv()
    for options in (START, {"spawn": 3, "character": "giant", "skin": 0}):
        frame, _ = env.reset(options=options)
        expected, _ = standin.reset(options=options)
        assert np.abs(frame.astype(int) - expected).mean() < 12  # the window's is smoothed, the other's is not


def test_timing_is_told_at_every_step(env: SkygardenEnv):
    env.reset(options=START)
    told = [env.step(NOOP)[4]["timing"] for _ in range(20)]
    for timing in told:
        assert set(timing) == {"captured", "age", "late", "slack", "skipped", "missed", "duplicate"}
        assert timing["age"] > 0
        assert timing["missed"] == (timing["skipped"] > 0 or timing["late"] > 0.005)
    assert np.diff([timing["captured"] for timing in told]).mean() == pytest.approx(0.1, abs=0.02)


def test_a_window_that_moves_is_followed(env: SkygardenEnv, bystander: Bystander):
    before, _ = env.reset(options=START)
    bystander.change(x=37, y=11)
    time.sleep(0.2)
    after, _, _, truncated, info = env.step(NOOP)
    assert not truncated, info["interrupted"]
    assert np.abs(after.astype(int) - before).mean() < 3


def test_a_window_that_is_resized_is_followed(env: SkygardenEnv, bystander: Bystander):
    before, _ = env.reset(options=START)
    bystander.change(width=800, height=600)
    time.sleep(0.5)
    after = before
    for _ in range(3):
        after, _, _, truncated, info = env.step(NOOP)
        assert not truncated, info["interrupted"]
    assert np.abs(after.astype(int) - before).mean() < 6
    check_it_plays(env)
    bystander.change(width=640, height=480)


def cover(bystander: Bystander, env: SkygardenEnv) -> Callable[[], None]:
    geometry = bystander.game.get_geometry()
    window = bystander.open(geometry.x + 100, geometry.y + 100, 200, 200)
    return window.destroy


def test_a_window_that_is_covered_interrupts_and_comes_to_the_front_again(env: SkygardenEnv, bystander: Bystander):
    env.reset(options=START)
    uncover = cover(bystander, env)
    assert "covered" in steps_until_interrupted(env)
    check_it_plays(env)
    uncover()
    bystander.display.sync()


def test_a_minimised_window_interrupts_and_comes_back(env: SkygardenEnv, bystander: Bystander):
    env.reset(options=START)
    bystander.game.unmap()
    bystander.display.sync()
    assert "minimised" in steps_until_interrupted(env)
    check_it_plays(env)


def test_a_window_that_loses_the_focus_interrupts(env: SkygardenEnv, bystander: Bystander):
    env.reset(options=START)
    other = bystander.open(0, 0, 20, 20)
    other.set_input_focus(1, 0)
    bystander.display.sync()
    assert "focus" in steps_until_interrupted(env)
    other.destroy()
    bystander.display.sync()
    check_it_plays(env)


def test_a_persons_touch_interrupts(env: SkygardenEnv, bystander: Bystander):
    env.reset(options=START)
    env.step(FORWARD)
    bystander.press("h")
    assert "touched" in steps_until_interrupted(env)
    check_it_plays(env)


def test_a_policy_that_is_far_too_slow_interrupts(env: SkygardenEnv):
    env.reset(options=START)
    env.step(FORWARD)
    time.sleep(0.5)
    _, _, _, truncated, info = env.step(FORWARD)
    assert truncated
    assert "late" in info["interrupted"]
    assert info["timing"]["skipped"] >= 3
    check_it_plays(env)


def test_a_pad_that_is_gone_interrupts_and_is_replaced(env: SkygardenEnv):
    env.reset(options=START)
    env.step(FORWARD)
    pad = backend_of(env)._pad
    assert pad is not None
    assert pad.pid is not None
    os.kill(pad.pid, signal.SIGKILL)
    assert "pad" in steps_until_interrupted(env)
    check_it_plays(env)


def test_a_frozen_game_interrupts_and_is_started_anew(env: SkygardenEnv):
    env.reset(options=START)
    pid = game_pid(env)
    os.kill(pid, signal.SIGSTOP)
    assert "not changed" in steps_until_interrupted(env)
    check_it_plays(env)
    assert game_pid(env) != pid


def test_a_killed_game_interrupts_and_is_started_anew(env: SkygardenEnv):
    env.reset(options=START)
    env.step(FORWARD)
    os.kill(game_pid(env), signal.SIGKILL)
    assert "gone" in steps_until_interrupted(env)
    check_it_plays(env)


def test_a_closed_window_interrupts_and_is_opened_anew(env: SkygardenEnv, bystander: Bystander):
    env.reset(options=START)
    env.step(FORWARD)
    bystander.game.destroy()
    bystander.display.sync()
    assert "gone" in steps_until_interrupted(env)
    check_it_plays(env)


def test_a_game_that_cannot_be_started_is_said_to_be(game_display: str):
    assert game_display
    profile = load_profile("standin-keyboard")
    window = replace(profile.window, title="^No such game$", launch=("/no/such/game",), patience=0.2)
    backend = WindowBackend(replace(profile, window=window))
    with pytest.raises(WindowLostError, match=r"cannot be started by .*/no/such/game"):
        backend.reset(Start(0, "ninja", 0))


BLACKOUT = """
from envs.window.capture import MssGrabber

class Grabber(MssGrabber):
    def grab(self, rectangle):
        return super().grab(rectangle) * (not out)

out = False
"""


def test_a_screen_that_goes_black_interrupts(game_display: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert game_display
    (tmp_path / "blackout.py").write_text(BLACKOUT)
    (tmp_path / "game.toml").write_text('extends = "standin-keyboard"\n[capture]\ngrabber = "blackout:Grabber"')
    monkeypatch.syspath_prepend(tmp_path)
    env = SkygardenEnv(backend="window", profile=tmp_path / "game.toml")
    try:
        env.reset(options=START)
        blackout: Any = importlib.import_module("blackout")
        blackout.out = True
        assert "black" in steps_until_interrupted(env)
        blackout.out = False
        check_it_plays(env)
    finally:
        env.close()
