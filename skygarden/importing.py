"""Imports recorded play, with progress shown and what was left out named."""

from pathlib import Path

from rich.console import Console
from rich.progress import track

from envs.errors import DataError
from rollout.bleeding_edge import import_clips, list_clips


def import_bleeding_edge(folder: Path, out: Path) -> None:
    """Make recordings of every good clip of the Bleeding Edge sample.

    Raises: DataError: there are no clips, or not one is good.
    """
    console = Console()
    total = len(list_clips(folder))
    clips = list(track(import_clips(folder, out), "importing clips", total=total))
    bad = [clip for clip in clips if clip.fault]
    for clip in bad:
        console.print(f"left out {clip.clip}: {clip.fault}", style="yellow", soft_wrap=True)
    if len(bad) == total:
        raise DataError(f"none of the {total} clips in {folder} can be used; see above for what is wrong with each")
    console.print(f"{total - len(bad)} of {total} clips are in {out}; now: skygarden pretrain --data {out}")
