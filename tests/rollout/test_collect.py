"""Laws of collecting: how many episodes, whose, that they are what happened, and what the agent is told of them."""

from collections.abc import Callable, Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

import skygarden  # noqa: F401, registers the environments
from agents.inference import Decision
from envs.backend import JUMPPADS
from envs.episode import Ending, Episode
from envs.errors import OptionError
from envs.gamepad import NOOP, SIZES
from envs.skygarden import SkygardenEnv
from envs.standin.replay import Replay
from rollout.collect import Agent, RandomAgent, collect

Array = NDArray[Any]
Make = Callable[..., Any]

DONE_BY = {0: (0, "left"), 1: (1, "middle"), 2: (2, "right")}  # which pad the knowing go to, by spawn; 3 stays put


@pytest.fixture
def make() -> Iterator[Make]:
    """Make batched environments that are closed after the test."""
    made: list[Any] = []

    def build(count: int, **settings: Any) -> Any:
        gymnasium: Any = gym
        mode = "vector_entry_point"
        made.append(gymnasium.make_vec("Skygarden-v0", num_envs=count, vectorization_mode=mode, **settings))
        return made[-1]

    yield build
    for envs in made:
        envs.close()


@pytest.fixture(scope="module")
def ways(ninjas: list[Replay]) -> dict[int, Array]:
    """For spawns 0, 1 and 2 what somebody pressed from there until the left, the middle and the right pad."""
    found: dict[int, Array] = {}
    for replay in ninjas:
        for (begin, spawn), (end, pad) in zip(replay.lives.tolist(), replay.jumppads.tolist(), strict=True):
            if pad == DONE_BY.get(spawn, (None,))[0] and end - begin < 100:
                found.setdefault(spawn, replay.actions[begin : end + 1])
    assert sorted(found) == [0, 1, 2]
    return found


@pytest.fixture(scope="module")
def views() -> list[Array]:
    """What an episode shows first, by spawn."""
    env = SkygardenEnv()
    shown = [env.reset(seed=0, options={"spawn": spawn})[0] for spawn in range(4)]
    env.close()
    return shown


def decided(actions: Array) -> Decision:
    """Actions as an agent gives them, which makes nothing of its frames."""
    nothing = torch.zeros(len(actions), 2)
    return Decision(actions, np.full(len(actions), -1.5, np.float32), nothing, nothing)


class Knowing:
    """Recognises the spawn by its view and plays a way from there; seven at rest is its feature of a black frame.

    It refuses frames after an end that are not black, and a reset of some environments alone.
    """

    def __init__(self, count: int, views: list[Array], ways: dict[int, Array]) -> None:
        self._views, self._ways, self._count = views, ways, count
        self._step = 0
        self._spawns: list[int] = []
        self.begun: list[list[int]] = []  # spawns, by round
        self.acted: list[int] = []  # how often, by round

    def reset(self, mask: NDArray[np.bool_]) -> None:
        assert mask.tolist() == [True] * self._count
        self._step = 0
        self.acted.append(0)

    def act(self, frames: NDArray[np.uint8]) -> Decision:
        assert frames.shape == (self._count, 128, 128, 3)
        assert frames.dtype == np.uint8
        if self._step == 0:
            matches = [[s for s, view in enumerate(self._views) if np.array_equal(f, view)] for f in frames]
            assert all(len(found) == 1 for found in matches), "the first frame after a reset is no beginning"
            self._spawns = [found[0] for found in matches]
            self.begun.append(self._spawns)
        actions = np.tile(NOOP, (self._count, 1))
        features = torch.zeros(self._count, 2)
        for k, spawn in enumerate(self._spawns):
            length = len(self._ways[spawn]) if spawn in self._ways else 100
            assert frames[k].any() == (self._step < length), "frames are black after the end, and only then"
            features[k] = torch.tensor([float(self._step), float(frames[k].any())])
            if self._step < length and spawn in self._ways:
                actions[k] = self._ways[spawn][self._step]
        self._step += 1
        self.acted[-1] += 1
        return Decision(actions, np.full(self._count, -0.25 * self._step, np.float32), features + 500, features)


class Restless:
    """Wanders about."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def reset(self, mask: NDArray[np.bool_]) -> None:
        pass

    def act(self, frames: NDArray[np.uint8]) -> Decision:
        actions = self._rng.integers(0, SIZES, (len(frames), 16), np.uint8)
        actions[:, 13] = 10  # onwards
        return decided(actions)


def replayed(episode: Episode) -> tuple[Array, str | None, list[bool]]:
    """The positions, the pad and the ends of steps when a single environment is played the same way."""
    env = SkygardenEnv()
    start = episode.start
    _, info = env.reset(options={"spawn": start.spawn, "character": start.character, "skin": start.skin})
    positions, ends = [info["position"]], []
    for action in episode.actions:
        _, _, terminated, truncated, info = env.step(action)
        positions.append(info["position"])
        ends.append(terminated or truncated)
    env.close()
    return np.array(positions), info["jumppad"], ends


# How many, and whose


@pytest.mark.parametrize(("count", "episodes"), [(1, 2), (3, 7), (4, 4), (4, 2), (2, 0)])
def test_there_is_an_episode_for_every_seed_in_their_order(make: Make, count: int, episodes: int) -> None:
    seeds = [11 * k for k in range(episodes)]
    assert [e.seed for e in collect(make(count), RandomAgent(0), seeds)] == seeds


def test_a_start_follows_from_the_seed_whoever_plays_beside_it(make: Make) -> None:
    together = [e.start for e in collect(make(4), RandomAgent(0), range(5, 14))]
    alone = [e.start for e in collect(make(1), RandomAgent(1), range(5, 14))]
    assert together == alone
    assert len({start.spawn for start in together}) > 1
    env = SkygardenEnv()
    assert [env.reset(seed=seed)[1]["spawn"] for seed in range(5, 14)] == [start.spawn for start in together]
    env.close()


def test_a_round_ends_with_its_last_episode(make, ways, views) -> None:
    agent = Knowing(2, views, ways)
    episodes = list(collect(make(2), agent, range(8)))
    lengths = [max(len(e) for e in episodes[k : k + 2]) for k in range(0, 8, 2)]
    assert agent.acted == lengths
    assert min(lengths) < 100


@pytest.mark.parametrize("padded", [False, True])
def test_a_round_that_is_to_stop_has_no_episodes_and_those_before_it_are_whole(make: Make, padded: bool) -> None:
    whole = [list(e.actions.tolist()) for e in collect(make(2), RandomAgent(3), range(4), padded=padded)]
    asked: list[bool] = []
    rounds = iter(collect(make(2), RandomAgent(3), range(4), padded=padded, stop=lambda: bool(asked)))
    first = [next(rounds), next(rounds)]
    asked.append(True)
    assert [e.actions.tolist() for e in first] == whole[:2]
    assert list(rounds) == []


def test_who_is_to_stop_at_once_plays_no_step(make: Make, ways, views) -> None:
    agent = Knowing(2, views, ways)
    assert list(collect(make(2), agent, range(4), stop=lambda: True)) == []
    assert agent.acted == [0]


# What an episode holds


def test_an_episode_is_what_happens_when_its_actions_are_played_from_its_start(make, ways, views) -> None:
    wandering = list(collect(make(3), Restless(1), range(4)))
    knowing = list(collect(make(4), Knowing(4, views, ways), range(1, 9)))
    for episode in [*wandering, *knowing]:
        positions, jumppad, ends = replayed(episode)
        assert np.array_equal(episode.positions, positions.astype(np.float32))
        assert episode.positions.dtype == np.float32
        assert episode.jumppad == jumppad
        assert ends == [False] * (len(episode) - 1) + [True]


def test_who_knows_the_way_terminates_on_the_pad_and_who_stays_put_is_truncated(make, ways, views) -> None:
    episodes = list(collect(make(4), Knowing(4, views, ways), range(12)))
    assert {e.start.spawn for e in episodes} == {0, 1, 2, 3}
    for episode in episodes:
        if episode.start.spawn in ways:
            assert episode.ending is Ending.TERMINATED
            assert episode.start.spawn is not None
            assert episode.jumppad == JUMPPADS[episode.start.spawn]
            assert np.array_equal(episode.actions, ways[episode.start.spawn])
        else:
            assert (episode.ending, episode.jumppad, len(episode)) == (Ending.TRUNCATED, None, 100)
            assert (episode.actions == NOOP).all()


@pytest.mark.parametrize("padded", [False, True])
def test_embeddings_and_features_go_on_through_black_frames_where_they_are_asked_for(
    make, ways, views, padded: bool
) -> None:
    agent = Knowing(3, views, ways)
    for episode in collect(make(3), agent, range(6), padded=padded):
        steps = len(episode)
        assert episode.features.dtype == np.float16
        assert episode.features[:, 0].tolist() == list(range(100 if padded else steps))
        assert episode.features[:, 1].tolist() == [1.0] * steps + [0.0] * ((100 - steps) if padded else 0)
        assert episode.embeddings.dtype == np.float16
        assert np.array_equal(episode.embeddings, episode.features + 500)
        assert episode.log_probs.tolist() == [-0.25 * (k + 1) for k in range(steps)]
    if padded:
        assert agent.acted == [100, 100]


def test_a_random_agent_presses_anything_and_follows_from_its_seed() -> None:
    frames = np.zeros((2000, 128, 128, 3), np.uint8)
    decision = RandomAgent(4).act(frames)
    actions = decision.actions
    assert np.array_equal(actions, RandomAgent(4).act(frames).actions)
    assert not np.array_equal(actions, RandomAgent(5).act(frames).actions)
    assert actions.dtype == np.uint8
    assert decision.log_probs == pytest.approx(-(12 * np.log(2) + 4 * np.log(11)))
    for component, size in enumerate(SIZES):
        counts = np.bincount(actions[:, component], minlength=size)
        assert len(counts) == size
        assert (np.abs(counts - 2000 / size) < 4.5 * np.sqrt(2000 / size * (1 - 1 / size))).all()


# What is refused


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.DISABLED])
def test_environments_that_begin_anew_in_another_way_are_refused(make: Make, mode: AutoresetMode) -> None:
    agent: Agent = RandomAgent(0)
    with pytest.raises(OptionError, match="autoreset_mode NEXT_STEP"):
        next(collect(make(2, autoreset_mode=mode), agent, [0]))
