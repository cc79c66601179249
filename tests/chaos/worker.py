"""A worker to be killed: `python -m tests.chaos.worker AUDIT OPTIONS...`, with the options of `skygarden worker`.

It writes down the key of every episode that is finished, and says some things twice.
"""

import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rollout.delivery.keys import Key
from rollout.delivery.line import Line
from rollout.delivery.spool import Spool
from skygarden.cli import main as skygarden

_REPEATED = 0.2  # of the reports


def main(audit: Path) -> None:
    """Work, and be watched."""
    file = os.open(audit, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    add, say = Spool.add, Line._say

    def audited(self: Spool, key: Key, report: bytes) -> None:
        add(self, key, report)
        os.write(file, f"{key.worker} {key.incarnation} {key.sequence}\n".encode())

    def twice(self: Line, stream: Any) -> Iterator[Any]:
        for message in say(self, stream):
            yield message
            if isinstance(message, bytes) and random.random() < _REPEATED:
                yield message

    Spool.add, Line._say = audited, twice
    skygarden()


if __name__ == "__main__":
    audit = Path(sys.argv.pop(1))
    sys.argv.insert(1, "worker")
    main(audit)
