"""Laws of cross-validation: no model is tested on what it has seen, and the models' disagreement is what it says."""

from collections.abc import Iterator
from math import log

import pytest
import torch
from torch import Tensor

from agents import cross_validation
from agents.cross_validation import FOLDS, disagreement, fold_of, standardised, validate_fold
from agents.reward import Comparisons, RewardConfig, RewardModel, Trajectories
from envs.errors import DataError

CONFIG = RewardConfig(epochs=1)


def numbered(count: int) -> Trajectories:
    """Trajectories of two numbers a step that say which they are."""
    steps = torch.arange(count).float()[:, None, None].expand(-1, 100, 2)
    return Trajectories(steps, torch.full((count,), 100))


def pairs(*rows: tuple[int, int, float]) -> Comparisons:
    first, second, preference = zip(*rows, strict=True)
    return Comparisons(torch.tensor(first), torch.tensor(second), torch.tensor(preference))


def everything(comparisons: Comparisons) -> Tensor:
    return torch.ones(len(comparisons), dtype=torch.bool)


@pytest.fixture
def learnt(monkeypatch: pytest.MonkeyPatch) -> list[set[tuple[int, int]]]:
    """The pairs that each model was shown. A model learns at once that a higher number is better."""
    shown: list[set[tuple[int, int]]] = []

    def learn(
        model: RewardModel, trajectories: Trajectories, comparisons: Comparisons, _: RewardConfig
    ) -> Iterator[float]:
        numbers = trajectories.steps[:, 0, 0].int()
        first, second = numbers[comparisons.first].tolist(), numbers[comparisons.second].tolist()
        shown.append(set(zip(first, second, strict=True)))
        model.score = lambda trajectories: trajectories[:, 0, 0]
        yield 0.0

    monkeypatch.setattr(cross_validation, "train_reward_model", learn)
    return shown


def test_folds_are_dealt_like_cards() -> None:
    assert fold_of(torch.arange(7)).tolist() == [0, 1, 2, 3, 4, 0, 1]


def test_no_model_sees_a_trajectory_of_its_fold(learnt: list[set[tuple[int, int]]]) -> None:
    comparisons = pairs(*((a, b, 1.0) for a in range(10) for b in range(a)))
    for fold in range(FOLDS):
        validate_fold(numbered(10), comparisons, fold_of(torch.arange(10)), everything(comparisons), fold, CONFIG)
        seen = {k for pair in learnt[fold] for k in pair}
        assert seen == {k for k in range(10) if k % 5 != fold}
        assert len(learnt[fold]) == 8 * 7 // 2  # all pairs of the other eight


def test_a_model_is_tested_on_its_fold_alone_and_ties_say_nothing(learnt: list[set[tuple[int, int]]]) -> None:
    comparisons = pairs(
        (0, 5, 0.0),  # of fold 0, and 5 is better: right
        (10, 5, 0.0),  # wrong
        (10, 0, 1.0),  # right
        (15, 0, 0.5),  # says nothing of which is better
        (15, 5, 1.0),  # right, but not one to test on
        (0, 1, 1.0),  # of two folds: neither learnt from nor tested on
        (6, 1, 1.0),  # of another
    )
    tested = everything(comparisons)
    tested[4] = False
    fold = validate_fold(numbered(16), comparisons, fold_of(torch.arange(16)), tested, 0, CONFIG)
    assert (fold.right, fold.decided) == (pytest.approx(2), 3)
    assert learnt == [{(6, 1)}]


def test_trajectories_are_dealt_by_the_folds_that_are_given(learnt: list[set[tuple[int, int]]]) -> None:
    # As with answers about a few of many: place 0 and 1 are trajectories 3 and 8, both of fold 3.
    comparisons = pairs((1, 0, 1.0), (2, 3, 0.0))
    fold = validate_fold(numbered(4), comparisons, torch.tensor([3, 3, 0, 0]), everything(comparisons), 3, CONFIG)
    assert (fold.right, fold.decided, learnt) == (1, 1, [{(2, 3)}])


def test_a_fold_without_answers_has_a_model_all_the_same(learnt: list[set[tuple[int, int]]]) -> None:
    comparisons = pairs((6, 1, 1.0))
    fold = validate_fold(numbered(7), comparisons, fold_of(torch.arange(7)), everything(comparisons), 0, CONFIG)
    assert (fold.right, fold.decided, len(learnt)) == (0, 0, 1)


def test_one_fold_that_covers_everything_leaves_nothing_to_learn_from() -> None:
    comparisons = pairs((0, 5, 1.0), (5, 1, 0.0))
    with pytest.raises(DataError, match="every comparison has a trajectory of fold 0; compare some more"):
        validate_fold(numbered(6), comparisons, fold_of(torch.arange(6)), everything(comparisons), 0, CONFIG)


def test_training_can_be_stopped_after_any_update() -> None:
    done: list[int] = []

    def stop_at_three() -> None:
        done.append(1)
        if len(done) == 3:
            raise InterruptedError

    comparisons = pairs((6, 1, 1.0), (11, 6, 1.0))
    config = RewardConfig(epochs=1_000_000)
    with pytest.raises(InterruptedError):
        validate_fold(
            numbered(12), comparisons, fold_of(torch.arange(12)), everything(comparisons), 0, config, stop_at_three
        )
    assert len(done) == 3


def test_models_disagree_by_the_variance_of_the_chance_that_they_give() -> None:
    # The chances that 0 is better than 1: 3/4 and 1/4, a variance of 1/16. All agree that 2 and 3 are equal.
    scores = torch.tensor([[log(3.0), 0.0, 1.0, 1.0], [0.0, log(3.0), 2.0, 2.0]])
    found = disagreement(scores, torch.tensor([[0, 1], [1, 0], [2, 3]]))
    assert found.tolist() == pytest.approx([1 / 16, 1 / 16, 0])


def test_disagreement_about_a_group_is_that_about_its_pairs() -> None:
    scores = torch.randn((3, 4), generator=torch.Generator().manual_seed(0))
    of_pairs = disagreement(scores, torch.tensor([[0, 1], [0, 3], [1, 3]])).sum()
    assert float(disagreement(scores, torch.tensor([[3, 0, 1]]))) == pytest.approx(float(of_pairs))


def test_rewards_of_all_models_are_put_on_one_scale() -> None:
    found = standardised([torch.tensor([1.0, 3.0]), torch.tensor([30.0, 10.0]), torch.tensor([7.0, 7.0])])
    assert found.tolist() == [[-1, 1], [1, -1], [0, 0]]
