"""REINFORCE on whole trajectories: one reward an episode, undiscounted, for every step of it.

The paper uses the raw reward as the return. That is unbiased and noisy: with rewards in [0, 1] every action that was
taken becomes more likely, in a good episode only more so than in a bad one. `baseline="leave_one_out"` subtracts the
mean reward of the batch's other episodes, which leaves the expected gradient as it is (Kool et al., 2019).
`baseline="value"` credits an action with the change that followed in the reward to be expected, as a critic knows it
(Schulman et al., 2016). The KL divergence to a reference policy and the entropy can be added. What an older head
played, and a batch that is learnt from more than once, counts by how much likelier the present head would do the same,
as long as that is not far from it (Schulman et al., 2017).
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from agents.critic import Critic
from agents.parameters import descend
from agents.policy import Head, entropy, kl_divergence, log_prob, tempered
from envs.errors import DataError, DivergedError, OptionError

Baseline = Literal["none", "leave_one_out", "value"]


@dataclass(frozen=True, kw_only=True)
class ReinforceConfig:
    """How to learn online. The defaults are the paper's."""

    batch_size: int = 16  # episodes an update
    learning_rate: float = 1e-4
    weight_decay: float = 0.0
    clip: float = 100.0  # largest norm of the gradient, which is summed over the steps of an episode
    baseline: Baseline = "none"
    kl: float = 0.0  # reward that a nat of KL divergence to the reference policy costs, summed over an episode
    entropy: float = 0.0  # reward that a nat of entropy earns, the same way
    passes: int = 1  # times that a batch is learnt from
    trust: float = 0.2  # how far from 1 the ratio of chances may go before an action is no longer learnt from
    trace: float = 0.95  # with baseline "value": weight of what a step later follows, to what follows at once

    def __post_init__(self) -> None:
        if min(self.batch_size, self.passes) < 1 or min(self.learning_rate, self.clip, self.trust) <= 0:
            raise OptionError(f"REINFORCE takes a batch and passes of 1 or more, rate, clip, trust above 0, got {self}")
        if min(self.weight_decay, self.kl, self.entropy) < 0 or not 0 <= self.trace <= 1:
            raise OptionError(f"REINFORCE takes weights of 0 or more, and a trace from 0 to 1, got {self}")
        if self.baseline not in get_args(Baseline):
            raise OptionError(f"the baselines are {', '.join(get_args(Baseline))}, got {self.baseline!r}")


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


def advantages(batch: EpisodeBatch, config: ReinforceConfig, critic: Critic) -> Tensor:
    """What each action is reinforced by, (B, T), in units of reward.

    Raises: OptionError: the baseline is not known.
    """
    if config.baseline != "value":
        returns = batch.rewards if config.baseline == "none" else less_the_others(batch.rewards)
        return returns[:, None].expand(batch.played.shape)
    # Not scaled to a unit spread, as is common: where every episode is good, what is left is noise and must stay small.
    return followed_by(critic.expect(batch.features), batch.rewards, batch.steps, config.trace)


def less_the_others(rewards: Tensor) -> Tensor:
    """Rewards, (B,), less the mean of the others'; alone an episode keeps its reward."""
    count = len(rewards)
    return rewards if count == 1 else rewards - (rewards.sum() - rewards) / (count - 1)


def followed_by(expected: Tensor, rewards: Tensor, steps: Tensor, trace: float) -> Tensor:
    """How expectations changed after each step: the next step's change in full, each later one's `trace` times as much.

    Args: expected: (B, T), reward to be expected at each step. rewards: (B,), what came at the end. steps: (B,).
      trace: 0 counts the change at once alone, 1 all up to the end: the reward less what was expected.
    Returns: (B, T), 0 after the end.
    Source: generalised advantage estimation, Schulman et al., 2016.
    """
    time = torch.arange(expected.shape[1], device=steps.device)
    after = torch.cat((expected[:, 1:], rewards[:, None]), 1)
    after = torch.where(time == steps[:, None] - 1, rewards[:, None], after)
    change = torch.where(time < steps[:, None], after - expected, 0.0)
    result, running = torch.zeros_like(change), torch.zeros_like(rewards)
    for step in range(len(time) - 1, -1, -1):
        running = change[:, step] + trace * running
        result[:, step] = running
    return result


def reinforce_loss(log_probs: Tensor, played: Tensor, advantage: Tensor, weights: Tensor | None = None) -> Tensor:
    """The loss whose gradient is REINFORCE's: minus the advantage times the log-probability of all that was done.

    Args: log_probs: (B, T), nats, of the actions under the policy that learns. played: (B, T) bool. advantage: (B, T).
      weights: (B, T), importance weights, constants; default 1.
    Returns: a scalar, the mean over the episodes that are there: a batch that lost two of 16 divides by 14.
    Source: Williams, 1992; paper, section 3.5.
    """
    if weights is not None:
        log_probs = log_probs * weights
    return -(advantage * log_probs * played).sum(1).mean()


def importance_weights(log_probs: Tensor, behaviour: Tensor, advantage: Tensor, trust: float) -> Tensor:
    """How much likelier each action is now than when it was taken, (B, T), without gradient.

    It is 0 where the ratio has gone the wanted way by more than `trust` already: the gradient of the clipped surrogate.
    Source: Schulman et al., 2017.
    """
    ratio = (log_probs.detach() - behaviour).exp()
    there = torch.where(advantage > 0, ratio > 1 + trust, ratio < 1 - trust)
    return ratio.masked_fill(there, 0.0)


@dataclass(frozen=True, slots=True)
class Lesson:
    """A batch, and what all passes over it have in common."""

    batch: EpisodeBatch
    features: Tensor  # (B, T, width) float32
    played: Tensor  # (B, T) bool
    reference: Tensor  # (B, T, 68), logits of the reference policy, at the temperature
    advantage: Tensor  # (B, T)
    temperature: float  # that the episodes were played at
    stale: bool  # whether an older head played some of them, so that importance weights are due at once


@dataclass(frozen=True, slots=True)
class Objective:
    """What a pass descends, and what it is made of; scalars."""

    total: Tensor
    loss: Tensor  # of REINFORCE alone
    kl: Tensor  # nats, summed over an episode
    entropy: Tensor  # likewise
    weights: Tensor  # (B, T), importance weights


def new_optimizer(parameters: Iterable[nn.Parameter], config: ReinforceConfig) -> torch.optim.AdamW:
    """The optimizer of a head."""
    return torch.optim.AdamW(parameters, lr=config.learning_rate, weight_decay=config.weight_decay, fused=True)


@torch.no_grad()
def prepare(
    batch: EpisodeBatch,
    reference: Head,
    config: ReinforceConfig,
    critic: Critic,
    *,
    stale: bool = False,
    temperature: float = 1.0,
) -> Lesson:
    """What can be said of a batch before the first pass over it; the arguments are those of `update_head`."""
    features = batch.features.float()
    before = tempered(reference.logits(features), temperature)
    return Lesson(batch, features, batch.played, before, advantages(batch, config, critic), temperature, stale)


def objective(logits: Tensor, lesson: Lesson, config: ReinforceConfig, number: int) -> Objective:
    """What a pass descends.

    Args: logits: (B, T, 68) float32, of the head that learns for the lesson's features. number: of the pass, from 0.
    """
    logits, played, count = tempered(logits, lesson.temperature), lesson.played, len(lesson.played)
    log_probs = log_prob(logits, lesson.batch.actions)
    weights = torch.ones_like(log_probs)
    if lesson.stale or number:
        weights = importance_weights(log_probs, lesson.batch.log_probs, lesson.advantage, config.trust)
    divergence = (kl_divergence(logits, lesson.reference) * played).sum() / count
    spread = (entropy(logits) * played).sum() / count
    loss = reinforce_loss(log_probs, played, lesson.advantage, weights)
    return Objective(
        loss + config.kl * divergence - config.entropy * spread, loss, divergence, spread, weights.detach()
    )


def report(done: Objective, lesson: Lesson, norm: float) -> Update:
    """What a pass reports.

    Args: norm: of its gradient, before clipping.
    Raises: DivergedError: that is not a finite number, and the weights must stay as they are.
    """
    if not math.isfinite(norm):
        raise DivergedError(f"this batch gives loss {done.loss.item()} and gradient {norm}; lower the learning rate")
    played = lesson.played
    steps = float(played.sum()) / len(played)
    weight = float((done.weights * played).sum()) / len(played) / steps
    reward = lesson.batch.rewards.mean().item()
    return Update(reward, done.kl.item() / steps, done.entropy.item() / steps, weight, norm)


def learn_rewards(critic: Critic, batch: EpisodeBatch) -> None:
    """Let a critic learn what the episodes of a batch were worth."""
    played = batch.played
    critic.learn(batch.features.float()[played], batch.rewards[:, None].expand(played.shape)[played])


def update_head(
    head: Head,
    reference: Head,
    optimizer: torch.optim.Optimizer,
    batch: EpisodeBatch,
    config: ReinforceConfig,
    critic: Critic,
    *,
    stale: bool = False,
    temperature: float = 1.0,
) -> Update:
    """One update of a policy's head on a batch of episodes; the critic learns from it afterwards.

    Args: reference: the head that the KL divergence is measured to, not changed. temperature: that the episodes were
      played at. stale: whether an older head played some of them, so that importance weights are due at once.
    Returns: what the last pass saw.
    Raises: DivergedError: the loss or its gradient is not finite; the weights are as before that pass.
    """
    lesson = prepare(batch, reference, config, critic, stale=stale, temperature=temperature)
    update: Update | None = None
    for number in range(config.passes):
        done = objective(head.logits(lesson.features), lesson, config, number)
        update = report(done, lesson, descend(optimizer, done.total, config.clip))
    assert update is not None
    learn_rewards(critic, batch)
    return update
