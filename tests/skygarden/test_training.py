"""Training as a user starts it: small runs of every stage, what they leave, and how they go on."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from agents.checkpoint import load_policy
from agents.data import LoaderConfig
from agents.imitation import ImitationConfig, Metrics
from agents.policy import Policy, PolicyConfig
from envs.errors import DataError
from envs.gamepad import NOOP
from envs.standin.gameplay import record_match
from envs.standin.replay import Recorder, Replay
from rollout.replays import ReplaySequences, Span, whole
from skygarden import training
from skygarden.presets import THROUGH_A_WINDOW
from skygarden.training import draw_held_out, read_curves, run_training

SMOKE = ("--preset", "smoke")
LOADER = LoaderConfig(batch_size=2, length=8, augment=None)
SHORT = ImitationConfig(
    updates=4, batch_size=2, micro_batch=1, learning_rate=1e-3, warm_up=1, precision="float32", checkpoint_every=2
)


@pytest.fixture(scope="module")
def sequences() -> ReplaySequences:
    """A match."""
    return ReplaySequences(whole([record_match(seed=0, index=0)]))


def tiny() -> Policy:
    """The same tiny policy every time."""
    return Policy(PolicyConfig(width=32, layers=2, heads=2, context=8), torch.Generator().manual_seed(0))


def stand_still() -> Replay:
    """A match of somebody who presses nothing."""
    recorder = Recorder(dressing=0, character=0, skin=0, player="idle", seed=0)
    recorder.begin(0)
    for _ in range(40):
        recorder.step(NOOP)
    return recorder.replay()


def steps(run: Path) -> dict[str, list[int]]:
    """At which updates the losses of a run were written."""
    return {kind: [update for update, _ in values] for kind, values in read_curves(run).items()}


def weights(run: Path) -> dict[str, torch.Tensor]:
    """Those of a run's policy."""
    return load_policy(run / "policy.safetensors")[0].state_dict()


def settings(run: Path) -> dict[str, Any]:
    """What is kept with a run's policy."""
    return load_policy(run / "policy.safetensors")[1]


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    """Bit for bit."""
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def make_clips(folder: Path, count: int) -> None:
    """Clips as the Bleeding Edge sample has them, of 4 seconds."""
    folder.mkdir()
    for k in range(count):
        rng = np.random.default_rng(k)
        images = rng.integers(0, 256, (40, 18, 30, 3), np.uint8).repeat(10, 1).repeat(10, 2)
        actions = rng.integers(0, (2,) * 12 + (11,) * 4, (40, 16)).astype(np.float32)
        np.savez(folder / f"clip-{k}.npz", images=images, actions=actions, states=np.zeros((40, 56), np.float32))


# A run


def test_a_run_leaves_a_policy_its_curves_and_a_picture_of_them(sequences: ReplaySequences, tmp_path: Path) -> None:
    policy, held_out = tiny(), draw_held_out(sequences, 4, 8)
    loss = run_training(
        policy, sequences, held_out, LOADER, SHORT, tmp_path / "run", {"stage": "test"}, {"about": "a test"}
    )
    curves = read_curves(tmp_path / "run")
    assert steps(tmp_path / "run") == {"training": [1, 2, 3, 4], "held out": [2, 4]}
    assert curves["held out"][-1][1] == pytest.approx(loss.component)
    assert loss.component < curves["training"][0][1]  # it has learnt something
    picture = cv2.imread(str(tmp_path / "run" / "curve.png"))
    assert picture is not None
    assert same(weights(tmp_path / "run"), policy.state_dict())
    kept = settings(tmp_path / "run")
    assert (kept["done"], kept["about"], kept["training"]["window"]) == (4, "a test", 8)


def test_a_run_that_was_killed_goes_on_and_its_curves_have_every_update_once(
    sequences: ReplaySequences, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is killed after update 3, of which the checkpoint after update 2 knows nothing."""
    held_out, train = draw_held_out(sequences, 4, 8), training.train

    def killed(*arguments: Any) -> Iterator[Metrics]:
        yield from islice(train(*arguments), 3)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(training, "train", killed)
        with pytest.raises(KeyboardInterrupt):
            run_training(tiny(), sequences, held_out, LOADER, SHORT, tmp_path / "killed", {})
    assert steps(tmp_path / "killed") == {"training": [1, 2, 3], "held out": [2]}
    run_training(tiny(), sequences, held_out, LOADER, SHORT, tmp_path / "killed", {})
    run_training(tiny(), sequences, held_out, LOADER, SHORT, tmp_path / "whole", {})
    assert same(weights(tmp_path / "killed"), weights(tmp_path / "whole"))
    assert read_curves(tmp_path / "killed") == read_curves(tmp_path / "whole")


def test_a_run_that_is_done_has_its_loss_measured_and_is_not_touched(
    sequences: ReplaySequences, tmp_path: Path
) -> None:
    held_out = draw_held_out(sequences, 4, 8)
    first = run_training(tiny(), sequences, held_out, LOADER, SHORT, tmp_path, {})
    before = (tmp_path / "policy.safetensors").stat().st_mtime_ns
    assert run_training(tiny(), sequences, held_out, LOADER, SHORT, tmp_path, {}) == first
    assert (tmp_path / "policy.safetensors").stat().st_mtime_ns == before
    assert steps(tmp_path) == {"training": [1, 2, 3, 4], "held out": [2, 4]}


def test_what_is_held_out_is_the_same_every_time_as_many_windows_and_not_augmented(sequences: ReplaySequences) -> None:
    first, again = draw_held_out(sequences, 6, 8, batch=3), draw_held_out(sequences, 6, 8, batch=3)
    assert [tuple(batch.actions.shape) for batch in first] == [(3, 8, 16)] * 2
    for a, b in zip(first, again, strict=True):
        assert torch.equal(a.frames, b.frames)
        assert torch.equal(a.actions, b.actions)
    short = ReplaySequences([Span(record_match(0, 0), 50, 8)])  # one window is all there is
    (batch,) = draw_held_out(short, 1, 8)
    assert np.array_equal(batch.frames[0].numpy(), short.read(0, 0, 8)[0])


# The commands


def test_a_base_policy_is_pre_trained_and_a_second_time_there_is_nothing_to_do(
    command, gameplay: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, run = gameplay / "everybody", tmp_path / "base"
    command("pretrain", *SMOKE, "--data", data, "--out", run)
    assert steps(run) == {"training": [1, 2, 3, 4], "held out": [2, 4]}
    kept = settings(run)
    assert (kept["training"]["stage"], kept["done"], kept["files"]) == ("pretrain", 4, 2)  # of three, one is held out
    held_out = read_curves(run)["held out"][-1][1]
    line = f"policy.safetensors: held-out loss {held_out:.4f} nats a component"
    assert line in capsys.readouterr().out.replace("\n", "")
    before = (run / "policy.safetensors").read_bytes()
    command("pretrain", *SMOKE, "--data", data, "--out", run)
    assert line in capsys.readouterr().out.replace("\n", "")
    assert (run / "policy.safetensors").read_bytes() == before
    command("pretrain", *SMOKE, "--data", data, "--out", run, "--updates", 5)
    assert settings(run)["done"] == 5
    assert steps(run) == {"training": [1, 2, 3, 4, 5], "held out": [2, 4, 5]}


def test_a_folder_with_another_stage_or_seed_is_refused_in_one_line(
    command, gameplay: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "base"
    short = (*SMOKE, "--out", run, "--updates", 1)
    command("pretrain", *short, "--data", gameplay / "everybody")
    for other, wrong in (
        (("pretrain", *short, "--data", gameplay / "everybody", "--seed", 1), "seed"),
        (("finetune", *short, "--data", gameplay / "ninja", "--policy", "scratch"), "stage"),
    ):
        with pytest.raises(SystemExit, match="2"):
            command(*other)
        assert f"holds a run that differs in {wrong}; use another folder" in capsys.readouterr().err


def test_a_run_without_its_curves_can_be_looked_at_again(sequences: ReplaySequences, tmp_path: Path) -> None:
    held_out = draw_held_out(sequences, 4, 8)
    first = run_training(tiny(), sequences, held_out, LOADER, SHORT, tmp_path, {})
    shutil.rmtree(tmp_path / "tensorboard")
    assert run_training(tiny(), sequences, held_out, LOADER, SHORT, tmp_path, {}) == first


def test_what_is_held_out_must_have_something_done_in_it() -> None:
    idle = ReplaySequences(whole([stand_still()]))
    with pytest.raises(DataError, match="nobody presses anything"):
        draw_held_out(idle, 4, 8)


@pytest.mark.slow
def test_a_policy_is_fine_tuned_from_another_and_from_scratch(command, gameplay: Path, tmp_path: Path) -> None:
    command("pretrain", *SMOKE, "--data", gameplay / "everybody", "--out", tmp_path / "base", "--updates", 1)
    ninja = ("--data", gameplay / "ninja", *SMOKE)
    command("finetune", "--policy", tmp_path / "base", *ninja, "--out", tmp_path / "tuned")
    command("finetune", "--policy", "scratch", *ninja, "--out", tmp_path / "fresh")
    command("finetune", "--policy", "scratch", *ninja, "--out", tmp_path / "other", "--seed", 1, "--through-window")
    for name, base in (("tuned", str(tmp_path / "base")), ("fresh", "scratch"), ("other", "scratch")):
        kept = settings(tmp_path / name)
        made = kept["training"]
        assert (made["stage"], made["base"], kept["trajectories"], kept["done"]) == ("finetune", base, 3, 4)
        assert steps(tmp_path / name) == {"training": [1, 2, 3, 4], "held out": [2, 4]}
    final = [weights(tmp_path / name) for name in ("base", "tuned", "fresh", "other")]
    assert not any(same(a, b) for k, a in enumerate(final) for b in final[:k])
    seen = [settings(tmp_path / name)["settings"]["sights"] for name in ("tuned", "fresh", "other")]
    assert seen[:2] == [[{"late": 0, "drawn": 128}]] * 2
    assert seen[2] == [asdict(sight) for sight in THROUGH_A_WINDOW]
    starts = {name: read_curves(tmp_path / name)["training"][0][1] for name in ("tuned", "fresh")}
    assert starts["tuned"] < starts["fresh"]  # what the base has learnt is not lost


def test_a_fine_tuned_policy_can_be_evaluated_and_exported(command, walker: Path, gameplay: Path, tmp_path) -> None:
    run = tmp_path / "tuned"
    command("finetune", "--policy", walker, "--data", gameplay / "ninja", *SMOKE, "--out", run, "--updates", 1)
    assert load_policy(run / "policy.safetensors")[0].config == load_policy(walker)[0].config
    command("evaluate", run, "--episodes", 1, "--videos", 0, "--out", tmp_path / "results")
    assert (tmp_path / "results" / "results.json").exists()
    command("export", run, tmp_path / "mine.safetensors")
    assert settings(run) == load_policy(tmp_path / "mine.safetensors")[1]


def test_a_base_policy_is_pre_trained_on_imported_clips(
    command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clips, data, run = tmp_path / "clips", tmp_path / "data", tmp_path / "base"
    make_clips(clips, 3)
    (clips / "clip-9.npz").write_bytes(b"half a download")
    command("import-bleeding-edge", clips, "--out", data)
    said = capsys.readouterr().out
    assert f"left out {clips / 'clip-9.npz'}: is damaged, cut short or no archive" in said
    assert f"3 of 4 clips are in {data}; now: skygarden pretrain --data {data}" in said.replace("\n", "")
    command("pretrain", *SMOKE, "--data", data, "--out", run, "--updates", 2)
    assert (settings(run)["files"], settings(run)["done"]) == (2, 2)
    assert steps(run) == {"training": [1, 2], "held out": [2]}
    assert not list(data.glob("match-*"))  # nothing was recorded beside them


# What is refused, in one line


def test_an_unknown_policy_is_one_line_and_exit_status_2(tmp_path: Path) -> None:
    arguments = ["finetune", "--policy", "nobody", "--data", str(tmp_path / "data"), "--out", str(tmp_path / "run")]
    done = subprocess.run([sys.executable, "-m", "skygarden", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("skygarden: there is no policy 'nobody': give ")
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())  # and nothing was recorded for it


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("evaluate", "nobody"), "there is no policy 'nobody'"),
        (("evaluate", "random", "--episodes", "0"), "1 or more episodes"),
        (("export", "nobody", "x.safetensors"), "there is no policy 'nobody'"),
        (("pretrain", "--updates", "0"), "counts of 1 or more"),
        (("import-bleeding-edge", "."), "there are no .npz clips in"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_done_is_one_line_and_exit_status_2(
    command, arguments, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as exit_:
        command(*arguments)
    assert exit_.value.code == 2
    assert words in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_folder_where_no_clip_is_good_is_refused_and_says_why(
    command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.npz").write_bytes(b"half a download")
    with pytest.raises(SystemExit):
        command("import-bleeding-edge", tmp_path, "--out", tmp_path / "data")
    said = capsys.readouterr()
    assert said.out.count("left out") == 2
    assert f"none of the 2 clips in {tmp_path} can be used" in said.err


def test_one_recording_is_too_few_to_hold_one_out(command, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_clips(tmp_path / "clips", 1)
    command("import-bleeding-edge", tmp_path / "clips", "--out", tmp_path / "data")
    with pytest.raises(SystemExit):
        command("pretrain", *SMOKE, "--data", tmp_path / "data", "--out", tmp_path / "run")
    assert "too few to hold one out; add more" in capsys.readouterr().err
