"""A game's supervisor: what runs on a render machine, as an actor of Ray's, and knows nothing of Ray.

The worker is a child process and not this one: it is the same `skygarden worker` that a Windows machine runs, it has
PyTorch, numba and gRPC for itself, and one that hangs can be ended without this one. The learner asks again and again
how things are; who is not asked for long is forgotten, and leaves by itself. The actor lives on when its learner dies,
so that games need no new start when the learner is started again.
"""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from rollout.cluster.life import Job, Life, Machine, Phase

PROTOCOL: Final = 1  # between pool and actor; an actor with another one is replaced

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Look:
    """How things are with a game."""

    protocol: int = PROTOCOL
    host: str
    supervisor: int  # its process
    phase: Phase | None  # None: it has nothing to do yet
    job: Job | None
    request: bytes | None  # to be signed
    slot: int | None
    worker: int | None  # its process
    deaths: int  # since a worker lived for long
    status: int | None  # with which the last one ended
    tail: str  # of what that one said


class Game:
    """Supervises one worker at a time.

    Args: name: of the worker. machine: where this is. patience: seconds that nobody may ask for. forgotten: called when
      nobody has, and the worker has left.
    """

    def __init__(self, name: str, machine: Machine, patience: float, forgotten: Callable[[], None]) -> None:
        self._name, self._machine, self._patience, self._forgotten = name, machine, patience, forgotten
        self._heard = time.monotonic()
        self._life: Life | None = None
        self._over = threading.Event()
        threading.Thread(target=self._wait_for_questions, name="forgotten", daemon=True).start()

    def look(self) -> Look:
        """How things are."""
        self._heard = time.monotonic()
        life = self._life
        return Look(
            host=socket.gethostname(),
            supervisor=os.getpid(),
            phase=life.phase if life else None,
            job=life.job if life else None,
            request=life.request if life else None,
            slot=life.slot if life else None,
            worker=life.worker if life else None,
            deaths=life.deaths if life else 0,
            status=life.status if life else None,
            tail=life.tail if life and life.status is not None else "",
        )

    def begin(self, job: Job) -> None:
        """Run a worker; the one before leaves first. The same job again changes nothing, unless its worker ended."""
        before = self._life
        if self._over.is_set() or (before is not None and before.job == job and before.phase != "ended"):
            return
        self._life = Life(self._name, job, self._machine, before)
        self._life.start()

    def certify(self, request: bytes, certificate: bytes, authority: bytes) -> None:
        """Hand over the certificate that was asked for; an answer to an older request is of no use."""
        if self._life is not None:
            self._life.certify(request, certificate, authority)

    def leave(self) -> None:
        """Have the worker leave; returns when it has."""
        self._over.set()
        if self._life is not None:
            self._life.stop()
            self._life.join()

    def _wait_for_questions(self) -> None:
        while not self._over.wait(min(1.0, self._patience / 4)):
            if time.monotonic() - self._heard > self._patience:
                log.warning("no learner has asked for %g seconds; worker %s leaves", self._patience, self._name)
                self.leave()
                self._forgotten()
