"""The learner's side of the wire: a gRPC server before the desk.

Whoever calls says in the call's metadata who it is, and shows the token that this worker was given. A stream holds a
thread for what goes out and one for what comes in.
"""

import hmac
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, NoReturn, cast

import grpc
from torch import Tensor

from envs.episode import Episode
from envs.errors import DataError, DeliveryError
from rollout.codec import MESSAGE_LIMIT, PROTOCOL, Stamp, decode, encode_head, read_key, wire_key
from rollout.desk import Acknowledged, Assignment, Desk, Note, Seat
from rollout.wire import rollout_pb2 as wire

SERVICE: Final = "skygarden.rollout.v1.Rollout"
OPTIONS: Final = (
    ("grpc.max_send_message_length", MESSAGE_LIMIT),
    ("grpc.max_receive_message_length", MESSAGE_LIMIT),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),  # below the client's period, or it is sent away
    ("grpc.so_reuseport", 0),  # two learners on one port would share the workers
)
_PIECE: Final = 4 * 2**20  # bytes, of a policy's file
_MOST_STREAMS: Final = 128

log = logging.getLogger(__name__)


class RolloutServer:
    """Serves a desk to workers.

    Args: desk: where they sit. policy: the file that they fetch. tokens: of the workers that are known, by name.
      address: to listen on; with port 0 a free one is found.
    Raises: DeliveryError: the address cannot be listened on.
    """

    def __init__(self, desk: Desk, policy: Path, tokens: Mapping[str, str], address: str = "127.0.0.1:0") -> None:
        self._desk, self._policy, self._tokens = desk, policy, dict(tokens)
        self._heads: dict[int, list[wire.Tensor]] = {}
        self._threads = ThreadPoolExecutor(_MOST_STREAMS, "stream")
        self._server: Any = grpc.server(self._threads, options=OPTIONS)
        self._server.add_generic_rpc_handlers((self._handlers(),))
        try:
            self.port: Final[int] = self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise DeliveryError(f"cannot listen on {address}: {error}; is another learner running there?") from error
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

    def close(self) -> None:
        """Send the workers home and stop."""
        self._desk.close()
        self._server.stop(grace=2).wait()
        self._threads.shutdown(wait=False)  # gRPC leaves them

    def _handlers(self) -> Any:
        made = cast("Any", grpc)
        return made.method_handlers_generic_handler(
            SERVICE,
            {
                "GetPolicy": made.unary_stream_rpc_method_handler(
                    self._get_policy, wire.GetPolicyRequest.FromString, wire.PolicyPiece.SerializeToString
                ),
                "Play": made.stream_stream_rpc_method_handler(
                    self._play, wire.FromWorker.FromString, wire.FromLearner.SerializeToString
                ),
            },
        )

    def _get_policy(self, _: wire.GetPolicyRequest, context: Any) -> Iterator[wire.PolicyPiece]:
        self._worker(context)
        with self._policy.open("rb") as file:
            while piece := file.read(_PIECE):
                yield wire.PolicyPiece(data=piece)

    def _play(self, messages: Iterator[wire.FromWorker], context: Any) -> Iterator[wire.FromLearner]:
        worker = self._worker(context)
        first = next(messages, None)
        if first is None or first.WhichOneof("message") != "hello":
            _abort(context, grpc.StatusCode.FAILED_PRECONDITION, "the first message of a worker is hello")
        if first.hello.protocol != PROTOCOL:
            reason = f"this learner speaks protocol {PROTOCOL}, got {first.hello.protocol}; install the same version"
            _abort(context, grpc.StatusCode.FAILED_PRECONDITION, reason)
        try:
            seat = self._desk.sit(worker, first.hello.incarnation)
        except DeliveryError as error:
            _abort(context, grpc.StatusCode.UNAVAILABLE, str(error))
        threading.Thread(target=self._read, args=(messages, seat), name=f"from {worker}", daemon=True).start()
        log.info("worker %s is at work", worker)
        contract = self._desk.contract
        yield wire.FromLearner(
            welcome=wire.Welcome(trunk=contract.trunk, context=contract.context, temperature=contract.temperature)
        )
        has: int | None = None  # version of the head
        for note in _until_none(seat.outbox.get):
            yield self._message(note, has)
            if isinstance(note, Assignment):
                has = note.version

    def _read(self, messages: Iterator[wire.FromWorker], seat: Seat) -> None:
        try:
            for message in messages:
                if message.WhichOneof("message") == "episode":
                    self._take_in(seat, message.episode)
                elif message.WhichOneof("message") == "dropped":
                    dropped = message.dropped
                    self._desk.drop(seat, dropped.assignment, dropped.index, dropped.reason[:200])
        except grpc.RpcError:  # the worker is gone, which the call's own end tells
            pass
        self._leave(seat)

    def _take_in(self, seat: Seat, message: wire.Episode) -> None:
        try:
            episode, stamp = decode(message)
        except DataError as error:
            self._desk.refuse(seat, read_key(message.key), message.assignment, message.index, str(error))
            return
        self._desk.accept(seat, episode, stamp)

    def _leave(self, seat: Seat) -> None:
        self._desk.leave(seat)
        seat.outbox.put(None)

    def _message(self, note: Note, has: int | None) -> wire.FromLearner:
        if isinstance(note, Assignment):
            return wire.FromLearner(
                assignment=wire.Assignment(
                    number=note.number,
                    version=note.version,
                    head=[] if has == note.version else self._heads[note.version],
                    seeds=note.seeds,
                    sampling_seed=note.sampling_seed,
                )
            )
        if isinstance(note, Acknowledged):
            return wire.FromLearner(acknowledged=wire.Acknowledged(key=wire_key(note.key)))
        return wire.FromLearner(refused=wire.Refused(key=wire_key(note.key), reason=note.reason))

    def _worker(self, context: Any) -> str:
        """Who calls; ends the call of whoever is not known."""
        metadata = dict(cast("Iterable[tuple[str, str]]", context.invocation_metadata()))
        worker, token = metadata.get("skygarden-worker", ""), metadata.get("skygarden-token", "")
        known = self._tokens.get(worker)
        if known is None or not hmac.compare_digest(known.encode(), token.encode()):
            log.warning("turned away %r at %s: not a worker of this run", worker[:64], context.peer())
            _abort(context, grpc.StatusCode.UNAUTHENTICATED, "not a worker of this run: check its name and its token")
        return worker


def _until_none(get: Callable[[], Note | None]) -> Iterator[Note]:
    while (note := get()) is not None:
        yield note


def _abort(context: Any, code: Any, reason: str) -> NoReturn:
    context.abort(code, reason)
    raise AssertionError("abort raises")
