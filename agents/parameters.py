"""How weights start, are cast and are counted. Random numbers come from a given generator, never the global one."""

import torch
from torch import Tensor, nn


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
