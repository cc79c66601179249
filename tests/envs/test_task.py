"""Laws of the task: what is paid, and how episodes begin."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs.backend import JUMPPADS, Start
from envs.errors import OptionError
from envs.task import MAX_STEPS, Reward, draw_start

CAST = ("ada", "bob", "eve")


def start(seed, **options):
    return draw_start(np.random.default_rng(seed), options, CAST, 3)


def test_an_episode_lasts_ten_seconds():
    assert MAX_STEPS == 100


def test_nothing_is_paid_unless_asked_for():
    assert [Reward().of(pad) for pad in (None, *JUMPPADS)] == [0.0, 0.0, 0.0, 0.0]


def test_a_pad_pays_one_and_with_a_target_only_that_pad():
    assert [Reward("jumppad").of(pad) for pad in (None, *JUMPPADS)] == [0.0, 1.0, 1.0, 1.0]
    assert [Reward("jumppad", "middle").of(pad) for pad in (None, *JUMPPADS)] == [0.0, 0.0, 1.0, 0.0]


@pytest.mark.parametrize(
    ("kind", "target", "needed"),
    [
        ("sparse", None, "reward must be one of none, jumppad"),
        (None, None, "reward must be one of none, jumppad"),
        ("jumppad", "top", "target must be one of left, middle, right"),
        ("none", "left", "needs reward='jumppad'"),
    ],
)
def test_an_unknown_reward_or_target_is_an_error(kind, target, needed):
    with pytest.raises(OptionError, match=needed):
        Reward(kind, target)


def test_without_options_the_spawn_is_random_and_the_first_character_plays():
    starts = [start(seed) for seed in range(200)]
    assert {s.spawn for s in starts} == {0, 1, 2, 3}
    assert {(s.character, s.skin) for s in starts} == {("ada", 0)}


def test_random_is_drawn_from_all_there_are():
    starts = [start(seed, character="random", skin="random", spawn="random") for seed in range(400)]
    assert {(s.spawn, s.character, s.skin) for s in starts} == {
        (spawn, name, skin) for spawn in range(4) for name in CAST for skin in range(3)
    }


@given(st.integers(0, 2**32), st.integers(0, 3), st.sampled_from(CAST), st.integers(0, 2))
def test_an_option_does_not_change_what_a_seed_gives_for_the_others(seed, spawn, character, skin):
    drawn = start(seed, spawn="random", character="random", skin="random")
    given_spawn = start(seed, spawn=spawn, character="random", skin="random")
    given_character = start(seed, spawn="random", character=character, skin="random")
    given_skin = start(seed, spawn="random", character="random", skin=skin)
    assert given_spawn == Start(spawn, drawn.character, drawn.skin)
    assert given_character == Start(drawn.spawn, character, drawn.skin)
    assert given_skin == Start(drawn.spawn, drawn.character, skin)


def test_every_start_takes_the_same_number_of_draws():
    rngs = [np.random.default_rng(5) for _ in range(3)]
    draw_start(rngs[0], None, CAST, 3)
    draw_start(rngs[1], {"spawn": 2, "character": "eve", "skin": 1}, CAST, 3)
    draw_start(rngs[2], {"spawn": "random", "character": "random", "skin": "random"}, CAST, 3)
    assert len({int(rng.integers(2**60)) for rng in rngs}) == 1


@pytest.mark.parametrize(
    ("options", "needed"),
    [
        ({"spawn": 4}, "spawn must be an integer from 0 to 3"),
        ({"spawn": -1}, "spawn must be"),
        ({"spawn": 1.0}, "spawn must be"),
        ({"spawn": True}, "spawn must be"),
        ({"spawn": "left"}, "spawn must be"),
        ({"spawn": None}, "spawn must be"),
        ({"skin": 3}, "skin must be an integer from 0 to 2"),
        ({"character": "bobby"}, "unknown character 'bobby'; there are ada, bob, eve"),
        ({"character": 1}, "unknown character"),
        ({"character": None}, "unknown character"),
        ({"spwan": 1}, r"unknown reset options \['spwan'\]; there are spawn, character, skin"),
    ],
)
def test_an_unknown_start_is_an_error_that_says_what_there_is(options, needed):
    with pytest.raises(OptionError, match=needed):
        start(0, **options)


def test_options_of_any_kind_of_name_are_unknown():
    options: dict[Any, int] = {1: 2, "colour": 3}
    with pytest.raises(OptionError, match="unknown reset options"):
        draw_start(np.random.default_rng(0), options, CAST, 3)
