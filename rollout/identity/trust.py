"""Who is who between a learner and its workers: by certificates on both sides, or by tokens.

Mutual TLS is what to use between machines. A worker's name is read from its certificate; whatever else a call says of
names is ignored, and who has no certificate of the authority gets no further than the handshake. With tokens a worker
says its name and shows the token it was given: in plain text where nobody but this machine's users can listen
(loopback), and else over TLS with a certificate of the learner's.

A certificate is looked at when a connection is made: one that ends meanwhile lets its connection live, and no other.
Its files are read anew for every channel, so a worker whose folder is renewed needs no new start. gRPC's reflection is
never on: everyone who may call has the protocol.
"""

import hashlib
import hmac
import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol, cast, final

import grpc

from envs.errors import DeliveryError, OptionError, TrustError
from rollout.identity.papers import Clock, Papers, check_certificate, name_in, read_pem, utc_now

WORKER_KEY: Final = "skygarden-worker"
TOKEN_KEY: Final = "skygarden-token"
SHORTEST: Final = 16  # characters of a token that others than this machine's users can try
_ADDRESS: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\s:/\[\],]+)):([0-9]{1,5})")
_CLOSED: Final = "it closed the line: it does not accept these papers (of another authority, or over), or is ending"
_TOKEN: Final = re.compile(r"[!-~]+")

Option = tuple[str, Any]


class LearnerTrust(Protocol):
    """How a learner knows its workers."""

    @property
    def anonymous_health(self) -> bool:
        """Whether anyone who can connect may ask if the server is well."""
        ...

    def listen(self, server: grpc.Server, address: str) -> int:
        """Have a server listen on HOST:PORT; returns the port, which is a free one for port 0.

        Raises: TrustError: plain text off loopback, or papers that are not in order. OptionError: this is no address.
          DeliveryError: it cannot be listened on.
        """
        ...

    def worker(self, context: grpc.ServicerContext) -> str:
        """The name of the worker that calls. Raises: TrustError: it is none that is known."""
        ...


class WorkerTrust(Protocol):
    """How a worker shows its learner who it is, and knows the learner."""

    def channel(self, address: str, options: Sequence[Option] = ()) -> grpc.Channel:
        """A new channel to the learner at HOST:PORT; nothing is sent yet.

        Raises: TrustError: plain text off loopback, or papers that are not in order. OptionError: this is no address.
        """
        ...

    def metadata(self, name: str) -> tuple[tuple[str, str], ...]:
        """What to send along with every call of the worker of a name. Raises: TrustError: the papers are another's."""
        ...


@final
@dataclass(frozen=True)
class SharedTokens:
    """A learner that knows its workers by their tokens; with the folder of a learner's papers it speaks TLS."""

    tokens: Mapping[str, str] = field(repr=False)  # by name of the worker
    tls: Path | None = None
    open_health: bool = False  # over TLS, where a load balancer asks that has no token; on loopback always
    clock: Clock = utc_now

    def __post_init__(self) -> None:
        for name, token in self.tokens.items():
            _check_token(token, f"the token of worker {name}")

    @property
    def anonymous_health(self) -> bool:
        """On loopback, where only this machine's users ask, or if it was said."""
        return self.tls is None or self.open_health

    def listen(self, server: grpc.Server, address: str) -> int:
        """See `LearnerTrust.listen`."""
        if self.tls is None:
            _refuse_plain(address, "give the learner certificates (`skygarden certs` makes them)")
            return _add(server, address, None)
        if not is_loopback(address) and any(len(token) < SHORTEST for token in self.tokens.values()):
            raise TrustError(f"tokens that the network can try have {SHORTEST} characters or more; got a shorter one")
        papers = Papers.read(self.tls).check("learner", self.clock(), self.tls)
        return _add(server, address, grpc.ssl_server_credentials([(papers.key, papers.certificate)]))

    def worker(self, context: grpc.ServicerContext) -> str:
        """See `LearnerTrust.worker`. How long it takes says nothing of tokens, nor of which names there are."""
        said = dict(cast("Iterable[tuple[str, str | bytes]]", context.invocation_metadata()))
        name, token = said.get(WORKER_KEY, ""), said.get(TOKEN_KEY, "")
        known = self.tokens.get(name) if isinstance(name, str) else None
        same = hmac.compare_digest(_digest(known or ""), _digest(token))
        if known is None or not same:
            raise TrustError("not a worker of this run: check its name and its token")
        return cast("str", name)


@final
@dataclass(frozen=True)
class MutualTls:
    """A learner that knows its workers by their certificates; its own is in a folder that `skygarden certs` wrote."""

    folder: Path
    clock: Clock = utc_now

    @property
    def anonymous_health(self) -> bool:
        """Never: without a certificate nobody gets so far as to ask."""
        return False

    def listen(self, server: grpc.Server, address: str) -> int:
        """See `LearnerTrust.listen`."""
        papers = Papers.read(self.folder).check("learner", self.clock(), self.folder)
        chain = [(papers.key, papers.certificate)]
        return _add(server, address, grpc.ssl_server_credentials(chain, papers.authority, require_client_auth=True))

    def worker(self, context: grpc.ServicerContext) -> str:
        """See `LearnerTrust.worker`."""
        shown = cast("Mapping[str, Iterable[bytes]]", context.auth_context())
        name = name_in([uri.decode("utf-8", "replace") for uri in shown.get("peer_uri", ())])
        if name is None:
            raise TrustError("this certificate names no worker: use one that `skygarden certs` wrote to workers/NAME")
        return name


@final
@dataclass(frozen=True)
class Token:
    """A worker that shows a token; with the file of an authority it knows the learner by it, over TLS."""

    token: str = field(repr=False)
    authority: Path | None = None  # authority.pem
    clock: Clock = utc_now

    def __post_init__(self) -> None:
        _check_token(self.token, "the token")

    def channel(self, address: str, options: Sequence[Option] = ()) -> grpc.Channel:
        """See `WorkerTrust.channel`. Plain text goes through no proxy: that would carry it off this machine."""
        if self.authority is None:
            _refuse_plain(address, "give this worker certificates, or with its token the learner's authority.pem")
            return grpc.insecure_channel(address, [*options, ("grpc.enable_http_proxy", 0)])
        split_address(address)
        pem = read_pem(self.authority)
        check_certificate(pem, self.clock(), self.authority)
        return grpc.secure_channel(address, grpc.ssl_channel_credentials(pem), list(options))

    def metadata(self, name: str) -> tuple[tuple[str, str], ...]:
        """See `WorkerTrust.metadata`."""
        return ((WORKER_KEY, name), (TOKEN_KEY, self.token))


@final
@dataclass(frozen=True)
class Certificate:
    """A worker that shows a certificate, of a folder that `skygarden certs` wrote."""

    folder: Path
    clock: Clock = utc_now

    @property
    def name(self) -> str:
        """Of the worker. Raises: TrustError: the papers are no worker's."""
        name = Papers.read(self.folder).worker
        if name is None:
            raise TrustError(f"{self.folder} is not for a worker: take a folder workers/NAME of `skygarden certs`")
        return name

    def channel(self, address: str, options: Sequence[Option] = ()) -> grpc.Channel:
        """See `WorkerTrust.channel`. What a learner would turn away without a word is told here."""
        split_address(address)
        papers = Papers.read(self.folder).check("worker", self.clock(), self.folder)
        shown = grpc.ssl_channel_credentials(papers.authority, papers.key, papers.certificate)
        return grpc.secure_channel(address, shown, list(options))

    def metadata(self, name: str) -> tuple[tuple[str, str], ...]:
        """See `WorkerTrust.metadata`."""
        if name != self.name:
            raise TrustError(f"{self.folder} is of worker {self.name}, not of {name}; use its own name or other papers")
        return ()


def explain(address: str, details: str) -> str:
    """Why a learner cannot be reached, in words that help, from the details of an error UNAVAILABLE.

    The learner's side of a handshake tells nothing: who is turned away there only finds the line closed.
    """
    host = split_address(address)[0]
    reasons = (
        ("unable to get local issuer", "its certificate is of another authority: copy the folders of one authority"),
        ("self signed certificate", "its certificate is of no authority: copy the folders of one authority"),
        ("certificate signature failure", "its certificate is forged or of another authority: copy the folders of one"),
        ("certificate has expired", "its certificate ended, or this clock is wrong: renew it with `skygarden certs`"),
        ("certificate is not yet valid", "its certificate is not valid yet: set both machines' clocks"),
        ("unsupported certificate purpose", "what answers has a worker's certificate, which no learner has: beware"),
        ("Hostname Verification", f"its certificate is not for {host}: `skygarden certs DIR --learner {host} ...`"),
        (
            "WRONG_VERSION_NUMBER",
            "what answers speaks no TLS: is this the learner's port, and has it certificates?",
        ),
        ("Socket closed", _CLOSED),
        (
            "Connection reset",
            "it closed the line: it does not accept these papers (another authority, or over), or ends",
        ),
        ("Connection refused", "nothing listens there: is it running, and is the port right?"),
        ("errors resolving", f"there is no machine called {host}, or no name service here"),
        ("DNS resolution failed", f"there is no machine called {host}, or no name service here"),
    )
    reason = next((reason for sign, reason in reasons if sign in details), details)
    return f"no learner to speak to at {address}: {reason}"


def split_address(address: str) -> tuple[str, int]:
    """Host and port of an address. Raises: OptionError: it is not of the form HOST:PORT."""
    match = _ADDRESS.fullmatch(address)
    if match is None or int(match[3]) > 65535:
        raise OptionError(f"an address is HOST:PORT, such as learner.example.org:50051 or [::1]:50051; got {address!r}")
    return match[1] or match[2], int(match[3])


def is_loopback(address: str) -> bool:
    """Whether what is sent to HOST:PORT stays on this machine: 127.0.0.0/8, ::1 or localhost."""
    host = split_address(address)[0]
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _refuse_plain(address: str, mend: str) -> None:
    if not is_loopback(address):
        raise TrustError(
            f"plain text is spoken on this machine only (127.0.0.1, ::1, localhost), not at {address}; {mend}"
        )


def _check_token(token: str, whose: str) -> None:
    if not _TOKEN.fullmatch(token):
        raise OptionError(f"{whose} has to be of ASCII letters, digits and signs, without spaces, and not empty")


def _digest(token: str | bytes) -> bytes:
    """Of one length, whatever the token's: comparing takes a time that depends on lengths."""
    return hashlib.sha256(token if isinstance(token, bytes) else token.encode("utf-8", "surrogatepass")).digest()


def _add(server: grpc.Server, address: str, credentials: grpc.ServerCredentials | None) -> int:
    split_address(address)
    try:
        if credentials is None:
            return server.add_insecure_port(address)
        return server.add_secure_port(address, credentials)
    except RuntimeError as error:
        raise DeliveryError(f"cannot listen on {address}: {error}; is another learner running there?") from error
