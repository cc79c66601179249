"""Where things are: nothing over the middle square, nothing over something else."""

import itertools

import pytest

from skygarden.game.layout import Box, menu_layout, play_layout

SIZES = [(640, 480), (800, 600), (1280, 720), (1920, 1080), (2560, 1080), (641, 479), (1366, 768)]
OTHERS = [(480, 480), (500, 800), (480, 640), (600, 480), (64, 64), (100, 80), (300, 64)]


def overlap(a: Box, b: Box) -> bool:
    beside = a.left + a.width <= b.left or b.left + b.width <= a.left
    return not (beside or a.top + a.height <= b.top or b.top + b.height <= a.top)


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_in_a_window_of_4_to_3_or_wider_nothing_covers_the_middle_square(width: int, height: int) -> None:
    layout = play_layout(width, height)
    square = Box((width - layout.square) // 2, 0, layout.square, height)
    assert layout.square == height
    assert not any(overlap(panel, square) for panel in layout.panels)


def test_in_a_high_window_they_are_above_and_below_it() -> None:
    layout = play_layout(480, 640)
    assert not any(overlap(panel, Box(0, 80, 480, 480)) for panel in layout.panels)


@pytest.mark.parametrize(("width", "height"), SIZES + OTHERS)
def test_everything_is_inside_and_nothing_lies_over_something_else(width: int, height: int) -> None:
    menu, play = menu_layout(width, height), play_layout(width, height)
    for boxes in ((menu.title, *menu.rows, menu.hint, menu.portrait), play.panels):
        assert all(b.left >= 0 and b.top >= 0 and b.width > 0 and b.height > 0 for b in boxes)
        assert all(b.left + b.width <= width and b.top + b.height <= height for b in boxes)
        assert not any(overlap(a, b) for a, b in itertools.combinations(boxes, 2))


@pytest.mark.parametrize(("width", "height"), [(1, 1), (7, 900)])
def test_a_window_too_small_for_anything_is_laid_out_as_if_it_were_larger(width: int, height: int) -> None:
    assert menu_layout(width, height) == menu_layout(max(64, width), max(64, height))
    assert play_layout(width, height).square == 64


def test_a_larger_window_of_the_same_shape_has_everything_in_the_same_place() -> None:
    small, large = menu_layout(640, 480), menu_layout(1280, 960)
    for a, b in zip(small.rows, large.rows, strict=True):
        assert all(abs(2 * x - y) <= 2 for x, y in zip(a, b, strict=True))
