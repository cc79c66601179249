"""A virtual Xbox 360 pad: vgamepad, over uinput on Linux and ViGEmBus on Windows.

On Linux the kernel takes the device away when the process that made it ends, however it ends.
"""

import os
import sys
from pathlib import Path
from typing import Any, Final

from envs.errors import MissingPackageError, PadLostError
from envs.window.pad import NEUTRAL, PadConfig, PadState

UINPUT: Final = Path("/dev/uinput")
TRIGGERS: Final = ("LT", "RT")
XUSB: Final = {  # the pad's buttons as vgamepad calls them; triggers are axes there
    "A": "A", "B": "B", "X": "X", "Y": "Y", "LB": "LEFT_SHOULDER", "RB": "RIGHT_SHOULDER", "UP": "DPAD_UP",
    "DOWN": "DPAD_DOWN", "LEFT": "DPAD_LEFT", "RIGHT": "DPAD_RIGHT", "START": "START", "BACK": "BACK",
    "LS": "LEFT_THUMB", "RS": "RIGHT_THUMB",
}  # fmt: skip


class GamepadPad:
    """A pad that a game takes for an Xbox 360 controller, plugged in as long as this object is open.

    Raises: MissingPackageError: vgamepad, libevdev or ViGEmBus is not installed. PadLostError: no leave to make one.
    """

    def __init__(self, config: PadConfig) -> None:
        vgamepad = _load()
        self._config = config
        self._buttons = {name: getattr(vgamepad.XUSB_BUTTON, f"XUSB_GAMEPAD_{xusb}") for name, xusb in XUSB.items()}
        try:
            self._pad: Any = vgamepad.VX360Gamepad()
        except (OSError, RuntimeError) as error:  # from uinput, or from ViGEmBus
            if "libevdev.so" in str(error):
                raise _no_library(error) from error
            raise PadLostError(f"the virtual pad cannot be plugged in ({error}); see `skygarden doctor`") from error
        self.apply(NEUTRAL)

    @property
    def devices(self) -> tuple[str, ...]:
        """The pad's event device on Linux."""
        node = getattr(getattr(self._pad, "uinput", None), "devnode", None)
        return () if node is None else (str(node),)

    @property
    def keycodes(self) -> frozenset[int]:
        """None: it presses no keys."""
        return frozenset()

    def apply(self, state: PadState) -> None:
        """Send all of it in one report."""
        pad, config = self._pad, self._config
        pressed = {config.buttons.get(name, name) for name in state.pressed}
        pad.reset()  # of the report; nothing is sent before `update`
        for name in pressed.difference(TRIGGERS):
            pad.press_button(self._buttons[name])
        level = round(255 * config.trigger)
        pad.left_trigger(level if "LT" in pressed else 0)
        pad.right_trigger(level if "RT" in pressed else 0)
        lx, ly, rx, ry = config.sticks.raw(state)
        pad.left_joystick_float(lx, ly)
        pad.right_joystick_float(rx, ry)
        pad.update()

    def tick(self) -> float | None:
        """A pad needs no more than it was told."""
        return None

    def close(self) -> None:
        """Release everything and pull the plug; may be called twice."""
        if self._pad is not None:
            try:
                self.apply(NEUTRAL)
            finally:
                self._pad = None  # vgamepad has no close(): the device goes with the last reference


def _load() -> Any:
    """The module vgamepad: it opens libevdev or the bus of ViGEmBus while it is imported."""
    if sys.platform == "linux" and not os.access(UINPUT, os.W_OK):
        what = "cannot be written" if UINPUT.exists() else "does not exist"
        raise PadLostError(
            f"a virtual pad needs {UINPUT}, which {what}; as root: modprobe uinput, and a rule "
            'KERNEL=="uinput", GROUP="input", MODE="0660" in /etc/udev/rules.d for a user of the group input'
        )
    try:
        import vgamepad
    except ImportError as error:
        raise MissingPackageError(f"a virtual pad needs vgamepad ({error}); pip install 'skygarden[window]'") from error
    except Exception as error:  # a bare Exception from ViGEmBus, OSError where ctypes finds no library
        raise _no_library(error) from error
    return vgamepad


def _no_library(error: Exception) -> MissingPackageError:
    if sys.platform == "win32":
        what = "the ViGEmBus driver; install it from github.com/nefarius/ViGEmBus/releases"
    else:
        what = "the library libevdev.so.2; on Debian: apt install libevdev2"
    return MissingPackageError(f"a virtual pad needs {what} ({error})")
