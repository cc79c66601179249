"""GPT-2's causal transformer with learnt positions, over the embeddings of up to 32 frames.

Three ways through it give the same features to rounding. `forward` reads whole contexts and gives the features of every
step, for training; `last` reads them and gives those of each context's last step, for acting; `extend` and `rebuild`
keep keys and values in a `Cache`, so that a step costs one token. No dropout, and the exact GELU, which a CPU computes
faster than GPT-2's approximation of it.
Source: paper, Appendix C; the order of layers and the initial weights are GPT-2's.
"""

from dataclasses import dataclass
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from agents.parameters import Affine, Norm

EPS: Final = 1e-5  # of the LayerNorms
STD: Final = 0.02  # of the weights at the start
FEW, LARGE = 128, 1 << 20  # rows up to which, and weights from which, `linear` turns the product around


@dataclass(frozen=True, slots=True)
class Cache:
    """Keys and values of what has been read, by environment; allocated once and written in place."""

    memory: Tensor  # (layers, B, context, keys or values, heads, width / heads)


def linear(x: Tensor, layer: Affine) -> Tensor:
    """An affine map of the last axis, in the dtype of `x`.

    On a CPU in bfloat16, a product with large weights as the right operand repacks them at every call. For few rows
    that takes longer than the product; as the left operand they are read in place. A single row is computed twice,
    because one column would take a slower kernel.
    """
    weight, bias = layer.weight.to(x.dtype), layer.bias.to(x.dtype)
    rows = x.numel() // x.shape[-1]
    if rows > FEW or weight.numel() < LARGE or x.dtype != torch.bfloat16 or x.device.type != "cpu":
        return F.linear(x, weight, bias)
    columns = x.reshape(rows, -1).t()
    product = torch.mm(weight, columns.expand(-1, 2) if rows == 1 else columns)
    return (product[:, :rows].t() + bias).view(*x.shape[:-1], -1)


def normalise(x: Tensor, norm: Norm) -> Tensor:
    """LayerNorm over the last axis, in the dtype of `x`."""
    return F.layer_norm(x, x.shape[-1:], norm.weight.to(x.dtype), norm.bias.to(x.dtype), EPS)


def recall(memory: Tensor) -> tuple[Tensor, Tensor]:
    """Keys and values, (B, heads, T, width / heads), of (B, T, 2, heads, width / heads)."""
    keys, values = memory.transpose(1, 3).unbind(2)
    return keys, values


class Block(nn.Module):
    """One layer: attention, then a GELU layer four times as wide, each on a LayerNorm of what comes in."""

    def __init__(self, width: int, heads: int, layers: int, generator: torch.Generator) -> None:
        super().__init__()
        residual = STD / (2 * layers) ** 0.5  # GPT-2: what is summed over the layers starts smaller
        self.heads = heads
        self.attention_norm = Norm(width)
        self.qkv = Affine(3 * width, width, generator=generator, std=STD)
        self.out = Affine(width, width, generator=generator, std=residual)
        self.norm = Norm(width)
        self.up = Affine(4 * width, width, generator=generator, std=STD)
        self.down = Affine(width, 4 * width, generator=generator, std=residual)

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, (B, heads, T, width / heads), of x (B, T, width)."""
        q, memory = self.remember(x)
        return q, *recall(memory)

    def remember(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Queries as in `project`, and keys and values as a `Cache` holds them: (B, T, 2, heads, width / heads)."""
        batch, time, width = x.shape
        qkv = linear(normalise(x, self.attention_norm), self.qkv).contiguous()  # or attention takes a slow path
        qkv = qkv.view(batch, time, 3, self.heads, width // self.heads)
        return qkv[:, :, 0].transpose(1, 2), qkv[:, :, 1:]

    def finish(self, x: Tensor, attended: Tensor) -> Tensor:
        """The layer's output, given its input (B, T, width) and what the heads attended to (B, heads, T, -1)."""
        x = x + linear(attended.transpose(1, 2).flatten(2), self.out)
        return x + linear(F.gelu(linear(normalise(x, self.norm), self.up)), self.down)

    def forward(self, x: Tensor) -> Tensor:
        """Causal, (B, T, width) to (B, T, width)."""
        q, k, v = self.project(x)
        return self.finish(x, F.scaled_dot_product_attention(q, k, v, is_causal=True))


class Transformer(nn.Module):
    """The blocks, the learnt positions and the LayerNorm of the output."""

    def __init__(self, width: int, layers: int, heads: int, context: int, generator: torch.Generator) -> None:
        super().__init__()
        self.positions = nn.Parameter(torch.empty(context, width).normal_(0.0, STD, generator=generator))
        self.layers = nn.ModuleList(Block(width, heads, layers, generator) for _ in range(layers))
        self.norm = Norm(width)

    @property
    def blocks(self) -> list[Block]:
        """The layers, by their type."""
        return [block for block in self.layers if isinstance(block, Block)]

    def cache(self, batch: int) -> Cache:
        """An empty cache for `batch` environments, of the parameters' dtype and device."""
        context, width = self.positions.shape
        heads = self.blocks[0].heads
        shape = (len(self.layers), batch, context, 2, heads, width // heads)
        return Cache(self.positions.new_zeros(shape))

    def forward(self, x: Tensor) -> Tensor:
        """The features of every step: (B, T, width) embeddings, T up to the context, to (B, T, width)."""
        x = x + self.positions[: x.shape[1]].to(x.dtype)
        for block in self.blocks:
            x = block.forward(x)
        return normalise(x, self.norm)

    def last(self, x: Tensor, lengths: Tensor) -> Tensor:
        """The features of the last step of contexts of different lengths.

        Args: x: (B, T, width) embeddings, each context at the start of its row; the rest is not read.
          lengths: (B,) int64, 1 to T.
        Returns: (B, width).
        """
        *blocks, final = self.blocks
        x = x + self.positions[: x.shape[1]].to(x.dtype)
        for block in blocks:
            x = block.forward(x)
        # Of the last layer only one query a context is needed, and none of the wide part for the others.
        q, k, v = final.project(x)
        index = (torch.arange(len(x), device=x.device), slice(None), lengths - 1)
        mask = torch.arange(x.shape[1], device=x.device) < lengths[:, None, None, None]
        attended = F.scaled_dot_product_attention(q[index].unsqueeze(2), k, v, attn_mask=mask)
        x = final.finish(x[index[0], lengths - 1].unsqueeze(1), attended)
        return normalise(x[:, 0], self.norm)

    def extend(self, x: Tensor, lengths: Tensor, cache: Cache) -> Tensor:
        """The features of one more step in every context, whose keys and values are added to the cache.

        Args: x: (B, width) embeddings. lengths: (B,) int64, what each context held before, below the context's limit.
        Returns: (B, width).
        """
        rows = torch.arange(len(x), device=x.device)
        mask = torch.arange(cache.memory.shape[2], device=x.device) <= lengths[:, None, None, None]
        x = (x + self.positions[lengths].to(x.dtype)).unsqueeze(1)
        for block, memory in zip(self.blocks, cache.memory, strict=True):
            q, new = block.remember(x)
            memory[rows, lengths] = new.squeeze(1)
            x = block.finish(x, F.scaled_dot_product_attention(q, *recall(memory), attn_mask=mask))
        return normalise(x.squeeze(1), self.norm)

    def rebuild(self, x: Tensor, rows: Tensor, cache: Cache) -> None:
        """Read the contexts of some environments anew.

        Args: x: (R, T, width) embeddings, from position 0. rows: (R,) int64, the environments in the cache.
        """
        time = x.shape[1]
        x = x + self.positions[:time].to(x.dtype)
        for block, memory in zip(self.blocks[:-1], cache.memory, strict=False):
            q, new = block.remember(x)
            memory[rows, :time] = new
            x = block.finish(x, F.scaled_dot_product_attention(q, *recall(new), is_causal=True))
        cache.memory[-1][rows, :time] = self.blocks[-1].remember(x)[1]  # nothing reads the last layer's output
