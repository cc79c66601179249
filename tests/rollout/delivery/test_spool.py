"""Laws of the spool: what it was given is there whole until it is answered, whatever happens to the process."""

import errno
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from envs.errors import DeliveryError
from rollout.delivery.keys import Key
from rollout.delivery.spool import Spool

PATIENCE = 30.0  # seconds, which no test waits

# Adds reports as fast as it can, and says after each that it is there.
WRITER = """
import random, sys
from pathlib import Path
from rollout.delivery.keys import Key
from rollout.delivery.spool import Spool
spool = Spool(Path(sys.argv[1]), "ann")
incarnation = int(sys.argv[2])
print("begun", flush=True)
for sequence in range(10**6):
    spool.add(Key("ann", incarnation, sequence), random.Random(f"{incarnation} {sequence}").randbytes(200_000))
    print(sequence, flush=True)
"""


def report(incarnation: int, sequence: int, size: int = 200_000) -> bytes:
    """A report that follows from its key."""
    return random.Random(f"{incarnation} {sequence}").randbytes(size)


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """An empty one of ann's."""
    return Spool(tmp_path / "spool", "ann")


def keys(*numbers: tuple[int, int]) -> list[Key]:
    """Keys of ann's by incarnation and sequence."""
    return [Key("ann", *pair) for pair in numbers]


def names(folder: Path) -> list[str]:
    """The files of a folder."""
    return sorted(path.name for path in folder.iterdir() if path.is_file())


# What is kept


def test_what_was_added_can_be_read_until_it_is_removed(spool: Spool) -> None:
    first, second = keys((1, 0), (1, 1))
    spool.add(first, b"one")
    spool.add(second, b"two")
    assert (len(spool), spool.waiting) == (2, [first, second])
    assert (spool.read(first), spool.read(second), spool.read(first)) == (b"one", b"two", b"one")
    spool.remove(first)
    spool.remove(first)
    assert spool.waiting == [second]
    assert names(spool.folder) == ["00000000000000000001-0000000001.report"]


def test_who_comes_after_finds_it_in_its_order_the_oldest_first(spool: Spool) -> None:
    for incarnation, sequence in [(9, 10), (9, 9), (10, 2), (10, 0), (1791, 100)]:
        spool.add(Key("ann", incarnation, sequence), report(incarnation, sequence, 10))
    after = Spool(spool.folder, "ann")
    assert after.waiting == keys((9, 9), (9, 10), (10, 0), (10, 2), (1791, 100))
    assert [after.read(key) for key in after.waiting] == [report(k.incarnation, k.sequence, 10) for k in after.waiting]


def test_what_is_waiting_is_a_copy(spool: Spool) -> None:
    spool.add(Key("ann", 1, 0), b"one")
    spool.waiting.clear()
    assert len(spool) == 1


def test_what_was_refused_is_kept_apart_and_not_found_again(spool: Spool) -> None:
    first, second = keys((1, 0), (1, 1))
    spool.add(first, b"one")
    spool.add(second, b"two")
    spool.set_aside(first)
    spool.set_aside(first)
    assert spool.waiting == [second]
    assert names(spool.folder / "refused") == ["00000000000000000001-0000000000.report"]
    assert (spool.folder / "refused" / "00000000000000000001-0000000000.report").read_bytes()[4:] == b"one"
    assert Spool(spool.folder, "ann").waiting == [second]


# What is damaged


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "checksum", "gone"])
def test_a_damaged_report_is_set_aside_and_the_others_are_read(
    spool: Spool, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = keys((1, 0), (1, 1))
    spool.add(first, report(1, 0))
    spool.add(second, b"two")
    path = spool.folder / "00000000000000000001-0000000000.report"
    data = path.read_bytes()
    made = {
        "cut": data[:-1],
        "flipped": data[:1000] + bytes([data[1000] ^ 1]) + data[1001:],
        "empty": b"",
        "checksum": data[:4],
    }
    path.write_bytes(made[damage]) if damage in made else path.unlink()
    after = Spool(spool.folder, "ann")
    assert spool.read(first) is None
    assert spool.waiting == [second]
    assert spool.read(second) == b"two"
    assert "episode 0 cannot be read" in caplog.text
    assert not path.exists()
    if damage in made:
        assert (spool.folder / "damaged" / path.name).read_bytes() == made[damage]
        assert after.waiting == [first, second]
    assert Spool(spool.folder, "ann").waiting == [second]


def test_what_was_half_written_goes_and_what_is_none_of_ours_stays(spool: Spool) -> None:
    spool.add(Key("ann", 1, 0), b"one")
    (spool.folder / "00000000000000000001-0000000001.partial").write_bytes(b"tw")
    (spool.folder / "notes.txt").write_text("a person's")
    (spool.folder / "a copy.report").write_text("a person's too")
    assert Spool(spool.folder, "ann").waiting == keys((1, 0))
    assert names(spool.folder) == ["00000000000000000001-0000000000.report", "a copy.report", "notes.txt"]


@pytest.mark.slow
def test_killed_at_any_moment_a_report_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    """And whatever was said to be there is."""
    rng = random.Random(0)
    promised: dict[int, int] = {}
    for incarnation in range(1, 6):
        command = [sys.executable, "-c", WRITER, str(tmp_path), str(incarnation)]
        writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        assert writer.stdout.readline() == "begun\n"
        time.sleep(rng.uniform(0, 0.1))
        writer.kill()
        said = writer.stdout.read().split("\n")[:-1]
        writer.stdout.close()
        assert writer.wait(PATIENCE) == -signal.SIGKILL
        promised[incarnation] = len(said)
        spool = Spool(tmp_path, "ann")
        assert not list(tmp_path.glob("*.partial"))
        found = [key.sequence for key in spool.waiting if key.incarnation == incarnation]
        assert found == list(range(len(found)))
        assert len(said) <= len(found) <= len(said) + 1
    spool = Spool(tmp_path, "ann")
    for key in spool.waiting:
        assert spool.read(key) == report(key.incarnation, key.sequence)
    assert sum(promised.values()) > 0


# What goes wrong


def test_a_full_disk_says_so_and_leaves_nothing_half(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    spool.add(Key("ann", 1, 0), b"one")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(DeliveryError, match=r"cannot be kept in .*No space left on device; free some space"):
            spool.add(Key("ann", 1, 1), b"two")
    assert spool.waiting == keys((1, 0))
    assert names(spool.folder) == ["00000000000000000001-0000000000.report"]
    spool.add(Key("ann", 1, 2), b"three")
    assert Spool(spool.folder, "ann").waiting == keys((1, 0), (1, 2))


def test_a_folder_that_cannot_be_used_says_so(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("a file")
    with pytest.raises(DeliveryError, match=r"cannot be used: .*; choose another with --spool"):
        Spool(tmp_path / "spool", "ann")


@pytest.mark.parametrize("answer", ["removed", "refused", "damaged"])
def test_a_disk_that_lets_nothing_be_moved_is_no_reason_to_stop(
    spool: Spool, answer: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The report is sent again when the worker starts again, and answered as a repeat."""
    (key,) = keys((1, 0))
    spool.add(key, b"one")
    path = spool.folder / "00000000000000000001-0000000000.report"

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    for name in ("replace", "unlink", "mkdir"):
        monkeypatch.setattr(Path, name, refuse)
    if answer == "removed":
        spool.remove(key)
    elif answer == "refused":
        spool.set_aside(key)
    else:
        path.write_bytes(b"none")
        assert spool.read(key) is None
    monkeypatch.undo()
    assert spool.waiting == []
    assert "Read-only file system" in caplog.text
    assert Spool(spool.folder, "ann").waiting == [key]
