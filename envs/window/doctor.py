"""What may be wrong between an agent and a game's window, asked step by step, from the profile to a game that answers.

A check that needs another one is skipped where that one failed. All run in a thread of their own, each for a limited
time: where one hangs, the rest is skipped and the examination ends all the same, with nothing held down.
"""

import queue
import threading
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

from envs.errors import SkygardenError
from envs.window import doctor_play, doctor_reset, doctor_system
from envs.window.findings import Check, Evidence, Finding, Patient, System, Verdict, fault, good, skipped
from envs.window.profile import Profile, load_profile
from envs.window.rig import Rig, Tools

_PROFILE: Final = "profile"
_CLOSING: Final = 15.0  # seconds for all to be let go of; a game has five to end by itself

CHECKS: Final = (
    Check("packages", doctor_system.packages),
    Check("display", doctor_system.display, ("packages",), advice="Start it, or set DISPLAY to the one with the game."),
    Check(
        "window",
        doctor_system.window,
        ("display",),
        advice="Start the game; or correct window.title, window.process or window.launch in the profile.",
        limit=None,
    ),
    Check(
        "front",
        doctor_system.front,
        ("window",),
        advice="Bring the game's window to the front and click into it; close what lies over it.",
    ),
    Check(
        "capture",
        doctor_system.capture,
        ("front",),
        advice="Put the whole window on the screen; run the game in a window, not in exclusive full screen.",
    ),
    Check(
        "pad", doctor_play.pad, ("front",), advice="Install what is missing; pad.driver in the profile names another."
    ),
    Check(
        "button",
        doctor_play.button,
        ("pad",),
        advice="Leave keyboard, mouse and pads alone while this runs; then see pad.driver and pad.keys.",
    ),
    Check(
        "watchdog",
        doctor_play.watchdog,
        ("pad",),
        advice="Leave keyboard, mouse and pads alone while this runs, and the game in front.",
    ),
    Check(
        "reset",
        doctor_reset.reset,
        ("capture", "pad"),
        advice="Compare the pictures below: a look whose region lies elsewhere, or whose tolerance is too small, is "
        "corrected in [looks] of the profile; a button that does nothing in pad.keys or pad.buttons.",
        limit=None,
    ),
    Check(
        "motion",
        doctor_play.motion,
        ("capture",),
        advice="See whether the game hangs or pauses itself; see whether another grabber in capture.grabber helps.",
    ),
    Check(
        "answer",
        doctor_play.answer,
        ("motion", "reset"),
        advice="Leave the game in front. If it ignores the pad: start it after the pad, or choose the pad in its "
        "settings; SDL games may need SDL_JOYSTICK_DISABLE_UDEV=1.",
    ),
    Check("clock", doctor_play.clock, ("capture", "pad"), advice="Leave the game in front while this runs."),
    Check("jump pads", doctor_play.jumppads, advice="Learn them anew: skygarden calibrate PROFILE --runs DATASET."),
)

T = TypeVar("T")


class Doctor:
    """Examines a profile and the game it describes.

    Args: name: the profile's, or its file. tools, system: what the game and the machine are reached by.
    """

    def __init__(
        self,
        name: str | Path,
        tools: Tools | None = None,
        system: System | None = None,
        checks: Sequence[Check] = CHECKS,
    ) -> None:
        self._name, self._checks = name, checks
        self._tools, self._system = tools or Tools(), system or System()
        self.evidence = Evidence()
        self.profile: Profile | None = None  # once it is read

    def examine(self) -> Generator[Finding, None, None]:
        """All findings, in order, each as soon as it is there. Afterwards everything is let go of."""
        began = time.monotonic()
        verdict = self._read()
        yield Finding(_PROFILE, verdict, time.monotonic() - began)
        if self.profile is None:
            for check in self._checks:
                yield Finding(check.name, skipped("the profile cannot be read"), 0.0)
            return
        patient = Patient(Rig(self.profile, self._tools), self._system, self.evidence)
        try:
            with Aside() as aside:
                yield from self._go_through(patient, aside)
        finally:
            with Aside() as aside, suppress(TimeoutError):  # what still hangs goes with the process
                aside.do(patient.rig.close, _CLOSING)

    def _read(self) -> Verdict:
        try:
            self.profile = load_profile(self._name)
        except SkygardenError as error:
            return fault(str(error), "Correct the file; `skygarden doctor standin` shows one that is whole.")
        steps, looks = len(self.profile.reset.steps), len(self.profile.looks)
        return good(f"“{self.profile.name}”: {looks} looks, {steps} steps to the start of an episode")

    def _go_through(self, patient: Patient, aside: "Aside") -> Generator[Finding, None, None]:
        failed, hung = set[str](), ""
        for check in self._checks:
            began = time.monotonic()
            lacking = [need for need in check.needs if need in failed]
            if hung:
                verdict = skipped(f"“{hung}” hangs")
            elif lacking:
                verdict = skipped(f"“{lacking[0]}” must be good first")
            else:
                limit = check.limit or _longest(patient.rig.profile)
                try:
                    verdict = aside.do(lambda check=check: _judge(check, patient), limit)
                except TimeoutError:
                    hung = check.name
                    verdict = fault(f"no end after {limit:g} s", f"Something hangs. {check.advice}".strip())
            if verdict.state in ("fault", "skipped"):
                failed.add(check.name)
            yield Finding(check.name, verdict, time.monotonic() - began)


def _judge(check: Check, patient: Patient) -> Verdict:
    """What a check says; whatever it raises is a fault."""
    try:
        return check.look(patient)
    except SkygardenError as error:
        return fault(str(error), check.advice)
    except Exception as error:  # an examination goes on, whatever is broken
        return fault(f"it failed: {type(error).__name__}: {error}", f"This was not foreseen. {check.advice}".strip())


def _longest(profile: Profile) -> float:
    """Seconds that the game may take to come, and to begin an episode, if all goes wrong."""
    reset = profile.reset
    return 60.0 + profile.window.patience + reset.attempts * sum(step.timeout for step in reset.steps)


class Aside:
    """A thread that things are done in, one after another, and that may be given up when one of them hangs."""

    def __init__(self) -> None:
        self._inbox: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="doctor", daemon=True).start()  # a daemon: it does not hold up the end

    def do(self, work: Callable[[], T], limit: float) -> T:
        """What the work gives. Raises: TimeoutError: not within `limit` seconds; what the work raises."""
        future: Future[T] = Future()

        def run() -> None:
            try:
                future.set_result(work())
            except BaseException as error:  # for whoever waits
                future.set_exception(error)

        self._inbox.put(run)
        return future.result(limit)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._inbox.put(None)  # it ends when it has done what it is at

    def _run(self) -> None:
        while (work := self._inbox.get()) is not None:
            work()
