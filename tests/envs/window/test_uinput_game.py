"""The stand-in's game in a real window, played by a real virtual pad: wherever /dev/uinput can be written.

What the pad did is judged by the window's pixels and by the game's own log, never by how long it took: the guest of
test_guest.py has one processor, in which game, screen, watchdog and environment take turns.
"""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from envs.gamepad import AXES, NOOP
from envs.skygarden import SkygardenEnv
from envs.window.backend import WindowBackend
from envs.window.capture import Capture, grabber_of
from envs.window.guarded_pad import GuardedPad

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not os.access("/dev/uinput", os.W_OK), reason="/dev/uinput cannot be written here; see test_guest.py"
    ),
]

START = {"spawn": 0, "character": "witch", "skin": 1}  # from here the ground ends behind, and the view has edges
OTHER = {"spawn": 3, "character": "brute", "skin": 2}
PATIENCE = 30.0  # s, for what comes of itself
PROFILE = """
extends = "standin"

[window]
launch = ["{{python}}", "-m", "skygarden", "game", "--log", "{log}"]

[timing]
frozen = 30.0
black = 10.0

[pad] # as in the profile but for patience: an answer that takes half a second is no fault here
lease = 5.0
poll = 0.05

[reset]
attempts = 6 # a game without udev looks for new pads every three seconds
hold = 0.15
"""

Frame = NDArray[np.uint8]
Log = Callable[[], list[dict[str, Any]]]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the game tells what happens."""
    return tmp_path_factory.mktemp("game") / "log.jsonl"


@pytest.fixture(scope="module")
def env(game_display: str, log: Path) -> Iterator[SkygardenEnv]:
    """An environment in the game's window; it starts the game, and plugs its own pad in."""
    assert game_display
    profile = log.with_name("profile.toml")
    profile.write_text(PROFILE.format(log=log), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SDL_JOYSTICK_DISABLE_UDEV", "1")  # which may not run, as in a container or the guest
        made = SkygardenEnv(backend="window", profile=profile)
        yield made
        made.close()


@pytest.fixture
def happened(log: Path) -> Log:
    """What the game has told since the test began."""
    before = len(_lines(log))
    return lambda: [json.loads(line) for line in _lines(log)[before:]]


def _lines(log: Path) -> list[str]:
    return log.read_text(encoding="utf-8").splitlines() if log.exists() else []


def push(**sticks: int) -> NDArray[np.int64]:
    """An action that pushes sticks, in buckets from -5 to 5."""
    action = NOOP.astype(np.int64)
    for axis, bucket in sticks.items():
        action[12 + AXES.index(axis.upper())] += bucket
    return action


def play(env: SkygardenEnv, action: NDArray[Any], steps: int) -> Frame:
    """Hold an action; the last frame."""
    assert steps > 0
    frame: Frame | None = None
    for _ in range(steps):
        frame, _, terminated, truncated, info = env.step(action)
        assert not terminated
        assert not truncated, info["interrupted"]
    assert frame is not None
    return frame


def at_rest(env: SkygardenEnv) -> Frame:
    """Hold nothing until nothing moves any more."""
    frame = play(env, NOOP, 1)
    for _ in range(20):
        before, frame = frame, play(env, NOOP, 1)
        if changed(before, frame) == 0.0:
            return frame
    pytest.fail("the picture does not come to rest")


def pushed(env: SkygardenEnv, action: NDArray[Any], before: Frame) -> Frame:
    """Push for a step, again where the game was too slow to see it; the picture that comes to rest, not as before."""
    for _ in range(10):
        play(env, action, 1)
        after = at_rest(env)
        if changed(before, after) > 0.0:
            return after
    pytest.fail("the picture stays as it is")


def changed(before: Frame, after: Frame) -> float:
    """The share of pixels that differ."""
    return float(np.mean(np.any(np.abs(before.astype(int) - after) > 8, axis=-1)))


def shift(before: Frame, after: Frame) -> tuple[float, float]:
    """By how many pixels a picture has gone right, and down; told by its upper part, above the figure."""
    was, now = (cv2.cvtColor(frame[:50], cv2.COLOR_RGB2GRAY).astype(np.float32) for frame in (before, after))
    (right, down), _ = cv2.phaseCorrelate(was, now, cv2.createHanningWindow(was.shape[::-1], cv2.CV_32F))
    return right, down


def pad_of(env: SkygardenEnv) -> GuardedPad:
    backend = env._backend
    assert isinstance(backend, WindowBackend)
    assert backend._pad is not None
    return backend._pad


def test_the_pad_goes_through_the_menu_and_back_by_start(env: SkygardenEnv, happened: Log):
    for begun, start in enumerate((START, OTHER), 1):
        _, info = env.reset(options=start)
        assert info["interrupted"] is None
        assert {name: info[name] for name in start} == start
        began = [event for event in happened() if event["event"] == "began"]
        assert len(began) == begun
        assert {name: began[-1][name] for name in start} == start
    told = [event["event"] for event in happened()]
    assert told[told.index("began") + 1 :].count("menu") == 1


def test_the_right_stick_turns_the_camera(env: SkygardenEnv):
    env.reset(options=START)
    before = at_rest(env)
    turned = pushed(env, push(rx=2), before)
    assert shift(before, turned)[0] < -1  # to the right: what is seen goes left
    back = pushed(env, push(rx=-2), turned)
    assert shift(turned, back)[0] > 1
    assert shift(back, pushed(env, push(ry=2), back))[1] > 1  # up


def test_the_left_stick_walks_on_and_off_the_edge_behind(env: SkygardenEnv, happened: Log):
    env.reset(options=START)
    before = at_rest(env)
    assert changed(before, play(env, push(ly=5), 5)) > 0.2
    env.reset(options=START)
    at_rest(env)
    assert not any(event["event"] == "fell" for event in happened())
    for _ in range(60):
        play(env, push(ly=-5), 1)
        if happened()[-1]["event"] == "fell":
            return
    pytest.fail(f"nobody fell: {happened()}")


def test_a_pad_that_vanishes_lets_go_of_the_stick_and_is_replaced(env: SkygardenEnv, happened: Log):
    env.reset(options=START)
    play(env, push(rx=3), 3)
    gone = pad_of(env)
    (node,) = gone.devices
    assert gone.pid is not None
    assert moves(env)
    os.kill(gone.pid, signal.SIGKILL)
    until(lambda: not Path(node).exists(), "its device is still there")
    until(lambda: not moves(env), "the camera still turns")  # though nobody is left to let go of the stick

    _, _, terminated, truncated, info = env.step(push(rx=3))
    assert not terminated
    assert truncated
    assert "pad" in info["interrupted"]
    assert not moves(env)

    _, info = env.reset(options=OTHER)
    assert info["interrupted"] is None
    assert pad_of(env) is not gone
    assert not moves(env)
    began = [event for event in happened() if event["event"] == "began"]
    assert {name: began[-1][name] for name in OTHER} == OTHER
    assert changed(at_rest(env), play(env, push(rx=3), 3)) > 0.2


def moves(env: SkygardenEnv) -> bool:
    """Whether what the game shows changes while nobody tells its pad anything."""
    backend = env._backend
    assert isinstance(backend, WindowBackend)
    client = backend._game.window().look().client
    assert client is not None
    eyes = Capture(grabber_of("mss"))
    try:
        before = eyes.shoot(client).small(128)
        time.sleep(0.4)
        return changed(before, eyes.shoot(client).small(128)) > 0.05  # of which its own clock is less
    finally:
        eyes.close()


def until(true: Callable[[], bool], fault: str) -> None:
    """Wait for something to come true."""
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, fault
