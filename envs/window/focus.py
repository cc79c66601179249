"""Whether the game's window still has the keyboard: a pad must not play in what comes up over it."""

import sys
from collections.abc import Callable
from typing import Any

from envs.window.pad_keyboard import open_display


class FocusGuard:
    """Objects as soon as a window is not focused.

    Args: focused: asks the system. close: lets go of what `focused` uses.
    """

    def __init__(self, focused: Callable[[], bool], close: Callable[[], object] = lambda: None) -> None:
        self._focused, self._close = focused, close

    def look(self) -> str | None:
        """The word focus, where the window lacks it."""
        return None if self._focused() else "focus"

    def resume(self) -> None:
        """Nothing to forget."""

    def close(self) -> None:
        """Let go."""
        self._close()


def focus_guard(window: int) -> FocusGuard:
    """A guard of a window of this system, by its X11 id or its HWND."""
    if sys.platform == "win32":
        import ctypes

        return FocusGuard(lambda: ctypes.windll.user32.GetForegroundWindow() == window)
    display = open_display(None)
    return FocusGuard(lambda: x11_focused(display, window), display.close)


def x11_focused(display: Any, window: int) -> bool:
    """Whether keys go to a window or to one inside it."""
    from Xlib import error

    try:
        focus = display.get_input_focus().focus
        if focus == 1:  # X.PointerRoot: whatever lies under the pointer; so it is where no window manager runs
            below = display.screen().root
            while below and below.id != window:
                below = below.query_pointer().child
            return bool(below)
        while focus and focus.id != window:
            focus = focus.query_tree().parent
        return bool(focus)
    except error.BadWindow:  # gone, just now
        return False
