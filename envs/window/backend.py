"""A game's window as a backend: pixels in, a virtual gamepad out, ten times a second.

A step holds the action, waits for its deadline, and then looks: at the window, at its pixels, at the jump pads. What
goes wrong on the way ends the episode with a reason; nothing is learnt from it, and the next reset finds its way back.
`View.info` holds `spawn`, `character` and `skin`, as far as the reset chose them, `timing` and `detection`.
"""

from dataclasses import replace
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from envs.backend import JUMPPADS, SIDE, Frame, Start, View
from envs.errors import CaptureError, PadLostError, ProfileError, ResetError, StepError, WindowLostError
from envs.task import MAX_STEPS
from envs.window.capture import Capture, Shot, grabber_of
from envs.window.clock import Beat, Clock
from envs.window.frames import FrameWatch
from envs.window.game import Game
from envs.window.guarded_pad import GuardedPad
from envs.window.jumppad import Detection, JumpPadDetector
from envs.window.locate import Rectangle
from envs.window.looks import seen_part
from envs.window.macro import Macro
from envs.window.pad import PadState
from envs.window.profile import Profile
from envs.window.stagehand import WindowHand

_ATTEMPTS: Final = 2  # to begin an episode, with all anew after the first


class WindowBackend:
    """The game that a profile describes.

    Nothing is opened before the first reset. A game that `window.launch` started is ended by `close`.
    """

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self.characters = profile.cast.characters
        self.skins = profile.cast.skins
        self._game = Game(profile.window)
        self._capture: Capture | None = None
        self._pad: GuardedPad | None = None
        self._detector = _detector_of(profile)
        self._watch = FrameWatch()
        self._clock = Clock()
        self._frame: Frame | None = None
        self._pad_window = 0  # that the pad is guarded for
        self._start: Start | None = None
        self._steps = 0
        self._pixels: NDArray[np.uint8] | None = None  # what was seen last
        self._detection: Detection | None = None
        self._timing: dict[str, Any] = {}

    def reset(self, start: Start) -> View:
        """See Backend.

        Raises: WindowLostError, CaptureError, PadLostError, ResetError: the game could not be brought to where an
          episode begins. MissingPackageError: something is not installed.
        """
        for left in reversed(range(_ATTEMPTS)):
            try:
                return self._begin(start)
            except (WindowLostError, CaptureError, PadLostError, ResetError):
                self.close()
                if not left:
                    raise
        raise AssertionError

    def step(self, action: NDArray[np.uint8]) -> View:
        """See Backend."""
        if self._pad is None or self._start is None:
            raise StepError("call reset() before step()")
        state = PadState.of(action)
        try:
            reasons = [self._pad.hold(state)]
            beat = self._clock.wait()
            fault = self._see(beat)
            reasons.append(self._pad.hold(state))  # so that what happened in this step is told with it
            self._steps += 1
            if self._steps == MAX_STEPS and fault is None:
                self._look_on(self._pad)
        except (WindowLostError, CaptureError, PadLostError) as error:
            return self._interrupted(str(error))
        told = [reason for reason in (*reasons, fault) if reason is not None]
        return self._interrupted("; ".join(dict.fromkeys(told))) if told else self._view()

    def picture(self, width: int, height: int) -> Frame:
        """See Backend."""
        if self._pixels is None:
            return np.zeros((height, width, 3), np.uint8)
        return np.asarray(cv2.resize(self._pixels, (width, height), interpolation=cv2.INTER_AREA), np.uint8)

    def close(self) -> None:
        """See Backend."""
        self._start = None
        pad, self._pad = self._pad, None
        if pad is not None:
            pad.close()
        capture, self._capture = self._capture, None
        if capture is not None:
            capture.close()
        self._game.close()

    def _begin(self, start: Start) -> View:
        self._start = start if self._profile.chooses_spawn else Start(None, start.character, start.skin)
        self._game.to_front()
        window = self._game.window()
        if self._capture is None:
            self._capture = Capture(grabber_of(self._profile.capture.grabber))
        pad = self._held_at(window.id)
        pad.resume()
        Macro(self._profile.reset).run(WindowHand(self._profile, start, self._game, self._capture, pad))
        self._steps = 0
        self._watch.reset()
        if self._detector is not None:
            self._detector.reset()
        origin = self._clock.start()
        fault = self._see(Beat(origin, origin, 0.0, 0))
        if fault is not None:
            raise WindowLostError(f"the game came to the start of an episode and was lost there: {fault}")
        return self._view()

    def _see(self, beat: Beat) -> str | None:
        """Take in what the window shows; what is wrong with it, if something is."""
        assert self._capture is not None
        sight = self._game.look()
        if sight.client is None or sight.state != "visible":
            return f"the window is {sight.state}"
        shot = self._capture.shoot(sight.client)
        verdict = self._watch.see(np.ascontiguousarray(shot.bgra[::2, ::2, :3]), shot.time)
        seen = _part(shot, sight.client, seen_part(sight.client, self._profile.capture))
        self._pixels = seen.rgb()
        self._frame = seen.small(SIDE)
        self._detection = self._detector.update(self._pixels) if self._detector else None
        self._timing = {
            "captured": shot.time,
            "age": self._clock.now() - shot.time,
            "late": beat.late,
            "slack": beat.slack,
            "skipped": beat.skipped,
            "missed": beat.missed,
            "duplicate": verdict.duplicate,
        }
        timing = self._profile.timing
        if verdict.black and verdict.unchanged >= timing.black:
            return f"the window has been black for {verdict.unchanged:.1f} s"
        if verdict.unchanged >= timing.frozen:
            return f"the window has not changed for {verdict.unchanged:.1f} s"
        return None

    def _look_on(self, pad: GuardedPad) -> None:
        """See whether the last step of all reached a pad, which shows in the frames after it."""
        if self._detector is None or self._detection is not None:
            return
        shown = self._frame, self._pixels, self._timing
        pad.release()
        for _ in range(self._detector.config.debounce):
            if self._detection is None:
                self._see(self._clock.wait())
        self._frame, self._pixels, self._timing = shown
        if self._detection is not None and self._detection.frame > MAX_STEPS + 1:
            self._detection = None  # reached when the time was over

    def _held_at(self, window: int) -> GuardedPad:
        """The pad, guarded for a window; a game that was not started anew keeps the pad that it knows."""
        if self._pad is None:
            self._pad = GuardedPad(self._profile.pad, window)
        elif self._pad_window != window:
            self._pad.restart(window)
        self._pad_window = window
        return self._pad

    def _view(self) -> View:
        assert self._frame is not None
        pad = None if self._detection is None else self._detection.pad
        return View(self._frame, pad, None, self._info())

    def _interrupted(self, reason: str) -> View:
        """The end of an episode that nothing follows from, with the last frame there was."""
        assert self._frame is not None
        self._start_anew()
        return View(self._frame, None, reason, self._info())

    def _start_anew(self) -> None:
        """Let go of what is gone."""
        try:
            if self._pad is not None:
                self._pad.release()
        except PadLostError:
            assert self._pad is not None
            self._pad.close()
            self._pad = None

    def _info(self) -> dict[str, Any]:
        assert self._start is not None
        start = self._start
        chosen = {"spawn": start.spawn, "character": start.character, "skin": start.skin}
        return {**chosen, "timing": self._timing, "detection": self._detection}


def _detector_of(profile: Profile) -> JumpPadDetector | None:
    """What tells the jump pads.

    Raises: DetectorError: it cannot be read. ProfileError: it tells others than this task has.
    """
    if profile.detector is None:
        return None
    detector = JumpPadDetector.load(profile.detector)
    if not set(detector.names) <= set(JUMPPADS):
        raise ProfileError(f"{profile.detector} tells {', '.join(detector.names)}; the pads are {', '.join(JUMPPADS)}")
    return detector


def _part(shot: Shot, whole: Rectangle, part: Rectangle) -> Shot:
    """What a part of a shot of the whole shows."""
    top, left = part.top - whole.top, part.left - whole.left
    return replace(shot, bgra=shot.bgra[top : top + part.height, left : left + part.width])
