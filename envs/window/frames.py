"""Whether frames can be true: a screen that is black, or stands still.

A remote desktop or an exclusive full screen gives black, a hung game or a lost capture gives the same frame for ever;
both look like pixels to everything after. Only verdicts are given here: a game's menu stands still too, and a night is
dark, so what follows from a verdict is up to the caller.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, slots=True)
class FrameWatchConfig:
    """When a frame counts as black, and when as stale."""

    mean: float = 2.0  # of all values, in [0, 255]: black is at most this bright
    maximum: int = 16  # and no value is brighter than this
    stale_after: float = 2.0  # s without a change


@dataclass(frozen=True, slots=True)
class FrameVerdict:
    """What is odd about a frame."""

    black: bool
    duplicate: bool  # it equals the one before
    unchanged: float  # s since the first of the equal frames that it is the last of
    stale: bool  # unchanged for `stale_after` seconds or longer


class FrameWatch:
    """Compares each frame with the one before. Frames may be of any size, the small ones an agent sees above all."""

    def __init__(self, config: FrameWatchConfig | None = None) -> None:
        self._config = config or FrameWatchConfig()
        self._last: NDArray[np.uint8] | None = None
        self._since = 0.0

    def see(self, frame: NDArray[np.uint8], time: float) -> FrameVerdict:
        """Judge the next frame.

        Args: frame: (H, W, C) uint8, not changed afterwards. time: s, when it was shown.
        """
        duplicate = self._last is not None and np.array_equal(frame, self._last)
        if not duplicate:
            self._last, self._since = frame, time
        unchanged = time - self._since
        return FrameVerdict(self._black(frame), duplicate, unchanged, unchanged >= self._config.stale_after)

    def reset(self) -> None:
        """Forget the frame before, as where another game or episode begins."""
        self._last = None

    def _black(self, frame: NDArray[np.uint8]) -> bool:
        return int(frame.max(initial=0)) <= self._config.maximum and float(frame.mean()) <= self._config.mean
