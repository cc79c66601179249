"""Which window is recorded, and what of it: said by a profile, or by a title or a process."""

from pathlib import Path

import pytest

from envs.errors import OptionError, ProfileError
from envs.window.locate import Rectangle
from envs.window.pad import SticksConfig
from skygarden.record import game_of
from skygarden.recording.keyboard import KEYS

CLIENT = Rectangle(100, 50, 640, 480)


def test_a_profile_says_all_that_is_recorded(tmp_path: Path):
    path = tmp_path / "game.toml"
    path.write_text("""
        [window]
        title = "^A game$"
        process = "game.exe"
        [capture]
        region = [0.25, 0.0, 0.5, 1.0]
        square = true
        grabber = "dxcam"
        [pad.sticks]
        left_dead_zone = 0.2
        [pad.keys.names]
        A = "x"
    """)
    game = game_of(str(path), None, None)
    assert (game.title, game.process, game.grabber, game.keys) == ("^A game$", "game.exe", "dxcam", {"A": "x"})
    assert game.sticks == SticksConfig(left_dead_zone=0.2)
    assert game.part(CLIENT) == Rectangle(260, 130, 320, 320)


def test_the_profile_in_the_box_is_recorded_as_its_agents_see_it():
    game = game_of("standin", None, None)
    assert game.part(CLIENT) == Rectangle(180, 50, 480, 480)
    assert game.keys.items() <= KEYS.items()


def test_a_profile_without_keys_leaves_those_of_the_stand_in(tmp_path: Path):
    path = tmp_path / "game.toml"
    path.write_text('[window]\ntitle = "^A game$"')
    assert game_of(str(path), None, None).keys == KEYS


def test_without_a_profile_the_whole_window_is_recorded():
    game = game_of(None, "^A game$", "game.exe")
    assert (game.title, game.process, game.keys) == ("^A game$", "game.exe", KEYS)
    assert game.part(CLIENT) == CLIENT


def test_what_is_said_twice_or_not_at_all_is_refused():
    with pytest.raises(OptionError, match="--profile standin says which window is recorded; leave out --title"):
        game_of("standin", "^A game$", None)
    with pytest.raises(OptionError, match="leave out --title and --process"):
        game_of("standin", "^A game$", "game.exe")
    with pytest.raises(OptionError, match="--profile, --title or --process"):
        game_of(None, None, None)
    with pytest.raises(ProfileError, match="there is no profile 'stand'"):
        game_of("stand", None, None)
