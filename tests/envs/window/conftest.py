"""What the tests of real windows share: a screen that only the machine's memory shows."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

PATIENCE = 30.0  # s that a busy machine may take to do what was asked


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

    def fill(self, window: Any, place: tuple[int, int, int, int], colour: int) -> None:
        """Paint a part of a window in a colour, 0xRRGGBB."""
        self.do(window.fill_rectangle, window.create_gc(foreground=colour), *place)

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

    def until(self, true: Callable[[], object]) -> None:
        """Wait for something to become true."""
        end = time.monotonic() + PATIENCE
        while not true():
            assert time.monotonic() < end, "it has not happened"
            time.sleep(0.02)


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
    rest.until(lambda: not rest.root.query_tree().children)
    rest.close()


@pytest.fixture
def room_on() -> Callable[[str], Room]:
    """Make windows on the display of a name."""
    return Room
