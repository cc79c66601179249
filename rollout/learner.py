"""The learner: batches of episodes in, versions of the head out.

Batch b is played by version max(0, b - lag) of the head, so what is played does not depend on who was faster, and a run
that was stopped goes on as if it had not been. With lag 0, the paper's way, workers wait for each update.
"""

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from agents.checkpoint import Run
from agents.critic import Critic
from agents.inference import Context
from agents.policy import Policy
from agents.reinforce import EpisodeBatch, ReinforceConfig, Update, learn_rewards, new_optimizer, update_head
from agents.reward import RewardArtefact
from envs.episode import Episode
from envs.errors import DeliveryError, OptionError
from rollout.codec import Stamp
from rollout.delivery.assignment import Assignment

_KEYS: Final = "delivery/keys"  # of a checkpoint


@dataclass(frozen=True, kw_only=True)
class OnlineConfig:
    """How to learn online. The defaults are the paper's."""

    updates: int = 600
    reinforce: ReinforceConfig = field(default_factory=ReinforceConfig)
    schedule: Literal["constant", "linear"] = "constant"  # of the learning rate; linear ends at 0
    max_policy_lag: int = 0  # updates that the head that plays may be behind
    context: Context = "chunked"
    temperature: float = 1.0
    shares: int = 2  # assignments that a batch is made of: as many workers can play it at once
    seed: int = 0
    checkpoint_every: int = 10  # updates, for others to use; what a run goes on from is kept after each
    patience: float = 300.0  # seconds that may pass without an episode
    metrics_port: int = 0  # of this machine, for Prometheus and `skygarden status`; 0: a free one
    keep_journal: bool = False  # all that was learnt from, to learn it again: 200 KB an episode of the largest policy

    def __post_init__(self) -> None:
        if min(self.updates, self.checkpoint_every) < 1 or min(self.max_policy_lag, self.seed) < 0:
            raise OptionError(f"learning online takes updates of 1 or more, lag and seed of 0 or more, got {self}")
        if not 1 <= self.shares <= self.reinforce.batch_size or self.patience <= 0:
            raise OptionError(f"a batch of {self.reinforce.batch_size} makes 1 to as many shares, got {self.shares}")


class Workers(Protocol):
    """Those who play."""

    def publish(self, version: int, weights: Mapping[str, Tensor], oldest: int) -> None:
        """Have a version of the head played from now on; those before `oldest` are no longer asked for."""
        ...

    def post(self, assignment: Assignment) -> None:
        """Have an assignment played."""
        ...

    def wait(self, numbers: Sequence[int], patience: float) -> list[tuple[Episode, Stamp]]:
        """What came of assignments; see `rollout.desk.Desk.wait`."""
        ...

    def recover(self, keys: Tensor | None, first: int) -> None:
        """Go on from a checkpoint that holds these keys, with the assignments from `first` on."""
        ...

    def keys(self) -> Tensor:
        """The keys of all that came, for a checkpoint."""
        ...

    def saved(self, below: int) -> None:
        """A checkpoint holds what followed from the assignments below this one."""
        ...


@dataclass(frozen=True, slots=True)
class OnlineMetrics:
    """What an update reports."""

    update: int  # how many are done
    learnt: Update
    episodes: int  # of the batch
    reached: dict[str, int]  # episodes by pad, for evaluation only; nothing is learnt from it
    shown: int | None  # episodes that show what is wanted, likewise; None where nobody can tell
    steps: float  # mean length of an episode
    staleness: float  # mean number of updates that the head that played was behind
    seconds: float  # since the update before
    learning: float  # seconds of that for scores, loss and update


def train_online(
    policy: Policy,
    reference: Policy,
    reward: RewardArtefact,
    trunk: str,
    workers: Workers,
    config: OnlineConfig,
    folder: Path,
    identity: Mapping[str, Any] | None = None,
    primer: Sequence[Episode] = (),
    shown: Callable[[Episode], bool] | None = None,
) -> Generator[OnlineMetrics, None, None]:
    """Train a policy's head in place; go on where the run in `folder` stopped, if there is one.

    Args: policy: on the CPU. reference: what the KL divergence is measured to, with the same trunk. trunk: its hash.
      identity: what else makes it this run and no other. primer: episodes played before, padded, that the critic learns
      from first. shown: whether an episode shows what is wanted, for the metrics only.
    Yields: metrics, an update each, before its checkpoint: what is kept of them is not behind the weights.
    Raises: DeliveryError: no episodes come, or all of a batch were dropped. DivergedError: a loss is not finite.
      CheckpointError: as `agents.imitation.train`; the reward model reads another trunk.
    """
    parameters = policy.train_only("head")
    settings = config.reinforce
    optimizer = new_optimizer(parameters, settings)
    fixed = lasting_settings(config)
    free = {name: value for name, value in asdict(config).items() if name not in fixed}
    run = Run(folder, policy, optimizer, {**fixed, **(identity or {})}, free)
    done = run.resume()
    critic = Critic(policy.config.width)
    if done:
        critic.load(_with_prefix(run.extras, "critic/"))
    elif primer:
        learn_rewards(critic, batch_of(primer, reward.score_episodes(primer, trunk)))
    workers.recover(run.extras.get(_KEYS), done * config.shares)
    heads = _Heads(config.max_policy_lag, done, _with_prefix(run.extras, "head/"), policy)
    for version in heads.versions():
        workers.publish(version, heads[version], heads.oldest)
    for batch in range(done, min(done + config.max_policy_lag, config.updates)):
        _post(workers, batch, config)
    for update in range(done, config.updates):
        started = time.perf_counter()
        if update + config.max_policy_lag < config.updates:
            _post(workers, update + config.max_policy_lag, config)
        played = workers.wait(range(update * config.shares, (update + 1) * config.shares), config.patience)
        if not played:
            raise DeliveryError(f"all episodes of batch {update + 1} were dropped; the workers' logs say why")
        came = time.perf_counter()
        episodes = [episode for episode, _ in played]
        staleness = float(np.mean([update - stamp.version for _, stamp in played]))
        rewards = reward.score_episodes(episodes, trunk)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(config, update)
        learnt = update_head(
            policy.head,
            reference.head,
            optimizer,
            batch_of(episodes, rewards),
            settings,
            critic,
            stale=staleness > 0,
            temperature=config.temperature,
        )
        heads.add(update + 1, policy)
        workers.publish(update + 1, heads[update + 1], heads.oldest)
        now = time.perf_counter()
        pads = [episode.jumppad or "none" for episode in episodes]
        yield OnlineMetrics(
            update + 1,
            learnt,
            len(episodes),
            {pad: pads.count(pad) for pad in sorted(set(pads))},
            None if shown is None else sum(map(shown, episodes)),
            float(np.mean([len(episode) for episode in episodes])),
            staleness,
            now - started,
            now - came,
        )
        remembered = {f"critic/{name}": tensor for name, tensor in critic.state().items()}
        remembered |= {f"head/{name}": head for name, head in heads.tensors().items()}
        whole = (update + 1) % config.checkpoint_every == 0 or update + 1 == config.updates
        run.save(update + 1, {**remembered, _KEYS: workers.keys()}, whole=whole)
        workers.saved((update + 1) * config.shares)


def lasting_settings(config: OnlineConfig) -> dict[str, Any]:
    """Those that may not change while a run lasts, as it is stopped and goes on."""
    free = {"checkpoint_every", "patience", "metrics_port", "keep_journal"}
    free |= {"updates"} if config.schedule == "constant" else set()
    return {name: value for name, value in asdict(config).items() if name not in free}


def learning_rate(config: OnlineConfig, update: int) -> float:
    """The learning rate of an update, counted from 0."""
    rate = config.reinforce.learning_rate
    return rate if config.schedule == "constant" else rate * (1 - update / config.updates)


def batch_of(episodes: Sequence[Episode], rewards: Tensor) -> EpisodeBatch:
    """Episodes as one batch, padded to the longest."""
    steps = [len(episode) for episode in episodes]
    longest = max(steps)

    def padded(arrays: Sequence[np.ndarray[Any, Any]]) -> Tensor:
        out = np.zeros((len(arrays), longest, *arrays[0].shape[1:]), arrays[0].dtype)
        for row, array in zip(out, arrays, strict=True):
            row[: min(len(array), longest)] = array[:longest]
        return torch.as_tensor(out)

    return EpisodeBatch(
        padded([episode.features for episode in episodes]),
        padded([episode.actions for episode in episodes]),
        padded([episode.log_probs for episode in episodes]),
        torch.tensor(steps),
        rewards,
    )


def seeds_of(config: OnlineConfig, batch: int) -> range:
    """The seeds of a batch's episodes, which no evaluation uses: those lie below a million."""
    size = config.reinforce.batch_size
    first = (10 + config.seed) * 10**6 + batch * size
    return range(first, first + size)


def assignments_of(config: OnlineConfig, batch: int) -> list[Assignment]:
    """What a batch is made of."""
    seeds = tuple(seeds_of(config, batch))
    limits = [len(seeds) * k // config.shares for k in range(config.shares + 1)]
    numbers = range(batch * config.shares, (batch + 1) * config.shares)
    version = max(0, batch - config.max_policy_lag)
    return [
        Assignment(number=number, version=version, seeds=seeds[a:b], sampling_seed=(config.seed << 32) + number)
        for number, (a, b) in zip(numbers, pairwise(limits), strict=True)
    ]


def _post(workers: Workers, batch: int, config: OnlineConfig) -> None:
    for assignment in assignments_of(config, batch):
        workers.post(assignment)


def _with_prefix(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Those whose names begin with a prefix, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


class _Heads:
    """The versions of the head that may still be asked for, as checkpoints keep them."""

    def __init__(self, lag: int, done: int, kept: Mapping[str, Tensor], policy: Policy) -> None:
        self._lag, self._newest = lag, done
        self._weights: dict[int, dict[str, Tensor]] = {}
        for key, tensor in kept.items():
            version, _, name = key.partition("/")
            self._weights.setdefault(int(version), {})[name] = tensor
        self.add(done, policy)

    def add(self, version: int, policy: Policy) -> None:
        self._newest = version
        self._weights[version] = {name: tensor.detach().clone() for name, tensor in policy.head.state_dict().items()}
        self._weights = {number: head for number, head in self._weights.items() if number >= self.oldest}

    @property
    def oldest(self) -> int:
        return max(0, self._newest - self._lag)

    def versions(self) -> list[int]:
        return sorted(self._weights)

    def tensors(self) -> dict[str, Tensor]:
        """All but the newest, which is the policy's own."""
        older = {number: head for number, head in self._weights.items() if number < self._newest}
        return {f"{number}/{name}": tensor for number, head in older.items() for name, tensor in head.items()}

    def __getitem__(self, version: int) -> dict[str, Tensor]:
        return self._weights[version]
