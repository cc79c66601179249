"""The learner's desk: assignments go out to the workers that ask for them, and the reports that come back are checked.

What is taken in is what was asked for, once: an episode of a seed of an assignment, played with the head and the trunk
that it was to be played with. An assignment is lent to one worker; if that one leaves, falls silent or stands still,
what is missing is lent to another, and whoever reports it first is right. Nothing here knows of a network.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Final

from torch import Tensor

from envs.episode import Episode
from envs.errors import DataError, DeliveryError
from rollout.assignment import Assignment, Contract
from rollout.codec import Stamp
from rollout.journal import Journal
from rollout.keys import Key, KeySet
from rollout.loans import Loans
from rollout.reports import Dropped, Played, Report, recall_report, written
from rollout.seat import Acknowledged, Finished, Given, Refused, Seat
from rollout.status import DeskStatus, WorkerStatus

CREDITS: Final = 8  # reports of one worker that may be under way without an answer
_HELD: Final = 64  # assignments that a worker may say it has

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a desk waits for a worker, in seconds, before it lends to another what that one was to play."""

    heartbeat: float = 2.0  # in which either side says something
    silence: float = 10.0  # without a word, or without a connection
    standstill: float = 60.0  # with an assignment and without a step


@dataclass(slots=True)
class Counts:
    """Reports since the desk was opened."""

    accepted: int = 0
    repeated: int = 0
    refused: int = 0
    dropped: int = 0
    recovered: int = 0  # from the journal


@dataclass(slots=True)
class _Open:
    """An assignment and what has come of it."""

    assignment: Assignment
    reports: dict[int, Report] = field(default_factory=dict[int, Report])
    coming: set[int] = field(default_factory=set[int])  # on their way into the journal

    @property
    def done(self) -> bool:
        return len(self.reports) == len(self.assignment.seeds)

    @property
    def wanted(self) -> tuple[int, ...]:
        return tuple(k for k in range(len(self.assignment.seeds)) if k not in self.reports and k not in self.coming)


class Desk:
    """Hands out assignments and takes in reports; every method may be called from any thread.

    Args: contract: of the run. journal: where reports are kept before they are acknowledged; without one, in memory.
      clock: seconds, of a clock that never goes back.
    """

    def __init__(
        self,
        contract: Contract,
        journal: Journal | None = None,
        patience: Patience | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.contract: Final = contract
        self.patience: Final = patience or Patience()
        self.counts: Final = Counts()
        self._journal, self._clock = journal, clock
        if journal:
            journal.on_failure(self.close)
        self._lock = threading.Condition()
        self._loans = Loans()
        self._open: dict[int, _Open] = {}
        self._seats: list[Seat] = []
        self._last: dict[str, Seat] = {}  # of every worker that ever came
        self._keys = KeySet()  # of what is in
        self._writing: dict[Key, Seat] = {}  # what is on its way into the journal, and who is to hear of it
        self._early: dict[int, list[tuple[Seat, Report, bytes]]] = {}  # of assignments that are not posted yet
        self._recovered: dict[int, list[Report]] = {}
        self._newest = -1  # assignment that was posted
        self._closed: str | None = None  # why

    @property
    def run(self) -> str:
        """What tells this run from every other."""
        return self._journal.run if self._journal else "unnamed"

    def recover(self, keys: Tensor | None, first: int) -> None:
        """Go on from a checkpoint: know its keys, and what the journal has of the assignments from `first` on.

        Raises: CheckpointError: these are no keys.
        """
        with self._lock:
            self._keys = KeySet() if keys is None else KeySet.of_tensor(keys)
            self._newest = first - 1
            for data in self._journal.reports(first) if self._journal else ():
                report = recall_report(data)
                if report.key:
                    self._keys.add(report.key)
                self._recovered.setdefault(report.assignment, []).append(report)

    def keys(self) -> Tensor:
        """The keys of all that is in, for a checkpoint; see `rollout.keys.KeySet.tensor`."""
        with self._lock:
            return self._keys.tensor()

    def saved(self, below: int) -> None:
        """A checkpoint holds what followed from the assignments below this one."""
        if self._journal:
            self._journal.forget(below)

    def post(self, assignment: Assignment) -> None:
        """Have an assignment played, but for what of it is there already.

        Raises: DataError: the journal has episodes of it that are not what is asked for.
        """
        with self._lock:
            number = assignment.number
            self._newest = max(self._newest, number)
            opened = self._open[number] = _Open(assignment)
            for report in self._recovered.pop(number, ()):
                if isinstance(report, Played):
                    self._compare(assignment, report)
                opened.reports[report.index] = report
                self.counts.recovered += 1
            if not opened.done:
                self._loans.offer(number)
                for seat in self._seats:
                    if number in seat.claims:
                        self._loans.lend(number, seat)
            for seat, report, data in self._early.pop(number, ()):
                seat.under_way -= 1
                self.accept(seat, report, data)
            self._hand_out()
            self._lock.notify_all()

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
                    names = ", ".join(self.workers) or "nobody"
                    raise DeliveryError(
                        f"nothing came from the workers for {patience:g} seconds ({names} is connected); "
                        "look at their logs and start them again: the run goes on from its last checkpoint"
                    )
            done = [self._open.pop(number) for number in numbers]
            reports = [opened.reports[index] for opened in done for index in sorted(opened.reports)]
            return [(report.episode, report.stamp) for report in reports if isinstance(report, Played)]

    def close(self, reason: str = "this learner has stopped") -> None:
        """Send everybody home; whoever waits is told the reason."""
        with self._lock:
            self._closed = self._closed or reason
            for seat in self._seats:
                seat.tell(Finished(self._closed))
                seat.end()
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

    def sit(self, worker: str, incarnation: int, held: Sequence[int] = ()) -> Seat:
        """Give a worker a seat; an older one of it is ended.

        Args: held: assignments that it was given in this incarnation and has not reported whole.
        Raises: DeliveryError: the desk is closed, or a newer incarnation is at work.
        """
        with self._lock:
            if self._closed:
                raise DeliveryError(self._closed)
            now = self._clock()
            for seat in [seat for seat in self._seats if seat.worker == worker]:
                if seat.incarnation > incarnation:
                    raise DeliveryError(f"another process works as {worker}, started later; give each its own name")
                self._stand(seat, "has another connection", now + self.patience.silence)
            seat = Seat(worker, incarnation, set(held[:_HELD]), now, now)
            self._seats.append(seat)
            self._last[worker] = seat
            self._loans.resume(seat)
            return seat

    def ready(self, seat: Seat) -> None:
        """A worker is free: all its reports are sent, and those from before its process started are answered."""
        with self._lock:
            self._hear(seat, moved=True)
            if seat not in self._seats:
                return
            for number in self._loans.of(seat):
                for index in self._open[number].wanted:
                    self._give_up(number, index, f"worker {seat.worker} asked for more and had not reported it")
            self._loans.end_others(seat)  # they died with an earlier process
            seat.ready = True
            self._hand_out()

    def beat(self, seat: Seat, steps: int, episodes: int, spooled: int) -> None:
        """A worker is alive; see `rollout.v1.Heartbeat`."""
        with self._lock:
            self._hear(seat, moved=steps != seat.steps)
            seat.told(seat.heard, steps, episodes, spooled)

    def accept(self, seat: Seat, report: Report, data: bytes = b"") -> None:
        """Take in a report; the answer, which may be a refusal, goes to the seat's outbox when the report is durable.

        Args: data: the message that it came in, for the journal.
        """
        with self._lock:
            self._hear(seat, moved=True)
            key = report.key
            if key is None:
                raise DataError("a report has a key")
            if key.worker != seat.worker or key.incarnation > seat.incarnation:
                # Before all else: nobody gets the answer to another's report.
                reason = f"this is worker {seat.worker}/{seat.incarnation}, and the episode names {key!r:.100}"
                self.refuse(seat, key, report.assignment, report.index, reason)
            elif key in self._keys:
                self.counts.repeated += 1
                seat.tell(Acknowledged(key))
            elif key in self._writing:
                self.counts.repeated += 1
                self._writing[key] = seat
            elif report.assignment > self._newest:
                self._use_credit(seat)
                self._early.setdefault(report.assignment, []).append((seat, report, data))
            else:
                try:
                    opened = self._check(report)
                except DataError as error:
                    self.refuse(seat, key, report.assignment, report.index, str(error))
                    return
                self._use_credit(seat)
                self._writing[key] = seat
                self._write(opened, report, data)

    def refuse(self, seat: Seat, key: Key, assignment: int, index: int, reason: str) -> None:
        """Turn a report away; if it was one that this worker was to make, its place stays empty."""
        with self._lock:
            self._hear(seat, moved=True)
            self.counts.refused += 1
            seat.refused += 1
            log.warning("refused episode %d of worker %s/%d: %s", key.sequence, seat.worker, key.incarnation, reason)
            seat.tell(Refused(key, reason))
            if assignment in self._loans.of(seat) and index in self._open[assignment].wanted:
                self._give_up(assignment, index, reason)

    def leave(self, seat: Seat, *, for_good: bool = False) -> None:
        """A worker's call has ended; what it was to play waits for it a little, unless it is gone for good."""
        with self._lock:
            if seat in self._seats:
                self._stand(seat, "has left", self._clock() + (0 if for_good else self.patience.silence))
                self.look_around()

    def look_around(self) -> None:
        """End what has waited too long: loans of those who are away, seats of the silent and of those that stand still.

        To be called every second or so.
        """
        with self._lock:
            if self._closed:
                return
            now, patience = self._clock(), self.patience
            for seat in list(self._seats):
                if seat.ended:  # it does not read
                    self._stand(seat, "does not read what it is told", now)
                elif now - seat.heard > patience.silence:
                    self._stand(seat, f"was not heard for {patience.silence:g} seconds", now)
                elif self._loans.of(seat) and now - seat.moved > patience.standstill:
                    self._stand(seat, f"stands still for {patience.standstill:g} seconds", now)
            self._loans.expire(now)
            self._hand_out()

    def wait_for_room(self) -> None:
        """Wait while too much waits for the disk; whoever reads from a worker does, so that it sends no more."""
        if self._journal:
            self._journal.wait_for_room()

    def status(self) -> DeskStatus:
        """How it is going."""
        with self._lock:
            now, (waiting, playing) = self._clock(), self._loans.counts()
            workers = tuple(
                WorkerStatus(
                    name=worker,
                    incarnation=seat.incarnation,
                    connected=seat in self._seats,
                    silent=now - seat.heard,
                    playing=tuple(self._loans.of(seat)),
                    steps=seat.steps,
                    episodes=seat.episodes,
                    spooled=seat.spooled,
                    steps_per_second=seat.steps_per_second if seat in self._seats else 0.0,
                    accepted=seat.accepted,
                    refused=seat.refused,
                )
                for worker, seat in sorted(self._last.items())
            )
            return DeskStatus(run=self.run, workers=workers, waiting=waiting, playing=playing, **asdict(self.counts))

    def _check(self, report: Report) -> _Open:
        """The assignment that a report belongs to.

        Raises: DataError: it is not what was asked for.
        """
        opened = self._open.get(report.assignment)
        if opened is None:
            raise DataError(f"assignment {report.assignment} is over")
        if report.index >= len(opened.assignment.seeds):
            raise DataError(f"assignment {report.assignment} has no number {report.index}")
        if report.index not in opened.wanted:
            raise DataError(f"number {report.index} of assignment {report.assignment} is there already")
        if isinstance(report, Played):
            self._compare(opened.assignment, report)
        return opened

    def _compare(self, asked: Assignment, report: Played) -> None:
        episode, stamp, contract = report.episode, report.stamp, self.contract
        if asked.seeds[stamp.index] != episode.seed:
            raise DataError(f"seed {episode.seed} is not number {stamp.index} of the assignment")
        needed = (asked.version, contract.trunk, contract.context, contract.width)
        given = (stamp.version, stamp.trunk, stamp.context, episode.features.shape[1])
        for name, need, got in zip(("version", "trunk", "context", "width"), needed, given, strict=True):
            if need != got:
                raise DataError(f"{name} {str(need)[:12]} was asked for, and {str(got)[:12]} played")
        if not abs(stamp.temperature - contract.temperature) <= 1e-6:  # nor is NaN near it
            raise DataError(f"temperature {contract.temperature} was asked for, and {stamp.temperature} played")

    def _give_up(self, number: int, index: int, reason: str) -> None:
        dropped = Dropped(None, number, index, reason)
        self._write(self._open[number], dropped, written(dropped))

    def _write(self, opened: _Open, report: Report, data: bytes) -> None:
        opened.coming.add(report.index)
        if self._journal:
            self._journal.add(data, report.assignment, lambda: self._take_in(opened, report))
        else:
            self._take_in(opened, report)

    def _take_in(self, opened: _Open, report: Report) -> None:
        """A report is durable."""
        with self._lock:
            opened.coming.discard(report.index)
            opened.reports[report.index] = report
            if report.key:
                self._keys.add(report.key)
                seat = self._writing.pop(report.key)
                seat.under_way -= 1
                seat.accepted += 1
                seat.tell(Acknowledged(report.key))
            if isinstance(report, Dropped):
                self.counts.dropped += 1
                log.warning(
                    "episode %d of assignment %d is dropped: %s", report.index, report.assignment, report.reason
                )
            else:
                self.counts.accepted += 1
            if opened.done:
                self._loans.close(report.assignment)
            self._lock.notify_all()

    def _hear(self, seat: Seat, *, moved: bool) -> None:
        seat.heard = self._clock()
        if moved:
            seat.moved = seat.heard

    def _use_credit(self, seat: Seat) -> None:
        seat.under_way += 1
        if seat.under_way > CREDITS:
            seat.ended = True  # it does not keep to what was agreed

    def _stand(self, seat: Seat, why: str, until: float) -> None:
        self._seats.remove(seat)
        seat.end()
        log.warning("worker %s/%d %s", seat.worker, seat.incarnation, why)
        self._loans.limit(seat, until)
        for number, waiting in list(self._early.items()):
            waiting[:] = [early for early in waiting if early[0] is not seat]  # it keeps them, and comes again
            if not waiting:
                del self._early[number]

    def _hand_out(self) -> None:
        for seat in self._seats:
            if seat.ready and not seat.ended and (number := self._loans.next()) is not None:
                seat.ready = False
                self._loans.lend(number, seat)
                seat.moved = self._clock()
                seat.tell(Given(self._open[number].assignment, self._open[number].wanted))
