from collections.abc import Callable, Mapping
from typing import Any

from ray.rllib.policy.sample_batch import MultiAgentBatch

class LearnerGroup:
    def update(
        self, *, batch: MultiAgentBatch, timesteps: Mapping[str, Any], num_epochs: int, minibatch_size: int
    ) -> list[dict[str, Any]]: ...
    def get_state(self, components: str) -> dict[str, Any]: ...
    def foreach_learner(self, func: Callable[[Any], Any]) -> Any: ...
