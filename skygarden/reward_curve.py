"""How good a reward model gets with how many comparisons, from the agent and from a random projection.

The paper's figure 5: what an agent that has learnt to play knows is worth many comparisons. As in the paper, they are
all those of some trajectories, drawn at random among the episodes to learn from, so few comparisons are of few
trajectories; accuracy is measured on pairs of episodes kept for the test.
"""

import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from rich.console import Console
from rich.progress import track

from agents.parameters import compute_dtype
from agents.preferences import Teacher
from agents.reward import (
    RewardConfig,
    RewardModel,
    Trajectories,
    accuracy,
    random_projection,
    train_reward_model,
    trajectories_of,
)
from envs.backend import SIDE
from envs.episode import Episode
from envs.errors import DataError
from envs.task import MAX_STEPS
from rollout.store import read_episodes
from skygarden.aims import Aim
from skygarden.files import write_text
from skygarden.film import film
from skygarden.pictures import accuracy_chart
from skygarden.presets import RewardStage
from skygarden.rewarding import ask_about, compared, hash_of, test_pairs

SIZES: Final = (15, 46, 142, 448)  # trajectories, of which 105 to 100,128 comparisons; then all there are

ENCODERS: Final = ("agent", "random")
_KEPT: Final = "curve.json"

Accuracies = dict[str, dict[int, list[float]]]  # by encoder, then by the number of comparisons: one a seed


def reward_curve(stage: RewardStage, episodes: Path, aim: Aim, out: Path, seeds: int) -> Accuracies:
    """Train reward models with both encoders and more and more comparisons; write `curve.png` and `curve.json`.

    The file is written after every model: one that was measured with the same settings is not measured again.
    Raises: DataError: there are too few episodes.
    """
    played, _ = read_episodes(episodes)
    if len(played) <= stage.trajectories:
        raise DataError(f"more than {stage.trajectories} episodes are needed, some to test on, got {len(played)}")
    sizes = [size for size in (*SIZES, stage.trajectories) if size <= stage.trajectories]
    subsets = {size * (size - 1) // 2: size for size in sizes}  # by the number of comparisons
    identity = {"wanted": aim.name, "settings": asdict(stage), "episodes": hash_of(episodes)}
    accuracies = _measured(out / _KEPT, list(subsets), seeds, identity)
    jobs = [
        (name, size, seed)
        for name, by_size in accuracies.items()
        for size, values in by_size.items()
        for seed in range(len(values), seeds)
    ]
    encoded = {"agent": trajectories_of(played, stage.reads), "random": random_projections(played)} if jobs else {}

    def run(job: tuple[str, int, int]) -> float:
        name, size, seed = job
        torch.set_num_threads(1)  # of this thread
        training = replace(stage.training, seed=seed)
        return _one(training, played, encoded[name], stage.trajectories, subsets[size], aim)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        measured = track(pool.map(run, jobs), f"{len(jobs)} reward models", total=len(jobs))
        for (name, size, _), value in zip(jobs, measured, strict=True):
            accuracies[name][size].append(value)
            write_text(out / _KEPT, json.dumps({"accuracy": accuracies, **identity}, indent=2))
    accuracy_chart(out / "curve.png", accuracies, f"Reward models that prefer: {aim.title}, {seeds} seeds")
    for name, by_size in accuracies.items():
        shown = ", ".join(f"{size}: {np.mean(values):.1%}" for size, values in by_size.items())
        Console().print(f"{name} encoder: {shown}")
    return accuracies


def _measured(path: Path, sizes: Sequence[int], seeds: int, identity: Mapping[str, Any]) -> Accuracies:
    """What was measured before with the same settings; else nothing yet, and the folder for it is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    accuracies: Accuracies = {name: {size: [] for size in sizes} for name in ENCODERS}
    if path.exists():
        kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if {name: kept.get(name) for name in identity} == json.loads(json.dumps(identity)):
            for name, by_size in accuracies.items():
                for size in by_size:
                    by_size[size] = kept["accuracy"].get(name, {}).get(str(size), [])[:seeds]
    return accuracies


def random_projections(episodes: Sequence[Episode]) -> Trajectories:
    """A random projection of every frame, which is drawn again, padded with black: 512 numbers a step, float16."""
    dtype = compute_dtype("auto", torch.device("cpu"))
    projection = random_projection(SIDE * SIDE * 3, torch.Generator().manual_seed(0)).to(dtype)
    result = torch.zeros(len(episodes), MAX_STEPS, len(projection), dtype=torch.float16)
    for k, episode in enumerate(track(episodes, "drawing the episodes again")):
        frames = torch.as_tensor(film(episode)).flatten(1).to(dtype) / 255
        result[k, : len(episode)] = (frames @ projection.T).half()
    return Trajectories(result, torch.tensor([len(episode) for episode in episodes]))


def _one(
    training: RewardConfig, played: Sequence[Episode], trajectories: Trajectories, learnable: int, size: int, aim: Aim
) -> float:
    """The accuracy on unseen pairs of a model of all pairs of `size` of the first `learnable` episodes."""
    drawn: list[int] = np.random.default_rng(training.seed).permutation(learnable)[:size].tolist()
    asked = ask_about(RewardStage(trajectories=size, training=training), [played[k] for k in drawn], aim, Teacher(), "")
    there, comparisons = compared(asked)
    learnt = trajectories.take([drawn[k] for k in there]).to(compute_dtype("auto", torch.device("cpu")))
    model = RewardModel(learnt.steps.shape[2], torch.Generator().manual_seed(training.seed))
    for _ in train_reward_model(model, learnt, comparisons, training):
        pass
    unseen = slice(learnable, None)
    return accuracy(model.scores(trajectories.steps[unseen]), test_pairs(played[unseen], aim))
