"""REINFORCE as a learner of RLlib: its hooks, in the order in which RLlib calls them, call what `update_head` calls.

An update of RLlib is as many epochs over one whole batch as the settings say passes. Gradients are computed and applied
by RLlib and clipped by us, as its own clipping rounds in another way. The critic learns after the last pass and is a
part of the learner's state.
"""

from collections.abc import Collection
from typing import Any, Final, cast

import torch
from ray.rllib.core.learner.torch.torch_learner import TorchLearner
from torch import Tensor

from agents.critic import Critic
from agents.parameters import clip_gradient
from agents.reinforce import (
    EpisodeBatch,
    Lesson,
    Objective,
    Update,
    learn_rewards,
    new_optimizer,
    objective,
    prepare,
    report,
)
from rollout.learner import OnlineConfig, learning_rate
from rollout.rllib.module import FEATURES

CRITIC: Final = "critic"  # in the learner's state
UPDATE: Final = "update"  # in `timesteps`: how many updates are done
STALE: Final = "stale"  # likewise: 1 where an older head played some of the batch
_COLUMNS: Final = (FEATURES, "actions", "log_probs", "steps", "rewards")


def columns_of(batch: EpisodeBatch) -> dict[str, Tensor]:
    """A batch of episodes as columns, a row an episode; `batch_from` is the inverse."""
    return {name: getattr(batch, name) for name in _COLUMNS}


def batch_from(columns: dict[str, Tensor]) -> EpisodeBatch:
    """The batch of episodes that columns hold."""
    return EpisodeBatch(*(columns[name] for name in _COLUMNS))


class ReinforceLearner(TorchLearner):
    """Learns from batches of episodes; its config is a `SkygardenReinforceConfig`."""

    def build(self) -> None:
        """Make module, optimizer and critic."""
        super().build()
        self.online: OnlineConfig = self.config.online_config()
        (module,) = self.module.values()
        self.critic = Critic(module.width)
        self._stale = False
        self._passes = 0  # over the batch in hand
        self._lesson: Lesson | None = None  # that batch, once the first pass has begun
        self._done: Objective | None = None  # of the pass in hand
        self._reported: Update | None = None  # what the last pass reported

    def configure_optimizers_for_module(self, module_id: str, config: Any = None) -> None:
        """Train the head."""
        parameters = list(self.module[module_id].head.parameters())
        optimizer = new_optimizer(parameters, self.config.online_config().reinforce)
        self.register_optimizer(module_id=module_id, optimizer=optimizer, params=parameters)

    def before_gradient_based_update(self, *, timesteps: dict[str, Any]) -> None:
        """Set the learning rate, and forget the batch before."""
        super().before_gradient_based_update(timesteps=timesteps)
        for optimizer in self._named_optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(self.online, timesteps[UPDATE])
        self._stale, self._passes, self._lesson = bool(timesteps[STALE]), 0, None

    def compute_loss_for_module(
        self, *, module_id: str, config: Any, batch: dict[str, Tensor], fwd_out: dict[str, Tensor]
    ) -> Tensor:
        """What a pass descends."""
        reinforce = self.online.reinforce
        if self._lesson is None:
            self._lesson = prepare(
                batch_from(batch),
                self.module[module_id].reference,
                reinforce,
                self.critic,
                stale=self._stale,
                temperature=self.online.temperature,
            )
        self._done = objective(fwd_out["action_dist_inputs"], self._lesson, reinforce, self._passes)
        self._passes += 1
        return self._done.total

    def postprocess_gradients_for_module(
        self, *, module_id: str, config: Any = None, module_gradients_dict: dict[Any, Tensor]
    ) -> dict[Any, Tensor]:
        """Clip.

        Raises: DivergedError: the gradient is not finite; nothing is applied.
        """
        assert self._done is not None
        assert self._lesson is not None
        norm = clip_gradient(list(self.module[module_id].head.parameters()), self.online.reinforce.clip)
        self._reported = report(self._done, self._lesson, norm)
        return module_gradients_dict

    def after_gradient_based_update(self, *, timesteps: dict[str, Any]) -> None:
        """Let the critic learn, and log what the last pass saw."""
        super().after_gradient_based_update(timesteps=timesteps)
        assert self._lesson is not None
        assert self._reported is not None
        learn_rewards(self.critic, self._lesson.batch)
        update = self._reported
        seen = {
            "score": update.reward,
            "kl": update.kl,
            "entropy": update.entropy,
            "importance_weight": update.weight,
            "gradient_norm": update.gradient_norm,
        }
        (module_id,) = self.module.keys()
        self.metrics.log_dict(seen, key=module_id, window=1)
        self._lesson = self._done = None

    def get_state(
        self,
        components: str | Collection[str] | None = None,
        *,
        not_components: str | Collection[str] | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """RLlib's, and what the critic remembers."""
        state = super().get_state(components, not_components=not_components, **kwargs)
        if self._check_component(CRITIC, components, not_components):
            # Not by RLlib's `convert_to_numpy`, which would make them 32 bits.
            state[CRITIC] = {name: tensor.numpy().copy() for name, tensor in self.critic.state().items()}
        return state

    def set_state(self, state: dict[str, Any]) -> None:
        """The same, taken back."""
        super().set_state(state)
        if CRITIC in state:
            kept = cast("dict[str, Any]", state[CRITIC])
            self.critic.load({name: torch.as_tensor(array) for name, array in kept.items()})
