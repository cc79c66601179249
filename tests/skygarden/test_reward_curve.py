"""How good reward models get with how many comparisons: what is trained, what is written, and what a frame becomes."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from agents.reward import RewardConfig, RewardModel, random_projection
from envs.backend import JUMPPADS, Start
from envs.episode import Ending, Episode
from envs.errors import DataError
from envs.gamepad import SIZES as BUCKETS
from rollout.store import write_episodes
from skygarden import reward_curve
from skygarden.aims import aim_of
from skygarden.film import film
from skygarden.presets import RewardStage
from skygarden.reward_curve import random_projections

STAGE = RewardStage(trajectories=6, reads="embeddings", training=RewardConfig(epochs=2))


def episode(seed: int, steps: int = 3) -> Episode:
    """A short one that can be drawn again; its embeddings tell its outcome and its length, its pixels no outcome."""
    rng = np.random.default_rng(seed)
    pad = seed % 4
    embeddings = rng.normal(0, 0.1, (100, 5)).astype(np.float16)
    embeddings[:, pad] += 1
    embeddings[:, 4] += steps / 3
    return Episode(
        seed=seed,
        start=Start(seed // 4 % 4, "ninja", 0),
        actions=rng.integers(0, BUCKETS, (steps, 16), np.uint8),
        log_probs=np.zeros(steps, np.float32),
        embeddings=embeddings,
        features=np.zeros_like(embeddings),
        positions=np.zeros((steps + 1, 3), np.float32),
        ending=Ending.TRUNCATED if pad == 3 else Ending.TERMINATED,
        jumppad=None if pad == 3 else JUMPPADS[pad],
    )


def written(folder: Path, count: int) -> Path:
    """A file of episodes."""
    path = folder / "episodes.safetensors"
    write_episodes(path, [episode(seed, steps=1 + seed % 3) for seed in range(count)], {"trunk": "a" * 64})
    return path


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many comparisons there are of 3, 4 and 6 trajectories: 7 are more than may be learnt from."""
    monkeypatch.setattr(reward_curve, "SIZES", (3, 4, 7))
    return [3, 6, 15]


def test_a_curve_is_of_both_encoders_all_sizes_and_all_seeds(sizes: list[int], tmp_path: Path) -> None:
    out = tmp_path / "new" / "folder"
    accuracies = reward_curve.reward_curve(STAGE, written(tmp_path, 12), aim_of("left"), out, seeds=2)
    assert list(accuracies) == ["agent", "random"]
    for by_size in accuracies.values():
        assert list(by_size) == sizes
        assert all(len(values) == 2 and all(0 <= value <= 1 for value in values) for values in by_size.values())
    kept = json.loads((out / "curve.json").read_text(encoding="utf-8"))
    assert kept["accuracy"] == {
        name: {str(size): values for size, values in by_size.items()} for name, by_size in accuracies.items()
    }
    assert (kept["wanted"], kept["settings"]["trajectories"]) == ("left", 6)
    picture = cv2.imread(str(out / "curve.png"))
    assert picture is not None
    assert min(picture.shape[:2]) > 300
    assert {path.name for path in out.iterdir()} == {"curve.json", "curve.png"}


def test_a_model_follows_from_its_seed_and_size_however_many_are_trained(sizes: list[int], tmp_path: Path) -> None:
    path = written(tmp_path, 12)
    two, three = (
        reward_curve.reward_curve(STAGE, path, aim_of("left"), tmp_path / str(seeds), seeds=seeds) for seeds in (2, 3)
    )
    for name in two:
        for size in sizes:
            assert three[name][size][:2] == two[name][size]
    for by_size in three.values():
        assert len({tuple(values) for values in by_size.values()}) > 1  # sizes differ
        assert any(len(set(values)) > 1 for values in by_size.values())  # and seeds


def test_a_curve_that_was_stopped_goes_on_and_ends_as_one_that_was_not(
    sizes: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, out = written(tmp_path, 12), tmp_path / "out"
    whole = reward_curve.reward_curve(STAGE, path, aim_of("left"), tmp_path / "whole", seeds=2)
    trained: list[int] = []
    model = reward_curve.RewardModel

    def counted(*arguments: Any) -> RewardModel:
        trained.append(1)
        if len(trained) == 8:
            raise KeyboardInterrupt
        return model(*arguments)

    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    monkeypatch.setattr(reward_curve, "RewardModel", counted)
    with pytest.raises(KeyboardInterrupt):
        reward_curve.reward_curve(STAGE, path, aim_of("left"), out, seeds=2)
    kept = json.loads((out / "curve.json").read_text(encoding="utf-8"))["accuracy"]
    assert sum(len(values) for by_size in kept.values() for values in by_size.values()) == 7
    assert reward_curve.reward_curve(STAGE, path, aim_of("left"), out, seeds=2) == whole
    assert 8 + 5 <= len(trained) <= 12 + 5  # others may have been under way when it stopped
    assert reward_curve.reward_curve(STAGE, path, aim_of("left"), out, seeds=1)["agent"][3] == whole["agent"][3][:1]


def test_a_curve_of_other_settings_or_episodes_begins_anew(sizes: list[int], tmp_path: Path) -> None:
    path = written(tmp_path, 12)
    reward_curve.reward_curve(STAGE, path, aim_of("left"), tmp_path / "out", seeds=1)
    for stage, count, pad in (
        (STAGE, 12, "right"),
        (STAGE, 13, "left"),
        (replace(STAGE, training=RewardConfig(epochs=3)), 12, "left"),
    ):
        alone, after = (
            reward_curve.reward_curve(stage, written(tmp_path, count), aim_of(pad), tmp_path / out, seeds=1)
            for out in (f"{pad}-{count}-{stage.training.epochs}", "out")
        )
        assert alone == after


def test_each_encoder_is_measured_on_what_it_makes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reward_curve, "SIZES", ())
    stage = RewardStage(trajectories=12, reads="embeddings", training=RewardConfig(epochs=60, learning_rate=3e-3))
    accuracies = reward_curve.reward_curve(stage, written(tmp_path, 24), aim_of("left"), tmp_path, seeds=1)
    assert list(accuracies["agent"]) == [66]
    assert accuracies["agent"][66][0] > 0.95
    assert accuracies["random"][66][0] < 0.9


@pytest.mark.parametrize("count", [5, 6])
def test_too_few_episodes_to_test_on_are_refused_before_anything_is_drawn(tmp_path: Path, count: int) -> None:
    with pytest.raises(DataError, match=f"more than 6 episodes are needed, some to test on, got {count}"):
        reward_curve.reward_curve(STAGE, written(tmp_path, count), aim_of("left"), tmp_path / "out", seeds=1)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("dtype", "off"), [(torch.float32, 1e-3), (torch.bfloat16, 1e-2)], ids=str)
def test_a_frame_becomes_its_random_projection_and_what_pads_an_episode_nothing(
    monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, off: float
) -> None:
    monkeypatch.setattr(reward_curve, "compute_dtype", lambda *_: dtype)
    episodes = [episode(seed=0, steps=4), episode(seed=1, steps=2)]
    projected = random_projections(episodes)
    features = projected.steps
    assert (features.shape, features.dtype) == ((2, 100, 512), torch.float16)
    assert projected.lengths.tolist() == [4, 2]
    assert not features[0, 4:].any()
    assert not features[1, 2:].any()
    projection = random_projection(128 * 128 * 3, torch.Generator().manual_seed(0))
    for k, step in ((0, 3), (1, 0)):
        pixels = torch.as_tensor(film(episodes[k])[step]).flatten() / 255
        expected = projection @ pixels
        assert expected.std() > 0.2
        torch.testing.assert_close(features[k, step].float(), expected, atol=off, rtol=off)
        scale = features[k, step].float() @ expected / expected.square().sum()  # less what rounding does to each
        assert scale.item() == pytest.approx(1, abs=0.002)


def test_two_seeds_of_a_curve_are_plotted_by_the_command(command, sizes: list[int], tmp_path: Path) -> None:
    path = written(tmp_path, 12)
    arguments = ("--episodes", path, "--trajectories", 6, "--preset", "smoke", "--out", tmp_path)
    command("reward", "--to", "left", *arguments, "--curve", 2)
    assert (tmp_path / "reward.safetensors").exists()
    kept = json.loads((tmp_path / "curve.json").read_text(encoding="utf-8"))
    assert list(kept["accuracy"]["random"]) == [str(size) for size in sizes]
