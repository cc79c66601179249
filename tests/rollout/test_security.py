"""Laws of a learner under attack: who is not let in, and what those cost who are."""

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rollout.identity.papers import Papers
from rollout.server import SERVICE, longest_message
from rollout.wire import rollout_pb2 as wire
from tests.rollout.besieged import Caller, Siege, ended, episode, until
from tests.rollout.learner_alone import CONTRACT
from tests.rollout.trusting import Realm

pytestmark = pytest.mark.slow
BOUND = 200 + 32  # MiB: as `rollout.server` says, of all connections and of one worker
UNAVAILABLE, EXHAUSTED = grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.fixture(scope="module")
def besieged(tmp_path_factory: pytest.TempPathFactory, policy_file: Path) -> Iterator[Siege]:
    folder = tmp_path_factory.mktemp("siege")
    siege = Siege(Realm(folder / "certs"), Realm(folder / "rogue"), folder, policy_file)
    yield siege
    siege.close()


@pytest.fixture
def siege(besieged: Siege) -> Iterator[Siege]:
    """After every test: the honest worker was not harmed, another can come, and memory is under its bound."""
    yield besieged
    besieged.honest.delivers()
    besieged.newcomer()
    assert besieged.grown() < BOUND
    besieged.leave()


# Who is not let in.


def forged(siege: Siege) -> Papers:
    made = siege.rogue.authority.issue_worker("ann")
    return Papers(made.key, made.certificate, siege.realm.authority.pem)


PAPERS: list[tuple[str, Any]] = [
    ("of another authority", lambda siege: siege.rogue.authority.issue_worker("ann")),
    ("of another authority, to one that trusts this one", forged),
    ("over", lambda siege: siege.realm.at(-31).issue_worker("ann")),
    ("not valid yet", lambda siege: siege.realm.at(1).issue_worker("ann")),
    ("a learner's", lambda siege: siege.realm.authority.issue_learner(["ann"])),
]


@pytest.mark.parametrize(("_", "make"), PAPERS, ids=[name for name, _ in PAPERS])
def test_nobody_comes_in_with_papers_that_are(siege: Siege, _: str, make: Any) -> None:
    eve = Caller(siege.port, make(siege))
    siege.callers.append(eve)
    eve.play().say(hello=wire.Hello(protocol=2, incarnation=1))
    assert eve.ended() == UNAVAILABLE
    assert fetch(eve).code() == UNAVAILABLE


def fetch(caller: Caller) -> Any:
    """Ask for the policy; the call, when it is over."""
    get = caller.channel.unary_stream(f"/{SERVICE}/GetPolicy")
    call = get(b"", timeout=20)
    ended(call)
    return call


@pytest.mark.parametrize("plain", [False, True])
def test_nobody_comes_in_without_papers(siege: Siege, plain: bool) -> None:
    address, shown = f"127.0.0.1:{siege.port}", grpc.ssl_channel_credentials(siege.realm.authority.pem)
    eve = siege.caller()
    eve.channel.close()
    eve.channel = grpc.insecure_channel(address) if plain else grpc.secure_channel(address, shown)
    eve.play().say(hello=wire.Hello(protocol=2, incarnation=1))
    assert eve.ended() == UNAVAILABLE
    assert fetch(eve).code() == UNAVAILABLE


def test_a_name_is_what_the_certificate_says_and_nothing_else(siege: Siege) -> None:
    name = siege.name()
    eve = siege.caller(name, metadata=(("skygarden-worker", "ann"), ("skygarden-token", "guess")))
    eve.play().hello(10**6)
    for worker in ("ann", "ann" * 15_000, ""):
        eve.say(episode=episode(worker, 1, 0))
        refused = eve.hear("refused")
        assert refused.key.worker == worker[:64]
        assert refused.reason.startswith(f"this is worker {name}/1000000, and the episode names Key(worker=")
        assert len(refused.reason) < 300
    eve.say(dropped=wire.Dropped(assignment=0, index=0, reason="x"))
    assert eve.hear("refused").reason


# What one message can do.


def test_a_message_that_is_too_long_ends_the_call(siege: Siege) -> None:
    eve = siege.caller()
    eve.play().hello()
    eve.outbox.put(bytes(longest_message(CONTRACT) + 1))
    assert eve.ended() == EXHAUSTED


def test_a_message_does_not_swell(siege: Siege) -> None:
    eve = siege.caller(compression=grpc.Compression.Gzip)
    eve.play().say(dropped=wire.Dropped(reason="x" * 40 * 2**20))  # 40 KB on the wire
    assert eve.ended() == grpc.StatusCode.UNIMPLEMENTED
    assert siege.grown() < 40


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=2000), greeted=st.booleans())
def test_bytes_that_mean_nothing_end_a_call_or_are_passed_over(siege: Siege, data: bytes, greeted: bool) -> None:
    eve = siege.caller()
    eve.play()
    if greeted:
        eve.hello()
    eve.outbox.put(data)
    eve.outbox.put(None)
    assert eve.ended() in {
        grpc.StatusCode.OK,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.FAILED_PRECONDITION,
    }
    eve.close()


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(min_size=1, max_size=500), spoken=st.sampled_from(["nothing", "TLS", "HTTP/2"]))
def test_bytes_that_are_no_call_end_a_connection(siege: Siege, data: bytes, spoken: str) -> None:
    with socket.create_connection(("127.0.0.1", siege.port), 20) as plain:
        line = plain if spoken == "nothing" else dressed(siege, plain)
        with line:
            line.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" * (spoken == "HTTP/2"))
            with suppress(OSError):  # it may be closed already
                line.sendall(data)
                line.shutdown(socket.SHUT_WR)
                while line.recv(4096):
                    pass


def dressed(siege: Siege, line: socket.socket) -> ssl.SSLSocket:
    """TLS on a connection, with papers in order."""
    folder = siege.realm.place(siege.papers(siege.name()))
    context = ssl.create_default_context(cafile=str(folder / "authority.pem"))
    context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    context.set_alpn_protocols(["h2"])
    return context.wrap_socket(line, server_hostname="localhost", suppress_ragged_eofs=True)


# Many at once.


def test_five_hundred_connections_that_say_nothing_or_half_a_handshake_are_closed(siege: Siege) -> None:
    before = siege.files
    outgoing = ssl.MemoryBIO()
    half = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        half.do_handshake()
    hello = outgoing.read()
    lines = [socket.create_connection(("127.0.0.1", siege.port), 20) for _ in range(500)]
    for k, line in enumerate(lines):
        line.sendall(hello[: len(hello) // 2] if k % 2 else b"")
    siege.newcomer()
    siege.honest.delivers()
    for line in lines:
        assert line.recv(1) == b""
        line.close()
    until(lambda: siege.files < before + 50)


def test_a_thousand_connections_of_one_worker_take_nothing_from_the_others(siege: Siege) -> None:
    before, threads = siege.files, siege.threads
    papers = siege.papers(siege.name())
    eves = [Caller(siege.port, papers).play() for _ in range(1000)]
    siege.newcomer()
    siege.honest.delivers()
    until(lambda: sum(eve.call.done() for eve in eves) == 1000)
    assert siege.threads < threads + 60
    assert siege.grown() < BOUND
    until(lambda: siege.files < before + 50)  # the calls are over, and connections without any are closed
    for eve in eves:
        eve.close()


@pytest.mark.parametrize("method", [f"{SERVICE}/Play", f"{SERVICE}/GetPolicy", "grpc.health.v1.Health/Watch"])
def test_a_thousand_calls_that_say_nothing_take_nothing_from_the_others(siege: Siege, method: str) -> None:
    papers = siege.papers(siege.name())
    eves = [Caller(siege.port, papers) for _ in range(70)]
    siege.callers.extend(eves)
    calls: list[Any] = []
    for k in range(1000):
        outbox = eves[k % 70].outbox  # says nothing until the caller is closed
        calls.append(eves[k % 70].channel.stream_stream(f"/{method}")(iter(outbox.get, None), timeout=60))
    siege.newcomer()
    siege.honest.delivers()
    codes = [ended(call) for call in calls]
    assert codes.count(EXHAUSTED) >= 900
    assert codes.count(grpc.StatusCode.OK) <= 5  # policies
    for eve in eves:
        for _ in range(20):
            eve.outbox.put(None)


def test_a_thousand_hellos_are_as_good_as_a_few(siege: Siege) -> None:
    eve = siege.caller()
    codes = []
    for incarnation in range(1, 1001):
        eve.play().say(hello=wire.Hello(protocol=2, incarnation=incarnation, assignments=range(20_000)))
        for _ in range(3):
            eve.say(hello=wire.Hello(protocol=2, incarnation=incarnation))
        eve.outbox.put(None)
        codes.append(eve.ended())
    assert codes.count(EXHAUSTED) > 500


# Floods in a stream.


def test_a_flood_of_repeats_is_read_no_faster_than_others_can_stand(siege: Siege) -> None:
    name = siege.name()
    eve = siege.caller(name)
    eve.play().hello()
    eve.say(ready=wire.Ready())
    asked = eve.hear("assignment")
    good = episode(name, 0, asked.number, asked.wanted[0], asked.seeds[asked.wanted[0]])
    for _ in range(600):
        eve.say(episode=good)
    eve.outbox.put(None)
    answers = [answer.acknowledged for answer in eve.call if answer.HasField("acknowledged")]
    assert all(answer.key == good.key for answer in answers)
    assert len(answers) > 8  # if it is told more than it reads its seat is lost


def test_who_does_not_read_loses_its_call(siege: Siege) -> None:
    """In its second call it leaves a head of 4 MB unread, and what is behind it."""
    name = siege.name()
    eve = siege.caller(name)
    eve.play().hello()
    eve.say(ready=wire.Ready())
    asked = eve.hear("assignment")
    dropped = wire.Dropped(assignment=asked.number, index=asked.wanted[0], key=wire.Key(worker=name, incarnation=1))
    eve.say(dropped=dropped)
    assert eve.hear("acknowledged").key == dropped.key
    eve.play().hello()
    eve.say(ready=wire.Ready())
    for _ in range(1000):
        eve.say(dropped=dropped)
    siege.honest.delivers()
    time.sleep(4)
    assert eve.ended() == grpc.StatusCode.CANCELLED


def test_long_names_are_not_kept_for_who_does_not_read(siege: Siege) -> None:
    eve = siege.caller()
    eve.play().hello()
    dropped = wire.Dropped(assignment=0, key=wire.Key(worker="x" * 200_000))
    flood = wire.FromWorker(dropped=dropped).SerializeToString()
    for _ in range(200):
        eve.outbox.put(flood)
    siege.honest.delivers()
    time.sleep(2)
    assert siege.grown() < BOUND


def test_reports_of_what_nobody_asked_for_yet_cost_a_seat_and_are_let_go(siege: Siege) -> None:
    name = siege.name()
    eve = siege.caller(name)
    for call in range(30):
        eve.play().say(hello=wire.Hello(protocol=2, incarnation=1))
        for k in range(20):
            eve.say(episode=episode(name, 20 * call + k, 10**9 + 20 * call + k))
        eve.outbox.put(None)
        eve.ended()
    assert siege.grown() < BOUND


def test_who_holds_an_assignment_and_only_says_that_it_lives_loses_it(siege: Siege) -> None:
    eve = siege.caller()
    eve.play().hello()
    eve.say(ready=wire.Ready())
    assert eve.hear("assignment").number >= 0
    over = threading.Event()

    def live() -> None:
        while not over.wait(0.1):
            eve.say(heartbeat=wire.Heartbeat(steps=5))

    threading.Thread(target=live, daemon=True).start()
    assert eve.ended() == grpc.StatusCode.OK
    over.set()
    siege.honest.delivers(20)  # all that follows waits for it
