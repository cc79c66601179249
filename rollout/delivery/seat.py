"""A worker's place at the learner's desk, and what the desk has to tell it."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Full, Queue
from typing import Final

from envs.errors import DataError
from rollout.delivery.assignment import Assignment
from rollout.delivery.keys import Key
from rollout.status import WorkerStatus

OUTBOX: Final = 256  # notes that may wait for a worker to read them


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a desk waits for a worker, in seconds, before it lends to another what that one was to play."""

    heartbeat: float = 2.0  # in which either side says something
    silence: float = 10.0  # without a word, or without a connection
    standstill: float = 60.0  # with an assignment and without a step
    start: float = 600.0  # the same before its first step: a game is started, or a world compiled


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

    def check(self, key: Key) -> None:
        """Whether a report with this key can come from here.

        Raises: DataError: it cannot.
        """
        if key.worker != self.worker or key.incarnation > self.incarnation:
            raise DataError(f"this is worker {self.worker}/{self.incarnation}, and the episode names {key!r:.100}")

    def hear(self, now: float, *, moved: bool = True) -> None:
        """The worker said something; moved: which shows that it does not stand still."""
        self.heard = now
        if moved:
            self.moved = now

    def told(self, now: float, steps: int, episodes: int, spooled: int) -> None:
        """A heartbeat came."""
        self.hear(now, moved=steps != self.steps)
        if self.beat is not None and now > self.beat:
            self.steps_per_second = (steps - self.steps) / (now - self.beat)
        self.beat, self.steps, self.episodes, self.spooled = now, steps, episodes, spooled

    def status(self, now: float, *, connected: bool, playing: Sequence[int]) -> WorkerStatus:
        """How it is going for the worker."""
        return WorkerStatus(
            name=self.worker,
            incarnation=self.incarnation,
            connected=connected,
            silent=now - self.heard,
            playing=tuple(playing),
            steps=self.steps,
            episodes=self.episodes,
            spooled=self.spooled,
            steps_per_second=self.steps_per_second if connected else 0.0,
            accepted=self.accepted,
            refused=self.refused,
        )

    def use_credit(self, credits: int) -> None:
        """A report is under way; who has more of them than it may have loses its place."""
        self.under_way += 1
        self.ended = self.ended or self.under_way > credits

    def lost(self, now: float, patience: Patience, *, plays: bool) -> str | None:
        """Why the worker loses its place now, if it does; plays: whether it has an assignment."""
        if self.ended:
            return "does not read what it is told, or sends more than it may"
        if now - self.heard > patience.silence:
            return f"was not heard for {patience.silence:g} seconds"
        longest = patience.standstill if self.steps else patience.start
        if plays and now - self.moved > longest:
            return f"stands still for {longest:g} seconds"
        return None

    def give(self, assignment: Assignment, wanted: tuple[int, ...], now: float) -> None:
        """Have the worker play an assignment."""
        self.ready, self.moved = False, now
        self.tell(Given(assignment, wanted))

    def acknowledge(self, key: Key) -> None:
        """A report that was under way is durable."""
        self.under_way -= 1
        self.accepted += 1
        self.tell(Acknowledged(key))

    def refuse(self, key: Key, reason: str) -> None:
        """A report is turned away."""
        self.refused += 1
        self.tell(Refused(key, reason))

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
