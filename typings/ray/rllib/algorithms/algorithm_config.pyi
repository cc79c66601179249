from collections.abc import Callable
from typing import Any, Self

import gymnasium as gym
from ray.rllib.algorithms.algorithm import Algorithm
from ray.rllib.core.rl_module.multi_rl_module import MultiRLModuleSpec
from ray.rllib.core.rl_module.rl_module import RLModuleSpec

class AlgorithmConfig:
    observation_space: gym.Space[Any] | None
    action_space: gym.Space[Any] | None
    num_env_runners: int
    num_learners: int
    def __init__(self, algo_class: type[Algorithm] | None = None) -> None: ...
    def environment(
        self,
        env: str | None = ...,
        *,
        env_config: dict[str, Any] = ...,
        observation_space: gym.Space[Any] = ...,
        action_space: gym.Space[Any] = ...,
    ) -> Self: ...
    def env_runners(
        self,
        *,
        env_runner_cls: type = ...,
        num_env_runners: int = ...,
        num_envs_per_env_runner: int = ...,
        gym_env_vectorize_mode: str = ...,
        rollout_fragment_length: int | str = ...,
    ) -> Self: ...
    def learners(self, *, num_learners: int = ...) -> Self: ...
    def callbacks(self, *, on_episode_end: Callable[..., None]) -> Self: ...
    def debugging(self, *, seed: int = ..., log_level: str = ...) -> Self: ...
    def reporting(self, *, metrics_num_episodes_for_smoothing: int = ...) -> Self: ...
    def rl_module(self, *, rl_module_spec: RLModuleSpec = ...) -> Self: ...
    def get_multi_rl_module_spec(self, *, spaces: dict[str, Any]) -> MultiRLModuleSpec: ...
    def to_dict(self) -> dict[str, Any]: ...
    def validate(self) -> None: ...
    def build_algo(self) -> Algorithm: ...
