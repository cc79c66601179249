"""The window on the screen: ordinary, with a title bar, and of any size that one gives it."""

import os
from typing import Final

import pygame

from skygarden.game.paint import emblem

TITLE: Final = "Skygarden"


class Window:
    """An open window; pictures are drawn on its `surface` and seen after `show`."""

    def __init__(self, width: int, height: int) -> None:
        # SDL would hand each frame to a graphics driver as a texture, which on a machine without one takes 20 times
        # as long as to give it to the window system.
        os.environ.setdefault("SDL_FRAMEBUFFER_ACCELERATION", "0")
        os.environ.setdefault("SDL_VIDEO_X11_WMCLASS", TITLE.lower())  # by which desktops tell programs apart
        pygame.display.init()
        pygame.display.set_caption(TITLE)
        pygame.display.set_icon(emblem(64))
        self._first = pygame.display.set_mode((width, height), pygame.RESIZABLE)
        pygame.mouse.set_visible(False)

    @property
    def surface(self) -> pygame.Surface:
        """What is shown next; another one once the window has been resized."""
        return pygame.display.get_surface() or self._first

    def show(self) -> None:
        """Show what was drawn."""
        pygame.display.flip()

    def close(self) -> None:
        """Close the window; may be called twice."""
        pygame.display.quit()
