"""The record of an episode and how it ended."""

from dataclasses import dataclass
from enum import Enum
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from envs.backend import JUMPPADS, Start
from envs.errors import DataError
from envs.gamepad import COMPONENTS

Reads = Literal["embeddings", "features"]  # which of an episode's arrays a reward model reads


class Ending(Enum):
    """How an episode ended; the three stay apart everywhere."""

    TERMINATED = "terminated"  # on a pad
    TRUNCATED = "truncated"  # by the time limit
    INTERRUPTED = "interrupted"  # the game was lost on the way: nothing follows from it


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """What was done from a start to an ending. In the stand-in its frames follow from the start and the actions.

    Raises: DataError: the parts do not fit together.
    """

    seed: int  # of the reset
    start: Start
    actions: NDArray[np.uint8]  # (T, 16)
    log_probs: NDArray[np.float32]  # (T,) nats, of the actions when they were taken
    embeddings: NDArray[np.float16]  # as features, what the agent's transformer read of each frame; or (0, width)
    features: NDArray[np.float16]  # (T or the time limit, width), what the agent's head read; width 0 without one
    positions: NDArray[np.float32]  # (T + 1, 3) metres, for evaluation only; (0, 3) where a real game does not tell
    ending: Ending
    jumppad: str | None  # the pad that was reached, one of JUMPPADS
    interrupted: str | None = None  # why, where it was

    def __post_init__(self) -> None:
        steps = len(self.actions)
        fits = {
            "actions": steps > 0 and self.actions.shape == (steps, len(COMPONENTS)),
            "log_probs": self.log_probs.shape == (steps,),
            "features": self.features.ndim == 2 and len(self.features) >= steps,
            "embeddings": self.embeddings.shape in (self.features.shape, (0, *self.features.shape[1:])),
            "positions": self.positions.shape in ((steps + 1, 3), (0, 3)),
        }
        if not all(fits.values()):
            wrong = ", ".join(f"{part} {getattr(self, part).shape}" for part, fit in fits.items() if not fit)
            raise DataError(f"these parts do not make an episode of {steps} steps: {wrong}")
        arrived = self.ending == Ending.TERMINATED
        if self.jumppad not in (JUMPPADS if arrived else (None,)):
            raise DataError(f"an episode ends on a pad or otherwise, got {self.jumppad!r} and {self.ending.value}")
        if (self.interrupted is not None) != (self.ending == Ending.INTERRUPTED):
            raise DataError(f"an interrupted episode has a reason, and no other, got {self.interrupted!r}")

    def __len__(self) -> int:
        """Steps, of 0.1 s."""
        return len(self.actions)
