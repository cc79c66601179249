"""What the tests of the agents share: a policy small enough to train in seconds, and frames that differ."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from agents import parallel
from agents.policy import Policy, PolicyConfig

Frames = Callable[..., NDArray[np.uint8]]


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """The work is too small to share, and on a busy machine threads that wait for each other take far longer."""
    with parallel.one_thread():
        yield


@pytest.fixture(scope="session")
def tiny() -> PolicyConfig:
    """The smallest transformer that has several of everything; the encoder has one size only."""
    return PolicyConfig(width=32, layers=2, heads=2, context=8)


@pytest.fixture
def policy(tiny: PolicyConfig) -> Policy:
    """A tiny policy, the same for every test."""
    return Policy(tiny, torch.Generator().manual_seed(0))


@pytest.fixture
def frames() -> Frames:
    """Make (*shape, 128, 128, 3) uint8 frames of 8 x 8 coloured patches."""

    def make(*shape: int, seed: int = 0) -> NDArray[np.uint8]:
        patches = np.random.default_rng(seed).integers(0, 256, (*shape, 16, 16, 3), dtype=np.uint8)
        return patches.repeat(8, -3).repeat(8, -2)

    return make
