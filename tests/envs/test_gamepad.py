"""Laws of the action vocabulary."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs import gamepad
from envs.errors import ActionError
from envs.gamepad import AXES, BUTTONS, COMPONENTS, NOOP, SIZES, Gamepad, axis_value, bucket, check, decode, encode

every_action = st.tuples(*(st.integers(0, size - 1) for size in SIZES)).map(lambda k: np.array(k, np.uint8))
axis = st.floats(-1, 1)


@given(every_action)
def test_encoding_what_an_action_means_gives_the_action_back(action):
    assert np.array_equal(encode(decode(action)), action)


@given(st.frozensets(st.sampled_from(BUTTONS)), axis, axis, axis, axis)
def test_decoding_what_hands_do_is_off_by_half_a_bucket_at_most(pressed, lx, ly, rx, ry):
    back = decode(encode(Gamepad(pressed, lx, ly, rx, ry)))
    assert back.pressed == pressed
    assert np.allclose([back.lx, back.ly, back.rx, back.ry], [lx, ly, rx, ry], atol=0.1 + 1e-9)


def test_a_bucket_is_a_fifth_from_the_middle_one_which_is_exactly_nothing():
    assert axis_value(np.arange(11)).tolist() == [-1.0, -0.8, -0.6, -0.4, -0.2, 0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert bucket(np.array([-1.0, -0.31, -0.29, 0.0, 0.09, 0.11, 1.0])).tolist() == [0, 3, 4, 5, 5, 6, 10]


def test_there_are_twelve_buttons_of_two_and_four_axes_of_eleven():
    assert SIZES == (2,) * 12 + (11,) * 4
    assert gamepad.space().nvec.tolist() == list(SIZES)
    assert COMPONENTS == (
        "A",
        "B",
        "X",
        "Y",
        "LB",
        "RB",
        "LT",
        "RT",
        "UP",
        "DOWN",
        "LEFT",
        "RIGHT",
        "LX",
        "LY",
        "RX",
        "RY",
    )


def test_noop_leaves_everything_at_rest_and_cannot_be_changed():
    assert decode(NOOP) == Gamepad()
    assert np.array_equal(encode(Gamepad()), NOOP)
    with pytest.raises(ValueError, match="read-only"):
        NOOP[0] = 1


def test_each_component_means_what_its_name_says():
    for k, name in enumerate(BUTTONS):
        action = NOOP.copy()
        action[k] = 1
        assert decode(action) == Gamepad(frozenset({name}))
    for k, name in enumerate(AXES, 12):
        action = NOOP.copy()
        action[k] = 10
        assert decode(action) == replace(Gamepad(), **{name.lower(): 1.0})


@pytest.mark.parametrize("component", range(16))
@pytest.mark.parametrize("over", [True, False])
def test_an_index_outside_its_component_is_an_error_that_names_it(component, over):
    action = NOOP.astype(np.int64)
    action[component] = SIZES[component] if over else -1
    with pytest.raises(ActionError, match=rf"{COMPONENTS[component]} takes 0 to {SIZES[component] - 1}, got"):
        check(action)
    with pytest.raises(ActionError, match=f"{COMPONENTS[component]} of environment 2 takes"):
        check(np.stack([NOOP, NOOP, action]), 3)


@pytest.mark.parametrize(
    "wrong",
    [
        NOOP.astype(np.float32), NOOP.astype(bool), NOOP[:15], NOOP[None], np.zeros((2, 16), int), 3, None, "left",
        [2**70] * 16, [0, [1, 2]], {"A": 1},
    ],
    ids=["float", "bool", "15", "batch of 1", "batch of 2", "number", "None", "text", "huge", "ragged", "dict"],
)  # fmt: skip
def test_what_is_no_action_is_an_action_error(wrong):
    with pytest.raises(ActionError):
        check(wrong)
    with pytest.raises(ActionError):
        check(wrong, 3)


@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.int32, np.int64, np.uint64])
def test_any_integers_are_taken_and_become_plain_bytes(kind):
    """One kind of array, so that one compiled kernel fits all: a read-only action would compile another."""
    apart = np.zeros((3, 32), kind)[:, ::2]
    apart[:] = NOOP
    apart.setflags(write=False)
    checked = check(apart, 3)
    assert checked.dtype == np.uint8
    assert checked.flags.c_contiguous
    assert checked.flags.writeable
    assert checked.tolist() == [NOOP.tolist()] * 3
    assert check(NOOP.tolist()).tolist() == NOOP.tolist()


def test_what_cannot_be_written_is_copied():
    assert check(NOOP).flags.writeable
    check(NOOP)[0] = 1
    assert NOOP[0] == 0


@pytest.mark.parametrize("value", [1.01, -1.01, float("nan"), float("inf")])
def test_a_stick_beyond_its_rim_cannot_be_encoded(value):
    with pytest.raises(ActionError, match="stick axes must lie in"):
        encode(Gamepad(ry=value))


def test_a_button_that_is_not_an_action_cannot_be_encoded():
    with pytest.raises(ActionError, match=r"GUIDE.*START"):
        encode(Gamepad(frozenset({"START", "GUIDE", "A"})))
