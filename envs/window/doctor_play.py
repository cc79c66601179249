"""The checks of a game at play: what is pressed arrives, is let go of, and changes what is seen."""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from envs.backend import SIDE
from envs.window.clock import TOLERANCE, Clock
from envs.window.findings import Patient, Pixels, Verdict, fault, good, skipped, warning
from envs.window.jumppad import JumpPadDetector
from envs.window.pad import NEUTRAL, PadState
from envs.window.readback import ReadBack, trial_button
from envs.window.rig import Rig

BEATS: Final = 50
PUSH: Final = 0.5  # seconds that the camera is turned
_CALM: Final = 0.3  # seconds between two pictures of a game that is left alone
_SETTLE: Final = 0.5  # seconds for the camera to come to rest
_CLEAR: Final = 2.0  # mean difference of colour values that is motion
_ABOVE: Final = 3.0  # times what moves by itself
_HEARD: Final = 1.0  # seconds for a press to be heard
_GLANCE: Final = 0.01
_EXTRA: Final = 0.3  # seconds after the lease within which the watchdog must have let go
_MISSED: Final = 0.1  # share of missed steps that is a fault; 0.01 is a warning
_SLOW: Final = 0.020  # seconds for a frame, of the detector


def pad(patient: Patient) -> Verdict:
    """Whether there is a pad, and nobody objects to its use."""
    rig = patient.rig
    rig.to_front()
    rig.tools.sleep(_SETTLE)  # the guards look around meanwhile
    rig.hold(NEUTRAL)
    config = rig.profile.pad
    where = f" as {', '.join(rig.pad.devices)}" if rig.pad.devices else ""
    if config.driver == "none":
        return warning("pad.driver is none: nothing is ever pressed", 'Set pad.driver to "gamepad" or "keyboard".')
    return good(f"{config.driver}{where}, let go of {config.lease:g} s after the last word")


def button(patient: Patient) -> Verdict:
    """Whether a press arrives in the system, and its release."""
    rig = patient.rig
    config, name = rig.profile.pad, trial_button(rig.profile.pad)
    ears = patient.system.listen(config, rig.pad.devices)
    if isinstance(ears, str):
        return skipped(ears)
    try:
        rig.hold(PadState(frozenset({name})))
        heard = _within(rig, _HEARD, ears.held, lambda: rig.hold(PadState(frozenset({name}))))
        rig.hold(NEUTRAL)
        released = _within(rig, _HEARD, lambda: not ears.held())
    finally:
        rig.pad.release()
        ears.close()
    if heard is None:
        return fault(f"{name} was pressed and the system has not heard of it", "See pad.driver and pad.keys.")
    if released is None:
        advice = "Something else holds the same key or button: let go of it, or end the program that does."
        return fault(f"{name} was let go and the system says that it is still down", advice)
    return good(f"{name} was heard after {1e3 * heard:.0f} ms, and its release after {1e3 * released:.0f} ms")


def watchdog(patient: Patient) -> Verdict:
    """Whether the pad is let go when nobody says anything any more."""
    rig = patient.rig
    config, name = rig.profile.pad, trial_button(rig.profile.pad)
    ears = patient.system.listen(config, rig.pad.devices)
    try:
        rig.hold(PadState(frozenset({name})))
        reason, after = _fall_silent(rig, None if isinstance(ears, str) else ears)
    finally:
        rig.pad.release()
        if not isinstance(ears, str):
            ears.close()
    if reason is None or "late" not in reason:
        told = "nothing" if reason is None else f"“{reason}”"
        return fault(f"{name} was held in silence for longer than pad.lease, and the pad said {told}", "Report this.")
    if not isinstance(ears, str) and after is None:
        return fault(f"the pad says that it let go of {name}, and the system does not", "Report this.")
    seen = "" if after is None else f", {after:.2f} s after the last word by the system's account"
    return good(f"let go of {name} by itself{seen}")


def _fall_silent(rig: Rig, ears: ReadBack | None) -> tuple[str | None, float | None]:
    """Say nothing for longer than the lease. Returns: what the pad says to it; when the system said it was let go."""
    silence = rig.profile.pad.lease + _EXTRA
    after = None
    if ears is None:
        rig.tools.sleep(silence)
    else:
        after = _within(rig, silence, lambda: not ears.held())
        if after is not None:
            rig.tools.sleep(max(0.0, silence - after))
    return rig.pad.hold(NEUTRAL), after


def motion(patient: Patient) -> Verdict:
    """Whether the picture changes at all: a game at play does, a hung one or a lost capture does not."""
    rig = patient.rig
    frozen = rig.profile.timing.frozen
    first = rig.shoot().bgra[..., :3]
    changed = _within(rig, frozen, lambda: not np.array_equal(first, rig.shoot().bgra[..., :3]))
    if changed is not None:
        return good(f"the picture changed after {changed:.2f} s")
    said = f"no pixel has changed for {frozen:g} s"
    if patient.evidence.at_start:
        return fault(
            f"{said} at the start of an episode, which timing.frozen takes for a hung game",
            "See whether the game pauses or hangs; where it may stand still that long, raise timing.frozen.",
        )
    return warning(said, "A menu may stand still; what the game itself shows must change. See timing.frozen.")


def answer(patient: Patient) -> Verdict:
    """Whether the game turns its camera while the stick is pushed, and stops when it is not."""
    rig = patient.rig
    rig.to_front()
    rig.tools.sleep(_CALM)
    before = _small(rig)
    rig.tools.sleep(_CALM)
    rest = _small(rig)
    itself = _apart(before, rest)
    needed = max(_CLEAR, _ABOVE * itself)
    rig.push(PadState(rx=1.0), PUSH)
    turned = _apart(rest, _small(rig))
    rig.tools.sleep(_SETTLE)
    stopped = _small(rig)
    rig.tools.sleep(_CALM)
    after = _apart(stopped, _small(rig))
    said = (
        f"by itself the picture changes by {itself:.1f}; pushed for {PUSH:g} s by {turned:.1f}; let go by {after:.1f}"
    )
    if turned <= needed:
        return fault(
            f"the right stick moves nothing ({said})",
            "See that the game takes this pad or these keys (pad.driver, pad.keys), that its dead zone is in pad.sticks"
            " and that it was started after the pad, or looks for new ones: SDL_JOYSTICK_DISABLE_UDEV=1.",
        )
    if after > needed:
        return warning(f"the picture goes on changing after the release ({said})", "See whether the stick is let go.")
    return good(f"the camera turns while the stick is pushed, and stops ({said})")


def clock(patient: Patient) -> Verdict:
    """Whether steps come in time, with nothing to think about."""
    rig, beat = patient.rig, Clock(now=patient.rig.tools.now, sleep=patient.rig.tools.sleep)
    rig.to_front()
    late, missed, frames = list[float](), 0, list[Pixels]()
    beat.start()
    for _ in range(BEATS):
        rig.hold(NEUTRAL)
        step = beat.wait()
        seen = rig.see()
        seen.small(SIDE)
        frames.append(seen.rgb())
        late.append(step.late)
        missed += step.missed
    patient.frames = frames
    tail = float(np.percentile(late, 99))
    said = f"{BEATS} steps: p99 of lateness {1e3 * tail:.1f} ms, {missed} missed"
    advice = "Something takes the processor away: end other programs, or limit the game's frames a second."
    if missed > _MISSED * BEATS:
        return fault(said, advice)
    if missed > 0 or tail > TOLERANCE:
        return warning(said, advice)
    return good(said)


def jumppads(patient: Patient) -> Verdict:
    """Whether launches can be told, and in time."""
    rig = patient.rig
    path = rig.profile.detector
    if path is None:
        return warning(
            "the profile names no detector: no launch is ever seen, so no episode succeeds",
            "Record some runs to each pad with `skygarden record`, then: skygarden calibrate PROFILE --runs DATASET.",
        )
    detector = JumpPadDetector.load(path)
    frames = patient.frames or [np.zeros((SIDE, SIDE, 3), np.uint8)] * BEATS
    seconds: list[float] = []
    launch = None
    for frame in frames:
        began = rig.tools.now()
        launch = detector.update(frame) or launch
        seconds.append(rig.tools.now() - began)
    said = f"{', '.join(detector.names)}; {1e3 * np.median(seconds):.1f} ms a frame (p99 {_milli(seconds, 99)})"
    if launch is not None:
        return warning(
            f"{said}; it took somebody who stands still for a launch from {launch.pad}",
            "Learn it anew from more runs, some without a launch: skygarden calibrate PROFILE --runs DATASET.",
        )
    if float(np.percentile(seconds, 90)) > _SLOW:
        return warning(said, "That is slow for steps of 100 ms: end other programs.")
    return good(said)


def _within(
    rig: Rig, seconds: float, true: Callable[[], bool], meanwhile: Callable[[], object] = lambda: None
) -> float | None:
    """After how many seconds something became true, if it did."""
    began = rig.tools.now()
    while True:
        met, took = true(), rig.tools.now() - began
        if met:
            return took
        if took > seconds:
            return None
        meanwhile()
        rig.tools.sleep(_GLANCE)


def _small(rig: Rig) -> NDArray[np.int16]:
    return rig.see().small(SIDE).astype(np.int16)


def _apart(one: NDArray[np.int16], other: NDArray[np.int16]) -> float:
    """The mean difference of colour values."""
    return float(np.abs(one - other).mean())


def _milli(seconds: list[float], percent: int) -> str:
    return f"{1e3 * np.percentile(seconds, percent):.1f}"
