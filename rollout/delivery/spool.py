"""Reports that wait on a worker's disk until the learner has answered them.

An episode of a real game costs ten seconds, and the learner may be away for an hour. A report is on the disk before it
is sent, and leaves it when the learner says that it is on its own. What the learner refuses is set aside and kept: it
is of no use to the run, and was played all the same.
"""

import logging
import re
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Final

from envs.errors import DeliveryError
from rollout.delivery.disk import sync_file, sync_names
from rollout.delivery.keys import Key

_SUFFIX: Final = ".report"
_NAME: Final = re.compile(r"([0-9]{20})-([0-9]{10,20})\.report")  # incarnation and sequence
_REFUSED: Final = "refused"
_DAMAGED: Final = "damaged"

log = logging.getLogger(__name__)


class Spool:
    """The reports of one worker for one run, as files named after their keys.

    Args: folder: of this worker and this run; made where it is not there.
    Raises: DeliveryError: the folder cannot be used.
    """

    def __init__(self, folder: Path, worker: str) -> None:
        self.folder: Final = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for path in folder.glob("*.partial"):  # the worker was killed while it wrote
                path.unlink(missing_ok=True)
            names = (_NAME.fullmatch(path.name) for path in folder.glob(f"*{_SUFFIX}"))
            found = sorted((int(name[1]), int(name[2])) for name in names if name)
            self._waiting = [Key(worker, *numbers) for numbers in found]
        except OSError as error:
            raise DeliveryError(f"the spool {folder} cannot be used: {error}; choose another with --spool") from error

    @property
    def waiting(self) -> list[Key]:
        """The keys of what is not answered yet, oldest first."""
        return list(self._waiting)

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, key: Key, report: bytes) -> None:
        """Keep a report; it is on the disk when this returns.

        Raises: DeliveryError: it cannot be written, for one because the disk is full.
        """
        path = self._path(key)
        partial = path.with_suffix(".partial")
        try:
            with partial.open("wb") as file:
                file.write(zlib.crc32(report).to_bytes(4, "little"))
                file.write(report)
                sync_file(file)
            partial.replace(path)
            sync_names(self.folder)
        except OSError as error:
            with suppress(OSError):
                partial.unlink(missing_ok=True)
            raise DeliveryError(
                f"a finished episode cannot be kept in {self.folder}: {error}; free some space, and start again"
            ) from error
        self._waiting.append(key)

    def read(self, key: Key) -> bytes | None:
        """A report that waits; one that was damaged is set aside, and None."""
        try:
            data = self._path(key).read_bytes()
        except OSError as error:
            data, reason = b"", str(error)
        else:
            reason = "it is damaged"
        if len(data) > 4 and int.from_bytes(data[:4], "little") == zlib.crc32(data[4:]):
            return data[4:]
        log.error("episode %d cannot be read from %s: %s", key.sequence, self.folder, reason)
        self._leave(key, _DAMAGED)
        return None

    def remove(self, key: Key) -> None:
        """A report is where it was to go."""
        if key in self._waiting:
            self._waiting.remove(key)
            try:
                self._path(key).unlink(missing_ok=True)
            except OSError as error:  # sent once more at the next start, and answered as a repeat
                log.warning("episode %d cannot be removed from %s: %s", key.sequence, self.folder, error)

    def set_aside(self, key: Key) -> None:
        """A report was refused: it is kept in the folder `refused`."""
        self._leave(key, _REFUSED)

    def _leave(self, key: Key, folder: str) -> None:
        if key in self._waiting:
            self._waiting.remove(key)
            path = self._path(key)
            aside = self.folder / folder
            try:
                aside.mkdir(exist_ok=True)
                if path.exists():
                    path.replace(aside / path.name)
            except OSError as error:  # as above
                log.warning("episode %d cannot be moved to %s: %s", key.sequence, aside, error)

    def _path(self, key: Key) -> Path:
        return self.folder / f"{key.incarnation:020d}-{key.sequence:010d}{_SUFFIX}"
