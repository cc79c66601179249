"""The pixels of a part of the screen, when they were read, and whether they can be true.

A grab is one copy out of the server's memory (mss: MIT-SHM), about 1 ms at 640x480, and shrinking it to what an agent
sees takes as long again. The order of colours is turned after that, where it is free, and at full size only for those
who ask (0.1 ms). Shrinking averages over areas (OpenCV's INTER_AREA): what is smaller than a pixel stays as a tint
instead of flickering.
"""

import importlib
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from envs.errors import CaptureError, MissingPackageError, OptionError
from envs.window.locate import Rectangle

if TYPE_CHECKING:
    from mss import MSS

Pixels = NDArray[np.uint8]

PATIENCE: Final = 1.0  # s that a first frame may take
PAUSE: Final = 0.005  # s between two questions for it


@dataclass(frozen=True, slots=True)
class Shot:
    """One frame of a region, in memory of its own."""

    bgra: Pixels  # (H, W, 4), the last one without a meaning
    time: float  # time.monotonic() when the grab began to read the screen
    seconds: float  # that the grab took
    new: bool = True  # False: the system has shown nothing new since the shot before, and these are its pixels

    def small(self, side: int) -> Pixels:
        """The region as a square, (side, side, 3) RGB; the same as `resize` of `rgb`."""
        return cast(Pixels, cv2.cvtColor(resize(self.bgra, side), cv2.COLOR_BGRA2RGB))

    def rgb(self) -> Pixels:
        """The region at full size, (H, W, 3) RGB, made anew with every call."""
        return cast(Pixels, cv2.cvtColor(self.bgra, cv2.COLOR_BGRA2RGB))


def resize(pixels: Pixels, side: int) -> Pixels:
    """A frame as a square by averaging over areas, whatever its shape was: (H, W, C) to (side, side, C)."""
    return cast(Pixels, cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA))


class Grabber(Protocol):
    """What reads the screen. Plug in another with `grabber_of("module:function")`."""

    def grab(self, rectangle: Rectangle) -> Pixels | None:
        """(H, W, 4) BGRA that later calls leave alone; None where nothing new has been shown since the last call.

        Raises: CaptureError: it cannot be read.
        """
        ...

    def close(self) -> None:
        """Let go of the screen; may be called twice."""
        ...


class Capture:
    """Shots of regions of the screen, through one grabber, which it closes.

    Args: clock: seconds, as time.monotonic. sleep: waits for seconds.
    """

    def __init__(
        self,
        grabber: Grabber,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._grabber, self._clock, self._sleep = grabber, clock, sleep
        self._last: tuple[Rectangle, Pixels] | None = None

    def shoot(self, rectangle: Rectangle) -> Shot:
        """Read a region of the screen now.

        Raises: CaptureError: it has no size, lies partly off the screen, or the screen cannot be read.
        """
        if rectangle.width <= 0 or rectangle.height <= 0:
            raise CaptureError(f"a region to capture has a width and a height, got {rectangle}; is it minimised?")
        began = start = self._clock()
        pixels = self._grabber.grab(rectangle)
        while pixels is None:
            if self._last is not None and self._last[0] == rectangle:
                return Shot(self._last[1], start, self._clock() - start, new=False)
            if start - began > PATIENCE:
                raise CaptureError(f"the system has shown no frame of {rectangle} for {PATIENCE:g} s; is it on screen?")
            self._sleep(PAUSE)
            start = self._clock()
            pixels = self._grabber.grab(rectangle)
        if pixels.shape != (rectangle.height, rectangle.width, 4) or pixels.dtype != np.uint8:
            needed = f"({rectangle.height}, {rectangle.width}, 4) uint8"
            raise CaptureError(f"a grabber gives {needed}, BGRA; it gave {pixels.shape} {pixels.dtype}")
        self._last = rectangle, pixels
        return Shot(pixels, start, self._clock() - start)

    def close(self) -> None:
        """Let go of the screen; may be called twice."""
        self._grabber.close()


class MssGrabber:
    """Any system's screen, by mss: one instance, kept.

    Raises: MissingPackageError: mss is not installed. CaptureError: there is no screen.
    """

    def __init__(self) -> None:
        try:
            import mss
        except ImportError as error:
            raise MissingPackageError("capture needs mss; install it with: pip install 'skygarden[window]'") from error
        self._make = mss.MSS
        # mss asserts that a failed request came with an error, which it does not where the server is gone.
        self._faults = (mss.ScreenShotError, AssertionError, OSError)
        self._mss: MSS | None
        self._mss, self._screen = self._opened()

    def grab(self, rectangle: Rectangle) -> Pixels:
        """(H, W, 4) BGRA. Raises: CaptureError: partly off the screen, or the screen cannot be read."""
        screen = self._mss
        if screen is None or not self._screen.contains(rectangle):
            # mss knows the screen as it was when it was opened; a game may have changed its size since.
            self.close()
            self._mss, self._screen = screen, _ = self._opened()
            if not self._screen.contains(rectangle):
                raise CaptureError(f"{rectangle} lies partly off the screen, {self._screen}; move the game onto it")
        place = {
            "left": rectangle.left,
            "top": rectangle.top,
            "width": rectangle.width,
            "height": rectangle.height,
        }
        try:
            raw = screen.grab(place).raw
        except self._faults as error:
            self.close()
            raise CaptureError(
                f"the screen cannot be read at {rectangle}: {_first(error)}; is it still there, and as large?"
            ) from error
        return np.frombuffer(raw, np.uint8).reshape(rectangle.height, rectangle.width, 4)

    def close(self) -> None:
        """Let go of the screen; may be called twice."""
        held, self._mss = self._mss, None  # closing it twice after the server went would free its memory twice
        if held is not None:
            with suppress(*self._faults):
                held.close()

    def _opened(self) -> "tuple[MSS, Rectangle]":
        """A connection to the screen, and where all monitors together are."""
        try:
            opened = self._make()
            whole = opened.monitors[0]
        except self._faults as error:
            raise CaptureError(f"there is no screen to capture: {_first(error)}; set DISPLAY to the game's") from error
        return opened, Rectangle(whole["left"], whole["top"], whole["width"], whole["height"])


class DxcamGrabber:
    """The first monitor of Windows, by dxcam (desktop duplication), which tells when nothing new was shown.

    Raises: MissingPackageError: dxcam is not installed.
    """

    def __init__(self) -> None:
        try:
            dxcam: Any = importlib.import_module("dxcam")
        except ImportError as error:
            raise MissingPackageError(
                "the grabber dxcam (Windows) needs its package; install it with: pip install 'skygarden[dxcam]'"
            ) from error
        self._camera: Any = dxcam.create(output_color="BGRA")

    def grab(self, rectangle: Rectangle) -> Pixels | None:
        """(H, W, 4) BGRA, or None. Raises: CaptureError: partly off the monitor."""
        right, bottom = rectangle.left + rectangle.width, rectangle.top + rectangle.height
        try:
            return self._camera.grab(region=(rectangle.left, rectangle.top, right, bottom))
        except (ValueError, RuntimeError, OSError) as error:  # ValueError: the region does not lie on the monitor
            raise CaptureError(f"{rectangle} cannot be read: {error}; move the game to the first monitor") from error

    def close(self) -> None:
        """Let go of the monitor; may be called twice."""
        self._camera.release()


def grabber_of(name: str) -> Grabber:
    """A grabber by name: "mss", "dxcam", or one's own as "module:function", called without arguments.

    Raises: OptionError: there is no such thing. MissingPackageError, CaptureError: as the grabbers themselves.
    """
    if name == "mss":
        return MssGrabber()
    if name == "dxcam":
        return DxcamGrabber()
    module, colon, function = name.partition(":")
    if not (module and colon and function):
        raise OptionError(f'a grabber is "mss", "dxcam" or "module:function", got {name!r}')
    try:
        make = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise OptionError(f"there is no grabber {name!r}: {error}") from error
    return make()


def _first(error: BaseException) -> str:
    return str(error).split("\n", maxsplit=1)[0] or "the display server is gone"
