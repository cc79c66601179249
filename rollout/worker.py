"""A rollout worker: fetches the policy from the learner, plays what it is assigned, reports the episodes.

It runs wherever the game does, and needs the learner's address, something to be trusted by, and a folder.
"""

import logging
import threading
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from typing import cast

import torch

from agents.checkpoint import trunk_hash
from agents.inference import ActorConfig, Context
from agents.parameters import Precision
from agents.policy import Policy
from envs.episode import Episode
from envs.errors import DeliveryError, SkygardenError
from envs.vector import SkygardenVectorEnv
from rollout.codec import Stamp, decode_head, encode, wire_key
from rollout.delivery.keys import Key
from rollout.delivery.link import Link, LinkConfig
from rollout.player import MakeEnvs, Player
from rollout.status import StatusServer
from rollout.wire import rollout_pb2 as wire

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class WorkerConfig:
    """How a worker plays, and for whom."""

    link: LinkConfig
    device: str = "auto"
    precision: Precision = "auto"
    processors: int = 1  # that play, where there is no GPU
    metrics_port: int | None = None  # of this machine, where Prometheus may ask; 0: a free one; None: not served
    notice: float = 20.0  # seconds between being told to leave and having left; a machine that is taken away gives 30


def work(config: WorkerConfig, make_envs: MakeEnvs = SkygardenVectorEnv, leaving: threading.Event | None = None) -> int:
    """Work until the learner says that it is over; returns the number of episodes played.

    Args: leaving: when it is set, what is being played is played to its end if the time allows, what is finished is
      delivered, and the learner is told.
    Raises: DeliveryError: the learner cannot be reached, sends this worker away, or is gone for too long; the disk is
      full. CheckpointError: what came is not its policy.
    """
    torch.set_num_threads(config.processors)
    work = _Work(config, leaving or threading.Event())
    return work.run(make_envs)


class _Work:
    def __init__(self, config: WorkerConfig, leaving: threading.Event) -> None:
        self._config, self._leaving = config, leaving
        self._steps, self._episodes = 0, 0
        self._leave_by: float | None = None

    def run(self, make_envs: MakeEnvs) -> int:
        with ExitStack() as stack:
            link = stack.enter_context(closing(Link(self._config.link, lambda: (self._steps, self._episodes))))
            if self._config.metrics_port is not None:
                metrics = stack.enter_context(closing(StatusServer(link.status, self._config.metrics_port)))
                log.info("metrics are at %s/metrics", metrics.address)
            done = threading.Event()
            watch = threading.Thread(target=self._watch, args=(link, done), name="leaving", daemon=True)
            watch.start()
            try:
                contract = link.contract(self._leaving.is_set)
                policy = link.policy(self._leaving.is_set) if contract else None
                if contract and policy:
                    self._play_all(link, contract, policy, make_envs)
            finally:
                done.set()
                watch.join()
            if self._leaving.is_set() and contract and not link.leave(max(1.0, self._left())):
                log.warning("left before all was delivered; the rest is in the spool for the next start")
        return self._episodes

    def _play_all(self, link: Link, contract: wire.Welcome, policy: Policy, make_envs: MakeEnvs) -> None:
        if contract.trunk != trunk_hash(policy):
            raise DeliveryError("the learner's policy is not the one it sent; start this worker again")
        with closing(Player(policy, self._acting(contract), make_envs)) as player:
            while (assignment := link.ask(self._leaving.is_set)) is not None:
                if assignment.head:
                    player.load_head(decode_head(assignment.head, policy.head))
                self._play(link, player, assignment, contract)

    def _play(self, link: Link, player: Player, assignment: wire.Assignment, contract: wire.Welcome) -> None:
        missing = set(assignment.wanted)
        try:
            step = partial(self._step, player)
            episodes = player.play(list(assignment.seeds), assignment.sampling_seed, set(assignment.wanted), step)
            for index, episode in episodes:
                self._report(link, assignment, contract, index, episode)
                missing.discard(index)
        except DeliveryError:
            raise
        except SkygardenError as error:  # the game was lost: the others of this assignment are not played
            for index in sorted(missing):
                self._drop(link, assignment, index, str(error))

    def _report(
        self, link: Link, assignment: wire.Assignment, contract: wire.Welcome, index: int, episode: Episode
    ) -> None:
        if episode.interrupted is not None:
            self._drop(link, assignment, index, episode.interrupted)
            return

        def fill(key: Key) -> wire.FromWorker:
            stamp = Stamp(
                key,
                assignment.number,
                index,
                assignment.version,
                contract.trunk,
                contract.context,
                contract.temperature,
                contract.reads,
            )
            return wire.FromWorker(episode=encode(episode, stamp))

        link.report(assignment.number, fill)
        self._episodes += 1

    def _drop(self, link: Link, assignment: wire.Assignment, index: int, reason: str) -> None:
        log.warning("episode %d of assignment %d was interrupted: %s", index, assignment.number, reason)

        def fill(key: Key) -> wire.FromWorker:
            dropped = wire.Dropped(key=wire_key(key), assignment=assignment.number, index=index, reason=reason[:200])
            return wire.FromWorker(dropped=dropped)

        link.report(assignment.number, fill)

    def _step(self, player: Player) -> bool:
        """Counts the frames of a step; returns whether what is being played is to be given up."""
        self._steps += player.at_once
        return self._leaving.is_set() and self._left() <= 0

    def _left(self) -> float:
        """Seconds until this worker must have left, but for those that saying goodbye takes."""
        if self._leave_by is None:
            self._leave_by = time.monotonic() + 0.75 * self._config.notice
        return self._leave_by - time.monotonic()

    def _watch(self, link: Link, done: threading.Event) -> None:
        """Wake whoever waits for the learner when it is time to leave."""
        while not done.wait(0.2):
            if self._leaving.is_set():
                link.nudge()

    def _acting(self, contract: wire.Welcome) -> ActorConfig:
        return ActorConfig(
            context=cast("Context", contract.context),
            temperature=contract.temperature,
            device=self._config.device,
            precision=self._config.precision,
            processors=self._config.processors,
        )
