"""The law of delivery, whatever happens: each seed is in once, and nothing is acknowledged that is not.

Workers come, play, drop, die, fall silent and come back; one of them lies; the disk is slow; the learner is started
again with the same journal. In the end all is quiet, and the honest ones play what is left.
"""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from envs.episode import Episode
from envs.errors import DeliveryError
from rollout.delivery.keys import Key, KeySet
from rollout.delivery.reports import Dropped, Report, recall_report
from rollout.delivery.seat import Acknowledged, Given, Refused, Seat
from rollout.desk import CREDITS, Desk
from tests.rollout.desks import CONTRACT, PATIENCE, Clock, SlowJournal, assignment, message, notes, played

BATCH = 2  # assignments
NAMES = ("ann", "bob", "cid")


class Worker:
    """What the worker's side does, with a spool that outlives its process."""

    def __init__(self, name: str, make: Callable[..., Episode]) -> None:
        self.name, self._make = name, make
        self.incarnation, self.sequence = 0, 0
        self.spool: dict[Key, Report] = {}
        self.seat: Seat | None = None
        self.start()

    def start(self) -> None:
        """A new process."""
        self.incarnation += 1
        self.given: Given | None = None
        self.todo: list[int] = []
        self.made: dict[Key, int] = {}
        self.seat = None

    def sit(self, desk: Desk) -> None:
        """A new connection."""
        held = {*self.made.values()} | ({self.given.assignment.number} if self.given and self.todo else set())
        self.seat = desk.sit(self.name, self.incarnation, sorted(held))
        self.sent: set[Key] = set()
        self.asked = False

    def play(self, dropped: bool) -> None:
        """Finish an episode, if there is one to play."""
        if self.given and self.todo:
            asked, index = self.given.assignment, self.todo.pop(0)
            key = Key(self.name, self.incarnation, self.sequence)
            self.sequence += 1
            whole = played(self._make(seed=asked.seeds[index]), key, asked.number, index)
            self.spool[key] = Dropped(key, asked.number, index, "the game was lost") if dropped else whole
            self.made[key] = asked.number

    def talk(self, desk: Desk, most: int) -> None:
        """Send what waits, and ask for more where that is due."""
        assert self.seat
        for key in [key for key in self.spool if key not in self.sent][:most]:
            if len(self.sent) < CREDITS:
                self.sent.add(key)
                desk.accept(self.seat, self.spool[key], message(self.spool[key]))
        unsent = any(key not in self.sent for key in self.spool)
        earlier = any(key.incarnation != self.incarnation for key in self.spool)
        if not (self.todo or self.asked or unsent or earlier):
            self.asked = True
            desk.ready(self.seat)

    def listen(self, in_use: Callable[[Key], bool]) -> None:
        """Read what came."""
        assert self.seat
        for note in notes(self.seat):
            if isinstance(note, Given):
                assert not self.todo
                assert note.wanted
                self.given, self.todo, self.asked = note, list(note.wanted), False
            elif isinstance(note, Acknowledged | Refused):
                assert isinstance(note, Acknowledged) == in_use(note.key), f"{note}, of what is in or is not"
                self.sent.discard(note.key)
                self.made.pop(note.key, None)
                self.spool.pop(note.key, None)
        if self.seat.ended:
            self.seat = None


class Delivery(RuleBasedStateMachine):
    """A learner and its workers."""

    make: Callable[..., Episode]

    @initialize()
    def begin(self) -> None:
        self.clock, self.journal = Clock(), SlowJournal()
        self.workers = [Worker(name, self.make) for name in NAMES]
        self.eve: Seat | None = None
        self.lies = 0
        self.checkpoint: tuple[Any, int] = (None, 0)
        self.learnt: dict[int, list[Key]] = {}  # by batch
        self.open_desk()
        self.recover()
        self.learn()
        for who in range(3):
            self.work(who, 9, 0, False)

    def open_desk(self) -> None:
        """The learner starts; what is not in its journal or its checkpoint is gone."""
        self.batch = self.checkpoint[1]
        self.desk = Desk(CONTRACT, self.journal.as_journal(), PATIENCE, self.clock)
        self.recovered, self.posted = False, self.batch
        self.eve = None
        for worker in self.workers:
            worker.seat = None

    @precondition(lambda self: not self.recovered)
    @rule()
    def recover(self) -> None:
        self.desk.recover(self.checkpoint[0], self.checkpoint[1] * BATCH)
        self.recovered = True

    @precondition(lambda self: self.recovered)
    @rule()
    def learn(self) -> None:
        """Post what may be posted, and learn from a batch if it is there."""
        while self.posted <= self.batch + 1:
            for number in range(self.posted * BATCH, (self.posted + 1) * BATCH):
                self.desk.post(assignment(number))
            self.posted += 1
        try:
            came = self.desk.wait(range(self.batch * BATCH, (self.batch + 1) * BATCH), 0.0)
        except DeliveryError:
            return
        if not came:  # all was dropped: the run ends, and somebody starts it again
            self.open_desk()
            return
        keys = [stamp.key for _, stamp in came]
        assert self.learnt.setdefault(self.batch, keys) == keys, "another learner learnt from others"
        seeds = [episode.seed for episode, _ in came]
        assert seeds == sorted(set(seeds))
        self.batch += 1

    @rule()
    def save(self) -> None:
        if self.recovered:
            self.checkpoint = (self.desk.keys(), self.batch)
            self.desk.saved(self.batch * BATCH)

    @rule()
    def write(self) -> None:
        self.journal.write()

    @rule()
    def restart(self) -> None:
        self.open_desk()

    @rule(who=st.integers(0, 2), most=st.integers(0, 9), plays=st.integers(0, 2), dropped=st.booleans())
    def work(self, who: int, most: int, plays: int, dropped: bool) -> None:
        worker = self.workers[who]
        if worker.seat is None:
            worker.sit(self.desk)
        for _ in range(plays):
            worker.play(dropped)
        worker.talk(self.desk, most)
        worker.listen(self.is_in)

    @rule(who=st.integers(0, 2), goodbye=st.booleans())
    def leave(self, who: int, goodbye: bool) -> None:
        worker = self.workers[who]
        if worker.seat:
            self.desk.leave(worker.seat, for_good=goodbye and not worker.todo)
            worker.seat = None

    @rule(who=st.integers(0, 2), noticed=st.booleans())
    def die(self, who: int, noticed: bool) -> None:
        worker = self.workers[who]
        if worker.seat and noticed:
            self.desk.leave(worker.seat)
        worker.start()

    @rule(seconds=st.sampled_from([1.0, 9.0, 11.0, 70.0]))
    def pass_time(self, seconds: float) -> None:
        self.clock.now += seconds
        for worker in self.workers:
            if worker.seat and seconds < 70:
                self.desk.beat(worker.seat, worker.sequence, 0, 0)
        self.desk.look_around()

    @rule(number=st.integers(0, 9), index=st.integers(0, 2), seed=st.integers(0, 30), held=st.booleans())
    def lie(self, number: int, index: int, seed: int, held: bool) -> None:
        """Eve says that she has what she has not, and reports what nobody asked her for."""
        if self.eve is None or self.eve.ended:
            self.eve = self.desk.sit("eve", 0, [number, number + 1] if held else [])
        self.lies += 1
        key = Key("eve" if seed % 3 else "ann", 0, seed)
        self.desk.accept(self.eve, report := played(self.make(seed=seed), key, number, index), message(report))
        for note in notes(self.eve):
            assert not isinstance(note, Acknowledged) or self.is_in(note.key)

    def is_in(self, key: Key) -> bool:
        """Whether a key is where a learner that starts now finds it."""
        keys = self.checkpoint[0]
        kept = (recall_report(data).key for data, _ in self.journal.kept)
        return key in kept or (keys is not None and key in KeySet.of_tensor(keys))

    def teardown(self) -> None:
        """Quiet: the honest play what is left."""
        if not hasattr(self, "journal"):
            return
        if not self.recovered:
            self.recover()
        if self.eve:
            self.desk.leave(self.eve, for_good=True)
        last = self.batch + 3
        for _ in range(60):
            for who in range(3):
                self.work(who, 9, 2, False)
            self.write()
            self.pass_time(1.0)
            if not self.recovered:
                self.recover()
            if self.batch < last:
                self.learn()
        for who in range(3):
            self.work(who, 9, 0, False)
        assert self.batch == last, "an assignment that nobody plays"
        keys = [key for batch in self.learnt.values() for key in batch]
        assert len(keys) == len(set(keys))
        assert not any(worker.spool for worker in self.workers), "a report without an answer"


def test_whatever_happens_each_seed_is_in_once_and_nothing_is_acknowledged_that_is_not(
    make_episode: Callable[..., Episode], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("CRITICAL")
    machine = type("Made", (Delivery,), {"make": staticmethod(make_episode)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=100,
            stateful_step_count=50,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
