"""The layer over Windows against a desktop of one's own, called through ctypes with the documented types.

What Microsoft documents is written here a second time, by hand: each fake function is a C function of those types, so
what the layer declares and passes goes through the machine's own calling convention, 64-bit window numbers and all.
"""

import ctypes
import sys
from collections.abc import Callable
from ctypes import CFUNCTYPE, POINTER, c_int32, c_int64, c_uint32, c_void_p, c_wchar
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from envs.errors import WindowLostError
from envs.window.locate import Rectangle, Sight, Wanted
from envs.window.win32 import PROTOTYPES, Libraries, Point, Rect, Win32Window, find

pytestmark = pytest.mark.skipif(sys.maxsize < 2**32, reason="written for 64 bits")

BOOL, INT, UINT, DWORD, HRESULT, LPARAM, HANDLE, TEXT = (
    c_int32,
    c_int32,
    c_uint32,
    c_uint32,
    c_int32,
    c_int64,
    c_void_p,
    POINTER(c_wchar),
)
ENUM = CFUNCTYPE(BOOL, HANDLE, LPARAM)

DOCUMENTED: dict[str, dict[str, tuple[Any, ...]]] = {  # learn.microsoft.com/windows/win32/api: result, arguments
    "user32": {
        "ClientToScreen": (BOOL, HANDLE, POINTER(Point)),
        "EnumWindows": (BOOL, ENUM, LPARAM),
        "GetAncestor": (HANDLE, HANDLE, UINT),
        "GetClientRect": (BOOL, HANDLE, POINTER(Rect)),
        "GetForegroundWindow": (HANDLE,),
        "GetSystemMetrics": (INT, INT),
        "GetWindowTextLengthW": (INT, HANDLE),
        "GetWindowTextW": (INT, HANDLE, TEXT, INT),
        "GetWindowThreadProcessId": (DWORD, HANDLE, POINTER(DWORD)),
        "IsIconic": (BOOL, HANDLE),
        "IsWindow": (BOOL, HANDLE),
        "IsWindowVisible": (BOOL, HANDLE),
        "SetForegroundWindow": (BOOL, HANDLE),
        "SetProcessDpiAwarenessContext": (BOOL, HANDLE),
        "SetThreadDpiAwarenessContext": (HANDLE, HANDLE),
        "ShowWindow": (BOOL, HANDLE, INT),
        "WindowFromPoint": (HANDLE, Point),
    },
    "kernel32": {
        "CloseHandle": (BOOL, HANDLE),
        "OpenProcess": (HANDLE, DWORD, BOOL, DWORD),
        "QueryFullProcessImageNameW": (BOOL, HANDLE, DWORD, TEXT, POINTER(DWORD)),
    },
    "dwmapi": {"DwmGetWindowAttribute": (HRESULT, HANDLE, DWORD, POINTER(DWORD), DWORD)},
}
GAME = 0x7FF0_1234_5678_9ABC  # wider than 32 bits: what is cut off shows


@dataclass
class Window:
    """A top-level window: its client area, and what else the desktop knows of it."""

    number: int
    title: str
    client: Rectangle
    pid: int = 10
    visible: bool = True
    iconic: bool = False
    cloaked: bool = False
    transparent: bool = False  # lets the mouse through


@dataclass
class Desktop:
    """Windows' windows, from the top to the bottom."""

    windows: list[Window]
    images: dict[int, str] = field(default_factory=lambda: {10: r"C:\Games\Game.exe"})
    foreground: int = 0
    aware: bool = False  # whether the process has said before what it knows of scales
    calls: list[str] = field(default_factory=list[str])
    handles: int = 0  # open ones

    def libraries(self) -> Libraries:
        """The desktop as three libraries of C functions."""
        made: dict[str, SimpleNamespace] = {}
        for library, functions in DOCUMENTED.items():
            made[library] = SimpleNamespace()
            for name, types in functions.items():
                setattr(made[library], name, CFUNCTYPE(*types)(self._noting(name)))
        return Libraries(**made)

    def window(self, number: int | None) -> Window | None:
        return next((window for window in self.windows if window.number == number), None)

    def _noting(self, name: str) -> Callable[..., Any]:
        function = getattr(self, name)

        def call(*arguments: Any) -> Any:
            self.calls.append(name)
            return function(*arguments)

        return call

    def SetProcessDpiAwarenessContext(self, context: int) -> bool:
        assert c_int64(context).value == -4
        done, self.aware = not self.aware, True
        return done

    def SetThreadDpiAwarenessContext(self, context: int) -> int:
        assert c_int64(context).value == -4
        return 0x6010

    def EnumWindows(self, callback: Any, parameter: int) -> bool:
        return all(callback(window.number, parameter) for window in self.windows)

    def IsWindow(self, number: int) -> bool:
        return self.window(number) is not None

    def IsWindowVisible(self, number: int) -> bool:
        window = self.window(number)
        return window is not None and window.visible

    def IsIconic(self, number: int) -> bool:
        window = self.window(number)
        return window is not None and window.iconic

    def GetWindowTextLengthW(self, number: int) -> int:
        window = self.window(number)
        return 0 if window is None else len(window.title)

    def GetWindowTextW(self, number: int, text: Any, count: int) -> int:
        window = self.window(number)
        assert window is not None
        assert count == len(window.title) + 1
        for i, character in enumerate(window.title + "\0"):
            text[i] = character
        return len(window.title)

    def GetWindowThreadProcessId(self, number: int, pid: Any) -> int:
        window = self.window(number)
        if window is not None:
            pid[0] = window.pid
        return 0 if window is None else 77

    def GetClientRect(self, number: int, rect: Any) -> bool:
        window = self.window(number)
        if window is not None:
            size = (0, 0) if window.iconic else (window.client.width, window.client.height)
            rect[0].left, rect[0].top, rect[0].right, rect[0].bottom = 0, 0, *size
        return window is not None

    def ClientToScreen(self, number: int, point: Any) -> bool:
        window = self.window(number)
        if window is not None:
            point[0].x += window.client.left
            point[0].y += window.client.top
        return window is not None

    def GetForegroundWindow(self) -> int:
        return self.foreground

    def SetForegroundWindow(self, number: int) -> bool:
        window = self.window(number)
        if window is not None:
            self.windows.remove(window)
            self.windows.insert(0, window)
            self.foreground = number
        return window is not None

    def ShowWindow(self, number: int, command: int) -> bool:
        assert command == 9
        window = self.window(number)
        assert window is not None
        window.iconic = False
        return True

    def GetSystemMetrics(self, index: int) -> int:
        return {76: -1920, 77: 0, 78: 3840, 79: 1080}[index]  # a second monitor is on the left

    def WindowFromPoint(self, point: Point) -> int:
        spot = Rectangle(point.x, point.y, 1, 1)
        for window in self.windows:
            if window.visible and not (window.iconic or window.transparent) and window.client.contains(spot):
                return window.number + 1  # a child of it
        return 0

    def GetAncestor(self, number: int | None, flags: int) -> int:
        assert flags == 2
        return (number - 1) if number else 0

    def OpenProcess(self, access: int, inherit: int, pid: int) -> int:
        assert (access, inherit) == (0x1000, 0)
        self.handles += pid in self.images
        return 0x1_0000_0000 + pid if pid in self.images else 0

    def QueryFullProcessImageNameW(self, process: int, flags: int, path: Any, size: Any) -> bool:
        assert flags == 0
        image = self.images[process - 0x1_0000_0000]
        assert size[0] > len(image)
        for i, character in enumerate(image + "\0"):
            path[i] = character
        size[0] = len(image)
        return True

    def CloseHandle(self, process: int) -> bool:
        assert process > 0x1_0000_0000
        self.handles -= 1
        return True

    def DwmGetWindowAttribute(self, number: int, attribute: int, value: Any, size: int) -> int:
        assert (attribute, size) == (14, 4)
        window = self.window(number)
        assert window is not None
        value[0] = 2 if window.cloaked else 0
        return 0


def a_game(*above: Window, **said: Any) -> tuple[Desktop, Win32Window, Window]:
    """A desktop with a game at (100, 50), 320x180, and what lies above it."""
    game = Window(GAME, "Game", Rectangle(100, 50, 320, 180), **said)
    desktop = Desktop([*above, game, Window(0x20, "Desk", Rectangle(-1920, 0, 3840, 1080), 11)])
    return desktop, find(Wanted("^Game$", None), desktop.libraries()), game


def test_the_declared_types_are_those_documented():
    def measured(types: tuple[Any, ...]) -> list[tuple[int, bool]]:
        return [(ctypes.sizeof(one), isinstance(one, type) and issubclass(one, ctypes.Structure)) for one in types]

    assert {library: set(functions) for library, functions in PROTOTYPES.items()} == {
        library: set(functions) for library, functions in DOCUMENTED.items()
    }
    for library, functions in DOCUMENTED.items():
        for name, types in functions.items():
            assert measured(PROTOTYPES[library][name]) == measured(types), name


def test_structures_lie_in_memory_as_documented():
    assert (ctypes.sizeof(Rect), ctypes.sizeof(Point)) == (16, 8)
    assert [getattr(Rect, side).offset for side in ("left", "top", "right", "bottom")] == [0, 4, 8, 12]
    assert [getattr(Point, axis).offset for axis in "xy"] == [0, 4]
    assert bytes(Point(-1, 2)) == b"\xff\xff\xff\xff\x02\0\0\0"


def test_a_window_is_found_by_title_and_process():
    desktop, window, _ = a_game()
    assert (window.id, window.title, window.pid) == (GAME, "Game", 10)
    assert find(Wanted(None, "game.exe"), desktop.libraries()).id == GAME
    assert desktop.handles == 0
    with pytest.raises(WindowLostError, match=r"no window titled 'x': there are 'Game' \(0x7ff0123456789abc, Game.exe"):
        find(Wanted("x", None), desktop.libraries())


def test_scales_are_known_before_anything_is_asked():
    desktop, _, _ = a_game()
    assert desktop.calls[0] == "SetProcessDpiAwarenessContext"
    assert "SetThreadDpiAwarenessContext" not in desktop.calls
    desktop.calls.clear()
    find(Wanted("Game", None), desktop.libraries())  # the process has said so before: Windows refuses
    assert desktop.calls[:2] == ["SetProcessDpiAwarenessContext", "SetThreadDpiAwarenessContext"]


def test_hidden_and_cloaked_windows_are_not_found():
    for hidden in (Window(5, "Game", Rectangle(0, 0, 9, 9), visible=False), Window(5, "Game", Rectangle(0, 0, 9, 9))):
        hidden.cloaked = hidden.visible
        assert a_game(hidden)[1].id == GAME


def test_the_client_area_is_in_pixels_of_the_screen_and_followed():
    _, window, game = a_game()
    assert window.look() == Sight(Rectangle(100, 50, 320, 180), "visible", False)
    game.client = Rectangle(-1900, 700, 640, 360)  # on the other monitor
    assert window.look() == Sight(Rectangle(-1900, 700, 640, 360), "visible", False)


@pytest.mark.parametrize(
    ("place", "state"),
    [
        (Rectangle(0, 0, 101, 51), "covered"),  # the first pixel is a point of the grid
        (Rectangle(419, 229, 50, 50), "covered"),  # and the last
        (Rectangle(420, 230, 50, 50), "visible"),
        (Rectangle(200, 100, 25, 25), "covered"),  # wider than the mesh, 22 pixels both ways
    ],
)
def test_a_window_above_covers_it(place: Rectangle, state: str):
    above = Window(6, "Above", place, 12)
    desktop, window, _ = a_game(above)
    assert window.look().state == state
    above.transparent = True
    assert window.look().state == "visible"
    above.transparent = False
    desktop.windows.reverse()
    desktop.windows.insert(0, desktop.windows.pop(1))
    assert window.look().state == "visible"


def test_partly_off_all_screens_is_covered():
    _, window, game = a_game()
    game.client = Rectangle(1600, 900, 320, 180)  # up to the last pixel
    assert window.look().state == "visible"
    game.client = Rectangle(1601, 900, 320, 180)
    assert window.look().state == "covered"


def test_a_window_on_the_taskbar_is_minimised_and_focus_brings_it_back():
    desktop, window, game = a_game(Window(6, "Above", Rectangle(0, 0, 900, 900), 12))
    game.iconic = True
    assert window.look().state == "minimised"
    window.focus()
    assert window.look() == Sight(Rectangle(100, 50, 320, 180), "visible", True)
    desktop.foreground = 6
    assert window.look().focused is False


def test_a_window_is_gone_for_good_when_its_number_is_anothers():
    desktop, window, game = a_game()
    game.pid = 99
    assert window.look() == Sight(None, "gone", False)
    game.pid = 10
    assert window.look().state == "gone"
    desktop, window, game = a_game()
    desktop.windows.remove(game)
    assert window.look().state == "gone"
    window.focus()
    window.close()
    window.close()
