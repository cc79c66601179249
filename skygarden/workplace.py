"""Where the workers of an online run are, and how they and the learner know each other.

`Here`: beside the learner, as processes that it starts, with tokens made for the run. `Elsewhere`: started by somebody,
wherever the games are, with certificates or tokens that they were given.
"""

import secrets
from collections.abc import Generator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, final

from envs.errors import OptionError
from rollout.desk import Desk
from rollout.environments import EnvConfig
from rollout.identity.trust import LearnerTrust, MutualTls, SharedTokens
from rollout.processes import WorkerProcesses, worker_command
from rollout.server import RolloutServer


@dataclass(frozen=True, kw_only=True)
class Job:
    """What workers are to do."""

    desk: Desk
    policy: Path  # the file that they fetch
    env: EnvConfig
    shares: int  # assignments that a batch is made of
    out: Path  # folder of the run


class Workplace(Protocol):
    """Where workers are."""

    @property
    def windows(self) -> int | None:
        """How many real games can be played at once; None: as many as there are machines."""
        ...

    def open(self, job: Job) -> AbstractContextManager[RolloutServer]:
        """Serve a desk and have workers, until the end of the context.

        Raises: DeliveryError, TrustError, OptionError: see `rollout.server.RolloutServer` and `rollout.identity.trust`.
        """
        ...


@final
@dataclass(frozen=True, kw_only=True)
class Here:
    """Processes on this machine, on whose screen there is one game."""

    @property
    def windows(self) -> int:
        """One."""
        return 1

    @contextmanager
    def open(self, job: Job) -> Generator[RolloutServer]:
        """See `Workplace.open`."""
        tokens = {f"worker-{k}": secrets.token_hex(16) for k in range(job.shares)}
        with closing(RolloutServer(job.desk, job.policy, SharedTokens(tokens))) as server:
            command = worker_command(server.address, job.env, job.out / "spool")
            with closing(WorkerProcesses(job.desk, command, tokens, job.out)), closing(server):
                yield server


@final
@dataclass(frozen=True, kw_only=True)
class Elsewhere:
    """Workers that come by themselves, with certificates, or with tokens."""

    listen: str  # HOST:PORT
    certificates: Path | None = None  # the learner's folder, as `skygarden certs` writes it
    tokens: Path | None = None  # a file of lines NAME TOKEN, in place of the workers' certificates

    @property
    def windows(self) -> None:
        """As many as there are."""
        return

    @contextmanager
    def open(self, job: Job) -> Generator[RolloutServer]:
        """See `Workplace.open`."""
        with closing(RolloutServer(job.desk, job.policy, self._trust(), self.listen)) as server:
            yield server

    def _trust(self) -> LearnerTrust:
        if self.tokens:
            return SharedTokens(_read_tokens(self.tokens), self.certificates)
        if self.certificates:
            return MutualTls(self.certificates)
        raise OptionError(
            "workers from elsewhere are known by certificates (`skygarden certs` makes them; --certificates FOLDER) "
            "or by tokens (--tokens FILE)"
        )


def _read_tokens(path: Path) -> Mapping[str, str]:
    try:
        lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except OSError as error:
        raise OptionError(f"the tokens {path} cannot be read: {error}") from error
    if not lines or any(len(words) != 2 for words in lines):
        raise OptionError(f"{path} has a line NAME TOKEN for each worker, and is otherwise")
    return {words[0]: words[1] for words in lines}
