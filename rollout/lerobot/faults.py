"""What can be wrong with a recorded episode, found and named, so that nobody learns from it unknowingly."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from envs.errors import DataError
from envs.gamepad import NOOP
from rollout.lerobot.dataset import Dataset, Entry
from rollout.lerobot.film import pictures
from rollout.lerobot.track import PAD, RAW_AXES, Track

_LOOK: Final = 64  # pixels of the side of a grey picture in which frames are compared


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckConfig:
    """What an episode must keep to."""

    shortest: int = 32  # steps; a window to learn from
    idle_seconds: float = 60.0  # with nothing pressed, at a stretch
    idle_share: float = 0.7  # of the steps
    stuck_seconds: float = 60.0  # that a button is held, or an axis stays away from its rest, without a change
    rest: float = 0.15  # of an axis's travel, within which it is let go
    gap_seconds: float = 0.5  # between two frames
    dropped_share: float = 0.02  # of the frames that should be there
    uneven: float = 0.03  # s by which the time between two frames may differ from whole periods
    uneven_share: float = 0.05  # of the frames, that may differ by more
    black_share: float = 0.05  # of the frames
    black: float = 12.0  # grey, of 255, that no part of a black frame is brighter than
    still_share: float = 0.8  # of the frames that look like the one before
    still: float = 0.05  # mean difference in grey, of 255, below which they do


@dataclass(frozen=True, slots=True)
class Looks:
    """What an episode's frames look like."""

    brightest: NDArray[np.float32]  # (T,) grey of the brightest part of each
    change: NDArray[np.float32]  # (T,) mean difference in grey to the frame before; the first has infinity


def look_through(entry: Entry) -> Looks:
    """Decode an episode's film. Raises: DataError: it cannot be decoded."""
    brightest: list[float] = []
    change: list[float] = []
    before: NDArray[np.float32] | None = None
    for picture in pictures(entry.film, entry.start, entry.end):
        grey = picture.reformat(_LOOK, _LOOK, "gray").to_ndarray().astype(np.float32)
        brightest.append(float(np.percentile(grey, 99)))
        change.append(float("inf") if before is None else float(np.abs(grey - before).mean()))
        before = grey
    return Looks(np.array(brightest, np.float32), np.array(change, np.float32))


def check_episode(dataset: Dataset, entry: Entry, config: CheckConfig) -> list[str]:
    """All that is wrong with an episode; an empty list is a good one."""
    faults: list[str] = []
    try:
        track = dataset.track(entry)
        faults += faults_of_track(track, dataset.fps, config)
        if len(track) != entry.length:
            faults.append(f"wrong length: {len(track)} steps, and its metadata say {entry.length}")
    except DataError as error:
        faults.append(f"steps unreadable: {error}")
    try:
        looks = look_through(entry)
        faults += faults_of_looks(looks, config)
        if len(looks.change) != entry.length:
            faults.append(f"wrong length: {len(looks.change)} frames, and its metadata say {entry.length} steps")
    except DataError as error:
        faults.append(f"video unreadable: {error}")
    return faults


def faults_of_track(track: Track, fps: int, config: CheckConfig) -> list[str]:
    """What is wrong with an episode's steps."""
    if len(track) < config.shortest:
        return [f"too short: {len(track)} steps, {config.shortest} are needed"]
    return [*_idle(track, fps, config), *_stuck(track, fps, config), *_dropped(track, fps, config)]


def faults_of_looks(looks: Looks, config: CheckConfig) -> list[str]:
    """What is wrong with an episode's frames."""
    faults: list[str] = []
    if not len(looks.change):
        return faults
    black = float(np.mean(looks.brightest < config.black))
    if black > config.black_share:
        faults.append(f"black: {black:.0%} of the frames; the window was hidden, or cannot be captured")
    still = float(np.mean(looks.change < config.still))
    if still > config.still_share:
        faults.append(f"frozen: {still:.0%} of the frames are like the one before")
    return faults


def _idle(track: Track, fps: int, config: CheckConfig) -> Iterator[str]:
    idle = (track.actions == NOOP).all(axis=1)
    longest = _longest(idle)[1] / fps
    if longest > config.idle_seconds:
        yield f"idle: nothing pressed for {longest:.0f} s"
    share = float(idle.mean())
    if share > config.idle_share:
        yield f"idle: nothing pressed in {share:.0%} of the steps"


def _stuck(track: Track, fps: int, config: CheckConfig) -> Iterator[str]:
    for number, name in enumerate(PAD):
        values = track.pads[:, number]
        away = np.abs(values) > config.rest
        same = np.diff(values, prepend=np.nan) == 0.0
        end, length = _longest(away & same)
        held = (length + 1) / fps
        if held > config.stuck_seconds:
            what = f"{name} at {values[end - 1]:.2f}" if name in RAW_AXES else name
            yield f"stuck: {what} for {held:.0f} s"


def _dropped(track: Track, fps: int, config: CheckConfig) -> Iterator[str]:
    periods = np.diff(track.times) * fps
    if (periods <= 0).any():
        yield f"times run backwards at step {int(np.argmax(periods <= 0)) + 1}"
        return
    lost = np.maximum(0, np.rint(periods) - 1)
    share = float(lost.sum() / (lost.sum() + len(track)))
    if share > config.dropped_share:
        yield f"dropped: {int(lost.sum())} frames, {share:.1%}"
    longest = float(periods.max()) / fps
    if longest > config.gap_seconds:
        yield f"dropped: no frame for {longest:.1f} s after step {int(periods.argmax())}"
    uneven = float(np.mean(np.abs(periods - np.rint(periods)) > config.uneven * fps))
    if uneven > config.uneven_share:
        yield f"uneven: {uneven:.0%} of the frames came more than {config.uneven * 1e3:.0f} ms too early or too late"


def _longest(run: NDArray[np.bool_]) -> tuple[int, int]:
    """The longest stretch that is true: where it ends, and its length."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], run, [False]]).astype(np.int8)))
    lengths = edges[1::2] - edges[::2]
    return (int(edges[1::2][lengths.argmax()]), int(lengths.max())) if len(lengths) else (0, 0)
