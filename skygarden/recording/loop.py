"""The recording of play: a frame every tenth of a second, and the hands sixty times a second in between.

Deadlines are absolute. The frame comes first and what the person did in the tenth after it is its action; a tenth that
was not played to its end gives no step.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from envs.window.pad import SticksConfig
from rollout.lerobot.track import FPS, Held, Step
from skygarden.recording.hands import Hands, action_of
from skygarden.recording.view import Away, Shot, View

LOOKS: Final = 6  # at the hands for each frame: a tap of a button takes some 50 ms
PERIOD: Final = 1.0 / (FPS * LOOKS)  # s, of the clock
_CHORD: Final = frozenset({"START", "BACK"})  # held down, ends the recording
_CHORD_SECONDS: Final = 1.0


class Beat(Protocol):
    """A moment of a clock."""

    @property
    def due(self) -> float:
        """When it should be, s of the monotonic clock."""
        ...


class Clock(Protocol):
    """Deadlines every PERIOD seconds after its start; see `envs.window.clock`."""

    def start(self) -> float:
        """Begin now; the first deadline is a period away. Returns: now."""
        ...

    def wait(self) -> Beat:
        """Wait for the next deadline; those that have passed are left out."""
        ...


class Sink(Protocol):
    """Where steps go; see `Writer`."""

    def add(self, shot: Shot, step: Step) -> None:
        """Take a frame and its step, at once."""
        ...

    def cut(self) -> None:
        """End the episode."""
        ...


@dataclass(frozen=True, slots=True)
class Ended:
    """How a recording ended."""

    reason: str
    missed: int  # frames for whose deadline the recorder was too late


def record_play(
    view: View,
    hands: Hands,
    clock: Clock,
    sink: Sink,
    sticks: SticksConfig,
    stopped: Callable[[float], str | None],
    tell: Callable[[str], None],
) -> Ended:
    """Record until it is to end, the window is gone, or the person holds START and BACK for a second.

    While there is nothing to record, the episode is over and the next begins when there is again.
    Args: stopped: why the recording is to end, if it is, after so many seconds. tell: hears why nothing is recorded.
    Raises: what looking at the window raises.
    """
    origin = clock.start()
    shot: Shot | None = None
    pad = Held()
    tenth: list[Held] = []
    number, missed = 0, 0
    away: str | None = None
    chord = math.inf  # since when START and BACK are held
    while True:
        due = clock.wait().due
        held = hands.read()
        chord = min(chord, due) if held.pressed >= _CHORD else math.inf
        tick = round((due - origin) / PERIOD)
        if tick // LOOKS > number:  # a frame is due
            if shot is not None:
                sink.add(shot, Step(shot.time, pad.vector(), action_of(tenth, sticks)))
                missed += tick // LOOKS - number - 1
            reason = "START and BACK were held" if due - chord >= _CHORD_SECONDS else stopped(due - origin)
            if reason is not None:
                sink.cut()
                return Ended(reason, missed)
            number, pad, tenth = tick // LOOKS, held, []
            seen = view.shoot()
            if isinstance(seen, Away):
                if shot is not None:
                    sink.cut()
                if seen.is_final:
                    return Ended(seen.reason, missed)
                if seen.reason != away:
                    tell(f"waiting: {seen.reason}")
                shot, away = None, seen.reason
            else:
                if shot is None:
                    tell("recording")
                shot, away = seen, None
        tenth.append(held)
