"""Laws of a worker's link: whatever happens to the connection or the learner, each report is delivered once."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from agents.policy import Policy
from envs.episode import Episode
from envs.errors import DataError, DeliveryError, OptionError, TrustError
from rollout.codec import Stamp, encode
from rollout.delivery.keys import Key
from rollout.delivery.ledger import Ledger
from rollout.delivery.link import Link
from rollout.desk import CREDITS, Patience
from rollout.identity.door import Limits
from rollout.identity.trust import Token
from rollout.wire import rollout_pb2 as wire
from tests.rollout.proxy import Proxy
from tests.rollout.ring import PATIENCE, TOKENS, Ring, assignment, head_of, until

MakeRing = Callable[..., Ring]
MakeLink = Callable[..., Link]
Fill = Callable[[int, int, int], Callable[[Key], wire.FromWorker]]

BRISK = Patience(heartbeat=0.1, silence=0.6, standstill=PATIENCE)


@pytest.fixture
def make_link() -> Iterator[MakeLink]:
    """Make links of a ring's workers, which are closed before the ring is."""
    made: list[Link] = []

    def make(ring: Ring, name: str = "ann", **changes: Any) -> Link:
        made.append(Link(ring.link(name, **changes), lambda: (len(made), 0)))
        return made[-1]

    yield make
    for link in made:
        link.close()


@pytest.fixture
def episode_of(make_episode: Callable[..., Episode], ring: Ring) -> Fill:
    """Make what fills a report of an episode of a seed."""

    def fill(number: int, index: int, seed: int) -> Callable[[Key], wire.FromWorker]:
        def filled(key: Key) -> wire.FromWorker:
            stamp = Stamp(key, number, index, 0, ring.desk.contract.trunk, "chunked", 0.7, "embeddings")
            return wire.FromWorker(episode=encode(make_episode(seed=seed, width=32), stamp))

        return filled

    return fill


def play(link: Link, episode_of: Fill, count: int = 1) -> None:
    """Play so many assignments whole."""
    for _ in range(count):
        asked = link.ask()
        assert asked is not None
        for index in asked.wanted:
            link.report(asked.number, episode_of(asked.number, index, asked.seeds[index]))


def keys_of(ring: Ring) -> list[tuple[int, int]]:
    """Incarnation, by order of appearance, and sequence of all that the journal has."""
    found = [key for key in ring.kept() if key]
    order = sorted({key.incarnation for key in found})
    return [(order.index(key.incarnation), key.sequence) for key in found]


# A stream that breaks


def test_a_learner_that_is_killed_and_started_again_has_every_report_once(
    ring: Ring, make_link: MakeLink, episode_of: Fill
) -> None:
    """Four assignments of eight, and the learner is killed during each."""
    link = make_link(ring)
    killer = threading.Thread(target=lambda: None)
    for number in range(4):
        ring.server.post(assignment(number, *range(8)))
        asked = link.ask()
        assert asked is not None
        assert asked.number == number
        for index in asked.wanted:
            link.report(number, episode_of(number, index, index))
            if index == 2 * number:
                killer = threading.Thread(target=ring.kill)
                killer.start()
        killer.join()
        assert len(ring.spooled("ann")) >= 7 - 2 * number
        ring.start(ring.port)
        ring.server.publish(0, head_of(0), 0)
        for posted in range(number + 1):
            ring.server.post(assignment(posted, *range(8)))
        played = ring.server.wait(range(number + 1), PATIENCE)
        assert [(stamp.assignment, stamp.index) for _, stamp in played] == [
            (n, k) for n in range(number + 1) for k in range(8)
        ]
    until(lambda: not ring.spooled("ann"))
    assert sorted(keys_of(ring)) == [(0, sequence) for sequence in range(32)]


@pytest.mark.parametrize("after", [0, 100, 3_000, 20_000, 50_000])
def test_a_connection_that_is_cut_in_the_middle_of_a_message_delivers_it_once(
    ring: Ring, make_link: MakeLink, episode_of: Fill, after: int
) -> None:
    """A report of this size is 7 KB."""
    with closing(Proxy(ring.port)) as proxy:
        link = make_link(ring, learner=proxy.address)
        for number in range(2):
            ring.server.post(assignment(number, *range(8)))
        asked = link.ask()
        assert asked is not None
        proxy.cut_after(after)
        for index in asked.wanted:
            link.report(0, episode_of(0, index, index))
        play(link, episode_of)
        assert len(ring.server.wait([0, 1], PATIENCE)) == 16
        assert proxy.accepted >= 2
        until(lambda: not ring.spooled("ann"))
        assert sorted(keys_of(ring)) == [(0, sequence) for sequence in range(16)]
        assert ring.desk.counts.refused == 0
        link.close()


def test_a_connection_that_is_cut_again_and_again_delivers_everything_once(
    ring: Ring, make_link: MakeLink, episode_of: Fill
) -> None:
    count = 30
    for number in range(count):
        ring.server.post(assignment(number, *range(4)))
    with closing(Proxy(ring.port)) as proxy:
        link = make_link(ring, learner=proxy.address)
        worker = threading.Thread(target=play, args=(link, episode_of, count))
        worker.start()
        cuts = 0
        while worker.is_alive():
            proxy.cut_after(20_000) if cuts % 2 else proxy.cut()
            cuts += 1
            worker.join(0.2)
        proxy.cut_after(10**9)
        assert len(ring.server.wait(range(count), PATIENCE)) == 4 * count
        until(lambda: not ring.spooled("ann"))
        link.close()
    assert sorted(keys_of(ring)) == [(0, sequence) for sequence in range(4 * count)]
    assert cuts > 1
    assert ring.desk.counts.refused == 0


def test_an_assignment_that_was_lost_on_its_way_down_is_given_again(ring: Ring, make_link: MakeLink) -> None:
    with closing(Proxy(ring.port)) as proxy:
        link = make_link(ring, learner=proxy.address)
        link.contract()
        asked: list[wire.Assignment | None] = []
        asking = threading.Thread(target=lambda: asked.append(link.ask()))
        asking.start()
        until(lambda: any(seat.ready for seat in seats(ring)))
        proxy.stall()
        ring.server.post(assignment(0, 5))
        until(lambda: not any(seat.ready for seat in seats(ring)))
        proxy.cut()
        proxy.resume()
        asking.join(PATIENCE)
        assert [one.number for one in asked if one] == [0]
        assert asked[0] is not None
        assert asked[0].head
        link.close()


def seats(ring: Ring) -> list[Any]:
    """Who has a seat."""
    desk: Any = ring.desk
    return list(desk._seats)


# Silence


def test_a_learner_that_says_nothing_is_given_up_and_found_again(
    make_ring: MakeRing, make_link: MakeLink, caplog: pytest.LogCaptureFixture, episode_of: Fill
) -> None:
    """The connection stands, and nothing passes."""
    ring = make_ring(BRISK)
    with closing(Proxy(ring.port)) as proxy:
        link = make_link(ring, learner=proxy.address)
        link.contract()
        proxy.stall()
        until(lambda: "nothing was heard of it for" in caplog.text)
        until(lambda: ring.desk.workers == [])  # the other side has noticed as well
        proxy.resume()
        until(lambda: ring.desk.workers == ["ann"])
        ring.server.post(assignment(0, 5))
        play(link, episode_of)
        assert len(ring.server.wait([0], PATIENCE)) == 1
        link.close()


def test_both_sides_are_heard_while_nothing_happens(make_ring: MakeRing, make_link: MakeLink) -> None:
    """Five times as long as silence may last."""
    ring = make_ring(Patience(heartbeat=0.1, silence=1.0))
    with closing(Proxy(ring.port)) as proxy:
        link = make_link(ring, learner=proxy.address)
        link.contract()
        (seat,) = seats(ring)
        began, steps = time.monotonic(), seat.steps
        until(lambda: time.monotonic() - began > 5.0 or not seats(ring))
        assert seats(ring) == [seat]
        assert steps <= seat.steps == 1
        assert proxy.accepted == 1
        link.close()


# Credits, and when there is more to ask for


def test_no_more_is_under_way_than_was_agreed(
    ring: Ring, make_link: MakeLink, episode_of: Fill, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = threading.Event()
    disk.set()
    # The learner's disk alone: the worker's own goes on.
    monkeypatch.setattr("rollout.delivery.journal.sync_file", lambda _: disk.wait(PATIENCE))
    link = make_link(ring)
    ring.server.post(assignment(0, *range(30)))
    asked = link.ask()
    assert asked is not None
    disk.clear()
    for index in asked.wanted:
        link.report(0, episode_of(0, index, index))
    (seat,) = seats(ring)
    until(lambda: seat.under_way == CREDITS)
    heard = seat.heard
    until(lambda: seat.heard > heard)  # a heartbeat later
    assert seat.under_way == CREDITS
    assert len(ring.spooled("ann")) == 30
    disk.set()
    assert len(ring.server.wait([0], PATIENCE)) == 30
    assert seats(ring) == [seat]


def test_ready_is_said_when_all_from_before_is_answered(ring: Ring, make_link: MakeLink, episode_of: Fill) -> None:
    """Else the episode that the process before it played would be given up, and played again."""
    first = make_link(ring)
    ring.server.post(assignment(0, 5))
    asked = first.ask()
    assert asked is not None
    ring.kill()
    first.report(0, episode_of(0, 0, 5))
    first.close()
    ring.start(ring.port)
    ring.server.publish(0, head_of(0), 0)
    second = make_link(ring)
    asked_again: list[wire.Assignment | None] = []
    asking = threading.Thread(target=lambda: asked_again.append(second.ask()))
    asking.start()
    until(lambda: ring.desk.workers == ["ann"])
    (seat,) = seats(ring)
    until(lambda: seat.under_way == 1)  # it is not posted yet
    heard = seat.heard
    until(lambda: seat.heard > heard)
    assert not seat.ready
    ring.server.post(assignment(0, 5))
    until(lambda: seat.ready)
    ring.server.post(assignment(1, 6))
    asking.join(PATIENCE)
    assert [one.number for one in asked_again if one] == [1]
    ((_, stamp),) = ring.server.wait([0], PATIENCE)
    assert stamp.key.sequence == 0
    assert ring.spooled("ann") == []
    assert ring.desk.counts.dropped == 0


def test_a_report_that_was_damaged_on_the_disk_is_not_waited_for(
    ring: Ring, make_link: MakeLink, episode_of: Fill
) -> None:
    first = make_link(ring)
    ring.server.post(assignment(0, 5, 6))
    asked = first.ask()
    assert asked is not None
    ring.kill()
    for index in (0, 1):
        first.report(0, episode_of(0, index, 5 + index))
    first.close()
    (damaged, _) = ring.spooled("ann")
    damaged.write_bytes(damaged.read_bytes()[:-1])
    ring.start(ring.port)
    ring.server.publish(0, head_of(0), 0)
    ring.server.post(assignment(0, 5, 6))
    second = make_link(ring)
    asked = second.ask()
    assert asked is not None
    assert (asked.number, list(asked.wanted)) == (0, [0])
    second.report(0, episode_of(0, 0, 5))
    assert [episode.seed for episode, _ in ring.server.wait([0], PATIENCE)] == [5, 6]


def test_a_flood_of_reports_is_read_at_the_pace_that_was_agreed_and_none_is_lost(
    ring: Ring, make_link: MakeLink
) -> None:
    count = int(Limits().messages_at_once) + 100
    ring.server.post(assignment(0, *range(count)))
    link = make_link(ring)
    asked = link.ask()
    assert asked is not None
    for index in asked.wanted:
        link.report(0, lambda key, k=index: dropped(key, 0, k))
    assert ring.server.wait([0], PATIENCE) == []
    assert ring.desk.counts.dropped == count


def dropped(key: Key, number: int, index: int) -> wire.FromWorker:
    """The report of an episode that was lost."""
    made = wire.Key(worker=key.worker, incarnation=key.incarnation, sequence=key.sequence)
    return wire.FromWorker(dropped=wire.Dropped(key=made, assignment=number, index=index, reason="not today"))


# The end


def test_without_a_learner_for_so_long_a_link_ends_and_what_it_has_is_delivered_at_the_next_start(
    ring: Ring, make_link: MakeLink, episode_of: Fill
) -> None:
    link = make_link(ring, patience=0.5)
    ring.server.post(assignment(0, 5))
    asked = link.ask()
    assert asked is not None
    ring.kill()
    link.report(0, episode_of(0, 0, 5))
    spool = ring.folder / "spool" / "ann"
    with pytest.raises(DeliveryError, match=rf"no learner at .* for 0.5 seconds .*: 1 reports wait in {spool}"):
        link.ask()
    link.close()
    ring.start(ring.port)
    ring.server.publish(0, head_of(0), 0)
    ring.server.post(assignment(0, 5))
    make_link(ring)
    ((_, stamp),) = ring.server.wait([0], PATIENCE)
    assert stamp.key.sequence == 0
    until(lambda: not ring.spooled("ann"))


def test_a_learner_that_is_another_runs_is_not_worked_for(ring: Ring, make_link: MakeLink, episode_of: Fill) -> None:
    link = make_link(ring)
    ring.server.post(assignment(0, 5))
    asked = link.ask()
    assert asked is not None
    ring.kill()
    link.report(0, episode_of(0, 0, 5))
    before = ring.spooled("ann")
    ring.start(ring.port, identity="other")
    with pytest.raises(DeliveryError, match=f"is another run's now .{ring.desk.run}.; start this worker again"):
        link.ask()
    link.close()
    other = make_link(ring)
    welcome = other.contract()
    assert welcome is not None
    assert welcome.run == ring.desk.run
    ring.server.publish(0, head_of(0), 0)
    ring.server.post(assignment(0, 5))
    assert other.ask() is not None
    assert [path.exists() for path in before] == [True]  # they are the first run's
    assert ring.desk.counts.refused == 0


def test_a_run_that_is_called_like_a_path_is_refused(tmp_path: Path) -> None:
    for name in ("../escape", "", "a/b", "x" * 65, "."):
        with pytest.raises(DeliveryError, match="a run is called by up to 64 letters"):
            Ledger("ann", 1).open(tmp_path / "spool", name)
    assert list(tmp_path.iterdir()) == []


def test_an_assignment_that_nobody_has_begun_is_not_played_when_the_learner_is_done(
    ring: Ring, make_link: MakeLink
) -> None:
    link = make_link(ring)
    link.contract()
    ring.server.post(assignment(0, 5))
    state: Any = link
    with state._state.changed:
        state._state.asking = True
        state._state.changed.notify_all()
    until(lambda: state._state.ledger.given)
    ring.server.close()
    until(lambda: state._state.over)
    assert link.ask() is None


def test_a_policy_that_breaks_off_is_fetched_again(
    ring: Ring, make_link: MakeLink, policy: Policy, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(Proxy(ring.port)) as proxy:
        link = make_link(ring, learner=proxy.address)
        link.contract()
        proxy.stall()
        fetched: list[Policy | None] = []
        fetching = threading.Thread(target=lambda: fetched.append(link.policy()))
        fetching.start()
        until(lambda: link._fetch is not None)
        proxy.cut()
        until(lambda: "the policy did not come" in caplog.text)
        proxy.resume()
        fetching.join(PATIENCE)
        assert fetched[0] is not None
        assert fetched[0].config == policy.config
        link.close()


def test_a_policy_that_does_not_come_is_not_waited_for_when_it_is_time_to_leave(
    ring: Ring, make_link: MakeLink
) -> None:
    with closing(Proxy(ring.port)) as proxy:
        link = make_link(ring, learner=proxy.address)
        link.contract()
        proxy.stall()
        leaving = threading.Event()
        fetched: list[Policy | None] = []
        fetching = threading.Thread(target=lambda: fetched.append(link.policy(leaving.is_set)))
        fetching.start()
        until(lambda: link._fetch is not None)
        leaving.set()
        link.nudge()
        fetching.join(PATIENCE)
        assert fetched == [None]
        link.close()


@pytest.mark.slow
def test_a_policy_that_does_not_come_is_not_waited_for_when_the_learner_is_gone(
    make_ring: MakeRing, make_link: MakeLink
) -> None:
    ring = make_ring(BRISK)
    with closing(Proxy(ring.port)) as proxy:
        link = make_link(ring, learner=proxy.address, patience=0.5)
        link.contract()
        proxy.stall()
        with pytest.raises(DeliveryError, match=r"no learner at .* for 0.5 seconds"):
            link.policy()
        link.close()


def test_who_says_goodbye_gives_back_what_it_was_given_at_once(ring: Ring, make_link: MakeLink) -> None:
    link = make_link(ring)
    ring.server.post(assignment(0, 5))
    assert link.ask() is not None
    assert link.leave(PATIENCE)
    assert ring.desk.workers == []
    bob = ring.raw("bob")
    bob.hello()
    bob.ready()
    assert bob.hear("assignment").number == 0


def test_a_report_that_cannot_be_made_leaves_its_place_to_another(ring: Ring, make_link: MakeLink) -> None:
    link = make_link(ring)
    ring.server.post(assignment(0, 5, 6))
    asked = link.ask()
    assert asked is not None

    def fill(_: Key) -> wire.FromWorker:
        raise DataError("it was interrupted")

    for index in (0, 1):
        with pytest.raises(DataError, match="it was interrupted"):
            link.report(0, fill)
        link.report(0, lambda key, k=index: dropped(key, 0, k))
    assert ring.server.wait([0], PATIENCE) == []
    ledger: Any = link._state.ledger
    until(lambda: ledger.held == [])


def test_an_answer_that_comes_before_the_report_is_booked_leaves_nothing_open() -> None:
    """The learner may be faster than the thread that reports: the books then say that nothing is held."""
    ledger: Any = Ledger("ann", 1)
    ledger._spool = Books()
    ledger.give(wire.Assignment(number=3, wanted=[0]))
    key = ledger.begin(3)
    ledger.keep(key, b"report")
    ledger.settle(key, refused=False)
    ledger.end(key, 3, kept=True)
    assert ledger.held == []


class Books:
    """A spool that keeps nothing."""

    def add(self, key: Key, report: bytes) -> None:
        assert (key, report) == (Key("ann", 1, 0), b"report")

    def remove(self, key: Key) -> None:
        assert key == Key("ann", 1, 0)


def test_closing_hangs_up_even_where_nothing_passes(ring: Ring, make_link: MakeLink) -> None:
    """And no thread stays, as after every test here."""
    with closing(Proxy(ring.port)) as proxy:
        link = make_link(ring, learner=proxy.address)
        link.contract()
        proxy.stall()
        link.close()
        link.close()


def test_closing_wakes_whoever_asks(ring: Ring, make_link: MakeLink) -> None:
    link = make_link(ring)
    asked: list[wire.Assignment | None] = []
    asking = threading.Thread(target=lambda: asked.append(link.ask()))
    asking.start()
    until(lambda: any(seat.ready for seat in seats(ring)))
    link.close()
    asking.join(PATIENCE)
    assert asked == [None]


class Dialled:
    """A token, shown in every channel; what happens at the next can be set."""

    def __init__(self) -> None:
        self.channels = 0
        self.fails: Exception | None = None
        self._token = Token(TOKENS["ann"])

    def channel(self, address: str, options: Any = ()) -> Any:
        self.channels += 1
        if self.fails:
            raise self.fails
        return self._token.channel(address, options)

    def metadata(self, name: str) -> tuple[tuple[str, str], ...]:
        return self._token.metadata(name)


def test_every_stream_shows_papers_anew_and_a_worker_whose_papers_are_over_is_told(
    ring: Ring, make_link: MakeLink
) -> None:
    trust = Dialled()
    link = make_link(ring, trust=trust)
    link.contract()
    until(lambda: ring.desk.workers == ["ann"])
    before = trust.channels
    ring.kill()
    ring.start(ring.port)
    until(lambda: ring.desk.workers == ["ann"])
    assert trust.channels > before
    trust.fails = TrustError("certificate.pem ended yesterday; run `skygarden certs` again")
    ring.kill()
    with pytest.raises(TrustError, match="ended yesterday; run `skygarden certs` again"):
        link.ask()


def test_an_address_that_is_none_is_told(ring: Ring, make_link: MakeLink) -> None:
    with pytest.raises(OptionError, match="an address is HOST:PORT"):
        make_link(ring, learner="nowhere").contract()
    with pytest.raises(TrustError, match="plain text is spoken on this machine only"):
        make_link(ring, learner="10.1.2.3:50051").contract()
