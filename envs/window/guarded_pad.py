"""The environment's end of its pad: starts the process that owns it and tells it what to hold.

Every call asks and waits for the answer, for `PATIENCE` at most: a watchdog that is dead or hangs is an error at once.
"""

import os
import queue
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from envs import errors
from envs.errors import PadLostError, SkygardenError
from envs.window import wire
from envs.window.pad import PadConfig, PadState
from envs.window.wire import Message

PATIENCE: Final = 1.0  # s for an answer; most take well under a millisecond
STARTING: Final = 30.0  # s for a process to load what it needs, on a busy machine
ENDING: Final = 2.0  # s for a process to let go of the pad

WATCHDOG: Final = (sys.executable, "-m", "envs.window.watchdog")


class GuardedPad:
    """A pad that is let go whatever happens to this process; `hold` it again and again, or the lease runs out.

    Args: config: of the game's profile. window: the game's, to watch its focus: X11 id or HWND; None watches none.
        command: the process to start in place of envs.window.watchdog.
    Raises: MissingPackageError, OptionError, PadLostError: as `open_driver`.
    """

    def __init__(self, config: PadConfig, window: int | None = None, command: Sequence[str] = WATCHDOG) -> None:
        self._config, self._window, self._command = config, window, tuple(command)
        self._process: subprocess.Popen[bytes] | None = None
        self._inbox: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self.devices: tuple[str, ...] = ()  # of the system, that are this pad
        self.restart()

    def hold(self, state: PadState) -> str | None:
        """Hold exactly this, for the lease's time.

        Returns: why the pad was let go since the last call: "late", "focus", "touched: key w", or several, joined by
            "; ". None: it was not. After a focus or touch it stays released, and the reason comes again, until
            `resume`.
        Raises: PadLostError: the watchdog is dead or hangs; `restart` makes a new one.
        """
        return self._ask({"do": "hold", "state": wire.state_message(state), "lease": float(self._config.lease)})

    def release(self) -> str | None:
        """Let everything go. Returns and raises as `hold`."""
        return self._ask({"do": "release"})

    def resume(self) -> None:
        """What the guards objected to is dealt with, as at a reset: from here on the pad may be held again.

        Raises: PadLostError: as `hold`.
        """
        self._ask({"do": "resume"})

    def restart(self, window: int | None = None) -> None:
        """Replace the watchdog, dead or not; the new one begins with everything released.

        Args: window: the game's new window; None keeps the one before.
        Raises: as the constructor.
        """
        self.close()
        self._window = self._window if window is None else window
        root = str(Path(__file__).parents[2])  # the same code there as here, wherever we are
        path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
        self._process = process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
            bufsize=0,
            start_new_session=True,  # Ctrl+C is for the environment, which then closes the pad
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),  # the same on Windows
        )
        assert process.stdout is not None
        self._inbox = queue.SimpleQueue()
        wire.listen(process.stdout.fileno(), self._inbox)
        self.devices = tuple(
            self._exchange({"config": wire.config_message(self._config), "window": self._window}, STARTING)["devices"]
        )

    @property
    def pid(self) -> int | None:
        """The watchdog's process; None where there is none."""
        return None if self._process is None else self._process.pid

    def close(self) -> None:
        """Let everything go and end the watchdog; may be called twice."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()  # it sees the end of the file, releases and ends
        try:
            process.wait(ENDING)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, message: Message) -> str | None:
        reasons: list[str] = self._exchange(message, PATIENCE)["reasons"]
        return "; ".join(reasons) or None

    def _exchange(self, message: Message, patience: float) -> Message:
        if self._process is None:
            raise PadLostError("the pad is closed; call restart()")
        assert self._process.stdin is not None
        try:
            with suppress(BrokenPipeError):  # its last word may still be on the way
                wire.send(self._process.stdin.fileno(), message)
            answer = self._inbox.get(timeout=patience)
        except queue.Empty as error:
            raise self._lost(f"gave no answer in {patience:g} s") from error
        if answer is None:
            raise self._lost("ended")
        if "error" in answer:
            self._lost("failed")
            raise _error(answer["error"], answer["message"])
        return answer

    def _lost(self, what: str) -> PadLostError:
        """Kill it: a virtual pad goes with its process, pressed keys are released by the next one."""
        process = self._process
        assert process is not None
        process.kill()
        status = process.wait()
        self.close()
        return PadLostError(f"the process that owns the pad {what} (exit status {status}); restart() makes a new one")


def _error(kind: str, message: str) -> SkygardenError:
    known: Any = getattr(errors, kind, PadLostError)
    return known(message)
