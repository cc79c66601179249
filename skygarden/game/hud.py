"""What lies over the view while in play: an emblem, who one is, and how to get back. Nothing of it ever moves."""

import pygame

from envs.standin.characters import NAMES
from skygarden.game.layout import Box, PlayLayout
from skygarden.game.life import Life
from skygarden.game.paint import DUSK, GOLD, NIGHT, PALE, Colour, emblem, size_for, write

Panels = list[tuple[pygame.Surface, tuple[int, int]]]


def panels(layout: PlayLayout, life: Life) -> Panels:
    """The panels as surfaces, and where each belongs."""
    drawn = (
        (_emblem(layout.emblem), layout.emblem),
        (_two_lines(layout.name, NAMES[life.character], f"skin {life.skin + 1}", GOLD), layout.name),
        (_two_lines(layout.hint, "ENTER menu", "R again", PALE), layout.hint),
    )
    return [(surface, (box.left, box.top)) for surface, box in drawn]


def _emblem(box: Box) -> pygame.Surface:
    """The island above the game's name."""
    surface = _plate(box)
    inset = box.width // 12
    side = min(box.width, box.height) - 2 * inset
    surface.blit(emblem(side), ((box.width - side) // 2, inset))
    below = side + inset
    write(surface, "Skygarden", Box(inset, below, box.width - 2 * inset, box.height - below), PALE)
    return surface


def _two_lines(box: Box, first: str, second: str, colour: Colour) -> pygame.Surface:
    """A name and what goes with it, or two hints."""
    surface = _plate(box)
    inset = box.width // 12
    width, half = box.width - 2 * inset, (box.height - 2 * inset) // 2
    size = min(size_for(line, width, half * 4 // 5) for line in (first, second))
    write(surface, first, Box(inset, inset, width, half), colour, size=size)
    write(surface, second, Box(inset, inset + half, width, half), PALE, size=size)
    return surface


def _plate(box: Box) -> pygame.Surface:
    surface = pygame.Surface((box.width, box.height))
    surface.fill(NIGHT)
    pygame.draw.rect(surface, DUSK, surface.get_rect(), width=max(1, box.width // 40))
    return surface
