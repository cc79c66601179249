"""Writes frames as H.264 videos that any browser plays."""

import os
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray


def write_video(path: Path, frames: Iterable[NDArray[np.uint8]], fps: int = 10, scale: int = 1) -> None:
    """Write frames, each (height, width, 3) uint8, enlarged by a whole number without smoothing.

    The file appears under its name when it is whole. Raises: ValueError: there are no frames.
    """
    beside = path.with_name(path.stem + ".part" + path.suffix)
    stream = None
    with av.open(str(beside), "w", options={"movflags": "faststart"}) as container:
        for frame in frames:
            shown = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST)
            if stream is None:
                stream = container.add_stream("libx264", rate=Fraction(fps))
                stream.height, stream.width = shown.shape[0] // 2 * 2, shown.shape[1] // 2 * 2
                stream.pix_fmt = "yuv420p"
                stream.options = {"crf": "26"}
            even = np.ascontiguousarray(shown[: stream.height, : stream.width])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(even, format="rgb24")))
        if stream is None:
            raise ValueError(f"no frames for {path}")
        container.mux(stream.encode())
    os.replace(beside, path)
