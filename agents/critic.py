"""What reward to expect from a step on, read from the features that the head reads.

A ridge regression, fit anew after every batch to the rewards of the episodes so far, older ones counting less. It has
no learning rate and no steps of its own, and all it remembers is two sums, so that a run can be stopped and go on.
With it an action is judged by how it changed what was to be expected, instead of by how the whole episode ended.
"""

from collections.abc import Mapping
from typing import Any, Final, cast

import torch
from torch import Tensor

from envs.errors import CheckpointError

RIDGE: Final = 100.0  # penalty on squared weights, in steps
MEMORY: Final = 0.9  # what an older batch counts, to the one after it


class Critic:
    """Expected rewards, 0 before anything was learnt.

    Args: width: of the features.
    """

    def __init__(self, width: int) -> None:
        self._moments = torch.zeros(width + 1, width + 1, dtype=torch.float64)  # of the features and a constant
        self._sums = torch.zeros(width + 1, dtype=torch.float64)  # of the same times the reward
        self._weights = torch.zeros(width + 1)

    def expect(self, features: Tensor) -> Tensor:
        """The reward to expect after each step, (..., width) to (...) float32."""
        return features.float() @ self._weights[:-1] + self._weights[-1]

    def learn(self, features: Tensor, rewards: Tensor) -> None:
        """Learn from a batch: steps, (N, width), and the rewards that their episodes ended with, (N,)."""
        known = torch.cat((features.double(), torch.ones(len(features), 1, dtype=torch.float64)), 1)
        self._moments = MEMORY * self._moments + known.T @ known
        self._sums = MEMORY * self._sums + known.T @ rewards.double()
        self._fit()

    def state(self) -> dict[str, Tensor]:
        """What it remembers."""
        return {"moments": self._moments, "sums": self._sums}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Remember what another one did.

        Raises: CheckpointError: that is not the state of a critic of this width.
        """
        needed = {name: tensor.shape for name, tensor in self.state().items()}
        if {name: tensor.shape for name, tensor in state.items()} != needed:
            raise CheckpointError(f"a critic remembers {needed}, got {sorted(state)}; start the run anew")
        self._moments, self._sums = state["moments"], state["sums"]
        self._fit()

    def _fit(self) -> None:
        ridge = RIDGE * torch.eye(len(self._sums), dtype=torch.float64)
        solution: Tensor = cast("Any", torch.linalg).solve(self._moments + ridge, self._sums)
        self._weights = solution.float()
