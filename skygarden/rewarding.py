"""The reward model: comparisons of collected episodes, and what is learnt from them."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from agents.parallel import one_thread
from agents.parameters import compute_dtype
from agents.preferences import Outcome, Teacher, all_pairs, ask, returns, some_pairs
from agents.reward import Comparisons, RewardArtefact, RewardModel, accuracy, save_reward, train_reward_model
from envs.episode import Episode
from envs.errors import DataError
from rollout.preferences import Preferences, read_preferences, write_preferences
from rollout.store import read_episodes
from skygarden.presets import RewardStage

TEST_PAIRS: Final = 100_000  # at most, that accuracy is measured on
_SEED: Final = 2_000_003  # of the test pairs


def train_reward(
    stage: RewardStage, episodes: Path, wanted: str, preferences: Path | None, out: Path, teacher: Teacher
) -> RewardArtefact:
    """Train a reward model on comparisons of the first episodes of a file, and test it on the others.

    Args: wanted: the pad that a synthetic designer prefers. preferences: a file of comparisons to learn from in its
      place; the test is the designer's either way. out: folder for `reward.safetensors` and `preferences.parquet`.
    Raises: DataError: there are too few episodes, or the preferences are of others.
    """
    played, about = read_episodes(episodes)
    if len(played) <= stage.trajectories:
        raise DataError(
            f"{stage.trajectories} episodes to learn from and some to test on are needed, and {episodes} holds "
            f"{len(played)}; collect more, or set --trajectories"
        )
    digest = hash_of(episodes)
    worth = returns([Outcome(e.jumppad, len(e)) for e in played], wanted, teacher.myopia)
    asked = ask_about(stage, worth, teacher, digest) if preferences is None else read_preferences(preferences, digest)
    write_preferences(out / "preferences.parquet", asked)
    model, there = learn(stage, played, asked)
    artefact = RewardArtefact(
        model,
        about["trunk"],
        test_accuracy(model, played[stage.trajectories :], wanted),
        {"wanted": wanted, "comparisons": len(asked), "trajectories": there, "settings": asdict(stage), "of": about},
    )
    save_reward(artefact, out / "reward.safetensors")
    Console().print(
        f"{len(asked)} comparisons of {there} trajectories: {artefact.accuracy:.1%} of unseen ones right; "
        f"{out / 'reward.safetensors'}"
    )
    return artefact


def ask_about(stage: RewardStage, worth: NDArray[np.float64], teacher: Teacher, episodes: str) -> Preferences:
    """A synthetic designer's answers about pairs of the first episodes; those it passes on are left out."""
    rng = np.random.default_rng(stage.training.seed)
    if stage.comparisons is None:
        first, second = all_pairs(stage.trajectories)
    else:
        there = stage.trajectories * (stage.trajectories - 1) // 2
        first, second = some_pairs(stage.trajectories, min(stage.comparisons, there), rng)
    answers = ask(teacher, worth, first, second, rng)
    given = ~np.isnan(answers)
    count = int(given.sum())
    return Preferences(
        first=first[given],
        second=second[given],
        preference=answers[given].astype(np.float32),
        labeller=np.full(count, "rule"),
        group=np.arange(count),
        episodes=episodes,
    )


def learn(stage: RewardStage, played: Sequence[Episode], asked: Preferences) -> tuple[RewardModel, int]:
    """A reward model trained on preferences, and how many episodes those compare.

    Raises: DataError: an episode of the preferences is one to test on.
    """
    there, comparisons = compared(asked)
    if there[-1] >= stage.trajectories:
        raise DataError(f"episode {there[-1]} is compared, and from {stage.trajectories} on they are kept for the test")
    embeddings = features_of([played[k] for k in there]).to(compute_dtype("auto", torch.device("cpu")))
    model = RewardModel(embeddings.shape[2], torch.Generator().manual_seed(stage.training.seed))
    losses = train_reward_model(model, embeddings, comparisons, stage.training)
    with one_thread():
        for _ in track(losses, "reward model", total=stage.training.updates(len(comparisons))):
            pass
    return model, len(there)


def compared(asked: Preferences) -> tuple[list[int], Comparisons]:
    """The episodes that preferences compare, in order, and the comparisons with indices into those."""
    there, places = np.unique(np.stack((asked.first, asked.second)), return_inverse=True)
    first, second = (torch.as_tensor(row) for row in places.reshape(2, -1))
    return there.tolist(), Comparisons(first, second, torch.as_tensor(asked.preference))


def test_accuracy(model: RewardModel, unseen: Sequence[Episode], wanted: str) -> float:
    """The share of pairs of unseen episodes that the model ranks as the paper's rule does."""
    return accuracy(scores_of(model, features_of(unseen)), test_pairs(unseen, wanted))


def test_pairs(unseen: Sequence[Episode], wanted: str) -> Comparisons:
    """What the paper's rule says of pairs of episodes: of all, or of as many as are enough."""
    rng = np.random.default_rng(_SEED)
    pairs = len(unseen) * (len(unseen) - 1) // 2
    first, second = some_pairs(len(unseen), min(pairs, TEST_PAIRS), rng)
    worth = returns([Outcome(e.jumppad, len(e)) for e in unseen], wanted)
    answers = ask(Teacher(), worth, first, second, rng).astype(np.float32)
    return Comparisons(*(torch.as_tensor(column) for column in (first, second, answers)))


@torch.no_grad()
def scores_of(model: RewardModel, embeddings: torch.Tensor) -> torch.Tensor:
    """Rewards, (N, 100, width) to (N,), some at a time."""
    return torch.cat([model.score(embeddings[k : k + 256].float()) for k in range(0, len(embeddings), 256)])


def features_of(episodes: Sequence[Episode]) -> torch.Tensor:
    """Padded features, (N, 100, width) float16."""
    return torch.as_tensor(np.stack([episode.features for episode in episodes]))


def hash_of(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
