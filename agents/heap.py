"""Memory that a training step frees is kept for the next one.

Of the hundreds of megabytes that a step frees, glibc gives most back to the system, which clears each page before it
hands it out again, while the other threads wait for a page of theirs: a twentieth of a step on two processors.
"""

import ctypes
import platform
from typing import Final

# From glibc's malloc.h. An arena grows by M_TOP_PAD and shrinks where more than M_TRIM_THRESHOLD is free; what is as
# large as M_MMAP_THRESHOLD is the system's anyway, and this is the most that it can be.
_TRIM_THRESHOLD: Final = -1, (1 << 31) - 1
_TOP_PAD: Final = -2, 64 << 20
_MMAP_THRESHOLD: Final = -3, 32 << 20


def keep_freed_memory() -> None:
    """Let this process keep what it frees, from now on; without glibc nothing changes."""
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        for option in (_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD):
            libc.mallopt(*option)
