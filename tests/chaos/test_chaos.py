"""The law of delivery: whatever dies, stops or is cut, what a worker finished is used once or is still there.

A learner and four workers, each behind a proxy, play 50 updates while things happen to them that a seed has drawn:
workers killed and stopped, the learner killed, lines cut, cut in the middle of a message, and stalled. Some reports are
sent twice all the time. `make chaos` runs 20 seeds; the number is in SKYGARDEN_CHAOS.
"""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final

import numpy as np
import pytest
import torch

from agents.checkpoint import load_policy, save_policy, trunk_hash
from agents.policy import Policy, PolicyConfig
from agents.reward import RewardArtefact, RewardModel, save_reward
from rollout.delivery.journal import read_segment
from rollout.delivery.keys import Key
from rollout.delivery.reports import Played, Report, recall_report
from rollout.delivery.spool import Spool
from rollout.processes import TOKEN
from skygarden.online import read_metrics
from tests.chaos.learner import BATCH, UPDATES
from tests.rollout.proxy import Proxy

WORKERS: Final = ("ann", "bob", "cid", "dee")
SEEDS: Final = range(int(os.environ.get("SKYGARDEN_CHAOS", "3")))
_ROOT: Final = Path(__file__).parents[2]
_GAP: Final = 1.0  # seconds between events, on average
_QUIET: Final = 45.0  # seconds after which nothing happens any more
_LIMIT: Final = 280.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny policy, a reward model, and the workers' tokens."""
    folder = tmp_path_factory.mktemp("chaos")
    policy = Policy(PolicyConfig(width=32, layers=2, heads=2, context=8), torch.Generator().manual_seed(0))
    save_policy(policy, folder / "start.safetensors")
    model = RewardModel(32, torch.Generator().manual_seed(1))
    save_reward(RewardArtefact(model, trunk_hash(policy), 0.5, {"wanted": "left"}), folder / "reward.safetensors")
    (folder / "tokens").write_text("".join(f"{name} token-of-{name}\n" for name in WORKERS))
    return folder


class Scene:
    """The processes and the lines between them."""

    def __init__(self, folder: Path, home: Path, lag: int, stack: ExitStack) -> None:
        self._folder, self.home, self._lag = folder, home, lag
        self.out = home / "out"
        self._port = free_port()
        self._proxies = [stack.enter_context(closing(Proxy(self._port))) for _ in WORKERS]
        self.learner = self._start_learner()
        self._workers = [self._start_worker(k) for k in range(len(WORKERS))]
        self._later: list[tuple[float, int]] = []  # when a process that is stopped goes on, by its number
        stack.callback(self._kill_all)

    def happen(self, what: str, who: int, seconds: float) -> None:
        """Let something happen to a worker, its line or the learner."""
        worker, proxy = self._workers[who], self._proxies[who]
        if what == "kill":
            worker.kill()
        elif what == "stop":
            worker.send_signal(signal.SIGSTOP)
            self._later.append((time.monotonic() + seconds, who))
        elif what == "leave":
            worker.terminate()
        elif what == "kill the learner":
            self.learner.kill()
        elif what == "cut":
            proxy.cut()
        elif what == "cut a message":
            proxy.cut_after(int(1000 * seconds))
        elif what == "stall":
            proxy.stall()
            self._later.append((time.monotonic() + seconds, len(WORKERS) + who))

    def tend(self) -> bool:
        """Start again what died, and wake what was stopped; returns whether the run goes on."""
        now = time.monotonic()
        for due in [due for due in self._later if due[0] <= now]:
            self._later.remove(due)
            if due[1] >= len(WORKERS):
                self._proxies[due[1] - len(WORKERS)].resume()
            else:
                self._workers[due[1]].send_signal(signal.SIGCONT)
        if self.learner.poll() == 0:
            return False
        if self.learner.poll() is not None:
            assert self.learner.returncode == -signal.SIGKILL, (self.home / "learner.log").read_text()[-3000:]
            self.learner = self._start_learner()
        for k, worker in enumerate(self._workers):
            if worker.poll() is not None:
                self._workers[k] = self._start_worker(k)
        return True

    def end(self) -> None:
        """Wake all, and wait until the workers have gone home or been told to leave."""
        for proxy in self._proxies:
            proxy.resume()
        for worker in self._workers:
            worker.send_signal(signal.SIGCONT)
            worker.terminate()
        for worker in self._workers:
            worker.wait(60)

    def replay(self) -> Path:
        """Learn again from the journal alone; returns the folder of that run."""
        again = self.home / "again"
        again.mkdir()
        shutil.copytree(self.out / "journal", again / "journal")
        run = subprocess.run(self._learner(again), cwd=_ROOT, capture_output=True, timeout=_LIMIT, check=False)
        assert run.returncode == 0, run.stderr.decode()[-3000:]
        return again

    def _learner(self, out: Path) -> list[str]:
        place = [str(self._folder), str(out), str(self._port), str(self._lag)]
        return [sys.executable, "-m", "tests.chaos.learner", *place]

    def _start_learner(self) -> subprocess.Popen[bytes]:
        with (self.home / "learner.log").open("ab") as log:
            return subprocess.Popen(self._learner(self.out), cwd=_ROOT, stdout=log, stderr=log)

    def _start_worker(self, k: int) -> subprocess.Popen[bytes]:
        name, line = WORKERS[k], self._proxies[k].address
        command = [sys.executable, "-m", "tests.chaos.worker", name, line, str(self.home / "spool")]
        with (self.home / f"{name}.log").open("ab") as log:
            environment = {**os.environ, TOKEN: f"token-of-{name}"}
            audit = str(self.home / "audit")
            return subprocess.Popen([*command, audit], cwd=_ROOT, stdout=log, stderr=log, env=environment)

    def _kill_all(self) -> None:
        for process in (self.learner, *self._workers):
            process.kill()
            process.wait()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def events(seed: int) -> Iterator[tuple[float, str, int, float]]:
    """What happens: seconds to wait, what, to whom, and for how long."""
    rng = random.Random(seed)
    kinds = ["kill", "stop", "leave", "kill the learner", "cut", "cut a message", "stall"]
    while True:
        what = rng.choices(kinds, [3, 3, 1, 2, 3, 3, 2])[0]
        yield rng.expovariate(1 / _GAP), what, rng.randrange(len(WORKERS)), rng.uniform(0.2, 8.0)


def in_journal(out: Path) -> list[Report]:
    """All that a run ever took in, in its order."""
    segments = sorted((out / "journal").glob("*.journal"))
    return [recall_report(data) for segment in segments for data, _ in read_segment(segment)]


def in_spool(home: Path) -> set[Key]:
    """What the workers still have, refused or not."""
    kept: set[Key] = set()
    for name in WORKERS:
        for run in (home / "spool" / name).iterdir():
            for folder in (run, run / "refused"):
                kept |= set(Spool(folder, name).waiting)
    return kept


@pytest.mark.slow
@pytest.mark.timeout(2 * _LIMIT)
@pytest.mark.parametrize("seed", SEEDS)
def test_what_was_finished_is_used_once_or_still_there(folder: Path, tmp_path: Path, seed: int) -> None:
    with ExitStack() as stack:
        scene = Scene(folder, tmp_path, seed % 2, stack)
        began, happened = time.monotonic(), Counter[str]()
        for gap, what, who, seconds in events(seed):
            due = time.monotonic() + gap
            while going := scene.tend():
                assert time.monotonic() < began + _LIMIT, (tmp_path / "learner.log").read_text()[-3000:]
                if due <= time.monotonic() < began + _QUIET:
                    break
                time.sleep(0.02)
            if not going:
                break
            scene.happen(what, who, seconds)
            happened[what] += 1
        scene.end()
        print(f"{time.monotonic() - began:.0f} s, {dict(happened)}")
        reports, kept = in_journal(scene.out), in_spool(tmp_path)
        used = [report.key for report in reports if report.key]
        finished = {
            Key(name, int(incarnation), int(sequence))
            for name, incarnation, sequence in map(str.split, (tmp_path / "audit").read_text().splitlines())
        }
        assert sum(happened.values()) > 5
        assert len(used) == len(set(used))
        assert finished - set(used) - kept == set()  # nothing is lost
        refused = {key for name in WORKERS for run in (tmp_path / "spool" / name).iterdir() for key in refused_in(run)}
        assert not refused & set(used)
        places = Counter((report.assignment, report.index) for report in reports)
        assert set(places.values()) == {1}
        assert len(places) == UPDATES * BATCH
        lines = read_metrics(scene.out)
        assert [line["update"] for line in lines] == list(range(1, UPDATES + 1))
        assert sum(line["episodes"] for line in lines) == sum(isinstance(report, Played) for report in reports)
        same_weights(scene.out, scene.replay())


def refused_in(run: Path) -> set[Key]:
    """What the learner refused of a worker."""
    return set(Spool(run / "refused", run.parent.name).waiting)


def same_weights(one: Path, other: Path) -> None:
    """Two runs ended in the same weights, bit for bit."""
    a, b = (load_policy(out / "policy.safetensors")[0].state_dict() for out in (one, other))
    assert a.keys() == b.keys()
    for name, tensor in a.items():
        np.testing.assert_array_equal(tensor.numpy(), b[name].numpy(), err_msg=name)
