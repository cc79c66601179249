"""Whether a part of the window looks like a picture."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from envs.errors import ProfileError
from envs.window.locate import Rectangle
from envs.window.profile import CaptureProfile, Region


def part_of(client: Rectangle, region: Region) -> Rectangle:
    """The pixels of a region, at least one each way."""
    left, top, width, height = region
    x, y = round(client.left + left * client.width), round(client.top + top * client.height)
    right = round(client.left + (left + width) * client.width)
    bottom = round(client.top + (top + height) * client.height)
    return Rectangle(x, y, max(1, right - x), max(1, bottom - y))


def middle_square(area: Rectangle) -> Rectangle:
    """The largest square in the middle of an area."""
    side = min(area.width, area.height)
    return Rectangle(area.left + (area.width - side) // 2, area.top + (area.height - side) // 2, side, side)


def seen_part(client: Rectangle, capture: CaptureProfile) -> Rectangle:
    """What the agent sees of the client area."""
    part = part_of(client, capture.region)
    return middle_square(part) if capture.square else part


def load_picture(path: Path) -> NDArray[np.uint8]:
    """A picture from a file, (H, W, 3) uint8, RGB.

    Raises: ProfileError: it is none.
    """
    data = np.frombuffer(path.read_bytes(), np.uint8)
    picture = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if picture is None:
        raise ProfileError(f"{path} is no picture; take it anew with `skygarden calibrate`")
    return np.ascontiguousarray(picture[..., ::-1], np.uint8)


def difference(pixels: NDArray[np.uint8], picture: NDArray[np.uint8]) -> float:
    """The mean difference of colour values, 0 to 255, at the picture's size.

    Args: pixels, picture: (H, W, 3) uint8, of any two sizes.
    """
    height, width = picture.shape[:2]
    if pixels.shape != picture.shape:
        pixels = np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    return float(np.mean(cv2.absdiff(pixels, picture)))
