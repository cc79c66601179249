"""`skygarden calibrate`: what a game's window tells of itself is measured, and written as a profile that extends one.

The new profile holds what was measured and nothing else; a comment beside each figure says how it came about.
"""

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
from rich.console import Console

from envs.errors import OptionError
from envs.window.jumppad_learning import LearningConfig
from envs.window.measure import PUSHES, Side, dead_zone, jitter, latency, looks_up
from envs.window.profile import Profile, load_profile
from envs.window.rig import Rig, Tools
from skygarden.files import write_text
from skygarden.marked_runs import Given, MarkedRun, marked_runs, sheet_of
from skygarden.pad_learning import Learnt, learn_pads

MARK: Final = "# Measured by `skygarden calibrate"  # what a file begins with that may be replaced
DETECTOR: Final = "jumppads.npz"
SHEET: Final = "launches.png"

Lines = Mapping[str, Sequence[str]]  # of a table of the profile, by its name


@dataclass(frozen=True, kw_only=True)
class CalibrateConfig:
    """What to calibrate."""

    profile: str  # a name or a file, which the new one extends
    out: Path  # folder to write to
    measure: bool = True  # whether the game is played and measured
    runs: Path | None = None  # a dataset of runs to the jump pads, to learn their looks from
    reached: Given = ()  # launches in it that are known better than they are found
    pushes: int = PUSHES  # to measure latency by
    seed: int = 0  # of learning


def calibrate(
    config: CalibrateConfig,
    console: Console | None = None,
    tools: Tools | None = None,
    learning: LearningConfig | None = None,
) -> Path:
    """Measure, learn, and write. Returns: the new profile.

    Raises: OptionError: there is nothing to do, or the folder holds another's profile. ResetError, WindowLostError,
      CaptureError, PadLostError: the game cannot be played. DataError: the runs cannot be learnt from.
    """
    console = console or Console()
    profile, path = load_profile(config.profile), config.out / "profile.toml"
    _check(config, path)
    tables: dict[str, Sequence[str]] = {}
    about = "without its window"
    if config.measure:
        rig = Rig(profile, tools)
        try:
            client = rig.game.to_front().client
            about = f"through a window of {client.width}x{client.height}" if client else about
            tables |= _measured(rig, config.pushes, console)
        finally:
            rig.close()
    if config.runs is not None:
        tables["jumppads"] = _learnt(config.runs, config, console, learning)
    when = time.strftime("%Y-%m-%d %H:%M")
    write_text(path, _text(f"{MARK} {config.profile}` on {when}, {about}.", _base(config.profile, config.out), tables))
    load_profile(path)
    console.print(f"wrote {path}; now: skygarden doctor {path}", soft_wrap=True, markup=False)
    return path


def _check(config: CalibrateConfig, path: Path) -> None:
    if not config.measure and config.runs is None:
        raise OptionError("nothing is to be measured and there are no runs to learn from; give --runs DATASET")
    if path.exists() and not path.read_text(encoding="utf-8").startswith(MARK):
        raise OptionError(f"{path} was not written by `skygarden calibrate` and is left alone; give another --out")
    given = Path(config.profile)
    if given.suffix == ".toml" and given.resolve() == path.resolve():
        raise OptionError(f"{path} cannot extend itself; give the profile that it extends, or another --out")


def _measured(rig: Rig, pushes: int, console: Console) -> dict[str, Sequence[str]]:
    """Lines of the profile about what the game does, each told as it is found."""
    timing = [_latency(rig, pushes), _jitter(rig)]
    for line in timing:
        console.print(line, soft_wrap=True, markup=False, highlight=False)
    sticks: list[str] = []
    keys: list[str] = []
    for line in (_zone(rig, "right"), _zone(rig, "left")):
        sticks.append(line)
        console.print(line, soft_wrap=True, markup=False, highlight=False)
    rig.to_start()
    (keys if rig.profile.pad.driver == "keyboard" else sticks).extend(way := _way_up(rig.profile, looks_up(rig)))
    console.print("\n".join(way), soft_wrap=True, markup=False, highlight=False)
    return {"timing": timing, "pad.sticks": sticks, "pad.keys.names": keys}


def _latency(rig: Rig, pushes: int) -> str:
    rig.to_start()
    found = latency(rig, pushes)
    if not found.values:
        return f"# latency: not measured: none of {pushes} pushes of the right stick changed the picture"
    return (
        f"latency = {found.median:.3f} # s from a push of the right stick to the first frame that shows it: median of "
        f"{len(found.values)} of {pushes} pushes, p90 {found.percentile(90):.3f}"
    )


def _jitter(rig: Rig) -> str:
    found = jitter(rig)
    even, grabs = found.intervals, found.grabs
    return (
        f"# Frames at ten a second came {1e3 * even.median:.1f} ms apart (p50; p99 {1e3 * even.percentile(99):.1f}), "
        f"and a grab took {1e3 * grabs.median:.1f} ms (p99 {1e3 * grabs.percentile(99):.1f}), in 5 s."
    )


def _zone(rig: Rig, side: Side) -> str:
    name = f"{side}_dead_zone"
    if rig.profile.pad.driver == "keyboard":
        return f"# {name}: not measured: a key is down or up, and has none"
    rig.to_start()
    found = dead_zone(rig, side)
    if found is None:
        return f"# {name}: not measured: no push of the {side} stick changed the picture"
    what = "turned the camera" if side == "right" else "moved the player"
    return (
        f"{name} = {found:.3f} # of its travel: the least push of the {side} stick, held for half a second, that {what}"
    )


def _way_up(profile: Profile, up: bool | None) -> list[str]:
    """Lines about the stick's vertical axis."""
    keyed = profile.pad.driver == "keyboard"
    inverted = profile.pad.sticks.invert_y
    if up is None:
        return [f"# {'RY' if keyed else 'invert_y'}: not measured: pushes of the right stick did not move the view up"]
    if not keyed:
        value = json.dumps(inverted if up else not inverted)
        before = "as the profile had it" if up else "so it is the other way round now"
        return [f"invert_y = {value} # a push up moved the view {'up' if up else 'down'}, {before}"]
    if up:
        return ["# RY: measured: the key for up moves the view up"]
    names = profile.pad.keys.names
    return [
        f'"{name}" = {json.dumps(names[other])} # exchanged: the key for up moved the view down'
        for name, other in (("RY-", "RY+"), ("RY+", "RY-"))
        if other in names
    ]


def _learnt(folder: Path, config: CalibrateConfig, console: Console, learning: LearningConfig | None) -> list[str]:
    """Learn the pads' looks; the detector and a picture of the launches lie beside the profile."""
    runs = marked_runs(folder, config.reached)
    config.out.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(config.out / SHEET), sheet_of(runs)[..., ::-1])
    sheet = f"{config.out / SHEET} shows where each of {_launches(runs)} launches was found"
    console.print(f"{sheet}; correct with --reached EPISODE SECOND", soft_wrap=True, markup=False)
    learnt: Learnt = learn_pads([run.run for run in runs], config.seed, learning)
    learnt.detector.about["made by"] = f"skygarden calibrate --runs {folder} --seed {config.seed}"
    learnt.detector.save(config.out / DETECTOR)
    console.print(str(learnt), soft_wrap=True, markup=False)
    return [f'detector = "{DETECTOR}" # {learnt}']


def _launches(runs: Sequence[MarkedRun]) -> int:
    return sum(run.run.reached is not None for run in runs)


def _base(profile: str, out: Path) -> str:
    """How the new profile names the one that it extends."""
    path = Path(profile)
    if path.suffix != ".toml":
        return profile
    try:
        return Path(os.path.relpath(path.resolve(), out.resolve())).as_posix()
    except ValueError:  # on another drive of Windows
        return path.resolve().as_posix()


def _text(head: str, base: str, tables: Lines) -> str:
    parts = [f"{head}\nextends = {json.dumps(base, ensure_ascii=False)}\n"]
    parts += [f"[{name}]\n" + "".join(f"{line}\n" for line in lines) for name, lines in tables.items() if lines]
    return "\n".join(parts)
