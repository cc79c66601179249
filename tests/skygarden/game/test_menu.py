"""The start menu's rules."""

import pytest

from envs.backend import SPAWNS
from envs.standin.characters import NAMES, SKINS
from skygarden.game.menu import ROWS, Menu


def after(*presses: str, menu: Menu | None = None) -> Menu:
    menu = menu or Menu()
    for press in presses:
        menu = menu.pressed(press)
    return menu


def test_it_opens_on_the_first_character_and_skin_and_any_start() -> None:
    menu = Menu()
    assert (menu.row, menu.character, menu.skin, menu.spawn) == (0, 0, 0, None)
    assert menu.words == ("ninja", "1", "any")


def test_rows_end_at_the_first_and_the_last() -> None:
    assert [after(*["DOWN"] * k).row for k in range(6)] == [0, 1, 2, 3, 3, 3]
    assert [after(*["DOWN"] * 3, *["UP"] * k).row for k in range(6)] == [3, 2, 1, 0, 0, 0]


def test_values_go_round() -> None:
    assert after("LEFT").words[0] == NAMES[-1]
    assert [after(*["RIGHT"] * k).character for k in range(len(NAMES) + 1)] == [*range(len(NAMES)), 0]
    assert [after("DOWN", *["RIGHT"] * k).words[1] for k in range(SKINS + 1)] == ["1", "2", "3", "1"]
    starts = [after("DOWN", "DOWN", *["RIGHT"] * k) for k in range(SPAWNS + 2)]
    assert [menu.words[2] for menu in starts] == ["any", "1", "2", "3", "4", "any"]
    assert [menu.spawn for menu in starts] == [None, 0, 1, 2, 3, None]


def test_a_row_changes_its_own_value_alone() -> None:
    assert after("DOWN", "RIGHT", menu=Menu(0, (4, 0, 2))).values == (4, 1, 2)


@pytest.mark.parametrize("press", ["B", "X", "START", "BACK", "ESCAPE"])
def test_other_presses_change_nothing(press: str) -> None:
    assert after(press) == Menu()


def test_the_row_to_play_from_has_no_value() -> None:
    play = Menu(ROWS.index("play"), (3, 2, 1))
    assert after("LEFT", "RIGHT", "RIGHT", menu=play) == play


def test_it_opens_again_on_the_first_row_with_what_was_chosen() -> None:
    assert Menu(2, (3, 2, 1)).opened() == Menu(0, (3, 2, 1))
