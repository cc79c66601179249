"""The learner's desk: assignments go out to the workers that have a seat, and the episodes that come back are checked.

What is taken in is what was asked for, once: the episode of a seed that this worker was given, played with the head
and the trunk it was given. A worker that leaves has its assignment played by another. Nothing here knows of a network.
"""

import logging
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Final

from envs.episode import Episode
from envs.errors import DataError, DeliveryError
from rollout.codec import Key, Stamp

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """What all episodes of a run have in common."""

    trunk: str  # hash of the trunk's weights
    width: int  # of the features
    context: str
    temperature: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """Episodes to play at once, all with one head."""

    number: int
    version: int  # of the head
    seeds: tuple[int, ...]
    sampling_seed: int


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """An episode is in."""

    key: Key


@dataclass(frozen=True, slots=True)
class Refused:
    """An episode is not what was asked for; its place in the batch stays empty."""

    key: Key
    reason: str


Note = Assignment | Acknowledged | Refused


@dataclass(slots=True, eq=False)
class Seat:
    """A worker's place at the desk."""

    worker: str
    incarnation: int
    outbox: SimpleQueue[Note | None] = field(default_factory=SimpleQueue[Note | None])  # None: leave
    assignment: int | None = None


@dataclass(slots=True)
class _Open:
    """An assignment and what has come of it."""

    assignment: Assignment
    episodes: dict[int, tuple[Episode, Stamp]] = field(default_factory=dict[int, tuple[Episode, Stamp]])
    dropped: dict[int, str] = field(default_factory=dict[int, str])

    @property
    def done(self) -> bool:
        return len(self.episodes) + len(self.dropped) == len(self.assignment.seeds)


class Desk:
    """Hands out assignments and takes in episodes; every method may be called from any thread."""

    def __init__(self, contract: Contract) -> None:
        self.contract: Final = contract
        self._lock = threading.Condition()
        self._queue: deque[int] = deque()  # assignments that nobody plays
        self._open: dict[int, _Open] = {}
        self._seats: list[Seat] = []
        self._keys: set[Key] = set()  # of what is in
        self._closed: str | None = None  # why

    def sit(self, worker: str, incarnation: int) -> Seat:
        """Give a worker a seat; an older incarnation of it loses its own.

        Raises: DeliveryError: the desk is closed.
        """
        with self._lock:
            if self._closed:
                raise DeliveryError(self._closed)
            for seat in [seat for seat in self._seats if seat.worker == worker]:
                seat.outbox.put(None)
                self._stand(seat)
            seat = Seat(worker, incarnation)
            self._seats.append(seat)
            self._hand_out()
            return seat

    def leave(self, seat: Seat) -> None:
        """A worker is gone; what it was to play is played by another."""
        with self._lock:
            if seat in self._seats:
                self._stand(seat)
                self._hand_out()

    def post(self, assignment: Assignment) -> None:
        """Have an assignment played."""
        with self._lock:
            self._open[assignment.number] = _Open(assignment)
            self._queue.append(assignment.number)
            self._hand_out()

    def accept(self, seat: Seat, episode: Episode, stamp: Stamp) -> None:
        """Take in an episode; the answer, which may be a refusal, goes to the seat's outbox."""
        with self._lock:
            if stamp.key in self._keys:
                seat.outbox.put(Acknowledged(stamp.key))
                return
            try:
                opened = self._check(seat, episode, stamp)
            except DataError as error:
                self.refuse(seat, stamp.key, stamp.assignment, stamp.index, str(error))
                return
            opened.episodes[stamp.index] = (episode, stamp)
            self._keys.add(stamp.key)
            seat.outbox.put(Acknowledged(stamp.key))
            self._settle(seat, opened)

    def refuse(self, seat: Seat, key: Key, assignment: int, index: int, reason: str) -> None:
        """Turn an episode away; if it was one that this worker was to play, its place stays empty."""
        with self._lock:
            log.warning("refused episode %s of worker %s: %s", key.sequence, seat.worker, reason)
            seat.outbox.put(Refused(key, reason))
            self.drop(seat, assignment, index, reason)

    def drop(self, seat: Seat, assignment: int, index: int, reason: str) -> None:
        """An episode of a worker's assignment will not come."""
        with self._lock:
            opened = self._open.get(assignment)
            if opened and seat.assignment == assignment and index < len(opened.assignment.seeds):
                if index not in opened.episodes:
                    log.warning("episode %d of assignment %d is dropped: %s", index, assignment, reason)
                    opened.dropped[index] = reason
                self._settle(seat, opened)

    def wait(self, numbers: Sequence[int], patience: float) -> list[tuple[Episode, Stamp]]:
        """The episodes of assignments, in order and without those that were dropped, when all are done.

        Args: patience: seconds without anything new after which waiting is given up.
        Raises: DeliveryError: nothing came for so long, or the desk was closed.
        """
        with self._lock:
            while not all(self._open[number].done for number in numbers):
                if self._closed:
                    raise DeliveryError(self._closed)
                if not self._lock.wait(patience):
                    names = ", ".join(sorted(seat.worker for seat in self._seats)) or "nobody"
                    raise DeliveryError(
                        f"nothing came from the workers for {patience:g} seconds ({names} is connected); "
                        "look at their logs and start them again: the run goes on from its last checkpoint"
                    )
            done = [self._open.pop(number) for number in numbers]
            return [opened.episodes[index] for opened in done for index in sorted(opened.episodes)]

    def close(self, reason: str = "this learner has stopped") -> None:
        """Send everybody home; whoever waits is told the reason."""
        with self._lock:
            self._closed = self._closed or reason
            for seat in self._seats:
                seat.outbox.put(None)
            self._lock.notify_all()

    @property
    def closed(self) -> bool:
        """Whether everybody was sent home."""
        with self._lock:
            return self._closed is not None

    @property
    def workers(self) -> list[str]:
        """Who has a seat."""
        with self._lock:
            return sorted(seat.worker for seat in self._seats)

    def _check(self, seat: Seat, episode: Episode, stamp: Stamp) -> _Open:
        """The assignment that an episode belongs to.

        Raises: DataError: it is not what was asked for.
        """
        if (stamp.key.worker, stamp.key.incarnation) != (seat.worker, seat.incarnation):
            raise DataError(f"this is worker {seat.worker}, and the episode names {stamp.key.worker!r:.64}")
        opened = self._open.get(stamp.assignment)
        if opened is None or seat.assignment != stamp.assignment:
            raise DataError(f"assignment {stamp.assignment} is not this worker's")
        asked, contract = opened.assignment, self.contract
        if stamp.index >= len(asked.seeds) or asked.seeds[stamp.index] != episode.seed:
            raise DataError(f"seed {episode.seed} is not number {stamp.index} of the assignment")
        if stamp.index in opened.episodes or stamp.index in opened.dropped:
            raise DataError(f"number {stamp.index} of the assignment is there already")
        needed = (asked.version, contract.trunk, contract.context, contract.width)
        given = (stamp.version, stamp.trunk, stamp.context, episode.features.shape[1])
        for name, need, got in zip(("version", "trunk", "context", "width"), needed, given, strict=True):
            if need != got:
                raise DataError(f"{name} {str(need)[:12]} was asked for, and {str(got)[:12]} played")
        if not abs(stamp.temperature - contract.temperature) <= 1e-6:  # nor is NaN near it
            raise DataError(f"temperature {contract.temperature} was asked for, and {stamp.temperature} played")
        return opened

    def _settle(self, seat: Seat, opened: _Open) -> None:
        """Something came: if it was the last, the worker is free."""
        if opened.done:
            seat.assignment = None
            self._hand_out()
        self._lock.notify_all()

    def _stand(self, seat: Seat) -> None:
        self._seats.remove(seat)
        if seat.assignment is not None:
            log.warning("worker %s left assignment %d behind", seat.worker, seat.assignment)
            opened = self._open[seat.assignment]
            # Played anew as a whole, so that it is the same whoever plays it: what came of it is thrown away.
            self._keys -= {stamp.key for _, stamp in opened.episodes.values()}
            opened.episodes.clear()
            opened.dropped.clear()
            self._queue.appendleft(seat.assignment)
            seat.assignment = None

    def _hand_out(self) -> None:
        for seat in self._seats:
            if seat.assignment is None and self._queue:
                seat.assignment = self._queue.popleft()
                seat.outbox.put(self._open[seat.assignment].assignment)
