"""A small convolutional network in plain numpy: what it is shown, what it answers, and how it is trained.

Two layers of small filters and one of weights: 14,000 numbers, a third of a millisecond a look. Filters see the same
thing wherever in the picture it is, so a few dozen launches are enough to learn from; a perceptron on the same pictures
took more falls beside a pad for launches from it.
"""

from dataclasses import dataclass, fields
from typing import Final, Self

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Floats = NDArray[np.float32]

SIZE: Final = 4  # pixels, of a filter, every STRIDE pixels
STRIDE: Final = 2
FILTERS: Final = (12, 24)  # of the first and the second layer
LEAST_SIDE: Final = 10  # pixels, of a picture that leaves room for both layers


@dataclass(frozen=True, slots=True)
class Network:
    """Weights. Pictures have `channels`; the first answer is "none", then one for each pad."""

    first: Floats  # (channels * 16, 12)
    first_bias: Floats  # (12,)
    second: Floats  # (12 * 16, 24)
    second_bias: Floats  # (24,)
    last: Floats  # (24 * what is left of the picture, answers)
    last_bias: Floats  # (answers,)

    @classmethod
    def draw(cls, side: int, channels: int, answers: int, rng: np.random.Generator) -> Self:
        """Random weights to start from (He and others, 2015)."""
        parts: list[Floats] = []
        for (rows, columns), gain in zip(_shapes(side, channels, answers), (1.0, 1.0, 0.3), strict=True):
            parts += [
                rng.normal(0.0, gain * (2 / rows) ** 0.5, (rows, columns)).astype(np.float32),
                np.zeros(columns, np.float32),
            ]
        return cls(*parts)

    def fits(self, side: int, channels: int, answers: int) -> bool:
        """Whether it is for such pictures, gives so many answers, and is made of finite numbers."""
        needed = [
            shape for rows, columns in _shapes(side, channels, answers) for shape in ((rows, columns), (columns,))
        ]
        parts = [getattr(self, f.name) for f in fields(self)]
        return all(
            part.shape == shape and part.dtype == np.float32 and bool(np.isfinite(part).all())
            for part, shape in zip(parts, needed, strict=True)
        )

    def chances(self, pictures: Floats) -> Floats:
        """What each of (N, side, side, channels), black -0.5 and white 0.5, shows: (N, answers), rows sum to 1."""
        seen = np.maximum(_patches(pictures) @ self.first + self.first_bias, 0.0)
        seen = np.maximum(_patches(seen) @ self.second + self.second_bias, 0.0)
        return _shares(seen.reshape(len(pictures), -1) @ self.last + self.last_bias)


class Training:
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019) on the cross-entropy; changes the network."""

    def __init__(self, network: Network, weight_decay: float) -> None:
        self._network = network
        self._decay = weight_decay
        self._weights: list[Floats] = [getattr(network, f.name) for f in fields(network)]
        self._means = [np.zeros_like(w) for w in self._weights]
        self._squares = [np.zeros_like(w) for w in self._weights]
        self._steps = 0

    def step(self, pictures: Floats, truth: NDArray[np.int64], rate: float) -> Floats:
        """One step; the losses of the (B,) examples before it, nats."""
        losses, gradients = _slope(self._network, pictures, truth)
        self._steps += 1
        for k, gradient in enumerate(gradients):
            weights, mean, square = self._weights[k], self._means[k], self._squares[k]
            mean += 0.1 * (gradient - mean)
            square += 0.001 * (gradient * gradient - square)
            towards = mean / (1 - 0.9**self._steps) / (np.sqrt(square / (1 - 0.999**self._steps)) + 1e-8)
            weights -= rate * (towards + self._decay * weights * (weights.ndim > 1))
        return losses


def _slope(network: Network, pictures: Floats, truth: NDArray[np.int64]) -> tuple[Floats, list[Floats]]:
    """The losses, (B,) nats, and the gradient of their mean for each part of the network."""
    count, rows = len(pictures), np.arange(len(pictures))
    patches = _patches(pictures)
    first = np.maximum(patches @ network.first + network.first_bias, 0.0)
    patches_again = _patches(first)
    second = np.maximum(patches_again @ network.second + network.second_bias, 0.0)
    chances = _shares(second.reshape(count, -1) @ network.last + network.last_bias)
    losses = -np.log(chances[rows, truth] + np.float32(1e-9))
    back = chances
    back[rows, truth] -= 1.0
    back /= count
    back_second: Floats = (back @ network.last.T).reshape(second.shape) * (second > 0)
    back_first: Floats = _unpatch(back_second @ network.second.T, first.shape) * (first > 0)
    return losses, [
        *_layer_slope(patches, back_first),
        *_layer_slope(patches_again, back_second),
        *_layer_slope(second.reshape(count, -1), back),
    ]


def _layer_slope(inputs: Floats, back: Floats) -> tuple[Floats, Floats]:
    """The gradients of a layer's weights and bias."""
    flat = back.reshape(-1, back.shape[-1])
    return inputs.reshape(-1, inputs.shape[-1]).T @ flat, flat.sum(axis=0)


def _patches(pictures: Floats) -> Floats:
    """What each place of a filter covers: (N, H, W, C) to (N, h, w, C * 16)."""
    windows = sliding_window_view(pictures, (SIZE, SIZE), (1, 2))[:, ::STRIDE, ::STRIDE]
    return windows.reshape(*windows.shape[:3], -1)


def _unpatch(back: Floats, shape: tuple[int, ...]) -> Floats:
    """The transpose of `_patches`: what came through each place, summed where places overlap."""
    count, height, width, channels = shape
    down, across = back.shape[1:3]
    parts = back.reshape(count, down, across, channels, SIZE, SIZE)
    out = np.zeros((count, height, width, channels), np.float32)
    for i in range(SIZE):
        for j in range(SIZE):
            out[:, i : i + STRIDE * down : STRIDE, j : j + STRIDE * across : STRIDE] += parts[..., i, j]
    return out


def _shares(scores: Floats) -> Floats:
    """Softmax of rows."""
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


def _shapes(side: int, channels: int, answers: int) -> tuple[tuple[int, int], ...]:
    """Of the three layers' weights."""
    left = side
    for _ in FILTERS:
        left = (left - SIZE) // STRIDE + 1
    area = SIZE * SIZE
    return (channels * area, FILTERS[0]), (FILTERS[0] * area, FILTERS[1]), (left * left * FILTERS[1], answers)
