"""Finding a game's window and following it, whatever the system.

A window moves, is resized, is covered, loses the focus and vanishes. So nothing here is remembered but which window it
is: `look` asks the system anew, a few hundred microseconds on X11, and says what is true now. Coordinates are pixels of
the whole screen, always (left, top, width, height), never right or bottom; the client area has no title bar or border.
"""

import os
import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from envs.errors import OptionError, WindowLostError

State = Literal["visible", "covered", "minimised", "gone"]

NAMED: Final = 12  # windows that an error lists


@dataclass(frozen=True, slots=True)
class Rectangle:
    """A part of the screen, in pixels."""

    left: int
    top: int
    width: int
    height: int

    def contains(self, other: "Rectangle") -> bool:
        """Whether every pixel of another is one of this."""
        return self.shared(other) == other.width * other.height

    def shared(self, other: "Rectangle") -> int:
        """How many pixels are in both."""
        width = min(self.left + self.width, other.left + other.width) - max(self.left, other.left)
        height = min(self.top + self.height, other.top + other.height) - max(self.top, other.top)
        return max(width, 0) * max(height, 0)


@dataclass(frozen=True, slots=True)
class Sight:
    """What is true of a window at one moment.

    `covered`: something hides a part of the client area, or it is partly off the screen: its pixels cannot all be read.
    `focused`: what the keyboard sends reaches it.
    """

    client: Rectangle | None  # None where the window is gone
    state: State
    focused: bool


GONE: Final = Sight(None, "gone", False)


class GameWindow(Protocol):
    """One window of the system. Not for several threads at once."""

    @property
    def title(self) -> str:
        """Its title when it was found."""
        ...

    @property
    def id(self) -> int:
        """The system's number for it."""
        ...

    @property
    def pid(self) -> int | None:
        """The process that made it, where the system tells."""
        ...

    def look(self) -> Sight:
        """Ask the system now. A window that is gone stays gone. Raises: WindowLostError: the system is gone."""
        ...

    def focus(self) -> None:
        """Raise it and ask for the input focus; what came of it, and when, `look` tells."""
        ...

    def close(self) -> None:
        """Let go of the connection to the system, never of the game; may be called twice."""
        ...


@dataclass(frozen=True, slots=True)
class Candidate:
    """A window that might be the one."""

    id: int
    title: str
    pid: int | None = None
    processes: tuple[str, ...] = ()  # the names that its process goes by

    def __str__(self) -> str:
        process = f", {self.processes[0]}" if self.processes else ""
        return f"{self.title!r} ({self.id:#x}{process})"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which window is looked for: a title, a process, or both at once."""

    title: str | None  # a regular expression, found anywhere in the title
    process: str | None  # an executable's name; upper and lower case are one

    def __post_init__(self) -> None:
        if self.title is None and self.process is None:
            raise OptionError("a window is found by its title or its process: set window.title or window.process")
        try:
            re.compile(self.title or "")
        except re.error as error:
            raise OptionError(f"window.title must be a regular expression, got {self.title!r}: {error}") from error

    def fits(self, candidate: Candidate) -> bool:
        """Whether a window is one of those looked for."""
        names = [name.casefold() for name in candidate.processes]
        return (self.title is None or re.search(self.title, candidate.title) is not None) and (
            self.process is None or self.process.casefold() in names
        )

    def __str__(self) -> str:
        title = "" if self.title is None else f" titled {self.title!r}"
        return f"window{title}" + ("" if self.process is None else f" of process {self.process!r}")


def choose(candidates: Sequence[Candidate], wanted: Wanted) -> Candidate:
    """The one window that fits.

    Raises: WindowLostError: none fits, or several do.
    """
    fitting = [candidate for candidate in candidates if wanted.fits(candidate)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise WindowLostError(
            f"one {wanted} is needed, {len(fitting)} are there: {_listed(fitting)}; close all but one, or make"
            " window.title or window.process in the profile say which"
        )
    there = f"there are {_listed(candidates)}" if candidates else "there is no window at all"
    raise WindowLostError(
        f"no {wanted}: {there}; start the game, or correct window.title or window.process in the profile"
    )


def _listed(candidates: Sequence[Candidate]) -> str:
    more = f" and {len(candidates) - NAMED} more" if len(candidates) > NAMED else ""
    return ", ".join(str(candidate) for candidate in candidates[:NAMED]) + more


def find_window(title: str | None, process: str | None) -> GameWindow:
    """Find the one window with a title or of a process, on the display that DISPLAY names or on Windows' desktop.

    Args: title: a regular expression, found anywhere in the title. process: an executable's name. Both given: both fit.

    Raises:
        OptionError: neither is given, or the title is not a regular expression.
        MissingPackageError: python-xlib is not installed.
        WindowLostError: no window fits, or several do, or this screen tells no positions (Wayland).
    """
    wanted = Wanted(title, process)
    if platform.system() == "Windows":
        from envs.window import win32

        return win32.find(wanted, win32.libraries())
    if platform.system() == "Linux":
        from envs.window import x11

        return x11.find(wanted, os.environ)
    raise WindowLostError(f"windows are found on Linux (X11) and on Windows, this is {platform.system()}")
