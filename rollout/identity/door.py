"""The door before the learner's server: who comes in, and how much of the learner one of them may take.

Every call is a thread, and every message work and memory: so a worker has so many calls at a time and so many a second,
and is read no faster than so many messages a second, however many connections it makes. Those whom nobody knows share
one place among them. A call that does not say what it wants is ended.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NoReturn, final

import grpc

from envs.errors import TrustError
from rollout.identity.trust import LearnerTrust

_STRANGERS: Final = ""  # no worker's name

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one worker may take, and how long anybody may take, in seconds."""

    calls: int = 8  # of one worker at a time; those whose line broke are noticed late
    calls_a_second: float = 5.0
    calls_at_once: float = 50.0
    messages_a_second: float = 200.0  # of one worker; a game makes one every ten seconds
    messages_at_once: float = 400.0
    refusal: float = 20.0  # messages that one counts as that is refused
    policies_a_second: float = 0.1  # of one worker, to each of whose processes it goes once
    policies_at_once: float = 5.0
    handshake: float = 10.0  # from the connection to its first call's headers
    greeting: float = 10.0  # from a call to its first message
    fetching: float = 600.0  # the policy
    idle: float = 30.0  # a connection without a call
    connections: int = 2048  # in all; fewer where the system has fewer files for us
    calls_a_connection: int = 16


class Pace:
    """Counts what somebody does against what it may do in the long run, and at once. Any thread may call."""

    def __init__(self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._saved, self._then = burst, clock()
        self._lock = threading.Lock()

    def spend(self, cost: float = 1.0) -> float:
        """Do something; returns the seconds to wait after it."""
        with self._lock:
            self._saved = self._grown() - cost
            return max(0.0, -self._saved / self._rate)

    def afford(self, cost: float = 1.0) -> bool:
        """Do something if it needs no waiting."""
        with self._lock:
            self._saved = self._grown()
            enough = self._saved >= cost
            self._saved -= cost * enough
            return enough

    def _grown(self) -> float:
        now = self._clock()
        saved, self._then = min(self._burst, self._saved + (now - self._then) * self._rate), now
        return saved


class _Guest:
    """A worker, and what it takes."""

    def __init__(self, limits: Limits, clock: Callable[[], float]) -> None:
        self.inside: set[Any] = set()  # contexts of its calls
        self.calls = Pace(limits.calls_a_second, limits.calls_at_once, clock)
        self.messages = Pace(limits.messages_a_second, limits.messages_at_once, clock)
        self.policies = Pace(limits.policies_a_second, limits.policies_at_once, clock)


@final
class Door:
    """A learner's trust that also counts: it ends the calls of those who take too much, and says so to them.

    Args: clock: seconds, of a clock that never goes back.
    """

    def __init__(
        self, trust: LearnerTrust, limits: Limits | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.limits: Final = limits or Limits()
        self._trust, self._clock = trust, clock
        self._lock = threading.Lock()
        self._guests: dict[str, _Guest] = {}  # of those who are known: there are as many as names
        self._until: dict[Any, float] = {}  # when a call ends that has not said what it wants

    @property
    def anonymous_health(self) -> bool:
        """See `LearnerTrust.anonymous_health`."""
        return self._trust.anonymous_health

    def listen(self, server: grpc.Server, address: str) -> int:
        """See `LearnerTrust.listen`."""
        return self._trust.listen(server, address)

    def worker(self, context: grpc.ServicerContext) -> str:
        """See `LearnerTrust.worker`; to be called once a call. One that is too many is ended here."""
        try:
            name = self._trust.worker(context)
        except TrustError:
            self._enter(_STRANGERS, context)
            raise
        self._enter(name, context)
        return name

    def greeted(self, context: grpc.ServicerContext) -> None:
        """A call has said what it wants, and may last."""
        with self._lock:
            self._until.pop(context, None)

    def fetches(self, worker: str, context: grpc.ServicerContext) -> None:
        """A call is for the policy: it has its time. One that comes too soon after others is ended here."""
        if not self._guest(worker).policies.afford():
            _turn_away(context, worker, "fetches the policy too often; wait a little")
        with self._lock:
            if context in self._until:
                self._until[context] = self._clock() + self.limits.fetching

    def messages(self, worker: str) -> Pace:
        """The pace of a worker's messages, in all its calls."""
        return self._guest(worker).messages

    def look_around(self) -> None:
        """End the calls that have not said what they want. To be called every second or so."""
        now = self._clock()
        with self._lock:
            late = [context for context, until in self._until.items() if until <= now]
        for context in late:
            context.cancel()

    def _enter(self, name: str, context: Any) -> None:
        guest, limits = self._guest(name), self.limits
        if name != _STRANGERS and not guest.calls.afford():
            _turn_away(context, name, f"calls more than {limits.calls_a_second:g} times a second; wait a little")
        with self._lock:
            full = len(guest.inside) >= limits.calls
            if not full:
                guest.inside.add(context)
                self._until[context] = self._clock() + limits.greeting
        if full:
            _turn_away(context, name, f"has {limits.calls} calls already; end one, or wait a little")
        if not context.add_callback(lambda: self._left(guest, context)):
            self._left(guest, context)  # it is over already

    def _left(self, guest: _Guest, context: Any) -> None:
        with self._lock:
            guest.inside.discard(context)
            self._until.pop(context, None)

    def _guest(self, name: str) -> _Guest:
        with self._lock:
            if name not in self._guests:
                self._guests[name] = _Guest(self.limits, self._clock)
            return self._guests[name]


def options(limits: Limits, longest: int) -> list[tuple[str, int]]:
    """The limits that gRPC itself keeps for a server. Args: longest: bytes of a message that comes."""
    return [
        ("grpc.max_receive_message_length", longest),
        ("grpc.compression_enabled_algorithms_bitset", 1),  # none: what comes small does not become large
        ("grpc.http2.bdp_probe", 0),  # what is under way stays at 64 KiB and a message for each call
        ("grpc.max_concurrent_streams", limits.calls_a_connection),
        ("grpc.server_handshake_timeout_ms", int(1000 * limits.handshake)),
        ("grpc.max_connection_idle_ms", int(1000 * limits.idle)),
        ("grpc.max_allowed_incoming_connections", min(limits.connections, _files() // 2)),
    ]


def _files() -> int:
    """How many files and connections this process may have open: the journal needs some of them."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return 2**16
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return 2**16 if soft == resource.RLIM_INFINITY else soft


def _turn_away(context: Any, name: str, why: str) -> NoReturn:
    log.debug("turned away a call from %s at %s: it %s", name or "a stranger", context.peer(), why)
    context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"{name or 'whoever is not known'} {why}")
    raise AssertionError("abort raises")
