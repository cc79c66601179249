"""The policy: up to 32 frames in, the logits of a gamepad action's 16 components out.

A trunk (encoder, transformer, output LayerNorm) makes features and a head with one hidden layer makes logits of them:
online training touches the head only, and the reward model reads the same features. The policy sees observations only,
no past actions. What is asked of a distribution is a pure function of logits, in the second half of this module.
Source: paper, section 2.2 and Appendix C; the smaller sizes are those of Figure 11.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from agents.encoder import EMBEDDING, SIDE, Encoder, EncoderWeights, encode
from agents.parameters import Affine
from agents.transformer import STD, Transformer, linear
from envs.errors import ActionError, OptionError
from envs.gamepad import AXES, BUCKETS, BUTTONS, COMPONENTS, SIZES

LOGITS: Final = sum(SIZES)  # 68: 12 x 2, then 4 x 11
HEAD: Final = 1024  # width of the head's hidden layer, for every size

Part = Literal["all", "head"]  # what a stage trains


@dataclass(frozen=True, kw_only=True)
class PolicyConfig:
    """The size of a policy; everything else about it is the paper's."""

    width: int = 1024  # of the transformer
    layers: int = 8
    heads: int = 8
    context: int = 32  # steps

    def __post_init__(self) -> None:
        sizes = (self.width, self.layers, self.heads, self.context)
        if min(sizes) < 1 or self.width % self.heads:
            raise OptionError(f"a policy needs sizes of at least 1 and a width that its heads divide, got {self}")


CONFIGS: Final[Mapping[str, PolicyConfig]] = MappingProxyType(
    {
        "4m": PolicyConfig(width=256, layers=4, heads=4),
        "25m": PolicyConfig(width=512, layers=8, heads=8),
        "103m": PolicyConfig(width=1024, layers=8, heads=8),
    }
)


class Trunk(nn.Module):
    """Frames to features."""

    def __init__(self, config: PolicyConfig, generator: torch.Generator) -> None:
        super().__init__()
        self.encoder = Encoder(generator)
        self.project = None if config.width == EMBEDDING else Affine(config.width, EMBEDDING, generator=generator)
        self.transformer = Transformer(config.width, config.layers, config.heads, config.context, generator)

    def embed(self, frames: Tensor, weights: EncoderWeights) -> Tensor:
        """What the transformer reads: (N, 128, 128, 3) uint8 to (N, width), the dtype of the encoder's weights."""
        embedding = encode(frames, weights)
        return embedding if self.project is None else linear(embedding, self.project)

    def features(self, frames: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """The features of every step.

        Args: frames: (B, T, 128, 128, 3) uint8, RGB, T up to the context. dtype: what to compute in.
        Returns: (B, T, width), of that dtype.
        Raises: OptionError: frames of another shape or dtype, or more steps than the context.
        """
        context, (batch, time, *image) = len(self.transformer.positions), frames.shape
        if image != [SIDE, SIDE, 3] or time > context or frames.dtype != torch.uint8:
            needed = f"(B, up to {context}, {SIDE}, {SIDE}, 3) uint8"
            raise OptionError(f"expected frames {needed}, got {tuple(frames.shape)} {frames.dtype}")
        embeddings = self.embed(frames.flatten(0, 1), self.encoder.weights(dtype))
        return self.transformer.forward(embeddings.view(batch, time, -1))


class Head(nn.Module):
    """Features to logits, by one hidden layer."""

    def __init__(self, width: int, generator: torch.Generator) -> None:
        super().__init__()
        self.hidden = Affine(HEAD, width, generator=generator)
        self.out = Affine(LOGITS, HEAD, generator=generator, std=STD)

    def logits(self, features: Tensor) -> Tensor:
        """(..., width) to (..., 68) float32, computed in the dtype of the features."""
        return linear(F.gelu(linear(features, self.hidden)), self.out).float()


class Policy(nn.Module):
    """A trunk and a head, with weights drawn from `generator`."""

    def __init__(self, config: PolicyConfig, generator: torch.Generator) -> None:
        super().__init__()
        self.config = config
        self.trunk = Trunk(config, generator)
        self.head = Head(config.width, generator)

    def logits(self, frames: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """The logits of every step: (B, T, 128, 128, 3) uint8 to (B, T, 68) float32; see `Trunk.features`."""
        return self.head.logits(self.trunk.features(frames, dtype))

    def train_only(self, part: Part) -> list[nn.Parameter]:
        """Freeze what a stage does not train, and return the parameters that it does."""
        self.trunk.requires_grad_(part == "all")
        self.head.requires_grad_(True)
        return [p for p in self.parameters() if p.requires_grad]


def config_of(size: str) -> PolicyConfig:
    """The configuration of a named size.

    Raises: OptionError: there is no such size.
    """
    if size not in CONFIGS:
        raise OptionError(f"no policy size {size!r}; the sizes are {', '.join(CONFIGS)}")
    return CONFIGS[size]


def log_prob(logits: Tensor, actions: Tensor) -> Tensor:
    """Log-probability of gamepad actions.

    Args: logits: (..., 68) float32. actions: (..., 16) integers, bucket indices.
    Returns: (...) float32, nats, summed over the components.
    Raises: ActionError: as `component_log_prob`.
    """
    return component_log_prob(logits, actions).sum(-1)


def component_log_prob(logits: Tensor, actions: Tensor) -> Tensor:
    """Log-probability of each component of gamepad actions.

    Args: logits: (..., 68) float32. actions: (..., 16) integers, bucket indices.
    Returns: (..., 16) float32, nats.
    Raises: ActionError: wrong shape, or an index outside its component.
    """
    if actions.shape != (*logits.shape[:-1], len(COMPONENTS)):
        raise ActionError(f"expected actions {(*logits.shape[:-1], len(COMPONENTS))}, got {tuple(actions.shape)}")
    if ((actions < 0) | (actions >= actions.new_tensor(SIZES))).any():
        raise ActionError(f"an action holds a bucket index outside its component; the sizes are {SIZES}")
    indices = actions.long().unsqueeze(-1).split_with_sizes((len(BUTTONS), len(AXES)), -2)
    parts = zip(_log_softmax(logits), indices, strict=True)
    return torch.cat([logs.gather(-1, index).squeeze(-1) for logs, index in parts], -1)


def entropy(logits: Tensor) -> Tensor:
    """Entropy of the action distribution: (..., 68) float32 to (...) float32, nats, summed over the components."""
    return -_over_components([(logs.exp() * logs).sum(-1) for logs in _log_softmax(logits)])


def kl_divergence(logits: Tensor, reference: Tensor) -> Tensor:
    """KL(policy || reference): (..., 68) float32 logits of both to (...) float32, nats, summed over the components."""
    pairs = zip(_log_softmax(logits), _log_softmax(reference), strict=True)
    return _over_components([(p.exp() * (p - q)).sum(-1) for p, q in pairs])


def tempered(logits: Tensor, temperature: float) -> Tensor:
    """The logits at a temperature: 1 leaves them, towards 0 the likeliest action takes all.

    Raises: OptionError: the temperature is not above 0.
    """
    if not temperature > 0:
        raise OptionError(f"a temperature is above 0, got {temperature}")
    return logits if temperature == 1 else logits / temperature


def sample(logits: Tensor, generator: torch.Generator) -> Tensor:
    """One action a row: (..., 68) float32 logits to (..., 16) uint8, drawn with `generator` (on the logits' device).

    The largest p_i / e_i, with e_i exponential, is i with probability p_i.
    """
    noise = torch.empty_like(logits).exponential_(generator=generator).log_()
    picks = [scores.argmax(-1) for scores in _components(logits - noise)]
    return torch.cat(picks, -1).to(torch.uint8)


def _components(logits: Tensor) -> tuple[Tensor, Tensor]:
    """(..., 68) to (..., 12, 2) for the buttons and (..., 4, 11) for the axes."""
    buttons, axes = logits.split_with_sizes((2 * len(BUTTONS), BUCKETS * len(AXES)), -1)
    rows = logits.shape[:-1]
    return buttons.reshape(*rows, len(BUTTONS), 2), axes.reshape(*rows, len(AXES), BUCKETS)


def _log_softmax(logits: Tensor) -> tuple[Tensor, Tensor]:
    buttons, axes = _components(logits)
    return buttons.log_softmax(-1), axes.log_softmax(-1)


def _over_components(parts: list[Tensor]) -> Tensor:
    """Sum (..., 12) and (..., 4) to (...)."""
    return torch.cat(parts, -1).sum(-1)
