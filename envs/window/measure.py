"""Figures of a game that its window tells: what it does to a stick, and how long it takes to show it.

A picture counts as changed where it differs from one before by clearly more than pictures of a game that is left alone
differ among themselves. Whoever measures brings the game to where an episode begins first.
"""

from dataclasses import dataclass, replace
from typing import Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from envs.window.clock import Clock
from envs.window.pad import NEUTRAL, PadState, SticksConfig
from envs.window.rig import Rig

SIDE: Final = 96  # pixels, of the pictures that are compared
PUSHES: Final = 20  # of which latency is measured
_CALM: Final = 0.4  # seconds for a camera to come to rest
_LOOKS: Final = 8  # at a game that is left alone
_GLANCE: Final = 0.001
_KEPT: Final = 0.1  # seconds between two words to the pad
_TURN: Final = 0.5  # seconds that a stick is held to see what it does
_LEAST: Final = 0.6  # mean difference of grey values that counts as motion, at least
_CLEARLY: Final = 2.5  # times the difference among pictures at rest
_WAIT: Final = 1.5  # seconds for a push to be seen
_FARTHEST: Final = 0.6  # of a stick's travel, that no dead zone reaches
_COARSE: Final = 0.04
_FINE: Final = 0.005
_NODS: Final = 6  # to find which way is up
_NOD: Final = 0.25  # seconds
_CERTAIN: Final = 2.0  # pixels of SIDE that the picture moves in a nod, at least

Grey = NDArray[np.uint8]
Side = Literal["left", "right"]


@dataclass(frozen=True, slots=True)
class Spread:
    """Times in seconds."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle one."""
        return float(np.median(self.values))

    def percentile(self, percent: float) -> float:
        """The one that so many percent do not exceed."""
        return float(np.percentile(self.values, percent))


@dataclass(frozen=True, slots=True)
class Jitter:
    """How evenly frames come at ten a second."""

    intervals: Spread
    grabs: Spread


def latency(rig: Rig, pushes: int = PUSHES) -> Spread:
    """From the word to the pad to the first frame that shows the camera turn; pushes that none shows are left out."""
    found: list[float] = []
    for number in range(pushes):
        calm, reference = _rest(rig)
        began = rig.tools.now()
        seen = _first_change(rig, PadState(rx=1.0 if number % 2 else -1.0), reference, calm)
        rig.hold(NEUTRAL)
        if seen is not None:
            found.append(seen - began)
    return Spread(tuple(found))


def _first_change(rig: Rig, state: PadState, reference: Grey, calm: float) -> float | None:
    """When the grab of the first frame began that differs, while a state is held."""
    began = told = rig.tools.now()
    rig.hold(state)
    while rig.tools.now() - began < _WAIT:
        shot = rig.see()
        if _apart(_grey(shot.small(SIDE)), reference) > calm:
            return shot.time
        if rig.tools.now() - told > _KEPT:
            told = rig.tools.now()
            rig.hold(state)
        rig.tools.sleep(_GLANCE)
    return None


def dead_zone(rig: Rig, side: Side) -> float | None:
    """How far a stick can be pushed without effect, as a share of its travel; None where nothing has an effect.

    The right stick turns the camera, the left one walks ahead and back. The pad sends raw values meanwhile.
    """
    before = rig.profile.pad
    rig.plug(replace(before, sticks=SticksConfig()))
    try:
        rig.to_front()
        way = _Way(rig, side)
        # The least value that counts lies between one without effect and one with, which are brought together.
        none, some = 0.0, _COARSE
        while not way.leads_on(some):
            none, some = some, some + _COARSE
            if some > _FARTHEST:
                return None
        while some - none > _FINE:
            middle = (none + some) / 2
            none, some = (none, middle) if way.leads_on(middle) else (middle, some)
        return (none + some) / 2
    finally:
        rig.plug(before)


class _Way:
    """Pushes a stick there, and back the next time."""

    def __init__(self, rig: Rig, side: Side) -> None:
        self._rig, self._side, self._sign = rig, side, 1.0

    def leads_on(self, value: float) -> bool:
        """Whether a push by a value changes the picture, twice running."""
        return all(self._changes(value) for _ in range(2))

    def _changes(self, value: float) -> bool:
        calm, reference = _rest(self._rig)
        push = self._sign * value
        self._sign = -self._sign
        self._rig.push(PadState(rx=push) if self._side == "right" else PadState(ly=push), _TURN)
        self._rig.tools.sleep(_CALM)
        return _apart(_look(self._rig), reference) > calm


def looks_up(rig: Rig) -> bool | None:
    """Whether the view goes up where the right stick is pushed up; None where that cannot be told.

    Looking up moves the picture down.
    """
    moved: list[float] = []
    for number in range(_NODS):
        _rest(rig)
        sign = -1.0 if number % 2 else 1.0
        moved.append(sign * _nod(rig, PadState(ry=sign)))
    down = float(np.median(moved))
    return None if abs(down) < _CERTAIN else down > 0.0


def _nod(rig: Rig, state: PadState) -> float:
    """How far the picture moves down, in pixels of SIDE, while a state is held."""
    before, moved = _look(rig), 0.0
    began = told = rig.tools.now()
    rig.hold(state)
    while rig.tools.now() - began < _NOD + _CALM:
        rig.tools.sleep(0.015)
        now = rig.tools.now()
        if now - began >= _NOD or now - told > _KEPT:
            told = now
            rig.hold(state if now - began < _NOD else NEUTRAL)
        after = _look(rig)
        moved += _flow(before, after)
        before = after
    rig.hold(NEUTRAL)
    return moved


def _flow(before: Grey, after: Grey) -> float:
    """How far the picture moves down, where there is something to see in it."""
    none = np.zeros((*before.shape, 2), np.float32)
    field = np.asarray(cv2.calcOpticalFlowFarneback(before, after, none, 0.5, 4, 13, 3, 5, 1.1, 0), np.float32)
    edges = np.abs(np.gradient(before.astype(np.float32), axis=0))
    return float((field[..., 1] * edges).sum() / (edges.sum() + 1e-6))


def jitter(rig: Rig, seconds: float = 5.0) -> Jitter:
    """Look ten times a second, as an agent does."""
    clock = Clock(now=rig.tools.now, sleep=rig.tools.sleep)
    times: list[float] = []
    grabs: list[float] = []
    clock.start()
    for _ in range(round(10 * seconds) + 1):
        clock.wait()
        shot = rig.see()
        times.append(shot.time)
        grabs.append(shot.seconds)
    return Jitter(Spread(tuple(float(each) for each in np.diff(times))), Spread(tuple(grabs)))


def _rest(rig: Rig) -> tuple[float, Grey]:
    """Let go, and look at what moves by itself. Returns: the least difference that counts; the picture at rest."""
    rig.hold(NEUTRAL)
    rig.tools.sleep(_CALM)
    pictures: list[Grey] = []
    for _ in range(_LOOKS):
        pictures.append(_look(rig))
        rig.tools.sleep(_CALM / _LOOKS)
    itself = max(_apart(picture, pictures[-1]) for picture in pictures[:-1])
    return max(_LEAST, _CLEARLY * itself), pictures[-1]


def _look(rig: Rig) -> Grey:
    return _grey(rig.see().small(SIDE))


def _grey(pixels: NDArray[np.uint8]) -> Grey:
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8)


def _apart(one: Grey, other: Grey) -> float:
    """The mean difference of grey values."""
    return float(np.mean(cv2.absdiff(one, other)))
