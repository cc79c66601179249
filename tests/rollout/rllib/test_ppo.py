"""Laws of PPO from scratch: it begins by pressing anything, learns what pays, and knows a time limit from an end."""

import math
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.envs.registration import EnvSpec

pytest.importorskip("ray")

from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner

from agents.policy import entropy
from envs import gamepad
from envs.errors import OptionError
from envs.gamepad import SIZES
from rollout.collect import collect
from rollout.rllib.ppo import PixelAgent, PixelModule, ppo_config
from rollout.rllib.settings import PpoSettings

SMALL = PpoSettings(environments=4, batch_size=128, minibatch_size=64, epochs=1)
PRESSED = "Pressed-v0"


def new_module(seed: int = 0) -> PixelModule:
    """A module as RLlib makes it."""
    spec: Any = RLModuleSpec(module_class=PixelModule, model_config={"seed": seed})
    spec.observation_space = gym.spaces.Box(0, 255, (128, 128, 3), np.uint8)
    spec.action_space = gamepad.space()
    return spec.build()


def frames(count: int) -> torch.Tensor:
    """Frames of noise."""
    return torch.as_tensor(np.random.default_rng(0).integers(0, 256, (count, 128, 128, 3), np.uint8))


def test_it_begins_by_pressing_anything_and_expecting_nothing() -> None:
    module: Any = new_module()
    out = module.forward_train({"obs": frames(3)})
    logits = out["action_dist_inputs"]
    assert tuple(logits.shape) == (3, 68)
    uniform = sum(math.log(size) for size in SIZES)
    assert entropy(logits.float()).tolist() == pytest.approx([uniform] * 3, abs=0.01)
    values = module.compute_values({"obs": frames(3)})
    assert tuple(values.shape) == (3,)
    assert values.abs().max() < 0.1
    torch.testing.assert_close(module.compute_values({"obs": frames(3)}, embeddings=out["embeddings"]), values)


def test_rllibs_distribution_of_the_logits_is_ours() -> None:
    module: Any = new_module()
    torch.nn.init.normal_(module.policy.weight, std=1.0)
    logits = module.forward_inference({"obs": frames(5)})["action_dist_inputs"]
    theirs = module.get_inference_action_dist_cls().from_logits(logits)
    torch.testing.assert_close(theirs.entropy(), entropy(logits))
    decision = PixelAgent(module, seed=0).act(frames(5).numpy())
    torch.testing.assert_close(
        theirs.logp(torch.as_tensor(decision.actions).long()), torch.as_tensor(decision.log_probs)
    )


def test_weights_follow_from_their_seed_and_actions_from_theirs() -> None:
    one, same, other = new_module(1), new_module(1), new_module(2)
    assert torch.equal(one.hidden.weight, same.hidden.weight)
    assert not torch.equal(one.hidden.weight, other.hidden.weight)
    picks = [PixelAgent(one, seed).act(frames(4).numpy()).actions.tolist() for seed in (0, 0, 1)]
    assert picks[0] == picks[1] != picks[2]


def test_its_agent_plays_episodes_as_any_other(walks: Any) -> None:
    played = list(collect(walks(3), PixelAgent(new_module(), 0), range(5)))
    assert [len(episode) for episode in played] == [2 + seed % 4 for seed in range(5)]


@pytest.mark.slow
def test_an_episode_that_ran_out_of_time_is_truncated_and_its_last_value_counts() -> None:
    """With rewards of 0 and a value of 2 everywhere the target of the last step is the discount times 2."""
    config: Any = ppo_config(SMALL, "left", seed=0)
    runner: Any = SingleAgentEnvRunner(config=config, worker_index=0)
    played = runner.sample(num_episodes=4, random_actions=True)
    runner.stop()
    assert [len(episode) for episode in played] == [100] * 4
    assert all(episode.is_truncated and not episode.is_terminated for episode in played)
    assert all(len(episode.observations) == 101 for episode in played)
    config.validate()
    learner: Any = config.learner_class(
        config=config, module_spec=config.get_multi_rl_module_spec(spaces=runner.get_spaces())
    )
    learner.build()
    value = learner.module["default_policy"].value
    torch.nn.init.zeros_(value.weight)
    torch.nn.init.constant_(value.bias, 2.0)
    batch = learner._learner_connector(
        rl_module=learner.module, batch={}, episodes=played, shared_data={}, metrics=learner.metrics
    )["default_policy"]
    targets = batch["value_targets"].reshape(4, 101)[:, :100]  # what follows is RLlib's own, and masked
    assert targets[:, -1].tolist() == pytest.approx([0.99 * 2.0] * 4)
    assert not batch["loss_mask"].reshape(4, 101)[:, -1].any()


class Pressed(gym.Env[Any, Any]):
    """A strict game of five steps that pays for every press of A."""

    observation_space = gym.spaces.Box(0, 255, (128, 128, 3), np.uint8)
    action_space = gamepad.space()

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        self._left = 5
        return np.full((128, 128, 3), 50, np.uint8), {"jumppad": None}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        assert self.action_space.contains(np.asarray(action, self.action_space.dtype))
        self._left -= 1
        pad = None if self._left else "left"
        return np.full((128, 128, 3), 50, np.uint8), float(action[0]), not self._left, False, {"jumppad": pad}


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_it_learns_to_press_what_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    made: Any = Pressed
    monkeypatch.setitem(gym.registry, PRESSED, EnvSpec(PRESSED, entry_point=made))
    settings = PpoSettings(environments=8, batch_size=200, minibatch_size=50, learning_rate=1e-3, entropy=0.0)
    config: Any = ppo_config(settings, "left", seed=0)
    config.environment(PRESSED).env_runners(gym_env_vectorize_mode="sync").env_config = {}
    algorithm = config.build_algo()
    results = [algorithm.train() for _ in range(4)]
    algorithm.stop()
    returns = [result["env_runners"]["episode_return_mean"] for result in results]
    assert 1.5 < returns[0] < 3.5  # of 5, at random half
    ended = results[-1]["env_runners"]["reached"]["left"]
    assert ended == results[-1]["env_runners"]["num_episodes"]
    press = torch.softmax(algorithm.get_module().forward_inference({"obs": torch.full((1, 128, 128, 3), 50).byte()})
                          ["action_dist_inputs"][0, :2], 0)[1]  # fmt: skip
    assert press > 0.8


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(OptionError, match="minibatches no larger than a batch"):
        PpoSettings(batch_size=64, minibatch_size=128)
    with pytest.raises(OptionError, match="discount up to 1"):
        PpoSettings(discount=1.5)
