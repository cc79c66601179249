"""Whatever is done, what an environment says makes sense: 10,000 steps that hypothesis chose, single and batched."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.backend import JUMPPADS
from envs.gamepad import NOOP, SIZES
from envs.skygarden import SkygardenEnv
from envs.standin.characters import NAMES
from envs.standin.island import VOID, height_at
from envs.standin.physics import SINK
from envs.vector import SkygardenVectorEnv

EXAMPLES = 50
SINGLE_STEPS, BATCHED_STEPS, COUNT = 100, 25, 4  # 50 x 100 and 50 x 25 x 4 steps: 10,000

starts = st.fixed_dictionaries(
    {},
    optional={
        "spawn": st.integers(0, 3) | st.just("random"),
        "character": st.sampled_from((*NAMES, "random")),
        "skin": st.integers(0, 2) | st.just("random"),
    },
)
seeds = st.none() | st.integers(0, 2**31)
one_action = st.tuples(*(st.integers(0, size - 1) for size in SIZES)).map(lambda k: np.array(k, np.uint8))
held_actions = st.lists(st.tuples(one_action, st.integers(1, 40)), min_size=1, max_size=8)


def unrolled(held, steps):
    """Hold each action for its time, over and over."""
    actions = np.concatenate([np.tile(action, (times, 1)) for action, times in held])
    return np.resize(actions, (steps, 16))


@pytest.fixture(scope="module")
def single():
    """One environment for all examples."""
    env = SkygardenEnv(reward="jumppad")
    yield env
    env.close()


@pytest.fixture(scope="module")
def batched():
    """Four for all examples."""
    env = SkygardenVectorEnv(COUNT, reward="jumppad", threads=2)
    yield env
    env.close()


def check_state(ground, position, jumppad, falls):
    x, y, z = position
    assert np.all(np.isfinite(position))
    assert z >= SINK
    if jumppad is None:
        under = height_at(ground, float(x), float(y))
        assert under == VOID or z >= under - 1e-9, f"{under - z:.2f} m inside the ground at {position}"
    assert falls >= 0


@settings(max_examples=EXAMPLES)
@given(starts, seeds, held_actions, st.integers(0, 30))
def test_a_single_environment_makes_sense(single, world, options, seed, held, again):
    """With a reset somewhere in between, on purpose or because it ended."""
    frame, info = single.reset(seed=seed, options=options)
    assert all(info[key] == value for key, value in options.items() if value != "random")
    over = False
    for step, action in enumerate(unrolled(held, SINGLE_STEPS)):
        if over or step == again:
            frame, info = single.reset(options=options)
            assert info["falls"] == 0
        frame, reward, terminated, truncated, info = single.step(action)
        over = terminated or truncated
        assert single.observation_space.contains(frame)
        assert frame.std() > 1.0  # there is always something to see
        assert not (terminated and truncated)
        assert terminated == (info["jumppad"] in JUMPPADS)
        assert reward == float(terminated)
        check_state(world.ground, info["position"], info["jumppad"], info["falls"])


@settings(max_examples=EXAMPLES)
@given(starts, seeds, st.lists(held_actions, min_size=COUNT, max_size=COUNT), st.integers(0, BATCHED_STEPS), st.data())
def test_a_batched_environment_makes_sense(batched, world, options, seed, held, again, data):
    """With a reset of some of them in between."""
    frames, infos = batched.reset(seed=seed, options=options)
    actions = np.stack([unrolled(each, BATCHED_STEPS) for each in held], axis=1)
    before = np.zeros(COUNT, bool)
    for step in range(BATCHED_STEPS):
        if step == again:
            mask = np.array(data.draw(st.lists(st.booleans(), min_size=COUNT, max_size=COUNT)))
            batched.reset(options={**options, "reset_mask": mask})
            before &= ~mask
        frames, rewards, terminated, truncated, infos = batched.step(actions[step])
        assert batched.observation_space.contains(frames)
        assert np.all(frames.std((1, 2, 3)) > 1.0)
        assert not np.any(terminated & truncated)
        assert not np.any((terminated | truncated) & before)  # who begins anew does not end
        assert np.array_equal(rewards, terminated.astype(float))
        for k in range(COUNT):
            assert terminated[k] == (infos["jumppad"][k] in JUMPPADS)
            check_state(world.ground, infos["position"][k], infos["jumppad"][k], infos["falls"][k])
        before = terminated | truncated


@settings(max_examples=10)
@given(starts, st.integers(0, 2**31), held_actions)
def test_what_happens_follows_from_the_seed_the_options_and_the_actions(single, options, seed, held):
    runs = []
    for _ in range(2):
        single.reset(seed=seed, options=options)
        runs.append([single.step(action) for action in unrolled(held, 20)][-1])  # no pad is that near
    assert np.array_equal(runs[0][0], runs[1][0])
    assert np.array_equal(runs[0][4]["position"], runs[1][4]["position"])


@settings(max_examples=20)
@given(one_action)
def test_nothing_that_is_pressed_changes_the_action(single, action):
    single.reset(seed=0)
    kept = action.copy()
    single.step(action)
    assert np.array_equal(action, kept)
    assert NOOP.tolist() == [0] * 12 + [5] * 4
