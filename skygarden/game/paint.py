"""The game's colours, letters and emblem."""

from functools import lru_cache
from typing import Final

import pygame

from skygarden.game.layout import Box

Colour = tuple[int, int, int]

NIGHT: Final[Colour] = (24, 30, 52)
DUSK: Final[Colour] = (44, 54, 88)
SKY: Final[Colour] = (132, 190, 236)
PALE: Final[Colour] = (236, 240, 248)
QUIET: Final[Colour] = (150, 164, 200)
GOLD: Final[Colour] = (250, 204, 84)
AMBER: Final[Colour] = (226, 174, 58)
SLATE: Final[Colour] = (66, 78, 116)
_GRASS: Final[Colour] = (108, 176, 76)
_ROCK: Final[Colour] = (132, 100, 78)
_SHADE: Final[Colour] = (104, 78, 62)
_LEAF: Final[Colour] = (226, 122, 48)
_LEAST: Final = 8  # letters are never smaller, and can be read
_FINE: Final = 4  # the emblem is drawn this much larger, for smooth edges


@lru_cache(maxsize=64)
def _font(size: int) -> pygame.font.Font:
    pygame.font.init()
    return pygame.font.Font(None, size)


def size_for(text: str, width: int, height: int) -> int:
    """The largest size of letters with which a line fits."""
    size = max(_LEAST, int(1.3 * height))
    while size > _LEAST and _font(size).size(text)[0] > width:
        size -= max(1, size // 40)
    return size


def write(surface: pygame.Surface, text: str, box: Box, colour: Colour, align: float = 0.5, size: int = 0) -> None:
    """Write a line in the middle of a box's height and at a share of its width; without a size, as large as fits."""
    size = size or size_for(text, box.width, box.height)
    letters = _font(size).render(text, True, colour)
    left = box.left + align * (box.width - letters.get_width())
    surface.blit(letters, (int(left), box.top + (box.height - letters.get_height()) // 2 + size // 24))


def panel(surface: pygame.Surface, box: Box, colour: Colour) -> None:
    """A plate with round corners."""
    pygame.draw.rect(surface, colour, box, border_radius=max(2, min(box.width, box.height) // 7))


def emblem(side: int) -> pygame.Surface:
    """A floating island with a tree under a clear sky, `side` pixels square."""
    large = pygame.Surface((side * _FINE, side * _FINE))
    unit = side * _FINE / 100.0

    def at(*points: tuple[float, float]) -> list[tuple[float, float]]:
        return [(x * unit, y * unit) for x, y in points]

    for row in range(side * _FINE):  # the sky is paler towards the horizon
        share = row / (side * _FINE)
        colour = [round(a + (b - a) * share) for a, b in zip(SKY, PALE, strict=True)]
        pygame.draw.line(large, colour, (0, row), (side * _FINE, row))
    pygame.draw.circle(large, GOLD, at((78, 24))[0], 11 * unit)
    pygame.draw.polygon(large, _ROCK, at((12, 60), (88, 60), (66, 78), (54, 94), (42, 84), (28, 76)))
    pygame.draw.polygon(large, _SHADE, at((54, 60), (88, 60), (66, 78), (54, 94)))
    pygame.draw.ellipse(large, _GRASS, [8 * unit, 52 * unit, 84 * unit, 16 * unit])
    pygame.draw.polygon(large, _SHADE, at((38, 34), (44, 34), (45, 60), (37, 60)))
    pygame.draw.circle(large, _LEAF, at((41, 30))[0], 17 * unit)
    pygame.draw.polygon(large, NIGHT, at((60, 56), (82, 56), (78, 51), (64, 51)))
    pygame.draw.polygon(large, GOLD, at((63, 54.5), (79, 54.5), (76, 52), (66, 52)))
    return pygame.transform.smoothscale(large, (side, side))
