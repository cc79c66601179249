"""Workers on the machines of a Ray cluster: one actor a game, placed, watched, started again, brought home.

The actors are detached, so that they outlive a learner that is killed: the one that is started again finds them by
their names, and games and workers need no new start. So that none is left behind, an actor that nobody asks for long
leaves by itself. A worker that dies is started again by its actor, a dead actor by Ray, a dead machine's actors by Ray
on other ones; here it is only seen whether anyone plays at all, and why not.
"""

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, final

from envs.errors import SkygardenError
from rollout.cluster.game import PROTOCOL, Look
from rollout.cluster.life import Job
from rollout.cluster.ray_cluster import RESOURCE, ActorConfig, AwayError, GoneError, RayCluster
from rollout.desk import Desk

DEATHS: Final = 3  # of every game's worker without a long life between, after which the run is given up
_TICK: Final = 0.5  # seconds between questions, and for the answers
_A_TICK: Final = 500  # games that are asked at most in a second
_SILENCE: Final = 60.0  # seconds without an answer, after which an actor that has answered before is ended
_GONE: Final = 20.0  # seconds for Ray to end actors

log = logging.getLogger(__name__)


class Signer(Protocol):
    """Who signs the workers' certificates; `rollout.identity.certificates.Authority` does."""

    @property
    def pem(self) -> bytes:
        """Its own certificate."""
        ...

    def sign(self, request: bytes, name: str) -> bytes:
        """The certificate of a worker, from its signing request; both are PEM."""
        ...


@dataclass(frozen=True, kw_only=True)
class PoolConfig:
    """Which games play, and where."""

    address: str = "auto"  # of Ray's head, HOST:PORT, or "auto" on a machine of the cluster
    games: int = 2
    prefix: str = "worker-"  # of their names
    num_gpus: float = 0.0  # of Ray's, for one game, 0.5 for two games a GPU; 0: shared out by place on the machine
    first_display: int | None = None  # of a machine, as deploy/displays.sh starts them; default: as the node's
    folder: str | None = None  # on the render machines, for logs, certificates and spools; default: the user's own
    patience: float = 900.0  # seconds in which nobody plays: an autoscaler needs many to start a machine
    forgotten: float = 600.0  # seconds without a learner, after which games leave their machines
    grace: float = 20.0  # seconds that a worker has to leave in

    def names(self) -> list[str]:
        """Of the games."""
        return [f"{self.prefix}{number}" for number in range(self.games)]


@dataclass(slots=True, eq=False)
class Watched:
    """A game as the learner sees it."""

    name: str
    actor: Any
    since: float  # when it was asked last
    asked: Any = None  # a question that is not answered
    look: Look | None = None
    lost: str = ""  # why its actor was not there
    losses: int = 0  # of actors for good, in a row

    @property
    def plays(self) -> bool:
        """Whether its worker lives, and not just for a moment."""
        return self.look is not None and self.look.phase == "playing" and self.look.deaths == 0

    @property
    def hopeless(self) -> bool:
        """Whether its worker or its actor dies again and again."""
        return self.losses > DEATHS or (self.look is not None and self.look.deaths > DEATHS)


@final
class RenderPool:
    """A game for each name, on a cluster.

    Args: desk: closed when nobody plays, so that nobody waits. cluster: stays open. run: names the run within the
      cluster, the same when it goes on. command: what runs a worker, with the places that `rollout.cluster.life.Job`
      names. signer: gives the workers certificates; None: they need none.
    """

    def __init__(
        self,
        desk: Desk,
        cluster: RayCluster,
        run: str,
        command: Sequence[str],
        signer: Signer | None,
        config: PoolConfig,
    ) -> None:
        self._desk, self._cluster, self._signer, self._config = desk, cluster, signer, config
        self._job = Job(
            command=tuple(command),
            certified=signer is not None,
            first_display=config.first_display,
            grace=config.grace,
        )
        self._actors = ActorConfig(run=run, num_gpus=config.num_gpus, folder=config.folder, forgotten=config.forgotten)
        places, _ = cluster.places
        if places < config.games:
            log.warning("%d games are to play, and the cluster has %g places for them now", config.games, places)
        for stranger in set(cluster.names(run)) - set(config.names()):
            cluster.end(run, stranger)  # of an earlier start with more games
        self._games = [self._watch_actor(name) for name in config.names()]
        self._played = time.monotonic()  # when somebody did
        self._tick = max(_TICK, config.games / _A_TICK)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="render pool", daemon=True)
        self._thread.start()

    @property
    def looks(self) -> dict[str, Look | None]:
        """How things were with each game when it answered last; None: its actor is not there."""
        return {game.name: game.look for game in self._games}

    def close(self) -> None:
        """Wait for the workers to end, which the learner's leaving makes them do, and end their actors."""
        self._stop.set()
        self._thread.join()
        leaving = [game.actor.leave.remote() for game in self._games if game.look is not None]
        self._cluster.answered(leaving, self._config.grace + _GONE)
        for game in self._games:
            self._cluster.kill(game.actor)
        deadline = time.monotonic() + _GONE
        while (left := self._cluster.names(self._actors.run)) and time.monotonic() < deadline:
            time.sleep(0.1)
        if left:
            log.warning("Ray has not ended %s; `ray list actors` shows them", ", ".join(left))

    def _watch(self) -> None:
        try:
            while not self._stop.wait(self._tick) and not self._desk.closed:
                self._ask()
                self._judge()
        except Exception as error:
            self._desk.close(f"the games cannot be watched any more: {error}")
            if not isinstance(error, SkygardenError):
                raise

    def _ask(self) -> None:
        now = time.monotonic()
        for game in self._games:
            if game.asked is None:
                game.asked, game.since = game.actor.look.remote(), now
        answered = self._cluster.answered([game.asked for game in self._games], self._tick)
        for game in self._games:
            if game.asked in answered:
                self._hear(game)
            elif game.look is not None and time.monotonic() - game.since > _SILENCE:
                log.warning("the supervisor of %s on %s hangs, and is ended", game.name, game.look.host)
                self._lose(game, "it did not answer")
                self._cluster.kill(game.actor, restart=True)

    def _hear(self, game: Watched) -> None:
        """Take in an answer, and have done what it calls for."""
        asked, game.asked = game.asked, None
        try:
            look: Look = self._cluster.answer(asked)
        except AwayError as error:
            self._lose(game, str(error))
            return
        except GoneError as error:
            self._lose(game, str(error))
            game.losses += 1
            self._replace(game)
            return
        if look.protocol != PROTOCOL:
            self._replace(game)
            return
        if look.phase == "playing" and (game.look is None or game.look.worker != look.worker):
            log.info("%s plays on %s, place %s, process %s", game.name, look.host, look.slot, look.worker)
        game.look, game.losses = look, 0
        if look.job != self._job or look.phase == "ended":
            game.actor.begin.remote(self._job)
        elif look.request is not None and self._signer is not None:
            signed = self._signer.sign(look.request, game.name)
            game.actor.certify.remote(look.request, signed, self._signer.pem)

    def _lose(self, game: Watched, reason: str) -> None:
        if game.look is not None:
            log.warning("the supervisor of %s is gone: %s", game.name, reason.partition("\n")[0])
        game.look, game.lost, game.asked = None, reason, None

    def _replace(self, game: Watched) -> None:
        self._cluster.kill(game.actor)
        game.actor = self._cluster.actor(game.name, self._actors)

    def _watch_actor(self, name: str) -> Watched:
        return Watched(name, self._cluster.actor(name, self._actors), time.monotonic())

    def _judge(self) -> None:
        if any(game.plays for game in self._games):
            self._played = time.monotonic()
        hopeless = all(game.hopeless for game in self._games)
        if hopeless or time.monotonic() - self._played > self._config.patience:
            self._desk.close(why_nobody_plays(self._games, self._cluster.places, hopeless, self._config))


def why_nobody_plays(games: Sequence[Watched], places: tuple[float, float], hopeless: bool, config: PoolConfig) -> str:
    """What to tell of games of which none plays, and what to do about it.

    Args: places: for games in the cluster, and those that are free. hopeless: they die too often, else it took too
      long.
    """
    seen = next((game for game in games if game.look is not None and game.look.status is not None), None)
    held = next((game for game in games if game.look is not None), None)
    lost = next((game for game in games if game.lost), None)
    waited = "they die again and again" if hopeless else f"nobody has played for {config.patience:g} seconds"
    if seen is not None and seen.look is not None:
        log_file = f"{config.folder or '~/.local/state/skygarden/games'}/*/{seen.name}/worker.log"
        reason = (
            f"the worker of {seen.name} on {seen.look.host} ended with status {seen.look.status}; see {log_file} "
            f"there: {seen.look.tail}"
        )
    elif held is not None and held.look is not None:
        reason = f"{held.name} on {held.look.host} is {held.look.phase}: do games of another run hold its places?"
    elif lost is not None:
        reason = f"the supervisor of {lost.name} died: {lost.lost}"
    else:
        reason = (
            f"none of {config.games} games got a machine: each needs {RESOURCE}: 1, the cluster has {places[0]:g}, "
            f"{places[1]:g} of it free (`ray status` shows both). Start render machines with --resources="
            f"'{{\"{RESOURCE}\": 1}}', raise max_workers in the cluster's file, or ask for fewer games"
        )
    return f"the render pool gives up, {waited}: {reason}"
