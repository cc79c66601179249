"""Reads the published sample of the paper's own game, Microsoft's `bleeding-edge-gameplay-sample` (one .npz a clip).

A clip holds `images` (T, 180, 300, 3) or (T, 3, 180, 300) uint8 and `actions` (T, 16) float32: twelve buttons as 0 or
1, then left x, left y, right x, right y as buckets 0 to 10, which is this project's action space. Its `states` are
privileged and are not read.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import cv2
import numpy as np
from numpy.typing import NDArray

from envs.backend import SIDE
from envs.errors import ActionError, DataError
from envs.gamepad import COMPONENTS, check
from rollout.recordings import has_recording, write_recording

Frames = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a clip."""

    clip: Path
    fault: str | None  # what is wrong with it, where it was left out


def list_clips(folder: Path) -> list[Path]:
    """The clips in a folder and those below it.

    Raises: DataError: there are none.
    """
    clips = sorted(folder.rglob("*.npz"))
    if not clips:
        raise DataError(f"there are no .npz clips in {folder}; give the folder of the downloaded dataset")
    return clips


def import_clips(folder: Path, out: Path) -> Iterator[Imported]:
    """Make recordings of the clips in a folder; those that are there already are kept.

    Yields: each clip, with what is wrong with a bad one, which is left out.
    Raises: DataError: there are no clips.
    """
    for clip in list_clips(folder):
        name = quote(clip.relative_to(folder).with_suffix("").as_posix(), safe="")  # one name a clip, in one folder
        fault = None
        if not has_recording(out, name):
            try:
                frames, actions = read_clip(clip)
                write_recording(out, name, frames, actions)
            except DataError as error:
                fault = str(error)
        yield Imported(clip, fault)


def read_clip(path: Path) -> tuple[Frames, NDArray[np.uint8]]:
    """A clip's frames, resized to (T, 128, 128, 3) uint8, and actions, (T, 16) uint8.

    Raises: DataError: what is wrong with the clip.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as clip:
            missing = sorted({"images", "actions"} - set(clip.files))
            if missing:
                raise DataError(f"lacks {' and '.join(missing)}; it holds {', '.join(clip.files) or 'nothing'}")
            images, actions = _check_images(clip["images"]), _check_actions(clip["actions"])
    except DataError:
        raise
    except Exception as error:  # a damaged file makes NumPy and zipfile raise almost anything
        raise DataError(f"is damaged, cut short or no archive ({error})") from error
    if len(images) != len(actions):
        raise DataError(f"has {len(images)} images and {len(actions)} actions")
    frames = np.empty((len(images), SIDE, SIDE, 3), np.uint8)
    for image, frame in zip(images, frames, strict=True):
        cv2.resize(image, (SIDE, SIDE), frame, interpolation=cv2.INTER_AREA)
    return frames, actions


def _check_images(images: NDArray[Any]) -> Frames:
    """Images with the colours last."""
    if images.ndim == 4 and images.size and images.dtype == np.uint8:
        if images.shape[3] == 3:
            return images
        if images.shape[1] == 3:
            return np.ascontiguousarray(images.transpose(0, 2, 3, 1))
    raise DataError(f"images must be (T, H, W, 3) or (T, 3, H, W) uint8, got {images.shape} {images.dtype}")


def _check_actions(actions: NDArray[Any]) -> NDArray[np.uint8]:
    """Whole numbers that came as float32, as bucket indices."""
    if actions.ndim != 2 or actions.shape[1] != len(COMPONENTS) or actions.dtype.kind not in "fiu":
        raise DataError(f"actions must be numbers (T, {len(COMPONENTS)}), got {actions.shape} {actions.dtype}")
    wrong = ~((actions == np.rint(actions)) & (np.abs(actions) < 256))  # also where it is not a number
    if wrong.any():
        step, component = (int(k) for k in np.argwhere(wrong)[0])
        raise DataError(f"action {step} has {actions[step, component]} for {COMPONENTS[component]}, not a bucket")
    try:
        return check(actions.astype(np.int64), len(actions))
    except ActionError as error:
        raise DataError(f"has an action that is not one: {error}") from error
