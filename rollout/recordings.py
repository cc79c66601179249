"""Recordings: play that cannot be drawn again, kept as its frames.

A recording is two files, `NAME.frames.npy` and `NAME.actions.npy`. Frames are read where a window needs them, so a
recording may be larger than memory; a minute takes 30 MB.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray

from envs.backend import SIDE
from envs.errors import ActionError, DataError
from envs.gamepad import check

Frames = NDArray[np.uint8]

_FRAMES: Final = ".frames.npy"
_ACTIONS: Final = ".actions.npy"


class RecordedSequences:
    """Recordings as sequences to learn from; see `agents.data.Sequences`.

    Args: paths: of the frames, as `list_recordings` gives them.
    Raises: DataError: a recording is damaged or half there.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._actions = [_load_actions(path) for path in paths]
        self._frames = [_open_frames(path, len(actions)) for path, actions in zip(paths, self._actions, strict=True)]
        self._lengths = np.array([len(actions) for actions in self._actions], np.int64)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(N,): steps of each recording."""
        return self._lengths

    def read(self, index: int, start: int, length: int, out: Frames | None = None) -> tuple[Frames, NDArray[np.uint8]]:
        """Steps [start, start + length) of a recording, their frames in `out` where it is given.

        Raises: DataError: they are not all in it.
        """
        if start < 0 or length < 1 or start + length > self._lengths[index]:
            steps = self._lengths[index]
            raise DataError(f"steps {start} to {start + length} are not all in a recording of {steps} steps")
        part = slice(start, start + length)
        frames = np.empty((length, SIDE, SIDE, 3), np.uint8) if out is None else out
        frames[...] = self._frames[index][part]
        return frames, self._actions[index][part]


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


def _open_frames(path: Path, steps: int) -> Frames:
    """Frames, read from the file where they are used."""
    frames = _load(path, "r")
    expected = (steps, SIDE, SIDE, 3)
    if frames.shape != expected or frames.dtype != np.uint8:
        raise DataError(f"{path} holds {frames.shape} {frames.dtype}, and its actions need {expected}; import it anew")
    return frames


def _load_actions(path: Path) -> NDArray[np.uint8]:
    beside = path.with_name(path.name.removesuffix(_FRAMES) + _ACTIONS)
    actions = _load(beside, None)
    try:
        return check(actions, len(actions))
    except (TypeError, ActionError) as error:
        raise DataError(f"{beside} does not hold actions ({error}); import it anew") from error


def _load(path: Path, mode: Literal["r"] | None) -> NDArray[Any]:
    try:
        array: Any = np.load(path, mmap_mode=mode, allow_pickle=False)
    except Exception as error:  # a damaged header makes NumPy raise almost anything
        raise DataError(f"{path} is missing, damaged or cut short ({error}); import it anew") from error
    if isinstance(array, NpzFile):
        array.close()
        raise DataError(f"{path} is an archive and not an array; import it anew")
    return array
