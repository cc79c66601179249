"""RLlib's PPO from scratch on `Skygarden-v0` with the pad reward: what the alignment is compared with.

It sees one frame and not the past, as is usual where the camera moves little between steps. An episode that ends by its
time limit is truncated and not terminated, and RLlib counts on with the value of what was seen last.
"""

from collections.abc import Iterable
from typing import Any, Final, cast

import numpy as np
import torch
from numpy.typing import NDArray
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core.columns import Columns
from ray.rllib.core.rl_module.apis.value_function_api import ValueFunctionAPI
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.core.rl_module.torch.torch_rl_module import TorchRLModule
from torch import Tensor, nn
from torch.nn import functional as F

from agents.inference import Decision
from agents.parameters import Affine, compute_dtype
from agents.policy import LOGITS, log_prob, sample
from agents.transformer import linear
from rollout.rllib.module import GAMEPAD
from rollout.rllib.settings import PpoSettings

REACHED: Final = "reached"  # among the metrics of episodes: how many ended on each pad
_LAYERS: Final = (((32, 3, 8, 8), 4), ((64, 32, 4, 4), 2), ((64, 64, 3, 3), 2))  # weights and strides: to 6x6 pixels
_HIDDEN: Final = 256
_AT_ONCE: Final = 512  # frames, where no gradient needs their maps later


class PixelModule(TorchRLModule, ValueFunctionAPI):
    """Three convolutions and a hidden layer (Mnih et al., 2015), read by a policy and a value.

    `model_config["seed"]` is that of the weights. There is nearly nothing in those of policy and value: it begins by
    pressing anything and expecting nothing.
    """

    def setup(self) -> None:
        """Make the layers."""
        generator = torch.Generator().manual_seed(self.model_config["seed"])
        self.convolutions = nn.ModuleList(Affine(*shape, generator=generator) for shape, _ in _LAYERS)
        self.hidden = Affine(_HIDDEN, 64 * 6 * 6, generator=generator)
        self.policy = Affine(LOGITS, _HIDDEN, generator=generator, std=1e-3)
        self.value = Affine(1, _HIDDEN, generator=generator, std=1e-3)
        self.action_dist_cls = GAMEPAD

    def embed(self, frames: Tensor) -> Tensor:
        """(N, 128, 128, 3) uint8 to (N, 256) float32; the convolutions in bfloat16 where the processor has it."""
        dtype = compute_dtype("auto", frames.device)
        maps = frames.permute(0, 3, 1, 2).to(dtype) / 255
        if dtype == torch.float32:
            maps = maps.contiguous()  # twice as fast; bfloat16 is twice as fast with the channels last, as they come
        for layer, (_, stride) in zip(cast("Iterable[Affine]", self.convolutions), _LAYERS, strict=True):
            maps = F.relu(F.conv2d(maps, layer.weight.to(dtype), layer.bias.to(dtype), stride))
        return F.relu(linear(maps.flatten(1).float(), self.hidden))

    def logits(self, embeddings: Tensor) -> Tensor:
        """(N, 256) to (N, 68), as those of `agents.policy`."""
        return linear(embeddings, self.policy)

    def compute_values(self, batch: dict[str, Any], embeddings: Any = None) -> Tensor:
        """The value of what is seen, (N,)."""
        if embeddings is None:
            embeddings = torch.cat([self.embed(frames) for frames in batch[Columns.OBS].split(_AT_ONCE)])
        return linear(embeddings, self.value).squeeze(-1)

    def _forward(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        embeddings = self.embed(batch[Columns.OBS])
        return {Columns.ACTION_DIST_INPUTS: self.logits(embeddings), Columns.EMBEDDINGS: embeddings}


class PixelAgent:
    """Plays what a module has learnt; see `rollout.collect.Agent`."""

    def __init__(self, module: PixelModule, seed: int) -> None:
        self._module, self._generator = module, torch.Generator().manual_seed(seed)

    def reset(self, mask: NDArray[np.bool_]) -> None:
        """Nothing to forget."""

    @torch.no_grad()
    def act(self, frames: NDArray[np.uint8]) -> Decision:
        """Actions drawn; it has no features."""
        logits = self._module.logits(self._module.embed(torch.as_tensor(frames)))
        actions = sample(logits, self._generator)
        nothing = torch.empty(len(frames), 0)
        return Decision(actions.numpy(), log_prob(logits, actions).numpy(), nothing, nothing)


def ppo_config(settings: PpoSettings, target: str, seed: int) -> PPOConfig:
    """RLlib's settings: all in one process, in environments that are stepped as one."""
    return (
        PPOConfig()
        .environment("skygarden:Skygarden-v0", env_config={"reward": "jumppad", "target": target})
        .env_runners(
            num_env_runners=0,
            num_envs_per_env_runner=settings.environments,
            gym_env_vectorize_mode="vector_entry_point",
        )
        .rl_module(rl_module_spec=RLModuleSpec(module_class=PixelModule, model_config={"seed": seed}))
        .training(
            train_batch_size_per_learner=settings.batch_size,
            minibatch_size=settings.minibatch_size,
            num_epochs=settings.epochs,
            lr=settings.learning_rate,
            gamma=settings.discount,
            lambda_=settings.trace,
            clip_param=settings.clip,
            vf_loss_coeff=settings.value,
            entropy_coeff=settings.entropy,
            grad_clip=settings.gradient,
            use_kl_loss=False,
        )
        .callbacks(on_episode_end=count_pad)
        .reporting(metrics_num_episodes_for_smoothing=100)
        .debugging(seed=seed, log_level="ERROR")
    )


def count_pad(*, episode: Any, metrics_logger: Any, **_: Any) -> None:
    """Count where an episode ended, for the metrics only."""
    pad = episode.get_infos(-1)["jumppad"]
    metrics_logger.log_value((REACHED, pad or "none"), 1, reduce="sum")
