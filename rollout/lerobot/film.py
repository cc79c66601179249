"""H.264 films of play: written in fragments of a second that survive the writer, and read back frame by frame.

No picture waits for a later one (x264's zerolatency), so a fragment is with the system as soon as the next begins.
"""

import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import av
import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

from envs.errors import DataError

Frame = NDArray[np.uint8]

_HEAD: Final = 8  # bytes of a box's size and kind


class Film:
    """A film that is being written; a context manager.

    Args: size: (height, width) of its frames, both even. effort: x264's preset.
    """

    def __init__(self, path: Path, size: tuple[int, int], fps: int, effort: str = "veryfast") -> None:
        self._size, self._fps = size, fps
        self._frames = 0
        self._file = path.open("xb", buffering=0)
        flags = {"movflags": "frag_keyframe+empty_moov+default_base_moof", "flush_packets": "1"}
        self._container: Any = av.open(self._file, "w", "mp4", options=flags)
        self._stream: Any = self._container.add_stream("libx264", rate=Fraction(fps))
        self._stream.height, self._stream.width = size
        self._stream.pix_fmt = "yuv420p"
        options = {"crf": "23", "preset": effort, "tune": "zerolatency", "g": str(fps), "sc_threshold": "0"}
        self._stream.options = options
        self._stream.codec_context.thread_count = 1  # the game needs the other processors

    def append(self, frame: Frame) -> None:
        """Add a frame, (height, width, 3) uint8, RGB. Raises: DataError: it is of another size."""
        if frame.shape != (*self._size, 3):
            raise DataError(f"a film of {self._size} takes no frame of {frame.shape}")
        self._container.mux(self._stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        self._frames += 1
        if self._frames % self._fps == 1:  # the fragment before is written now; even a machine that dies keeps it
            os.fsync(self._file.fileno())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            if self._frames:
                self._container.mux(self._stream.encode())
            self._container.close()
        finally:
            self._file.close()


def cut_torn(path: Path) -> None:
    """Shorten a film in fragments, whose writer may have died, to those fragments that are whole."""
    with path.open("r+b") as file:
        end, position, length = 0, 0, path.stat().st_size
        while position + _HEAD <= length:
            file.seek(position)
            head = file.read(_HEAD)
            size, kind = int.from_bytes(head[:4], "big"), head[4:]
            position += size
            if size < _HEAD or position > length:
                break
            if kind != b"moof":  # that only describes what follows it
                end = position
        file.truncate(end)


def copy_film(source: Path, target: Path, frames: int) -> int:
    """Write the first frames of a film in fragments as an ordinary one, without encoding them anew.

    Returns: how many there are, `frames` or fewer, perhaps none. Raises: DataError: it is no film.
    """
    copied = 0
    try:
        container: Any = av.open(str(source))
        out: Any = av.open(str(target), "w", "mp4", options={"movflags": "faststart"})
        with container, out:
            stream = container.streams.video[0]
            written = out.add_stream_from_template(stream)
            for packet in container.demux(stream):
                if packet.size and copied < frames:
                    packet.stream = written
                    out.mux(packet)
                    copied += 1
    except (FFmpegError, IndexError) as error:
        raise DataError(f"{source} holds no film ({error})") from error
    return copied


def key_frames(path: Path, most: int, height: int) -> Frame:
    """Some of the frames of a film that stand by themselves, one a second, spread evenly.

    Args: most: how many at most. height: pixels that they are shrunk to, the width in proportion.
    Returns: (N, height, width, 3) uint8, at least one. Raises: DataError: it cannot be decoded.
    """
    taken: list[Frame] = []
    try:
        container: Any = av.open(str(path))
        with container:
            stream = container.streams.video[0]
            stream.codec_context.skip_frame = "NONKEY"
            every = max(1, -(-stream.frames // int(stream.average_rate) // most))
            width = max(2, stream.width * height // stream.height)
            for number, picture in enumerate(container.decode(stream)):
                if number % every == 0:
                    taken.append(picture.reformat(width, height, "rgb24").to_ndarray())
    except (FFmpegError, IndexError) as error:
        raise DataError(f"{path} cannot be decoded ({error})") from error
    if not taken:
        raise DataError(f"{path} holds no frame")
    return np.stack(taken)


def read_film(path: Path, start: float = 0.0, end: float = float("inf")) -> Iterator[Frame]:
    """The frames of a film that are shown from `start` until before `end`, in s.

    Raises: DataError: it cannot be decoded.
    """
    for picture in pictures(path, start, end):
        yield picture.to_ndarray(format="rgb24")


def pictures(path: Path, start: float = 0.0, end: float = float("inf")) -> Iterator[Any]:
    """As `read_film`, decoded and not yet converted: av.VideoFrame."""
    try:
        container: Any = av.open(str(path))
        with container:
            stream = container.streams.video[0]
            half = 0.5 / float(stream.average_rate or 1)  # a frame belongs to the moment it is nearest to
            if start:
                container.seek(int(start / stream.time_base), stream=stream)
            for picture in container.decode(stream):
                if start - half <= picture.time < end - half:
                    yield picture
    except (FFmpegError, IndexError, OSError) as error:
        raise DataError(f"{path} cannot be decoded ({error}); leave its episodes out, or bring back a copy") from error
