"""The check of the way to an episode's start, which keeps what each step came to."""

import math

from envs.errors import ResetError
from envs.window.doctor_system import take_evidence
from envs.window.findings import Patient, StepSeen, Verdict, fault, good, warning
from envs.window.macro import Stagehand
from envs.window.rig import Rig


def reset(patient: Patient) -> Verdict:
    """Whether the start of an episode can be reached."""
    rig, witnesses = patient.rig, list[_Witness]()
    steps = rig.profile.reset.steps

    def watch(hand: Stagehand) -> Stagehand:
        witnesses.append(_Witness(hand, rig))
        return witnesses[0]

    began = rig.tools.now()
    try:
        rig.to_start(watch)
    except ResetError as error:
        return fault(str(error), _nearest_advice(witnesses[0].seen()))
    finally:
        patient.evidence.steps = witnesses[0].seen() if witnesses else ()
    took = rig.tools.now() - began
    take_evidence(patient, rig.shoot(), at_start=True)
    if not steps:
        advice = "Describe the way to the start of an episode in [[reset.steps]] of the profile, with [looks]."
        return warning("the profile has no steps: whatever the game shows counts as the start of an episode", advice)
    more = len(patient.evidence.steps) - len(steps)
    again = f", with {more} of them tried anew" if more > 0 else ""
    return good(f"the start of an episode was reached in {took:.1f} s, by {len(steps)} steps{again}")


def _nearest_advice(steps: tuple[StepSeen, ...]) -> str:
    """What to do about the step that was not reached."""
    last = next((step for step in reversed(steps) if not step.reached), None)
    if last is None:
        return "See the pictures of the steps below."
    if last.nearest < 3.0:
        return (
            f"The look “{last.look}” came near: take its picture anew, or raise looks.{last.look}.tolerance to more "
            f"than {last.nearest:.1f} times what it is."
        )
    pressed = f" though {last.pressed[0]} was pressed {len(last.pressed)} times" if last.pressed else ""
    return (
        f"The look “{last.look}” never came{pressed}. See in the pictures of the steps below what the game shows "
        "instead, and correct the look, its region, or the button of the step."
    )


class _Witness:
    """A stagehand's shadow: keeps what each step came to."""

    def __init__(self, hand: Stagehand, rig: Rig) -> None:
        self._hand, self._rig = hand, rig
        self._steps: list[StepSeen] = []
        self._look: str | None = None
        self._began, self._nearest, self._pressed = 0.0, math.inf, list[str]()

    def press(self, button: str | None) -> None:
        """See Stagehand."""
        if button is not None:
            self._pressed.append(button)
        self._hand.press(button)

    def difference(self, look: str) -> float:
        """See Stagehand."""
        if look != self._look:
            self._close()
            self._look, self._began = look, self._rig.tools.now()
        found = self._hand.difference(look)
        self._nearest = min(self._nearest, found)
        return found

    def seen(self) -> tuple[StepSeen, ...]:
        """All steps so far."""
        self._close()
        return tuple(self._steps)

    def _close(self) -> None:
        """The step is over."""
        if self._look is None:
            return
        try:
            window = self._rig.shoot().rgb()
        except Exception:  # the window is gone: there is no picture of that
            window = None
        region = self._rig.profile.looks[self._look].region
        took = self._rig.tools.now() - self._began
        self._steps.append(StepSeen(self._look, region, tuple(self._pressed), self._nearest, took, window))
        self._look, self._nearest, self._pressed = None, math.inf, []
