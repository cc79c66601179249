"""Episodes that are being recorded, and what is left of those whose recorder died: DATASET/.unfinished/NAME/.

Whoever writes or finishes one has claimed the dataset, see `lock`.
"""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from envs.errors import DataError
from rollout.lerobot.dataset import Dataset, Episode
from rollout.lerobot.film import Film, Frame, copy_film, cut_torn
from rollout.lerobot.journal import Header, Journal, read_journal
from rollout.lerobot.track import Step

_FOLDER: Final = ".unfinished"
_JOURNAL: Final = "journal"
_FILM: Final = "film.mp4"


class Unfinished:
    """An episode that is being recorded; a context manager."""

    def __init__(self, dataset: Path, header: Header) -> None:
        folder = dataset / _FOLDER / header.name
        folder.mkdir(parents=True)
        with ExitStack() as stack:
            self._journal = stack.enter_context(Journal(folder / _JOURNAL, header))
            self._film = stack.enter_context(Film(folder / _FILM, (header.height, header.width), header.fps))
            self._stack = stack.pop_all()

    def append(self, frame: Frame, step: Step) -> None:
        """Add a frame, (height, width, 3) uint8, and its step. Raises: DataError: the frame is of another size."""
        self._film.append(frame)
        self._journal.append(step)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.close()


def finish(dataset: Path) -> Iterator[tuple[str, int | str]]:
    """Make episodes of all that is unfinished, oldest first.

    Yields: each one's name, and how many steps it has; or why nothing could be made of it. Then its folder stays where
    it is, unless nothing was in it.
    """
    for folder in sorted(path for path in (dataset / _FOLDER).glob("*") if path.is_dir()):
        try:
            steps = _finish(dataset, folder)
        except DataError as error:
            yield folder.name, f"{error}; see {folder}"
            continue
        shutil.rmtree(folder)
        yield folder.name, steps or "nothing was recorded in it"


def _finish(dataset: Path, folder: Path) -> int:
    """Add what is whole of an unfinished episode to its dataset, once. Returns: its steps, perhaps none."""
    journal, film = folder / _JOURNAL, folder / _FILM
    if not journal.exists() or not film.exists():
        return 0
    header, track = read_journal(journal)
    cut_torn(film)
    if not len(track) or not film.stat().st_size:
        return 0
    whole = Dataset.open_or_create(dataset, header.fps, (header.height, header.width))
    known = whole.find(header.name)
    if known is not None:  # the recorder died between adding it and removing its folder
        return known.length
    copy = folder / "whole.mp4"
    frames = copy_film(film, copy, len(track))
    if frames:
        whole.append(Episode(header.name, header.task, track.first(frames)), copy)
    return frames
