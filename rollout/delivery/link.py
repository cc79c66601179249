"""A worker's link to the learner: reports go up, assignments come down, and a stream that breaks is made anew.

A report is in the spool before it is sent and stays there until it is answered, so neither a lost connection nor a
learner that is started again loses one or sends one to no end. Whoever plays knows nothing of that: it asks for the
next assignment and reports what came of it.
"""

import logging
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, cast

import grpc

from agents.checkpoint import load_policy
from agents.policy import Policy
from envs.errors import DeliveryError
from rollout.codec import MESSAGE_LIMIT
from rollout.delivery.keys import Key
from rollout.delivery.ledger import Ledger
from rollout.delivery.line import Line, LinkConfig, State, waits
from rollout.server import OPTIONS, SERVICE
from rollout.status import OwnStatus
from rollout.wire import rollout_pb2 as wire

_FETCH: Final = 600.0  # seconds for the whole policy
_OPTIONS: Final = (
    *OPTIONS,
    ("grpc.max_receive_message_length", MESSAGE_LIMIT),
    ("grpc.enable_retries", 0),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 5_000),  # how long one try may take, in spite of its name
    ("grpc.max_reconnect_backoff_ms", 2_000),  # it is two minutes otherwise: a learner that is back would be waited for
    ("grpc.use_local_subchannel_pool", 1),
)

log = logging.getLogger(__name__)


class Link:
    """Keeps the line; every method may be called from any thread.

    Args: progress: what a heartbeat tells: steps and episodes so far.
    """

    def __init__(self, config: LinkConfig, progress: Callable[[], tuple[int, int]]) -> None:
        self._config, self._progress = config, progress
        self._fetch: Any = None  # the call for the policy
        incarnation = time.time_ns()
        self._state: Final = State(incarnation, Ledger(config.name, incarnation))
        self._line = Line(config, self._dial, self._state, progress, at_end=self.nudge)

    def contract(self, stop: Callable[[], bool] = lambda: False) -> wire.Welcome | None:
        """What all episodes have in common; waits for the learner. None: `stop` holds, which `nudge` has looked at.

        Raises: DeliveryError: it cannot be reached, or sends this worker away. TrustError, OptionError: see
          `rollout.identity.trust.WorkerTrust.channel`.
        """
        with self._state.changed:
            self._state.changed.wait_for(lambda: self._state.contract or self._state.ended or stop())
            if self._state.contract is None and not stop():
                raise self._state.failed or DeliveryError(f"the learner is done: {self._state.over}")
            return self._state.contract

    def policy(self, stop: Callable[[], bool] = lambda: False) -> Policy | None:
        """The learner's policy. None: `stop` holds, which `nudge` has looked at.

        Raises: DeliveryError: as `contract`. CheckpointError: what came is no policy.
        """
        for wait in waits():
            try:
                return self._fetch_policy()
            except grpc.RpcError as error:
                log.warning("the policy did not come: %s", cast("Any", error).details())
            with self._state.changed:
                if self._state.changed.wait_for(lambda: self._state.ended or stop(), wait):
                    break
        if stop():
            return None
        raise self._state.failed or DeliveryError(f"the learner is done: {self._state.over}")

    def ask(self, stop: Callable[[], bool] = lambda: False) -> wire.Assignment | None:
        """The next assignment; waits for one. None: there are no more, or `stop` holds, which `nudge` has looked at.

        Raises: DeliveryError: the learner was away for too long, or sends this worker away.
        """
        with self._state.changed:
            self._state.asking = True
            self._state.changed.notify_all()
            given = self._state.ledger.given
            self._state.changed.wait_for(lambda: given or self._state.ended or stop())
            self._state.asking = False
            if self._state.failed:
                raise self._state.failed
            return given.popleft() if given and not (self._state.ended or stop()) else None

    def nudge(self) -> None:
        """Have whoever waits look at its `stop`."""
        with self._state.changed:
            self._state.changed.notify_all()
            fetch = self._fetch
        if fetch is not None:
            fetch.cancel()

    def report(self, assignment: int, fill: Callable[[Key], wire.FromWorker]) -> None:
        """Report what came of an episode; returns when that is on the disk.

        Args: fill: makes the report with its key.
        Raises: DeliveryError: the disk takes no more.
        """
        with self._state.changed:
            key = self._state.ledger.begin(assignment)
        kept = False
        try:
            self._state.ledger.keep(key, fill(key).SerializeToString())
            kept = True
        finally:
            with self._state.changed:
                self._state.ledger.end(key, assignment, kept=kept)
                self._state.changed.notify_all()

    def status(self) -> OwnStatus:
        """How it is going."""
        with self._state.changed:
            steps, episodes = self._progress()
            return OwnStatus(
                name=self._config.name,
                connected=self._state.connected,
                connections=self._state.connections,
                steps=steps,
                episodes=episodes,
                refused=self._state.refused,
                spooled=len(self._state.ledger),
            )

    def leave(self, patience: float) -> bool:
        """Deliver what is left and say goodbye; returns whether all was delivered in so many seconds."""
        with self._state.changed:
            self._state.leaving = True
            self._state.changed.notify_all()
        self._line.join(patience)
        return not self._state.ledger

    def close(self) -> None:
        """Hang up; what is in the spool stays there."""
        with self._state.changed:
            self._state.closed = True
            self._state.changed.notify_all()
        self._line.close()

    def _dial(self) -> Any:
        return self._config.trust.channel(self._config.learner, _OPTIONS)

    def _fetch_policy(self) -> Policy:
        metadata = self._config.trust.metadata(self._config.name)
        with self._dial() as channel:
            get = channel.unary_stream(
                f"/{SERVICE}/GetPolicy",
                request_serializer=wire.GetPolicyRequest.SerializeToString,
                response_deserializer=wire.PolicyPiece.FromString,
            )
            return self._receive(get, metadata)

    def _receive(self, get: Any, metadata: Any) -> Policy:
        pieces = get(wire.GetPolicyRequest(), metadata=metadata, timeout=_FETCH)
        with self._state.changed:
            self._fetch = pieces
            if self._state.ended:
                pieces.cancel()
        try:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "policy.safetensors"
                with path.open("wb") as file:
                    for piece in cast("Iterator[wire.PolicyPiece]", pieces):
                        file.write(piece.data)
                return load_policy(path)[0]
        finally:
            with self._state.changed:
                self._fetch = None
