"""What a reward model is worth when all there is are a person's answers: cross-validation, and an ensemble from it.

Trajectories are dealt into folds. The model of a fold learns from the comparisons of none of its trajectories, and is
tested on those of its trajectories alone, so none is tested on what it has seen: the split is by trajectory, never by
comparison. Together the models are an ensemble, and where they disagree an answer would teach most (B-Pref, Lee et
al., 2021; query by committee, Seung et al., 1992).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from agents.reward import Comparisons, RewardConfig, RewardModel, Trajectories, accuracy, train_reward_model
from envs.errors import DataError

FOLDS: Final = 5


@dataclass(frozen=True, slots=True)
class Fold:
    """The model that has not seen a fold, and how it did there."""

    model: RewardModel
    right: float  # comparisons ranked as they were answered; a tie of scores counts half
    decided: int  # comparisons that say which is better


def fold_of(trajectories: Tensor) -> Tensor:
    """The fold of each trajectory, by its number."""
    return trajectories % FOLDS


def validate_fold(
    trajectories: Trajectories,
    comparisons: Comparisons,
    folds: Tensor,
    tested: Tensor,
    fold: int,
    config: RewardConfig,
    after_update: Callable[[], None] = lambda: None,
) -> Fold:
    """Train a reward model without a fold, and test it there.

    Args: trajectories: those that comparisons count. folds: (M,) the fold of each. tested: (N,) bool, the comparisons
      that may count as a test. after_update: called after each; to stop, raise.
    Raises: DataError: there is nothing to learn from without it.
    """
    first, second = folds[comparisons.first], folds[comparisons.second]
    learnt = _those(comparisons, (first != fold) & (second != fold))
    if learnt is None:
        raise DataError(f"every comparison has a trajectory of fold {fold}; compare some more")
    there, learnt = _compacted(learnt)
    model = RewardModel(trajectories.steps.shape[2], torch.Generator().manual_seed(config.seed + fold))
    for _ in train_reward_model(model, trajectories.take(there), learnt, config):
        after_update()
    held_out = _those(comparisons, (first == fold) & (second == fold) & tested & (comparisons.preference != 0.5))
    if held_out is None:
        return Fold(model, 0.0, 0)
    there, held_out = _compacted(held_out)
    with torch.no_grad():
        share = accuracy(model.score(trajectories.steps[there].float()), held_out)
    return Fold(model, share * len(held_out), len(held_out))


def disagreement(scores: Tensor, groups: Tensor) -> Tensor:
    """How far the models of an ensemble differ on which of the trajectories of a group are better.

    Args: scores: (models, M). groups: (G, N), trajectories.
    Returns: (G,): the variance over the models of each pair's chance of preference, summed over the pairs.
    """
    grouped = scores[:, groups]  # (models, G, N)
    chances = torch.sigmoid(grouped[..., :, None] - grouped[..., None, :])
    return chances.var(0, correction=0).sum((1, 2)) / 2


def standardised(raw: Sequence[Tensor]) -> Tensor:
    """Raw rewards of each model, (M,), on one scale: (models, M), of mean 0 and unit spread."""
    stacked = torch.stack(list(raw))
    return (stacked - stacked.mean(1, keepdim=True)) / stacked.std(1, correction=0, keepdim=True).clamp(min=1e-6)


def _those(comparisons: Comparisons, mask: Tensor) -> Comparisons | None:
    if not mask.any():
        return None
    return Comparisons(comparisons.first[mask], comparisons.second[mask], comparisons.preference[mask])


def _compacted(comparisons: Comparisons) -> tuple[Tensor, Comparisons]:
    """The trajectories of comparisons, and the same comparisons with indices into those."""
    pair = torch.stack((comparisons.first, comparisons.second))
    there = torch.bincount(pair.flatten()).nonzero().squeeze(1)
    first, second = torch.searchsorted(there, pair)
    return there, Comparisons(first, second, comparisons.preference)
