"""Laws of the single environment: Gymnasium's contract, and ours."""

import copy
import pickle

import cv2
import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import skygarden
from envs.backend import JUMPPADS
from envs.errors import ActionError, OptionError, StepError
from envs.gamepad import NOOP
from envs.skygarden import SkygardenEnv
from envs.standin.characters import NAMES

INFO = {"jumppad", "interrupted", "spawn", "character", "skin", "position", "falls"}


@pytest.fixture
def env():
    """An environment of its own for a test."""
    made = SkygardenEnv(render_mode="rgb_array", render_size=(128, 128))
    yield made
    made.close()


@pytest.fixture(scope="module")
def shared():
    """One environment for tests that reset it and leave it open."""
    made = SkygardenEnv()
    yield made
    made.close()


def frames_of(env, actions, **reset):
    first, _ = env.reset(**reset)
    return np.stack([first] + [env.step(action)[0] for action in actions])


def lead(env, guide, pad, spawn):
    """Walk to a pad; returns the steps taken and the last step's results."""
    _, info = env.reset(seed=0, options={"spawn": spawn})
    way, steps = guide(pad, spawn), 1
    results = env.step(way.action(info["position"]))
    while not (results[2] or results[3]):
        results = env.step(way.action(results[4]["position"]))
        steps += 1
    return steps, results


# Gymnasium


@pytest.mark.parametrize("settings", [{}, {"reward": "jumppad", "target": "left"}, {"spawn_animation": True}])
def test_gymnasiums_checker_finds_nothing_to_warn_about(settings):
    env = gym.make("Skygarden-v0", **settings)
    check_env(env.unwrapped)
    env.close()


@pytest.mark.parametrize("name", ["Skygarden-v0", "skygarden:Skygarden-v0"])
def test_it_is_made_by_name_with_or_without_the_package(name):
    env = gym.make(name)
    assert isinstance(env.unwrapped, SkygardenEnv)
    assert env.observation_space == gym.spaces.Box(0, 255, (128, 128, 3), np.uint8)
    assert env.action_space == gym.spaces.MultiDiscrete([2] * 12 + [11] * 4)
    env.close()


def test_the_package_has_a_version():
    assert skygarden.__version__.count(".") == 2


# An episode


def test_an_episode_is_truncated_after_exactly_100_steps(shared):
    shared.reset(seed=0)
    flags = [shared.step(NOOP)[2:4] for _ in range(100)]
    assert flags == [(False, False)] * 99 + [(False, True)]


@pytest.mark.parametrize("pad", JUMPPADS)
def test_an_episode_is_terminated_on_a_pad(shared, guide, pad):
    steps, (_, reward, terminated, truncated, info) = lead(shared, guide, pad, 3 if pad == "right" else 0)
    assert (terminated, truncated, info["jumppad"], reward) == (True, False, pad, 0.0)
    assert 50 <= steps <= 95
    with pytest.raises(StepError):
        shared.step(NOOP)


@pytest.mark.parametrize(("target", "paid"), [(None, 1.0), ("right", 1.0), ("left", 0.0)])
def test_the_reward_comes_with_the_step_that_reaches_the_pad(guide, target, paid):
    env = SkygardenEnv(reward="jumppad", target=target)
    _, (_, reward, terminated, _, _) = lead(env, guide, "right", 3)
    assert terminated
    assert reward == paid
    assert isinstance(reward, float)
    env.close()


def test_a_step_needs_an_episode_that_has_begun_and_not_ended(env):
    with pytest.raises(StepError, match=r"reset\(\)"):
        env.step(NOOP)
    env.reset(seed=0)
    for _ in range(100):
        env.step(NOOP)
    with pytest.raises(StepError, match=r"reset\(\)"):
        env.step(NOOP)
    env.reset()
    env.step(NOOP)


def test_nothing_can_be_asked_of_a_closed_environment(env):
    env.reset(seed=0)
    env.close()
    env.close()
    for call in (lambda: env.step(NOOP), lambda: env.reset(seed=0), env.render):
        with pytest.raises(StepError):
            call()


def test_an_action_that_is_refused_leaves_the_episode_as_it_was(shared, random_actions):
    actions = random_actions(1, 4)
    undisturbed = frames_of(shared, actions, seed=3)
    shared.reset(seed=3)
    for k, action in enumerate(actions, 1):
        for wrong in (action.astype(float), action[:15], np.full(16, 11)):
            with pytest.raises(ActionError):
                shared.step(wrong)
        assert np.array_equal(shared.step(action)[0], undisturbed[k])


def test_info_tells_where_one_stands_and_who_one_is(shared):
    options = {"spawn": 2, "character": "witch", "skin": 1}
    _, info = shared.reset(seed=0, options=options)
    assert set(info) == INFO
    assert {**options, "jumppad": None, "interrupted": None, "falls": 0} == {
        key: info[key] for key in info if key != "position"
    }
    assert info["position"].tolist() == [7.5, -24.0, 3.0]  # the third spawn, on the terrace
    info = shared.step(NOOP)[4]
    assert set(info) == INFO
    assert info["position"].tolist() == [7.5, -24.0, 3.0]


def test_what_was_handed_out_stays_as_it_was(shared, restless_actions):
    first, before = shared.reset(seed=0)
    kept, place = first.copy(), before["position"].copy()
    for action in restless_actions(0, 10):
        shared.step(action)
    assert np.array_equal(first, kept)
    assert np.array_equal(before["position"], place)


# Randomness


def test_the_same_seed_and_actions_give_the_same_frames(env, restless_actions):
    other = SkygardenEnv()
    actions = restless_actions(0, 99)
    options = {"character": "random", "skin": "random"}
    assert np.array_equal(
        frames_of(env, actions, seed=7, options=options), frames_of(other, actions, seed=7, options=options)
    )
    assert np.array_equal(frames_of(env, actions[:9], options=options), frames_of(other, actions[:9], options=options))
    other.close()


def test_what_happened_before_a_reset_leaves_no_trace(env, restless_actions):
    fresh = frames_of(env, restless_actions(1, 30), seed=5)
    env.reset(seed=9, options={"character": "giant"})
    for action in restless_actions(2, 60):
        env.step(action)
    assert np.array_equal(frames_of(env, restless_actions(1, 30), seed=5), fresh)


def test_looking_does_not_change_what_is_seen(restless_actions):
    blind, watched = SkygardenEnv(), SkygardenEnv(render_mode="rgb_array", render_size=(40, 30))
    blind.reset(seed=1)
    watched.reset(seed=1)
    for action in restless_actions(3, 60):
        watched.render()
        assert np.array_equal(blind.step(action)[0], watched.step(action)[0])
    blind.close()
    watched.close()


def test_a_seed_of_the_world_varies_its_looks_but_not_the_start():
    seen = []
    for seed in (0, 1):
        env = SkygardenEnv(seed=seed)
        frame, info = env.reset(seed=0)
        seen.append((frame, info["position"]))
        env.close()
    assert not np.array_equal(seen[0][0], seen[1][0])
    assert np.array_equal(seen[0][1], seen[1][1])


def test_characters_and_skins_look_different_from_each_other(shared):
    looks = {
        shared.reset(seed=0, options={"spawn": 0, "character": name, "skin": skin})[0].tobytes()
        for name in NAMES
        for skin in range(3)
    }
    assert len(NAMES) == 13
    assert len(looks) == 39


def test_the_spawn_animation_is_seen_for_most_of_a_second_and_holds_the_player():
    plain, appearing = SkygardenEnv(), SkygardenEnv(spawn_animation=True)
    ahead = NOOP.copy()
    ahead[13] = 10
    assert not np.array_equal(plain.reset(seed=0)[0], appearing.reset(seed=0)[0])
    start = appearing.reset(seed=0)[1]["position"]
    places = [appearing.step(ahead)[4]["position"] for _ in range(12)]
    assert np.array_equal(places[6], start)  # 0.7 s
    assert not np.array_equal(places[11], start)
    plain.close()
    appearing.close()


# Rendering


def test_a_picture_of_the_observations_size_is_the_observation(env, restless_actions):
    assert np.array_equal(env.reset(seed=0)[0], env.render())
    for action in restless_actions(0, 5):
        assert np.array_equal(env.step(action)[0], env.render())


@pytest.mark.parametrize(("width", "height"), [(1, 1), (33, 17), (129, 65), (640, 360), (16, 200)])
def test_a_picture_has_the_size_that_was_asked_for(width, height):
    env = SkygardenEnv(render_mode="rgb_array", render_size=(width, height))
    env.reset(seed=0)
    picture = env.render()
    assert isinstance(picture, np.ndarray)
    assert picture.shape == (height, width, 3)
    assert picture.dtype == np.uint8
    env.close()


@pytest.mark.parametrize("side", [64, 120, 129, 255, 256])
def test_a_picture_of_any_size_shows_the_same_view(side):
    """Averaged over 8 x 8 fields, two sizes differ by sampling alone: by 2 of 255 or so, and by 8 where they shift."""
    env = SkygardenEnv(render_mode="rgb_array", render_size=(side, side))
    frame, _ = env.reset(seed=0, options={"spawn": 0})
    assert np.abs(blurred(env.render()) - blurred(frame)).mean() < 4.0
    env.close()


def blurred(picture):
    return cv2.resize(picture.astype(np.float32), (8, 8), interpolation=cv2.INTER_AREA)


def test_without_a_render_mode_there_is_nothing_to_see(shared):
    shared.reset(seed=0)
    assert shared.render() is None


def test_human_mode_shows_every_frame_in_a_window(random_actions):
    env = gym.make("Skygarden-v0", render_mode="human", render_size=(70, 50))
    env.reset(seed=0)
    for action in random_actions(0, 2):
        env.step(action)
    assert env.render() is None
    env.close()
    env.close()


# Copies


def test_a_pickled_environment_comes_back_with_its_settings(env, restless_actions):
    env = SkygardenEnv(reward="jumppad", target="left", render_mode="rgb_array", render_size=(20, 10), seed=3)
    actions = restless_actions(0, 10)
    for twin in (pickle.loads(pickle.dumps(env)), copy.deepcopy(env)):
        with pytest.raises(StepError):
            twin.step(NOOP)
        assert np.array_equal(frames_of(twin, actions, seed=4), frames_of(env, actions, seed=4))
        assert twin.render_mode == "rgb_array"
        assert np.asarray(twin.render(), np.uint8).shape == (10, 20, 3)
        twin.close()
    env.close()


def test_an_environment_made_by_name_can_be_pickled():
    env = pickle.loads(pickle.dumps(gym.make("Skygarden-v0")))
    frame, _ = env.reset(seed=0)
    assert frame.shape == (128, 128, 3)
    env.close()


# Errors


@pytest.mark.parametrize(
    ("settings", "needed"),
    [
        ({"backend": "windo"}, "unknown backend 'windo'"),
        ({"backend": None}, "unknown backend"),
        ({"render_mode": "ansi"}, "render_mode must be one of rgb_array, human or None"),
        ({"render_size": (0, 64)}, "render_size must be"),
        ({"render_size": (64, 5000)}, "render_size must be"),
        ({"render_size": (64,)}, "render_size must be"),
        ({"render_size": 64}, "render_size must be"),
        ({"render_size": (64.5, 64)}, "render_size must be"),
        ({"reward": "dense"}, "reward must be one of"),
        ({"target": "left"}, "needs reward="),
        ({"reward": "jumppad", "target": "top"}, "target must be one of"),
        ({"seed": -1}, "seed must"),
        ({"seed": 1.5}, "seed must"),
        ({"seed": None}, "seed must"),
    ],
    ids=str,
)
def test_a_wrong_setting_is_an_option_error(settings, needed):
    with pytest.raises(OptionError, match=needed):
        SkygardenEnv(**settings)


@pytest.mark.parametrize("seed", [-1, 1.5, "zero"], ids=str)
def test_a_wrong_seed_is_the_error_that_gymnasium_has_for_it(shared, seed):
    with pytest.raises(gym.error.Error, match="Seed must be"):
        shared.reset(seed=seed)


@pytest.mark.parametrize(
    "options",
    [{"spawn": 4}, {"spawn": "left"}, {"character": "nobody"}, {"skin": 3}, {"skin": 0.0}, {"colour": "red"}],
    ids=str,
)
def test_a_wrong_reset_option_is_an_option_error_and_leaves_the_episode_as_it_was(shared, options):
    before = frames_of(shared, [NOOP] * 2, seed=0)
    shared.reset(seed=0)
    shared.step(NOOP)
    with pytest.raises(OptionError):
        shared.reset(options=options)
    assert np.array_equal(shared.step(NOOP)[0], before[2])
