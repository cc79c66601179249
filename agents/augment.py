"""The image augmentations of VPT (arXiv 2206.11795), one draw for all frames of a window.

Colour is one affine map of RGB: hue and saturation in the plane across the grey axis, brightness, contrast about the
mean grey of every eighth frame. Turning hue in that plane keeps it linear, where a turn in HSV is not; the range is the
same. Geometry is one bilinear warp about the centre, which repeats the border. Both are one kernel (`warp.py`).
"""

from dataclasses import dataclass, fields
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from agents.warp import LEAST_SIDE, colour_and_warp, is_gentle, make_scratch
from envs.errors import DataError, OptionError

# RGB to luma and two axes of colour difference (YIQ, rounded as in the NTSC standard).
YIQ: Final = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])


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

_SAMPLED: Final = 8  # frames, of which one is read for the mean grey: to read all takes a tenth of the time


@dataclass(frozen=True, slots=True)
class Draw:
    """What a draw does to a frame."""

    colour: NDArray[np.float64]  # (3, 3), RGB to RGB
    contrast: float  # factor about the mean grey
    warp: NDArray[np.float64]  # (2, 3), a pixel of the result to the pixel it shows


def draw(config: AugmentConfig, side: int, rng: np.random.Generator) -> Draw:
    """Draw an augmentation for square frames of `side` pixels."""
    u = rng.uniform(-1.0, 1.0, 9)
    angle, saturation = 2 * np.pi * config.hue * u[0], 1 + config.saturation * u[1]
    turn = saturation * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    plane = np.eye(3)
    plane[1:, 1:] = turn
    colour = (1 + config.brightness * u[2]) * (np.linalg.inv(YIQ) @ plane @ YIQ)

    rotation, shear = np.radians(config.rotation * u[4]), np.tan(np.radians(config.shear * u[6]))
    linear = np.array([[np.cos(rotation), -np.sin(rotation)], [np.sin(rotation), np.cos(rotation)]])
    linear = linear @ np.array([[1.0, shear], [0.0, 1.0]]) * (1 + config.scale * u[5])
    centre = np.full(2, (side - 1) / 2)
    offset = centre - linear @ centre + config.translation * u[7:]
    return Draw(colour, float(1 + config.contrast * u[3]), np.column_stack((linear, offset)))


def apply(frames: NDArray[np.uint8], drawn: Draw, out: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
    """Augment the frames of a window alike.

    Args: frames: (T, S, S, 3) uint8, RGB, S at least 4. out: the same, contiguous, to write to; default: new.
    Returns: (T, S, S, 3) uint8.
    Raises: DataError: the frames or `out` are of another shape or type.
    """
    result = np.empty(frames.shape, np.uint8) if out is None else out
    side = frames.shape[1]
    fits = frames.shape == (len(frames), side, side, 3) == result.shape and side >= LEAST_SIDE
    if not fits or not frames.dtype == result.dtype == np.uint8 or not result.flags.c_contiguous:
        raise DataError(
            f"augmenting takes (T, S, S, 3) uint8 frames, S at least {LEAST_SIDE}, and a contiguous array like them to "
            f"write to; got {frames.shape} {frames.dtype} and {result.shape} {result.dtype}"
        )
    mean = np.mean([cv2.mean(frame)[:3] for frame in frames[::_SAMPLED]], axis=0)
    grey = YIQ[0] @ drawn.colour @ mean
    colour = np.column_stack((drawn.contrast * drawn.colour, np.full(3, (1 - drawn.contrast) * grey)))
    source = frames.reshape(-1)
    source.setflags(write=False)  # whether or not it was: the kernel is compiled for one of the two
    colour_and_warp(source, side, colour, drawn.warp, is_gentle(drawn.warp), make_scratch(side), result.reshape(-1))
    return result


def augment(frames: NDArray[np.uint8], config: AugmentConfig, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw once and augment the frames of a window, (T, S, S, 3) uint8."""
    return apply(frames, draw(config, frames.shape[1], rng))
