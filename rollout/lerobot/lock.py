"""One recorder a dataset: a lock on a file that the system takes from a process when it dies."""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from envs.errors import DataError

_LOCK: Final = ".recorder"


@contextmanager
def claim(dataset: Path) -> Generator[None, None, None]:
    """Be the only one who writes to a dataset, whose folder is made where it is missing.

    Raises: DataError: another process writes to it.
    """
    dataset.mkdir(parents=True, exist_ok=True)
    with (dataset / _LOCK).open("ab") as file:  # closing it lets go of the lock
        if not _take(file):
            raise DataError(f"another recorder is at work in {dataset}; wait for it, or give another folder")
        yield


if sys.platform == "win32":
    import msvcrt

    def _take(file: IO[bytes]) -> bool:
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _take(file: IO[bytes]) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True
