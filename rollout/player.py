"""One who plays assignments: a policy in batched environments, whose head changes and whose trunk stays."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from gymnasium.vector import VectorEnv
from torch import Tensor

from agents.inference import Actor, ActorConfig
from agents.policy import Policy
from envs.episode import Episode
from envs.vector import SkygardenVectorEnv
from rollout.collect import collect

MakeEnvs = Callable[[int], VectorEnv[Any, Any, Any]]


class Player:
    """Plays padded episodes, as many at once as it is asked for and the game allows.

    Args: make_envs: makes up to a number of batched environments that begin anew with the next step.
    """

    def __init__(self, policy: Policy, acting: ActorConfig, make_envs: MakeEnvs = SkygardenVectorEnv) -> None:
        self._policy, self._acting, self._make_envs = policy, acting, make_envs
        self._actor: Actor | None = None
        self._envs: VectorEnv[Any, Any, Any] | None = None
        self._asked = 0  # for so many environments

    def load_head(self, weights: Mapping[str, Tensor]) -> None:
        """Play with the weights of another head from now on."""
        self._policy.head.load_state_dict(weights)
        if self._actor:
            self._actor.load_head(weights)

    @property
    def at_once(self) -> int:
        """Episodes that are played together."""
        return self._envs.num_envs if self._envs is not None else 1

    def play(
        self,
        seeds: Sequence[int],
        sampling_seed: int,
        wanted: Collection[int] | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> Iterator[tuple[int, Episode]]:
        """Play an episode from each seed; in the stand-in the same head and seeds make the same episodes.

        Args: wanted: indices of the seeds whose episodes are needed; default: all. Those that are played together are
          played all the same, since they are not the same without the others. stop: see `rollout.collect.collect`.
        Yields: an index and its episode.
        """
        if self._envs is None or self._actor is None or self._asked != len(seeds):
            self.close()
            self._envs = self._make_envs(len(seeds))
            self._asked = len(seeds)
            self._actor = Actor(self._policy, self._envs.num_envs, self._acting, seed=sampling_seed)
        self._actor.seed(sampling_seed)
        needed = range(len(seeds)) if wanted is None else wanted
        played = [k for k in range(len(seeds)) if k in needed or self._envs.num_envs > 1]
        episodes = collect(self._envs, self._actor, [seeds[k] for k in played], padded=True, stop=stop)
        for k, episode in zip(played, episodes, strict=False):  # fewer where it was stopped
            if k in needed:
                yield k, episode

    def close(self) -> None:
        """Let the environments go."""
        if self._envs is not None:
            self._envs.close()
            self._envs = None
