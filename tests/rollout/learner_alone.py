"""A learner in a process of its own, which asks for episodes for ever, so that its memory can be measured from outside.

    python -m tests.rollout.learner_alone PAPERS FOLDER POLICY

It says its port on its output, and ends with its input.
"""

import json
import sys
import threading
from contextlib import closing
from itertools import count
from pathlib import Path

import torch

from agents.policy import Head
from rollout.delivery.assignment import Assignment, Contract
from rollout.delivery.journal import Journal
from rollout.desk import Desk, Patience
from rollout.identity.door import Limits
from rollout.identity.trust import MutualTls
from rollout.server import RolloutServer

CONTRACT = Contract(trunk="a" * 64, width=1024, reads="features", context="chunked", temperature=1.0)
PATIENCE = Patience(heartbeat=0.5, silence=4.0, standstill=2.0)
LIMITS = Limits(handshake=2.0, greeting=2.0, idle=2.0)
SHARES, SEEDS = 4, 2  # assignments at once, and episodes of each


def main(papers: Path, folder: Path, policy: Path) -> None:
    """Serve until the input ends."""
    with closing(Journal(folder)) as journal:
        desk = Desk(CONTRACT, journal, PATIENCE)
        with closing(RolloutServer(desk, policy, MutualTls(papers), limits=LIMITS)) as server:
            threading.Thread(target=ask, args=(server,), daemon=True).start()
            print(json.dumps({"port": server.port}), flush=True)
            sys.stdin.read()


def ask(server: RolloutServer) -> None:
    """Have episodes played, and forget them."""
    server.publish(0, Head(CONTRACT.width, torch.Generator().manual_seed(0)).state_dict(), 0)
    for number in count():
        seeds = tuple(range(number * SEEDS, (number + 1) * SEEDS))
        server.post(Assignment(number=number, version=0, seeds=seeds, sampling_seed=number))
        if number >= SHARES:
            server.wait([number - SHARES], 120)
            server.saved(number - SHARES)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(*map(Path, sys.argv[1:]))
