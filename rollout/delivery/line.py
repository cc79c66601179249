"""The stream under a worker's link: made anew when it breaks, given up when it is silent.

One thread has the stream and hears what comes down, gRPC's own takes what goes up, and a third notices silence.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

import grpc

from envs.errors import DeliveryError, SkygardenError
from rollout.codec import PROTOCOL, read_key
from rollout.delivery.keys import Key
from rollout.delivery.ledger import Ledger
from rollout.identity.trust import WorkerTrust, explain
from rollout.server import SERVICE
from rollout.wire import rollout_pb2 as wire

_FIRST_WAIT, _LONGEST_WAIT = 0.2, 2.0  # seconds before another try
_LEAVING_WAIT: Final = 0.5  # likewise, at most, when there is no time to lose
_SILENCE: Final = 5  # heartbeats without a word from the learner after which its stream is given up
_CALL: Final = 3600.0  # seconds that a stream may last; the next goes on where it was
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
class State:
    """What a link and its line tell each other; whoever looks at it or changes it holds `changed`."""

    incarnation: int
    ledger: Ledger
    contract: wire.Welcome | None = None
    asking: bool = False  # for an assignment
    leaving: bool = False
    closed: bool = False
    connected: bool = False
    connections: int = 0  # so far, as the next
    refused: int = 0  # reports
    over: str | None = None  # why the learner wants no more
    failed: SkygardenError | None = None
    changed: threading.Condition = field(default_factory=threading.Condition)

    @property
    def ended(self) -> bool:
        """Whether there will be no other stream."""
        return self.over is not None or self.failed is not None or self.closed


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
    silent: bool = False  # for too long
    sent: set[Key] = field(default_factory=set[Key])  # without an answer
    call: Any = None


class Line:
    """Has a stream as long as there is a learner, from threads of its own.

    Args: dial: makes a channel to the learner; every stream has its own, so that papers which were renewed are shown.
      progress: what a heartbeat tells: steps and episodes so far. at_end: called when there will be no other stream.
    """

    def __init__(
        self,
        config: LinkConfig,
        dial: Callable[[], Any],
        state: State,
        progress: Callable[[], tuple[int, int]],
        at_end: Callable[[], None],
    ) -> None:
        self._config, self._dial, self._state = config, dial, state
        self._channel: Any = None  # of the stream
        self._progress, self._at_end = progress, at_end
        self._stream: _Stream | None = None
        self._thread = threading.Thread(target=self._keep, name="line", daemon=True)
        self._watcher = threading.Thread(target=self._watch, name="line watch", daemon=True)
        self._thread.start()
        self._watcher.start()

    def join(self, patience: float) -> None:
        """Wait until the last stream has ended."""
        self._thread.join(patience)

    def close(self) -> None:
        """Hang up, after the link is closed."""
        self._thread.join(timeout=1.0)
        with self._state.changed:
            channel = self._channel
        if channel is not None:
            channel.close()  # ends a call that does not end by itself
        self._thread.join()
        self._watcher.join()

    def _keep(self) -> None:
        """Have a stream as long as there is a learner."""
        last, pauses = time.monotonic(), waits()
        while not self._state.ended:
            stream = _Stream(time.monotonic())
            reason = self._talk(stream)
            with self._state.changed:
                stream.over, self._state.connected = True, False
                self._state.changed.notify_all()
                now = time.monotonic()
                if stream.welcome:
                    last, pauses = now, waits()
                if self._state.ended or (self._state.leaving and not self._state.ledger):
                    return
                if now - last > self._config.patience:
                    self._state.failed = DeliveryError(
                        f"no learner at {self._config.learner} for {self._config.patience:g} seconds ({reason}); start "
                        f"this worker again when there is one: {len(self._state.ledger)} reports wait in "
                        f"{self._config.spool}"
                    )
                    self._state.changed.notify_all()
                    return
                log.warning("no line to the learner at %s (%s); trying again", self._config.learner, reason)
                self._pause(next(pauses))

    def _pause(self, seconds: float) -> None:
        """Wait before another stream; who is to leave does not wait long."""
        state, leaving = self._state, self._state.leaving
        state.changed.wait_for(
            lambda: state.ended or state.leaving is not leaving, min(seconds, _LEAVING_WAIT) if leaving else seconds
        )

    def _talk(self, stream: _Stream) -> str:
        """One stream; returns why it ended."""
        channel: Any = None
        try:
            metadata = self._config.trust.metadata(self._config.name)
            channel = self._dial()
            play = channel.stream_stream(
                f"/{SERVICE}/Play",
                request_serializer=_bytes_of,
                response_deserializer=wire.FromLearner.FromString,
            )
            with self._state.changed:
                if self._state.closed:
                    return "this worker hangs up"
                stream.call = play(self._say(stream), metadata=metadata, timeout=_CALL)
                self._channel, self._stream = channel, stream
            for message in stream.call:
                self._hear(stream, message)
            return "the learner ended the call"
        except grpc.RpcError as error:
            call = cast("Any", error)
            if stream.silent:
                return f"nothing was heard of it for {time.monotonic() - stream.heard:.1f} seconds"
            if call.code() == grpc.StatusCode.UNAVAILABLE:
                return explain(self._config.learner, str(call.details())).partition(": ")[2]
            if call.code() in _FATAL:
                with self._state.changed:
                    self._state.failed = DeliveryError(
                        f"the learner at {self._config.learner} sends us away: {call.details()}"
                    )
                    self._state.changed.notify_all()
            return str(call.details())
        except SkygardenError as error:  # papers that are not in order, for one: no other try mends them
            with self._state.changed:
                self._state.failed = error
                self._state.changed.notify_all()
            return str(error)
        finally:
            if channel is not None:
                channel.close()

    def _hear(self, stream: _Stream, message: wire.FromLearner) -> None:
        with self._state.changed:
            stream.heard = time.monotonic()
            kind = message.WhichOneof("message")
            if kind == "welcome":
                self._greet(stream, message.welcome)
            elif kind == "assignment":
                stream.asked = False
                self._state.ledger.give(message.assignment)
            elif kind == "acknowledged":
                key = read_key(message.acknowledged.key)
                stream.sent.discard(key)
                self._state.ledger.settle(key, refused=False)
            elif kind == "refused":
                key = read_key(message.refused.key)
                log.warning("the learner refused episode %d: %s", key.sequence, message.refused.reason)
                self._state.refused += 1
                stream.sent.discard(key)
                self._state.ledger.settle(key, refused=True)
            elif kind == "finished":
                self._state.over = message.finished.reason
            self._state.changed.notify_all()

    def _greet(self, stream: _Stream, welcome: wire.Welcome) -> None:
        if self._state.contract is None:
            self._state.ledger.open(self._config.spool, welcome.run)
            self._state.contract = welcome
            log.info("at work for run %s; %d reports wait in the spool", welcome.run, len(self._state.ledger))
        elif (welcome.run, welcome.trunk) != (self._state.contract.run, self._state.contract.trunk):
            self._state.failed = DeliveryError(
                f"the learner at {self._config.learner} is another run's now ({welcome.run}); start this worker again"
            )
            return
        stream.welcome, stream.credits, stream.heartbeat = True, welcome.credits, welcome.heartbeat
        self._state.connected = True
        self._state.connections += 1

    def _say(self, stream: _Stream) -> Iterator[wire.FromWorker | bytes]:
        """What goes up in a stream; gRPC takes it from a thread of its own."""
        with self._state.changed:
            held = self._state.ledger.held
            hello = wire.Hello(protocol=PROTOCOL, incarnation=self._state.incarnation, assignments=held)
        yield wire.FromWorker(hello=hello)
        while True:
            with self._state.changed:
                message = self._next(stream)
                while message is None and not self._hung_up(stream):
                    self._state.changed.wait(stream.heartbeat / 2)
                    message = self._next(stream)
                if message is None:
                    return
            yield message
            if stream.farewell:
                return

    def _hung_up(self, stream: _Stream) -> bool:
        return stream.over or self._state.closed or self._state.over is not None or self._state.failed is not None

    def _next(self, stream: _Stream) -> wire.FromWorker | bytes | None:
        """What is to be said now, if anything is."""
        if not stream.welcome or self._hung_up(stream):
            return None
        ledger = self._state.ledger
        if time.monotonic() - stream.beat >= stream.heartbeat:
            stream.beat = time.monotonic()
            steps, episodes = self._progress()
            beat = wire.Heartbeat(steps=steps, episodes=episodes, spooled=len(ledger))
            return wire.FromWorker(heartbeat=beat)
        while (unsent := ledger.unsent(stream.sent)) and len(stream.sent) < stream.credits:
            if (data := ledger.read(unsent)) is not None:
                stream.sent.add(unsent)
                return data
        if self._state.leaving and not ledger:
            stream.farewell = True
            return wire.FromWorker(goodbye=wire.Goodbye())
        if self._state.asking and not (stream.asked or ledger.given or unsent or ledger.earlier or self._state.leaving):
            stream.asked = True
            return wire.FromWorker(ready=wire.Ready())
        return None

    def _watch(self) -> None:
        """Give up a stream in which the learner has said nothing for too long: a link that is cut makes no sound."""
        while not self._state.ended:
            with self._state.changed:
                self._state.changed.wait_for(lambda: self._state.ended, 1.0)
                stream = self._stream
                silent = stream and not stream.over and time.monotonic() - stream.heard > _SILENCE * stream.heartbeat
            if stream and silent:
                stream.silent = True
                stream.call.cancel()
        self._at_end()


def _bytes_of(message: wire.FromWorker | bytes) -> bytes:
    return message if isinstance(message, bytes) else message.SerializeToString()


def waits() -> Iterator[float]:
    """Seconds to wait before each try: twice as long every time, and no two workers the same."""
    longest = _FIRST_WAIT
    while True:
        yield random.uniform(longest / 2, longest)
        longest = min(_LONGEST_WAIT, 2 * longest)
