"""Laws of what a worker holds of its learner and of its own papers, and what it can tell of why it is not let in."""

import ipaddress
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from envs.errors import TrustError
from rollout.identity.papers import Papers
from rollout.identity.trust import Certificate, MutualTls, SharedTokens, Token, explain
from tests.rollout.trusting import ANN, TOKENS, UNAVAILABLE, Anything, Realm, ask, days_from_now, refusal, served


@pytest.fixture(scope="module")
def realm(tmp_path_factory: pytest.TempPathFactory) -> Realm:
    return Realm(tmp_path_factory.mktemp("realm") / "certs")


@pytest.fixture(scope="module")
def rogue(tmp_path_factory: pytest.TempPathFactory) -> Realm:
    """Another authority, of somebody who means harm."""
    return Realm(tmp_path_factory.mktemp("rogue") / "certs")


# What a worker holds of its learner.


def test_a_worker_speaks_to_no_worker_that_plays_the_learner(realm: Realm):
    local = realm.forged("worker", x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    with served(Anything(local)) as port:
        code, details = refusal(Certificate(realm.worker("ann")), port)
    assert code == UNAVAILABLE
    assert "has a worker's certificate" in explain(f"127.0.0.1:{port}", details)


LEARNERS: list[tuple[Callable[[Realm, Realm], Path], str]] = [
    (lambda _, rogue: rogue.learner(), "of another authority"),
    (lambda realm, _: realm.learner("other.example.org", "10.1.2.3"), "not for 127.0.0.1"),
    (lambda realm, _: realm.learner(at=-31), "its certificate ended"),
    (lambda realm, _: realm.learner(at=1), "not valid yet"),
]


@pytest.mark.parametrize(("make", "said"), LEARNERS)
@pytest.mark.parametrize("kind", ["certificate", "token"])
def test_a_worker_speaks_to_no_learner_but_its_own_and_says_why(
    realm: Realm, rogue: Realm, kind: str, make: Callable[[Realm, Realm], Path], said: str
):
    token = Token(ANN, realm.folder / "authority" / "authority.pem")
    worker = token if kind == "token" else Certificate(realm.worker("ann"))
    with served(Anything(Papers.read(make(realm, rogue)))) as port:
        code, details = refusal(worker, port)
    assert code == UNAVAILABLE
    assert said in explain(f"127.0.0.1:{port}", details)


def test_a_worker_with_papers_speaks_to_nobody_in_plain_text(realm: Realm):
    with served(SharedTokens(TOKENS)) as port:
        code, details = refusal(Certificate(realm.worker("ann")), port)
    assert code == UNAVAILABLE
    assert "speaks no TLS" in explain(f"127.0.0.1:{port}", details)


def test_an_empty_port_and_an_unknown_machine_are_told_apart(realm: Realm):
    with served(SharedTokens(TOKENS)) as port:
        pass
    assert "nothing listens there" in explain(f"127.0.0.1:{port}", refusal(Token(ANN), port)[1])
    worker = Certificate(realm.worker("ann"))
    details = refusal(worker, port, host="no-such-machine.invalid")[1]
    assert "no machine called no-such-machine.invalid" in explain(f"no-such-machine.invalid:{port}", details)


def test_what_is_not_known_is_told_as_it_came():
    assert explain("a:1", "the sky fell").endswith("at a:1: the sky fell")


# What is wrong with one's own papers is said before anything is dialled.


def damaged(realm: Realm, file: str, data: bytes) -> Path:
    folder = realm.worker("ann")
    (folder / file).unlink()
    (folder / file).write_bytes(data)
    return folder


OWN: list[tuple[Callable[[Realm, Realm], Path], str]] = [
    (lambda realm, _: realm.worker("ann", at=-31), "certs` again"),
    (lambda realm, _: realm.worker("ann", at=1), "set this machine's clock"),
    (lambda realm, rogue: damaged(realm, "authority.pem", rogue.authority.pem), "another authority"),
    (lambda realm, rogue: damaged(realm, "key.pem", rogue.authority.issue_worker("ann").key), "not belong together"),
    (lambda realm, _: damaged(realm, "key.pem", b"nonsense"), "damaged"),
    (lambda realm, _: damaged(realm, "certificate.pem", b"nonsense"), "damaged"),
    (lambda realm, _: damaged(realm, "certificate.pem", b"x" * 100_000), "more than 65536 bytes"),
    (lambda realm, _: realm.learner(), "not for a worker"),
    (lambda realm, _: realm.folder / "none", "cannot read"),
]


@pytest.mark.parametrize(("make", "said"), OWN)
def test_a_worker_says_itself_what_is_wrong_with_its_papers(
    realm: Realm, rogue: Realm, make: Callable[[Realm, Realm], Path], said: str
):
    with pytest.raises(TrustError, match=said):
        Certificate(make(realm, rogue)).channel("127.0.0.1:1")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda realm: realm.learner(at=-31), "ended"),
        (lambda realm: realm.learner(at=1), "not valid before"),
        (lambda realm: realm.worker("ann"), "not for a learner"),
    ],
)
@pytest.mark.parametrize("kind", [MutualTls, lambda folder: SharedTokens(TOKENS, folder)])
def test_a_learner_with_papers_that_are_not_in_order_does_not_start(
    realm: Realm, kind: Callable[[Path], Any], make: Callable[[Realm], Path], said: str
):
    with pytest.raises(TrustError, match=said), served(kind(make(realm))):
        pass


def test_a_worker_whose_papers_are_renewed_needs_no_new_start(realm: Realm):
    folder = realm.worker("ann", at=-31)
    worker = Certificate(folder)
    with served(MutualTls(realm.learner())) as port:
        with pytest.raises(TrustError, match="ended"):
            ask(worker, port)
        realm.authority.issue_worker("ann", key=(folder / "key.pem").read_bytes()).write(folder)
        assert ask(worker, port) == "ann"


def test_an_authority_that_is_over_is_told_to_a_worker_with_a_token(realm: Realm):
    worker = Token(ANN, realm.folder / "authority" / "authority.pem", days_from_now(3650))
    with pytest.raises(TrustError, match="ended"):
        worker.channel("127.0.0.1:1")
