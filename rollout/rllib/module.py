"""What a learner of RLlib trains: the head of a policy, beside the head that the KL divergence is measured to."""

from pathlib import Path
from typing import Any, Final

from ray.rllib.core.columns import Columns
from ray.rllib.core.distribution.torch.torch_distribution import TorchMultiCategorical
from ray.rllib.core.rl_module.torch.torch_rl_module import TorchRLModule

from agents.checkpoint import load_policy
from envs.gamepad import SIZES

FEATURES: Final = "features"  # the column of a batch that the head reads

# RLlib knows no distribution of a gamepad's actions, MultiDiscrete, by itself.
GAMEPAD: Final = TorchMultiCategorical.get_partial_dist_cls(input_lens=list(SIZES))


class HeadModule(TorchRLModule):
    """The head of the policy file `model_config["policy"]`, and that of `model_config["reference"]`, which stays.

    A batch holds the features of steps, (..., width); what comes out are the logits of a gamepad's actions, (..., 68).
    """

    def setup(self) -> None:
        """Read the heads."""
        policy, _ = load_policy(Path(self.model_config["policy"]))
        reference, _ = load_policy(Path(self.model_config["reference"]), policy.config)
        self.width = policy.config.width
        self.head = policy.head
        self.reference = reference.head.requires_grad_(False)
        self.action_dist_cls = GAMEPAD

    def _forward(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        return {Columns.ACTION_DIST_INPUTS: self.head.logits(batch[FEATURES].float())}
