"""Who plays which assignment, and which nobody plays."""

import logging
from collections import deque
from dataclasses import dataclass

from rollout.delivery.seat import Seat

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Loan:
    worker: str
    incarnation: int
    until: float | None = None  # the time when it ends, unless its worker is back before


class Loans:
    """Assignments by number: each is lent to one worker, or waits for one in the order of `offer`."""

    def __init__(self) -> None:
        self._waiting: deque[int] = deque()
        self._loans: dict[int, _Loan] = {}

    def offer(self, number: int) -> None:
        """Have an assignment wait behind the others."""
        self._waiting.append(number)

    @property
    def waiting(self) -> tuple[int, ...]:
        """The assignments that wait, in the order in which they are to be lent."""
        return tuple(self._waiting)

    def lend(self, number: int, seat: Seat) -> None:
        """Lend an assignment that waits."""
        if number in self._waiting:
            self._waiting.remove(number)
            self._loans[number] = _Loan(seat.worker, seat.incarnation)

    def close(self, number: int) -> None:
        """An assignment is done."""
        self._loans.pop(number, None)
        if number in self._waiting:
            self._waiting.remove(number)

    def of(self, seat: Seat) -> list[int]:
        """What is lent to the process of a seat."""
        return [number for number, loan in self._loans.items() if self._is(loan, seat)]

    def may_drop(self, number: int, seat: Seat) -> bool:
        """Whether a worker may say that an assignment's episode will not come: it is not lent to another."""
        return number not in self._loans or self._loans[number].worker == seat.worker

    def resume(self, seat: Seat) -> None:
        """A worker is back: it keeps what it says it has, and what it does not know of was lost on the way."""
        for number in self.of(seat):
            if number in seat.claims:
                self._loans[number].until = None
            else:
                self._take_back(number)
        for number in [number for number in self._waiting if number in seat.claims]:
            self.lend(number, seat)

    def limit(self, seat: Seat, until: float) -> None:
        """A worker is away: what it has ends at a time."""
        for number in self.of(seat):
            self._loans[number].until = until

    def end_others(self, seat: Seat) -> None:
        """Take back what was lent to earlier processes of a worker."""
        for number, loan in list(self._loans.items()):
            if loan.worker == seat.worker and loan.incarnation != seat.incarnation:
                self._take_back(number)

    def expire(self, now: float) -> None:
        """Take back what ended."""
        for number, loan in list(self._loans.items()):
            if loan.until is not None and loan.until <= now:
                self._take_back(number)

    def counts(self) -> tuple[int, int]:
        """How many wait, and how many are lent."""
        return len(self._waiting), len(self._loans)

    @staticmethod
    def _is(loan: _Loan, seat: Seat) -> bool:
        return (loan.worker, loan.incarnation) == (seat.worker, seat.incarnation)

    def _take_back(self, number: int) -> None:
        loan = self._loans.pop(number)
        log.warning("assignment %d is taken back from worker %s/%d", number, loan.worker, loan.incarnation)
        self._waiting.appendleft(number)
