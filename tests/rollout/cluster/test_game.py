"""Laws of a game's supervisor, without Ray: places, guards, deaths, leaving, certificates, being forgotten."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="render machines of a cluster run Linux")

if sys.platform == "linux":
    import rollout.cluster.game
    from rollout.cluster.game import Game, Look
    from rollout.cluster.life import Job, Machine, place_environment
    from rollout.identity.certificates import Authority
    from rollout.identity.papers import KEY, Papers, utc_now
    from rollout.pool import PoolConfig, Watched, why_nobody_plays

PATIENCE = 30.0  # seconds, which no test waits
SLEEP = ("{python}", "-I", "-S", "-c", "import time; print('up', flush=True); time.sleep(1000)")
STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
stray = subprocess.Popen([sys.executable, "-I", "-S", "-c", "import time; time.sleep(1000)"], start_new_session=True)
print(stray.pid, flush=True)
time.sleep(1000)
"""

Begin = Callable[..., Game]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """One that takes two games."""
    return Machine(slots=2, locks=tmp_path / "locks", folder=tmp_path)


@pytest.fixture
def begin(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Begin]:
    """Begin games, whose workers rest for a moment only."""
    monkeypatch.setattr("rollout.cluster.life._REST", (0.01, 0.02))
    monkeypatch.setattr("rollout.cluster.life._LOOK", 0.02)
    begun: list[Game] = []

    def run(name: str, command: tuple[str, ...] = SLEEP, *, certified: bool = False) -> Game:
        begun.append(Game(name, machine, 600.0, lambda: None))
        begun[-1].begin(Job(command=command, certified=certified, grace=1.0))
        return begun[-1]

    yield run
    for game in begun:
        game.leave()


def until(game: Game, holds: Callable[[Look], bool]) -> Look:
    """Look again and again until something holds of a game."""
    deadline = time.monotonic() + PATIENCE
    while not holds(look := game.look()):
        assert time.monotonic() < deadline, look
        time.sleep(0.02)
    return look


def plays(look: Look) -> bool:
    """Whether it has a worker that plays."""
    return look.phase == "playing"


def test_a_machine_plays_as_many_games_as_it_has_places_and_others_wait(begin: Begin) -> None:
    ann, bob = begin("ann"), begin("bob")
    assert {until(ann, plays).slot, until(bob, plays).slot} == {0, 1}
    cid = begin("cid")
    time.sleep(0.3)
    assert cid.look().phase == "waiting"
    free = ann.look().slot
    ann.leave()
    assert until(cid, plays).slot == free


def test_the_place_says_which_display_and_which_gpu(machine: Machine) -> None:
    # Four games on two GPUs: two each, the first two on the first.
    shared = Machine(slots=4, gpus=2, locks=machine.locks, folder=machine.folder)
    assert [place_environment(slot, shared, 10)["CUDA_VISIBLE_DEVICES"] for slot in range(4)] == ["0", "0", "1", "1"]
    assert [place_environment(slot, shared, 10)["DISPLAY"] for slot in range(4)] == [":10", ":11", ":12", ":13"]
    assert place_environment(1, machine, None) == {}


def test_a_worker_that_dies_is_started_again_and_counted(begin: Begin) -> None:
    game = begin("ann", ("{python}", "-I", "-S", "-c", "raise SystemExit('no game here')"))
    look = until(game, lambda look: look.deaths > 2)
    assert (look.status, look.tail.splitlines()[-1]) == (1, "no game here")


def test_a_worker_runs_the_code_that_its_supervisor_does(begin: Begin) -> None:
    asked = "import rollout.cluster.game, importlib.util; print(rollout.cluster.game.__file__)"
    nothing_else = "assert not importlib.util.find_spec('codec')"  # of a room's own names, which others may have too
    look = until(begin("ann", ("{python}", "-c", f"{asked}; {nothing_else}")), lambda look: look.phase == "ended")
    assert look.tail == rollout.cluster.game.__file__


def test_a_command_that_is_not_there_is_told(begin: Begin) -> None:
    look = until(begin("ann", ("/no/such/game",)), lambda look: look.deaths > 0)
    assert look.status == 127
    assert "cannot run /no/such/game" in look.tail


def test_a_worker_that_is_sent_home_is_not_started_again_before_that_is_asked_for(begin: Begin) -> None:
    game = begin("ann", ("{python}", "-I", "-S", "-c", "print('a life')"))
    look = until(game, lambda look: look.phase == "ended")
    time.sleep(0.2)
    assert game.look().tail == "a life"
    assert look.job
    game.begin(look.job)
    until(game, lambda look: look.deaths == 2)


def test_the_same_job_again_changes_nothing_and_another_one_takes_its_place(begin: Begin) -> None:
    game = begin("ann")
    first = until(game, plays)
    assert first.job
    game.begin(first.job)
    assert game.look().worker == first.worker
    game.begin(Job(command=(*SLEEP, "for another learner"), certified=False))
    second = until(game, lambda look: plays(look) and look.worker != first.worker)
    assert not psutil.pid_exists(first.worker or 0)
    assert second.slot == first.slot


def test_a_worker_that_does_not_leave_is_killed_with_all_that_it_started(begin: Begin, tmp_path: Path) -> None:
    game = begin("ann", ("{python}", "-I", "-S", "-c", STUBBORN))
    worker = until(game, plays).worker
    until(game, lambda _: (tmp_path / "ann" / "worker.log").read_text().endswith("\n"))
    stray = int((tmp_path / "ann" / "worker.log").read_text())
    game.leave()
    assert game.look().status == -signal.SIGKILL
    assert [pid for pid in (worker, stray) if pid is None or psutil.pid_exists(pid)] == []


def test_a_worker_whose_guard_is_killed_dies_too_and_is_started_again(begin: Begin) -> None:
    game = begin("ann")
    worker = until(game, plays).worker
    assert worker
    os.kill(psutil.Process(worker).ppid(), signal.SIGKILL)
    until(game, lambda look: plays(look) and look.worker != worker)


def test_a_key_stays_where_it_was_made_and_its_certificate_names_the_worker(begin: Begin, tmp_path: Path) -> None:
    authority = Authority.make(tmp_path / "authority")
    game = begin("ann", certified=True)
    request = until(game, lambda look: look.request is not None).request
    assert request
    assert b"PRIVATE" not in request
    game.certify(b"an older request", b"", b"")
    assert game.look().phase == "uncertified"
    game.certify(request, authority.sign(request, "ann"), authority.pem)
    until(game, plays)
    folder = tmp_path / "ann" / "papers"
    assert Papers.read(folder).check("worker", utc_now(), folder).worker == "ann"
    game.leave()
    assert not (folder / KEY).exists()


def test_a_game_that_nobody_asks_for_leaves(machine: Machine) -> None:
    forgotten: list[float] = []
    game = Game("ann", machine, 1.0, lambda: forgotten.append(time.monotonic()))
    game.begin(Job(command=SLEEP, certified=False, grace=1.0))
    until(game, plays)
    asked = time.monotonic()
    while not forgotten:
        assert time.monotonic() < asked + PATIENCE
        time.sleep(0.02)
    assert forgotten[0] - asked > 0.9
    assert game.look().phase == "left"


def test_why_nobody_plays_says_what_to_do() -> None:
    config = PoolConfig(games=3, patience=900.0)
    never = [Watched("worker-0", None, 0.0)]
    assert why_nobody_plays(never, (2.0, 0.0), False, config) == (
        "the render pool gives up, nobody has played for 900 seconds: none of 3 games got a machine: each needs "
        "render: 1, the cluster has 2, 0 of it free (`ray status` shows both). Start render machines with "
        "--resources='{\"render\": 1}', raise max_workers in the cluster's file, or ask for fewer games"
    )
    gone = [Watched("worker-0", None, 0.0, lost="no such module", losses=4)]
    assert why_nobody_plays(gone, (2.0, 0.0), True, config) == (
        "the render pool gives up, they die again and again: the supervisor of worker-0 died: no such module"
    )
