"""Imitation learning: pre-training, fine-tuning and preference fine-tuning are this loop with other figures and data.

The loss is the negative log-likelihood of the player's action, summed over its 16 components, averaged over the steps
that count. "Filter out all no-op actions" can mean to cut idle frames out of a sequence, as VPT does, or not to learn
from them. Here they stay in the context and do not count: a policy acts at 10 Hz, idle or not, and cutting would show
it jumps in time that no game makes.

`train` draws no random numbers: batches come from a source that can start at any update, so a run that was killed goes
on from its last checkpoint to the same weights, bit for bit, as one that was not.
"""

import math
import os
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

import torch
from torch import Tensor

from agents.checkpoint import Run
from agents.heap import keep_freed_memory
from agents.parallel import Replicas
from agents.parameters import Precision, compute_dtype
from agents.policy import Part, Policy, component_log_prob
from envs.errors import DataError, DivergedError, OptionError
from envs.gamepad import AXES, BUTTONS, COMPONENTS, NOOP


@dataclass(frozen=True, kw_only=True)
class ImitationConfig:
    """How to train. The defaults are the paper's for pre-training."""

    updates: int = 43_000  # about one epoch of 9,875 hours
    batch_size: int = 256  # windows an update
    micro_batch: int = 32  # windows at a time; gradients are accumulated over a batch
    learning_rate: float = 1e-4
    schedule: Literal["constant", "cosine"] = "constant"  # after the warm-up; cosine ends at 0
    averaging: float | None = None  # see `average`; None: the policy has the weights of the last update
    weight_decay: float = 1e-4
    warm_up: int = 1000  # updates, linear from 0
    clip: float = 1.0  # largest norm of the gradient
    part: Part = "all"
    precision: Precision = "auto"
    processors: int = 0  # that compute, where there is no GPU; 0 is all
    checkpoint_every: int = 500  # updates

    def __post_init__(self) -> None:
        counts = (self.updates, self.batch_size, self.micro_batch, self.checkpoint_every)
        if min(counts) < 1 or min(self.warm_up, self.processors) < 0 or min(self.learning_rate, self.clip) <= 0:
            raise OptionError(f"training takes counts of 1 or more, and a learning rate and clip above 0, got {self}")
        if self.averaging is not None and not 0 <= self.averaging < math.inf:
            raise OptionError(f"weights are averaged with an exponent of 0 or more, got {self.averaging}")


PRETRAIN: Final = ImitationConfig()
FINETUNE: Final = ImitationConfig(updates=1500, batch_size=128, learning_rate=1e-6, warm_up=200)
PREFERENCE_FINETUNE: Final = ImitationConfig(updates=1000, learning_rate=1e-5, warm_up=0, part="head")


@dataclass(frozen=True, slots=True)
class Batch:
    """Windows to learn from."""

    frames: Tensor  # (B, T, 128, 128, 3) uint8
    actions: Tensor  # (B, T, 16) uint8
    counted: Tensor  # (B, T) bool, the steps that are learnt from; see `counted`

    def __post_init__(self) -> None:
        steps = self.counted.shape
        if self.frames.shape[:2] != steps or self.actions.shape != (*steps, len(COMPONENTS)):
            shapes = [tuple(t.shape) for t in (self.frames, self.actions, self.counted)]
            raise DataError(f"a batch needs frames (B, T, ...), actions (B, T, 16) and counted (B, T), got {shapes}")

    def to(self, device: torch.device) -> "Batch":
        """The batch on a device."""
        return Batch(self.frames.to(device), self.actions.to(device), self.counted.to(device))

    def split(self, size: int) -> Iterator["Batch"]:
        """Parts of up to `size` windows."""
        for start in range(0, len(self.counted), size):
            part = slice(start, start + size)
            yield Batch(self.frames[part], self.actions[part], self.counted[part])


Source = Callable[[int], Iterable[Batch]]  # the batches from an update on, counted from 0


@dataclass(frozen=True, slots=True)
class Losses:
    """Mean negative log-likelihoods over the steps that count, nats."""

    action: float  # of a whole action: what is minimised
    component: float  # of a component, as the next two
    button: float
    axis: float


@dataclass(frozen=True, slots=True)
class Metrics:
    """What an update reports."""

    update: int  # how many are done
    losses: Losses
    learning_rate: float
    gradient_norm: float  # before clipping
    frames_per_second: float  # since the update before, waiting for data included
    waited: float  # seconds of that for data


def counted(actions: Tensor, valid: Tensor) -> Tensor:
    """The steps to learn from: valid ones that do something.

    Args: actions: (B, T, 16) uint8. valid: (B, T) bool, false where a window is padded.
    Returns: (B, T) bool.
    """
    return valid & (actions != torch.as_tensor(NOOP.copy(), device=actions.device)).any(-1)


def component_losses(logits: Tensor, batch: Batch) -> Tensor:
    """Negative log-likelihood of each component, summed over the steps that count.

    Args: logits: (B, T, 68) float32.
    Returns: (16,) float32, nats.
    """
    return -(component_log_prob(logits, batch.actions) * batch.counted.unsqueeze(-1)).sum((0, 1))


def losses_of(sums: Tensor, steps: int) -> Losses:
    """Means of (16,) sums over `steps` steps that count."""
    means = sums.double().cpu() / max(steps, 1)
    buttons, axes = float(means[: len(BUTTONS)].sum()), float(means[len(BUTTONS) :].sum())
    return Losses(buttons + axes, (buttons + axes) / len(COMPONENTS), buttons / len(BUTTONS), axes / len(AXES))


def learning_rate(config: ImitationConfig, update: int) -> float:
    """The learning rate of an update, counted from 0."""
    if update < config.warm_up:
        return config.learning_rate * (update + 1) / config.warm_up
    if config.schedule == "constant":
        return config.learning_rate
    progress = (update - config.warm_up) / max(config.updates - config.warm_up, 1)
    return config.learning_rate * (1 + math.cos(math.pi * progress)) / 2


@torch.no_grad()
def average(mean: Policy, policy: Policy, done: int, exponent: float) -> None:
    """Move the mean of a policy's weights over its updates, in place, on to one that counts the weights of now.

    The weights after update s of t count about as (s / t) ** exponent: 0 is the plain mean of all; the larger, the less
    of them lasts. Where the learning rate does not fall, this takes out the noise of single updates, and in a
    fine-tuning the mean lies closer to where it began. Unlike the mean of the last so many, it needs no known end.

    Args: done: updates behind the policy's weights, from 1 on; the mean's own weights count nothing in the first.
    Source: polynomial-decay averaging, Shamir and Zhang, 2013.
    """
    share = (exponent + 1) / (done + exponent)
    for there, now in zip(mean.parameters(), policy.parameters(), strict=True):
        there.lerp_(now, share)


def policy_logits(policy: Policy, frames: Tensor, part: Part, dtype: torch.dtype) -> Tensor:
    """The logits of every step, with gradients for the part that is trained.

    The head alone is trained in float32, as it acts.
    """
    if part == "all":
        return policy.logits(frames, dtype)
    with torch.no_grad():
        features = policy.trunk.features(frames, dtype)
    return policy.head.logits(features.float())


def accumulate(replicas: Replicas, batch: Batch, config: ImitationConfig) -> Losses:
    """Add the gradient of the batch's loss to the parameters', a micro-batch at a time, and return the losses."""
    dtype = compute_dtype(config.precision, batch.frames.device)
    steps = int(batch.counted.sum())

    def backward(policy: Policy, part: Batch) -> Tensor:
        losses = component_losses(policy_logits(policy, part.frames, config.part, dtype), part)
        torch.autograd.backward(losses.sum() / max(steps, 1))
        return losses.detach()

    return losses_of(torch.stack(replicas.run(backward, batch.split(config.micro_batch))).sum(0), steps)


@torch.inference_mode()
def evaluate(policy: Policy, batches: Iterable[Batch], dtype: torch.dtype) -> Losses:
    """The losses of a policy on batches that it was not trained on.

    Raises: DataError: there is no step that counts.
    """
    sums, steps = torch.zeros(len(COMPONENTS)), 0
    device = next(policy.parameters()).device
    for batch in (batch.to(device) for batch in batches):
        sums += component_losses(policy.logits(batch.frames, dtype), batch).cpu()
        steps += int(batch.counted.sum())
    if not steps:
        raise DataError("no step to evaluate on counts; give episodes in which something is done")
    return losses_of(sums, steps)


def train_step(
    replicas: Replicas, optimizer: torch.optim.Optimizer, batch: Batch, config: ImitationConfig, update: int
) -> tuple[Losses, float]:
    """One update: accumulate the gradient, clip it, step.

    Args: optimizer: of the trained parameters, in one group. update: counted from 0.
    Returns: the losses, and the norm of the gradient before clipping.
    Raises: DivergedError: the loss or the gradient is not finite; the weights are as before.
    """
    (group,) = optimizer.param_groups
    group["lr"] = learning_rate(config, update)
    optimizer.zero_grad()
    losses = accumulate(replicas, batch, config)
    norm = float(torch.nn.utils.clip_grad_norm_(group["params"], config.clip))
    if not (math.isfinite(losses.action) and math.isfinite(norm)):
        raise DivergedError(
            f"update {update + 1} has loss {losses.action} and gradient norm {norm}; lower the learning rate (now "
            f"{group['lr']:g}) or look at the data; resuming goes on from the last checkpoint"
        )
    optimizer.step()
    return losses, norm


def train(
    policy: Policy,
    source: Source,
    config: ImitationConfig,
    folder: Path,
    identity: Mapping[str, Any] | None = None,
    notes: Mapping[str, Any] | None = None,
) -> Generator[Metrics, None, None]:
    """Train a policy in place, on its device; go on where the run in `folder` stopped, if there is one.

    With `averaging` the policy is the mean of the weights at every moment, and a copy is what is trained.

    Args: source: the same batches for the same update every time. folder: where the checkpoints go; the policy is
      `policy.safetensors`. identity: what else makes it this run and no other, such as its data. notes: kept
      in the settings there as well.
    Yields: metrics, an update each, before any checkpoint it makes: what is kept of them is not behind the weights.
    Raises: DataError: the batches ended, or are not of the configured size. DivergedError: a loss or gradient is not
      finite. CheckpointError: a checkpoint cannot be read or written, or the folder holds a run of other settings.
    """
    learner = policy if config.averaging is None else deepcopy(policy)
    parameters = learner.train_only(config.part)
    device = parameters[0].device
    optimizer = torch.optim.AdamW(parameters, weight_decay=config.weight_decay, fused=True)
    fixed = asdict(config)
    free = {
        name: fixed.pop(name) for name in ("updates", "processors", "checkpoint_every")
    }  # may differ when a run goes on
    identity, notes = {**fixed, **(identity or {})}, {**free, **(notes or {})}
    run = Run(folder, learner, optimizer, identity, notes, mean=None if learner is policy else policy)
    done = run.resume()
    batches = iter(source(done) if done < config.updates else ())
    with closing(make_replicas(learner, config)) as replicas:
        for update in range(done, config.updates):
            started = time.perf_counter()
            batch = _next(batches, config, update).to(device)
            waited = time.perf_counter() - started
            losses, norm = train_step(replicas, optimizer, batch, config, update)
            if config.averaging is not None:
                average(policy, learner, update + 1, config.averaging)
            speed = batch.counted.numel() / (time.perf_counter() - started)
            yield Metrics(update + 1, losses, learning_rate(config, update), norm, speed, waited)
            if (update + 1) % config.checkpoint_every == 0 or update + 1 == config.updates:
                run.save(update + 1)


def make_replicas(policy: Policy, config: ImitationConfig) -> Replicas:
    """One copy for each processor, of which a GPU counts as one, but not more than there are micro-batches.

    Where processors compute, this process keeps the memory that it frees from now on, see `heap.py`.
    """
    parts = -(-config.batch_size // config.micro_batch)
    on_cpu = next(policy.parameters()).device.type == "cpu"
    if on_cpu:
        keep_freed_memory()
    return Replicas(policy, min(parts, config.processors or os.cpu_count() or 1) if on_cpu else 1)


def _next(batches: Iterator[Batch], config: ImitationConfig, update: int) -> Batch:
    batch = next(batches, None)
    if batch is None:
        raise DataError(f"the data ended after {update} of {config.updates} updates; give more, or set fewer updates")
    if len(batch.counted) != config.batch_size:
        raise DataError(f"expected batches of {config.batch_size} windows, got {len(batch.counted)}")
    return batch
