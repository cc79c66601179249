"""Recorded runs to jump pads as a detector learns from them: which pad, and which frame first shows the launch.

`skygarden record --task "to the left pad"` says which pad; "none" stands for play without a launch. The person presses
BACK about half a second after each launch and plays on; the frames from three seconds later belong to the next run. An
episode without such a mark ends within two seconds after its one launch.

A person's mark is too late: the frames before it would teach that a launch is none. So the frame is found in the second
before the mark (or the two at the end): the one around which the mean colours of the picture's rows change most, from
the frame before it to the second after it. A turn of the camera changes columns; a launch makes the ground fall. On 60
runs of the stand-in's humans with a mark four frames late, that is the true frame in 65%, within one frame in 93%, and
never off by more than two. Without a mark, and with the end six frames after the launch, it is within one in 78%: look
at the picture that comes with the detector, and correct what is wrong with --reached.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from envs.backend import JUMPPADS
from envs.errors import DataError
from envs.window.jumppad import EVIDENCE_SIDE, evidence_of, shrink
from envs.window.jumppad_learning import PadRun
from rollout.lerobot.dataset import Dataset
from rollout.lerobot.track import PAD, Track

NONE: Final = "none"
_MARKED: Final = 10  # frames before a mark within which the launch is
_ENDED: Final = 20  # frames before the end, where there is no mark
_FLIGHT: Final = 30  # frames after a mark that belong to no run
_PIECE: Final = 100  # frames of a run without a launch, at most
_SHORTEST: Final = 10  # frames of a run
_ROWS: Final = 24  # pixels of the height of pictures whose rows are compared

Pixels = NDArray[np.uint8]
Given = Sequence[tuple[int, float]]  # an episode's number, and the second in it at which a launch is first seen


@dataclass(frozen=True, slots=True)
class MarkedRun:
    """A run, and where it is from."""

    run: PadRun
    episode: int
    first: int  # frame of the episode that is the run's first
    how: str  # its launch was found: "marked", "at the end", "given"; or "none"

    @property
    def seconds(self) -> float | None:
        """In the episode, when the launch is first seen."""
        return None if self.run.reached is None else (self.first + self.run.reached) / 10


def marked_runs(folder: Path, given: Given = ()) -> list[MarkedRun]:
    """The runs of a dataset. Args: given: launches that are known better.

    Raises: DataError: it is no dataset, a task names no pad, or a given launch is in no run.
    """
    dataset = Dataset(folder)
    found: list[MarkedRun] = []
    for entry in dataset.entries():
        pad = pad_of(entry.task, f"episode {entry.index} of {folder}")
        frames = np.array([evidence_of(frame) for frame in dataset.frames(entry)])
        here = [round(10 * seconds) for number, seconds in given if number == entry.index]
        parts = _pieces(len(frames)) if pad == NONE else _parts(dataset.track(entry), len(frames))
        found += [_run(frames[a:b], pad, entry.index, a, here, marked=m) for a, b, m in parts]
    unknown = [(number, seconds) for number, seconds in given if not any(_holds(run, number, seconds) for run in found)]
    if unknown:
        raise DataError(f"there is no run at {unknown} (episode, second) of {folder}, to correct its launch")
    return found


def pad_of(task: str, where: str) -> str:
    """The pad that a task names, or "none". Raises: DataError: it names none of these, or several."""
    words = set(re.findall(r"[a-z]+", task.casefold())) & {*JUMPPADS, NONE}
    if len(words) != 1:
        needed = ", ".join((*JUMPPADS, NONE))
        raise DataError(f"{where} has the task {task!r}, which must hold one of the words {needed}; record it anew")
    return words.pop()


def launch_in(frames: Pixels, first: int) -> int:
    """The frame, from `first` on, that a launch is most likely first seen in."""
    rows = np.array([shrink(frame, _ROWS).mean(axis=1) for frame in frames])
    last = len(frames) - 1
    changes = [float(np.abs(rows[min(k + 2, last)] - rows[k - 1]).mean()) for k in range(first, len(frames))]
    return first + int(np.argmax(changes))


def _run(frames: Pixels, pad: str, episode: int, first: int, given: list[int], *, marked: bool) -> MarkedRun:
    if pad == NONE:
        return MarkedRun(PadRun(frames), episode, first, NONE)
    known = [frame - first for frame in given if 0 < frame - first < len(frames)]
    if known:
        return MarkedRun(PadRun(frames, pad, known[0]), episode, first, "given")
    reached = launch_in(frames, max(1, len(frames) - (_MARKED if marked else _ENDED)))
    return MarkedRun(PadRun(frames, pad, reached), episode, first, "marked" if marked else "at the end")


def _holds(run: MarkedRun, episode: int, seconds: float) -> bool:
    """Whether a run has a launch that was given."""
    return run.episode == episode and run.how == "given" and run.seconds == round(10 * seconds) / 10


def _parts(track: Track, length: int) -> list[tuple[int, int, bool]]:
    """Where the runs of an episode begin and end, and whether there is a mark at the end."""
    back, start = (track.pads[:length, PAD.index(f"{name} held")] > 0.5 for name in ("BACK", "START"))
    begun = np.flatnonzero(back & ~np.concatenate([[False], back[:-1]]))
    chords = [int(k) for k in begun if start[k : k + 3].any()]  # both ended the recording
    marks = [int(k) for k in begun if int(k) not in chords]
    if not marks:
        return [(0, min(chords, default=length), False)] if min(chords, default=length) >= _SHORTEST else []
    begins = [0, *(mark + _FLIGHT for mark in marks[:-1])]
    return [(a, b, True) for a, b in zip(begins, marks, strict=True) if b - a >= _SHORTEST]


def _pieces(length: int) -> list[tuple[int, int, bool]]:
    ends = [(a, min(a + _PIECE, length), False) for a in range(0, length, _PIECE)]
    return [(a, b, marked) for a, b, marked in ends if b - a >= _SHORTEST]


def sheet_of(runs: Sequence[MarkedRun]) -> Pixels:
    """A picture of all launches, a run a row: two frames before, the one that shows it first, and two after."""
    rows: list[Pixels] = []
    for marked in runs:
        run, reached = marked.run, marked.run.reached
        if reached is None:
            continue
        row = np.zeros((EVIDENCE_SIDE, 7 * EVIDENCE_SIDE, 3), np.uint8)
        for place, k in enumerate(range(reached - 2, reached + 3)):
            if 0 <= k < len(run.frames):
                left = (2 + place) * EVIDENCE_SIDE
                row[:, left : left + EVIDENCE_SIDE] = run.frames[k]
        cv2.rectangle(row, (4 * EVIDENCE_SIDE, 0), (5 * EVIDENCE_SIDE - 1, EVIDENCE_SIDE - 1), (255, 210, 60), 2)
        for line, words in enumerate((f"episode {marked.episode}", f"{marked.seconds:.1f} s: {run.pad}", marked.how)):
            cv2.putText(row, words, (8, 28 + 22 * line), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1, cv2.LINE_AA)
        rows.append(row)
    return np.concatenate(rows) if rows else np.zeros((1, 7 * EVIDENCE_SIDE, 3), np.uint8)
