"""Draws a session into a surface, and makes anew only what has changed."""

import pygame

from envs.standin.simulation import Easel, Stage
from skygarden.game import hud
from skygarden.game.layout import play_layout
from skygarden.game.life import Life
from skygarden.game.menu import Menu
from skygarden.game.poster import draw_menu
from skygarden.game.session import Session


class View:
    """Draws into surfaces of one size, without new memory from frame to frame."""

    def __init__(self, stage: Stage, width: int, height: int) -> None:
        self.size = width, height
        self._stage = stage
        self._layout = play_layout(width, height)
        self._easel = Easel(stage, width, height, self._layout.square)
        canvas = self._easel.canvas
        self._canvas = pygame.image.frombuffer(canvas.data, canvas.shape[1::-1], "RGB")  # the same memory
        self._left = (width - canvas.shape[1]) // 2  # where the canvas begins; what is beyond the surface is cut off
        self._poster = pygame.Surface((width, height))
        self._shown: Menu | None = None  # by the poster
        self._panels: hud.Panels = []
        self._owner: Life | None = None  # of the panels

    def draw(self, surface: pygame.Surface, session: Session) -> None:
        """Draw the menu, or what the player sees."""
        if session.life is None:
            self._draw_menu(surface, session.menu)
        else:
            self._draw_play(surface, session.life)

    def _draw_menu(self, surface: pygame.Surface, menu: Menu) -> None:
        if self._shown != menu:
            draw_menu(self._poster, self._stage, menu)
            self._shown = menu
        surface.blit(self._poster, (0, 0))

    def _draw_play(self, surface: pygame.Surface, life: Life) -> None:
        self._easel.draw(life.body, life.character, life.skin)
        surface.blit(self._canvas, (self._left, 0))
        if self._owner is not life:
            self._panels, self._owner = hud.panels(self._layout, life), life
        surface.blits(self._panels, doreturn=False)
