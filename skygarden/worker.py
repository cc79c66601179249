"""A worker as a command: what it is trusted by, where it keeps its episodes, and how it leaves when it is told to."""

import logging
import os
import signal
import threading
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from platformdirs import user_data_path

from envs.errors import OptionError
from rollout.delivery.link import LinkConfig
from rollout.environments import EnvConfig
from rollout.identity.papers import worker_name
from rollout.identity.trust import Certificate, Token, WorkerTrust
from rollout.processes import TOKEN
from rollout.worker import WorkerConfig, work


@dataclass(frozen=True, kw_only=True)
class WorkerOptions:
    """See `skygarden worker --help`."""

    learner: str
    name: str | None = None
    certificate: Path | None = None
    authority: Path | None = None
    spool: Path | None = None
    patience: float = 300.0
    metrics_port: int | None = None
    device: str = "auto"
    processors: int = 1


def run_worker(options: WorkerOptions, env: EnvConfig) -> int:
    """Work until the learner is done or this process is told to end; returns the number of episodes played.

    Raises: OptionError: nothing says who it is. Otherwise as `rollout.worker.work`.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    leaving = threading.Event()

    def leave(signal_: int, _: FrameType | None) -> None:
        logging.getLogger(__name__).info("told to leave by signal %d", signal_)
        leaving.set()

    signal.signal(signal.SIGTERM, leave)
    name, trust = _identity(options)
    link = LinkConfig(
        learner=options.learner,
        name=name,
        trust=trust,
        spool=(options.spool or user_data_path("skygarden") / "spool") / name,
        patience=options.patience,
    )
    config = WorkerConfig(
        link=link, device=options.device, processors=options.processors, metrics_port=options.metrics_port
    )
    return work(config, env.make, leaving)


def _identity(options: WorkerOptions) -> tuple[str, WorkerTrust]:
    if options.certificate:
        certificate = Certificate(options.certificate)
        return worker_name(options.name or certificate.name), certificate
    token = os.environ.get(TOKEN)
    if not token or not options.name:
        raise OptionError(
            "a worker shows who it is by a certificate (--certificate FOLDER, as `skygarden certs` writes them), or "
            f"by its --name and the token in the variable {TOKEN}"
        )
    return worker_name(options.name), Token(token, options.authority)
