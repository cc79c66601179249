"""The command `skygarden`: each thing a user does is one subcommand."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from envs.errors import SkygardenError


@dataclass(frozen=True, kw_only=True)
class Demo:
    """Let scripted players play; write a video, a contact sheet, a map and a page that shows them."""

    out: Path = Path("demo")  # folder to write to
    players: int = 200
    seed: int = 0

    def run(self) -> None:
        """Do it."""
        from skygarden.demo import demo

        demo(self.out, self.players, self.seed)


@dataclass(frozen=True, kw_only=True)
class Gameplay:
    """Record the stand-in's humans at play, as replays, on all processors."""

    hours: float  # of gameplay that the folder shall hold; what is there already is kept
    out: Path  # folder of replays
    seed: int = 0
    processes: int | None = None  # default: one for each processor

    def run(self) -> None:
        """Do it."""
        from envs.standin.gameplay import record_gameplay

        columns = (TextColumn("recording matches"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, TimeRemainingColumn()) as progress:
            task = progress.add_task("")
            for done, total in record_gameplay(self.out, self.hours, self.seed, self.processes):
                progress.update(task, completed=done, total=total)
        size = sum(p.stat().st_size for p in self.out.glob("match-*.npz"))
        Console().print(f"{self.hours:g} hours in {self.out}: {size / 1e3:.0f} kB")


@dataclass(frozen=True, kw_only=True)
class Watch:
    """Show a replay in a window, or write its video."""

    replay: Annotated[Path, tyro.conf.Positional]
    out: Path | None = None  # a video to write (.mp4); default: a window
    start: int = 0  # first step
    length: int | None = None  # steps; default: to the end

    def run(self) -> None:
        """Do it."""
        from skygarden.watch import watch_replay

        watch_replay(self.replay, self.out, self.start, self.length)


@dataclass(frozen=True, kw_only=True)
class Play:
    """Play yourself, with the keyboard or a gamepad."""

    character: str = "ninja"
    skin: int = 0
    record: Path | None = None  # keep the play as this replay (.npz)
    size: int = 768  # pixels, of the window's sides

    def run(self) -> None:
        """Do it."""
        from skygarden.play import play

        play(self.character, self.skin, self.record, self.size)


COMMANDS = {"demo": Demo, "gameplay": Gameplay, "watch": Watch, "play": Play}


def main() -> None:
    """Run the command line; errors that a user can mend are one line and exit status 2."""
    command = tyro.extras.subcommand_cli_from_dict(COMMANDS, prog="skygarden", description=__doc__)
    try:
        command.run()
    except SkygardenError as error:
        print(f"skygarden: {error}", file=sys.stderr)
        raise SystemExit(2) from error
