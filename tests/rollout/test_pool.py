"""Laws of the render pool, on a real Ray: two nodes of this machine, each with a temporary folder of its own."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from envs.errors import DeliveryError
from rollout.cluster.ray_cluster import RayCluster
from rollout.delivery.assignment import Contract
from rollout.desk import Desk
from rollout.pool import PoolConfig, RenderPool

pytest.importorskip("ray")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="Ray's clusters are of Linux")]

PATIENCE = 60.0  # seconds, which no test waits
ROOT = Path(__file__).parents[2]
# What plays here: it says what it finds, and ends when it is asked to.
WORKER = """
import json, os, signal, sys, time
def leave(number, frame):
    print(json.dumps({"left": os.getpid()}), flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, leave)
seen = {key: os.environ.get(key) for key in ("DISPLAY", "CUDA_VISIBLE_DEVICES", "TMPDIR", "OMP_NUM_THREADS")}
print(json.dumps({"pid": os.getpid(), "name": sys.argv[1], **seen}), flush=True)
time.sleep(1000)
"""
COMMAND = ("{python}", "-c", WORKER, "{name}")


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A cluster of a head without a place for games and two nodes with two each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("PYTHONPATH", str(ROOT))
        from ray.cluster_utils import Cluster

        cluster = Cluster(initialize_head=True, head_node_args={**_NODE, "include_dashboard": False})
        try:
            for number in range(2):
                add_node(cluster, tmp_path_factory.mktemp(f"node{number}"))
            yield cluster
        finally:
            cluster.shutdown()


_NODE = {"num_cpus": 1, "object_store_memory": 80_000_000}


def add_node(cluster: Any, temporary: Path) -> Any:
    """A node that takes two games, whose places are its own."""
    return cluster.add_node(**_NODE, resources={"render": 2}, num_gpus=2, env_vars={"TMPDIR": str(temporary)})


@pytest.fixture
def cluster(nodes: Any) -> Iterator[RayCluster]:
    """The same, entered."""
    with closing(RayCluster(nodes.address)) as entered:
        yield entered


@pytest.fixture
def desk() -> Desk:
    """A desk that is open."""
    return Desk(Contract(trunk="ab", width=2, reads="features", context="chunked", temperature=1.0))


Start = Callable[..., RenderPool]


@pytest.fixture
def start(cluster: RayCluster, desk: Desk, tmp_path: Path) -> Iterator[Start]:
    """Start a pool."""
    with ExitStack() as pools:

        def begin(command: tuple[str, ...] = COMMAND, run: str = "test", **settings: Any) -> RenderPool:
            config = PoolConfig(**{"games": 1, "folder": str(tmp_path), "grace": 5.0, **settings})
            return pools.enter_context(closing(RenderPool(desk, cluster, run, command, None, config)))

        yield begin


def until(holds: Callable[[], bool], patience: float = PATIENCE) -> None:
    """Look again and again until something holds."""
    deadline = time.monotonic() + patience
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def said(folder: Path, name: str, run: str = "test") -> list[dict[str, Any]]:
    """What the workers of a name have said."""
    path = folder / run / name / "worker.log"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def lives(folder: Path, name: str) -> list[int]:
    """The processes of a name's workers, in order."""
    return [line["pid"] for line in said(folder, name) if "pid" in line]


def latest(folder: Path, pool: RenderPool) -> dict[str, int]:
    """The process of each name's latest worker."""
    return {name: lives(folder, name)[-1] for name in pool.looks}


def all_play(pool: RenderPool) -> bool:
    """Whether every game has a worker."""
    return all(look is not None and look.worker is not None for look in pool.looks.values())


def test_games_are_spread_over_the_machines_and_each_has_its_own_display_and_gpu(start: Start, tmp_path: Path) -> None:
    pool = start(games=4, first_display=10)
    until(lambda: all(said(tmp_path, name) for name in pool.looks))
    found = [said(tmp_path, f"worker-{number}")[0] for number in range(4)]
    assert [line["name"] for line in found] == ["worker-0", "worker-1", "worker-2", "worker-3"]
    machines = {line["TMPDIR"] for line in found}
    assert len(machines) == 2
    for machine in machines:
        places = {(line["DISPLAY"], line["CUDA_VISIBLE_DEVICES"]) for line in found if line["TMPDIR"] == machine}
        assert places == {(":10", "0"), (":11", "1")}
    assert {line["OMP_NUM_THREADS"] for line in found} == {None}


def test_a_worker_that_is_killed_is_started_again_by_its_actor(start: Start, tmp_path: Path, desk: Desk) -> None:
    pool = start()
    until(lambda: all_play(pool))
    (first,) = lives(tmp_path, "worker-0")
    os.kill(first, signal.SIGKILL)
    until(lambda: len(lives(tmp_path, "worker-0")) == 2)
    assert not desk.closed


def test_an_actor_that_is_killed_comes_back_with_its_name_when_its_worker_has_left(
    start: Start, tmp_path: Path
) -> None:
    pool = start(first_display=10)
    until(lambda: all_play(pool))
    look = pool.looks["worker-0"]
    assert look
    os.kill(look.supervisor, signal.SIGKILL)
    until(lambda: len(lives(tmp_path, "worker-0")) == 2)
    before, left, after = said(tmp_path, "worker-0")
    assert left == {"left": before["pid"]}  # it had time to leave in, though its supervisor had none
    assert after["name"] == before["name"]
    until(lambda: all_play(pool))
    again = pool.looks["worker-0"]
    assert again
    assert again.supervisor != look.supervisor


def test_the_games_of_a_machine_that_dies_wait_for_another_one(
    start: Start, nodes: Any, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, desk: Desk
) -> None:
    pool = start(games=4)
    until(lambda: all_play(pool) and all(said(tmp_path, name) for name in pool.looks))
    by_machine: dict[str, list[str]] = {}
    for name in pool.looks:
        by_machine.setdefault(said(tmp_path, name)[0]["TMPDIR"], []).append(name)
    machine, lost = next(iter(by_machine.items()))
    doomed = next(node for node in nodes.worker_nodes if node._ray_params.env_vars["TMPDIR"] == machine)
    nodes.remove_node(doomed, allow_graceful=False)
    until(lambda: all(pool.looks[name] is None for name in lost))
    assert not desk.closed  # two others play
    add_node(nodes, tmp_path_factory.mktemp("another"))
    until(lambda: all(len(lives(tmp_path, name)) == (2 if name in lost else 1) for name in pool.looks))
    until(
        lambda: (
            [look and look.worker for look in pool.looks.values()] == [lives(tmp_path, name)[-1] for name in pool.looks]
        )
    )


def test_a_pool_that_is_closed_leaves_no_actor_and_no_process(
    start: Start, cluster: RayCluster, tmp_path: Path
) -> None:
    pool = start(games=2)
    until(lambda: all_play(pool) and all(said(tmp_path, name) for name in pool.looks))
    pids = [*lives(tmp_path, "worker-0"), *lives(tmp_path, "worker-1")]
    assert sorted(cluster.names("test")) == ["worker-0", "worker-1"]
    pool.close()
    assert cluster.names("test") == []
    assert [pid for pid in pids if psutil.pid_exists(pid)] == []
    assert [said(tmp_path, name)[-1] for name in ("worker-0", "worker-1")] == [{"left": pid} for pid in pids]


def test_games_of_which_all_die_again_and_again_end_the_waiting(start: Start, desk: Desk) -> None:
    start(("{python}", "-c", "raise SystemExit('no game here')"))
    until(lambda: bool(desk.closed))
    with pytest.raises(DeliveryError, match=r"again and again: the worker of worker-0 on .* with status 1.*no game"):
        desk.sit("worker-0", 1)


def test_games_that_get_no_machine_end_the_waiting_with_what_to_do(
    start: Start, desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    first = start(games=4)
    until(lambda: all_play(first))
    with caplog.at_level(logging.WARNING):
        start(games=5, run="another", patience=2.0)
    assert "5 games are to play, and the cluster has 4 places" in caplog.text
    until(lambda: bool(desk.closed))
    with pytest.raises(DeliveryError, match=r"none of 5 games .* needs render: 1, the cluster has 4, 0"):
        desk.sit("worker-0", 1)


def test_where_no_cluster_is_that_is_said() -> None:
    with pytest.raises(DeliveryError, match=r"no Ray cluster at '127.0.0.1:9'.*give the head's HOST:PORT"):
        RayCluster("127.0.0.1:9")


# A learner that may be killed: it says what its pool sees, a line a look.
LEARNER = """
import json, sys, time
from rollout.delivery.assignment import Contract
from rollout.desk import Desk
from rollout.pool import PoolConfig, RenderPool
from rollout.cluster.ray_cluster import RayCluster
address, run, folder, games, forgotten, *command = sys.argv[1:]
desk = Desk(Contract(trunk="ab", width=2, reads="features", context="chunked", temperature=1.0))
config = PoolConfig(games=int(games), folder=folder, forgotten=float(forgotten), grace=5.0)
pool = RenderPool(desk, RayCluster(address), run, command, None, config)
while True:
    print(json.dumps({name: look and look.worker for name, look in pool.looks.items()}), flush=True)
    time.sleep(0.1)
"""


@contextmanager
def learner(
    nodes: Any, folder: Path, games: int, forgotten: float = 600.0, command: tuple[str, ...] = COMMAND
) -> Generator[Callable[[], dict[str, int]]]:
    """A learner in a process of its own, which is killed at the end; gives the workers that it sees when all play."""
    arguments = [
        sys.executable,
        "-c",
        LEARNER,
        nodes.address,
        folder.name,
        str(folder),
        str(games),
        str(forgotten),
        *command,
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout
        output = process.stdout

        def workers() -> dict[str, int]:
            return next(seen for line in output if all((seen := json.loads(line)).values()))

        yield workers
        process.kill()


def test_a_learner_that_was_killed_finds_its_games_again_and_ends_those_that_it_has_no_use_for(
    nodes: Any, cluster: RayCluster, tmp_path: Path
) -> None:
    run = tmp_path.name
    with learner(nodes, tmp_path, games=3) as workers:
        before = workers()
    with learner(nodes, tmp_path, games=2) as workers:
        assert workers() == {"worker-0": before["worker-0"], "worker-1": before["worker-1"]}
        until(lambda: not psutil.pid_exists(before["worker-2"]))
        until(lambda: sorted(cluster.names(run)) == ["worker-0", "worker-1"])
    other = (*COMMAND, "another-address")
    with learner(nodes, tmp_path, games=2, command=other) as workers:
        until(lambda: set(workers().values()).isdisjoint(before.values()))
        assert [said(tmp_path, name, run)[1] for name in ("worker-0", "worker-1")] == [
            {"left": before["worker-0"]},
            {"left": before["worker-1"]},
        ]
        for name in ("worker-0", "worker-1"):
            cluster.end(run, name)


def test_games_that_no_learner_asks_for_leave_their_machines(nodes: Any, cluster: RayCluster, tmp_path: Path) -> None:
    with learner(nodes, tmp_path, games=2, forgotten=2.0) as workers:
        pids = workers().values()
    until(lambda: not any(map(psutil.pid_exists, pids)))
    until(lambda: cluster.names(tmp_path.name) == [])
    time.sleep(1.0)
    assert cluster.names(tmp_path.name) == []  # Ray does not bring them back
