"""`skygarden record`: a person's play in any window becomes episodes of a dataset, checked, with their faults named."""

import signal
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Final, Literal

from rich.console import Console
from rich.table import Table

from envs.errors import CaptureError, OptionError, WindowLostError
from envs.window.clock import Clock
from envs.window.locate import GameWindow, Rectangle
from envs.window.looks import seen_part
from envs.window.pad import SticksConfig
from envs.window.profile import load_profile
from rollout.lerobot.dataset import Dataset, is_dataset
from rollout.lerobot.faults import CheckConfig, check_episode
from rollout.lerobot.unfinished import finish
from rollout.lock import claim
from skygarden.recording.hands import Either, Hands
from skygarden.recording.keyboard import KEYS, keyboard
from skygarden.recording.loop import PERIOD, Ended, record_play
from skygarden.recording.view import Eyes, WindowView
from skygarden.recording.writer import Writer, WriterConfig

HandsName = Literal["any", "gamepad", "keyboard"]
_SMALLEST: Final = 128  # pixels of a frame's height: what an agent sees


@dataclass(frozen=True, kw_only=True)
class Game:
    """What must be known of a game to record somebody who plays it."""

    title: str | None = None  # a regular expression
    process: str | None = None  # the executable's name
    part: Callable[[Rectangle], Rectangle] = lambda client: client  # of the client area: what is recorded
    grabber: str = "mss"  # that reads the screen
    keys: Mapping[str, str] = field(default_factory=lambda: KEYS)  # what stands for the gamepad, by X's names
    sticks: SticksConfig = field(default_factory=SticksConfig)  # what the game makes of the raw sticks


@dataclass(frozen=True, kw_only=True)
class RecordConfig:
    """How to record.

    Raises: OptionError: a number is out of range.
    """

    out: Path  # folder of the dataset; episodes are added to what is there
    task: str  # what the person was asked to do
    hands: HandsName = "any"  # what is looked at
    seconds: float | None = None  # None: until it is stopped
    height: int = 480  # pixels of the frames, of a new dataset; a smaller window is not enlarged
    longest: float = 300.0  # s of an episode; a longer stretch of play becomes several

    def __post_init__(self) -> None:
        if self.height < _SMALLEST or self.longest < 10.0 or (self.seconds is not None and self.seconds <= 0.0):
            raise OptionError(f"a height of {_SMALLEST} or more and episodes of 10 s or more are needed, got {self}")


def game_of(profile: str | None, title: str | None, process: str | None) -> Game:
    """The game of a profile, or the one whose window has a title or is of a process.

    What is recorded is what an agent would see with that profile; without one, the whole window. A profile's own
    command is left alone: who plays starts the game.
    Raises: OptionError: nothing is said, or too much. ProfileError: as `load_profile`.
    """
    said = [f"--{name}" for name, value in (("title", title), ("process", process)) if value is not None]
    if profile is None:
        if not said:
            raise OptionError("say which window is recorded: --profile, --title or --process")
        return Game(title=title, process=process)
    if said:
        raise OptionError(f"--profile {profile} says which window is recorded; leave out {' and '.join(said)}")
    facts = load_profile(profile)
    return Game(
        title=facts.window.title,
        process=facts.window.process,
        part=lambda client: seen_part(client, facts.capture),
        grabber=facts.capture.grabber,
        keys=facts.pad.keys.names or KEYS,
        sticks=facts.pad.sticks,
    )


def record(game: Game, config: RecordConfig) -> None:
    """Record until Ctrl-C, START and BACK held for a second, the time is over or the window is gone; then check.

    Raises: WindowLostError: there is no such window. DataError: the dataset is another's, or damaged.
    """
    from envs.window.capture import Capture, grabber_of
    from envs.window.locate import find_window

    console = Console()
    with ExitStack() as stack:
        stack.enter_context(claim(config.out, "recorder"))
        _finish(config.out, console)
        window = find_window(game.title, game.process)
        stack.callback(window.close)
        eyes = Capture(grabber_of(game.grabber))
        stack.callback(eyes.close)
        hands = _hands(config.hands, game.keys)
        stack.callback(hands.close)
        console.print(f"found {window.title!r}; end with Ctrl-C, or hold START and BACK for a second", soft_wrap=True)
        ended = _record(game, config, window, eyes, hands, console)
        console.print(f"ended: {ended.reason}", soft_wrap=True)
        _finish(config.out, console)
    if is_dataset(config.out):
        check(config.out)
        console.print(f"now: skygarden pretrain --data {config.out}", soft_wrap=True)


def recover(out: Path) -> None:
    """Finish what a recorder that died has left. Raises: DataError: one is at work there."""
    with claim(out, "recorder"):
        _finish(out, Console())


def check(out: Path, config: CheckConfig | None = None) -> bool:
    """Show what is wrong with the episodes of a dataset. Returns: whether all are good."""
    config = config or CheckConfig()
    console = Console()
    dataset = Dataset(out)
    table = Table("episode", "steps", "task", "faults")
    good = True
    for entry in dataset.entries():
        faults = check_episode(dataset, entry, config)
        good &= not faults
        table.add_row(entry.name, str(entry.length), entry.task, "\n".join(faults) or "none", style=_style(faults))
    console.print(table)
    return good


def frame_size(out: Path, recorded: Rectangle, height: int) -> tuple[int, int]:
    """Height and width of a dataset's frames, both even: its own, or for a new one those of the window's shape."""
    if is_dataset(out):
        return Dataset(out).size
    tall = min(height, recorded.height)
    return _even(tall), _even(tall * recorded.width / recorded.height)


def _record(game: Game, config: RecordConfig, window: GameWindow, eyes: Eyes, hands: Hands, console: Console) -> Ended:
    client = window.look().client
    if client is None:
        raise WindowLostError(f"the window {window.title!r} was closed; start the game again")
    size = frame_size(config.out, game.part(client), config.height)
    with _interrupts() as asked, Writer(config.out, _writing(config, size)) as writer:

        def stopped(seconds: float) -> str | None:
            if writer.failure is not None:
                return f"it cannot be written: {writer.failure}"
            if config.seconds is not None and seconds >= config.seconds:
                return f"{config.seconds:g} s are over"
            return "asked to" if asked.is_set() else None

        view = WindowView(window, eyes, game.part)
        try:
            ended = record_play(view, hands, Clock(PERIOD), writer, game.sticks, stopped, console.print)
        except (WindowLostError, CaptureError) as error:  # what was recorded is kept
            ended = Ended(str(error), 0)
    if writer.dropped or ended.missed:
        lost = f"{writer.dropped} frames were dropped as they could not be written in time, {ended.missed} were missed"
        console.print(lost, style="yellow", soft_wrap=True)
    return ended


def _writing(config: RecordConfig, size: tuple[int, int]) -> WriterConfig:
    return WriterConfig(task=config.task, size=size, longest=config.longest)


def _finish(out: Path, console: Console) -> None:
    for name, steps in finish(out):
        if isinstance(steps, int):
            console.print(f"{name}: {steps} steps", soft_wrap=True)
        else:
            console.print(f"{name}: {steps}", style="yellow", soft_wrap=True)


def _hands(name: HandsName, keys: Mapping[str, str]) -> Hands:
    if name == "keyboard":
        return keyboard(keys)
    from skygarden.recording.controller import ControllerHands

    return ControllerHands() if name == "gamepad" else Either((ControllerHands(), keyboard(keys)))


@contextmanager
def _interrupts() -> Generator[threading.Event, None, None]:
    """Take Ctrl-C and a polite end as a wish, so that the last tenth is whole; afterwards they are what they were."""
    asked = threading.Event()

    def ask(_: int, __: FrameType | None) -> None:
        asked.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _even(pixels: float) -> int:
    return max(2, round(pixels / 2) * 2)


def _style(faults: list[str]) -> str:
    return "yellow" if faults else ""
