"""What to ask next: trajectories of one fold, at random or where an ensemble of reward models disagrees.

All trajectories of a question lie in one fold of the cross-validation, so that every answer about pairs drawn at random
is a test of the model that has not learnt from any of them. A few questions that another labeller has answered are
asked again, which tells how far the two agree.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from agents.cross_validation import FOLDS, disagreement
from envs.errors import OptionError
from skygarden.designer.store import Question

Choice = Literal["random", "disagreement"]
MOST: Final = 9  # trajectories of a question, and points
_AGAIN_EVERY: Final = 8  # questions
_RANDOM_EVERY: Final = 4  # questions chosen by disagreement tell nothing of how good a model is on others
_CANDIDATES: Final = 400  # that disagreement chooses from
_TRIES: Final = 200  # to find a question that was not asked before


@dataclass(frozen=True, kw_only=True)
class QuestionConfig:
    """What a question is. Two trajectories are a pair, more are a group on a scale."""

    items: int = 2  # trajectories
    points: int = 5  # of a group's scale; a pair has two
    choose: Choice = "random"
    seed: int = 0

    def __post_init__(self) -> None:
        if not (2 <= self.items <= MOST and 2 <= self.points <= MOST):
            raise OptionError(f"questions have 2 to {MOST} trajectories and points, got {self.items}, {self.points}")
        if self.choose not in ("random", "disagreement"):
            raise OptionError(f"questions are chosen at random or by disagreement, got {self.choose!r}")

    @property
    def scale(self) -> int:
        """Points of the scale."""
        return 2 if self.items == 2 else self.points


def next_question(
    config: QuestionConfig,
    count: int,
    asked: Sequence[Question],
    labeller: str,
    scores: torch.Tensor | None,
) -> tuple[tuple[int, ...], str] | None:
    """Trajectories to ask a labeller about, and why these; None where nothing new is left to ask.

    Args: count: trajectories there are. asked: all questions, of everybody. scores: (models, count), of an ensemble.
    """
    own = [question for question in asked if question.labeller == labeller]
    known = {frozenset(question.trajectories) for question in own}
    rng = np.random.default_rng([config.seed, len(asked), sum(labeller.encode())])
    if len(own) % _AGAIN_EVERY == _AGAIN_EVERY - 1:
        again = [q.trajectories for q in asked if _repeatable(q, config) and frozenset(q.trajectories) not in known]
        if again:
            return again[int(rng.integers(len(again)))], "again"
    times = np.bincount([t for question in own for t in question.trajectories], minlength=count)
    by_disagreement = config.choose == "disagreement" and scores is not None and len(own) % _RANDOM_EVERY != 0
    wanted = _CANDIDATES if by_disagreement else 1
    candidates: list[tuple[int, ...]] = []
    for _ in range(_TRIES + wanted):
        drawn = _drawn(config.items, times, rng)
        if drawn is not None and frozenset(drawn) not in known:
            candidates.append(drawn)
            if len(candidates) == wanted:
                break
    if not candidates:  # few are left, and not where trajectories were asked about least
        left = _left(config.items, count, known)
        return None if left is None else (tuple(rng.permutation(left).tolist()), "random")
    if not by_disagreement or scores is None:
        return candidates[0], "random"
    best = int(disagreement(scores, torch.tensor(candidates)).argmax())
    return candidates[best], "disagreement"


def _repeatable(question: Question, config: QuestionConfig) -> bool:
    return question.given is not None and len(question.trajectories) == config.items


def _drawn(items: int, times: NDArray[np.int64], rng: np.random.Generator) -> tuple[int, ...] | None:
    """Trajectories of one fold, those asked about least first."""
    fold = np.arange(int(rng.integers(FOLDS)), len(times), FOLDS)
    if len(fold) < items:
        return None
    order = np.lexsort((rng.random(len(fold)), times[fold]))
    return tuple(rng.permutation(fold[order[:items]]).tolist())


def _left(items: int, count: int, known: Collection[frozenset[int]]) -> tuple[int, ...] | None:
    """Trajectories of one fold that were not asked about together, if there are such."""
    for fold in range(FOLDS):
        for together in combinations(range(fold, count, FOLDS), items):
            if frozenset(together) not in known:
                return together
    return None
