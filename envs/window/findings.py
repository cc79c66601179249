"""What `skygarden doctor` finds out: findings, the pictures that go with them, and what a check is given."""

import importlib.util
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from ctypes import CDLL
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from envs.window.pad import PadConfig
from envs.window.profile import Region
from envs.window.readback import ReadBack, read_back
from envs.window.rig import Rig

State = Literal["good", "warning", "fault", "skipped"]
Pixels = NDArray[np.uint8]

_LIMIT: Final = 60.0  # seconds for a check


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check says."""

    state: State
    said: str
    advice: str = ""  # what to do about it


@dataclass(frozen=True, slots=True)
class Finding:
    """A check that was made, or was not."""

    name: str
    verdict: Verdict
    seconds: float  # that it took

    @property
    def state(self) -> State:
        """How it is."""
        return self.verdict.state

    @property
    def said(self) -> str:
        """What was found."""
        return self.verdict.said

    @property
    def advice(self) -> str:
        """What to do about it; empty where there is nothing to do."""
        return self.verdict.advice


def good(said: str) -> Verdict:
    """All is well."""
    return Verdict("good", said)


def warning(said: str, advice: str) -> Verdict:
    """It works, but not as it should."""
    return Verdict("warning", said, advice)


def fault(said: str, advice: str) -> Verdict:
    """It does not work."""
    return Verdict("fault", said, advice)


def skipped(said: str) -> Verdict:
    """It was not looked at."""
    return Verdict("skipped", said)


def summary(findings: Iterable[Finding]) -> str:
    """How it stands, in a sentence."""
    states = [finding.state for finding in findings]
    faults, warnings, skipped = (states.count(state) for state in ("fault", "warning", "skipped"))
    left = f" {skipped} of {len(states)} checks could not be made." if skipped else ""
    if faults:
        return f"{_count(faults, 'fault')} to mend before an agent can play.{left}"
    if warnings:
        return f"It works, with {_count(warnings, 'warning')}.{left}"
    return f"All is well.{left}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


@dataclass(frozen=True, slots=True)
class LookSeen:
    """How near a part of the window is to a look."""

    name: str
    region: Region
    difference: float  # mean, of a colour value
    tolerance: float


@dataclass(frozen=True, slots=True)
class StepSeen:
    """What a step of the way to an episode's start came to."""

    look: str
    region: Region
    pressed: tuple[str, ...]  # one after another
    nearest: float  # to the look; 1 is at its tolerance
    seconds: float
    window: Pixels | None  # when it was over, (H, W, 3) RGB

    @property
    def reached(self) -> bool:
        """Whether the window came to look as it should."""
        return self.nearest <= 1.0


@dataclass
class Evidence:
    """What was seen; pictures are (H, W, 3) RGB."""

    window: Pixels | None = None  # the client area
    agent: Pixels | None = None  # of the same moment, as the agent gets it
    seen: Region | None = None  # what of the client area that is
    looks: Sequence[LookSeen] = ()
    steps: Sequence[StepSeen] = ()
    at_start: bool = False  # whether the window is one at the start of an episode


def _has(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def _loads(library: str) -> bool:
    try:
        CDLL(library)
    except OSError:
        return False
    return True


@dataclass(frozen=True, kw_only=True)
class System:
    """What the checks ask of the machine."""

    platform: str = sys.platform
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    has: Callable[[str], bool] = _has  # whether a package is installed
    loads: Callable[[str], bool] = _loads  # whether a shared library is
    exists: Callable[[Path], bool] = Path.exists
    writable: Callable[[Path], bool] = lambda path: os.access(path, os.W_OK)
    listen: Callable[[PadConfig, Sequence[str]], ReadBack | str] = read_back


@dataclass
class Patient:
    """What is examined."""

    rig: Rig
    system: System
    evidence: Evidence
    frames: Sequence[Pixels] = ()  # that came at the steps of the clock, as the agent sees them at full size


@dataclass(frozen=True)
class Check:
    """One thing that may be wrong."""

    name: str
    look: Callable[[Patient], Verdict]
    needs: tuple[str, ...] = ()  # checks that must not have failed
    advice: str = ""  # where it fails with an error
    limit: float | None = _LIMIT  # seconds; None: as long as the profile gives the game
