"""Laws of a game's window and process, with windows that are made up and processes that are real."""

import sys
from collections.abc import Callable

import pytest

from envs.errors import WindowLostError
from envs.window.game import Game
from envs.window.locate import GONE, Rectangle, Sight
from envs.window.profile import WindowProfile

FRONT = Sight(Rectangle(0, 0, 640, 480), "visible", True)
BEHIND = Sight(Rectangle(0, 0, 640, 480), "covered", False)
SLEEPER = ("{python}", "-c", "import time; time.sleep(600)")


class Window:
    """A window that looks as it is told to, one look after another; the last for ever."""

    title, id, pid = "Game", 7, None

    def __init__(self, *sights: Sight) -> None:
        self._sights = list(sights)
        self.focused = 0
        self.closed = False

    def look(self) -> Sight:
        assert not self.closed, "a window that was let go of is looked at"
        return self._sights.pop(0) if len(self._sights) > 1 else self._sights[0]

    def focus(self) -> None:
        assert not self.closed
        self.focused += 1

    def close(self) -> None:
        self.closed = True


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def game(find: Callable[[str | None, str | None], Window], launch: tuple[str, ...] = (), patience: float = 2.0) -> Game:
    time = Time()
    return Game(WindowProfile(title="^Game$", process="game", launch=launch, patience=patience), find, time, time.sleep)


def late(looks: int, window: Window) -> Callable[[str | None, str | None], Window]:
    """Find a window from the look after so many on."""
    left = [looks]

    def find(title: str | None, process: str | None) -> Window:
        assert (title, process) == ("^Game$", "game")
        left[0] -= 1
        if left[0] >= 0:
            raise WindowLostError("no window titled '^Game$'")
        return window

    return find


def test_a_window_that_comes_late_is_waited_for_and_then_known():
    window = Window(FRONT)
    played = game(late(5, window))
    assert played.window() is window
    assert played.window() is window


def test_a_window_that_does_not_come_is_given_up_with_the_reason():
    with pytest.raises(WindowLostError, match="no window titled"):
        game(late(1000, Window(FRONT))).window()


def test_a_game_that_is_not_there_is_started_and_ended_with_us():
    played = game(late(3, Window(FRONT)), SLEEPER)
    played.window()
    process = played._process
    assert process is not None
    assert process.poll() is None
    played.close()
    played.close()
    assert process.poll() is not None


def test_a_game_that_is_there_is_neither_started_nor_ended():
    window = Window(FRONT)
    played = game(late(0, window), SLEEPER)
    played.window()
    assert played._process is None
    played.close()
    assert window.closed


def test_a_game_that_ends_before_its_window_comes_is_said_to_have():
    import time

    profile = WindowProfile(
        title="^Game$", process="game", launch=("{python}", "-c", "raise SystemExit(3)"), patience=60
    )
    played = Game(profile, late(10_000, Window(FRONT)), sleep=lambda _: time.sleep(0.02))
    with pytest.raises(WindowLostError, match="ended with status 3 before its window came"):
        played.window()


def test_a_game_that_was_killed_is_started_again():
    played = game(late(1, Window(FRONT)), SLEEPER)
    played.window()
    first = played._process
    assert first is not None
    first.kill()
    first.wait()
    played.forget()
    played._find = late(1, Window(FRONT))
    played.window()
    assert played._process is not None
    assert played._process.pid != first.pid
    played.close()


def test_a_command_that_cannot_be_run_is_named():
    with pytest.raises(WindowLostError, match=r"cannot be started by \['/no/such/game'\].*correct window.launch"):
        game(late(9, Window(FRONT)), ("/no/such/game",)).window()


def test_python_stands_for_this_python():
    played = game(late(1, Window(FRONT)), SLEEPER)
    played.window()
    assert played._process is not None
    assert str(played._process.args).startswith(f"['{sys.executable}', ")
    played.close()


def test_a_window_is_asked_for_the_front_until_it_is_there():
    window = Window(BEHIND, BEHIND, FRONT)
    assert game(late(0, window)).to_front() == FRONT
    assert window.focused == 2


def test_a_window_that_stays_behind_is_given_up():
    with pytest.raises(WindowLostError, match="to the front: it is covered, without the keyboard's focus"):
        game(late(0, Window(BEHIND))).to_front()


def test_a_window_that_is_gone_is_looked_for_anew():
    windows = [Window(GONE), Window(FRONT)]
    played = game(lambda *_: windows[0])
    assert played.look().state == "gone"
    assert windows.pop(0).closed
    assert played.look() == FRONT
