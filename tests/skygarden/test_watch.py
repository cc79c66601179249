"""Watching: a policy at play and a replay, in a window and as a video, and the score that is drawn below."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch

from agents.checkpoint import load_policy, trunk_hash
from agents.inference import Actor, ActorConfig, Decision
from agents.policy import Policy, PolicyConfig
from agents.reward import RewardArtefact, RewardModel, save_reward, trajectories_of
from envs.episode import Episode, Reads
from envs.errors import CheckpointError, OptionError
from envs.screen import Screen
from envs.skygarden import SkygardenEnv
from envs.standin.gameplay import record_match
from envs.vector import SkygardenVectorEnv
from rollout.collect import collect
from skygarden.policies import named_policy
from skygarden.running_score import SOONEST, RunningScore, as_if_it_ended, black_frames
from skygarden.score_strip import HEIGHT, curve, score_strip
from skygarden.watch_policy import HELD, SIDE, pictures
from skygarden.window import show_frames

Command = Callable[..., None]

WIDTH = 32


@pytest.fixture
def wanderer() -> Policy:
    """A tiny policy that presses nearly anything, so that what it does depends on what is drawn."""
    return Policy(PolicyConfig(width=WIDTH, layers=2, heads=2, context=8), torch.Generator().manual_seed(0))


def judge(trunk: str, width: int = WIDTH, reads: Reads = "embeddings") -> RewardArtefact:
    """A reward model of random weights, for a trunk."""
    generator = torch.Generator().manual_seed(1)
    model = RewardModel(width, generator).requires_grad_(False)
    model.fit_range(torch.randn(8, 100, width, generator=generator))
    return RewardArtefact(model, reads, trunk, 0.9, {"wanted": "left"})


def actor_of(policy: Policy) -> Actor:
    return Actor(policy, 1, ActorConfig(device="cpu"), seed=0)


def played(policy: Policy, seed: int) -> Episode:
    """The padded episode from a seed whose actions are drawn from that seed."""
    envs, actor = SkygardenVectorEnv(1), actor_of(policy)
    actor.seed(seed)
    (episode,) = collect(envs, actor, [seed], padded=True)
    envs.close()
    return episode


@pytest.fixture
def game() -> Iterator[SkygardenEnv]:
    env = SkygardenEnv(render_mode="rgb_array", render_size=(SIDE, SIDE))
    yield env
    env.close()


@pytest.fixture
def reward(walker: Path, tmp_path: Path) -> Path:
    """The file of a reward model that reads what the walker makes of its frames."""
    save_reward(judge(trunk_hash(load_policy(walker)[0])), tmp_path / "reward.safetensors")
    return tmp_path / "reward.safetensors"


def frames_of(video: Path) -> list[np.ndarray]:
    with av.open(str(video)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


# As a video


@pytest.mark.parametrize("scored", [False, True])
def test_a_video_has_a_frame_a_step_and_a_second_of_every_end(
    command: Command, walker: Path, reward: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], scored: bool
) -> None:
    extra = ("--reward", reward) if scored else ()
    command("watch", walker, "--out", tmp_path / "new" / "v.mp4", "--episodes", 2, "--seed", 5, *extra)
    frames = frames_of(tmp_path / "new" / "v.mp4")
    episodes = [played(load_policy(walker)[0], seed) for seed in (5, 6)]
    assert len(frames) == sum(len(episode) + HELD for episode in episodes)
    assert {frame.shape for frame in frames} == {(SIDE + HEIGHT * scored, SIDE, 3)}
    said = re.findall(r"seed (\d): (\w+) pad after (.*?) s", capsys.readouterr().out)
    assert said == [(str(e.seed), e.jumppad or "no", f"{len(e) / 10:.1f}") for e in episodes]


def test_the_same_seed_gives_the_same_video(command: Command, walker: Path, reward: Path, tmp_path: Path) -> None:
    videos = [tmp_path / "a.mp4", tmp_path / "b.mp4"]
    for video in videos:
        command("watch", walker, "--out", video, "--episodes", 1, "--seed", 3, "--reward", reward)
    assert videos[0].read_bytes() == videos[1].read_bytes()


def test_an_episode_follows_from_its_seed_whatever_came_before_and_whoever_judges(
    game: SkygardenEnv, wanderer: Policy
) -> None:
    actor = actor_of(wanderer)
    score = RunningScore(judge(trunk_hash(wanderer)), trunk_hash(wanderer), actor)
    steps = len(played(wanderer, 8)) + HELD
    alone = np.stack(list(pictures(game, actor, [8], None)))
    second = np.stack(list(pictures(game, actor, [7, 8], score))[-steps:])
    assert len(alone) == steps
    assert np.array_equal(alone, second[:, :SIDE])


# The score


@pytest.mark.parametrize("reads", ["embeddings", "features"])
def test_a_score_in_play_is_the_reward_models_of_what_the_episode_would_be(wanderer: Policy, reads: Reads) -> None:
    episode, trunk = played(wanderer, 4), trunk_hash(wanderer)
    artefact, actor = judge(trunk, reads=reads), actor_of(wanderer)
    score = RunningScore(artefact, trunk, actor)
    black = black_frames(actor_of(wanderer), 100, reads)
    embeddings, features = torch.as_tensor(episode.embeddings), torch.as_tensor(episode.features)
    (seen,) = trajectories_of([episode], reads).steps
    for start in ("first", "again"):
        score.begin()
        for t in range(len(episode)):
            step = slice(t, t + 1)
            now = score.add(Decision(episode.actions[step], episode.log_probs[step], embeddings[step], features[step]))
            expected = float(artefact.score(as_if_it_ended(seen[: t + 1], black)[None], trunk))
            assert now == expected, (start, t)


@pytest.mark.parametrize("reads", ["embeddings", "features"])
def test_the_score_at_the_end_is_that_of_the_whole_padded_episode(
    game: SkygardenEnv, monkeypatch: pytest.MonkeyPatch, reads: Reads
) -> None:
    policy = named_policy("base-4m")
    trunk, actor = trunk_hash(policy), actor_of(policy)
    episode = next(e for e in (played(policy, seed) for seed in range(20)) if e.jumppad)  # it ends before the time
    artefact = judge(trunk, policy.config.width, reads)
    score = RunningScore(artefact, trunk, actor)
    last: list[float] = []
    end = score.end
    monkeypatch.setattr(score, "end", lambda: last.append(end()) or last[0])
    assert len(list(pictures(game, actor, [episode.seed], score))) == len(episode) + HELD
    assert last == [float(artefact.score_episodes([episode], trunk)[0])]


def test_a_prefix_is_followed_by_black_and_ends_after_seven_seconds_at_the_soonest() -> None:
    seen, black = torch.arange(1.0, 101.0)[:, None], -torch.arange(100.0)[:, None]
    early = as_if_it_ended(seen[:3], black)[:, 0].tolist()
    assert early == [1.0] * (SOONEST - 3) + [1.0, 2.0, 3.0] + [-float(k) for k in range(SOONEST, 100)]
    late = as_if_it_ended(seen[:80], black)[:, 0].tolist()
    assert late == [float(k) for k in range(1, 81)] + [-float(k) for k in range(80, 100)]
    assert torch.equal(as_if_it_ended(seen, black), seen)


def test_the_reward_model_of_another_trunk_is_refused_before_anything_is_written(
    command: Command, walker: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_reward(judge("f" * 64), tmp_path / "foreign.safetensors")
    with pytest.raises(SystemExit):
        command("watch", walker, "--out", tmp_path / "v.mp4", "--reward", tmp_path / "foreign.safetensors")
    assert "this reward model reads embeddings of trunk ffffffffffff, not of" in capsys.readouterr().err
    assert [path.name for path in tmp_path.glob("v*")] == []


def test_a_running_score_refuses_another_trunk(wanderer: Policy) -> None:
    with pytest.raises(CheckpointError, match="reads embeddings of trunk"):
        RunningScore(judge("f" * 64), trunk_hash(wanderer), actor_of(wanderer))


# The strip


def test_a_curve_goes_as_far_as_the_episode_and_stays_between_0_and_1() -> None:
    low, half, high, above = curve(640, [0.0, 0.5, 1.0, 1.5]).tolist()
    assert high[1] == above[1] < half[1] < low[1]
    assert half[1] - high[1] == low[1] - half[1]
    whole = curve(640, [0.0] * 101)
    assert np.allclose(np.diff(whole[:, 0]), (whole[-1, 0] - whole[0, 0]) / 100)
    assert curve(640, [-0.3]).tolist() == curve(640, [0.0]).tolist()


def test_the_last_value_is_marked_in_the_colour_of_its_ending() -> None:
    scores = [0.2, 0.4, 0.8]
    x, y = curve(640, scores)[-1].round().astype(int)
    marks = [score_strip(640, scores, "score", ending)[y, x].tolist() for ending in (None, "left", "right", "none")]
    assert marks[0] == [250, 250, 250]
    assert len({tuple(mark) for mark in marks}) == 4
    assert marks[1][0] > marks[1][2]  # left is red, right is blue
    assert marks[2][2] > marks[2][0]


def test_a_strip_is_as_wide_as_the_picture() -> None:
    assert score_strip(500, [0.5], "score").shape == (HEIGHT, 500, 3)


# Live


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """A screen that nobody sees, in no hurry; the sizes of the frames that it was shown."""
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setattr("envs.screen.time.sleep", lambda _: None)
    sizes: list[tuple[int, ...]] = []
    show = Screen.show

    def noted(self: Screen, frame: np.ndarray) -> None:
        show(self, frame)
        sizes.append(frame.shape)

    monkeypatch.setattr(Screen, "show", noted)
    return sizes


def closing_at(monkeypatch: pytest.MonkeyPatch, sizes: list[Any], frame: int, key: str | None) -> None:
    """Have a person close the window while they see a frame."""
    import pygame

    event = pygame.event.Event(pygame.KEYDOWN, key=getattr(pygame, key)) if key else pygame.event.Event(pygame.QUIT)
    asked = Screen.dismissed

    def dismissed(self: Screen) -> bool:
        if len(sizes) == frame:
            pygame.event.post(event)
        return asked(self)

    monkeypatch.setattr(Screen, "dismissed", dismissed)


@pytest.mark.parametrize("key", [None, "K_ESCAPE"])
def test_a_policy_plays_on_until_the_window_is_closed(
    command: Command, walker: Path, reward: Path, shown: Any, monkeypatch: pytest.MonkeyPatch, key: str | None
) -> None:
    closing_at(monkeypatch, shown, 130, key)
    command("watch", walker, "--reward", reward)
    assert shown == [(SIDE + HEIGHT, SIDE, 3)] * 130


def test_a_window_closes_after_the_last_of_the_episodes_asked_for(command: Command, walker: Path, shown: Any) -> None:
    command("watch", walker, "--episodes", 1, "--seed", 5)
    assert shown == [(SIDE, SIDE, 3)] * (len(played(load_policy(walker)[0], 5)) + HELD)


def test_a_replay_is_shown_to_its_end_or_until_the_window_is_closed(
    command: Command, shown: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_match(seed=0, index=0).save(tmp_path / "m.npz")
    command("watch", tmp_path / "m.npz", "--length", 12)
    assert shown == [(512, 512, 3)] * 12
    shown.clear()
    closing_at(monkeypatch, shown, 3, None)
    command("watch", tmp_path / "m.npz", "--length", 12)
    assert len(shown) == 3


@pytest.mark.usefixtures("shown")
def test_other_keys_do_not_close_a_window(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = np.zeros((5, 32, 48, 3), np.uint8)
    seen: list[int] = []
    closing_at(monkeypatch, seen, 2, "K_SPACE")
    show_frames("frames", (seen.append(k) or frame for k, frame in enumerate(frames)))
    assert len(seen) == 5


def test_without_a_screen_a_window_is_refused_rather_than_shown_to_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "offscreen")
    with pytest.raises(OptionError, match="no screen to open a window on"):
        show_frames("frames", np.zeros((5, 32, 48, 3), np.uint8))


# What is refused


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("m.npz", "--episodes", 2), "m.npz is a replay, which takes no --episodes"),
        (("m.npz", "--seed", 0, "--reward", "r"), "m.npz is a replay, which takes no --seed and no --reward"),
        (("base-4m", "--start", 0), "base-4m is a policy, as it does not end in .npz, which takes no --start"),
        (("base-4m", "--length", 9), "which takes no --length"),
        (("nobody",), "there is no policy 'nobody': give base-4m"),
        (("base-4m", "--episodes", 0), "1 or more episodes and a seed from 0, got 0 and 0"),
        (("base-4m", "--seed", -1), "1 or more episodes and a seed from 0, got None and -1"),
        (("base-4m", "--reward", "nowhere.safetensors"), "there is no checkpoint nowhere.safetensors"),
        (("base-4m", "--out", "video"), "a video is an .mp4 file, got --out video"),
        (("m.npz", "--out", "video.gif"), "a video is an .mp4 file, got --out video.gif"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused(
    command: Command, capsys: pytest.CaptureFixture[str], arguments: tuple[Any, ...], said: str
) -> None:
    with pytest.raises(SystemExit) as raised:
        command("watch", *arguments)
    assert raised.value.code == 2
    assert said in capsys.readouterr().err
