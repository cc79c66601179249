"""Workers on a Ray cluster: games on its render machines, the learner here, certificates between them.

Everything that a run needs to find its games again is in its folder: its name, the port, the authority. So a learner
that was killed is started again with the same command, and the games that still play go on.
"""

import ipaddress
import json
from collections.abc import Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from rollout.cluster.ray_cluster import RayCluster
from rollout.environments import EnvConfig
from rollout.identity.certificates import Authority
from rollout.identity.trust import MutualTls
from rollout.pool import PoolConfig, RenderPool
from rollout.server import RolloutServer
from skygarden.certs import CertsConfig, certs
from skygarden.files import write_text
from skygarden.workplace import Job

_PORT: Final = "port.json"  # file with the learner's port, which workers that go on know


@final
@dataclass(frozen=True, kw_only=True)
class OnRay:
    """Games on the machines of a cluster: a `skygarden.workplace.Workplace`."""

    address: str = "auto"  # of Ray's head, HOST:PORT, or "auto" on a machine of the cluster
    games: int | None = None  # default: as many as share a batch
    first_display: int | None = None  # of a machine, for real games

    @property
    def windows(self) -> None:
        """As many as there are."""
        return

    @contextmanager
    def open(self, job: Job) -> Generator[RolloutServer]:
        """See `Workplace.open`. Raises also: MissingPackageError: Ray is not installed."""
        config = PoolConfig(address=self.address, games=self.games or job.shares, first_display=self.first_display)
        with closing(RayCluster(self.address)) as cluster:
            papers = job.out / "certificates"
            certs(papers, CertsConfig(learner=(cluster.host,)))
            authority = Authority.load(papers / "authority")
            trust = MutualTls(papers / "learner")
            with closing(RolloutServer(job.desk, job.policy, trust, _address(cluster.host, job.out))) as server:
                write_text(job.out / _PORT, json.dumps(server.port))
                command = worker_command(f"{_bracketed(cluster.host)}:{server.port}", job.env)
                run = f"skygarden-{job.desk.run}"
                with closing(RenderPool(job.desk, cluster, run, command, authority, config)), closing(server):
                    yield server


def worker_command(learner: str, env: EnvConfig) -> list[str]:
    """What runs a worker on a render machine. A profile's file has to be there too, by the same name."""
    command = ["{python}", "-m", "skygarden", "worker", "--learner", learner, "--name", "{name}"]
    command += ["--certificate", "{papers}", "--spool", "{folder}/spool", "--patience", "inf"]
    return [*command, *env.options]


def _address(host: str, out: Path) -> str:
    """Where to listen: at the port of before, which workers that still play come back to."""
    file = out / _PORT
    port = json.loads(file.read_text(encoding="utf-8")) if file.exists() else 0
    return f"{_bracketed(host)}:{port}"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ipaddress.ip_address(host).version == 6 else host
