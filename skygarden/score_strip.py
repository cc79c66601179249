"""Draws the curve of a score below a picture: as wide as an episode is long, from 0 at the bottom to 1 at the top."""

from collections.abc import Sequence
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from envs.task import MAX_STEPS
from skygarden.pictures import COLOURS

HEIGHT: Final = 128  # pixels

_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 128, 30, 12  # pixels around the plot
_GROUND, _GRID, _TEXT, _CURVE = (24, 26, 31), (66, 70, 80), (200, 204, 212), (250, 250, 250)
_FONT: Final = cv2.FONT_HERSHEY_SIMPLEX
_FRACTION: Final = 4  # bits of a pixel's fraction that curves are drawn with

Picture = NDArray[np.uint8]


def score_strip(width: int, scores: Sequence[float], title: str, ending: str | None = None) -> Picture:
    """The scores of an episode so far, (HEIGHT, width, 3) uint8.

    Args: scores: by step, at least one; drawn between 0 and 1, and the last as a number as it is. ending: what the
      episode ended with, a pad or "none"; None while it is played.
    """
    strip = np.full((HEIGHT, width, 3), _GROUND, np.uint8)
    points = curve(width, scores)
    for value in (0.0, 0.5, 1.0):
        (x, y), (right, _) = curve(width, [value] * (MAX_STEPS + 1))[[0, -1]].round().astype(int).tolist()
        cv2.line(strip, (x, y), (right, y), _GRID)
        _write(strip, f"{value:g}", (8, y + 5), 0.45, _TEXT)
    _write(strip, title, (_LEFT, 19), 0.55, _TEXT)
    fixed = (points * 2**_FRACTION).round().astype(np.int32)
    cv2.polylines(strip, [fixed], False, _CURVE, 2, cv2.LINE_AA, _FRACTION)
    colour = _CURVE if ending is None else _light(COLOURS[None if ending == "none" else ending])
    place: Any = fixed[-1].tolist()
    cv2.circle(strip, place, (4 if ending is None else 7) << _FRACTION, colour, -1, cv2.LINE_AA, _FRACTION)
    _write(strip, f"{scores[-1]:.2f}", (width - _RIGHT + 24, 72), 0.9, _CURVE, 2)
    if ending is not None:
        _write(strip, "no pad" if ending == "none" else f"{ending} pad", (width - _RIGHT + 24, 102), 0.6, colour)
    return strip


def curve(width: int, scores: Sequence[float]) -> NDArray[np.float64]:
    """Where on a strip scores lie, (N, 2): x and y in pixels; those beyond 0 and 1 on the edge."""
    across, down = width - _LEFT - _RIGHT, HEIGHT - _TOP - _BOTTOM
    x = _LEFT + across * np.arange(len(scores)) / MAX_STEPS
    return np.stack((x, _TOP + down * (1 - np.clip(np.array(scores, np.float64), 0, 1))), 1)


def _light(colour: str) -> tuple[int, int, int]:
    """A colour such as #d1495b as numbers, lighter, for the dark ground."""
    red, green, blue = ((3 * value + 255) // 4 for value in bytes.fromhex(colour[1:]))
    return red, green, blue


def _write(
    strip: Picture, text: str, at: tuple[int, int], size: float, colour: tuple[int, int, int], weight: int = 1
) -> None:
    cv2.putText(strip, text, at, _FONT, size, colour, weight, cv2.LINE_AA)
