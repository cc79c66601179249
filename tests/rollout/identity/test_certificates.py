"""Laws of the authority: it says who somebody is, and nobody else does."""

import ipaddress
import os
import stat
import string
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given
from hypothesis import strategies as st

from envs.errors import OptionError, TrustError
from rollout.identity.certificates import Authority, Request, host_name
from rollout.identity.papers import Papers, name_in, utc_now, worker_name, worker_uri, write_private
from tests.rollout.trusting import Realm, days_from_now

NAMES = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", fullmatch=True)


@pytest.fixture(scope="module")
def realm(tmp_path_factory: pytest.TempPathFactory) -> Realm:
    return Realm(tmp_path_factory.mktemp("realm") / "certs")


def uris(certificate: x509.Certificate) -> list[str]:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return names.get_values_for_type(x509.UniformResourceIdentifier)


def usage(certificate: x509.Certificate) -> list[x509.ObjectIdentifier]:
    return list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)


@given(name=NAMES)
def test_a_name_that_goes_in_comes_out(realm: Realm, name: str):
    papers = realm.authority.issue_worker(name)
    assert papers.check("worker", utc_now(), "test").worker == name


@given(text=st.text(max_size=80))
def test_a_name_is_plain_or_refused(text: str):
    plain = set(string.ascii_letters + string.digits + "._-")
    edges = set(string.ascii_letters + string.digits)
    fits = 0 < len(text) <= 63 and set(text) <= plain and {text[0], text[-1]} <= edges
    if fits:
        assert name_in([worker_uri(text)]) == text
    else:
        with pytest.raises(OptionError, match="letters, digits"):
            worker_name(text)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\\b", "../ann", "-ann", "ann.", "ann\n", "änn", "a" * 64])
def test_no_name_leads_out_of_its_folder(realm: Realm, name: str):
    with pytest.raises(OptionError, match="a worker's name"):
        realm.authority.issue_worker(name)


@pytest.mark.parametrize(
    "found",
    [
        [],
        ["spiffe://skygarden/worker/"],
        ["spiffe://elsewhere/worker/ann"],
        ["https://skygarden/worker/ann"],
        ["spiffe://skygarden/worker/ann/bob"],
        ["spiffe://skygarden/worker/ann", "spiffe://skygarden/worker/bob"],
        ["spiffe://skygarden/worker/ann", "https://example.org"],
    ],
)
def test_what_names_no_single_worker_names_none(found: list[str]):
    assert name_in(found) is None


def test_a_worker_can_only_be_client_and_a_learner_only_server(realm: Realm):
    worker = x509.load_pem_x509_certificate(realm.authority.issue_worker("ann").certificate)
    learner = x509.load_pem_x509_certificate(realm.authority.issue_learner(["a.example"]).certificate)
    assert usage(worker) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert usage(learner) == [ExtendedKeyUsageOID.SERVER_AUTH]
    for certificate in (worker, learner):
        assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_a_certificate_is_valid_for_the_days_that_were_asked_for_and_none_outlives_its_authority(realm: Realm):
    at = utc_now().replace(microsecond=0)
    authority = Authority(realm.authority.key, realm.authority.certificate, lambda: at)
    made = x509.load_pem_x509_certificate(authority.issue_worker("ann", days=7).certificate)
    assert made.not_valid_after_utc - at == timedelta(days=7)
    assert at - made.not_valid_before_utc == timedelta(hours=1)
    long = x509.load_pem_x509_certificate(authority.issue_worker("ann", days=3650).certificate)  # it is a year old
    assert long.not_valid_after_utc == authority.certificate.not_valid_after_utc


@pytest.mark.parametrize("days", [0, -1, 3651, float("nan"), float("inf")])
def test_days_have_bounds(realm: Realm, days: float):
    with pytest.raises(OptionError, match="valid for more than 0"):
        realm.authority.issue_worker("ann", days=days)


@given(host=st.ip_addresses().map(str))
def test_an_address_is_certified_as_one(host: str):
    if "%" not in host:
        assert host_name(host) == x509.IPAddress(ipaddress.ip_address(host))


@given(
    labels=st.lists(st.from_regex(r"[a-zA-Z]([a-zA-Z0-9-]{0,20}[a-zA-Z0-9])?", fullmatch=True), min_size=1, max_size=9)
)
def test_a_machine_is_certified_by_its_name(labels: list[str]):
    assert host_name(".".join(labels)) == x509.DNSName(".".join(labels).lower())


NO_HOSTS = ["", "a:50051", "https://a", "a b", "*", "*.example.org", "a..b", "a.", "-a", "a-", "1.2.3", "1.2.3.400"]


@pytest.mark.parametrize("host", [*NO_HOSTS, "ä.org", "[::1]", "::1%lo", "a" * 64, ".".join("a" * 130), "a\n"])
def test_what_is_no_host_is_refused(host: str):
    with pytest.raises(OptionError, match="without port"):
        host_name(host)


def test_a_learner_has_a_host(realm: Realm):
    with pytest.raises(OptionError, match="got none"):
        realm.authority.issue_learner([])


def request_for(key: Any, *names: x509.GeneralName, title: str = "bob") -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, title)])
    )
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def test_a_request_gets_the_name_that_the_authority_gives_and_no_other(realm: Realm):
    key = ec.generate_private_key(ec.SECP256R1())
    asked = request_for(key, x509.UniformResourceIdentifier(worker_uri("bob")), x509.DNSName("localhost"))
    signed = x509.load_pem_x509_certificate(realm.authority.sign(asked, "ann"))
    assert uris(signed) == ["spiffe://skygarden/worker/ann"]
    assert len(list(signed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)) == 1
    assert usage(signed) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert not signed.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert "bob" not in signed.subject.rfc4514_string()


def test_a_key_that_was_made_elsewhere_is_certified_without_being_seen(realm: Realm):
    made = Request.make()
    assert b"PRIVATE" not in made.request
    papers = Papers(made.key, realm.authority.sign(made.request, "ann"), realm.authority.pem)
    assert papers.check("worker", utc_now(), "test").worker == "ann"


@pytest.mark.parametrize("data", [b"", b"nothing", b"-----BEGIN CERTIFICATE REQUEST-----\n", b"x" * 20_000])
def test_what_is_no_request_is_refused(realm: Realm, data: bytes):
    with pytest.raises(TrustError, match="no signing request"):
        realm.authority.sign(data, "ann")


@pytest.mark.parametrize("kind", ["rsa", "p384"])
def test_another_kind_of_key_is_refused(realm: Realm, kind: str):
    key = rsa.generate_private_key(65537, 2048) if kind == "rsa" else ec.generate_private_key(ec.SECP384R1())
    with pytest.raises(TrustError, match="P-256"):
        realm.authority.sign(request_for(key), "ann")


def test_a_request_that_its_key_did_not_sign_is_refused(realm: Realm):
    der = bytearray(x509.load_pem_x509_csr(Request.make().request).public_bytes(serialization.Encoding.DER))
    der[-1] ^= 1
    broken = x509.load_der_x509_csr(bytes(der)).public_bytes(serialization.Encoding.PEM)
    with pytest.raises(TrustError, match="sign its request"):
        realm.authority.sign(broken, "ann")


def test_an_authority_is_found_again_and_never_written_over(tmp_path: Path):
    made = Authority.make(tmp_path / "a")
    assert Authority.load(tmp_path / "a").pem == made.pem
    before = {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()}
    with pytest.raises(TrustError, match="never written over"):
        Authority.make(tmp_path / "a")
    assert {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["a"]  # nothing lies about


def test_an_authority_that_is_over_or_whose_files_are_mixed_up_signs_nothing(tmp_path: Path):
    Authority.make(tmp_path / "a")
    Authority.make(tmp_path / "b")
    with pytest.raises(TrustError, match="make a new authority"):
        Authority.load(tmp_path / "a", days_from_now(3651))
    (tmp_path / "a" / "key.pem").write_bytes((tmp_path / "b" / "key.pem").read_bytes())
    with pytest.raises(TrustError, match="do not belong together"):
        Authority.load(tmp_path / "a")
    with pytest.raises(TrustError, match="cannot read"):
        Authority.load(tmp_path / "none")
    (tmp_path / "a" / "key.pem").write_bytes(b"x")
    with pytest.raises(TrustError, match="damaged"):
        Authority.load(tmp_path / "a")


posix = pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")


@posix
def test_keys_are_their_owners_alone(tmp_path: Path):
    authority = Authority.make(tmp_path / "a")
    authority.issue_worker("ann").write(tmp_path / "ann")
    for folder in (tmp_path / "a", tmp_path / "ann"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE((folder / "key.pem").stat().st_mode) == 0o600


@posix
def test_a_key_is_its_owners_alone_before_its_first_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    seen: list[int] = []
    fdopen = os.fdopen

    def look(descriptor: int, *arguments: Any, **named: Any) -> Any:
        state = os.fstat(descriptor)
        assert state.st_size == 0
        seen.append(stat.S_IMODE(state.st_mode))
        return fdopen(descriptor, *arguments, **named)

    monkeypatch.setattr(os, "fdopen", look)
    old = os.umask(0)  # the most careless there is
    try:
        write_private(tmp_path / "key.pem", b"secret")
    finally:
        os.umask(old)
    assert seen == [0o600]
    assert stat.S_IMODE((tmp_path / "key.pem").stat().st_mode) == 0o600


def test_a_key_that_cannot_be_put_in_place_leaves_nothing_behind(tmp_path: Path):
    (tmp_path / "key.pem").mkdir()
    with pytest.raises(OSError, match=r"key\.pem"):
        write_private(tmp_path / "key.pem", b"secret")
    assert [path.name for path in tmp_path.iterdir()] == ["key.pem"]


def test_another_key_is_never_written_over(realm: Realm, tmp_path: Path):
    first = realm.authority.issue_worker("ann")
    first.write(tmp_path)
    with pytest.raises(TrustError, match="another private key"):
        realm.authority.issue_worker("ann").write(tmp_path)
    assert Papers.read(tmp_path) == first
    renewed = realm.authority.issue_worker("ann", key=first.key)
    renewed.write(tmp_path)
    assert Papers.read(tmp_path) == renewed


@posix
def test_a_key_that_others_may_read_is_warned_of(realm: Realm, caplog: pytest.LogCaptureFixture):
    folder = realm.worker("ann")
    Papers.read(folder)
    assert caplog.text == ""
    (folder / "key.pem").chmod(0o644)
    Papers.read(folder)
    assert f"chmod 600 {folder / 'key.pem'}" in caplog.text


def test_secrets_are_not_shown():
    assert b"secret".decode() not in repr(Papers(b"secret", b"", b""))
    assert "PRIVATE" not in repr(Request.make())
