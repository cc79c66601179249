"""A game in a window that is none, in a time that is none: a picture that slides while a stick is pushed.

Strict: nothing is pressed after it was let go of for good, no pixel is read outside the window, time never runs back.
"""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from envs.errors import CaptureError, PadLostError, WindowLostError
from envs.window.findings import System
from envs.window.locate import Rectangle, Sight
from envs.window.pad import NEUTRAL, PadConfig, PadState
from envs.window.profile import Profile, load_profile
from envs.window.rig import Tools

SIZE = (320, 240)  # width and height of the window
CORNER = Rectangle(100, 50, *SIZE)
EMBLEM = 32  # pixels, of the sides of a square that is white while the game is on, and black in its menu
SPEED = 400.0  # pixels a second, at full travel

PROFILE = """
name = "A game in memory"
[window]
title = "^Game$"
patience = 0.5
[pad]
driver = "keyboard"
[pad.keys.names]
LB = "u"
START = "Return"
"RX+" = "Right"
"RY+" = "Up"
"RY-" = "Down"
[looks.playing]
region = [0.0, 0.0, 0.1, 0.13333]
image = "playing.png"
[reset]
attempts = 2
[[reset.steps]]
press = "START"
until = "playing"
timeout = 2.0
"""


class World:
    """The game; what may be wrong with it is set."""

    def __init__(self) -> None:
        self.now = 0.0
        self.grab_seconds = 0.001
        self.latency = 0.04
        self.dead_zones = (0.0, 0.0)  # left, right
        self.up = 1.0  # the picture moves down by this where the view goes up
        self.playing = self.black = self.frozen = self.deaf = self.drifts = False
        self.starts = self.focused = self.lets_go = self.reads = self.plugs = True
        self.windows = 1
        self.touched: str | None = None
        self.pads: list[Pad] = []
        self.raw: list[tuple[float, tuple[float, float, float, float]]] = [(-1.0, (0.0, 0.0, 0.0, 0.0))]
        self._at, self._x, self._y, self._walked = 0.0, 0.0, 0.0, 0.0
        rng = np.random.default_rng(0)
        noise = rng.integers(0, 256, (SIZE[1] // 8, SIZE[0] // 8, 3), np.uint8)
        self._scene = cv2.resize(noise, SIZE, interpolation=cv2.INTER_CUBIC)
        self._shown = self._scene

    def clock(self) -> float:
        """It is a little later each time."""
        self.now += 1e-5
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.now += seconds

    @property
    def held(self) -> bool:
        """Whether anything is."""
        return any(pad.held_now() != NEUTRAL for pad in self.pads)

    def find(self, title: str | None, process: str | None) -> "Window":
        assert (title, process) == ("^Game$", None)
        if self.windows != 1:
            raise WindowLostError(f"one window titled '^Game$' is needed, {self.windows} are there")
        return Window(self)

    def picture(self) -> np.ndarray:
        """What is shown now, (H, W, 4)."""
        self._live()
        if not self.frozen:
            turned = np.roll(self._scene, (round(self._y), round(self._x + 40 * np.sin(self._walked / 100))), (0, 1))
            self._shown = turned.copy()
            self._shown[-8:, -8:] = 80 * (int(self.now) % 3)  # a clock
        shown = np.zeros((*self._shown.shape[:2], 4), np.uint8)
        if not self.black:
            shown[..., :3] = self._shown
            shown[:EMBLEM, :EMBLEM] = 255 if self.playing else 0
        return shown

    def _live(self) -> None:
        """Up to what can be seen by now."""
        until = self.now - self.latency
        while self._at < until:
            step = min(0.002, until - self._at)
            lx, ly, rx, ry = next(raw for at, raw in reversed(self.raw) if at <= self._at)
            left, right = self.dead_zones
            if not self.deaf:
                self._x -= SPEED * step * _beyond(rx, right)
                self._y += self.up * SPEED * step * _beyond(ry, right)
                self._walked += SPEED * step * (_beyond(ly, left) + _beyond(lx, left))
            self._x += SPEED * step * self.drifts
            self._at += step

    def tools(self) -> Tools:
        return Tools(find=self.find, grabber=lambda _: Grabber(self), pad=self.plug, now=self.clock, sleep=self.sleep)

    def plug(self, config: PadConfig, window: int) -> "Pad":
        assert window == 7
        assert not any(pad.open for pad in self.pads), "one pad at a time"
        if not self.plugs:
            raise PadLostError("the virtual pad cannot be plugged in")
        self.pads.append(Pad(self, config))
        return self.pads[-1]

    def system(self) -> System:
        """Windows, where nothing of the display is asked for."""
        return System(
            platform="win32",
            environment={},
            has=lambda _: True,
            loads=lambda _: True,
            exists=lambda _: True,
            writable=lambda _: True,
            listen=lambda *_: Ears(self),
        )


def _beyond(value: float, zone: float) -> float:
    return value if abs(value) > zone else 0.0


class Window:
    def __init__(self, world: World) -> None:
        self._world = world
        self.title, self.id, self.pid = "Game", 7, 42

    def look(self) -> Sight:
        return Sight(CORNER, "visible", self._world.focused)

    def focus(self) -> None:
        pass

    def close(self) -> None:
        pass


class Grabber:
    def __init__(self, world: World) -> None:
        self._world, self._open = world, True

    def grab(self, rectangle: Rectangle) -> np.ndarray:
        assert self._open
        assert CORNER.contains(rectangle)
        if not self._world.reads:
            raise CaptureError("the screen cannot be read")
        self._world.now += self._world.grab_seconds
        top, left = rectangle.top - CORNER.top, rectangle.left - CORNER.left
        return self._world.picture()[top : top + rectangle.height, left : left + rectangle.width].copy()

    def close(self) -> None:
        self._open = False


class Pad:
    def __init__(self, world: World, config: PadConfig) -> None:
        self._world, self.config = world, config
        self._state, self._told, self._late = NEUTRAL, 0.0, False
        self.open, self.devices = True, ()

    def held_now(self) -> PadState:
        """What it holds, after its lease nothing."""
        if self._world.lets_go and self._world.now > self._told + self.config.lease and self._state != NEUTRAL:
            self._late = True
            self._apply(NEUTRAL, self._told + self.config.lease)
        return self._state

    def hold(self, state: PadState) -> str | None:
        assert self.open
        self.held_now()
        late, self._late = self._late, False
        if self._world.touched:
            self._apply(NEUTRAL, self._world.now)
            return self._world.touched
        self._apply(state, self._world.now)
        self._told = self._world.now
        if "START" in state.pressed and self._world.starts:
            self._world.playing = True
        return "late" if late else None

    def release(self) -> str | None:
        return self.hold(NEUTRAL)

    def resume(self) -> None:
        self.hold(NEUTRAL)

    def close(self) -> None:
        if self.open:
            self._apply(NEUTRAL, self._world.now)
        self.open = False

    def _apply(self, state: PadState, at: float) -> None:
        self._state = state
        self._world.raw.append((at, self.config.sticks.raw(state)))


class Ears:
    def __init__(self, world: World) -> None:
        self._world, self._open = world, True

    def held(self) -> bool:
        assert self._open
        return bool(self._world.pads[-1].held_now().pressed)

    def close(self) -> None:
        assert self._open
        self._open = False


def write_profile(folder: Path, text: str = PROFILE) -> Path:
    """The game's profile, with its picture."""
    cv2.imwrite(str(folder / "playing.png"), np.full((EMBLEM, EMBLEM, 3), 255, np.uint8))
    path = folder / "game.toml"
    path.write_text(text, encoding="utf-8")
    return path


def gamepad_profile(folder: Path) -> Profile:
    """The same with a gamepad."""
    profile = load_profile(write_profile(folder))
    return replace(profile, pad=PadConfig())
