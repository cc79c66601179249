"""How a run is doing, told by the learner and by each worker: JSON for `skygarden status`, metrics for Prometheus.

They are served on this machine only, without asking who reads: nothing here is secret, and nothing can be changed. From
elsewhere they are read through SSH, or by a Prometheus that runs beside the learner.
"""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from envs.errors import DeliveryError


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerStatus:
    """A worker, as the learner knows it."""

    name: str
    incarnation: int  # of its process
    connected: bool
    silent: float  # seconds since it was last heard
    playing: tuple[int, ...]  # assignments
    steps: int  # since its process started, by its last heartbeat, as the next
    episodes: int
    spooled: int  # reports that wait on its disk
    steps_per_second: float
    accepted: int  # reports since the learner started, as the next
    refused: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskStatus:
    """What has come and what is asked for, since the learner started."""

    run: str
    workers: tuple[WorkerStatus, ...]
    accepted: int
    repeated: int
    refused: int
    dropped: int
    recovered: int
    waiting: int  # assignments that nobody plays
    playing: int  # assignments that somebody plays


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStatus:
    """A run."""

    desk: DeskStatus
    pid: int
    address: str  # where workers come
    updates: int  # that there are to be
    update: int  # that are done
    metrics: dict[str, float] = field(default_factory=dict[str, float])  # of the last update, by name


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnStatus:
    """A worker, as it knows itself."""

    name: str
    connected: bool
    connections: int  # to the learner, since its process started, as the next
    steps: int
    episodes: int
    refused: int  # reports that the learner turned away
    spooled: int  # reports that wait on the disk


Status = RunStatus | OwnStatus


class StatusServer:
    """Serves /metrics and /status on this machine.

    Args: status: called for every request. port: 0 for a free one.
    Raises: DeliveryError: the port is taken.
    """

    def __init__(self, status: Callable[[], Status], port: int = 0) -> None:
        registry = CollectorRegistry()
        registry.register(_Metrics(status))

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == "/metrics":
                    self._answer(CONTENT_TYPE_LATEST, generate_latest(registry))
                elif self.path == "/status":
                    self._answer("application/json", json.dumps(asdict(status())).encode())
                else:
                    self.send_error(HTTPStatus.NOT_FOUND, "there are /metrics and /status")

            def _answer(self, kind: str, body: bytes) -> None:
                self.send_response(HTTPStatus.OK)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing: a Prometheus asks every few seconds."""

        try:
            self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        except OSError as error:
            raise DeliveryError(f"metrics cannot be served on 127.0.0.1:{port}: {error}; choose another") from error
        self._server.daemon_threads = True
        self.address: Final = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, name="status", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Metrics(Collector):
    def __init__(self, status: Callable[[], Status]) -> None:
        self._status = status

    def describe(self) -> list[Metric]:
        return []  # not known before there is a status, and then it says all

    def collect(self) -> Iterator[Metric]:
        status = self._status()
        yield from _of_run(status) if isinstance(status, RunStatus) else _of_worker(status)


def _of_run(status: RunStatus) -> Iterator[Metric]:
    desk = status.desk
    yield CounterMetricFamily("skygarden_updates", "Updates that are done.", status.update)
    yield GaugeMetricFamily("skygarden_updates_planned", "Updates that there are to be.", status.updates)
    for name, value in status.metrics.items():
        yield GaugeMetricFamily(f"skygarden_{name}", f"{name} of the last update.", value)
    reports = CounterMetricFamily(
        "skygarden_reports", "Reports of episodes by what became of them.", labels=["outcome"]
    )
    for outcome in ("accepted", "repeated", "refused", "dropped", "recovered"):
        reports.add_metric([outcome], getattr(desk, outcome))
    yield reports
    assignments = GaugeMetricFamily("skygarden_assignments", "Those that are asked for.", labels=["state"])
    for state in ("waiting", "playing"):
        assignments.add_metric([state], getattr(desk, state))
    yield assignments
    yield from _of_workers(desk.workers)


def _of_workers(workers: tuple[WorkerStatus, ...]) -> Iterator[Metric]:
    gauges = {
        "connected": "Whether the worker has a line to the learner.",
        "silent": "Seconds since it was heard.",
        "spooled": "Reports that wait on its disk.",
        "steps_per_second": "Frames that it plays a second, by its last two heartbeats.",
    }
    counters = {
        "steps": "Frames played since its process started.",
        "episodes": "Episodes finished since its process started.",
        "accepted": "Reports taken in since the learner started.",
        "refused": "Reports refused since the learner started.",
    }
    for kind, helps in ((GaugeMetricFamily, gauges), (CounterMetricFamily, counters)):
        for name, help_ in helps.items():
            family = kind(f"skygarden_worker_{name}", help_, labels=["worker"])
            for worker in workers:
                family.add_metric([worker.name], float(getattr(worker, name)))
            yield family


def _of_worker(worker: OwnStatus) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "skygarden_game_connected", "Whether there is a line to the learner.", float(worker.connected)
    )
    yield GaugeMetricFamily("skygarden_game_spooled", "Reports that wait on the disk.", worker.spooled)
    yield CounterMetricFamily("skygarden_game_lines", "Lines to the learner so far.", worker.connections)
    yield CounterMetricFamily("skygarden_game_frames", "Frames played.", worker.steps)
    yield CounterMetricFamily("skygarden_game_episodes", "Episodes finished.", worker.episodes)
    yield CounterMetricFamily("skygarden_game_refused", "Reports that the learner turned away.", worker.refused)
