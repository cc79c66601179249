"""Episodes of an agent in a batched environment, in this process."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray

from envs.backend import Start
from envs.episode import Ending, Episode
from envs.errors import OptionError
from envs.gamepad import SIZES

Flags = NDArray[np.bool_]


class Agent(Protocol):
    """Something that plays in B environments at once, each with a past of its own."""

    def reset(self, mask: Flags) -> None:
        """Forget the past of the environments in the mask, (B,)."""
        ...

    def act(self, frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The next actions, (B, 16) uint8, for frames (B, 128, 128, 3) uint8."""
        ...


class RandomAgent:
    """Presses anything, uniformly."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def reset(self, mask: Flags) -> None:
        """Nothing to forget."""

    def act(self, frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Uniform actions, (B, 16) uint8."""
        return self._rng.integers(0, SIZES, (len(frames), len(SIZES)), np.uint8)


@dataclass(slots=True)
class _Record:
    """An episode that is being played."""

    start: Start
    positions: list[NDArray[np.float32]]
    actions: list[NDArray[np.uint8]] = field(default_factory=list[NDArray[np.uint8]])

    def end(self, jumppad: str | None) -> Episode:
        ending = Ending.TRUNCATED if jumppad is None else Ending.TERMINATED
        return Episode(self.start, np.array(self.actions), np.array(self.positions), ending, jumppad)


def collect(envs: VectorEnv[Any, Any, Any], agent: Agent, episodes: int, *, seed: int) -> Iterator[Episode]:
    """Let an agent play a number of episodes.

    Each environment plays its share to the end, so that short episodes, the successful ones, are not counted more
    often than long ones, as they would be if the first to end were taken.

    Args: envs: batched environments that begin anew with the next step. seed: of the first one's starts; the others
      follow by one.
    Yields: the episodes, as they end.
    Raises: OptionError: fewer than one episode, or environments that begin anew in another way.
    """
    if episodes < 1 or envs.metadata.get("autoreset_mode") != AutoresetMode.NEXT_STEP:
        raise OptionError(f"collecting takes 1 episode or more and autoreset_mode NEXT_STEP, got {episodes}")
    count = envs.num_envs
    missing = np.full(count, episodes // count)
    missing[: episodes % count] += 1
    frames, infos = envs.reset(seed=seed)
    agent.reset(np.ones(count, np.bool_))
    records: list[_Record | None] = [_begin(infos, k) for k in range(count)]
    while missing.any():
        actions = agent.act(frames)
        frames, _, terminated, truncated, infos = envs.step(actions)
        fresh = np.array([record is None for record in records])
        if fresh.any():
            agent.reset(fresh)
        ended = terminated | truncated
        for k in range(count):
            record = records[k]
            if record is None:
                records[k] = _begin(infos, k)
                continue
            record.actions.append(actions[k].copy())
            record.positions.append(infos["position"][k].astype(np.float32))
            if ended[k]:
                records[k] = None
                if missing[k]:
                    missing[k] -= 1
                    yield record.end(infos["jumppad"][k])


def _begin(infos: dict[str, Any], k: int) -> _Record:
    start = Start(int(infos["spawn"][k]), str(infos["character"][k]), int(infos["skin"][k]))
    return _Record(start, [infos["position"][k].astype(np.float32)])
