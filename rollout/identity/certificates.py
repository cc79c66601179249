"""A small certificate authority: who has its key says who is learner and who is worker `ann`.

It signs what it was told, never what a request asks for. A certificate cannot be called back: it is short-lived
instead, and after the loss of a machine one makes a new authority, which makes all certificates of the old one
worthless. Keys are ECDSA on P-256, which every TLS speaks.
"""

import ipaddress
import re
import secrets
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final, final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from envs.errors import OptionError, TrustError
from rollout.identity.papers import (
    AUTHORITY,
    KEY,
    USAGE,
    Clock,
    Papers,
    Role,
    check_dates,
    public_bytes,
    read_key,
    read_pem,
    utc_now,
    worker_uri,
    write_private,
    write_public,
)

YEARS: Final = 10  # of an authority
DAYS: Final = 30  # of a certificate
_LEEWAY: Final = timedelta(hours=1)  # that another machine's clock may be behind
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_MOST: Final = 16 * 1024  # bytes of a request, which has some 400


@dataclass(frozen=True)
class Request:
    """A new key, and the request to sign it; the key stays where it was made."""

    key: bytes = field(repr=False)  # PEM
    request: bytes  # PEM, to be sent to the authority

    @classmethod
    def make(cls) -> "Request":
        """With a new key. It asks for no name: the authority gives one."""
        key = _new_key()
        request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
        return cls(_key_pem(key), request.public_bytes(serialization.Encoding.PEM))


@final
@dataclass(frozen=True)
class Authority:
    """Signs certificates. `make` a new one, or `load` it."""

    key: ec.EllipticCurvePrivateKey = field(repr=False)
    certificate: x509.Certificate
    clock: Clock = utc_now

    @classmethod
    def make(cls, folder: Path, clock: Clock = utc_now, years: float = YEARS) -> "Authority":
        """A new one, in a folder that is not there yet, which is not to be copied anywhere.

        Raises: TrustError: there is one.
        """
        key, now = _new_key(), clock()
        name = _name(f"Skygarden authority {secrets.token_hex(4)}")  # two of one name would be taken for each other
        builder = (
            _builder(key.public_key(), name, name)
            .not_valid_before(now - _LEEWAY)
            .not_valid_after(now + timedelta(days=365 * years))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs=True), critical=True)
        )
        made = cls(key, builder.sign(key, hashes.SHA256()), clock)
        made._write(folder)
        return made

    @classmethod
    def load(cls, folder: Path, clock: Clock = utc_now) -> "Authority":
        """The one in a folder. Raises: TrustError: there is none, it is damaged, or not valid now."""
        key = read_key(read_pem(folder / KEY), folder)
        try:
            certificate = x509.load_pem_x509_certificate(read_pem(folder / AUTHORITY))
        except ValueError as error:
            raise TrustError(f"{folder / AUTHORITY} is damaged: {error}") from error
        if public_bytes(key.public_key()) != public_bytes(certificate.public_key()):
            raise TrustError(f"{folder}: {KEY} and {AUTHORITY} do not belong together; restore them from a copy")
        check_dates(certificate, clock(), folder / AUTHORITY, "make a new authority in another folder")
        return cls(key, certificate, clock)

    @property
    def pem(self) -> bytes:
        """Its certificate, by which the others are known."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def issue_learner(self, hosts: Sequence[str], days: float = DAYS, key: bytes | None = None) -> Papers:
        """Papers of a learner that workers reach under these names and IP addresses.

        Args: key: to go on with, as PEM; default: a new one.
        Raises: OptionError: there is no host, or one is no host. TrustError: the key is damaged.
        """
        if not hosts:
            raise OptionError(
                "a learner needs the host names or IP addresses under which its workers reach it; got none"
            )
        key = key or _key_pem(_new_key())
        public = read_key(key, "the learner's folder").public_key()
        names = x509.SubjectAlternativeName([host_name(host) for host in dict.fromkeys(hosts)])
        return Papers(key, self._certify(public, "learner", "Skygarden learner", names, days), self.pem)

    def issue_worker(self, name: str, days: float = DAYS, key: bytes | None = None) -> Papers:
        """Papers of a worker. Arguments and errors as of a learner's."""
        key = key or _key_pem(_new_key())
        return Papers(key, self._certify_worker(read_key(key, name).public_key(), name, days), self.pem)

    def sign(self, request: bytes, name: str, days: float = DAYS) -> bytes:
        """The certificate of a worker that made its key itself, as PEM; whatever the request says of names is ignored.

        Raises: OptionError: it cannot be a worker's name. TrustError: the request is damaged, was not made with the key
          that it is about, or that is no key on P-256.
        """
        try:
            if len(request) > _MOST:
                raise ValueError(f"{len(request)} bytes")
            read = x509.load_pem_x509_csr(request)
            key = read.public_key()
            proven = read.is_signature_valid
        except (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature) as error:
            raise TrustError(f"what worker {name} sent is no signing request: {error}") from error
        if not proven or not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
            raise TrustError(f"worker {name} must sign its request with its own ECDSA key on the curve P-256")
        return self._certify_worker(key, name, days)

    def _certify_worker(self, key: ec.EllipticCurvePublicKey, name: str, days: float) -> bytes:
        names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(worker_uri(name))])
        return self._certify(key, "worker", f"Skygarden worker {name}"[:64], names, days)

    def _certify(
        self, key: ec.EllipticCurvePublicKey, role: Role, title: str, names: x509.SubjectAlternativeName, days: float
    ) -> bytes:
        """A certificate; its title is for people, nobody decides by it."""
        now = self.clock()
        ends = min(now + check_days(days), self.certificate.not_valid_after_utc)
        signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        builder = (
            _builder(key, _name(title), self.certificate.subject)
            .not_valid_before(now - _LEEWAY)
            .not_valid_after(ends)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([USAGE[role]]), critical=True)
            .add_extension(names, critical=False)
            .add_extension(signer, critical=False)
        )
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def _write(self, folder: Path) -> None:
        """Key and certificate appear at once, and only where nothing is: no folder is renamed onto one with files."""
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as beside:  # mode 0700
            inner = Path(beside) / folder.name
            inner.mkdir(mode=0o700)
            write_private(inner / KEY, _key_pem(self.key))
            write_public(inner / AUTHORITY, self.pem)
            try:
                inner.rename(folder)
            except OSError as error:
                raise TrustError(f"{folder} is there already: an authority is never written over") from error


def host_name(host: str) -> x509.GeneralName:
    """A host as certificates name it: an IP address, or a DNS name in ASCII. Raises: OptionError: it is neither."""
    try:
        return x509.IPAddress(ipaddress.ip_address("invalid" if "%" in host else host))
    except ValueError:
        labels = host.lower().split(".")
    fits = len(host) <= 253 and all(map(_LABEL.fullmatch, labels)) and not labels[-1].isdigit()
    if not fits:
        raise OptionError(f"a host is a name such as learner.example.org, or an IP address, without port; got {host!r}")
    return x509.DNSName(host.lower())


def check_days(days: float) -> timedelta:
    """How long a certificate is valid for. Raises: OptionError: it cannot be."""
    if not 0 < days <= 365 * YEARS:
        raise OptionError(f"a certificate is valid for more than 0 and at most {365 * YEARS} days, got {days:g}")
    return timedelta(days=days)


def _builder(key: ec.EllipticCurvePublicKey, subject: x509.Name, issuer: x509.Name) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _name(title: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, title)])


def _usage(signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
