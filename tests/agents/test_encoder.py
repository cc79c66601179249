"""Laws of the encoder and its convolutions."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from agents.convolution import depthwise, depthwise_weight_grad, downsample
from agents.encoder import CHUNK, Encoder, Stage, encode, pixel_blocks
from agents.parameters import parameter_count


def make_encoder() -> Encoder:
    """An encoder whose norms, scales and biases are not at their neutral start."""
    generator = torch.Generator().manual_seed(1)
    encoder = Encoder(generator)
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.add_(torch.empty_like(parameter).normal_(0, 0.05, generator=generator))
    return encoder


def as_the_paper_writes_it(frames: Tensor, encoder: Encoder) -> Tensor:
    """The encoder by PyTorch's own layers, channels first, nothing folded."""
    x = frames.permute(0, 3, 1, 2).float() / 255
    x = F.conv2d(x, encoder.stem.weight, encoder.stem.bias, stride=4, padding=3)
    for stage in encoder.stages:
        assert isinstance(stage, Stage)
        channels = x.shape[1]
        y = F.conv2d(x, stage.depthwise.weight, stage.depthwise.bias, padding=3, groups=channels).permute(0, 2, 3, 1)
        y = F.layer_norm(y, (channels,), stage.norm.weight, stage.norm.bias, 1e-6)
        y = F.linear(F.gelu(F.linear(y, stage.up.weight, stage.up.bias)), stage.down.weight, stage.down.bias)
        x = x + (y * stage.scale).permute(0, 3, 1, 2)
        x = F.conv2d(x, stage.halve.weight, stage.halve.bias, stride=2, padding=1)
    x = x.permute(0, 2, 3, 1).flatten(1)
    return F.layer_norm(x, (1024,), encoder.norm.weight, encoder.norm.bias, 1e-6)


def test_the_encoder_is_the_papers_network_and_so_are_its_gradients(frames):
    encoder, images = make_encoder(), torch.from_numpy(frames(3))
    mine, theirs = encode(images, encoder.weights(torch.float32)), as_the_paper_writes_it(images, encoder)
    torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)
    upstream = torch.randn(mine.shape, generator=torch.Generator().manual_seed(2))
    gradients = [torch.autograd.grad(y, list(encoder.parameters()), upstream) for y in (mine, theirs)]
    for (name, _), a, b in zip(encoder.named_parameters(), *gradients, strict=True):
        assert (a - b).norm() < 1e-4 * b.norm(), name


def test_in_bfloat16_embeddings_and_gradients_are_within_a_few_percent(frames):
    encoder, images = make_encoder(), torch.from_numpy(frames(2))
    exact, rounded = (encode(images, encoder.weights(dtype)) for dtype in (torch.float32, torch.bfloat16))
    assert rounded.dtype == torch.bfloat16
    assert (rounded.float() - exact).abs().mean() < 0.02  # of numbers with standard deviation 1
    upstream = torch.randn(exact.shape, generator=torch.Generator().manual_seed(2))
    ours = torch.autograd.grad(rounded, list(encoder.parameters()), upstream.bfloat16())
    for a, b in zip(ours, torch.autograd.grad(exact, list(encoder.parameters()), upstream), strict=True):
        assert (a - b).norm() < 0.06 * b.norm()


def test_frames_are_encoded_alike_in_one_chunk_or_several(frames):
    weights, images = make_encoder().weights(torch.float32), torch.from_numpy(frames(CHUNK + 2))
    with torch.no_grad():
        torch.testing.assert_close(encode(images, weights)[-2:], encode(images[-2:], weights), rtol=1e-4, atol=1e-4)


def test_the_encoder_has_585296_parameters():
    # 16 x 192 + 16, then for C of 16, 32, 64, 128: 49C + C, 2C, 4C x C + 4C, 4C x C + C, C, 9C x 2C + 2C; 2 x 1024.
    stages = sum(50 * c + 2 * c + 8 * c * c + 5 * c + c + 18 * c * c + 2 * c for c in (16, 32, 64, 128))
    assert parameter_count(make_encoder()) == 3088 + stages + 2048 == 585_296


def test_the_first_pixel_is_the_last_of_the_first_block():
    # Padded by 3, pixel (0, 0) is at (3, 3) of block (0, 0), pixel (1, 1) at (0, 0) of block (1, 1).
    frames = torch.zeros(1, 128, 128, 3, dtype=torch.uint8)
    frames[0, 0, 0], frames[0, 1, 1] = torch.tensor([[1, 2, 3], [4, 5, 6]], dtype=torch.uint8)
    blocks = pixel_blocks(frames)
    assert blocks.shape == (1, 33, 33, 48)
    assert blocks[0, 0, 0, 45:].tolist() == [1, 2, 3]
    assert blocks[0, 1, 1, :3].tolist() == [4, 5, 6]
    assert int(blocks.sum()) == 21


@pytest.mark.parametrize("side", [4, 8, 16, 32])
def test_a_gradient_at_one_pixel_takes_the_inputs_around_it(side):
    x = torch.randn(2, side, side, 3, generator=torch.Generator().manual_seed(0))
    padded = F.pad(x, (0, 0, 3, 3, 3, 3))
    for row, column in ((0, 0), (3, side - 1), (side // 2, 1), (side - 1, side // 2)):
        grad = torch.zeros_like(x)
        grad[1, row, column, 2] = 1.0
        taps = depthwise_weight_grad(x, grad)
        assert torch.equal(taps[2, 0], padded[1, row : row + 7, column : column + 7, 2])
        assert not taps[:2].any()


def test_the_convolutions_have_the_gradients_of_conv2d():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 8, 8, 64, generator=generator, requires_grad=True)
    for convolve, shape, plain in (
        (depthwise, (64, 1, 7, 7), {"padding": 3, "groups": 64}),
        (downsample, (128, 64, 3, 3), {"padding": 1, "stride": 2}),
    ):
        weight = torch.randn(shape, generator=generator, requires_grad=True)
        bias = torch.randn(shape[0], generator=generator, requires_grad=True)
        mine = convolve(x, weight, bias)
        theirs = F.conv2d(x.permute(0, 3, 1, 2), weight, bias, **plain).permute(0, 2, 3, 1)
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-3)
        upstream = torch.randn(mine.shape, generator=generator)
        gradients = [torch.autograd.grad(y, (x, weight, bias), upstream) for y in (mine, theirs)]
        for a, b in zip(*gradients, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-3)
