"""The record of an episode and how it ended."""

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from envs.backend import JUMPPADS, Start
from envs.errors import DataError
from envs.gamepad import COMPONENTS


class Ending(Enum):
    """How an episode ended; the three stay apart everywhere."""

    TERMINATED = "terminated"  # on a pad
    TRUNCATED = "truncated"  # by the time limit
    INTERRUPTED = "interrupted"  # the game was lost on the way: nothing follows from it


@dataclass(frozen=True, slots=True)
class Episode:
    """What was done from a start to an ending. In the stand-in its frames follow from it.

    Raises: DataError: the parts do not fit together.
    """

    start: Start
    actions: NDArray[np.uint8]  # (T, 16)
    positions: NDArray[np.float32]  # (T + 1, 3) metres, for evaluation only
    ending: Ending
    jumppad: str | None  # the pad that was reached, one of JUMPPADS

    def __post_init__(self) -> None:
        steps = len(self.actions)
        if not steps or self.actions.shape != (steps, len(COMPONENTS)) or self.positions.shape != (steps + 1, 3):
            shapes = f"actions {self.actions.shape} and positions {self.positions.shape}"
            raise DataError(f"an episode of T steps has actions (T, 16) and positions (T + 1, 3), got {shapes}")
        arrived = self.ending == Ending.TERMINATED
        if self.jumppad not in (JUMPPADS if arrived else (None,)):
            raise DataError(f"an episode ends on a pad or otherwise, got {self.jumppad!r} and {self.ending.value}")

    def __len__(self) -> int:
        """Steps, of 0.1 s."""
        return len(self.actions)
