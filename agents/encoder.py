"""The convolutional encoder of the paper's Appendix C: a frame to 1024 numbers.

8x8 convolution with stride 4 to 16 channels; four times a ConvNeXt block and a downsampling convolution that doubles
the channels; flattened; LayerNorm. Everything runs channels-last. What the paper leaves open is taken from ConvNeXt
(arXiv 2201.03545): a block is a 7x7 depthwise convolution, LayerNorm, a GELU layer four times as wide, and a scale a
channel before the sum, which starts at 1e-6 there and here (0.1 and 1 learnt more slowly on a toy task).

Two affine maps in a row are one: the division by 255 goes into the stem's weights, a block's LayerNorm's scale and
shift into the layer after it, its own scale into the layer before it. `Encoder.weights` does that once, and `encode`
is a pure function of the result; gradients flow through both.
"""

from dataclasses import dataclass
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from agents.convolution import depthwise, downsample
from agents.parameters import Affine, Norm, cast

SIDE: Final = 128  # pixels, both ways
EMBEDDING: Final = 1024  # numbers a frame
CHANNELS: Final = (16, 32, 64, 128)  # of the four stages
STRIDE: Final = 4  # of the stem
CHUNK: Final = 64  # frames at a time on a CPU: tensors stay below the size that malloc hands back after every use
EPS: Final = 1e-6  # of the LayerNorms
SCALE: Final = 1e-6  # of a block's output, at the start


@dataclass(frozen=True, slots=True)
class StageWeights:
    """The maps of one stage, C channels in and 2C out, folded and of one dtype."""

    filters: Tensor  # (C, 1, 7, 7)
    filters_bias: Tensor  # (C,)
    up: Tensor  # (4C, C)
    up_bias: Tensor  # (4C,)
    down: Tensor  # (C, 4C)
    down_bias: Tensor  # (C,)
    halve: Tensor  # (2C, C, 3, 3)
    halve_bias: Tensor  # (2C,)


@dataclass(frozen=True, slots=True)
class EncoderWeights:
    """Everything that `encode` needs, folded and of one dtype."""

    stem: Tensor  # (16, 48, 2, 2), for 4x4 blocks of pixels in [0, 255]
    stem_bias: Tensor  # (16,)
    stages: tuple[StageWeights, ...]
    norm: Tensor  # (1024,)
    norm_bias: Tensor  # (1024,)


class Stage(nn.Module):
    """The parameters of a ConvNeXt block and of the downsampling after it."""

    def __init__(self, channels: int, generator: torch.Generator) -> None:
        super().__init__()
        self.depthwise = Affine(channels, 1, 7, 7, generator=generator)
        self.norm = Norm(channels)
        self.up = Affine(4 * channels, channels, generator=generator)
        self.down = Affine(channels, 4 * channels, generator=generator)
        self.scale = nn.Parameter(torch.full((channels,), SCALE))
        self.halve = Affine(2 * channels, channels, 3, 3, generator=generator)

    def weights(self, dtype: torch.dtype) -> StageWeights:
        """The folded maps."""
        return StageWeights(
            filters=cast(self.depthwise.weight, dtype),
            filters_bias=cast(self.depthwise.bias, dtype),
            up=cast(self.up.weight * self.norm.weight, dtype),
            up_bias=cast(self.up.bias + self.up.weight @ self.norm.bias, dtype),
            down=cast(self.scale[:, None] * self.down.weight, dtype),
            down_bias=cast(self.scale * self.down.bias, dtype),
            halve=cast(self.halve.weight, dtype),
            halve_bias=cast(self.halve.bias, dtype),
        )


class Encoder(nn.Module):
    """The encoder's parameters."""

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        self.stem = Affine(CHANNELS[0], 3, 8, 8, generator=generator)
        self.stages = nn.ModuleList(Stage(channels, generator) for channels in CHANNELS)
        self.norm = Norm(EMBEDDING)

    def weights(self, dtype: torch.dtype) -> EncoderWeights:
        """The folded maps, for `encode`; differentiable."""
        # (o, c, by, i, bx, j) to (o, (i, j, c), by, bx): tap (4 by + i, 4 bx + j) is pixel (i, j) of block (by, bx).
        stem = self.stem.weight.view(CHANNELS[0], 3, 2, STRIDE, 2, STRIDE).permute(0, 3, 5, 1, 2, 4)
        return EncoderWeights(
            stem=cast(stem.reshape(CHANNELS[0], -1, 2, 2) / 255, dtype),
            stem_bias=cast(self.stem.bias, dtype),
            stages=tuple(stage.weights(dtype) for stage in self.stages if isinstance(stage, Stage)),
            norm=cast(self.norm.weight, dtype),
            norm_bias=cast(self.norm.bias, dtype),
        )


def encode(frames: Tensor, weights: EncoderWeights) -> Tensor:
    """The embeddings of frames.

    Args: frames: (N, 128, 128, 3) uint8, RGB.
    Returns: (N, 1024), the dtype of the weights.
    """
    size = CHUNK if frames.device.type == "cpu" else len(frames)
    parts = [_encode(frames[start : start + size], weights) for start in range(0, len(frames), size)]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _encode(frames: Tensor, weights: EncoderWeights) -> Tensor:
    # An 8x8 convolution with stride 4 is a 2x2 convolution of 4x4 blocks: with 48 channels it is four times as fast.
    blocks = pixel_blocks(frames).to(weights.stem.dtype)  # exact: bfloat16 holds the integers to 256
    x = F.conv2d(blocks.permute(0, 3, 1, 2), weights.stem, weights.stem_bias).permute(0, 2, 3, 1)
    for stage in weights.stages:
        y = depthwise(x, stage.filters, stage.filters_bias)
        y = F.layer_norm(y, y.shape[-1:], eps=EPS)
        y = F.gelu(F.linear(y, stage.up, stage.up_bias))
        x = x + F.linear(y, stage.down, stage.down_bias)
        x = downsample(x, stage.halve, stage.halve_bias)
    return F.layer_norm(x.flatten(1), (EMBEDDING,), weights.norm, weights.norm_bias, EPS)


def pixel_blocks(frames: Tensor) -> Tensor:
    """The 4x4 blocks of pixels that the stem sees: padded by 3 at the top and left, 1 at the bottom and right.

    Args: frames: (N, 128, 128, 3) uint8.
    Returns: (N, 33, 33, 48) uint8; the last axis is (row, column, colour).
    """
    count, side = len(frames), SIDE // STRIDE + 1
    padded = F.pad(frames, (0, 0, STRIDE - 1, 1, STRIDE - 1, 1))
    # Four pixels of one row are 12 bytes, moved as three 32-bit words.
    words = padded.view(count, side, STRIDE, side * STRIDE * 3).view(torch.int32).view(count, side, STRIDE, side, 3)
    return words.transpose(2, 3).contiguous().view(torch.uint8).view(count, side, side, STRIDE * STRIDE * 3)
