"""Synthetic designers: rules that say which of two trajectories is better, and teachers that err as people do.

The paper's rule: reaching the preferred pad is better than reaching another, which is better than reaching none; among
equals the shorter is better. As a return that is a bonus of 2, 1 or 0 at the end and a hundredth less for every step.
A teacher reads the same rewards step by step and may be unsure, short-sighted, careless or undecided (B-Pref, Lee et
al., 2021).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from envs.errors import OptionError

STEP_COST = 0.01  # of a step: 100 of them weigh as much as the difference between two outcomes


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a trajectory ended, as far as the rule asks."""

    jumppad: str | None
    steps: int


@dataclass(frozen=True, kw_only=True)
class Teacher:
    """How a designer answers. The defaults are the paper's, who is always right and never undecided."""

    rationality: float = float("inf")  # how surely the better one is preferred; 0 is a coin
    myopia: float = 1.0  # weight of a step to that of the step after it; below 1 the end counts most
    mistake: float = 0.0  # chance of an answer the wrong way round
    skip_below: float = float("-inf")  # no answer where neither trajectory's return reaches this
    equal_within: float = 0.0  # "equal" where the returns differ by no more than this

    def __post_init__(self) -> None:
        if self.rationality < 0 or not 0 < self.myopia <= 1 or not 0 <= self.mistake <= 1 or self.equal_within < 0:
            raise OptionError(f"a teacher takes rationality >= 0, 0 < myopia <= 1, 0 <= mistake <= 1, got {self}")


def returns(outcomes: list[Outcome], wanted: str, myopia: float = 1.0) -> NDArray[np.float64]:
    """What each trajectory is worth to one who wants a pad, (N,)."""
    bonus = np.array([2.0 if o.jumppad == wanted else 1.0 if o.jumppad else 0.0 for o in outcomes])
    steps = np.array([o.steps for o in outcomes])
    # The last step weighs 1 and each one before it `myopia` times as much as the next.
    cost = steps if myopia == 1 else (1 - myopia**steps) / (1 - myopia)
    return bonus - STEP_COST * cost


def preferred(first: float, second: float) -> float:
    """What follows from worth or points: 1 the first is better, 0 the second, 0.5 neither."""
    return 0.5 + 0.5 * ((first > second) - (first < second))


def ask(
    teacher: Teacher,
    worth: NDArray[np.float64],
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """A teacher's answers.

    Args: worth: (M,), what each trajectory is worth to it. first, second: (N,), the pairs that it is asked about.
    Returns: (N,): 1 the first is better, 0 the second, 0.5 equal, NaN no answer.
    """
    difference = worth[first] - worth[second]
    if np.isinf(teacher.rationality):
        chance = np.sign(difference) / 2 + 0.5
    else:
        chance = 1 / (1 + np.exp(-teacher.rationality * difference))
    answers = np.where(rng.random(len(first)) < chance, 1.0, 0.0)
    answers = np.where(rng.random(len(first)) < teacher.mistake, 1 - answers, answers)
    answers[np.abs(difference) <= teacher.equal_within] = 0.5
    answers[np.maximum(worth[first], worth[second]) < teacher.skip_below] = np.nan
    return answers


def all_pairs(count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Every pair of `count` trajectories once: count (count - 1) / 2 of them."""
    first, second = np.triu_indices(count, 1)
    return first.astype(np.int64), second.astype(np.int64)


def some_pairs(count: int, number: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """A number of different pairs of `count` trajectories, in any order.

    Raises: OptionError: there are not so many.
    """
    first, second = all_pairs(count)
    if not 1 <= number <= len(first):
        raise OptionError(f"{count} trajectories make 1 to {len(first)} comparisons, got {number}")
    chosen = rng.choice(len(first), number, replace=False)
    return first[chosen], second[chosen]
