"""Laws of tokens: the right ones are let in, and where plain text is spoken."""

import contextlib
import hashlib
import hmac
import http.server
import ipaddress
import threading
from typing import Any

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs.errors import DeliveryError, OptionError, TrustError
from rollout.identity.trust import SharedTokens, Token, is_loopback, split_address
from tests.rollout.trusting import ANN, BOB, PATIENCE, TOKENS, UNAUTHENTICATED, Realm, ask, mutual, refusal, served


@pytest.fixture(scope="module")
def realm(tmp_path_factory: pytest.TempPathFactory) -> Realm:
    return Realm(tmp_path_factory.mktemp("realm") / "certs")


# Tokens.


def test_a_worker_with_its_token_is_known_in_plain_text_here_and_over_tls(realm: Realm):
    with served(SharedTokens(TOKENS)) as port:
        assert ask(Token(ANN), port, "ann") == "ann"
        assert ask(Token(BOB), port, "bob") == "bob"
    with served(SharedTokens(TOKENS, realm.learner())) as port:
        assert ask(Token(ANN, realm.folder / "authority" / "authority.pem"), port, "ann") == "ann"


@pytest.mark.parametrize(
    ("name", "token"), [("ann", BOB), ("ann", ANN[:-1]), ("ann", ANN + "x"), ("eve", ANN), ("", ANN), ("ANN", ANN)]
)
def test_a_bad_token_or_name_is_refused_and_not_told_which(name: str, token: str):
    with served(SharedTokens(TOKENS)) as port:
        assert refusal(Token(token), port, name) == (
            UNAUTHENTICATED,
            "not a worker of this run: check its name and its token",
        )


def test_who_says_nothing_is_refused():
    with served(SharedTokens(TOKENS)) as port, grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        call: Any = channel.unary_unary("/Test/Who")
        with pytest.raises(grpc.RpcError) as error:
            call(b"", timeout=PATIENCE)
        code: Any = error.value
        assert code.code() == UNAUTHENTICATED


class Caller:
    """A strict fake of a call's context, that only knows what was said."""

    def __init__(self, *said: tuple[str, str | bytes]) -> None:
        self._said = said

    def invocation_metadata(self) -> tuple[tuple[str, str | bytes], ...]:
        return self._said


@given(name=st.text(), token=st.one_of(st.text(), st.binary()))
def test_no_name_and_token_but_the_given_are_let_in(name: str, token: str | bytes):
    caller: Any = Caller(("skygarden-worker", name), ("skygarden-token", token))
    with pytest.raises(TrustError):
        SharedTokens(TOKENS).worker(caller)


def test_tokens_are_compared_in_constant_time_whatever_is_said(monkeypatch: pytest.MonkeyPatch):
    compared: list[tuple[bytes, bytes]] = []

    def compare(a: bytes, b: bytes) -> bool:
        compared.append((a, b))
        return a == b

    monkeypatch.setattr(hmac, "compare_digest", compare)
    trust = SharedTokens(TOKENS)
    for name, token in (("ann", ANN), ("ann", "short"), ("eve", "x" * 1000)):
        caller: Any = Caller(("skygarden-worker", name), ("skygarden-token", token))
        if (name, token) == ("ann", ANN):
            assert trust.worker(caller) == "ann"
        else:
            with pytest.raises(TrustError):
                trust.worker(caller)
    sha = hashlib.sha256
    assert compared[0] == (sha(ANN.encode()).digest(),) * 2
    assert [(len(a), len(b)) for a, b in compared] == [(32, 32)] * 3


def test_an_unknown_name_is_not_let_in_by_an_empty_token():
    caller: Any = Caller(("skygarden-worker", "eve"), ("skygarden-token", ""))
    with pytest.raises(TrustError):
        SharedTokens(TOKENS).worker(caller)


@pytest.mark.parametrize("token", ["", " ", "a b", "ä", "a\n"])
def test_what_cannot_be_a_token_is_refused_at_once(token: str):
    with pytest.raises(OptionError, match="token"):
        Token(token)
    with pytest.raises(OptionError, match="token of worker ann"):
        SharedTokens({"ann": token})


def test_a_short_token_is_not_shown_to_the_network(realm: Realm):
    with (
        pytest.raises(TrustError, match="16 characters"),
        served(SharedTokens({"ann": "abc"}, realm.learner()), address="0.0.0.0:0"),
    ):
        pass
    with served(SharedTokens({"ann": "abc"}, realm.learner())):
        pass


def test_tokens_are_not_shown():
    assert ANN not in repr(SharedTokens(TOKENS))
    assert ANN not in repr(Token(ANN))


# Plain text stays on this machine.

AWAY = [
    "10.0.0.1",
    "0.0.0.0",
    "[::]",
    "learner",
    "localhost.example.org",
    "127.0.0.1.example.org",
    "127.1",
    "2130706433",
]


@pytest.mark.parametrize("host", AWAY)
def test_plain_text_off_loopback_is_refused_with_what_to_do(host: str):
    with pytest.raises(TrustError, match=r"plain text .* certificates"):
        Token(ANN).channel(f"{host}:50051")
    with (
        pytest.raises(TrustError, match=r"plain text .*`skygarden certs`"),
        served(SharedTokens(TOKENS), address=f"{host}:0"),
    ):
        pass


@given(st.ip_addresses(v=4))
def test_loopback_is_what_begins_with_127(address: ipaddress.IPv4Address):
    assert is_loopback(f"{address}:1") == (address.packed[0] == 127)
    assert is_loopback(f"127.{str(address).split('.', 1)[1]}:1")


@given(st.ip_addresses(v=6).filter(lambda address: "%" not in str(address)))
def test_of_the_newer_addresses_one_is_loopback(address: ipaddress.IPv6Address):
    assert is_loopback(f"[{address}]:1") == (int(address) == 1)
    assert is_loopback("[::1]:1")
    assert split_address(f"[{address}]:65535") == (str(address), 65535)


NO_ADDRESSES = [
    "",
    "a",
    ":1",
    "a:",
    "a:b",
    "a:65536",
    "a:-1",
    "::1:50051",
    "[::1]",
    "dns:///a:1",
    "unix:/tmp/a",
    "a:1,b:2",
]


@pytest.mark.parametrize("address", [*NO_ADDRESSES, "a:1,b:2", "ipv4:127.0.0.1:1,10.0.0.1:1", "a b:1", "127.0.0.1:1\n"])
def test_what_is_no_address_is_refused_by_all(realm: Realm, address: str):
    learner, worker = mutual(realm)
    for trust in (Token(ANN), Token(ANN, realm.folder / "authority" / "authority.pem"), worker):
        with pytest.raises(OptionError, match="HOST:PORT"):
            trust.channel(address)
    for trust in (SharedTokens(TOKENS), SharedTokens(TOKENS, realm.learner()), learner):
        with pytest.raises(OptionError, match="HOST:PORT"), served(trust, address=address):
            pass


def test_a_port_that_is_taken_is_told(realm: Realm):
    for trust in (SharedTokens(TOKENS), mutual(realm)[0]):
        with (
            served(trust) as port,
            pytest.raises(DeliveryError, match="another learner"),
            served(trust, address=f"127.0.0.1:{port}"),
        ):
            pass


def test_plain_text_goes_through_no_proxy(monkeypatch: pytest.MonkeyPatch):
    asked: list[str] = []

    class Proxy(http.server.BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            asked.append(self.path)
            self.send_error(403)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with contextlib.ExitStack() as stack:
        proxy = stack.enter_context(http.server.HTTPServer(("127.0.0.1", 0), Proxy))
        thread = threading.Thread(target=proxy.serve_forever)
        thread.start()
        stack.callback(thread.join)
        stack.callback(proxy.shutdown)
        for variable in ("http_proxy", "https_proxy", "grpc_proxy"):
            monkeypatch.setenv(variable, f"http://127.0.0.1:{proxy.server_port}")
        for variable in ("no_proxy", "no_grpc_proxy", "NO_PROXY"):
            monkeypatch.delenv(variable, raising=False)
        with served(SharedTokens(TOKENS)) as port:
            assert ask(Token(ANN), port) == "ann"
    assert asked == []
