"""Acting: one decision for every environment of a batch, ten times a second or as fast as it goes.

A frame is encoded once. What the transformer reads of the past is a setting: `"window"` is the paper's, the last 32
frames read anew at every step. `"chunked"` lets the context grow to 32, then keeps the newest 16 and goes on from
there, with cached keys and values between: every context from 1 to 32 was trained on, and a step costs two tokens
instead of 32. Environments are reset one by one, so contexts have different lengths.
"""

from copy import deepcopy
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agents.encoder import SIDE
from agents.parameters import Precision, compute_device, compute_dtype
from agents.policy import Head, Policy, log_prob, sample, tempered
from envs.errors import OptionError

Context = Literal["window", "chunked"]


@dataclass(frozen=True, kw_only=True)
class ActorConfig:
    """How to act."""

    context: Context = "window"
    temperature: float = 1.0
    device: str = "auto"
    precision: Precision = "auto"  # of the trunk


@dataclass(frozen=True, slots=True)
class Decision:
    """What an actor decided for B environments."""

    actions: NDArray[np.uint8]  # (B, 16)
    log_probs: NDArray[np.float32]  # (B,), nats, at the temperature that they were drawn with
    features: Tensor  # (B, width), the trunk's dtype, on the CPU: what the head and the reward model read


class Actor:
    """A policy acting in B environments, each with its own past.

    Args: policy: copied; later changes to it do not show. batch: B. seed: of the actions drawn.
    Raises: OptionError: an unknown context, or a batch below 1.
    """

    def __init__(self, policy: Policy, batch: int, config: ActorConfig, *, seed: int) -> None:
        if config.context not in ("window", "chunked") or batch < 1:
            raise OptionError(f"acting takes context window or chunked and 1 or more, got {config.context!r}, {batch}")
        self.config = config
        self.device = compute_device(config.device)
        self.dtype = compute_dtype(config.precision, self.device)
        self._generator = torch.Generator(self.device).manual_seed(seed)
        # The encoder's maps are folded in float32 and cast once. The head stays in float32: it is small, and the
        # learner computes the same log-probabilities from the same features.
        policy = deepcopy(policy).to(self.device).requires_grad_(False)
        self._encoder = policy.trunk.encoder.weights(self.dtype)
        self._trunk = policy.trunk.to(self.dtype)
        self._head = policy.head
        width, self._limit = policy.config.width, policy.config.context
        self._past = torch.zeros(batch, self._limit, width, dtype=self.dtype, device=self.device)  # embeddings
        self._lengths = torch.zeros(batch, dtype=torch.int64)
        self._cache = self._trunk.transformer.cache(batch) if config.context == "chunked" else None

    def reset(self, mask: NDArray[np.bool_]) -> None:
        """Forget the past of the environments in the mask, (B,); their next frame is the first of an episode."""
        self._lengths[torch.as_tensor(mask)] = 0

    def load_head(self, head: Head) -> None:
        """Act with the weights of another head from now on."""
        self._head.load_state_dict(head.state_dict())

    @torch.no_grad()  # not inference_mode: the features are trained on later
    def act(self, frames: NDArray[np.uint8]) -> Decision:
        """Decide on the next action of every environment.

        Args: frames: (B, 128, 128, 3) uint8, RGB, what each environment shows now.
        Raises: OptionError: frames of another shape or dtype.
        """
        expected = (len(self._past), SIDE, SIDE, 3)
        if frames.shape != expected or frames.dtype != np.uint8:
            raise OptionError(f"expected frames {expected} uint8, got {frames.shape} {frames.dtype}")
        features = self._features(torch.as_tensor(frames, device=self.device))
        logits = tempered(self._head.logits(features.float()), self.config.temperature)
        actions = sample(logits, self._generator)
        return Decision(actions.cpu().numpy(), log_prob(logits, actions).cpu().numpy(), features.cpu())

    def _features(self, frames: Tensor) -> Tensor:
        full = self._lengths == self._limit
        if full.any():
            self._shorten(full.nonzero().squeeze(1))
        lengths = self._lengths.to(self.device)
        embeddings = self._trunk.embed(frames, self._encoder)
        self._past[torch.arange(len(frames), device=self.device), lengths] = embeddings
        self._lengths = self._lengths + 1  # not in place: on a CPU `lengths` is the same memory
        transformer = self._trunk.transformer
        if self._cache is not None:
            return transformer.extend(embeddings, lengths, self._cache)
        return transformer.last(self._past[:, : int(self._lengths.max())], lengths + 1)

    def _shorten(self, rows: Tensor) -> None:
        """Make room in full contexts: drop the oldest frame, or with a cache all but the newest half."""
        keep = self._limit - 1 if self._cache is None else self._limit // 2
        self._lengths[rows] = keep
        rows = rows.to(self.device)
        kept = self._past[rows, -keep:]
        self._past[rows, :keep] = kept
        if self._cache is not None:
            self._trunk.transformer.rebuild(kept, rows, self._cache)
