"""Who plays for the algorithm: this process, or worker processes that are served over gRPC."""

import secrets
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from agents.checkpoint import load_policy
from agents.inference import ActorConfig
from rollout.delivery.assignment import Contract
from rollout.desk import Desk
from rollout.direct import DirectWorkers
from rollout.environments import EnvConfig
from rollout.identity.trust import SharedTokens
from rollout.learner import OnlineConfig, Workers
from rollout.player import Player
from rollout.processes import WorkerProcesses, worker_command
from rollout.server import RolloutServer

Started = tuple[Workers, Callable[[], None]]  # the workers, and what lets them go


class Playing(Protocol):
    """A way to have episodes played; a record that travels, as RLlib copies its settings."""

    def start(self, policy: Path, contract: Contract, config: OnlineConfig, folder: Path) -> Started:
        """Start workers for a policy file; their logs go to a folder."""
        ...


@dataclass(frozen=True, kw_only=True)
class InProcess:
    """The algorithm's own process plays, and waits meanwhile."""

    env: EnvConfig = field(default_factory=EnvConfig)
    processors: int = 0  # that play; 0 is all

    def start(self, policy: Path, contract: Contract, config: OnlineConfig, folder: Path) -> Started:
        """Start; see `Playing`."""
        acting = ActorConfig(context=config.context, temperature=config.temperature, processors=self.processors)
        player = Player(load_policy(policy)[0], acting, self.env.make)
        return DirectWorkers(player, contract), player.close


@dataclass(frozen=True, kw_only=True)
class InProcesses:
    """A gRPC server in the algorithm's process, and as many worker processes on this machine as a batch has shares."""

    env: EnvConfig = field(default_factory=EnvConfig)

    def start(self, policy: Path, contract: Contract, config: OnlineConfig, folder: Path) -> Started:
        """Start; see `Playing`.

        Raises: DeliveryError: there is nowhere to listen.
        """
        folder.mkdir(parents=True, exist_ok=True)
        desk = Desk(contract)
        tokens = {f"worker-{k}": secrets.token_hex(16) for k in range(config.shares)}
        server = RolloutServer(desk, policy, SharedTokens(tokens))
        # A spool of its own each time: in an older one are episodes of a run that was taken back.
        spool = tempfile.mkdtemp(prefix="spool-", dir=folder)
        try:
            command = worker_command(server.address, self.env, Path(spool))
            processes = WorkerProcesses(desk, command, tokens, folder)
        except BaseException:
            server.close()
            raise

        def close() -> None:
            server.close()  # sends the workers home
            processes.close()
            shutil.rmtree(spool, ignore_errors=True)

        return server, close
