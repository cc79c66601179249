"""Laws of the learner: whatever RLlib does around it, an update is the core's, bit for bit."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("ray")

from agents.checkpoint import load_policy
from agents.critic import Critic
from agents.policy import Head
from agents.reinforce import EpisodeBatch, ReinforceConfig, new_optimizer, update_head
from envs.errors import DivergedError, OptionError
from envs.gamepad import SIZES
from rollout.learner import OnlineConfig, learning_rate
from rollout.rllib.align import SkygardenReinforceConfig
from rollout.rllib.learner import STALE, UPDATE, ReinforceLearner, batch_from, columns_of
from rollout.rllib.runner import NoEnvRunner

ray_batch = pytest.importorskip("ray.rllib.policy.sample_batch")

LAPTOP = ReinforceConfig(batch_size=4, learning_rate=1e-2, baseline="value", passes=4)  # as skygarden.presets.LAPTOP
FULL = replace(LAPTOP, kl=0.1, entropy=0.01, weight_decay=0.1, clip=0.5)


def episodes(seed: int) -> EpisodeBatch:
    """Four episodes of 3 to 9 steps, of anything."""
    rng = np.random.default_rng(seed)
    return EpisodeBatch(
        torch.tensor(rng.normal(size=(4, 9, 32)), dtype=torch.float16),
        torch.tensor(rng.integers(0, SIZES, (4, 9, 16)), dtype=torch.uint8),
        torch.tensor(-rng.exponential(10.0, (4, 9)), dtype=torch.float32),
        torch.tensor([9, 3, 5, 8]),
        torch.tensor(rng.uniform(size=4), dtype=torch.float32),
    )


def config_of(files: Any, online: OnlineConfig) -> SkygardenReinforceConfig:
    """RLlib's settings of a run."""
    return SkygardenReinforceConfig().alignment(
        policy=files.policy, reward=files.reward, reference=files.reference, online=online
    )


def new_learner(config: SkygardenReinforceConfig) -> ReinforceLearner:
    """A learner as RLlib makes it."""
    config.validate()
    spec = config.get_multi_rl_module_spec(spaces=NoEnvRunner(config=config, worker_index=0).get_spaces())
    learner = ReinforceLearner(config=config, module_spec=spec)
    learner.build()
    return learner


def rllib_updates(learner: ReinforceLearner, batch: EpisodeBatch, update: int, *, stale: bool = False) -> Any:
    """Have RLlib update once."""
    columns = ray_batch.SampleBatch(columns_of(batch))
    return learner.update(
        batch=ray_batch.MultiAgentBatch({"default_policy": columns}, int(batch.steps.sum())),
        timesteps={UPDATE: update, STALE: int(stale)},
        num_epochs=learner.online.reinforce.passes,
        minibatch_size=len(batch.steps),
    )


def assert_same(learner: ReinforceLearner, head: Head) -> None:
    """The learner's head has these weights."""
    learnt = learner.module["default_policy"].head.state_dict()
    for name, tensor in head.state_dict().items():
        assert torch.equal(tensor, learnt[name]), name


@pytest.mark.parametrize("stale", [False, True])
@pytest.mark.parametrize("reinforce", [ReinforceConfig(batch_size=4), LAPTOP, FULL], ids=["paper", "laptop", "full"])
def test_an_update_through_rllib_gives_the_weights_of_the_cores_bit_for_bit(
    files: Any, reinforce: ReinforceConfig, stale: bool
) -> None:
    online = OnlineConfig(updates=3, reinforce=reinforce, schedule="linear", temperature=0.9)
    learner = new_learner(config_of(files, online))
    head, reference = load_policy(files.policy)[0].head, load_policy(files.reference)[0].head
    optimizer, critic = new_optimizer(head.parameters(), reinforce), Critic(32)
    for update in range(3):
        batch = episodes(update)
        seen = rllib_updates(learner, batch, update, stale=stale)["default_policy"]
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(online, update)
        core = update_head(head, reference, optimizer, batch, reinforce, critic, stale=stale, temperature=0.9)
        assert_same(learner, head)
        assert [seen[name].peek() for name in ("score", "kl", "importance_weight", "gradient_norm")] == [
            core.reward, core.kl, core.weight, core.gradient_norm
        ]  # fmt: skip
    for name, tensor in critic.state().items():
        assert torch.equal(tensor, learner.critic.state()[name]), name


def test_another_reinforcement_is_another_update(files: Any) -> None:
    """So that the law above is not of weights that stay."""
    learner = new_learner(config_of(files, OnlineConfig(updates=3, reinforce=LAPTOP)))
    rllib_updates(learner, episodes(0), 0)
    with pytest.raises(AssertionError):
        assert_same(learner, load_policy(files.policy)[0].head)


def test_a_learners_state_is_all_it_needs_to_go_on(files: Any, tmp_path: Path) -> None:
    config = config_of(files, OnlineConfig(updates=3, reinforce=FULL))
    learner, fresh, from_file = new_learner(config), new_learner(config), new_learner(config)
    for update in range(2):
        rllib_updates(learner, episodes(update), update)
    fresh.set_state(learner.get_state())
    learner.save_to_path(tmp_path)
    from_file.restore_from_path(tmp_path)
    for one in (learner, fresh, from_file):
        rllib_updates(one, episodes(2), 2)
    for one in (fresh, from_file):
        assert_same(one, learner.module["default_policy"].head)
        for name, tensor in learner.critic.state().items():
            assert torch.equal(tensor, one.critic.state()[name]), name


def test_a_loss_that_is_not_a_number_leaves_the_weights(files: Any) -> None:
    learner = new_learner(config_of(files, OnlineConfig(updates=3, reinforce=LAPTOP)))
    broken = replace(episodes(0), rewards=torch.tensor([0.0, 1.0, float("nan"), 0.0]))
    with pytest.raises(DivergedError, match="lower the learning rate"):
        rllib_updates(learner, broken, 0)
    assert_same(learner, load_policy(files.policy)[0].head)


def test_the_reference_stays(files: Any) -> None:
    learner = new_learner(config_of(files, OnlineConfig(updates=3, reinforce=FULL)))
    rllib_updates(learner, episodes(0), 0)
    before = load_policy(files.reference)[0].head.state_dict()
    for name, tensor in learner.module["default_policy"].reference.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_columns_are_a_batch_and_back() -> None:
    batch = episodes(0)
    again = batch_from(columns_of(batch))
    assert all(torch.equal(getattr(again, name), column) for name, column in columns_of(batch).items())


def test_settings_that_make_no_sense_are_refused(files: Any) -> None:
    with pytest.raises(OptionError, match="needs a policy and a reward model"):
        SkygardenReinforceConfig().validate()
    with pytest.raises(OptionError, match="leave max_policy_lag"):
        config_of(files, OnlineConfig(max_policy_lag=1)).validate()
    with pytest.raises(OptionError, match="num_learners at 0"):
        config_of(files, OnlineConfig()).learners(num_learners=2).validate()
    with pytest.raises(OptionError, match="there is no setting 'kt' to change; there are baseline, batch_size"):
        config_of(files, OnlineConfig()).alignment(changes={"kt": 0.1}).validate()


def test_changes_are_to_the_run_and_to_its_reinforcement_by_name(files: Any) -> None:
    config = config_of(files, OnlineConfig()).alignment(changes={"kl": 0.5, "updates": 7})
    assert config.online_config() == OnlineConfig(updates=7, reinforce=ReinforceConfig(kl=0.5))
