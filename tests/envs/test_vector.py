"""Laws of the batched environment: it is so many single ones, and Gymnasium's contract."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from envs.errors import ActionError, OptionError, StepError
from envs.gamepad import NOOP
from envs.skygarden import SkygardenEnv
from envs.vector import SkygardenVectorEnv

COUNT, STEPS = 8, 150  # across the end of every episode
NOOPS = np.tile(NOOP, (COUNT, 1))
INFO = ("jumppad", "spawn", "character", "skin", "position", "falls")
STARTS = {"character": "random", "skin": "random"}


@pytest.fixture
def make():
    """Make batched environments that are closed after the test."""
    made = []

    def build(num_envs=COUNT, **settings):
        made.append(SkygardenVectorEnv(num_envs, **settings))
        return made[-1]

    yield build
    for env in made:
        env.close()


class Crowd:
    """Eight players: three who go to the three pads and on to the next, and five who know nothing."""

    def __init__(self, guide, restless_actions):
        self._guide, self._ways = guide, {}
        self._idle = np.stack([restless_actions(k, STEPS) for k in range(COUNT)], axis=1)

    def begin(self, infos):
        """Look where everybody is, after a reset or a step."""
        for k, pad in enumerate(("left", "middle", "right")):
            place = int(infos["spawn"][k])
            if k not in self._ways or self._ways[k][0] != place or infos["jumppad"][k] is not None:
                self._ways[k] = place, self._guide(pad, place)

    def act(self, step, infos):
        self.begin(infos)
        actions = self._idle[step].copy()
        for k, (_, way) in self._ways.items():
            actions[k] = way.action(infos["position"][k])
        return actions


@pytest.fixture
def crowd(guide, restless_actions):
    """Players, of whom some reach their pads."""
    return Crowd(guide, restless_actions)


# As single environments


@pytest.mark.parametrize("threads", [1, 2])
def test_it_is_bit_for_bit_so_many_single_environments(make, crowd, threads):
    """Frames, rewards, flags and infos, through 150 steps in which every episode ends and begins anew."""
    singles = [SkygardenEnv(reward="jumppad") for _ in range(COUNT)]
    batched = make(threads=threads, reward="jumppad")
    frames, infos = batched.reset(seed=100, options=STARTS)
    for k, env in enumerate(singles):
        frame, info = env.reset(seed=100 + k, options=STARTS)
        assert np.array_equal(frames[k], frame)
        assert all(np.array_equal(infos[key][k], info[key]) for key in INFO)
    ended = [False] * COUNT
    reached, cut, begun = set(), 0, 0
    for step in range(STEPS):
        actions = crowd.act(step, infos)
        frames, rewards, terminated, truncated, infos = batched.step(actions)
        for k, env in enumerate(singles):
            if ended[k]:  # and the action is ignored
                frame, info = env.reset()
                reward, end, cut_off = 0.0, False, False
                begun += 1
            else:
                frame, reward, end, cut_off, info = env.step(actions[k])
            assert np.array_equal(frames[k], frame)
            assert (rewards[k], terminated[k], truncated[k]) == (reward, end, cut_off)
            assert all(np.array_equal(infos[key][k], info[key]) for key in INFO)
            ended[k] = end or cut_off
            cut += cut_off
            reached |= {info["jumppad"]}
    assert reached == {None, "left", "middle", "right"}
    assert cut >= 5
    assert begun >= 8
    for env in singles:
        env.close()


@pytest.mark.parametrize("mode", AutoresetMode)
def test_gymnasiums_own_loop_over_single_environments_says_the_same(make, crowd, mode):
    """SyncVectorEnv, in each of its modes; where nothing begins anew by itself, both are told to."""
    theirs = SyncVectorEnv([SkygardenEnv] * COUNT, autoreset_mode=mode)
    ours = make(autoreset_mode=mode)
    frames, infos = ours.reset(seed=7)
    expected, _ = theirs.reset(seed=7)
    assert np.array_equal(frames, expected)
    finals = 0
    for step in range(STEPS):
        actions = crowd.act(step, infos)
        frames, rewards, terminated, truncated, infos = ours.step(actions)
        expected = theirs.step(actions)
        assert np.array_equal(frames, expected[0])
        for one, other in zip((rewards, terminated, truncated), expected[1:4], strict=True):
            assert np.array_equal(one, other)
            assert one.dtype == other.dtype
        finals += compare_infos(infos, expected[4])
        ended = terminated | truncated
        if mode == AutoresetMode.DISABLED and ended.any():
            frames, infos = ours.reset(options={"reset_mask": ended})
            expected, _ = theirs.reset(options={"reset_mask": ended})
            assert np.array_equal(frames, expected)
    assert (finals > 0) == (mode == AutoresetMode.SAME_STEP)
    theirs.close()


def compare_infos(ours, theirs):
    """Every entry that Gymnasium says is there; returns how many episodes ended with a last word."""
    assert ("final_obs" in ours) == ("final_obs" in theirs)
    for key in INFO:
        for k in np.flatnonzero(theirs[f"_{key}"]):
            assert np.array_equal(ours[key][k], theirs[key][k]), key
    if "final_obs" not in theirs:
        return 0
    ended = theirs["_final_obs"]
    assert np.array_equal(ours["_final_obs"], ended)
    assert np.array_equal(ours["_final_info"], ended)
    for k in np.flatnonzero(ended):
        assert np.array_equal(ours["final_obs"][k], theirs["final_obs"][k])
        assert all(np.array_equal(ours["final_info"][key][k], theirs["final_info"][key][k]) for key in INFO)
    return int(ended.sum())


@pytest.mark.parametrize("threads", [2, 3, 16])
def test_threads_change_nothing(make, crowd, threads):
    alone, shared = make(), make(threads=threads)
    frames, infos = alone.reset(seed=3)
    assert np.array_equal(shared.reset(seed=3)[0], frames)
    for step in range(30):
        actions = crowd.act(step, infos)
        frames, *_, infos = alone.step(actions)
        assert np.array_equal(shared.step(actions)[0], frames)


def test_a_player_does_not_feel_who_plays_beside_it(make, restless_actions):
    """The third of eight is the first of another eight."""
    one, other = make(), make()
    actions = np.stack([restless_actions(k, 20) for k in range(COUNT)], axis=1)
    a, b = one.reset(seed=list(range(COUNT)))[0], other.reset(seed=[2, 9, 9, 9, 9, 9, 9, 9])[0]
    for step in range(20):
        assert np.array_equal(a[2], b[0])
        a, b = one.step(actions[step])[0], other.step(np.roll(actions[step], -2, axis=0))[0]


# Beginning anew


def test_by_default_an_ended_episode_begins_with_the_next_step(make):
    env = make(2)
    assert env.metadata["autoreset_mode"] == AutoresetMode.NEXT_STEP
    env.reset(seed=0)
    flags = [env.step(NOOPS[:2])[3].all() for _ in range(203)]
    assert np.flatnonzero(flags).tolist() == [99, 200]  # one step is spent on beginning


def test_in_the_same_step_no_step_is_spent_and_the_last_frame_is_kept(make):
    env = make(2, autoreset_mode="SameStep")
    env.reset(seed=0)
    flags, infos = [], []
    for _ in range(203):
        _, _, _, truncated, info = env.step(NOOPS[:2])
        flags.append(truncated.all())
        infos.append(info)
    assert np.flatnonzero(flags).tolist() == [99, 199]
    assert [k for k, info in enumerate(infos) if "final_obs" in info] == [99, 199]
    assert infos[99]["final_obs"][0].shape == (128, 128, 3)


def test_without_autoreset_an_ended_episode_waits_for_its_reset(make, guide):
    env = make(2, autoreset_mode=AutoresetMode.DISABLED)
    frames, infos = env.reset(seed=0, options={"spawn": 0})
    way = guide("left", 0)
    terminated = np.zeros(2, bool)
    while not terminated.any():
        frames, _, terminated, _, infos = env.step(np.stack([NOOP, way.action(infos["position"][1])]))
    with pytest.raises(StepError, match=r"episodes \[1\] have ended; reset them with reset_mask"):
        env.step(NOOPS[:2])
    renewed, infos = env.reset(options={"reset_mask": terminated, "spawn": 3})
    assert np.array_equal(renewed[0], frames[0])  # whose episode goes on
    assert infos["spawn"].tolist() == [0, 3]
    env.step(NOOPS[:2])


def test_a_masked_reset_takes_only_its_own_seeds(make):
    env, other = make(3), make(3)
    env.reset(seed=[1, 2, 3], options=STARTS)
    frames, _ = env.reset(seed=[7, 8, 9], options={**STARTS, "reset_mask": np.array([False, True, False])})
    expected, _ = other.reset(seed=[1, 8, 3], options=STARTS)
    assert np.array_equal(frames, expected)
    later, expected = env.reset(options=STARTS)[0], other.reset(options=STARTS)[0]
    assert np.array_equal(later, expected)


def test_a_reset_leaves_its_options_as_they_were(make):
    options = {"spawn": 1, "reset_mask": np.ones(COUNT, bool)}
    make().reset(seed=0, options=options)
    assert set(options) == {"spawn", "reset_mask"}


def test_options_are_for_one_episode(make):
    """What begins by itself begins at a random spawn, as the first character."""
    env = make(64)
    _, infos = env.reset(seed=0, options={"spawn": 2, "character": "monk", "skin": 2})
    assert set(zip(infos["spawn"].tolist(), infos["character"].tolist(), infos["skin"].tolist(), strict=True)) == {
        (2, "monk", 2)
    }
    for _ in range(101):
        infos = env.step(np.tile(NOOP, (64, 1)))[4]
    assert set(infos["spawn"].tolist()) == {0, 1, 2, 3}
    assert set(infos["character"].tolist()) == {"ninja"}


# What is handed out


def test_frames_that_somebody_keeps_are_never_written_again(make, restless_actions):
    """Whole, by one row of one of them, or as a list of all; those that nobody keeps may be."""
    env = make(3)
    kept, copies = [], []
    frames, _ = env.reset(seed=0)
    actions = np.stack([restless_actions(k, 40) for k in range(3)], axis=1)
    for step in range(40):
        part = frames if step % 3 == 0 else frames[1] if step % 3 == 1 else frames[2, 60:]
        if step % 4 != 3:
            kept.append(part)
            copies.append(part.copy())
        del part
        frames = env.step(actions[step])[0]
    assert all(np.array_equal(one, other) for one, other in zip(kept, copies, strict=True))


def test_last_frames_that_somebody_keeps_are_never_written_again(make, restless_actions):
    env = make(2, autoreset_mode=AutoresetMode.SAME_STEP)
    env.reset(seed=0)
    kept = []
    for step in range(320):
        infos = env.step(np.stack([restless_actions(k, 1)[0] for k in (step, step + 1)]))[4]
        if "final_obs" in infos:
            kept.append((infos["final_obs"][0], infos["final_obs"][0].copy()))
    assert len(kept) == 3
    assert all(np.array_equal(one, other) for one, other in kept)


def test_infos_that_were_handed_out_stay_as_they_were(make, restless_actions):
    env = make(2)
    _, infos = env.reset(seed=0)
    before = {key: value.copy() for key, value in infos.items()}
    for step in range(101):
        env.step(restless_actions(step, 2))
    assert all(np.array_equal(infos[key], before[key]) for key in INFO)


def test_arrays_have_the_shapes_and_types_of_the_spaces(make):
    env = make(3)
    frames, infos = env.reset(seed=0)
    assert env.observation_space.contains(frames)
    frames, rewards, terminated, truncated, infos = env.step(env.action_space.sample())
    assert env.observation_space.contains(frames)
    assert (rewards.dtype, rewards.shape) == (np.float64, (3,))
    assert (terminated.dtype, terminated.shape) == (np.bool_, (3,))
    assert (truncated.dtype, truncated.shape) == (np.bool_, (3,))
    assert infos["position"].shape == (3, 3)
    assert {key: len(value) for key, value in infos.items()} == dict.fromkeys(INFO, 3)


def test_it_renders_what_it_hands_out(make):
    env = make(2, render_mode="rgb_array")
    frames, _ = env.reset(seed=0)
    assert np.array_equal(np.stack(env.render()), frames)
    assert make(2).render() is None


# By name


def test_it_is_what_gymnasium_makes_of_the_name():
    env = gym.make_vec("skygarden:Skygarden-v0", num_envs=3, vectorization_mode="vector_entry_point", threads=2)
    assert isinstance(env, SkygardenVectorEnv)
    assert env.num_envs == 3
    assert env.single_observation_space == gym.spaces.Box(0, 255, (128, 128, 3), np.uint8)
    assert env.action_space.shape == (3, 16)
    assert env.reset(seed=0)[0].shape == (3, 128, 128, 3)
    env.close()


def test_gymnasiums_wrappers_for_batches_take_it():
    env = gym.make_vec("skygarden:Skygarden-v0", num_envs=2, vectorization_mode="vector_entry_point", reward="jumppad")
    env = gym.wrappers.vector.DictInfoToList(gym.wrappers.vector.RecordEpisodeStatistics(env))
    env.reset(seed=0)
    for _ in range(99):
        env.step(NOOPS[:2])
    infos = env.step(NOOPS[:2])[4]
    assert [info["episode"]["l"] for info in infos] == [100, 100]
    assert [info["character"] for info in infos] == ["ninja", "ninja"]
    env.close()


# Errors


def test_a_step_needs_a_reset_before_it_and_neither_comes_after_close(make):
    for threads in (1, 2):
        env = make(threads=threads)
        with pytest.raises(StepError, match=r"reset\(\)"):
            env.step(NOOPS)
        env.reset(seed=0)
        env.close()
        env.close()
        with pytest.raises(StepError):
            env.step(NOOPS)
        with pytest.raises(StepError):
            env.reset(seed=0)


def test_the_first_reset_is_of_all(make):
    env = make()
    with pytest.raises(StepError, match="of all"):
        env.reset(options={"reset_mask": np.arange(COUNT) == 0})


@pytest.mark.parametrize(
    ("actions", "needed"),
    [
        (NOOPS.astype(float), "integer"),
        (NOOPS[:7], r"\(8, 16\), got \(7, 16\)"),
        (NOOP, r"\(8, 16\), got \(16,\)"),
        (np.where(np.arange(COUNT)[:, None] == 5, 11, NOOPS), "A of environment 5 takes 0 to 1, got 11"),
        (None, "integer"),
    ],
    ids=["float", "7", "one", "index", "None"],
)
def test_wrong_actions_are_an_error_and_move_nobody(make, actions, needed):
    env = make()
    frames, _ = env.reset(seed=0)
    frames = frames.copy()
    with pytest.raises(ActionError, match=needed):
        env.step(actions)
    assert np.array_equal(env.step(NOOPS)[0], make_step(make))
    assert np.array_equal(env.reset(seed=0)[0], frames)


def make_step(make):
    """The frames after one step of nothing from seed 0."""
    env = make()
    env.reset(seed=0)
    return env.step(NOOPS)[0]


@pytest.mark.parametrize(
    ("reset", "needed"),
    [
        ({"options": {"spawn": 4}}, "spawn must be"),
        ({"options": {"character": "nobody"}}, "unknown character"),
        ({"options": {"colour": 1}}, "unknown reset options"),
        ({"options": {"reset_mask": np.ones(COUNT, int)}}, "8 booleans, got int"),
        ({"options": {"reset_mask": np.ones(3, bool)}}, "8 booleans"),
        ({"seed": [1, 2]}, "a seed for each of 8 environments, got 2"),
    ],
    ids=str,
)
def test_a_wrong_reset_is_an_option_error(make, reset, needed):
    env = make()
    env.reset(seed=0)
    with pytest.raises(OptionError, match=needed):
        env.reset(**reset)


@pytest.mark.parametrize("seed", [-1, 1.5, [0, 1, 2, 3, 4, 5, 6, -7]], ids=str)
def test_a_wrong_seed_is_the_error_that_gymnasium_has_for_it(make, seed):
    with pytest.raises(gym.error.Error, match="Seed must be"):
        make().reset(seed=seed)


@pytest.mark.parametrize(
    ("settings", "needed"),
    [
        ({"backend": "window"}, "backend='standin'"),
        ({"num_envs": 0}, "num_envs"),
        ({"threads": 0}, "threads"),
        ({"render_mode": "human"}, "render_mode"),
        ({"reward": "dense"}, "reward must be one of"),
        ({"target": "left"}, "needs reward="),
        ({"seed": -1}, "seed"),
        ({"seed": 1.5}, "seed"),
        ({"autoreset_mode": "sometimes"}, "autoreset_mode"),
    ],
    ids=str,
)
def test_a_wrong_setting_is_an_option_error(settings, needed):
    """And only that: nothing is left behind that complains when it is collected."""
    with pytest.raises(OptionError, match=needed):
        SkygardenVectorEnv(**{"num_envs": 2, **settings})
