"""Preference fine-tuning as a user starts it: from which episodes and which steps of them the head learns."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from agents.checkpoint import load_policy, save_policy, trunk_hash
from agents.head_tuning import HeadTuningConfig, tune_head
from agents.policy import Head, Policy, PolicyConfig
from agents.reward import RewardArtefact, RewardModel, save_reward
from envs.backend import Start
from envs.episode import Ending, Episode
from envs.errors import CheckpointError, DataError
from envs.gamepad import NOOP
from rollout.store import write_episodes
from skygarden.presets import Tuning
from skygarden.tuning import tune

WIDTH = 32
STAGE = Tuning(share=0.25, training=HeadTuningConfig(updates=5, batch_size=32, learning_rate=1e-3))
LEARNT = 8  # episodes that the reward model may know, of which the best two are learnt from
QUALITIES = (0.3, 0.1, 0.9, 0.2, 0.5, 0.8, 0.4, 0.0, 2.0, 1.5)  # the last two are kept for the test, and the best
BEST = (2, 5)


def judge() -> RewardModel:
    """A reward model that reads how good an episode is off the first number of its first step."""
    model = RewardModel(WIDTH, torch.Generator().manual_seed(0))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        for layer in (model.step_hidden, model.step_out, model.hidden, model.out):
            layer.weight[0, 0] = 1.0
    return model


def pressing(button: int, seed: int) -> np.ndarray:
    """Actions of some steps in which one button is pressed."""
    actions = np.tile(NOOP, (20 + seed, 1))
    actions[:, button] = 1
    return actions


def episode(seed: int, quality: float, actions: np.ndarray) -> Episode:
    """One that is as good as is said, with features of noise, and others of the kind that pad it."""
    features = np.random.default_rng(seed).normal(0, 1, (100, WIDTH)).astype(np.float16)
    features[0, 0] = quality
    features[len(actions) :] = 9.0
    return Episode(
        seed=seed,
        start=Start(0, "ninja", 0),
        actions=actions.astype(np.uint8),
        log_probs=np.zeros(len(actions), np.float32),
        embeddings=np.zeros_like(features),
        features=features,
        positions=np.zeros((len(actions) + 1, 3), np.float32),
        ending=Ending.TRUNCATED,
        jumppad=None,
    )


def played() -> list[Episode]:
    """The best two to learn from press A and B, the others X, and those that are kept for the test Y."""
    buttons = [3 if k >= LEARNT else {2: 0, 5: 1}.get(k, 2) for k in range(len(QUALITIES))]
    return [
        episode(k, quality, pressing(button, k))
        for k, (quality, button) in enumerate(zip(QUALITIES, buttons, strict=True))
    ]


@dataclass(frozen=True)
class Files:
    """What there is to tune with."""

    policy: Path
    episodes: Path
    reward: Path
    trunk: str


Write = Callable[..., Files]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a tiny policy, episodes and a reward model; each may be stamped with another trunk than the policy's."""

    def files(episodes: Sequence[Episode], *, episodes_of: str | None = None, reward_of: str | None = None) -> Files:
        policy = Policy(PolicyConfig(width=WIDTH, layers=1, heads=2, context=4), torch.Generator().manual_seed(0))
        trunk, judging = trunk_hash(policy), judge()
        judging.fit_range(torch.as_tensor(np.stack([e.features for e in episodes])).float())
        there = Files(tmp_path / "player", tmp_path / "episodes.safetensors", tmp_path / "reward.safetensors", trunk)
        save_policy(policy, there.policy / "policy.safetensors")
        write_episodes(there.episodes, episodes, {"trunk": episodes_of or trunk})
        about = {"learnable": LEARNT}
        save_reward(RewardArtefact(judging, "features", reward_of or trunk, 0.9, about), there.reward)
        return there

    return files


def tuned(files: Files, stage: Tuning = STAGE, seed: int = 0) -> Policy:
    """The policy after tuning."""
    path = tune(stage, str(files.policy), files.episodes, files.reward, files.policy.parent / "tuned", seed)
    return load_policy(path)[0]


def by_hand(files: Files, episodes: Sequence[Episode], acted: Sequence[np.ndarray], seed: int = 0) -> Head:
    """The policy's head, tuned on the steps of episodes that are marked."""
    head = load_policy(files.policy / "policy.safetensors")[0].head
    pairs = list(zip(episodes, acted, strict=True))
    features = np.concatenate([e.features[: len(e)][mark] for e, mark in pairs])
    actions = np.concatenate([e.actions[mark] for e, mark in pairs])
    config = replace(STAGE.training, seed=seed)
    list(tune_head(head, torch.as_tensor(features), torch.as_tensor(actions), config))
    return head


def same(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    """Bit for bit."""
    return all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))


def every_step(episodes: Sequence[Episode]) -> list[np.ndarray]:
    """Marks on all steps."""
    return [np.ones(len(e), np.bool_) for e in episodes]


def pressed(policy: Policy) -> list[float]:
    """How likely A, B, X and Y are pressed, on average over what is seen at all steps."""
    features = torch.as_tensor(np.concatenate([e.features[: len(e)] for e in played()])).float()
    with torch.no_grad():
        logits = policy.head.logits(features)[:, :8].view(-1, 4, 2)
    return logits.softmax(-1)[..., 1].mean(0).tolist()


def test_the_judge_of_these_tests_ranks_by_quality() -> None:
    features = torch.as_tensor(np.stack([e.features for e in played()])).float()
    rewards = judge().raw(features)
    assert rewards.argsort(descending=True).tolist() == [8, 9, 2, 5, 4, 6, 0, 3, 1, 7]


def test_the_head_changes_and_the_trunk_stays(write: Write) -> None:
    files = write(played())
    before, after = load_policy(files.policy / "policy.safetensors")[0], tuned(files)
    assert trunk_hash(after) == trunk_hash(before) == files.trunk
    assert same(after.trunk, before.trunk)
    assert not same(after.head, before.head)
    assert after.config == before.config


def test_it_learns_what_was_done_in_the_best_and_not_what_was_done_in_others(write: Write) -> None:
    files = write(played())
    long = Tuning(share=STAGE.share, training=replace(STAGE.training, updates=30))
    before, after = pressed(load_policy(files.policy / "policy.safetensors")[0]), pressed(tuned(files, long))
    a, b, x, y = (now - then for now, then in zip(after, before, strict=True))
    assert min(a, b) > max(x, y) + 0.2  # in half of the steps to learn from each of the two is pressed
    assert max(x, y) < -0.2


def test_it_is_the_tuning_of_a_head_on_the_steps_of_the_best(write: Write) -> None:
    """In the order of their rewards, without what pads them."""
    files, episodes = write(played()), played()
    chosen = [episodes[k] for k in BEST]
    for seed in (0, 1):
        assert same(tuned(files, seed=seed).head, by_hand(files, chosen, every_step(chosen), seed))
    assert not same(tuned(files, seed=0).head, tuned(files, seed=1).head)


def test_episodes_that_are_kept_for_the_test_have_no_effect(write: Write) -> None:
    episodes = played()
    first = tuned(write(episodes))
    others = [episode(50 + k, 3.0, pressing(4, k)) for k in range(3)]
    assert same(tuned(write([*episodes[:LEARNT], *others])).head, first.head)
    assert same(tuned(write(episodes[:LEARNT])).head, first.head)


def test_episodes_that_are_not_among_the_best_have_no_effect(write: Write) -> None:
    episodes = played()
    first = tuned(write(episodes))
    worse = [e if k in BEST else episode(k, 0.7, pressing(4, k)) for k, e in enumerate(episodes)]
    assert same(tuned(write(worse)).head, first.head)


def test_the_share_is_of_the_episodes_to_learn_from(write: Write) -> None:
    files, episodes = write(played()), played()
    for share, ranked in ((0.01, [2]), (0.5, [2, 5, 4, 6]), (1.0, [2, 5, 4, 6, 0, 3, 1, 7])):
        chosen = [episodes[k] for k in ranked]
        expected = by_hand(files, chosen, every_step(chosen))
        assert same(tuned(files, replace(STAGE, share=share)).head, expected)


def test_steps_in_which_nothing_is_pressed_are_not_learnt_from(write: Write) -> None:
    episodes = played()
    for k in BEST:
        episodes[k].actions[3:9] = NOOP
        episodes[k].actions[-1] = NOOP
    chosen = [episodes[k] for k in BEST]
    acted = [np.array([not (3 <= step < 9 or step == len(e) - 1) for step in range(len(e))]) for e in chosen]
    files = write(episodes)
    assert same(tuned(files).head, by_hand(files, chosen, acted))
    assert not same(tuned(files).head, by_hand(files, chosen, every_step(chosen)))


def test_where_nothing_is_pressed_in_the_best_there_is_nothing_to_learn(write: Write, tmp_path: Path) -> None:
    episodes = played()
    for k in BEST:
        episodes[k].actions[:] = NOOP
    with pytest.raises(DataError, match="nobody presses anything; collect others"):
        tuned(write(episodes))
    assert not (tmp_path / "tuned").exists()


@pytest.mark.parametrize(
    "other", [{"episodes_of": "e" * 64}, {"reward_of": "f" * 64}, {"episodes_of": "e" * 64, "reward_of": "e" * 64}]
)
def test_trunks_that_differ_are_refused_and_all_three_are_named(write: Write, other: dict[str, str]) -> None:
    files = write(played(), **other)
    trunks: list[Any] = [files.trunk, other.get("episodes_of", files.trunk), other.get("reward_of", files.trunk)]
    policy, episodes, reward = (trunk[:12] for trunk in trunks)
    named = f"the policy {policy}, the episodes {episodes}, the reward model {reward}; collect"
    with pytest.raises(CheckpointError, match=named):
        tuned(files)


def test_it_is_a_command_and_says_what_it_learnt_from(
    command, write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files, out = write(played()), tmp_path / "by-command"
    arguments = ("--episodes", files.episodes, "--reward", files.reward, "--preset", "smoke", "--out", out)
    command("tune", files.policy, *arguments)
    assert "policy.safetensors: learnt from 2 episodes" in capsys.readouterr().out.replace("\n", "")  # a fifth of 8
    kept = load_policy(out / "policy.safetensors")[1]
    assert (kept["stage"], kept["from"]) == ("preference fine-tuning", str(files.policy))
    assert kept["settings"]["share"] == 0.2
