"""Recordings: play that cannot be drawn again, kept as its frames.

A recording is two files, `NAME.frames.npy` and `NAME.actions.npy`. Frames are read where a window needs them, so a
recording may be larger than memory; a minute takes 30 MB.
"""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from envs.backend import SIDE
from envs.errors import ActionError, DataError
from envs.gamepad import COMPONENTS, check

Frames = NDArray[np.uint8]

_FRAMES: Final = ".frames.npy"
_ACTIONS: Final = ".actions.npy"


class RecordedSequences:
    """Recordings as sequences to learn from; see `agents.data.Sequences`.

    Args: paths: of the frames, as `list_recordings` gives them.
    Raises: DataError: a recording is damaged or half there.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self._actions = [_load_actions(path) for path in paths]
        self._lengths = np.array([len(actions) for actions in self._actions], np.int64)
        for path, actions in zip(paths, self._actions, strict=True):
            shape, expected = _open_frames(path).shape, (len(actions), SIDE, SIDE, 3)
            if shape != expected:
                raise DataError(f"{path} holds frames {shape}, and its actions need {expected}; import it anew")

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(N,): steps of each recording."""
        return self._lengths

    def read(self, index: int, start: int, length: int) -> tuple[Frames, NDArray[np.uint8]]:
        """Steps [start, start + length) of a recording."""
        part = slice(start, start + length)
        return np.array(_open_frames(self._paths[index])[part]), self._actions[index][part]


def write_recording(folder: Path, name: str, frames: Frames, actions: NDArray[np.uint8]) -> None:
    """Write a recording, frames last: one whose frames are there is whole.

    Args: frames: (T, 128, 128, 3) uint8, RGB. actions: (T, 16) uint8, each following its frame.
    Raises: DataError: they do not fit together. ActionError: an action is not one.
    """
    if frames.shape != (len(actions), SIDE, SIDE, 3) or frames.dtype != np.uint8:
        raise DataError(f"{len(actions)} actions need as many {SIDE} x {SIDE} RGB frames, got {frames.shape}")
    folder.mkdir(parents=True, exist_ok=True)
    for ending, array in ((_ACTIONS, check(actions, len(actions))), (_FRAMES, frames)):
        beside = folder / f"{name}{ending}.part"
        with beside.open("wb") as file:
            np.save(file, array)
        beside.replace(folder / f"{name}{ending}")


def list_recordings(folder: Path) -> list[Path]:
    """The frames of the recordings in a folder, in order; may be none."""
    return sorted(folder.glob(f"*{_FRAMES}"))


def has_recording(folder: Path, name: str) -> bool:
    """Whether a recording is there, whole."""
    return (folder / f"{name}{_FRAMES}").exists()


@lru_cache(maxsize=256)  # each holds a file open
def _open_frames(path: Path) -> Frames:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path} is damaged or cut short ({error}); import it anew") from error


def _load_actions(path: Path) -> NDArray[np.uint8]:
    beside = path.with_name(path.name.removesuffix(_FRAMES) + _ACTIONS)
    try:
        actions = np.load(beside, allow_pickle=False)
        return check(actions, len(actions))
    except (OSError, ValueError, EOFError, TypeError, ActionError) as error:
        raise DataError(
            f"{beside} needs {len(COMPONENTS)} bucket indices a step and cannot be read ({error}); import it anew"
        ) from error
