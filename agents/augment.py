"""The image augmentations of VPT (arXiv 2206.11795), one draw for all frames of a window.

Geometry is one bilinear warp about the centre, which repeats the border. Then colour is one affine map of RGB: hue and
saturation in the plane across the grey axis, brightness, contrast about the mean grey of every eighth frame. Turning
hue in that plane keeps it linear, where a turn in HSV is not; the range is the same. Both are one kernel (`warp.py`).
"""

import threading
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agents.warp import LEAST_SIDE, LUMA, Scratch, is_gentle, make_scratch, warp_and_colour
from envs.errors import DataError, OptionError

# RGB to luma and two axes of colour difference (YIQ, rounded as in the NTSC standard).
YIQ: Final = np.array([LUMA, [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
_RGB: Final = np.linalg.inv(YIQ)  # the other way round


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """How far each setting is drawn from neutral, uniformly and both ways; all 0 changes nothing. Defaults: VPT's."""

    hue: float = 0.2  # turns of the colour circle
    saturation: float = 0.2  # of a factor about 1, as the next two
    brightness: float = 0.2
    contrast: float = 0.2
    rotation: float = 2.0  # degrees
    scale: float = 0.02  # of a factor about 1
    shear: float = 2.0  # degrees, along x
    translation: float = 2.0  # pixels, along x and along y

    def __post_init__(self) -> None:
        strengths = [getattr(self, field.name) for field in fields(self)]
        if min(strengths) < 0 or max(self.saturation, self.brightness, self.contrast, self.scale) >= 1:
            raise OptionError(f"augmentations take strengths of 0 or more, and factors less than 1, got {self}")


VPT: Final = AugmentConfig()

_threads: Final = threading.local()  # each with its scratches, by the frames' side


@dataclass(frozen=True, slots=True)
class Draw:
    """What a draw does to a frame."""

    colour: NDArray[np.float64]  # (3, 3), RGB to RGB
    contrast: float  # factor about the mean grey
    warp: NDArray[np.float64]  # (2, 3), a pixel of the result to the pixel it shows


def draw(config: AugmentConfig, side: int, count: int, rng: np.random.Generator) -> list[Draw]:
    """Draw augmentations of `count` windows, for square frames of `side` pixels."""
    u = rng.uniform(-1.0, 1.0, (count, 9))
    planes = np.tile(np.eye(3), (count, 1, 1))
    planes[:, 1:, 1:] = _turns(2 * np.pi * config.hue * u[:, 0]) * (1 + config.saturation * u[:, 1, None, None])
    colours = (1 + config.brightness * u[:, 2, None, None]) * (_RGB @ planes @ YIQ)
    contrasts = (1 + config.contrast * u[:, 3]).tolist()

    shears = np.tile(np.eye(2), (count, 1, 1))
    shears[:, 0, 1] = np.tan(np.radians(config.shear * u[:, 6]))
    warps = np.empty((count, 2, 3))
    warps[:, :, :2] = _turns(np.radians(config.rotation * u[:, 4])) @ shears * (1 + config.scale * u[:, 5, None, None])
    centre = (side - 1) / 2
    warps[:, :, 2] = centre - centre * warps[:, :, :2].sum(2) + config.translation * u[:, 7:]
    return [Draw(*drawn) for drawn in zip(colours, contrasts, warps, strict=True)]


def _turns(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotations of a plane, (N, 2, 2)."""
    cosines, sines = np.cos(angles), np.sin(angles)
    return np.stack((cosines, -sines, sines, cosines), 1).reshape(-1, 2, 2)


def apply(frames: NDArray[np.uint8], drawn: Draw, out: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
    """Augment the frames of a window alike.

    Args: frames: (T, S, S, 3) uint8, RGB, S at least 4. out: the same, contiguous, to write to, and other memory;
      default: new.
    Returns: (T, S, S, 3) uint8.
    Raises: DataError: the frames or `out` are of another shape or type, or share memory.
    """
    result = np.empty(frames.shape, np.uint8) if out is None else out
    side = frames.shape[1]
    fits = frames.shape == (len(frames), side, side, 3) == result.shape and side >= LEAST_SIDE
    if not fits or not frames.dtype == result.dtype == np.uint8 or not result.flags.c_contiguous:
        raise DataError(
            f"augmenting takes (T, S, S, 3) uint8 frames, S at least {LEAST_SIDE}, and a contiguous array like them to "
            f"write to; got {frames.shape} {frames.dtype} and {result.shape} {result.dtype}"
        )
    if np.may_share_memory(frames, result):
        raise DataError(
            "augmenting reads frames while it writes others, so `out` has to be other memory than the frames"
        )
    source = frames.reshape(-1)
    source.setflags(write=False)  # whether or not it was: the kernel is compiled for one of the two
    gentle = is_gentle(drawn.warp, side)
    warp_and_colour(source, side, drawn.colour, drawn.contrast, drawn.warp, gentle, _scratch(side), result.reshape(-1))
    return result


def _scratch(side: int) -> Scratch:
    """This thread's memory for frames of a side."""
    made: dict[int, Scratch] = _threads.__dict__.setdefault("scratch", {})
    if side not in made:
        made[side] = make_scratch(side)
    return made[side]


def augment(frames: NDArray[np.uint8], config: AugmentConfig, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw once and augment the frames of a window, (T, S, S, 3) uint8."""
    return apply(frames, draw(config, frames.shape[1], 1, rng)[0])
