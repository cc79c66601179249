"""An online run and its workers, killed as a power cut kills them."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from agents.checkpoint import load_policy, save_policy, trunk_hash
from agents.policy import Policy, PolicyConfig
from agents.reward import RewardArtefact, RewardModel, save_reward
from skygarden.online import METRICS

UPDATES = 6  # a checkpoint after each

Online = Callable[[Path], subprocess.Popen[bytes]]


@pytest.fixture(scope="module")
def online(tmp_path_factory: pytest.TempPathFactory) -> Online:
    """Start a run of a tiny policy with two workers."""
    folder = tmp_path_factory.mktemp("online")
    policy = Policy(PolicyConfig(width=32, layers=2, heads=2, context=8), torch.Generator().manual_seed(0))
    save_policy(policy, folder / "start.safetensors")
    model = RewardModel(32, torch.Generator().manual_seed(1))
    save_reward(
        RewardArtefact(model, "embeddings", trunk_hash(policy), 0.5, {"wanted": "left"}), folder / "reward.safetensors"
    )
    command = [sys.executable, "-m", "skygarden", "online", str(folder / "start.safetensors"), "--preset", "smoke"]
    options = ["--reward", str(folder / "reward.safetensors"), "--updates", str(UPDATES), "--max-policy-lag", "1"]
    return lambda out: subprocess.Popen([*command, *options, "--out", str(out)])


@pytest.fixture(scope="module")
def undisturbed(online: Online, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run to which nothing happened."""
    out = tmp_path_factory.mktemp("undisturbed")
    assert online(out).wait(timeout=250) == 0
    return out


def lines_of(out: Path) -> list[dict[str, Any]]:
    """What the updates reported, but for how long they took."""
    lines = [json.loads(line) for line in (out / METRICS).read_text().splitlines()]
    return [{key: value for key, value in line.items() if "seconds" not in key} for line in lines]


def wait_for(run: subprocess.Popen[bytes], happened: Callable[[], bool]) -> None:
    """Until something has happened in a run that goes on."""
    deadline = time.monotonic() + 200
    while not happened():
        assert run.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)


def assert_same(out: Path, expected: Path) -> None:
    """Two runs ended in the same weights and reported the same."""
    policies = [load_policy(folder / "policy.safetensors")[0] for folder in (out, expected)]
    for (name, a), b in zip(policies[0].named_parameters(), policies[1].parameters(), strict=True):
        assert torch.equal(a, b), name
    assert lines_of(out) == lines_of(expected)
    assert [line["update"] for line in lines_of(out)] == list(range(1, UPDATES + 1))


@pytest.mark.slow
def test_a_learner_that_was_killed_goes_on_to_the_same_weights_and_its_workers_go_home(
    online: Online, undisturbed: Path, tmp_path: Path
) -> None:
    run = online(tmp_path)
    wait_for(run, lambda: (tmp_path / METRICS).exists() and len(lines_of(tmp_path)) >= 2)
    workers = psutil.Process(run.pid).children()
    run.kill()
    assert run.wait() == -signal.SIGKILL
    gone, alive = psutil.wait_procs(workers, timeout=60)
    assert (len(gone), alive) == (2, [])
    assert online(tmp_path).wait(timeout=250) == 0
    assert_same(tmp_path, undisturbed)


@pytest.mark.slow
def test_a_worker_that_was_killed_changes_nothing(online: Online, undisturbed: Path, tmp_path: Path) -> None:
    run = online(tmp_path)
    wait_for(run, lambda: (tmp_path / METRICS).exists() and len(lines_of(tmp_path)) >= 1)
    psutil.Process(run.pid).children()[0].kill()
    assert run.wait(timeout=250) == 0
    assert_same(tmp_path, undisturbed)
