"""The game as people have it: a window on a screen, keys that are pressed, and what the log says came of it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skygarden.game.layout import menu_layout, play_layout
from skygarden.game.paint import GOLD

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Xvfb is for Linux")
WAIT = 120.0  # seconds, generous: kernels may have to be compiled on a busy machine


def until(holds: Callable[[], Any], what: str) -> Any:
    """Wait until something is so; returns it."""
    end = time.monotonic() + WAIT
    while time.monotonic() < end:
        found = holds()
        if found:
            return found
        time.sleep(0.02)
    pytest.fail(f"waited {WAIT:.0f} s for {what}")


class Player:
    """Presses keys on a display, looks at its screen and reads a game's log; knows nothing else of the game."""

    def __init__(self, display: str, log: Path) -> None:
        from Xlib import XK, X
        from Xlib.display import Display
        from Xlib.ext import xtest

        self._x, self._keysyms, self._xtest = X, XK, xtest
        self._display: Any = Display(display)
        self._log = log

    def key(self, name: str, down: bool) -> None:
        code = self._display.keysym_to_keycode(self._keysyms.string_to_keysym(name))
        assert code, f"no key {name}"
        self._xtest.fake_input(self._display, self._x.KeyPress if down else self._x.KeyRelease, code)
        self._display.sync()

    def tap(self, *names: str) -> None:
        for name in names:
            self.key(name, True)
            self.key(name, False)
            time.sleep(0.005)  # SDL takes a key that is down again within 2 ms for one that repeats

    @property
    def window(self) -> Any:
        """The game's, found by its title."""
        title = self._display.intern_atom("_NET_WM_NAME")
        for window in self._display.screen().root.query_tree().children:
            name = window.get_full_property(title, self._x.AnyPropertyType)
            if name is not None and name.value == b"Skygarden":
                return window
        pytest.fail("no window is titled Skygarden")

    def look(self) -> np.ndarray:
        """The window's pixels, (height, width, 3) RGB."""
        place = self.window.get_geometry()
        image = self.window.get_image(0, 0, place.width, place.height, self._x.ZPixmap, 0xFFFFFFFF)
        return np.frombuffer(image.data, np.uint8).reshape(place.height, place.width, 4)[..., 2::-1]

    def colour(self, left: int, top: int) -> tuple[int, ...]:
        return tuple(int(c) for c in self.look()[top, left])

    def events(self, *names: str) -> list[dict[str, Any]]:
        """What the log has, of these names or of all."""
        lines = self._log.read_text(encoding="utf-8").splitlines() if self._log.exists() else []
        found = [json.loads(line) for line in lines]
        return [event for event in found if not names or event["event"] in names]

    def turn_away(self) -> None:
        """Take the focus from every window."""
        self._display.set_input_focus(self._x.NONE, self._x.RevertToNone, self._x.CurrentTime)
        self._display.sync()

    def close(self) -> None:
        self._display.close()


Game = tuple[Player, "subprocess.Popen[bytes]"]


@pytest.fixture
def game(xvfb: str, tmp_path: Path) -> Iterator[Game]:
    """A game in its menu, and one who plays it."""
    pytest.importorskip("Xlib", reason="needs python-xlib; install the extra: pip install 'skygarden[window]'")
    log = tmp_path / "log.jsonl"
    command = [sys.executable, "-m", "skygarden", "game", "--log", str(log), "--seed", "3"]
    surroundings = {**os.environ, "DISPLAY": xvfb, "SDL_VIDEODRIVER": "x11", "SDL_AUDIODRIVER": "dummy"}
    process = subprocess.Popen(command, env=surroundings, cwd=Path(__file__).parents[3])
    player = Player(xvfb, log)
    try:
        until(lambda: player.events("focus won") or process.poll() is not None, "the game to have the focus")
        assert process.poll() is None, "the game ended by itself"
        yield player, process
    finally:
        player.close()
        process.kill()
        process.wait()


def gold(player: Player) -> list[bool]:
    """Which of the menu's rows are lit."""
    rows = menu_layout(640, 480).rows
    return [player.colour(row.left + 6, row.top + row.height // 2) == GOLD for row in rows]


def settled(player: Player) -> np.ndarray:
    """The picture, once it has stayed as it is for a while: presses may still be on their way."""

    def same() -> np.ndarray | None:
        before = player.look()
        time.sleep(0.3)
        return before if np.array_equal(before, player.look()) else None

    end = time.monotonic() + WAIT
    while time.monotonic() < end:
        picture = same()
        if picture is not None:
            return picture
    pytest.fail("the picture does not come to rest")


def test_someone_chooses_plays_walks_comes_back_and_ends_it(game: Game) -> None:
    player, process = game
    until(lambda: gold(player) == [True, False, False, False], "the menu's first row to be lit")
    player.tap("Right", "Right", "Down", "Right", "Down", "Right", "Right")  # several a frame
    until(lambda: gold(player) == [False, False, True, False], "its third row to be lit")
    menu = settled(player)

    player.tap("Return")
    began = until(lambda: player.events("began"), "play")[0]
    assert {k: began[k] for k in ("character", "skin", "spawn")} == {"character": "witch", "skin": 1, "spawn": 1}
    until(lambda: gold(player) == [False] * 4, "the view")
    still = player.look()
    player.key("w", True)
    until(lambda: np.mean(player.look() != still) > 0.2, "the view to change as one walks")
    player.key("w", False)

    player.tap("Escape")
    until(lambda: len(player.events("menu")) == 2, "the menu")
    until(lambda: gold(player) == [True, False, False, False], "the menu to open on its first row")
    player.tap("Down", "Down")
    until(lambda: np.array_equal(player.look(), menu), "the menu to look as before, with the choice kept")
    player.tap("Escape")
    assert process.wait(WAIT) == 0
    assert [e["event"] for e in player.events()] == ["menu", "focus won", "began", "menu", "ended"]
    assert player.events("ended")[0]["tick"] > 0


def test_there_are_sixty_ticks_a_second_but_for_what_a_busy_machine_loses(
    game: Game,
) -> None:
    player, _ = game
    player.tap("Down", "Down", "Right", "Return")
    began = until(lambda: player.events("began"), "play")[0]
    assert began["spawn"] == 0
    time.sleep(1.0)
    player.tap("r")
    again = until(lambda: len(player.events("began")) == 2 and player.events("began")[1], "a new life")
    ticks = again["tick"] - began["tick"]
    assert 30 < ticks <= 60.0 * (again["time"] - began["time"]) + 2


def test_a_resized_window_shows_the_same_in_another_size(game: Game) -> None:
    player, process = game
    emblem = play_layout(640, 480).emblem
    player.tap("Return")
    until(lambda: player.events("began"), "play")
    until(lambda: gold(player) == [False] * 4, "the view")
    before = player.look()
    for width, height in ((500, 690), (90, 70), (960, 540), (640, 480)):
        player.window.configure(x=0, y=0, width=width, height=height)
        until(lambda size=(height, width): player.look().shape[:2] == size, "the new size")
        until(lambda: player.look()[-1, -1].any() and player.look()[0, -1].any(), "a view that fills it")
    there = (slice(emblem.top, emblem.top + emblem.height), slice(emblem.left, emblem.left + emblem.width))
    until(lambda: np.array_equal(player.look()[there], before[there]), "the emblem in its place")
    assert process.poll() is None


def test_who_turns_away_lets_go_of_all_keys(game: Game) -> None:
    """Another window takes the focus while W is held: the log says so, and the player stops."""
    player, _ = game
    player.tap("Return")
    until(lambda: player.events("began"), "play")
    player.key("w", True)
    time.sleep(0.1)
    player.turn_away()
    until(lambda: player.events("focus lost"), "the loss of the focus")

    def stands() -> bool:
        first = player.look()
        time.sleep(0.1)
        return np.array_equal(first, player.look())

    until(stands, "the player to stop")
    player.key("w", False)
