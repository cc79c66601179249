"""Draws the start menu: what is chosen in words, each in its own place, and the character's picture beside them."""

import math
from typing import Final

import numpy as np
import pygame
from numpy.typing import NDArray

from envs.standin.characters import NAMES
from envs.standin.physics import BODY
from envs.standin.simulation import Easel, Stage, put_body
from skygarden.game.layout import Box, menu_layout
from skygarden.game.menu import ROWS, SIZES, Menu
from skygarden.game.paint import AMBER, DUSK, GOLD, NIGHT, PALE, QUIET, SKY, SLATE, Colour, panel, size_for, write

_LABELS: Final = ("Character", "Skin", "Start", "")
_WIDEST: Final = max(NAMES, key=len)  # all values are written in the size that this one fits in
_STANDS: Final = (-3.0, -19.0, 3.0, 0.5)  # on the terrace, before a view; x, y, z and the way that the camera looks


def draw_menu(surface: pygame.Surface, stage: Stage, menu: Menu) -> None:
    """Draw the whole menu on a surface of any size."""
    layout = menu_layout(*surface.get_size())
    surface.fill(NIGHT)
    write(surface, "Skygarden", layout.title, SKY, align=0.0)
    for k, (row, box) in enumerate(zip(ROWS, layout.rows, strict=True)):
        chosen = k == menu.row
        if row == "play":
            _draw_play(surface, box, chosen)
        else:
            _draw_row(surface, box, _LABELS[k], menu.words[k], (menu.values[k], SIZES[k]), chosen)
    write(surface, "arrows or stick choose, A or ENTER plays, ESC ends", layout.hint, QUIET, align=0.0)
    picture = _portrait(stage, menu, layout.portrait)
    surface.blit(pygame.image.frombuffer(picture.tobytes(), picture.shape[1::-1], "RGB"), layout.portrait[:2])


def _draw_row(surface: pygame.Surface, box: Box, label: str, value: str, place: tuple[int, int], chosen: bool) -> None:
    """A label and a value between two arrows, and below it which of how many it is."""
    panel(surface, box, GOLD if chosen else DUSK)
    ink, faint = (NIGHT, AMBER) if chosen else (PALE, SLATE)
    left = box.left + box.width // 20
    beside = Box(left, box.top, box.width * 3 // 10, box.height)
    write(surface, label, beside, ink, align=0.0, size=size_for(_LABELS[0], beside.width, box.height * 2 // 5))
    first, last = box.left + box.width * 40 // 100, box.left + box.width * 96 // 100
    middle, arrow = box.top + box.height // 2, box.height // 6
    for tip, way in ((first, 1), (last, -1)):
        corners = [(tip, middle), (tip + way * arrow, middle - arrow), (tip + way * arrow, middle + arrow)]
        pygame.draw.polygon(surface, ink if chosen else QUIET, corners)
    between = Box(first + 2 * arrow, box.top, last - first - 4 * arrow, box.height * 4 // 5)
    write(surface, value, between, ink, size=size_for(_WIDEST, between.width, between.height * 4 // 5))
    bar = Box(between.left, box.top + box.height * 33 // 40, between.width, max(1, box.height // 12))
    _draw_place(surface, bar, place, ink, faint)


def _draw_place(surface: pygame.Surface, bar: Box, place: tuple[int, int], ink: Colour, faint: Colour) -> None:
    """A bar of so many pieces, of which one is lit."""
    index, count = place
    for k in range(count):
        left, right = (bar.left + bar.width * j // count for j in (k, k + 1))
        piece = (left, bar.top, max(1, right - left - max(1, bar.height // 3)), bar.height)
        pygame.draw.rect(surface, ink if k == index else faint, piece)


def _draw_play(surface: pygame.Surface, box: Box, chosen: bool) -> None:
    panel(surface, box, GOLD if chosen else DUSK)
    write(surface, "Play", box, NIGHT if chosen else PALE, size=size_for("Play", box.width, box.height * 3 // 4))


def _portrait(stage: Stage, menu: Menu, box: Box) -> NDArray[np.uint8]:
    """The chosen character from the front, (height, width, 3) uint8."""
    body = np.zeros(1, BODY)
    put_body(stage, body, 0, 1.0, False)
    body["x"], body["y"], body["z"], body["yaw"] = _STANDS
    body["facing"], body["boom"], body["pitch"] = body["yaw"] + math.pi - 0.45, 3.0, 0.05
    # The camera looks at the head; the picture is the lower part of one in which that is in the middle.
    below = box.height * 2 // 5
    side = round(1.5 * min(box.height, 1.6 * box.width))
    return Easel(stage, box.width, box.height + below, side).draw(body, menu.character, menu.skin)[below:]
