"""What a person sees of an online run: its log, which a run that goes on continues, and when it is warned of."""

import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from agents.reinforce import Update
from rollout.learner import OnlineConfig, OnlineMetrics
from skygarden.online import METRICS, _Log, over_optimised, read_metrics, show


def metrics(update: int, score: float = 0.5, left: int = 4, *, measured: bool = True) -> OnlineMetrics:
    """What an update of 16 episodes reports, of which so many reach the left pad, which is wanted, and others none."""
    learnt = Update(reward=score, kl=0.01 * update, entropy=12.0, weight=1.0, gradient_norm=3.0)
    reached: Mapping[str, int] = {"left": left, "none": 16 - left}
    return OnlineMetrics(
        update=update,
        learnt=learnt,
        episodes=16,
        reached={pad: count for pad, count in reached.items() if count},
        shown=left if measured else None,
        steps=80.0,
        staleness=0.0,
        seconds=2.0,
        learning=0.5,
    )


def nobody(_: Mapping[str, Any]) -> None:
    """Is told of an update."""


def history(*parts: tuple[float, float]) -> list[dict[str, Any]]:
    """Two updates each of a score and a success."""
    return [{"score": score, "success": success} for score, success in parts for _ in range(2)]


def curve(folder: Path, name: str) -> list[tuple[int, float]]:
    """A TensorBoard curve of a run."""
    events = EventAccumulator(str(folder / "tensorboard"), size_guidance={"scalars": 0})
    events.Reload()
    return [(event.step, round(event.value, 4)) for event in events.Scalars(f"online/{name}")]


def scores(folder: Path) -> list[tuple[int, float]]:
    """Updates and scores of a run's log."""
    return [(line["update"], round(line["score"], 4)) for line in read_metrics(folder)]


# The warning


@pytest.mark.parametrize(
    ("before", "now", "warned"),
    [
        ((0.5, 0.8), (0.7, 0.6), True),
        ((0.5, 0.8), (0.7, 0.8), False),  # success stays
        ((0.5, 0.8), (0.7, 0.9), False),  # success rises
        ((0.5, 0.8), (0.5, 0.6), False),  # the score stays
        ((0.5, 0.8), (0.4, 0.6), False),  # both fall
        ((0.5, 0.8), (0.515, 0.6), False),  # the score rises by less than 0.02
        ((0.5, 0.8), (0.53, 0.6), True),
        ((0.5, 0.8), (0.7, 0.76), False),  # success falls by less than 0.05
        ((0.5, 0.8), (0.7, 0.74), True),
        ((0.5, 0.8), (0.5, 0.8), False),
    ],
)
def test_a_score_that_rises_while_success_falls_is_over_optimised(
    before: tuple[float, float], now: tuple[float, float], *, warned: bool
) -> None:
    assert over_optimised(history(before, now), 2) is warned


def test_what_counts_are_the_means_of_the_last_two_windows() -> None:
    # The means go from (0.5, 0.7) to (0.6, 0.6): the score by 0.1, success by 0.1. What was before is long past.
    lines = [(0.4, 0.9), (0.6, 0.5), (0.8, 0.5), (0.4, 0.7)]
    recent = [{"score": score, "success": success} for score, success in lines]
    assert over_optimised(recent, 2)
    assert over_optimised([*history((0.0, 0.0), (1.0, 0.0)), *recent], 2)
    assert not over_optimised([*recent, *history((0.6, 0.6))], 2)  # they stay where they came to


def test_with_too_little_to_compare_nothing_is_over_optimised() -> None:
    lines = history((0.1, 0.9), (0.9, 0.1))
    assert over_optimised(lines, 2)
    assert not over_optimised(lines[1:], 2)
    assert not over_optimised(lines, 3)
    assert not over_optimised([], 1)


def diverging(count: int, *, measured: bool = True) -> Iterator[OnlineMetrics]:
    """Updates of which from the eleventh on the score is higher and success is lower."""
    for update in range(1, count + 1):
        score, left = (0.9, 4) if update > 10 else (0.5, 8)
        yield metrics(update, score, left, measured=measured)


@pytest.mark.parametrize(("wanted", "warned"), [("left pad", True), (None, False)])
def test_who_wants_a_pad_is_warned_when_the_reward_model_is_exploited(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], wanted: str | None, *, warned: bool
) -> None:
    show(diverging(20, measured=warned), OnlineConfig(updates=20), wanted, tmp_path, nobody)
    said = " ".join(capsys.readouterr().out.split())
    assert ("true success falls" in said) is warned
    assert "20 updates: score 0.90" in said
    assert ("left pad 25%" in said) is warned
    assert "8.0 episodes/s" in said  # 16 in 2 seconds


def test_a_run_that_goes_well_is_not_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    show(
        (metrics(k, 0.02 * k, 4 + k // 3) for k in range(1, 31)), OnlineConfig(updates=30), "left pad", tmp_path, nobody
    )
    said = " ".join(capsys.readouterr().out.split())
    assert "30 updates: score 0.51, left pad 76%" in said  # of the last ten: 0.42 to 0.60, and 11 to 14 of 16
    assert "falls" not in said


def test_everything_an_update_reports_is_told(tmp_path: Path) -> None:
    told: list[Mapping[str, Any]] = []
    show((metrics(update) for update in (1, 2, 3)), OnlineConfig(updates=3), "left pad", tmp_path, told.append)
    assert told == read_metrics(tmp_path)
    assert [line["update"] for line in told] == [1, 2, 3]


# The log


def test_an_update_is_a_line_with_true_success_beside_the_score(tmp_path: Path) -> None:
    with closing(_Log(tmp_path)) as log:
        line = log.add(metrics(1, left=4))
        other = log.add(metrics(2, left=0))
        none = log.add(metrics(3, measured=False))
    assert read_metrics(tmp_path) == [line, other, none]
    assert [past["success"] for past in (line, other, none)] == [0.25, 0.0, None]
    expected = {"update": 1, "episodes": 16, "score": 0.5, "steps": 80.0, "kl": 0.01, "entropy": 12.0}
    assert {key: line[key] for key in expected} == expected
    assert line["reached"] == {"left": 4, "none": 12}
    assert curve(tmp_path, "success") == [(1, 0.25), (2, 0.0)]
    assert curve(tmp_path, "kl") == [(1, 0.01), (2, 0.02), (3, 0.03)]


def test_a_run_without_a_log_has_no_metrics(tmp_path: Path) -> None:
    assert read_metrics(tmp_path) == []


@pytest.mark.parametrize("half", ["", "{", '{"update": 3, "score"', '{"update": 3, "score": 0.5}'])
def test_a_last_line_that_was_not_ended_is_left_out(tmp_path: Path, half: str) -> None:
    """Even one that reads as a whole: a number in it may go on."""
    lines = [{"update": 1, "score": 0.25}, {"update": 2, "score": 0.75}]
    text = "".join(f"{json.dumps(line)}\n" for line in lines)
    (tmp_path / METRICS).write_text(text + half, encoding="utf-8")
    assert read_metrics(tmp_path) == lines


def test_a_run_that_goes_on_takes_the_place_of_what_was_lost(tmp_path: Path) -> None:
    """It was killed after update 5 while it wrote a sixth line, and its last checkpoint was after update 3."""
    config = OnlineConfig(updates=6)
    show((metrics(update, score=0.1 * update) for update in range(1, 6)), config, "left", tmp_path, nobody)
    with (tmp_path / METRICS).open("a", encoding="utf-8") as file:
        file.write('{"update": 6, "epis')
    show((metrics(update, score=0.9) for update in range(4, 7)), config, "left", tmp_path, nobody)
    expected = [(1, 0.1), (2, 0.2), (3, 0.3), (4, 0.9), (5, 0.9), (6, 0.9)]
    assert scores(tmp_path) == expected
    assert curve(tmp_path, "score") == expected
    assert (tmp_path / METRICS).read_text(encoding="utf-8").endswith("}\n")


def test_a_run_that_starts_anew_in_the_same_folder_forgets_the_one_before(tmp_path: Path) -> None:
    for score in (0.25, 0.75):
        show((metrics(update, score=score) for update in (1, 2)), OnlineConfig(updates=2), "left", tmp_path, nobody)
        assert scores(tmp_path) == [(1, score), (2, score)]


def test_a_run_that_is_done_leaves_its_log_as_it_is(tmp_path: Path) -> None:
    show((metrics(update) for update in (1, 2)), OnlineConfig(updates=2), "left", tmp_path, nobody)
    before = (tmp_path / METRICS).read_bytes()
    show(iter(()), OnlineConfig(updates=2), "left", tmp_path, nobody)
    assert (tmp_path / METRICS).read_bytes() == before


def test_what_is_shown_of_a_run_that_goes_on_counts_its_past(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first ten updates are of the run that was killed: only with them is it seen that success falls."""
    whole = list(diverging(20))
    show(whole[:10], OnlineConfig(updates=20), "left", tmp_path, nobody)
    assert "falls" not in capsys.readouterr().out
    show(whole[10:], OnlineConfig(updates=20), "left", tmp_path, nobody)
    assert "true success falls" in " ".join(capsys.readouterr().out.split())
