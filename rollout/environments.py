"""Which game is played: the stand-in, many at once, or the one in a window, alone."""

from dataclasses import dataclass
from typing import Any, Literal, cast

import gymnasium as gym
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

from envs.skygarden import SkygardenEnv
from envs.vector import SkygardenVectorEnv

BackendName = Literal["standin", "window"]


@dataclass(frozen=True, kw_only=True)
class EnvConfig:
    """A backend, and the profile of the game where it has a window."""

    backend: BackendName = "standin"
    profile: str = "standin"  # a .toml file, or the name of one in the box

    @property
    def redrawn(self) -> bool:
        """Whether what was seen follows from starts and actions."""
        return self.backend == "standin"

    @property
    def options(self) -> list[str]:
        """The same on a command line."""
        return ["--backend", self.backend, *([] if self.redrawn else ["--profile", self.profile])]

    def single(self) -> SkygardenEnv:
        """One environment.

        Raises: ProfileError: there is no such profile.
        """
        return SkygardenEnv() if self.redrawn else SkygardenEnv(backend="window", profile=self.profile)

    def make(self, count: int) -> VectorEnv[Any, Any, Any]:
        """Up to `count` environments that begin anew with the next step: one machine shows one window's game.

        Raises: as `single`.
        """
        return SkygardenVectorEnv(count) if self.redrawn else alone(self.single())


def alone(env: gym.Env[Any, Any]) -> VectorEnv[Any, Any, Any]:
    """An environment as a batch of one."""
    return cast("Any", SyncVectorEnv([lambda: env], autoreset_mode=AutoresetMode.NEXT_STEP))
