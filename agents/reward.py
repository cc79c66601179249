"""The reward model: a whole trajectory to one number, learnt from which of two trajectories is better.

What stands for a step goes through one network to three numbers; those of all steps, one behind another, go through a
second to the reward. A trajectory shorter than 100 steps is padded with black frames. A step's numbers come from the
frozen agent: its features, which are the paper's, or the embedding of the frame that its transformer reads. Features
keep what acting needs, embeddings what is seen, which tells better where it stands. To see what the agent's knowledge
is worth, they can come from a fixed random projection of the frames. Rewards are scaled to [0, 1] by the least and
largest of the training trajectories.
Source: paper, sections 3.4 and C.3.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final, cast, get_args

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from agents.checkpoint import match, read, write
from agents.parameters import Affine, descend
from agents.transformer import linear
from envs.episode import Episode, Reads
from envs.errors import CheckpointError, DataError, OptionError

STEPS: Final = 100  # of a padded trajectory
HIDDEN: Final = 256  # width of both networks' hidden layer
SUMMARY: Final = 3  # numbers a step
_AT_ONCE: Final = 256  # trajectories
PROJECTION: Final = 512  # numbers that a random projection makes of a frame


@dataclass(frozen=True, kw_only=True)
class RewardConfig:
    """How to train. The defaults are the paper's."""

    epochs: int = 200  # 50 for the largest set
    most_updates: int | None = None  # after which training ends before its epochs do
    batch_size: int = 2048  # comparisons drawn for an update
    fill: bool = False  # also learn from all others between the same trajectories, whose scores are there already
    learning_rate: float = 1e-4
    weight_decay: float = 0.1  # L2
    shift: int = 0  # steps by which a batch's trajectories are moved in time, at most
    seed: int = 0

    def __post_init__(self) -> None:
        counts = (self.epochs, self.batch_size, 1 if self.most_updates is None else self.most_updates)
        if min(counts) < 1 or self.learning_rate <= 0 or min(self.weight_decay, self.seed) < 0:
            raise OptionError(f"a reward model takes counts of 1 or more and a rate above 0, got {self}")
        if not 0 <= self.shift < STEPS:
            raise OptionError(f"trajectories can be shifted by 0 to {STEPS - 1} steps, got {self.shift}")

    def updates(self, comparisons: int) -> int:
        """How many updates training on so many comparisons takes."""
        updates = self.epochs * -(-comparisons // self.batch_size)
        return min(updates, self.most_updates or updates)


@dataclass(frozen=True, slots=True)
class Comparisons:
    """Which of two trajectories is better, as indices into a list of trajectories."""

    first: Tensor  # (N,) int64
    second: Tensor  # (N,) int64
    preference: Tensor  # (N,) float32: 1 the first is better, 0 the second, 0.5 neither

    def __post_init__(self) -> None:
        shapes = {tuple(t.shape) for t in (self.first, self.second, self.preference)}
        if len(shapes) != 1 or self.first.dim() != 1:
            raise DataError(f"comparisons need three lists of one length, got {sorted(shapes)}")
        if not len(self.first):
            raise DataError("there is no comparison; compare some trajectories first")
        if ((self.preference < 0) | (self.preference > 1)).any() or not self.preference.isfinite().all():
            raise DataError("a preference lies between 0, the second is better, and 1, the first is")

    def __len__(self) -> int:
        """How many there are."""
        return len(self.first)


@dataclass(frozen=True, slots=True)
class Trajectories:
    """What reward models read of padded episodes."""

    steps: Tensor  # (M, 100, width)
    lengths: Tensor  # (M,) int64: steps before the padding

    def take(self, index: Tensor | list[int]) -> "Trajectories":
        """Some of them."""
        return Trajectories(self.steps[index], self.lengths[index])

    def to(self, dtype: torch.dtype) -> "Trajectories":
        """The same, with steps of a dtype."""
        return Trajectories(self.steps.to(dtype), self.lengths)


class RewardModel(nn.Module):
    """What is known of 100 steps to a reward.

    Args: width: numbers a step.
    """

    def __init__(self, width: int, generator: torch.Generator) -> None:
        super().__init__()
        self.width = width
        self.step_hidden = Affine(HIDDEN, width, generator=generator)
        self.step_out = Affine(SUMMARY, HIDDEN, generator=generator)
        self.hidden = Affine(HIDDEN, STEPS * SUMMARY, generator=generator)
        self.out = Affine(1, HIDDEN, generator=generator)
        self.register_buffer("range", torch.tensor([0.0, 1.0]))  # of the raw rewards of the training trajectories

    def raw(self, trajectories: Tensor) -> Tensor:
        """(B, 100, width) to (B,) float32, on no particular scale; steps are summed up in the trajectories' dtype.

        Raises: DataError: trajectories of another shape.
        """
        if trajectories.shape[1:] != (STEPS, self.width):
            raise DataError(f"expected trajectories (B, {STEPS}, {self.width}), got {tuple(trajectories.shape)}")
        steps = linear(F.gelu(linear(trajectories, self.step_hidden)), self.step_out).float()
        return linear(F.gelu(linear(steps.flatten(1), self.hidden)), self.out).squeeze(1)

    def score(self, trajectories: Tensor) -> Tensor:
        """Rewards, (B, 100, width) to (B,) in [0, 1] for what lies in the range of the training trajectories."""
        low, high = self.get_buffer("range")
        return (self.raw(trajectories) - low) / (high - low)

    @torch.no_grad()
    def scores(self, trajectories: Tensor) -> Tensor:
        """As `score`, of many, (N, 100, width) in any dtype to (N,): some at a time, and nothing is learnt from it."""
        starts = range(0, len(trajectories), _AT_ONCE)
        return torch.cat([self.score(trajectories[k : k + _AT_ONCE].float()) for k in starts])

    @torch.no_grad()
    def fit_range(self, trajectories: Tensor) -> None:
        """Scale rewards by the least and the largest of these trajectories'.

        Raises: DataError: all have the same reward.
        """
        rewards = self.raw(trajectories)
        low, high = float(rewards.min()), float(rewards.max())
        if not high > low:
            raise DataError(f"all {len(rewards)} trajectories have reward {low}; the model has learnt nothing")
        self.get_buffer("range").copy_(torch.tensor([low, high]))


@dataclass(frozen=True, slots=True)
class RewardArtefact:
    """A reward model with what makes its scores mean something."""

    model: RewardModel
    reads: Reads
    trunk: str  # hash of the trunk that made what it reads; see `agents.checkpoint.trunk_hash`
    accuracy: float  # on comparisons of trajectories that it was not trained on
    about: dict[str, Any]  # how it came about

    def score(self, trajectories: Tensor, trunk: str) -> Tensor:
        """Rewards of trajectories, (B, 100, width) to (B,).

        Raises: CheckpointError: they are another trunk's.
        """
        if trunk != self.trunk:
            raise CheckpointError(
                f"this reward model reads {self.reads} of trunk {self.trunk[:12]}, not of {trunk[:12]}"
            )
        return self.model.scores(trajectories)

    def score_episodes(self, episodes: Sequence[Episode], trunk: str) -> Tensor:
        """Rewards of padded episodes, (N,).

        Raises: CheckpointError: they are another trunk's.
        """
        return self.score(trajectories_of(episodes, self.reads).steps, trunk)


def trajectories_of(episodes: Sequence[Episode], reads: Reads) -> Trajectories:
    """What a reward model reads of padded episodes, float16."""
    steps = np.stack([e.features if reads == "features" else e.embeddings for e in episodes])
    return Trajectories(torch.as_tensor(steps), torch.tensor([len(e) for e in episodes]))


def save_reward(artefact: RewardArtefact, path: Path) -> None:
    """Write a reward model.

    Raises: CheckpointError: the file cannot be written; what was there before is still there.
    """
    header = {
        "width": artefact.model.width,
        "reads": artefact.reads,
        "trunk": artefact.trunk,
        "accuracy": artefact.accuracy,
        "about": artefact.about,
    }
    write(path, "reward", artefact.model.state_dict(), header)


def load_reward(path: Path) -> RewardArtefact:
    """Read a reward model.

    Raises: CheckpointError: no such file, damaged, of another kind or version, or without its range, what it reads, its
      trunk or its accuracy.
    """
    weights, header = read(path, "reward")
    missing = sorted({"width", "reads", "trunk", "accuracy", "about"} - set(header))
    if missing:
        raise CheckpointError(f"{path} lacks {', '.join(missing)}; train the reward model anew")
    if header["reads"] not in get_args(Reads):
        raise CheckpointError(f"{path} reads {header['reads']!r}, and episodes hold {' and '.join(get_args(Reads))}")
    model = RewardModel(header["width"], torch.Generator())
    match(path, weights, model.state_dict())
    model.load_state_dict(weights)
    model.requires_grad_(False)
    return RewardArtefact(model, header["reads"], header["trunk"], header["accuracy"], header["about"])


def bradley_terry_loss(first: Tensor, second: Tensor, preference: Tensor) -> Tensor:
    """Cross-entropy between the preferences and the chance that each trajectory is preferred.

    That chance is the logistic function of the difference of the rewards. Args: all (N,). Returns: mean, nats.
    Source: Bradley and Terry, 1952; paper, equation 1.
    """
    return F.binary_cross_entropy_with_logits(first - second, preference)


@torch.no_grad()
def accuracy(rewards: Tensor, comparisons: Comparisons) -> float:
    """The share of decided comparisons that rewards, (M,), decide the same way; a tie is half right.

    Raises: DataError: no comparison is decided.
    """
    decided = comparisons.preference != 0.5
    if not decided.any():
        raise DataError("no comparison says which is better; accuracy needs one that does")
    margin = (rewards[comparisons.first] - rewards[comparisons.second])[decided]
    wanted = torch.where(comparisons.preference[decided] > 0.5, 1.0, -1.0)
    return float(((margin * wanted > 0).float() + 0.5 * (margin == 0).float()).mean())


def shifted(trajectories: Trajectories, by: int) -> Tensor:
    """The steps of trajectories moved in time, (M, 100, width): what is missing at an end is what is there, repeated.

    The model learns to see what happens whenever it happens. Forward a trajectory moves no further than leaves one step
    of its padding: with its end out of view one that arrives would be shown as one that does not, and said to be
    better. So the better of two stays the better one, but where both come to end at the last step but one. The paper
    does without; with few comparisons it is worth twice as many.
    Source: temporal cropping in SURF (Park et al., 2022).

    Args: by: steps, back in time above 0.
    """
    if by == 0:
        return trajectories.steps
    room = (STEPS - 1 - trajectories.lengths).clamp(min=0)
    moved = torch.full_like(room, by) if by > 0 else -room.clamp(max=-by)
    steps = (torch.arange(STEPS) + moved[:, None]).clamp(0, STEPS - 1)
    return trajectories.steps[torch.arange(len(room))[:, None], steps]


def train_reward_model(
    model: RewardModel, trajectories: Trajectories, comparisons: Comparisons, config: RewardConfig
) -> Generator[float, None, None]:
    """Train in place on comparisons, which count these trajectories, then fit the range to all of them.

    Yields: the loss of every update, nats a comparison.
    """
    generator = torch.Generator().manual_seed(config.seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    batches = _batches(len(comparisons), config.batch_size, generator)
    for drawn in islice(batches, config.updates(len(comparisons))):
        chosen = filled(drawn, comparisons) if config.fill else drawn
        by = int(torch.randint(-config.shift, config.shift + 1, (), generator=generator))
        pair = torch.stack((comparisons.first[chosen], comparisons.second[chosen]))
        there, places = _distinct(pair)  # a trajectory in many comparisons is scored once
        first, second = model.raw(shifted(trajectories.take(there), by))[places]
        loss = bradley_terry_loss(first, second, comparisons.preference[chosen])
        descend(optimizer, loss)
        yield loss.item()
    model.fit_range(trajectories.steps)


def filled(chosen: Tensor, comparisons: Comparisons) -> Tensor:
    """All comparisons between the trajectories of the chosen ones."""
    there = torch.zeros(int(torch.maximum(comparisons.first, comparisons.second).max()) + 1, dtype=torch.bool)
    there[comparisons.first[chosen]] = there[comparisons.second[chosen]] = True
    return (there[comparisons.first] & there[comparisons.second]).nonzero().squeeze(1)


def _batches(count: int, size: int, generator: torch.Generator) -> Generator[Tensor, None, None]:
    """Indices in a new order every epoch, without end."""
    while True:
        order = torch.randperm(count, generator=generator)
        yield from (order[k : k + size] for k in range(0, count, size))


def random_projection(pixels: int, generator: torch.Generator) -> Tensor:
    """The fixed map of flattened frames in [0, 1] that stands in for the agent: (512, pixels)."""
    return torch.randn(PROJECTION, pixels, generator=generator) / pixels**0.5


def _distinct(indices: Tensor) -> tuple[Tensor, Tensor]:
    """The different indices, and where among them each lies."""
    return cast("Any", indices).unique(return_inverse=True)
