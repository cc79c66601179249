"""Recording gameplay, with progress shown."""

from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from envs.standin.gameplay import record_gameplay


def record(folder: Path, hours: float, seed: int, character: str | None = None, processes: int | None = None) -> None:
    """Record until a folder holds so many hours; see `record_gameplay`."""
    columns = (TextColumn("recording matches"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn()) as progress:
        task = progress.add_task("")
        for done, total in record_gameplay(folder, hours, seed, character=character, processes=processes):
            progress.update(task, completed=done, total=total)
