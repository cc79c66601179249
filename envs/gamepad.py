"""The one action vocabulary: a gamepad of 12 buttons and two sticks.

An action is 16 bucket indices: twelve buttons (0 up, 1 pressed), then the four stick axes LX, LY, RX, RY in 11 buckets
each. Bucket 5 is exactly 0, bucket k is (k - 5) / 5, and up is positive Y. START, BACK and GUIDE are not actions.
Source: paper, section 2.2.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from gymnasium.spaces import MultiDiscrete
from numpy.typing import NDArray

from envs.errors import ActionError

BUTTONS: Final = ("A", "B", "X", "Y", "LB", "RB", "LT", "RT", "UP", "DOWN", "LEFT", "RIGHT")
AXES: Final = ("LX", "LY", "RX", "RY")
COMPONENTS: Final = BUTTONS + AXES
BUCKETS: Final = 11  # of one axis
CENTRE: Final = 5  # the bucket of an axis at rest
SIZES: Final = (2,) * len(BUTTONS) + (BUCKETS,) * len(AXES)

_SIZES = np.array(SIZES)

NOOP: Final[NDArray[np.uint8]] = np.array([0] * len(BUTTONS) + [CENTRE] * len(AXES), np.uint8)
NOOP.setflags(write=False)


@dataclass(frozen=True, slots=True)
class Gamepad:
    """What a player's hands do: the pressed buttons, and the four axes in [-1, 1]."""

    pressed: frozenset[str] = frozenset()
    lx: float = 0.0
    ly: float = 0.0
    rx: float = 0.0
    ry: float = 0.0


def space() -> MultiDiscrete:
    """The action space: MultiDiscrete([2] * 12 + [11] * 4)."""
    return MultiDiscrete(_SIZES)


def encode(pad: Gamepad) -> NDArray[np.uint8]:
    """The action nearest to a gamepad's state.

    Returns: (16,) uint8.
    Raises: ActionError: a button is unknown, or an axis is outside [-1, 1] or not a number.
    """
    unknown = pad.pressed.difference(BUTTONS)
    if unknown:
        raise ActionError(f"unknown buttons {sorted(unknown)}; the buttons are {', '.join(BUTTONS)}")
    axes = np.array([pad.lx, pad.ly, pad.rx, pad.ry])
    if not np.all(np.abs(axes) <= 1.0):  # also false for NaN
        raise ActionError(f"stick axes must lie in [-1, 1], got {dict(zip(AXES, axes.tolist(), strict=True))}")
    action = np.zeros(len(COMPONENTS), np.uint8)
    action[: len(BUTTONS)] = [name in pad.pressed for name in BUTTONS]
    action[len(BUTTONS) :] = bucket(axes)
    return action


def decode(action: NDArray[np.integer[Any]]) -> Gamepad:
    """The gamepad state that an action stands for; the inverse of `encode`.

    Args: action: (16,) integers.
    Raises: ActionError: as `check`.
    """
    check(action)
    pressed = frozenset(name for name, down in zip(BUTTONS, action, strict=False) if down)
    lx, ly, rx, ry = axis_value(action[len(BUTTONS) :]).tolist()
    return Gamepad(pressed, lx, ly, rx, ry)


def bucket(value: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """The buckets nearest to axis values in [-1, 1]; any shape, uint8."""
    return np.rint(value * CENTRE + CENTRE).astype(np.uint8)


def axis_value(buckets: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """The axis values of buckets, (k - 5) / 5; any shape, float64."""
    return (np.asarray(buckets, np.float64) - CENTRE) / CENTRE


def check(actions: object, count: int | None = None) -> NDArray[np.uint8]:
    """Actions as the environments take them, or an error that says what is wrong with them.

    Args: actions: (16,) integers, or (count, 16) where `count` is given.
    Returns: the same as a contiguous uint8 array that may be written: kernels are compiled for those alone.
    Raises: ActionError: wrong shape, not integers, or an index outside its component.
    """
    try:
        array = np.asarray(actions)
    except ValueError as error:
        raise ActionError(f"an action is an array of bucket indices, got one with uneven rows ({error})") from error
    shape = (len(COMPONENTS),) if count is None else (count, len(COMPONENTS))
    if array.dtype.kind not in "iu":
        raise ActionError(f"an action holds integer bucket indices, got {array.dtype}; see envs.gamepad.encode")
    if array.shape != shape:
        raise ActionError(f"expected actions of shape {shape}, got {array.shape}: {', '.join(COMPONENTS)}")
    wrong = (array < 0) | (array >= _SIZES)
    if wrong.any():
        where: tuple[int, ...] = tuple(np.argwhere(wrong)[0].tolist())
        name, size = COMPONENTS[where[-1]], SIZES[where[-1]]
        row = f" of environment {where[0]}" if len(where) > 1 else ""
        raise ActionError(f"component {name}{row} takes 0 to {size - 1}, got {array[where]}")
    return np.require(array, np.uint8, ("C", "W"))
