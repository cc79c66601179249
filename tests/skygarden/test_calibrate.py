"""Laws of calibrating: a figure that is in the game is in the profile, and launches are found where they are."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console

from envs.errors import DataError, OptionError
from envs.gamepad import NOOP
from envs.window.jumppad import JumpPadDetector, detect_in
from envs.window.jumppad_learning import LearningConfig
from envs.window.profile import load_profile
from rollout.lerobot.journal import Header
from rollout.lerobot.track import PAD, Step
from rollout.lerobot.unfinished import Unfinished, finish
from skygarden.calibrate import CalibrateConfig, calibrate
from skygarden.marked_runs import launch_in, marked_runs, pad_of, sheet_of
from tests.envs.window.fake_game import PROFILE, World, write_profile

QUICK = LearningConfig(networks=1, batches=150)
COLOURS = {"left": (220, 60, 60), "middle": (60, 220, 60), "right": (60, 60, 220)}
GAMEPAD = PROFILE.replace('"keyboard"', '"gamepad"')


def quiet() -> Console:
    return Console(quiet=True)


def frame(rng: np.random.Generator, pad: str, near: int, fallen: int, turned: int) -> NDArray[np.uint8]:
    """Sky over a ground that may have fallen, a pad that comes nearer, posts that go by as the camera turns."""
    picture = np.full((96, 128, 3), (120, 170, 230), np.uint8)
    picture[48 + fallen :] = (110, 110, 100)
    if near > 0:
        picture[max(48, 96 - 6 * near) + fallen :, 44:84] = COLOURS[pad]
    for post in range(0, 128, 32):
        left = (post + turned) % 120
        picture[20:60, left : left + 8] = 30
    return np.clip(picture + rng.normal(0.0, 4.0, picture.shape), 0, 255).astype(np.uint8)


def play(rng: np.random.Generator, pad: str, before: int, after: int) -> list[NDArray[np.uint8]]:
    """A run to a pad, which is near at last; from frame `before` on the ground falls. The camera turns all the time."""
    shown: list[NDArray[np.uint8]] = []
    turned = 0
    for k in range(before + after):
        turned += int(rng.choice((0, 0, 3, 24)))
        launched = pad != "none"
        fallen = min(48, 18 * max(0, k - before + 1)) if launched else 0
        shown.append(frame(rng, pad, k - before + 8 if launched else 0, fallen, turned))
    return shown


def add(
    folder: Path, name: str, task: str, frames: list[NDArray[np.uint8]], held: Mapping[int, tuple[str, ...]]
) -> None:
    """Record an episode in which buttons are held at some frames."""
    header = Header(name=name, task=task, fps=10, height=96, width=128)
    with Unfinished(folder, header) as episode:
        for k, pixels in enumerate(frames):
            pad = np.zeros(len(PAD), np.float32)
            for button in held.get(k, ()):
                pad[PAD.index(f"{button} held")] = 1.0
            episode.append(pixels, Step(0.1 * k, pad, NOOP.astype(np.uint8)))
    ((_, steps),) = finish(folder)
    assert steps == len(frames)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four runs to each pad in one recording each, marked four frames late; one episode that ends; none."""
    folder = tmp_path_factory.mktemp("runs") / "dataset"
    rng = np.random.default_rng(3)
    for pad in COLOURS:
        frames: list[NDArray[np.uint8]] = []
        held: dict[int, tuple[str, ...]] = {}
        for _ in range(4):
            frames += play(rng, pad, 30, 4)
            held |= dict.fromkeys((len(frames), len(frames) + 1), ("BACK",))
            frames += play(rng, "none", 30, 0)
        add(folder, f"marked-{pad}", f"to the {pad.upper()} pad", frames, held)
    frames = play(rng, "left", 25, 5)
    chord = dict.fromkeys(range(len(frames), len(frames) + 10), ("START", "BACK"))
    add(folder, "ended", "left", frames + play(rng, "none", 12, 0), chord)
    add(folder, "none", "none: only look around", play(rng, "none", 250, 0), {})
    return folder


def test_the_runs_of_a_recording_end_at_its_marks(runs: Path):
    found = marked_runs(runs)
    assert [run.run.pad for run in found] == ["left"] * 4 + ["middle"] * 4 + ["right"] * 4 + ["left"] + [None] * 3
    assert [run.how for run in found] == ["marked"] * 12 + ["at the end"] + ["none"] * 3
    assert [run.first for run in found[:4]] == [0, 64, 128, 192]
    assert [len(run.run.frames) for run in found] == [34] * 12 + [30] + [100, 100, 50]


def test_launches_are_found_before_the_late_mark_whatever_the_camera_does(runs: Path):
    found = marked_runs(runs)
    assert all(abs((run.run.reached or 0) - 30) <= 1 for run in found[:12])
    assert abs((found[12].run.reached or 0) - 25) <= 1
    assert found[0].seconds == (found[0].run.reached or 0) / 10


def test_a_launch_that_is_known_better_takes_the_place_of_what_was_found(runs: Path):
    found = marked_runs(runs, [(1, 9.6), (3, 2.2)])
    assert (found[5].how, found[5].run.reached, found[5].seconds) == ("given", 32, 9.6)
    assert (found[12].how, found[12].run.reached) == ("given", 22)
    assert found[4].how == "marked"
    with pytest.raises(DataError, match=r"no run at \[\(1, 99.0\)\]"):
        marked_runs(runs, [(1, 99.0)])


def test_a_task_names_one_pad():
    assert pad_of("Run to the Left pad!", "here") == "left"
    assert pad_of("none", "here") == "none"
    for task in ("play", "left or right", "leftmost"):
        with pytest.raises(DataError, match="here has the task"):
            pad_of(task, "here")


def test_the_turn_of_a_camera_is_no_launch():
    rng = np.random.default_rng(1)
    frames = [frame(rng, "none", 0, 0, 0) for _ in range(5)]
    frames += [frame(rng, "none", 0, 0, 60) for _ in range(5)]  # the largest change of pixels
    frames += [frame(rng, "none", 0, 10, 60) for _ in range(5)]
    assert launch_in(np.array(frames), 1) in (8, 9, 10)


def test_a_picture_shows_the_frames_around_each_launch(runs: Path):
    found = marked_runs(runs)
    sheet = sheet_of(found)
    assert sheet.shape == (13 * 96, 7 * 96, 3)
    run = found[0].run
    assert run.reached is not None
    assert np.array_equal(sheet[:96, 2 * 96 : 3 * 96], run.frames[run.reached - 2])
    assert sheet_of([]).shape[0] == 1


def test_pads_are_learnt_from_runs_and_told_on_others(runs: Path, tmp_path: Path):
    console = Console(record=True, width=300, quiet=False)
    out = tmp_path / "out"
    config = CalibrateConfig(profile="standin-keyboard", out=out, measure=False, runs=runs)
    path = calibrate(config, console, learning=QUICK)
    profile = load_profile(path)
    assert profile.detector == out / "jumppads.npz"
    assert profile.window == load_profile("standin-keyboard").window
    text = path.read_text(encoding="utf-8")
    assert 'extends = "standin-keyboard"' in text
    assert "learnt from all runs (5 left, 4 middle, 3 none, 4 right)" in text
    assert "one that had not seen 3 of them told" in text
    detector = JumpPadDetector.load(out / "jumppads.npz")
    assert detector.names == ("left", "middle", "right")
    found = marked_runs(runs)
    told = [detect_in(detector, run.run.frames) for run in found]
    right = sum((None if each is None else each.pad) == run.run.pad for each, run in zip(told, found, strict=True))
    assert right >= 13
    assert cv2.imread(str(out / "launches.png")) is not None
    assert "correct with --reached EPISODE SECOND" in console.export_text()


def test_what_is_measured_is_in_the_profile_with_how_it_was(tmp_path: Path):
    world = World()
    world.latency, world.dead_zones, world.up = 0.05, (0.24, 0.3), -1.0
    base = write_profile(tmp_path, GAMEPAD)
    config = CalibrateConfig(profile=str(base), out=tmp_path / "calibrated", pushes=4)
    path = calibrate(config, quiet(), world.tools())
    profile = load_profile(path)
    assert profile.timing.latency == pytest.approx(0.05, abs=0.015)
    assert profile.pad.sticks.left_dead_zone == pytest.approx(0.24, abs=0.01)
    assert profile.pad.sticks.right_dead_zone == pytest.approx(0.3, abs=0.01)
    assert profile.pad.sticks.invert_y
    assert profile.reset == load_profile(base).reset
    text = path.read_text(encoding="utf-8")
    assert 'extends = "../game.toml"' in text
    assert "through a window of 320x240" in text
    assert "median of 4 of 4 pushes" in text
    assert "a push up moved the view down" in text
    assert "Frames at ten a second came 100.0 ms apart" in text
    assert not world.held


def test_an_inverted_axis_that_is_right_stays_inverted(tmp_path: Path):
    world = World()
    world.up = -1.0
    base = write_profile(tmp_path, GAMEPAD + "\n[pad.sticks]\ninvert_y = true\n")
    path = calibrate(CalibrateConfig(profile=str(base), out=tmp_path / "out", pushes=1), quiet(), world.tools())
    assert load_profile(path).pad.sticks.invert_y
    assert "as the profile had it" in path.read_text(encoding="utf-8")


def test_keys_that_are_the_wrong_way_round_are_exchanged(tmp_path: Path):
    world = World()
    world.up = -1.0
    config = CalibrateConfig(profile=str(write_profile(tmp_path)), out=tmp_path / "out", pushes=1)
    path = calibrate(config, quiet(), world.tools())
    profile = load_profile(path)
    assert (profile.pad.keys.names["RY+"], profile.pad.keys.names["RY-"]) == ("Down", "Up")
    assert profile.pad.keys.names["LB"] == "u"
    text = path.read_text(encoding="utf-8")
    assert "# right_dead_zone: not measured: a key is down or up, and has none" in text


def test_what_cannot_be_measured_is_said_and_changes_nothing(tmp_path: Path):
    world = World()
    world.deaf = True
    base = write_profile(tmp_path, GAMEPAD)
    path = calibrate(CalibrateConfig(profile=str(base), out=tmp_path / "out", pushes=2), quiet(), world.tools())
    assert replace(load_profile(path), name="") == replace(load_profile(base), name="")
    text = path.read_text(encoding="utf-8")
    for name in ("latency", "right_dead_zone", "left_dead_zone", "invert_y"):
        assert f"# {name}: not measured: " in text


def test_somebody_elses_profile_is_not_written_over(tmp_path: Path):
    base = write_profile(tmp_path)
    mine = base.rename(tmp_path / "profile.toml")
    config = CalibrateConfig(profile="standin", out=tmp_path)
    with pytest.raises(OptionError, match="is left alone"):
        calibrate(config, quiet())
    with pytest.raises(OptionError, match="cannot extend itself"):
        calibrate(replace(config, profile=str(write_own(mine))), quiet())


def write_own(path: Path) -> Path:
    """A profile that was calibrated before, whole."""
    path.write_text(f"# Measured by `skygarden calibrate x`\n{PROFILE}", encoding="utf-8")
    return path


def test_nothing_to_do_is_said(tmp_path: Path):
    with pytest.raises(OptionError, match="nothing is to be measured"):
        calibrate(CalibrateConfig(profile="standin", out=tmp_path, measure=False), quiet())


@pytest.mark.slow
def test_the_stand_in_is_calibrated_through_its_window(xvfb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("WAYLAND_DISPLAY", "XDG_SESSION_TYPE", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DISPLAY", xvfb)
    path = calibrate(CalibrateConfig(profile="standin-keyboard", out=tmp_path / "out", pushes=6), quiet())
    profile = load_profile(path)
    assert profile.timing.latency is not None
    assert 0.001 < profile.timing.latency < 0.5
    text = path.read_text(encoding="utf-8")
    print(f"\n{text}")
    assert "# RY: measured: the key for up moves the view up" in text
    assert "through a window of 640x480" in text
