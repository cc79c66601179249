"""What can be recorded of a window at this moment: its pixels, or why there are none."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from envs.window.locate import GameWindow, Rectangle


class Shot(Protocol):
    """A captured picture; `envs.window.capture` makes them."""

    @property
    def time(self) -> float:
        """When the capture began, s of the monotonic clock."""
        ...

    def rgb(self) -> NDArray[np.uint8]:
        """(height, width, 3) RGB, made when it is asked for."""
        ...


class Eyes(Protocol):
    """What reads the screen; `envs.window.capture.Capture` is one."""

    def shoot(self, rectangle: Rectangle) -> Shot:
        """The pixels of a part of the screen."""
        ...


@dataclass(frozen=True, slots=True)
class Away:
    """Why there is nothing to record."""

    reason: str
    is_final: bool = False  # it will not come back


class View(Protocol):
    """What is recorded."""

    def shoot(self) -> Shot | Away:
        """A picture, taken now."""
        ...


class WindowView:
    """A part of a window, as long as the person plays in it: it is whole on the screen and has the focus.

    Keys belong to whatever has the focus: without it, nothing that the person types is looked at as play.
    Args: part: of the client area, which is recorded; both in pixels of the screen.
    """

    def __init__(self, window: GameWindow, eyes: Eyes, part: Callable[[Rectangle], Rectangle]) -> None:
        self._window, self._eyes, self._part = window, eyes, part

    def shoot(self) -> Shot | Away:
        """A picture, or why there is none. Raises: WindowLostError, CaptureError: the system does not answer."""
        sight = self._window.look()
        if sight.client is None or sight.state == "gone":
            return Away("the window is gone", is_final=True)
        if sight.state != "visible":
            return Away(f"the window is {sight.state}")
        if not sight.focused:
            return Away("the window has not the focus")
        return self._eyes.shoot(self._part(sight.client))
