"""When ticks are due: sixty a second by the wall clock, whatever drawing takes."""

from typing import Final

from envs.standin.physics import TICK

MOST: Final = 15  # ticks that are caught up with at once; a game that hung for longer has lost that time


class TickClock:
    """Counts the ticks of a wall clock, in seconds, from `now` on."""

    def __init__(self, now: float) -> None:
        self._origin = now
        self._done = 0

    def due(self, now: float) -> int:
        """How many ticks to do now: those that have passed since the last call, at most MOST."""
        ticks = max(0, int((now - self._origin) / TICK + 1e-6) - self._done)  # a whole tick is never missed by rounding
        if ticks > MOST:
            self._origin, self._done = now, 0
            return MOST
        self._done += ticks
        return ticks

    def wait(self, now: float) -> float:
        """Seconds until the next tick is due."""
        return max(0.0, self._origin + (self._done + 1) * TICK - now)
