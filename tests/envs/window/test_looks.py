"""Laws of looks: which pixels a region is, and how far they are from a picture."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from envs.errors import ProfileError
from envs.window.locate import Rectangle
from envs.window.looks import difference, load_picture, middle_square, part_of, seen_part
from envs.window.profile import CaptureProfile


def test_a_region_is_shares_of_the_client_area():
    client = Rectangle(100, 50, 640, 480)
    assert part_of(client, (0.0, 0.0, 1.0, 1.0)) == client
    assert part_of(client, (0.125, 0.0, 0.75, 1.0)) == Rectangle(180, 50, 480, 480)
    assert part_of(client, (0.5, 0.5, 0.25, 0.5)) == Rectangle(420, 290, 160, 240)


def test_regions_that_touch_share_no_pixel_and_leave_none_out():
    client = Rectangle(3, 7, 101, 33)
    left, right = part_of(client, (0.0, 0.0, 0.3, 1.0)), part_of(client, (0.3, 0.0, 0.7, 1.0))
    assert left.left + left.width == right.left
    assert left.width + right.width == 101


def test_a_region_has_at_least_one_pixel():
    assert part_of(Rectangle(0, 0, 10, 10), (0.5, 0.5, 0.001, 0.001)) == Rectangle(5, 5, 1, 1)


@pytest.mark.parametrize(
    ("area", "square"),
    [
        (Rectangle(0, 0, 640, 480), Rectangle(80, 0, 480, 480)),
        (Rectangle(10, 20, 300, 500), Rectangle(10, 120, 300, 300)),
        (Rectangle(5, 5, 64, 64), Rectangle(5, 5, 64, 64)),
    ],
)
def test_the_middle_square(area: Rectangle, square: Rectangle):
    assert middle_square(area) == square


def test_the_square_that_is_seen_is_in_the_middle_of_the_region():
    client = Rectangle(100, 50, 640, 480)
    capture = CaptureProfile(region=(0.25, 0.0, 0.5, 1.0))
    assert seen_part(client, capture) == Rectangle(260, 50, 320, 480)
    assert seen_part(client, replace(capture, square=True)) == Rectangle(260, 130, 320, 320)


def test_the_difference_is_the_mean_of_colour_values():
    black = np.zeros((4, 4, 3), np.uint8)
    half = black.copy()
    half[:2] = 30
    assert difference(black, black) == 0.0
    assert difference(half, black) == difference(black, half) == 15.0


def test_a_larger_window_shows_the_same_look():
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (12, 16, 3), np.uint8)
    assert difference(picture.repeat(3, 0).repeat(3, 1), picture) == 0.0


def test_a_picture_is_read_with_red_first(tmp_path: Path):
    cv2.imwrite(str(tmp_path / "red.png"), np.full((2, 3, 3), (0, 0, 255), np.uint8))
    assert load_picture(tmp_path / "red.png").tolist() == [[[255, 0, 0]] * 3] * 2


@pytest.mark.parametrize("content", [b"", b"no picture"])
def test_what_is_no_picture_is_refused(tmp_path: Path, content: bytes):
    (tmp_path / "p.png").write_bytes(content)
    with pytest.raises(ProfileError, match="is no picture"):
        load_picture(tmp_path / "p.png")
