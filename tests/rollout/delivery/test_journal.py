"""Laws of the journal: what it acknowledged is on the disk, whatever stops it, and what is needed no more goes."""

import os
import random
import resource
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from envs.errors import CheckpointError, DeliveryError
from rollout.delivery.journal import Journal

ROOT = Path(__file__).parents[2]
LONG = 60.0  # seconds, which no test waits

Reports = list[tuple[bytes, int]]


def journal_of(folder: Path, reports: Reports, **options: Any) -> Path:
    """Write a journal; returns the segment."""
    with closing(Journal(folder, **options)) as journal:
        for report, assignment in reports:
            journal.add(report, assignment, lambda: None)
    return max(folder.glob("*.journal"))


def read(folder: Path, first: int = 0) -> list[bytes]:
    """The reports that somebody finds who opens the journal."""
    with closing(Journal(folder)) as journal:
        return list(journal.reports(first))


def some(count: int) -> Reports:
    """Reports of different lengths, two for each assignment."""
    return [(f"{number} ".encode() * (1 + number % 3), number // 2) for number in range(count)]


# What comes back


def test_reports_come_back_in_their_order_and_from_any_assignment_on(tmp_path: Path) -> None:
    reports = [(b"a", 4), (b"bb", 3), (b"c" * 5000, 4), (b"d", 2**64 - 1)]
    journal_of(tmp_path, reports)
    assert read(tmp_path) == [b"a", b"bb", b"c" * 5000, b"d"]
    assert read(tmp_path, 4) == [b"a", b"c" * 5000, b"d"]
    assert read(tmp_path, 5) == [b"d"]


def test_a_journal_that_is_opened_again_goes_on(tmp_path: Path) -> None:
    for reports in ([(b"a", 0), (b"b", 0)], [(b"c", 1)], [], [(b"d", 0)]):
        journal_of(tmp_path, reports)
    assert read(tmp_path) == [b"a", b"b", b"c", b"d"]


def test_a_run_has_one_name_and_no_other_has_it(tmp_path: Path) -> None:
    names = []
    for folder in ("one", "one", "two"):
        with closing(Journal(tmp_path / folder, "settings")) as journal:
            names.append(journal.run)
    assert names[0] == names[1] != names[2]


def test_the_journal_of_a_run_with_other_settings_is_refused_and_stays(tmp_path: Path) -> None:
    journal_of(tmp_path, [(b"a", 0)], identity="batches of 16")
    with pytest.raises(CheckpointError, match="a run with other settings; use another folder"):
        Journal(tmp_path, "batches of 8")
    with closing(Journal(tmp_path, "batches of 16")) as journal:
        assert list(journal.reports()) == [b"a"]


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"identity": ""}', '{"run": "ab"}', "\0" * 9])
def test_a_journal_whose_name_is_lost_is_refused(tmp_path: Path, damage: str) -> None:
    journal_of(tmp_path, [(b"a", 0)])
    (tmp_path / "run.json").write_text(damage)
    with pytest.raises(CheckpointError, match=r"run.json cannot be read"):
        Journal(tmp_path)


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DeliveryError, match=r"the journal .*file cannot be used"):
        Journal(tmp_path / "file")


# What is on the disk


class Disk:
    """A disk that takes nothing while it is busy, and writes down what it was asked to keep."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.free, self.asked = threading.Event(), Queue[str]()
        self._really = os.fsync
        patch.setattr(os, "fsync", self._fsync)

    def _fsync(self, descriptor: int) -> None:
        self.asked.put("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        assert self.free.wait(LONG)
        self._really(descriptor)


def test_nothing_is_acknowledged_before_the_disk_has_it_and_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: Queue[int] = Queue()
    with closing(Journal(tmp_path)) as journal:
        disk = Disk(monkeypatch)
        for number in range(3):
            journal.add(b"a" * 10_000, 0, lambda number=number: heard.put(number))
        assert disk.asked.get(timeout=LONG) == "folder"
        assert heard.empty()
        disk.free.set()
        assert [heard.get(timeout=LONG) for _ in range(3)] == [0, 1, 2]
        assert disk.asked.get(timeout=LONG) == "file"


def test_the_name_of_a_run_is_on_the_disk_before_anybody_hears_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch)
    disk.free.set()
    Journal(tmp_path).close()
    assert [disk.asked.get(timeout=LONG) for _ in range(2)] == ["file", "folder"]
    Journal(tmp_path).close()
    assert disk.asked.empty()


def test_closing_writes_what_waits(tmp_path: Path) -> None:
    heard: list[int] = []
    with closing(Journal(tmp_path)) as journal:
        for number in range(500):
            journal.add(b"%d" % number, number, lambda number=number: heard.append(number))
    assert heard == list(range(500))
    assert read(tmp_path) == [b"%d" % number for number in range(500)]


def test_who_reads_from_workers_waits_while_too_much_waits_for_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rollout.delivery.journal._UNWRITTEN", 100)
    with closing(Journal(tmp_path)) as journal:
        disk = Disk(monkeypatch)
        journal.add(b"a" * 60, 0, lambda: None)
        disk.asked.get(timeout=LONG)  # it is being written
        journal.add(b"b" * 60, 0, lambda: None)
        journal.wait_for_room()
        journal.add(b"c" * 60, 0, lambda: None)
        waits = threading.Thread(target=journal.wait_for_room, daemon=True)
        waits.start()
        waits.join(0.2)
        assert waits.is_alive()
        disk.free.set()
        waits.join(LONG)
        assert not waits.is_alive()


JOURNALS = """
import os, random, sys
from pathlib import Path
import rollout.delivery.journal as journal
journal._SEGMENT, journal._UNWRITTEN = 20_000, 10_000
seed, first = int(sys.argv[2]), int(sys.argv[3])
moods, kept, done = random.Random(seed), journal.Journal(Path(sys.argv[1])), [0]
def acknowledge(number):
    os.write(1, b"%d\\n" % number)
    done.append(number)
for number in range(first, first + 100_000):
    report = b"%d " % number * moods.randrange(1, 300)
    kept.add(report, number // 10, lambda n=number: acknowledge(n))
    if moods.random() < 0.01:
        kept.forget(done[-1] // 10 - 20)
    kept.wait_for_room()
"""


def test_a_learner_that_is_killed_finds_all_that_it_acknowledged(tmp_path: Path) -> None:
    moods, first, forgot = random.Random(7), 0, False
    for seed in range(8):
        command = [sys.executable, "-c", JOURNALS, str(tmp_path), str(seed), str(first)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as child:
            assert child.stdout
            lines = [child.stdout.readline() for _ in range(moods.randrange(1, 600))]
            child.kill()
            lines += child.stdout.read().splitlines(keepends=True)
        acknowledged = [int(line) for line in lines if line.endswith(b"\n")]
        assert acknowledged == list(range(first, acknowledged[-1] + 1))
        found = [{*report.split()} for report in read(tmp_path)]
        assert all(len(numbers) == 1 for numbers in found)  # whole
        there = [int(numbers.pop()) for numbers in found]
        assert there == list(range(there[0], there[-1] + 1))
        assert there[0] <= max(0, 10 * (acknowledged[-1] // 10 - 20))
        assert there[-1] >= acknowledged[-1]
        first, forgot = there[-1] + 1, forgot or there[0] > 0
    assert forgot


@pytest.mark.parametrize("extra", [b"", b"\0" * 100, b"\xff" * 100], ids=["nothing", "zeros", "ones"])
def test_a_journal_that_was_cut_off_anywhere_gives_what_is_whole_and_goes_on(tmp_path: Path, extra: bytes) -> None:
    reports = some(6)
    segment = journal_of(tmp_path, reports)
    data = segment.read_bytes()
    ends = [sum(16 + len(report) for report, _ in reports[:count]) for count in range(len(reports) + 1)]
    assert ends[-1] == len(data)
    for cut in range(len(data) + 1):
        segment.write_bytes(data[:cut] + extra)
        whole = [report for (report, _), end in zip(reports, ends[1:], strict=True) if end <= cut]
        after = journal_of(tmp_path, [(b"new", 9)])
        assert after != segment
        assert read(tmp_path) == [*whole, b"new"]
        assert read(tmp_path, 9) == [b"new"]
        after.unlink()


def test_pages_that_were_never_written_are_no_reports(tmp_path: Path) -> None:
    segment = journal_of(tmp_path, some(4))
    whole = segment.read_bytes()
    for start in (0, 16, len(whole) - 1, len(whole)):
        segment.write_bytes(whole[:start] + bytes(4096 + len(whole) - start))
        assert read(tmp_path) == [report for report, _ in some(4)][: {0: 0, 16: 0, len(whole): 4}.get(start, 3)]


def test_a_byte_that_changed_ends_the_journal_before_it(tmp_path: Path) -> None:
    reports = some(5)
    segment = journal_of(tmp_path, reports)
    whole = segment.read_bytes()
    ends = [sum(16 + len(report) for report, _ in reports[:count]) for count in range(1, len(reports) + 1)]
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 8
        segment.write_bytes(damaged)
        assert read(tmp_path) == [report for (report, _), end in zip(reports, ends, strict=True) if end <= place]


# What goes


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A segment has room for one report."""
    monkeypatch.setattr("rollout.delivery.journal._SEGMENT", 1)


def write_each(journal: Journal, reports: Reports) -> None:
    """Add reports, each when the one before is on the disk: so that each has a segment where these are small."""
    for report, assignment in reports:
        written = threading.Event()
        journal.add(report, assignment, written.set)
        assert written.wait(LONG)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("again", [False, True])
def test_forgetting_leaves_what_is_needed_and_removes_the_rest(tmp_path: Path, again: bool) -> None:
    reports = [(b"a", 0), (b"b", 5), (b"c", 1), (b"d", 4), (b"e", 2), (b"f", 0)]
    journal = Journal(tmp_path)
    write_each(journal, reports)
    if again:
        journal.close()
        journal = Journal(tmp_path)
    journal.forget(3)
    journal.close()
    assert read(tmp_path) == ([b"b", b"d"] if again else [b"b", b"d", b"f"])  # f is where it would go on writing


def test_a_segment_stays_whole_as_long_as_one_of_its_reports_is_needed(tmp_path: Path) -> None:
    segment = journal_of(tmp_path, [(b"a", 0), (b"b", 7), (b"c", 1)])
    for below, there in ((1, True), (7, True), (8, False)):
        with closing(Journal(tmp_path)) as journal:
            journal.forget(below)
        assert segment.exists() == there


@pytest.mark.usefixtures("small")
def test_a_journal_that_is_kept_forgets_nothing(tmp_path: Path) -> None:
    reports = some(6)
    with closing(Journal(tmp_path, keep=True)) as journal:
        write_each(journal, reports)
        journal.forget(100)
    with closing(Journal(tmp_path, keep=True)) as journal:
        journal.forget(100)
    assert read(tmp_path) == [report for report, _ in reports]


@pytest.mark.usefixtures("small")
def test_a_journal_of_which_all_was_forgotten_goes_on(tmp_path: Path) -> None:
    journal_of(tmp_path, [(b"a", 0)])
    with closing(Journal(tmp_path)) as journal:
        journal.forget(1)
    assert read(tmp_path) == []
    journal_of(tmp_path, [(b"b", 1)])
    assert read(tmp_path) == [b"b"]


# A disk that takes no more


FILLS = """
import os, resource, sys
from pathlib import Path
from rollout.delivery.journal import Journal
journal = Journal(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
failed = []
journal.on_failure(failed.append)
for number in range(100):
    journal.add(b"%d " % number * 500, 0, lambda n=number: print(n, flush=True))
journal.close()
journal.wait_for_room()
print(*failed)
"""


def test_a_full_disk_gives_the_reason_and_acknowledges_nothing_that_is_not_there(tmp_path: Path) -> None:
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    command = [sys.executable, "-c", FILLS, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    *acknowledged, reason = done.stdout.splitlines()
    assert reason == (
        f"the journal {tmp_path} cannot be written: [Errno 27] File too large; free some space and start again"
    )
    assert done.stderr == ""
    there = [int(report.split()[0]) for report in read(tmp_path)]
    assert there == list(range(len(there)))
    assert [int(number) for number in acknowledged] == there[: len(acknowledged)]
    assert len(there) < 40


def failing(journal: Journal, patch: pytest.MonkeyPatch, fails: Callable[[int], None]) -> str:
    """Have the disk fail and a report added; returns the reason that is given."""
    reasons: Queue[str] = Queue()
    journal.on_failure(reasons.put)
    patch.setattr(os, "fsync", fails)
    journal.add(b"a" * 50, 0, lambda: pytest.fail("what is not on the disk is not acknowledged"))
    return reasons.get(timeout=LONG)


def test_a_disk_that_fails_lets_go_of_whoever_waits_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rollout.delivery.journal._UNWRITTEN", 0)

    def fails(_: int) -> None:
        raise OSError(28, "No space left on device")

    with closing(Journal(tmp_path)) as journal:
        reason = failing(journal, monkeypatch, fails)
        assert "No space left on device" in reason
        journal.add(b"b", 0, lambda: pytest.fail("nor is what comes later"))
        journal.wait_for_room()
