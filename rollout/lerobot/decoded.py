"""Recorded episodes as files to learn from: decoded once, to DATASET/.decoded, as `rollout.recordings` keeps them.

A window at a random place of a film costs the decoding of a second of it, on every read; frames on the disk cost
nothing, and 30 MB a minute.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from envs.backend import SIDE
from envs.errors import DataError
from rollout.lerobot.dataset import Dataset, Entry
from rollout.lerobot.faults import CheckConfig, check_episode
from rollout.recordings import has_recording, list_recordings, write_recording

_FOLDER: Final = ".decoded"


@dataclass(frozen=True, slots=True)
class Decoded:
    """What became of an episode."""

    entry: Entry
    faults: tuple[str, ...]  # what is wrong with one that was left out


def decode(dataset: Dataset, config: CheckConfig) -> Iterator[Decoded]:
    """Check and decode the episodes of a dataset; those that are there already are kept.

    Yields: each episode, with what is wrong with a bad one, which is left out.
    """
    folder = dataset.root / _FOLDER
    for entry in dataset.entries():
        faults: list[str] = []
        if not has_recording(folder, entry.name):
            faults = check_episode(dataset, entry, config)
            if not faults:
                _decode(dataset, entry, folder)
        yield Decoded(entry, tuple(faults))


def list_decoded(dataset: Dataset, names: Collection[str]) -> list[Path]:
    """The decoded episodes of some names, as `list_recordings` gives them."""
    return [path for path in list_recordings(dataset.root / _FOLDER) if path.name.partition(".")[0] in names]


def _decode(dataset: Dataset, entry: Entry, folder: Path) -> None:
    track = dataset.track(entry)
    frames = np.empty((len(track), SIDE, SIDE, 3), np.uint8)
    read = 0
    for frame in dataset.frames(entry):
        if read < len(frames):
            cv2.resize(frame, (SIDE, SIDE), frames[read], interpolation=cv2.INTER_AREA)
        read += 1
    if read != len(frames):
        raise DataError(f"{entry.film} has {read} frames for {len(frames)} steps")
    write_recording(folder, entry.name, frames, track.actions)
