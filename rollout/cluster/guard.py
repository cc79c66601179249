"""Runs a worker for somebody who may be killed at any moment, and lets nothing of it outlive them for long.

Ray kills the children of an actor that it ends, before they can deliver what they have. This process is nobody's child:
it sees that its starter is gone when its input ends, asks the worker to leave, waits, and then ends whatever the worker
has started (a game, its watchdogs), which Linux hands to it. It is run as a file by a bare Python, so it imports
nothing but the standard library: `python -I -S guard.py GRACE LOG COMMAND...`. It answers "started PID", then
"ended STATUS". `Guarded` is the starter's side.
"""

import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

STRAYS: Final = 3.0  # seconds that the worker's own children have to end by themselves when it has ended
_DEATH_SIGNAL, _SUBREAPER = 1, 36  # of Linux's prctl
_LOST: Final = -int(signal.SIGKILL)  # status of a worker whose guard was killed, which takes it along
_NO_COMMAND: Final = 127  # status where the command cannot be run, as of a shell


class Guarded:
    """A worker under a guard of its own.

    Args: command: of the worker. environment: all of it. record: file that what the worker says is added to. grace:
      seconds that it has to leave in. held: descriptor that stays open until the guard has ended.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], record: Path, grace: float, held: int
    ) -> None:
        starter = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__, str(grace), str(record), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=dict(environment),
            start_new_session=True,
            pass_fds=(held,),
        )
        assert starter.stdin
        assert starter.stdout
        self._input, self._answers = starter.stdin, starter.stdout
        starter.wait()  # the guard goes on in the background
        self.worker: Final = self._answer("started")

    def leave(self) -> None:
        """Have the worker leave; may be called again, and from any thread."""
        with suppress(BrokenPipeError):
            self._input.close()

    def wait(self) -> int:
        """Wait for worker, what it has started, and guard to end; returns the worker's status."""
        status = self._answer("ended")
        self._answers.close()
        self.leave()
        return _LOST if status is None else status

    def _answer(self, about: str) -> int | None:
        """What the guard says of something; None if it has ended without."""
        word, _, number = self._answers.readline().decode().partition(" ")
        return int(number) if word == about else None


class _Guard:
    """The process itself: one thread, so it may fork."""

    def __init__(self, grace: float) -> None:
        self._grace = grace
        self._prctl = ctypes.CDLL(None).prctl
        self._prctl(_SUBREAPER, 1)
        with suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, 0, 0)  # Ray's processes give way to all others; a game cannot
        self._signals, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.signal(signal.SIGCHLD, _wake)
        signal.signal(signal.SIGTERM, _wake)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.set_wakeup_fd(writing)
        self._worker = 0
        self._status: int | None = None

    def start(self, command: Sequence[str], record: Path) -> int:
        """Start the worker; returns its process."""
        guard = os.getpid()
        self._worker = os.fork()
        if not self._worker:
            try:
                self._become(command, record, guard)
            finally:
                os._exit(_NO_COMMAND)
        return self._worker

    def watch(self) -> int:
        """Wait until the worker has ended; when this input ends, or at SIGTERM, it is asked to, then made to.

        Returns its status.
        """
        watched: Sequence[int] = (0, self._signals)
        deadline: float | None = None
        while self._status is None:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            ready = select.select(watched, [], [], left)[0]
            came = os.read(self._signals, 512) if self._signals in ready else b""
            asked = 0 in ready and not os.read(0, 512)
            self._reap()
            if self._status is not None:
                break
            if deadline is None and (asked or signal.SIGTERM in came):
                watched, deadline = (self._signals,), time.monotonic() + self._grace
                os.kill(self._worker, signal.SIGTERM)
            elif deadline is not None and time.monotonic() >= deadline:
                os.kill(self._worker, signal.SIGKILL)
                deadline = time.monotonic() + self._grace + 1.0
        return self._status

    def end_strays(self) -> None:
        """Wait a little for what the worker has left behind, then kill it; what that leaves behind comes here too."""
        deadline = time.monotonic() + STRAYS
        while self._reap():
            if time.monotonic() > deadline:
                for child in _children():
                    os.kill(child, signal.SIGKILL)
            time.sleep(0.05)

    def _reap(self) -> bool:
        """Take note of children that have ended; False if there are no others."""
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                if ended[0] == self._worker:
                    self._status = os.waitstatus_to_exitcode(ended[1])
            return True
        return False

    def _become(self, command: Sequence[str], record: Path, guard: int) -> None:
        """Go on as the worker, which dies with its guard."""
        self._prctl(_DEATH_SIGNAL, signal.SIGKILL)
        if os.getppid() != guard:
            return
        for number in (signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        output = os.open(record, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(output, 1)
        os.dup2(output, 2)
        _close_others()
        try:
            os.execvp(command[0], list(command))
        except OSError as error:
            os.write(2, f"cannot run {command[0]}: {error}\n".encode())


def main() -> None:
    """Run a command as this process was told to."""
    grace, record, *command = sys.argv[1:]
    if os.fork():
        os._exit(0)  # the starter's child ends here
    guard = _Guard(float(grace))
    _say(f"started {guard.start(command, Path(record))}")
    status = guard.watch()
    guard.end_strays()
    _close_others()  # what was held is free when the end is told
    _say(f"ended {status}")


def _wake(number: int, frame: object) -> None:
    """A signal that has a handler is written to the pipe."""


def _close_others() -> None:
    """Close all but input, output and errors."""
    os.closerange(3, max(4096, os.sysconf("SC_OPEN_MAX")))


def _children() -> list[int]:
    own = os.getpid()
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal() and _parent(path) == own]


def _parent(process: Path) -> int | None:
    try:
        return int((process / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[1])
    except (OSError, ValueError):
        return None  # it has ended meanwhile


def _say(line: str) -> None:
    with suppress(BrokenPipeError):
        os.write(1, f"{line}\n".encode())


if __name__ == "__main__":
    main()
