"""Laws of workers as processes: they get their tokens, are watched, started again, given up and ended."""

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from envs.errors import DeliveryError
from rollout.delivery.assignment import Assignment, Contract
from rollout.desk import Desk
from rollout.processes import RESTARTS, TOKEN, WorkerProcesses

TOKENS = {"ann": "token-of-ann", "bob": "token-of-bob"}
PATIENCE = 20.0  # seconds, which no test waits

Start = Callable[..., WorkerProcesses]


@pytest.fixture
def desk() -> Desk:
    """A desk with something to wait for."""
    desk = Desk(Contract(trunk="ab", width=2, reads="features", context="chunked", temperature=1.0))
    desk.post(Assignment(number=0, version=0, seeds=(1,), sampling_seed=0))
    return desk


@pytest.fixture
def start(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Start workers that run a script, which are looked at often and killed at once."""
    monkeypatch.setattr("rollout.processes._LOOK", 0.02)
    monkeypatch.setattr("rollout.processes._LEAVE", 0.02)
    started: list[WorkerProcesses] = []

    def run(script: str, *names: str) -> WorkerProcesses:
        tokens = {name: TOKENS[name] for name in names}
        started.append(WorkerProcesses(desk, [sys.executable, "-I", "-S", "-c", script], tokens, tmp_path))
        return started[-1]

    yield run
    for workers in started:
        workers.close()


def until(holds: Callable[[], bool]) -> None:
    """Look again and again until something holds."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_worker_finds_its_token_in_its_environment_and_nobody_sees_it_on_the_command_line(
    start: Start, tmp_path: Path
) -> None:
    script = f"import json, os, sys, time; print(json.dumps([os.environ[{TOKEN!r}], sys.argv])); sys.stdout.flush(); "
    workers = start(f"{script}time.sleep(60)", "ann", "bob")
    logs = [tmp_path / "ann.log", tmp_path / "bob.log"]
    until(lambda: all(log.read_text().endswith("\n") for log in logs))
    assert [json.loads(log.read_text()) for log in logs] == [[TOKENS[name], ["-c", name]] for name in TOKENS]
    assert len(workers.pids) == 2
    for pid in workers.pids:
        assert not any("token-of" in argument for argument in psutil.Process(pid).cmdline())


def test_what_a_worker_says_goes_to_its_log_after_what_was_there(start: Start, tmp_path: Path) -> None:
    (tmp_path / "ann.log").write_text("before\n")
    script = "import os, time; os.write(1, b'out\\n'); os.write(2, b'err\\n'); assert not os.read(0, 1); time.sleep(60)"
    start(script, "ann")
    until(lambda: (tmp_path / "ann.log").read_text() == "before\nout\nerr\n")


@pytest.mark.parametrize("status", [0, 3])
def test_a_worker_that_dies_too_often_ends_the_waiting(
    start: Start, desk: Desk, tmp_path: Path, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    start(f"import os; os.write(1, b'a life\\n'); os._exit({status})", "ann")
    with pytest.raises(DeliveryError) as error:
        desk.wait([0], PATIENCE)
    assert str(error.value) == f"worker ann died 4 times (last with status {status}); see {tmp_path}/ann.log"
    assert (tmp_path / "ann.log").read_text() == "a life\n" * (RESTARTS + 1)
    said = f"worker ann died with status {status} and is started again"
    assert [record.getMessage() for record in caplog.records] == [said] * RESTARTS


def test_lives_are_counted_for_each_worker(start: Start, desk: Desk, tmp_path: Path) -> None:
    script = "import os, sys, time; sys.argv[1] == 'ann' and time.sleep(60); os.write(1, b'a life\\n'); os._exit(7)"
    workers = start(script, "ann", "bob")
    (ann, _) = workers.pids
    with pytest.raises(DeliveryError, match=r"worker bob died 4 times \(last with status 7\)"):
        desk.wait([0], PATIENCE)
    assert workers.pids[0] == ann
    assert psutil.pid_exists(ann)
    assert (tmp_path / "ann.log").read_text() == ""


def test_a_worker_that_was_started_again_has_its_token_still(start: Start, tmp_path: Path) -> None:
    mark = tmp_path / "died"
    script = (
        f"import os, time; os.write(1, os.environ[{TOKEN!r}].encode()); "
        f"os.path.exists({str(mark)!r}) or (open({str(mark)!r}, 'w').close(), os._exit(1)); time.sleep(60)"
    )
    start(script, "ann")
    until(lambda: (tmp_path / "ann.log").read_text() == "token-of-anntoken-of-ann")


def test_closing_ends_those_that_do_not_end(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    script = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
    workers = start(script, "ann", "bob")
    pids = workers.pids
    workers.close()
    assert not any(psutil.pid_exists(pid) for pid in pids)
    said = [f"worker {name} does not end; it is stopped" for name in TOKENS]
    assert [record.getMessage() for record in caplog.records] == said
    workers.close()
    assert len(caplog.records) == 2


def test_those_that_end_when_the_learner_leaves_are_neither_stopped_nor_started_again(
    start: Start, desk: Desk, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rollout.processes._LEAVE", PATIENCE)
    left = tmp_path / "left"
    workers = start(f"import os, time\nwhile not os.path.exists({str(left)!r}): time.sleep(0.01)", "ann", "bob")
    pids = workers.pids
    desk.close()
    left.touch()
    until(lambda: all(not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie" for pid in pids))
    until(lambda: not any(thread.name == "workers" for thread in threading.enumerate()))  # it has looked
    workers.close()
    assert workers.pids == pids
    assert caplog.records == []


def test_the_watching_ends_with_the_workers(start: Start) -> None:
    workers = start("import time; time.sleep(60)", "ann")
    assert any(thread.name == "workers" for thread in threading.enumerate())
    workers.close()
    assert not any(thread.name == "workers" for thread in threading.enumerate())
