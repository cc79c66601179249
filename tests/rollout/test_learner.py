"""Laws of the learner: what is played follows from settings alone, and a run that was stopped ends like any other."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from agents.checkpoint import trunk_hash
from agents.inference import ActorConfig
from agents.policy import Policy, PolicyConfig
from agents.reinforce import ReinforceConfig
from agents.reward import RewardArtefact, RewardModel
from envs.episode import Episode
from envs.errors import CheckpointError, DeliveryError, OptionError
from rollout.codec import Stamp
from rollout.delivery.assignment import Assignment, Contract
from rollout.direct import DirectWorkers
from rollout.learner import OnlineConfig, OnlineMetrics, batch_of, learning_rate, seeds_of, train_online
from rollout.player import Player

REINFORCE = ReinforceConfig(batch_size=4, learning_rate=1e-2, baseline="value", passes=2)
CONFIG = OnlineConfig(updates=4, reinforce=REINFORCE, checkpoint_every=2)


def new_policy() -> Policy:
    """The same tiny policy every time."""
    return Policy(PolicyConfig(width=32, layers=2, heads=2, context=8), torch.Generator().manual_seed(0))


def artefact(policy: Policy) -> RewardArtefact:
    """A reward model that has not learnt anything, and scores all the same."""
    return RewardArtefact(RewardModel(32, torch.Generator().manual_seed(1)), "features", trunk_hash(policy), 0.5, {})


class Workers:
    """Plays on the spot, writes down what it was asked for, and loses the episodes it is told to."""

    def __init__(self, config: OnlineConfig, lost: Sequence[int] = ()) -> None:
        policy = new_policy()
        contract = Contract(
            trunk=trunk_hash(policy), width=32, reads="features", context=config.context, temperature=config.temperature
        )
        self._direct = DirectWorkers(Player(policy, ActorConfig(processors=1)), contract)
        self._lost = lost
        self.asked: list[Assignment] = []
        self.episodes: list[Episode] = []

    def publish(self, version: int, weights: Mapping[str, Tensor], oldest: int) -> None:
        """As it comes."""
        self._direct.publish(version, weights, oldest)

    def post(self, assignment: Assignment) -> None:
        """As it comes."""
        self.asked.append(assignment)
        self._direct.post(assignment)

    def wait(self, numbers: Sequence[int], patience: float) -> list[tuple[Episode, Stamp]]:
        """All but the lost."""
        played = self._direct.wait(numbers, patience)
        kept = [(episode, stamp) for episode, stamp in played if episode.seed not in self._lost]
        self.episodes += [episode for episode, _ in kept]
        return kept

    def recover(self, keys: Tensor | None, first: int) -> None:
        """As it comes."""
        self._direct.recover(keys, first)

    def keys(self) -> Tensor:
        """As they are."""
        return self._direct.keys()

    def saved(self, below: int) -> None:
        """As it comes."""
        self._direct.saved(below)


def run(
    config: OnlineConfig, folder: Path, stop: int | None = None, lost: Sequence[int] = ()
) -> tuple[Policy, list[OnlineMetrics], Workers]:
    """Train until the end, or until an update after which nothing more is heard of the run."""
    policy, workers = new_policy(), Workers(config, lost)
    updates = train_online(
        policy, new_policy(), artefact(policy), trunk_hash(policy), workers, config, folder, primer=()
    )
    return policy, list(islice(updates, stop)), workers


@pytest.mark.parametrize("lag", [0, 1])
def test_a_run_that_was_stopped_ends_in_the_same_weights_bit_for_bit(tmp_path: Path, lag: int) -> None:
    config = replace(CONFIG, max_policy_lag=lag)
    whole, metrics, _ = run(config, tmp_path / "whole")
    run(config, tmp_path / "parts", stop=3)  # the checkpoint is of the second update
    after, rest, _ = run(config, tmp_path / "parts")
    assert [line.update for line in rest] == [3, 4]
    assert [line.learnt for line in rest] == [line.learnt for line in metrics[2:]]
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, after.state_dict()[name]), name


@pytest.mark.parametrize("lag", [0, 1, 2])
def test_a_batch_is_played_by_the_version_that_its_lag_says(tmp_path: Path, lag: int) -> None:
    _, metrics, workers = run(replace(CONFIG, max_policy_lag=lag), tmp_path)
    assert [asked.version for asked in workers.asked[::2]] == [max(0, batch - lag) for batch in range(4)]
    assert [line.staleness for line in metrics] == [min(batch, lag) for batch in range(4)]


def test_a_linear_learning_rate_falls_to_nothing_and_a_run_of_another_length_is_another_run(tmp_path: Path) -> None:
    falling = replace(CONFIG, schedule="linear")
    assert [learning_rate(falling, update) for update in range(4)] == pytest.approx([1e-2, 7.5e-3, 5e-3, 2.5e-3])
    assert [learning_rate(CONFIG, update) for update in range(4)] == [1e-2] * 4
    run(falling, tmp_path / "falling", stop=3)
    with pytest.raises(CheckpointError, match="differs in updates"):
        run(replace(falling, updates=6), tmp_path / "falling")
    run(CONFIG, tmp_path / "constant", stop=3)
    _, metrics, _ = run(replace(CONFIG, updates=5), tmp_path / "constant")
    assert [line.update for line in metrics] == [3, 4, 5]


def test_shares_split_a_batch_and_every_seed_is_played_once(tmp_path: Path) -> None:
    _, _, workers = run(replace(CONFIG, updates=2, shares=3), tmp_path)
    assert [len(asked.seeds) for asked in workers.asked] == [1, 1, 2, 1, 1, 2]
    assert [asked.number for asked in workers.asked] == list(range(6))
    assert [seed for asked in workers.asked for seed in asked.seeds] == list(range(10_000_000, 10_000_008))
    assert [episode.seed for episode in workers.episodes] == list(range(10_000_000, 10_000_008))


def test_no_seed_is_an_evaluations_or_another_runs() -> None:
    runs = [seeds_of(replace(CONFIG, seed=seed), batch) for seed in range(3) for batch in (0, 1, 599)]
    seeds = [seed for batch in runs for seed in batch]
    assert min(seeds) >= 10_000_000
    assert len(set(seeds)) == len(seeds)


def test_only_the_head_is_trained(tmp_path: Path) -> None:
    policy, _, _ = run(replace(CONFIG, updates=1), tmp_path)
    changed = {
        name for name, tensor in new_policy().state_dict().items() if not tensor.equal(policy.state_dict()[name])
    }
    assert changed == {"head.hidden.weight", "head.hidden.bias", "head.out.weight", "head.out.bias"}


def test_a_batch_that_lost_episodes_is_smaller_and_one_that_lost_all_ends_the_run(tmp_path: Path) -> None:
    _, metrics, _ = run(replace(CONFIG, updates=1), tmp_path / "some", lost=[10_000_001])
    assert (metrics[0].episodes, sum(metrics[0].reached.values())) == (3, 3)
    with pytest.raises(DeliveryError, match="all episodes of batch 1 were dropped"):
        run(CONFIG, tmp_path / "none", lost=range(10_000_000, 10_000_004))


def test_the_critic_can_learn_before_the_first_update(tmp_path: Path) -> None:
    _, _, workers = run(replace(CONFIG, updates=1), tmp_path / "played")
    heads: list[Tensor] = []
    for primer in ((), workers.episodes):
        policy = new_policy()
        folder = tmp_path / f"primed by {len(primer)}"
        reward, trunk = artefact(policy), trunk_hash(policy)
        config = replace(CONFIG, updates=1)
        list(train_online(policy, new_policy(), reward, trunk, Workers(config), config, folder, primer=primer))
        heads.append(policy.head.out.bias.detach())
    assert not torch.equal(*heads)


def test_a_batch_is_padded_to_its_longest_episode(tmp_path: Path) -> None:
    _, _, workers = run(replace(CONFIG, updates=1), tmp_path)
    first = workers.episodes[0]
    short = replace(
        first, actions=first.actions[:7], log_probs=first.log_probs[:7], positions=first.positions[:8]
    )  # fmt: skip
    batch = batch_of([short, replace(short, actions=first.actions[:5], log_probs=first.log_probs[:5],
                                     positions=first.positions[:6])], torch.zeros(2))  # fmt: skip
    assert tuple(batch.features.shape) == (2, 7, 32)
    assert batch.steps.tolist() == [7, 5]
    assert batch.played.sum(1).tolist() == [7, 5]
    assert torch.equal(batch.features[0], torch.as_tensor(first.features[:7]))
    assert not batch.actions[1, 5:].any()
    assert np.allclose(batch.log_probs[0].numpy(), first.log_probs[:7])


def test_a_run_of_other_settings_or_a_reward_model_of_another_trunk_is_refused(tmp_path: Path) -> None:
    run(CONFIG, tmp_path)
    with pytest.raises(CheckpointError, match="differs in"):
        run(replace(CONFIG, temperature=0.5), tmp_path)
    policy = new_policy()
    other = replace(artefact(policy), trunk="d" * 64)
    updates = train_online(policy, policy, other, trunk_hash(policy), Workers(CONFIG), CONFIG, tmp_path / "other")
    with pytest.raises(CheckpointError, match="reads features of trunk dddd"):
        next(updates)


def test_what_cannot_be_is_refused() -> None:
    for wrong in ({"updates": 0}, {"max_policy_lag": -1}, {"shares": 5, "reinforce": REINFORCE}, {"patience": 0.0}):
        with pytest.raises(OptionError):
            replace(CONFIG, **wrong)
