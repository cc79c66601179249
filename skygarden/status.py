"""How a run that is under way is doing, for a person."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.live import Live
from rich.table import Column, Table

from envs.errors import DeliveryError, OptionError

LEARNER: Final = "learner.json"  # in a run's folder while its learner works
_OUTCOMES: Final = ("accepted", "repeated", "refused", "dropped", "recovered")
_COUNTS: Final = ("frames/s", "taken in", "refused", "spooled", "silent")
_PATIENCE: Final = 5.0  # seconds


def find(run: Path) -> str:
    """The address of the status of a run in a folder, or of an alignment's newest.

    Raises: OptionError: nothing there is under way.
    """
    found = [path for path in (run / LEARNER, *run.glob(f"*/{LEARNER}")) if path.exists()]
    if not found:
        raise OptionError(f"no learner is at work in {run}: name the folder of a run that goes on")
    newest = max(found, key=lambda path: path.stat().st_mtime)
    return str(json.loads(newest.read_text(encoding="utf-8"))["status"])


def fetch(address: str) -> dict[str, Any]:
    """The status at an address.

    Raises: DeliveryError: nobody answers.
    """
    try:
        with urllib.request.urlopen(f"{address}/status", timeout=_PATIENCE) as answer:
            return dict(json.load(answer))
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise DeliveryError(f"no learner answers at {address}: {error}; it may have ended or been killed") from error


def page(status: Mapping[str, Any]) -> Group:
    """A status as tables."""
    desk = status["desk"]
    metrics = ", ".join(f"{name.replace('_', ' ')} {value:.3g}" for name, value in status["metrics"].items())
    reports = ", ".join(f"{desk[name]:,} {name}" for name in _OUTCOMES)
    counts = (Column(name, justify="right", no_wrap=True) for name in _COUNTS)
    table = Table(Column("worker", overflow="fold"), "line", "plays", *counts, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for worker in desk["workers"]:
        table.add_row(
            worker["name"],
            "[green]up[/green]" if worker["connected"] else "[red]away[/red]",
            ", ".join(map(str, worker["playing"])) or "-",
            f"{worker['steps_per_second']:.1f}",
            *(f"{worker[name]:,}" for name in ("accepted", "refused", "spooled")),
            f"{worker['silent']:.0f} s",
        )
    return Group(
        f"run {desk['run']}, process {status['pid']}, workers come to {status['address']}",
        f"update {status['update']} of {status['updates']}{': ' + metrics if metrics else ''}",
        f"reports: {reports}; assignments: {desk['playing']} played, {desk['waiting']} waiting",
        table,
    )


def show(run: str, every: float | None) -> None:
    """Print the status of a run, once or again and again until the run ends.

    Args: run: its folder, or the address of its status. every: seconds.
    Raises: OptionError, DeliveryError: there is none.
    """
    address = run if run.startswith("http://") else find(Path(run))
    status = page(fetch(address))
    if every is None:
        Console().print(status)
        return
    with Live(status, refresh_per_second=4) as live:
        while True:
            time.sleep(every)
            try:
                live.update(page(fetch(address)))
            except DeliveryError:
                return
