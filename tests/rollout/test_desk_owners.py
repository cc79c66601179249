"""Laws of whose a report is: nobody gets the answer to another's, nor leaves anything behind."""

from typing import Any

from rollout.delivery.keys import Key
from rollout.delivery.reports import Dropped
from rollout.delivery.seat import Acknowledged, Refused
from rollout.desk import Desk
from tests.rollout.desks import (
    CONTRACT,
    LONG,
    PATIENCE,
    Clock,
    Honest,
    Make,
    SlowJournal,
    assignment,
    message,
    notes,
    played,
    seeds_of,
)


def test_who_repeats_anothers_report_does_not_get_its_answer(make_episode: Make) -> None:
    disk = SlowJournal()
    desk = Desk(CONTRACT, disk.as_journal())
    desk.post(assignment(0, 5))
    ann, eve = desk.sit("ann", 1), desk.sit("eve", 1)
    key = Key("ann", 1, 0)
    report = played(make_episode(seed=5), key, 0, 0)
    desk.accept(ann, report, message(report))
    desk.accept(eve, report, message(report))
    assert isinstance(eve.outbox.get_nowait(), Refused)
    disk.write()
    assert notes(ann) == [Acknowledged(key)]
    assert (ann.under_way, ann.accepted) == (0, 1)
    desk.accept(eve, report, message(report))  # nor later
    assert isinstance(eve.outbox.get_nowait(), Refused)


def test_who_leaves_leaves_no_reports_of_assignments_that_never_come(make_episode: Make) -> None:
    desk = Desk(CONTRACT)
    for incarnation in range(1, 4):
        eve = desk.sit("eve", incarnation)
        for sequence in range(8):
            key, number = Key("eve", incarnation, sequence), 10**9 + 8 * incarnation + sequence
            desk.accept(eve, played(make_episode(), key, number, 0))
        desk.leave(eve)
    inside: Any = desk
    assert not inside._early


def test_nobody_drops_what_is_lent_to_another(make_episode: Make) -> None:
    desk = Desk(CONTRACT, patience=PATIENCE, clock=Clock())
    ann, bob = Honest(desk, make_episode, "ann"), Honest(desk, make_episode, "bob")
    desk.post(assignment(0))
    assert ann.ready()
    (answer,) = bob.send(Dropped(bob.key(), 0, 0, "not today"))
    assert isinstance(answer, Refused)
    assert answer.reason == "assignment 0 is played by another, who may still finish it"
    ann.play()
    ann.drop()  # its own it may
    assert seeds_of(desk.wait([0], LONG)) == [0]


def test_who_has_not_made_a_step_is_given_time_to_start_its_game(make_episode: Make) -> None:
    clock = Clock()
    desk = Desk(CONTRACT, patience=PATIENCE, clock=clock)
    ann = Honest(desk, make_episode, "ann")
    desk.post(assignment(0))
    assert ann.ready()

    def wait(seconds: float, steps: int) -> None:
        """Let time pass, in which heartbeats come."""
        for _ in range(int(seconds / 2)):
            clock.now += 2.0
            desk.beat(ann.seat, steps, 0, 0)
            desk.look_around()

    wait(PATIENCE.start - 10, steps=0)
    assert desk.workers == ["ann"]
    wait(2, steps=1)
    wait(PATIENCE.standstill, steps=1)
    assert desk.workers == ["ann"]
    wait(2, steps=1)
    assert desk.workers == []
