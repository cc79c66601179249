"""Laws of playing a real game: one at a time, nothing follows from what was interrupted, and nobody tells the place."""

from collections.abc import Callable, Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import VectorEnv

from agents.inference import ActorConfig
from agents.policy import Policy
from envs.backend import SIDE, Start
from envs.episode import Ending
from envs.errors import ProfileError
from envs.gamepad import NOOP, space
from rollout.codec import Stamp, decode, encode
from rollout.collect import RandomAgent, collect
from rollout.delivery.assignment import Assignment, Contract
from rollout.delivery.keys import Key
from rollout.direct import DirectWorkers
from rollout.environments import EnvConfig, alone
from rollout.player import Player

ACTING = ActorConfig(precision="float32", processors=1)


class Fickle(gym.Env[Any, Any]):
    """A strict fake of a game's window: an episode reaches the left pad in five steps, or is lost in the third.

    Args: lost: the seeds whose episodes are.
    """

    def __init__(self, lost: set[int]) -> None:
        self.observation_space = gym.spaces.Box(0, 255, (SIDE, SIDE, 3), np.uint8)
        self.action_space = space()
        self.begun: list[int] = []
        self._lost, self._steps, self._over = lost, 0, True

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        assert seed is not None
        assert not options
        self.begun.append(seed)
        self._steps, self._over = 0, False
        return self._frame(), self._info(None, None)

    def step(self, action: Any) -> Any:
        assert not self._over, "an episode that is over goes on"
        assert self.action_space.contains(np.asarray(action, np.int64))
        self._steps += 1
        lost = self.begun[-1] in self._lost and self._steps == 3
        arrived = self._steps == 5
        self._over = lost or arrived
        return self._frame(), 0.0, arrived, lost, self._info("left" if arrived else None, "gone" if lost else None)

    def _frame(self) -> Any:
        return np.full((SIDE, SIDE, 3), 10 * self._steps, np.uint8)

    def _info(self, pad: str | None, interrupted: str | None) -> dict[str, Any]:
        timing = {"captured": 1.0, "missed": False}
        there = {"spawn": None, "character": "monk", "skin": 1, "timing": timing, "detection": None}
        return {"jumppad": pad, "interrupted": interrupted, **there}


@pytest.fixture
def game() -> Callable[..., Fickle]:
    """Make a game that loses the episodes of some seeds."""
    return lambda *lost: Fickle(set(lost))


@pytest.fixture
def envs() -> Iterator[Callable[[Fickle], VectorEnv[Any, Any, Any]]]:
    """Make a batch of one, closed after the test."""
    made: list[VectorEnv[Any, Any, Any]] = []

    def make(env: Fickle) -> VectorEnv[Any, Any, Any]:
        made.append(alone(env))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_an_interrupted_episode_says_so_and_the_next_is_whole(game, envs):
    env = game(11)
    episodes = list(collect(envs(env), RandomAgent(0), range(10, 14)))
    assert [e.ending for e in episodes] == [Ending.TERMINATED, Ending.INTERRUPTED, *[Ending.TERMINATED] * 2]
    assert [e.interrupted for e in episodes] == [None, "gone", None, None]
    assert [e.jumppad for e in episodes] == ["left", None, "left", "left"]
    assert [len(e) for e in episodes] == [5, 3, 5, 5]
    assert env.begun == [10, 11, 12, 13]


def test_a_game_that_tells_no_place_has_none(game, envs):
    (episode,) = collect(envs(game()), RandomAgent(0), [3])
    assert episode.positions.shape == (0, 3)
    assert episode.start == Start(None, "monk", 1)


def test_an_episode_without_a_place_travels_as_it_is(game, envs, policy: Policy):
    ((_, episode),) = Player(policy, ACTING, lambda _: envs(game())).play([5], 1)
    stamp = Stamp(Key("w", 1, 0), 0, 0, 0, "trunk", "chunked", 1.0, "embeddings")
    back, _ = decode(encode(episode, stamp))
    assert back.start == episode.start
    assert back.positions.shape == (0, 3)


def test_one_game_plays_all_the_seeds_of_an_assignment_one_after_another(game, envs, policy: Policy):
    env = game(21)
    played = list(Player(policy, ACTING, lambda _: envs(env)).play([20, 21, 22], 1))
    episodes = [episode for _, episode in played]
    assert [index for index, _ in played] == [0, 1, 2]
    assert [e.seed for e in episodes] == env.begun == [20, 21, 22]
    assert [e.interrupted for e in episodes] == [None, "gone", None]
    assert all(len(e.features) == 100 for e in episodes)


def test_of_an_assignment_one_game_plays_only_what_is_wanted(game, envs, policy: Policy):
    env = game(21)
    player = Player(policy, ACTING, lambda _: envs(env))
    assert [(k, e.seed) for k, e in player.play([20, 21, 22, 23], 1, wanted={2, 0})] == [(0, 20), (2, 22)]
    assert env.begun == [20, 22]


def test_a_game_that_is_to_stop_gives_up_the_episode_it_plays_and_begins_no_other(game, envs, policy: Policy):
    """An episode here has 5 steps, and the 100 - 5 black frames after it are asked about as well."""
    env = game()
    asked: list[int] = []

    def stop() -> bool:
        asked.append(len(asked))
        return len(asked) > 102

    player = Player(policy, ACTING, lambda _: envs(env))
    assert [(k, e.seed) for k, e in player.play([20, 21, 22], 1, stop=stop)] == [(0, 20)]
    assert env.begun[:2] == [20, 21]
    assert [(k, e.seed) for k, e in player.play([30], 1)] == [(0, 30)]


def test_an_interrupted_episode_leaves_its_batch_smaller(game, envs, policy: Policy):
    contract = Contract(trunk="trunk", width=32, reads="embeddings", context="chunked", temperature=1.0)
    workers = DirectWorkers(Player(policy, ACTING, lambda _: envs(game(1))), contract)
    workers.publish(0, policy.head.state_dict(), 0)
    workers.post(Assignment(number=0, version=0, seeds=(0, 1, 2), sampling_seed=4))
    got = workers.wait([0], 1.0)
    assert [(episode.seed, stamp.index) for episode, stamp in got] == [(0, 0), (2, 2)]


def test_the_stand_in_plays_as_many_at_once_as_are_asked_for_and_a_window_one():
    many = EnvConfig().make(3)
    assert many.num_envs == 3
    many.close()
    one = EnvConfig(backend="window").make(3)  # opens nothing before the first reset
    assert one.num_envs == 1
    one.close()
    assert EnvConfig().redrawn
    assert not EnvConfig(backend="window").redrawn


def test_a_profile_that_is_not_there_is_refused_at_once():
    with pytest.raises(ProfileError, match="no profile 'quake'"):
        EnvConfig(backend="window", profile="quake").make(1)


def test_the_fake_is_as_strict_as_a_window(game):
    env = game()
    with pytest.raises(AssertionError, match="is over"):
        env.step(NOOP)
