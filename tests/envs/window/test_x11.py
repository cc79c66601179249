"""Real windows on a real X server that only memory shows, with a window manager (where openbox is) and with none."""

import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from envs.errors import WindowLostError
from envs.window.locate import GameWindow, Rectangle, Sight, find_window

pytest.importorskip("Xlib", reason="python-xlib is not installed")

PATIENCE = 20.0  # s that a busy machine may take to do what was asked


class Room:
    """Windows on an X display, as other programs make them: through a connection of its own."""

    def __init__(self, name: str) -> None:
        from Xlib.display import Display

        self.name = name
        self.display: Any = Display(name)
        self.root = self.display.screen().root
        self._made: list[Any] = []

    def window(
        self,
        title: str,
        place: tuple[int, int, int, int] = (100, 50, 320, 240),
        *,
        pid: int | None = None,
        border: int = 0,
        shown: bool = True,
        parent: Any = None,
        **attributes: int,
    ) -> Any:
        """A window of a title at (left, top, width, height)."""
        screen = self.display.screen()
        made = (parent or self.root).create_window(*place, border, screen.root_depth, background_pixel=0, **attributes)
        if title:
            made.set_wm_name(title)
            made.change_property(self._atom("_NET_WM_NAME"), self._atom("UTF8_STRING"), 8, title.encode())
        if pid is not None:
            made.change_property(self._atom("_NET_WM_PID"), self._atom("CARDINAL"), 32, [pid])
        if shown:
            made.map()
        self._made.append(made)
        self.display.sync()
        return made

    def do(self, action: Callable[..., object], *arguments: object, **named: object) -> None:
        """Do something to a window, and wait until the server has done it."""
        action(*arguments, **named)
        self.display.sync()

    def close(self) -> None:
        """Take all windows away: a connection's windows go with it."""
        from Xlib.error import ConnectionClosedError

        with suppress(ConnectionClosedError):
            self.display.close()

    def _atom(self, name: str) -> int:
        return self.display.intern_atom(name)


@pytest.fixture
def room(xvfb: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Room]:
    """An empty screen, which is the present one."""
    for name in ("WAYLAND_DISPLAY", "XDG_SESSION_TYPE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DISPLAY", xvfb)
    room = Room(xvfb)
    room.root.warp_pointer(1200, 1000)  # out of every window's way
    room.do(room.display.set_input_focus, 1, 0, 0)
    yield room
    room.close()
    rest = Room(xvfb)
    until(lambda: not rest.root.query_tree().children)
    rest.close()


@pytest.fixture
def found() -> Iterator[Callable[..., GameWindow]]:
    """Find a window, and let go of it in the end."""
    windows: list[GameWindow] = []

    def find(title: str | None = None, process: str | None = None) -> GameWindow:
        windows.append(find_window(title, process))
        return windows[-1]

    yield find
    for window in windows:
        window.close()


def until(true: Callable[[], bool]) -> None:
    """Wait for something to become true."""
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, "it has not happened"
        time.sleep(0.02)


def states(window: GameWindow) -> Iterator[str]:
    """What each of many looks says."""
    return (window.look().state for _ in itertools.count())


# --- Finding


def test_a_window_is_found_by_a_part_of_its_title(room: Room, found: Callable[..., GameWindow]):
    made = room.window("Skygarden · the game")
    window = found("^Skygarden.*game$")
    assert (window.id, window.title) == (made.id, "Skygarden · the game")
    assert window.look() == Sight(Rectangle(100, 50, 320, 240), "visible", False)


def test_an_old_title_is_read_as_latin_1(room: Room, found: Callable[..., GameWindow]):
    made = room.window("")
    room.do(made.set_wm_name, b"Caf\xe9")
    assert found("Café").id == made.id


def test_no_window_fits_and_the_error_names_those_there_are(room: Room):
    room.window("Editor")
    with pytest.raises(WindowLostError, match=r"no window titled 'Game': there are 'Editor' \(0x.*start the game"):
        find_window("Game", None)


def test_there_is_no_window_at_all(room: Room):
    with pytest.raises(WindowLostError, match="no window titled 'Game': there is no window at all"):
        find_window("Game", None)


def test_several_windows_fit_and_the_error_names_them_all(room: Room):
    for title in ("Game 1", "Game 2", "Other"):
        room.window(title)
    with pytest.raises(WindowLostError, match=r"2 are there: 'Game 1' .*'Game 2' .*close all but one") as caught:
        find_window("Game", None)
    assert "Other" not in str(caught.value)


def test_a_window_is_found_by_its_process(room: Room, found: Callable[..., GameWindow]):
    """A child process makes it and says nothing of who it is: the server knows."""
    code = (
        "from Xlib.display import Display; import time; d = Display(); s = d.screen()\n"
        "w = s.root.create_window(0, 0, 50, 40, 0, s.root_depth); w.set_wm_name('child'); w.map(); d.sync()\n"
        "print(w.id, flush=True); time.sleep(100)"
    )
    room.window("mine", pid=os.getpid())
    name = "any game.exe"
    child = subprocess.Popen(
        [name, "-c", code],
        executable=sys.executable,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},  # without its name it knows no packages
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    try:
        number = int(child.stdout.readline())
        window = found(None, "Any Game.exe")
        assert (window.id, window.pid, window.title) == (number, child.pid, "child")
        assert found("child", name).id == number
        with pytest.raises(WindowLostError, match=r"no window titled 'mine' of process 'any game\.exe'"):
            find_window("mine", name)
    finally:
        child.kill()
        child.communicate()
    until(lambda: window.look().state == "gone")


def test_a_program_without_a_window_of_its_own_is_found_within_a_frame(room: Room, found: Callable[..., GameWindow]):
    """As under window managers that keep no list: the frame has no title, the game in it has."""
    frame = room.window("", (10, 20, 400, 300), border=2)
    made = room.window("Game", (5, 30, 320, 240), parent=frame)
    window = found("Game")
    assert window.id == made.id
    assert window.look() == Sight(Rectangle(10 + 2 + 5, 20 + 2 + 30, 320, 240), "visible", False)
    room.window("above", (300, 200, 50, 50))
    assert window.look().state == "covered"
    room.do(frame.configure, stack_mode=0)
    assert window.look().state == "visible"
    room.do(frame.unmap)
    assert window.look().state == "minimised"


# --- Following


def test_a_window_is_followed_where_it_moves(room: Room, found: Callable[..., GameWindow]):
    made = room.window("Game", border=3)
    window = found("Game")
    assert window.look().client == Rectangle(103, 53, 320, 240)
    room.do(made.configure, x=7, y=400)
    assert window.look().client == Rectangle(10, 403, 320, 240)
    room.do(made.configure, width=640, height=480)
    assert window.look() == Sight(Rectangle(10, 403, 640, 480), "visible", False)


@pytest.mark.parametrize(
    ("place", "state"),
    [
        ((419, 289, 100, 100), "covered"),  # one pixel, the last one of (100, 50, 320, 240)
        ((420, 290, 100, 100), "visible"),
        ((0, 0, 100, 1000), "visible"),
        ((0, 0, 101, 51), "covered"),  # the first one
        ((0, 0, 1280, 1024), "covered"),
    ],
)
def test_what_lies_above_covers_it(
    room: Room, found: Callable[..., GameWindow], place: tuple[int, int, int, int], state: str
):
    made = room.window("Game")
    window = found("Game")
    other = room.window("Other", place)
    assert window.look().state == state
    room.do(made.configure, stack_mode=0)
    assert window.look().state == "visible"
    room.do(other.configure, stack_mode=0)
    assert window.look().state == state
    room.do(other.unmap)
    assert window.look().state == "visible"


def test_the_border_of_what_lies_above_counts(room: Room, found: Callable[..., GameWindow]):
    room.window("Game", (100, 100, 100, 100))
    window = found("Game")
    room.window("Other", (0, 0, 90, 200), border=5)  # 0 to 99
    assert window.look().state == "visible"
    room.window("Other", (0, 0, 91, 200), border=5)  # 0 to 100
    assert window.look().state == "covered"


def test_a_tooltip_may_hide_one_percent_and_an_ordinary_window_nothing(room: Room, found: Callable[..., GameWindow]):
    room.window("Game", (100, 100, 100, 100))  # 10,000 pixels
    window = found("Game")
    tip = room.window("", (100, 100, 10, 10), override_redirect=1)
    assert window.look().state == "visible"
    room.do(tip.configure, width=11)
    assert window.look().state == "covered"
    room.do(tip.destroy)
    room.window("", (100, 100, 10, 10))
    assert window.look().state == "covered"


def test_what_draws_nothing_covers_nothing(room: Room, found: Callable[..., GameWindow]):
    from Xlib import X

    room.window("Game")
    window = found("Game")
    room.root.create_window(0, 0, 1280, 1024, 0, 0, X.InputOnly).map()
    room.display.sync()
    assert window.look().state == "visible"


def test_a_window_partly_off_the_screen_counts_as_covered(room: Room, found: Callable[..., GameWindow]):
    made = room.window("Game", (960, 784, 320, 240))  # up to the last corner of 1280x1024
    window = found("Game")
    assert window.look().state == "visible"
    for place in ({"x": 961}, {"x": 960, "y": 785}, {"x": -1, "y": 0}, {"x": 0, "y": -1}):
        room.do(made.configure, **place)
        assert window.look().state == "covered"
    assert window.look().client == Rectangle(0, -1, 320, 240)


def test_a_window_that_is_not_shown_is_minimised(room: Room, found: Callable[..., GameWindow]):
    made = room.window("Game")
    window = found("Game")
    room.do(made.unmap)
    assert window.look() == Sight(Rectangle(100, 50, 320, 240), "minimised", False)
    room.do(made.map)
    assert window.look().state == "visible"


def test_a_destroyed_window_is_gone_and_stays_gone(
    room: Room, found: Callable[..., GameWindow], capfd: pytest.CaptureFixture[str]
):
    made = room.window("Game")
    window = found("Game")
    room.do(made.destroy)
    assert window.look() == Sight(None, "gone", False)
    window.focus()  # nothing is there to be raised, and nobody is told off
    assert window.look().state == "gone"
    assert capfd.readouterr() == ("", "")


def test_another_window_of_the_same_number_is_not_the_game(room: Room, found: Callable[..., GameWindow]):
    """A server gives a number again as soon as it is free: a game that was started anew often has the old one."""
    from Xlib.protocol import request

    made = room.window("Game")
    window = found("Game")
    made.destroy()
    arguments = {"depth": 0, "parent": room.root, "border_width": 0, "window_class": 1, "visual": 0}
    place = {"x": 0, "y": 0, "width": 10, "height": 10, "attrs": {}}
    request.CreateWindow(display=room.display.display, wid=made.id, **arguments, **place)
    room.do(made.map)
    assert made.get_geometry().width == 10
    assert window.look().state == "gone"


# --- Focus


def test_focus_raises_a_window_and_gives_it_the_keys(room: Room, found: Callable[..., GameWindow]):
    made = room.window("Game")
    window = found("Game")
    other = room.window("Other", (0, 0, 500, 500))
    room.do(other.set_input_focus, 0, 0)
    assert window.look() == Sight(Rectangle(100, 50, 320, 240), "covered", False)
    window.focus()
    assert window.look() == Sight(Rectangle(100, 50, 320, 240), "visible", True)
    assert room.display.get_input_focus().focus.id == made.id


def test_focus_on_a_window_that_is_not_shown_does_no_harm(
    room: Room, found: Callable[..., GameWindow], capfd: pytest.CaptureFixture[str]
):
    made = room.window("Game")
    window = found("Game")
    room.do(made.unmap)
    window.focus()  # BadMatch
    assert window.look().focused is False
    assert capfd.readouterr() == ("", "")


def test_focused_says_whether_an_injected_key_arrives(room: Room, found: Callable[..., GameWindow]):
    """Every place the focus can be, with the pointer in the window and out of it, against keys that XTEST sends."""
    from Xlib import X

    outer = room.window("", (50, 20, 500, 400))
    game = room.window("Game", (30, 30, 320, 240), parent=outer, event_mask=X.KeyPressMask)
    inner = room.window("", (200, 100, 20, 20), parent=game, event_mask=X.KeyPressMask)
    other = room.window("Other", (700, 300, 50, 50))
    window = found("Game")
    said: list[tuple[bool, bool]] = []
    for focus, pointer in itertools.product(
        (game, inner, outer, other, room.root, X.PointerRoot, X.NONE), ((90, 60), (55, 25), (720, 320), (1200, 1000))
    ):
        room.root.warp_pointer(*pointer)
        room.do(room.display.set_input_focus, focus, X.RevertToNone, X.CurrentTime)
        for kind in (X.KeyPress, X.KeyRelease):
            room.do(room.display.xtest_fake_input, kind, 38)
        events = [room.display.next_event() for _ in range(room.display.pending_events())]
        said.append((window.look().focused, any(event.type == X.KeyPress for event in events)))
    assert [focused for focused, _ in said] == [arrived for _, arrived in said]
    assert sum(focused for focused, _ in said) == 4 + 4 + 1 + 0 + 1 + 1 + 0


# --- A server that goes


@pytest.fixture
def doomed(xvfb_server: Callable[[], tuple[str, "subprocess.Popen[bytes]"]], monkeypatch: pytest.MonkeyPatch) -> Any:
    """A server of one's own, with a window titled Game."""
    name, server = xvfb_server()
    monkeypatch.setenv("DISPLAY", name)
    room = Room(name)
    room.window("Game")
    yield server
    server.send_signal(signal.SIGCONT)
    room.close()


def test_a_dead_server_is_said_to_be_gone(
    doomed: Any, found: Callable[..., GameWindow], capfd: pytest.CaptureFixture[str]
):
    server = doomed
    window = found("Game")
    server.kill()
    server.wait()
    for _ in range(2):
        with pytest.raises(WindowLostError, match=r"X server :\d+ is"):
            window.look()
    with pytest.raises(WindowLostError):
        window.focus()
    window.close()
    window.close()
    with pytest.raises(WindowLostError, match="no X server at"):
        find_window("Game", None)
    assert capfd.readouterr() == ("", "")


def test_a_silent_server_is_not_waited_for_for_ever(
    doomed: Any, found: Callable[..., GameWindow], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("envs.window.xserver.PATIENCE", 0.3)
    server = doomed
    window = found("Game")
    server.send_signal(signal.SIGSTOP)
    with pytest.raises(WindowLostError, match=r"has not answered for 0\.3 s"):
        window.look()
    window.close()


# --- Screens that tell no positions


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({}, "DISPLAY is not set; start the game in an X11 session"),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "DISPLAY is not set; Wayland tells .*gamescope.*Xephyr.*XWayland"),
        ({"XDG_SESSION_TYPE": "wayland"}, "DISPLAY is not set; Wayland tells"),
    ],
)
def test_without_a_display_the_error_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], message: str
):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "XDG_SESSION_TYPE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(WindowLostError, match=message):
        find_window("Game", None)


def test_under_wayland_a_window_that_x_does_not_know_is_refused_and_one_it_knows_is_found(
    room: Room, found: Callable[..., GameWindow], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    with pytest.raises(WindowLostError, match=r"no window titled 'Game'.*Wayland tells no program"):
        find_window("Game", None)
    made = room.window("Game")
    assert found("Game").id == made.id


# --- With a window manager


@pytest.fixture
def managed(room: Room, tmp_path: Path) -> Iterator[Room]:
    """A screen whose windows openbox manages."""
    if shutil.which("openbox") is None:
        pytest.skip("no openbox here (Debian: apt install openbox)")
    settings = tmp_path / "rc.xml"
    settings.write_text('<openbox_config xmlns="http://openbox.org/3.4/rc"/>', encoding="utf-8")
    manager = subprocess.Popen(
        ["openbox", "--sm-disable", "--config-file", str(settings)],
        env={**os.environ, "DISPLAY": room.name},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    # It forgets what is mapped while it starts, so try until it takes a window in.
    first = room.window("First")
    try:
        until(lambda: room.do(first.map) or first.query_tree().parent.id != room.root.id)
        room.do(first.destroy)
        yield room
    finally:
        manager.terminate()
        manager.wait()


def test_a_managed_window_is_followed_without_its_frame(managed: Room, found: Callable[..., GameWindow]):
    made = managed.window("Game")
    until(lambda: made.query_tree().parent.id != managed.root.id)  # the frame
    window = found("Game")
    until(lambda: window.look().state == "visible")
    client = window.look().client
    corner = managed.root.translate_coords(made, 0, 0)
    assert client == Rectangle(corner.x, corner.y, 320, 240)
    frame = made.query_tree().parent.query_tree().parent
    assert corner.y > (frame.get_geometry().y if frame else 0)  # a title bar is above it
    managed.do(made.configure, x=300, y=200, width=400)
    until(lambda: (now := window.look().client) is not None and now.width == 400 and now.left >= 300)


def test_a_managed_window_is_covered_focused_and_minimised(managed: Room, found: Callable[..., GameWindow]):
    from Xlib.protocol.event import ClientMessage

    game = managed.window("Game")
    window = found("Game")
    until(lambda: window.look().state == "visible")
    other = managed.window("Other", (0, 0, 800, 700))
    cover = found("Other")
    cover.focus()
    until(lambda: window.look().state == "covered" and cover.look().focused)
    window.focus()
    until(lambda: window.look() == Sight(window.look().client, "visible", True))
    assert not cover.look().focused
    iconify = ClientMessage(
        window=game, client_type=managed.display.intern_atom("WM_CHANGE_STATE"), data=(32, [3, 0, 0, 0, 0])
    )
    managed.do(managed.root.send_event, iconify, 3 << 19)
    until(lambda: window.look().state == "minimised")
    assert found("Game").id == game.id  # still in the manager's list
    window.focus()
    until(lambda: window.look().state == "visible" and window.look().focused)
    managed.do(game.destroy)
    until(lambda: window.look().state == "gone")
    managed.do(other.destroy)
