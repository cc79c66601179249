"""Whether a person has touched something: a key, the mouse, another pad. An agent never fights a person.

What the agent itself presses is known and does not count. On X11 the keyboard's and the pointer's states are compared
with ours; pads are read from /dev/input as far as it may be read; on Windows the system tells when it was last touched,
which virtual pads do not change.
"""

import os
import struct
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from envs.window.pad import PadDriver, TouchKind
from envs.window.pad_keyboard import keys_down, open_display

BUTTON_MASK: Final = 0x1F00  # X: the pointer's five buttons
EVENT: Final = struct.Struct("llHHi")  # struct input_event: the time's seconds and fraction, type, code, value
ABSINFO: Final = struct.Struct("6i")  # struct input_absinfo: value, minimum, maximum, fuzz, flat, resolution
EV_KEY: Final = 1
EV_ABS: Final = 3
BTN_GAMEPAD: Final = 0x130  # what has this button is a gamepad (the kernel's Documentation/input/gamepad.rst)
AXES: Final = 0x40  # codes of EV_ABS
FAR: Final = 0.2  # of an axis's range, beyond what an idle stick drifts


class KeysTouch:
    """X11: a key is down that we do not hold."""

    def __init__(self, display: Any, ours: Callable[[], frozenset[int]]) -> None:
        self._display, self._ours = display, ours

    def look(self) -> str | None:
        """The key, by X's name."""
        before = self._ours()  # one that we let go of while the server answers is in here, a new one in the other
        down = keys_down(self._display)
        foreign = down - before - self._ours()
        return f"touched: key {self._name(min(foreign))}" if foreign else None

    def resume(self) -> None:
        """Nothing to forget: a key that is still down is still down."""

    def close(self) -> None:
        """Leave the server."""
        self._display.close()

    def _name(self, code: int) -> str:
        from Xlib import XK

        symbol = self._display.keycode_to_keysym(code, 0)
        names = (name[3:] for name, value in vars(XK).items() if name.startswith("XK_") and value == symbol)
        return next(names, f"code {code}")


class PointerTouch:
    """X11: the pointer has moved since `resume`, or a button of it is down. Not for games that move it themselves."""

    def __init__(self, display: Any) -> None:
        self._display = display
        self._home: tuple[int, int] | None = None

    def look(self) -> str | None:
        """What the mouse did."""
        pointer = self._display.screen().root.query_pointer()
        place = (pointer.root_x, pointer.root_y)
        if self._home is None:
            self._home = place
        if pointer.mask & BUTTON_MASK:
            return "touched: mouse button"
        return "touched: mouse moved" if place != self._home else None

    def resume(self) -> None:
        """Where the pointer is now is where it was left."""
        self._home = None

    def close(self) -> None:
        """Leave the server."""
        self._display.close()


class PadsTouch:
    """Linux: a gamepad in somebody's hands. Pads that cannot be read are not watched.

    Args: ours: devices that are no person's, as "/dev/input/event5". virtual: watch pads made by programs too; by
        default they are taken for other agents' on this machine. root: of the file system.
    """

    def __init__(self, ours: Sequence[str], virtual: bool = False, root: Path = Path("/")) -> None:
        self._ours, self._virtual, self._root = frozenset(ours), virtual, root
        self._pads: dict[int, tuple[str, dict[int, tuple[int, float]]]] = {}  # fd -> name, axis -> (rest, range)
        self.resume()

    def look(self) -> str | None:
        """The pad that was touched."""
        touched = None
        for fd, (name, axes) in list(self._pads.items()):
            try:
                data = os.read(fd, 64 * EVENT.size)
            except BlockingIOError:
                continue
            except OSError:  # unplugged
                os.close(fd)
                del self._pads[fd]
                continue
            if any(_by_hand(event, axes) for event in EVENT.iter_unpack(data)):
                touched = f"touched: {name}"
        return touched

    def resume(self) -> None:
        """Take the pads as they lie now, new ones too."""
        self.close()
        for node, name in gamepads(self._root, self._virtual):
            if str(node) not in self._ours:
                try:
                    fd = os.open(node, os.O_RDONLY | os.O_NONBLOCK)
                except OSError:  # not ours to read, or just unplugged
                    continue
                self._pads[fd] = name, _axes(fd)

    def close(self) -> None:
        """Let go of the pads."""
        for fd in self._pads:
            os.close(fd)
        self._pads.clear()


class WindowsTouch:
    """Windows: the keyboard or the mouse was used since `resume`.

    Args: last_input: the tick of the last input, as GetLastInputInfo tells it.
    """

    def __init__(self, last_input: Callable[[], int]) -> None:
        self._last_input = last_input
        self._before = last_input()

    def look(self) -> str | None:
        """Whether there was input."""
        return "touched: keyboard or mouse" if self._last_input() != self._before else None

    def resume(self) -> None:
        """What was touched up to now was."""
        self._before = self._last_input()

    def close(self) -> None:
        """Nothing is held."""


TouchGuard = KeysTouch | PointerTouch | PadsTouch | WindowsTouch


def touch_guards(kinds: Sequence[TouchKind], driver: PadDriver) -> Iterator[TouchGuard]:
    """The guards of this system for some kinds of touch: of X11 where there is a display."""
    if sys.platform == "win32":
        if {"keys", "pointer"} & set(kinds):
            import ctypes

            yield WindowsTouch(lambda: last_input(ctypes.windll.user32))
        return
    if "keys" in kinds and os.environ.get("DISPLAY"):
        yield KeysTouch(open_display(None), lambda: driver.keycodes)
    if "pointer" in kinds and os.environ.get("DISPLAY"):
        yield PointerTouch(open_display(None))
    if "pads" in kinds and sys.platform == "linux":
        yield PadsTouch(driver.devices)


def gamepads(root: Path, virtual: bool) -> Iterator[tuple[Path, str]]:
    """The event device and the name of each gamepad that is plugged in; those made by programs only on request."""
    for entry in sorted((root / "sys/class/input").glob("event*")):
        try:
            words = (entry / "device/capabilities/key").read_text().split()
            name = (entry / "device/name").read_text().strip()
        except OSError:  # unplugged while we look
            continue
        made = "/devices/virtual/input/" in str(
            entry.resolve()
        )  # by uinput; a wireless pad's is .../virtual/misc/uhid/
        bits = int("".join(word.rjust(16, "0") for word in words) or "0", 16)
        if bits >> BTN_GAMEPAD & 1 and (virtual or not made):
            yield root / "dev/input" / entry.name, name


def last_input(user32: Any) -> int:
    """The tick, in ms, at which the keyboard or the mouse was last used on Windows; wraps every 50 days."""
    import ctypes

    class LastInputInfo(ctypes.Structure):
        _fields_ = [("size", ctypes.c_uint32), ("time", ctypes.c_uint32)]

    info = LastInputInfo(ctypes.sizeof(LastInputInfo), 0)
    if not user32.GetLastInputInfo(ctypes.byref(info)):
        raise OSError("GetLastInputInfo failed")
    return int(info.time)


def _axes(fd: int) -> dict[int, tuple[int, float]]:
    """Where each axis of a device rests and how far it goes."""
    import fcntl  # not on Windows

    axes: dict[int, tuple[int, float]] = {}
    for code in range(AXES):
        try:
            data = fcntl.ioctl(fd, 0x80184540 + code, bytes(ABSINFO.size))  # EVIOCGABS(code)
        except OSError:  # it has no such axis
            continue
        value, least, most, *_ = ABSINFO.unpack(data)
        if most > least:
            axes[code] = value, float(most - least)
    return axes


def _by_hand(event: tuple[int, int, int, int, int], axes: dict[int, tuple[int, float]]) -> bool:
    _, _, kind, code, value = event
    if kind == EV_KEY:
        return True
    rest, span = axes.get(code, (value, 1.0))
    return kind == EV_ABS and abs(value - rest) > FAR * span
