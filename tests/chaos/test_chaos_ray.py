"""The law of delivery, with the games on a Ray cluster: as in test_chaos.py, and machines die as well.

A head without games and two render machines of two places each. Things happen whose moments a seed has drawn: workers
and their supervisors, which are Ray's actors, are killed and stopped, the learner is killed, and so is a machine with
all that runs on it, for which another comes later. Its disk is gone for good: what waited there was not used and is not
lost. The number of seeds is in SKYGARDEN_CHAOS_RAY.
"""

import os
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Final

import psutil
import pytest

from tests.chaos.accounts import ROOT, prepare, settle
from tests.chaos.schedule import Event, Later, Learner, play

pytest.importorskip("ray", reason="Ray is not installed: pip install 'skygarden[cluster]'")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="Ray's clusters are of Linux")]

SEEDS: Final = range(int(os.environ.get("SKYGARDEN_CHAOS_RAY", "1")))
KINDS: Final = Counter(
    {
        "kill a worker": 2,
        "stop a worker": 2,
        "kill a supervisor": 1,
        "stop a supervisor": 1,
        "kill the learner": 1,
        "kill a machine": 1,
    }
)
_GAP: Final = 2.0  # seconds between events, on average
_QUIET: Final = 40.0  # seconds after which nothing happens any more
_LIMIT: Final = 900.0  # seconds, of which a machine that does nothing else takes an eighth
_LEAVING: Final = 30.0  # seconds for what was left behind to leave in
_NODE: Final = {"num_cpus": 1, "object_store_memory": 80_000_000}


class Machine:
    """A node of the cluster, which has its disk in a folder."""

    def __init__(self, cluster: Any, folder: Path) -> None:
        self.folder = folder
        (folder / "tmp").mkdir(parents=True)
        self._mark = ("XDG_STATE_HOME", str(folder))
        places = {"TMPDIR": str(folder / "tmp"), "XDG_STATE_HOME": str(folder)}
        self._cluster, self._node = cluster, cluster.add_node(**_NODE, resources={"render": 2}, env_vars=places)
        self._raylet = psutil.Process(self._node.all_processes["raylet"][0].process.pid)

    @property
    def running(self) -> list[psutil.Process]:
        """All that it runs: what Ray has started here, and what that has started."""
        started: list[psutil.Process] = []
        with suppress(psutil.NoSuchProcess):
            started = self._raylet.children(recursive=True)
        return list({*started, *filter(self._is_here, psutil.process_iter())})

    @property
    def supervisors(self) -> list[psutil.Process]:
        """Ray's actors that run here."""
        return [one for one in self.running if " ".join(_command(one)).startswith("ray::GameActor")]

    @property
    def workers(self) -> list[psutil.Process]:
        """Those who play, without their guards, whose command has their own in it."""
        return [one for one in self.guarded if "-S" not in _command(one)]

    @property
    def guarded(self) -> list[psutil.Process]:
        """Those who play, and their guards."""
        return [one for one in self.running if "tests.chaos.worker" in _command(one)]

    def kill(self) -> None:
        """Everything ends at once."""
        while running := self.running:
            for process in running:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            psutil.wait_procs(running, 5.0)
        self._cluster.remove_node(self._node, allow_graceful=False)

    def _is_here(self, process: psutil.Process) -> bool:
        with suppress(psutil.Error):
            return process.status() != psutil.STATUS_ZOMBIE and self._mark in process.environ().items()
        return False


class Machines:
    """A learner and its render machines: a `tests.chaos.schedule.Scene`."""

    def __init__(self, cluster: Any, folder: Path, home: Path, lag: int, stack: ExitStack) -> None:
        self._cluster, self._home, self.out = cluster, home, home / "out"
        self._made = 0
        self._later = Later()
        self._machines: list[Machine] = []
        arguments = (folder, self.out, cluster.address, lag, home / "audit")
        self._learner = Learner("tests.chaos.learner_on_ray", arguments, home / "learner.log")
        stack.callback(self._kill_all)
        for _ in range(2):
            self._add()

    def happen(self, what: str, who: int, seconds: float) -> bool:
        """See `tests.chaos.schedule.Scene`."""
        if what == "kill the learner":
            self._learner.kill()
            return True
        if what == "kill a machine":
            if not self._machines:
                return False
            self._machines.pop(who % len(self._machines)).kill()
            self._later.after(seconds, self._add)
            return True
        supervisors = what.endswith("supervisor")
        there = [one for machine in self._machines for one in (machine.supervisors if supervisors else machine.workers)]
        if not there:
            return False
        process = sorted(there, key=lambda one: one.pid)[who % len(there)]
        with suppress(psutil.NoSuchProcess):
            if what.startswith("kill"):
                process.kill()
            else:
                process.suspend()
                self._later.after(seconds, lambda: _wake(process))
        return True

    def tend(self) -> bool:
        """See `tests.chaos.schedule.Scene`."""
        self._later.tend()
        return self._learner.tend()

    def left(self) -> list[str]:
        """What still runs of the games, when some time has passed for it to leave in."""
        deadline = time.monotonic() + _LEAVING
        while left := [one for machine in self._machines for one in (*machine.supervisors, *machine.guarded)]:
            if time.monotonic() > deadline:
                break
            for process in left:
                _wake(process)
            time.sleep(0.2)
        return [" ".join(_command(process)) for process in left]

    def _add(self) -> None:
        self._machines.append(Machine(self._cluster, self._home / f"machine-{self._made}"))
        self._made += 1

    def _kill_all(self) -> None:
        self._learner.kill()
        while self._machines:
            self._machines.pop().kill()


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A head that takes no game."""
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={**_NODE, "include_dashboard": False})
    yield cluster
    cluster.shutdown()


def events(seed: int) -> Iterator[Event]:
    """What happens: as many of each kind as there are of it, in any order, then all again."""
    rng = random.Random(seed)
    while True:
        kinds = list(KINDS.elements())
        rng.shuffle(kinds)
        for what in kinds:
            yield rng.expovariate(1 / _GAP), what, rng.randrange(1000), rng.uniform(0.2, 8.0)


def actors(cluster: Any) -> list[dict[str, str]]:
    """All that have a name."""
    import ray

    ray.init(address=cluster.address, log_to_driver=False)
    try:
        return ray.util.list_named_actors(all_namespaces=True)
    finally:
        ray.shutdown()


@pytest.mark.timeout(2 * _LIMIT)
@pytest.mark.parametrize("seed", SEEDS)
def test_what_was_finished_is_used_once_or_still_there_when_machines_die(
    cluster: Any, tmp_path: Path, seed: int
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    prepare(folder, (f"worker-{k}" for k in range(4)))  # whose tokens the learner has that learns again
    with ExitStack() as stack:
        scene = Machines(cluster, folder, tmp_path, seed % 2, stack)
        happened = play(scene, events(seed), _QUIET, _LIMIT)
        assert happened.keys() == KINDS.keys()
        assert actors(cluster) == []
        assert scene.left() == []
    spools = tmp_path.glob("machine-*/skygarden/games/*/*/spool")
    settle(folder, tmp_path / "out", seed % 2, tmp_path / "audit", spools)


def _command(process: psutil.Process) -> list[str]:
    with suppress(psutil.Error):
        return process.cmdline()
    return []


def _wake(process: psutil.Process) -> None:
    with suppress(psutil.NoSuchProcess):
        process.resume()
