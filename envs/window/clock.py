"""A steady beat: steps at absolute deadlines, and the truth about those that were missed.

Deadlines lie on one grid from the start on, so that a late step makes the next one shorter and no error adds up. Where
whole periods have passed, they are left out and counted: nobody acts twice at once to catch up.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

PERIOD: Final = 0.1  # seconds
TOLERANCE: Final = 0.005  # seconds that a step may come after its deadline and still keep it


@dataclass(frozen=True, slots=True)
class Beat:
    """One deadline. Times are monotonic, in seconds."""

    due: float
    woke: float  # when the wait was over
    slack: float  # from the call to the deadline; below 0 the caller was too slow
    skipped: int  # deadlines that passed before this one, and got no step

    @property
    def late(self) -> float:
        """Seconds after the deadline."""
        return self.woke - self.due

    @property
    def missed(self) -> bool:
        """Whether this deadline, or one before it, was not kept."""
        return self.skipped > 0 or self.late > TOLERANCE


class Clock:
    """Deadlines every `period` seconds after `start`."""

    def __init__(
        self,
        period: float = PERIOD,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._period, self._now, self._sleep = period, now, sleep
        self._origin, self._number = 0.0, 0

    def start(self) -> float:
        """Begin the grid now; the first deadline is a period away."""
        self._origin, self._number = self._now(), 0
        return self._origin

    def now(self) -> float:
        """The time, monotonic, in seconds."""
        return self._now()

    def wait(self) -> Beat:
        """Wait for the next deadline; at once where it has passed."""
        called = self._now()
        following = self._number + 1
        self._number = max(following, math.floor((called - self._origin) / self._period))
        due = self._origin + self._number * self._period
        if called < due:
            self._sleep(due - called)
        slack = self._origin + following * self._period - called
        return Beat(due, self._now(), slack, self._number - following)
