"""Shows a replay in a window, or writes it as a video."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from envs.screen import Screen
from envs.standin.replay import Replay, ReplayReader
from skygarden.video import enlarge, write_video

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
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_video(out, track(frames, "drawing", total=count), scale=_ZOOM)
        print(f"wrote {out}")
        return
    first = next(frames)
    screen = Screen(f"{path.name}: {replay.player}", (first.shape[1] * _ZOOM, first.shape[0] * _ZOOM), fps=10)
    try:
        screen.show(enlarge(first, _ZOOM))
        for frame in frames:
            screen.show(enlarge(frame, _ZOOM))
    finally:
        screen.close()


def _frames(reader: ReplayReader, start: int, count: int) -> Iterator[NDArray[np.uint8]]:
    for low in range(start, start + count, _CHUNK):
        yield from reader.window(low, min(_CHUNK, start + count - low))[0]
