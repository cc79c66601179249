"""From menu to play and back, without a window."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from envs.gamepad import Gamepad
from envs.standin.island import PADS, SPAWNS
from envs.standin.physics import LAUNCH_TIME
from envs.standin.replay import stage_of
from envs.standin.simulation import Stage
from skygarden.game.journal import Journal
from skygarden.game.session import Session
from skygarden.hands import ESCAPE, NEW_LIFE, Touch


@pytest.fixture(scope="module")
def stage() -> Stage:
    return stage_of(0)


class Table:
    """A session and its journal."""

    def __init__(self, stage: Stage, path: Path, seed: int = 0) -> None:
        self.path = path
        self.session = Session(stage, np.random.default_rng(seed), Journal(path))

    def press(self, *presses: str, held: Gamepad | None = None) -> "Table":
        self.session.update(Touch(held or Gamepad(), presses), 0)
        return self

    def hold(self, ticks: int, *pressed: str, **sticks: float) -> "Table":
        for _ in range(ticks):
            self.session.update(Touch(Gamepad(frozenset(pressed), **sticks)), 1)
        return self

    @property
    def body(self) -> Any:
        assert self.session.life is not None
        return self.session.life.body[0]

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.path.read_text(encoding="utf-8").splitlines()]

    @property
    def names(self) -> list[str]:
        return [event["event"] for event in self.events]


@pytest.fixture
def table(stage: Stage, tmp_path: Path) -> Table:
    return Table(stage, tmp_path / "new" / "log.jsonl")


@pytest.mark.parametrize("press", ["A", "START"])
@pytest.mark.parametrize("row", range(4))
def test_a_and_start_play_from_any_row(table: Table, press: str, row: int) -> None:
    table.press(*["DOWN"] * row, press)
    assert table.session.life is not None
    assert table.names == ["menu", "began"]


def test_what_was_chosen_is_played(table: Table) -> None:
    table.press("RIGHT", "RIGHT", "DOWN", "LEFT", "DOWN", "RIGHT", "RIGHT", "RIGHT", "A")
    began = table.events[-1]
    assert {k: began[k] for k in ("character", "skin", "spawn")} == {"character": "witch", "skin": 2, "spawn": 2}
    assert (table.body["x"], table.body["y"], table.body["yaw"]) == (SPAWNS[2].x, SPAWNS[2].y, SPAWNS[2].yaw)


def test_any_start_is_each_of_the_four_and_follows_from_the_seed(stage: Stage, tmp_path: Path) -> None:
    def starts(seed: int) -> list[int]:
        table = Table(stage, tmp_path / "log.jsonl", seed).press("A").press(*[NEW_LIFE] * 29)
        return [event["spawn"] for event in table.events if event["event"] == "began"]

    first = starts(0)
    assert len(first) == 30
    assert set(first) == {0, 1, 2, 3}
    assert starts(0) == first
    assert starts(1) != first


@pytest.mark.parametrize("press", ["START", "BACK", ESCAPE])
def test_back_in_the_menu_the_choice_is_kept_and_the_first_row_chosen(table: Table, press: str) -> None:
    table.press("RIGHT", "DOWN", "RIGHT", "DOWN", "START").hold(5).press(press)
    assert table.session.life is None
    assert (table.session.menu.row, table.session.menu.values) == (0, (1, 1, 0))
    assert table.names == ["menu", "began", "menu"]
    assert table.events[-1]["tick"] == 5
    assert not table.session.ended


def test_escape_in_the_menu_ends_the_game_and_a_pads_back_does_not(table: Table) -> None:
    assert not table.press("BACK").session.ended
    assert table.press(ESCAPE).session.ended
    table.session.end()
    assert table.names == ["menu", "ended"]


def test_the_press_that_began_a_life_is_no_jump(table: Table) -> None:
    table.press("A", held=Gamepad(frozenset({"A"}))).hold(20, "A")
    assert table.body["z"] == 3.0
    table.hold(1).hold(1, "A")
    assert table.body["z"] > 3.0


def test_a_life_begins_at_rest_whatever_the_menu_owes(table: Table) -> None:
    table.session.update(Touch(Gamepad(ly=1.0), ("A",)), 15)
    assert (table.body["x"], table.body["y"]) in {(spawn.x, spawn.y) for spawn in SPAWNS}
    assert table.hold(1, ly=1.0).press("START").events[-1]["tick"] == 1


def test_a_tap_between_two_ticks_is_not_lost(table: Table) -> None:
    table.press("A").press(held=Gamepad(frozenset({"A"}))).hold(1)
    assert table.body["z"] > 3.0


def test_nothing_moves_in_the_menu(table: Table) -> None:
    table.hold(100, "X", ly=1.0)
    assert table.session.life is None
    table.press("A")
    assert table.events[-1]["tick"] == 0


def test_a_pad_is_told_of_once_and_play_goes_on_to_the_main_island(table: Table) -> None:
    table.press("A")
    pad = PADS[1]
    table.body["x"], table.body["y"], table.body["z"] = pad.x, pad.y, pad.ground
    table.hold(int(60 * LAUNCH_TIME) + 30)
    assert table.names == ["menu", "began", "jumppad", "landed"]
    assert (table.events[2]["pad"], table.events[2]["tick"]) == ("middle", 1)
    assert table.body["y"] > 50.0
    assert table.hold(30, ly=1.0).body["grounded"] == 1.0


def test_a_fall_is_told_of_and_play_goes_on_at_the_same_start(table: Table) -> None:
    table.press("DOWN", "DOWN", "RIGHT", "RIGHT", "A")
    table.body["x"] = -59.0
    table.hold(120)
    assert table.names == ["menu", "began", "fell"]
    assert (table.body["x"], table.body["y"]) == (SPAWNS[1].x, SPAWNS[1].y)


def test_a_line_of_the_journal_is_there_at_once_and_in_order(table: Table) -> None:
    table.press("A").hold(3).press(NEW_LIFE)
    times = [event["time"] for event in table.events]
    assert times == sorted(times)
    assert [event["tick"] for event in table.events] == [0, 0, 3]


def test_without_a_file_nothing_is_written(stage: Stage) -> None:
    Session(stage, np.random.default_rng(0), Journal(None)).update(Touch(presses=("A",)), 5)
