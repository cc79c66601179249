"""A job's workers on a render machine, one after the other, each with a place, and a certificate where it needs one."""

import logging
import os
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from rollout.cluster.guard import Guarded
from rollout.cluster.slots import Slot, free_slot

SETTLED: Final = 60.0  # seconds that a worker has to live for, so that earlier deaths no longer count
_REST: Final = (0.5, 60.0)  # seconds between two lives of a worker: doubled with each death, up to the second
_LOOK: Final = 0.2  # seconds between looks for a free place
_LOG: Final = 8_000_000  # bytes of a worker's log, beyond which a new one is begun
_TAIL: Final = 600  # bytes of it that are told

log = logging.getLogger(__name__)

Phase = Literal["uncertified", "waiting", "playing", "resting", "ended", "left"]


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a game's worker is.

    In the command "{python}" becomes this machine's, "{name}" the worker's, "{folder}" one that is the worker's own on
    this machine, and "{papers}" the folder with its certificate.
    """

    command: tuple[str, ...]
    certified: bool = True  # it begins when it has a certificate
    first_display: int | None = None  # of the machine: the game in place k gets the k-th after it
    grace: float = 20.0  # seconds that a worker has to leave in


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What a game is told of the machine that it is on."""

    slots: int  # games that it takes
    gpus: int = 0  # that are shared out by place; 0: the environment is left as it is
    locks: Path
    folder: Path  # for what the workers of this run keep


class Life(threading.Thread):
    """Runs a job's workers.

    Args: name: of the worker. before: the life to wait for, which is told to stop.
    """

    def __init__(self, name: str, job: Job, machine: Machine, before: "Life | None" = None) -> None:
        super().__init__(name=f"life of {name}", daemon=True)
        self.job: Final = job
        self.phase: Phase = "waiting"
        self.request: bytes | None = None  # to be signed
        self.slot: int | None = None
        self.worker: int | None = None
        self.status: int | None = None  # with which the last worker ended
        self._deaths = before.deaths if before and before.job == job else 0
        self._began = 0.0
        self._worker_name, self._machine, self._before = name, machine, before
        self._folder = machine.folder / name
        self._lock = threading.Lock()
        self._stopped, self._certified = threading.Event(), threading.Event()
        self._key = b""
        self._child: Guarded | None = None

    @property
    def deaths(self) -> int:
        """How many workers have died since one lived for long."""
        return 0 if self.worker and time.monotonic() - self._began > SETTLED else self._deaths

    @property
    def tail(self) -> str:
        """Of what the workers have said."""
        with suppress(OSError), (self._folder / "worker.log").open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
            return file.read().decode("utf-8", "replace").strip()
        return ""

    def run(self) -> None:
        """See `threading.Thread`."""
        if self._before is not None:
            self._before.stop()
            self._before.join()
            self.status, self._before = self._before.status, None
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.job.certified:
            self._ask()
        while self.phase != "ended" and not self._stopped.is_set():
            with free_slot(self._machine.slots, self._machine.locks) as slot:
                if slot is None:
                    self._stopped.wait(_LOOK)
                else:
                    self._play(slot)
        if self._stopped.is_set():
            self.phase = "left"
            self._forget_key()

    def stop(self) -> None:
        """Have the worker leave; join to see it gone."""
        with self._lock:
            self._stopped.set()
            self._certified.set()
            if self._child is not None:
                self._child.leave()

    def certify(self, request: bytes, certificate: bytes, authority: bytes) -> None:
        """Take in the certificate for a key that was made here."""
        from rollout.identity.papers import Papers

        with self._lock:
            if self.request == request:
                Papers(self._key, certificate, authority).write(self._papers)
                self.request, self._key, self.phase = None, b"", "waiting"
                self._certified.set()

    def _ask(self) -> None:
        """Make a key, which never leaves this machine, and wait for its certificate."""
        from rollout.identity.certificates import Request

        made = Request.make()
        self._forget_key()
        with self._lock:
            self._key, self.request, self.phase = made.key, made.request, "uncertified"
        self._certified.wait()

    def _forget_key(self) -> None:
        for paper in self._papers.glob("*.pem"):
            paper.unlink()

    def _play(self, slot: Slot) -> None:
        """Run workers in a place until one ends as if it were not wanted, or none is."""
        while not self._stopped.is_set():
            self._run_one(slot)
            if self.status == 0:  # the learner sent it home; it is the learner that says if another is wanted
                self.phase = "ended"
                return
            self.phase = "resting"
            self._stopped.wait(min(_REST[0] * 2 ** min(self._deaths - 1, 20), _REST[1]))

    def _run_one(self, slot: Slot) -> None:
        record = self._folder / "worker.log"
        if record.exists() and record.stat().st_size > _LOG:
            record.replace(self._folder / "worker.log.old")
        with self._lock:
            if self._stopped.is_set():
                return
            self._child = Guarded(
                self._command(), self._environment(slot.number), record, self.job.grace, slot.descriptor
            )
        self._began = time.monotonic()
        self.slot, self.worker, self.phase = slot.number, self._child.worker, "playing"
        self.status = self._child.wait()
        self._deaths = self.deaths + 1
        self.slot = self.worker = None
        with self._lock:
            self._child = None

    @property
    def _papers(self) -> Path:
        return self._folder / "papers"

    def _command(self) -> list[str]:
        places = {"python": sys.executable, "name": self._worker_name, "folder": self._folder, "papers": self._papers}
        command = list(self.job.command)
        for place, value in places.items():
            command = [part.replace(f"{{{place}}}", str(value)) for part in command]
        return command

    def _environment(self, slot: int) -> dict[str, str]:
        """What the worker finds: this process's code, its own display and GPU, and not Ray's idea of its threads."""
        environment = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
        code = str(Path(__file__).parents[2])
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (code, environment.get("PYTHONPATH"))))
        return {**environment, **place_environment(slot, self._machine, self.job.first_display)}


def place_environment(slot: int, machine: Machine, first_display: int | None) -> Mapping[str, str]:
    """What a game's place says of its display and its GPU; GPUs are counted as the machine's driver counts them."""
    environment: dict[str, str] = {}
    if first_display is not None:
        environment["DISPLAY"] = f":{first_display + slot}"
    if machine.gpus:
        environment["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
        environment["CUDA_VISIBLE_DEVICES"] = str(slot * machine.gpus // machine.slots)
    return environment
