"""What is on the screen: by looking at pixels alone one can tell menu from play, and what is chosen."""

import itertools

import numpy as np
import pygame
import pytest
from numpy.typing import NDArray

from envs.standin.replay import stage_of
from envs.standin.simulation import Stage, picture_of
from skygarden.game.journal import Journal
from skygarden.game.layout import Box, menu_layout, play_layout
from skygarden.game.menu import Menu
from skygarden.game.session import Session
from skygarden.game.view import View
from skygarden.hands import Touch

Pixels = NDArray[np.uint8]
SIZES = [(640, 480), (1280, 720), (480, 480), (500, 800)]


@pytest.fixture(scope="module")
def stage() -> Stage:
    return stage_of(0)


def session_of(stage: Stage, *presses: str) -> Session:
    session = Session(stage, np.random.default_rng(0), Journal(None))
    session.update(Touch(presses=presses), 0)
    return session


def seen(view: View, session: Session) -> Pixels:
    """The pixels of a surface of the view's size, (height, width, 3)."""
    surface = pygame.Surface(view.size)
    view.draw(surface, session)
    return np.frombuffer(pygame.image.tobytes(surface, "RGB"), np.uint8).reshape(view.size[1], view.size[0], 3)


def part(pixels: Pixels, box: Box) -> Pixels:
    return pixels[box.top : box.top + box.height, box.left : box.left + box.width]


@pytest.mark.parametrize(("width", "height"), [(640, 480), (1280, 720), (500, 375)])
def test_the_middle_square_of_play_is_what_a_square_picture_shows(stage: Stage, width: int, height: int) -> None:
    session = session_of(stage, "DOWN", "DOWN", "RIGHT", "A")
    drawn = seen(View(stage, width, height), session)
    assert session.life is not None
    square = picture_of(stage, session.life.body, 0, 0, height, height)
    left = (width - height) // 2
    apart = np.abs(drawn[:, left : left + height].astype(int) - square).max(-1)
    assert np.mean(apart > 2) < 0.001


@pytest.mark.parametrize("size", SIZES)
def test_the_emblem_stays_whoever_plays_and_is_not_in_the_menu(stage: Stage, size: tuple[int, int]) -> None:
    emblem = play_layout(*size).emblem
    view = View(stage, *size)
    playing = session_of(stage, "RIGHT", "DOWN", "RIGHT", "START")
    first = part(seen(view, playing), emblem)
    assert first.std() > 20
    playing.update(Touch(presses=("START", "LEFT", "DOWN", "DOWN", "RIGHT", "START")), 10)
    assert np.array_equal(part(seen(view, playing), emblem), first)
    assert not np.array_equal(part(seen(view, session_of(stage)), emblem), first)


@pytest.mark.parametrize("size", [(640, 480), (500, 800)])
def test_each_row_tells_its_value_and_whether_it_is_chosen(stage: Stage, size: tuple[int, int]) -> None:
    """No two looks of a row are alike; and a row looks the same whatever the other rows hold."""
    view, rows = View(stage, *size), menu_layout(*size).rows
    session = session_of(stage)
    for row, values in enumerate((13, 3, 5)):
        looks: dict[tuple[int, bool], Pixels] = {}
        for value, chosen in itertools.product(range(values), (True, False)):
            held = [2, 1, 1]
            held[row] = value
            session.menu = Menu(row if chosen else (row + 1) % 4, (held[0], held[1], held[2]))
            looks[value, chosen] = part(seen(view, session), rows[row]).astype(int)
            held = [5, 2, 0]
            held[row] = value
            session.menu = Menu(row if chosen else (row + 1) % 4, (held[0], held[1], held[2]))
            assert np.array_equal(part(seen(view, session), rows[row]), looks[value, chosen])
        for a, b in itertools.combinations(looks.values(), 2):
            assert np.mean(np.abs(a - b).max(-1) > 60) > 0.005


def test_the_picture_shows_the_chosen_character_and_skin(stage: Stage) -> None:
    view, box = View(stage, 640, 480), menu_layout(640, 480).portrait
    session = session_of(stage)
    looks: list[Pixels] = []
    for character, skin in itertools.product(range(13), range(3)):
        session.menu = Menu(0, (character, skin, 0))
        looks.append(part(seen(view, session), box))
    for a, b in itertools.combinations(looks, 2):
        assert np.mean(np.abs(a.astype(int) - b).max(-1) > 24) > 0.003


def test_the_menu_is_still(stage: Stage) -> None:
    view, session = View(stage, 640, 480), session_of(stage, "DOWN")
    first = seen(view, session)
    session.update(Touch(), 100)
    assert np.array_equal(seen(view, session), first)
    assert np.array_equal(seen(View(stage, 640, 480), session), first)


@pytest.mark.parametrize("size", [(64, 64), (1, 1), (2000, 30)])
def test_a_tiny_window_is_drawn_as_well_as_can_be(stage: Stage, size: tuple[int, int]) -> None:
    view = View(stage, *size)
    for presses in ((), ("A",)):
        assert seen(view, session_of(stage, *presses)).shape == (size[1], size[0], 3)
