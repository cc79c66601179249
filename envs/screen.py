"""A window on this machine's screen that shows frames at a steady pace."""

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.errors import MissingPackageError


class Screen:
    """A window of a size; opened with the first frame. Asked to close, it stays until `close`; see `dismissed`.

    Raises: MissingPackageError: pygame is not installed.
    """

    def __init__(self, title: str, size: tuple[int, int], fps: float) -> None:
        try:
            import pygame
        except ImportError as error:
            raise MissingPackageError("a window needs pygame; install it with: pip install pygame") from error
        self._pygame: Any = pygame
        self._title, self._size, self._period = title, size, 1.0 / fps
        self._surface: Any = None
        self._due = 0.0

    def show(self, frame: NDArray[np.uint8]) -> None:
        """Show a frame, (height, width, 3) uint8, not before the previous one had its time."""
        if self._surface is None:
            self._pygame.display.init()
            self._surface = self._pygame.display.set_mode(self._size)
            self._pygame.display.set_caption(self._title)
        self._pygame.event.pump()
        self._surface.blit(self._pygame.surfarray.make_surface(frame.swapaxes(0, 1)), (0, 0))
        self._pygame.display.flip()
        now = time.monotonic()
        time.sleep(max(0.0, self._due - now))
        self._due = max(now, self._due) + self._period

    @property
    def visible(self) -> bool:
        """Whether a person can see the window: without a screen, SDL opens one that only its memory knows."""
        return self._surface is not None and self._pygame.display.get_driver() != "offscreen"

    def dismissed(self) -> bool:
        """Whether a person has asked to close the open window, by its button or with Escape. Takes these events."""
        if self._surface is None:
            return False
        pygame = self._pygame
        events: list[Any] = pygame.event.get((pygame.QUIT, pygame.KEYDOWN))
        return any(event.type == pygame.QUIT or event.key == pygame.K_ESCAPE for event in events)

    def close(self) -> None:
        """Close the window; may be called twice."""
        if self._surface is not None:
            self._surface = None
            self._pygame.display.quit()
