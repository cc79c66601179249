"""What stands behind an environment: a place where a player can be put, moved and seen."""

from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from envs.errors import OptionError

JUMPPADS: Final = ("left", "middle", "right")
SPAWNS: Final = 4
SIDE: Final = 128  # pixels, of an observation

Frame = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Start:
    """How an episode begins: the spawn's index, the character's name and the index of its skin."""

    spawn: int | None  # None where a real game chose it and did not tell
    character: str
    skin: int

    @property
    def known_spawn(self) -> int:
        """The spawn. Raises: OptionError: nobody knows it."""
        if self.spawn is None:
            raise OptionError("a start in the stand-in has a spawn, from 0 on, got None")
        return self.spawn


@dataclass(frozen=True, slots=True)
class View:
    """What comes back from a backend after a reset or a step."""

    frame: Frame  # (128, 128, 3) uint8
    jumppad: str | None = None  # the pad that was reached, one of JUMPPADS; not where it is interrupted
    interrupted: str | None = None  # why the episode cannot go on, where that is so
    info: dict[str, Any] = field(default_factory=dict[str, Any])  # privileged, for evaluation only


class Backend(Protocol):
    """A game, real or not. The environment validates what it passes on and counts the steps."""

    @property
    def characters(self) -> tuple[str, ...]:
        """The names of the playable characters."""
        ...

    @property
    def skins(self) -> int:
        """How many skins each character has."""
        ...

    def reset(self, start: Start) -> View:
        """Begin an episode."""
        ...

    def step(self, action: NDArray[np.uint8]) -> View:
        """Hold an action, (16,) uint8, for a tenth of a second."""
        ...

    def picture(self, width: int, height: int) -> Frame:
        """The present view at any size, (height, width, 3) uint8."""
        ...

    def close(self) -> None:
        """Let go of everything; may be called twice."""
        ...
