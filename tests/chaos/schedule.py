"""What happens when, and the learner that it happens to."""

import math
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, Protocol

from tests.chaos.accounts import ROOT

_AGAIN: Final = 0.5  # seconds until it is tried again where there was nobody to whom it could happen

Event = tuple[float, str, int, float]  # seconds to wait, what, a number that says to whom, and for how many seconds


class Scene(Protocol):
    """Processes to which things happen."""

    def happen(self, what: str, who: int, seconds: float) -> bool:
        """Let something happen, if there is somebody to whom it can; returns whether there was."""
        ...

    def tend(self) -> bool:
        """Start again what died, and wake what was stopped; returns whether the run goes on."""
        ...


def play(scene: Scene, events: Iterable[Event], quiet: float, limit: float) -> Counter[str]:
    """Let things happen until the run is over; returns how often each did.

    Args: quiet: seconds from the first thing that happens to the last. limit: seconds in which the run has to be over.
    """
    began, happened, end = time.monotonic(), Counter[str](), math.inf
    for gap, what, who, seconds in events:
        due = time.monotonic() + gap
        while going := scene.tend():
            now = time.monotonic()
            assert now < began + limit, f"the run is not over after {limit:g} seconds"
            if due <= now < end:
                if scene.happen(what, who, seconds):
                    break
                due = now + _AGAIN
            time.sleep(0.02)
        if not going:
            break
        happened[what] += 1
        end = min(end, time.monotonic() + quiet)
    print(f"{time.monotonic() - began:.0f} s, {dict(happened)}")
    return happened


class Later:
    """What is done later: the end of something that lasts."""

    def __init__(self) -> None:
        self._due: list[tuple[float, Callable[[], None]]] = []

    def after(self, seconds: float, what: Callable[[], None]) -> None:
        """Have something done."""
        self._due.append((time.monotonic() + seconds, what))

    def tend(self) -> None:
        """Do what is due."""
        now = time.monotonic()
        for due in [due for due in self._due if due[0] <= now]:
            self._due.remove(due)
            due[1]()


class Learner:
    """A learner, which is started again when it was killed.

    Args: module: what is run, with the arguments. log: file that what it says is added to.
    """

    def __init__(self, module: str, arguments: Iterable[object], log: Path) -> None:
        self._command = [sys.executable, "-m", module, *map(str, arguments)]
        self._log = log
        self._process = self._start()

    def tend(self) -> bool:
        """Start it again if it was killed; returns whether it goes on."""
        status = self._process.poll()
        if status is not None and status != 0:
            assert status == -signal.SIGKILL, self._log.read_text()[-3000:]
            self._process = self._start()
        return status != 0

    def kill(self) -> None:
        """Kill it."""
        self._process.kill()
        self._process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(self._command, cwd=ROOT, stdout=log, stderr=log)
