"""A worker's place at the learner's desk, and what the desk has to tell it."""

from contextlib import suppress
from dataclasses import dataclass, field
from queue import Full, Queue
from typing import Final

from rollout.assignment import Assignment
from rollout.keys import Key

OUTBOX: Final = 256  # notes that may wait for a worker to read them


@dataclass(frozen=True, slots=True)
class Given:
    """An assignment to play."""

    assignment: Assignment
    wanted: tuple[int, ...]  # indices of its seeds whose reports are not there yet


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A report is durable."""

    key: Key


@dataclass(frozen=True, slots=True)
class Refused:
    """A report is not what was asked for, or is not needed any more."""

    key: Key
    reason: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The worker need not come back."""

    reason: str


Note = Given | Acknowledged | Refused | Finished


@dataclass(slots=True, eq=False)
class Seat:
    """A worker's place; what changes in it is the desk's."""

    worker: str
    incarnation: int
    claims: set[int]  # assignments that it says it has
    heard: float  # the time when it last said something, as the next
    moved: float  # when it last made a step
    ready: bool = False
    under_way: int = 0  # reports without an answer
    accepted: int = 0
    refused: int = 0
    steps: int = 0  # since its process started, by its last heartbeat, as the next
    episodes: int = 0
    spooled: int = 0
    steps_per_second: float = 0.0  # between its last two heartbeats
    beat: float | None = None  # when the last one came
    outbox: Queue[Note | None] = field(default_factory=lambda: Queue[Note | None](OUTBOX))  # None: the call ends
    ended: bool = False

    def told(self, now: float, steps: int, episodes: int, spooled: int) -> None:
        """A heartbeat came."""
        if self.beat is not None and now > self.beat:
            self.steps_per_second = (steps - self.steps) / (now - self.beat)
        self.beat, self.steps, self.episodes, self.spooled = now, steps, episodes, spooled

    def tell(self, note: Note) -> None:
        """Put a note in the outbox. A worker that does not read what it is told loses its seat, not our memory."""
        try:
            self.outbox.put_nowait(note)
        except Full:
            self.ended = True

    def end(self) -> None:
        """Have the call end when all before is told."""
        self.ended = True
        with suppress(Full):
            self.outbox.put_nowait(None)
