"""The same policy as a module of RLlib, in RLlib's own environment runner, in two ways.

`PolicyModule` keeps its past inside, as an actor of ours keeps it, so that RLlib has nothing to carry but frames and
actions: the sampler is measured at its best. `StackedModule` is what one writes for RLlib without that: a stateless
module that reads the last 32 frames, stacked by Gymnasium's wrapper.
"""

from typing import Any, Literal

import gymnasium as gym
import torch
from gymnasium.wrappers import FrameStackObservation
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core.columns import Columns
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.core.rl_module.torch import TorchRLModule
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner
from ray.tune.registry import register_env

import skygarden  # noqa: F401, registers the environment
from agents.inference import Actor, ActorConfig
from agents.parameters import compute_dtype
from agents.policy import Policy, PolicyConfig, log_prob, sample

Past = Literal["kept", "stacked"]
_POLICY: list[Policy] = []  # what the next module acts with; RLlib copies and compares its own settings


class PolicyModule(TorchRLModule):
    """Acts for all environments of a runner."""

    def setup(self) -> None:
        """Make the actor."""
        self.actor = Actor(_POLICY[0], self.model_config["environments"], ActorConfig(), seed=0)

    def _forward(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        decision = self.actor.act(batch[Columns.OBS].numpy())
        return {
            Columns.ACTIONS: torch.as_tensor(decision.actions),
            Columns.ACTION_LOGP: torch.as_tensor(decision.log_probs),
        }


class StackedModule(TorchRLModule):
    """Reads (N, 32, 128, 128, 3) and acts on the last of each 32 frames."""

    def setup(self) -> None:
        """Take the policy."""
        self.policy, self._generator = _POLICY[0], torch.Generator().manual_seed(0)
        self._dtype = compute_dtype("auto", torch.device("cpu"))

    def _forward(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        with torch.inference_mode():
            features = self.policy.trunk.features(batch[Columns.OBS], self._dtype)[:, -1]
            logits = self.policy.head.logits(features.float())
            actions = sample(logits, self._generator)
            return {Columns.ACTIONS: actions, Columns.ACTION_LOGP: log_prob(logits, actions)}


_MODULES: dict[Past, type[TorchRLModule]] = {"kept": PolicyModule, "stacked": StackedModule}
register_env(
    "stacked", lambda _: FrameStackObservation(gym.make("Skygarden-v0"), PolicyConfig().context, padding_type="zero")
)


def runner_of(policy: Policy, environments: int, past: Past) -> Any:
    """A runner in this process with a number of environments."""
    _POLICY[:] = [policy]
    spec = RLModuleSpec(module_class=_MODULES[past], model_config={"environments": environments})
    config: Any = PPOConfig()
    config = (
        config.environment("Skygarden-v0" if past == "kept" else "stacked")
        .env_runners(num_env_runners=0, num_envs_per_env_runner=environments, rollout_fragment_length=100)
        .rl_module(rl_module_spec=spec)
    )
    return SingleAgentEnvRunner(config=config, worker_index=0)
