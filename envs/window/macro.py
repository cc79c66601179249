"""The way to the start of an episode: press, look whether it worked, press again, begin anew, give up.

Nothing here sleeps and hopes: each step of a macro ends when the window looks as it should, or runs out of time.
"""

import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from envs.errors import ResetError
from envs.window.profile import MacroStep, ResetProfile

GLANCE: Final = 1 / 30  # seconds between two looks at the window
ANSWER: Final = 0.05  # of a look's tolerance, by which a press has to move the window for the game to have heard it
# In the last step, so that an episode's beat begins with a frame that is new: where the game keeps its own beat, the
# frames of all steps then are, and what follows from them reaches the game a frame earlier.
CLOSE_GLANCE: Final = 0.001


class Stagehand(Protocol):
    """Who presses and sees."""

    def press(self, button: str | None) -> None:
        """Hold a button, and nothing else; None: hold nothing."""
        ...

    def difference(self, look: str) -> float:
        """How far the window is from a look: 1 is at its tolerance, less is the look."""
        ...


class Macro:
    """Runs a profile's steps.

    Args: now, sleep: the clock, in seconds.
    """

    def __init__(
        self,
        profile: ResetProfile,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._profile, self._now, self._sleep = profile, now, sleep

    def run(self, hand: Stagehand) -> None:
        """Go through all steps; from the first one again where one takes too long.

        Raises: ResetError: so it was at every attempt.
        """
        failed: list[str] = []
        for _ in range(self._profile.attempts):
            fault = self._attempt(self._profile.steps, hand)
            if fault is None:
                return
            failed.append(fault)
        raise ResetError(
            f"the game did not come to the start of an episode in {len(failed)} attempts: {'; then '.join(failed)}. "
            "`skygarden doctor` shows what it sees"
        )

    def _attempt(self, steps: Sequence[MacroStep], hand: Stagehand) -> str | None:
        """What stopped it, if something did."""
        try:
            for number, step in enumerate(steps, 1):
                nearest = self._step(step, hand, CLOSE_GLANCE if number == len(steps) else GLANCE)
                if nearest is not None:
                    waited = f"step {number} waited {step.timeout:g} s for {step.until!r}"
                    return f"{waited}, which was {nearest:.1f} times its tolerance away at best"
        finally:
            hand.press(None)
        return None

    def _step(self, step: MacroStep, hand: Stagehand, glance: float) -> float | None:
        """None when the window looks as it should, or how near it came."""
        begun = self._now()
        pressed_at: float | None = None
        held, nearest, before = False, float("inf"), float("inf")
        while True:
            difference = hand.difference(step.until)
            if difference <= 1.0:
                if held:
                    hand.press(None)
                return None
            nearest = min(nearest, difference)
            now = self._now()
            if now - begun > step.timeout:
                return nearest
            if held and pressed_at is not None and now - pressed_at >= self._profile.hold:
                hand.press(None)
                held = False
            is_answered = abs(difference - before) > ANSWER
            rest = step.every if is_answered else max(step.every, step.again)
            if step.press is not None and (pressed_at is None or now - pressed_at >= rest):
                hand.press(step.press)
                held, pressed_at, before = True, now, difference
            self._sleep(glance)
