"""What a learner or worker shows of who it is: a folder of three PEM files.

    key.pem          the private key, which nobody else ever sees (mode 0600)
    certificate.pem  what its public key stands for, signed by the authority, for some days
    authority.pem    the authority's own certificate, by which it knows the others

A worker's name is the URI `spiffe://skygarden/worker/NAME` in its certificate's alternative names, and nowhere else; a
learner's hosts stand there as DNS names and IP addresses. Which of the two a certificate is for is its extended key
usage, `clientAuth` or `serverAuth`, which TLS itself looks at.
"""

import logging
import os
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal, final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from envs.errors import OptionError, TrustError

Clock = Callable[[], datetime]
Role = Literal["learner", "worker"]

KEY: Final = "key.pem"
CERTIFICATE: Final = "certificate.pem"
AUTHORITY: Final = "authority.pem"
USAGE: Final = {"learner": ExtendedKeyUsageOID.SERVER_AUTH, "worker": ExtendedKeyUsageOID.CLIENT_AUTH}
_URI: Final = "spiffe://skygarden/worker/"
_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")  # also a folder's name, and a file's
_RENEW: Final = "run `skygarden certs` again where the authority is, and copy the folder here"
_MOST: Final = 64 * 1024  # bytes of a PEM file, which has a few hundred

log = logging.getLogger(__name__)


def utc_now() -> datetime:
    """The time of day, as certificates count it."""
    return datetime.now(UTC)


def worker_name(name: str) -> str:
    """The same name. Raises: OptionError: it cannot be a worker's."""
    if not _NAME.fullmatch(name):
        raise OptionError(
            f"a worker's name has 1 to 63 letters, digits, dots, dashes and underscores, and begins and ends with a "
            f"letter or digit; got {name[:80]!r}"
        )
    return name


def worker_uri(name: str) -> str:
    """How a worker's certificate says its name. Raises: OptionError: it cannot be a worker's."""
    return _URI + worker_name(name)


def name_in(uris: list[str]) -> str | None:
    """The worker's name among the URIs of a certificate; None where there is not exactly one."""
    names = [uri.removeprefix(_URI) for uri in uris if uri.startswith(_URI)]
    return names[0] if len(uris) == len(names) == 1 and _NAME.fullmatch(names[0]) else None


@final
@dataclass(frozen=True)
class Papers:
    """What one party shows, as PEM."""

    key: bytes = field(repr=False)
    certificate: bytes
    authority: bytes

    @classmethod
    def read(cls, folder: Path) -> "Papers":
        """Those of a folder; a key that others on this machine may read is warned of.

        Raises: TrustError: a file is missing or cannot be read.
        """
        key = folder / KEY
        papers = cls(read_pem(key), read_pem(folder / CERTIFICATE), read_pem(folder / AUTHORITY))
        if os.name == "posix" and key.stat().st_mode & 0o077:
            log.warning("others on this machine may read the private key %s: chmod 600 %s", key, key)
        return papers

    def write(self, folder: Path) -> None:
        """Put them into a folder, where another key is never written over.

        Raises: TrustError: another key is there.
        """
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        key = folder / KEY
        if not key.exists():
            write_private(key, self.key)
        elif read_pem(key) != self.key:
            raise TrustError(f"{key} is another private key; move that folder away to write new papers in its place")
        write_public(folder / AUTHORITY, self.authority)
        write_public(folder / CERTIFICATE, self.certificate)

    def check(self, role: Role, now: datetime, where: object) -> "Papers":
        """The same papers, if who has them can act as a role now.

        Args: where: they were found, for the message.
        Raises: TrustError: they are damaged, do not belong together, are over or not yet valid, or another role's.
        """
        certificate, authority = _certificate(self.certificate, where), _certificate(self.authority, where)
        if public_bytes(read_key(self.key, where).public_key()) != public_bytes(certificate.public_key()):
            raise TrustError(f"{where}: {KEY} and {CERTIFICATE} do not belong together; copy the whole folder again")
        try:
            certificate.verify_directly_issued_by(authority)
        except (ValueError, TypeError, InvalidSignature) as error:
            raise TrustError(
                f"{where}: {CERTIFICATE} was signed by another authority than {AUTHORITY}; copy the whole folder "
                f"again, as `skygarden certs` wrote it"
            ) from error
        for one, file in ((certificate, CERTIFICATE), (authority, AUTHORITY)):
            check_dates(one, now, f"{where}/{file}", _RENEW)
        self._check_role(certificate, role, where)
        return self

    @property
    def worker(self) -> str | None:
        """The name that they give a worker; None if they are no worker's."""
        return name_in(_uris(_certificate(self.certificate, "papers")))

    @staticmethod
    def _check_role(certificate: x509.Certificate, role: Role, where: object) -> None:
        try:
            usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        except x509.ExtensionNotFound:
            usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE])
        if USAGE[role] not in usage or (role == "worker" and name_in(_uris(certificate)) is None):
            raise TrustError(
                f"{where} is not for a {role}: the learner needs the folder `learner` that `skygarden certs` writes, "
                f"a worker needs workers/NAME"
            )


def read_pem(path: Path) -> bytes:
    """A PEM file. Raises: TrustError: it is missing, cannot be read, or is far too long to be one."""
    try:
        with path.open("rb") as file:
            data = file.read(_MOST + 1)
    except OSError as error:
        raise TrustError(f"cannot read {path}: {error.strerror}; `skygarden certs` makes such folders") from error
    if len(data) > _MOST:
        raise TrustError(f"{path} is no PEM file of a key or certificate: it has more than {_MOST} bytes")
    return data


def read_key(pem: bytes, where: object) -> ec.EllipticCurvePrivateKey:
    """A private key. Raises: TrustError: it is none, or not one on the curve P-256."""
    try:
        key = serialization.load_pem_private_key(pem, None)
    except (ValueError, TypeError) as error:
        raise TrustError(f"{where}: {KEY} is damaged or locked with a password: {error}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise TrustError(f"{where}: {KEY} is no ECDSA key on the curve P-256")
    return key


def check_dates(certificate: x509.Certificate, now: datetime, where: object, mend: str) -> None:
    """Look whether a certificate is valid now. Raises: TrustError: it is not."""
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    here = f"and here it is {now:%Y-%m-%d %H:%M} UTC"
    if now < begins:
        raise TrustError(f"{where} is not valid before {begins:%Y-%m-%d %H:%M} UTC, {here}; set this machine's clock")
    if now > ends:
        raise TrustError(f"{where} ended {ends:%Y-%m-%d %H:%M} UTC, {here}; {mend}")


def check_certificate(pem: bytes, now: datetime, where: object) -> None:
    """Look whether an authority's certificate can be read and is valid now. Raises: TrustError: it is not."""
    check_dates(_certificate(pem, where), now, where, _RENEW)


def public_bytes(key: object) -> bytes:
    """A public key as bytes that can be compared; none where it is of a kind that is not used here."""
    if not isinstance(key, ec.EllipticCurvePublicKey):
        return b""
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def write_private(path: Path, data: bytes) -> None:
    """Write a file that nobody else can read at any time: beside, then renamed."""
    descriptor, beside = tempfile.mkstemp(".part", f".{path.name}-", path.parent)  # mode 0600, under a new name
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(beside).replace(path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise


def write_public(path: Path, data: bytes) -> None:
    """Write a file that anybody may read: beside, then renamed."""
    beside = path.with_name(f"{path.name}.part")
    beside.write_bytes(data)
    beside.replace(path)


def _certificate(pem: bytes, where: object) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError as error:
        raise TrustError(f"{where}: a certificate is damaged: {error}; copy the whole folder again") from error


def _uris(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return names.get_values_for_type(x509.UniformResourceIdentifier)
