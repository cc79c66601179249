"""What the tests of the desk share: a clock, a journal that is as slow as a test wants it, and an honest worker."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, cast

from envs.episode import Episode
from rollout.codec import Stamp, encode
from rollout.delivery.assignment import Assignment, Contract
from rollout.delivery.journal import Journal
from rollout.delivery.keys import Key
from rollout.delivery.reports import Dropped, Played, Report, written
from rollout.delivery.seat import Acknowledged, Given, Note, Refused, Seat
from rollout.desk import Desk, Patience
from rollout.wire import rollout_pb2 as wire

Make = Callable[..., Episode]
Answer = Acknowledged | Refused

CONTRACT = Contract(trunk="ab" * 32, width=2, reads="embeddings", context="chunked", temperature=0.7)
PATIENCE = Patience(heartbeat=2.0, silence=10.0, standstill=60.0)
LONG = 60.0  # seconds, which no test waits


class Clock:
    """Seconds, which pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class SlowJournal:
    """A journal whose disk takes what waits when it is told to; what is there is there for the next desk."""

    run = "this run"

    def __init__(self) -> None:
        self.kept: list[tuple[bytes, int]] = []
        self.failed: Callable[[str], None] | None = None
        self._waiting: list[tuple[bytes, int, Callable[[], None]]] = []

    def on_failure(self, failed: Callable[[str], None]) -> None:
        self.failed = failed
        self._waiting.clear()  # that was another desk's

    def reports(self, first: int = 0) -> Iterator[bytes]:
        return iter([report for report, assignment in self.kept if assignment >= first])

    def add(self, report: bytes, assignment: int, then: Callable[[], None]) -> None:
        self._waiting.append((report, assignment, then))

    def forget(self, below: int) -> None:
        self.kept = [(report, assignment) for report, assignment in self.kept if assignment >= below]

    def write(self) -> None:
        """Take what waits, and what comes of that."""
        while self._waiting:
            report, assignment, then = self._waiting.pop(0)
            self.kept.append((report, assignment))
            then()

    def as_journal(self) -> Journal:
        """What a desk takes it for."""
        return cast("Journal", self)


def assignment(number: int, *seeds: int) -> Assignment:
    """An assignment for version 3 of the head."""
    return Assignment(number=number, version=3, seeds=seeds or (10 * number, 10 * number + 1), sampling_seed=number)


def played(episode: Episode, key: Key, number: int, index: int, **changes: Any) -> Played:
    """What an honest worker reports, but for changes to the stamp."""
    stamp = Stamp(key, number, index, 3, CONTRACT.trunk, CONTRACT.context, CONTRACT.temperature, CONTRACT.reads)
    return Played(episode, replace(stamp, **changes))


def message(report: Report) -> bytes:
    """A report as it is sent."""
    if isinstance(report, Played):
        return wire.FromWorker(episode=encode(report.episode, report.stamp)).SerializeToString()
    return written(report)


def notes(seat: Seat) -> list[Note | None]:
    """What has come for a seat since the last look."""
    found: list[Note | None] = []
    while not seat.outbox.empty():
        found.append(seat.outbox.get_nowait())
    return found


def seeds_of(came: Iterable[tuple[Episode, Stamp]]) -> list[int]:
    """Which episodes there are."""
    return [episode.seed for episode, _ in came]


class Honest:
    """One who plays what it is given when told to; it has sat down."""

    def __init__(self, desk: Desk, make_episode: Make, name: str, incarnation: int = 0, held: Sequence[int] = ()):
        self._desk, self._make = desk, make_episode
        self._sequence = 0
        self.name, self.incarnation = name, incarnation
        self.sent: list[Report] = []
        self.given: Given | None = None
        self.todo: list[int] = []
        self.sit(held)

    def sit(self, held: Sequence[int] = ()) -> None:
        """Come, or come back."""
        self.seat = self._desk.sit(self.name, self.incarnation, held)

    def ready(self) -> Given | None:
        """Ask for an assignment; returns it, if there is one."""
        self.given = None
        self._desk.ready(self.seat)
        self.look()
        return self.given

    def look(self) -> list[Answer]:
        """Read what came; returns the answers."""
        answers: list[Answer] = []
        for note in notes(self.seat):
            if isinstance(note, Given):
                self.given, self.todo = note, list(note.wanted)
            elif isinstance(note, Acknowledged | Refused):
                answers.append(note)
        return answers

    def key(self) -> Key:
        """The next key."""
        self._sequence += 1
        return Key(self.name, self.incarnation, self._sequence - 1)

    def play(self, **changes: Any) -> list[Answer]:
        """Report the next episode, with changes to its stamp; returns the answers."""
        assert self.given
        asked, index = self.given.assignment, self.todo.pop(0)
        changes = {"key": self.key(), **changes}
        return self.send(played(self._make(seed=asked.seeds[index]), number=asked.number, index=index, **changes))

    def play_all(self) -> None:
        """Report all that is wanted."""
        while self.todo:
            self.play()

    def drop(self, reason: str = "the game was lost") -> list[Answer]:
        """Report the next episode as dropped."""
        assert self.given
        return self.send(Dropped(self.key(), self.given.assignment.number, self.todo.pop(0), reason))

    def send(self, report: Report) -> list[Answer]:
        """Send a report; returns the answers."""
        self.sent.append(report)
        self._desk.accept(self.seat, report, message(report))
        return self.look()
