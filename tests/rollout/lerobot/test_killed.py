"""A recorder that is killed at any moment loses two seconds at most, and the next start keeps the rest."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from envs.errors import DataError
from rollout.lerobot.dataset import Dataset
from rollout.lerobot.track import FPS
from rollout.lerobot.unfinished import finish
from rollout.lock import claim
from tests.rollout.lerobot.conftest import moving

ROOT = Path(__file__).parents[3]
SCRIPT = """
import sys, time
from pathlib import Path
import numpy as np
from rollout.lerobot.journal import Header
from rollout.lock import claim
from rollout.lerobot.track import Held, Step
from rollout.lerobot.unfinished import Unfinished
from tests.rollout.lerobot.conftest import SIZE, moving
root, pace = Path(sys.argv[1]), float(sys.argv[2])
header = Header(name="killed", task="go", fps=10, height=SIZE[0], width=SIZE[1])
action = np.array([1] + [0] * 11 + [5] * 4, np.uint8)
with claim(root, "recorder"), Unfinished(root, header) as episode:
    for number in range(100000):
        episode.append(moving(number), Step(number / 10, Held().vector(), action))
        print(number, flush=True)
        time.sleep(pace)
"""


def recorder(root: Path, pace: float) -> "subprocess.Popen[str]":
    """A process that records, faster than life, and says after each frame that it was given."""
    command = [sys.executable, "-c", SCRIPT, str(root), str(pace)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("seed", range(5))
def test_a_killed_recorder_loses_two_seconds_at_most(tmp_path: Path, seed: int):
    rng = np.random.default_rng(seed)
    frames = int(rng.integers(25, 120))
    process = recorder(tmp_path, 0.004)
    assert process.stdout is not None
    for _ in range(frames):
        assert process.stdout.readline()
    time.sleep(float(rng.uniform(0, 0.02)))  # anywhere in the writing of a frame
    process.kill()
    given = frames + sum(1 for line in process.stdout if line.endswith("\n"))
    process.wait()
    process.stdout.close()
    with claim(tmp_path, "recorder"):  # the dead hold no claim
        ((name, steps),) = finish(tmp_path)
    assert name == "killed"
    assert isinstance(steps, int)
    assert given - 2 * FPS <= steps <= given + 1
    dataset = Dataset(tmp_path)
    (entry,) = dataset.entries()
    assert len(dataset.track(entry)) == steps
    read = list(dataset.frames(entry))
    assert len(read) == steps
    assert np.abs(read[-1].astype(int) - moving(steps - 1)).mean() < 4
    assert list(finish(tmp_path)) == []


def test_a_recorder_that_is_killed_at_once_leaves_nothing_behind(tmp_path: Path):
    process = recorder(tmp_path, 0.0)
    assert process.stdout is not None
    process.stdout.readline()
    process.kill()
    process.wait()
    process.stdout.close()
    for _, outcome in finish(tmp_path):
        assert outcome == "nothing was recorded in it" or isinstance(outcome, int)
    assert list(finish(tmp_path)) == []


def test_two_recorders_do_not_share_a_dataset(tmp_path: Path):
    process = recorder(tmp_path, 0.05)
    assert process.stdout is not None
    process.stdout.readline()
    with pytest.raises(DataError, match="another recorder"), claim(tmp_path, "recorder"):
        pass
    process.kill()
    process.wait()
    process.stdout.close()
    with claim(tmp_path, "recorder"):
        pass
