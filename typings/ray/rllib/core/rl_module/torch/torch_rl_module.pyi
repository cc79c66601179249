from typing import Any

from ray.rllib.core.rl_module.rl_module import RLModule
from torch import nn

class TorchRLModule(nn.Module, RLModule):
    def _forward(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]: ...
