"""RLlib's place for those who step environments, kept empty: episodes come from our own workers."""

from collections.abc import Collection
from typing import Any

from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.env import INPUT_ENV_SPACES
from ray.rllib.env.env_runner import EnvRunner
from ray.rllib.utils.checkpoints import Checkpointable

from envs.errors import StepError


class NoEnvRunner(EnvRunner, Checkpointable):
    """Steps nothing, and tells RLlib the spaces that it asks a runner for."""

    def sample(self, **kwargs: Any) -> Any:
        """Never.

        Raises: StepError: always.
        """
        raise StepError("episodes of this algorithm come from workers; see rollout.rllib.workers")

    def assert_healthy(self) -> None:
        """It is."""

    def get_spaces(self) -> dict[str, tuple[Any, Any]]:
        """What the config says."""
        spaces = (self.config.observation_space, self.config.action_space)
        return {INPUT_ENV_SPACES: spaces, DEFAULT_MODULE_ID: spaces}

    def get_metrics(self) -> dict[str, Any]:
        """None."""
        return {}

    def stop(self) -> None:
        """Nothing to stop."""

    def get_state(
        self,
        components: str | Collection[str] | None = None,
        *,
        not_components: str | Collection[str] | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """It has none."""
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        """Nothing to set."""

    def get_ctor_args_and_kwargs(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """What it was made with."""
        return (), {"config": self.config}
