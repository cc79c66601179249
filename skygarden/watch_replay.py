"""Shows a replay in a window, or writes it as a video."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from envs.standin.replay import Replay, ReplayReader
from skygarden.video import enlarge, write_video
from skygarden.window import show_frames

_CHUNK: Final = 100  # steps drawn at a time
_ZOOM: Final = 4


def watch_replay(path: Path, out: Path | None, start: int = 0, length: int | None = None) -> None:
    """Show steps [start, start + length) of a replay, to its end by default, or write them to `out`.

    Raises: ReplayError: the file cannot be read, or does not have these steps.
    """
    replay = Replay.load(path)
    count = len(replay) - start if length is None else length
    replay.check_window(start, count)
    frames = _frames(ReplayReader(replay), start, count)
    if out is None:
        show_frames(f"{path.name}: {replay.player}", (enlarge(frame, _ZOOM) for frame in frames))
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    write_video(out, track(frames, "drawing", total=count), scale=_ZOOM)
    print(f"wrote {out}")


def _frames(reader: ReplayReader, start: int, count: int) -> Iterator[NDArray[np.uint8]]:
    for low in range(start, start + count, _CHUNK):
        yield from reader.window(low, min(_CHUNK, start + count - low))[0]
