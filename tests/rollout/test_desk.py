"""Laws of the desk: what goes out, what is taken in, what is turned away, and that every assignment ends."""

import random
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.episode import Episode
from envs.errors import DeliveryError
from rollout.codec import Key, Stamp
from rollout.desk import Acknowledged, Assignment, Contract, Desk, Note, Refused, Seat

Make = Callable[..., Episode]

CONTRACT = Contract(trunk="ab" * 32, width=2, context="chunked", temperature=0.7)
LONG = 20.0  # seconds, which no test waits


def assignment(number: int, *seeds: int) -> Assignment:
    """An assignment for version 3 of the head."""
    return Assignment(number=number, version=3, seeds=seeds or (10 * number, 10 * number + 1), sampling_seed=number)


def stamp(seat: Seat, number: int, index: int, sequence: int) -> Stamp:
    """What an honest worker stamps an episode with."""
    key = Key(seat.worker, seat.incarnation, sequence)
    return Stamp(key, number, index, 3, CONTRACT.trunk, CONTRACT.context, CONTRACT.temperature)


def notes(seat: Seat) -> list[Note | None]:
    """What has come for a seat since the last look."""
    found: list[Note | None] = []
    while not seat.outbox.empty():
        found.append(seat.outbox.get_nowait())
    return found


def seeds_of(played: list[tuple[Episode, Stamp]]) -> list[int]:
    """Which episodes there are."""
    return [episode.seed for episode, _ in played]


@pytest.fixture
def desk() -> Desk:
    """A desk at which nobody sits."""
    return Desk(CONTRACT)


class Honest:
    """One who plays an assignment's episodes in their order when told to, and checks the answers."""

    def __init__(self, desk: Desk, make_episode: Make, worker: str, incarnation: int = 0) -> None:
        self._desk, self._make = desk, make_episode
        self._sequences = count()
        self.sent: list[tuple[Episode, Stamp]] = []
        self.asked: Assignment | None = None
        self.next = 0
        self.sit(worker, incarnation)

    def sit(self, worker: str, incarnation: int) -> None:
        self.seat = self._desk.sit(worker, incarnation)
        self.look()

    def look(self) -> list[Acknowledged | Refused]:
        """Read what came: the newest assignment is the one to play."""
        answers: list[Acknowledged | Refused] = []
        for note in notes(self.seat):
            if isinstance(note, Assignment):
                self.asked, self.next = note, 0
            elif note is not None:
                answers.append(note)
        return answers

    def play(self, **changes: Any) -> list[Acknowledged | Refused]:
        """Send the next episode, with changes to its stamp; returns the answers."""
        assert self.asked is not None
        episode = self._make(seed=self.asked.seeds[self.next])
        stamped = stamp(self.seat, self.asked.number, self.next, next(self._sequences))
        self.next += 1
        return self.send(episode, replace(stamped, **changes))

    def send(self, episode: Episode, stamped: Stamp) -> list[Acknowledged | Refused]:
        """Send an episode; returns the answers."""
        self.sent.append((episode, stamped))
        self._desk.accept(self.seat, episode, stamped)
        return self.look()


@pytest.fixture
def ann(desk: Desk, make_episode: Make) -> Honest:
    """A worker who has sat down."""
    return Honest(desk, make_episode, "ann")


# What goes out


def test_assignments_go_out_in_order_one_to_a_seat(desk: Desk) -> None:
    first, second = desk.sit("ann", 0), desk.sit("bob", 0)
    for number in range(3):
        desk.post(assignment(number))
    assert notes(first) == [assignment(0)]
    assert notes(second) == [assignment(1)]
    late = desk.sit("cid", 0)
    assert notes(late) == [assignment(2)]
    assert desk.workers == ["ann", "bob", "cid"]


def test_what_was_posted_before_anybody_came_is_played(desk: Desk) -> None:
    desk.post(assignment(0))
    desk.post(assignment(1))
    assert notes(desk.sit("ann", 0)) == [assignment(0)]


def test_the_next_goes_out_when_the_last_episode_is_in(desk: Desk, ann: Honest) -> None:
    desk.post(assignment(0))
    desk.post(assignment(1))
    ann.look()
    ann.play()
    assert ann.asked == assignment(0)
    ann.play()
    assert ann.asked == assignment(1)


# What is taken in


def test_an_episode_that_was_asked_for_is_acknowledged_and_in(desk: Desk, ann: Honest) -> None:
    desk.post(assignment(0))
    ann.look()
    assert ann.play() == [Acknowledged(Key("ann", 0, 0))]
    assert ann.play() == [Acknowledged(Key("ann", 0, 1))]
    assert desk.wait([0], LONG) == ann.sent


def test_waiting_gives_episodes_by_assignment_and_index_whatever_came_first(desk: Desk, make_episode: Make) -> None:
    ann, bob = Honest(desk, make_episode, "ann"), Honest(desk, make_episode, "bob")
    for number in range(2):
        desk.post(assignment(number, 7 - number, 9 - number, 8 - number))
    for worker in (bob, ann):
        worker.look()
        for index in (2, 0, 1):
            worker.next = index
            worker.play()
    assert seeds_of(desk.wait([0, 1], LONG)) == [7, 9, 8, 6, 8, 7]


def test_what_is_waited_for_can_be_a_part_of_what_was_posted(desk: Desk, ann: Honest) -> None:
    for number in range(3):
        desk.post(assignment(number))
    ann.look()
    for _ in range(6):
        ann.play()
    assert seeds_of(desk.wait([2], LONG)) == [20, 21]
    assert seeds_of(desk.wait([0, 1], LONG)) == [0, 1, 10, 11]


def test_the_same_key_again_is_acknowledged_again_and_counts_once(desk: Desk, ann: Honest) -> None:
    desk.post(assignment(0))
    ann.look()
    ann.play()
    assert ann.send(*ann.sent[0]) == [Acknowledged(Key("ann", 0, 0))]
    ann.play()
    assert ann.send(*ann.sent[0]) == [Acknowledged(Key("ann", 0, 0))]
    assert desk.wait([0], LONG) == ann.sent[0:3:2]
    assert ann.send(*ann.sent[0]) == [Acknowledged(Key("ann", 0, 0))]


def test_a_temperature_that_went_through_float32_is_the_one_asked_for(desk: Desk, ann: Honest) -> None:
    desk.post(assignment(0, 5))
    ann.look()
    assert ann.play(temperature=0.699999988079071) == [Acknowledged(Key("ann", 0, 0))]


# What is turned away


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"key": Key("bob", 0, 0)}, "this is worker ann, and the episode names 'bob'"),
        ({"key": Key("bob\n" * 999, 0, 0)}, "this is worker ann, and the episode names 'bob\\nbob\\nbob"),
        ({"key": Key("ann", 1, 0)}, "this is worker ann, and the episode names 'ann'"),
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
    ann.look()
    (answer,) = ann.play(**changes)
    assert isinstance(answer, Refused)
    assert answer.key == changes.get("key", Key("ann", 0, 0))
    assert answer.reason.startswith(reason)
    assert len(answer.reason) < 200
    assert answer.reason in caplog.text
    ann.play()
    assert seeds_of(desk.wait([0], LONG)) == [1]


def test_features_of_another_width_are_refused(desk: Desk, ann: Honest, make_episode: Make) -> None:
    desk.post(assignment(0))
    ann.look()
    wide = make_episode(seed=0, width=3)
    answers = ann.send(wide, stamp(ann.seat, 0, 0, 0))
    assert answers == [Refused(Key("ann", 0, 0), "width 2 was asked for, and 3 played")]
    ann.send(make_episode(seed=1), stamp(ann.seat, 0, 1, 1))
    assert seeds_of(desk.wait([0], LONG)) == [1]


def test_an_episode_of_another_seed_is_refused_and_its_place_stays_empty(
    desk: Desk, ann: Honest, make_episode: Make
) -> None:
    desk.post(assignment(0))
    ann.look()
    answers = ann.send(make_episode(seed=1), stamp(ann.seat, 0, 0, 0))
    assert answers == [Refused(Key("ann", 0, 0), "seed 1 is not number 0 of the assignment")]
    ann.send(make_episode(seed=1), stamp(ann.seat, 0, 1, 1))
    assert seeds_of(desk.wait([0], LONG)) == [1]


def test_an_index_beyond_the_assignment_is_refused_and_takes_no_place(
    desk: Desk, ann: Honest, make_episode: Make
) -> None:
    desk.post(assignment(0))
    ann.look()
    for sequence, index in enumerate((2, 2**32 - 1)):
        (answer,) = ann.send(make_episode(seed=0), stamp(ann.seat, 0, index, sequence))
        assert answer == Refused(Key("ann", 0, sequence), f"seed 0 is not number {index} of the assignment")
    ann.play(key=Key("ann", 0, 2))
    ann.play(key=Key("ann", 0, 3))
    assert seeds_of(desk.wait([0], LONG)) == [0, 1]


def test_an_episode_of_another_workers_assignment_is_refused_and_takes_no_place(
    desk: Desk, ann: Honest, make_episode: Make
) -> None:
    bob = Honest(desk, make_episode, "bob")
    desk.post(assignment(0))
    desk.post(assignment(1))
    ann.look()
    for sequence, number in enumerate((1, 2)):  # bob's, and nobody's
        answers = ann.send(make_episode(seed=10), stamp(ann.seat, number, 0, sequence))
        assert answers == [Refused(Key("ann", 0, sequence), f"assignment {number} is not this worker's")]
    bob.look()
    bob.play()
    bob.play()
    assert seeds_of(desk.wait([1], LONG)) == [10, 11]


def test_an_episode_that_is_there_already_is_refused_and_the_first_stays(desk: Desk, ann: Honest) -> None:
    desk.post(assignment(0))
    ann.look()
    ann.play()
    ann.next = 0
    assert ann.play() == [Refused(Key("ann", 0, 1), "number 0 of the assignment is there already")]
    ann.play()
    assert [stamped.key.sequence for _, stamped in desk.wait([0], LONG)] == [0, 2]


def test_an_episode_that_was_dropped_does_not_come_after_all(desk: Desk, ann: Honest) -> None:
    desk.post(assignment(0))
    ann.look()
    desk.drop(ann.seat, 0, 0, "the game was lost")
    assert ann.play() == [Refused(Key("ann", 0, 0), "number 0 of the assignment is there already")]
    ann.play()
    assert seeds_of(desk.wait([0], LONG)) == [1]


def test_a_batch_of_which_all_is_dropped_is_empty_and_done(
    desk: Desk, ann: Honest, caplog: pytest.LogCaptureFixture
) -> None:
    desk.post(assignment(0))
    desk.post(assignment(1))
    for index in range(2):
        desk.drop(ann.seat, 0, index, "the game was lost")
    assert desk.wait([0], LONG) == []
    assert "episode 1 of assignment 0 is dropped: the game was lost" in caplog.text
    ann.look()
    assert ann.asked == assignment(1)


def test_only_what_is_a_workers_own_and_still_missing_can_be_dropped(
    desk: Desk, ann: Honest, make_episode: Make
) -> None:
    bob = Honest(desk, make_episode, "bob")
    desk.post(assignment(0))
    desk.post(assignment(1))
    ann.look()
    bob.look()
    ann.play()
    for number, index in ((0, 0), (0, 2), (1, 0), (1, 1), (7, 0)):
        desk.drop(ann.seat, number, index, "says ann")
    ann.play()
    bob.play()
    bob.play()
    desk.drop(ann.seat, 0, 1, "says ann")
    assert seeds_of(desk.wait([0, 1], LONG)) == [0, 1, 10, 11]


# Who comes and goes


def test_what_a_worker_leaves_behind_is_played_by_another_as_a_whole(
    desk: Desk, ann: Honest, make_episode: Make
) -> None:
    desk.post(assignment(0))
    desk.post(assignment(1))
    ann.look()
    ann.play()
    desk.drop(ann.seat, 0, 1, "the game was lost")  # done: what is in stays in
    ann.play()
    desk.leave(ann.seat)
    bob = Honest(desk, make_episode, "bob")
    assert bob.asked == assignment(1)
    bob.play()
    bob.play()
    assert [(e.seed, s.key.worker) for e, s in desk.wait([0, 1], LONG)] == [(0, "ann"), (10, "bob"), (11, "bob")]


def test_what_was_dropped_of_an_assignment_left_behind_is_played_after_all(
    desk: Desk, ann: Honest, make_episode: Make
) -> None:
    desk.post(assignment(0))
    desk.drop(ann.seat, 0, 0, "the game was lost")
    desk.leave(ann.seat)
    bob = Honest(desk, make_episode, "bob")
    bob.play()
    bob.play()
    assert seeds_of(desk.wait([0], LONG)) == [0, 1]


def test_what_is_left_behind_is_played_before_what_is_new(desk: Desk, ann: Honest, make_episode: Make) -> None:
    for number in range(3):
        desk.post(assignment(number))
    desk.leave(ann.seat)
    assert Honest(desk, make_episode, "bob").asked == assignment(0)


def test_an_episode_that_was_thrown_away_is_not_taken_for_one_that_is_in(
    desk: Desk, ann: Honest, make_episode: Make
) -> None:
    desk.post(assignment(0))
    ann.look()
    ann.play()
    desk.leave(ann.seat)
    ann.sit("ann", 0)  # the link was cut, and the worker is still the same
    assert ann.asked == assignment(0)
    assert ann.send(*ann.sent[0]) == [Acknowledged(Key("ann", 0, 0))]
    ann.next = 1
    ann.play()
    assert seeds_of(desk.wait([0], LONG)) == [0, 1]


def test_a_second_incarnation_takes_the_seat_of_the_first(desk: Desk, ann: Honest, make_episode: Make) -> None:
    desk.post(assignment(0))
    ann.look()
    ann.play()
    again = Honest(desk, make_episode, "ann", 1)
    assert desk.workers == ["ann"]
    assert ann.seat.outbox.get_nowait() is None
    assert again.asked == assignment(0)
    assert ann.play() == [Refused(Key("ann", 0, 1), "assignment 0 is not this worker's")]
    desk.drop(ann.seat, 0, 1, "says the first")
    desk.leave(ann.seat)  # is noticed late, and changes nothing
    assert desk.workers == ["ann"]
    again.play()
    again.play()
    assert [stamped.key.incarnation for _, stamped in desk.wait([0], LONG)] == [1, 1]


def test_who_leaves_twice_has_left_once(desk: Desk, ann: Honest) -> None:
    desk.post(assignment(0))
    desk.leave(ann.seat)
    bob = desk.sit("bob", 0)
    desk.leave(ann.seat)
    desk.post(assignment(1))
    assert desk.workers == ["bob"]
    assert notes(bob) == [assignment(0)]
    assert notes(desk.sit("cid", 0)) == [assignment(1)]


# Waiting and closing


def test_patience_ends_and_says_who_is_connected(desk: Desk) -> None:
    desk.post(assignment(0))
    with pytest.raises(DeliveryError, match=r"for 0.01 seconds \(nobody is connected\); look at their logs"):
        desk.wait([0], 0.01)
    desk.sit("bob", 0)
    desk.sit("ann", 0)
    with pytest.raises(DeliveryError, match=r"for 0.01 seconds \(ann, bob is connected\)"):
        desk.wait([0], 0.01)


def test_who_lost_patience_can_wait_again(desk: Desk, ann: Honest) -> None:
    desk.post(assignment(0))
    ann.look()
    ann.play()
    with pytest.raises(DeliveryError):
        desk.wait([0], 0.01)
    ann.play()
    assert desk.wait([0], LONG) == ann.sent


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


def test_closing_wakes_whoever_waits_and_sends_everybody_home(desk: Desk, ann: Honest) -> None:
    desk.post(assignment(0))
    assert not desk.closed
    waiters = [waiting(desk, 0) for _ in range(2)]
    bob = desk.sit("bob", 0)
    ann.look()
    desk.close("enough")
    desk.close()  # too late for another reason
    assert desk.closed
    for waiter in waiters:
        with pytest.raises(DeliveryError, match=r"^enough$"):
            waiter.result(10)
    for seat in (ann.seat, bob):
        assert notes(seat)[0] is None
    with pytest.raises(DeliveryError, match=r"^enough$"):
        desk.wait([0], LONG)


def test_nobody_can_sit_at_a_closed_desk(desk: Desk, ann: Honest) -> None:
    desk.close()
    with pytest.raises(DeliveryError, match=r"^this learner has stopped$"):
        desk.sit("bob", 0)
    assert desk.workers == ["ann"]


def test_what_is_in_when_the_desk_closes_can_still_be_had(desk: Desk, ann: Honest) -> None:
    desk.post(assignment(0, 5))
    ann.look()
    ann.play()
    desk.close()
    assert desk.wait([0], LONG) == ann.sent


# Whatever happens


EVENTS = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from(["play", "play", "play", "again", "late", "leave", "sit", "post"])),
    max_size=60,
)


@given(events=EVENTS)
@settings(max_examples=300)
def test_whoever_comes_and_goes_every_seed_is_played_once(make_episode: Make, events: list[tuple[int, str]]) -> None:
    desk, posted, incarnations = Desk(CONTRACT), count(), count()
    workers: dict[int, Honest] = {}
    gone: list[Honest] = []
    for who, event in events:
        name = "ab"[who % 2]  # 0 and 2 are incarnations of one
        worker = workers.get(who)
        if event == "post":
            desk.post(assignment(next(posted)))
        elif worker is None:
            workers[who] = Honest(desk, make_episode, name, next(incarnations))
        elif event == "sit":
            worker.asked = None
            worker.sit(name, worker.seat.incarnation)
        elif event == "leave":
            desk.leave(worker.seat)
            gone.append(workers.pop(who))
        elif event == "again" and worker.sent:
            worker.send(*worker.sent[who % len(worker.sent)])
        elif event == "late" and gone and gone[-1].sent:
            gone[-1].send(*gone[-1].sent[-1])
        worker = workers.get(who)
        if worker is not None and event == "play":
            worker.look()
            if worker.asked is not None and worker.next < len(worker.asked.seeds):
                worker.play()
    for worker in workers.values():
        desk.leave(worker.seat)
    last = Honest(desk, make_episode, "last")
    while last.asked is not None and last.next < 2:
        assert last.play()[0] == Acknowledged(last.sent[-1][1].key)
    numbers = range(next(posted))
    played = desk.wait(numbers, 0.01)
    assert seeds_of(played) == [seed for number in numbers for seed in assignment(number).seeds]
    assert len({stamped.key for _, stamped in played}) == len(played)
    assert all(
        len({(s.key.worker, s.key.incarnation) for _, s in played[k : k + 2]}) == 1 for k in range(0, len(played), 2)
    )


def test_threads_that_come_and_go_play_every_seed_once(desk: Desk, make_episode: Make) -> None:
    played = {seed: make_episode(seed=seed) for number in range(60) for seed in assignment(number).seeds}
    incarnations = count()

    def work(name: str) -> None:
        moods, sequences = random.Random(name), count()
        while not desk.closed:
            try:
                seat = desk.sit(name, next(incarnations))
            except DeliveryError:
                return
            while (note := seat.outbox.get()) is not None and moods.random() < 0.8:
                if isinstance(note, Assignment):
                    for index, seed in enumerate(note.seeds):
                        desk.accept(seat, played[seed], stamp(seat, note.number, index, next(sequences)))
            desk.leave(seat)

    threads = [threading.Thread(target=work, args=(name,), daemon=True) for name in ("ann", "bob", "cid")]
    for thread in threads:
        thread.start()
    for number in range(60):
        desk.post(assignment(number))
    assert seeds_of(desk.wait(range(60), LONG)) == sorted(played)
    desk.close()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
