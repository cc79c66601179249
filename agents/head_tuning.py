"""Preference fine-tuning: imitation of the trajectories that score best, by the head alone.

The trunk is frozen, so what the head read when the trajectories were played is all that is needed to learn from them.
The paper draws and augments the frames anew; here a step is learnt from as it was seen.
Source: paper, sections 3.4 and C.4.
"""

import math
from collections.abc import Generator
from dataclasses import dataclass

import torch
from torch import Tensor

from agents.parameters import descend
from agents.policy import Head, log_prob
from envs.errors import DataError, DivergedError, OptionError
from envs.gamepad import COMPONENTS


@dataclass(frozen=True, kw_only=True)
class HeadTuningConfig:
    """How to train. The defaults are the paper's."""

    updates: int = 1000
    batch_size: int = 256 * 32  # steps
    learning_rate: float = 1e-5
    weight_decay: float = 1e-4
    clip: float = 1.0  # largest norm of the gradient
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.updates, self.batch_size) < 1 or min(self.learning_rate, self.clip) <= 0 or self.weight_decay < 0:
            raise OptionError(f"fine-tuning takes counts of 1 or more, a rate and clip above 0, got {self}")


def best(rewards: Tensor, share: float) -> Tensor:
    """The indices of the share of trajectories that scores best, at least one, best first; rewards: (N,).

    Raises: OptionError: a share outside (0, 1].
    """
    if not 0 < share <= 1:
        raise OptionError(f"the share of trajectories to learn from lies above 0 and up to 1, got {share}")
    return rewards.argsort(descending=True, stable=True)[: max(1, round(share * len(rewards)))]


def tune_head(head: Head, features: Tensor, actions: Tensor, config: HeadTuningConfig) -> Generator[float, None, None]:
    """Train a head in place on steps, drawn with replacement.

    Args: features: (N, width). actions: (N, 16), what was done at each step.
    Yields: the loss of every update, nats a component.
    Raises: DataError: there is no step, or one has no action. DivergedError: the loss is not finite.
    """
    if not len(features) or len(features) != len(actions):
        raise DataError(f"steps to learn from have an action each, got {len(features)} and {len(actions)}")
    generator = torch.Generator().manual_seed(config.seed)
    head.requires_grad_(True)
    optimizer = torch.optim.AdamW(head.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    for update in range(config.updates):
        chosen = torch.randint(len(features), (config.batch_size,), generator=generator)
        loss = -log_prob(head.logits(features[chosen].float()), actions[chosen]).mean()
        if not math.isfinite(loss.item()):
            raise DivergedError(f"update {update + 1} has loss {loss.item()}; lower the learning rate")
        descend(optimizer, loss, config.clip)
        yield loss.item() / len(COMPONENTS)
