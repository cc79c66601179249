"""What was recorded is read back by LeRobot itself, release 0.4.4, in an environment of its own.

That release asks for older versions of much that this project uses, so it gets an environment in build/, which takes
torch and other large packages from this one: of torch there is one build without CUDA here, newer than LeRobot's pin.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from rollout.lerobot.layout import action_names
from tests.rollout.lerobot.conftest import Play, Record

ROOT: Final = Path(__file__).parents[3]
PLACE: Final = ROOT / "build" / "lerobot-0.4.4"
READER: Final = Path(__file__).with_name("read_with_lerobot.py")
ALONE: Final = ("lerobot==0.4.4", "torchvision==0.25.0", "accelerate==1.10.1")  # without what they ask for
WITH_THEIRS: Final = ("datasets>=4,<5", "huggingface-hub>=0.34.2,<0.36", "av>=15,<16", "pandas>=2.2,<3")


@pytest.fixture(scope="module")
def python() -> Path:
    """The interpreter of an environment with LeRobot, made where it is missing."""
    interpreter, ready = PLACE / "bin" / "python", PLACE / "ready"
    if sys.platform != "linux":
        pytest.skip("LeRobot's environment is made of packages for Linux")
    if not ready.exists():
        shutil.rmtree(PLACE, ignore_errors=True)
        begun = time.monotonic()
        subprocess.run([sys.executable, "-m", "venv", str(PLACE)], check=True, timeout=120)
        paths = sysconfig.get_paths(vars={"base": str(PLACE), "platbase": str(PLACE)})
        (Path(paths["purelib"]) / "torch-and-others.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
        pip = [str(interpreter), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        for packages in (["--no-deps", *ALONE], [*WITH_THEIRS]):
            made = subprocess.run([*pip, *packages], capture_output=True, text=True, check=False, timeout=280)
            if made.returncode:
                reason = f"no environment with LeRobot could be made: {made.stderr.strip().splitlines()[-1:]}"
                (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
        ready.write_text(f"made in {time.monotonic() - begun:.0f} s\n")
    return interpreter


@pytest.mark.slow
@pytest.mark.timeout(600)  # the first time, the environment is downloaded
def test_lerobot_reads_what_was_recorded(python: Path, record: Record, play: Play, tmp_path: Path):
    takes = [(40, 1, "go left"), (57, 2, "go right"), (33, 3, "go left")]
    datasets = [record(steps, seed, task) for steps, seed, task in takes]
    out = tmp_path / "read.npz"
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hub"), "PYTHONWARNINGS": "ignore"}
    command = [str(python), str(READER), str(datasets[-1].root), str(out)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stderr
    read: dict[str, Any] = dict(np.load(out))

    assert read["lengths"].tolist() == [40, 57, 33]
    assert read["tasks"].tolist() == ["go left"] * 40 + ["go right"] * 57 + ["go left"] * 33
    assert read["action_names"].tolist() == action_names()
    assert read["index"].tolist() == list(range(130))
    assert read["episode_index"].tolist() == [0] * 40 + [1] * 57 + [2] * 33
    numbers = np.concatenate([np.arange(steps) for steps, _, _ in takes])
    assert read["frame_index"].tolist() == numbers.tolist()
    assert np.allclose(read["timestamp"], numbers / 10)

    played = [play(steps, seed) for steps, seed, _ in takes]
    made = [step for _, steps in played for step in steps]
    assert np.array_equal(read["action"], [step.action for step in made])
    assert np.array_equal(read["observation.pad"], np.array([step.pad for step in made]))
    assert np.allclose(read["observation.time"], [step.time for step in made], atol=0.1)  # LeRobot makes it float32
    assert np.allclose(read["mean"], np.mean([step.action for step in made], axis=0))
    for mine, theirs in zip(read["frames"], [frame for frames, _ in played for frame in frames], strict=True):
        assert np.abs(mine.astype(int) - theirs).mean() < 4  # the next frame differs by 12

    second_frames, second = played[1]
    assert read["second_length"] == 57
    assert np.array_equal(read["window"], [step.action for step in second[5:8]])
    for mine, theirs in zip(read["window_frames"], second_frames[4:6], strict=True):
        assert np.abs(mine.transpose(1, 2, 0) * 255 - theirs).mean() < 4
