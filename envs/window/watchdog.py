"""The process that owns the pad: it lets everything go when the environment falls silent.

A killed or hung agent would leave a stick pushed for ever, a window that comes up would be played in, a person at the
keyboard would be fought. So the pad belongs to a process of its own. It holds what it is told for as long as a lease
runs, and lets go at once when a guard objects; then it holds nothing more until it is told that someone has seen to it.

    python -m envs.window.watchdog      started by envs.window.guarded_pad; speaks as envs.window.wire says
"""

import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from envs.errors import SkygardenError
from envs.window import wire
from envs.window.focus import focus_guard
from envs.window.pad import NEUTRAL, PadConfig, PadDriver, PadState, open_driver
from envs.window.touch import touch_guards
from envs.window.wire import Message

BLIND: Final = 0.5  # s without a look by the guards after which nobody knows whether the pad may be held
ORPHANED: Final = 1.0  # s between two looks at whether the environment's process is still there


class Guard(Protocol):
    """Watches for something that the pad must not be held through."""

    def look(self) -> str | None:
        """Why the pad must be let go, or None; called a hundred times a second."""
        ...

    def resume(self) -> None:
        """What was seen so far is dealt with."""
        ...

    def close(self) -> None:
        """Let go of everything."""
        ...


class PadKeeper:
    """What the pad holds: what it was told, while the lease runs and nobody objects.

    Args: driver: the pad, which nobody else touches. clock: s, never going back.
    """

    def __init__(self, driver: PadDriver, clock: Callable[[], float] = time.monotonic) -> None:
        self._driver, self._clock = driver, clock
        self._ends: float | None = None  # s on the clock, when the lease runs out; None: nothing is held
        self._late = False
        self._objections: dict[str, None] = {}  # in the order in which they came

    def hold(self, state: PadState, lease: float) -> None:
        """Hold a state for `lease` seconds at most; without effect while there are objections."""
        self.tick()
        if not self._objections:
            self._ends = self._clock() + lease
            self._driver.apply(state)

    def release(self) -> None:
        """Let everything go."""
        self._ends = None
        self._driver.apply(NEUTRAL)

    def object(self, reason: str) -> None:
        """Let everything go, and hold nothing more before `resume`."""
        if not self._objections:
            self.release()
        self._objections[reason] = None

    def resume(self) -> None:
        """Someone has dealt with what was objected to. Nothing is held until told."""
        self._objections.clear()
        self._late = False
        self.release()

    def tick(self) -> float | None:
        """Do what is due by now; returns the seconds until something else is, None where nothing will be."""
        if self._ends is None:
            return None
        remaining = self._ends - self._clock()
        if remaining <= 0.0:
            self._late = True
            self.release()
            return None
        due = self._driver.tick()
        return remaining if due is None else min(remaining, due)

    def reasons(self) -> list[str]:
        """Why the pad was let go since the last call, or still may not be held."""
        reasons = [*(["late"] if self._late else []), *self._objections]
        self._late = False
        return reasons


class Patrol:
    """Goes from guard to guard in a thread of its own: a system that answers late must not hold up the pad.

    Args: tell: called from that thread with each objection and the number of resumes before it.
    """

    def __init__(self, guards: Sequence[Guard], poll: float, tell: Callable[[str, int], None]) -> None:
        self._guards, self._poll, self._tell = guards, poll, tell
        self._wanted = self._done = 0  # resumes
        self._told: set[str] = set()  # since the last resume
        self._resumed, self._stop = threading.Event(), threading.Event()
        self._seen = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="pad-guards", daemon=True)
        self._thread.start()

    @property
    def blind(self) -> bool:
        """Whether the last full round is too long ago."""
        return time.monotonic() - self._seen > BLIND

    @property
    def resumes(self) -> int:
        """How often `resume` was called."""
        return self._wanted

    def resume(self) -> None:
        """Have the guards forget what they saw; returns when they did, or soon where one of them hangs."""
        self._resumed.clear()
        self._wanted += 1
        self._resumed.wait(BLIND / 2)

    def close(self) -> None:
        """Send the guards home."""
        self._stop.set()
        self._thread.join(BLIND)

    def _run(self) -> None:
        while not self._stop.wait(self._poll):
            wanted = self._wanted
            if wanted != self._done:
                self._told.clear()
            for guard in self._guards:
                self._ask(guard, wanted)
            self._seen = time.monotonic()
            if wanted != self._done:
                self._done = wanted
                self._resumed.set()
        for guard in self._guards:
            guard.close()

    def _ask(self, guard: Guard, wanted: int) -> None:
        try:
            if wanted != self._done:
                guard.resume()
            reason = guard.look()
        except Exception as error:  # it must not end the thread: nobody would look any more
            reason = f"blind: {type(guard).__name__} failed ({error})"
        if reason is not None and reason not in self._told:
            self._told.add(reason)
            self._tell(reason, wanted)


class Watchdog:
    """Hears the environment and the guards, and answers.

    Args: inbox: what both say; None in it is the end. answer: sends a message to the environment.
    """

    def __init__(
        self,
        driver: PadDriver,
        guards: Sequence[Guard],
        poll: float,
        inbox: "queue.SimpleQueue[Message | None]",
        answer: Callable[[Message], None],
    ) -> None:
        self._driver, self._keeper = driver, PadKeeper(driver)
        self._inbox, self._answer = inbox, answer
        self._patrol = Patrol(guards, poll, lambda reason, resumes: inbox.put({"object": reason, "resumes": resumes}))

    def run(self) -> None:
        """Serve until the environment is gone; leaves everything released."""
        parent = os.getppid()
        try:
            while os.getppid() == parent:  # a fork of the environment may keep the pipe open beyond its end
                due = self._keeper.tick()
                try:
                    message = self._inbox.get(timeout=ORPHANED if due is None else min(due, ORPHANED))
                except queue.Empty:
                    continue
                if message is None:
                    return
                self._obey(message)
        finally:
            self._driver.close()
            self._patrol.close()

    def _obey(self, message: Message) -> None:
        match message:
            case {"object": str(reason), "resumes": int(resumes)}:
                if resumes == self._patrol.resumes:  # else it was dealt with
                    self._keeper.object(reason)
                return
            case {"do": "hold", "state": state, "lease": float(lease)}:
                if self._patrol.blind:
                    self._keeper.object("blind: the system does not say who has the focus")
                self._keeper.hold(wire.read_state(state), lease)
            case {"do": "release"}:
                self._keeper.release()
            case {"do": "resume"}:
                self._keeper.release()
                self._patrol.resume()
                self._keeper.resume()
            case _:
                raise ValueError(f"the pad's watchdog does not understand {message}")
        self._answer({"reasons": self._keeper.reasons()})


def open_guards(config: PadConfig, window: int | None, driver: PadDriver) -> list[Guard]:
    """The guards that the settings ask for."""
    guards: list[Guard] = [*touch_guards(config.touch, driver)]
    return guards if window is None else [focus_guard(window), *guards]


def serve(
    source: int,
    sink: int,
    make_driver: Callable[[PadConfig], PadDriver] = open_driver,
    make_guards: Callable[[PadConfig, int | None, PadDriver], Sequence[Guard]] = open_guards,
) -> int:
    """Serve an environment over two pipes; the first message holds the settings. Returns the exit status."""
    inbox: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
    wire.listen(source, inbox)
    first = inbox.get()
    if first is None:
        return 0
    try:
        config = wire.read_config(first["config"])
        driver = make_driver(config)
        try:
            guards = make_guards(config, first["window"], driver)
        except BaseException:
            driver.close()
            raise
        wire.send(sink, {"devices": driver.devices})
        Watchdog(driver, guards, config.poll, inbox, lambda message: wire.send(sink, message)).run()
    except BrokenPipeError:
        return 0  # the environment is gone between its question and the answer
    except Exception as error:  # the environment is told, and raises it
        kind = type(error).__name__ if isinstance(error, SkygardenError) else "PadLostError"
        wire.send(sink, {"error": kind, "message": str(error) or repr(error)})
        return 1
    return 0


def main() -> int:
    """Serve over standard input and output."""
    sink = os.dup(1)
    os.dup2(2, 1)  # what libraries print must not come between the answers
    signal.signal(signal.SIGTERM, _end)  # leaves through `finally`, which releases
    return serve(0, sink)


def _end(_signal: int, _frame: object) -> None:
    sys.exit(0)


if __name__ == "__main__":
    sys.exit(main())
