"""A person's keyboard, asked for the keys that stand for a gamepad and for no others."""

import sys
from collections.abc import Callable, Mapping
from typing import Any, Final

from envs.errors import MissingPackageError, OptionError
from envs.gamepad import AXES
from envs.window.pad import HELD
from rollout.lerobot.track import Held

# The stand-in's keys, as `skygarden play` has them; a profile's [pad.keys] takes their place.
KEYS: Final[Mapping[str, str]] = {
    "LX-": "a", "LX+": "d", "LY-": "s", "LY+": "w", "RX-": "Left", "RX+": "Right", "RY-": "Down", "RY+": "Up",
    "A": "space", "B": "Shift_L", "X": "j", "Y": "k", "LB": "u", "RB": "o", "LT": "i", "RT": "l",
    "UP": "1", "DOWN": "2", "LEFT": "3", "RIGHT": "4", "START": "Return", "BACK": "BackSpace",
}  # fmt: skip

# Windows' virtual keys by X's names, where they are not the character itself (learn.microsoft.com, virtual-key codes).
_VIRTUAL: Final[Mapping[str, int]] = {
    "space": 0x20, "Left": 0x25, "Up": 0x26, "Right": 0x27, "Down": 0x28, "Shift_L": 0xA0, "Shift_R": 0xA1,
    "Control_L": 0xA2, "Control_R": 0xA3, "Alt_L": 0xA4, "Alt_R": 0xA5, "Return": 0x0D, "Escape": 0x1B, "Tab": 0x09,
    "BackSpace": 0x08, "Prior": 0x21, "Next": 0x22, "End": 0x23, "Home": 0x24, "Insert": 0x2D, "Delete": 0x2E,
    **{f"F{number}": 0x6F + number for number in range(1, 13)},
}  # fmt: skip
_DOWN: Final = 0x8000  # GetAsyncKeyState: the key is down now


def held_of(is_down: Callable[[str], bool]) -> Held:
    """The gamepad that keys stand for. Args: is_down: whether the key of a button or of "LX-" and the like is down."""
    sticks = [float(is_down(f"{axis}+")) - float(is_down(f"{axis}-")) for axis in AXES]
    pressed = frozenset(name for name in HELD if is_down(name))
    return Held((*sticks, float("LT" in pressed), float("RT" in pressed)), pressed)


class XKeyboard:
    """The keyboard of an X server.

    Args: keys: what stands for a button, or for "LX-" and the like, by X's names. display: as ":0"; None is $DISPLAY.
    Raises: MissingPackageError: python-xlib is not installed. OptionError: no such key. PadLostError: no server.
    """

    def __init__(self, keys: Mapping[str, str], display: str | None = None) -> None:
        from envs.window.pad_keyboard import keys_down, open_display

        self._display: Any = open_display(display)
        self._keys_down: Callable[[Any], frozenset[int]] = keys_down
        self._codes = {name: self._code(key) for name, key in keys.items()}
        self._closed = False

    def read(self) -> Held:
        """The keys that are down now, whichever window they go to."""
        down = self._keys_down(self._display)
        return held_of(lambda name: self._codes.get(name) in down)

    def close(self) -> None:
        """Let go of the connection."""
        if not self._closed:
            self._closed = True
            self._display.close()

    def _code(self, key: str) -> int:
        from Xlib import XK

        code = self._display.keysym_to_keycode(XK.string_to_keysym(key))
        if not code:
            raise OptionError(f"this keyboard has no key {key!r}; keys are named as xev shows them, like space or Left")
        return code


class WindowsKeyboard:
    """Windows' keyboard. Args: user32: the system's library of that name."""

    def __init__(self, keys: Mapping[str, str], user32: Any) -> None:
        self._user32 = user32
        self._codes = {name: virtual_key(key) for name, key in keys.items()}

    def read(self) -> Held:
        """The keys that are down now, whichever window they go to."""
        return held_of(self._is_down)

    def close(self) -> None:
        """There is nothing to let go of."""

    def _is_down(self, name: str) -> bool:
        code = self._codes.get(name)
        return code is not None and bool(self._user32.GetAsyncKeyState(code) & _DOWN)


def virtual_key(key: str) -> int:
    """Windows' code of a key by X's name. Raises: OptionError: it is not among those known."""
    if len(key) == 1 and key.isascii() and key.isalnum():
        return ord(key.upper())
    if key not in _VIRTUAL:
        raise OptionError(f"no key {key!r} is known on Windows; letters, digits, {', '.join(_VIRTUAL)} are")
    return _VIRTUAL[key]


def keyboard(keys: Mapping[str, str]) -> XKeyboard | WindowsKeyboard:
    """This machine's keyboard. Raises: as the two; MissingPackageError: the system is another."""
    if sys.platform == "win32":
        import ctypes

        return WindowsKeyboard(keys, ctypes.windll.user32)
    if sys.platform == "linux":
        return XKeyboard(keys)
    raise MissingPackageError(f"no keyboard can be read on {sys.platform}; record with a gamepad")
