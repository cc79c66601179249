"""Lets a policy play a number of episodes on this machine, with progress shown."""

from collections.abc import Iterator
from contextlib import closing, nullcontext
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import track

from agents.checkpoint import trunk_hash
from agents.inference import Actor, ActorConfig
from agents.parallel import one_thread
from envs.episode import Episode
from envs.errors import OptionError, WindowLostError
from envs.task import MAX_STEPS
from rollout.collect import Agent, RandomAgent, collect
from rollout.environments import EnvConfig, alone
from rollout.store import write_episodes
from skygarden.filming import Ended, Filmed
from skygarden.policies import named_policy

RANDOM: Final = "random"  # an agent that presses anything
_PATIENCE: Final = 5  # episodes in a row that may be interrupted


@dataclass(frozen=True, kw_only=True)
class Rollouts:
    """Who plays how much, and how."""

    policy: str
    episodes: int = 1000
    seed: int = 0  # of the first start, the others follow by one, and of the actions drawn
    environments: int = 64  # at once, in the stand-in
    acting: ActorConfig = field(default_factory=ActorConfig)
    env: EnvConfig = field(default_factory=EnvConfig)

    def __post_init__(self) -> None:
        if min(self.episodes, self.environments) < 1 or self.seed < 0:
            raise OptionError(f"playing takes 1 or more episodes and environments, got {self}")


def play(settings: Rollouts, *, padded: bool = False, filmed: Ended | None = None) -> list[Episode]:
    """Play the episodes; where one is interrupted, another takes its place.

    Args: padded: as `rollout.collect.collect`. filmed: takes what each showed, see `skygarden.filming`; only of a
      window's game, as the stand-in's is drawn again.
    Raises: as `named_policy`. WindowLostError: the game is interrupted again and again.
    """
    count = min(settings.environments, settings.episodes) if settings.env.redrawn else 1
    agent: Agent = RandomAgent(settings.seed)
    if settings.policy != RANDOM:
        agent = Actor(named_policy(settings.policy), count, settings.acting, seed=settings.seed)
    envs = alone(Filmed(settings.env.single(), filmed)) if filmed is not None else settings.env.make(count)
    # Beside a real game, threads of the policy that wait for each other take the game's processor and gain nothing.
    with closing(envs), nullcontext() if settings.env.redrawn else one_thread():
        tries = settings.episodes * (1 if settings.env.redrawn else _PATIENCE)  # at most
        episodes = collect(envs, agent, range(settings.seed, settings.seed + tries), padded=padded)
        counted = islice(whole(episodes), settings.episodes)
        return list(track(counted, f"{settings.policy} plays", total=settings.episodes))


def whole(episodes: Iterator[Episode]) -> Iterator[Episode]:
    """Without those that were interrupted.

    Raises: WindowLostError: too many in a row were.
    """
    lost = 0
    for episode in episodes:
        if episode.interrupted is None:
            lost = 0
            yield episode
            continue
        lost += 1
        Console().print(f"an episode was interrupted and does not count: {episode.interrupted}")
        if lost == _PATIENCE:
            raise WindowLostError(
                f"{lost} episodes in a row were interrupted, the last one as {episode.interrupted}; "
                "`skygarden doctor` shows what is wrong"
            )


def collect_to(settings: Rollouts, out: Path) -> None:
    """Play episodes and keep them, padded, with what is needed to learn from them.

    Raises: OptionError: the agent is the random one, which has nothing to learn with.
    """
    if settings.policy == RANDOM:
        raise OptionError("episodes to learn from need a policy whose features they hold; name one")
    episodes = play(settings, padded=True)
    trunk = trunk_hash(named_policy(settings.policy))
    write_episodes(out, episodes, {"trunk": trunk, "padded_to": MAX_STEPS, **asdict(settings)})
    Console().print(f"{len(episodes)} episodes are in {out}: {out.stat().st_size / 1e6:.0f} MB")
