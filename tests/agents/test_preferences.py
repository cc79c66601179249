"""Laws of synthetic designers."""

import math

import numpy as np
import pytest

from agents.preferences import Outcome, Teacher, all_pairs, ask, returns, some_pairs
from envs.errors import OptionError

RANKED = [  # for one who wants the left pad, the best first
    Outcome("left", 60),
    Outcome("left", 100),
    Outcome("middle", 55),
    Outcome("right", 56),
    Outcome("middle", 99),
    Outcome(None, 100),
]


def test_the_papers_rule_ranks_the_wanted_pad_another_none_and_then_the_shorter() -> None:
    worth = returns(RANKED, "left")
    assert worth.tolist() == pytest.approx([1.4, 1.0, 0.45, 0.44, 0.01, -1.0])
    first, second = all_pairs(6)
    assert ask(Teacher(), worth, first, second, np.random.default_rng(0)).tolist() == [1.0] * 15
    assert ask(Teacher(), worth, second, first, np.random.default_rng(0)).tolist() == [0.0] * 15
    assert returns(RANKED, "right").argmax() == 3


def test_all_pairs_are_half_the_square_and_each_once() -> None:
    first, second = all_pairs(5)
    assert len({frozenset(pair) for pair in zip(first.tolist(), second.tolist(), strict=True)}) == 10
    assert all(len(all_pairs(n)[0]) == n * (n - 1) // 2 for n in range(6))


def drawn(count: int, number: int, seed: int = 0) -> list[tuple[int, int]]:
    """A number of pairs."""
    first, second = some_pairs(count, number, np.random.default_rng(seed))
    return list(zip(first.tolist(), second.tolist(), strict=True))


@pytest.mark.parametrize("number", [1, 7, 44, 45])
def test_some_pairs_are_all_different_and_of_trajectories_that_are_there(number: int) -> None:
    pairs = drawn(10, number)
    assert len(pairs) == len({frozenset(pair) for pair in pairs}) == number
    assert all(0 <= a < 10 and 0 <= b < 10 and a != b for a, b in pairs)


def test_as_many_pairs_as_there_are_are_all_pairs() -> None:
    first, second = all_pairs(10)
    assert sorted(drawn(10, 45)) == list(zip(first.tolist(), second.tolist(), strict=True))


def test_which_pairs_follows_from_the_generator_and_none_is_drawn_more_often() -> None:
    assert drawn(10, 5) == drawn(10, 5) != drawn(10, 5, seed=1)
    seen = [pair for seed in range(900) for pair in drawn(4, 2, seed)]  # of 6 pairs 2: each in a third of the draws
    assert [seen.count(pair) for pair in sorted(set(seen))] == pytest.approx([300] * 6, abs=60)


@pytest.mark.parametrize("number", [0, 46, -1])
def test_more_pairs_than_there_are_are_refused(number: int) -> None:
    with pytest.raises(OptionError, match=f"10 trajectories make 1 to 45 comparisons, got {number}"):
        drawn(10, number)


def answers(teacher: Teacher, difference: float, count: int = 20_000) -> np.ndarray:
    """What a teacher says, often, of a first trajectory that is worth so much more."""
    ones, zeros = np.ones(count, np.int64), np.zeros(count, np.int64)
    return ask(teacher, np.array([0.0, difference]), ones, zeros, np.random.default_rng(0))


def test_a_rational_teacher_prefers_by_the_logistic_of_the_difference() -> None:
    for rationality, difference in ((1.0, math.log(3.0)), (2.0, math.log(3.0) / 2)):
        assert answers(Teacher(rationality=rationality), difference).mean() == pytest.approx(0.75, abs=0.01)
    assert answers(Teacher(rationality=0.0), 5.0).mean() == pytest.approx(0.5, abs=0.01)


def test_a_careless_teacher_answers_the_wrong_way_round_so_often() -> None:
    assert answers(Teacher(mistake=0.1), 1.0).mean() == pytest.approx(0.9, abs=0.01)


def test_a_teacher_may_call_them_equal_or_pass() -> None:
    assert (answers(Teacher(equal_within=0.2), 0.2, 10) == 0.5).all()
    assert (answers(Teacher(equal_within=0.2), 0.3, 10) == 1.0).all()
    assert np.isnan(answers(Teacher(skip_below=0.5), 0.4, 10)).all()
    assert (answers(Teacher(skip_below=0.5), 0.5, 10) == 1.0).all()


def test_a_short_sighted_teacher_weighs_the_end_more_than_the_way_there() -> None:
    # 3 steps at half the weight a step back: 1 + 0.5 + 0.25, a hundredth each.
    assert returns([Outcome(None, 3)], "left", myopia=0.5).tolist() == pytest.approx([-0.0175])
    short, long = returns([Outcome("left", 60), Outcome("left", 100)], "left", myopia=0.9)
    assert 0 < short - long < 0.001


@pytest.mark.parametrize("wrong", [{"rationality": -1.0}, {"myopia": 0.0}, {"mistake": 1.5}, {"equal_within": -0.1}])
def test_a_teacher_that_cannot_be_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(OptionError, match="a teacher takes"):
        Teacher(**wrong)
