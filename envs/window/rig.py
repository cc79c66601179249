"""A game's window and its pad in the hands of whoever examines or measures them, outside of any episode.

Each part is opened when it is first asked for, and all of them are let go of by `close`, whatever happened before.
"""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from envs.backend import Start
from envs.errors import WindowLostError
from envs.window.capture import Capture, Grabber, Shot, grabber_of
from envs.window.clock import PERIOD
from envs.window.game import Find, Game
from envs.window.guarded_pad import GuardedPad
from envs.window.locate import Rectangle, find_window
from envs.window.looks import seen_part
from envs.window.macro import Macro, Stagehand
from envs.window.pad import NEUTRAL, PadConfig, PadState
from envs.window.profile import Profile
from envs.window.stagehand import Pad, WindowHand

_ALIVE: Final = 0.5  # of the pad's lease, after which it is told again what to hold


@dataclass(frozen=True, kw_only=True)
class Tools:
    """What the window, its pixels, the pad and the time are had by. Times are in seconds."""

    find: Find = find_window
    grabber: Callable[[str], Grabber] = grabber_of
    pad: Callable[[PadConfig, int], Pad] = GuardedPad
    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


class Rig:
    """A profile's game, ready to be looked at and played by hand.

    Its methods raise what their parts do: WindowLostError, CaptureError, PadLostError, MissingPackageError.
    """

    def __init__(self, profile: Profile, tools: Tools | None = None) -> None:
        self.profile = profile
        self.tools = tools or Tools()
        self.game = Game(profile.window, self.tools.find, self.tools.now, self.tools.sleep)
        self.start = Start(0, profile.cast.characters[0], 0)  # that resets go to
        self._capture: Capture | None = None
        self._pad: Pad | None = None
        self._config = profile.pad

    @property
    def capture(self) -> Capture:
        """The screen."""
        if self._capture is None:
            self._capture = Capture(self.tools.grabber(self.profile.capture.grabber), self.tools.now, self.tools.sleep)
        return self._capture

    @property
    def pad(self) -> Pad:
        """The pad, guarded for the game's window."""
        if self._pad is None:
            self._pad = self.tools.pad(self._config, self.game.window().id)
        return self._pad

    def plug(self, config: PadConfig) -> None:
        """Use a pad of other settings from here on."""
        self._unplug()
        self._config = config

    def client(self) -> Rectangle:
        """Where the window's pixels are, all of which can be read."""
        sight = self.game.look()
        if sight.client is None or sight.state != "visible":
            raise WindowLostError(f"the window is {sight.state}; leave it in front while this runs")
        return sight.client

    def shoot(self) -> Shot:
        """The window as it is shown."""
        return self.capture.shoot(self.client())

    def see(self) -> Shot:
        """The part of it that an agent sees."""
        return self.capture.shoot(seen_part(self.client(), self.profile.capture))

    def hold(self, state: PadState) -> None:
        """Hold exactly this. Raises: WindowLostError: the pad was let go, for another reason than being late."""
        reason = self.pad.hold(state)
        if reason not in (None, "late"):
            raise WindowLostError(f"the pad was let go: {reason}; leave the game and the keyboard alone meanwhile")

    def push(self, state: PadState, seconds: float) -> None:
        """Hold this for some seconds, then nothing."""
        until = self.tools.now() + seconds
        step = min(PERIOD, _ALIVE * self._config.lease)
        while (left := until - self.tools.now()) > 0.0:
            self.hold(state)
            self.tools.sleep(min(step, left))
        self.hold(NEUTRAL)

    def to_front(self) -> None:
        """Bring the window to the front, and have the pad forget what it objected to before."""
        self.game.to_front()
        self.pad.resume()

    def to_start(self, watched: Callable[[Stagehand], Stagehand] = lambda hand: hand) -> None:
        """Go to where an episode begins. Args: watched: puts somebody between the macro and the window.

        Raises: ResetError: it cannot be reached.
        """
        self.to_front()
        hand = WindowHand(self.profile, self.start, self.game, self.capture, self.pad)
        Macro(self.profile.reset, self.tools.now, self.tools.sleep).run(watched(hand))

    def close(self) -> None:
        """Release the pad, let go of the screen, and end the game where we started it."""
        with ExitStack() as stack:  # last one first, and each of them whatever the one before does
            stack.callback(self.game.close)
            capture, self._capture = self._capture, None
            if capture is not None:
                stack.callback(capture.close)
            stack.callback(self._unplug)

    def _unplug(self) -> None:
        pad, self._pad = self._pad, None
        if pad is not None:
            pad.close()
