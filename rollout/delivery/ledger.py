"""What a worker was given and has not reported whole, and what it has reported and has no answer to."""

import re
from collections import deque
from pathlib import Path
from typing import Final

from envs.errors import DeliveryError
from rollout.delivery.keys import Key
from rollout.delivery.spool import Spool
from rollout.wire import rollout_pb2 as wire

_RUN: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")  # it names a folder


class Ledger:
    """The books of one process of a worker; whoever has them keeps others away meanwhile, but for `keep`."""

    def __init__(self, worker: str, incarnation: int) -> None:
        self._worker, self._incarnation = worker, incarnation
        self._sequence = 0
        self._spool: Spool | None = None
        self._to_make: dict[int, int] = {}  # reports, by assignment
        self._made: dict[Key, int] = {}  # assignments of reports without an answer
        self.given: Final = deque[wire.Assignment]()  # that nobody has begun to play

    def open(self, folder: Path, run: str) -> None:
        """Work for a run, of which reports may be left from before.

        Raises: DeliveryError: the folder cannot be used.
        """
        if not _RUN.fullmatch(run):
            raise DeliveryError(f"a run is called by up to 64 letters, digits, - and _, and this one {run[:80]!r}")
        self._spool = Spool(folder / run, self._worker)

    def __len__(self) -> int:
        """How many reports wait for an answer."""
        return len(self._spool) if self._spool else 0

    @property
    def held(self) -> list[int]:
        """The assignments of which something is missing at the learner, as far as is known here."""
        return sorted({*self._to_make, *self._made.values()})

    @property
    def earlier(self) -> bool:
        """Whether reports of an earlier process wait for an answer."""
        return bool(self._spool) and any(key.incarnation != self._incarnation for key in self._spool.waiting)

    def give(self, assignment: wire.Assignment) -> None:
        """An assignment came."""
        self._to_make[assignment.number] = len(assignment.wanted)
        self.given.append(assignment)

    def begin(self, assignment: int) -> Key:
        """The key of a report that is about to be kept. From now on its answer may come."""
        key = Key(self._worker, self._incarnation, self._sequence)
        self._sequence += 1
        self._made[key] = assignment
        return key

    def keep(self, key: Key, report: bytes) -> None:
        """Put a report on the disk.

        Raises: DeliveryError: it takes no more.
        """
        if self._spool is None:
            raise DeliveryError("a report belongs to an assignment, and none has come")
        self._spool.add(key, report)

    def end(self, key: Key, assignment: int, *, kept: bool) -> None:
        """A report is on the disk, or there is none."""
        if not kept:
            self._made.pop(key, None)
        elif self._to_make[assignment] > 1:
            self._to_make[assignment] -= 1
        else:
            del self._to_make[assignment]

    def unsent(self, sent: set[Key]) -> Key | None:
        """The oldest report that is not among those that were sent."""
        return next((key for key in self._spool.waiting if key not in sent), None) if self._spool else None

    def read(self, key: Key) -> bytes | None:
        """A report as it was kept; None if it was damaged since."""
        data = self._spool.read(key) if self._spool else None
        if data is None:
            self._made.pop(key, None)
        return data

    def settle(self, key: Key, *, refused: bool) -> None:
        """The answer to a report is there."""
        self._made.pop(key, None)
        if self._spool and refused:
            self._spool.set_aside(key)
        elif self._spool:
            self._spool.remove(key)
