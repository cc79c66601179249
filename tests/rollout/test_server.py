"""Laws of the wire between a learner and its workers, over real gRPC: what arrives is what was played, and nobody waits
for somebody who is gone."""

import math
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import grpc
import numpy as np
import pytest
import torch
from torch import Tensor

from agents.checkpoint import load_policy, trunk_hash
from agents.inference import ActorConfig
from agents.policy import Head, Policy
from envs.episode import Episode
from envs.errors import DataError, DeliveryError, StepError
from envs.vector import SkygardenVectorEnv
from rollout.codec import Key, Stamp, decode_head, encode
from rollout.desk import Assignment, Contract, Desk
from rollout.direct import DirectWorkers
from rollout.player import Player
from rollout.server import OPTIONS, SERVICE, RolloutServer
from rollout.wire import rollout_pb2 as wire
from rollout.worker import WorkerConfig, work

Make = Callable[..., Episode]
Content = Callable[[Episode], dict[str, Any]]

TOKENS = {"ann": "token-of-ann", "bob": "token-of-bob"}
PATIENCE = 20.0  # seconds, which no test waits
ACTING = ActorConfig(context="chunked", temperature=0.7, precision="float32", processors=1)


def until(holds: Callable[[], bool]) -> None:
    """Look again and again until something holds."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def assignment(number: int, *seeds: int, version: int = 0) -> Assignment:
    """An assignment of the seeds."""
    return Assignment(number=number, version=version, seeds=seeds, sampling_seed=1000 + number)


def head_of(seed: int, width: int = 32) -> dict[str, Tensor]:
    """The weights of some head."""
    return dict(Head(width, torch.Generator().manual_seed(seed)).state_dict())


class Raw:
    """A worker's end of the wire, of which every message is written by hand."""

    def __init__(self, port: int, worker: str, token: str, **serializer: Any) -> None:
        made: Any = grpc
        self.channel = made.insecure_channel(f"127.0.0.1:{port}", options=OPTIONS)
        self._outbox: SimpleQueue[Any] = SimpleQueue()
        self._metadata = (("skygarden-worker", worker), ("skygarden-token", token))
        play = self.channel.stream_stream(
            f"/{SERVICE}/Play",
            request_serializer=serializer.get("serializer", wire.FromWorker.SerializeToString),
            response_deserializer=wire.FromLearner.FromString,
        )
        self.call = play(iter(self._outbox.get, None), metadata=self._metadata, timeout=PATIENCE)

    def policy(self) -> bytes:
        """The policy's file."""
        get = self.channel.unary_stream(
            f"/{SERVICE}/GetPolicy",
            request_serializer=wire.GetPolicyRequest.SerializeToString,
            response_deserializer=wire.PolicyPiece.FromString,
        )
        pieces = list(get(wire.GetPolicyRequest(), metadata=self._metadata, timeout=PATIENCE))
        return b"".join(piece.data for piece in pieces)

    def say(self, **message: Any) -> None:
        """Send a message."""
        self._outbox.put(wire.FromWorker(**message))

    def say_bytes(self, data: bytes) -> None:
        """Send what may be no message."""
        self._outbox.put(data)

    def hello(self, incarnation: int = 1) -> wire.Welcome:
        """Say hello; returns the welcome."""
        self.say(hello=wire.Hello(protocol=1, incarnation=incarnation))
        return self.hear("welcome")

    def hear(self, kind: str) -> Any:
        """The next message, which is of a kind."""
        message = next(self.call)
        assert message.WhichOneof("message") == kind
        return getattr(message, kind)

    def refusal(self) -> tuple[Any, str | None]:
        """How the call was ended."""
        with pytest.raises(grpc.RpcError) as error:
            next(self.call)
        return error.value.code(), error.value.details()

    def close(self) -> None:
        """Hang up."""
        self._outbox.put(None)
        self.channel.close()


class Ring:
    """A desk, the server before it, and those who work for it."""

    def __init__(self, desk: Desk, server: RolloutServer) -> None:
        self.desk, self.server = desk, server
        self.raws: list[Raw] = []
        self.workers: list[threading.Thread] = []

    def raw(self, worker: str = "ann", token: str | None = None, **serializer: Any) -> Raw:
        """Connect by hand."""
        self.raws.append(Raw(self.server.port, worker, TOKENS[worker] if token is None else token, **serializer))
        return self.raws[-1]

    def config(self, name: str, **changes: Any) -> WorkerConfig:
        """What a worker is told."""
        known = {"learner": f"127.0.0.1:{self.server.port}", "name": name, "token": TOKENS.get(name, "")}
        return WorkerConfig(**{**known, "precision": "float32", "patience": PATIENCE, **changes})

    def at_work(self, name: str, game: Any, **changes: Any) -> Future[int]:
        """Let a worker work in a thread; what comes of it."""
        done: Future[int] = Future()

        def run() -> None:
            try:
                done.set_result(work(self.config(name, **changes), game))
            except Exception as error:  # for whoever asks for the result
                done.set_exception(error)

        self.workers.append(threading.Thread(target=run, name=f"worker {name}", daemon=True))
        self.workers[-1].start()
        return done

    def stop_hard(self) -> None:
        """What a learner that is killed does: everything ends at once, and nobody is told."""
        stopped: Any = self.server
        stopped._server.stop(None).wait()

    def close(self) -> None:
        """Let everybody go home."""
        for raw in self.raws:
            raw.close()
        self.server.close()
        for worker in self.workers:
            worker.join(PATIENCE)
            assert not worker.is_alive()


@pytest.fixture
def make_ring(policy_file: Path) -> Iterator[Callable[..., Ring]]:
    """Open rings for the tiny policy, whose contract may be changed; they are closed after the test."""
    policy, _ = load_policy(policy_file)
    made: list[Ring] = []

    def make(policy_file: Path = policy_file, **changes: Any) -> Ring:
        contract = {"trunk": trunk_hash(policy), "width": 32, "context": "chunked", "temperature": 0.7, **changes}
        desk = Desk(Contract(**contract))
        made.append(Ring(desk, RolloutServer(desk, policy_file, TOKENS)))
        return made[-1]

    yield make
    for ring in made:
        ring.close()


@pytest.fixture
def ring(make_ring: Callable[..., Ring]) -> Ring:
    """A ring whose first head is the tiny policy's own version 0."""
    ring = make_ring()
    ring.server.publish(0, head_of(0), 0)
    return ring


@pytest.fixture
def sent(make_episode: Make, policy: Policy) -> Callable[..., wire.Episode]:
    """Make a good message for a seed and a place in an assignment, by incarnation 1 of ann."""
    trunk = trunk_hash(policy)

    def make(number: int, index: int, seed: int, width: int = 32) -> wire.Episode:
        stamp = Stamp(Key("ann", 1, index), number, index, 0, trunk, "chunked", 0.7)
        return encode(make_episode(seed=seed, width=width), stamp)

    return make


def directly(policy: Policy, game: Any, heads: Sequence[dict[str, Tensor]], asked: Sequence[Assignment]) -> Any:
    """What comes of assignments without a wire."""
    contract = Contract(trunk=trunk_hash(policy), width=32, context="chunked", temperature=0.7)
    player = Player(policy, ACTING, game)
    workers = DirectWorkers(player, contract)
    for version, head in enumerate(heads):
        workers.publish(version, head, 0)
    for one in asked:
        workers.post(one)
    played = workers.wait([one.number for one in asked], PATIENCE)
    player.close()
    return played


def same(came: Any, played: Any, content: Content) -> None:
    """Compare episodes and stamps, bit for bit; the key says who played, and a temperature went through float32."""
    assert len(came) == len(played)
    for (episode, stamp), (expected, stamped) in zip(came, played, strict=True):
        assert content(episode) == content(expected)
        for name in ("assignment", "index", "version", "trunk", "context"):
            assert getattr(stamp, name) == getattr(stamped, name)
        assert stamp.temperature == pytest.approx(stamped.temperature)


# What arrives


def test_over_the_wire_comes_what_is_played_without_one_bit_for_bit(
    ring: Ring, policy: Policy, walks: Any, content: Content
) -> None:
    heads = [head_of(0), head_of(1)]
    ring.server.publish(1, heads[1], 0)
    asked = [assignment(0, 4, 7), assignment(1, 5, 8), assignment(2, 4, 7, version=1), assignment(3, 6, version=0)]
    for one in asked:
        ring.server.post(one)
    done = ring.at_work("ann", walks)
    came = ring.server.wait(range(4), PATIENCE)
    same(came, directly(policy, walks, heads, asked), content)
    assert [episode.seed for episode, _ in came] == [4, 7, 5, 8, 4, 7, 6]
    assert not np.array_equal(came[0][0].log_probs, came[4][0].log_probs)  # the heads differ
    ring.server.close()
    assert done.result(PATIENCE) == 7
    assert all(walk.let_go for walk in walks.made)


def test_over_the_wire_comes_what_is_played_in_the_stand_in_without_one(
    ring: Ring, policy: Policy, content: Content
) -> None:
    asked = [assignment(0, 10_000_000, 10_000_001)]
    ring.server.post(asked[0])
    done = ring.at_work("ann", SkygardenVectorEnv)
    came = ring.server.wait([0], 4 * PATIENCE)
    same(came, directly(policy, SkygardenVectorEnv, [head_of(0)], asked), content)
    ring.server.close()
    assert done.result(PATIENCE) == 2


def test_two_workers_share_what_is_posted(ring: Ring, policy: Policy, walks: Any, content: Content) -> None:
    asked = [assignment(number, 2 * number, 2 * number + 1) for number in range(4)]
    done = [ring.at_work(name, walks) for name in TOKENS]
    until(lambda: ring.desk.workers == ["ann", "bob"])
    for one in asked:
        ring.server.post(one)
    came = ring.server.wait(range(4), PATIENCE)
    same(came, directly(policy, walks, [head_of(0)], asked), content)
    ring.server.close()
    assert sum(one.result(PATIENCE) for one in done) == 8
    assert {stamp.key.worker for _, stamp in came} == {"ann", "bob"}


def test_the_policy_comes_in_pieces_as_it_is(ring: Ring, policy_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rollout.server._PIECE", 100_000)
    assert policy_file.stat().st_size > 300_000
    assert ring.raw().policy() == policy_file.read_bytes()


def test_a_head_is_sent_when_it_is_another_than_the_last_and_only_then(ring: Ring) -> None:
    ring.server.publish(1, head_of(1), 0)
    for number, version in enumerate((0, 0, 1, 1, 0, 1)):
        ring.server.post(assignment(number, 5, version=version))
    ann = ring.raw()
    welcome = ann.hello()
    assert (welcome.trunk, welcome.context) == (ring.desk.contract.trunk, "chunked")
    assert welcome.temperature == pytest.approx(0.7)
    for number, version, has_head in (
        (0, 0, True),
        (1, 0, False),
        (2, 1, True),
        (3, 1, False),
        (4, 0, True),
        (5, 1, True),
    ):
        asked = ann.hear("assignment")
        assert (asked.number, asked.version, list(asked.seeds)) == (number, version, [5])
        assert asked.sampling_seed == 1000 + number
        assert bool(asked.head) == has_head
        if has_head:
            came = decode_head(asked.head, Head(32, torch.Generator()))
            assert all(torch.equal(came[name], tensor) for name, tensor in head_of(version).items())
        ann.say(dropped=wire.Dropped(assignment=number, index=0, reason="not today"))
    assert ring.server.wait(range(6), PATIENCE) == []


def test_heads_that_nobody_asks_for_any_more_are_forgotten(ring: Ring) -> None:
    for version in range(1, 5):
        ring.server.publish(version, head_of(version), version - 1)
    kept: Any = ring.server
    assert sorted(kept._heads) == [3, 4]


def test_messages_may_be_larger_than_4_mebibytes(
    make_ring: Callable[..., Ring], sent: Callable[..., wire.Episode]
) -> None:
    ring = make_ring(width=25_000)
    ring.server.publish(0, head_of(0, 1024), 0)  # of the largest policy
    ring.server.post(assignment(0, 5))
    ann = ring.raw()
    ann.hello()
    asked = ann.hear("assignment")
    assert asked.ByteSize() > 4 * 2**20
    came = decode_head(asked.head, Head(1024, torch.Generator()))
    assert torch.equal(came["hidden.weight"], head_of(0, 1024)["hidden.weight"])
    message = sent(0, 0, 5, 25_000)
    assert message.ByteSize() > 4 * 2**20
    ann.say(episode=message)
    assert ann.hear("acknowledged").key == message.key
    ((episode, _),) = ring.server.wait([0], PATIENCE)
    assert episode.features.shape == (100, 25_000)


# Who is turned away


@pytest.mark.parametrize(("worker", "token"), [("eve", "token-of-ann"), ("ann", "token-of-bob"), ("ann", ""), ("", "")])
def test_who_is_not_known_or_has_another_token_is_turned_away(
    ring: Ring, caplog: pytest.LogCaptureFixture, worker: str, token: str
) -> None:
    eve = ring.raw(worker, token)
    eve.say(hello=wire.Hello(protocol=1, incarnation=1))
    reason = "not a worker of this run: check its name and its token"
    assert eve.refusal() == (grpc.StatusCode.UNAUTHENTICATED, reason)
    with pytest.raises(grpc.RpcError) as error:
        eve.policy()
    assert error.value.code() == grpc.StatusCode.UNAUTHENTICATED
    assert caplog.text.count(f"turned away {worker!r} at ipv4:127.0.0.1:") == 2
    assert "token-of" not in caplog.text
    assert ring.desk.workers == []


def test_a_worker_with_another_token_is_told(ring: Ring, walks: Any) -> None:
    with pytest.raises(DeliveryError, match="ended the call: not a worker of this run: check its name and its token"):
        work(ring.config("ann", token="guessed"), walks)
    assert walks.made == []


def test_another_protocol_is_refused(ring: Ring, walks: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ann = ring.raw()
    ann.say(hello=wire.Hello(protocol=7, incarnation=1))
    reason = "this learner speaks protocol 1, got 7; install the same version"
    assert ann.refusal() == (grpc.StatusCode.FAILED_PRECONDITION, reason)
    monkeypatch.setattr("rollout.worker.PROTOCOL", 2)
    with pytest.raises(DeliveryError, match="speaks protocol 1, got 2; install the same version"):
        work(ring.config("ann"), walks)
    assert ring.desk.workers == []


def test_the_first_message_is_hello(ring: Ring, sent: Callable[..., wire.Episode]) -> None:
    first: list[dict[str, Any]] = [{}, {"episode": sent(0, 0, 5)}, {"dropped": wire.Dropped()}]
    for message in first:
        ann = ring.raw()
        ann.say(**message)
        reason = "the first message of a worker is hello"
        assert ann.refusal() == (grpc.StatusCode.FAILED_PRECONDITION, reason)
    silent = ring.raw()
    silent._outbox.put(None)
    assert silent.refusal()[0] == grpc.StatusCode.FAILED_PRECONDITION
    assert ring.desk.workers == []


def test_a_second_hello_and_messages_of_no_kind_change_nothing(ring: Ring, sent: Callable[..., wire.Episode]) -> None:
    ring.server.post(assignment(0, 5))
    ann = ring.raw()
    ann.hello()
    ann.say(hello=wire.Hello(protocol=7, incarnation=2))
    ann.say()
    ann.hear("assignment")
    ann.say(episode=sent(0, 0, 5))
    assert ann.hear("acknowledged").key == wire.Key(worker="ann", incarnation=1, sequence=0)


def test_what_is_no_message_ends_the_call_and_frees_the_seat(ring: Ring) -> None:
    ring.server.post(assignment(0, 5))
    ann = ring.raw(serializer=bytes)
    ann.say_bytes(wire.FromWorker(hello=wire.Hello(protocol=1, incarnation=1)).SerializeToString())
    ann.hear("welcome")
    ann.hear("assignment")
    ann.say_bytes(b"\xff\xff\xff")
    assert ann.refusal()[0] == grpc.StatusCode.INTERNAL
    until(lambda: ring.desk.workers == [])
    bob = ring.raw("bob")
    bob.hello()
    assert bob.hear("assignment").number == 0


def test_a_second_incarnation_sends_the_first_home(ring: Ring) -> None:
    ring.server.post(assignment(0, 5))
    first, second = ring.raw(), ring.raw()
    first.hello(1)
    first.hear("assignment")
    second.hello(2)
    assert list(first.call) == []
    assert first.call.code() == grpc.StatusCode.OK
    assert second.hear("assignment").number == 0
    assert ring.desk.workers == ["ann"]


def test_a_closed_desk_takes_nobody(ring: Ring) -> None:
    ring.desk.close("enough for today")
    ann = ring.raw()
    ann.say(hello=wire.Hello(protocol=1, incarnation=1))
    assert ann.refusal() == (grpc.StatusCode.UNAVAILABLE, "enough for today")


def test_a_port_that_is_taken_is_an_error_that_says_so(ring: Ring, policy_file: Path) -> None:
    address = f"127.0.0.1:{ring.server.port}"
    with pytest.raises(DeliveryError, match=rf"cannot listen on {address}: .*is another learner running there\?"):
        RolloutServer(ring.desk, policy_file, TOKENS, address)


def test_a_worker_whose_policy_is_not_the_learners_goes(make_ring: Callable[..., Ring], walks: Any) -> None:
    ring = make_ring(trunk="ab" * 32)
    with pytest.raises(DeliveryError, match="the learner's policy is not the one it sent"):
        work(ring.config("ann"), walks)
    until(lambda: ring.desk.workers == [])


# What is turned away, and what is lost


def test_a_bad_episode_is_refused_with_a_reason_and_its_place_stays_empty(
    ring: Ring, sent: Callable[..., wire.Episode], caplog: pytest.LogCaptureFixture
) -> None:
    ring.server.post(assignment(0, 5, 6, 7, 8))
    ann = ring.raw()
    ann.hello()
    ann.hear("assignment")
    messages = [sent(0, index, 5 + index) for index in range(4)]
    messages[0].features = np.full(3200, math.nan, "<f2").tobytes()
    messages[2].version = 1
    messages[3].key.worker = "bob"
    reasons = [
        "features hold a number that is not finite",
        None,
        "version 0 was asked for, and 1 played",
        "this is worker ann, and the episode names 'bob'",
    ]
    for message, reason in zip(messages, reasons, strict=True):
        ann.say(episode=message)
        answer = ann.hear("refused" if reason else "acknowledged")
        assert answer.key == message.key
        if reason:
            assert answer.reason == reason
            assert f"refused episode {message.key.sequence} of worker ann: {reason}" in caplog.text
    assert [episode.seed for episode, _ in ring.server.wait([0], PATIENCE)] == [6]


def test_a_worker_whose_episodes_are_refused_says_so_and_goes_on(
    ring: Ring, walks: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoilt(episode: Episode, stamp: Stamp) -> wire.Episode:
        message = encode(episode, stamp)
        if episode.seed == 6:
            message.log_probs = message.log_probs[:-1]
        return message

    monkeypatch.setattr("rollout.worker.encode", spoilt)
    ring.server.post(assignment(0, 5, 6))
    ring.server.post(assignment(1, 7, 8))
    done = ring.at_work("ann", walks)
    assert [episode.seed for episode, _ in ring.server.wait([0, 1], PATIENCE)] == [5, 7, 8]
    ring.server.close()
    assert done.result(PATIENCE) == 4
    assert "the learner refused episode 1: log_probs take 16 bytes for shape (4,), got 15" in caplog.text


def test_the_episodes_of_a_game_that_is_lost_are_dropped_and_the_next_are_played(
    ring: Ring, walks: Any, caplog: pytest.LogCaptureFixture
) -> None:
    steps: list[int] = []

    def fails() -> None:
        steps.append(1)
        if len(steps) == 2:
            raise StepError("the window is gone")

    walks.fails = fails
    ring.server.post(assignment(0, 5, 6))
    ring.server.post(assignment(1, 7, 8))
    done = ring.at_work("ann", walks)
    assert [episode.seed for episode, _ in ring.server.wait([0, 1], PATIENCE)] == [7, 8]
    assert "episode 0 of assignment 0 is dropped: the window is gone" in caplog.text
    assert "episode 1 of assignment 0 is dropped: the window is gone" in caplog.text
    assert "assignment 0 was interrupted: the window is gone" in caplog.text
    ring.server.close()
    assert done.result(PATIENCE) == 2


def test_a_game_that_does_not_start_is_tried_again_with_the_next_assignment(ring: Ring, walks: Any) -> None:
    tries: list[int] = []

    def late(count: int) -> Any:
        tries.append(count)
        if len(tries) == 1:
            raise StepError("no window titled 'Sky'")
        return walks(count)

    ring.server.post(assignment(0, 5, 6))
    ring.server.post(assignment(1, 7, 8))
    done = ring.at_work("ann", late)
    assert [episode.seed for episode, _ in ring.server.wait([0, 1], PATIENCE)] == [7, 8]
    ring.server.close()
    assert done.result(PATIENCE) == 2
    assert tries == [2, 2]


def test_an_episode_that_cannot_be_sent_is_dropped_with_those_after_it(
    ring: Ring, walks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def picky(episode: Episode, stamp: Stamp) -> wire.Episode:
        if episode.seed == 6:
            raise DataError("it was interrupted")
        return encode(episode, stamp)

    monkeypatch.setattr("rollout.worker.encode", picky)
    ring.server.post(assignment(0, 5, 6, 7))
    done = ring.at_work("ann", walks)
    assert [episode.seed for episode, _ in ring.server.wait([0], PATIENCE)] == [5]
    ring.server.close()
    assert done.result(PATIENCE) == 1


# Who is gone


def test_what_a_worker_that_dies_leaves_behind_is_played_by_another_as_a_whole(
    ring: Ring, policy: Policy, walks: Any, content: Content, sent: Callable[..., wire.Episode]
) -> None:
    asked = assignment(0, 5, 6)
    ring.server.post(asked)
    ann = ring.raw()
    ann.hello()
    ann.hear("assignment")
    ann.say(episode=sent(0, 0, 5))
    ann.hear("acknowledged")
    done = ring.at_work("bob", walks)
    until(lambda: ring.desk.workers == ["ann", "bob"])
    ann.call.cancel()
    came = ring.server.wait([0], PATIENCE)
    assert [stamp.key.worker for _, stamp in came] == ["bob", "bob"]
    same(came, directly(policy, walks, [head_of(0)], [asked]), content)
    assert ring.desk.workers == ["bob"]
    ring.server.close()
    assert done.result(PATIENCE) == 2


def test_a_worker_that_hangs_up_has_left(ring: Ring) -> None:
    ann = ring.raw()
    ann.hello()
    assert ring.desk.workers == ["ann"]
    ann._outbox.put(None)
    until(lambda: ring.desk.workers == [])
    assert list(ann.call) == []


def test_without_a_learner_a_worker_says_so_when_its_patience_ends(walks: Any) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
        config = WorkerConfig(learner=address, name="ann", token="", patience=0.1)
        with pytest.raises(DeliveryError, match=f"no learner answers at {address} within 0.1 seconds"):
            work(config, walks)


def test_a_worker_whose_learner_vanishes_says_so_and_lets_its_game_go(ring: Ring, walks: Any) -> None:
    done = ring.at_work("ann", walks)
    ring.server.post(assignment(0, 5, 6))
    ring.server.wait([0], PATIENCE)
    ring.stop_hard()
    with pytest.raises(DeliveryError, match=f"the learner at 127.0.0.1:{ring.server.port} ended the call: "):
        done.result(PATIENCE)
    assert [walk.let_go for walk in walks.made] == [True]


def test_a_learner_may_vanish_while_a_worker_plays(ring: Ring, walks: Any) -> None:
    playing, go_on = threading.Event(), threading.Event()

    def fails() -> None:
        playing.set()
        assert go_on.wait(PATIENCE)

    walks.fails = fails
    done = ring.at_work("ann", walks)
    ring.server.post(assignment(0, 5, 6))
    assert playing.wait(PATIENCE)
    ring.stop_hard()
    go_on.set()
    with pytest.raises(DeliveryError, match="ended the call"):
        done.result(PATIENCE)


def test_waiting_ends_with_a_reason_when_the_learner_closes(ring: Ring) -> None:
    ring.server.post(assignment(0, 5))
    ring.server.close()
    with pytest.raises(DeliveryError, match="this learner has stopped"):
        ring.server.wait([0], PATIENCE)


def test_no_thread_stays_when_all_is_over(make_ring: Callable[..., Ring], walks: Any) -> None:
    before = set(threading.enumerate())
    ring = make_ring()
    ring.server.publish(0, head_of(0), 0)
    done = ring.at_work("ann", walks)
    ring.server.post(assignment(0, 5))
    ring.server.wait([0], PATIENCE)
    gone = ring.raw("bob")
    gone.hello()
    gone.call.cancel()
    eve = ring.raw("bob", "guessed")
    eve.refusal()
    ring.server.close()
    ring.server.close()
    assert done.result(PATIENCE) == 1
    ring.close()
    until(lambda: set(threading.enumerate()) <= before)
