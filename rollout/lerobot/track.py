"""What is kept of a person's play beside the pictures: the pad at each frame, and the action that followed it.

A step is a frame, the pad's state when it was captured, and what the person did in the tenth of a second after it. That
pairing is VPT's: the action is an answer to the frame. The axes are kept as the pad gave them, before dead zones and
buckets, so that another reading of them remains possible.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from envs.errors import DataError
from envs.gamepad import COMPONENTS, check
from envs.window.pad import HELD

FPS: Final = 10
RAW_AXES: Final = ("LX", "LY", "RX", "RY", "LT", "RT")  # sticks in [-1, 1], up is positive; triggers in [0, 1]
PAD: Final = RAW_AXES + tuple(f"{name} held" for name in HELD)  # the components of a pad's state


@dataclass(frozen=True, slots=True)
class Held:
    """What a person's hands do at a moment: raw axes, in the order of RAW_AXES, and buttons of HELD."""

    axes: tuple[float, ...] = (0.0,) * len(RAW_AXES)
    pressed: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        unknown = self.pressed.difference(HELD)
        if unknown or len(self.axes) != len(RAW_AXES) or not all(abs(value) <= 1.0 for value in self.axes):
            raise DataError(f"a pad has {RAW_AXES} in [-1, 1] and buttons of {HELD}, got {self}")

    def vector(self) -> NDArray[np.float32]:
        """(20,) float32 as PAD names it; a button is 0 or 1."""
        return np.array([*self.axes, *(name in self.pressed for name in HELD)], np.float32)


@dataclass(frozen=True, slots=True)
class Step:
    """A frame's moment, the pad then, and the action in the tenth of a second after it."""

    time: float  # s of the monotonic clock, when the capture began
    pad: NDArray[np.float32]  # (20,), see PAD
    action: NDArray[np.uint8]  # (16,) bucket indices


@dataclass(frozen=True, slots=True)
class Track:
    """The steps of an episode, in order.

    Raises: DataError: the parts do not fit together. ActionError: an action is not one.
    """

    times: NDArray[np.float64]  # (T,) s of the monotonic clock
    pads: NDArray[np.float32]  # (T, 20)
    actions: NDArray[np.uint8]  # (T, 16)

    def __post_init__(self) -> None:
        steps = len(self.times)
        if self.times.shape != (steps,) or self.pads.shape != (steps, len(PAD)):
            raise DataError(f"{steps} steps need pads of {(steps, len(PAD))}, got {self.pads.shape}")
        check(self.actions, steps)

    def __len__(self) -> int:
        return len(self.times)

    @classmethod
    def of(cls, steps: Sequence[Step]) -> Self:
        """The track of steps; may be empty."""
        return cls(
            np.array([step.time for step in steps], np.float64),
            np.array([step.pad for step in steps], np.float32).reshape(-1, len(PAD)),
            np.array([step.action for step in steps], np.uint8).reshape(-1, len(COMPONENTS)),
        )

    def first(self, steps: int) -> Self:
        """The first steps of it."""
        return type(self)(self.times[:steps], self.pads[:steps], self.actions[:steps])
