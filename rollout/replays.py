"""Replays as sequences to learn from: drawn anew whenever a window of them is read, but played again only once."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from envs.backend import JUMPPADS, SIDE
from envs.errors import DataError, ReplayError
from envs.standin.characters import NAMES
from envs.standin.physics import BODY
from envs.standin.replay import DIRECT, Replay, ReplayReader, Sight, stage_of
from envs.standin.simulation import Brush, make_brush
from envs.task import MAX_STEPS

Frames = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Span:
    """Steps [start, start + length) of a replay."""

    replay: Replay
    start: int
    length: int
    sight: Sight = DIRECT


STATES: Final = 1 << 30  # bytes of players' states: of some 180 hours


class ReplaySequences:
    """Stretches of replays, each a sequence; see `agents.data.Sequences`.

    Args: memory: bytes of players' states that are kept, those of a sequence from the first time that it is read.
    """

    def __init__(self, spans: Sequence[Span], memory: int = STATES) -> None:
        self._spans = spans
        self._lengths: Final = np.array([span.length for span in spans], np.int64)
        self._room = memory
        self._kept: dict[int, NDArray[np.void]] = {}
        self._lock = threading.Lock()
        self._trusted: set[int] = set()  # spans that were read before, and so belong to this world
        self._threads = threading.local()

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(N,): steps of each sequence."""
        return self._lengths

    def read(self, index: int, start: int, length: int, out: Frames | None = None) -> tuple[Frames, NDArray[np.uint8]]:
        """Draw steps [start, start + length) of a sequence, in `out` where it is given.

        Raises: ReplayError: they lie outside, or the replay was recorded in another world.
        """
        span = self._spans[index]
        if start < 0 or start + length > span.length:
            raise ReplayError(f"steps {start} to {start + length} are not all in a sequence of {span.length} steps")
        reader = ReplayReader(span.replay, self._brush(span.replay.dressing), trusted=index in self._trusted)
        frames = reader.draw(self._states(index, reader, start, length), out, span.sight)
        return frames, span.replay.actions[span.start + start : span.start + start + length]

    def _states(self, index: int, reader: ReplayReader, start: int, length: int) -> NDArray[np.void]:
        """The player in steps [start, start + length) of a sequence."""
        span = self._spans[index]
        with self._lock:  # to play five minutes again takes as many milliseconds, once
            kept = self._kept.get(index)
            if kept is None and span.length * BODY.itemsize <= self._room:
                kept = self._kept[index] = reader.states(span.start, span.length, span.sight)
                self._room -= kept.nbytes
        if kept is None:
            kept = reader.states(span.start + start, length, span.sight)
            start = 0
        self._trusted.add(index)
        return kept[start : start + length]

    def _brush(self, dressing: int) -> Brush:
        """This thread's memory to draw a world with."""
        brushes: dict[int, Brush] = self._threads.__dict__.setdefault("brushes", {})
        if dressing not in brushes:
            brushes[dressing] = make_brush(stage_of(dressing), SIDE, SIDE)
        return brushes[dressing]


def load_replays(paths: Sequence[Path]) -> list[Replay]:
    """Read replays, some 60 kB of memory for five minutes. Raises: ReplayError: one cannot be read."""
    return [Replay.load(path) for path in paths]


def whole(replays: Sequence[Replay]) -> list[Span]:
    """Replays from end to end."""
    return [Span(replay, 0, len(replay)) for replay in replays]


def curate(replays: Sequence[Replay], character: str, per_pad: int, sights: Sequence[Sight] = (DIRECT,)) -> list[Span]:
    """The first lives of a character that reach each pad in time, from the spawn to the pad.

    Args: sights: how they are seen, those to a pad taking turns.
    Source: paper, section 3.2: 300 successful trajectories of one character, 100 a pad, cut at the pad.
    Raises: DataError: there are too few.
    """
    found: dict[int, list[Span]] = {pad: [] for pad in range(len(JUMPPADS))}
    for replay in replays:
        if replay.character == NAMES.index(character):
            for (start, _), (end, pad) in zip(replay.lives.tolist(), replay.jumppads.tolist(), strict=True):
                if pad >= 0 and end - start < MAX_STEPS and len(found[pad]) < per_pad:
                    found[pad].append(Span(replay, start, end - start + 1, sights[len(found[pad]) % len(sights)]))
    counts = {JUMPPADS[pad]: len(spans) for pad, spans in found.items()}
    if min(counts.values()) < per_pad:
        raise DataError(
            f"{per_pad} trajectories of the {character} to each pad are needed, and there are {counts}; "
            f"record more with: skygarden gameplay --character {character}"
        )
    return [span for spans in found.values() for span in spans]
