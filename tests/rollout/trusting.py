"""What tests of trust share: two authorities that do not know each other, papers of any age, and a tiny service that
answers with the name of who calls."""

import contextlib
import tempfile
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509

from envs.errors import TrustError
from rollout.identity.certificates import Authority
from rollout.identity.papers import Papers, Role, read_key, utc_now
from rollout.identity.trust import Certificate, LearnerTrust, MutualTls, WorkerTrust

PATIENCE = 20.0  # seconds, which no test waits
ANN, BOB = "token-of-ann-0123", "token-of-bob-0123"
TOKENS = {"ann": ANN, "bob": BOB}
PAIR = (("skygarden-worker", "ann"), ("skygarden-token", ANN))  # what Ann says of herself
UNAVAILABLE, UNAUTHENTICATED = grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNAUTHENTICATED
HERE = ("localhost", "127.0.0.1", "::1")


def days_from_now(days: float) -> Callable[[], datetime]:
    """A clock that is before or behind."""
    return lambda: utc_now() + timedelta(days=days)


class Realm:
    """An authority that is a year old, and folders of papers that it gives out."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        Authority.make(folder / "authority", days_from_now(-365))
        self.authority = self.at(0)

    def at(self, days: float) -> Authority:
        """The authority as it was or will be."""
        return Authority.load(self.folder / "authority", days_from_now(days))

    def place(self, papers: Papers) -> Path:
        """A new folder with papers."""
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        papers.write(folder)
        return folder

    def learner(self, *hosts: str, at: float = 0) -> Path:
        """The folder of a learner; its papers were made some days from now and are valid for 30."""
        return self.place(self.at(at).issue_learner(hosts or HERE))

    def worker(self, name: str, at: float = 0) -> Path:
        """The folder of a worker."""
        return self.place(self.at(at).issue_worker(name))

    def forged(self, role: Role, *names: x509.GeneralName) -> Papers:
        """Papers in order but for what they say: any names for any role."""
        key = self.authority.issue_worker("any").key
        made: Any = self.authority
        public = read_key(key, "test").public_key()
        return Papers(key, made._certify(public, role, "forged", x509.SubjectAlternativeName(names), 1), made.pem)


@dataclass(frozen=True)
class Anything:
    """Shows papers without a look at them, as one who means harm does."""

    papers: Papers

    def channel(self, address: str, options: Any = ()) -> grpc.Channel:
        """Dial."""
        shown = grpc.ssl_channel_credentials(self.papers.authority, self.papers.key, self.papers.certificate)
        return grpc.secure_channel(address, shown, options)

    def metadata(self, name: str) -> tuple[tuple[str, str], ...]:
        """Nothing."""
        return ()

    def listen(self, server: grpc.Server, address: str) -> int:
        """Pretend to be the learner."""
        chain = [(self.papers.key, self.papers.certificate)]
        return server.add_secure_port(address, grpc.ssl_server_credentials(chain))

    def worker(self, context: grpc.ServicerContext) -> str:
        """Take anybody."""
        return "anybody"

    @property
    def anonymous_health(self) -> bool:
        """Tell anybody."""
        return True


@contextlib.contextmanager
def served(
    trust: LearnerTrust, *extend: Callable[[grpc.Server], object], address: str = "127.0.0.1:0"
) -> Generator[int, None, None]:
    """The port of a server whose one method, /Test/Who, answers with the caller's name.

    Args: extend: what to do with the server before it starts.
    """

    def who(_: bytes, context: grpc.ServicerContext) -> bytes:
        try:
            return trust.worker(context).encode()
        except TrustError as error:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, str(error))
            raise

    threads = ThreadPoolExecutor(4)
    server = grpc.server(threads, options=[("grpc.so_reuseport", 0)])
    made: Any = grpc
    handlers = {"Who": made.unary_unary_rpc_method_handler(who)}
    server.add_generic_rpc_handlers((made.method_handlers_generic_handler("Test", handlers),))
    for add in extend:
        add(server)
    port = trust.listen(server, address)
    server.start()
    try:
        yield port
    finally:
        server.stop(None).wait()
        threads.shutdown()


def ask(trust: WorkerTrust, port: int, name: str = "ann", host: str = "127.0.0.1", extra: Any = ()) -> str:
    """Call with the papers of `trust`; the name that the server knows the caller by."""
    with trust.channel(f"{host}:{port}", [("grpc.enable_retries", 0)]) as channel:
        call: Any = channel.unary_unary("/Test/Who")
        return call(b"", metadata=(*trust.metadata(name), *extra), timeout=PATIENCE).decode()


def refusal(trust: WorkerTrust, port: int, name: str = "ann", host: str = "127.0.0.1") -> tuple[Any, str]:
    """How a call is refused: gRPC's code and words."""
    with pytest.raises(grpc.RpcError) as error:
        ask(trust, port, name, host)
    call: Any = error.value
    return call.code(), call.details()


def mutual(realm: Realm, name: str = "ann") -> tuple[MutualTls, Certificate]:
    """Both sides in order."""
    return MutualTls(realm.learner()), Certificate(realm.worker(name))
