"""Lets a policy play a number of episodes on this machine, with progress shown."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, cast

import gymnasium as gym
from rich.console import Console
from rich.progress import track

from agents.checkpoint import trunk_hash
from agents.inference import Actor, ActorConfig
from envs.episode import Episode
from envs.errors import OptionError
from envs.task import MAX_STEPS
from rollout.collect import Agent, RandomAgent, collect
from rollout.store import write_episodes
from skygarden.policies import named_policy

RANDOM: Final = "random"  # an agent that presses anything


@dataclass(frozen=True, kw_only=True)
class Rollouts:
    """Who plays how much, and how."""

    policy: str
    episodes: int = 1000
    seed: int = 0  # of the first start, the others follow by one, and of the actions drawn
    environments: int = 64  # at once
    acting: ActorConfig = field(default_factory=ActorConfig)

    def __post_init__(self) -> None:
        if min(self.episodes, self.environments) < 1 or self.seed < 0:
            raise OptionError(f"playing takes 1 or more episodes and environments, got {self}")


def play(settings: Rollouts, *, padded: bool = False) -> list[Episode]:
    """Play the episodes; `padded` as `rollout.collect.collect`.

    Raises: as `named_policy`.
    """
    count = min(settings.environments, settings.episodes)
    agent: Agent = RandomAgent(settings.seed)
    if settings.policy != RANDOM:
        agent = Actor(named_policy(settings.policy), count, settings.acting, seed=settings.seed)
    envs: Any = cast("Any", gym).make_vec("Skygarden-v0", num_envs=count, vectorization_mode="vector_entry_point")
    try:
        episodes = collect(envs, agent, range(settings.seed, settings.seed + settings.episodes), padded=padded)
        return list(track(episodes, f"{settings.policy} plays", total=settings.episodes))
    finally:
        envs.close()


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
