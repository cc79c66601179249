"""Laws of the desk: what goes out, what is taken in, what is turned away, and that every assignment ends."""

import random
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from envs.episode import Episode
from envs.errors import CheckpointError, DataError, DeliveryError
from rollout.codec import Stamp
from rollout.delivery.journal import Journal
from rollout.delivery.keys import Key, KeySet
from rollout.delivery.reports import Dropped
from rollout.delivery.seat import OUTBOX, Acknowledged, Finished, Given, Refused
from rollout.desk import CREDITS, Desk
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

Come = Callable[..., Honest]


@pytest.fixture
def clock() -> Clock:
    """A clock that stands."""
    return Clock()


@pytest.fixture
def desk(clock: Clock) -> Desk:
    """A desk without a journal, at which nobody sits."""
    return Desk(CONTRACT, patience=PATIENCE, clock=clock)


@pytest.fixture
def come(desk: Desk, make_episode: Make) -> Come:
    """Have an honest worker sit down at the desk."""

    def come(name: str, *args: Any, at: Desk = desk, **named: Any) -> Honest:
        return Honest(at, make_episode, name, *args, **named)

    return come


@pytest.fixture
def ann(come: Come) -> Honest:
    """A worker who has sat down."""
    return come("ann")


@pytest.fixture
def slow() -> SlowJournal:
    """A journal that takes its time."""
    return SlowJournal()


@pytest.fixture
def slowly(slow: SlowJournal, clock: Clock) -> Desk:
    """A desk with that journal."""
    return Desk(CONTRACT, slow.as_journal(), PATIENCE, clock)


def given(number: int, *wanted: int) -> Given:
    """An assignment of two seeds as it goes out."""
    return Given(assignment(number), wanted or (0, 1))


def pass_time(desk: Desk, clock: Clock, seconds: float) -> None:
    """Let time pass, and have the desk look at what it did."""
    clock.now += seconds
    desk.look_around()


# What goes out


def test_an_assignment_goes_to_who_asks_for_it_one_to_each_and_in_their_order(desk: Desk, come: Come) -> None:
    first, second = come("ann"), come("bob")
    for number in range(3):
        desk.post(assignment(number))
    assert (notes(first.seat), notes(second.seat)) == ([], [])
    assert second.ready() == given(0)
    assert first.ready() == given(1)
    assert come("cid").ready() == given(2)
    assert come("dee").ready() is None
    assert desk.workers == ["ann", "bob", "cid", "dee"]


def test_who_asks_before_there_is_anything_is_given_what_comes(desk: Desk, ann: Honest) -> None:
    assert ann.ready() is None
    desk.post(assignment(0))
    desk.post(assignment(1))
    assert notes(ann.seat) == [given(0)]


def test_the_next_goes_out_when_it_is_asked_for(desk: Desk, ann: Honest) -> None:
    desk.post(assignment(0))
    desk.post(assignment(1))
    ann.ready()
    ann.play_all()
    assert ann.given == given(0)
    assert ann.ready() == given(1)


def test_what_a_worker_has_not_reported_when_it_asks_for_more_is_given_up(
    desk: Desk, ann: Honest, caplog: pytest.LogCaptureFixture
) -> None:
    desk.post(assignment(0))
    desk.post(assignment(1))
    ann.ready()
    ann.play()
    assert ann.ready() == given(1)
    assert seeds_of(desk.wait([0], LONG)) == [0]
    assert "episode 1 of assignment 0 is dropped: worker ann asked for more and had not reported it" in caplog.text


# What is taken in


def test_an_episode_that_was_asked_for_is_acknowledged_and_in(desk: Desk, ann: Honest) -> None:
    desk.post(assignment(0))
    ann.ready()
    assert ann.play() == [Acknowledged(Key("ann", 0, 0))]
    assert ann.play() == [Acknowledged(Key("ann", 0, 1))]
    assert [(episode.seed, stamp.key.sequence) for episode, stamp in desk.wait([0], LONG)] == [(0, 0), (1, 1)]
    assert (desk.counts.accepted, ann.seat.accepted, ann.seat.under_way) == (2, 2, 0)


def test_waiting_gives_episodes_by_assignment_and_index_whatever_came_first(desk: Desk, come: Come) -> None:
    ann, bob = come("ann"), come("bob")
    for number in range(2):
        desk.post(assignment(number, 7 - number, 9 - number, 8 - number))
    ann.ready()
    bob.ready()
    for worker in (bob, ann):
        worker.todo = [2, 0, 1]
        worker.play_all()
    assert seeds_of(desk.wait([0, 1], LONG)) == [7, 9, 8, 6, 8, 7]


def test_what_is_waited_for_can_be_a_part_of_what_was_posted(desk: Desk, ann: Honest) -> None:
    for number in range(3):
        desk.post(assignment(number))
    for _ in range(3):
        ann.ready()
        ann.play_all()
    assert seeds_of(desk.wait([2], LONG)) == [20, 21]
    assert seeds_of(desk.wait([0, 1], LONG)) == [0, 1, 10, 11]


def test_nothing_is_in_or_acknowledged_before_the_journal_has_it(slowly: Desk, slow: SlowJournal, come: Come) -> None:
    ann = come("ann", at=slowly)
    slowly.post(assignment(0, 5))
    ann.ready()
    assert ann.play() == []
    assert ann.send(ann.sent[0]) == []  # nor when it comes again
    with pytest.raises(DeliveryError):
        slowly.wait([0], 0.01)
    assert len(KeySet.of_tensor(slowly.keys())) == 0
    slow.write()
    assert ann.look() == [Acknowledged(Key("ann", 0, 0))]
    assert [report for report, _ in slow.kept] == [message(ann.sent[0])]
    assert Key("ann", 0, 0) in KeySet.of_tensor(slowly.keys())
    assert seeds_of(slowly.wait([0], LONG)) == [5]


def test_the_same_key_again_is_acknowledged_again_and_counts_once(desk: Desk, ann: Honest) -> None:
    desk.post(assignment(0))
    ann.ready()
    ann.play()
    assert ann.send(ann.sent[0]) == [Acknowledged(Key("ann", 0, 0))]
    ann.play()
    assert seeds_of(desk.wait([0], LONG)) == [0, 1]
    assert ann.send(ann.sent[0]) == [Acknowledged(Key("ann", 0, 0))]
    assert (desk.counts.accepted, desk.counts.repeated, ann.seat.under_way) == (2, 2, 0)


def test_who_comes_back_and_says_it_again_hears_of_it_when_it_is_in(
    slowly: Desk, slow: SlowJournal, come: Come
) -> None:
    ann = come("ann", at=slowly)
    slowly.post(assignment(0))
    ann.ready()
    ann.play()
    first = ann.seat
    slowly.leave(first)
    ann.sit([0])
    ann.send(ann.sent[0])
    assert (first.under_way, ann.seat.under_way) == (0, 1)
    slow.write()
    assert ann.look() == [Acknowledged(Key("ann", 0, 0))]
    assert (first.under_way, ann.seat.under_way) == (0, 0)


def test_a_report_of_an_earlier_process_is_taken(desk: Desk, come: Come, make_episode: Make) -> None:
    desk.post(assignment(0))
    come("ann", 3).ready()
    again = come("ann", 4)
    again.send(played(make_episode(seed=0), Key("ann", 3, 0), 0, 0))
    assert again.ready() == given(0, 1)


def test_a_temperature_that_went_through_float32_is_the_one_asked_for(desk: Desk, ann: Honest) -> None:
    desk.post(assignment(0, 5))
    ann.ready()
    assert ann.play(temperature=0.699999988079071) == [Acknowledged(Key("ann", 0, 0))]


def test_a_dropped_episode_is_acknowledged_and_its_place_stays_empty(
    desk: Desk, ann: Honest, caplog: pytest.LogCaptureFixture
) -> None:
    desk.post(assignment(0))
    ann.ready()
    assert ann.drop() == [Acknowledged(Key("ann", 0, 0))]
    assert "episode 0 of assignment 0 is dropped: the game was lost" in caplog.text
    ann.play()
    assert seeds_of(desk.wait([0], LONG)) == [1]
    assert (desk.counts.accepted, desk.counts.dropped) == (1, 1)


def test_a_batch_of_which_all_is_dropped_is_empty_and_done(desk: Desk, ann: Honest) -> None:
    desk.post(assignment(0))
    ann.ready()
    ann.drop()
    ann.drop()
    assert desk.wait([0], LONG) == []


# What is turned away


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"key": Key("bob", 0, 0)}, "this is worker ann/0, and the episode names Key(worker='bob'"),
        ({"key": Key("bob\n" * 999, 0, 0)}, "this is worker ann/0, and the episode names Key(worker='bob\\nbob\\n"),
        ({"key": Key("ann", 1, 0)}, "this is worker ann/0, and the episode names Key(worker='ann', incarnation=1"),
        ({"version": 2}, "version 3 was asked for, and 2 played"),
        ({"version": 2**64 - 1}, "version 3 was asked for, and 184467440737 played"),
        ({"trunk": "cd" * 32}, "trunk abababababab was asked for, and cdcdcdcdcdcd played"),
        ({"trunk": ""}, "trunk abababababab was asked for, and  played"),
        ({"context": "window"}, "context chunked was asked for, and window played"),
        ({"temperature": 0.69}, "temperature 0.7 was asked for, and 0.69 played"),
        ({"temperature": float("nan")}, "temperature 0.7 was asked for, and nan played"),
        ({"temperature": float("inf")}, "temperature 0.7 was asked for, and inf played"),
    ],
)
def test_an_episode_of_another_kind_is_refused_and_its_place_stays_empty(
    desk: Desk, ann: Honest, caplog: pytest.LogCaptureFixture, changes: dict[str, Any], reason: str
) -> None:
    desk.post(assignment(0))
    ann.ready()
    (answer,) = ann.play(**changes)
    assert isinstance(answer, Refused)
    assert answer.key == changes.get("key", Key("ann", 0, 0))
    assert answer.reason.startswith(reason)
    assert len(answer.reason) < 200
    assert answer.reason in caplog.text
    ann.play()
    assert seeds_of(desk.wait([0], LONG)) == [1]
    assert (desk.counts.refused, ann.seat.refused) == (1, 1)


def test_features_of_another_width_are_refused(desk: Desk, ann: Honest, make_episode: Make) -> None:
    desk.post(assignment(0))
    ann.ready()
    wide = played(make_episode(seed=0, width=3), ann.key(), 0, 0)
    assert ann.send(wide) == [Refused(Key("ann", 0, 0), "width 2 was asked for, and 3 played")]
    ann.todo = [1]
    ann.play()
    assert seeds_of(desk.wait([0], LONG)) == [1]


def test_an_episode_of_another_seed_is_refused_and_its_place_stays_empty(
    desk: Desk, ann: Honest, make_episode: Make
) -> None:
    desk.post(assignment(0))
    ann.ready()
    other = played(make_episode(seed=1), ann.key(), 0, 0)
    assert ann.send(other) == [Refused(Key("ann", 0, 0), "seed 1 is not number 0 of the assignment")]
    ann.todo = [1]
    ann.play()
    assert seeds_of(desk.wait([0], LONG)) == [1]


def test_an_index_beyond_the_assignment_is_refused_and_takes_no_place(
    desk: Desk, ann: Honest, make_episode: Make
) -> None:
    desk.post(assignment(0))
    ann.ready()
    for sequence, index in enumerate((2, 2**32 - 1)):
        (answer,) = ann.send(played(make_episode(seed=0), ann.key(), 0, index))
        assert answer == Refused(Key("ann", 0, sequence), f"assignment 0 has no number {index}")
        (answer,) = ann.send(Dropped(Key("ann", 0, 9), 0, index, "says ann"))
        assert isinstance(answer, Refused)
    ann.play_all()
    assert seeds_of(desk.wait([0], LONG)) == [0, 1]


def test_whoever_reports_an_episode_first_is_right(desk: Desk, come: Come, clock: Clock) -> None:
    ann, bob = come("ann"), come("bob")
    desk.post(assignment(0))
    ann.ready()
    desk.leave(ann.seat)
    pass_time(desk, clock, 10.0)
    assert bob.ready() == given(0)
    bob.play()
    ann.sit([0])
    assert ann.play() == [Refused(Key("ann", 0, 0), "number 0 of assignment 0 is there already")]
    assert ann.play() == [Acknowledged(Key("ann", 0, 1))]
    assert bob.play() == [Refused(Key("bob", 0, 1), "number 1 of assignment 0 is there already")]
    assert [stamp.key.worker for _, stamp in desk.wait([0], LONG)] == ["bob", "ann"]
    bob.todo = [0]
    assert bob.play() == [Refused(Key("bob", 0, 2), "assignment 0 is over")]


def test_an_episode_that_is_on_its_way_to_the_disk_is_there_already(
    slowly: Desk, slow: SlowJournal, come: Come
) -> None:
    ann, bob = come("ann", at=slowly), come("bob", at=slowly)
    slowly.post(assignment(0, 5))
    ann.ready()
    bob.given, bob.todo = ann.given, [0]
    ann.play()
    assert bob.play() == [Refused(Key("bob", 0, 0), "number 0 of assignment 0 is there already")]
    slow.write()
    assert [stamp.key.worker for _, stamp in slowly.wait([0], LONG)] == ["ann"]


def test_an_episode_that_was_dropped_does_not_come_after_all(desk: Desk, ann: Honest) -> None:
    desk.post(assignment(0))
    ann.ready()
    ann.drop()
    ann.todo = [0, 1]
    assert ann.play() == [Refused(Key("ann", 0, 1), "number 0 of assignment 0 is there already")]
    ann.play()
    assert seeds_of(desk.wait([0], LONG)) == [1]


def test_a_report_of_another_workers_assignment_that_is_refused_takes_no_place(desk: Desk, come: Come) -> None:
    ann, bob = come("ann"), come("bob")
    desk.post(assignment(0, 0))
    desk.post(assignment(1))
    ann.ready()
    bob.ready()
    desk.refuse(ann.seat, ann.key(), 1, 0, "it cannot be read")
    desk.refuse(ann.seat, ann.key(), 2**63, 0, "it cannot be read")
    bob.play_all()
    assert seeds_of(desk.wait([1], LONG)) == [10, 11]
    desk.refuse(ann.seat, ann.key(), 0, 0, "it cannot be read")
    assert desk.wait([0], LONG) == []


def test_a_report_without_a_key_is_none(desk: Desk, ann: Honest) -> None:
    desk.post(assignment(0))
    with pytest.raises(DataError, match="a report has a key"):
        desk.accept(ann.seat, Dropped(None, 0, 0, "says ann"))
    assert ann.ready() == given(0)


def test_who_sends_more_reports_than_may_be_under_way_loses_its_place(
    slowly: Desk, slow: SlowJournal, come: Come
) -> None:
    ann = come("ann", at=slowly)
    slowly.post(assignment(0, *range(CREDITS + 1)))
    ann.ready()
    for _ in range(CREDITS):
        ann.play()
        assert not ann.seat.ended
    ann.play()
    assert ann.seat.ended
    slow.write()
    slowly.look_around()
    assert slowly.workers == []
    assert len(slowly.wait([0], LONG)) == CREDITS + 1  # what is in is in


# Who comes and goes


def test_what_a_worker_leaves_behind_waits_for_it_a_little_and_is_lent_to_another(
    desk: Desk, come: Come, clock: Clock
) -> None:
    ann, bob = come("ann"), come("bob")
    desk.post(assignment(0))
    ann.ready()
    ann.play()
    desk.leave(ann.seat)
    bob.ready()
    pass_time(desk, clock, 9.9)
    desk.beat(bob.seat, 0, 0, 0)
    assert notes(bob.seat) == []
    pass_time(desk, clock, 0.1)
    bob.look()
    assert bob.given == given(0, 1)  # what came of it stays
    bob.play()
    assert [(e.seed, s.key.worker) for e, s in desk.wait([0], LONG)] == [(0, "ann"), (1, "bob")]


def test_who_leaves_for_good_is_not_waited_for(desk: Desk, ann: Honest, come: Come) -> None:
    bob = come("bob")
    desk.post(assignment(0))
    ann.ready()
    bob.ready()
    desk.leave(ann.seat, for_good=True)
    assert notes(bob.seat) == [given(0)]


def test_who_comes_back_in_time_goes_on(desk: Desk, ann: Honest, come: Come, clock: Clock) -> None:
    desk.post(assignment(0))
    ann.ready()
    ann.play()
    desk.leave(ann.seat)
    clock.now += 9.9
    ann.sit([0])
    pass_time(desk, clock, 9.9)
    assert come("bob").ready() is None
    ann.play()
    assert [stamp.key.worker for _, stamp in desk.wait([0], LONG)] == ["ann", "ann"]


def test_who_comes_back_and_does_not_know_of_an_assignment_is_given_it_again(desk: Desk, ann: Honest) -> None:
    desk.post(assignment(0))
    ann.ready()  # and the connection broke before it heard
    ann.sit()
    assert ann.ready() == given(0)


def test_who_comes_back_late_has_what_nobody_took(desk: Desk, ann: Honest, come: Come, clock: Clock) -> None:
    desk.post(assignment(0))
    ann.ready()
    desk.leave(ann.seat)
    pass_time(desk, clock, 3600.0)
    ann.sit([0])
    assert come("bob").ready() is None


def test_what_is_left_behind_is_played_before_what_is_new(desk: Desk, ann: Honest, come: Come) -> None:
    for number in range(3):
        desk.post(assignment(number))
    ann.ready()
    desk.leave(ann.seat, for_good=True)
    assert come("bob").ready() == given(0)


def test_who_is_not_heard_loses_its_place_and_what_it_plays(desk: Desk, come: Come, clock: Clock) -> None:
    ann, bob = come("ann"), come("bob")
    desk.post(assignment(0))
    ann.ready()
    bob.ready()
    for steps in range(5):
        pass_time(desk, clock, 2.0)
        desk.beat(bob.seat, steps, 0, 0)
    assert notes(bob.seat) == []
    pass_time(desk, clock, 0.1)
    assert desk.workers == ["bob"]
    assert notes(ann.seat) == [None]
    assert notes(bob.seat) == [given(0)]


def test_who_stands_still_with_an_assignment_loses_its_place(desk: Desk, come: Come, clock: Clock) -> None:
    ann, bob = come("ann"), come("bob")
    desk.post(assignment(0))
    ann.ready()
    steps = 0
    for second in range(0, 120, 5):
        steps += second < 50
        pass_time(desk, clock, 5.0)
        desk.beat(ann.seat, steps, 0, 0)
        desk.beat(bob.seat, 0, 0, 0)
        assert ("ann" in desk.workers) == (second < 110), second
    assert bob.ready() == given(0)
    assert "bob" in desk.workers  # who has nothing to play may stand


def test_a_second_process_takes_the_place_of_the_first_and_what_that_one_played(
    desk: Desk, ann: Honest, come: Come
) -> None:
    desk.post(assignment(0))
    ann.ready()
    ann.play()
    again = come("ann", 1)
    assert desk.workers == ["ann"]
    assert notes(ann.seat) == [None]
    desk.leave(ann.seat)  # is noticed late, and changes nothing
    desk.ready(ann.seat)
    assert desk.workers == ["ann"]
    assert again.ready() == given(0, 1)
    again.play()
    assert [stamp.key.incarnation for _, stamp in desk.wait([0], LONG)] == [0, 1]


def test_a_process_that_started_earlier_is_sent_away(desk: Desk, come: Come) -> None:
    come("ann", 5)
    with pytest.raises(DeliveryError, match="another process works as ann, started later; give each its own name"):
        come("ann", 4)


def test_who_leaves_twice_has_left_once(desk: Desk, ann: Honest, come: Come) -> None:
    desk.post(assignment(0))
    ann.ready()
    desk.leave(ann.seat, for_good=True)
    bob = come("bob")
    assert bob.ready() == given(0)
    desk.leave(ann.seat, for_good=True)
    desk.post(assignment(1))
    assert desk.workers == ["bob"]
    assert come("cid").ready() == given(1)


def test_who_does_not_read_what_it_is_told_loses_its_place_and_not_our_memory(
    desk: Desk, ann: Honest, come: Come
) -> None:
    desk.post(assignment(0))
    ann.ready()
    ann.play()
    for _ in range(OUTBOX + 5):
        desk.accept(ann.seat, ann.sent[0])
    assert ann.seat.outbox.qsize() == OUTBOX
    desk.look_around()
    assert desk.workers == []
    assert come("bob").ready() == given(0, 1)


def test_nobody_is_given_an_assignment_of_which_the_rest_is_on_its_way_to_the_disk(
    slowly: Desk, slow: SlowJournal, come: Come
) -> None:
    ann, bob = come("ann", at=slowly), come("bob", at=slowly)
    slowly.post(assignment(0))
    slowly.post(assignment(1))
    ann.ready()
    ann.play_all()
    slowly.leave(ann.seat, for_good=True)
    assert bob.ready() == given(1)
    slow.write()
    assert seeds_of(slowly.wait([0], LONG)) == [0, 1]


# A learner that was started again


def restarted(slow: SlowJournal, clock: Clock, keys: Any = None, first: int = 0) -> Desk:
    """The desk of a learner that goes on with a journal."""
    desk = Desk(CONTRACT, slow.as_journal(), PATIENCE, clock)
    desk.recover(keys, first)
    return desk


def test_what_the_journal_has_is_not_played_again(slowly: Desk, slow: SlowJournal, come: Come, clock: Clock) -> None:
    ann = come("ann", at=slowly)
    for number in range(3):
        slowly.post(assignment(number))
    ann.ready()
    ann.play_all()
    ann.ready()
    ann.play()
    slow.write()
    ann.play()  # is not on the disk when the learner dies
    desk = restarted(slow, clock)
    bob = come("bob", at=desk)
    bob.ready()
    for number in range(3):
        desk.post(assignment(number))
    assert seeds_of(desk.wait([0], LONG)) == [0, 1]
    assert desk.counts.recovered == 3
    assert notes(bob.seat) == [given(1, 1)]
    again = come("ann", at=desk)
    assert again.send(ann.sent[0]) == [Acknowledged(Key("ann", 0, 0))]
    assert again.send(ann.sent[3]) == []
    slow.write()
    assert again.look() == [Acknowledged(Key("ann", 0, 3))]
    assert [stamp.key.sequence for _, stamp in desk.wait([1], LONG)] == [2, 3]


def test_what_was_given_up_stays_given_up(slowly: Desk, slow: SlowJournal, come: Come, clock: Clock) -> None:
    ann = come("ann", at=slowly)
    slowly.post(assignment(0))
    ann.ready()
    ann.play()
    ann.ready()
    slow.write()
    desk = restarted(slow, clock)
    desk.post(assignment(0))
    assert seeds_of(desk.wait([0], LONG)) == [0]


def test_a_checkpoints_keys_are_known_though_the_journal_forgot_them(
    slowly: Desk, slow: SlowJournal, come: Come, clock: Clock
) -> None:
    ann = come("ann", at=slowly)
    slowly.post(assignment(0))
    ann.ready()
    ann.play_all()
    slow.write()
    slowly.wait([0], LONG)
    slowly.saved(1)
    assert slow.kept == []
    desk = restarted(slow, clock, slowly.keys(), 1)
    again = come("ann", at=desk)
    assert again.send(ann.sent[0]) == [Acknowledged(Key("ann", 0, 0))]
    assert len(KeySet.of_tensor(desk.keys())) == 2


def test_a_report_of_an_assignment_that_is_not_posted_yet_waits_for_it(
    slowly: Desk, slow: SlowJournal, come: Come, make_episode: Make
) -> None:
    ann = come("ann", held=[1], at=slowly)
    early = played(make_episode(seed=10), Key("ann", 0, 0), 1, 0)
    slowly.post(assignment(0))
    assert ann.send(early) == []
    assert slow.kept == []
    slowly.post(assignment(1))
    slow.write()
    assert ann.look() == [Acknowledged(Key("ann", 0, 0))]
    assert ann.seat.under_way == 0
    assert come("bob", at=slowly).ready() == given(0)
    assert come("cid", at=slowly).ready() is None  # ann said that it has the other


def test_reports_that_wait_for_an_assignment_use_credits(desk: Desk, ann: Honest, make_episode: Make) -> None:
    for sequence in range(CREDITS + 1):
        assert not ann.seat.ended
        ann.send(played(make_episode(seed=0), Key("ann", 0, sequence), 10**9 + sequence, 0))
    assert ann.seat.ended


def test_who_waits_for_an_assignment_and_leaves_sends_it_again(desk: Desk, ann: Honest, make_episode: Make) -> None:
    early = played(make_episode(seed=0), Key("ann", 0, 0), 0, 0)
    ann.send(early)
    desk.leave(ann.seat)
    desk.post(assignment(0))
    ann.sit([0])
    assert ann.send(early) == [Acknowledged(Key("ann", 0, 0))]
    assert desk.counts.accepted == 1


def test_who_came_before_the_checkpoint_was_read_is_answered_when_it_is(
    slow: SlowJournal, come: Come, clock: Clock, make_episode: Make
) -> None:
    desk = Desk(CONTRACT, slow.as_journal(), PATIENCE, clock)
    ann = come("ann", at=desk)
    known, unknown, next_one = (Key("ann", 0, sequence) for sequence in range(3))
    assert ann.send(played(make_episode(seed=0), known, 0, 0)) == []
    assert ann.send(played(make_episode(seed=1), unknown, 0, 1)) == []
    assert ann.send(played(make_episode(seed=10), next_one, 1, 0)) == []
    desk.recover(KeySet([known]).tensor(), 1)
    assert ann.look() == [Acknowledged(known), Refused(unknown, "assignment 0 is over")]
    assert ann.seat.under_way == 1
    desk.post(assignment(1))
    slow.write()
    assert ann.look() == [Acknowledged(next_one)]


def test_what_a_worker_had_before_it_asked_for_more_is_not_taken_for_what_it_plays(
    desk: Desk, come: Come, make_episode: Make
) -> None:
    ann, bob = come("ann", held=[0]), come("bob")
    ann.send(played(make_episode(seed=0), ann.key(), 0, 0))  # the other was lost with its disk
    ann.ready()
    bob.ready()
    desk.post(assignment(0))
    assert Given(assignment(0), (1,)) in [*notes(ann.seat), *notes(bob.seat)]


@pytest.mark.parametrize("seeds", [(0, 2), (0,)])
def test_a_journal_of_other_assignments_is_refused(
    slowly: Desk, slow: SlowJournal, come: Come, clock: Clock, seeds: tuple[int, ...]
) -> None:
    ann = come("ann", at=slowly)
    slowly.post(assignment(0))
    ann.ready()
    ann.play_all()
    slow.write()
    with pytest.raises(DataError, match=r"seed 1 is not number 1|assignment 0 has no number 1"):
        restarted(slow, clock).post(assignment(0, *seeds))


def test_a_journal_with_what_is_no_report_is_refused(slow: SlowJournal, clock: Clock) -> None:
    slow.kept.append((b"\x08", 0))
    with pytest.raises(CheckpointError, match="the journal holds what is no report"):
        restarted(slow, clock)


# Waiting and closing


def test_patience_ends_and_says_who_is_connected(desk: Desk, come: Come) -> None:
    desk.post(assignment(0))
    with pytest.raises(DeliveryError, match=r"for 0.01 seconds \(nobody is connected\); look at their logs"):
        desk.wait([0], 0.01)
    come("bob")
    come("ann")
    with pytest.raises(DeliveryError, match=r"for 0.01 seconds \(ann, bob is connected\)"):
        desk.wait([0], 0.01)


def test_who_lost_patience_can_wait_again(desk: Desk, ann: Honest) -> None:
    desk.post(assignment(0))
    ann.ready()
    ann.play()
    with pytest.raises(DeliveryError):
        desk.wait([0], 0.01)
    ann.play()
    assert seeds_of(desk.wait([0], LONG)) == [0, 1]


def waiting(desk: Desk, number: int) -> Future[list[tuple[Episode, Stamp]]]:
    """Wait for an assignment in a thread of its own."""
    found: Future[list[tuple[Episode, Stamp]]] = Future()

    def wait() -> None:
        try:
            found.set_result(desk.wait([number], LONG))
        except DeliveryError as error:
            found.set_exception(error)

    threading.Thread(target=wait, daemon=True).start()
    return found


def test_closing_wakes_whoever_waits_and_sends_everybody_home(desk: Desk, ann: Honest, come: Come) -> None:
    desk.post(assignment(0))
    assert not desk.closed
    waiters = [waiting(desk, 0) for _ in range(2)]
    bob = come("bob")
    desk.close("enough")
    desk.close()  # too late for another reason
    assert desk.closed
    for waiter in waiters:
        with pytest.raises(DeliveryError, match=r"^enough$"):
            waiter.result(LONG)
    for worker in (ann, bob):
        assert notes(worker.seat)[:2] == [Finished("enough"), None]
    with pytest.raises(DeliveryError, match=r"^enough$"):
        desk.wait([0], LONG)


def test_nobody_can_sit_at_a_closed_desk(desk: Desk, ann: Honest, come: Come) -> None:
    desk.close()
    with pytest.raises(DeliveryError, match=r"^this learner has stopped$"):
        come("bob")
    assert desk.workers == ["ann"]


def test_what_is_in_when_the_desk_closes_can_still_be_had(desk: Desk, ann: Honest) -> None:
    desk.post(assignment(0, 5))
    ann.ready()
    ann.play()
    desk.close()
    assert seeds_of(desk.wait([0], LONG)) == [5]


def test_a_journal_that_fails_closes_the_desk_with_its_reason(slowly: Desk, slow: SlowJournal, come: Come) -> None:
    ann = come("ann", at=slowly)
    slowly.post(assignment(0, 5))
    ann.ready()
    assert ann.play() == []
    assert slow.failed
    slow.failed("the disk is full")
    assert notes(ann.seat) == [Finished("the disk is full"), None]
    with pytest.raises(DeliveryError, match=r"^the disk is full$"):
        slowly.wait([0], LONG)
    assert len(KeySet.of_tensor(slowly.keys())) == 0


# At once


def test_threads_that_come_and_go_play_every_seed_once(make_episode: Make, tmp_path: Path) -> None:
    episodes = {seed: make_episode(seed=seed) for number in range(60) for seed in assignment(number).seeds}
    incarnations = count()
    acknowledged: list[Key] = []

    def work(name: str, desk: Desk) -> None:
        moods = random.Random(name)
        while not desk.closed:
            try:
                seat = desk.sit(name, incarnation := next(incarnations))
            except DeliveryError:
                return
            desk.ready(seat)
            sequences = count()
            while (note := seat.outbox.get()) is not None:
                if isinstance(note, Acknowledged):
                    acknowledged.append(note.key)
                    continue
                if moods.random() < 0.1 or not isinstance(note, Given):
                    break
                for index in note.wanted:
                    key, number = Key(name, incarnation, next(sequences)), note.assignment.number
                    report = played(episodes[note.assignment.seeds[index]], key, number, index)
                    desk.accept(seat, report, message(report))
                desk.ready(seat)
            desk.leave(seat, for_good=moods.random() < 0.5)

    def look_around(desk: Desk) -> None:  # else who sent more than it may would wait for ever
        while not desk.closed:
            desk.look_around()
            threading.Event().wait(0.02)

    with closing(Journal(tmp_path)) as journal:
        desk = Desk(CONTRACT, journal)
        threads = [threading.Thread(target=work, args=(name, desk), daemon=True) for name in ("ann", "bob", "cid")]
        threads.append(threading.Thread(target=look_around, args=(desk,), daemon=True))
        for thread in threads:
            thread.start()
        for number in range(60):
            desk.post(assignment(number))
        came = desk.wait(range(60), LONG)
        assert seeds_of(came) == sorted(episodes)
        desk.close()
        for thread in threads:
            thread.join(LONG)
            assert not thread.is_alive()
        keys = KeySet.of_tensor(desk.keys())
    assert {stamp.key for _, stamp in came} >= set(acknowledged)
    assert all(stamp.key in keys for _, stamp in came)
