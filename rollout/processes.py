"""Workers as processes on this machine: started, watched, started again when one dies, stopped."""

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from rollout.desk import Desk
from rollout.environments import EnvConfig

TOKEN: Final = "SKYGARDEN_TOKEN"  # the environment variable in which a worker finds its token
RESTARTS: Final = 3  # of one worker, after which the run is given up
_ORPHANED: Final = "30"  # seconds without their learner after which workers end
_LOOK: Final = 0.5  # seconds between looks
_LEAVE: Final = 10.0  # seconds that a worker has to end by itself

log = logging.getLogger(__name__)


def worker_command(learner: str, env: EnvConfig, spool: Path) -> list[str]:
    """What runs a worker beside its learner, to which its name is added.

    Args: learner: HOST:PORT. env: what it plays. spool: folder for what is not answered yet.
    """
    command = [sys.executable, "-m", "skygarden", "worker", "--learner", learner, *env.options]
    return [*command, "--spool", str(spool), "--patience", _ORPHANED, "--name"]


class WorkerProcesses:
    """A process for each name.

    Args: desk: closed when a worker dies too often, so that nobody waits for it. command: what runs a worker, to which
      its name is added. tokens: by name. folder: where a worker's output goes, as NAME.log.
    """

    def __init__(self, desk: Desk, command: Sequence[str], tokens: Mapping[str, str], folder: Path) -> None:
        self._desk, self._command, self._tokens, self._folder = desk, list(command), dict(tokens), folder
        self._restarts = dict.fromkeys(tokens, 0)
        self._stop = threading.Event()
        self._running = {name: self._start(name) for name in tokens}
        self._thread = threading.Thread(target=self._watch, name="workers", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Wait for the workers to end, which the learner's leaving makes them do, and end those that do not."""
        self._stop.set()
        self._thread.join()
        for name, process in self._running.items():
            try:
                process.wait(_LEAVE)
            except subprocess.TimeoutExpired:
                log.warning("worker %s does not end; it is stopped", name)
                process.kill()
                process.wait()

    @property
    def pids(self) -> list[int]:
        """Of the processes, in the order of their names."""
        return [process.pid for process in self._running.values()]

    def _start(self, name: str) -> subprocess.Popen[bytes]:
        with (self._folder / f"{name}.log").open("ab") as output:
            return subprocess.Popen(
                [*self._command, name],
                env={**os.environ, TOKEN: self._tokens[name]},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a Ctrl-C is the learner's, which sends the workers home
            )

    def _watch(self) -> None:
        while not self._stop.wait(_LOOK):
            for name, process in self._running.items():
                if process.poll() is not None and not self._start_again(name, process.returncode):
                    return

    def _start_again(self, name: str, code: int) -> bool:
        """Whether a worker that died may have another life."""
        if self._desk.closed:  # it was sent home
            return False
        if self._restarts[name] == RESTARTS:
            reason = f"worker {name} died {RESTARTS + 1} times (last with status {code}); see {self._folder}/{name}.log"
            self._desk.close(reason)
            return False
        log.warning("worker %s died with status %d and is started again", name, code)
        self._restarts[name] += 1
        self._running[name] = self._start(name)
        return True
