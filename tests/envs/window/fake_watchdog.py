"""The pad's watchdog with a pad that writes down what it is told, and a guard that objects to what a file says.

python fake_watchdog.py LOG OBJECTION
"""

import os
import sys
import time
from pathlib import Path

from envs.window.pad import NEUTRAL, PadState
from envs.window.watchdog import serve


class PadOnPaper:
    """Writes a line for each state: the time, and what is held. Strict: nothing may come after `close`."""

    devices = ()
    keycodes = frozenset()

    def __init__(self, log):
        self._log = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._closed = False
        self.apply(NEUTRAL)

    def apply(self, state):
        assert isinstance(state, PadState)
        assert not self._closed
        if state.lx == -1.0:
            raise OSError("this pad breaks when pushed to the left")
        text = " ".join([*sorted(state.pressed), *(str(value) for value in state.sticks if value)]) or "neutral"
        os.write(self._log, f"{time.monotonic()} {text}\n".encode())

    def tick(self):
        assert not self._closed

    def close(self):
        if not self._closed:
            self.apply(NEUTRAL)
            self._closed = True


class PaperGuard:
    def __init__(self, objection):
        self._objection = objection

    def look(self):
        text = self._objection.read_text() if self._objection.exists() else ""
        if text == "hang":
            time.sleep(3600)
        return text or None

    def resume(self):
        pass

    def close(self):
        pass


if __name__ == "__main__":
    log, objection = map(Path, sys.argv[1:])
    sys.exit(serve(0, os.dup(1), lambda config: PadOnPaper(log), lambda *_: [PaperGuard(objection)]))
