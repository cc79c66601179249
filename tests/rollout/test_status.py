"""Laws of what is told of a run: the numbers are those of the desk, in a form that Prometheus reads."""

import json
import socket
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, replace
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from envs.episode import Episode
from envs.errors import DeliveryError
from rollout.desk import Desk
from rollout.status import DeskStatus, OwnStatus, RunStatus, StatusServer, WorkerStatus
from tests.rollout.desks import CONTRACT, PATIENCE, Clock, Honest, assignment

ANN = WorkerStatus(
    name="ann",
    incarnation=7,
    connected=True,
    silent=0.5,
    playing=(3,),
    steps=1200,
    episodes=14,
    spooled=2,
    steps_per_second=9.5,
    accepted=12,
    refused=1,
)
DESK = DeskStatus(
    run="ab", workers=(ANN,), accepted=12, repeated=3, refused=1, dropped=4, recovered=5, waiting=6, playing=1
)
RUN = RunStatus(desk=DESK, pid=42, address="127.0.0.1:1", updates=50, update=3, metrics={"score": 0.25})


def read(address: str) -> str:
    """A page."""
    with urllib.request.urlopen(address, timeout=20) as answer:
        return answer.read().decode()


def samples(text: str) -> dict[tuple[str, ...], float]:
    """Metrics by name and values of labels."""
    families = text_string_to_metric_families(text)
    return {(sample.name, *sample.labels.values()): sample.value for family in families for sample in family.samples}


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """Serve a status; returns the address."""
    servers: list[StatusServer] = []

    def start(status: Any) -> str:
        servers.append(StatusServer(lambda: status))
        return servers[-1].address

    yield start
    for server in servers:
        server.close()


def test_prometheus_reads_what_a_learner_tells(serve: Callable[..., str]) -> None:
    found = samples(read(f"{serve(RUN)}/metrics"))
    assert found["skygarden_updates_total",] == 3
    assert found["skygarden_updates_planned",] == 50
    assert found["skygarden_score",] == 0.25
    outcomes = ("accepted", "repeated", "refused", "dropped", "recovered")
    assert [found["skygarden_reports_total", outcome] for outcome in outcomes] == [12, 3, 1, 4, 5]
    assert (found["skygarden_assignments", "waiting"], found["skygarden_assignments", "playing"]) == (6, 1)
    of_ann = {name.removeprefix("skygarden_worker_"): value for (name, *who), value in found.items() if who == ["ann"]}
    assert of_ann == {
        "connected": 1,
        "silent": 0.5,
        "spooled": 2,
        "steps_per_second": 9.5,
        "steps_total": 1200,
        "episodes_total": 14,
        "accepted_total": 12,
        "refused_total": 1,
    }


def test_prometheus_reads_what_a_worker_tells(serve: Callable[..., str]) -> None:
    own = OwnStatus(name="ann", connected=False, connections=3, steps=1200, episodes=14, refused=1, spooled=2)
    found = samples(read(f"{serve(own)}/metrics"))
    assert {name.removeprefix("skygarden_game_"): value for (name,), value in found.items()} == {
        "connected": 0,
        "lines_total": 3,
        "frames_total": 1200,
        "episodes_total": 14,
        "refused_total": 1,
        "spooled": 2,
    }


def test_the_status_is_the_same_as_json(serve: Callable[..., str]) -> None:
    assert json.loads(read(f"{serve(RUN)}/status")) == json.loads(json.dumps(asdict(RUN)))


def test_it_is_worked_out_anew_for_every_question() -> None:
    status = RUN
    with closing(StatusServer(lambda: status)) as server:
        before = json.loads(read(f"{server.address}/status"))
        status = replace(RUN, update=4)
        assert (before["update"], json.loads(read(f"{server.address}/status"))["update"]) == (3, 4)


def test_nothing_else_is_served_and_only_on_this_machine(serve: Callable[..., str]) -> None:
    address = serve(RUN)
    assert address.startswith("http://127.0.0.1:")
    with pytest.raises(urllib.error.HTTPError, match="404"):
        read(f"{address}/else")


def test_a_port_that_is_taken_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(DeliveryError, match=f"cannot be served on 127.0.0.1:{port}: .*; choose another"):
            StatusServer(lambda: RUN, port)


def test_a_desk_tells_who_plays_what_and_what_came(make_episode: Callable[..., Episode]) -> None:
    clock = Clock()
    desk = Desk(CONTRACT, patience=PATIENCE, clock=clock)
    ann = Honest(desk, make_episode, "ann")
    desk.post(assignment(0))
    desk.post(assignment(1))
    ann.ready()
    ann.play()
    desk.beat(ann.seat, 100, 1, 0)
    clock.now += 2.0
    desk.beat(ann.seat, 150, 1, 3)
    clock.now += 0.5
    status = desk.status()
    assert (status.accepted, status.refused, status.waiting, status.playing) == (1, 0, 1, 1)
    (seen,) = status.workers
    assert (seen.name, seen.connected, seen.playing, seen.accepted) == ("ann", True, (0,), 1)
    assert (seen.steps, seen.episodes, seen.spooled, seen.silent) == (150, 1, 3, 0.5)
    assert seen.steps_per_second == 25.0  # (150 - 100) / 2
    desk.leave(ann.seat)
    (gone,) = desk.status().workers
    assert (gone.connected, gone.steps_per_second, gone.steps) == (False, 0.0, 150)
