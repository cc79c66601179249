"""Learning the looks of a game's jump pads from a few recorded runs to each.

The networks of a detector are trained on stacks of frames: those after a launch show its pad, all before it and all of
a run without a launch show none. The frame of the launch itself is left out: it may show all or nothing of it. There
are few launches, so each is seen many times and never quite alike: shifted by some pixels, as another direction of the
camera shows it, brighter or darker, with something in front of it. Of the others, those just before a launch and those
that are still taken for one come more often: falls beside a pad, jumps in front of it.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from envs.errors import DataError
from envs.window.jumppad import JumpPadConfig, JumpPadDetector, Pixels, evidence_of, shrink
from envs.window.jumppad_network import Network, Training

LEAST_RUNS: Final = 3  # to each pad, and without a launch
_BEFORE: Final = 8  # frames before a launch that count as the hard ones
_SHARES: Final = (0.35, 0.25, 0.4)  # of a batch: no pad near, just before a launch, launched
_MIX_EVERY: Final = 100  # batches until what is mistaken is counted anew
_COVERED: Final = 0.25  # share of a batch that has something in front


@dataclass(frozen=True, slots=True)
class PadRun:
    """A recorded run: frames (T, H, W, 3) uint8 of any size, and the frame that first shows the launch, if one does.

    Raises: DataError: the parts do not fit together.
    """

    frames: NDArray[np.uint8]
    pad: str | None = None
    reached: int | None = None

    def __post_init__(self) -> None:
        frames, reached = self.frames, self.reached
        if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != np.uint8 or not frames.size:
            raise DataError(f"a run needs frames (T, height, width, 3) uint8, got {frames.shape} {frames.dtype}")
        if (self.pad is None) != (reached is None):
            raise DataError(f"a run has a pad and the frame it was reached in or neither, got {self.pad!r}, {reached}")
        if reached is not None and not 0 < reached < len(frames):
            raise DataError(f"a pad must be reached in one of the {len(frames)} frames after the first, got {reached}")


@dataclass(frozen=True, kw_only=True)
class LearningConfig:
    """How it is learnt."""

    networks: int = 3
    batches: int = 1200
    batch_size: int = 48  # stacks
    learning_rate: float = 3e-3  # at first; falls to 0 along a cosine
    weight_decay: float = 0.01
    shift: tuple[int, int] = (3, 1)  # pixels of the small pictures, sideways and up or down, at most
    light: float = 0.15  # share of the range, at most, by which contrast and brightness differ
    aftermath: int = 3  # frames that show a launch, after the one in which it happens


def learn(
    runs: Sequence[PadRun],
    rng: np.random.Generator,
    config: JumpPadConfig | None = None,
    learning: LearningConfig | None = None,
) -> JumpPadDetector:
    """A detector for the pads of the runs, named in the order of the alphabet. Takes a minute or two.

    Raises: DataError: fewer than three runs to a pad, or without a launch.
    """
    config, learning = config or JumpPadConfig(), learning or LearningConfig()
    names = _pads_of(runs)
    examples = _gather(runs, names, config, learning)
    networks = [_train(examples, len(names) + 1, config, learning, rng) for _ in range(learning.networks)]
    counts = Counter(run.pad or "none" for run in runs)
    about = {"runs": dict(sorted(counts.items())), "frames": sum(len(run.frames) for run in runs)}
    return JumpPadDetector(names, networks, config, about)


def _pads_of(runs: Sequence[PadRun]) -> tuple[str, ...]:
    """The pads' names. Raises: DataError: too few runs."""
    counts = Counter(run.pad for run in runs)
    names = tuple(sorted(pad for pad in counts if pad is not None))
    came = [f"{counts[pad]} to {pad!r}" for pad in names] + [f"{counts[None]} without a launch"]
    if not names or min(counts[pad] for pad in (*names, None)) < LEAST_RUNS:
        raise DataError(f"{LEAST_RUNS} runs to each pad and without a launch are the least, got {', '.join(came)}")
    return names


@dataclass(frozen=True, slots=True)
class _Examples:
    """What is learnt from. `share` says how often an example comes, before doubt."""

    pictures: NDArray[np.uint8]  # (N, side + 2 * shift, side + 2 * shift, 3), of all frames, their edges repeated
    stacks: NDArray[np.int64]  # (E, ages): indices of pictures
    truth: NDArray[np.int64]  # (E,): 0 for none, then a number for each pad
    share: NDArray[np.float64]  # (E,)


def _gather(
    runs: Sequence[PadRun], names: tuple[str, ...], config: JumpPadConfig, learning: LearningConfig
) -> _Examples:
    """Examples of all frames but those of a launch and those too long after it."""
    sideways, up = learning.shift
    pictures: list[Pixels] = []
    stacks: list[list[int]] = []
    truth: list[int] = []
    kinds: list[int] = []
    for run in runs:
        first, reached = len(pictures), len(run.frames) if run.reached is None else run.reached
        for k, pixels in enumerate(run.frames[: reached + 1 + learning.aftermath]):
            picture = shrink(evidence_of(pixels), config.side)
            pictures.append(np.pad(picture, ((up, up), (sideways, sideways), (0, 0)), mode="edge"))
            if k == reached:
                continue
            stacks.append([first + max(0, k - age) for age in config.ages])
            truth.append(0 if k < reached or run.pad is None else 1 + names.index(run.pad))
            kinds.append(2 if k > reached else int(run.pad is not None and k >= reached - _BEFORE))
    kind = np.array(kinds)
    share = np.array(_SHARES)[kind] / np.bincount(kind, minlength=3)[kind]
    return _Examples(np.array(pictures), np.array(stacks), np.array(truth), share)


def _train(
    examples: _Examples, answers: int, config: JumpPadConfig, learning: LearningConfig, rng: np.random.Generator
) -> Network:
    """One network."""
    network = Network.draw(config.side, 3 * len(config.ages), answers, rng)
    training = Training(network, learning.weight_decay)
    doubt = np.ones(len(examples.truth))  # how much an example is still mistaken
    odds = examples.share
    for batch in range(learning.batches):
        if batch % _MIX_EVERY == 0:
            odds = np.cumsum(examples.share * doubt)
        drawn = rng.random(learning.batch_size) * odds[-1]
        chosen = np.minimum(np.searchsorted(odds, drawn, side="right"), odds.size - 1)
        pictures = _vary(examples.pictures, examples.stacks[chosen], config.side, learning, rng)
        rate = learning.learning_rate * 0.5 * (1 + math.cos(math.pi * batch / learning.batches))
        losses = training.step(pictures, examples.truth[chosen], rate)
        doubt[chosen] = 0.5 * doubt[chosen] + 0.5 * (5 * losses).clip(0.3, 10.0)
    return network


def _vary(
    pictures: Pixels, stacks: NDArray[np.int64], side: int, learning: LearningConfig, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Stacks, (B, ages), as (B, side, side, ages * 3): shifted together, some covered, each in its own light."""
    count = len(stacks)
    left, top = (int(rng.integers(0, 2 * reach + 1)) for reach in learning.shift)
    seen = pictures[stacks][:, :, top : top + side, left : left + side].astype(np.float32)
    seen *= np.float32(1 / 255)
    seen -= np.float32(0.5)
    height, width = (int(n) for n in rng.integers(3, 2 * side // 3 + 1, 2))
    low, near = int(rng.integers(0, side - height + 1)), int(rng.integers(0, side - width + 1))
    covered = int(count * _COVERED)
    seen[:covered, :, low : low + height, near : near + width] = rng.uniform(-0.5, 0.5, (covered, 1, 1, 1, 3))
    contrast, light = learning.light * rng.uniform(-1, 1, (2, count, 1, 1, 1, 1)).astype(np.float32)
    seen *= 1 + contrast
    seen += light
    return seen.transpose(0, 2, 3, 1, 4).reshape(count, side, side, -1)
