"""The learner's side of the wire: a gRPC server before the desk.

A stream holds a thread for what goes out and one for what comes in. What callers may cost us is bounded, by the figures
of `rollout.identity.door`: a connection holds at most 0.1 MiB, and all of them 200 MiB. A worker holds 32 MiB more at
most, however many connections and calls it makes: eight messages that come and two that go, the largest a head of 4.5
MB, nine reports on their way to the disk, and 256 short notes that it has not read. It is read at the agreed pace.
"""

import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Empty
from typing import Any, Final, NoReturn, cast

import grpc
from torch import Tensor

from envs.episode import Episode
from envs.errors import DataError, DeliveryError, TrustError
from envs.task import MAX_STEPS
from rollout.codec import MESSAGE_LIMIT, PROTOCOL, Stamp, encode_head, read_key, wire_key
from rollout.delivery.assignment import Assignment, Contract
from rollout.delivery.reports import read_report
from rollout.delivery.seat import Acknowledged, Given, Note, Refused, Seat
from rollout.desk import CREDITS, Desk
from rollout.identity.door import Door, Limits, options
from rollout.identity.health import Health
from rollout.identity.trust import LearnerTrust
from rollout.wire import rollout_pb2 as wire

SERVICE: Final = "skygarden.rollout.v1.Rollout"
OPTIONS: Final = (  # of both sides, and none twice: of two gRPC takes the first
    ("grpc.max_send_message_length", MESSAGE_LIMIT),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),  # below the client's period, or it is sent away
    ("grpc.so_reuseport", 0),  # two learners on one port would share the workers
)
MOST_STREAMS: Final = 384  # 256 games, some that fetch the policy, and what a few take that mean harm
_BESIDES: Final = 64 * 2**10  # bytes of a report that are neither embeddings nor features: 4 KB, and room
_PIECE: Final = 2**20  # bytes, of a policy's file

log = logging.getLogger(__name__)


class RolloutServer:
    """Serves a desk to workers.

    Args: desk: where they sit. policy: the file that they fetch. trust: who is let in. address: to listen on; with port
      0 a free one is found. limits: for each worker.
    Raises: DeliveryError: the address cannot be listened on.
    """

    def __init__(
        self,
        desk: Desk,
        policy: Path,
        trust: LearnerTrust,
        address: str = "127.0.0.1:0",
        limits: Limits | None = None,
    ) -> None:
        self._desk, self._policy, self._door = desk, policy, Door(trust, limits)
        self._heads: dict[int, list[wire.Tensor]] = {}
        self._threads = ThreadPoolExecutor(MOST_STREAMS, "stream")
        own = options(self._door.limits, longest_message(desk.contract))
        self._server: Any = grpc.server(self._threads, options=(*OPTIONS, *own), maximum_concurrent_rpcs=MOST_STREAMS)
        self._server.add_generic_rpc_handlers((self._handlers(),))
        self._health = Health(self._server, self._door, SERVICE, greeted=self._door.greeted)
        self.port: Final[int] = self._door.listen(self._server, address)
        self.address: Final = f"{address.rpartition(':')[0]}:{self.port}"
        self._closed = threading.Event()
        self._calls: dict[Seat, Any] = {}
        threading.Thread(target=self._look_around, name="desk", daemon=True).start()
        self._server.start()

    def publish(self, version: int, weights: Mapping[str, Tensor], oldest: int) -> None:
        """Have a version of the head played from now on; those before `oldest` are no longer asked for."""
        heads = {number: head for number, head in self._heads.items() if number >= oldest}
        self._heads = {**heads, version: encode_head(weights)}

    def post(self, assignment: Assignment) -> None:
        """Have an assignment played."""
        self._desk.post(assignment)

    def wait(self, numbers: Sequence[int], patience: float) -> list[tuple[Episode, Stamp]]:
        """What came of assignments; see `rollout.desk.Desk.wait`."""
        return self._desk.wait(numbers, patience)

    def recover(self, keys: Tensor | None, first: int) -> None:
        """Go on from a checkpoint; see `rollout.desk.Desk.recover`."""
        self._desk.recover(keys, first)

    def keys(self) -> Tensor:
        """The keys of all that came, for a checkpoint."""
        return self._desk.keys()

    def saved(self, below: int) -> None:
        """A checkpoint holds what followed from the assignments below this one."""
        self._desk.saved(below)

    def close(self) -> None:
        """Send the workers home and stop."""
        self._health.close()
        self._desk.close()
        self._closed.set()
        self._server.stop(grace=2).wait()
        self._threads.shutdown(wait=False)  # gRPC leaves them

    def _look_around(self) -> None:
        ending: dict[Seat, float] = {}  # since when
        while not self._closed.wait(self._desk.patience.heartbeat / 2):
            self._desk.look_around()
            self._door.look_around()
            if self._desk.closed:
                self._health.serving(False)
            now = time.monotonic()
            ending = {seat: ending.get(seat, now) for seat in list(self._calls) if seat.ended}
            for seat, since in ending.items():
                if now - since > self._desk.patience.heartbeat and (call := self._calls.get(seat)):
                    call.cancel()  # it does not read that it is over

    def _handlers(self) -> Any:
        made = cast("Any", grpc)
        return made.method_handlers_generic_handler(
            SERVICE,
            {
                "GetPolicy": made.stream_stream_rpc_method_handler(  # as a unary one its thread would wait outside
                    self._get_policy, wire.GetPolicyRequest.FromString, wire.PolicyPiece.SerializeToString
                ),
                "Play": made.stream_stream_rpc_method_handler(
                    self._play, _message_and_bytes, wire.FromLearner.SerializeToString
                ),
            },
        )

    def _get_policy(self, _: Iterator[wire.GetPolicyRequest], context: Any) -> Iterator[wire.PolicyPiece]:
        self._door.fetches(self._worker(context), context)
        with self._policy.open("rb") as file:
            while piece := file.read(_PIECE):
                yield wire.PolicyPiece(data=piece)

    def _play(self, messages: Iterator[tuple[wire.FromWorker, bytes]], context: Any) -> Iterator[wire.FromLearner]:
        worker = self._worker(context)
        first = next(messages, None)
        self._door.greeted(context)
        if first is None or first[0].WhichOneof("message") != "hello":
            _abort(context, grpc.StatusCode.FAILED_PRECONDITION, "the first message of a worker is hello")
        hello = first[0].hello
        if hello.protocol != PROTOCOL:
            reason = f"this learner speaks protocol {PROTOCOL}, got {hello.protocol}; install the same version"
            _abort(context, grpc.StatusCode.FAILED_PRECONDITION, reason)
        try:
            seat = self._desk.sit(worker, hello.incarnation, hello.assignments)
        except DeliveryError as error:
            if not self._desk.closed:
                _abort(context, grpc.StatusCode.FAILED_PRECONDITION, str(error))
            yield wire.FromLearner(finished=wire.Finished(reason=str(error)))
            return
        log.info("worker %s/%d is at work from %s", worker, hello.incarnation, context.peer())
        threading.Thread(target=self._read, args=(messages, seat), name=f"from {worker}", daemon=True).start()
        self._calls[seat] = context
        try:
            yield self._welcome()
            yield from self._tell(seat)
        finally:
            del self._calls[seat]

    def _welcome(self) -> wire.FromLearner:
        contract = self._desk.contract
        return wire.FromLearner(
            welcome=wire.Welcome(
                trunk=contract.trunk,
                context=contract.context,
                temperature=contract.temperature,
                run=self._desk.run,
                credits=CREDITS,
                heartbeat=self._desk.patience.heartbeat,
                reads=contract.reads,
            )
        )

    def _tell(self, seat: Seat) -> Iterator[wire.FromLearner]:
        has: int | None = None  # version of the head
        while True:
            try:
                note = seat.outbox.get(timeout=self._desk.patience.heartbeat)
            except Empty:
                if seat.ended:
                    return
                yield wire.FromLearner(alive=wire.Alive())
                continue
            if note is None:
                return
            yield self._message(note, has)
            if isinstance(note, Given):
                has = note.assignment.version

    def _read(self, messages: Iterator[tuple[wire.FromWorker, bytes]], seat: Seat) -> None:
        pace = self._door.messages(seat.worker)
        for_good = False
        try:
            for message, data in messages:
                if seat.ended:
                    break
                self._desk.wait_for_room()
                refused = seat.refused
                for_good = self._hear(seat, message, data)
                time.sleep(pace.spend(self._door.limits.refusal if seat.refused > refused else 1))
        except grpc.RpcError:  # the worker is gone, which the call's own end tells
            pass
        finally:
            self._desk.leave(seat, for_good=for_good)

    def _hear(self, seat: Seat, message: wire.FromWorker, data: bytes) -> bool:
        """Do what a message says; returns whether its worker leaves for good."""
        kind = message.WhichOneof("message")
        if kind in {"episode", "dropped"}:
            self._take_in(seat, message, data)
        elif kind == "ready":
            self._desk.ready(seat)
        elif kind == "heartbeat":
            beat = message.heartbeat
            self._desk.beat(seat, beat.steps, beat.episodes, beat.spooled)
        return kind == "goodbye"

    def _take_in(self, seat: Seat, message: wire.FromWorker, data: bytes) -> None:
        try:
            self._desk.accept(seat, read_report(message), data)
        except DataError as error:
            sent = message.episode if message.WhichOneof("message") == "episode" else message.dropped
            self._desk.refuse(seat, read_key(sent.key), sent.assignment, sent.index, str(error))

    def _message(self, note: Note, has: int | None) -> wire.FromLearner:
        if isinstance(note, Given):
            assignment = note.assignment
            return wire.FromLearner(
                assignment=wire.Assignment(
                    number=assignment.number,
                    version=assignment.version,
                    head=[] if has == assignment.version else self._heads[assignment.version],
                    seeds=assignment.seeds,
                    sampling_seed=assignment.sampling_seed,
                    wanted=note.wanted,
                )
            )
        if isinstance(note, Acknowledged):
            return wire.FromLearner(acknowledged=wire.Acknowledged(key=wire_key(note.key)))
        if isinstance(note, Refused):
            return wire.FromLearner(refused=wire.Refused(key=wire_key(note.key), reason=note.reason))
        return wire.FromLearner(finished=wire.Finished(reason=note.reason))

    def _worker(self, context: Any) -> str:
        """Who calls; ends the call of whoever is not known."""
        try:
            return self._door.worker(context)
        except TrustError as error:
            log.warning("turned away a call from %s: %s", context.peer(), error)
            _abort(context, grpc.StatusCode.UNAUTHENTICATED, str(error))


def longest_message(contract: Contract) -> int:
    """Bytes of the longest message that a worker has reason to send."""
    return (2 if contract.reads == "embeddings" else 1) * MAX_STEPS * contract.width * 2 + _BESIDES


def _message_and_bytes(data: bytes) -> tuple[wire.FromWorker, bytes]:
    return wire.FromWorker.FromString(data), data


def _abort(context: Any, code: Any, reason: str) -> NoReturn:
    context.abort(code, reason)
    raise AssertionError("abort raises")
