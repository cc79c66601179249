"""The game itself: its window, found again whenever it is needed, and its process where we started it."""

import subprocess
import sys
import time
from collections.abc import Callable
from typing import Final

from envs.errors import WindowLostError
from envs.window.locate import GameWindow, Sight, find_window
from envs.window.profile import WindowProfile

_GLANCE: Final = 0.1  # seconds between two looks for the window
_RAISE: Final = 5.0  # seconds for a window to come to the front
_END: Final = 5.0  # seconds for a game to end by itself

Find = Callable[[str | None, str | None], GameWindow]


class Game:
    """A profile's game.

    Args: find: finds a window by title and process. now, sleep: the clock, in seconds.
    """

    def __init__(
        self,
        profile: WindowProfile,
        find: Find = find_window,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._profile, self._find, self._now, self._sleep = profile, find, now, sleep
        self._window: GameWindow | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def started(self) -> bool:
        """Whether we started it."""
        return self._process is not None

    def window(self) -> GameWindow:
        """The window; found where it is not known or gone, or the game started where there is none.

        Raises: WindowLostError: it does not come, several fit, or the profile's command cannot be run.
        """
        if self._window is None:
            self._window = self._found()
        return self._window

    def look(self) -> Sight:
        """What is true of the window now; one that is gone is looked for anew the next time.

        Raises: as `window`.
        """
        sight = self.window().look()
        if sight.state == "gone":
            self.forget()
        return sight

    def to_front(self) -> Sight:
        """Bring the window to the front, with the keyboard's focus.

        Raises: WindowLostError: it does not come.
        """
        until = self._now() + _RAISE
        while True:
            sight = self.look()
            if sight.state == "visible" and sight.focused:
                return sight
            if self._now() > until:
                focus = "" if sight.focused else ", without the keyboard's focus"
                raise WindowLostError(f"the game's window does not come to the front: it is {sight.state}{focus}")
            self.window().focus()
            self._sleep(_GLANCE)

    def forget(self) -> None:
        """Let go of the window; it is looked for anew."""
        if self._window is not None:
            self._window.close()
            self._window = None

    def close(self) -> None:
        """Let go of the window, and end the game where we started it; may be called twice."""
        self.forget()
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(_END)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _found(self) -> GameWindow:
        until = self._now() + self._profile.patience
        if self._process is not None and self._process.poll() is not None:
            self._process = None  # it was killed, or ended, some time ago
        while True:
            try:
                return self._find(self._profile.title, self._profile.process)
            except WindowLostError as error:
                if self._now() > until:
                    raise
                ended = self._process is not None and self._process.poll() is not None
                if ended:
                    assert self._process is not None
                    code, self._process = self._process.returncode, None
                    raise WindowLostError(f"the game ended with status {code} before its window came") from error
                if self._process is None and self._profile.launch:
                    self._launch()
                self._sleep(_GLANCE)

    def _launch(self) -> None:
        command = [part.format(python=sys.executable) for part in self._profile.launch]
        try:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        except OSError as error:
            raise WindowLostError(f"the game cannot be started by {command}: {error}; correct window.launch") from error
