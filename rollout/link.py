"""A worker's line to the learner: reports go up, assignments come down, and a stream that breaks is made anew.

A report is in the spool before it is sent and stays there until it is answered, so neither a lost connection nor a
learner that is started again loses one or sends one to no end. Whoever plays knows nothing of that: it asks for the
next assignment and reports what came of it.
"""

import logging
import random
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

import grpc

from agents.checkpoint import load_policy
from agents.policy import Policy
from envs.errors import DeliveryError, SkygardenError
from rollout.codec import MESSAGE_LIMIT, PROTOCOL, read_key
from rollout.keys import Key
from rollout.server import OPTIONS, SERVICE
from rollout.spool import Spool
from rollout.trust import WorkerTrust
from rollout.wire import rollout_pb2 as wire

_FIRST_WAIT, _LONGEST_WAIT = 0.2, 3.0  # seconds before another try
_SILENCE: Final = 5  # heartbeats without a word from the learner after which its stream is given up
_CALL: Final = 3600.0  # seconds that a stream may last; the next goes on where it was
_FETCH: Final = 600.0  # seconds for the whole policy
_FATAL: Final = (
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.INVALID_ARGUMENT,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class LinkConfig:
    """Whom a worker works for, and as whom."""

    learner: str  # HOST:PORT
    name: str
    trust: WorkerTrust
    spool: Path  # folder in which what is not answered yet is kept
    patience: float = 300.0  # seconds without a learner after which the worker gives up; may be infinite


@dataclass(slots=True)
class _Stream:
    """One call, from hello until it breaks."""

    heard: float
    credits: int = 0
    heartbeat: float = 2.0  # seconds
    welcome: bool = False
    asked: bool = False  # for an assignment
    beat: float = 0.0  # when the last heartbeat was sent
    farewell: bool = False
    over: bool = False
    sent: set[Key] = field(default_factory=set[Key])  # without an answer
    call: Any = None


class Link:
    """Keeps the line; every method may be called from any thread.

    Args: progress: what a heartbeat tells: steps and episodes so far.
    """

    def __init__(self, config: LinkConfig, progress: Callable[[], tuple[int, int]]) -> None:
        self._config, self._progress = config, progress
        options: Any = [*OPTIONS, ("grpc.max_receive_message_length", MESSAGE_LIMIT), ("grpc.enable_retries", 0)]
        self._channel: Any = config.trust.channel(config.learner, options)
        self._changed = threading.Condition()
        self._incarnation = time.time_ns()
        self._sequence = 0
        self._spool: Spool | None = None
        self._contract: wire.Welcome | None = None
        self._to_make: dict[int, int] = {}  # reports, by assignment
        self._made: dict[Key, int] = {}  # assignments of reports without an answer
        self._given: deque[wire.Assignment] = deque()
        self._asking = False
        self._leaving = False
        self._over: str | None = None  # why the learner wants no more
        self._failed: DeliveryError | None = None
        self._stream: _Stream | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._keep, name="link", daemon=True)
        self._thread.start()
        threading.Thread(target=self._watch, name="link watch", daemon=True).start()

    def contract(self) -> wire.Welcome:
        """What all episodes have in common; waits for the learner.

        Raises: DeliveryError: it cannot be reached, or sends this worker away.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._contract or self._ended)
            if self._contract is None:
                raise self._failed or DeliveryError(f"the learner is done: {self._over}")
            return self._contract

    def policy(self) -> Policy:
        """The learner's policy.

        Raises: DeliveryError: as `contract`. CheckpointError: what came is no policy.
        """
        get = self._channel.unary_stream(
            f"/{SERVICE}/GetPolicy",
            request_serializer=wire.GetPolicyRequest.SerializeToString,
            response_deserializer=wire.PolicyPiece.FromString,
        )
        metadata = self._config.trust.metadata(self._config.name)
        for wait in _waits():
            try:
                pieces: Iterator[wire.PolicyPiece] = get(wire.GetPolicyRequest(), metadata=metadata, timeout=_FETCH)
                with tempfile.TemporaryDirectory() as folder:
                    path = Path(folder) / "policy.safetensors"
                    with path.open("wb") as file:
                        for piece in pieces:
                            file.write(piece.data)
                    return load_policy(path)[0]
            except grpc.RpcError as error:
                log.warning("the policy did not come: %s", cast("Any", error).details())
            with self._changed:
                if self._changed.wait_for(lambda: self._ended, wait):
                    break
        raise self._failed or DeliveryError(f"the learner is done: {self._over}")

    def ask(self, stop: Callable[[], bool] = lambda: False) -> wire.Assignment | None:
        """The next assignment; waits for one. None: there are no more, or `stop` holds, which `nudge` has looked at.

        Raises: DeliveryError: the learner was away for too long, or sends this worker away.
        """
        with self._changed:
            self._asking = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._given or self._ended or stop())
            self._asking = False
            if self._failed:
                raise self._failed
            return self._given.popleft() if self._given and not stop() else None

    def nudge(self) -> None:
        """Have whoever asks look at its `stop`."""
        with self._changed:
            self._changed.notify_all()

    def report(self, assignment: int, fill: Callable[[Key], wire.FromWorker]) -> None:
        """Report what came of an episode; returns when that is on the disk.

        Args: fill: makes the report with its key.
        Raises: DeliveryError: the disk takes no more.
        """
        with self._changed:
            key = Key(self._config.name, self._incarnation, self._sequence)
            self._sequence += 1
            spool = self._spool
        if spool is None:
            raise DeliveryError("a report belongs to an assignment, and none has come")
        spool.add(key, fill(key).SerializeToString())
        with self._changed:
            self._made[key] = assignment
            self._to_make[assignment] -= 1
            if not self._to_make[assignment]:
                del self._to_make[assignment]
            self._changed.notify_all()

    def leave(self, patience: float) -> bool:
        """Deliver what is left and say goodbye; returns whether all was delivered in so many seconds."""
        with self._changed:
            self._leaving = True
            self._changed.notify_all()
        self._thread.join(patience)
        return not self._spooled

    def close(self) -> None:
        """Hang up; what is in the spool stays there."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(timeout=1.0)
        self._channel.close()  # ends a call that does not end by itself
        self._thread.join()

    @property
    def _ended(self) -> bool:
        return self._over is not None or self._failed is not None or self._closed

    @property
    def _spooled(self) -> int:
        return len(self._spool) if self._spool else 0

    def _keep(self) -> None:
        """Have a stream as long as there is a learner."""
        last, waits = time.monotonic(), _waits()
        while not self._ended:
            stream = _Stream(time.monotonic())
            reason = self._talk(stream)
            with self._changed:
                stream.over = True
                self._changed.notify_all()
                now = time.monotonic()
                if stream.welcome:
                    last, waits = now, _waits()
                if self._ended or (self._leaving and not self._spooled):
                    return
                if now - last > self._config.patience:
                    self._failed = DeliveryError(
                        f"no learner at {self._config.learner} for {self._config.patience:g} seconds ({reason}); check "
                        f"the address and start this worker again: {self._spooled} reports wait in {self._config.spool}"
                    )
                    self._changed.notify_all()
                    return
                log.warning("no line to the learner at %s (%s); trying again", self._config.learner, reason)
                self._changed.wait_for(lambda: self._ended, next(waits))

    def _talk(self, stream: _Stream) -> str:
        """One stream; returns why it ended."""
        play = self._channel.stream_stream(
            f"/{SERVICE}/Play",
            request_serializer=_bytes_of,
            response_deserializer=wire.FromLearner.FromString,
        )
        try:
            metadata = self._config.trust.metadata(self._config.name)
            stream.call = play(self._say(stream), metadata=metadata, timeout=_CALL)
            with self._changed:
                self._stream = stream
            for message in stream.call:
                self._hear(stream, message)
            return "the learner ended the call"
        except grpc.RpcError as error:
            call = cast("Any", error)
            if call.code() in _FATAL:
                with self._changed:
                    self._failed = DeliveryError(
                        f"the learner at {self._config.learner} sends us away: {call.details()}"
                    )
                    self._changed.notify_all()
            return str(call.details())
        except SkygardenError as error:
            with self._changed:
                self._failed = DeliveryError(str(error))
                self._changed.notify_all()
            return str(error)

    def _hear(self, stream: _Stream, message: wire.FromLearner) -> None:
        with self._changed:
            stream.heard = time.monotonic()
            kind = message.WhichOneof("message")
            if kind == "welcome":
                self._greet(stream, message.welcome)
            elif kind == "assignment":
                stream.asked = False
                self._to_make[message.assignment.number] = len(message.assignment.wanted)
                self._given.append(message.assignment)
            elif kind == "acknowledged" and self._spool:
                key = read_key(message.acknowledged.key)
                self._settle(stream, key)
                self._spool.remove(key)
            elif kind == "refused" and self._spool:
                key = read_key(message.refused.key)
                log.warning("the learner refused episode %d: %s", key.sequence, message.refused.reason)
                self._settle(stream, key)
                self._spool.set_aside(key)
            elif kind == "finished":
                self._over = message.finished.reason
            self._changed.notify_all()

    def _settle(self, stream: _Stream, key: Key) -> None:
        stream.sent.discard(key)
        self._made.pop(key, None)

    def _greet(self, stream: _Stream, welcome: wire.Welcome) -> None:
        if self._contract is None:
            self._spool = Spool(self._config.spool / welcome.run, self._config.name)
            self._contract = welcome
            log.info("at work for run %s; %d reports wait in the spool", welcome.run, len(self._spool))
        elif (welcome.run, welcome.trunk) != (self._contract.run, self._contract.trunk):
            self._failed = DeliveryError(
                f"the learner at {self._config.learner} is another run's now ({welcome.run}); start this worker again"
            )
            return
        stream.welcome, stream.credits, stream.heartbeat = True, welcome.credits, welcome.heartbeat

    def _say(self, stream: _Stream) -> Iterator[wire.FromWorker | bytes]:
        """What goes up in a stream; gRPC takes it from a thread of its own."""
        with self._changed:
            held = sorted({*self._to_make, *self._made.values()})
            hello = wire.Hello(protocol=PROTOCOL, incarnation=self._incarnation, assignments=held)
        yield wire.FromWorker(hello=hello)
        while True:
            with self._changed:
                message = self._next(stream)
                while message is None and not self._hung_up(stream):
                    self._changed.wait(stream.heartbeat / 2)
                    message = self._next(stream)
                if message is None:
                    return
            yield message
            if stream.farewell:
                return

    def _hung_up(self, stream: _Stream) -> bool:
        return stream.over or self._closed or self._over is not None or self._failed is not None

    def _next(self, stream: _Stream) -> wire.FromWorker | bytes | None:
        """What is to be said now, if anything is."""
        if not stream.welcome or self._spool is None or self._hung_up(stream):
            return None
        if time.monotonic() - stream.beat >= stream.heartbeat:
            stream.beat = time.monotonic()
            steps, episodes = self._progress()
            beat = wire.Heartbeat(steps=steps, episodes=episodes, spooled=len(self._spool))
            return wire.FromWorker(heartbeat=beat)
        unsent = [key for key in self._spool.waiting if key not in stream.sent]
        if unsent and len(stream.sent) < stream.credits:
            stream.sent.add(unsent[0])
            if (data := self._spool.read(unsent[0])) is not None:
                return data
            stream.sent.discard(unsent[0])
        if self._leaving and not self._spool.waiting:
            stream.farewell = True
            return wire.FromWorker(goodbye=wire.Goodbye())
        earlier = any(key.incarnation != self._incarnation for key in self._spool.waiting)
        if self._asking and not (stream.asked or self._given or unsent or earlier or self._leaving):
            stream.asked = True
            return wire.FromWorker(ready=wire.Ready())
        return None

    def _watch(self) -> None:
        """Give up a stream in which the learner has said nothing for too long: a link that is cut makes no sound."""
        while not self._ended:
            with self._changed:
                self._changed.wait_for(lambda: self._ended, 1.0)
                stream = self._stream
                silent = stream and time.monotonic() - stream.heard > _SILENCE * stream.heartbeat
            if stream and silent and not stream.over:
                stream.call.cancel()


def _bytes_of(message: wire.FromWorker | bytes) -> bytes:
    return message if isinstance(message, bytes) else message.SerializeToString()


def _waits() -> Iterator[float]:
    """Seconds to wait before each try: twice as long every time, and no two workers the same."""
    longest = _FIRST_WAIT
    while True:
        yield random.uniform(longest / 2, longest)
        longest = min(_LONGEST_WAIT, 2 * longest)
