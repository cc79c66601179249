"""A rollout worker: fetches the policy from the learner, plays what it is assigned, sends the episodes.

It runs wherever the game does, and needs the learner's address and nothing else.
"""

import logging
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any, cast

import grpc
import torch

from agents.checkpoint import load_policy, trunk_hash
from agents.inference import ActorConfig, Context
from agents.parameters import Precision
from agents.policy import Policy
from envs.errors import DeliveryError, SkygardenError
from envs.vector import SkygardenVectorEnv
from rollout.codec import PROTOCOL, Key, Stamp, decode_head, encode
from rollout.player import MakeEnvs, Player
from rollout.server import OPTIONS, SERVICE
from rollout.wire import rollout_pb2 as wire

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class WorkerConfig:
    """Who a worker is and whom it works for."""

    learner: str  # HOST:PORT
    name: str
    token: str
    device: str = "auto"
    precision: Precision = "auto"
    processors: int = 1  # that play, where there is no GPU
    patience: float = 30.0  # seconds to reach the learner in


def work(config: WorkerConfig, make_envs: MakeEnvs = SkygardenVectorEnv) -> int:
    """Work until the learner says that it is over; returns the number of episodes played.

    Raises: DeliveryError: the learner cannot be reached, sends this worker away, or is gone. CheckpointError: what came
      is not its policy.
    """
    torch.set_num_threads(config.processors)
    options: Any = [*OPTIONS, ("grpc.enable_retries", 0)]
    with cast("Any", grpc).insecure_channel(config.learner, options=options) as channel:
        try:
            cast("Any", grpc).channel_ready_future(channel).result(config.patience)
            policy = _fetch(channel, config)
            return _Work(channel, config, policy, make_envs).run()
        except grpc.FutureTimeoutError as error:
            raise DeliveryError(
                f"no learner answers at {config.learner} within {config.patience:g} seconds; check the address"
            ) from error
        except grpc.RpcError as error:
            call = cast("Any", error)
            raise DeliveryError(f"the learner at {config.learner} ended the call: {call.details()}") from error


class _Work:
    def __init__(self, channel: Any, config: WorkerConfig, policy: Policy, make_envs: MakeEnvs) -> None:
        self._config, self._policy, self._make_envs = config, policy, make_envs
        self._trunk = trunk_hash(policy)
        self._incarnation = time.time_ns()
        self._sent = 0
        self._outbox: SimpleQueue[wire.FromWorker | None] = SimpleQueue()
        self._call = channel.stream_stream(
            f"/{SERVICE}/Play",
            request_serializer=wire.FromWorker.SerializeToString,
            response_deserializer=wire.FromLearner.FromString,
        )

    def run(self) -> int:
        self._outbox.put(wire.FromWorker(hello=wire.Hello(protocol=PROTOCOL, incarnation=self._incarnation)))
        answers: Iterator[wire.FromLearner] = self._call(iter(self._outbox.get, None), metadata=_metadata(self._config))
        try:
            contract = next(answers).welcome
            if contract.trunk != self._trunk:
                raise DeliveryError("the learner's policy is not the one it sent; start this worker again")
            with closing(Player(self._policy, self._acting(contract), self._make_envs)) as player:
                for answer in answers:
                    if answer.WhichOneof("message") == "assignment":
                        self._play(player, answer.assignment, contract)
                    elif answer.WhichOneof("message") == "refused":
                        refused = answer.refused
                        log.warning("the learner refused episode %d: %s", refused.key.sequence, refused.reason)
            return self._sent
        finally:
            self._outbox.put(None)  # lets gRPC's sending thread end

    def _play(self, player: Player, assignment: wire.Assignment, contract: wire.Welcome) -> None:
        if assignment.head:
            player.load_head(decode_head(assignment.head, self._policy.head))
        done = 0
        try:
            for index, episode in enumerate(player.play(list(assignment.seeds), assignment.sampling_seed)):
                if episode.interrupted is not None:
                    self._drop(assignment, index, episode.interrupted)
                    done = index + 1
                    continue
                stamp = Stamp(
                    Key(self._config.name, self._incarnation, self._sent),
                    assignment.number,
                    index,
                    assignment.version,
                    self._trunk,
                    contract.context,
                    contract.temperature,
                )
                self._outbox.put(wire.FromWorker(episode=encode(episode, stamp)))
                self._sent += 1
                done = index + 1
        except SkygardenError as error:  # the game was lost: the others of this assignment are not played
            for lost in range(done, len(assignment.seeds)):
                self._drop(assignment, lost, str(error))

    def _drop(self, assignment: wire.Assignment, index: int, reason: str) -> None:
        log.warning("episode %d of assignment %d was interrupted: %s", index, assignment.number, reason)
        dropped = wire.Dropped(assignment=assignment.number, index=index, reason=reason)
        self._outbox.put(wire.FromWorker(dropped=dropped))

    def _acting(self, contract: wire.Welcome) -> ActorConfig:
        return ActorConfig(
            context=cast("Context", contract.context),
            temperature=contract.temperature,
            device=self._config.device,
            precision=self._config.precision,
            processors=self._config.processors,
        )


def _fetch(channel: Any, config: WorkerConfig) -> Policy:
    """The learner's policy."""
    get = channel.unary_stream(
        f"/{SERVICE}/GetPolicy",
        request_serializer=wire.GetPolicyRequest.SerializeToString,
        response_deserializer=wire.PolicyPiece.FromString,
    )
    pieces: Iterator[wire.PolicyPiece] = get(wire.GetPolicyRequest(), metadata=_metadata(config), timeout=600)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "policy.safetensors"
        with path.open("wb") as file:
            for piece in pieces:
                file.write(piece.data)
        return load_policy(path)[0]


def _metadata(config: WorkerConfig) -> tuple[tuple[str, str], ...]:
    return (("skygarden-worker", config.name), ("skygarden-token", config.token))
