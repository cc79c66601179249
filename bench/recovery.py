"""How fast a learner that was killed is back, against the seconds that its program takes to start with nothing to do.

A run of the agent in the box with two workers is killed with SIGKILL again and again, at moments drawn from a seed, and
started again at once with the same command. Measured from the start of the process: until workers can come, until both
have come back by themselves, and until the next update that was not there before. Updates done again are those between
its last checkpoint and the moment it was killed: the batch in hand, from the journal, without a step being played.

    python bench/recovery.py [--kills 10]
"""

import argparse
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch

from agents.checkpoint import load_policy, trunk_hash
from agents.reward import RewardArtefact, RewardModel, save_reward
from skygarden.policies import policy_path

SKYGARDEN = [sys.executable, "-m", "skygarden"]
WORKERS = ("ann", "bob")
PATIENCE = 300.0  # seconds


def status(out: Path, pid: int) -> dict[str, Any]:
    """The status of a learner with a process number, or nothing."""
    with suppress(OSError, ValueError):
        known = json.loads((out / "learner.json").read_text())
        if known["pid"] == pid:
            with urllib.request.urlopen(f"{known['status']}/status", timeout=1) as answer:
                return dict(json.load(answer))
    return {}


def seconds_until(holds: Callable[[], bool], start: float) -> float:
    """Seconds since `start` when something holds."""
    while not holds():
        if time.monotonic() - start > PATIENCE:
            raise SystemExit("gave up: see the logs")
        time.sleep(0.01)
    return time.monotonic() - start


def connected(found: dict[str, Any]) -> int:
    """How many workers have come."""
    return sum(worker["connected"] for worker in found["desk"]["workers"]) if found else 0


def measure(folder: Path, kills: int) -> list[tuple[float, float, float, int]]:
    """For each kill: seconds until workers can come, have come, and the next new update; updates done again."""
    rng, out = random.Random(0), folder / "run"
    policy, _ = load_policy(policy_path("base-4m"))
    model = RewardModel(policy.config.width, torch.Generator().manual_seed(0))
    save_reward(RewardArtefact(model, "embeddings", trunk_hash(policy), 0.5, {}), folder / "reward.safetensors")
    (folder / "tokens").write_text("".join(f"{name} token-of-{name}\n" for name in WORKERS))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    learner = [*SKYGARDEN, "online", "base-4m", "--reward", str(folder / "reward.safetensors"), "--out", str(out)]
    learner += [
        "--updates",
        "100000",
        "--schedule",
        "constant",
        "--listen",
        address,
        "--tokens",
        str(folder / "tokens"),
    ]
    log = (folder / "log").open("ab")

    def start(command: list[str], name: str = "") -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command, stdout=log, stderr=log, env={**os.environ, "SKYGARDEN_TOKEN": f"token-of-{name}"}
        )

    def updates(pid: int) -> int:
        return int(status(out, pid).get("update", -1))

    play = [*SKYGARDEN, "worker", "--learner", address, "--spool", str(folder / "spool"), "--name"]
    processes = [start([*play, name], name) for name in WORKERS]
    found: list[tuple[float, float, float, int]] = []
    try:
        for kill in range(kills + 1):
            begun = time.monotonic()
            processes.append(start(learner))
            pid = processes[-1].pid
            known = len((out / "metrics.jsonl").read_text().splitlines()) if kill else 0
            kept = max((int(path.stem.split("-")[1]) for path in out.glob("training-*.safetensors")), default=0)
            up = seconds_until(lambda pid=pid: bool(status(out, pid)), begun)
            back = seconds_until(lambda pid=pid: connected(status(out, pid)) == len(WORKERS), begun)
            new = seconds_until(lambda pid=pid, known=known: updates(pid) > known, begun)
            if kill:
                found.append((up, back, new, known - kept))
            time.sleep(rng.uniform(0, 8))
            processes.pop().send_signal(signal.SIGKILL)
    finally:
        for process in processes:
            process.kill()
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=10)
    options = parser.parse_args()
    begun = time.monotonic()
    subprocess.run([sys.executable, "-c", "import skygarden.online"], check=True)
    alone = time.monotonic() - begun
    with tempfile.TemporaryDirectory() as name:
        up, back, new, again = np.array(measure(Path(name), options.kills)).T
    print(f"the program starts in {alone:.1f} s; {options.kills} kills; up to {again.max():.0f} updates done again")
    for what, times in (("workers can come", up), ("both have come", back), ("a new update", new)):
        median = np.median(times)
        print(f"{what:17} {median:5.1f} s, longest {times.max():5.1f} s: {median / alone:4.1f} x the start")


if __name__ == "__main__":
    main()
