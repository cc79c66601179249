"""What the tests of recorded play share: play that is made up, and a dataset of it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from envs.gamepad import AXES, BUCKETS, BUTTONS
from envs.window.pad import HELD
from rollout.lerobot.dataset import Dataset
from rollout.lerobot.journal import Header
from rollout.lerobot.track import Held, Step
from rollout.lerobot.unfinished import Unfinished, finish

SIZE = (96, 128)
Play = Callable[[int, int], tuple[list[NDArray[np.uint8]], list[Step]]]
Record = Callable[..., Dataset]


def moving(number: int) -> NDArray[np.uint8]:
    """A frame of a picture that moves to the right, 4 pixels a frame, and so tells which one it is."""
    wave = np.sin(np.arange(SIZE[1]) / SIZE[1] * 2 * np.pi) * 100 + 128
    row = np.roll(wave, 4 * number)
    red = np.broadcast_to(row, SIZE)
    green = np.broadcast_to(np.linspace(0, 255, SIZE[0])[:, None], SIZE)
    return np.stack([red, green, np.full(SIZE, 60)], axis=2).astype(np.uint8)


def play_of(steps: int, seed: int) -> tuple[list[NDArray[np.uint8]], list[Step]]:
    """Frames that move, and a person who presses anything."""
    rng = np.random.default_rng(seed)
    played: list[Step] = []
    for number in range(steps):
        pressed = frozenset(name for name in HELD if rng.random() < 0.3)
        axes = (*rng.uniform(-1, 1, 4).tolist(), *rng.uniform(0, 1, 2).tolist())
        action = np.concatenate([rng.integers(0, 2, len(BUTTONS)), rng.integers(0, BUCKETS, len(AXES))])
        played.append(Step(1e6 + seed * 1000 + number / 10, Held(axes, pressed).vector(), action.astype(np.uint8)))
    return [moving(number) for number in range(steps)], played


@pytest.fixture
def play() -> Play:
    """Frames and steps that are made up: play(steps, seed)."""
    return play_of


@pytest.fixture
def record(tmp_path: Path) -> Record:
    """Record made-up play into the dataset `tmp_path / "play"`: record(steps, seed, task)."""

    def run(steps: int, seed: int, task: str = "go left") -> Dataset:
        header = Header(name=f"take-{seed}", task=task, fps=10, height=SIZE[0], width=SIZE[1])
        with Unfinished(tmp_path / "play", header) as episode:
            for frame, step in zip(*play_of(steps, seed), strict=True):
                episode.append(frame, step)
        assert dict(finish(tmp_path / "play")) == {f"take-{seed}": steps}
        return Dataset(tmp_path / "play")

    return run
