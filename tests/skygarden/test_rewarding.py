"""The reward model as a user trains it."""

from pathlib import Path

import numpy as np
import pytest

from agents.reward import RewardConfig, load_reward
from envs.backend import JUMPPADS, Start
from envs.episode import Ending, Episode
from envs.errors import CheckpointError, DataError
from rollout.preferences import read_preferences
from rollout.store import write_episodes
from skygarden.presets import RewardStage
from skygarden.rewarding import hash_of, train_reward

TRUNK = "c" * 64
STAGE = RewardStage(trajectories=40, comparisons=66, training=RewardConfig(epochs=30, learning_rate=3e-3))


def episode(seed: int) -> Episode:
    """One whose features tell its outcome: the pad in the steps, and black frames after them."""
    rng = np.random.default_rng(seed)
    pad = int(rng.integers(4))
    steps = 100 if pad == 3 else int(rng.integers(50, 100))
    features = rng.normal(0, 0.1, (100, 5)).astype(np.float16)
    features[:steps, pad] += 1
    return Episode(
        seed=seed,
        start=Start(0, "ninja", 0),
        actions=np.zeros((steps, 16), np.uint8),
        log_probs=np.zeros(steps, np.float32),
        features=features,
        positions=np.zeros((steps + 1, 3), np.float32),
        ending=Ending.TRUNCATED if pad == 3 else Ending.TERMINATED,
        jumppad=None if pad == 3 else JUMPPADS[pad],
    )


@pytest.fixture(scope="module")
def episodes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of ninety."""
    path = tmp_path_factory.mktemp("episodes") / "episodes.safetensors"
    write_episodes(path, [episode(seed) for seed in range(90)], {"trunk": TRUNK})
    return path


def test_a_reward_model_ranks_what_it_has_not_seen(command, episodes: Path, tmp_path: Path) -> None:
    command("reward", "--to", "left", "--episodes", episodes, "--trajectories", 40, "--out", tmp_path)
    artefact = load_reward(tmp_path / "reward.safetensors")
    assert artefact.accuracy > 0.9
    assert artefact.trunk == TRUNK
    assert (artefact.about["wanted"], artefact.about["comparisons"], artefact.about["trajectories"]) == (
        "left",
        780,
        40,
    )


def test_the_answers_are_kept_and_can_be_learnt_from_again(command, episodes: Path, tmp_path: Path) -> None:
    first, again = tmp_path / "first", tmp_path / "again"
    short = ("reward", "--to", "right", "--episodes", episodes, "--preset", "smoke", "--trajectories", 40)
    command(*short, "--out", first)
    answers = read_preferences(first / "preferences.parquet", hash_of(episodes))
    assert len(answers) == 40 * 39 // 2  # the smoke preset asks about all pairs
    assert set(answers.preference.tolist()) == {0.0, 0.5, 1.0}  # two that reach none are equal
    assert max(answers.first.max(), answers.second.max()) < 40
    command(*short, "--out", again, "--preferences", first / "preferences.parquet")
    same = [load_reward(out / "reward.safetensors").model.state_dict() for out in (first, again)]
    assert all((same[0][name] == same[1][name]).all() for name in same[0])


def test_a_careless_designer_gives_a_worse_model(command, episodes: Path, tmp_path: Path) -> None:
    common = ("reward", "--to", "left", "--episodes", episodes, "--trajectories", 40, "--comparisons", 190)
    for name, mistake in (("sure", 0.0), ("coin", 0.5)):
        command(*common, "--out", tmp_path / name, "--mistake", mistake)
    sure, coin = (load_reward(tmp_path / name / "reward.safetensors").accuracy for name in ("sure", "coin"))
    assert sure > coin + 0.1


def test_episodes_that_are_kept_for_the_test_are_not_learnt_from(command, episodes: Path, tmp_path: Path) -> None:
    command("reward", "--to", "left", "--episodes", episodes, "--preset", "smoke", "--out", tmp_path)
    with pytest.raises(SystemExit, match="2"):
        command(
            *("reward", "--to", "left", "--episodes", episodes, "--preset", "smoke", "--trajectories", 5),
            *("--preferences", tmp_path / "preferences.parquet", "--out", tmp_path / "other"),
        )


def test_too_few_episodes_and_episodes_of_none_are_said(
    command, episodes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments, said in (
        (("--episodes", episodes), "and some to test on are needed"),
        (("--episodes", tmp_path / "none"), "there is no checkpoint"),
    ):
        with pytest.raises(SystemExit, match="2"):
            command("reward", "--to", "left", *arguments, "--out", tmp_path)
        assert said in capsys.readouterr().err


def test_a_designer_whose_preferences_are_of_other_episodes_is_not_heard(episodes: Path, tmp_path: Path) -> None:
    from agents.preferences import Teacher

    train_reward(STAGE, episodes, "left", None, tmp_path, Teacher())
    other = tmp_path / "other.safetensors"
    write_episodes(other, [episode(seed) for seed in range(100, 190)], {"trunk": TRUNK})
    with pytest.raises(DataError, match="is about episodes"):
        train_reward(STAGE, other, "left", tmp_path / "preferences.parquet", tmp_path, Teacher())
    with pytest.raises(CheckpointError, match="not of dddd"):
        load_reward(tmp_path / "reward.safetensors").score(np.zeros(0), "d" * 64)  # type: ignore[arg-type]
