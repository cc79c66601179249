"""A person who plays in a real window, made of XTEST keys, is recorded: pictures and hands agree in time."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from envs.window.pad_keyboard import open_display
from rollout.lerobot.dataset import Dataset
from rollout.lerobot.track import PAD
from rollout.lerobot.unfinished import finish

ROOT = Path(__file__).parents[3]
LAMP = Path(__file__).with_name("lamp.py")
PATIENCE = 60.0


@pytest.fixture
def lamp(xvfb: str) -> Iterator[subprocess.Popen[str]]:
    """A window whose colour tells which key is down."""
    process = subprocess.Popen(
        [sys.executable, str(LAMP), "Lamp", "320", "240"],
        env=os.environ | {"DISPLAY": xvfb},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()
        process.wait()


@pytest.fixture
def fingers(xvfb: str) -> Iterator["Fingers"]:
    """Fingers on the keyboard of the screen."""
    fingers = Fingers(xvfb)
    yield fingers
    fingers.close()


class Fingers:
    def __init__(self, display: str) -> None:
        self._display: Any = open_display(display)
        self._symbols: Any = import_module("Xlib.XK")

    def press(self, key: str, seconds: float) -> None:
        """Hold a key down for a while."""
        code = self._display.keysym_to_keycode(self._symbols.string_to_keysym(key))
        for event in (2, 3):  # KeyPress, KeyRelease
            self._display.xtest_fake_input(event, code)
            self._display.sync()
            time.sleep(seconds)

    def close(self) -> None:
        self._display.close()


def recorder(
    display: str, out: Path, *more: str, whose: tuple[str, str] = ("--title", "^Lamp$")
) -> "subprocess.Popen[str]":
    """`skygarden record`, as a person starts it."""
    command = [sys.executable, "-m", "skygarden", "record", *whose, "--out", str(out)]
    return subprocess.Popen(
        [*command, "--hands", "keyboard", *more],
        cwd=ROOT,
        env=os.environ | {"DISPLAY": display, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for(process: "subprocess.Popen[str]", words: str) -> None:
    """Read what a process says until it says this."""
    assert process.stdout is not None
    said: list[str] = []
    for line in process.stdout:
        said.append(line)
        if words in line:
            return
    pytest.fail(f"it never said {words!r}: {said}")


def the_rest(process: "subprocess.Popen[str]") -> str:
    """What a process says until its end."""
    out, _ = process.communicate(timeout=PATIENCE)
    return out


def test_a_person_at_play_is_recorded(xvfb: str, lamp: object, fingers: Fingers, tmp_path: Path):
    process = recorder(xvfb, tmp_path / "play", "--task", "light the lamp")
    wait_for(process, "recording")
    rng = np.random.default_rng(0)
    for _ in range(8):
        fingers.press("w", float(rng.uniform(0.25, 0.6)))
        fingers.press("space", float(rng.uniform(0.05, 0.2)))
    process.send_signal(signal.SIGINT)
    assert "ended: asked to" in the_rest(process)
    dataset = Dataset(tmp_path / "play")
    (entry,) = dataset.entries()
    track = dataset.track(entry)
    assert (entry.task, dataset.size, entry.length) == ("light the lamp", (240, 320), len(track))
    assert len(track) > 40

    colours = np.array([frame.reshape(-1, 3).mean(axis=0) for frame in dataset.frames(entry)])
    assert len(colours) == len(track)
    red, green = colours[:, 0] > 128, colours[:, 1] > 128
    held = track.pads[:, [PAD.index("LY"), PAD.index("A held")]] > 0.5
    # The keys are read a moment before the picture is taken, and the window answers a moment later: a frame may
    # differ where a key changes just then, and there are 16 presses and as many releases.
    assert np.mean(red == held[:, 0]) > 0.9
    assert np.mean(green == held[:, 1]) > 0.9
    assert np.corrcoef(red, held[:, 0])[0, 1] > 0.75
    assert np.corrcoef(red[1:], held[:-1, 0])[0, 1] < np.corrcoef(red, held[:, 0])[0, 1]  # a frame later is worse
    assert np.corrcoef(red[:-1], held[1:, 0])[0, 1] < np.corrcoef(red, held[:, 0])[0, 1]

    jumps = track.actions[:, 0] == 1
    assert (np.diff(jumps.astype(int)) == 1).sum() == 8  # each tap of the space bar is in an action, however short
    assert jumps[held[:, 1]].all()  # what is held at a frame is in its action
    walks = track.actions[:, 13]
    assert set(np.unique(walks)) <= set(range(5, 11))
    assert (walks[held[:, 0]] > 5).all()


PROFILE = """
[window]
title = "^Lamp$"
launch = ["/no/such/game"]

[capture]
region = [0.25, 0.0, 0.5, 1.0]

[pad.keys.names]
"LX-" = "space"
Y = "w"
"""


def test_a_profile_says_what_is_recorded_and_what_the_keys_mean(
    xvfb: str, lamp: object, fingers: Fingers, tmp_path: Path
):
    profile = tmp_path / "lamp.toml"
    profile.write_text(PROFILE, encoding="utf-8")
    process = recorder(xvfb, tmp_path / "play", whose=("--profile", str(profile)))
    wait_for(process, "recording")
    for _ in range(4):
        fingers.press("w", 0.3)
        fingers.press("space", 0.3)
    process.send_signal(signal.SIGINT)
    assert "ended: asked to" in the_rest(process)
    dataset = Dataset(tmp_path / "play")
    (entry,) = dataset.entries()
    assert dataset.size == (240, 160)  # half of a window of 320 x 240
    track = dataset.track(entry)
    assert (track.actions[:, 3] == 1).any()  # Y
    assert (track.actions[:, 12] < 5).any()  # LX
    assert (track.pads[:, PAD.index("LY")] == 0.0).all()


def test_a_recorder_that_is_killed_loses_two_seconds_at_most(xvfb: str, lamp: object, fingers: Fingers, tmp_path: Path):
    process = recorder(xvfb, tmp_path)
    wait_for(process, "recording")
    begun = time.monotonic()
    for _ in range(4):
        fingers.press("w", 0.5)
    process.kill()
    played = time.monotonic() - begun
    the_rest(process)
    ((_, steps),) = finish(tmp_path)
    assert isinstance(steps, int)
    assert steps / 10 > played - 2


def test_a_window_that_goes_ends_the_recording_and_what_was_recorded_is_kept(
    xvfb: str, lamp: "subprocess.Popen[str]", fingers: Fingers, tmp_path: Path
):
    process = recorder(xvfb, tmp_path)
    wait_for(process, "recording")
    fingers.press("w", 0.6)
    lamp.kill()
    out = the_rest(process)
    assert "ended: the window is gone" in out
    assert "too short" in out
    assert Dataset(tmp_path).entries()[0].length > 5


def test_time_ends_the_recording(xvfb: str, lamp: object, tmp_path: Path):
    process = recorder(xvfb, tmp_path, "--seconds", "2")
    assert "ended: 2 s are over" in the_rest(process)
    assert 15 <= Dataset(tmp_path).entries()[0].length <= 20


def test_a_window_that_is_not_there_is_one_line(xvfb: str, tmp_path: Path):
    process = recorder(xvfb, tmp_path)
    out = the_rest(process)
    assert process.returncode == 2
    assert out.startswith("skygarden: no window titled '^Lamp$'")
