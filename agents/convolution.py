"""The encoder's two convolutions, with backward passes made for a processor.

The functions are PyTorch's own `conv2d`. What differs is the gradient of the weights on a CPU, which was most of a
training step: of a depthwise convolution in bfloat16 it takes PyTorch 30 times as long as the forward pass, because a
7x7 filter a channel gives its kernels little to work with. Here the same sums are written as matrix products.

- Depthwise: for one channel, the product of the output gradients (positions x pixels of a strip of rows) with the
  inputs (positions x pixels of the same or a neighbouring strip) holds every product of a gradient with an input; a
  filter tap is the sum of those at its distance, a diagonal. Most of the matrix is thrown away, and it is still 4 to
  20 times as fast in bfloat16 and 1.3 to 3 times in float32.
- Downsampling of small, deep images: the 3x3 patches of the input, a row each, against the output gradients.

All tensors are channels-last, (N, H, W, C).
"""

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor

TAP = 7  # the width of a depthwise filter
REACH = TAP // 2
WHOLE, STRIP = 8, 4  # rows of images that are one strip, and of the strips of larger ones
DEEP = 64  # channels from which patches beat PyTorch's own backward pass of the downsampling


def depthwise(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """A 7x7 convolution a channel, padding 3.

    Args: x: (N, H, W, C), H = W, up to 8 or a multiple of 4. weight: (C, 1, 7, 7). bias: (C,). All of one dtype.
    Returns: (N, H, W, C).
    """
    return cast("Any", _Depthwise).apply(x, weight, bias) if x.device.type == "cpu" else _depthwise(x, weight, bias)


def downsample(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """A 3x3 convolution with stride 2 and padding 1.

    Args: x: (N, H, W, C), H and W even. weight: (D, C, 3, 3). bias: (D,). All of one dtype.
    Returns: (N, H / 2, W / 2, D).
    """
    deep = x.device.type == "cpu" and x.shape[-1] >= DEEP
    return cast("Any", _Downsample).apply(x, weight, bias) if deep else _downsample(x, weight, bias)


def _depthwise(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    y = F.conv2d(x.permute(0, 3, 1, 2), weight, bias, padding=REACH, groups=len(weight))
    return y.permute(0, 2, 3, 1)


def _downsample(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return F.conv2d(x.permute(0, 3, 1, 2), weight, bias, stride=2, padding=1).permute(0, 2, 3, 1)


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _depthwise(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        grad = grad_outputs[0].contiguous()
        # The stride is 1, so the gradient of the input is the same convolution with the filters turned around.
        return _depthwise(grad, weight.flip(2, 3), None), depthwise_weight_grad(x, grad), grad.sum((0, 1, 2))


class _Downsample(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _downsample(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        grad = grad_outputs[0].contiguous()
        out, channels = weight.shape[:2]
        dx = F.conv_transpose2d(grad.permute(0, 3, 1, 2), weight, stride=2, padding=1, output_padding=1)
        dw = (grad.view(-1, out).t() @ _patches(x)).view(out, 3, 3, channels).permute(0, 3, 1, 2)
        return dx.permute(0, 2, 3, 1), dw, grad.sum((0, 1, 2))


def depthwise_weight_grad(x: Tensor, grad: Tensor) -> Tensor:
    """The gradient of `depthwise`'s weights.

    Args: x: (N, H, W, C), the input. grad: (N, H, W, C), contiguous, the gradient of the output.
    Returns: (C, 1, 7, 7), the dtype of the arguments, summed in float32.
    """
    height, width = x.shape[1:3]
    rows = height if height <= WHOLE else STRIP
    inputs, grads = _strips(x, rows), _strips(grad, rows)
    if height > rows:  # filters reach into the strips above and below
        edge = torch.zeros_like(inputs[:, :1])
        padded = torch.cat((edge, inputs, edge), 1)
        inputs, first = torch.cat((padded[:, :-2], inputs, padded[:, 2:]), 3), rows
    else:
        inputs, first = F.pad(inputs, (width * (REACH + 1), width * (REACH + 1))), REACH + 1
    products = torch.bmm(grads.flatten(1, 2).transpose(1, 2), inputs.flatten(1, 2))
    return _diagonals(products.view(len(products), rows, width, -1, width), first).to(x.dtype)


def _strips(x: Tensor, rows: int) -> Tensor:
    """Strips of rows, a channel at a time: (N, H, W, C) to (C, H / rows, N, rows * W).

    The transposition is a product with the identity: exact, and twice as fast as a strided copy of 16-bit numbers.
    """
    n, height, width, channels = x.shape
    strips = x.reshape(n, height // rows, rows * width * channels).transpose(0, 1).reshape(-1, channels)
    identity = torch.eye(channels, dtype=x.dtype, device=x.device)
    return torch.mm(identity, strips.t()).view(channels, height // rows, n, rows * width)


def _diagonals(products: Tensor, first: int) -> Tensor:
    """Sum the products of gradient (y, x) with input (y + dy, x + dx) over y and x, for |dy|, |dx| <= 3.

    Args: products: (C, rows, W, rows', W), contiguous; row `first` >= 4 of the input is row 0 of the gradient, and
      `rows' >= first + rows + 4`.
    Returns: (C, 1, 7, 7) float32.
    """
    channels, rows, width = products.shape[:3]
    c, y, x, v, u = products.stride()
    shape, strides = (channels, TAP, TAP, rows, width), (c, v, u, y + v, x + u)
    taps = products.as_strided(shape, strides, (first - REACH) * v - REACH * u).float()
    # A step over the left or right edge reads a pixel of the row before or after, which does not count.
    reach = torch.arange(-REACH, REACH + 1, device=products.device)
    column = torch.arange(width, device=products.device) + reach[:, None]
    return (taps * ((column >= 0) & (column < width))[:, None]).sum((3, 4)).unsqueeze(1)


def _patches(x: Tensor) -> Tensor:
    """The 3x3 patches that `downsample` reads: (N, H, W, C) to (N * H / 2 * W / 2, 9 * C)."""
    n, height, width, channels = x.shape
    padded = F.pad(x, (0, 0, 1, 1, 1, 1))
    a, b, c, _ = padded.stride()
    patches = padded.as_strided((n, height // 2, width // 2, 3, 3 * channels), (a, 2 * b, 2 * c, b, 1))
    return patches.reshape(-1, 9 * channels)
