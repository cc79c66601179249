"""How weights start, in what precision and where they are used. Random numbers come from a given generator."""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from envs.errors import OptionError

Precision = Literal["auto", "bfloat16", "float32"]


class Affine(nn.Module):
    """The weights and biases of an affine map (a linear layer or a convolution); whoever uses it applies them.

    Args: shape: of the weights, outputs first. std: of the normal distribution the weights are drawn from; biases
      start at 0. Without it both are uniform within 1 / sqrt(inputs of one output), PyTorch's default.
    """

    def __init__(self, *shape: int, generator: torch.Generator, std: float | None = None) -> None:
        super().__init__()
        weight, bias = torch.empty(shape), torch.zeros(shape[0])
        if std is None:
            bound = weight[0].numel() ** -0.5
            weight.uniform_(-bound, bound, generator=generator)
            bias.uniform_(-bound, bound, generator=generator)
        else:
            weight.normal_(0.0, std, generator=generator)
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(bias)


class Norm(nn.Module):
    """The scale and shift of a LayerNorm; whoever uses it applies them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))


def cast(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """The tensor in a dtype, contiguous: convolutions and matrix products are several times slower otherwise."""
    return tensor.to(dtype).contiguous()


def parameter_count(module: nn.Module) -> int:
    """The number of trained numbers."""
    return sum(p.numel() for p in module.parameters())


def descend(optimizer: torch.optim.Optimizer, loss: Tensor, clip: float = math.inf) -> float:
    """Step an optimizer down the gradient of a loss.

    Args: clip: the largest norm that the gradient may have. Returns: the norm that it had; where that is not a finite
      number the weights stay as they are.
    """
    optimizer.zero_grad()
    torch.autograd.backward(loss)
    norm = clip_gradient([p for group in optimizer.param_groups for p in group["params"]], clip)
    if math.isfinite(norm):
        optimizer.step()
    return norm


def clip_gradient(parameters: Sequence[Tensor], clip: float) -> float:
    """Scale a gradient that is longer than `clip` down to it; returns the norm that it had."""
    return float(torch.nn.utils.clip_grad_norm_(parameters, clip))


def compute_dtype(precision: Precision, device: torch.device) -> torch.dtype:
    """What to compute in: "auto" is bfloat16 where the processor multiplies its matrices in hardware, else float32."""
    if precision == "auto":
        return torch.bfloat16 if _multiplies_bfloat16(device) else torch.float32
    return torch.bfloat16 if precision == "bfloat16" else torch.float32


def compute_device(name: str) -> torch.device:
    """The device of a name; "auto" is CUDA when there, else the CPU.

    Raises: OptionError: there is no such device here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    present = ["cpu", *(f"cuda:{k}" for k in range(torch.cuda.device_count()))]
    if name not in (*present, "cuda" if len(present) > 1 else "cpu"):
        raise OptionError(f"there is no device {name!r} here; there are auto, {', '.join(present)}")
    return torch.device(name)


def _multiplies_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    found = torch.cpu.get_capabilities()
    return device.type == "cpu" and bool(found.get("amx_bf16") or found.get("avx512_bf16"))
