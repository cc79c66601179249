"""Batches to learn from: windows of a fixed length, drawn and augmented by background threads.

The windows of an update depend on the seed and its number alone, so it does not matter which thread makes them, or
whether the run was stopped in between.
"""

import os
import threading
import weakref
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from agents.augment import VPT, AugmentConfig, Draw, apply, draw
from agents.encoder import SIDE
from agents.imitation import Batch, counted
from agents.parallel import PROCESSORS
from envs.errors import DataError, OptionError
from envs.gamepad import COMPONENTS

Frames = NDArray[np.uint8]

_FRAME: Final = SIDE * SIDE * 3  # bytes


class Sequences(Protocol):
    """Recorded play: a number of sequences of frames and of the actions that followed them."""

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(N,): steps of each sequence."""
        ...

    def read(self, index: int, start: int, length: int, out: Frames | None = None) -> tuple[Frames, NDArray[np.uint8]]:
        """Steps [start, start + length) of a sequence; several threads may ask at once.

        Args: out: (length, 128, 128, 3) uint8, where frames that have to be made may be put; new memory is slow.
        Returns: frames (length, 128, 128, 3) uint8, RGB, and actions (length, 16) uint8. Neither is written to.
        """
        ...


class Kept:
    """Sequences of which each is read whole on first use and kept, while there is room; the others are read as before.

    What is read is the same, bit for bit, and may not be written to.
    Args: memory: bytes of frames that may be kept.
    """

    def __init__(self, sequences: Sequences, memory: int) -> None:
        self._sequences = sequences
        self._room = memory
        self._kept: dict[int, Future[tuple[Frames, NDArray[np.uint8]]]] = {}
        self._lock = threading.Lock()  # held to look and to reserve, never while something is read

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(N,): steps of each sequence."""
        return self._sequences.lengths

    def read(self, index: int, start: int, length: int, out: Frames | None = None) -> tuple[Frames, NDArray[np.uint8]]:
        """Steps [start, start + length) of a sequence, as `Sequences`; waits where another thread reads all of it.

        Raises: what the sequences raise.
        """
        steps = int(self.lengths[index])
        is_inside = 0 <= start < start + length <= steps  # if not, the sequences know what to say
        kept = self._whole(index, steps) if is_inside else None
        if kept is None:
            return _read_only(*self._sequences.read(index, start, length, out))
        frames, actions = kept
        return frames[start : start + length], actions[start : start + length]

    def _whole(self, index: int, steps: int) -> tuple[Frames, NDArray[np.uint8]] | None:
        """All of a sequence; None where there is no room for it."""
        with self._lock:
            kept = self._kept.get(index)
            is_ours = kept is None
            if kept is None:
                if steps * _FRAME > self._room:
                    return None
                kept = self._kept[index] = Future()
                self._room -= steps * _FRAME
        if is_ours:
            try:
                kept.set_result(_read_only(*self._sequences.read(index, 0, steps)))
            except BaseException as error:  # reaches all who wait; who comes later tries again
                with self._lock:
                    del self._kept[index]
                    self._room += steps * _FRAME
                kept.set_exception(error)
        return kept.result()


class Joined:
    """The sequences of several sources, one source after the other. Args: parts: at least one."""

    def __init__(self, parts: Sequence[Sequences]) -> None:
        self._parts = parts
        self._lengths = np.concatenate([part.lengths for part in parts])
        self._ends: NDArray[np.int64] = np.cumsum([len(part.lengths) for part in parts])

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(N,): steps of each sequence."""
        return self._lengths

    def read(self, index: int, start: int, length: int, out: Frames | None = None) -> tuple[Frames, NDArray[np.uint8]]:
        """Steps [start, start + length) of a sequence, as `Sequences`. Raises: what its source raises."""
        part = int(np.searchsorted(self._ends, index, side="right"))
        within = index - (int(self._ends[part - 1]) if part else 0)
        return self._parts[part].read(within, start, length, out)


def _read_only(frames: Frames, actions: NDArray[np.uint8]) -> tuple[Frames, NDArray[np.uint8]]:
    frames, actions = frames.view(), actions.view()
    frames.setflags(write=False)
    actions.setflags(write=False)
    return frames, actions


@dataclass(frozen=True, kw_only=True)
class LoaderConfig:
    """How batches are drawn."""

    batch_size: int = 256  # windows
    length: int = 32  # steps of a window
    augment: AugmentConfig | None = VPT
    threads: int = 0  # that draw; 0 is one for each processor
    ahead: int = 2  # batches that are ready before they are asked for
    memory: int = 0  # bytes of frames kept, each drawn once; pays where the same sequences come up again and again
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.batch_size, self.length, self.ahead) < 1 or min(self.threads, self.memory, self.seed) < 0:
            raise OptionError(f"a loader takes counts of 1 or more, threads, memory and seed of 0 or more, got {self}")


class Loader:
    """Batches of windows in which every step of every sequence comes up, those near an end up to twice as often.

    Call it with the number of an update to get the batches from there on, without end.
    Raises: DataError: there is no sequence, or one is shorter than a window.
    """

    def __init__(self, sequences: Sequences, config: LoaderConfig) -> None:
        lengths = sequences.lengths
        if not len(lengths):
            raise DataError("there is no sequence to learn from; record some, or give another folder")
        if lengths.min() < config.length:
            raise DataError(
                f"sequence {int(lengths.argmin())} has {lengths.min()} steps, and a window needs {config.length}; "
                "leave shorter ones out, or set a shorter window"
            )
        self._sequences = Kept(sequences, config.memory) if config.memory else sequences
        self._config = config
        self._ends: NDArray[np.int64] = np.cumsum(lengths)
        self._threads = threading.local()
        self._blocks = _Blocks(config.batch_size * config.length * _FRAME)

    def __call__(self, start: int) -> Generator[Batch, None, None]:
        """The batches from update `start` on. One that was given out is not touched again."""
        config = self._config
        pool = ThreadPoolExecutor(config.threads or os.cpu_count(), "loader")
        try:
            ready: deque[tuple[_Arrays, list[Future[None]]]] = deque()
            update = start
            while True:
                while len(ready) < config.ahead:
                    arrays = _Arrays(self._blocks.take(), config.batch_size, config.length)
                    ready.append((arrays, [pool.submit(self._fill, arrays, w) for w in self._windows(update)]))
                    update += 1
                arrays, jobs = ready.popleft()
                for job in jobs:
                    job.result()
                yield arrays.batch()
        finally:
            pool.shutdown(cancel_futures=True)

    def _windows(self, update: int) -> Iterator["_Window"]:
        """The windows of an update.

        Sequences are drawn by their length. A start is drawn so that each step is in as many windows as any other, then
        moved to where the window lies inside: else the first and last steps, a spawn and a pad, would be the ones that
        are hardly seen.
        """
        config = self._config
        rng = np.random.default_rng([config.seed, update])
        indices = np.searchsorted(self._ends, rng.integers(self._ends[-1], size=config.batch_size), side="right")
        steps = self._sequences.lengths[indices]
        starts = rng.integers(1 - config.length, steps).clip(0, steps - config.length)
        draws = [None] * config.batch_size if config.augment is None else draw(config.augment, SIDE, len(steps), rng)
        return map(_Window, range(config.batch_size), indices.tolist(), starts.tolist(), draws)

    def _fill(self, arrays: "_Arrays", window: "_Window") -> None:
        with PROCESSORS.work(can_wait=True):
            place = arrays.frames[window.place]
            out = place if window.drawn is None else self._memory()
            read = self._sequences.read(window.sequence, window.start, self._config.length, out)
            frames, arrays.actions[window.place] = read
            if window.drawn is not None:
                apply(frames, window.drawn, place)
            elif not np.may_share_memory(frames, place):
                place[...] = frames

    def _memory(self) -> Frames:
        """This thread's memory for frames that are on their way to be augmented."""
        if not hasattr(self._threads, "frames"):
            self._threads.frames = np.empty((self._config.length, SIDE, SIDE, 3), np.uint8)
        return self._threads.frames


class _Window(NamedTuple):
    """What a batch has at a place."""

    place: int
    sequence: int
    start: int
    drawn: Draw | None  # how it is augmented


class _Arrays:
    """A batch that is being filled."""

    def __init__(self, block: NDArray[np.uint8], batch: int, length: int) -> None:
        self.frames = block.reshape(batch, length, SIDE, SIDE, 3)
        self.actions = np.empty((batch, length, len(COMPONENTS)), np.uint8)

    def batch(self) -> Batch:
        actions = torch.as_tensor(self.actions)
        valid = torch.ones(actions.shape[:2], dtype=torch.bool)
        return Batch(torch.as_tensor(self.frames), actions, counted(actions, valid))


class _Blocks:
    """Memory in blocks of one size; one that nothing holds any more is given out again, for new pages are slow."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._free: list[memoryview] = []

    def take(self) -> NDArray[np.uint8]:
        """A block, its content of no meaning. Whatever is made of it holds it."""
        try:
            block = self._free.pop()
        except IndexError:
            block = np.empty(self._size, np.uint8).data
        array = np.frombuffer(block, np.uint8)  # not the array beneath: views hold the lowest array that there is
        weakref.finalize(array, self._free.append, block)
        return array
