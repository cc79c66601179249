"""What the hands hold down in a real game, what a game's dead zones make of it, and who passes it on.

The game hears a virtual pad or a keyboard; both take the same state. Drivers know nothing of time limits or people: the
process that owns them does, see envs/window/watchdog.py.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol, Self, get_args

import numpy as np
from numpy.typing import NDArray

from envs.errors import ActionError, OptionError
from envs.gamepad import AXES, BUTTONS, decode

HELD: Final = (*BUTTONS, "START", "BACK")  # START and BACK for reset macros; GUIDE is never pressed
STICK_KEYS: Final = tuple(f"{axis}{sign}" for axis in AXES for sign in "-+")
BEYOND: Final = 0.01  # how far outside a dead zone a stick is put that would lie inside

DriverName = Literal["gamepad", "keyboard", "none"]
TouchKind = Literal["keys", "pointer", "pads"]


@dataclass(frozen=True, slots=True)
class PadState:
    """What the hands hold down: buttons of `HELD`, and the sticks in [-1, 1], up and right positive.

    Raises: ActionError: a button is unknown or GUIDE, or a stick is outside [-1, 1] or not a number.
    """

    pressed: frozenset[str] = frozenset()
    lx: float = 0.0
    ly: float = 0.0
    rx: float = 0.0
    ry: float = 0.0

    def __post_init__(self) -> None:
        if "GUIDE" in self.pressed:
            raise ActionError("GUIDE is never pressed: it leaves the game")
        unknown = self.pressed.difference(HELD)
        if unknown:
            raise ActionError(f"unknown buttons {sorted(unknown)}; the buttons are {', '.join(HELD)}")
        if not all(abs(value) <= 1.0 for value in self.sticks):  # also false for NaN
            raise ActionError(f"sticks must lie in [-1, 1], got {dict(zip(AXES, self.sticks, strict=True))}")

    @classmethod
    def of(cls, action: NDArray[np.integer[Any]]) -> Self:
        """The state that an action stands for.

        Args: action: (16,) bucket indices, as in envs.gamepad.
        Raises: ActionError: it is no action.
        """
        pad = decode(action)
        return cls(pad.pressed, pad.lx, pad.ly, pad.rx, pad.ry)

    @property
    def sticks(self) -> tuple[float, float, float, float]:
        """LX, LY, RX, RY."""
        return self.lx, self.ly, self.rx, self.ry


NEUTRAL: Final = PadState()


@dataclass(frozen=True, kw_only=True, slots=True)
class SticksConfig:
    """What the game does to a stick before it uses it; undone here, so that it gets what was meant.

    Raises: OptionError: a dead zone outside 0 to 0.9, or an unknown shape.
    """

    left_dead_zone: float = 0.0  # of a stick's full travel; XInput's own figures are 0.24 and, on the right, 0.265
    right_dead_zone: float = 0.0
    shape: Literal["axial", "radial"] = "axial"  # each axis by itself, or the stick's distance from its centre
    rescaled: bool = True  # whether the game's values begin at 0 where the dead zone ends
    invert_y: bool = False  # for games that take down as positive

    def __post_init__(self) -> None:
        for side in ("left", "right"):
            zone: float = getattr(self, f"{side}_dead_zone")
            if not 0.0 <= zone <= 0.9:
                raise OptionError(f"{side}_dead_zone is a share of a stick's travel, 0 to 0.9; got {zone}")
        if self.shape not in ("axial", "radial"):
            raise OptionError(f"a dead zone's shape is axial or radial, got {self.shape!r}")

    def raw(self, state: PadState) -> tuple[float, float, float, float]:
        """LX, LY, RX, RY as the pad must send them for the game to make `state` of them; each in [-1, 1]."""
        lx, ly = self._beyond(state.lx, state.ly, self.left_dead_zone)
        rx, ry = self._beyond(state.rx, state.ry, self.right_dead_zone)
        return (lx, -ly, rx, -ry) if self.invert_y else (lx, ly, rx, ry)

    def _beyond(self, x: float, y: float, zone: float) -> tuple[float, float]:
        if self.shape == "axial":
            return math.copysign(self._length(abs(x), zone), x), math.copysign(self._length(abs(y), zone), y)
        length = math.hypot(x, y)
        grown = self._length(length, zone) / length if length else 1.0
        return max(-1.0, min(1.0, x * grown)), max(-1.0, min(1.0, y * grown))

    def _length(self, length: float, zone: float) -> float:
        if length == 0.0:
            return 0.0
        if self.rescaled:
            return zone + (1.0 - zone) * length
        return max(length, zone + BEYOND) if zone else length


@dataclass(frozen=True, kw_only=True, slots=True)
class KeysConfig:
    """Which keys stand for the pad, and how a half-pushed stick is made of a key.

    Raises: OptionError: an unknown name, or a number out of range.
    """

    names: Mapping[str, str] = field(default_factory=dict[str, str])  # "A" or "LX-" -> X's name of a key, as "space"
    pulse: float = 1 / 60  # s; a key is held down for a multiple of it: one frame of the game
    left_round: bool = False  # whether two keys of the left stick at once are no faster than one, as in most games
    left_response: float = 1.0  # a stick pushed by v is a key held for v to this power of the time
    right_response: float = 1.0  # 1.5 suits a game that turns its camera by v to the power of 1.5

    def __post_init__(self) -> None:
        known = (*HELD, *STICK_KEYS)
        unknown = sorted(set(self.names).difference(known))
        if unknown:
            raise OptionError(f"no key can stand for {unknown}; name keys for {', '.join(known)}")
        if not 0.001 <= self.pulse <= 0.1:
            raise OptionError(f"pulse is one frame of the game, 0.001 to 0.1 s; got {self.pulse}")
        for side in ("left", "right"):
            response: float = getattr(self, f"{side}_response")
            if not 0.1 <= response <= 10.0:
                raise OptionError(f"{side}_response is a power from 0.1 to 10, got {response}")


@dataclass(frozen=True, kw_only=True, slots=True)
class PadConfig:
    """The pad of a game's profile.

    Raises: OptionError: an unknown driver, button or kind of touch, or a number out of range.
    """

    driver: DriverName = "gamepad"
    lease: float = 0.3  # s without a word from the environment after which everything is let go
    poll: float = 0.01  # s between two looks at the focus and for a person's touch
    touch: tuple[TouchKind, ...] = ("keys", "pointer", "pads")  # what a person may touch; a game may move the pointer
    trigger: float = 1.0  # of a trigger's travel, where LT or RT is pressed
    buttons: Mapping[str, str] = field(default_factory=dict[str, str])  # our name -> the pad's, where they differ
    sticks: SticksConfig = field(default_factory=SticksConfig)
    keys: KeysConfig = field(default_factory=KeysConfig)

    def __post_init__(self) -> None:
        if self.driver not in get_args(DriverName):
            raise OptionError(f"pad.driver is one of {', '.join(get_args(DriverName))}, got {self.driver!r}")
        for name, low, high in (("lease", 0.05, 10.0), ("poll", 0.001, 0.1), ("trigger", 0.1, 1.0)):
            value: float = getattr(self, name)
            if not low <= value <= high:
                raise OptionError(f"pad.{name} must lie in {low} to {high}, got {value}")
        strangers = sorted(set(self.touch).difference(get_args(TouchKind)))
        if strangers:
            raise OptionError(f"pad.touch knows {', '.join(get_args(TouchKind))}; got {strangers}")
        wrong = sorted({*self.buttons, *self.buttons.values()}.difference((*HELD, "LS", "RS")) - {"LS", "RS"})
        if wrong or not set(self.buttons).issubset(HELD):
            raise OptionError(f"pad.buttons maps {', '.join(HELD)} to these, LS or RS; got {dict(self.buttons)}")


class PadDriver(Protocol):
    """What makes a game hear a pad."""

    @property
    def devices(self) -> tuple[str, ...]:
        """Input devices of the system that are this pad and no person's, as "/dev/input/event5"."""
        ...

    @property
    def keycodes(self) -> frozenset[int]:
        """Keys of the X server that this driver holds down, and no person."""
        ...

    def apply(self, state: PadState) -> None:
        """Hold down exactly this."""
        ...

    def tick(self) -> float | None:
        """Do what is due by now; returns the seconds until it should be called again, None for not before `apply`."""
        ...

    def close(self) -> None:
        """Leave everything released; may be called twice."""
        ...


class NullPad:
    """Presses nothing and remembers: for dry runs."""

    def __init__(self) -> None:
        self.state = NEUTRAL

    @property
    def devices(self) -> tuple[str, ...]:
        """None."""
        return ()

    @property
    def keycodes(self) -> frozenset[int]:
        """None."""
        return frozenset()

    def apply(self, state: PadState) -> None:
        """Remember it."""
        self.state = state

    def tick(self) -> float | None:
        """Nothing is ever due."""
        return None

    def close(self) -> None:
        """Remember that nothing is held."""
        self.state = NEUTRAL


def open_driver(config: PadConfig) -> PadDriver:
    """The driver that the settings name, with everything released.

    Raises: MissingPackageError: what it needs is not installed. PadLostError: this system does not let it.
    """
    if config.driver == "gamepad":
        from envs.window.pad_gamepad import GamepadPad

        return GamepadPad(config)
    if config.driver == "keyboard":
        from envs.window.pad_keyboard import KeyboardPad

        return KeyboardPad(config.keys)
    return NullPad()
