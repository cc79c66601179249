"""Laws of what is asked next."""

from math import comb, log

import pytest
import torch

from envs.errors import OptionError
from skygarden.designer.questions import QuestionConfig, next_question
from skygarden.designer.store import Question


def asked(number: int, labeller: str, trajectories: tuple[int, ...], *, passed: bool = False) -> Question:
    """A question that has an answer."""
    given = None if passed else (1,) * len(trajectories)
    return Question(number, labeller, trajectories, 5, "random", answered=True, given=given, undone=None)


def ask_on(
    config: QuestionConfig,
    count: int,
    most: int,
    before: list[Question] | None = None,
    scores: torch.Tensor | None = None,
) -> list[tuple[tuple[int, ...], str]]:
    """What anna is asked until nothing is left, or so many times."""
    known, found = list(before or []), list[tuple[tuple[int, ...], str]]()
    while len(found) < most and (new := next_question(config, count, known, "anna", scores)):
        found.append(new)
        known.append(asked(len(known) + 1, "anna", new[0]))
    return found


@pytest.mark.parametrize(("items", "count"), [(2, 10), (2, 33), (3, 21), (5, 27), (9, 46)])
def test_a_question_is_of_one_fold_and_of_different_trajectories(items: int, count: int) -> None:
    for trajectories, _ in ask_on(QuestionConfig(items=items), count, 40):
        assert len(set(trajectories)) == items
        assert len({k % 5 for k in trajectories}) == 1
        assert all(0 <= k < count for k in trajectories)


@pytest.mark.parametrize(("items", "count"), [(2, 10), (2, 33), (3, 21), (5, 31)])
@pytest.mark.parametrize("choose", ["random", "disagreement"])
def test_every_set_is_asked_once_and_then_nothing_is_left(items: int, count: int, choose: str) -> None:
    scores = torch.randn((3, count), generator=torch.Generator().manual_seed(0))
    found = ask_on(QuestionConfig(items=items, choose=choose), count, 10_000, scores=scores)  # type: ignore[arg-type]
    sets = {frozenset(trajectories) for trajectories, _ in found}
    in_folds = sum(comb(len(range(fold, count, 5)), items) for fold in range(5))
    assert len(found) == len(sets) == in_folds


def test_too_few_trajectories_leave_nothing_to_ask() -> None:
    assert next_question(QuestionConfig(items=3), 10, [], "anna", None) is None


def test_trajectories_that_were_asked_about_least_come_first() -> None:
    # Four of each fold: after as many questions of a fold as it takes to show all four, each was shown once.
    shown: dict[int, list[int]] = {fold: [] for fold in range(5)}
    for trajectories, _ in ask_on(QuestionConfig(), 20, 20):
        shown[trajectories[0] % 5] += trajectories
    for order in shown.values():
        assert len(set(order[:4])) == len(order[:4]) >= 2
    # What another was asked changes nothing of that.
    others = [asked(1, "bert", (0, 5)), asked(2, "bert", (10, 15), passed=True)]
    known = [*others, asked(3, "anna", (0, 10))]
    for seed in range(20):
        found = next_question(QuestionConfig(seed=seed), 20, known, "anna", None)
        assert found is not None
        assert set(found[0]) == {5, 15} or found[0][0] % 5 != 0


def test_every_eighth_question_is_one_that_another_has_answered() -> None:
    others = [asked(k, "bert", (k, k + 25)) for k in range(1, 4)]
    others.append(asked(4, "bert", (4, 29), passed=True))  # who passed did not say what anna could agree with
    others.append(asked(5, "bert", (0, 5, 10)))  # and this is no pair
    found = ask_on(QuestionConfig(), 50, 40, others)
    again = [k for k, (_, reason) in enumerate(found, 1) if reason == "again"]
    assert again == [8, 16, 24]  # three could be asked again, each once
    assert {frozenset(found[k - 1][0]) for k in again} == {frozenset({k, k + 25}) for k in (1, 2, 3)}


def test_a_question_that_was_ones_own_is_not_asked_again() -> None:
    before = [asked(k, "anna", (k, k + 5)) for k in range(7)]
    assert (next_question(QuestionConfig(), 50, before, "anna", None) or ((), ""))[1] == "random"
    before.append(asked(8, "bert", (5, 0)))  # of what anna has compared herself
    assert (next_question(QuestionConfig(), 50, before, "anna", None) or ((), ""))[1] == "random"


def test_disagreement_asks_where_the_models_differ_most() -> None:
    # All agree but on 3 and 8, of one fold: one model prefers the one, the other the other.
    scores = torch.zeros((2, 15))
    scores[0, 3] = scores[1, 8] = log(3.0)
    before = [asked(1, "anna", (0, 5))]  # the first of four is drawn at random
    for seed in range(3):
        config = QuestionConfig(choose="disagreement", seed=seed)
        trajectories, reason = next_question(config, 15, before, "anna", scores) or ((), "")
        assert (set(trajectories), reason) == ({3, 8}, "disagreement")


def test_every_fourth_question_is_random_and_so_are_all_before_there_is_a_model() -> None:
    scores = torch.randn((3, 100), generator=torch.Generator().manual_seed(0))
    config = QuestionConfig(choose="disagreement")
    reasons = [reason for _, reason in ask_on(config, 100, 9, scores=scores)]
    assert reasons == ["random", *["disagreement"] * 3, "random", *["disagreement"] * 3, "random"]
    assert {reason for _, reason in ask_on(config, 100, 9)} == {"random"}


def test_the_same_state_gives_the_same_question_and_another_seed_another() -> None:
    before = [asked(1, "bert", (3, 8))]
    first, again, other = (
        [next_question(QuestionConfig(seed=seed), 1000, before, who, None) for who in ("anna", "bert")]
        for seed in (0, 0, 1)
    )
    assert first == again
    assert first[0] != first[1]
    assert first != other


def test_a_pair_has_two_points_and_a_group_its_own() -> None:
    assert QuestionConfig(items=2, points=7).scale == 2
    assert QuestionConfig(items=3, points=7).scale == 7


@pytest.mark.parametrize("wrong", [{"items": 1}, {"items": 10}, {"points": 1}, {"points": 10}, {"choose": "best"}])
def test_questions_that_cannot_be_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(OptionError, match="questions"):
        QuestionConfig(**wrong)  # type: ignore[arg-type]
