"""What a learner at work tells of itself: its status on this machine, and in its folder where that is served."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rollout.desk import Desk
from rollout.status import RunStatus, StatusServer
from skygarden.files import write_text
from skygarden.status import LEARNER


class Monitor:
    """Serves the status of a run until it is closed.

    Args: out: folder of the run. address: where workers come. updates: that there are to be. done: that are done.
      port: of the status; 0 for a free one.
    Raises: DeliveryError: the port is taken.
    """

    def __init__(self, out: Path, desk: Desk, address: str, updates: int, done: int, port: int = 0) -> None:
        self._desk, self._address, self._updates, self._done = desk, address, updates, done
        self._metrics: dict[str, float] = {}
        self._server = StatusServer(self._status, port)
        self._path = out / LEARNER
        write_text(self._path, json.dumps({"pid": os.getpid(), "status": self._server.address, "address": address}))

    def tell(self, line: Mapping[str, Any]) -> None:
        """An update is done, and this is what it reported."""
        self._done = int(line["update"])
        self._metrics = {name: float(value) for name, value in line.items() if isinstance(value, int | float)}
        del self._metrics["update"]

    def close(self) -> None:
        """Stop."""
        self._path.unlink(missing_ok=True)
        self._server.close()

    def _status(self) -> RunStatus:
        return RunStatus(
            desk=self._desk.status(),
            pid=os.getpid(),
            address=self._address,
            updates=self._updates,
            update=self._done,
            metrics=self._metrics,
        )
