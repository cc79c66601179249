"""Writes what was recorded, on a thread of its own: encoding never delays the eyes and the hands.

What does not fit in the queue is a dropped frame, counted and said; the times in the episode show the gap.
"""

import os
import queue
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import cv2
import numpy as np

from rollout.lerobot.journal import Header
from rollout.lerobot.track import FPS, Step
from rollout.lerobot.unfinished import Unfinished
from skygarden.recording.view import Shot

Taken = tuple[Shot, Step]  # a picture, and what goes with it

_ROOM: Final = 30  # frames that wait, 3 s


@dataclass(frozen=True, kw_only=True, slots=True)
class WriterConfig:
    """What is written."""

    task: str  # what the person was asked to do
    size: tuple[int, int]  # height and width of the frames that are kept
    longest: float = 300.0  # s of an episode; a longer stretch of play becomes several


class Writer:
    """Episodes that are being written; a context manager, which writes what waits before it ends.

    Raises, at its end: what stopped the thread, as a full disk does.
    """

    def __init__(self, dataset: Path, config: WriterConfig) -> None:
        self._dataset, self._config = dataset, config
        self._queue: queue.Queue[Taken | None] = queue.Queue(_ROOM)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._work, name="recording")
        self._session = f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"  # a name only: nothing is timed by it
        self.failure: Exception | None = None
        self.dropped = 0  # frames
        self.written = 0  # frames
        self.episodes = 0

    def add(self, shot: Shot, step: Step) -> None:
        """Write a frame, of any size, and its step; or drop it."""
        try:
            self._queue.put_nowait((shot, step))
        except queue.Full:
            self.dropped += 1

    def cut(self) -> None:
        """End the episode; the next frame begins another. Waits where the queue is full."""
        while self.failure is None:
            try:
                self._queue.put(None, timeout=0.1)
            except queue.Full:
                continue
            return

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._done.set()
        self._thread.join()
        if self.failure is not None and error is None:
            raise self.failure

    def _work(self) -> None:
        try:
            item = None
            while item is not None or not self._is_over():
                item = self._next() if item is None else self._episode(item)
        except Exception as error:  # told by the recorder, whatever it is
            self.failure = error

    def _is_over(self) -> bool:
        return self._done.is_set() and self._queue.empty()

    def _next(self) -> Taken | None:
        """What is to be written next; None at the end of an episode or of all."""
        while not self._is_over():
            try:
                return self._queue.get(timeout=0.1)
            except queue.Empty:
                continue
        return None

    def _episode(self, item: Taken | None) -> Taken | None:
        """Write an episode from its first frame on. Returns: the frame after it, where it was cut for its length."""
        config = self._config
        height, width = config.size
        name = f"{self._session}-{self.episodes:04d}"
        header = Header(name=name, task=config.task, fps=FPS, height=height, width=width)
        self.episodes += 1
        with Unfinished(self._dataset, header) as episode:
            for _ in range(round(config.longest * FPS)):
                if item is None:
                    return None
                shot, step = item
                pixels = shot.rgb()
                if pixels.shape[:2] != config.size:
                    pixels = np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
                episode.append(pixels, step)
                self.written += 1
                item = self._next()
        return item
