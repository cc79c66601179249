"""The same policy as a module of RLlib, in RLlib's own environment runner.

Its past is kept inside the module, as an actor of ours keeps it, so that RLlib has nothing to carry but frames and
actions: the sampler is measured at its best.
"""

from typing import Any

import torch
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core.columns import Columns
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.core.rl_module.torch import TorchRLModule
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner

import skygarden  # noqa: F401, registers the environment
from agents.inference import Actor, ActorConfig
from agents.policy import Policy

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


def runner_of(policy: Policy, environments: int) -> Any:
    """A runner in this process with a number of environments."""
    _POLICY[:] = [policy]
    spec = RLModuleSpec(module_class=PolicyModule, model_config={"environments": environments})
    config: Any = PPOConfig()
    config = (
        config.environment("Skygarden-v0")
        .env_runners(num_env_runners=0, num_envs_per_env_runner=environments, rollout_fragment_length=100)
        .rl_module(rl_module_spec=spec)
    )
    return SingleAgentEnvRunner(config=config, worker_index=0)
