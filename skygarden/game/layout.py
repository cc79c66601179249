"""Where things are in a window of any size, in pixels of its client area.

All of it follows from the size alone, so what is drawn is always in the same place.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

from skygarden.game.menu import ROWS

SMALLEST: Final = 64  # pixels, of a side that anything is laid out for


class Box(NamedTuple):
    """A rectangle."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class MenuLayout:
    """The start menu."""

    title: Box
    rows: tuple[Box, ...]  # one for each of menu.ROWS
    hint: Box
    portrait: Box  # the chosen character's picture


@dataclass(frozen=True, slots=True)
class PlayLayout:
    """What lies over the view while in play."""

    square: int  # side of the view's middle square, which shows what a square picture shows
    emblem: Box
    name: Box
    hint: Box

    @property
    def panels(self) -> tuple[Box, ...]:
        """All that covers a part of the view."""
        return self.emblem, self.name, self.hint


def menu_layout(width: int, height: int) -> MenuLayout:
    """Rows beside the portrait, or below it where the window is higher than wide."""
    width, height = max(width, SMALLEST), max(height, SMALLEST)
    if width >= height:
        portrait = _part(width, height, 0.57, 0.0, 1.0, 1.0)
        left, right, top, bottom = 0.04, 0.53, 0.05, 0.97
    else:
        portrait = _part(width, height, 0.0, 0.0, 1.0, 0.42)
        left, right, top, bottom = 0.08, 0.92, 0.45, 0.98
    share = bottom - top  # title, rows and hint divide it 22 : 4 x 17 : 10
    rows = [_part(width, height, left, top + share * (0.22 + 0.17 * k), right, top + share * (0.37 + 0.17 * k))
            for k in range(len(ROWS))]  # fmt: skip
    return MenuLayout(
        title=_part(width, height, left, top, right, top + share * 0.18),
        rows=tuple(rows),
        hint=_part(width, height, left, top + share * 0.92, right, bottom),
        portrait=portrait,
    )


def play_layout(width: int, height: int) -> PlayLayout:
    """Small panels beside the middle square, or above and below it; in a window that is nearly square, over it."""
    width, height = max(width, SMALLEST), max(height, SMALLEST)
    side = min(width, height)
    margin = abs(width - height) // 2
    unit = max(int(0.15 * side), min(margin, int(0.22 * side)))
    gap = max(2, unit // 12)
    size = unit - 2 * gap
    low = size * 3 // 4
    name = Box(width - gap - size, gap, size, low)
    hint = Box(gap, height - gap - low, size, low)
    if width < height:  # the emblem has to stay above the square
        return PlayLayout(side, Box(gap, gap, size * 4 // 5, size), name, hint)
    return PlayLayout(side, Box(gap, gap, size, size * 5 // 4), name, hint)


def _part(width: int, height: int, left: float, top: float, right: float, bottom: float) -> Box:
    """Shares of the sides as a box."""
    x, y = round(left * width), round(top * height)
    return Box(x, y, max(1, round(right * width) - x), max(1, round(bottom * height) - y))
