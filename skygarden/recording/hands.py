"""A person's hands, and what they did in a tenth of a second, as the agent's action."""

import math
from collections.abc import Sequence
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from envs.gamepad import BUTTONS, Gamepad, encode
from envs.window.pad import SticksConfig
from rollout.lerobot.track import Held

_TRIGGER: Final = 0.5  # of its travel, beyond which a trigger counts as pressed
_REST: Final = 0.15  # of an axis's travel, within which nobody touches it


class Hands(Protocol):
    """Somebody who holds something; read many times a second, whichever window has the focus."""

    def read(self) -> Held:
        """What they hold down now."""
        ...

    def close(self) -> None:
        """Look away; may be called twice."""
        ...


class Either:
    """Several things that one may play with: the first that is touched counts, so a gamepad before a keyboard."""

    def __init__(self, several: Sequence[Hands]) -> None:
        self._several = several

    def read(self) -> Held:
        """What is held of the first that is touched."""
        held = [hands.read() for hands in self._several]
        return next((one for one in held if is_touched(one)), Held())

    def close(self) -> None:
        """Look away from all."""
        for hands in self._several:
            hands.close()


def is_touched(held: Held) -> bool:
    """Whether somebody plays with it, rather than that it drifts."""
    return bool(held.pressed) or any(abs(value) > _REST for value in held.axes)


def action_of(tenth: Sequence[Held], sticks: SticksConfig) -> NDArray[np.uint8]:
    """The action that comes nearest to what hands did in a tenth of a second, in which an agent holds one action.

    A button counts as pressed if it was at any time: a tap, shorter than a tenth, is what many moves hang on. A stick's
    value is the mean of what the game made of it: a game adds up what a stick does, so the mean moves as far.
    Args: tenth: at least one look, evenly spread. sticks: what the game does to a stick; see `meant`.
    Returns: (16,) bucket indices.
    """
    pressed = frozenset[str]().union(*(_pressed(held) for held in tenth))
    lx, ly, rx, ry = np.mean([meant(held, sticks) for held in tenth], axis=0).tolist()
    return encode(Gamepad(pressed & frozenset(BUTTONS), lx, ly, rx, ry))


def meant(held: Held, sticks: SticksConfig) -> tuple[float, float, float, float]:
    """LX, LY, RX, RY as the game understands the raw axes: the inverse of `SticksConfig.raw`."""
    lx, ly, rx, ry = held.axes[:4]
    if sticks.invert_y:
        ly, ry = -ly, -ry
    return (*_stick(lx, ly, sticks.left_dead_zone, sticks), *_stick(rx, ry, sticks.right_dead_zone, sticks))


def _pressed(held: Held) -> frozenset[str]:
    triggers = zip(("LT", "RT"), held.axes[4:], strict=True)
    return held.pressed | {name for name, travel in triggers if travel > _TRIGGER}


def _stick(x: float, y: float, zone: float, sticks: SticksConfig) -> tuple[float, float]:
    if sticks.shape == "axial":
        return math.copysign(_length(abs(x), zone, sticks), x), math.copysign(_length(abs(y), zone, sticks), y)
    length = math.hypot(x, y)
    share = _length(length, zone, sticks) / length if length else 0.0
    return max(-1.0, min(1.0, x * share)), max(-1.0, min(1.0, y * share))


def _length(length: float, zone: float, sticks: SticksConfig) -> float:
    if length <= zone:
        return 0.0
    return (length - zone) / (1.0 - zone) if sticks.rescaled else length
