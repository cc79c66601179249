"""What the learner took in, on its disk before it says so.

Reports are appended to segments and flushed to the disk many at a time: whoever sent one hears of it when it is there.
A learner that was killed finds here what was played for the updates that its last checkpoint does not hold, and nothing
is played twice. A segment goes when a checkpoint holds all that followed from it, unless the journal is kept whole:
then a run can be learnt again from it, bit for bit.
"""

import json
import logging
import os
import secrets
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from struct import Struct
from typing import IO, Final

from envs.errors import CheckpointError, DeliveryError
from rollout.delivery.disk import sync_file, sync_names

_HEADER: Final = Struct("<IIQ")  # bytes of the report, CRC-32, the assignment that it belongs to
_SUFFIX: Final = ".journal"
_SEGMENT: Final = 64 * 2**20  # bytes after which another is begun
_UNWRITTEN: Final = 64 * 2**20  # bytes that may wait for the disk

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Segment:
    path: Path
    newest: int  # assignment of which it has a report


class Journal:
    """The journal of a run.

    Args: folder: made where it is not there. identity: of the run: what is learnt, from what, and how. keep: whether
      nothing is ever forgotten.
    Raises: DeliveryError: the folder cannot be used. CheckpointError: it has the journal of another run.
    """

    def __init__(self, folder: Path, identity: str = "", *, keep: bool = False) -> None:
        self._folder, self._keep = folder, keep
        self._failed: Callable[[str], None] = log.error
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.run: Final = _name_of_run(folder / "run.json", identity)
        except OSError as error:
            raise DeliveryError(f"the journal {folder} cannot be used: {error}") from error
        self._segments = [_Segment(path, _newest(path)) for path in sorted(folder.glob(f"*{_SUFFIX}"))]
        self._changed = threading.Condition()
        self._waiting: list[tuple[bytes, int, Callable[[], None]]] = []
        self._bytes = 0  # that wait
        self._forget = -1  # assignments below this one
        self._closed = False
        self._file: IO[bytes] | None = None
        self._thread = threading.Thread(target=self._write_all, name="journal", daemon=True)
        self._thread.start()

    def on_failure(self, failed: Callable[[str], None]) -> None:
        """Have somebody told the reason if the disk takes no more; nothing is acknowledged after that."""
        self._failed = failed

    def reports(self, first: int = 0) -> Iterator[bytes]:
        """The reports of assignments from `first` on that were there when the journal was opened, in their order."""
        for segment in list(self._segments):
            for report, assignment in read_segment(segment.path):
                if assignment >= first:
                    yield report

    def add(self, report: bytes, assignment: int, then: Callable[[], None]) -> None:
        """Append a report; `then` is called from another thread when it is on the disk."""
        with self._changed:
            self._waiting.append((report, assignment, then))
            self._bytes += len(report)
            self._changed.notify_all()

    def wait_for_room(self) -> None:
        """Wait while more waits for the disk than memory should hold."""
        with self._changed:
            self._changed.wait_for(lambda: self._bytes <= _UNWRITTEN or self._closed)

    def forget(self, below: int) -> None:
        """A checkpoint holds what followed from the assignments below this one."""
        with self._changed:
            self._forget = below
            self._changed.notify_all()

    def close(self) -> None:
        """Write what waits, and stop."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _write_all(self) -> None:
        try:
            while self._write():
                pass
        except OSError as error:
            with self._changed:
                self._closed = True
                self._changed.notify_all()
            self._failed(f"the journal {self._folder} cannot be written: {error}; free some space and start again")
        finally:
            if self._file:
                with suppress(OSError):  # it tries once more to write what it could not
                    self._file.close()

    def _write(self) -> bool:
        """Write what waits; returns whether there may be more."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed or self._forget > 0)
            batch, self._waiting = self._waiting, []
            self._bytes = 0
            below, self._forget = self._forget, -1
            closed = self._closed
            self._changed.notify_all()
        if batch:
            self._append([(report, assignment) for report, assignment, _ in batch])
            for _, _, then in batch:
                then()
        if below > 0 and not self._keep:
            self._remove(below)
        return bool(batch) or not closed

    def _append(self, reports: list[tuple[bytes, int]]) -> None:
        file = self._open_segment()
        for report, assignment in reports:
            file.write(_HEADER.pack(len(report), _checksum(report, assignment), assignment))
            file.write(report)
        sync_file(file)
        segment = self._segments[-1]
        segment.newest = max(segment.newest, *(assignment for _, assignment in reports))

    def _open_segment(self) -> IO[bytes]:
        """The segment to write to: never one that was there before, whose end may have been cut off."""
        if self._file is None or self._file.tell() >= _SEGMENT:
            if self._file:
                self._file.close()
            number = int(self._segments[-1].path.stem) + 1 if self._segments else 0
            self._segments.append(_Segment(self._folder / f"{number:08d}{_SUFFIX}", -1))
            self._file = self._segments[-1].path.open("xb")
            sync_names(self._folder)
        return self._file

    def _remove(self, below: int) -> None:
        current = self._segments[-1] if self._file else None
        for segment in [segment for segment in self._segments if segment is not current and segment.newest < below]:
            segment.path.unlink(missing_ok=True)
            self._segments.remove(segment)


def read_segment(path: Path) -> Iterator[tuple[bytes, int]]:
    """The reports of a segment and their assignments, up to where it was cut off."""
    with path.open("rb") as file:
        while header := file.read(_HEADER.size):
            start = file.tell() - len(header)
            size, checksum, assignment = _HEADER.unpack(header.ljust(_HEADER.size, b"\0"))
            report = file.read(size)
            if len(report) != size or _checksum(report, assignment) != checksum:
                log.warning("%s ends at byte %d: the learner was stopped while it wrote", path, start)
                return
            yield report, assignment


def _checksum(report: bytes, assignment: int) -> int:
    """Of all that a header tells; it is not 0 for nothing, which is what a page holds that was never written."""
    return zlib.crc32(report, zlib.crc32(assignment.to_bytes(8, "little")))


def _newest(path: Path) -> int:
    """The newest assignment of which a segment has a report, from the headers alone."""
    newest, size = -1, path.stat().st_size
    with path.open("rb") as file:
        while len(header := file.read(_HEADER.size)) == _HEADER.size:
            length, _, assignment = _HEADER.unpack(header)
            if file.seek(length, os.SEEK_CUR) > size:
                break
            newest = max(newest, assignment)
    return newest


def _name_of_run(path: Path, identity: str) -> str:
    """What tells this run from every other; made when it begins."""
    if not path.exists():
        partial = path.with_suffix(".partial")
        with partial.open("wb") as file:
            file.write(json.dumps({"run": secrets.token_hex(8), "identity": identity}).encode())
            sync_file(file)
        partial.replace(path)
        sync_names(path.parent)
    try:
        known = json.loads(path.read_bytes())
        name, learnt = str(known["run"]), known["identity"]
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path} cannot be read ({error!r}): it is damaged; use another folder") from error
    if learnt != identity:
        raise CheckpointError(f"{path.parent} holds the journal of a run with other settings; use another folder")
    return name
