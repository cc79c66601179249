"""The account of a run to which things happened: what was played, what was used, what is still there."""

import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import numpy as np
import torch

from agents.checkpoint import load_policy, save_policy, trunk_hash
from agents.policy import Policy, PolicyConfig
from agents.reward import RewardArtefact, RewardModel, save_reward
from rollout.delivery.journal import read_segment
from rollout.delivery.keys import Key
from rollout.delivery.reports import Played, Report, recall_report
from rollout.delivery.spool import Spool
from skygarden.online import read_metrics
from tests.chaos.learner import BATCH, UPDATES

ROOT: Final = Path(__file__).parents[2]
_PATIENCE: Final = 600.0  # seconds to learn again from the journal


def prepare(folder: Path, workers: Iterable[str]) -> None:
    """Make what is learnt from: a tiny policy and a reward model, and the workers' tokens."""
    policy = Policy(PolicyConfig(width=32, layers=2, heads=2, context=8), torch.Generator().manual_seed(0))
    save_policy(policy, folder / "start.safetensors")
    model = RewardModel(32, torch.Generator().manual_seed(1))
    save_reward(
        RewardArtefact(model, "embeddings", trunk_hash(policy), 0.5, {"wanted": "left"}), folder / "reward.safetensors"
    )
    (folder / "tokens").write_text("".join(f"{name} token-of-{name}\n" for name in workers))


def settle(folder: Path, out: Path, lag: int, audit: Path, spools: Iterable[Path]) -> None:
    """Hold a run to the law of delivery, and learn it again from its journal.

    Args: folder: as `prepare` made it. out: of the run. audit: file of the keys of all that was finished. spools:
      folders in which workers have had theirs, those of machines that are gone among them.
    """
    finished = {
        Key(name, int(incarnation), int(sequence))
        for name, incarnation, sequence in map(str.split, audit.read_text().splitlines())
    }
    runs = [run for spool in spools for run in spool.glob("*/*")]
    refused = {key for run in runs for key in _kept(run / "refused", run.parent.name)}
    kept = {key for run in runs for key in _kept(run, run.parent.name)} | refused
    reports = in_journal(out)
    used = [report.key for report in reports if report.key]
    assert len(used) == len(set(used))
    assert finished - set(used) - kept == set()  # nothing is lost
    assert not refused & set(used)
    places = Counter((report.assignment, report.index) for report in reports)
    assert set(places.values()) == {1}
    assert len(places) == UPDATES * BATCH
    lines = read_metrics(out)
    assert [line["update"] for line in lines] == list(range(1, UPDATES + 1))
    assert sum(line["episodes"] for line in lines) == sum(isinstance(report, Played) for report in reports)
    same_weights(out, replay(folder, out, lag))


def in_journal(out: Path) -> list[Report]:
    """All that a run ever took in, in its order."""
    segments = sorted((out / "journal").glob("*.journal"))
    return [recall_report(data) for segment in segments for data, _ in read_segment(segment)]


def replay(folder: Path, out: Path, lag: int) -> Path:
    """Learn a run again, beside it and from its journal alone; returns the folder."""
    again = out.with_name("again")
    again.mkdir()
    shutil.copytree(out / "journal", again / "journal")
    learner = [sys.executable, "-m", "tests.chaos.learner", str(folder), str(again), "0", str(lag)]
    run = subprocess.run(learner, cwd=ROOT, capture_output=True, timeout=_PATIENCE, check=False)
    assert run.returncode == 0, run.stderr.decode()[-3000:]
    return again


def same_weights(one: Path, other: Path) -> None:
    """Two runs ended in the same weights, bit for bit."""
    a, b = (load_policy(out / "policy.safetensors")[0].state_dict() for out in (one, other))
    assert a.keys() == b.keys()
    for name, tensor in a.items():
        np.testing.assert_array_equal(tensor.numpy(), b[name].numpy(), err_msg=name)


def _kept(folder: Path, worker: str) -> list[Key]:
    """What is in a worker's spool."""
    return Spool(folder, worker).waiting
