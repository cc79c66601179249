"""A keyboard that plays: XTEST on X11, for games that take no gamepad.

A key is down or up, so a half-pushed stick becomes a key that is down for a share of the time, in pulses of whole game
frames. What rounding gets wrong is carried over: over some steps the share is exact, whatever the clock does.
"""

import math
import os
import time
from collections.abc import Callable
from typing import Any, Final

from envs.errors import MissingPackageError, OptionError, PadLostError
from envs.gamepad import AXES
from envs.window.pad import NEUTRAL, KeysConfig, PadState

PERIOD: Final = 0.1  # s, in which the pulses of a key have their share
DIAGONAL: Final = math.sqrt(0.5)  # of the speed, along each of two keys that are held at once
EARLY: Final = 1e-4  # s; a sleeper woken this early is on time


class Pulse:
    """One axis of a stick as two keys: when which of them is down.

    Args: slot: s; a key goes down for a multiple of it. now: s, the clock at the start.
    """

    def __init__(self, slot: float, now: float) -> None:
        self._slot = slot
        self._share = 0.0  # of the time, signed as the axis
        self._owed = 0.0  # s, signed: how much longer than it was the key should have been down up to now
        self._at = self._until = self._next = now  # the last account; the pulse's end; the next period
        self.down = 0  # -1 or 1: that key is down

    def push(self, share: float, now: float) -> None:
        """From now on hold a key for a share of the time, -1 to 1."""
        self._account(now)
        if share != self._share:
            self._share = share
            self._begin(now)

    def advance(self, now: float) -> None:
        """Bring `down` up to date."""
        self._account(now)
        if now >= self._next - EARLY:
            self._begin(now)
        elif now >= self._until - EARLY:
            self.down = 0

    def due(self) -> float | None:
        """When to call `advance` next; None: not before the stick is moved."""
        if abs(self._share) in (0.0, 1.0):
            return None
        return self._until if self.down and self._until < self._next else self._next

    def _account(self, now: float) -> None:
        self._owed += (self._share - self.down) * (now - self._at)
        self._at = now

    def _begin(self, now: float) -> None:
        sign = (self._share > 0) - (self._share < 0)
        most = round(PERIOD / self._slot)
        if abs(self._share) in (0.0, 1.0):
            slots = most if sign else 0
        else:
            slots = max(0, min(most, round((self._share * PERIOD + self._owed) * sign / self._slot)))
        self.down = sign if slots else 0
        self._next = now + PERIOD
        self._until = self._next if slots == most else now + slots * self._slot


class StickKeys:
    """Both sticks as the keys of their four axes. Args: now: s, the clock at the start."""

    def __init__(self, config: KeysConfig, now: float) -> None:
        self._config = config
        self._pulses = {axis: Pulse(config.pulse, now) for axis in AXES}

    @property
    def down(self) -> dict[str, int]:
        """For each of AXES, -1 or 1: the key that is down; 0: none."""
        return {axis: pulse.down for axis, pulse in self._pulses.items()}

    def push(self, state: PadState, now: float) -> None:
        """From now on stand for the sticks of a state."""
        config = self._config
        responses = (config.left_response, config.left_response, config.right_response, config.right_response)
        left = shares_of_keys(state.lx, state.ly) if config.left_round else (state.lx, state.ly)
        for pulse, value, response in zip(self._pulses.values(), (*left, state.rx, state.ry), responses, strict=True):
            pulse.push(math.copysign(abs(value) ** response, value), now)

    def advance(self, now: float) -> None:
        """Bring `down` up to date."""
        for pulse in self._pulses.values():
            pulse.advance(now)

    def due(self) -> float | None:
        """When to call `advance` next; None: not before a stick is moved."""
        return min((due for pulse in self._pulses.values() if (due := pulse.due()) is not None), default=None)


class KeyboardPad:
    """Keys in place of a pad, pressed for whatever window has the focus. A button without a key presses nothing.

    Args: display: X's name of it, None for $DISPLAY.
    Raises: MissingPackageError: python-xlib is not installed. PadLostError: no X server, or one without XTEST.
        OptionError: a key's name is unknown, or no key of this keyboard gives it without Shift.
    """

    def __init__(
        self, config: KeysConfig, display: str | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        if not config.names:
            raise OptionError("pad.keys is empty: name a key for each button and direction that the game should hear")
        self._clock = clock
        self._x: Any = open_display(display)
        try:
            if not self._x.has_extension("XTEST"):
                raise PadLostError("this X server has no XTEST extension; start it without `-extension XTEST`")
            self._codes = {name: self._keycode(name, key) for name, key in config.names.items()}
        except BaseException:
            self._x.close()
            raise
        self._sticks = StickKeys(config, clock())
        self._state = NEUTRAL
        # A predecessor that was killed has left its keys pressed: X remembers them, not who did it.
        self._down: frozenset[int] = keys_down(self._x) & set(self._codes.values())
        self.apply(NEUTRAL)

    @property
    def devices(self) -> tuple[str, ...]:
        """None: the server presses the keys."""
        return ()

    @property
    def keycodes(self) -> frozenset[int]:
        """The keys that are held down by us, counting one whose press or release is under way."""
        return self._down

    def apply(self, state: PadState) -> None:
        """Press and release what changed; pulses go on."""
        self._state = state
        self._sticks.push(state, self._clock())
        self._press()

    def tick(self) -> float | None:
        """Begin and end the pulses that are due."""
        self._sticks.advance(self._clock())
        self._press()
        due = self._sticks.due()
        return None if due is None else max(0.0, due - self._clock())

    def close(self) -> None:
        """Release every key that is down and leave the server; may be called twice."""
        if self._x is not None:
            try:
                self.apply(NEUTRAL)
            finally:
                self._x.close()
                self._x = None

    def _press(self) -> None:
        held = {*self._state.pressed}
        held.update(f"{axis}{'+' if down > 0 else '-'}" for axis, down in self._sticks.down.items() if down)
        wanted = frozenset(code for name in held if (code := self._codes.get(name)) is not None)
        if wanted == self._down:
            return
        changes = [(3, code) for code in self._down - wanted] + [(2, code) for code in wanted - self._down]
        self._down |= wanted  # before the server knows: whoever looks for foreign keys must not find ours
        for event, code in changes:  # X.KeyRelease is 3, X.KeyPress is 2
            self._x.xtest_fake_input(event, code)
        self._x.sync()
        self._down = wanted

    def _keycode(self, name: str, key: str) -> int:
        from Xlib import XK

        symbol = XK.string_to_keysym(key)
        if not symbol:
            raise OptionError(f"pad.keys: X knows no key {key!r} (for {name}); names are as in `xev`: space, w, Left")
        code = self._x.keysym_to_keycode(symbol)
        if not code or self._x.keycode_to_keysym(code, 0) != symbol:
            raise OptionError(f"pad.keys: no key of this keyboard gives {key!r} (for {name}) without Shift")
        return code


def shares_of_keys(x: float, y: float) -> tuple[float, float]:
    """For what shares of the time two keys are held that move one along x and y.

    That is in a game where both together are no faster than one: while both are held, each counts for its part of a
    diagonal.

    Args: x, y: in [-1, 1], what to move by on average; no farther than 1.
    """
    length = max(1.0, math.hypot(x, y))
    lesser, greater = sorted((abs(x) / length, abs(y) / length))
    both = min(1.0, lesser / DIAGONAL)
    alone = min(1.0, greater + (1.0 - DIAGONAL) * both)
    across, along = (alone, both) if abs(x) > abs(y) else (both, alone)
    return math.copysign(across, x), math.copysign(along, y)


def open_display(name: str | None) -> Any:
    """A connection to an X server, `Xlib.display.Display`.

    Raises: MissingPackageError: python-xlib is not installed. PadLostError: no server answers.
    """
    try:
        from Xlib import display, error
    except ImportError as missing:
        raise MissingPackageError("X11 needs python-xlib; install it with: pip install python-xlib") from missing
    try:
        return display.Display(name)
    except (error.DisplayError, OSError) as refused:
        wanted = name or os.environ.get("DISPLAY") or "none: set DISPLAY"
        raise PadLostError(f"no X server answers on display {wanted} ({refused})") from refused


def keys_down(display: Any) -> frozenset[int]:
    """The codes of all keys that are down, whoever holds them."""
    return frozenset(
        8 * k + bit for k, byte in enumerate(display.query_keymap()) for bit in range(8) if byte >> bit & 1
    )
