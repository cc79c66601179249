"""What a process frees is its own from then on."""

import platform
import subprocess
import sys

import pytest

ROUNDS = """
import resource
import sys
import numpy as np
from agents.heap import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [np.empty(16 << 20, np.uint8) for _ in range(8)]
    for block in blocks:
        block[:] = 1
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

if sys.argv[1] == "kept":
    keep_freed_memory()
print(faults(), faults(), faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="asks glibc")
def test_memory_that_was_freed_is_used_again_without_asking_for_its_pages():
    counts: dict[str, list[int]] = {}
    for way in ("kept", "given back"):
        done = subprocess.run(
            [sys.executable, "-c", ROUNDS, way], capture_output=True, text=True, timeout=60, check=True
        )
        counts[way] = [int(count) for count in done.stdout.split()]
    first, *later = counts["kept"]
    assert first > 0
    assert max(later) <= first / 10
    assert min(counts["given back"]) > 10 * max(later)
