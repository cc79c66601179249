from typing import Any, Self

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig

class PPOConfig(AlgorithmConfig):
    def training(self, **settings: Any) -> Self: ...
