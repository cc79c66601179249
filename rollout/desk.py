"""The learner's desk: assignments go out to the workers that ask for them, and the reports that come back are checked.

What is taken in is what was asked for, once: an episode of a seed of an assignment, played with the head and the trunk
that it was to be played with. An assignment is lent to one worker; if that one leaves, falls silent or stands still,
what is missing is lent to another, and whoever reports it first is right. Nothing here knows of a network.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Final

from torch import Tensor

from envs.episode import Episode
from envs.errors import DataError, DeliveryError
from rollout.codec import Stamp
from rollout.delivery.asked import Asked
from rollout.delivery.assignment import Assignment, Contract
from rollout.delivery.journal import Journal
from rollout.delivery.keys import Key
from rollout.delivery.loans import Loans
from rollout.delivery.reports import Counts, Dropped, Report, written
from rollout.delivery.seat import Acknowledged, Finished, Patience, Seat
from rollout.status import DeskStatus

CREDITS: Final = 8  # reports of one worker that may be under way without an answer
_HELD: Final = 64  # assignments that a worker may say it has

log = logging.getLogger(__name__)


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
        self._asked = Asked(contract)
        self._seats: list[Seat] = []
        self._last: dict[str, Seat] = {}  # of every worker that ever came
        self._writing: dict[Key, Seat] = {}  # what is on its way into the journal, and who is to hear of it
        self._early: list[tuple[Seat, Report, bytes]] = []  # of assignments that are not posted yet
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
            self._asked.recover(keys, first, self._journal.reports(first) if self._journal else ())
            self._take_early()

    def keys(self) -> Tensor:
        """The keys of all that is in, for a checkpoint; see `rollout.delivery.keys.KeySet.tensor`."""
        with self._lock:
            return self._asked.keys.tensor()

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
            self.counts.recovered += self._asked.post(assignment)
            if not self._asked.done(number):
                self._loans.offer(number)
                for seat in self._seats:
                    if number in seat.claims:
                        self._loans.lend(number, seat)
            self._take_early()
            self._hand_out()
            self._lock.notify_all()

    def wait(self, numbers: Sequence[int], patience: float) -> list[tuple[Episode, Stamp]]:
        """The episodes of assignments, in order and without those that were dropped, when all are done.

        Args: patience: seconds without anything new after which waiting is given up.
        Raises: DeliveryError: nothing came for so long, or the desk was closed.
        """
        with self._lock:
            for number in self._asked.reopen(numbers):
                self._loans.offer(number)
            self._hand_out()
            while not all(self._asked.done(number) for number in numbers):
                if self._closed:
                    raise DeliveryError(self._closed)
                if not self._lock.wait(patience):
                    names = ", ".join(self.workers) or "nobody"
                    raise DeliveryError(
                        f"nothing came from the workers for {patience:g} seconds ({names} is connected); "
                        "look at their logs and start them again: the run goes on from its last checkpoint"
                    )
            return self._asked.take(numbers)

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
            seat.hear(self._clock())
            if seat not in self._seats:
                return
            for number in self._loans.of(seat):
                for index in self._asked.wanted(number):
                    self._give_up(number, index, f"worker {seat.worker} asked for more and had not reported it")
            self._loans.end_others(seat)  # they died with an earlier process
            seat.claims.clear()  # so it has none
            seat.ready = True
            self._hand_out()

    def beat(self, seat: Seat, steps: int, episodes: int, spooled: int) -> None:
        """A worker is alive; see `rollout.v1.Heartbeat`."""
        with self._lock:
            seat.told(self._clock(), steps, episodes, spooled)

    def accept(self, seat: Seat, report: Report, data: bytes = b"") -> None:
        """Take in a report; the answer, which may be a refusal, goes to the seat's outbox when the report is durable.

        Args: data: the message that it came in, for the journal.
        """
        with self._lock:
            seat.hear(self._clock())
            self._accept(seat, report, data)

    def _accept(self, seat: Seat, report: Report, data: bytes) -> None:
        key = report.key
        if key is None:
            raise DataError("a report has a key")
        try:
            seat.check(key)  # before all else: nobody gets the answer to another's report
        except DataError as error:
            self.refuse(seat, key, report.assignment, report.index, str(error))
            return
        if key in self._asked.keys:
            self.counts.repeated += 1
            seat.tell(Acknowledged(key))
        elif key in self._writing:
            self.counts.repeated += 1
            self._writing[key].under_way -= 1
            self._writing[key] = seat
            seat.use_credit(CREDITS)
        elif report.assignment > self._asked.newest:
            seat.use_credit(CREDITS)
            self._early.append((seat, report, data))
        else:
            try:
                self._asked.check(report)
                if isinstance(report, Dropped) and not self._loans.may_drop(report.assignment, seat):
                    raise DataError(f"assignment {report.assignment} is played by another, who may still finish it")
            except DataError as error:
                self.refuse(seat, key, report.assignment, report.index, str(error))
                return
            seat.use_credit(CREDITS)
            self._writing[key] = seat
            self._write(report, data)

    def refuse(self, seat: Seat, key: Key, assignment: int, index: int, reason: str) -> None:
        """Turn a report away; if it was one that this worker was to make, its place stays empty."""
        with self._lock:
            seat.hear(self._clock())
            self.counts.refused += 1
            log.warning("refused episode %d of worker %s/%d: %s", key.sequence, seat.worker, key.incarnation, reason)
            seat.refuse(key, reason)
            if assignment in self._loans.of(seat) and index in self._asked.wanted(assignment):
                self._give_up(assignment, index, reason)

    def leave(self, seat: Seat, *, for_good: bool = False) -> None:
        """A worker's call has ended; what it was to play waits for it a little, unless it is gone for good."""
        with self._lock:
            if seat in self._seats:
                self._stand(seat, "has left", self._clock() + (0 if for_good else self.patience.silence))
                self.look_around()

    def look_around(self) -> None:
        """Every second or so: end the loans of those who are away, the seats of the silent and of who stands still."""
        with self._lock:
            if self._closed:
                return
            now, patience = self._clock(), self.patience
            for seat in list(self._seats):
                if why := seat.lost(now, patience, plays=bool(self._loans.of(seat))):
                    self._stand(seat, why, now)
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
            last = [self._last[worker] for worker in sorted(self._last)]
            seen = tuple(seat.status(now, connected=seat in self._seats, playing=self._loans.of(seat)) for seat in last)
            return DeskStatus(run=self.run, workers=seen, waiting=waiting, playing=playing, **asdict(self.counts))

    def _give_up(self, number: int, index: int, reason: str) -> None:
        dropped = Dropped(None, number, index, reason)
        self._write(dropped, written(dropped))

    def _write(self, report: Report, data: bytes) -> None:
        self._asked.expect(report)
        if self._journal:
            self._journal.add(data, report.assignment, lambda: self._take_in(report))
        else:
            self._take_in(report)

    def _take_in(self, report: Report) -> None:
        """A report is durable."""
        with self._lock:
            self._asked.enter(report)
            if report.key:
                self._writing.pop(report.key).acknowledge(report.key)
            if isinstance(report, Dropped):
                self.counts.dropped += 1
                log.warning("%s", report)
            else:
                self.counts.accepted += 1
            if self._asked.done(report.assignment):
                self._loans.close(report.assignment)
            self._lock.notify_all()

    def _take_early(self) -> None:
        """Take in what came before its assignment was posted; what is early still waits on."""
        early, self._early = self._early, []
        for seat, report, data in early:
            seat.under_way -= 1
            self._accept(seat, report, data)

    def _stand(self, seat: Seat, why: str, until: float) -> None:
        self._seats.remove(seat)
        seat.end()
        log.warning("worker %s/%d %s", seat.worker, seat.incarnation, why)
        self._loans.limit(seat, until)
        self._early = [early for early in self._early if early[0] is not seat]  # it keeps them, and comes again

    def _hand_out(self) -> None:
        for seat in self._seats:
            if not seat.ready or seat.ended:
                continue
            missing = (number for number in self._loans.waiting if self._asked.wanted(number))
            if (number := next(missing, None)) is None:  # what else waits is on its way into the journal
                return
            self._loans.lend(number, seat)
            seat.give(self._asked.assignment(number), self._asked.wanted(number), self._clock())
