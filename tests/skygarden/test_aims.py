"""What can be wanted: pads, rules of one's own, and the rules that come along."""

import math
from pathlib import Path

import numpy as np
import pytest

from agents.preferences import Outcome, Teacher, ask, returns
from envs.backend import Start
from envs.episode import Ending, Episode
from envs.errors import OptionError
from envs.gamepad import Gamepad, encode
from skygarden import rules
from skygarden.aims import ANY_PAIRS, FEW_PAIRS, Aim, Rule, Trajectory, aim_of

FIRST, SECOND = np.array([0, 1, 0]), np.array([1, 2, 2])


def episode(
    pad: str | None, steps: int = 4, hands: Gamepad | None = None, way: list[tuple[float, float]] | None = None
) -> Episode:
    """One in which the hands do the same at every step, along a way."""
    positions = np.zeros((steps + 1, 3), np.float32)
    if way:
        positions[:, :2] = way
    return Episode(
        seed=0,
        start=Start(0, "ninja", 0),
        actions=np.tile(encode(hands or Gamepad()), (steps, 1)),
        log_probs=np.zeros(steps, np.float32),
        embeddings=np.zeros((steps, 0), np.float16),
        features=np.zeros((steps, 0), np.float16),
        positions=positions,
        ending=Ending.TERMINATED if pad else Ending.TRUNCATED,
        jumppad=pad,
    )


PLAYED = [episode("left", 60), episode("right", 40), episode(None, 100)]


def test_who_wants_a_pad_answers_by_the_papers_rule() -> None:
    aim = aim_of("right")
    teacher = Teacher(rationality=1.5, mistake=0.2)
    worth = returns([Outcome(e.jumppad, len(e)) for e in PLAYED], "right")
    said = aim.answers(teacher, PLAYED, FIRST, SECOND, np.random.default_rng(3))
    assert said.tolist() == ask(teacher, worth, FIRST, SECOND, np.random.default_rng(3)).tolist()
    assert (aim.title, aim.measured, aim.pairs) == ("right pad", True, ANY_PAIRS)
    assert [aim.shown(e) for e in PLAYED] == [False, True, False]


def test_a_rule_prefers_what_is_worth_more_and_may_be_unsure() -> None:
    rule = Rule(worth=lambda trajectory: -float(len(trajectory)))
    aim = Aim("mine:shortest", rule)
    assert aim.answers(Teacher(), PLAYED, FIRST, SECOND, np.random.default_rng(0)).tolist() == [0.0, 1.0, 1.0]
    coins = aim.answers(
        Teacher(rationality=0), PLAYED, np.zeros(400, np.int64), np.ones(400, np.int64), np.random.default_rng(0)
    )
    assert 0.4 < coins.mean() < 0.6
    assert rule(Trajectory(PLAYED[0]), Trajectory(PLAYED[0])) == 0.5
    assert (aim.title, aim.measured, aim.pairs) == ("shortest", False, ANY_PAIRS)


def test_a_plain_function_is_asked_about_each_pair() -> None:
    def picky(first: Trajectory, second: Trajectory) -> float:
        return math.nan if None in (first.outcome, second.outcome) else float(len(first) < len(second))

    aim = Aim("mine:picky", picky)
    said = aim.answers(Teacher(), PLAYED, FIRST, SECOND, np.random.default_rng(0))
    assert said[0] == 0.0
    assert np.isnan(said[1:]).all()
    assert aim.pairs == FEW_PAIRS
    with pytest.raises(OptionError, match="make it a Rule"):
        aim.shown(PLAYED[0])
    with pytest.raises(OptionError, match="a teacher that errs needs a Rule"):
        aim.answers(Teacher(mistake=0.5), PLAYED, FIRST, SECOND, np.random.default_rng(0))


def test_an_answer_that_is_no_preference_is_refused() -> None:
    with pytest.raises(OptionError, match=r"mine:sure must return 1, 0, 0.5 or NaN, got 2.0"):
        Aim("mine:sure", lambda _, __: 2.0).answers(Teacher(), PLAYED, FIRST, SECOND, np.random.default_rng(0))


def test_a_rule_in_this_folder_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_rules_of_a_test.py").write_text(
        "def longer(first, second):\n    return float(len(first) > len(second))\nnumber = 3\n", encoding="utf-8"
    )
    monkeypatch.chdir(tmp_path)
    aim = aim_of("own_rules_of_a_test:longer")
    said = aim.answers(Teacher(), PLAYED, FIRST, SECOND, np.random.default_rng(0))
    assert said.tolist() == [1.0, 0.0, 0.0]
    with pytest.raises(OptionError, match="is int, and a rule is a function"):
        aim_of("own_rules_of_a_test:number")


@pytest.mark.parametrize("name", ["up", "skygarden.rules", "skygarden.rules:", ":f"])
def test_what_is_neither_a_pad_nor_a_rule_is_refused(name: str) -> None:
    with pytest.raises(OptionError, match="a pad of left, middle, right or a rule as module:function"):
        aim_of(name)


@pytest.mark.parametrize("name", ["no_such_module_anywhere:f", "skygarden.rules:no_such_rule"])
def test_a_rule_that_is_not_there_is_named(name: str) -> None:
    with pytest.raises(OptionError, match="there is no rule"):
        aim_of(name)


def test_one_thing_is_wanted(command, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, said in (
        (("--to", "left", "--teacher", "skygarden.rules:never_attack"), "one thing is wanted"),
        ((), "say what to align to"),
    ):
        with pytest.raises(SystemExit, match="2"):
            command("align", *arguments)
        assert said in capsys.readouterr().err


# The rules that come along


def test_an_attack_is_a_button_of_one_and_no_other() -> None:
    for buttons, steps in (({"X"}, 4), ({"Y", "A"}, 4), ({"RT"}, 4), ({"LB"}, 4), ({"RB"}, 4), ({"A", "B", "LT"}, 0)):
        assert rules.attacks(Trajectory(episode("left", hands=Gamepad(frozenset(buttons))))) == steps


def test_never_attack_is_shown_on_a_pad_without_one() -> None:
    calm, angry, lost = episode("left"), episode("left", hands=Gamepad(frozenset({"X"}))), episode(None, 100)
    assert [rules.never_attack.shows(Trajectory(e)) for e in (calm, angry, lost)] == [True, False, False]  # pyright: ignore[reportOptionalCall]
    # Two for a pad, less a tenth for each of the first ten steps of attack.
    assert [rules.never_attack.worth(Trajectory(e)) for e in (calm, angry, lost)] == [2.0, 1.6, 0.0]
    assert rules.never_attack(Trajectory(calm), Trajectory(angry)) == 1.0


def test_a_way_that_swings_to_the_left_of_the_straight_line_is_leftward() -> None:
    # North from (0, 0) to (0, 8), by 3 metres to the west: (0 + 3 + 3 + 3 + 0) / 5 on average.
    west = [(0.0, 0.0), (-3.0, 2.0), (-3.0, 4.0), (-3.0, 6.0), (0.0, 8.0)]
    left, right = episode("left", way=west), episode("left", way=[(-x, y) for x, y in west])
    assert rules.leftward(Trajectory(left)) == pytest.approx(1.8)
    assert rules.leftward(Trajectory(right)) == pytest.approx(-1.8)
    assert rules.leftward(Trajectory(episode("left"))) == 0.0
    # The same way walked south passes on its other side.
    assert rules.leftward(Trajectory(episode("left", way=west[::-1]))) == pytest.approx(-1.8)
    assert [rules.left_hand_route.shows(Trajectory(e)) for e in (left, right)] == [True, False]  # pyright: ignore[reportOptionalCall]


def test_the_camera_moves_by_both_axes_of_its_stick() -> None:
    assert rules.camera(Trajectory(episode("left", hands=Gamepad(rx=1.0)))) == 0.5
    assert rules.camera(Trajectory(episode("left", hands=Gamepad(rx=-0.2, ry=0.2)))) == pytest.approx(0.2)
    assert rules.camera(Trajectory(episode("left", hands=Gamepad(lx=1.0, ly=1.0)))) == 0.0


@pytest.mark.parametrize("name", ["never_attack", "left_hand_route", "least_camera"])
def test_reaching_a_pad_is_worth_more_than_any_way_of_not_doing_so(name: str) -> None:
    rule = aim_of(f"skygarden.rules:{name}").rule
    assert rule is not None
    wild = Gamepad(frozenset({"X"}), rx=1.0, ry=1.0)
    far = [(0.0, 0.0), (40.0, 0.0), (40.0, 8.0), (40.0, 16.0), (0.0, 16.0)]
    worst = episode("middle", hands=wild, way=far)
    assert rule(Trajectory(worst), Trajectory(episode(None, 100))) == 1.0
