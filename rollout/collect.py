"""Episodes of an agent in a batched environment, in this process.

Environments play in rounds: all begin at once, each from a seed of its own, and the round is over when the last has
ended. So an episode follows from its seed, none is counted for being short, and the padding that the reward model
wants, black frames up to the time limit, is the end of the same round.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, cast

import numpy as np
import torch
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray

from agents.inference import Decision
from envs.backend import Start
from envs.episode import Ending, Episode
from envs.errors import OptionError
from envs.gamepad import SIZES
from envs.task import MAX_STEPS


class Agent(Protocol):
    """Something that plays in B environments at once, each with a past of its own."""

    def reset(self, mask: NDArray[np.bool_]) -> None:
        """Forget the past of the environments in the mask, (B,)."""
        ...

    def act(self, frames: NDArray[np.uint8]) -> Decision:
        """The next actions for frames (B, 128, 128, 3) uint8."""
        ...


class RandomAgent:
    """Presses anything, uniformly."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def reset(self, mask: NDArray[np.bool_]) -> None:
        """Nothing to forget."""

    def act(self, frames: NDArray[np.uint8]) -> Decision:
        """Uniform actions; it has no features."""
        count = len(frames)
        actions = self._rng.integers(0, SIZES, (count, len(SIZES)), np.uint8)
        nothing = torch.empty(count, 0)
        return Decision(actions, np.full(count, -np.log(SIZES).sum(), np.float32), nothing, nothing)


def collect(
    envs: VectorEnv[Any, Any, Any],
    agent: Agent,
    seeds: Sequence[int],
    *,
    padded: bool = False,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Episode]:
    """Let an agent play an episode from each seed.

    Args: envs: batched environments that begin anew with the next step. padded: whether the agent sees black frames
      after the end, up to the time limit, and the episode holds its embeddings and features of them. stop: asked before
      every step; when it holds, the episodes that are being played are given up.
    Yields: the episodes, in the order of their seeds, the interrupted ones among them.
    Raises: OptionError: environments that begin anew in another way.
    """
    if envs.metadata.get("autoreset_mode") != AutoresetMode.NEXT_STEP:
        raise OptionError("collecting takes environments with autoreset_mode NEXT_STEP")
    for start in range(0, len(seeds), envs.num_envs):
        episodes = _Round(envs, agent, seeds[start : start + envs.num_envs]).play(padded, stop)
        yield from episodes
        if not episodes:  # it was stopped: a real game is not reset for the others
            return


class _Round:
    """One episode in every environment; where there are fewer seeds, the last one again, which is not kept."""

    def __init__(self, envs: VectorEnv[Any, Any, Any], agent: Agent, seeds: Sequence[int]) -> None:
        count = envs.num_envs
        self._envs, self._agent, self._seeds = envs, agent, seeds
        self._steps = np.zeros(count, np.int64)
        self._jumppads: list[str | None] = [None] * count
        self._interrupted: list[str | None] = [None] * count
        self._actions = np.zeros((count, MAX_STEPS, len(SIZES)), np.uint8)
        self._log_probs = np.zeros((count, MAX_STEPS), np.float32)
        self._positions = np.zeros((count, MAX_STEPS + 1, 3), np.float32)
        self._located = True  # whether the game tells where the player is
        self._embeddings: list[NDArray[np.float16]] = []
        self._features: list[NDArray[np.float16]] = []

    def play(self, padded: bool, stop: Callable[[], bool]) -> list[Episode]:
        """Play to the end of all, or of none."""
        envs, count = self._envs, self._envs.num_envs
        seeds = [self._seeds[min(k, len(self._seeds) - 1)] for k in range(count)]
        frames, infos = cast("Any", envs).reset(seed=seeds)  # Gymnasium's type leaves lists out
        self._agent.reset(np.ones(count, np.bool_))
        places = (infos[name].tolist() for name in ("spawn", "character", "skin"))
        starts = [Start(*start) for start in zip(*places, strict=True)]
        self._located = "position" in infos
        if self._located:
            self._positions[:, 0] = infos["position"]
        running = np.ones(count, np.bool_)
        for step in range(MAX_STEPS):
            if stop():
                return []
            if not running.all():
                frames = np.where(running[:, None, None, None], frames, np.uint8(0))
            decision = self._agent.act(frames)
            self._embeddings.append(decision.embeddings.half().numpy())
            self._features.append(decision.features.half().numpy())
            if running.any():
                self._actions[:, step], self._log_probs[:, step] = decision.actions, decision.log_probs
                frames, _, terminated, truncated, infos = envs.step(decision.actions)
                if self._located:
                    self._positions[running, step + 1] = infos["position"][running]
                self._steps += running
                for k in np.flatnonzero(running & terminated).tolist():
                    self._jumppads[k] = infos["jumppad"][k]
                for k in np.flatnonzero(running & truncated).tolist():
                    self._interrupted[k] = infos["interrupted"][k] if "interrupted" in infos else None
                running &= ~(terminated | truncated)
            if not (padded or running.any()):
                break
        embeddings, features = np.stack(self._embeddings, 1), np.stack(self._features, 1)
        return [
            self._episode(k, start, embeddings[k], features[k], padded)
            for k, start in enumerate(starts[: len(self._seeds)])
        ]

    def _episode(
        self, k: int, start: Start, embeddings: NDArray[np.float16], features: NDArray[np.float16], padded: bool
    ) -> Episode:
        steps, interrupted = int(self._steps[k]), self._interrupted[k]
        ending = Ending.TRUNCATED if self._jumppads[k] is None else Ending.TERMINATED
        return Episode(
            seed=self._seeds[k],
            start=start,
            actions=self._actions[k, :steps].copy(),
            log_probs=self._log_probs[k, :steps].copy(),
            embeddings=(embeddings if padded else embeddings[:steps]).copy(),
            features=(features if padded else features[:steps]).copy(),
            positions=self._positions[k, : steps + 1 if self._located else 0].copy(),
            ending=ending if interrupted is None else Ending.INTERRUPTED,
            jumppad=self._jumppads[k],
            interrupted=interrupted,
        )
