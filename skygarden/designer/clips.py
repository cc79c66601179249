"""Trajectories as videos: each is drawn once, from its seed and actions, and kept beside the answers."""

import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final

from envs.episode import Episode
from skygarden.film import pictures
from skygarden.video import write_video

SIZE: Final = 256  # pixels: what the agent sees with 128, for a person's eye


class Clips:
    """The videos of some episodes.

    Args: folder: where they are kept; name it by the episodes' hash.
    """

    def __init__(self, episodes: Sequence[Episode], folder: Path) -> None:
        self._episodes, self._folder = episodes, folder
        folder.mkdir(parents=True, exist_ok=True)
        self._pool = ThreadPoolExecutor(1, "clips")
        self._lock = threading.Lock()
        self._coming: dict[int, Future[Path]] = {}

    def prepare(self, indices: Iterable[int]) -> None:
        """Make videos in the background, where they are not there."""
        for index in indices:
            self._ask_for(index)

    def video(self, index: int) -> Path:
        """The file of an episode's video, made when it is not there.

        Raises: IndexError: there is no such episode. OSError: the file cannot be written.
        """
        if not 0 <= index < len(self._episodes):
            raise IndexError(f"there is no trajectory {index}; there are {len(self._episodes)}")
        return self._ask_for(index).result()

    def close(self) -> None:
        """Wait for the one being made and forget the others."""
        self._pool.shutdown(cancel_futures=True)

    def _ask_for(self, index: int) -> Future[Path]:
        with self._lock:
            known = self._coming.get(index)
            # One that failed, or whose file is gone, is made again.
            if known is None or (known.done() and (known.exception() or not known.result().exists())):
                known = self._coming[index] = self._pool.submit(self._made, index)
            return known

    def _made(self, index: int) -> Path:
        path = self._folder / f"{index:06d}.mp4"
        if not path.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            write_video(path, pictures(self._episodes[index], SIZE), effort="ultrafast")
        return path
