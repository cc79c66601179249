"""Laws of what the hands hold, and of what a game's dead zones make of it."""

import json
import math
from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs.errors import ActionError, OptionError
from envs.gamepad import BUTTONS, NOOP, SIZES, Gamepad, decode, encode
from envs.window import wire
from envs.window.pad import (
    HELD,
    NEUTRAL,
    STICK_KEYS,
    KeysConfig,
    NullPad,
    PadConfig,
    PadState,
    SticksConfig,
    open_driver,
)

axis = st.floats(-1, 1)
zones = st.floats(0, 0.9)
shapes = st.sampled_from(["axial", "radial"])
states = st.builds(PadState, st.frozensets(st.sampled_from(HELD)), axis, axis, axis, axis)
every_action = st.tuples(*(st.integers(0, size - 1) for size in SIZES)).map(lambda k: np.array(k, np.uint8))


@given(every_action)
def test_a_state_of_an_action_is_what_the_action_means(action):
    assert astuple(PadState.of(action)) == astuple(decode(action))


def test_nothing_is_held_at_rest():
    assert PadState.of(NOOP) == NEUTRAL == PadState()
    assert PadState.of(encode(Gamepad(frozenset({"LT"}), ry=-0.4))) == PadState(frozenset({"LT"}), ry=-0.4)


def test_a_macro_may_press_start_and_back_and_nobody_the_guide_button():
    assert PadState(frozenset({"START", "BACK"})).pressed == {"START", "BACK"}
    assert set(HELD) - set(BUTTONS) == {"START", "BACK"}
    with pytest.raises(ActionError, match="GUIDE is never pressed"):
        PadState(frozenset({"A", "GUIDE"}))
    with pytest.raises(ActionError, match="unknown buttons"):
        PadState(frozenset({"a"}))


@pytest.mark.parametrize("value", [1.01, -1.01, math.nan, math.inf])
def test_a_stick_does_not_go_beyond_its_rim(value):
    with pytest.raises(ActionError, match="sticks must lie in"):
        PadState(ly=value)


def raw(x, y=0.0, **settings):
    """Where the left stick is put."""
    return SticksConfig(**settings).raw(PadState(lx=x, ly=y))[:2]


def test_without_a_dead_zone_a_stick_goes_where_it_is_meant_to():
    assert SticksConfig().raw(PadState(frozenset(), -0.2, 0.4, 0.6, -1.0)) == (-0.2, 0.4, 0.6, -1.0)


def test_a_rescaled_dead_zone_is_stepped_over():
    """0.25 + 0.75 * 0.2 = 0.4, of which a game makes (0.4 - 0.25) / 0.75 = 0.2."""
    assert raw(0.2, left_dead_zone=0.25) == pytest.approx((0.4, 0.0))
    assert raw(-0.2, 1.0, left_dead_zone=0.25) == pytest.approx((-0.4, 1.0))


def test_a_dead_zone_that_is_not_rescaled_is_left_by_a_little():
    assert raw(0.2, left_dead_zone=0.25, rescaled=False) == pytest.approx((0.26, 0.0))
    assert raw(-0.4, left_dead_zone=0.25, rescaled=False) == pytest.approx((-0.4, 0.0))
    assert raw(0.003, rescaled=False) == (0.003, 0.0)


def test_a_round_dead_zone_is_stepped_over_in_the_direction_of_the_stick():
    """(0.3, 0.4) is 0.5 long; 0.2 + 0.8 * 0.5 = 0.6 long it is (0.36, 0.48)."""
    assert raw(0.3, 0.4, left_dead_zone=0.2, shape="radial") == pytest.approx((0.36, 0.48))
    assert raw(0.03, -0.04, left_dead_zone=0.19, shape="radial", rescaled=False) == pytest.approx((0.12, -0.16))


def test_the_sticks_have_dead_zones_of_their_own_and_up_may_be_down():
    config = SticksConfig(left_dead_zone=0.25, right_dead_zone=0.5, invert_y=True)
    assert config.raw(PadState(frozenset(), 0.2, 0.2, 0.2, -0.2)) == pytest.approx((0.4, -0.4, 0.6, 0.6))


@given(zones, shapes, st.booleans(), st.booleans(), axis, axis)
def test_a_stick_stays_within_its_rim_and_mirrors_and_rests_at_exactly_nothing(zone, shape, rescaled, invert, x, y):
    settings = {"left_dead_zone": zone, "shape": shape, "rescaled": rescaled, "invert_y": invert}
    there, back = raw(x, y, **settings), raw(-x, -y, **settings)
    assert all(abs(value) <= 1.0 for value in there)
    assert back == (-there[0], -there[1])
    assert [value == 0.0 for value in there] == [x == 0.0, y == 0.0]


@given(zones, shapes, st.booleans(), axis, axis)
def test_pushing_further_never_gives_less(zone, shape, rescaled, first, second):
    settings = {"left_dead_zone": zone, "shape": shape, "rescaled": rescaled}
    less, more = sorted([first, second])
    assert raw(less, **settings)[0] <= raw(more, **settings)[0] + 1e-12


def axial_game(x, y, zone):
    """A game that cuts each axis's dead zone off and stretches the rest."""
    return tuple(math.copysign(max(0.0, abs(v) - zone) / (1 - zone), v) for v in (x, y))


def radial_game(x, y, zone):
    """A game that does so with the stick's distance from its centre."""
    length = math.hypot(x, y)
    scale = max(0.0, length - zone) / (1 - zone) / length if length else 0.0
    return x * scale, y * scale


@given(zones, axis, axis)
def test_what_the_game_makes_of_it_is_what_was_meant(zone, x, y):
    assert axial_game(*raw(x, y, left_dead_zone=zone), zone) == pytest.approx((x, y), abs=1e-9)
    assert radial_game(*raw(x, y, left_dead_zone=zone, shape="radial"), zone) == pytest.approx((x, y), abs=1e-9)


@pytest.mark.parametrize("shape", ["axial", "radial"])
@pytest.mark.parametrize("rescaled", [True, False])
@pytest.mark.parametrize("zone", [0.0, 0.1, 0.24, 0.265, 0.5, 0.9])
def test_the_smallest_buckets_do_something_in_every_game(zone, rescaled, shape):
    for bucket in (4, 6):
        action = NOOP.copy()
        action[12] = bucket
        x, _ = raw(PadState.of(action).lx, left_dead_zone=zone, rescaled=rescaled, shape=shape)
        assert round(x * 32767) / 32767 * (bucket - 5) > zone


@pytest.mark.parametrize(
    ("record", "settings", "message"),
    [
        (SticksConfig, {"left_dead_zone": 0.95}, "left_dead_zone is a share"),
        (SticksConfig, {"right_dead_zone": math.nan}, "right_dead_zone is a share"),
        (SticksConfig, {"shape": "square"}, "axial or radial, got 'square'"),
        (PadConfig, {"driver": "dance mat"}, "gamepad, keyboard, none, got 'dance mat'"),
        (PadConfig, {"lease": 0.0}, "lease must lie in"),
        (PadConfig, {"touch": ("feet",)}, r"knows keys, pointer, pads; got \['feet'\]"),
        (PadConfig, {"buttons": {"A": "GUIDE"}}, "maps A, B"),
        (PadConfig, {"buttons": {"a": "A"}}, "maps A, B"),
        (PadConfig, {"buttons": {"LS": "A"}}, "maps A, B"),
        (KeysConfig, {"names": {"LX": "a"}}, r"no key can stand for \['LX'\]"),
        (KeysConfig, {"pulse": 0.0}, "one frame of the game"),
        (KeysConfig, {"right_response": 0.0}, "right_response is a power"),
    ],
)
def test_settings_that_cannot_be_say_so(record, settings, message):
    with pytest.raises(OptionError, match=message):
        record(**settings)


@given(states)
def test_a_state_arrives_as_it_was_sent(state):
    assert wire.read_state(json.loads(json.dumps(wire.state_message(state)))) == state


def test_settings_arrive_as_they_were_sent():
    sticks = SticksConfig(left_dead_zone=0.24, right_dead_zone=0.265, shape="radial", rescaled=False, invert_y=True)
    keys = KeysConfig(names=dict.fromkeys(STICK_KEYS, "w"), pulse=0.05, right_response=1.5)
    config = PadConfig(driver="none", lease=0.2, touch=("pads",), buttons={"A": "LS"}, sticks=sticks, keys=keys)
    assert wire.read_config(json.loads(json.dumps(wire.config_message(config)))) == config


def test_the_null_pad_remembers():
    pad = open_driver(PadConfig(driver="none"))
    assert isinstance(pad, NullPad)
    pad.apply(PadState(lx=0.2))
    assert pad.state == PadState(lx=0.2)
    assert pad.tick() is None
    pad.close()
    pad.close()
    assert pad.state == NEUTRAL
