"""What the pool needs of Ray: to be let into a cluster, and actors with names that outlive who asked for them.

Ray carries control only: what is asked and answered here is small, and neither an episode nor a weight is among it.
"""

import logging
import socket
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast, final

from envs.errors import DeliveryError, MissingPackageError
from rollout.cluster.game import Game, Look
from rollout.cluster.life import Job, Machine
from rollout.cluster.slots import slots_folder

RESOURCE: Final = "render"  # of which a machine has as much as it takes games
_REACH: Final = 10.0  # seconds to reach a cluster's port in

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ActorConfig:
    """How games are placed."""

    run: str  # the namespace: names are one run's
    num_gpus: float = 0.0  # of Ray's, for one game; 0: a game's place says which GPU it has
    folder: str | None = None  # on the render machines, for logs, certificates and spools; default: the user's own
    forgotten: float = 600.0  # seconds without a learner, after which a game leaves its machine


class GameActor:
    """The actor: a game's supervisor, told by Ray where it is."""

    def __init__(self, name: str, config: ActorConfig) -> None:
        ray = _ray()
        context = ray.get_runtime_context()
        here = context.get_node_id()
        resources = next(node["Resources"] for node in ray.nodes() if node["NodeID"] == here)
        folder = Path(config.folder).expanduser() if config.folder else _state_folder()
        machine = Machine(
            slots=int(resources.get(RESOURCE, 1)),
            gpus=0 if config.num_gpus else int(resources.get("GPU", 0)),
            locks=slots_folder(),
            folder=folder / config.run,
        )
        self._game = Game(name, machine, config.forgotten, _end_this_actor)

    def look(self) -> Look:
        """See `rollout.cluster.game.Game`."""
        return self._game.look()

    def begin(self, job: Job) -> None:
        """See `rollout.cluster.game.Game`."""
        self._game.begin(job)

    def certify(self, request: bytes, certificate: bytes, authority: bytes) -> None:
        """See `rollout.cluster.game.Game`."""
        self._game.certify(request, certificate, authority)

    def leave(self) -> None:
        """See `rollout.cluster.game.Game`."""
        self._game.leave()


@final
class RayCluster:
    """A running cluster.

    Args: address: HOST:PORT of its head, or "auto" for the one that this machine is part of.
    Raises: DeliveryError: there is none, or it has another Ray or Python. MissingPackageError: Ray is not installed.
    """

    def __init__(self, address: str = "auto") -> None:
        self._ray = _ray()
        self._own = not self._ray.is_initialized()  # else who began it ends it
        if self._own:
            _connect(self._ray, address)

    @property
    def host(self) -> str:
        """This machine's address, as the others reach it."""
        return self._ray.util.get_node_ip_address()

    @property
    def places(self) -> tuple[float, float]:
        """How many games it takes now, and how many of these places are free."""
        return self._ray.cluster_resources().get(RESOURCE, 0), self._ray.available_resources().get(RESOURCE, 0)

    def actor(self, name: str, config: ActorConfig) -> Any:
        """The actor of a name, which is started where there is none.

        It does not end with who asked for it: a learner that was killed finds it again. Ray starts it anew where it
        dies, on another machine if it must.
        """
        options: dict[str, Any] = {
            "name": name,
            "namespace": config.run,
            "get_if_exists": True,
            "lifetime": "detached",
            "max_restarts": -1,
            "num_cpus": 0,
            "num_gpus": config.num_gpus,
            "resources": {RESOURCE: 1},
            "scheduling_strategy": "SPREAD",
        }
        return self._ray.remote(GameActor).options(**options).remote(name, config)

    def names(self, run: str) -> list[str]:
        """Of the actors of a run."""
        listed = cast("list[dict[str, str]]", self._ray.util.list_named_actors(all_namespaces=True))
        return [actor["name"] for actor in listed if actor["namespace"] == run]

    def end(self, run: str, name: str) -> None:
        """End an actor, if there is one."""
        with suppress(ValueError):
            self.kill(self._ray.get_actor(name, namespace=run))

    def kill(self, actor: Any, restart: bool = False) -> None:
        """End an actor at once."""
        self._ray.kill(actor, no_restart=not restart)

    def answered(self, asked: Iterable[Any], timeout: float) -> set[Any]:
        """Those of what was asked that are answered, all of them or what there is at the end of the time (seconds)."""
        waited = list(asked)
        return set(self._ray.wait(waited, num_returns=len(waited), timeout=timeout)[0]) if waited else set()

    def answer(self, asked: Any) -> Any:
        """An answer. Raises: GoneError: the actor is dead for good. AwayError: it is not there now."""
        errors = self._ray.exceptions
        try:
            return self._ray.get(asked)
        except errors.ActorUnavailableError as error:
            raise AwayError(str(error)) from error
        except errors.RayActorError as error:
            raise GoneError(str(error)) from error

    def close(self) -> None:
        """Leave the cluster, which goes on."""
        if self._own:
            self._ray.shutdown()


class AwayError(Exception):
    """An actor is not there now; Ray is bringing it back."""


class GoneError(Exception):
    """An actor is dead for good."""


def _connect(ray: Any, address: str) -> None:
    if address != "auto":
        _reach(address)
    try:
        ray.init(address=address, log_to_driver=False, configure_logging=False, logging_level=logging.WARNING)
    except ConnectionError as error:
        raise DeliveryError(
            f"no Ray cluster at {address!r}; run this on the head of one (`ray up deploy/cluster.yaml` makes one, "
            f"`ray attach` goes there), or start one here with `ray start --head --resources='{{\"{RESOURCE}\": 1}}'`"
        ) from error
    except (RuntimeError, ValueError) as error:
        text = str(error).strip()
        mend = "install the same on all machines" if "ersion" in text else "see `ray status`"
        here = f"here are Ray {ray.__version__} and Python {'.'.join(map(str, sys.version_info[:3]))}"
        raise DeliveryError(f"the Ray cluster at {address!r} does not let this in ({here}); {mend}: {text}") from error


def _reach(address: str) -> None:
    """Ray itself would try for a minute, and say less."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _REACH).close()
    except (OSError, ValueError) as error:
        raise DeliveryError(
            f"no Ray cluster at {address!r}: {error}; give the head's HOST:PORT (Ray's port is 6379), or auto on a "
            f"machine of the cluster"
        ) from error


def _end_this_actor() -> None:
    ray = _ray()
    ray.kill(ray.get_runtime_context().current_actor, no_restart=True)


def _state_folder() -> Path:
    from platformdirs import user_state_path

    return user_state_path("skygarden") / "games"


def _ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise MissingPackageError("a cluster needs Ray: pip install 'skygarden[cluster]'") from error
    return cast("Any", ray)
