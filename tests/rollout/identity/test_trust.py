"""Laws of who is let in by certificates, over real connections: the right ones are, and nobody else."""

import socket

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from envs.errors import TrustError
from rollout.identity.certificates import Authority
from rollout.identity.papers import Papers, read_key, worker_uri
from rollout.identity.trust import Certificate, MutualTls, Token, explain
from tests.rollout.trusting import (
    ANN,
    PAIR,
    UNAUTHENTICATED,
    UNAVAILABLE,
    Anything,
    Realm,
    ask,
    mutual,
    refusal,
    served,
)


@pytest.fixture(scope="module")
def realm(tmp_path_factory: pytest.TempPathFactory) -> Realm:
    return Realm(tmp_path_factory.mktemp("realm") / "certs")


@pytest.fixture(scope="module")
def rogue(tmp_path_factory: pytest.TempPathFactory) -> Realm:
    """Another authority, of somebody who means harm."""
    return Realm(tmp_path_factory.mktemp("rogue") / "certs")


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_worker_with_papers_is_known_by_their_name(realm: Realm, host: str):
    learner, worker = mutual(realm, "ann")
    with served(learner, address=f"{host}:0") as port:
        assert ask(worker, port, host=host) == "ann"


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
def test_a_learner_is_reached_by_its_address_of_the_newer_kind(realm: Realm):
    learner, worker = mutual(realm, "ann")
    with served(learner, address="[::1]:0") as port:
        assert ask(worker, port, host="[::1]") == "ann"


def test_another_workers_name_in_a_call_is_not_listened_to(realm: Realm):
    learner, worker = mutual(realm, "bob")
    with served(learner) as port:
        assert ask(worker, port, "bob", extra=PAIR) == "bob"


def test_a_worker_does_not_start_under_a_name_that_its_papers_do_not_give(realm: Realm):
    worker = Certificate(realm.worker("bob"))
    assert worker.name == "bob"
    assert worker.metadata("bob") == ()
    with pytest.raises(TrustError, match="of worker bob, not of ann"):
        worker.metadata("ann")


def test_who_shows_nothing_or_speaks_plain_text_gets_no_answer(realm: Realm):
    with served(MutualTls(realm.learner())) as port:
        code, details = refusal(Token(ANN, realm.folder / "authority" / "authority.pem"), port)
        assert code == UNAVAILABLE
        assert "does not accept these papers" in explain(f"127.0.0.1:{port}", details)
        assert refusal(Token(ANN), port)[0] == UNAVAILABLE


@pytest.mark.parametrize("days", [-31, 1])
def test_who_comes_too_late_or_too_early_gets_no_answer(realm: Realm, days: float):
    with served(MutualTls(realm.learner())) as port:
        code, details = refusal(Anything(Papers.read(realm.worker("ann", at=days))), port)
    assert code == UNAVAILABLE
    assert "does not accept these papers" in explain(f"127.0.0.1:{port}", details)


def test_who_has_papers_of_another_authority_gets_no_answer(realm: Realm, rogue: Realm):
    theirs = rogue.authority.issue_worker("ann")
    with served(MutualTls(realm.learner())) as port:
        code, details = refusal(Anything(Papers(theirs.key, theirs.certificate, realm.authority.pem)), port)
    assert code == UNAVAILABLE
    assert "does not accept these papers" in explain(f"127.0.0.1:{port}", details)


def test_who_has_made_an_authority_of_the_same_name_gets_no_answer(realm: Realm, rogue: Realm):
    """The name of who signed is only text; what counts is the signature."""
    ours = realm.authority.certificate
    twin = x509.CertificateBuilder(
        issuer_name=ours.subject,
        subject_name=ours.subject,
        public_key=rogue.authority.key.public_key(),
        serial_number=ours.serial_number,
        not_valid_before=ours.not_valid_before_utc,
        not_valid_after=ours.not_valid_after_utc,
        extensions=list(rogue.authority.certificate.extensions),
    ).sign(rogue.authority.key, hashes.SHA256())
    theirs = Authority(rogue.authority.key, twin).issue_worker("ann")
    with served(MutualTls(realm.learner())) as port:
        assert refusal(Anything(Papers(theirs.key, theirs.certificate, realm.authority.pem)), port)[0] == UNAVAILABLE


def test_a_worker_cannot_sign_for_another(realm: Realm):
    bob = realm.authority.issue_worker("bob")
    key = Papers.read(realm.place(bob)).key
    as_authority = Authority(
        read_key(key, "test"), x509.load_pem_x509_certificate(bob.certificate), realm.authority.clock
    )
    ann = as_authority.issue_worker("ann")
    chain = Papers(ann.key, ann.certificate + bob.certificate, realm.authority.pem)
    with served(MutualTls(realm.learner())) as port:
        assert refusal(Anything(chain), port)[0] == UNAVAILABLE


def test_a_learners_papers_make_no_worker(realm: Realm):
    with served(MutualTls(realm.learner())) as port:
        assert refusal(Anything(Papers.read(realm.learner())), port)[0] == UNAVAILABLE


@pytest.mark.parametrize(
    "names",
    [
        (x509.DNSName("spiffe://skygarden/worker/ann"),),
        (x509.UniformResourceIdentifier("spiffe://elsewhere/ann"),),
        (x509.UniformResourceIdentifier(worker_uri("ann")), x509.UniformResourceIdentifier(worker_uri("bob"))),
    ],
)
def test_a_certificate_that_names_no_single_worker_is_told_so(realm: Realm, names: tuple[x509.GeneralName, ...]):
    with served(MutualTls(realm.learner())) as port:
        code, details = refusal(Anything(realm.forged("worker", *names)), port)
    assert code == UNAUTHENTICATED
    assert "names no worker" in details
