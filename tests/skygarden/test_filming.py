"""Laws of keeping what a game showed."""

from typing import Any

import gymnasium as gym
import numpy as np

from skygarden.filming import Filmed


class Countdown(gym.Env[Any, Any]):
    """Shows the steps that were taken: three to the middle pad, or two until the second episode is lost."""

    def __init__(self) -> None:
        self._episode, self._step = -1, 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        self._episode, self._step = self._episode + 1, 0
        return self._frame(), {"jumppad": None, "interrupted": None}

    def step(self, action: Any) -> Any:
        self._step += 1
        lost, arrived = self._episode == 1 and self._step == 2, self._step == 3
        info = {"jumppad": "middle" if arrived else None, "interrupted": "gone" if lost else None}
        return self._frame(), 0.0, arrived, lost, info

    def _frame(self) -> Any:
        return np.full((2, 2, 3), self._step, np.uint8)


def test_an_episode_is_handed_over_with_its_pad_when_it_ends_and_an_interrupted_one_never():
    kept: list[tuple[list[int], str | None]] = []
    env = Filmed(Countdown(), lambda frames, pad: kept.append(([int(frame[0, 0, 0]) for frame in frames], pad)))
    for _ in range(3):
        env.reset()
        over = False
        while not over:
            _, _, terminated, truncated, _ = env.step(None)
            over = terminated or truncated
    assert kept == [([0, 1, 2, 3], "middle")] * 2
