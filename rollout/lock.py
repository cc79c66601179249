"""One process a folder: a lock on a file that the system takes from a process when it dies."""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from envs.errors import DataError

_LOCK: Final = ".lock"


@contextmanager
def claim(folder: Path, who: str) -> Generator[None, None, None]:
    """Be the only one who writes to a folder, which is made where it is missing.

    Args: who: may be only one, for the error.
    Raises: DataError: another process writes to it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _LOCK).open("ab") as file:  # closing it lets go of the lock
        if not _take(file):
            raise DataError(f"another {who} is at work in {folder}; wait for it, or give another folder")
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
