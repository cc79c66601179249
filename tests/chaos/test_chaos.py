"""The law of delivery: whatever dies, stops or is cut, what a worker finished is used once or is still there.

A learner and four workers, each behind a proxy, play 50 updates while things happen to them that a seed has drawn:
workers killed and stopped, the learner killed, lines cut, cut in the middle of a message, slow and stalled. Some of the
reports are sent twice all the time. `make chaos` runs 20 seeds; the number is in SKYGARDEN_CHAOS.
"""

import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final

import pytest

from rollout.processes import TOKEN
from tests.chaos.accounts import ROOT, prepare, settle
from tests.chaos.schedule import Event, Later, Learner, play
from tests.rollout.proxy import Proxy

WORKERS: Final = ("ann", "bob", "cid", "dee")
SEEDS: Final = range(int(os.environ.get("SKYGARDEN_CHAOS", "3")))
_GAP: Final = 1.0  # seconds between events, on average
_SLOW: Final = 0.15  # seconds that a slow line holds everything for, for each second that it is slow
_QUIET: Final = 45.0  # seconds after which nothing happens any more
_LIMIT: Final = 900.0  # seconds, of which a machine that does nothing else takes an eighth


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny policy, a reward model, and the workers' tokens."""
    folder = tmp_path_factory.mktemp("chaos")
    prepare(folder, WORKERS)
    return folder


class Lines:
    """A learner, workers, and the lines between them: a `tests.chaos.schedule.Scene`."""

    def __init__(self, folder: Path, home: Path, lag: int, stack: ExitStack) -> None:
        self._home, self.out = home, home / "out"
        port = free_port()
        self._proxies = [stack.enter_context(closing(Proxy(port))) for _ in WORKERS]
        self._learner = Learner("tests.chaos.learner", (folder, self.out, port, lag), home / "learner.log")
        self._workers = [self._start_worker(k) for k in range(len(WORKERS))]
        self._later = Later()
        stack.callback(self._kill_all)

    def happen(self, what: str, who: int, seconds: float) -> bool:
        """See `tests.chaos.schedule.Scene`."""
        worker, proxy = self._workers[who], self._proxies[who]
        if what == "kill":
            worker.kill()
        elif what == "stop":
            worker.send_signal(signal.SIGSTOP)
            self._later.after(seconds, lambda: worker.send_signal(signal.SIGCONT))
        elif what == "leave":
            worker.terminate()
        elif what == "kill the learner":
            self._learner.kill()
        elif what == "cut":
            proxy.cut()
        elif what == "cut a message":
            proxy.cut_after(int(1000 * seconds))
        elif what == "stall":
            proxy.stall()
            self._later.after(seconds, proxy.resume)
        elif what == "delay":
            proxy.delay(_SLOW * seconds)
            self._later.after(seconds, lambda: proxy.delay(0.0))
        return True

    def tend(self) -> bool:
        """See `tests.chaos.schedule.Scene`."""
        self._later.tend()
        if not self._learner.tend():
            return False
        for k, worker in enumerate(self._workers):
            if worker.poll() is not None:
                self._workers[k] = self._start_worker(k)
        return True

    def end(self) -> None:
        """Wake all, and wait until the workers have gone home or been told to leave."""
        for proxy in self._proxies:
            proxy.resume()
            proxy.delay(0.0)
        for worker in self._workers:
            worker.send_signal(signal.SIGCONT)
            worker.terminate()
        for worker in self._workers:
            worker.wait(60)

    def _start_worker(self, k: int) -> subprocess.Popen[bytes]:
        name, line = WORKERS[k], self._proxies[k].address
        options = ["--learner", line, "--name", name, "--spool", str(self._home / "spool"), "--patience", "120"]
        command = [sys.executable, "-m", "tests.chaos.worker", str(self._home / "audit"), *options]
        with (self._home / f"{name}.log").open("ab") as log:
            environment = {**os.environ, TOKEN: f"token-of-{name}"}
            return subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, env=environment)

    def _kill_all(self) -> None:
        self._learner.kill()
        for process in self._workers:
            process.kill()
            process.wait()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def events(seed: int) -> Iterator[Event]:
    """What happens."""
    rng = random.Random(seed)
    kinds = ["kill", "stop", "leave", "kill the learner", "cut", "cut a message", "stall", "delay"]
    while True:
        what = rng.choices(kinds, [3, 3, 1, 2, 3, 3, 2, 2])[0]
        yield rng.expovariate(1 / _GAP), what, rng.randrange(len(WORKERS)), rng.uniform(0.2, 8.0)


@pytest.mark.slow
@pytest.mark.timeout(2 * _LIMIT)
@pytest.mark.parametrize("seed", SEEDS)
def test_what_was_finished_is_used_once_or_still_there(folder: Path, tmp_path: Path, seed: int) -> None:
    with ExitStack() as stack:
        scene = Lines(folder, tmp_path, seed % 2, stack)
        happened = play(scene, events(seed), _QUIET, _LIMIT)
        assert sum(happened.values()) > 5
        scene.end()
        settle(folder, scene.out, seed % 2, tmp_path / "audit", [tmp_path / "spool"])
