"""The surfaces of the world: sixteen little pictures, painted by arithmetic."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from envs.standin.raster import TEXTURE_SIDE, TEXTURE_TEXELS

SIDE: Final = TEXTURE_SIDE
NAMES: Final = (
    "sky", "grass", "paving", "brick", "planks", "rock", "leaves", "bark",
    "pad", "plain", "sandstone", "slate", "tiles", "cloth", "needles", "metal",
)  # fmt: skip

Picture = NDArray[np.float64]  # (64, 64, 3), colours in [0, 255]


def texture(name: str) -> int:
    """A texture's number."""
    return NAMES.index(name)


def paint_textures(rng: np.random.Generator) -> NDArray[np.int32]:
    """All textures with their mip levels, as `raster.Look` takes them."""
    grass, leaves, needles = _noise(rng, 1.1), _noise(rng, 1.4), _noise(rng, 1.2)
    rock, bark = _noise(rng, 1.6), _noise(rng, 1.3)
    fine = _noise(rng, 0.6)
    across, down = np.meshgrid(np.arange(SIDE), np.arange(SIDE))
    chevron = ((across // 1 + np.abs(down - SIDE // 2)) // 8 % 2).astype(float)
    pictures: dict[str, Picture] = {
        "sky": _blend((74, 134, 214), (244, 247, 252), np.clip(_noise(rng, 1.9) * 2.2 - 0.75, 0, 1)),
        "grass": _blend((58, 104, 38), (142, 172, 74), 0.75 * grass + 0.25 * fine),
        "paving": _blocks(rng, (196, 190, 176), (116, 110, 100), 32, 32, 0, fine),
        "brick": _blocks(rng, (172, 150, 128), (92, 80, 72), 32, 16, 16, fine),
        "planks": _blocks(rng, (166, 122, 76), (78, 52, 32), 64, 11, 0, fine),
        "rock": _blend((84, 80, 82), (158, 152, 146), rock),
        "leaves": _blend((150, 150, 150), (255, 255, 255), leaves * leaves),
        "bark": _blend((72, 54, 40), (134, 108, 82), np.roll(bark, 7, 0) * 0.4 + np.mean(bark, 0, keepdims=True) * 0.6),
        "pad": _blend((250, 200, 20), (58, 48, 20), chevron),
        "plain": np.full((SIDE, SIDE, 3), 255.0),
        "sandstone": _blocks(rng, (214, 178, 128), (150, 112, 76), 64, 21, 32, fine),
        "slate": _blocks(rng, (122, 134, 152), (70, 78, 94), 21, 21, 10, fine),
        "tiles": _blocks(rng, (186, 92, 66), (112, 48, 38), 16, 16, 8, fine),
        "cloth": _blend((214, 214, 214), (255, 255, 255), (across + down) % 4 / 3.0),
        "needles": _blend((132, 132, 132), (255, 255, 255), needles),
        "metal": _blend((150, 154, 160), (210, 214, 220), np.mean(fine, 1, keepdims=True) + 0 * fine),
    }
    return np.concatenate([_mip_levels(pictures[name]) for name in NAMES])


def _noise(rng: np.random.Generator, roughness: float) -> NDArray[np.float64]:
    """A tileable random field in [0, 1]; a larger exponent is smoother."""
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(SIDE), np.fft.fftfreq(SIDE))) * SIDE
    spectrum = np.fft.fft2(rng.standard_normal((SIDE, SIDE))) / np.maximum(frequency, 1.0) ** roughness
    spectrum[0, 0] = 0.0
    field = np.real(np.fft.ifft2(spectrum))
    low, high = np.percentile(field, [2, 98])
    return np.clip((field - low) / (high - low), 0.0, 1.0)


def _blend(dark: tuple[int, int, int], light: tuple[int, int, int], amount: NDArray[np.float64]) -> Picture:
    return np.array(dark) + amount[..., None] * (np.array(light, float) - np.array(dark))


def _blocks(
    rng: np.random.Generator,
    stone: tuple[int, int, int],
    joint: tuple[int, int, int],
    width: int,
    height: int,
    shift: int,
    grain: NDArray[np.float64],
) -> Picture:
    """Courses of blocks with joints, every second course shifted."""
    down, across = np.divmod(np.arange(SIDE * SIDE).reshape(SIDE, SIDE), SIDE)
    course = down // height
    along = (across + course % 2 * shift) % SIDE
    shade = rng.uniform(0.82, 1.06, (SIDE, SIDE))[course, along // width]
    in_joint = (down % height < 2) | (along % width < 2)
    picture = np.array(stone) * (shade * (0.86 + 0.2 * grain))[..., None]
    return np.where(in_joint[..., None], np.array(joint) * (0.8 + 0.3 * grain)[..., None], picture)


def _mip_levels(picture: Picture) -> NDArray[np.int32]:
    """The picture and its halvings, packed as 0x00BBGGRR."""
    levels: list[NDArray[np.int32]] = []
    while True:
        channels = np.clip(np.rint(picture), 0, 255).astype(np.int32)
        levels.append((channels[..., 0] | channels[..., 1] << 8 | channels[..., 2] << 16).ravel())
        if len(picture) == 1:
            break
        half = len(picture) // 2
        picture = picture.reshape(half, 2, half, 2, 3).mean((1, 3))
    packed = np.concatenate(levels)
    return np.concatenate([packed, np.zeros(TEXTURE_TEXELS - len(packed), np.int32)])
