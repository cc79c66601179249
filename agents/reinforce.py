"""REINFORCE on whole trajectories: one reward an episode, undiscounted, for every step of it.

The paper uses the raw reward as the return. That is unbiased and noisy: with rewards in [0, 1] every action that was
taken becomes more likely, in a good episode only more so than in a bad one. `baseline="leave_one_out"` subtracts the
mean reward of the batch's other episodes, which leaves the expected gradient as it is (Kool et al., 2019). The KL
divergence to a reference policy and the entropy can be added. An episode that was played by an older head counts by
how much more likely the present one would play it, step by step and bounded (an action's importance weight).
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from agents.parameters import descend
from agents.policy import Head, entropy, kl_divergence, log_prob, tempered
from envs.errors import DataError, DivergedError, OptionError

Baseline = Literal["none", "leave_one_out"]


@dataclass(frozen=True, kw_only=True)
class ReinforceConfig:
    """How to learn online. The defaults are the paper's."""

    batch_size: int = 16  # episodes an update
    learning_rate: float = 1e-4
    weight_decay: float = 0.0
    clip: float = 1.0  # largest norm of the gradient
    baseline: Baseline = "none"
    kl: float = 0.0  # weight of the KL divergence to the reference policy, nats an action
    entropy: float = 0.0  # weight of the policy's entropy, nats an action
    largest_weight: float = 2.0  # of an action that an older head took

    def __post_init__(self) -> None:
        if self.batch_size < 1 or min(self.learning_rate, self.clip, self.largest_weight) <= 0:
            raise OptionError(f"REINFORCE takes a batch of 1 or more, a rate, clip and weight above 0, got {self}")
        if min(self.weight_decay, self.kl, self.entropy) < 0:
            raise OptionError(f"REINFORCE takes weights of 0 or more, got {self}")


@dataclass(frozen=True, slots=True)
class EpisodeBatch:
    """Episodes to learn from, padded to the longest.

    Raises: DataError: the parts do not fit together, or there is no episode.
    """

    features: Tensor  # (B, T, width), what the head reads
    actions: Tensor  # (B, T, 16) uint8
    log_probs: Tensor  # (B, T) float32, nats, of the actions when they were taken
    steps: Tensor  # (B,) int64: steps of each episode; what follows is padding
    rewards: Tensor  # (B,) float32

    def __post_init__(self) -> None:
        count, time = self.features.shape[:2]
        shapes = [tuple(t.shape) for t in (self.actions, self.log_probs, self.steps, self.rewards)]
        if shapes != [(count, time, 16), (count, time), (count,), (count,)] or not count:
            raise DataError(f"episodes with features {tuple(self.features.shape)} do not go with {shapes}")

    @property
    def played(self) -> Tensor:
        """(B, T) bool: the steps that are not padding."""
        return torch.arange(self.features.shape[1], device=self.steps.device) < self.steps[:, None]


@dataclass(frozen=True, slots=True)
class Update:
    """What an update reports: means over the batch."""

    reward: float
    kl: float  # nats an action, to the reference policy
    entropy: float  # nats an action
    weight: float  # importance weight an action
    gradient_norm: float  # before clipping


def advantages(rewards: Tensor, baseline: Baseline) -> Tensor:
    """What each episode's actions are reinforced by.

    Args: rewards: (B,). A baseline of the others needs two episodes; alone an episode keeps its reward.
    Returns: (B,).
    """
    count = len(rewards)
    if baseline == "none" or count == 1:
        return rewards
    return rewards - (rewards.sum() - rewards) / (count - 1)


def reinforce_loss(log_probs: Tensor, played: Tensor, advantage: Tensor, weights: Tensor | None = None) -> Tensor:
    """The loss whose gradient is REINFORCE's: minus the advantage times the log-probability of all that was done.

    Args: log_probs: (B, T), nats, of the actions under the policy that learns. played: (B, T) bool. advantage: (B,).
      weights: (B, T), importance weights, constants; default 1.
    Returns: a scalar, the mean over the episodes that are there: a batch that lost two of 16 divides by 14.
    Source: Williams, 1992; paper, section 3.5.
    """
    if weights is not None:
        log_probs = log_probs * weights
    return -(advantage * (log_probs * played).sum(1)).mean()


def importance_weights(log_probs: Tensor, behaviour: Tensor, largest: float) -> Tensor:
    """How much likelier each action is now than when it was taken, at most `largest`; (B, T), without gradient."""
    return (log_probs.detach() - behaviour).exp().clamp(max=largest)


def update_head(
    head: Head,
    reference: Head,
    optimizer: torch.optim.Optimizer,
    batch: EpisodeBatch,
    config: ReinforceConfig,
    *,
    stale: bool = False,
    temperature: float = 1.0,
) -> Update:
    """One update of a policy's head on a batch of episodes.

    Args: reference: the head that the KL divergence is measured to, not changed. temperature: that the episodes were
      played at. stale: whether an older head played some of them, so that importance weights are due.
    Raises: DivergedError: the loss or its gradient is not finite; the weights are as before.
    """
    features, played = batch.features.float(), batch.played
    logits = tempered(head.logits(features), temperature)
    with torch.no_grad():
        before = tempered(reference.logits(features), temperature)
    log_probs = log_prob(logits, batch.actions)
    weights = torch.ones_like(log_probs)
    if stale:
        weights = importance_weights(log_probs, batch.log_probs, config.largest_weight)
    steps = played.sum()
    divergence = (kl_divergence(logits, before) * played).sum() / steps
    spread = (entropy(logits) * played).sum() / steps
    loss = reinforce_loss(log_probs, played, advantages(batch.rewards, config.baseline), weights)
    norm = descend(optimizer, loss + config.kl * divergence - config.entropy * spread, config.clip)
    if not math.isfinite(norm):
        raise DivergedError(f"this batch gives loss {loss.item()} and gradient norm {norm}; lower the learning rate")
    weight = (weights * played).sum() / steps
    return Update(batch.rewards.mean().item(), divergence.item(), spread.item(), weight.item(), norm)
