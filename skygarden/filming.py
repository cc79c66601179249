"""Keeps what an environment shows, episode by episode: what a real game showed cannot be drawn again."""

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

Frames = list[NDArray[np.uint8]]
Ended = Callable[[Frames, str | None], None]  # takes an episode's frames, (128, 128, 3) uint8 each, and its pad


class Filmed(gym.Wrapper[Any, Any, Any, Any]):
    """An environment whose episodes are handed over when they end.

    Args: ended: is not told of those that were interrupted.
    """

    def __init__(self, env: gym.Env[Any, Any], ended: Ended) -> None:
        super().__init__(env)
        self._ended = ended
        self._frames: Frames = []

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """See the environment."""
        frame, info = self.env.reset(seed=seed, options=options)
        self._frames = [frame]
        return frame, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """See the environment."""
        frame, reward, terminated, truncated, info = self.env.step(action)
        self._frames.append(frame)
        if (terminated or truncated) and info.get("interrupted") is None:
            self._ended(self._frames, info["jumppad"])
            self._frames = []
        return frame, reward, terminated, truncated, info
