"""The stand-in's profile knows the window of its own game."""

from itertools import combinations
from pathlib import Path

import cv2
import pytest

from envs.standin.characters import NAMES, SKINS
from envs.window.looks import difference, load_picture
from envs.window.profile import load_profile
from skygarden.standin_profile import FOLDER, pictures, regions


def test_the_pictures_are_what_the_game_draws_now():
    drawn = pictures()
    assert {path.name for path in FOLDER.glob("*.png")} == set(drawn)
    for name, picture in drawn.items():
        kept = load_picture(FOLDER / name)
        assert kept.shape == picture.shape
        assert cv2.absdiff(kept, picture).max() <= 2, f"{name} has changed: python -m skygarden.standin_profile"


def test_the_regions_are_where_the_game_draws_them():
    looks = load_profile("standin").looks
    assert set(looks) == set(regions())
    for name, region in regions().items():
        assert looks[name].region == pytest.approx(region, abs=1e-5)


@pytest.mark.parametrize("look", ["character", "skin", "start"])
def test_no_value_is_taken_for_another(look: str):
    tolerance = load_profile("standin").looks[look].tolerance
    drawn = {name: picture for name, picture in pictures().items() if name.startswith(f"{look}-") and "row" not in name}
    for one, other in combinations(drawn, 2):
        assert difference(drawn[one], drawn[other]) > 1.3 * tolerance, (one, other)


def test_everybody_can_be_chosen():
    profile = load_profile("standin")
    assert profile.cast.characters == NAMES
    assert profile.cast.skins == SKINS
    assert profile.chooses_spawn


def test_the_keyboards_profile_differs_in_its_driver_alone():
    gamepad, keyboard = load_profile("standin"), load_profile("standin-keyboard")
    assert (gamepad.pad.driver, keyboard.pad.driver) == ("gamepad", "keyboard")
    assert keyboard.looks == gamepad.looks
    assert Path(keyboard.looks["menu"].image).parent == FOLDER
