"""Acting: one decision for every environment of a batch, ten times a second or as fast as it goes.

A frame is encoded once. What the transformer reads of the past is a setting: `"window"` is the paper's, the last 32
frames read anew at every step. `"chunked"` lets the context grow to 32, then keeps the newest 16 and goes on from
there, with cached keys and values between: every context from 1 to 32 was trained on, and a step costs two tokens
instead of 32. Environments are reset one by one, so contexts have different lengths.
"""

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agents.encoder import SIDE, EncoderWeights
from agents.parameters import Precision, compute_device, compute_dtype
from agents.policy import Policy, Trunk, log_prob, sample, tempered
from envs.errors import OptionError

Context = Literal["window", "chunked"]

LEAST_SHARE: Final = 4  # environments that are worth a thread of their own


@dataclass(frozen=True, kw_only=True)
class ActorConfig:
    """How to act."""

    context: Context = "chunked"  # reaches as many pads as "window", see README, and takes a fraction of the time
    temperature: float = 1.0
    device: str = "auto"
    precision: Precision = "auto"  # of the trunk
    processors: int = 0  # that share the environments out, where there is no GPU; 0 is all


@dataclass(frozen=True, slots=True)
class Decision:
    """What an actor decided for B environments."""

    actions: NDArray[np.uint8]  # (B, 16)
    log_probs: NDArray[np.float32]  # (B,), nats, at the temperature that they were drawn with
    embeddings: Tensor  # (B, width), the trunk's dtype, on the CPU: what the transformer read of the frames
    features: Tensor  # likewise, what the head read


class Actor:
    """A policy acting in B environments, each with its own past.

    Args: policy: copied; later changes to it do not show. batch: B. seed: of the actions drawn.
    Raises: OptionError: an unknown context, or a batch below 1.
    """

    def __init__(self, policy: Policy, batch: int, config: ActorConfig, *, seed: int) -> None:
        if config.context not in ("window", "chunked") or batch < 1 or config.processors < 0:
            raise OptionError(f"acting takes context window or chunked and 1 or more, got {config.context!r}, {batch}")
        self.config = config
        self.device = compute_device(config.device)
        self.dtype = compute_dtype(config.precision, self.device)
        self._generator = torch.Generator(self.device).manual_seed(seed)
        # The encoder's maps are folded in float32 and cast once. The head stays in float32: it is small, and the
        # learner computes the same log-probabilities from the same features.
        policy = deepcopy(policy).to(self.device).requires_grad_(False)
        encoder = policy.trunk.encoder.weights(self.dtype)
        trunk, self._head = policy.trunk.to(self.dtype), policy.head
        shares = 1
        if self.device.type == "cpu":
            shares = max(1, min(config.processors or os.cpu_count() or 1, batch // LEAST_SHARE))
        self._limits = [batch * k // shares for k in range(shares + 1)]
        self._shares = [_Share(trunk, encoder, b - a, config.context) for a, b in pairwise(self._limits)]
        # One thread an operation: operations that are shared out wait for each other, see agents.parallel.
        self._pool = ThreadPoolExecutor(shares, "actor", torch.set_num_threads, (1,)) if shares > 1 else None

    def reset(self, mask: NDArray[np.bool_]) -> None:
        """Forget the past of the environments in the mask, (B,); their next frame is the first of an episode."""
        for share, (a, b) in zip(self._shares, pairwise(self._limits), strict=True):
            share.reset(torch.as_tensor(mask[a:b]))

    def load_head(self, weights: Mapping[str, Tensor]) -> None:
        """Act with the weights of another head from now on."""
        self._head.load_state_dict(weights)

    def seed(self, seed: int) -> None:
        """Draw actions anew from a seed."""
        self._generator.manual_seed(seed)

    @torch.no_grad()  # not inference_mode: the features are trained on later
    def act(self, frames: NDArray[np.uint8]) -> Decision:
        """Decide on the next action of every environment.

        Args: frames: (B, 128, 128, 3) uint8, RGB, what each environment shows now.
        Raises: OptionError: frames of another shape or dtype.
        """
        expected = (self._limits[-1], SIDE, SIDE, 3)
        if frames.shape != expected or frames.dtype != np.uint8:
            raise OptionError(f"expected frames {expected} uint8, got {frames.shape} {frames.dtype}")
        embeddings, features = self._read(torch.as_tensor(frames, device=self.device), torch.as_tensor(_lit(frames)))
        logits = tempered(self._head.logits(features.float()), self.config.temperature)
        actions = sample(logits, self._generator)
        log_probs = log_prob(logits, actions).cpu().numpy()
        return Decision(actions.cpu().numpy(), log_probs, embeddings.cpu(), features.cpu())

    def _read(self, frames: Tensor, lit: Tensor) -> tuple[Tensor, Tensor]:
        if self._pool is None:
            return self._shares[0].read(frames, lit)
        parts = [(frames[a:b], lit[a:b]) for a, b in pairwise(self._limits)]
        embeddings, features = zip(*self._pool.map(_Share.read, self._shares, *zip(*parts, strict=True)), strict=True)
        return torch.cat(embeddings), torch.cat(features)


def _lit(frames: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(B,): the frames that are not black, as those are that pad an episode."""
    return np.asarray(np.ascontiguousarray(frames).reshape(len(frames), -1).view(np.uint64).any(1))


class _Share:
    """Some of the environments, and their past."""

    def __init__(self, trunk: Trunk, encoder: EncoderWeights, batch: int, context: Context) -> None:
        width, self._limit = trunk.transformer.positions.shape[1], len(trunk.transformer.positions)
        self._trunk, self._encoder = trunk, encoder
        self._device = encoder.stem.device
        self._past = torch.zeros(batch, self._limit, width, dtype=encoder.stem.dtype, device=self._device)  # embeddings
        self._lengths = torch.zeros(batch, dtype=torch.int64)
        self._cache = trunk.transformer.cache(batch) if context == "chunked" else None
        self._black = trunk.embed(torch.zeros(1, SIDE, SIDE, 3, dtype=torch.uint8, device=self._device), encoder)

    def reset(self, mask: Tensor) -> None:
        self._lengths[mask] = 0

    @torch.no_grad()  # of each thread on its own
    def read(self, frames: Tensor, lit: Tensor) -> tuple[Tensor, Tensor]:
        """What the transformer reads of frames and what it makes of them, both (B, width)."""
        full = self._lengths == self._limit
        if full.any():
            self._shorten(full.nonzero().squeeze(1))
        lengths = self._lengths.to(self._device)
        embeddings = self._embed(frames, lit)
        self._past[torch.arange(len(frames), device=self._device), lengths] = embeddings
        self._lengths = self._lengths + 1  # not in place: on a CPU `lengths` is the same memory
        transformer = self._trunk.transformer
        if self._cache is not None:
            return embeddings, transformer.extend(embeddings, lengths, self._cache)
        return embeddings, transformer.last(self._past[:, : int(self._lengths.max())], lengths + 1)

    def _embed(self, frames: Tensor, lit: Tensor) -> Tensor:
        """The embeddings of frames, of which those that are not `lit` are black and need no encoder."""
        if lit.all():
            return self._trunk.embed(frames, self._encoder)
        embeddings = self._black.repeat(len(frames), 1)
        if lit.any():
            there = lit.to(self._device)
            embeddings[there] = self._trunk.embed(frames[there], self._encoder)
        return embeddings

    def _shorten(self, rows: Tensor) -> None:
        """Make room in full contexts: drop the oldest frame, or with a cache all but the newest half."""
        keep = self._limit - 1 if self._cache is None else self._limit // 2
        self._lengths[rows] = keep
        rows = rows.to(self._device)
        kept = self._past[rows, -keep:]
        self._past[rows, :keep] = kept
        if self._cache is not None:
            self._trunk.transformer.rebuild(kept, rows, self._cache)
