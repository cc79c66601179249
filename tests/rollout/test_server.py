"""Laws of the learner's side of the wire, over real gRPC: who is let in, what is answered when, and who is given up."""

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import torch

from agents.policy import Head
from envs.errors import DeliveryError
from rollout.codec import PROTOCOL, decode_head
from rollout.delivery.keys import Key
from rollout.delivery.seat import OUTBOX, Refused
from rollout.desk import CREDITS, Patience
from rollout.identity.trust import SharedTokens
from rollout.server import RolloutServer, longest_message
from rollout.wire import rollout_pb2 as wire
from tests.rollout.proxy import Proxy
from tests.rollout.ring import PATIENCE, TOKENS, Raw, Ring, assignment, head_of, until

Sent = Callable[..., wire.Episode]
MakeRing = Callable[..., Ring]


def dropped(number: int, index: int = 0, sequence: int = 0) -> wire.Dropped:
    """The report of an episode that was lost, by incarnation 1 of ann."""
    key = wire.Key(worker="ann", incarnation=1, sequence=sequence)
    return wire.Dropped(key=key, assignment=number, index=index, reason="not today")


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """The journal's disk, which flushes while the event is set."""
    works = threading.Event()
    works.set()
    monkeypatch.setattr("rollout.delivery.journal.os.fsync", lambda _: works.wait(PATIENCE))
    yield works
    works.set()


def nothing_but_life(raw: Raw, count: int = 2) -> None:
    """The next so many messages say no more than that the learner is alive."""
    for _ in range(count):
        assert next(raw.call).WhichOneof("message") == "alive"


# What goes down


def test_the_policy_comes_in_pieces_as_it_is(ring: Ring, policy_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rollout.server._PIECE", 100_000)
    assert policy_file.stat().st_size > 300_000
    assert ring.raw().policy() == policy_file.read_bytes()


def test_a_welcome_tells_what_the_run_is_and_what_is_agreed(ring: Ring) -> None:
    welcome = ring.raw().hello()
    assert (welcome.trunk, welcome.context) == (ring.desk.contract.trunk, "chunked")
    assert welcome.temperature == pytest.approx(0.7)
    assert (welcome.run, welcome.credits, welcome.heartbeat) == (ring.journal.run, CREDITS, 0.5)


def test_an_assignment_is_given_when_it_is_asked_for_and_not_before(ring: Ring) -> None:
    ring.server.post(assignment(0, 5, 6))
    ann = ring.raw()
    ann.hello()
    nothing_but_life(ann)
    ann.ready()
    asked = ann.hear("assignment")
    assert (asked.number, asked.version, list(asked.seeds), asked.sampling_seed) == (0, 0, [5, 6], 1000)
    assert list(asked.wanted) == [0, 1]


def test_a_head_is_sent_when_it_is_another_than_the_last_of_the_call_and_only_then(ring: Ring) -> None:
    ring.server.publish(1, head_of(1), 0)
    rows = [(0, True), (0, False), (1, True), (1, False), (0, True), (1, True)]
    for number, (version, _) in enumerate(rows):
        ring.server.post(assignment(number, 5, version=version))
    ann = ring.raw()
    ann.hello()
    for number, (version, has_head) in enumerate(rows):
        ann.ready()
        asked = ann.hear("assignment")
        assert (asked.number, asked.version, bool(asked.head)) == (number, version, has_head)
        if has_head:
            came = decode_head(asked.head, Head(32, torch.Generator()))
            assert all(torch.equal(came[name], tensor) for name, tensor in head_of(version).items())
        ann.say(dropped=dropped(number, sequence=number))
        ann.hear("acknowledged")
    ring.server.post(assignment(6, 5, version=1))
    again = ring.raw()
    again.hello()
    again.ready()
    assert again.hear("assignment").head
    again.say(dropped=dropped(6, sequence=6))
    assert ring.server.wait(range(7), PATIENCE) == []


def test_heads_that_nobody_asks_for_any_more_are_forgotten(ring: Ring) -> None:
    for version in range(1, 5):
        ring.server.publish(version, head_of(version), version - 1)
    kept: Any = ring.server
    assert sorted(kept._heads) == [3, 4]


def test_a_worker_that_is_told_nothing_hears_that_the_learner_lives(make_ring: MakeRing) -> None:
    ann = make_ring(Patience(heartbeat=0.05, silence=PATIENCE)).raw()
    ann.hello()
    nothing_but_life(ann, 5)


def test_messages_may_be_larger_than_4_mebibytes_but_not_than_a_report_can_be(make_ring: MakeRing, sent: Sent) -> None:
    ring = make_ring(width=12_500)
    ring.server.publish(0, head_of(0, 1024), 0)  # of the largest policy
    ring.server.post(assignment(0, 5))
    ann = ring.raw()
    ann.hello()
    ann.ready()
    asked = ann.hear("assignment")
    assert asked.ByteSize() > 4 * 2**20
    came = decode_head(asked.head, Head(1024, torch.Generator()))
    assert torch.equal(came["hidden.weight"], head_of(0, 1024)["hidden.weight"])
    message = sent(0, 0, 5, 12_500)
    assert 4 * 2**20 < message.ByteSize() < longest_message(ring.desk.contract) < 6 * 2**20
    ann.say(episode=message)
    assert ann.hear("acknowledged").key == message.key
    ((episode, _),) = ring.server.wait([0], PATIENCE)
    assert episode.embeddings.shape == episode.features.shape == (100, 12_500)
    ann.say(episode=sent(0, 1, 5, 13_000))
    assert ann.refusal()[0] == grpc.StatusCode.RESOURCE_EXHAUSTED


# Who is turned away


@pytest.mark.parametrize(("worker", "token"), [("eve", "token-of-ann"), ("ann", "token-of-bob"), ("ann", ""), ("", "")])
def test_who_is_not_known_or_has_another_token_is_turned_away(
    ring: Ring, caplog: pytest.LogCaptureFixture, worker: str, token: str
) -> None:
    eve = ring.raw(worker, token)
    eve.say(hello=wire.Hello(protocol=PROTOCOL, incarnation=1))
    reason = "not a worker of this run: check its name and its token"
    assert eve.refusal() == (grpc.StatusCode.UNAUTHENTICATED, reason)
    with pytest.raises(grpc.RpcError) as error:
        eve.policy()
    made: Any = error.value
    assert made.code() == grpc.StatusCode.UNAUTHENTICATED
    assert caplog.text.count("turned away a call from ipv4:127.0.0.1:") == 2
    assert "token-of" not in caplog.text
    assert ring.desk.workers == []


def test_another_protocol_is_refused(ring: Ring) -> None:
    ann = ring.raw()
    ann.say(hello=wire.Hello(protocol=7, incarnation=1))
    reason = f"this learner speaks protocol {PROTOCOL}, got 7; install the same version"
    assert ann.refusal() == (grpc.StatusCode.FAILED_PRECONDITION, reason)
    assert ring.desk.workers == []


def test_the_first_message_is_hello(ring: Ring, sent: Sent) -> None:
    first: list[dict[str, Any]] = [{}, {"episode": sent(0, 0, 5)}, {"dropped": wire.Dropped()}]
    for message in first:
        ann = ring.raw()
        ann.say(**message)
        reason = "the first message of a worker is hello"
        assert ann.refusal() == (grpc.StatusCode.FAILED_PRECONDITION, reason)
    silent = ring.raw()
    silent.end()
    assert silent.refusal()[0] == grpc.StatusCode.FAILED_PRECONDITION
    assert ring.desk.workers == []


def test_a_second_hello_and_messages_of_no_kind_change_nothing(ring: Ring, sent: Sent) -> None:
    ring.server.post(assignment(0, 5))
    ann = ring.raw()
    ann.hello()
    ann.say(hello=wire.Hello(protocol=7, incarnation=2))
    ann.say()
    ann.ready()
    ann.hear("assignment")
    ann.say(episode=sent(0, 0, 5))
    assert ann.hear("acknowledged").key == wire.Key(worker="ann", incarnation=1, sequence=0)


def test_what_is_no_message_ends_the_call_and_what_it_had_is_for_others(make_ring: MakeRing) -> None:
    ring = make_ring(Patience(heartbeat=0.1, silence=0.5))
    ring.server.post(assignment(0, 5))
    ann = ring.raw(serializer=bytes)
    ann.say_bytes(wire.FromWorker(hello=wire.Hello(protocol=PROTOCOL, incarnation=1)).SerializeToString())
    ann.hear("welcome")
    ann.say_bytes(wire.FromWorker(ready=wire.Ready()).SerializeToString())
    ann.hear("assignment")
    ann.say_bytes(b"\xff\xff\xff")
    assert ann.refusal()[0] == grpc.StatusCode.INTERNAL
    until(lambda: ring.desk.workers == [])
    bob = ring.raw("bob")
    bob.hello()
    bob.live()
    bob.ready()
    assert bob.hear("assignment").number == 0


def test_a_later_process_of_a_worker_sends_the_earlier_home_for_good(ring: Ring) -> None:
    ring.server.post(assignment(0, 5))
    first, second = ring.raw(), ring.raw()
    first.hello(1)
    first.ready()
    first.hear("assignment")
    second.hello(2)
    assert first.rest() == []
    assert first.call.code() == grpc.StatusCode.OK
    second.ready()
    assert second.hear("assignment").number == 0
    assert ring.desk.workers == ["ann"]
    late = ring.raw()
    late.say(hello=wire.Hello(protocol=PROTOCOL, incarnation=1))
    reason = "another process works as ann, started later; give each its own name"
    assert late.refusal() == (grpc.StatusCode.FAILED_PRECONDITION, reason)


def test_who_comes_to_a_desk_that_is_closed_is_told_and_need_not_come_back(ring: Ring) -> None:
    ring.desk.close("enough for today")
    ann = ring.raw()
    ann.say(hello=wire.Hello(protocol=PROTOCOL, incarnation=1))
    assert ann.hear("finished").reason == "enough for today"
    assert ann.rest() == []
    assert ann.call.code() == grpc.StatusCode.OK


def test_a_port_that_is_taken_is_an_error_that_says_so(ring: Ring, policy_file: Path) -> None:
    address = f"127.0.0.1:{ring.port}"
    with pytest.raises(DeliveryError, match=rf"cannot listen on {address}: .*is another learner running there\?"):
        RolloutServer(ring.desk, policy_file, SharedTokens(TOKENS), address)


# What is answered


def test_a_report_is_acknowledged_when_it_is_on_the_disk_and_not_before(
    ring: Ring, sent: Sent, disk: threading.Event
) -> None:
    ring.server.post(assignment(0, 5))
    ann = ring.raw()
    ann.hello()
    ann.ready()
    ann.hear("assignment")
    disk.clear()
    ann.say(episode=sent(0, 0, 5))
    nothing_but_life(ann)
    disk.set()
    assert ann.hear("acknowledged").key == sent(0, 0, 5).key
    assert ring.kept() == [Key("ann", 1, 0)]


def test_a_repeat_is_acknowledged_and_not_counted_in_the_same_call_and_after_a_restart(ring: Ring, sent: Sent) -> None:
    ring.server.post(assignment(0, 5, 6))
    ann = ring.raw()
    ann.hello()
    ann.ready()
    ann.hear("assignment")
    for _ in range(3):
        ann.say(episode=sent(0, 0, 5))
        assert ann.hear("acknowledged").key == sent(0, 0, 5).key
    assert (ring.desk.counts.accepted, ring.desk.counts.repeated) == (1, 2)
    ring.kill()
    ring.start(ring.port)
    ann = ring.raw()
    ann.hello(held=[0])
    ann.say(episode=sent(0, 0, 5))
    assert ann.hear("acknowledged").key == sent(0, 0, 5).key
    assert (ring.desk.counts.accepted, ring.desk.counts.repeated) == (0, 1)
    assert ring.kept() == [Key("ann", 1, 0)]


def test_the_report_of_what_is_not_asked_for_yet_waits_for_its_answer(ring: Ring, sent: Sent) -> None:
    ann = ring.raw()
    ann.hello(held=[3])
    ann.say(episode=sent(3, 0, 5))
    nothing_but_life(ann)
    ring.server.post(assignment(3, 5))
    assert ann.hear("acknowledged").key == sent(3, 0, 5).key
    assert [episode.seed for episode, _ in ring.server.wait([3], PATIENCE)] == [5]


def test_a_bad_episode_is_refused_with_a_reason_and_its_place_stays_empty(
    ring: Ring, sent: Sent, caplog: pytest.LogCaptureFixture
) -> None:
    ring.server.post(assignment(0, 5, 6, 7, 8))
    ann = ring.raw()
    ann.hello()
    ann.ready()
    ann.hear("assignment")
    messages = [sent(0, index, 5 + index) for index in range(4)]
    messages[0].features = np.full(3200, math.nan, "<f2").tobytes()
    messages[2].version = 1
    messages[3].key.worker = "bob"
    reasons = [
        "features hold a number that is not finite",
        None,
        "version 0 was asked for, and 1 played",
        "this is worker ann/1, and the episode names Key(worker='bob', incarnation=1, sequence=3)",
    ]
    for message, reason in zip(messages, reasons, strict=True):
        ann.say(episode=message)
        answer = ann.hear("refused" if reason else "acknowledged")
        assert answer.key == message.key
        if reason:
            assert answer.reason == reason
            said = f"refused episode {message.key.sequence} of worker ann/{message.key.incarnation}: {reason}"
            assert said in caplog.text
    assert [episode.seed for episode, _ in ring.server.wait([0], PATIENCE)] == [6]


# Who is given up


def test_who_has_more_under_way_than_was_agreed_is_hung_up_on(ring: Ring, sent: Sent, disk: threading.Event) -> None:
    ring.server.post(assignment(0, *range(CREDITS + 1)))
    ann = ring.raw()
    ann.hello()
    ann.ready()
    ann.hear("assignment")
    disk.clear()
    for index in range(CREDITS):
        ann.say(episode=sent(0, index, index))
    nothing_but_life(ann)
    ann.say(episode=sent(0, CREDITS, CREDITS))
    assert ann.rest() == []
    assert ring.desk.workers == []
    disk.set()


def test_who_does_not_read_what_it_is_told_is_hung_up_on(make_ring: MakeRing, caplog: pytest.LogCaptureFixture) -> None:
    ring = make_ring(Patience(heartbeat=0.1, silence=PATIENCE))
    with closing(Proxy(ring.port)) as proxy:
        ann = Raw(proxy.port, "ann", TOKENS["ann"])
        ann.hello()
        proxy.stall()
        desk: Any = ring.desk
        for sequence in range(2 * OUTBOX):
            desk._seats[0].tell(Refused(Key("ann", 1, sequence), "no" * 50_000))
        until(lambda: "worker ann/1 does not read what it is told" in caplog.text)
        assert ring.desk.workers == []
        ann.close()
    server: Any = ring.server
    until(lambda: not server._calls)  # the system itself would have given up after the keepalive's 10 seconds


def test_who_falls_silent_is_hung_up_on_and_what_it_had_is_for_others(make_ring: MakeRing) -> None:
    ring = make_ring(Patience(heartbeat=0.1, silence=0.5))
    ring.server.post(assignment(0, 5))
    ann, bob = ring.raw(), ring.raw("bob")
    ann.hello()
    ann.ready()
    ann.hear("assignment")
    bob.hello()
    bob.ready()
    bob.live()
    assert ann.rest() == []
    assert bob.hear("assignment").number == 0
    assert ring.desk.workers == ["bob"]


def test_what_one_had_who_says_goodbye_is_for_others_at_once_and_of_one_who_is_cut_off_later(ring: Ring) -> None:
    """Here silence lasts longer than a test may."""
    ring.server.post(assignment(0, 5))
    ann = ring.raw()
    ann.hello()
    ann.ready()
    ann.hear("assignment")
    ann.call.cancel()
    until(lambda: ring.desk.workers == [])
    bob = ring.raw("bob")
    bob.hello()
    bob.ready()
    nothing_but_life(bob)
    back = ring.raw()
    back.hello(held=[0])
    back.say(goodbye=wire.Goodbye())
    back.end()
    assert back.rest() == []
    assert bob.hear("assignment").number == 0


def test_a_worker_that_hangs_up_has_left(ring: Ring) -> None:
    ann = ring.raw()
    ann.hello()
    assert ring.desk.workers == ["ann"]
    ann.end()
    until(lambda: ring.desk.workers == [])
    assert ann.rest() == []


# The end


def test_a_server_that_closes_tells_everybody_and_whoever_waits(ring: Ring) -> None:
    ring.server.post(assignment(0, 5))
    ann = ring.raw()
    ann.hello()
    ring.server.close()
    assert ann.hear("finished").reason == "this learner has stopped"
    assert ann.rest() == []
    with pytest.raises(DeliveryError, match="this learner has stopped"):
        ring.server.wait([0], PATIENCE)


def test_no_thread_stays_when_all_is_over(make_ring: MakeRing) -> None:
    before = set(threading.enumerate())
    ring = make_ring()
    stays, gone = ring.raw(), ring.raw("bob")
    stays.hello()
    gone.hello()
    gone.call.cancel()
    eve = ring.raw("bob", "guessed")
    eve.refusal()
    silent = ring.raw()  # says not even hello
    until(silent.call.is_active)
    ring.server.close()
    ring.server.close()
    ring.close()
    until(lambda: set(threading.enumerate()) <= before)
