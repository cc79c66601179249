"""Windows on Windows: a thin layer over the documented calls of user32, kernel32 and dwmapi.

Coordinates are true pixels: the process says first that it knows of every monitor's own scale, or Windows would tell it
scaled ones and capture would read the wrong place. The client area comes from GetClientRect and ClientToScreen, never
from GetWindowRect, which counts the title bar and invisible borders. Covered is asked of WindowFromPoint at a grid of
points: it sees through overlays that let the mouse through, and misses what is smaller than the grid's mesh.
"""

import ctypes
from ctypes import POINTER, Structure, c_int, c_int32, c_ssize_t, c_uint32, c_void_p, c_wchar_p
from dataclasses import dataclass
from pathlib import PureWindowsPath
from typing import Any, Final

from envs.window.locate import GONE, Candidate, Rectangle, Sight, Wanted, choose

GRID: Final = (16, 9)  # points across and down at which a window is asked for
LONGEST: Final = 32768  # characters of a path

# Numbers of the documentation.
PER_MONITOR_AWARE_V2: Final = -4  # DPI_AWARENESS_CONTEXT
QUERY_LIMITED_INFORMATION, CLOAKED, ROOT, RESTORE = 0x1000, 14, 2, 9
SCREEN_LEFT, SCREEN_TOP, SCREEN_WIDTH, SCREEN_HEIGHT = 76, 77, 78, 79  # of all monitors together


class Rect(Structure):
    """RECT."""

    _fields_ = (("left", c_int32), ("top", c_int32), ("right", c_int32), ("bottom", c_int32))


class Point(Structure):
    """POINT."""

    _fields_ = (("x", c_int32), ("y", c_int32))


# A window's number is as wide as a pointer: undeclared, ctypes would cut it to 32 bits.
EnumProc: Final = getattr(ctypes, "WINFUNCTYPE", ctypes.CFUNCTYPE)(c_int, c_void_p, c_ssize_t)

PROTOTYPES: Final[dict[str, dict[str, tuple[Any, ...]]]] = {  # library: function: result, arguments
    "user32": {
        "ClientToScreen": (c_int, c_void_p, POINTER(Point)),
        "EnumWindows": (c_int, EnumProc, c_ssize_t),
        "GetAncestor": (c_void_p, c_void_p, c_uint32),
        "GetClientRect": (c_int, c_void_p, POINTER(Rect)),
        "GetForegroundWindow": (c_void_p,),
        "GetSystemMetrics": (c_int, c_int),
        "GetWindowTextLengthW": (c_int, c_void_p),
        "GetWindowTextW": (c_int, c_void_p, c_wchar_p, c_int),
        "GetWindowThreadProcessId": (c_uint32, c_void_p, POINTER(c_uint32)),
        "IsIconic": (c_int, c_void_p),
        "IsWindow": (c_int, c_void_p),
        "IsWindowVisible": (c_int, c_void_p),
        "SetForegroundWindow": (c_int, c_void_p),
        "SetProcessDpiAwarenessContext": (c_int, c_void_p),
        "SetThreadDpiAwarenessContext": (c_void_p, c_void_p),
        "ShowWindow": (c_int, c_void_p, c_int),
        "WindowFromPoint": (c_void_p, Point),
    },
    "kernel32": {
        "CloseHandle": (c_int, c_void_p),
        "OpenProcess": (c_void_p, c_uint32, c_int, c_uint32),
        "QueryFullProcessImageNameW": (c_int, c_void_p, c_uint32, c_wchar_p, POINTER(c_uint32)),
    },
    "dwmapi": {"DwmGetWindowAttribute": (c_int32, c_void_p, c_uint32, c_void_p, c_uint32)},
}


@dataclass(frozen=True, slots=True)
class Libraries:
    """The three libraries, with every function of `PROTOTYPES` declared on them."""

    user32: Any
    kernel32: Any
    dwmapi: Any

    def __post_init__(self) -> None:
        for library, functions in PROTOTYPES.items():
            for name, (result, *arguments) in functions.items():
                function = getattr(getattr(self, library), name)
                function.restype, function.argtypes = result, arguments


def libraries() -> Libraries:
    """Windows' own."""
    load: Any = vars(ctypes)["WinDLL"]  # which ctypes has on Windows alone
    return Libraries(*(load(name, use_last_error=True) for name in PROTOTYPES))


class Win32Window:
    """A top-level window of Windows."""

    def __init__(self, system: Libraries, found: Candidate) -> None:
        self._system, self._found = system, found
        self._gone = False

    @property
    def title(self) -> str:
        """Its title when it was found."""
        return self._found.title

    @property
    def id(self) -> int:
        """Its HWND."""
        return self._found.id

    @property
    def pid(self) -> int | None:
        """The process that made it."""
        return self._found.pid

    def look(self) -> Sight:
        """Ask Windows now."""
        user32, rect, corner = self._system.user32, Rect(), Point()
        # A new window may have the number of one that was destroyed: it is the game's while its process is.
        self._gone = self._gone or not user32.IsWindow(self.id) or _owner(self._system, self.id) != self.pid
        asked = not self._gone and user32.GetClientRect(self.id, ctypes.byref(rect))
        if not asked or not user32.ClientToScreen(self.id, ctypes.byref(corner)):
            self._gone = True
            return GONE
        client = Rectangle(corner.x, corner.y, rect.right, rect.bottom)
        if user32.IsIconic(self.id) or not user32.IsWindowVisible(self.id) or not client.width * client.height:
            return Sight(client, "minimised", False)
        focused = user32.GetForegroundWindow() == self.id
        return Sight(client, "covered" if self._covered(client) else "visible", focused)

    def focus(self) -> None:
        """Bring it to the front. Windows refuses that to programs in the background that nobody has used lately."""
        if self._system.user32.IsIconic(self.id):
            self._system.user32.ShowWindow(self.id, RESTORE)
        self._system.user32.SetForegroundWindow(self.id)

    def close(self) -> None:
        """Nothing is held."""

    def _covered(self, client: Rectangle) -> bool:
        user32 = self._system.user32
        place = (user32.GetSystemMetrics(part) for part in (SCREEN_LEFT, SCREEN_TOP, SCREEN_WIDTH, SCREEN_HEIGHT))
        if not Rectangle(*place).contains(client):
            return True
        across, down = GRID
        for i in range(across * down):
            x = client.left + (client.width - 1) * (i % across) // (across - 1)
            y = client.top + (client.height - 1) * (i // across) // (down - 1)
            if user32.GetAncestor(user32.WindowFromPoint(Point(x, y)), ROOT) != self.id:
                return True
        return False


def find(wanted: Wanted, system: Libraries) -> Win32Window:
    """Find a window among those that are shown on the desktop.

    Raises: WindowLostError: none, or several.
    """
    # Refused where the process has said so before, as mss does; then this thread at least says it.
    if not system.user32.SetProcessDpiAwarenessContext(PER_MONITOR_AWARE_V2):
        system.user32.SetThreadDpiAwarenessContext(PER_MONITOR_AWARE_V2)
    numbers: list[int] = []

    def collect(number: int | None, _: int) -> int:
        numbers.append(number or 0)
        return 1  # go on

    system.user32.EnumWindows(EnumProc(collect), 0)
    shown = [number for number in numbers if system.user32.IsWindowVisible(number) and not _cloaked(system, number)]
    return Win32Window(system, choose([_candidate(system, number) for number in shown], wanted))


def _cloaked(system: Libraries, window: int) -> bool:
    """Whether Windows hides a window that says it is visible, as those of apps that sleep."""
    cloaked = c_uint32()
    failed = system.dwmapi.DwmGetWindowAttribute(window, CLOAKED, ctypes.byref(cloaked), ctypes.sizeof(cloaked))
    return not failed and cloaked.value != 0


def _owner(system: Libraries, window: int) -> int:
    pid = c_uint32()
    system.user32.GetWindowThreadProcessId(window, ctypes.byref(pid))
    return pid.value


def _candidate(system: Libraries, window: int) -> Candidate:
    text = ctypes.create_unicode_buffer(system.user32.GetWindowTextLengthW(window) + 1)
    system.user32.GetWindowTextW(window, text, len(text))
    pid = _owner(system, window)
    return Candidate(window, text.value, pid, _process_names(system, pid))


def _process_names(system: Libraries, pid: int) -> tuple[str, ...]:
    """The file name of a process's executable; none where Windows does not let us ask."""
    process = system.kernel32.OpenProcess(QUERY_LIMITED_INFORMATION, 0, pid)
    if not process:
        return ()
    try:
        path, size = ctypes.create_unicode_buffer(LONGEST), c_uint32(LONGEST)
        known = system.kernel32.QueryFullProcessImageNameW(process, 0, path, ctypes.byref(size))
        return (PureWindowsPath(path.value).name,) if known else ()
    finally:
        system.kernel32.CloseHandle(process)
