"""The thirteen playable characters: their builds, their gear, and the colours of their skins."""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.standin.raster import material
from envs.standin.textures import texture

Colour = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Character:
    """A build. Sizes are shares of an ordinary one; gear is in metres."""

    name: str
    pace: float  # share of the running speed
    height: float = 1.0
    bulk: float = 1.0
    head: float = 1.0
    hat: tuple[float, float] = (0.0, 0.0)  # height and half width of what is on the head
    weapon: tuple[float, float] = (0.0, 0.0)  # length and half width of what is in the right hand
    pack: float = 0.0  # half depth of what is on the back
    skin: Colour = (0.92, 0.72, 0.58)
    outfits: tuple[tuple[Colour, Colour, Colour], ...] = ()  # for each skin: coat, trousers, trim


_NIGHT: Final[Colour] = (0.16, 0.17, 0.24)
_BONE: Final[Colour] = (0.92, 0.9, 0.82)
_RUST: Final[Colour] = (0.7, 0.32, 0.16)
_MOSS: Final[Colour] = (0.32, 0.46, 0.22)
_SEA: Final[Colour] = (0.12, 0.46, 0.58)
_ROSE: Final[Colour] = (0.86, 0.36, 0.5)
_GOLD: Final[Colour] = (0.95, 0.75, 0.2)
_PLUM: Final[Colour] = (0.44, 0.2, 0.52)
_SNOW: Final[Colour] = (1.1, 1.1, 1.12)
_COAL: Final[Colour] = (0.08, 0.08, 0.09)
_BLOOD: Final[Colour] = (0.68, 0.1, 0.12)
_SKY: Final[Colour] = (0.4, 0.64, 0.95)

CHARACTERS: Final = (
    Character("ninja", 1.0, 0.98, 0.92, hat=(0.1, 0.16), weapon=(0.95, 0.03),
              outfits=((_NIGHT, _COAL, _BLOOD), (_BONE, _NIGHT, _SEA), (_BLOOD, _COAL, _GOLD))),
    Character("brute", 0.96, 1.16, 1.5, 0.95, weapon=(1.1, 0.12), skin=(0.62, 0.7, 0.5),
              outfits=((_RUST, _COAL, _GOLD), (_MOSS, _RUST, _BONE), (_SEA, _COAL, _SNOW))),
    Character("witch", 1.0, 1.0, 0.9, hat=(0.5, 0.2), weapon=(1.4, 0.035), skin=(0.8, 0.86, 0.72),
              outfits=((_PLUM, _NIGHT, _MOSS), (_COAL, _PLUM, _ROSE), (_SEA, _NIGHT, _BONE))),
    Character("gunner", 0.99, 1.04, 1.08, hat=(0.08, 0.26), weapon=(0.75, 0.07),
              outfits=((_RUST, _NIGHT, _BONE), (_MOSS, _COAL, _GOLD), (_SKY, _NIGHT, _SNOW))),
    Character("medic", 1.0, 0.97, 0.95, hat=(0.12, 0.15), pack=0.14, skin=(0.5, 0.34, 0.26),
              outfits=((_SNOW, _BONE, _BLOOD), (_SKY, _SNOW, _SEA), (_ROSE, _BONE, _SNOW))),
    Character("tinker", 0.98, 0.86, 1.12, 1.12, hat=(0.14, 0.18), weapon=(0.6, 0.1), pack=0.2,
              outfits=((_GOLD, _RUST, _COAL), (_SKY, _NIGHT, _GOLD), (_MOSS, _COAL, _RUST))),
    Character("monk", 1.01, 1.02, 0.98, weapon=(1.7, 0.03), skin=(0.72, 0.5, 0.36),
              outfits=((_RUST, _GOLD, _BLOOD), (_BONE, _RUST, _GOLD), (_PLUM, _GOLD, _SNOW))),
    Character("viper", 1.02, 1.06, 0.82, hat=(0.2, 0.12), weapon=(0.5, 0.03), skin=(0.56, 0.78, 0.56),
              outfits=((_MOSS, _NIGHT, _GOLD), (_COAL, _MOSS, _ROSE), (_SEA, _COAL, _SKY))),
    Character("pilot", 1.0, 1.0, 1.0, 1.06, hat=(0.16, 0.19), pack=0.17,
              outfits=((_SEA, _BONE, _GOLD), (_BLOOD, _COAL, _BONE), (_BONE, _SEA, _RUST))),
    Character("giant", 0.96, 1.26, 1.36, 0.85, pack=0.1, skin=(0.62, 0.64, 0.7),
              outfits=((_COAL, _RUST, _SKY), (_BONE, _COAL, _BLOOD), (_PLUM, _COAL, _GOLD))),
    Character("dancer", 1.02, 1.0, 0.82, hat=(0.3, 0.09), weapon=(0.45, 0.05), skin=(0.58, 0.4, 0.3),
              outfits=((_ROSE, _PLUM, _GOLD), (_SKY, _SNOW, _ROSE), (_GOLD, _BLOOD, _SNOW))),
    Character("knight", 0.97, 1.06, 1.26, 1.05, hat=(0.12, 0.17), weapon=(1.15, 0.06), skin=(0.7, 0.72, 0.76),
              outfits=((_BONE, _COAL, _BLOOD), (_NIGHT, _COAL, _SKY), (_GOLD, _RUST, _BONE))),
    Character("scout", 1.02, 0.9, 0.88, 1.08, hat=(0.07, 0.22), pack=0.12,
              outfits=((_MOSS, _RUST, _BONE), (_ROSE, _NIGHT, _SNOW), (_SKY, _MOSS, _GOLD))),
)  # fmt: skip
NAMES: Final = tuple(c.name for c in CHARACTERS)
SKINS: Final = 3

# Columns of Wardrobe.build, and rows of Wardrobe.colours.
HEIGHT, BULK, HEAD, HAT_HEIGHT, HAT_WIDTH, WEAPON_LENGTH, WEAPON_WIDTH, PACK, PACE = range(9)
SKIN, COAT, TROUSERS, TRIM, DARK, STEEL = range(6)


class Wardrobe(NamedTuple):
    """All characters as arrays, for kernels."""

    build: NDArray[np.float64]  # (13, 9)
    colours: NDArray[np.int32]  # (13, SKINS, 6) materials


def _build(c: Character) -> tuple[float, ...]:
    return (c.height, c.bulk, c.head, *c.hat, *c.weapon, c.pack, c.pace)


def _colours(c: Character, skin: int) -> list[int]:
    coat, trousers, trim = c.outfits[skin]
    cloth = texture("cloth")
    return [
        material(texture("plain"), *c.skin),
        material(cloth, *coat),
        material(cloth, *trousers),
        material(cloth, *trim),
        material(cloth, 0.14, 0.12, 0.12),
        material(texture("metal"), 1.0, 1.0, 1.05),
    ]


WARDROBE: Final = Wardrobe(
    np.array([_build(c) for c in CHARACTERS]),
    np.array([[_colours(c, skin) for skin in range(SKINS)] for c in CHARACTERS], np.int32),
)
