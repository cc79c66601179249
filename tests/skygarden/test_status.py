"""Laws of `skygarden status`: it finds the learner that works in a folder, and says what is true of it."""

import json
import os
from collections.abc import Iterator
from contextlib import closing
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from envs.errors import DeliveryError, OptionError
from rollout.delivery.assignment import Assignment, Contract
from rollout.desk import Desk
from skygarden.monitor import Monitor
from skygarden.status import LEARNER, fetch, find, page, show

LINE: dict[str, Any] = {"update": 3, "score": 0.5, "success": None, "reached": {"left": 2}, "staleness": 0.0}


@pytest.fixture
def desk() -> Desk:
    """A desk at which ann has been given the first of two assignments."""
    desk = Desk(Contract(trunk="ab", width=2, reads="features", context="chunked", temperature=1.0))
    for number in range(2):
        desk.post(Assignment(number=number, version=0, seeds=(number,), sampling_seed=0))
    seat = desk.sit("ann", 7)
    desk.ready(seat)
    desk.beat(seat, 1200, 14, 2)
    return desk


@pytest.fixture
def monitor(tmp_path: Path, desk: Desk) -> Iterator[Monitor]:
    """What tells of a run of fifty updates."""
    with closing(Monitor(tmp_path, desk, "127.0.0.1:4711", 50, 2)) as monitor:
        yield monitor


def printed(status: dict[str, Any], width: int = 80) -> str:
    """What a person sees."""
    console = Console(width=width, file=(written := StringIO()))
    console.print(page(status))
    return written.getvalue()


def test_the_learner_in_a_folder_is_found_and_asked(tmp_path: Path, monitor: Monitor) -> None:
    status = fetch(find(tmp_path))
    assert (status["pid"], status["address"]) == (os.getpid(), "127.0.0.1:4711")
    assert (status["update"], status["updates"], status["metrics"]) == (2, 50, {})
    assert (status["desk"]["playing"], status["desk"]["waiting"]) == (1, 1)


def test_so_is_the_newest_in_the_folder_of_an_alignment(tmp_path: Path, desk: Desk) -> None:
    older, newer = tmp_path / "online", tmp_path / "online-2"
    for folder in (older, newer):
        folder.mkdir()
    (older / LEARNER).write_text(json.dumps({"status": "http://127.0.0.1:1"}))
    os.utime(older / LEARNER, (1, 1))
    with closing(Monitor(newer, desk, "127.0.0.1:4711", 50, 2)):
        assert fetch(find(tmp_path))["updates"] == 50


def test_an_update_is_told_but_for_what_is_no_number(tmp_path: Path, monitor: Monitor) -> None:
    monitor.tell(LINE)
    status = fetch(find(tmp_path))
    assert (status["update"], status["metrics"]) == (3, {"score": 0.5, "staleness": 0.0})


def test_a_person_sees_who_plays_what_in_80_columns(tmp_path: Path, monitor: Monitor) -> None:
    monitor.tell(LINE)
    text = printed(fetch(find(tmp_path)))
    assert "update 3 of 50: score 0.5, staleness 0" in text
    assert "1 played, 1 waiting" in text
    (row,) = [line.split() for line in text.splitlines() if line.split()[:1] == ["ann"]]
    assert row[:3] == ["ann", "up", "0"]
    assert row[4:7] == ["0", "0", "2"]  # taken in, refused, spooled


def test_who_has_left_is_away(tmp_path: Path, desk: Desk, monitor: Monitor) -> None:
    inside: Any = desk
    desk.leave(inside._seats[0], for_good=True)
    assert any(line.split()[:3] == ["ann", "away", "-"] for line in printed(fetch(find(tmp_path))).splitlines())


def test_where_nobody_works_it_says_so(tmp_path: Path, desk: Desk) -> None:
    with pytest.raises(
        OptionError, match=f"no learner is at work in {tmp_path}: name the folder of a run that goes on"
    ):
        find(tmp_path)
    with closing(Monitor(tmp_path, desk, "127.0.0.1:4711", 50, 2)):
        address = find(tmp_path)
    assert not (tmp_path / LEARNER).exists()
    with pytest.raises(DeliveryError, match=f"no learner answers at {address}: .*; it may have ended or been killed"):
        fetch(address)


def test_it_is_shown_once_or_until_the_run_ends(
    tmp_path: Path, monitor: Monitor, capsys: pytest.CaptureFixture[str]
) -> None:
    show(str(tmp_path), None)
    assert "update 2 of 50" in capsys.readouterr().out
    address = find(tmp_path)
    monitor.close()
    with pytest.raises(DeliveryError):
        show(address, 0.01)
