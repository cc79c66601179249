"""`skygarden pretrain` learns from recorded play, alone and beside replays."""

from pathlib import Path

import pytest

from agents.checkpoint import load_policy
from rollout.lerobot.dataset import Dataset
from rollout.lerobot.journal import Header
from rollout.lerobot.unfinished import Unfinished, finish
from tests.rollout.lerobot.conftest import SIZE, play_of
from tests.skygarden.conftest import Command

SMOKE = ("--preset", "smoke", "--updates", "2")


def recorded(root: Path, lengths: list[int]) -> Dataset:
    """A dataset of made-up play."""
    for seed, steps in enumerate(lengths):
        header = Header(name=f"take-{seed}", task="go", fps=10, height=SIZE[0], width=SIZE[1])
        with Unfinished(root, header) as episode:
            for frame, step in zip(*play_of(steps, seed), strict=True):
                episode.append(frame, step)
    assert [steps for _, steps in finish(root)] == lengths
    return Dataset(root)


def files_of(run: Path) -> int:
    """How many files a run learnt from."""
    return load_policy(run / "policy.safetensors")[1]["files"]


def test_recorded_play_is_learnt_from_and_bad_episodes_are_left_out_with_the_reason(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    recorded(tmp_path / "play", [40, 12, 45, 50])
    command("pretrain", *SMOKE, "--data", tmp_path / "play", "--out", tmp_path / "run")
    out = capsys.readouterr().out
    assert "left out take-1: too short: 12 steps, 32 are needed" in out
    assert "held-out loss" in out
    assert files_of(tmp_path / "run") == 2  # of three that are good, one is held out
    assert len(list((tmp_path / "play/.decoded").glob("*.frames.npy"))) == 3


def test_recorded_play_is_learnt_from_beside_replays(command: Command, gameplay: Path, tmp_path: Path):
    recorded(tmp_path / "play", [40, 45])
    data = (gameplay / "everybody", tmp_path / "play")
    command("pretrain", *SMOKE, "--data", *data, "--out", tmp_path / "run")
    assert files_of(tmp_path / "run") == 3  # of three replays and two recordings, one each is held out


def test_play_of_which_nothing_is_good_is_refused(command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    recorded(tmp_path / "play", [12, 14])
    with pytest.raises(SystemExit):
        command("pretrain", *SMOKE, "--data", tmp_path / "play", "--out", tmp_path / "run")
    assert "none of the 2 episodes" in capsys.readouterr().err
