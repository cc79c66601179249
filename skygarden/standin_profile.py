"""The pictures by which the stand-in's profile knows its own game's window: drawn by the game's own code.

`python -m skygarden.standin_profile` draws them anew, where the game's menu has changed, and says which regions of the
window they are, for profile.toml.
"""

from typing import Final

import cv2
import numpy as np
import pygame
from numpy.typing import NDArray

from envs.backend import SPAWNS
from envs.gamepad import Gamepad
from envs.standin.characters import NAMES, SKINS
from envs.standin.replay import stage_of
from envs.standin.simulation import Stage
from envs.window.profile import PROFILES, Region
from skygarden.game.hud import panels
from skygarden.game.layout import Box, menu_layout, play_layout
from skygarden.game.life import Life
from skygarden.game.menu import ROWS, Menu
from skygarden.game.poster import draw_menu

SIZE: Final = (640, 480)  # pixels, of the window that the pictures are of
FOLDER: Final = PROFILES / "standin"


def regions() -> dict[str, Region]:
    """Where the looks are: the title; of each row, its label and its value; the emblem."""
    menu, play = menu_layout(*SIZE), play_layout(*SIZE)
    places = {"menu": menu.title, "playing": play.emblem}
    for name, row in zip(ROWS[:-1], menu.rows, strict=False):
        places[f"{name}-row"] = Box(row.left, row.top, row.width * 38 // 100, row.height)
        places[name] = Box(row.left + row.width * 40 // 100, row.top, row.width * 56 // 100, row.height)
    return {name: _shares(box) for name, box in places.items()}


def pictures() -> dict[str, NDArray[np.uint8]]:
    """Every picture that the profile names, (H, W, 3) uint8, RGB, by its file's name."""
    stage, where = stage_of(0), regions()
    menu = Menu()
    drawn = {"menu": _cut(_menu(stage, menu), where["menu"])}
    for number, name in enumerate(ROWS[:-1]):
        on_row = Menu(row=number)
        drawn[f"{name}-row"] = _cut(_menu(stage, on_row), where[f"{name}-row"])
    for k, name in enumerate(NAMES):
        drawn[f"character-{name}"] = _cut(_menu(stage, Menu(0, (k, 0, 0))), where["character"])
    for skin in range(SKINS):
        drawn[f"skin-{skin}"] = _cut(_menu(stage, Menu(1, (0, skin, 0))), where["skin"])
    for spawn in range(SPAWNS):
        drawn[f"start-{spawn}"] = _cut(_menu(stage, Menu(2, (0, 0, spawn + 1))), where["start"])
    (emblem, _), *_ = panels(play_layout(*SIZE), Life(stage, 0, 0, 0, Gamepad()))
    drawn["playing"] = _pixels(emblem)
    return {f"{name}.png": picture for name, picture in drawn.items()}


def main() -> None:
    """Write the pictures, and print the regions."""
    for name, picture in pictures().items():
        (FOLDER / name).write_bytes(cv2.imencode(".png", picture[..., ::-1])[1].tobytes())
    for name, region in regions().items():
        print(f"[looks.{name}]\nregion = {[round(share, 5) for share in region]}")


def _menu(stage: Stage, menu: Menu) -> pygame.Surface:
    surface = pygame.Surface(SIZE)
    draw_menu(surface, stage, menu)
    return surface


def _cut(surface: pygame.Surface, region: Region) -> NDArray[np.uint8]:
    """A region's pixels."""
    left, top, width, height = (round(share * side) for share, side in zip(region, (*SIZE, *SIZE), strict=True))
    return np.ascontiguousarray(_pixels(surface)[top : top + height, left : left + width])


def _pixels(surface: pygame.Surface) -> NDArray[np.uint8]:
    return pygame.surfarray.array3d(surface).swapaxes(0, 1)


def _shares(box: Box) -> Region:
    width, height = SIZE
    return box.left / width, box.top / height, box.width / width, box.height / height


if __name__ == "__main__":
    main()
