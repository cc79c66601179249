"""Laws of collecting: how many episodes, whose, that they are what happened, and what the agent is told of them."""

from collections.abc import Callable, Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

import skygarden  # noqa: F401, registers the environments
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


class Knowing:
    """Recognises the spawn by its view and plays a way from there.

    It refuses a reset while an episode is in progress, and one after which the next frame is no spawn's view.
    """

    def __init__(self, count: int, views: list[Array], ways: dict[int, Array]) -> None:
        self._views, self._ways = views, ways
        self._count = count
        self._steps = np.full(count, -1)  # in this episode; -1 is before its first frame
        self._spawns = np.zeros(count, np.int64)
        self.begun: list[list[int]] = [[] for _ in range(count)]  # spawns, by environment
        self.masks: list[list[bool]] = []

    def reset(self, mask: NDArray[np.bool_]) -> None:
        assert mask.dtype == np.bool_
        assert mask.shape == (self._count,)
        for k in np.flatnonzero(mask):
            assert self._steps[k] in (-1, self._length(k)), "an episode was cut short"
        self.masks.append(mask.tolist())
        self._steps[mask] = -1

    def act(self, frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
        assert frames.shape == (self._count, 128, 128, 3)
        assert frames.dtype == np.uint8
        actions = np.tile(NOOP, (self._count, 1))
        for k in range(self._count):
            if self._steps[k] < 0:
                matches = [spawn for spawn, view in enumerate(self._views) if np.array_equal(frames[k], view)]
                assert len(matches) == 1, "the first frame after a reset is no beginning"
                self._spawns[k] = matches[0]
                self.begun[k] += matches
                self._steps[k] = 0
            if self._steps[k] == self._length(k):
                continue  # the episode has ended, and this action counts for nothing
            if self._spawns[k] in self._ways:
                actions[k] = self._ways[int(self._spawns[k])][self._steps[k]]
            self._steps[k] += 1
        return actions

    def _length(self, k: Any) -> int:
        spawn = int(self._spawns[k])
        return len(self._ways[spawn]) if spawn in self._ways else 100


class Restless:
    """Wanders about, and keeps what it saw and pressed, and when it was told to forget."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self.seen: list[Array] = []
        self.pressed: list[Array] = []
        self.resets: list[tuple[int, list[bool]]] = []  # before which call of act, and the mask

    def reset(self, mask: NDArray[np.bool_]) -> None:
        self.resets.append((len(self.seen), mask.tolist()))

    def act(self, frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
        self.seen.append(frames.copy())
        actions = self._rng.integers(0, SIZES, (len(frames), 16), np.uint8)
        actions[:, 13] = 10  # onwards
        self.pressed.append(actions.copy())
        return actions


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


@pytest.mark.parametrize(("count", "episodes"), [(1, 2), (3, 7), (4, 4), (4, 2)])
def test_there_are_exactly_as_many_episodes_as_were_asked_for(make: Make, count: int, episodes: int) -> None:
    assert len(list(collect(make(count), RandomAgent(0), episodes, seed=0))) == episodes


def test_every_environment_plays_its_share_however_short_its_episodes(make, ways, views) -> None:
    """Eleven episodes in four environments are 3, 3, 3 and 2, the first that each played, in order of their ends."""
    agent = Knowing(4, views, ways)
    episodes = list(collect(make(4), agent, 11, seed=5))
    expected = [spawn for k, share in enumerate((3, 3, 3, 2)) for spawn in agent.begun[k][:share]]
    assert sorted(e.start.spawn for e in episodes) == sorted(expected)
    assert {len(begun) for begun in agent.begun} != {3}  # somebody was faster, and what they played on is left out
    ends: list[tuple[int, int, int]] = []  # of each of them: when, where, from which spawn
    for k, share in enumerate((3, 3, 3, 2)):
        lengths = np.array([len(ways[s]) if s in ways else 100 for s in agent.begun[k][:share]])
        ends += zip(np.cumsum(lengths + 1).tolist(), [k] * share, agent.begun[k], strict=False)
    assert [e.start.spawn for e in episodes] == [spawn for _, _, spawn in sorted(ends)]


def test_starts_follow_from_the_seed(make: Make) -> None:
    first, again, other = (
        [e.start for e in sorted(collect(make(3), RandomAgent(0), 9, seed=seed), key=lambda e: e.start.spawn)]
        for seed in (2, 2, 3)
    )
    assert first == again
    assert first != other


# What an episode holds


def test_an_episode_is_what_happens_when_its_actions_are_played_from_its_start(make, ways, views) -> None:
    wandering = list(collect(make(3), Restless(1), 4, seed=0))
    knowing = list(collect(make(4), Knowing(4, views, ways), 8, seed=1))
    for episode in [*wandering, *knowing]:
        positions, jumppad, ends = replayed(episode)
        assert np.array_equal(episode.positions, positions.astype(np.float32))
        assert episode.positions.dtype == np.float32
        assert episode.jumppad == jumppad
        assert ends == [False] * (len(episode) - 1) + [True]


def test_who_knows_the_way_terminates_on_the_pad_and_who_stays_put_is_truncated(make, ways, views) -> None:
    episodes = list(collect(make(4), Knowing(4, views, ways), 12, seed=1))
    assert {e.start.spawn for e in episodes} == {0, 1, 2, 3}
    for episode in episodes:
        if episode.start.spawn in ways:
            assert episode.ending is Ending.TERMINATED
            assert episode.jumppad == JUMPPADS[episode.start.spawn]
            assert np.array_equal(episode.actions, ways[episode.start.spawn])
        else:
            assert (episode.ending, episode.jumppad, len(episode)) == (Ending.TRUNCATED, None, 100)
            assert (episode.actions == NOOP).all()


def test_an_episode_without_a_pad_has_a_hundred_steps_and_the_actions_of_those_steps(make: Make) -> None:
    """The action between two episodes is asked for and counts for nothing."""
    agent = Restless(0)
    first, second = collect(make(1), agent, 2, seed=0)
    assert len(first) == len(second) == 100
    assert len(agent.pressed) == 201
    assert np.array_equal(first.actions, np.array(agent.pressed)[:100, 0])
    assert np.array_equal(second.actions, np.array(agent.pressed)[101:, 0])


# What the agent is told


def test_the_agent_forgets_just_before_the_first_frame_of_every_episode(make, ways, views) -> None:
    """`Knowing` refuses a reset in an episode, and a first frame that is none."""
    agent = Knowing(5, views, ways)
    assert len(list(collect(make(5), agent, 15, seed=3))) == 15
    assert sum(len(begun) for begun in agent.begun) >= 15


def test_resets_are_of_those_alone_whose_episodes_begin(make, ways, views) -> None:
    wanderers = Restless(0)
    assert len(list(collect(make(2), wanderers, 4, seed=0))) == 4
    assert wanderers.resets == [(0, [True, True]), (101, [True, True])]

    agent = Knowing(3, views, ways)
    list(collect(make(3), agent, 9, seed=4))
    assert agent.masks[0] == [True, True, True]
    assert [False, False, False] not in agent.masks
    for k in range(3):
        begun = sum(mask[k] for mask in agent.masks)
        assert len(agent.begun[k]) in (begun, begun - 1)  # nobody looked any more after the last


def test_a_random_agent_presses_anything_and_follows_from_its_seed() -> None:
    frames = np.zeros((2000, 128, 128, 3), np.uint8)
    actions = RandomAgent(4).act(frames)
    assert np.array_equal(actions, RandomAgent(4).act(frames))
    assert not np.array_equal(actions, RandomAgent(5).act(frames))
    assert actions.dtype == np.uint8
    for component, size in enumerate(SIZES):
        counts = np.bincount(actions[:, component], minlength=size)
        assert len(counts) == size
        assert (np.abs(counts - 2000 / size) < 4.5 * np.sqrt(2000 / size * (1 - 1 / size))).all()


# What is refused


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.DISABLED])
def test_environments_that_begin_anew_in_another_way_are_refused(make: Make, mode: AutoresetMode) -> None:
    agent: Agent = RandomAgent(0)
    with pytest.raises(OptionError, match="autoreset_mode NEXT_STEP"):
        next(collect(make(2, autoreset_mode=mode), agent, 1, seed=0))


@pytest.mark.parametrize("episodes", [0, -1])
def test_fewer_than_one_episode_are_refused(make: Make, episodes: int) -> None:
    with pytest.raises(OptionError, match=f"1 episode or more .* got {episodes}"):
        next(collect(make(2), RandomAgent(0), episodes, seed=0))
