"""The reward model: comparisons of collected episodes, and what is learnt from them."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from rich.console import Console
from rich.progress import track

from agents.cross_validation import FOLDS, fold_of, validate_fold
from agents.parallel import one_thread
from agents.parameters import compute_dtype
from agents.preferences import Teacher, all_pairs, some_pairs
from agents.reward import (
    Comparisons,
    RewardArtefact,
    RewardModel,
    Trajectories,
    accuracy,
    save_reward,
    train_reward_model,
    trajectories_of,
)
from envs.episode import Episode
from envs.errors import DataError, OptionError
from rollout.preferences import Preferences, read_preferences, write_preferences
from rollout.store import read_episodes
from skygarden.aims import Aim
from skygarden.designer.store import AnswerStore
from skygarden.presets import RewardStage

_SEED: Final = 2_000_003  # of the test pairs


@dataclass(frozen=True, slots=True)
class Source:
    """A file of episodes, and one of answers about them, if there is one: a preference file, or a page's answers."""

    episodes: Path
    answers: Path | None = None


def train_reward(stage: RewardStage, sources: Sequence[Source], aim: Aim | None, out: Path, teacher: Teacher) -> None:
    """Train a reward model on comparisons of episodes, and test it on what it has not seen.

    Comparisons are the answers that there are, or else a synthetic designer's about the first `stage.trajectories`
    episodes of a file. Where there is an aim the test is what it says of the other episodes, or of those that no answer
    is about; else it is the answers themselves, each by a model that has seen neither of its trajectories.

    Args: out: folder for `reward.safetensors` and a preference file for each source.
    Raises: DataError: there are too few episodes or answers, or they do not fit together. OptionError: there is neither
      an aim nor an answer.
    """
    gathered = [_gather(stage, source, aim, teacher) for source in sources]
    trunks = {about["trunk"] for _, _, about in gathered}
    if len(trunks) != 1:
        raise DataError(f"episodes of one trunk are needed, got {sorted(trunk[:12] for trunk in trunks)}")
    (trunk,) = trunks
    for number, (_, asked, _) in enumerate(gathered, 1):
        write_preferences(out / ("preferences.parquet" if number == 1 else f"preferences-{number}.parquet"), asked)
    played, asked = _joined([(episodes, asked) for episodes, asked, _ in gathered])
    model, there = learn(stage, played, asked)
    if aim is None:
        held_out, decided = cross_validated(stage, played, asked)
    else:
        unseen = [e for source, parts in zip(sources, gathered, strict=True) for e in _unseen(stage, source, *parts)]
        held_out, decided = test_accuracy(stage, model, unseen, aim), None
    answered = any(source.answers for source in sources)
    about = {
        "wanted": aim and aim.name,
        "comparisons": len(asked),
        "trajectories": there,
        "held_out": decided,  # comparisons that the accuracy is of; None: of a rule's
        "learnable": len(played) if answered else stage.trajectories,  # episodes from there on are only tested on
        "settings": asdict(stage),
        "of": gathered[0][2],
    }
    save_reward(RewardArtefact(model, stage.reads, trunk, held_out, about), out / "reward.safetensors")
    Console().print(
        f"{len(asked)} comparisons of {there} trajectories: {held_out:.1%} of unseen ones right; "
        f"{out / 'reward.safetensors'}"
    )


def _gather(
    stage: RewardStage, source: Source, aim: Aim | None, teacher: Teacher
) -> tuple[list[Episode], Preferences, dict[str, Any]]:
    """The episodes of a source, what is said of them, and how they came about."""
    played, about = read_episodes(source.episodes)
    digest = hash_of(source.episodes)
    if source.answers is not None:
        asked = read_answers(source.answers, digest)
        if asked.furthest >= len(played):
            raise DataError(f"episode {asked.furthest} is compared, and {source.episodes} holds {len(played)}")
    elif aim is None:
        raise OptionError(f"nobody says which episodes of {source.episodes} are better; name a pad, a rule or answers")
    elif len(played) <= stage.trajectories:
        raise DataError(
            f"{stage.trajectories} episodes to learn from and some to test on are needed, and {source.episodes} holds "
            f"{len(played)}; collect more, or set --trajectories"
        )
    else:
        asked = ask_about(stage, played, aim, teacher, digest)
    return played, asked, about


def _unseen(
    stage: RewardStage, source: Source, played: list[Episode], asked: Preferences, _: dict[str, Any]
) -> list[Episode]:
    """The episodes that a reward model can be tested on.

    Raises: DataError: all but one are compared.
    """
    if source.answers is None:
        return played[stage.trajectories :]
    seen = {*asked.first.tolist(), *asked.second.tolist()}
    unseen = [episode for k, episode in enumerate(played) if k not in seen]
    if len(unseen) < 2:
        raise DataError(f"all episodes of {source.episodes} are compared, and none is left to test on; collect more")
    return unseen


def read_answers(path: Path, episodes: str) -> Preferences:
    """The comparisons in a preference file, or in the file of a page's answers (.sqlite).

    Raises: DataError: as `read_preferences` and `AnswerStore`.
    """
    if path.suffix != ".sqlite":
        return read_preferences(path, episodes)
    if not path.exists():
        raise DataError(f"there are no answers {path}; check the name")
    store = AnswerStore(path, episodes)
    try:
        return store.preferences()
    finally:
        store.close()


def _joined(parts: Sequence[tuple[list[Episode], Preferences]]) -> tuple[list[Episode], Preferences]:
    """Several files as one: the episodes one behind another, and what was said of them."""
    if len(parts) == 1:
        return parts[0]
    starts = np.cumsum([0, *(len(episodes) for episodes, _ in parts[:-1])])
    everyone = [asked for _, asked in parts]
    return [episode for episodes, _ in parts for episode in episodes], Preferences(
        first=np.concatenate([asked.first + start for asked, start in zip(everyone, starts, strict=True)]),
        second=np.concatenate([asked.second + start for asked, start in zip(everyone, starts, strict=True)]),
        preference=np.concatenate([asked.preference for asked in everyone]),
        labeller=np.concatenate([asked.labeller for asked in everyone]),
        group=np.concatenate([asked.group for asked in everyone]),
        episodes="",
    )


def ask_about(stage: RewardStage, played: Sequence[Episode], aim: Aim, teacher: Teacher, digest: str) -> Preferences:
    """A synthetic designer's answers about pairs of the first episodes; those it passes on are left out.

    Raises: DataError: it passes on all of them.
    """
    rng = np.random.default_rng(stage.training.seed)
    if stage.comparisons is None:
        first, second = all_pairs(stage.trajectories)
    else:
        there = stage.trajectories * (stage.trajectories - 1) // 2
        first, second = some_pairs(stage.trajectories, min(stage.comparisons, there), rng)
    answers = aim.answers(teacher, played, first, second, rng)
    given = ~np.isnan(answers)
    count = int(given.sum())
    return Preferences(
        first=first[given],
        second=second[given],
        preference=answers[given].astype(np.float32),
        labeller=np.full(count, "rule"),
        group=np.arange(count),
        episodes=digest,
    )


def learn(stage: RewardStage, played: Sequence[Episode], asked: Preferences) -> tuple[RewardModel, int]:
    """A reward model trained on preferences, and how many episodes those compare."""
    there, comparisons = compared(asked)
    trajectories = _read([played[k] for k in there], stage)
    model = RewardModel(trajectories.steps.shape[2], torch.Generator().manual_seed(stage.training.seed))
    losses = train_reward_model(model, trajectories, comparisons, stage.training)
    with one_thread():
        for _ in track(losses, "reward model", total=stage.training.updates(len(comparisons))):
            pass
    return model, len(there)


def cross_validated(stage: RewardStage, played: Sequence[Episode], asked: Preferences) -> tuple[float, int]:
    """The share of answers that models get right which have seen neither trajectory, and how many answers that is of.

    Raises: DataError: there are too few answers.
    """
    there, comparisons = compared(asked)
    trajectories = _read([played[k] for k in there], stage)
    folds, everything = fold_of(torch.tensor(there)), torch.ones(len(comparisons), dtype=torch.bool)
    with one_thread():
        done = [
            validate_fold(trajectories, comparisons, folds, everything, fold, stage.training)
            for fold in track(range(FOLDS), "held-out accuracy")
        ]
    decided = sum(fold.decided for fold in done)
    if not decided:
        raise DataError("no answer can be held out to test the reward model on; compare some more")
    return sum(fold.right for fold in done) / decided, decided


def compared(asked: Preferences) -> tuple[list[int], Comparisons]:
    """The episodes that preferences compare, in order, and the comparisons with indices into those."""
    there, places = np.unique(np.stack((asked.first, asked.second)), return_inverse=True)
    first, second = (torch.as_tensor(row) for row in places.reshape(2, -1))
    return there.tolist(), Comparisons(first, second, torch.as_tensor(asked.preference))


def test_accuracy(stage: RewardStage, model: RewardModel, unseen: Sequence[Episode], aim: Aim) -> float:
    """The share of pairs of unseen episodes that the model ranks as an aim does."""
    return accuracy(model.scores(trajectories_of(unseen, stage.reads).steps), test_pairs(unseen, aim))


def test_pairs(unseen: Sequence[Episode], aim: Aim) -> Comparisons:
    """What an aim says of pairs of episodes: of all, or of as many as are enough."""
    rng = np.random.default_rng(_SEED)
    pairs = len(unseen) * (len(unseen) - 1) // 2
    first, second = some_pairs(len(unseen), min(pairs, aim.pairs), rng)
    answers = aim.answers(Teacher(), unseen, first, second, rng).astype(np.float32)
    given = ~np.isnan(answers)
    return Comparisons(*(torch.as_tensor(column[given]) for column in (first, second, answers)))


def _read(episodes: Sequence[Episode], stage: RewardStage) -> Trajectories:
    """What a model learns from, in the dtype that this machine is fastest in."""
    return trajectories_of(episodes, stage.reads).to(compute_dtype("auto", torch.device("cpu")))


def hash_of(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
