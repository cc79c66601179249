"""Shows frames as they come, in a window, until a person has seen enough."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from envs.errors import OptionError
from envs.screen import Screen


def show_frames(title: str, frames: Iterable[NDArray[np.uint8]], fps: float = 10) -> None:
    """Show frames of one size, (height, width, 3) uint8, until they end or the window is closed.

    Raises: MissingPackageError: pygame is not installed. OptionError: this machine has no screen.
    """
    screen: Screen | None = None
    try:
        for frame in frames:
            if screen is None:
                screen = Screen(title, (frame.shape[1], frame.shape[0]), fps)
            screen.show(frame)
            if not screen.visible:
                raise OptionError("this machine has no screen to open a window on; write a video with --out video.mp4")
            if screen.dismissed():
                return
    finally:
        if screen is not None:
            screen.close()
