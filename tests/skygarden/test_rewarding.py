"""The reward model as a user trains it."""

from pathlib import Path

import numpy as np
import pytest

from agents.preferences import Teacher
from agents.reward import RewardConfig, load_reward
from envs.backend import JUMPPADS, Start
from envs.episode import Ending, Episode
from envs.errors import CheckpointError, DataError
from rollout.preferences import read_preferences
from rollout.store import read_episodes, write_episodes
from skygarden.aims import aim_of
from skygarden.designer.store import AnswerStore
from skygarden.presets import PAPER, RewardStage
from skygarden.rewarding import Source, hash_of, train_reward

TRUNK = "c" * 64
STAGE = RewardStage(
    trajectories=40, comparisons=66, reads="embeddings", training=RewardConfig(epochs=30, learning_rate=3e-3)
)


def episode(seed: int) -> Episode:
    """One whose embeddings tell its outcome: the pad in the steps, and black frames after them; its features do not."""
    rng = np.random.default_rng(seed)
    pad = int(rng.integers(4))
    steps = 100 if pad == 3 else int(rng.integers(50, 100))
    embeddings = rng.normal(0, 0.1, (100, 5)).astype(np.float16)
    embeddings[:steps, pad] += 1
    return Episode(
        seed=seed,
        start=Start(0, "ninja", 0),
        actions=np.zeros((steps, 16), np.uint8),
        log_probs=np.zeros(steps, np.float32),
        embeddings=embeddings,
        features=rng.normal(0, 0.1, (100, 5)).astype(np.float16),
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
    assert (artefact.reads, artefact.trunk) == ("embeddings", TRUNK)
    assert (artefact.about["wanted"], artefact.about["comparisons"], artefact.about["trajectories"]) == (
        "left",
        780,
        40,
    )


def test_a_reward_model_reads_what_it_is_told_to(command, episodes: Path, tmp_path: Path) -> None:
    arguments = ("--to", "left", "--episodes", episodes, "--trajectories", 40, "--out", tmp_path)
    command("reward", *arguments, "--reads", "features")
    artefact = load_reward(tmp_path / "reward.safetensors")
    assert artefact.reads == "features"
    assert artefact.accuracy < 0.7  # they tell nothing
    assert PAPER.reward.reads == "features"


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


def test_answers_may_be_about_any_episode_and_the_rule_tests_on_the_others(
    command, episodes: Path, tmp_path: Path
) -> None:
    store = AnswerStore(tmp_path / "answers.sqlite", hash_of(episodes))
    for first, second in ((80, 3), (89, 80), (3, 7)):
        question = store.ask("anna", (first, second), 2, "random")
        store.answer(question.id, "anna", (2, 1), 1.0)
    store.close()
    command(
        *("reward", "--to", "left", "--episodes", episodes, "--preset", "smoke"),
        *("--preferences", tmp_path / "answers.sqlite", "--out", tmp_path / "out"),
    )
    about = load_reward(tmp_path / "out" / "reward.safetensors").about
    assert (about["comparisons"], about["trajectories"], about["learnable"], about["held_out"]) == (3, 4, 90, None)


def test_answers_alone_are_tested_by_models_that_have_not_seen_them(command, episodes: Path, tmp_path: Path) -> None:
    played, _ = read_episodes(episodes)
    store = AnswerStore(tmp_path / "answers.sqlite", hash_of(episodes))
    for k in range(85):  # a fold is every fifth, so each answer lies within one
        worth = [2 * (played[j].jumppad == "left") + (played[j].jumppad is not None) for j in (k, k + 5)]
        question = store.ask("anna", (k, k + 5), 2, "random")
        store.answer(question.id, "anna", (1 + (worth[0] > worth[1]), 1 + (worth[1] > worth[0])), 1.0)
    store.close()
    command(
        *("reward", "--episodes", episodes, "--preset", "laptop"),
        *("--preferences", tmp_path / "answers.sqlite", "--out", tmp_path / "out"),
    )
    artefact = load_reward(tmp_path / "out" / "reward.safetensors")
    answered = read_preferences(tmp_path / "out" / "preferences.parquet", hash_of(episodes))
    assert artefact.about["held_out"] == int((answered.preference != 0.5).sum())
    assert artefact.accuracy > 0.85
    assert artefact.about["wanted"] is None


def test_nobody_who_says_what_is_better_is_an_error(
    command, episodes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        command("reward", "--episodes", episodes, "--out", tmp_path)
    assert "name a pad, a rule or answers" in capsys.readouterr().err


def test_answers_about_two_files_of_one_agent_are_learnt_from_together(episodes: Path, tmp_path: Path) -> None:
    later = tmp_path / "later.safetensors"
    write_episodes(later, [episode(seed) for seed in range(200, 290)], {"trunk": TRUNK})
    sources: list[Source] = []
    for path in (episodes, later):
        store = AnswerStore(tmp_path / f"{path.stem}.sqlite", hash_of(path))
        for k in range(30):
            store.answer(store.ask("anna", (k, k + 5), 2, "random").id, "anna", (2, 1), 1.0)
        store.close()
        sources.append(Source(path, store.path))
    train_reward(STAGE, sources, aim_of("left"), tmp_path / "out", Teacher())
    about = load_reward(tmp_path / "out" / "reward.safetensors").about
    assert (about["comparisons"], about["trajectories"], about["learnable"]) == (60, 70, 180)
    assert len(read_preferences(tmp_path / "out" / "preferences-2.parquet", hash_of(later))) == 30


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
    train_reward(STAGE, [Source(episodes)], aim_of("left"), tmp_path, Teacher())
    other = tmp_path / "other.safetensors"
    write_episodes(other, [episode(seed) for seed in range(100, 190)], {"trunk": TRUNK})
    with pytest.raises(DataError, match="is about episodes"):
        train_reward(STAGE, [Source(other, tmp_path / "preferences.parquet")], None, tmp_path, Teacher())
    with pytest.raises(CheckpointError, match="not of dddd"):
        load_reward(tmp_path / "reward.safetensors").score(np.zeros(0), "d" * 64)  # type: ignore[arg-type]
