"""Reading back what a pad presses, from the system and not from the pad: a press that is heard nowhere is no press."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

from envs.window.pad import HELD, PadConfig
from envs.window.pad_keyboard import keys_down, open_display
from envs.window.touch import EV_ABS, EV_KEY, EVENT

STICKS: Final = frozenset({0, 1, 3, 4})  # the kernel's numbers of their axes
# What does the least in most games comes first.
_ORDER: Final = ("LB", "RB", "X", "Y", "B", "A", *HELD)


class ReadBack(Protocol):
    """Who listens."""

    def held(self) -> bool:
        """Whether the system says that the button is down."""
        ...

    def close(self) -> None:
        """Stop listening."""
        ...


class KeyReadBack:
    """A key of the X server that DISPLAY names, through a connection of its own."""

    def __init__(self, key: str) -> None:
        from Xlib import XK

        self._display = open_display(None)
        self._code: int = self._display.keysym_to_keycode(XK.string_to_keysym(key))

    def held(self) -> bool:
        """See ReadBack."""
        return self._code in keys_down(self._display)

    def close(self) -> None:
        """See ReadBack."""
        self._display.close()


class DeviceReadBack:
    """Buttons and triggers of an input device of Linux. Raises: OSError: it may not be read."""

    def __init__(self, node: Path) -> None:
        self._file = os.open(node, os.O_RDONLY | os.O_NONBLOCK)
        self._state: dict[tuple[int, int], int] = {}

    def held(self) -> bool:
        """See ReadBack."""
        try:
            while data := os.read(self._file, 64 * EVENT.size):
                for _, _, kind, code, value in EVENT.iter_unpack(data):
                    if kind == EV_KEY or (kind == EV_ABS and code not in STICKS):
                        self._state[kind, code] = value
        except BlockingIOError:
            pass  # all has been read
        return any(self._state.values())

    def close(self) -> None:
        """See ReadBack."""
        os.close(self._file)


def trial_button(config: PadConfig) -> str:
    """The button to try a pad with: one that the game can hear, and that is not likely to do much."""
    if config.driver == "keyboard":
        return next((name for name in _ORDER if name in config.keys.names), _ORDER[0])
    return _ORDER[0]


def read_back(config: PadConfig, devices: Sequence[str]) -> ReadBack | str:
    """Somebody who listens for `trial_button`, or why there is nobody.

    Args: devices: of the system, that are the pad. Raises: PadLostError: no X server.
    """
    if config.driver == "none":
        return "the pad presses nothing (pad.driver is none)"
    if config.driver == "keyboard":
        key = config.keys.names.get(trial_button(config))
        return "pad.keys has a key for none of the buttons" if key is None else KeyReadBack(key)
    if sys.platform != "linux" or not devices:
        return f"{sys.platform} does not tell programs what a virtual pad holds; watch it in joy.cpl"
    try:
        return DeviceReadBack(Path(devices[0]))
    except OSError as error:
        return f"{devices[0]} may not be read ({error.strerror}); add yourself to the group `input` and log in again"
