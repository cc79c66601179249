"""Places for games on a machine, each held by a file lock.

The system lets go of a lock when the last process that has it open ends, however it ends: so no two games ever get the
same display or GPU, not when they belong to two runs and not after anything was killed.
"""

import fcntl
import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Slot:
    """A place that is held."""

    number: int  # from 0
    descriptor: int  # of the lock's file: a process that has it too holds the place too


def slots_folder() -> Path:
    """Where this user's locks are on this machine."""
    return Path(tempfile.gettempdir()) / f"skygarden-slots-{os.getuid()}"


@contextmanager
def free_slot(count: int, folder: Path) -> Generator[Slot | None]:
    """Hold the first free one of `count` slots; None if there is none."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    slot = next((slot for number in range(count) if (slot := _take(folder, number)) is not None), None)
    try:
        yield slot
    finally:
        if slot is not None:
            os.close(slot.descriptor)


def _take(folder: Path, number: int) -> Slot | None:
    descriptor = os.open(folder / f"{number}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return Slot(number, descriptor)
