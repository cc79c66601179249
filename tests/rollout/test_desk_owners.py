"""Laws of whose a report is: nobody gets the answer to another's, nor leaves anything behind."""

from collections.abc import Callable, Iterator
from typing import Any, cast

from envs.episode import Episode
from rollout.assignment import Assignment, Contract
from rollout.codec import Stamp
from rollout.desk import Desk
from rollout.journal import Journal
from rollout.keys import Key
from rollout.reports import Played
from rollout.seat import Acknowledged, Refused

CONTRACT = Contract(trunk="ab" * 32, width=2, context="chunked", temperature=0.7)


class Slow:
    """A journal that keeps all until it is told that it is on the disk."""

    run = "this run"

    def __init__(self) -> None:
        self.then: list[Callable[[], None]] = []

    def on_failure(self, failed: Callable[[str], None]) -> None:
        pass

    def reports(self, first: int = 0) -> Iterator[bytes]:
        return iter([])

    def add(self, report: bytes, assignment: int, then: Callable[[], None]) -> None:
        self.then.append(then)


def report(make_episode: Callable[..., Episode], key: Key, assignment: int = 0) -> Played:
    stamp = Stamp(key, assignment, 0, 0, CONTRACT.trunk, CONTRACT.context, CONTRACT.temperature)
    return Played(make_episode(seed=5), stamp)


def test_who_repeats_anothers_report_does_not_get_its_answer(make_episode: Callable[..., Episode]) -> None:
    disk = Slow()
    desk = Desk(CONTRACT, cast("Journal", disk))
    desk.post(Assignment(number=0, version=0, seeds=(5,), sampling_seed=1))
    ann, eve = desk.sit("ann", 1), desk.sit("eve", 1)
    key = Key("ann", 1, 0)
    desk.accept(ann, report(make_episode, key))
    desk.accept(eve, report(make_episode, key))
    assert isinstance(eve.outbox.get_nowait(), Refused)
    disk.then[0]()
    assert ann.outbox.get_nowait() == Acknowledged(key)
    assert (ann.under_way, ann.accepted) == (0, 1)
    desk.accept(eve, report(make_episode, key))  # nor later
    assert isinstance(eve.outbox.get_nowait(), Refused)


def test_who_leaves_leaves_no_reports_of_assignments_that_never_come(make_episode: Callable[..., Episode]) -> None:
    desk = Desk(CONTRACT)
    for incarnation in range(1, 4):
        eve = desk.sit("eve", incarnation)
        for sequence in range(8):
            number = 10**9 + 8 * incarnation + sequence
            desk.accept(eve, report(make_episode, Key("eve", incarnation, sequence), number))
        desk.leave(eve)
    inside: Any = desk
    assert not inside._early
