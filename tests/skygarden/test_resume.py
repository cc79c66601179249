"""A training that is killed, as a power cut kills it."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from agents.checkpoint import load_policy
from skygarden.training import read_curves

UPDATES = 8  # a checkpoint after every second


def pretrain(data: Path, out: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "skygarden", "pretrain", "--preset", "smoke", "--updates", str(UPDATES)]
    return subprocess.Popen([*command, "--data", str(data), "--out", str(out)])


def wait_for_a_checkpoint(out: Path, run: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 200
    while not (out / "policy.safetensors").exists():
        assert run.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.slow
def test_a_run_killed_by_the_system_goes_on_to_the_same_weights_and_curves(gameplay: Path, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert pretrain(gameplay / "everybody", whole).wait(timeout=250) == 0

    run = pretrain(gameplay / "everybody", killed)
    wait_for_a_checkpoint(killed, run)
    run.kill()
    assert run.wait() == -signal.SIGKILL
    done = load_policy(killed / "policy.safetensors")[1]["done"]
    assert 0 < done < UPDATES
    assert pretrain(gameplay / "everybody", killed).wait(timeout=250) == 0

    (expected, _), (found, settings) = (load_policy(out / "policy.safetensors") for out in (whole, killed))
    assert settings["done"] == UPDATES
    for (name, a), b in zip(found.named_parameters(), expected.parameters(), strict=True):
        assert torch.equal(a, b), name
    assert read_curves(killed)["training"] == read_curves(whole)["training"]
