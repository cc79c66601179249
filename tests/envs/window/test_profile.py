"""Laws of a game's profile: what is in it, and what is refused with the place where it is wrong."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from envs.backend import Start
from envs.errors import ProfileError
from envs.window.profile import PROFILES, load_profile

WHOLE = """
name = "A game"

[window]
title = "^A game$"
launch = ["{python}", "game.py"]

[capture]
region = [0.0, 0.1, 1.0, 0.9]
square = true

[timing]
frozen = 2.0

[pad]
driver = "keyboard"
lease = 0.25

[pad.keys]
names = { A = "space", "LY+" = "w" }
pulse = 0.02

[pad.sticks]
left_dead_zone = 0.24
rescaled = false

[cast]
characters = ["monk", "ninja"]
skins = 2

[looks.menu]
region = [0.0, 0.0, 0.5, 0.5]
image = "menu.png"

[looks.chosen]
region = [0.5, 0.0, 0.5, 0.5]
image = "{character}-{skin}.png"
tolerance = 4.0

[reset]
attempts = 2

[[reset.steps]]
press = "START"
until = "menu"

[[reset.steps]]
press = "RIGHT"
until = "chosen"
every = 0.2
timeout = 9
"""


@pytest.fixture
def game(tmp_path: Path) -> Path:
    """The profile of a game with its pictures."""
    for name in ("menu", "monk-0", "monk-1", "ninja-0", "ninja-1"):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.zeros((2, 2, 3), np.uint8))
    (tmp_path / "game.toml").write_text(WHOLE, encoding="utf-8")
    return tmp_path / "game.toml"


def test_a_profile_says_what_the_file_says(game: Path):
    profile = load_profile(game)
    assert profile.name == "A game"
    assert profile.window.title == "^A game$"
    assert profile.window.launch == ("{python}", "game.py")
    assert profile.capture.region == (0.0, 0.1, 1.0, 0.9)
    assert profile.capture.square
    assert profile.capture.grabber == "mss"
    assert (profile.timing.frozen, profile.timing.black) == (2.0, 1.0)
    assert profile.pad.driver == "keyboard"
    assert profile.pad.keys.names == {"A": "space", "LY+": "w"}
    assert profile.pad.sticks.left_dead_zone == 0.24
    assert not profile.pad.sticks.rescaled
    assert profile.cast.characters == ("monk", "ninja")
    assert [step.until for step in profile.reset.steps] == ["menu", "chosen"]
    assert profile.detector is None


def test_a_look_has_a_picture_for_each_start(game: Path):
    profile = load_profile(game)
    assert profile.image("chosen", Start(3, "ninja", 1)) == game.parent / "ninja-1.png"
    assert profile.image("menu", Start(3, "ninja", 1)) == game.parent / "menu.png"


def test_a_reset_that_looks_for_the_spawn_has_chosen_it(game: Path):
    assert not load_profile(game).chooses_spawn
    for spawn in range(4):
        cv2.imwrite(str(game.parent / f"at-{spawn}.png"), np.zeros((2, 2, 3), np.uint8))
    game.write_text(game.read_text().replace("menu.png", "at-{spawn}.png"))
    assert load_profile(game).chooses_spawn


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ('title = "^A game$"', "", "say the game's window by title or process"),
        ('title = "^A game$"', 'title = "(("', "window.title is no regular expression"),
        ('title = "^A game$"', 'titel = "A game"', "window.titel: Unexpected keyword argument"),
        (
            "region = [0.0, 0.1, 1.0, 0.9]",
            "region = [0.0, 0.2, 1.0, 0.9]",
            "capture.region: left, top, width, height in",
        ),
        ("region = [0.0, 0.1, 1.0, 0.9]", "region = [0.0, 0.2, 1.0]", "capture.region.3: Field required"),
        ("region = [0.0, 0.0, 0.5, 0.5]", "region = [0, 0, 9, 9]", "looks.menu.region.2: .* than or equal to 1"),
        ("frozen = 2.0", "frozen = 0", "timing.frozen: .* greater than 0"),
        ('driver = "keyboard"', 'driver = "mouse"', "pad.driver: .* got 'mouse'"),
        ("lease = 0.25", "leese = 0.25", "pad.leese: Unexpected keyword argument"),
        ("left_dead_zone = 0.24", "left_dead_zone = 2.4", "left_dead_zone is a share of a stick's travel"),
        ('"LY+" = "w"', '"LZ+" = "w"', r"no key can stand for \['LZ\+'\]"),
        ("pulse = 0.02", "puls = 0.02", "pad.keys.puls: Unexpected keyword argument"),
        ('image = "menu.png"', 'image = "menus.png"', "files that are not there: .*menus.png"),
        ("{character}-{skin}", "{person}-{skin}", r"looks.chosen.image: unknown \['person'\]"),
        ("skins = 2", "skins = 3", "files that are not there: .*monk-2.png, .*ninja-2.png"),
        ('until = "menu"', 'until = "meny"', "reset step 1 waits for an unknown look 'meny'"),
        ('press = "START"', 'press = "GUIDE"', "reset step 1 presses 'GUIDE'; there are"),
        ('press = "RIGHT"', 'press = "FIRE"', "reset step 2 presses 'FIRE'"),
        ('name = "A game"', "name = A game", "cannot be read as TOML"),
        ('name = "A game"', "players = 4", "players: Unexpected keyword argument"),
        ('name = "A game"', "looks = 4", "cannot be read as TOML"),
        ("[reset]", '[jumppads]\ndetector = "pads.npz"\n[reset]', "files that are not there: .*pads.npz"),
    ],
)
def test_what_is_wrong_is_named(game: Path, before: str, after: str, reason: str):
    assert before in WHOLE
    game.write_text(WHOLE.replace(before, after, 1), encoding="utf-8")
    with pytest.raises(ProfileError, match=reason) as refused:
        load_profile(game)
    assert str(game) in str(refused.value)


def test_a_profile_extends_another_and_says_only_what_differs(game: Path):
    (game.parent / "further").mkdir()
    cv2.imwrite(str(game.parent / "further/other.png"), np.zeros((2, 2, 3), np.uint8))
    mine = game.parent / "further/mine.toml"
    mine.write_text(
        'extends = "../game.toml"\n[pad]\ndriver = "gamepad"\n[pad.keys.names]\nB = "x"\n'
        '[looks.menu]\nimage = "other.png"\n[capture]\nregion = [0, 0, 1, 1]'
    )
    profile, base = load_profile(mine), load_profile(game)
    assert profile.pad.driver == "gamepad"
    assert profile.pad.lease == base.pad.lease == 0.25
    assert profile.pad.keys.names == {"A": "space", "LY+": "w", "B": "x"}
    assert profile.capture.region == (0.0, 0.0, 1.0, 1.0)
    assert profile.reset == base.reset
    start = Start(0, "monk", 0)
    assert profile.image("menu", start) == mine.parent / "other.png"
    assert profile.image("chosen", start) == game.parent / "monk-0.png"
    assert profile.looks["menu"].region == base.looks["menu"].region


def test_profiles_that_extend_each_other_are_refused(tmp_path: Path):
    (tmp_path / "a.toml").write_text('extends = "b.toml"')
    (tmp_path / "b.toml").write_text('extends = "a.toml"')
    with pytest.raises(ProfileError, match=r"b.toml extends .*a.toml, which extends it"):
        load_profile(tmp_path / "a.toml")


def test_a_profile_that_is_not_there_is_said_to_be(tmp_path: Path):
    with pytest.raises(ProfileError, match=r"no profile .*none.toml; `skygarden calibrate` writes one"):
        load_profile(tmp_path / "none.toml")
    with pytest.raises(ProfileError, match=r"no profile 'quake'; name a .toml file, or one of .*standin"):
        load_profile("quake")


@pytest.mark.parametrize("name", sorted(path.parent.name for path in PROFILES.glob("*/profile.toml")))
def test_the_profiles_in_the_box_are_whole(name: str):
    profile = load_profile(name)
    # The pictures that a way to the start needs can be had from the game alone, and nobody here has this one.
    assert bool(profile.reset.steps) == (name != "bleeding-edge")


def test_the_profile_of_a_game_that_nobody_tried_says_so():
    profile = load_profile("bleeding-edge")
    assert "NOT TRIED" in (PROFILES / "bleeding-edge" / "profile.toml").read_text(encoding="utf-8")
    assert (profile.window.process, profile.pad.driver) == ("BleedingEdge.exe", "gamepad")
    assert (profile.pad.sticks.left_dead_zone, profile.pad.sticks.right_dead_zone) == (0.24, 0.265)


def test_what_is_commented_out_in_a_profile_in_the_box_is_right_too(tmp_path: Path):
    """Whoever takes the comment signs away must not find a mistake there."""
    text = (PROFILES / "bleeding-edge" / "profile.toml").read_text(encoding="utf-8")
    lines = [line.removeprefix("# ") if _is_toml(line) else line for line in text.splitlines()]
    for name in ("menu", "playing"):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.zeros((2, 2, 3), np.uint8))
    (tmp_path / "mine.toml").write_text("\n".join(lines), encoding="utf-8")
    profile = load_profile(tmp_path / "mine.toml")
    assert [(step.press, step.until) for step in profile.reset.steps] == [("START", "menu"), ("A", "playing")]
    assert profile.window.launch
    assert profile.pad.buttons == {"A": "B"}


def _is_toml(line: str) -> bool:
    return line.startswith("# [") or re.match(r"# \w+ = ", line) is not None
